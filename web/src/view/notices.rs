use tachograph_core::wire::frame::FrameError;

use super::element::Node;
use crate::plot::{bytes, count};
use crate::signals::Signals;
use crate::state::{Connection, View};

const PAGE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the reader has to know before trusting the figures, each there only while it applies.
pub(super) struct Notices {
    connection: Node,
    connection_parts: Vec<Node>,
    unreadable: Node,
    version: Node,
    file: Node,
    file_parts: Vec<Node>,
    told: Node,
}

/// How the connection stands.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Status {
    pub(super) connection: Connection,
    /// How old the figures are, in seconds, while that is worth telling.
    pub(super) age: Option<u64>,
    /// Messages that could not be read.
    pub(super) unreadable: u64,
}

impl Status {
    pub(super) fn of(signals: Signals) -> Self {
        Self { connection: signals.connection(), age: signals.staleness(), unreadable: signals.unreadable() }
    }
}

impl Notices {
    pub(super) fn find() -> Self {
        let (connection, file) = (Node::by_id("notice-connection"), Node::by_id("notice-file"));
        Self {
            connection_parts: connection.parts(),
            connection,
            unreadable: Node::by_id("notice-unreadable"),
            version: Node::by_id("notice-version"),
            file_parts: file.parts(),
            file,
            told: Node::by_id("notice-told"),
        }
    }

    pub(super) fn paint(
        &mut self,
        status: &Status,
        view: &View<'_>,
        file: Option<&(String, usize, Option<FrameError>)>,
        said: Option<&str>,
    ) {
        let connection = status.connection;
        let explanation = connection.explanation().filter(|_| file.is_none());
        self.connection.show(explanation.is_some());
        let age = status.age.map(|age| [" The figures are ", &count(age), " s old."].concat());
        if let [words, button] = self.connection_parts.as_mut_slice() {
            words.text(&(explanation.unwrap_or_default() + &age.unwrap_or_default()));
            button.show(matches!(connection, Connection::Reconnecting { .. }));
        }
        self.file.show(file.is_some());
        if let (Some((name, read, fault)), [words, ..]) = (file, self.file_parts.as_mut_slice()) {
            words.text(&file_text(view, name, *read, fault.as_ref()));
        }
        let unreadable = status.unreadable;
        self.unreadable.show(unreadable > 0);
        let text = "Messages of the server that this page could not read: ";
        self.unreadable.text(&[text, &count(unreadable), ". Reload the page."].concat());
        let is_other = !view.version.is_empty() && view.version != PAGE_VERSION && file.is_none();
        self.version.show(is_other);
        let parts = ["The server is version ", view.version, ", this page ", PAGE_VERSION, ". Reload the page."];
        self.version.text(&if is_other { parts.concat() } else { String::new() });
        self.told.show(said.is_some());
        self.told.text(said.unwrap_or_default());
    }
}

fn file_text(view: &View<'_>, name: &str, read: usize, fault: Option<&FrameError>) -> String {
    let ticks = count(view.ticks.taken() as u64);
    let told = ["Recording ", name, ": ", &bytes(read as f64), " read, ", &ticks, " ticks held."].concat();
    match fault {
        None => told,
        Some(_) if view.ticks.newest() == 0 => {
            [name, " is not a recording of Tachograph. Choose a file that it saved."].concat()
        }
        Some(_) => told + " The rest of it cannot be read; what came before is whole.",
    }
}
