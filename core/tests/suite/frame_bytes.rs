//! What a reader does with bytes of any kind: it never panics, its errors say of which field they are, and
//! a schema and a keyframe mend it. The fuzzer and the suite run the same.

use std::sync::OnceLock;

use tachograph_core::wire::StreamFrame;
use tachograph_core::wire::frame::{
    Applied, Decoder, Epoch, Filter, Follower, FrameError, Hello, Record, RecordKind, Sieve, read_skipped,
};

/// A stream that is whole.
const VALID: &[u8] = include_bytes!("../golden/frames.bin");
/// Enough for it, and little.
const LIMIT: usize = 1 << 20;

/// The first byte says what the rest is: a stream, or what to change in a valid one.
pub(crate) fn run(input: &[u8]) {
    let Some((mode, rest)) = input.split_first() else { return };
    if mode % 2 == 0 {
        read(rest);
    } else {
        read(&changed(VALID, rest));
    }
}

/// Has everything that reads read these bytes.
pub(crate) fn read(stream: &[u8]) {
    let mut decoder = Decoder::with_limit(LIMIT);
    let mut sieves =
        [Filter::default(), Filter { sessions: false, prefixes: vec!["f".into()], labels: Vec::new() }].map(Sieve::new);
    for record in Record::all(stream) {
        let Ok(record) = record.inspect_err(check) else { break };
        match record.kind {
            RecordKind::Hello => drop(Hello::read(record.payload).inspect_err(check)),
            RecordKind::Skipped => drop(read_skipped(record.payload).inspect_err(check)),
            _ => {}
        }
        if decoder.apply(&record).inspect_err(check) == Ok(Applied::Frame) {
            look_at(&decoder);
        }
        for sieve in &mut sieves {
            let mut left = Vec::new();
            let _refused = sieve.take(&record, &mut left).inspect_err(check);
        }
    }
    let mut follower = Follower::default();
    let _refused = follower.take(stream, |_| {}).inspect_err(check);
    let _text = follower.request(60).to_string();
    assert_mended(&mut decoder);
}

/// All that a page computes of a state.
fn look_at(decoder: &Decoder) {
    let state = decoder.state();
    let plain = state.to_plain(Epoch::default(), "");
    assert!(serde_json::to_string(&plain).is_ok());
    assert_eq!(state.extent().series() + state.extent().families(), state.extent().entries as usize);
    for histogram in &state.columns().histograms {
        let _quantile = (histogram.quantile(0.99), histogram.count());
        for (index, _) in histogram.positive() {
            let _bounds = (histogram.lower_bound(*index), histogram.lower_bound(*index + 1));
        }
    }
}

fn check(error: &FrameError) {
    assert!(!error.field.is_empty() && error.to_string().starts_with(error.field), "{error}");
}

/// Whatever was before, a schema and a keyframe are read.
pub(crate) fn assert_mended(decoder: &mut Decoder) {
    let mut records = Record::all(VALID).filter_map(Result::ok);
    let schema = records.find(|record| record.kind == RecordKind::Schema);
    let keyframe = records.find(|record| record.kind == RecordKind::Keyframe);
    for (record, applied) in [(schema, Applied::Schema), (keyframe, Applied::Frame)] {
        assert_eq!(record.map(|record| decoder.apply(&record)), Some(Ok(applied)));
    }
    assert_eq!(decoder.state().to_plain(Epoch::default(), ""), *EXPECTED.get_or_init(first_keyframe));
}

static EXPECTED: OnceLock<StreamFrame<'static>> = OnceLock::new();

/// What the valid stream's first keyframe says.
fn first_keyframe() -> StreamFrame<'static> {
    let mut decoder = Decoder::default();
    for record in Record::all(VALID).filter_map(Result::ok) {
        if decoder.apply(&record) == Ok(Applied::Frame) {
            break;
        }
    }
    decoder.state().to_plain(Epoch::default(), "")
}

/// The stream with some of its bytes changed, left out or repeated, as the input says: each four bytes of
/// it are a change, a place and a value.
fn changed(stream: &[u8], input: &[u8]) -> Vec<u8> {
    let mut stream = stream.to_vec();
    for change in input.chunks_exact(4).take(64) {
        let place = usize::from(u16::from_le_bytes([change[1], change[2]])) % (stream.len() + 1);
        let value = change[3];
        let end = (place + usize::from(value)).min(stream.len());
        match change[0] % 5 {
            0 => stream.truncate(place),
            1 => stream.insert(place, value),
            2 => drop(stream.drain(place..end)),
            3 => stream.extend_from_within(place..end),
            _ => stream.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= value),
        }
        if stream.len() > 1 << 16 {
            break;
        }
    }
    stream
}
