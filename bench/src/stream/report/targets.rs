//! What the stream means to reach, and whether it does.

use bench_shared::table::{Table, figure};

use super::grouped;
use crate::Findings;
use crate::bytes::Sizes;
use crate::dataset::Mix;
use crate::speed::Speeds;
use crate::viewers::{Transport, Viewing};

const CHURN: f64 = 0.4;
const VIEWERS: usize = 10_000;

/// A figure against its limit.
struct Target {
    aim: &'static str,
    /// The figure with its unit, and whether it is within the limit; None if it was not measured.
    reached: Option<(String, bool)>,
    /// Where the figure is from, or what is known of why it is not reached.
    remark: String,
}

pub(super) fn table(findings: &Findings) -> Table {
    let mut table = Table::of_text("target", ["reached", "met", "remark"].map(str::to_owned));
    let groups = [sizes(findings), speeds(findings), viewers(findings), vec![arrival(findings)], vec![hour(findings)]];
    for Target { aim, reached, remark } in groups.into_iter().flatten() {
        let (reached, met) = match reached {
            Some((reached, met)) => (reached, if met { "yes" } else { "no" }),
            None => ("–".to_owned(), "not measured"),
        };
        table.row(aim.to_owned(), [reached, met.to_owned(), remark]);
    }
    table
}

/// The largest of all sizes, with keyframes.
fn sizes(findings: &Findings) -> Vec<Target> {
    let target = |mix, aim| {
        let all = findings.bytes.iter().flat_map(|bytes| &bytes.sizes);
        let wanted = all.filter(|sizes| sizes.shape.mix == mix && sizes.shape.churn == CHURN);
        let worst = wanted.max_by(|one, other| one.a_sample().raw.total_cmp(&other.a_sample().raw));
        Target {
            aim,
            reached: worst.map(|sizes| at_most(sizes.a_sample().raw, 1.0, "bytes")),
            remark: worst.map_or_else(String::new, |sizes| size_remark(findings, sizes)),
        }
    };
    vec![
        target(Mix::Scalars, "≤ 1.0 byte a sample at 40 %, uncompressed, counters and gauges"),
        target(Mix::Mixed, "… with histograms, each bucket a sample"),
    ]
}

/// What the bytes are for.
fn size_remark(findings: &Findings, sizes: &Sizes) -> String {
    let series = grouped(sizes.shape.series);
    let each = figure(sizes.with_keyframes().raw);
    let parts = format!("at {series} series, the worst; {each} bytes a series of {} samples", figure(sizes.figures));
    if sizes.shape.mix != Mix::Mixed {
        return parts;
    }
    let kinds = findings.bytes.iter().flat_map(|bytes| &bytes.kinds).filter(|kind| kind.shape.churn == CHURN);
    // A changed one of each kind, so that the shares of the mix do not matter.
    let each =
        kinds.map(|kind| format!("{} {} bytes a change", kind.shape.mix.name(), figure(kind.deltas.raw / CHURN)));
    format!("{parts}; {}", each.collect::<Vec<_>>().join(", "))
}

/// Which figure of a shape, such as that of decoding in wasm.
type Rate = fn(&Speeds) -> Option<f64>;

fn speeds(findings: &Findings) -> Vec<Target> {
    let rates: [(&'static str, Rate, f64); 6] = [
        ("encode ≥ 300 M series/s at 40 %, native, counters and gauges", |speed| Some(speed.native.encode), 300.0),
        ("… from columns", |speed| Some(speed.native.columns), 300.0),
        ("decode ≥ 300 M series/s at 40 %, native, counters and gauges", |speed| Some(speed.native.decode), 300.0),
        ("encode ≥ 100 M series/s at 40 %, wasm, counters and gauges", |speed| Some(speed.wasm?.encode), 100.0),
        ("… from columns", |speed| Some(speed.wasm?.columns), 100.0),
        ("decode ≥ 100 M series/s at 40 %, wasm, counters and gauges", |speed| Some(speed.wasm?.decode), 100.0),
    ];
    rates.map(|(aim, rate, limit)| speed(findings, aim, rate, limit)).into()
}

/// The slower of the sizes; beside it the kinds alone and mixed, and how many of all shapes reach it.
fn speed(findings: &Findings, aim: &'static str, rate: Rate, limit: f64) -> Target {
    let all: Vec<&Speeds> = findings.speed.iter().flat_map(|speed| &speed.speeds).collect();
    let slower = |mix| {
        let wanted = all.iter().filter(|speed| speed.shape.mix == mix && speed.shape.churn == CHURN);
        let rates = wanted.filter_map(|speed| Some((rate(speed)?, speed.shape.series)));
        rates.min_by(|(one, _), (other, _)| one.total_cmp(other))
    };
    let Some((reached, series)) = slower(Mix::Scalars) else {
        return Target { aim, reached: None, remark: String::new() };
    };
    let kinds = Mix::KINDS
        .into_iter()
        .chain([Mix::Mixed])
        .filter_map(|mix| Some(format!("{} {} M", mix.name(), figure(slower(mix)?.0))));
    let main: Vec<f64> =
        all.iter().filter(|speed| Mix::MAIN.contains(&speed.shape.mix)).filter_map(|speed| rate(speed)).collect();
    let remark = format!(
        "at {} series, the slower size; {}; {} of all {} churns, sizes and mixes reach it",
        grouped(series),
        kinds.collect::<Vec<_>>().join(", "),
        main.iter().filter(|rate| **rate >= limit).count(),
        main.len(),
    );
    Target { aim, reached: Some((format!("{} M", figure(reached)), reached >= limit)), remark }
}

fn viewers(findings: &Findings) -> Vec<Target> {
    let viewings = findings.viewers.iter().flatten().flat_map(|viewers| viewers.viewings.iter().flatten());
    let wanted = |viewing: &&Viewing| viewing.viewers == VIEWERS && viewing.transport == Transport::Frames;
    let viewing = viewings.into_iter().find(wanted);
    let delivered = viewing.map(|viewing| {
        let (text, is_within) = at_most(viewing.last.most(), 500.0, "ms");
        (text, is_within && viewing.missing == 0)
    });
    let cpu = |viewing: &Viewing| {
        let (server, bench) = (figure(viewing.server_cpu), figure(viewing.bench_cpu));
        let missing = if viewing.missing > 0 { format!("; {} are missing", viewing.missing) } else { String::new() };
        format!(
            "the worst tick; of a core the server takes {server} %, the viewers on the same cores {bench} %{missing}"
        )
    };
    vec![
        Target {
            aim: "10,000 viewers: each tick at the last one within 500 ms",
            reached: delivered,
            remark: viewing.map_or_else(String::new, cpu),
        },
        Target {
            aim: "≤ 12,288 bytes of server memory an idle viewer",
            reached: viewing.map(|viewing| at_most(viewing.bytes_each.round(), 12_288.0, "bytes")),
            remark: String::new(),
        },
    ]
}

fn arrival(findings: &Findings) -> Target {
    let delays = findings.arrival.iter().flatten().map(|arrival| &arrival.delays).next();
    Target {
        aim: "event to arrival in the page ≤ 1.1 s, worst",
        reached: delays.map(|delays| at_most(delays.most() / 1e3, 1.1, "s")),
        remark: delays.map_or_else(String::new, |delays| format!("of {} events", delays.count())),
    }
}

fn hour(findings: &Findings) -> Target {
    Target {
        aim: "an hour of 1,000 series at 40 % ≤ 6 MB",
        reached: findings.bytes.as_ref().map(|bytes| at_most(bytes.hour.raw / 1e6, 6.0, "MB")),
        remark: findings.bytes.as_ref().map_or_else(String::new, |bytes| {
            format!("mixed, uncompressed, really encoded; compressed {} MB", figure(bytes.hour.zstd / 1e6))
        }),
    }
}

fn at_most(value: f64, limit: f64, unit: &str) -> (String, bool) {
    (format!("{} {unit}", figure(value)), value <= limit)
}
