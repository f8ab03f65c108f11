use tachograph_core::wire::SessionPhase;
use tachograph_core::wire::frame::{Cell, SessionView};

use super::cards::{Cards, Item};
use super::element::Node;
use super::events::{EventList, Wanted};
use crate::plot::{count, duration, exact, millis};
use crate::state::{Chart, Noted, Place, SessionKey, Severity, Subject, View, name_of, worst};

/// The charts of a session, with what they are called.
pub(super) const CHARTS: [(Cell, &str); 11] = [
    (Cell::QueueFillRatio, "Queue fill"),
    (Cell::BacklogSeconds, "Backlog"),
    (Cell::AvgInferMs, "Inference, mean of 10 chunks"),
    (Cell::InferP50Ms, "Inference p50, 100 chunks"),
    (Cell::InferP99Ms, "Inference p99, 100 chunks"),
    (Cell::RealtimeFactor, "Realtime factor"),
    (Cell::DroppedRecent, "Frames dropped in the tick"),
    (Cell::DegradeLevel, "Ladder level, 1 normal to 5 failover"),
    (Cell::VoiceRatio, "Voice"),
    (Cell::AvgProcessingMs, "Processing with waiting"),
    (Cell::SourceClockSpreadMs, "Clock spread"),
];

/// The page of one session.
pub(super) struct SessionPage {
    title: Node,
    state: Node,
    facts: Node,
    facts_held: Vec<[Node; 3]>,
    pub(super) cards: Cards,
    receipt: Node,
    receipt_table: Node,
    receipt_of: Option<SessionKey>,
    events: EventList,
}

impl SessionPage {
    pub(super) fn find() -> Self {
        Self {
            title: Node::by_id("title-session"),
            state: Node::by_id("session-state"),
            facts: Node::by_id("session-facts"),
            facts_held: Vec::new(),
            cards: Cards::find("session-grid"),
            receipt: Node::by_id("receipt"),
            receipt_table: Node::by_id("receipt-table"),
            receipt_of: None,
            events: EventList::find("session-events", "session-events-none", "", ""),
        }
    }

    pub(super) fn sync(&mut self, key: SessionKey) {
        let chart = |(cell, title): (Cell, &str)| Item::chart(Chart::of(Subject::Session(key, cell)), title, "");
        self.cards.sync(CHARTS.map(chart).into());
    }

    pub(super) fn paint(&mut self, view: &View<'_>, place: &Place, key: SessionKey) {
        let session = view.state.filter(|_| view.tag == key.tag).and_then(|state| state.session_view(key.id));
        let told = view.events.newest().find(|noted| noted.key == Some(key));
        let name = match (&session, told) {
            (Some(session), _) => name_of(session.identity()).to_owned(),
            (None, Some(noted)) => noted.session(),
            (None, None) => ["session ", &key.id.to_string()].concat(),
        };
        self.title.text(&name);
        let facts = match &session {
            None => Vec::new(),
            Some(session) => {
                let id = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".into());
                let identity = session.identity();
                let mut facts = vec![
                    ("Age", duration(session.age_seconds())),
                    ("Ticks sent", count(session.ticks_sent())),
                    ("Ticks replaced", count(session.ticks_conflated())),
                    ("Ticks missed", count(session.ticks_missed())),
                    ("Attempt", id(&identity.attempt_id)),
                    ("Connection", id(&identity.connection_id)),
                ];
                for source in session.sources() {
                    let figure = |cell| source.cell(cell).unwrap_or_default();
                    let spread = millis(figure(Cell::SourceClockSpreadMs));
                    facts.push(("Source", source.source().to_string()));
                    facts.push(("Provider", [source.provider(), " ", source.model_id()].concat()));
                    facts.push(("Received", crate::plot::bytes(figure(Cell::BytesReceived))));
                    facts.push(("Chunks", count(figure(Cell::TotalChunksProcessed) as u64)));
                    facts.push(("Clock spread", spread));
                }
                facts
            }
        };
        self.paint_facts(&facts);
        let trouble = session.iter().flat_map(SessionView::sources).filter_map(|source| worst(&source));
        let trouble = trouble.max_by_key(|trouble| trouble.severity());
        let (words, severity) = match (&session, trouble) {
            (None, _) if view.state.is_none() => ("no frame of this moment", Severity::Well),
            (None, _) => ("not live at this moment", Severity::Well),
            (Some(_), Some(trouble)) => (trouble.words(), trouble.severity()),
            (Some(session), None) if session.phase() == SessionPhase::Draining => ("draining", Severity::Well),
            (Some(_), None) => ("keeps up", Severity::Well),
        };
        self.state.text(words);
        self.state.set("data-severity", severity.key());
        self.paint_receipt(view, key);
        self.events.paint(view, place, Wanted { words: "", session: Some(key) });
    }

    fn paint_facts(&mut self, facts: &[(&'static str, String)]) {
        while self.facts_held.len() < facts.len() {
            let pair = Node::made("div", "", &self.facts);
            let [name, value] = ["dt", "dd"].map(|tag| Node::made(tag, "", &pair));
            self.facts_held.push([pair, name, value]);
        }
        for (place, [pair, name, value]) in self.facts_held.iter_mut().enumerate() {
            pair.show(place < facts.len());
            let (title, figure) = facts.get(place).map_or(("", ""), |(title, figure)| (*title, figure.as_str()));
            name.text(title);
            value.text(figure);
        }
    }

    /// A receipt does not change.
    fn paint_receipt(&mut self, view: &View<'_>, key: SessionKey) {
        let found = view
            .events
            .newest()
            .filter(|noted| noted.key == Some(key) && noted.row <= view.row)
            .find_map(Noted::receipt);
        self.receipt.show(found.is_some());
        let Some(receipt) = found.filter(|_| self.receipt_of != Some(key)) else { return };
        self.receipt_of = Some(key);
        self.receipt_table.clear();
        let mut rows = Vec::new();
        flatten("", receipt, &mut rows);
        for (name, value) in rows {
            let row = Node::made("tr", "", &self.receipt_table);
            for (tag, text) in [("th", name), ("td", value)] {
                Node::made(tag, "", &row).text(&text);
            }
        }
    }
}

/// What a value says, a line a figure.
fn flatten(name: &str, value: &serde_json::Value, out: &mut Vec<(String, String)>) {
    use serde_json::Value;
    let inner = |key: &str| {
        if name.is_empty() { key.replace('_', " ") } else { [name, " · ", &key.replace('_', " ")].concat() }
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| flatten(&inner(key), value, out)),
        Value::Array(values) => {
            for (number, value) in values.iter().enumerate() {
                let own = value.get("source").and_then(Value::as_str).map(String::from);
                flatten(&inner(&own.unwrap_or_else(|| (number + 1).to_string())), value, out);
            }
        }
        Value::String(text) => out.push((name.into(), text.clone())),
        Value::Number(number) => out.push((name.into(), exact(number.as_f64().unwrap_or_default(), ""))),
        Value::Bool(is) => out.push((name.into(), if *is { "yes" } else { "no" }.into())),
        Value::Null => out.push((name.into(), "–".into())),
    }
}
