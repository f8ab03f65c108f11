//! A source's row in the table of sessions.

use leptos::prelude::*;
use tachograph_core::wire::{Metrics, ProviderState};

use super::signals;
use crate::state::{Figure, HEIGHT, HISTORY_TICKS, RowKey, Severity, Trouble, limit_line, sparkline, worst};

/// Who it is, what is wrong with it, its figures.
#[component]
pub fn SourceRow(
    /// Which one.
    key: RowKey,
) -> impl IntoView {
    let signals = signals();
    let session = signals.session(key.session, |session| session.name().to_owned());
    // A row that ended is not of the shown frame.
    let test_id = signals.session(key.session, |session| {
        let row = if session.is_live() { "source-row" } else { "ended-row" };
        row.to_owned()
    });
    let severity = signals.read(move |store| worst(&store.troubles(key)).map(severity_key));
    view! {
        <tr
            role="row"
            class="source"
            id=key.anchor()
            tabindex="-1"
            data-testid=test_id
            data-session=session
            data-source=key.source.to_string()
            data-severity=severity
        >
            <SourceName key />
            {Figure::ALL.map(|figure| figure_cell(figure, key))}
        </tr>
    }
}

fn severity_key(trouble: Trouble) -> String {
    Severity::key(trouble.severity()).into()
}

#[component]
fn SourceName(
    /// Whose.
    key: RowKey,
) -> impl IntoView {
    let signals = signals();
    view! {
        <th role="rowheader" scope="row">
            <span class="source-name">{key.source.to_string()}</span>
            <span class="provider">{signals.source(key, |source| provider_text(source.metrics))}</span>
            <span class="badge">{signals.read(move |store| words(&store.troubles(key)))}</span>
        </th>
    }
}

fn words(troubles: &[Trouble]) -> String {
    let words: Vec<&str> = troubles.iter().map(|trouble| trouble.words()).collect();
    words.join(", ")
}

fn provider_text(metrics: &Metrics) -> String {
    let state = match metrics.provider_state {
        ProviderState::Idle => "idle",
        ProviderState::Running => "running",
        ProviderState::Stalled => "stalled",
        ProviderState::Restarting => "restarting",
        ProviderState::Failed => "failed",
    };
    let Metrics { provider, model_id, .. } = metrics;
    if model_id.is_empty() { format!("{provider}, {state}") } else { format!("{provider} {model_id}, {state}") }
}

fn figure_cell(figure: Figure, key: RowKey) -> impl IntoView {
    let signals = signals();
    let raw = signals.source(key, move |source| figure.raw(source.metrics));
    let value = signals.source(key, move |source| figure.value(source.metrics));
    let note = signals.source(key, move |source| figure.note(source.metrics));
    view! {
        <td role="cell" data-label=figure.heading() data-figure=figure.name() data-value=raw>
            <span class="value">{value}</span>
            <span class="note">{note}</span>
            {figure.column().map(|_| chart(figure, key))}
        </td>
    }
}

/// The last minutes of a figure. The cell's text says what matters, so readers by ear skip it.
fn chart(figure: Figure, key: RowKey) -> impl IntoView {
    let signals = signals();
    let scale = signals.picture(key, move |source| figure.scale_text(source));
    view! {
        <svg
            class="sparkline"
            aria-hidden="true"
            preserveAspectRatio="none"
            viewBox=format!("0 -4 {HISTORY_TICKS} {}", HEIGHT + 8)
        >
            <title>{scale}</title>
            <path class="limit" d=signals.picture(key, move |source| limit_line(figure, source)) />
            <path class="line" d=signals.picture(key, move |source| sparkline(figure, source)) />
        </svg>
    }
}
