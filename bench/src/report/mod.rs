//! The document: tables in Markdown.

mod bridge;
mod ratios;
mod targets;

use bench_shared::machine;
use bench_shared::table::{Table, figure, optional};

use crate::bridge::Bridge;
use crate::harness::Effort;
use crate::measure::{COUNTER_SERIES, Entry, HISTOGRAM_SERIES, QUANTILE_VALUES, Setting};
use crate::subjects::{Operation, Role};
use crate::values::{BOUNDS_S, OCTAVES};

/// A figure that a library is compared by; less is better.
struct Column {
    title: String,
    figure: Box<Figure>,
}

type Figure = dyn Fn(&Entry) -> Option<f64>;

impl Column {
    fn new(title: impl Into<String>, figure: impl Fn(&Entry) -> Option<f64> + 'static) -> Self {
        Self { title: title.into(), figure: Box::new(figure) }
    }

    fn time(title: impl Into<String>, operation: Operation, setting: Setting) -> Self {
        Self::new(title, move |entry| entry.times.get(&(operation, setting)).map(|summary| summary.median))
    }
}

/// All of it.
pub fn document(entries: &[Entry], bridge: &Bridge, threads: usize, effort: Effort) -> String {
    let columns = columns(threads);
    let mut sections = vec![
        format!("# Benchmarks\n\n{}", introduction(threads, effort)),
        format!("## Figures\n\n{}\n\n{}", main_table(entries, &columns).render(), legend(entries)),
    ];
    if let Some(reference) = entries.iter().find(|entry| entry.role == Role::Reference) {
        let ratios = ratios::table(reference, entries, &columns).render();
        let targets = targets::table(reference, entries, bridge, threads).render();
        sections.push(format!("## Ratios\n\n{}\n\n{ratios}", ratios::EXPLANATION));
        sections.push(format!("## Targets\n\n{targets}"));
    }
    sections.push(format!("## What a service measures already\n\n{}", bridge::section(bridge)));
    sections.push(format!("## All threads\n\n{}", setting_table(entries, threads).render()));
    sections.push(format!("## Fastest rounds\n\n{}", minimum_table(entries).render()));
    sections.push(format!("## Errors of quantiles\n\n{}", error_table(entries).render()));
    sections.join("\n\n") + "\n"
}

fn introduction(threads: usize, effort: Effort) -> String {
    let Effort { rounds, slice } = effort;
    let slice = slice.as_millis();
    let [processor, compiler, date] = [machine::processor(), machine::compiler(), machine::date()];
    let cores = machine::cores();
    format!(
        "Tachograph's instruments beside those of other libraries, measured by `bench/` on {date}: {processor}, {cores} \
         cores, {compiler}, optimised with thin link-time optimisation in one codegen unit, for the processor's \
         baseline.\n\n\
         - Times are nanoseconds an operation as each thread sees them: the median of {rounds} rounds. In each round \
         every library has one slice of {slice} ms, one after the other, so that noise meets all alike.\n\
         - A loop does eight operations an iteration and hides its handles from the optimiser once an iteration, for \
         all libraries alike. \"In turn\" uses eight handles, the other columns one; labels come in turn.\n\
         - With {threads} threads, all start at the same moment and update the same series or a series each.\n\
         - Values are log-normal over {OCTAVES} octaves. Libraries that need bounds have {} of them, Prometheus' \
         default for latencies.\n\
         - Bytes are allocated less freed, in requested sizes: of {COUNTER_SERIES} counter series with one label, \
         and of {HISTOGRAM_SERIES} histogram series after values in all parts of {OCTAVES} octaves; first touched \
         by one thread, then by one more.\n\
         - Errors are those of p50, p90, p99 and p99.9 against {QUANTILE_VALUES} sorted values.\n\
         - The floors are what the processor takes for an update without a library around it.",
        BOUNDS_S.len(),
    )
}

fn columns(threads: usize) -> Vec<Column> {
    use Operation::{BoundLabelled, CounterInTurn, CounterInc, DynamicLabels, EnumLabelled, GaugeSet, HistogramRecord};
    use Setting::{DifferentSeries, OneThread, SameSeries};
    vec![
        Column::time("counter inc", CounterInc, OneThread),
        Column::time("counter inc, in turn", CounterInTurn, OneThread),
        Column::time("bound labelled", BoundLabelled, OneThread),
        Column::time("enum labelled", EnumLabelled, OneThread),
        Column::time("dynamic labels", DynamicLabels, OneThread),
        Column::new("allocations", |entry| entry.allocations),
        Column::time("gauge set", GaugeSet, OneThread),
        Column::time("histogram record", HistogramRecord, OneThread),
        Column::time(format!("counter inc, {threads} threads, same series"), CounterInc, SameSeries),
        Column::time(format!("{threads} threads, different series"), CounterInc, DifferentSeries),
        Column::time(format!("histogram record, {threads} threads, same series"), HistogramRecord, SameSeries),
        Column::new("snapshot 100k (ms)", |entry| entry.snapshot.map(|summary| summary.median)),
        Column::new("text (ns a line)", |entry| entry.text.map(|summary| summary.median)),
        Column::new("protobuf (ns a series)", |entry| entry.protobuf.map(|summary| summary.median)),
        Column::new("bytes a series", |entry| entry.counter_bytes.map(|bytes| bytes.first)),
        Column::new("+ a further thread", |entry| entry.counter_bytes?.further),
        Column::new("histogram bytes", |entry| entry.histogram_bytes.map(|bytes| bytes.first)),
        Column::new("+ a further thread", |entry| entry.histogram_bytes?.further),
        Column::new("worst quantile error (%)", worst_error),
    ]
}

/// In per cent.
fn worst_error(entry: &Entry) -> Option<f64> {
    entry.quantile_errors.map(|errors| 100.0 * errors.into_iter().fold(0.0, f64::max))
}

fn main_table(entries: &[Entry], columns: &[Column]) -> Table {
    let mut table = Table::new("library", columns.iter().map(|column| column.title.clone()));
    for entry in entries {
        table.row(titled(entry), columns.iter().map(|column| optional((column.figure)(entry))));
    }
    table
}

fn titled(entry: &Entry) -> String {
    entry
        .package
        .map_or_else(|| entry.name.to_owned(), |package| format!("{} {}", entry.name, machine::version(package)))
}

fn legend(entries: &[Entry]) -> String {
    let mut lines = vec![
        "Times are in ns; \"allocations\" are those of one increment by dynamic labels. – means that the library has \
         no such thing; the error of quantiles depends on the bounds where a library needs bounds."
            .to_owned(),
    ];
    let snapshots = entries.iter().filter(|entry| entry.snapshot.is_some());
    let means: Vec<_> = snapshots.map(|entry| format!("{}: {}", entry.name, entry.snapshot_means)).collect();
    lines.push(format!("- A snapshot is, for {}.", means.join("; ")));
    lines.push(format!(
        "- Text for scrapers is that of the {COUNTER_SERIES} counter series, reading them included: Tachograph's \
         OpenMetrics piece by piece, the others' as they write it, by what a snapshot is for them or `TextEncoder`."
    ));
    lines.push(
        "- Protobuf is Prometheus' `MetricFamily` of the same series, reading them included: Tachograph's piece by piece, \
         prometheus-client's by `encode_to_vec`, prometheus' by `ProtobufEncoder`. That of metrics' recorder needs \
         the protobuf compiler to be built; the others have none."
            .to_owned(),
    );
    lines.extend(entries.iter().flat_map(|entry| entry.remarks).map(|remark| format!("- {remark}")));
    lines.insert(1, String::new());
    lines.join("\n")
}

fn setting_table(entries: &[Entry], threads: usize) -> Table {
    let columns = Operation::ALL.into_iter().flat_map(|operation| {
        [("same", Setting::SameSeries), ("different", Setting::DifferentSeries)]
            .map(|(series, setting)| Column::time(format!("{}, {series}", title(operation)), operation, setting))
    });
    let columns: Vec<_> = columns.collect();
    let mut table = main_table(entries, &columns);
    table.corner(format!("{threads} threads, ns"));
    table
}

fn minimum_table(entries: &[Entry]) -> Table {
    let mut table = Table::new("one thread, ns", Operation::ALL.map(|operation| title(operation).to_owned()));
    for entry in entries {
        let minimum = |operation| entry.times.get(&(operation, Setting::OneThread)).map(|summary| summary.minimum);
        table.row(entry.name.to_owned(), Operation::ALL.map(|operation| optional(minimum(operation))));
    }
    table
}

fn error_table(entries: &[Entry]) -> Table {
    let mut table = Table::new("%", ["p50", "p90", "p99", "p99.9"].map(str::to_owned));
    for entry in entries {
        let Some(errors) = entry.quantile_errors else { continue };
        table.row(entry.name.to_owned(), errors.map(|error| figure(100.0 * error)));
    }
    table
}

fn title(operation: Operation) -> &'static str {
    match operation {
        Operation::CounterInc => "counter inc",
        Operation::CounterInTurn => "counter inc, in turn",
        Operation::BoundLabelled => "bound labelled",
        Operation::EnumLabelled => "enum labelled",
        Operation::DynamicLabels => "dynamic labels",
        Operation::GaugeSet => "gauge set",
        Operation::HistogramRecord => "histogram record",
    }
}
