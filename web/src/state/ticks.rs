use std::collections::VecDeque;

use tachograph_core::wire::frame::{Epoch, Head};

/// Rows that are kept: an hour of them.
pub const TICKS_MAX: usize = 3_600;

/// The frames of the last minutes as rows, one behind the other over all starts of the server. A frame
/// that was not received has its row, which can be filled later.
#[derive(Debug, Default)]
pub struct Ticks {
    rows: VecDeque<Option<Head>>,
    /// The rows that were let go.
    gone: u64,
    /// Those that have rows, and the newest one.
    starts: VecDeque<Start>,
}

/// A start of the server.
#[derive(Clone, Copy, Debug)]
struct Start {
    number: u32,
    epoch: Epoch,
    /// Its first row, and that one's frame.
    row: u64,
    seq: u64,
}

/// A row: a frame of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number, from 1; the next row has the next one.
    pub number: u64,
    /// The server's start, counted from 1 by this page.
    pub start: u32,
    /// The same by the server's own name.
    pub epoch: Epoch,
    /// The frame's number.
    pub seq: u64,
    /// When the frame is of; nothing while it was not received.
    pub head: Option<Head>,
}

/// How a row follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A tick later.
    Follows,
    /// After so many ticks that the server itself missed.
    Missed(u64),
    /// This page did not get its frame.
    NotReceived,
    /// It is the first one of another start of the server.
    Restart,
}

impl Ticks {
    /// Takes a frame of the newest start, or the first one of another. Returns its row; nothing if it
    /// was there already or is too old.
    pub(super) fn add(&mut self, epoch: Epoch, head: Head) -> Option<u64> {
        let row = match self.starts.back().filter(|start| start.epoch == epoch) {
            Some(start) => start.row.checked_add(head.seq.checked_sub(start.seq)?)?,
            None => self.begin(epoch, head.seq),
        };
        self.reach(row);
        let place = usize::try_from(row.checked_sub(self.gone + 1)?).ok()?;
        let cell = self.rows.get_mut(place).filter(|cell| cell.is_none())?;
        *cell = Some(head);
        Some(row)
    }

    /// The newest row's number; 0 while there is none.
    pub fn newest(&self) -> u64 {
        self.gone + self.rows.len() as u64
    }

    /// When the frame of a row is of, if it was received and is still held.
    pub fn head(&self, row: u64) -> Option<Head> {
        let place = usize::try_from(row.checked_sub(self.gone + 1)?).ok()?;
        *self.rows.get(place)?
    }

    /// The server's starts that were seen.
    pub fn starts(&self) -> u32 {
        self.starts.back().map_or(0, |start| start.number)
    }

    /// All rows, oldest first.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = Row> {
        (self.gone + 1..=self.newest()).filter_map(|number| self.row(number))
    }

    /// One row.
    pub fn row(&self, number: u64) -> Option<Row> {
        let start = self.start_of(number).filter(|_| (self.gone + 1..=self.newest()).contains(&number))?;
        let seq = start.seq + (number - start.row);
        Some(Row { number, start: start.number, epoch: start.epoch, seq, head: self.head(number) })
    }

    /// The row of a frame of the newest start.
    pub(super) fn row_of(&self, epoch: Epoch, seq: u64) -> Option<u64> {
        let start = self.starts.back().filter(|start| start.epoch == epoch)?;
        start.row.checked_add(seq.checked_sub(start.seq)?)
    }

    /// The newest row that was received and is of this time or before; the oldest one if all are later.
    pub fn row_at(&self, wall_ms: u64) -> Option<u64> {
        let mut received = (self.gone + 1..=self.newest()).rev().filter_map(|row| Some((row, self.head(row)?)));
        let mut oldest = None;
        received.find(|(row, head)| {
            oldest = Some(*row);
            head.wall_ms <= wall_ms
        });
        oldest
    }

    /// The received row so many received ones after this one, or before; the last there is.
    pub fn neighbour(&self, row: u64, steps: i64) -> u64 {
        let is_received = |row: &u64| self.head(*row).is_some();
        let count = usize::try_from(steps.unsigned_abs()).unwrap_or(usize::MAX);
        let (mut after, mut before) =
            ((row + 1..=self.newest()).filter(is_received), (self.gone + 1..row).rev().filter(is_received));
        let passed = if steps > 0 { after.by_ref().take(count).last() } else { before.by_ref().take(count).last() };
        passed.unwrap_or(row)
    }

    /// The times of the oldest and the newest row from this one on that were received, in Unix milliseconds;
    /// the other way round where the server's clock was set back.
    pub fn extent_ms(&self, first: u64) -> Option<(u64, u64)> {
        let passed = usize::try_from(first.saturating_sub(self.gone + 1)).unwrap_or(usize::MAX);
        let mut received = self.rows.iter().skip(passed).flatten();
        let oldest = received.next()?.wall_ms;
        let newest = received.next_back().map_or(oldest, |head| head.wall_ms);
        Some((oldest.min(newest), oldest.max(newest)))
    }

    /// Rows whose frame was received.
    pub fn taken(&self) -> usize {
        self.rows.iter().flatten().count()
    }

    /// How a row follows the one before.
    pub fn mark(&self, row: u64) -> Mark {
        let Some((head, start)) = self.head(row).zip(self.start_of(row)) else { return Mark::NotReceived };
        if start.row == row {
            return if start.number > 1 { Mark::Restart } else { Mark::Follows };
        }
        let missed = self
            .before(row)
            .map_or(0, |(before, earlier)| head.tick.saturating_sub(earlier.tick).saturating_sub(row - before));
        if missed > 0 { Mark::Missed(missed) } else { Mark::Follows }
    }

    /// The newest row before this one that was received from the same start.
    pub(super) fn before(&self, row: u64) -> Option<(u64, Head)> {
        let first = self.start_of(row)?.row.max(self.gone + 1);
        (first..row).rev().find_map(|row| Some((row, self.head(row)?)))
    }

    fn start_of(&self, row: u64) -> Option<&Start> {
        self.starts.iter().rev().find(|start| start.row <= row)
    }

    fn begin(&mut self, epoch: Epoch, seq: u64) -> u64 {
        let row = self.newest() + 1;
        self.starts.push_back(Start { number: self.starts() + 1, epoch, row, seq });
        row
    }

    /// Adds rows up to this one.
    fn reach(&mut self, row: u64) {
        // Of a longer stretch only the end would stay.
        let stretch = row.saturating_sub(self.newest());
        if stretch > TICKS_MAX as u64 {
            self.rows.clear();
            self.gone = row - TICKS_MAX as u64;
        }
        while self.newest() < row {
            if self.rows.len() == TICKS_MAX {
                self.rows.pop_front();
                self.gone += 1;
            }
            self.rows.push_back(None);
        }
        while self.starts.get(1).is_some_and(|next| next.row <= self.gone + 1) {
            self.starts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(byte: u8) -> Epoch {
        Epoch::from_bytes([byte; 16])
    }

    fn head(seq: u64, tick: u64) -> Head {
        Head { seq, tick, monotonic_us: tick * 1_000_000, wall_ms: tick * 1_000 }
    }

    fn marks(ticks: &Ticks) -> Vec<Mark> {
        ticks.rows().map(|row| ticks.mark(row.number)).collect()
    }

    #[test]
    fn what_the_server_missed_what_was_not_received_and_a_restart_differ() {
        let mut ticks = Ticks::default();
        ticks.add(epoch(1), head(5, 10));
        ticks.add(epoch(1), head(6, 13));
        ticks.add(epoch(1), head(8, 15));
        ticks.add(epoch(2), head(1, 1));
        assert_eq!(marks(&ticks), [Mark::Follows, Mark::Missed(2), Mark::NotReceived, Mark::Follows, Mark::Restart]);
        let named: Vec<_> = ticks.rows().map(|row| (row.start, row.epoch, row.seq)).collect();
        let (one, two) = (epoch(1), epoch(2));
        assert_eq!(named, [(1, one, 5), (1, one, 6), (1, one, 7), (1, one, 8), (2, two, 1)]);
    }

    #[test]
    fn a_row_is_filled_once() {
        let mut ticks = Ticks::default();
        assert_eq!([1, 2, 4].map(|seq| ticks.add(epoch(1), head(seq, seq))), [Some(1), Some(2), Some(4)]);
        assert_eq!(ticks.add(epoch(1), head(4, 4)), None);
        assert_eq!(ticks.add(epoch(1), head(3, 3)), Some(3));
        assert_eq!(ticks.add(epoch(1), head(3, 3)), None);
        assert_eq!(marks(&ticks), [Mark::Follows; 4]);
    }

    #[test]
    fn what_is_older_than_all_is_not_taken() {
        let mut ticks = Ticks::default();
        ticks.add(epoch(1), head(7, 7));
        assert_eq!(ticks.add(epoch(1), head(6, 6)), None);
    }

    #[test]
    fn any_leap_is_bounded() {
        let mut ticks = Ticks::default();
        ticks.add(epoch(1), head(1, 1));
        ticks.add(epoch(1), head(u64::MAX - 5, 2));
        assert_eq!(ticks.rows().count(), TICKS_MAX);
        assert_eq!(ticks.rows().filter(|row| row.head.is_some()).count(), 1);
        assert_eq!(ticks.add(epoch(1), head(1, 1)), None);
        assert_eq!(ticks.starts.len(), 1);
    }

    #[test]
    fn starts_go_with_their_rows() {
        let mut ticks = Ticks::default();
        ticks.add(epoch(1), head(1, 1));
        for seq in 1..=TICKS_MAX as u64 {
            ticks.add(epoch(2), head(seq, seq));
        }
        assert_eq!((ticks.starts.len(), ticks.starts(), ticks.rows().count()), (1, 2, TICKS_MAX));
    }
}
