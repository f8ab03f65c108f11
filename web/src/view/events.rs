use js_sys::Date;

use super::element::Node;
use crate::plot::count;
use crate::state::{Noted, Page, Place, SessionKey, Severity, View, have_words};

/// The events that are listed.
const LISTED_MAX: usize = 200;
const LINE: &str = r#"<time data-part></time><a class="event-session" data-part></a><span class="event-source" data-part></span><span class="event-words" data-part></span>"#;

/// A list of events, newest first.
#[derive(Debug)]
pub(super) struct EventList {
    list: Node,
    lines: Vec<Line>,
    none: Node,
    told: Node,
    aside: Node,
}

#[derive(Debug)]
struct Line {
    node: Node,
    parts: Vec<Node>,
    /// The event that it shows, by number and time: another stream has other events of the same numbers.
    shown: (u64, f64),
}

/// Which events are listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) words: &'a str,
    pub(super) session: Option<SessionKey>,
}

impl EventList {
    pub(super) fn find(list: &str, none: &str, told: &str, aside: &str) -> Self {
        Self {
            list: Node::by_id(list),
            lines: Vec::new(),
            none: Node::by_id(none),
            told: Node::by_id(told),
            aside: Node::by_id(aside),
        }
    }

    pub(super) fn paint(&mut self, view: &View<'_>, place: &Place, wanted: Wanted<'_>) {
        let fits = |noted: &&Noted| {
            let of_session = wanted.session.is_none_or(|key| noted.key == Some(key));
            of_session && noted.row <= view.row && (wanted.words.is_empty() || has_all(noted, wanted.words))
        };
        let found: Vec<&Noted> = view.events.newest().filter(fits).collect();
        self.none.show(found.is_empty());
        self.list.show(!found.is_empty());
        self.told.text(&[&count(found.len() as u64), " events"].concat());
        self.aside.text(&unlisted_text(view, found.len()));
        let shown = found.len().min(LISTED_MAX);
        while self.lines.len() < shown {
            let mut node = Node::made("li", "", &self.list);
            node.set("data-testid", "event");
            node.fill(LINE);
            let parts = node.parts();
            self.lines.push(Line { node, parts, shown: (0, 0.0) });
        }
        for (number, line) in self.lines.iter_mut().enumerate() {
            let noted = found.get(number).filter(|_| number < shown);
            line.node.show(noted.is_some());
            noted.iter().for_each(|noted| line.paint(noted, place));
        }
    }
}

impl Line {
    /// An event does not change, but a line can become another's.
    fn paint(&mut self, noted: &Noted, place: &Place) {
        if let Some(link) = self.parts.get_mut(1) {
            let target = noted.key.map(|key| place.with(Page::Session(key)).fragment()).unwrap_or_default();
            link.set("href", &target);
        }
        let shown = (noted.number, noted.timestamp);
        if self.shown == shown {
            return;
        }
        self.shown = shown;
        let session = noted.session();
        let source = noted.source().map(|source| source.to_string()).unwrap_or_default();
        self.node.set("data-event", noted.key());
        self.node.set("data-session", &session);
        self.node.set("data-severity", noted.severity().key());
        let texts = [time_of_day(noted.timestamp), session, source, severity_words(noted)];
        self.parts.iter_mut().zip(&texts).for_each(|(part, text)| part.text(text));
    }
}

/// The severity is told by a word, too.
fn severity_words(noted: &Noted) -> String {
    let mark = match noted.severity() {
        Severity::Well => "",
        Severity::Caution => "Caution: ",
        Severity::Alarm => "Alarm: ",
    };
    [mark, &noted.words()].concat()
}

fn has_all(noted: &Noted, words: &str) -> bool {
    let source = noted.source().map(|source| source.to_string()).unwrap_or_default();
    have_words(&[&noted.session(), &source, &severity_words(noted)], words)
}

fn unlisted_text(view: &View<'_>, found: usize) -> String {
    let mut text = String::new();
    let older = found.saturating_sub(LISTED_MAX) as u64 + view.events.let_go();
    if older > 0 {
        text = ["Older events not listed: ", &count(older), "."].concat();
    }
    if view.events.dropped() > 0 {
        text += &[" Events that the server had no room for: ", &count(view.events.dropped()), "."].concat();
    }
    text
}

/// By the reader's own clock: `08:04:59`, of Unix seconds.
pub(super) fn time_of_day(timestamp: f64) -> String {
    let moment = Date::new(&(timestamp * 1_000.0).into());
    let mut text = String::with_capacity(8);
    for (place, part) in [moment.get_hours(), moment.get_minutes(), moment.get_seconds()].into_iter().enumerate() {
        if place > 0 {
            text.push(':');
        }
        text.push(char::from(b'0' + (part / 10) as u8));
        text.push(char::from(b'0' + (part % 10) as u8));
    }
    text
}
