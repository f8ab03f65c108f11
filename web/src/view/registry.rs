//! The registry's families and series.

use leptos::prelude::*;

use super::list::{Key, list};
use super::{Heading, branch, signals};
use crate::state::{
    Columns, Family, HEIGHT, Labels, Series, Store, TICKS_MAX, bars, bucket_text, count, label_text, measure,
};

/// The registry: a card a family, a line a series.
#[component]
pub fn RegistrySection() -> impl IntoView {
    let signals = signals();
    let cards =
        signals.read(|store| store.panel().families.iter().map(|family| Key::Family(family.name.clone())).collect());
    view! {
        <section id="registry" aria-labelledby="registry-title">
            <Heading id="registry-title" title="Registry" />
            <div class="families figures">
                {list(cards)}
            </div>
            <p class="aside">{signals.read(aside)}</p>
        </section>
    }
}

fn aside(store: &Store) -> String {
    let panel = store.panel();
    let [series, refused, folded] = [panel.series, panel.refused_values, panel.overflowed_series].map(count);
    let (held, took) = (measure(panel.bytes_held as f64, "bytes"), measure(panel.snapshot_seconds * 1e3, "ms"));
    let unlisted = match panel.unlisted {
        0 => String::new(),
        more => format!(" Families not listed: {}.", count(more as u64)),
    };
    format!(
        "{series} series hold {held}; the snapshot took {took}. Values refused for not being finite: {refused}. \
         Series folded into overflow series: {folded}.{unlisted}{}",
        history_text(store.columns())
    )
}

/// What is not kept of the last minutes, because there are too many series.
fn history_text(columns: &Columns) -> String {
    let (rows, unkept) = (columns.rows_held(), columns.unkept());
    if rows == TICKS_MAX && unkept == 0 {
        return String::new();
    }
    let [rows, unkept] = [rows, unkept].map(|number| count(number as u64));
    format!(" The page keeps their last {rows} ticks; series that it has no room for: {unkept}.")
}

/// A family: what it is, then its series.
#[component]
pub fn FamilyCard(
    /// Which one.
    name: String,
) -> impl IntoView {
    let signals = branch();
    let (title, of) = (name.clone(), name.clone());
    let read = move |read: fn(&Family) -> String| {
        let name = of.clone();
        signals.read(move |store| store.panel().family(&name).map(read).unwrap_or_default())
    };
    let of = name.clone();
    let lines = signals.read(move |store| store.panel().family(&of).map(lines).unwrap_or_default());
    view! {
        <article class="family" data-testid="family" data-family=name>
            <h3>{title}</h3>
            <span class="kind">{read(Family::kind_text)}</span>
            <p>{read(|family| family.help.clone())}</p>
            <ul>
                {list(lines)}
            </ul>
            <p class="aside">{read(unlisted_text)}</p>
        </article>
    }
}

fn lines(family: &Family) -> Vec<Key> {
    family.series.iter().map(|series| Key::Series(family.name.clone(), series.labels.clone())).collect()
}

fn unlisted_text(family: &Family) -> String {
    match family.unlisted {
        0 => String::new(),
        more => format!("Series not listed: {}", count(more as u64)),
    }
}

/// A series: its labels and what was recorded.
pub fn series_line(family: String, labels: &Labels) -> impl IntoView + use<> {
    let signals = signals();
    let raw = signals.series(&family, labels, |series, _| Some(series.raw()));
    let text = signals.series(&family, labels, Series::text);
    let note = signals.series(&family, labels, Series::note);
    let buckets = buckets(&family, labels);
    let (line, told) = (label_text(labels), label_text(labels));
    view! {
        <li data-testid="series" data-family=family data-labels=line data-value=raw>
            <span class="labels">{told}</span>
            <span class="value">{text}</span>
            <span class="note">{note}</span>
            {buckets}
        </li>
    }
}

/// A histogram's buckets as bars; hidden for what is no histogram.
fn buckets(family: &str, labels: &Labels) -> impl IntoView + use<> {
    let signals = signals();
    let plain = signals.series(family, labels, |series, _| series.buckets().is_none());
    let words = signals.series(family, labels, |series, unit| {
        series.buckets().map(|held| bucket_text(held, unit)).unwrap_or_default()
    });
    view! {
        <div class="buckets" role="img" aria-label=words title=words hidden=plain>
            <svg viewBox=signals.series(family, labels, |series, _| view_box(series)) preserveAspectRatio="none">
                <path d=signals.series(family, labels, |series, _| bars_of(series)) />
            </svg>
            <span>{signals.series(family, labels, first_bucket)}</span>
            <span>{signals.series(family, labels, last_bucket)}</span>
        </div>
    }
}

fn view_box(series: &Series) -> String {
    format!("0 0 {} {HEIGHT}", series.buckets().map_or(0, |held| held.buckets().len() * 10))
}

fn bars_of(series: &Series) -> String {
    series.buckets().map(|held| bars(held.buckets())).unwrap_or_default()
}

fn first_bucket(series: &Series, unit: &str) -> String {
    let bound = series.buckets().and_then(|held| held.bounds().first());
    bound.map(|bound| format!("≤ {bound} {unit}")).unwrap_or_default()
}

fn last_bucket(series: &Series, unit: &str) -> String {
    let bound = series.buckets().and_then(|held| held.bounds().last());
    bound.map(|bound| format!("> {bound} {unit}")).unwrap_or_default()
}
