use core::ops::Range;

/// Rows that every grid can hold; series that would leave room for fewer are not kept.
const ROWS_MIN: usize = 60;

/// Columns over a ring of rows, in blocks of columns that belong together. The more columns there are,
/// the fewer rows are held, so that all of it stays within a bound in bytes.
#[derive(Debug)]
pub(super) struct Grid {
    blocks: Vec<Block>,
    /// Places of blocks that were removed.
    free: Vec<usize>,
    /// Columns of all blocks.
    columns: usize,
    rows: usize,
    rows_max: usize,
    bytes_max: usize,
    newest: u64,
    /// It holds more rows than before.
    has_grown: bool,
}

/// Columns one behind the other, each as long as the ring.
#[derive(Debug)]
struct Block {
    width: usize,
    cells: Vec<f64>,
}

impl Grid {
    pub(super) fn new(rows_max: usize, bytes_max: usize) -> Self {
        Self {
            blocks: Vec::new(),
            free: Vec::new(),
            columns: 0,
            rows: rows_max,
            rows_max,
            bytes_max,
            newest: 0,
            has_grown: false,
        }
    }

    /// The newest rows that are held.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The newest row.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Whether it holds more rows since this was asked last, which are empty.
    pub(super) fn takes_growth(&mut self) -> bool {
        std::mem::take(&mut self.has_grown)
    }

    /// Adds a block of empty columns. Returns its place; none where there is no room.
    pub(super) fn add(&mut self, width: usize) -> Option<usize> {
        let columns = self.columns + width;
        let fits = self.fitting(columns);
        if fits < ROWS_MIN.min(self.rows_max) {
            return None;
        }
        if fits < self.rows {
            // With room for some more, so that it does not shrink with each of them.
            self.resize(self.fitting(columns + columns / 4).max(ROWS_MIN.min(self.rows_max)));
        }
        self.columns = columns;
        let block = Block { width, cells: vec![f64::NAN; width * self.rows] };
        if let Some(place) = self.free.pop() {
            self.blocks[place] = block;
            return Some(place);
        }
        self.blocks.push(block);
        Some(self.blocks.len() - 1)
    }

    /// Removes a block.
    pub(super) fn remove(&mut self, place: usize) {
        let Some(block) = self.blocks.get_mut(place).filter(|block| block.width > 0) else { return };
        self.columns -= block.width;
        *block = Block { width: 0, cells: Vec::new() };
        self.free.push(place);
        let fits = self.fitting(self.columns);
        if fits >= 2 * self.rows || (fits == self.rows_max && self.columns == 0) {
            self.resize(fits);
        }
    }

    /// Makes a row the newest one; those up to it hold nothing yet.
    pub(super) fn advance(&mut self, row: u64) {
        let fresh = row.saturating_sub(self.newest).min(self.rows as u64);
        for row in row - fresh..row {
            let slot = self.slot(row + 1);
            for block in &mut self.blocks {
                block.cells.iter_mut().skip(slot).step_by(self.rows).for_each(|cell| *cell = f64::NAN);
            }
        }
        self.newest = self.newest.max(row);
    }

    /// Writes a block's cells of a row; a row that is not held any more is left alone.
    pub(super) fn set(&mut self, place: usize, row: u64, values: &[f64]) {
        if !self.held().contains(&row) {
            return;
        }
        let slot = self.slot(row);
        let rows = self.rows;
        if let Some(block) = self.blocks.get_mut(place) {
            block.cells.iter_mut().skip(slot).step_by(rows).zip(values).for_each(|(cell, value)| *cell = *value);
        }
    }

    /// What a block's column holds of a row.
    pub(super) fn get(&self, place: usize, column: usize, row: u64) -> Option<f64> {
        if !self.held().contains(&row) {
            return None;
        }
        let block = self.blocks.get(place).filter(|block| column < block.width)?;
        let value = *block.cells.get(column * self.rows + self.slot(row))?;
        (!value.is_nan()).then_some(value)
    }

    /// What a block's first column holds from one row to another, a value a row; NaN where there is none.
    pub(super) fn copy(&self, place: usize, first: u64, last: u64) -> Vec<f64> {
        let mut values = vec![f64::NAN; (last + 1).saturating_sub(first) as usize];
        let held = self.held();
        let (begin, end) = (first.max(held.start), (last + 1).min(held.end));
        let Some(block) = self.blocks.get(place).filter(|block| block.width > 0 && begin < end) else { return values };
        // The ring's end lies between them at most once.
        let ring = &block.cells[..self.rows];
        let (from, count) = (self.slot(begin), (end - begin) as usize);
        let straight = count.min(self.rows - from);
        let out = &mut values[(begin - first) as usize..];
        out[..straight].copy_from_slice(&ring[from..from + straight]);
        out[straight..count].copy_from_slice(&ring[..count - straight]);
        values
    }

    fn held(&self) -> Range<u64> {
        (self.newest + 1).saturating_sub(self.rows as u64)..self.newest + 1
    }

    fn slot(&self, row: u64) -> usize {
        (row % self.rows as u64) as usize
    }

    /// Rows that there is room for with so many columns.
    fn fitting(&self, columns: usize) -> usize {
        (self.bytes_max / (size_of::<f64>() * columns).max(1)).min(self.rows_max)
    }

    fn resize(&mut self, rows: usize) {
        self.has_grown |= rows > self.rows;
        let kept = self.rows.min(rows) as u64;
        let (before, newest) = (self.rows as u64, self.newest);
        for block in &mut self.blocks {
            let old = core::mem::replace(&mut block.cells, vec![f64::NAN; block.width * rows]);
            for (from, to) in old.chunks(before as usize).zip(block.cells.chunks_mut(rows)) {
                for row in (newest + 1).saturating_sub(kept)..=newest {
                    to[(row % rows as u64) as usize] = from[(row % before) as usize];
                }
            }
        }
        self.rows = rows;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(grid: &Grid, place: usize) -> Vec<Option<f64>> {
        (1..=grid.newest).map(|row| grid.get(place, 0, row)).collect()
    }

    /// A grid with one column that holds its row's number.
    fn counted(rows_max: usize, bytes_max: usize, rows: u64) -> (Grid, usize) {
        let mut grid = Grid::new(rows_max, bytes_max);
        let place = grid.add(1).unwrap();
        for row in 1..=rows {
            grid.advance(row);
            grid.set(place, row, &[row as f64]);
        }
        (grid, place)
    }

    #[test]
    fn the_newest_rows_are_held() {
        let (grid, place) = counted(3, 1_000, 5);
        assert_eq!(column(&grid, place), [None, None, Some(3.0), Some(4.0), Some(5.0)]);
    }

    #[test]
    fn a_stretch_is_copied_as_it_is_read_one_by_one() {
        let (grid, place) = counted(7, 1_000, 17);
        for (first, last) in [(1, 17), (9, 20), (11, 17), (14, 15), (17, 17), (1, 3), (5, 4)] {
            let told: Vec<Option<f64>> = (first..=last).map(|row| grid.get(place, 0, row)).collect();
            let copied = grid.copy(place, first, last).into_iter().map(|value| (!value.is_nan()).then_some(value));
            assert_eq!(copied.collect::<Vec<_>>(), told, "{first} to {last}");
        }
    }

    #[test]
    fn rows_that_were_passed_over_hold_nothing_until_they_are_written() {
        let (mut grid, place) = counted(4, 1_000, 3);
        grid.advance(6);
        assert_eq!(column(&grid, place)[2..], [Some(3.0), None, None, None]);
        grid.set(place, 5, &[5.0]);
        grid.set(place, 1, &[1.0]);
        assert_eq!(column(&grid, place)[2..], [Some(3.0), None, Some(5.0), None]);
        grid.advance(1_000_000);
        assert_eq!(grid.get(place, 0, 1_000_000), None);
    }

    #[test]
    fn more_columns_leave_fewer_rows_and_the_bound_holds() {
        let bytes = ROWS_MIN * 8 * 10;
        let (mut grid, place) = counted(900, bytes, 900);
        assert_eq!(grid.rows(), ROWS_MIN * 10);
        let more = (0..20).map_while(|_| grid.add(1)).count();
        assert_eq!((more, grid.rows()), (9, ROWS_MIN));
        let held: usize = grid.blocks.iter().map(|block| block.cells.len() * 8).sum();
        assert!(held <= bytes);
        assert_eq!((grid.get(place, 0, 900), grid.get(place, 0, 840)), (Some(900.0), None));
        (1..10).for_each(|place| grid.remove(place));
        assert_eq!((grid.rows(), grid.get(place, 0, 900)), (ROWS_MIN * 10, Some(900.0)));
    }

    #[test]
    fn blocks_are_kept_apart_and_their_places_are_used_again() {
        let mut grid = Grid::new(10, 1_000);
        let (one, two) = (grid.add(2).unwrap(), grid.add(1).unwrap());
        grid.advance(1);
        grid.set(one, 1, &[1.0, 2.0]);
        grid.set(two, 1, &[3.0]);
        assert_eq!((grid.get(one, 1, 1), grid.get(two, 0, 1), grid.get(two, 1, 1)), (Some(2.0), Some(3.0), None));
        grid.remove(one);
        assert_eq!((grid.add(1), grid.get(one, 0, 1), grid.get(two, 0, 1)), (Some(one), None, Some(3.0)));
    }
}
