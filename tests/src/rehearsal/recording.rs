use tachograph_core::wire::frame::Outcome;

use super::{Frame, Rehearsal};

/// Runs the rehearsal for so many seconds. Returns a recording of them: hello, schema, keyframe, frames.
pub fn record(rehearsal: &mut Rehearsal, seconds: u64) -> Vec<u8> {
    let Some(_) = seconds.checked_sub(1) else { return Vec::new() };
    let first = rehearsal.tick();
    let mut recording = rehearsal.hello(Outcome::Fresh, first.seq);
    recording.extend(rehearsal.schema());
    recording.extend(rehearsal.keyframe());
    for _ in 1..seconds {
        put_frame(&rehearsal.tick(), &mut recording);
    }
    recording
}

/// Appends a frame to a recording. Where there is a keyframe it stands for the frame, so that each comes
/// once.
pub(super) fn put_frame(frame: &Frame, out: &mut Vec<u8>) {
    match &frame.keyframe {
        Some(keyframe) => {
            // What the frame would have described.
            frame.schema.iter().for_each(|schema| out.extend_from_slice(schema));
            out.extend_from_slice(keyframe);
        }
        None => out.extend_from_slice(&frame.delta),
    }
}
