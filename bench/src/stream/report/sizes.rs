//! Bytes a series and a sample.

use bench_shared::table::{Table, figure};

use super::{grouped, percent};
use crate::bytes::{CHURNS, Findings, HOUR_SERIES, HOUR_TICKS, KIND_SERIES, SIZES, Size, Sizes, ticks};
use crate::dataset::{FAMILY_SERIES, HISTOGRAM_HISTORY, Mix};
use bench_shared::command::Effort;

pub(super) fn section(findings: &Findings) -> String {
    let mut parts = vec![format!("## Bytes\n\n{}", explanation())];
    for mix in Mix::MAIN {
        for series in SIZES {
            parts.push(format!("### {}, {} series", capitalised(mix.name()), grouped(series)));
            parts.push(size_table(&of(findings, mix, series)).render());
        }
    }
    parts.push(format!(
        "### By kind, {} series of one alone\n\n{}",
        grouped(KIND_SERIES),
        kind_table(findings).render()
    ));
    parts.push(format!("### Keyframes and schema\n\n{}", keyframe_table(findings).render()));
    let hour = findings.hour;
    parts.push(format!(
        "An hour of {} series, mixed, at 40 %, as a file of {} ticks with keyframes: {} MB, each record compressed \
         {} MB.",
        grouped(HOUR_SERIES),
        grouped(HOUR_TICKS),
        figure(hour.raw / 1e6),
        figure(hour.zstd / 1e6),
    ));
    parts.join("\n\n")
}

fn explanation() -> String {
    let full = |series| ticks(series, Effort::Full);
    format!(
        "Bytes that a series takes a tick, changed or not, as they are and compressed; the percentage is the share of \
         series that change each tick, each time others. A sample is a figure at a tick: a counter's total, a gauge's \
         figure, each bucket of a histogram that is not empty and its sum, which other formats send as a sample \
         each.\n\n\
         - The series are those of a registry of this library, in families of up to {FAMILY_SERIES} with two labels, \
         `method` and `route`, and the same in each run.\n\
         - Mixed: 70 % counters, half of which grow by 1 to 20 when they change and half by a log-normal amount with \
         a median of 300; 20 % gauges, half of them whole numbers that walk by 1 to 5, 30 % with three decimals, 20 % \
         any floats; 10 % histograms without bounds, which take in 1 to 4 log-normal values a change.\n\
         - Counters begin at a log-normal total with a median of 20,000; histograms hold {HISTOGRAM_HISTORY} values \
         already, so that they have the buckets of a service that runs.\n\
         - Measured over {} ticks, {} at {} series, after a first one.\n\
         - Tachograph says what changed, with a keyframe, which says all of it, where the deltas since the one before \
         are twelve times as long, or after 300 ticks. The others say all of it each tick, which is what they do.\n\
         - Counters and gauges are those of the mix without its histograms.\n\
         - Compressed means zstd at level 3, each frame by itself, without a dictionary.\n\
         - Prometheus text has classic histograms with a bound for each bucket that is not empty, Prometheus \
         protobuf native ones, OTLP exponential ones; all at scale 6.",
        full(SIZES[0]),
        full(SIZES[2]),
        grouped(SIZES[2]),
    )
}

fn of(findings: &Findings, mix: Mix, series: usize) -> Vec<&Sizes> {
    let wanted = |sizes: &&Sizes| sizes.shape.mix == mix && sizes.shape.series == series;
    findings.sizes.iter().filter(wanted).collect()
}

/// A row a format, two columns a churn.
fn size_table(sizes: &[&Sizes]) -> Table {
    let titles = CHURNS.map(percent).into_iter().flat_map(|churn| [churn.clone(), format!("{churn}, zstd")]);
    let mut table = Table::new("bytes a series and tick", titles);
    row(&mut table, "**Tachograph**", sizes, Sizes::with_keyframes);
    row(&mut table, "… a sample", sizes, Sizes::a_sample);
    row(&mut table, "… without keyframes", sizes, |sizes| sizes.deltas);
    let peers = sizes.first().map_or(&[][..], |sizes| &sizes.peers);
    for (place, (name, _)) in peers.iter().enumerate() {
        row(&mut table, name, sizes, |sizes| sizes.peers[place].1);
    }
    table
}

fn row(table: &mut Table, name: &str, sizes: &[&Sizes], size: impl Fn(&Sizes) -> Size) {
    let cells = sizes.iter().map(|sizes| size(sizes)).flat_map(|size| [size.raw, size.zstd]);
    table.row(name.to_owned(), cells.map(precise).collect::<Vec<_>>());
}

/// Tachograph's deltas alone.
fn kind_table(findings: &Findings) -> Table {
    let titles = CHURNS.map(percent).into_iter().flat_map(|churn| [churn.clone(), format!("{churn}, zstd")]);
    let mut table = Table::new("bytes a series and tick, without keyframes", titles);
    for mix in Mix::KINDS {
        let sizes: Vec<&Sizes> = findings.kinds.iter().filter(|sizes| sizes.shape.mix == mix).collect();
        row(&mut table, mix.name(), &sizes, |sizes| sizes.deltas);
    }
    table
}

fn keyframe_table(findings: &Findings) -> Table {
    let titles = ["keyframe", "keyframe, zstd", "schema", "schema, zstd"].map(str::to_owned);
    let mut table = Table::new("bytes a series", titles);
    for sizes in findings.sizes.iter().filter(|sizes| sizes.shape.churn == CHURNS[2]) {
        let (keyframe, schema) = (sizes.keyframe, sizes.schema);
        let cells = [keyframe.raw, keyframe.zstd, schema.raw, schema.zstd].map(figure);
        table.row(format!("{}, {}", sizes.shape.mix.name(), grouped(sizes.shape.series)), cells);
    }
    table
}

/// Three decimals where it is below one byte.
fn precise(value: f64) -> String {
    if value < 1.0 { format!("{value:.3}") } else { figure(value) }
}

fn capitalised(text: &str) -> String {
    text[..1].to_uppercase() + &text[1..]
}
