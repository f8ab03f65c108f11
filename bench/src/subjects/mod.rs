//! What is measured: each library behind the same trait.

mod ddsketch;
mod fast_telemetry;
mod floor;
mod hdrhistogram;
mod measured;
mod metrics;
mod opentelemetry;
mod prometheus;
mod prometheus_client;
mod tachograph;

use std::fmt::Write as _;
use std::hint::black_box;

use crate::values::Table;

/// All subjects, Tachograph first, each with as many series as threads.
pub fn all(threads: usize) -> Vec<Box<dyn Subject>> {
    vec![
        Box::new(tachograph::Tachograph::new()),
        Box::new(prometheus_client::PrometheusClient::new(threads)),
        Box::new(prometheus::Prometheus::new(threads)),
        Box::new(metrics::Metrics::new(threads)),
        Box::new(measured::Measured::new(threads)),
        Box::new(fast_telemetry::FastTelemetry::new(threads)),
        Box::new(opentelemetry::OpenTelemetry::new(threads)),
        Box::new(hdrhistogram::HdrHistogram),
        Box::new(ddsketch::DdSketch),
        Box::new(floor::SingleWriter::new(threads)),
        Box::new(floor::LockedAdd::new(threads)),
    ]
}

/// A library. What it does not have is `None`.
pub trait Subject {
    /// What the report calls it.
    fn name(&self) -> &'static str;

    fn role(&self) -> Role;

    /// The package whose version the report states.
    fn package(&self) -> Option<&'static str> {
        None
    }

    /// One thread's share of the work: runs as many iterations of eight operations as it is told.
    fn worker(&self, operation: Operation, site: Site) -> Option<Worker>;

    /// A family of `count` counters, told apart by one label.
    fn counters(&self, _count: usize) -> Option<SeriesSet> {
        None
    }

    /// A family of `count` histograms; a touch records all of `values`, in ms, into each.
    fn histograms(&self, _count: usize, _values: Vec<f64>) -> Option<SeriesSet> {
        None
    }

    /// The quantiles it reads from these values, in ms, for each of [`QUANTILES`].
    fn quantiles(&self, _values: &[f64]) -> Option<[f64; 4]> {
        None
    }

    /// Does between slices what the library otherwise does in the background.
    fn settle(&self) {}

    /// What a reader must know to compare its row.
    fn remarks(&self) -> &'static [&'static str] {
        &[]
    }
}

/// What a subject stands for in the report.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What the others are compared with.
    Reference,
    /// A library with the same task.
    Peer,
    /// A histogram for one owner, without labels or other threads.
    Sketch,
    /// What the processor itself takes.
    Floor,
}

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// Increments one counter through its handle.
    CounterInc,
    /// Increments eight counters in turn, each through its handle.
    CounterInTurn,
    /// Increments one series with two labels through its handle.
    BoundLabelled,
    /// Increments the series that label enums name, eight in turn.
    EnumLabelled,
    /// Increments the series that two borrowed strings name, eight in turn.
    DynamicLabels,
    /// Sets one gauge.
    GaugeSet,
    /// Records into one histogram, which keeps a sum.
    HistogramRecord,
}

impl Operation {
    pub const ALL: [Self; 7] = [
        Self::CounterInc,
        Self::CounterInTurn,
        Self::BoundLabelled,
        Self::EnumLabelled,
        Self::DynamicLabels,
        Self::GaugeSet,
        Self::HistogramRecord,
    ];
}

/// Which thread works, and on which series. Threads on the same series have the same `series`.
#[derive(Clone, Copy)]
pub struct Site {
    pub thread: usize,
    pub series: usize,
}

pub type Worker = Box<dyn FnMut(u64) + Send>;

/// What is done at once, over all series.
pub type Work = Box<dyn FnMut() + Send>;

/// A family with many series.
pub struct SeriesSet {
    /// Updates each series once by its label, which also registers it.
    pub touch: Box<dyn Fn() + Send + Sync>,
    /// Reads all series as the library is meant to be read.
    pub snapshot: Work,
    /// Whether a snapshot has the series with this label value.
    pub holds: Box<dyn FnMut(&str) -> bool + Send>,
    /// How the snapshot is taken.
    pub means: &'static str,
    /// How all series are written as text for Prometheus.
    pub text: Text,
    /// Writes all series as Prometheus' protobuf, if it does.
    pub protobuf: Option<Work>,
    /// Whether several threads may update it without a lock around it.
    pub shared: bool,
}

/// How a library writes its text.
pub enum Text {
    /// It does not, or not of many series.
    None,
    /// As its snapshot.
    Snapshot,
    /// By itself.
    Own(Work),
}

impl SeriesSet {
    /// One that is only touched, never read.
    fn written(touch: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            touch: Box::new(touch),
            snapshot: Box::new(|| ()),
            holds: Box::new(|_| true),
            means: "",
            text: Text::None,
            protobuf: None,
            shared: true,
        }
    }
}

/// The quantiles whose error is measured.
pub const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// Label values of the dynamic lookups: eight routes, the outcome in turn.
const LABELS: [(&str, &str); 8] = [
    ("/", "ok"),
    ("/login", "failed"),
    ("/logout", "ok"),
    ("/search", "failed"),
    ("/users", "ok"),
    ("/orders", "failed"),
    ("/orders/items", "ok"),
    ("/health", "failed"),
];

/// Eight operations an iteration on one handle.
#[inline(always)]
fn repeat<H: ?Sized>(handle: &H, iterations: u64, operation: impl Fn(&H)) {
    for _ in 0..iterations {
        let handle = black_box(handle);
        operation(handle);
        operation(handle);
        operation(handle);
        operation(handle);
        operation(handle);
        operation(handle);
        operation(handle);
        operation(handle);
    }
}

/// One operation on each of eight handles, or with each of eight label sets, an iteration.
#[inline(always)]
fn in_turn<H>(handles: &[H; 8], iterations: u64, operation: impl Fn(&H)) {
    for _ in 0..iterations {
        let [a, b, c, d, e, f, g, h] = black_box(handles);
        operation(a);
        operation(b);
        operation(c);
        operation(d);
        operation(e);
        operation(f);
        operation(g);
        operation(h);
    }
}

/// Eight values an iteration into one handle.
#[inline(always)]
fn each_value<H: ?Sized, V: Copy>(
    handle: &mut H,
    table: &Table<V>,
    iterations: u64,
    mut operation: impl FnMut(&mut H, V),
) {
    for iteration in 0..iterations {
        let [a, b, c, d, e, f, g, h] = table[iteration as usize % table.len()];
        let handle = black_box(&mut *handle);
        operation(handle, a);
        operation(handle, b);
        operation(handle, c);
        operation(handle, d);
        operation(handle, e);
        operation(handle, f);
        operation(handle, g);
        operation(handle, h);
    }
}

/// Calls `touch` with the label value of each of `count` series.
fn each_user(count: usize, mut touch: impl FnMut(&str)) {
    let mut name = String::new();
    for index in 0..count {
        name.clear();
        write_user(&mut name, index);
        touch(&name);
    }
}

/// The label value of a series.
pub fn user(index: usize) -> String {
    let mut name = String::new();
    write_user(&mut name, index);
    name
}

fn write_user(name: &mut String, index: usize) {
    write!(name, "u{index:06}").expect("a string takes all");
}
