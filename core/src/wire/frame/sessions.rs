//! The live sessions: who ended, what changed, who came.

use alloc::string::String;
use alloc::vec::Vec;

use super::codec::{Codec, Reader, finite, put_signed, put_text, put_varint};
use super::float::{put_float, read_float};
use super::mask::{BLOCK, put_mask, read_mask};
use super::row::{Figures, Row};
use super::{FrameError, Reason};
use crate::wire::{Identity, SessionPhase, SessionState, SourceName, rounded};

const AGE: u8 = 1;
const SENT: u8 = 1 << 1;
const TALLY: u8 = 1 << 2;
const PHASE: u8 = 1 << 3;
const SOURCES: u8 = 1 << 4;
/// Sources that a session can have in a frame; what writes leaves out more.
const SOURCES_MAX: usize = 256;

/// The sessions of a frame, with what foresees the next one.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions {
    /// By id.
    held: Vec<Entry>,
    /// Memory of those that were read, at most.
    bytes: usize,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) identity: Identity,
    draining: bool,
    pub(super) age_seconds: f64,
    pub(super) ticks_sent: u64,
    /// By how much that grew.
    sent_step: u64,
    pub(super) ticks_conflated: u64,
    pub(super) ticks_missed: u64,
    /// By name.
    pub(super) names: Vec<SourceName>,
    pub(super) rows: Vec<Row>,
}

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// The states at a frame of this time, by id.
    pub(super) fn states(&self, wall_ms: u64) -> impl ExactSizeIterator<Item = SessionState> {
        self.held.iter().map(move |entry| entry.state(wall_ms))
    }

    /// By id.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.held
    }

    pub(super) fn entry(&self, id: u64) -> Option<&Entry> {
        let place = self.held.binary_search_by_key(&id, |entry| entry.id).ok()?;
        self.held.get(place)
    }

    /// Writes how `now` differs from these, and takes it on. Sessions without a place in the order of their
    /// ids are left out.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, now: &[SessionState], wall_ms: u64) {
        let mut ended: Vec<u64> = Vec::new();
        let mut states = now.iter().peekable();
        self.held.retain(|entry| {
            while states.next_if(|state| state.id < entry.id).is_some() {}
            let stays = states.next_if(|state| state.id == entry.id).is_some();
            if !stays {
                ended.push(entry.id);
            }
            stays
        });
        put_ids(out, &ended);
        self.put_changed(out, now, wall_ms);
        self.put_started(out, now, wall_ms);
    }

    fn put_changed(&mut self, out: &mut Vec<u8>, now: &[SessionState], wall_ms: u64) {
        let mut states = now.iter();
        let mut rows = Vec::new();
        for block in self.held.chunks_mut(BLOCK) {
            let mut mask = 0;
            rows.clear();
            for (place, entry) in block.iter_mut().enumerate() {
                let Some(state) = states.by_ref().find(|state| state.id == entry.id) else { continue };
                let begin = rows.len();
                if entry.put(&mut rows, state, wall_ms) {
                    mask |= 1 << place;
                } else {
                    rows.truncate(begin);
                }
            }
            put_mask(out, mask);
            out.extend_from_slice(&rows);
        }
    }

    fn put_started(&mut self, out: &mut Vec<u8>, now: &[SessionState], wall_ms: u64) {
        let last = self.held.last().map_or(0, |entry| entry.id);
        let held = self.held.len();
        for state in now {
            if state.id > self.held.last().map_or(0, |entry| entry.id) {
                self.held.push(Entry::of(state, wall_ms));
            }
        }
        put_entries(out, last, &self.held[held..]);
    }

    /// Writes all of them for a reader that has none.
    pub(super) fn put_whole(&self, out: &mut Vec<u8>) {
        put_ids(out, &[]);
        put_entries(out, 0, &self.held);
    }

    /// Memory of those that were read, at most.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes on what was written; there is so much room for it.
    pub(super) fn read(&mut self, from: &mut Reader<'_>, room: usize) -> Result<(), FrameError> {
        self.read_ended(from)?;
        self.read_changed(from, room)?;
        let mut id = self.held.last().map_or(0, |entry| entry.id);
        for _ in 0..from.size("sessions.started")? {
            let step = from.varint("session.id")?;
            id = id.checked_add(step).filter(|_| step > 0).ok_or(FrameError::new("session.id", Reason::OutOfRange))?;
            let entry = Entry::read(id, from, room.saturating_sub(self.bytes))?;
            self.bytes += entry.bytes();
            self.held.push(entry);
        }
        from.finish("sessions")
    }

    fn read_ended(&mut self, from: &mut Reader<'_>) -> Result<(), FrameError> {
        let mut ended: Vec<u64> = Vec::new();
        let mut id = 0_u64;
        for _ in 0..from.size("sessions.ended")? {
            id = id.wrapping_add(from.varint("session.id")?);
            ended.push(id);
        }
        self.held.retain(|entry| {
            let goes = ended.binary_search(&entry.id).is_ok();
            self.bytes = self.bytes.saturating_sub(if goes { entry.bytes() } else { 0 });
            !goes
        });
        Ok(())
    }

    fn read_changed(&mut self, from: &mut Reader<'_>, room: usize) -> Result<(), FrameError> {
        for block in self.held.chunks_mut(BLOCK) {
            let mask = read_mask(from, "sessions.mask")?;
            if block.len() < BLOCK && mask >> block.len() != 0 {
                return Err(FrameError::new("sessions.mask", Reason::OutOfRange));
            }
            for (place, entry) in block.iter_mut().enumerate() {
                if mask >> place & 1 == 0 {
                    entry.foresee();
                    continue;
                }
                let others = self.bytes.saturating_sub(entry.bytes());
                entry.read_change(from, room.saturating_sub(others))?;
                self.bytes = others + entry.bytes();
            }
        }
        Ok(())
    }
}

fn put_ids(out: &mut Vec<u8>, ids: &[u64]) {
    put_varint(out, ids.len() as u64);
    let mut last = 0;
    for id in ids {
        put_varint(out, id - last);
        last = *id;
    }
}

fn put_entries(out: &mut Vec<u8>, mut last: u64, entries: &[Entry]) {
    put_varint(out, entries.len() as u64);
    for entry in entries {
        put_varint(out, entry.id - last);
        entry.put_whole(out);
        last = entry.id;
    }
}

impl Entry {
    /// A session that nobody knows yet.
    fn of(state: &SessionState, wall_ms: u64) -> Self {
        let mut entry = Self { id: state.id, identity: state.identity.clone(), ..Self::default() };
        entry.take(state);
        for metrics in &state.sources {
            if let Some(place) = entry.add_source(metrics.source) {
                entry.rows[place].take(&Figures::of(metrics, wall_ms));
            }
        }
        entry
    }

    fn state(&self, wall_ms: u64) -> SessionState {
        let rows = self.names.iter().zip(&self.rows);
        SessionState {
            id: self.id,
            identity: self.identity.clone(),
            phase: self.phase(),
            age_seconds: self.age_seconds,
            ticks_sent: self.ticks_sent,
            ticks_conflated: self.ticks_conflated,
            ticks_missed: self.ticks_missed,
            sources: rows.map(|(name, row)| row.metrics(*name, &self.names, wall_ms)).collect(),
        }
    }

    pub(super) fn phase(&self) -> SessionPhase {
        if self.draining { SessionPhase::Draining } else { SessionPhase::Streaming }
    }

    /// Memory, at most.
    fn bytes(&self) -> usize {
        let Identity { session_id, attempt_id, connection_id } = &self.identity;
        let names = [session_id, attempt_id, connection_id].into_iter().flatten();
        // Each of a list takes twice its own where that grew, and once more while it grows.
        3 * size_of::<Self>()
            + names.map(String::capacity).sum::<usize>()
            + self.names.capacity() * size_of::<SourceName>()
            + self.rows.capacity() * size_of::<Row>()
            + self.rows.iter().map(Row::bytes).sum::<usize>()
    }

    fn check_room(&self, room: usize) -> Result<(), FrameError> {
        if self.bytes() <= room { Ok(()) } else { Err(FrameError::new("sessions", Reason::TooMuch)) }
    }

    /// Writes how `state` differs from what is foreseen, and takes it on. Returns whether it does.
    fn put(&mut self, out: &mut Vec<u8>, state: &SessionState, wall_ms: u64) -> bool {
        let flags = self.differing(state);
        out.push(flags);
        self.put_tallies(out, flags, state);
        self.take(state);
        if flags & SOURCES != 0 {
            let names = state.sources.iter().map(|metrics| metrics.source);
            let new: Vec<_> = names.filter(|name| self.add_source(*name).is_some()).collect();
            put_varint(out, new.len() as u64);
            new.iter().for_each(|name| put_text(out, name.as_str()));
        }
        let mut differs = flags != 0;
        for (name, row) in self.names.iter().zip(&mut self.rows) {
            // Sources do not leave; what is not told of one is as foreseen.
            let Some(metrics) = state.sources.iter().find(|metrics| metrics.source == *name) else {
                row.put_foreseen(out);
                continue;
            };
            let now = Figures::of(metrics, wall_ms);
            differs |= row.put(out, &now);
            row.take(&now);
        }
        differs
    }

    fn differing(&self, state: &SessionState) -> u8 {
        let tallies = (self.ticks_conflated, self.ticks_missed) != (state.ticks_conflated, state.ticks_missed);
        let flags = [
            (AGE, self.next_age().to_bits() != finite(state.age_seconds).to_bits()),
            (SENT, self.ticks_sent.wrapping_add(self.sent_step) != state.ticks_sent),
            (TALLY, tallies),
            (PHASE, self.draining != (state.phase == SessionPhase::Draining)),
            (SOURCES, self.names.len() != state.sources.len()),
        ];
        flags.iter().fold(0, |flags, (flag, differs)| flags | if *differs { *flag } else { 0 })
    }

    fn put_tallies(&self, out: &mut Vec<u8>, flags: u8, state: &SessionState) {
        if flags & AGE != 0 {
            put_float(out, self.age_seconds, finite(state.age_seconds));
        }
        if flags & SENT != 0 {
            put_signed(out, state.ticks_sent.wrapping_sub(self.ticks_sent) as i64);
        }
        if flags & TALLY != 0 {
            put_varint(out, state.ticks_conflated);
            put_varint(out, state.ticks_missed);
        }
        if flags & PHASE != 0 {
            out.push(u8::from(state.phase == SessionPhase::Draining));
        }
    }

    fn take(&mut self, state: &SessionState) {
        self.sent_step = state.ticks_sent.wrapping_sub(self.ticks_sent);
        self.age_seconds = finite(state.age_seconds);
        self.ticks_sent = state.ticks_sent;
        (self.ticks_conflated, self.ticks_missed) = (state.ticks_conflated, state.ticks_missed);
        self.draining = state.phase == SessionPhase::Draining;
    }

    /// The place of a source that was not there yet, if there is room for it.
    fn add_source(&mut self, name: SourceName) -> Option<usize> {
        let place = self.names.binary_search(&name).err().filter(|_| self.names.len() < SOURCES_MAX)?;
        self.names.insert(place, name);
        self.rows.insert(place, Row::default());
        Some(place)
    }

    fn put_whole(&self, out: &mut Vec<u8>) {
        let Identity { session_id, attempt_id, connection_id } = &self.identity;
        [session_id, attempt_id, connection_id].into_iter().for_each(|name| name.write(out));
        out.push(u8::from(self.draining));
        put_float(out, 0.0, self.age_seconds);
        [self.ticks_sent, self.sent_step, self.ticks_conflated, self.ticks_missed]
            .into_iter()
            .for_each(|tally| put_varint(out, tally));
        put_varint(out, self.names.len() as u64);
        for (name, row) in self.names.iter().zip(&self.rows) {
            put_text(out, name.as_str());
            row.put_whole(out);
        }
    }

    fn read(id: u64, from: &mut Reader<'_>, room: usize) -> Result<Self, FrameError> {
        let mut name = || Option::<String>::read(from, "session.identity");
        let identity = Identity { session_id: name()?, attempt_id: name()?, connection_id: name()? };
        let mut entry = Self {
            id,
            identity,
            draining: from.byte("session.phase")? == 1,
            age_seconds: read_age(from, 0.0)?,
            ticks_sent: from.varint("session.ticks")?,
            sent_step: from.varint("session.ticks")?,
            ticks_conflated: from.varint("session.ticks")?,
            ticks_missed: from.varint("session.ticks")?,
            ..Self::default()
        };
        for _ in 0..from.size("session.sources")? {
            let place = entry.read_source(from)?;
            entry.rows[place].read_whole(from)?;
            entry.check_room(room)?;
        }
        entry.check_room(room)?;
        Ok(entry)
    }

    fn read_change(&mut self, from: &mut Reader<'_>, room: usize) -> Result<(), FrameError> {
        let flags = from.byte("session.flags")?;
        let next_age = self.next_age();
        self.age_seconds = if flags & AGE != 0 { read_age(from, self.age_seconds)? } else { next_age };
        if flags & SENT != 0 {
            self.sent_step = from.signed("session.ticks")? as u64;
        }
        self.ticks_sent = self.ticks_sent.wrapping_add(self.sent_step);
        if flags & TALLY != 0 {
            (self.ticks_conflated, self.ticks_missed) = (from.varint("session.ticks")?, from.varint("session.ticks")?);
        }
        if flags & PHASE != 0 {
            self.draining = from.byte("session.phase")? == 1;
        }
        if flags & SOURCES != 0 {
            for _ in 0..from.size("session.sources")? {
                self.read_source(from)?;
            }
        }
        self.rows.iter_mut().try_for_each(|row| row.read(from))?;
        self.check_room(room)
    }

    /// The place of a source that was not there yet.
    fn read_source(&mut self, from: &mut Reader<'_>) -> Result<usize, FrameError> {
        let wrong = FrameError::new("session.source", Reason::OutOfRange);
        let name = SourceName::parse(from.text("session.source")?).map_err(|_| wrong)?;
        self.add_source(name).ok_or(wrong)
    }

    fn foresee(&mut self) {
        self.age_seconds = self.next_age();
        self.ticks_sent = self.ticks_sent.wrapping_add(self.sent_step);
        self.rows.iter_mut().for_each(Row::foresee);
    }

    /// A tick is a second.
    fn next_age(&self) -> f64 {
        rounded(self.age_seconds + 1.0, 1)
    }
}

fn read_age(from: &mut Reader<'_>, before: f64) -> Result<f64, FrameError> {
    let age = read_float(from, before, "session.age")?;
    if age.is_finite() { Ok(age) } else { Err(FrameError::new("session.age", Reason::OutOfRange)) }
}
