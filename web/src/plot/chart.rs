use super::axis::{ValueAxis, time_ticks};
use super::heat::{self, HeatColumn};
use super::line::{Polyline, Scale};
use super::list::{Align, Area, Colour, DisplayList};

/// Room around the plot: left for values, below for times, above for marks.
const LEFT: f32 = 62.0;
const RIGHT: f32 = 8.0;
const TOP: f32 = 10.0;
const BELOW: f32 = 18.0;
/// Room of a mark, and how many have a line down the plot.
const MARK_PIXELS: f32 = 9.0;
const MARK_LINES_MAX: usize = 16;

/// A chart's size and the span that it shows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChartView {
    /// In CSS pixels.
    pub width: f32,
    /// In CSS pixels.
    pub height: f32,
    /// Unix milliseconds at the left edge.
    pub from_ms: f64,
    /// Unix milliseconds at the right edge.
    pub until_ms: f64,
    /// By how much the reader's clock is ahead of UTC.
    pub zone_minutes: i32,
}

/// A line.
#[derive(Clone, Copy, Debug)]
pub struct PlotLine<'a> {
    /// Unix milliseconds, ascending.
    pub x: &'a [f64],
    /// A value each; what is not a number breaks the line.
    pub y: &'a [f64],
    /// Its colour.
    pub colour: Colour,
    /// Whether it is dashed, so that colour alone does not tell it.
    pub is_dashed: bool,
    /// Whether a value holds until the next one.
    pub is_stepped: bool,
    /// Whether what is below it is filled.
    pub is_filled: bool,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlotMark {
    /// Unix milliseconds.
    pub at_ms: f64,
    /// 0 nothing bad, 1 caution, 2 alarm: its sign and its colour.
    pub severity: u8,
}

/// A stretch of time without figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// Unix milliseconds of the tick before.
    pub from_ms: f64,
    /// Unix milliseconds of the tick after.
    pub to_ms: f64,
    /// Why there are none.
    pub kind: GapKind,
}

/// Why there are no figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapKind {
    /// The page did not get the frames.
    NotReceived,
    /// The server itself missed the ticks.
    Missed,
    /// The server was started anew.
    Restart,
    /// Nothing comes any more.
    Stale,
}

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Drawing<'a> {
    /// The values from the lower to the upper edge.
    pub axis: &'a ValueAxis,
    /// Lines, the first below.
    pub lines: &'a [PlotLine<'a>],
    /// A heatmap under the lines.
    pub heat: &'a [HeatColumn<'a>],
    /// What happened.
    pub marks: &'a [PlotMark],
    /// Where there are no figures.
    pub gaps: &'a [Gap],
    /// Limits.
    pub thresholds: &'a [f64],
    /// The moment that the reader looks at.
    pub cursor_ms: Option<f64>,
    /// A span that the reader drags out.
    pub dragged_ms: Option<(f64, f64)>,
}

impl ChartView {
    /// The plot inside of the axes.
    fn area(&self) -> Area {
        (LEFT, TOP, (self.width - LEFT - RIGHT).max(1.0), (self.height - TOP - BELOW).max(1.0))
    }

    fn across(&self) -> Scale {
        let (left, _, width, _) = self.area();
        Scale::new((self.from_ms, self.until_ms), (left, left + width))
    }

    /// The moment at a pixel from the left, inside of the span.
    pub fn moment(&self, x: f32) -> f64 {
        let (left, _, width, _) = self.area();
        self.across().back(x.max(left).min(left + width))
    }

    /// Milliseconds that a pixel stands for.
    pub fn ms_each_pixel(&self) -> f64 {
        (self.until_ms - self.from_ms) / f64::from(self.area().2)
    }

    /// The chart as it is to be drawn.
    pub fn draw(&self, drawing: &Drawing<'_>) -> DisplayList {
        let mut list = DisplayList::new(self.width, self.height);
        let area = self.area();
        let (left, top, width, height) = area;
        let up = Scale::new((drawing.axis.low, drawing.axis.high), (top + height, top));
        let across = self.across();
        self.draw_axes(&mut list, drawing.axis, up, across);
        list.clip(area);
        draw_gaps(&mut list, drawing.gaps, across, area);
        heat::draw(&mut list, drawing.heat, across, up, area);
        let is_over_heat = !drawing.heat.is_empty();
        let breaks: Vec<f64> = drawing.gaps.iter().map(|gap| gap.from_ms).collect();
        for line in drawing.lines {
            let drawn = Polyline::of(line.x, line.y, across, up, line.is_stepped, &breaks);
            draw_line(&mut list, line, &drawn, is_over_heat, across.length(1_000.0) < 2.0, top + height);
        }
        for limit in drawing.thresholds {
            let y = up.at(*limit);
            list.stroke(Colour::Alarm, 1.0, true, &[left, y, left + width, y]);
        }
        if let Some((from, to)) = drawing.dragged_ms {
            let (from, to) = (across.at(from), across.at(to));
            list.rects(Colour::Accent, 0.2, &[(from, top, to - from, height)]);
        }
        list.unclip();
        draw_marks(&mut list, drawing.marks, across, area);
        if let Some(at) = drawing.cursor_ms.filter(|at| (self.from_ms..=self.until_ms).contains(at)) {
            draw_cursor(&mut list, drawing.lines, at, across, up, area);
        }
        list
    }

    fn draw_axes(&self, list: &mut DisplayList, axis: &ValueAxis, up: Scale, across: Scale) {
        let (left, top, width, height) = self.area();
        for (value, label) in &axis.ticks {
            let y = up.at(*value).round() + 0.5;
            list.stroke(Colour::Line, 1.0, false, &[left, y, left + width, y]);
            list.text(Colour::Muted, Align::Right, left - 6.0, y, label);
        }
        for (at, label) in time_ticks(self.from_ms, self.until_ms, self.zone_minutes, width) {
            let x = across.at(at).round() + 0.5;
            let bottom = top + height;
            list.stroke(Colour::Line, 1.0, false, &[x, bottom, x, bottom + 4.0]);
            // A label stays inside of the canvas.
            let room = 30.0;
            let (align, x) = match () {
                () if x < left + room => (Align::Left, x.max(left)),
                () if x > left + width - room => (Align::Right, x.min(left + width + RIGHT)),
                () => (Align::Centre, x),
            };
            list.text(Colour::Muted, align, x, bottom + 11.0, &label);
        }
    }
}

/// Where ticks are dense a thick line would be a stain.
fn draw_line(
    list: &mut DisplayList,
    line: &PlotLine<'_>,
    drawn: &Polyline,
    is_over_heat: bool,
    is_dense: bool,
    bottom: f32,
) {
    if line.is_filled && !is_over_heat {
        for stretch in drawn.stretches() {
            if let ([first, ..], [.., last, _]) = (stretch, stretch) {
                list.fill(line.colour, 0.14, &[stretch, &[*last, bottom, *first, bottom]].concat());
            }
        }
    }
    if is_over_heat && !is_dense {
        // A ground of its own, so that it can be told from the heatmap below.
        list.stroke(Colour::Heat(0), 3.5, false, &drawn.points);
    }
    list.stroke(line.colour, if is_dense { 1.0 } else { 1.6 }, line.is_dashed, &drawn.points);
    drawn.lone.iter().for_each(|(x, y)| list.dot(line.colour, *x, *y, 1.8));
}

fn draw_gaps(list: &mut DisplayList, gaps: &[Gap], across: Scale, (left, top, width, height): Area) {
    for gap in gaps {
        let (from, to) = (across.at(gap.from_ms).max(left), across.at(gap.to_ms).min(left + width));
        if to < left || from > left + width {
            continue;
        }
        let area = (from, top, (to - from).max(2.0), height);
        match gap.kind {
            GapKind::NotReceived => list.hatch(Colour::Caution, 6.0, area),
            GapKind::Missed => list.hatch(Colour::Alarm, 12.0, area),
            GapKind::Stale => list.hatch(Colour::Muted, 9.0, area),
            GapKind::Restart => {
                for x in [to - 2.0, to + 1.0] {
                    list.stroke(Colour::Ink, 1.0, false, &[x, top, x, top + height]);
                }
                list.text(Colour::Ink, Align::Left, to + 4.0, top + 7.0, "restart");
            }
        }
    }
}

/// Of marks that would lie on each other the worst shows; where there are many, without their lines.
fn draw_marks(list: &mut DisplayList, marks: &[PlotMark], across: Scale, (left, top, width, height): Area) {
    let mut signs: Vec<Option<(f32, u8)>> = vec![None; (width / MARK_PIXELS) as usize + 1];
    for mark in marks {
        let x = across.at(mark.at_ms);
        let sign = signs.get_mut(((x - left) / MARK_PIXELS) as usize).filter(|_| (left..=left + width).contains(&x));
        if let Some(sign) = sign
            && sign.is_none_or(|(_, severity)| severity < mark.severity)
        {
            *sign = Some((x, mark.severity));
        }
    }
    let has_lines = signs.iter().flatten().count() <= MARK_LINES_MAX;
    for (x, severity) in signs.into_iter().flatten() {
        let colour = match severity {
            0 => Colour::Good,
            1 => Colour::Caution,
            _ => Colour::Alarm,
        };
        if has_lines {
            list.stroke(colour, 1.0, true, &[x, top, x, top + height]);
        }
        list.glyph(colour, severity.min(2), x, top - 4.0);
    }
}

fn draw_cursor(list: &mut DisplayList, lines: &[PlotLine<'_>], at: f64, across: Scale, up: Scale, area: Area) {
    let (_, top, _, height) = area;
    let x = across.at(at);
    list.stroke(Colour::Muted, 1.0, false, &[x, top, x, top + height]);
    for line in lines {
        let after = line.x.partition_point(|time| *time < at);
        let place = match (line.x.get(after), after.checked_sub(1)) {
            (Some(next), Some(before)) if at - line.x[before] < next - at => before,
            (None, Some(before)) => before,
            _ => after,
        };
        if let (Some(time), Some(value)) = (line.x.get(place), line.y.get(place))
            && !value.is_nan()
        {
            list.dot(line.colour, across.at(*time), up.at(*value), 3.0);
        }
    }
}

/// The whole time that is held, as a strip: where there are no figures, and what happened.
pub fn timeline(
    (width, height): (f32, f32),
    (from_ms, until_ms): (f64, f64),
    gaps: &[Gap],
    marks: &[PlotMark],
) -> DisplayList {
    let mut list = DisplayList::new(width, height);
    let across = Scale::new((from_ms, until_ms), (0.0, width));
    let mut worst = vec![0_u8; width as usize + 1];
    for mark in marks {
        if let Some(held) = worst.get_mut(across.at(mark.at_ms) as usize) {
            *held = mark.severity.max(*held);
        }
    }
    for (severity, colour, share) in [(1, Colour::Caution, 0.2), (2, Colour::Alarm, 0.3)] {
        let at = worst.iter().enumerate().filter(|(_, held)| **held == severity);
        let tall = height * share;
        let areas: Vec<Area> = at.map(|(x, _)| (x as f32, height - tall, 2.0, tall)).collect();
        list.rects(colour, 1.0, &areas);
    }
    for gap in gaps {
        let (from, to) = (across.at(gap.from_ms), across.at(gap.to_ms).max(across.at(gap.from_ms) + 2.0));
        match gap.kind {
            GapKind::Restart => list.rects(Colour::Ink, 1.0, &[(to - 1.0, 0.0, 2.0, height)]),
            GapKind::NotReceived => list.hatch(Colour::Caution, 4.0, (from, 0.0, to - from, height)),
            GapKind::Missed | GapKind::Stale => list.hatch(Colour::Alarm, 6.0, (from, 0.0, to - from, height)),
        }
    }
    list
}

/// A small line of the last values, the newest at the right, broken where there are none; `top` is at its
/// upper edge, and a hair line at the limit.
pub fn sparkline(values: &[f32], (width, height): (f32, f32), top: f64, limit: f64) -> DisplayList {
    let mut list = DisplayList::new(width, height);
    let across = Scale::new((0.0, values.len().saturating_sub(1).max(1) as f64), (1.0, width - 1.0));
    let up = Scale::new((0.0, top), (height - 1.5, 1.5));
    let y = up.at(limit).round() + 0.5;
    list.stroke(Colour::Line, 1.0, false, &[0.0, y, width, y]);
    let x: Vec<f64> = (0..values.len() as u32).map(f64::from).collect();
    let values: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
    let line = Polyline::of(&x, &values, across, up, false, &[]);
    list.stroke(Colour::Accent, 1.4, false, &line.points);
    line.lone.iter().for_each(|(x, y)| list.dot(Colour::Accent, *x, *y, 1.4));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: ChartView =
        ChartView { width: 370.0, height: 128.0, from_ms: 100_000.0, until_ms: 160_000.0, zone_minutes: 0 };

    fn nothing(axis: &ValueAxis) -> Drawing<'_> {
        Drawing {
            axis,
            lines: &[],
            heat: &[],
            marks: &[],
            gaps: &[],
            thresholds: &[],
            cursor_ms: None,
            dragged_ms: None,
        }
    }

    fn axis() -> ValueAxis {
        ValueAxis::of(0.0, 100.0, "ms", 100.0)
    }

    #[test]
    fn a_pixel_is_a_moment() {
        assert_eq!((VIEW.moment(LEFT), VIEW.moment(362.0), VIEW.moment(0.0)), (100_000.0, 160_000.0, 100_000.0));
        assert_eq!((VIEW.moment(212.0), VIEW.ms_each_pixel()), (130_000.0, 200.0));
    }

    #[test]
    fn axes_are_there_before_there_are_figures() {
        let list = VIEW.draw(&nothing(&axis()));
        assert!(list.texts().contains("100\u{202f}ms\n") && list.texts().contains("00:02:00\n"), "{:?}", list.texts());
    }

    #[test]
    fn everything_that_is_given_is_drawn() {
        let axis = axis();
        let bare = nothing(&axis);
        let is_drawn = |drawing: Drawing<'_>| VIEW.draw(&drawing).commands().len() > VIEW.draw(&bare).commands().len();
        let (x, y) = ([110_000.0, 120_000.0, 130_000.0], [10.0, 20.0, 30.0]);
        let colour = Colour::Series(0);
        let lines = [PlotLine { x: &x, y: &y, colour, is_dashed: false, is_stepped: false, is_filled: true }];
        assert!(is_drawn(Drawing { lines: &lines, ..bare }));
        for kind in [GapKind::NotReceived, GapKind::Missed, GapKind::Restart, GapKind::Stale] {
            let gaps = [Gap { from_ms: 120_000.0, to_ms: 130_000.0, kind }];
            assert!(is_drawn(Drawing { gaps: &gaps, ..bare }), "{kind:?}");
        }
        assert!(is_drawn(Drawing { marks: &[PlotMark { at_ms: 120_000.0, severity: 2 }], ..bare }));
        assert!(is_drawn(Drawing { thresholds: &[50.0], ..bare }));
        assert!(is_drawn(Drawing { cursor_ms: Some(120_000.0), ..bare }));
        assert!(is_drawn(Drawing { dragged_ms: Some((110_000.0, 120_000.0)), ..bare }));
        let heat = [HeatColumn { at_ms: 120_000.0, bounds: (10.0, 20.0), buckets: &[(10.0, 20.0, 3)] }];
        assert!(is_drawn(Drawing { heat: &heat, ..bare }));
    }

    #[test]
    fn what_is_outside_of_the_span_is_not_drawn() {
        let axis = axis();
        let bare = nothing(&axis);
        let outside = Drawing { marks: &[PlotMark { at_ms: 1.0, severity: 2 }], cursor_ms: Some(1.0), ..bare };
        assert_eq!(VIEW.draw(&outside), VIEW.draw(&bare));
    }
}
