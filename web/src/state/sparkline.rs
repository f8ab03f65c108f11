use core::fmt::Write;

use super::{Figure, HISTORY_TICKS, SourceView};

/// A sparkline's height in its own units; its width is one unit a tick.
pub const HEIGHT: i32 = 100;

/// The last minutes of a figure as the `d` of an SVG path, the newest tick at the right edge; broken
/// where the server missed ticks or they were not received.
pub fn sparkline(figure: Figure, source: &SourceView) -> String {
    let values = figure.column().map(|column| source.history.values(column));
    line(values.into_iter().flatten(), figure.top(source))
}

/// The line at the figure's limit; empty if it has none.
pub fn limit_line(figure: Figure, source: &SourceView) -> String {
    let drawn = |limit| format!("M0 {}h{HISTORY_TICKS}", level(limit, figure.top(source)));
    figure.limit().map(drawn).unwrap_or_default()
}

/// Joins the values of successive ticks; a tick without one breaks the line, and a lone one is a dot.
fn line(values: impl Iterator<Item = (usize, f32)>, top: f32) -> String {
    let mut pen = Pen::default();
    let mut next = 0;
    for (x, value) in values {
        if x != next {
            pen.lift();
        }
        pen.to(x, level(value, top));
        next = x + 1;
    }
    pen.lift();
    pen.path
}

/// The height of `value` in a picture whose upper edge is `top`; what is above it stays at the edge.
fn level(value: f32, top: f32) -> i32 {
    let share = (value / top).clamp(0.0, 1.0);
    HEIGHT - (share * HEIGHT as f32).round() as i32
}

/// Writes a path, level stretches as one step.
#[derive(Default)]
struct Pen {
    path: String,
    y: Option<i32>,
    level_run: u32,
}

impl Pen {
    fn to(&mut self, x: usize, y: i32) {
        match self.y {
            None => self.write(format_args!("M{x} {y}h0")),
            Some(before) if before == y => self.level_run += 1,
            Some(before) => {
                self.flush();
                self.write(format_args!("l1 {}", y - before));
            }
        }
        self.y = Some(y);
    }

    fn lift(&mut self) {
        self.flush();
        self.y = None;
    }

    fn flush(&mut self) {
        let run = core::mem::take(&mut self.level_run);
        if run > 0 {
            self.write(format_args!("h{run}"));
        }
    }

    fn write(&mut self, step: core::fmt::Arguments) {
        // A String takes everything.
        let _never_fails = self.path.write_fmt(step);
    }
}

/// A bar a bucket, as the `d` of one path in a box of 10 units a bucket and [`HEIGHT`].
pub fn bars(buckets: &[u64]) -> String {
    let highest = buckets.iter().copied().max().unwrap_or(0).max(1);
    let mut path = String::new();
    for (index, held) in buckets.iter().enumerate().filter(|(_, held)| **held > 0) {
        let y = level(*held as f32, highest as f32).min(HEIGHT - 4);
        let _never_fails = write!(path, "M{} {HEIGHT}V{y}h8V{HEIGHT}z", index * 10 + 1);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &[(usize, f32)]) -> String {
        line(values.iter().copied(), 1.0)
    }

    #[test]
    fn successive_ticks_are_joined() {
        assert_eq!(drawn(&[(298, 0.0), (299, 1.0)]), "M298 100h0l1 -100");
    }

    #[test]
    fn a_gap_breaks_the_line_and_a_lone_tick_is_a_dot() {
        let values = [(295, 0.5), (296, 0.5), (297, 0.5), (299, 0.25)];
        assert_eq!(drawn(&values), "M295 50h0h2M299 75h0");
    }

    #[test]
    fn what_is_above_the_top_stays_inside() {
        assert_eq!(drawn(&[(299, 7.0)]), "M299 0h0");
        assert_eq!(drawn(&[(299, -1.0)]), "M299 100h0");
        assert_eq!(drawn(&[]), "");
    }

    #[test]
    fn the_smallest_bucket_can_still_be_seen() {
        assert_eq!(bars(&[1, 0, 1000]), "M1 100V96h8V100zM21 100V0h8V100z");
        assert_eq!(bars(&[0, 0]), "");
    }
}
