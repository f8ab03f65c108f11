//! What it costs that a service's own measurements show up.

use bench_shared::machine;
use bench_shared::table::{Table, figure};

use crate::bridge::Bridge;

pub(super) fn section(bridge: &Bridge) -> String {
    let exporter = format!("metrics-exporter-prometheus {}", machine::version("metrics-exporter-prometheus"));
    let axum = machine::version("axum");
    format!(
        "A request to an axum {axum} router of one route, by `oneshot`, without a socket:\n\n{}\n\n\
         A call of the facade `metrics` on one thread, the macro's look-up included, with Tachograph's recorder and \
         with that of {exporter}, whose histograms are upkept between the slices:\n\n{}",
        requests(bridge).render(),
        facade(bridge).render(),
    )
}

fn requests(bridge: &Bridge) -> Table {
    let mut table = Table::new("a request, ns", ["median", "fastest round"].map(str::to_owned));
    for (name, summary) in [("handler", bridge.plain), ("handler with `RequestMetrics`", bridge.counted)] {
        table.row(name.to_owned(), [summary.median, summary.minimum].map(figure));
    }
    table.row("added".to_owned(), [bridge.middleware_ns(), bridge.counted.minimum - bridge.plain.minimum].map(figure));
    table
}

fn facade(bridge: &Bridge) -> Table {
    let titles = ["Tachograph", "exporter", "exporter ÷ Tachograph"].map(str::to_owned);
    let mut table = Table::new("a call, ns", titles);
    for call in &bridge.facade {
        let (own, peer) = (call.own.median, call.peer.median);
        table.row(call.name.to_owned(), [own, peer, peer / own].map(figure));
    }
    table
}
