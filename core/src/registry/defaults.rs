use super::{
    Aggregation, CounterFamily, Descriptor, GaugeFamily, HistogramFamily, LabelError, RegisterError, Registry,
};
use crate::instrument::{Counter, Gauge, GaugePart, Histogram};

const INFERENCE_BOUNDS_MS: [f64; 7] = [50.0, 100.0, 250.0, 500.0, 1000.0, 2000.0, 5000.0];
const PROCESSING_BOUNDS_MS: [f64; 7] = [100.0, 250.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0];

/// The metrics that every server of live sessions keeps, each updated where the thing happens.
///
/// ```
/// use tachograph_core::registry::{DefaultMetrics, Registry};
///
/// let registry = Registry::new();
/// let metrics = DefaultMetrics::register(&registry)?;
/// metrics.connections.inc();
/// metrics.source("mic")?.bytes_received.add(3200);
/// let snapshot = registry.snapshot();
/// assert_eq!(snapshot.counter("audio_bytes_received", &[("source", "mic")]), Some(3200));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DefaultMetrics {
    /// `ws_connections_total`: connections accepted on the live-listener endpoint.
    pub connections: Counter,
    /// `ws_disconnects_total`: those that ended. Connections = disconnects + open ones.
    pub disconnects: Counter,
    /// `active_sessions`: sessions started and not ended.
    pub active_sessions: Gauge,
    bytes_received: CounterFamily,
    frames_received: CounterFamily,
    frames_dropped: CounterFamily,
    bytes_dropped: CounterFamily,
    chunks_processed: CounterFamily,
    errors: CounterFamily,
    queue_depth: GaugeFamily,
    processing_lag_seconds: GaugeFamily,
    /// `inference_time_ms`, by source.
    pub inference_time_ms: HistogramFamily,
    /// `processing_time_ms`, by source.
    pub processing_time_ms: HistogramFamily,
}

/// The default metrics of one source, bound.
///
/// ```
/// use tachograph_core::registry::{DefaultMetrics, Registry};
///
/// let registry = Registry::new();
/// let mic = DefaultMetrics::register(&registry)?.source("mic")?;
/// mic.queue_depth.set(3.0);
/// mic.chunks_processed.inc();
/// assert_eq!(registry.snapshot().gauge("queue_depth", &[("source", "mic")]), Some(3.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct SourceInstruments {
    /// `audio_bytes_received`.
    pub bytes_received: Counter,
    /// `audio_frames_received`: pieces of at most 100 ms, as queued.
    pub frames_received: Counter,
    /// `audio_frames_dropped`.
    pub frames_dropped: Counter,
    /// `audio_bytes_dropped`.
    pub bytes_dropped: Counter,
    /// `asr_chunks_processed`: chunks that the provider ended well.
    pub chunks_processed: Counter,
    /// `asr_errors`: chunks that the provider failed on.
    pub errors: Counter,
    /// This holder's part of `queue_depth`: frames waiting, summed over the sessions.
    pub queue_depth: GaugePart,
    /// This holder's part of `processing_lag_seconds`: from the last frame of the newest chunk to its
    /// result, the longest of the sessions'.
    pub processing_lag_seconds: GaugePart,
    /// `inference_time_ms`: time inside the provider, a chunk.
    pub inference_time_ms: Histogram,
    /// `processing_time_ms`: from a chunk's last frame arriving to its result.
    pub processing_time_ms: Histogram,
}

impl DefaultMetrics {
    /// Registers all of them, or finds them registered.
    ///
    /// # Errors
    /// One of the names is taken by another description.
    pub fn register(registry: &Registry) -> Result<Self, RegisterError> {
        let plain = |name, help| Descriptor::new(name, help);
        let by_source = |name, help| Descriptor::new(name, help).label("source");
        let counter = |name, help| registry.counter(&by_source(name, help));
        let unlabelled = |name, help| registry.counter(&plain(name, help))?.unlabelled();
        let sessions = registry.gauge(&plain("active_sessions", "Sessions started and not ended"))?;
        let inference = by_source("inference_time_ms", "Time inside the provider, a chunk");
        let processing = by_source("processing_time_ms", "From a chunk's last frame arriving to its result");
        let lag = by_source("processing_lag_seconds", "From the last frame of the newest chunk to its result");
        let depth = by_source("queue_depth", "Frames waiting in the queues");
        Ok(Self {
            connections: unlabelled("ws_connections_total", "Connections accepted on the live-listener endpoint")?,
            disconnects: unlabelled("ws_disconnects_total", "Connections ended on the live-listener endpoint")?,
            active_sessions: sessions.unlabelled()?,
            bytes_received: registry.counter(&by_source("audio_bytes_received", "PCM received").unit("bytes"))?,
            frames_received: counter("audio_frames_received", "Frames received, as split for the queue")?,
            frames_dropped: counter("audio_frames_dropped", "Frames received and never processed")?,
            bytes_dropped: registry
                .counter(&by_source("audio_bytes_dropped", "PCM received and never processed").unit("bytes"))?,
            chunks_processed: counter("asr_chunks_processed", "Chunks that the provider ended well")?,
            errors: counter("asr_errors", "Chunks that the provider failed on")?,
            queue_depth: registry.gauge(&depth.unit("frames"))?,
            processing_lag_seconds: registry.gauge(&lag.unit("s").aggregation(Aggregation::Max))?,
            inference_time_ms: registry.histogram(&inference.unit("ms").bounds(&INFERENCE_BOUNDS_MS))?,
            processing_time_ms: registry.histogram(&processing.unit("ms").bounds(&PROCESSING_BOUNDS_MS))?,
        })
    }

    /// Binds those that carry a source.
    ///
    /// # Errors
    /// None in practice: the label set is this module's own.
    pub fn source(&self, source: &str) -> Result<SourceInstruments, LabelError> {
        let labels = &[("source", source)];
        Ok(SourceInstruments {
            bytes_received: self.bytes_received.bind(labels)?,
            frames_received: self.frames_received.bind(labels)?,
            frames_dropped: self.frames_dropped.bind(labels)?,
            bytes_dropped: self.bytes_dropped.bind(labels)?,
            chunks_processed: self.chunks_processed.bind(labels)?,
            errors: self.errors.bind(labels)?,
            queue_depth: self.queue_depth.bind(labels)?.part(),
            processing_lag_seconds: self.processing_lag_seconds.bind(labels)?.part(),
            inference_time_ms: self.inference_time_ms.bind(labels)?,
            processing_time_ms: self.processing_time_ms.bind(labels)?,
        })
    }
}
