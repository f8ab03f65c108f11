//! Millions of series a second.

use bench_shared::table::{Table, figure, optional};

use super::{grouped, percent};
use crate::dataset::Mix;
use crate::speed::{Findings, SIZES, Speeds, rounds, ticks};
use bench_shared::command::Effort;

pub(super) fn section(findings: &Findings) -> String {
    let mut parts = vec![format!("## Speed\n\n{}", explanation(findings))];
    for mix in [Mix::Mixed, Mix::Scalars, Mix::Counters, Mix::Gauges, Mix::Histograms] {
        let speeds: Vec<&Speeds> = findings.speeds.iter().filter(|speed| speed.shape.mix == mix).collect();
        let name = mix.name();
        parts.push(format!("### Native, {name}\n\n{}", native_table(&speeds).render()));
        if findings.no_wasm.is_none() {
            parts.push(format!("### In Chromium, {name}\n\n{}", wasm_table(&speeds).render()));
        }
    }
    parts.extend(findings.no_wasm.as_ref().map(|reason| format!("In Chromium nothing was measured: {reason}.")));
    parts.join("\n\n")
}

fn explanation(findings: &Findings) -> String {
    let full = rounds(Effort::Full);
    let [few, many] = SIZES;
    let mut lines = vec![
        format!("Million series a second in one thread, changed or not: medians of {full} rounds."),
        format!(
            "\n- A round takes {} consecutive ticks of {} series, {} of {}, of the data above. What it begins with is \
             made outside the time.",
            ticks(few),
            grouped(few),
            ticks(many),
            grouped(many),
        ),
        "- Encode is all that a server does of a tick, from the snapshot that a collector has just taken; encode from \
         columns is what is left of that where the figures stand in columns already: a decoder's, for another reader. \
         The latter is the time of decoding and encoding less that of decoding. A snapshot is 64 bytes a series that \
         are read, and more for a histogram: at 100,000 series that is what encoding waits for."
            .to_owned(),
        "- Decode is into the columns that a page reads.".to_owned(),
        "- Before it is measured, what was decoded is compared with what was encoded.".to_owned(),
        "- JSON and OTLP say all of it each tick; theirs is one tick a round, from the same snapshot and into the \
         structs of serde and prost."
            .to_owned(),
    ];
    if findings.no_wasm.is_none() {
        lines.push(format!(
            "- In Chromium: the same loops as wasm32 by {}, at `opt-level` 3, without SIMD, by the page's clock, whose \
             steps are 5 µs.",
            findings.browser,
        ));
    }
    lines.join("\n")
}

fn native_table(speeds: &[&Speeds]) -> Table {
    let peers = speeds.first().map_or(&[][..], |speed| &speed.peers);
    let peer_titles = peers.iter().flat_map(|(name, ..)| [format!("{name} encode"), format!("{name} decode")]);
    let own = ["encode", "encode from columns", "decode"].map(str::to_owned);
    let mut table = Table::new("million series/s", own.into_iter().chain(peer_titles));
    for speed in speeds {
        let peers = speed.peers.iter().flat_map(|(_, encode, decode)| [*encode, *decode]);
        let own = [speed.native.encode, speed.native.columns, speed.native.decode];
        table.row(title(speed), own.into_iter().chain(peers).map(figure).collect::<Vec<_>>());
    }
    table
}

fn wasm_table(speeds: &[&Speeds]) -> Table {
    let titles = ["encode", "encode from columns", "decode"].map(str::to_owned);
    let mut table = Table::new("million series/s, wasm", titles);
    for speed in speeds {
        let rates = speed.wasm;
        let cells =
            [rates.map(|rates| rates.encode), rates.map(|rates| rates.columns), rates.map(|rates| rates.decode)];
        table.row(title(speed), cells.map(optional));
    }
    table
}

fn title(speed: &Speeds) -> String {
    format!("{} series, {}", grouped(speed.shape.series), percent(speed.shape.churn))
}
