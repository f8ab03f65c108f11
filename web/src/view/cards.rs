use web_sys::Element;

use super::canvas;
use super::element::Node;
use super::paint::Paint;
use super::screen::title_of;
use crate::plot::{
    Action, ChartView, Colour, DASH, Drawing, Gesture, HeatColumn, Key, PlotLine, Pointer, ValueAxis, count, exact,
    short,
};
use crate::state::{Chart, LINES_MAX, Line, Overall, Page, Reading, Subject, Threshold, Track};

const CARD: &str = r#"<header><h3><a data-part></a></h3><span class="now" data-part></span><button type="button" class="small" data-part></button></header><canvas class="plot" tabindex="0" role="img" data-part></canvas><p class="legend" data-part></p>"#;
/// A chart's height on a card and by itself, in CSS pixels.
const HEIGHTS: (f32, f32) = (150.0, 380.0);

/// Charts beside each other, those in sight painted.
pub(super) struct Cards {
    grid: Node,
    items: Vec<Item>,
    cards: Vec<Card>,
    headings: Vec<Node>,
    is_large: bool,
}

/// What is in a grid of charts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Heading(String),
    Chart { chart: Chart, title: String, help: String, is_on_board: bool },
}

struct Card {
    chart: Chart,
    node: Node,
    title: Node,
    now: Node,
    button: Node,
    canvas: Node,
    legend: Legend,
    is_seen: bool,
    axis: Option<ValueAxis>,
    gesture: Gesture,
    view: ChartView,
}

/// What tells the lines apart: a swatch, a name and a figure each.
struct Legend {
    node: Node,
    keys: Vec<[Node; 4]>,
}

/// What a pointer, a wheel or a key does to a chart.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Down(Pointer),
    Move(Pointer),
    /// No button is down.
    Hover(Pointer),
    Up(Pointer),
    Cancel(Pointer),
    Leave,
    DoubleClick,
    Wheel {
        x: f32,
        delta: f64,
    },
    Key(Key),
}

impl Item {
    pub(super) fn chart(chart: Chart, title: &str, help: &str) -> Self {
        Self::Chart { chart, title: title.into(), help: help.into(), is_on_board: false }
    }

    pub(super) fn heading(title: &str) -> Self {
        Self::Heading(title.into())
    }

    pub(super) fn on_board(mut self) -> Self {
        if let Self::Chart { is_on_board, .. } = &mut self {
            *is_on_board = true;
        }
        self
    }

    pub(super) fn is_chart(&self) -> bool {
        matches!(self, Self::Chart { .. })
    }
}

impl Cards {
    pub(super) fn find(id: &str) -> Self {
        let grid = Node::by_id(id);
        Self { grid, items: Vec::new(), cards: Vec::new(), headings: Vec::new(), is_large: id == "chart-large" }
    }

    /// Makes the cards of these items, in their order; those that stay keep what they have.
    pub(super) fn sync(&mut self, items: Vec<Item>) {
        if self.items == items {
            return;
        }
        self.headings.drain(..).for_each(|heading| heading.remove());
        let mut before: Vec<Card> = std::mem::take(&mut self.cards);
        let mut next = self.grid.element().first_element_child();
        for item in &items {
            match item {
                Item::Heading(title) => {
                    let mut heading = Node::made("h3", "group", &self.grid);
                    heading.text(title);
                    next = canvas::place(self.grid.element(), heading.element(), next.as_ref());
                    self.headings.push(heading);
                }
                Item::Chart { chart, title, help, is_on_board } => {
                    let held = before.iter().position(|card| card.chart.subject == chart.subject);
                    let card = held.map(|place| before.swap_remove(place));
                    let Some(mut card) = card.or_else(|| Card::made(chart, &self.grid, self.is_large)) else {
                        continue;
                    };
                    // One that is where it belongs stays there, with the focus if it has that.
                    next = canvas::place(self.grid.element(), card.node.element(), next.as_ref());
                    card.name(chart, title, help, *is_on_board);
                    self.cards.push(card);
                }
            }
        }
        before.into_iter().for_each(|card| card.node.remove());
        self.items = items;
    }

    /// What the cards in sight show.
    pub(super) fn wanted(&self) -> Vec<Subject> {
        let seen = self.cards.iter().filter(|card| card.is_seen || self.is_large);
        seen.map(|card| card.chart.subject.clone()).collect()
    }

    /// A card came into sight, or went out of it.
    pub(super) fn sight(&mut self, target: &Element, is_seen: bool) {
        if let Some(card) = self.cards.iter_mut().find(|card| card.node.is(target)) {
            card.is_seen = is_seen;
        }
    }

    pub(super) fn paint(&mut self, paint: &Paint<'_>) {
        let is_large = self.is_large;
        let seen = || |card: &&mut Card| card.is_seen || is_large;
        // All is measured before anything is written, so that the browser lays the page out once.
        let widths: Vec<f32> =
            self.cards.iter_mut().filter(seen()).map(|card| canvas::pixels(card.canvas.element(), 0)).collect();
        for (card, width) in self.cards.iter_mut().filter(seen()).zip(widths) {
            card.paint(paint, (width, if is_large { HEIGHTS.1 } else { HEIGHTS.0 }));
        }
    }

    /// The picture of the first chart, and what to call it.
    pub(super) fn picture(&self) -> Option<(&Element, String)> {
        let card = self.cards.first()?;
        Some((card.canvas.element(), title_of(&card.chart)))
    }

    pub(super) fn gesture(&mut self, target: &Element, input: Input) -> Option<(Action, Chart)> {
        let card = self.cards.iter_mut().find(|card| card.canvas.is(target))?;
        Some((card.take(input), card.chart.clone()))
    }
}

impl Card {
    fn made(chart: &Chart, grid: &Node, is_large: bool) -> Option<Self> {
        let mut node = Node::made("article", "card", grid);
        node.set("data-testid", "card");
        node.set("data-large", if is_large { "true" } else { "false" });
        node.fill(CARD);
        canvas::tell_sight(node.element());
        let [title, now, button, canvas, legend] = <[Node; 5]>::try_from(node.parts()).ok()?;
        Some(Self {
            chart: chart.clone(),
            node,
            title,
            now,
            button,
            canvas,
            legend: Legend { node: legend, keys: Vec::new() },
            is_seen: false,
            axis: None,
            gesture: Gesture::default(),
            view: ChartView::default(),
        })
    }

    fn name(&mut self, chart: &Chart, title: &str, help: &str, is_on_board: bool) {
        self.chart = chart.clone();
        let text = chart.text();
        self.node.set("data-chart", &text);
        self.title.text(title);
        self.title.set("title", help);
        if self.axis.is_none() {
            self.canvas.set("aria-label", title);
        }
        let (verb, words) = if is_on_board { ("unpin:", "Take off") } else { ("pin:", "Add to board") };
        self.button.text(if is_on_board { "×" } else { "+" });
        self.button.set("data-act", &[verb, &text].concat());
        self.button.set("aria-label", &[words, ": ", title].concat());
        self.button.set("title", words);
    }

    fn paint(&mut self, paint: &Paint<'_>, (width, height): (f32, f32)) {
        let target = paint.place.with(Page::Chart(self.chart.clone())).fragment();
        self.title.set("href", &target);
        let Some(track) = paint.view.tracks.track(&self.chart.subject) else { return };
        let figures: Vec<Vec<f64>> = (0..track.lines().len()).map(|line| paint.figures(track, line)).collect();
        let heat = if track.reading() == Reading::Heat { paint.heat(track) } else { Vec::new() };
        let (low, high) = bounds(&figures, &heat, self.chart.threshold);
        let axis = ValueAxis::steady(self.axis.as_ref(), low, high, track.unit(), height);
        let is_stepped = matches!(self.chart.subject, Subject::Overall(Overall::Sessions | Overall::Viewers));
        let lines: Vec<PlotLine<'_>> = figures
            .iter()
            .enumerate()
            .map(|(number, y)| PlotLine {
                x: &paint.times,
                y,
                colour: line_colour(&self.chart.subject, number),
                is_dashed: number >= LINES_MAX / 2,
                is_stepped,
                is_filled: figures.len() == 1,
            })
            .collect();
        self.view = ChartView {
            width,
            height,
            from_ms: paint.from_ms,
            until_ms: paint.until_ms,
            zone_minutes: paint.eye.zone_minutes,
        };
        let marks = paint.marks(&self.chart.subject);
        let drawing = Drawing {
            axis: &axis,
            lines: &lines,
            heat: &heat,
            marks: &marks,
            gaps: &paint.gaps,
            thresholds: self
                .chart
                .threshold
                .as_ref()
                .map(|threshold| &threshold.limit)
                .map(std::slice::from_ref)
                .unwrap_or_default(),
            cursor_ms: paint.eye.cursor_ms,
            dragged_ms: paint.eye.dragged_ms,
        };
        canvas::paint(&self.canvas, &self.view.draw(&drawing));
        self.axis = Some(axis);
        self.tell(track, &figures, paint.told());
    }

    /// The figures of the told row, by line; and what to say to who cannot see the chart.
    fn tell(&mut self, track: &Track, figures: &[Vec<f64>], told: Option<usize>) {
        let unit = track.unit();
        let figure = |line: usize| told.and_then(|place| figures.get(line)?.get(place).copied());
        let text = |line: usize| {
            figure(line).filter(|figure| !figure.is_nan()).map_or(DASH.into(), |figure| short(figure, unit))
        };
        let is_crossed = self
            .chart
            .threshold
            .is_some_and(|threshold| (0..figures.len()).filter_map(figure).any(|figure| threshold.is_crossed(figure)));
        self.node.set("data-crossed", if is_crossed { "true" } else { "false" });
        let single = track.lines().len() == 1;
        let newest = if single { text(0) } else { String::new() };
        self.now.text(&match is_crossed {
            true => [&newest, " beyond the limit"].concat(),
            false => newest,
        });
        self.now.set("data-value", &figure(0).map(|figure| exact(figure, "")).unwrap_or_default());
        let mut words = vec![self.chart_words(track)];
        for (number, line) in track.lines().iter().enumerate() {
            words.push([line.name.as_str(), " ", &text(number)].concat());
        }
        if told.is_none() || track.lines().is_empty() {
            words.push("no figures in this span".into());
        }
        self.canvas.set("aria-label", &words.join(", "));
        let key = |(number, line): (usize, &Line)| {
            (line.name.clone(), text(number), colour_name(&self.chart.subject, number))
        };
        let keys: Vec<_> = if single { Vec::new() } else { track.lines().iter().enumerate().map(key).collect() };
        let more = match track.unlisted() {
            0 => String::new(),
            more => ["and ", &count(more as u64), " more series, not drawn"].concat(),
        };
        self.legend.paint(&keys, &more);
    }

    fn chart_words(&self, track: &Track) -> String {
        let unit = if track.unit().is_empty() { "units" } else { track.unit() };
        [title_of(&self.chart).as_str(), ", ", track.reading().key(), " in ", unit].concat()
    }

    fn take(&mut self, input: Input) -> Action {
        let view = &self.view;
        match input {
            Input::Down(pointer) => self.gesture.down(pointer, view),
            Input::Move(pointer) => self.gesture.moved(pointer, view),
            Input::Hover(pointer) => {
                self.gesture.cancel(pointer);
                self.gesture.moved(pointer, view)
            }
            Input::Up(pointer) => self.gesture.up(pointer, view),
            Input::Cancel(pointer) => self.gesture.cancel(pointer),
            Input::Leave => self.gesture.leave(),
            Input::DoubleClick => Action::Reset,
            Input::Wheel { x, delta } => self.gesture.wheel(x, delta, view),
            Input::Key(key) => self.gesture.key(&key, view),
        }
    }
}

impl Legend {
    fn paint(&mut self, keys: &[(String, String, String)], more: &str) {
        while self.keys.len() < keys.len() + usize::from(!more.is_empty()) {
            let key = Node::made("span", "key", &self.node);
            let [swatch, name, figure] = ["i", "span", "b"].map(|tag| Node::made(tag, "", &key));
            self.keys.push([key, swatch, name, figure]);
        }
        for (place, [key, swatch, name, figure]) in self.keys.iter_mut().enumerate() {
            let told = keys.get(place);
            let is_more = place == keys.len() && !more.is_empty();
            key.show(told.is_some() || is_more);
            swatch.show(told.is_some());
            let (title, value, colour) = told.map_or((more, "", ""), |(title, value, colour)| (title, value, colour));
            swatch.style("color", colour);
            swatch.set("data-dashed", if place >= LINES_MAX / 2 { "true" } else { "false" });
            name.text(title);
            figure.text(value);
        }
    }
}

/// Sessions by state have the colours of their states.
fn line_colour(subject: &Subject, number: usize) -> Colour {
    match (subject, number) {
        (Subject::Overall(Overall::Sessions), 0) => Colour::Good,
        (Subject::Overall(Overall::Sessions), 1) => Colour::Caution,
        (Subject::Overall(Overall::Sessions), _) => Colour::Alarm,
        _ => Colour::Series(number as u8),
    }
}

/// The same, as the style sheet names it.
fn colour_name(subject: &Subject, number: usize) -> String {
    match line_colour(subject, number) {
        Colour::Good => "var(--good)".into(),
        Colour::Caution => "var(--caution)".into(),
        Colour::Alarm => "var(--alarm)".into(),
        _ => ["var(--c", &(number % LINES_MAX).to_string(), ")"].concat(),
    }
}

/// What the value axis must hold.
fn bounds(figures: &[Vec<f64>], heat: &[HeatColumn<'_>], threshold: Option<Threshold>) -> (f64, f64) {
    let mut bounds = (f64::INFINITY, f64::NEG_INFINITY);
    // Not by min and max, which in WebAssembly are calls; and what is not a number is not held.
    let mut hold = |figure: f64| {
        if figure < bounds.0 {
            bounds.0 = figure;
        }
        if figure > bounds.1 {
            bounds.1 = figure;
        }
    };
    figures.iter().flatten().for_each(|figure| hold(*figure));
    threshold.iter().for_each(|threshold| hold(threshold.limit));
    for column in heat {
        hold(f64::from(column.bounds.0));
        hold(f64::from(column.bounds.1));
    }
    bounds
}
