use super::element::Node;
use super::notices::Status;
use super::watch::Crossed;
use crate::plot::{count, millis};
use crate::state::{Page, Place, SessionKey, Severity, Standing, View, in_trouble, name_of};

/// What is named before the rest is only counted.
const NAMED_MAX: usize = 12;
const LINE: &str = r#"<a data-part></a><span data-part></span><span class="aside" data-part></span>"#;

/// The line that says how everything stands, on every page.
#[derive(Debug)]
pub(super) struct Health {
    line: Node,
    parts: Vec<Node>,
}

/// What needs attention first.
#[derive(Debug)]
pub(super) struct Attention {
    list: Node,
    lines: Vec<(Node, Vec<Node>)>,
    none: Node,
    more: Node,
}

impl Health {
    pub(super) fn find() -> Self {
        let line = Node::by_id("health");
        let parts = line.parts();
        Self { line, parts }
    }

    pub(super) fn paint(&mut self, view: &View<'_>, place: &Place, status: &Status, is_file: bool, crossed: usize) {
        let data = match (place.span.until_ms, status.age) {
            (Some(_), _) => "of the moment shown".into(),
            (None, _) if is_file => "of the recording".into(),
            (None, Some(age)) => [&count(age), " s old"].concat(),
            (None, None) => "current".into(),
        };
        let is_old = is_old(status, place, is_file);
        let Some(state) = view.state else {
            self.line.set("data-severity", "unknown");
            let words = missing_text(view);
            let texts = [words, "", "", "", "", ""];
            return self.parts.iter_mut().zip(texts).for_each(|(part, text)| part.text(text));
        };
        let standing = Standing::of(state);
        let server = state.server();
        let severity = match () {
            () if is_old => "unknown",
            () if standing.alarms > 0 || crossed > 0 => Severity::Alarm.key(),
            () if standing.cautions > 0 => Severity::Caution.key(),
            () => Severity::Well.key(),
        };
        self.line.set("data-severity", severity);
        let told = |name: &str, figure: String| [name, " ", &figure].concat();
        let verdict = if is_old { "It is not known how things stand now.".into() } else { verdict(&standing, crossed) };
        let texts = [
            verdict,
            told("Sessions", sessions_text(&standing)),
            told("Drops", [&count(standing.dropped), "/s"].concat()),
            told("Tick lag", millis(server.tick_lag_ms)),
            told("Viewers", count(server.viewers)),
            told("Data", data),
        ];
        self.parts.iter_mut().zip(&texts).for_each(|(part, text)| part.text(text));
    }
}

/// Whether what is shown as now is not.
pub(super) fn is_old(status: &Status, place: &Place, is_file: bool) -> bool {
    status.age.is_some() && !is_file && place.span.until_ms.is_none()
}

/// Why there is nothing to show of a moment.
pub(super) fn missing_text(view: &View<'_>) -> &'static str {
    match () {
        () if view.ticks.newest() == 0 => "Waiting for the first figures.",
        () if view.row < view.oldest => "This moment is not held any more.",
        () => "Of this moment no frame was received.",
    }
}

fn verdict(standing: &Standing, crossed: usize) -> String {
    let troubled = standing.cautions + standing.alarms;
    let limits = match crossed {
        0 => "",
        1 => " A threshold is crossed.",
        _ => " Thresholds are crossed.",
    };
    let words = match (troubled, standing.sessions()) {
        (0, 0) => "No session is live.".into(),
        (0, 1) => "The session keeps up.".into(),
        (0, all) => ["All ", &count(all as u64), " sessions keep up."].concat(),
        (some, all) => [&count(some as u64), " of ", &count(all as u64), " sessions need attention."].concat(),
    };
    words + limits
}

fn sessions_text(standing: &Standing) -> String {
    let [well, cautions, alarms] = [standing.well, standing.cautions, standing.alarms].map(|held| count(held as u64));
    [&well, " well, ", &cautions, " caution, ", &alarms, " alarm"].concat()
}

impl Attention {
    pub(super) fn find() -> Self {
        let [list, none, more] = ["attention", "attention-none", "attention-more"].map(Node::by_id);
        Self { list, lines: Vec::new(), none, more }
    }

    pub(super) fn paint(&mut self, view: &View<'_>, place: &Place, crossed: &[Crossed], is_old: bool) {
        let rows = view.state.map(in_trouble).unwrap_or_default();
        let all = crossed.len() + rows.len();
        self.list.show(all > 0);
        self.none.show(all == 0);
        self.none.text(match () {
            () if view.state.is_none() => missing_text(view),
            () if is_old => "Nothing needed attention in the newest figures, which are old.",
            () => "Nothing needs attention: every source keeps up and no threshold is crossed.",
        });
        self.more.text(&match all.saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => ["And ", &count(more as u64), " more, on the page Sessions."].concat(),
        });
        let limits = crossed.iter().map(|crossed| {
            let note = "beyond its threshold".to_owned();
            (crossed.title.clone(), crossed.target.clone(), note, crossed.figure.clone(), Severity::Alarm)
        });
        let sources = rows.iter().map(|row| {
            let key = SessionKey { tag: view.tag, id: row.session.id() };
            let source = row.source.as_ref().map(|source| source.source().to_string()).unwrap_or_default();
            let name = [name_of(row.session.identity()), " · ", &source].concat();
            let words = row.trouble.map_or("", |trouble| trouble.words()).to_owned();
            let since = view
                .events
                .since(key, row.source.map(|source| source.source()), view.row)
                .map(super::events::time_of_day);
            let since = since.map(|time| ["since ", &time].concat()).unwrap_or_default();
            (name, place.with(Page::Session(key)).fragment(), words, since, row.severity())
        });
        let told: Vec<_> = limits.chain(sources).take(NAMED_MAX).collect();
        while self.lines.len() < told.len() {
            let node = Node::made("li", "", &self.list);
            node.fill(LINE);
            let parts = node.parts();
            self.lines.push((node, parts));
        }
        for (place, (node, parts)) in self.lines.iter_mut().enumerate() {
            let line = told.get(place);
            node.show(line.is_some());
            let (Some((name, target, words, note, severity)), [link, said, aside]) = (line, parts.as_mut_slice())
            else {
                continue;
            };
            node.set("data-severity", severity.key());
            link.text(name);
            link.set("href", target);
            said.text(words);
            aside.text(note);
        }
    }
}
