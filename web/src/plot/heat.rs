use super::line::Scale;
use super::list::{Area, Colour, DisplayList};

/// A bucket of a histogram: what its values are above, what they are at most, and how many there are.
pub type Bucket = (f32, f32, u32);

/// The values of one tick.
#[derive(Clone, Copy, Debug)]
pub struct HeatColumn<'a> {
    /// The tick, in Unix milliseconds.
    pub at_ms: f64,
    /// What the lowest is above, and what the highest is at most.
    pub bounds: (f32, f32),
    /// Its values.
    pub buckets: &'a [Bucket],
}

/// Height of a heatmap's rows, in pixels.
const ROW_PIXELS: f32 = 5.0;
/// The narrowest column; ticks that are closer are put together.
const COLUMN_PIXELS: f32 = 3.0;
const STEPS: f32 = 8.0;

/// Draws the values of each tick as a column, the darker the more of them lie at a height. Counts of a
/// bucket are shared out over the rows it covers.
pub(super) fn draw(list: &mut DisplayList, columns: &[HeatColumn<'_>], across: Scale, up: Scale, area: Area) {
    let (left, top, width, height) = area;
    let rows = (height / ROW_PIXELS).max(1.0) as usize;
    let tick = across.length(1_000.0).max(COLUMN_PIXELS);
    let count = (width / tick).ceil().max(1.0) as usize;
    let mut cells = vec![0.0_f32; rows * count];
    for column in columns {
        let place = ((across.at(column.at_ms) - left) / tick).ceil() - 1.0;
        if !(0.0..count as f32).contains(&place) {
            continue;
        }
        let begin = place as usize * rows;
        for (low, high, held) in column.buckets {
            // From above: the upper bound has the smaller row.
            let from = (up.at(f64::from(*high)) - top) / ROW_PIXELS;
            let to = (up.at(f64::from(*low)) - top) / ROW_PIXELS;
            share(&mut cells[begin..begin + rows], from, to, *held as f32);
        }
    }
    let most = cells.iter().fold(0.0, |most: f32, held| if *held > most { *held } else { most });
    if most == 0.0 {
        return;
    }
    let mut areas: [Vec<Area>; 9] = Default::default();
    let mut above = 0;
    for (place, held) in cells.iter().enumerate() {
        let step = (STEPS * (held / most).sqrt()).ceil().clamp(0.0, STEPS) as usize;
        let is_top = place % rows == 0;
        let before = std::mem::replace(&mut above, step);
        if step == 0 {
            continue;
        }
        // Rows of the same step are one rectangle.
        if let Some(area) = areas[step].last_mut().filter(|_| before == step && !is_top) {
            area.3 += ROW_PIXELS;
            continue;
        }
        let (x, y) = (left + (place / rows) as f32 * tick, top + (place % rows) as f32 * ROW_PIXELS);
        areas[step].push((x, y, (tick - 0.5).max(COLUMN_PIXELS - 0.5).min(left + width - x), ROW_PIXELS));
    }
    areas.iter().enumerate().for_each(|(step, areas)| list.rects(Colour::Heat(step as u8), 1.0, areas));
}

/// Adds a count to the rows from one height to another, to each by how much of it is covered.
fn share(rows: &mut [f32], from: f32, to: f32, held: f32) {
    let last = rows.len() as f32;
    let (from, to) = (from.clamp(0.0, last), to.clamp(0.0, last));
    let length = to - from;
    if length < 0.01 {
        let row = (from as usize).min(rows.len() - 1);
        rows[row] += held;
        return;
    }
    let each = held / length;
    for row in from as usize..to.ceil() as usize {
        let (above, below) = (row as f32, row as f32 + 1.0);
        // Not by min and max, which in WebAssembly are calls.
        let (begin, end) = (if above < from { from } else { above }, if below > to { to } else { below });
        if let Some(cell) = rows.get_mut(row) {
            *cell += each * (end - begin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_shared_out_and_none_is_lost() {
        let mut rows = [0.0; 4];
        share(&mut rows, 0.5, 2.5, 8.0);
        assert_eq!(rows, [2.0, 4.0, 2.0, 0.0]);
        share(&mut rows, 3.2, 3.2, 1.0);
        share(&mut rows, 9.0, 12.0, 5.0);
        assert_eq!(rows, [2.0, 4.0, 2.0, 6.0]);
    }

    #[test]
    fn ticks_that_are_too_close_are_put_together() {
        let buckets = [(10.0, 20.0, 3), (0.0, 0.0, 1)];
        let columns: Vec<HeatColumn<'_>> = (1..=100)
            .map(|tick| HeatColumn { at_ms: f64::from(tick) * 1_000.0, bounds: (0.0, 20.0), buckets: &buckets })
            .collect();
        let across = Scale::new((0.0, 100_000.0), (0.0, 90.0));
        let mut list = DisplayList::new(90.0, 50.0);
        draw(&mut list, &columns, across, Scale::new((0.0, 50.0), (50.0, 0.0)), (0.0, 0.0, 90.0, 50.0));
        let commands = list.commands();
        assert_eq!(commands[3], 3.0);
        let drawn: f32 = [6].into_iter().map(|at| commands[at]).sum();
        assert!(drawn <= 90.0, "{drawn} rectangles of one step");
    }

    #[test]
    fn a_tick_is_as_wide_as_it_is_whatever_the_time() {
        let from = 1_750_000_000_000.0;
        let buckets = [(10.0, 20.0, 3)];
        let columns = [HeatColumn { at_ms: from + 2_000.0, bounds: (10.0, 20.0), buckets: &buckets }];
        let across = Scale::new((from, from + 10_000.0), (0.0, 100.0));
        let mut list = DisplayList::new(100.0, 50.0);
        draw(&mut list, &columns, across, Scale::new((0.0, 50.0), (50.0, 0.0)), (0.0, 0.0, 100.0, 50.0));
        assert_eq!((list.commands()[7], list.commands()[9]), (10.0, 9.5), "left and width of the first rectangle");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let mut list = DisplayList::new(90.0, 50.0);
        let scale = Scale::new((0.0, 1.0), (0.0, 90.0));
        draw(&mut list, &[], scale, scale, (0.0, 0.0, 90.0, 50.0));
        assert_eq!(list.commands().len(), 3);
    }
}
