/// How a domain lies on pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    from: f64,
    pixels_each: f64,
    pixel: f64,
}

impl Scale {
    /// `from` lies at the pixel `first`, `to` at `last`.
    pub(super) fn new((from, to): (f64, f64), (first, last): (f32, f32)) -> Self {
        let length = if to == from { 1.0 } else { to - from };
        Self { from, pixels_each: f64::from(last - first) / length, pixel: f64::from(first) }
    }

    pub(super) fn at(&self, value: f64) -> f32 {
        (self.pixel + (value - self.from) * self.pixels_each) as f32
    }

    /// How many pixels a stretch of the domain takes.
    pub(super) fn length(&self, stretch: f64) -> f32 {
        (self.pixels_each * stretch) as f32
    }

    pub(super) fn back(&self, pixel: f32) -> f64 {
        self.from + (f64::from(pixel) - self.pixel) / self.pixels_each
    }
}

/// A line's points in pixels, x before y, and its lone points. A value that is not a number breaks the line,
/// which is two NaN. Of more than two values in one pixel column the smallest and the largest are kept, so that
/// no peak is lost; and the first and the last of a stretch.
#[derive(Debug, Default)]
pub(super) struct Polyline {
    pub(super) points: Vec<f32>,
    pub(super) lone: Vec<(f32, f32)>,
    /// Points since the line was broken.
    run: usize,
}

impl Polyline {
    /// After each of the `breaks`, ascending moments of `x`, the line is broken, too.
    pub(super) fn of(x: &[f64], y: &[f64], across: Scale, up: Scale, is_stepped: bool, breaks: &[f64]) -> Self {
        let mut breaks = breaks.iter().copied().peekable();
        let mut line = Self { points: Vec::with_capacity(2 * x.len().min(4_096)), ..Self::default() };
        let mut column = Column::default();
        for (time, value) in x.iter().zip(y) {
            if value.is_nan() {
                line.end(&mut column);
                continue;
            }
            let (x, y) = (across.at(*time), up.at(*value));
            if is_stepped
                && let [.., before] = line.points[..]
                && line.run > 0
                && column.is_empty()
            {
                line.put(x, before);
            }
            if !column.takes(x, y) {
                column.flush(&mut line);
                if is_stepped
                    && let [.., before] = line.points[..]
                    && line.run > 0
                {
                    line.put(x, before);
                }
                column = Column::of(x, y);
            }
            while breaks.next_if(|at| *at < *time).is_some() {}
            if breaks.next_if(|at| *at == *time).is_some() {
                line.end(&mut column);
            }
        }
        line.end(&mut column);
        line
    }

    /// A point where the line is already is none.
    fn put(&mut self, x: f32, y: f32) {
        if self.run > 0 && self.points.ends_with(&[x, y]) {
            return;
        }
        self.points.extend_from_slice(&[x, y]);
        self.run += 1;
    }

    /// The line ends with what a column holds.
    fn end(&mut self, column: &mut Column) {
        let (x, last, has_last) = (column.x, column.last, !column.is_empty());
        column.flush(self);
        if has_last {
            self.put(x, last);
        }
        if self.run == 1 {
            let at = self.points.len() - 2;
            self.lone.push((self.points[at], self.points[at + 1]));
        }
        if self.run > 0 {
            self.points.extend_from_slice(&[f32::NAN, f32::NAN]);
        }
        self.run = 0;
    }

    /// The stretches between breaks.
    pub(super) fn stretches(&self) -> impl Iterator<Item = &[f32]> {
        self.points.split(|value| value.is_nan()).filter(|stretch| stretch.len() >= 4)
    }
}

/// The values in one pixel column.
#[derive(Clone, Copy, Debug, Default)]
struct Column {
    count: u32,
    x: f32,
    /// Where the column begins.
    left: f32,
    first: f32,
    low: f32,
    high: f32,
    /// Whether the smallest value came after the largest.
    falls: bool,
    last: f32,
}

impl Column {
    fn of(x: f32, y: f32) -> Self {
        Self { count: 1, x, left: x.floor(), first: y, low: y, high: y, falls: false, last: y }
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn takes(&mut self, x: f32, y: f32) -> bool {
        if self.count == 0 {
            *self = Self::of(x, y);
            return true;
        }
        let is_same = x >= self.left && x < self.left + 1.0;
        if is_same {
            self.count += 1;
            self.last = y;
            // Not by min and max, which in WebAssembly are calls.
            if y < self.low {
                (self.low, self.falls) = (y, true);
            } else if y > self.high {
                (self.high, self.falls) = (y, false);
            }
        }
        is_same
    }

    fn flush(&mut self, line: &mut Polyline) {
        let two = match self.count {
            0 => return,
            1 | 2 => (self.first, self.last),
            _ if self.falls => (self.high, self.low),
            _ => (self.low, self.high),
        };
        if line.run == 0 {
            line.put(self.x, self.first);
        }
        line.put(self.x, two.0);
        line.put(self.x, two.1);
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(x: &[f64], y: &[f64], pixels: f32) -> Polyline {
        let across = Scale::new((0.0, x.len() as f64), (0.0, pixels));
        Polyline::of(x, y, across, Scale::new((0.0, 100.0), (100.0, 0.0)), false, &[])
    }

    #[test]
    fn a_scale_goes_both_ways() {
        let scale = Scale::new((1_000.0, 2_000.0), (50.0, 150.0));
        assert_eq!((scale.at(1_500.0), scale.back(100.0)), (100.0, 1_500.0));
        assert!(Scale::new((1.0, 1.0), (0.0, 10.0)).at(1.0).is_finite());
    }

    #[test]
    fn a_gap_breaks_the_line_and_a_lone_point_is_a_dot() {
        let y = [0.0, 100.0, f64::NAN, 50.0, f64::NAN];
        let line = line(&[0.0, 1.0, 2.0, 3.0, 4.0], &y, 50.0);
        let stretches: Vec<&[f32]> = line.stretches().collect();
        assert_eq!(stretches, [&[0.0, 100.0, 10.0, 0.0][..]]);
        assert_eq!(line.lone, [(30.0, 50.0)]);
    }

    #[test]
    fn equal_values_in_one_pixel_are_a_dot_too() {
        let line = line(&[0.0, 0.1, 0.2, 0.3, 5.0], &[50.0, 50.0, 50.0, 50.0, f64::NAN], 10.0);
        assert_eq!((line.stretches().count(), line.lone), (0, vec![(0.0, 50.0)]));
    }

    #[test]
    fn nothing_is_drawn_over_a_gap() {
        let (x, y) = ([0.0, 1.0, 5.0, 6.0], [0.0, 0.0, 100.0, 100.0]);
        let across = Scale::new((0.0, 10.0), (0.0, 100.0));
        let line = Polyline::of(&x, &y, across, Scale::new((0.0, 100.0), (100.0, 0.0)), false, &[-1.0, 1.0]);
        let stretches: Vec<&[f32]> = line.stretches().collect();
        assert_eq!(stretches, [&[0.0, 100.0, 10.0, 100.0][..], &[50.0, 0.0, 60.0, 0.0]]);
    }

    #[test]
    fn peaks_are_kept_however_many_values_a_pixel_has() {
        let x: Vec<f64> = (0..10_000).map(f64::from).collect();
        let mut y = vec![10.0; 10_000];
        (y[1_234], y[7_777]) = (100.0, 0.0);
        let line = line(&x, &y, 100.0);
        assert!(line.points.len() <= 2 * (2 * 100 + 3));
        let heights = || line.points.iter().skip(1).step_by(2).copied();
        assert_eq!((heights().fold(f32::MAX, f32::min), heights().fold(0.0, f32::max)), (0.0, 100.0));
    }

    #[test]
    fn steps_hold_until_the_next_value() {
        let across = Scale::new((0.0, 2.0), (0.0, 20.0));
        let line =
            Polyline::of(&[0.0, 1.0, 2.0], &[0.0, 10.0, 0.0], across, Scale::new((0.0, 10.0), (10.0, 0.0)), true, &[]);
        let points: Vec<&[f32]> = line.stretches().collect();
        assert_eq!(points, [&[0.0, 10.0, 10.0, 10.0, 10.0, 0.0, 20.0, 0.0, 20.0, 10.0][..]]);
    }
}
