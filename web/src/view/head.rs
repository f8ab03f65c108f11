use super::element::Node;
use crate::state::{Connection, Page, Place};

/// The pages that can be gone to.
const TABS: [&str; 5] = ["overview", "sessions", "metrics", "events", "board"];

/// Where the figures come from, and the way to the pages.
pub(super) struct Head {
    connection: Node,
    connection_parts: Vec<Node>,
    tabs: Vec<Node>,
    main: Node,
}

impl Head {
    pub(super) fn find() -> Self {
        let connection = Node::by_id("connection");
        let connection_parts = connection.parts();
        Self { connection, connection_parts, tabs: Node::by_id("tabs").parts(), main: Node::by_id("main") }
    }

    /// The state by word, shape and colour; there is no connection to tell of while a recording is open.
    pub(super) fn paint(&mut self, place: &Place, origin: Option<Connection>) {
        self.connection.set("data-state", origin.map_or("recording", Connection::key));
        if let [path, word] = self.connection_parts.as_mut_slice() {
            path.set("d", origin.map_or("M3 3h10v10h-10z", shape));
            word.text(origin.map_or("Recording", Connection::word));
        }
        self.main.set("data-page", place.page.key());
        for (tab, key) in self.tabs.iter_mut().zip(TABS) {
            let page = Page::named(key).unwrap_or(Page::Overview);
            tab.set("href", &place.with(page).fragment());
            tab.set("aria-current", if is_within(key, &place.page) { "page" } else { "false" });
        }
    }
}

/// A disc, a ring, a pause sign, a turning arrow.
fn shape(connection: Connection) -> &'static str {
    match connection {
        Connection::Live => "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11z",
        Connection::Connecting => "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12zM8 4.5a3.5 3.5 0 1 1 0 7a3.5 3.5 0 1 1 0-7z",
        Connection::Stale { .. } => "M3.5 2.5h3.5v11h-3.5zM9 2.5h3.5v11h-3.5z",
        Connection::Reconnecting { .. } => "M8 2a6 6 0 1 0 6 6h-2.4a3.6 3.6 0 1 1-3.6-3.6v2.6l4.2-3.8l-4.2-3.7z",
    }
}

fn is_within(tab: &str, page: &Page) -> bool {
    match page {
        Page::Session(_) => tab == "sessions",
        Page::Chart(_) => tab == "metrics",
        page => tab == page.key(),
    }
}
