//! Each peer by Tachograph.

use bench_shared::table::Table;

use super::{Column, Entry, Role, figure};

pub(super) const EXPLANATION: &str = "A library's figure divided by Tachograph's: above 1, Tachograph is better. The \
    best peer of each column is bold. Histograms for one owner are not peers: no other thread can record into them \
    or read them, and they have no labels.";

pub(super) fn table(reference: &Entry, entries: &[Entry], columns: &[Column]) -> Table {
    let mut table = Table::new("library ÷ Tachograph", columns.iter().map(|column| column.title.clone()));
    for entry in entries.iter().filter(|entry| entry.role != Role::Reference) {
        table.row(entry.name.to_owned(), columns.iter().map(|column| cell(reference, entry, entries, column)));
    }
    let names = columns.iter().map(|column| best_peer(entries, &column.figure).map_or("–", |(peer, _)| peer.name));
    table.row("best peer".to_owned(), names.map(str::to_owned));
    table
}

fn cell(reference: &Entry, entry: &Entry, entries: &[Entry], column: &Column) -> String {
    let Some(own) = (column.figure)(reference) else { return "–".to_owned() };
    let Some(value) = (column.figure)(entry) else { return "–".to_owned() };
    let ratio = ratio(value, own);
    let best = best_peer(entries, &column.figure).is_some_and(|(peer, _)| std::ptr::eq(peer, entry));
    if best { format!("**{ratio}**") } else { ratio }
}

fn ratio(value: f64, own: f64) -> String {
    if own > 0.0 {
        figure(value / own)
    } else if value > 0.0 {
        "∞".to_owned()
    } else {
        "1.00".to_owned()
    }
}

/// The peer with the lowest figure.
pub(super) fn best_peer<'a>(entries: &'a [Entry], figure: &dyn Fn(&Entry) -> Option<f64>) -> Option<(&'a Entry, f64)> {
    let peers = entries.iter().filter(|entry| entry.role == Role::Peer);
    peers.filter_map(|peer| Some((peer, figure(peer)?))).min_by(|(_, a), (_, b)| a.total_cmp(b))
}
