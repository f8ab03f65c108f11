use tachograph_core::registry::Kind;
use tachograph_core::wire::frame::State;

use super::canvas;
use super::cards::{Cards, Item};
use super::element::Node;
use super::events::time_of_day;
use super::paint::{Eye, Paint};
use super::screen::title_of;
use crate::plot::{Table, exact};
use crate::state::{Chart, FamilyReading, Page, Place, Reading, Split, Subject, View};

/// Rows of the table; of more, the newest.
const ROWS_MAX: usize = 120;
/// Values of a label that can be chosen.
const VALUES_MAX: usize = 200;
const ANY: &str = "any";

/// One chart by itself, with what can be chosen of it and its figures as a table.
pub(super) struct ChartPage {
    title: Node,
    help: Node,
    pub(super) cards: Cards,
    reading: Select,
    split: Select,
    label: Select,
    value: Select,
    side: Node,
    limit: Node,
    table: Node,
    rows: Vec<Vec<Node>>,
    /// Whose limit was written last.
    subject: Option<Subject>,
}

/// A choice, whose options change with the chart.
struct Select {
    node: Node,
    options: Vec<(String, String)>,
}

impl Select {
    fn find(id: &str) -> Self {
        Self { node: Node::by_id(id), options: Vec::new() }
    }

    fn set(&mut self, options: Vec<(String, String)>, chosen: &str) {
        if self.options != options {
            self.node.clear();
            for (value, name) in &options {
                let mut option = Node::made("option", "", &self.node);
                option.set("value", value);
                option.text(name);
            }
            self.options = options;
        }
        // With what it is called.
        let label = self.node.element().parent_element();
        let is_choice = self.options.len() > 1;
        label.iter().for_each(|label| drop(label.toggle_attribute_with_force("hidden", !is_choice)));
        canvas::set_text(self.node.element(), chosen);
    }
}

impl ChartPage {
    pub(super) fn find() -> Self {
        Self {
            title: Node::by_id("title-chart"),
            help: Node::by_id("chart-help"),
            cards: Cards::find("chart-large"),
            reading: Select::find("chart-reading"),
            split: Select::find("chart-split"),
            label: Select::find("chart-label"),
            value: Select::find("chart-value"),
            side: Node::by_id("chart-side"),
            limit: Node::by_id("chart-limit"),
            table: Node::by_id("chart-table"),
            rows: Vec::new(),
            subject: None,
        }
    }

    pub(super) fn sync(&mut self, chart: &Chart, newest: &State) {
        let title = title_of(chart);
        self.title.text(&title);
        self.cards.sync(vec![Item::chart(chart.clone(), &title, "")]);
        let family = match &chart.subject {
            Subject::Family(family) => Some(family),
            _ => None,
        };
        self.sync_family(family, newest);
        let (side, limit) = match chart.threshold {
            None => ("none", None),
            Some(threshold) => (if threshold.is_floor { "below" } else { "above" }, Some(threshold.limit)),
        };
        let limit = limit.map(|limit| exact(limit, "")).unwrap_or_default();
        // A limit that is being typed has its side already.
        if !limit.is_empty() || self.subject.as_ref() != Some(&chart.subject) {
            canvas::set_text(self.side.element(), side);
            canvas::set_text(self.limit.element(), &limit);
        }
        self.subject = Some(chart.subject.clone());
    }

    fn sync_family(&mut self, family: Option<&FamilyReading>, newest: &State) {
        let schema = newest.schema();
        let entry = family.and_then(|family| schema.families().get(schema.family(&family.name)?));
        let (Some(family), Some(entry)) = (family, entry) else {
            self.help.text("");
            for select in [&mut self.reading, &mut self.split, &mut self.label, &mut self.value] {
                select.set(Vec::new(), "");
            }
            return;
        };
        let descriptor = &entry.descriptor;
        let unit = descriptor.unit_name();
        let unit = if unit.is_empty() { String::new() } else { [", in ", unit].concat() };
        let kind = match entry.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.help.text(&[descriptor.help_text(), " (", kind, &unit, ")"].concat());
        let held = Reading::of_kind(entry.kind);
        let readings = held.iter().map(|reading| (reading.key().into(), reading_name(entry.kind, *reading).into()));
        let chosen = family.reading.filter(|reading| held.contains(reading)).unwrap_or(held[0]);
        self.reading.set(readings.collect(), chosen.key());
        let names = descriptor.label_names();
        let by = names.iter().map(|name| (["by:", name].concat(), ["sum by ", name].concat()));
        let fixed = [("auto", "as it fits"), ("each", "each series"), ("sum", "their sum"), ("max", "their maximum")];
        let splits = fixed.into_iter().map(|(key, name)| (key.into(), name.into())).chain(by);
        self.split.set(splits.collect(), &split_key(&family.split));
        let (label, value) = family.only.first().cloned().unwrap_or_default();
        let any = || (String::new(), ANY.to_owned());
        let labels = std::iter::once(any()).chain(names.iter().map(|name| (name.clone(), name.clone())));
        self.label.set(labels.collect(), &label);
        let place = names.iter().position(|name| *name == label);
        let mut values: Vec<String> = Vec::new();
        for number in place.iter().flat_map(|_| &entry.series) {
            let held = place.and_then(|place| schema.series().get(*number as usize)?.labels.iter().nth(place));
            if let Some(held) =
                held.filter(|held| values.len() < VALUES_MAX && !values.iter().any(|value| value == held))
            {
                values.push(held.into());
            }
        }
        let values = std::iter::once(any()).chain(values.into_iter().map(|value| (value.clone(), value)));
        self.value.set(values.collect(), &value);
    }

    /// The figures as a table, newest first.
    pub(super) fn paint(&mut self, paint: &Paint<'_>) {
        let Page::Chart(chart) = &paint.place.page else { return };
        let Some(track) = paint.view.tracks.track(&chart.subject) else { return };
        // What is not known yet is no figure that was missing.
        self.table.set("aria-busy", if paint.view.tracks.is_busy() { "true" } else { "false" });
        let columns: Vec<Vec<f64>> = (0..track.lines().len()).map(|line| paint.figures(track, line)).collect();
        let names = track.lines().iter().map(|line| if line.name.is_empty() { "figure" } else { &line.name });
        self.fill(0, "th", &std::iter::once("Time").chain(names).map(String::from).collect::<Vec<_>>());
        let inside = paint.inside();
        let shown = inside.len().min(ROWS_MAX);
        for (number, place) in inside.rev().take(shown).enumerate() {
            let time = time_of_day(paint.times[place] / 1_000.0);
            let figures = columns.iter().map(|figures| exact(figures[place], track.unit()));
            self.fill(number + 1, "td", &std::iter::once(time).chain(figures).collect::<Vec<_>>());
        }
        while self.rows.len() > shown + 1 {
            self.rows.pop();
            self.table.remove_last();
        }
    }

    fn fill(&mut self, row: usize, tag: &str, texts: &[String]) {
        if self.rows.get(row).is_none_or(|cells| cells.len() != texts.len()) {
            while self.rows.len() > row {
                self.rows.pop();
                self.table.remove_last();
            }
            let line = Node::made("tr", "", &self.table);
            self.rows.push(texts.iter().map(|_| Node::made(tag, "", &line)).collect());
        }
        if let Some(cells) = self.rows.get_mut(row) {
            cells.iter_mut().zip(texts).for_each(|(cell, text)| cell.text(text));
        }
    }

    /// What is seen, as CSV or JSON.
    pub(super) fn export(&self, view: &View<'_>, place: &Place, is_csv: bool) -> String {
        let Page::Chart(chart) = &place.page else { return String::new() };
        let Some(track) = view.tracks.track(&chart.subject) else { return String::new() };
        let paint = Paint::new(view, place, Eye::default());
        let names: Vec<&str> = track.lines().iter().map(|line| line.name.as_str()).collect();
        let inside = paint.inside();
        let figures = |line: usize| paint.figures(track, line).get(inside.clone()).unwrap_or_default().to_vec();
        let columns: Vec<Vec<f64>> = (0..names.len()).map(figures).collect();
        let times = paint.times.get(inside.clone()).unwrap_or_default();
        let table = Table { title: &title_of(chart), unit: track.unit(), names: &names, times, columns: &columns };
        if is_csv { table.csv() } else { table.json() }
    }
}

/// Another choice of what a chart shows.
pub(super) fn choose(chart: &mut Chart, id: &str, value: &str) {
    let Subject::Family(family) = &mut chart.subject else { return };
    match id {
        "chart-reading" => family.reading = Reading::ALL.into_iter().find(|reading| reading.key() == value),
        "chart-split" => {
            family.split = match value {
                "each" => Split::Each,
                "sum" => Split::Sum,
                "max" => Split::Max,
                _ => value.strip_prefix("by:").map_or(Split::Auto, |label| Split::By(label.into())),
            }
        }
        "chart-label" => {
            family.only.clear();
            if !value.is_empty() {
                // Until a value is chosen, none is asked for.
                family.only.push((value.into(), String::new()));
            }
        }
        "chart-value" => {
            if let Some((_, held)) = family.only.first_mut() {
                *held = value.into();
            }
        }
        _ => {}
    }
}

fn split_key(split: &Split) -> String {
    match split {
        Split::Auto => "auto".into(),
        Split::Each => "each".into(),
        Split::Sum => "sum".into(),
        Split::Max => "max".into(),
        Split::By(label) => ["by:", label].concat(),
    }
}

/// What a reading is called.
fn reading_name(kind: Kind, reading: Reading) -> &'static str {
    match (kind, reading) {
        (Kind::Histogram, Reading::Rate) => "values a second",
        (Kind::Histogram, Reading::Total) => "values in all",
        (_, Reading::Heat) => "heatmap with p50, p90, p99",
        (_, Reading::Rate) => "growth a second",
        (_, reading) => reading.key(),
    }
}
