//! What happened since the frame before. An event stands behind its length, so that a kind that a reader
//! does not know is passed over.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde_json::Value;

use super::codec::{Codec, Reader, finite, put_signed, put_text, put_varint};
use super::float::{put_float, read_float};
use super::row::seconds_of;
use super::value::memory_of;
use super::{FrameError, Reason};
use crate::session::{Action, Level};
use crate::wire::{
    ClientFeatures, ErrorCode, ErrorMessage, Event, EventKind, SourceName, Status, StatusState, rounded,
};

const STARTED: u8 = 1;
const ENDED: u8 = 2;
const STATUS: u8 = 3;
const FAULT: u8 = 4;
const COLLECTOR_RESTARTED: u8 = 5;
/// Events of one frame; what writes leaves out the rest, and counts it.
pub(super) const EVENTS_MAX: usize = 4_096;

/// Writes how many events there was no room for, how many there are, and those.
pub(super) fn put_events(out: &mut Vec<u8>, events: &[Event], dropped: u64, wall_ms: u64) {
    let kept = events.len().min(EVENTS_MAX);
    let dropped = dropped.saturating_add((events.len() - kept) as u64);
    if kept == 0 && dropped == 0 {
        return;
    }
    put_varint(out, dropped);
    put_varint(out, kept as u64);
    let mut body = Vec::new();
    for event in &events[..kept] {
        body.clear();
        put_event(&mut body, event, wall_ms);
        put_varint(out, body.len() as u64);
        out.extend_from_slice(&body);
    }
}

/// The events that are understood, and how many there was no room for.
pub(super) fn read_events(from: &mut Reader<'_>, wall_ms: u64) -> Result<(Vec<Event>, u64), FrameError> {
    let dropped = from.varint("events.dropped")?;
    let count = from.size("events.count")?;
    if count > EVENTS_MAX {
        return Err(FrameError::new("events.count", Reason::TooMuch));
    }
    let mut events = Vec::new();
    for _ in 0..count {
        events.extend(read_event(&mut from.block("event")?, wall_ms)?);
    }
    from.finish("events")?;
    Ok((events, dropped))
}

fn put_event(out: &mut Vec<u8>, event: &Event, wall_ms: u64) {
    let at_ms = rounded(event.timestamp * 1_000.0, 0) as u64;
    out.push(match event.kind {
        EventKind::SessionStarted => STARTED,
        EventKind::SessionEnded => ENDED,
        EventKind::Status(_) => STATUS,
        EventKind::Fault(_) => FAULT,
        EventKind::CollectorRestarted => COLLECTOR_RESTARTED,
    });
    put_signed(out, wall_ms.wrapping_sub(at_ms) as i64);
    put_varint(out, event.session.map_or(0, |session| session.saturating_add(1)));
    event.session_id.write(out);
    match &event.kind {
        EventKind::SessionEnded => event.receipt.write(out),
        EventKind::Status(status) => put_status(out, status),
        EventKind::Fault(fault) => put_fault(out, fault),
        _ => {}
    }
}

fn read_event(from: &mut Reader<'_>, wall_ms: u64) -> Result<Option<Event>, FrameError> {
    let kind = from.byte("event.kind")?;
    let at_ms = wall_ms.wrapping_sub(from.signed("event.timestamp")? as u64);
    let session = from.varint("event.session")?.checked_sub(1);
    let session_id = Option::<String>::read(from, "event.session_id")?;
    let mut receipt = None;
    let kind = match kind {
        STARTED => EventKind::SessionStarted,
        ENDED => {
            receipt = Option::<Arc<Value>>::read(from, "event.receipt")?;
            EventKind::SessionEnded
        }
        STATUS => EventKind::Status(read_status(from)?),
        FAULT => EventKind::Fault(read_fault(from)?),
        COLLECTOR_RESTARTED => EventKind::CollectorRestarted,
        _ => return Ok(None),
    };
    Ok(Some(Event { timestamp: seconds_of(at_ms), session, session_id, kind, receipt }))
}

/// Memory of events that were read, beside their texts, at most.
pub(super) fn memory_of_events(events: &[Event]) -> usize {
    let receipts = events.iter().filter_map(|event| event.receipt.as_deref());
    // Beside each stands the count of those that share it.
    receipts.map(|receipt| 2 * size_of::<Value>() + memory_of(receipt)).sum()
}

const STATES: [StatusState; 8] = [
    StatusState::Connected,
    StatusState::Streaming,
    StatusState::Warning,
    StatusState::Error,
    StatusState::Buffering,
    StatusState::Overloaded,
    StatusState::Backpressure,
    StatusState::Reconnecting,
];

const ACTIONS: [Action; 8] = [
    Action::ExtendChunk,
    Action::RestoreChunk,
    Action::ReduceQuality,
    Action::RestoreQuality,
    Action::DropChunks,
    Action::KeepChunks,
    Action::UseFallback,
    Action::LeaveFallback,
];

const CODES: [ErrorCode; 14] = [
    ErrorCode::InvalidJson,
    ErrorCode::InvalidMessage,
    ErrorCode::UnknownType,
    ErrorCode::UnsupportedFormat,
    ErrorCode::NotStarted,
    ErrorCode::AlreadyStarted,
    ErrorCode::InvalidAudio,
    ErrorCode::TooLarge,
    ErrorCode::TooManySources,
    ErrorCode::SessionMismatch,
    ErrorCode::Unauthorized,
    ErrorCode::AtCapacity,
    ErrorCode::ProviderFailed,
    ErrorCode::Internal,
];

/// State and message, then which of the other fields are there, then those.
fn put_status(out: &mut Vec<u8>, status: &Status) {
    out.push(status.state as u8);
    put_text(out, &status.message);
    let there = [
        status.source.is_some(),
        status.backlog_seconds.is_some(),
        status.dropped_frames.is_some(),
        status.dropped_seconds.is_some(),
        status.dropped_total.is_some(),
        status.degrade_level.is_some(),
        status.action.is_some(),
        status.client_features.is_some(),
    ];
    out.push(there.iter().enumerate().fold(0, |flags, (bit, there)| flags | u8::from(*there) << bit));
    status.source.iter().for_each(|source| put_text(out, source.as_str()));
    status.backlog_seconds.iter().for_each(|seconds| put_float(out, 0.0, finite(*seconds)));
    status.dropped_frames.iter().for_each(|frames| put_varint(out, *frames));
    status.dropped_seconds.iter().for_each(|seconds| put_float(out, 0.0, finite(*seconds)));
    status.dropped_total.iter().for_each(|total| put_varint(out, *total));
    status.degrade_level.iter().for_each(|level| out.push(*level as u8));
    status.action.iter().for_each(|action| out.push(*action as u8));
    status.client_features.iter().for_each(|features| out.push(feature_bits(*features)));
}

fn read_status(from: &mut Reader<'_>) -> Result<Status, FrameError> {
    let state = choose(&STATES, from.byte("status.state")?, "status.state")?;
    let message = from.text("status.message")?;
    let flags = from.byte("status.fields")?;
    let is_there = |bit: u8| flags >> bit & 1 == 1;
    let seconds = |from: &mut Reader<'_>| {
        let seconds = read_float(from, 0.0, "status.seconds")?;
        if seconds.is_finite() { Ok(seconds) } else { Err(FrameError::new("status.seconds", Reason::OutOfRange)) }
    };
    let mut status = Status::new(state, "");
    status.message = String::from(message).into();
    if is_there(0) {
        let wrong = FrameError::new("status.source", Reason::OutOfRange);
        status.source = Some(SourceName::parse(from.text("status.source")?).map_err(|_| wrong)?);
    }
    status.backlog_seconds = is_there(1).then(|| seconds(from)).transpose()?;
    status.dropped_frames = is_there(2).then(|| from.varint("status.dropped_frames")).transpose()?;
    status.dropped_seconds = is_there(3).then(|| seconds(from)).transpose()?;
    status.dropped_total = is_there(4).then(|| from.varint("status.dropped_total")).transpose()?;
    if is_there(5) {
        status.degrade_level = Some(choose(&Level::ALL, from.byte("status.degrade_level")?, "status.degrade_level")?);
    }
    if is_there(6) {
        status.action = Some(choose(&ACTIONS, from.byte("status.action")?, "status.action")?);
    }
    status.client_features = is_there(7).then(|| from.byte("status.client_features").map(features_of)).transpose()?;
    Ok(status)
}

fn feature_bits(features: ClientFeatures) -> u8 {
    u8::from(features.clock_drift_compensation_enabled)
        | u8::from(features.client_vad_enabled) << 1
        | u8::from(features.clock_drift_telemetry_enabled) << 2
        | u8::from(features.client_vad_telemetry_enabled) << 3
}

fn features_of(bits: u8) -> ClientFeatures {
    ClientFeatures {
        clock_drift_compensation_enabled: bits & 1 != 0,
        client_vad_enabled: bits & 1 << 1 != 0,
        clock_drift_telemetry_enabled: bits & 1 << 2 != 0,
        client_vad_telemetry_enabled: bits & 1 << 3 != 0,
    }
}

fn put_fault(out: &mut Vec<u8>, fault: &ErrorMessage) {
    out.push(fault.code as u8);
    put_text(out, &fault.message);
    out.push(u8::from(fault.fatal));
}

fn read_fault(from: &mut Reader<'_>) -> Result<ErrorMessage, FrameError> {
    Ok(ErrorMessage {
        code: choose(&CODES, from.byte("fault.code")?, "fault.code")?,
        message: String::from(from.text("fault.message")?).into(),
        fatal: from.byte("fault.fatal")? == 1,
    })
}

/// One of a list in the order of its numbers.
fn choose<T: Copy>(choices: &[T], number: u8, field: &'static str) -> Result<T, FrameError> {
    choices.get(usize::from(number)).copied().ok_or(FrameError::new(field, Reason::OutOfRange))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written is a variant's number, what is read its place in a list.
    #[test]
    fn lists_are_in_the_order_of_their_numbers() {
        assert!(STATES.iter().enumerate().all(|(place, state)| *state as usize == place));
        assert!(ACTIONS.iter().enumerate().all(|(place, action)| *action as usize == place));
        assert!(CODES.iter().enumerate().all(|(place, code)| *code as usize == place));
        assert!(Level::ALL.iter().enumerate().all(|(place, level)| *level as usize == place));
    }
}
