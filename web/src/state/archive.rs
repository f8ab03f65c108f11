use std::collections::VecDeque;

use tachograph_core::wire::frame::{Decoder, Hello, Outcome, RecordKind, Schema, State};

use super::{TICKS_MAX, Ticks};

/// Memory that the frames may take.
const BYTES_MAX: usize = 14 << 20;

/// The frames of the last minutes as they came, in bytes: what any chart, any moment and any recording is
/// made of, so that nothing has to be kept of a figure until somebody wants to see it.
#[derive(Debug)]
pub(super) struct Archive {
    rows: VecDeque<Kept>,
    /// The rows that were let go.
    gone: u64,
    bytes: usize,
    bytes_max: usize,
    /// The schemas of the server's starts before the newest one, as records.
    schemas: Vec<(u32, Vec<u8>)>,
}

/// A row's records; empty where it has none.
#[derive(Debug, Default)]
struct Kept {
    start: u32,
    frame: Box<[u8]>,
    keyframe: Box<[u8]>,
}

impl Kept {
    fn bytes(&self) -> usize {
        self.frame.len() + self.keyframe.len() + size_of::<Self>()
    }
}

/// An archive with what the newest start of the server described so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past<'a> {
    /// The frames.
    pub(super) archive: &'a Archive,
    /// The newest start.
    pub(super) start: u32,
    /// Its schema.
    pub(super) schema: &'a Schema,
}

impl Default for Archive {
    fn default() -> Self {
        Self::within(BYTES_MAX)
    }
}

impl Archive {
    /// An archive of at most so many bytes.
    pub(super) fn within(bytes_max: usize) -> Self {
        Self { rows: VecDeque::new(), gone: 0, bytes: 0, bytes_max, schemas: Vec::new() }
    }

    /// The schema of a start that ended.
    pub(super) fn end_start(&mut self, start: u32, schema: &Schema) {
        let mut records = Vec::new();
        schema.write_records(&mut records);
        self.bytes += records.len();
        self.schemas.push((start, records));
        self.let_go();
    }

    /// Keeps a record of a row.
    pub(super) fn keep(&mut self, row: u64, start: u32, kind: RecordKind, record: &[u8]) {
        self.reach(row);
        let place = row.checked_sub(self.gone + 1).and_then(|place| usize::try_from(place).ok());
        let Some(kept) = place.and_then(|place| self.rows.get_mut(place)) else { return };
        kept.start = start;
        let held = if kind == RecordKind::Keyframe { &mut kept.keyframe } else { &mut kept.frame };
        self.bytes = self.bytes + record.len() - held.len();
        *held = record.into();
        self.let_go();
    }

    /// The oldest row whose state can be made again.
    pub(super) fn oldest(&self) -> Option<u64> {
        let place = self.rows.iter().position(|kept| !kept.keyframe.is_empty())?;
        Some(self.gone + 1 + place as u64)
    }

    fn kept(&self, row: u64) -> Option<&Kept> {
        self.rows.get(usize::try_from(row.checked_sub(self.gone + 1)?).ok()?)
    }

    /// The newest row up to this one to begin with; none where a frame between is missing.
    fn keyframe_for(&self, row: u64) -> Option<u64> {
        let start = self.kept(row)?.start;
        for row in (self.gone + 1..=row).rev() {
            let kept = self.kept(row).filter(|kept| kept.start == start)?;
            if !kept.keyframe.is_empty() {
                return Some(row);
            }
            if kept.frame.is_empty() {
                return None;
            }
        }
        None
    }

    fn reach(&mut self, row: u64) {
        let newest = self.gone + self.rows.len() as u64;
        if row.saturating_sub(newest) > TICKS_MAX as u64 {
            self.bytes -= self.rows.drain(..).map(|kept| kept.bytes()).sum::<usize>();
            self.gone = row - 1;
        }
        while self.gone + (self.rows.len() as u64) < row {
            self.bytes += size_of::<Kept>();
            self.rows.push_back(Kept::default());
        }
    }

    fn let_go(&mut self) {
        while self.rows.len() > 1 && (self.rows.len() > TICKS_MAX || self.bytes > self.bytes_max) {
            let Some(kept) = self.rows.pop_front() else { return };
            self.bytes -= kept.bytes();
            self.gone += 1;
        }
        let oldest = self.rows.iter().map(|kept| kept.start).find(|start| *start > 0).unwrap_or_default();
        let bytes = &mut self.bytes;
        self.schemas.retain(|(start, records)| {
            let stays = *start >= oldest;
            *bytes -= if stays { 0 } else { records.len() };
            stays
        });
    }
}

impl Past<'_> {
    /// A recording of all that can be made again: what the server's stream would have been.
    pub(super) fn recording(&self, ticks: &Ticks, server_version: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.archive.bytes);
        let mut start = 0;
        for (number, kept) in (self.archive.gone + 1..).zip(&self.archive.rows) {
            let begins = !kept.keyframe.is_empty() && (kept.start != start || kept.frame.is_empty());
            if begins {
                let Some(row) = ticks.row(number) else { continue };
                let outcome = if start == 0 { Outcome::Fresh } else { Outcome::Restarted };
                if kept.start != start {
                    let (epoch, server_version) = (row.epoch, server_version.into());
                    Hello { epoch, server_version, outcome, first_seq: row.seq }.write(&mut out);
                    self.write_schema(kept.start, &mut out);
                }
                start = kept.start;
            } else if kept.start == start && start > 0 {
                out.extend_from_slice(&kept.frame);
            }
            if kept.start == start {
                out.extend_from_slice(&kept.keyframe);
            }
        }
        out
    }

    fn write_schema(&self, start: u32, out: &mut Vec<u8>) {
        if start == self.start {
            self.schema.write_records(out);
        } else if let Some((_, records)) = self.archive.schemas.iter().find(|(held, _)| *held == start) {
            out.extend_from_slice(records);
        }
    }
}

/// Makes the state of one row after another again.
#[derive(Debug, Default)]
pub(super) struct Player {
    decoder: Decoder,
    start: u32,
    row: u64,
}

impl Player {
    /// The state of its row.
    pub(super) fn state(&self) -> &State {
        self.decoder.state()
    }

    /// Makes the state of a row. Returns whether it could: a frame that was not received cannot be.
    pub(super) fn seek(&mut self, row: u64, past: &Past<'_>) -> bool {
        if self.row == row {
            return row > 0;
        }
        let Some(keyframe) = past.archive.keyframe_for(row) else { return false };
        let is_begun = (keyframe..row).contains(&self.row) || self.begin(keyframe, past);
        is_begun && (self.row..row).all(|_| self.step(past))
    }

    fn begin(&mut self, row: u64, past: &Past<'_>) -> bool {
        let Some(kept) = past.archive.kept(row) else { return false };
        if kept.start != self.start {
            (self.decoder, self.start) = (Decoder::default(), kept.start);
        }
        let mut records = Vec::new();
        past.write_schema(kept.start, &mut records);
        records.extend_from_slice(&kept.keyframe);
        self.apply(row, &records)
    }

    fn step(&mut self, past: &Past<'_>) -> bool {
        let row = self.row + 1;
        past.archive.kept(row).is_some_and(|kept| self.apply(row, &kept.frame))
    }

    /// A record that cannot be read leaves no state.
    fn apply(&mut self, row: u64, records: &[u8]) -> bool {
        let is_ok = self.decoder.decode(records).is_ok();
        self.row = if is_ok { row } else { 0 };
        is_ok
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::Sample;
    use super::*;

    fn kept(archive: &mut Archive, row: u64, start: u32, bytes: usize) {
        let kind = if row % 10 == 1 { RecordKind::Keyframe } else { RecordKind::Delta };
        archive.keep(row, start, kind, &vec![0; bytes]);
    }

    /// All that it counts.
    fn counted(archive: &Archive) -> usize {
        let schemas: usize = archive.schemas.iter().map(|(_, records)| records.len()).sum();
        archive.rows.iter().map(Kept::bytes).sum::<usize>() + schemas
    }

    #[test]
    fn the_newest_frames_are_kept_within_a_bound() {
        let mut archive = Archive::within(10_000);
        (1..=500).for_each(|row| kept(&mut archive, row, 1, 100));
        assert!(archive.bytes <= 10_000 && archive.bytes == counted(&archive));
        assert_eq!(archive.oldest().map(|row| row % 10), Some(1));
        assert!(archive.keyframe_for(500) == Some(491) && archive.keyframe_for(archive.gone).is_none());
    }

    #[test]
    fn what_is_counted_is_what_is_kept_over_leaps_and_starts() {
        let mut archive = Archive::within(usize::MAX);
        let schema = Sample::new().next(&[]).schema().clone();
        for (start, leap) in [(1, 1), (2, 30), (3, 2 * TICKS_MAX as u64), (4, 100 * TICKS_MAX as u64)] {
            (leap..leap + 20).for_each(|row| kept(&mut archive, row, start, 50));
            archive.end_start(start, &schema);
            assert_eq!(archive.bytes, counted(&archive), "start {start}");
        }
        assert_eq!(archive.schemas.len(), 1, "those of rows that are gone go with them");
    }

    #[test]
    fn nothing_is_begun_over_a_missing_frame() {
        let mut archive = Archive::within(usize::MAX);
        [1, 2, 4, 5].into_iter().for_each(|row| kept(&mut archive, row, 1, 10));
        assert_eq!([1, 2, 3, 4, 5].map(|row| archive.keyframe_for(row)), [Some(1), Some(1), None, None, None]);
    }
}
