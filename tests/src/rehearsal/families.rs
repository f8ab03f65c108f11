//! The families of the service beside the listener's own: what they are called, and how they move.

use tachograph_core::registry::Kind;

/// A family, and what its series do.
pub(super) struct Template {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [Label],
    /// How many of the series are of this family, by those of the others.
    pub(super) weight: usize,
    /// A counter's growth, a histogram's records, in each second in which it moves; a gauge's range.
    pub(super) size: f64,
    /// A histogram's median.
    pub(super) median: f64,
}

/// A label and the values it has; the first label of a family has as many as it needs.
pub(super) struct Label {
    pub(super) name: &'static str,
    pub(super) values: &'static [&'static str],
}

const ROUTE: Label = Label {
    name: "route",
    values: &["/", "/login", "/sessions", "/sessions/:id", "/transcripts", "/transcripts/:id", "/upload", "/search"],
};
const METHOD: Label = Label { name: "method", values: &["GET", "POST", "DELETE"] };
const STATUS: Label = Label { name: "status", values: &["200", "404", "500"] };
const TABLE: Label =
    Label { name: "table", values: &["sessions", "transcripts", "users", "segments", "speakers", "devices"] };
const OPERATION: Label = Label { name: "operation", values: &["select", "insert", "update"] };
const POOL: Label = Label { name: "pool", values: &["primary", "replica", "analytics"] };
const POOL_STATE: Label = Label { name: "state", values: &["idle", "busy"] };
const CACHE: Label = Label { name: "cache", values: &["sessions", "models", "tokens", "segments"] };
const QUEUE: Label = Label { name: "queue", values: &["transcribe", "summarize", "export", "notify"] };
const DEVICE: Label = Label { name: "device", values: &["usb-mic", "headset", "line-in", "loopback"] };
const INSTANCE: Label = Label { name: "instance", values: &["api-a", "api-b", "worker-a", "worker-b"] };

const fn family(name: &'static str, help: &'static str, kind: Kind, labels: &'static [Label]) -> Template {
    Template { name, help, unit: "", kind, labels, weight: 5, size: 10.0, median: 0.0 }
}

/// In the order in which places are given to them.
pub(super) const FAMILIES: [Template; 17] = [
    Template {
        weight: 16,
        size: 24.0,
        ..family("http_requests_total", "Requests answered", Kind::Counter, &[ROUTE, METHOD, STATUS])
    },
    Template {
        unit: "ms",
        weight: 8,
        size: 6.0,
        median: 38.0,
        ..family("http_request_duration_ms", "From a request to its answer", Kind::Histogram, &[ROUTE, METHOD])
    },
    Template { size: 40.0, ..family("http_requests_in_flight", "Requests not answered yet", Kind::Gauge, &[ROUTE]) },
    Template {
        unit: "bytes",
        weight: 7,
        size: 90_000.0,
        ..family("http_response_bytes_total", "Size of the answers", Kind::Counter, &[ROUTE, METHOD])
    },
    Template { weight: 9, size: 60.0, ..family("db_queries_total", "Queries run", Kind::Counter, &[TABLE, OPERATION]) },
    Template {
        unit: "ms",
        weight: 5,
        size: 8.0,
        median: 4.2,
        ..family("db_query_duration_ms", "From a query to its last row", Kind::Histogram, &[TABLE, OPERATION])
    },
    Template {
        unit: "connections",
        weight: 4,
        size: 32.0,
        ..family("db_pool_connections", "Connections to the database", Kind::Gauge, &[POOL, POOL_STATE])
    },
    Template {
        unit: "rows",
        weight: 6,
        size: 900.0,
        ..family("db_rows_read_total", "Rows read", Kind::Counter, &[TABLE])
    },
    Template { weight: 5, size: 300.0, ..family("cache_hits_total", "Found in the cache", Kind::Counter, &[CACHE]) },
    Template { weight: 5, size: 25.0, ..family("cache_misses_total", "Not in the cache", Kind::Counter, &[CACHE]) },
    Template {
        unit: "bytes",
        weight: 4,
        size: 268_435_456.0,
        ..family("cache_bytes", "What the cache holds", Kind::Gauge, &[CACHE])
    },
    Template { weight: 5, size: 6.0, ..family("jobs_done_total", "Jobs done", Kind::Counter, &[QUEUE]) },
    Template { weight: 4, size: 120.0, ..family("jobs_waiting", "Jobs waiting", Kind::Gauge, &[QUEUE]) },
    Template {
        unit: "s",
        weight: 3,
        size: 2.0,
        median: 1.6,
        ..family("job_duration_seconds", "From a job's start to its end", Kind::Histogram, &[QUEUE])
    },
    Template {
        unit: "frames",
        weight: 5,
        size: 16_000.0,
        ..family("audio_resampled_frames_total", "Frames brought to 16 kHz", Kind::Counter, &[DEVICE])
    },
    Template {
        weight: 4,
        size: 1.0,
        ..family("audio_level_ratio", "Loudness by the loudest there is", Kind::Gauge, &[DEVICE])
    },
    Template {
        weight: 5,
        size: 1.0,
        ..family("process_cpu_ratio", "Processor time by time", Kind::Gauge, &[INSTANCE])
    },
];
