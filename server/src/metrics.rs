//! What the server counts of itself, beside the core's default metrics.

use tachograph_core::exposition::Exemplars;
use tachograph_core::instrument::{Counter, Gauge};
use tachograph_core::registry::{
    Aggregation, CounterFamily, DefaultMetrics, Descriptor, RegisterError, Registry, SelfMetrics,
};
use tachograph_core::session::Work;
use tachograph_core::wire::ErrorCode;

use crate::access::Refusal;
use crate::clock::unix_millis;
use crate::serve::TransportMetrics;

/// The handles, bound once.
///
/// ```
/// use tachograph::Tachograph;
///
/// let tacho = Tachograph::new()?;
/// let metrics = tacho.metrics();
/// assert_eq!((metrics.viewers.value(), metrics.defaults.active_sessions.value()), (0.0, 0.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerMetrics {
    /// Those that every server of live sessions keeps.
    pub defaults: DefaultMetrics,
    /// What the registry says of itself.
    pub registry: SelfMetrics,
    /// Sessions refused because the server was full.
    pub sessions_refused: Counter,
    /// Tasks that failed and were restarted, by `task`: the tick as `collector`, a session's as `session`, and so on.
    pub task_restarts: CounterFamily,
    /// Times that the tick stood still for more than 3 s.
    pub ticks_stuck: Counter,
    /// Sessions ended because all of them held more memory than they may.
    pub sessions_shed: Counter,
    /// Bytes that all sessions hold: queues, chunks, messages, state.
    pub sessions_bytes: Gauge,
    /// Messages after which a client had to wait because they came too fast.
    pub messages_paced: Counter,
    /// Session ticks skipped because the next one was due already.
    pub session_ticks_missed: Counter,
    /// Metrics messages replaced by newer ones before the client took them.
    pub metrics_conflated: Counter,
    /// Clients cut off because they did not read.
    pub clients_cut_off: Counter,
    /// Providers made anew.
    pub provider_restarts: Counter,
    /// Health questions that a provider did not answer.
    pub provider_health_failures: Counter,
    /// What sessions' observers panicked at.
    pub observer_failures: Counter,
    /// Figures sent without a degrade level.
    pub degrade_status_unavailable: Counter,
    /// Viewers connected: pages, scripts and others.
    pub viewers: Gauge,
    /// Viewers refused because there were as many as there may be.
    pub viewers_refused: Counter,
    /// Frames that a viewer did not get because it was slower than the tick.
    pub viewer_frames_skipped: Counter,
    /// Viewers cut off because they did not take a message for 30 s.
    pub viewers_cut_off: Counter,
    /// Streams written beside the whole one: filtered, or as JSON.
    pub subscriptions: Gauge,
    /// Subscriptions refused because there were too many different ones.
    pub subscriptions_refused: Counter,
    /// Readers of the snapshot, the history and the metrics that were refused because too many read at once.
    pub readers_refused: Counter,
    /// Events that there was no room for.
    pub events_dropped: Counter,
    /// Receipts that there was no room for in the stream.
    pub receipts_left_out: Counter,
    /// Families that the newest page of metrics left out because their names would be others'.
    pub families_left_out: Gauge,
    /// Which sessions the values of histograms came from, for those who scrape.
    pub exemplars: Exemplars,
    /// Exemplars left out because a page cannot have their session's name, or there was no room.
    pub exemplars_left_out: Counter,
    /// Bytes of the newest frame.
    pub frame_bytes: Gauge,
    /// Bytes that the history holds.
    pub history_bytes: Gauge,
    /// Frames that the history holds.
    pub history_frames: Gauge,
    /// Frames that the history let go because they were too old or too much.
    pub history_frames_let_go: Counter,
    /// How long the newest tick took: collecting, encoding, handing over.
    pub tick_seconds: Gauge,
    /// Server ticks skipped because the next one was due already.
    pub ticks_missed: Counter,
    /// Times that wall time leapt: the clock was set, or the machine slept.
    pub clock_steps: Counter,
    /// How late the newest server tick was.
    pub tick_lag_seconds: Gauge,
    /// What connections, before they are anything else, have to do with.
    pub(crate) transport: TransportMetrics,
    /// Browsers that signed in.
    pub sign_ins: Counter,
    /// Wrong tokens that were shown, by browsers and others.
    pub sign_ins_failed: Counter,
    /// Tokens that were not looked at because too many wrong ones had come from their address.
    pub sign_ins_limited: Counter,
    /// Browsers that have to sign in again because too many others did.
    pub sign_ins_let_go: Counter,
    /// Addresses with wrong tokens that were forgotten because there were too many.
    pub sign_in_addresses_let_go: Counter,
    requests_refused: CounterFamily,
    protocol_errors: CounterFamily,
}

impl ServerMetrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// One of the names is taken by another description.
    pub(crate) fn register(registry: &Registry) -> Result<Self, RegisterError> {
        let counter = |name, help| registry.counter(&Descriptor::new(name, help))?.unlabelled();
        let gauge = |descriptor| registry.gauge(&descriptor)?.unlabelled();
        let restarts =
            Descriptor::new("tachograph_task_restarts", "Tasks that failed and were restarted").label("task");
        let errors = Descriptor::new("tachograph_protocol_errors", "What clients sent and was refused").label("code");
        let refused = Descriptor::new("tachograph_requests_refused", "Requests that were not let in").label("reason");
        Ok(Self {
            defaults: DefaultMetrics::register(registry)?,
            registry: SelfMetrics::register(registry)?,
            sessions_refused: counter("tachograph_sessions_refused", "Sessions refused because the server was full")?,
            task_restarts: registry.counter(&restarts)?,
            ticks_stuck: counter("tachograph_ticks_stuck", "Times that the tick stood still for more than 3 s")?,
            sessions_shed: counter("tachograph_sessions_shed", "Sessions ended because they held too much memory")?,
            sessions_bytes: gauge(
                Descriptor::new("tachograph_sessions_bytes", "What all sessions hold in memory").unit("bytes"),
            )?,
            messages_paced: counter("tachograph_messages_paced", "Messages after which their sender had to wait")?,
            session_ticks_missed: counter("tachograph_session_ticks_missed", "Session ticks skipped as too late")?,
            metrics_conflated: counter("tachograph_metrics_conflated", "Metrics replaced before the client took them")?,
            clients_cut_off: counter("tachograph_clients_cut_off", "Clients cut off because they did not read")?,
            provider_restarts: counter("tachograph_provider_restarts", "Providers made anew")?,
            provider_health_failures: counter("tachograph_provider_health_failures", "Health questions not answered")?,
            observer_failures: counter("tachograph_observer_failures", "Panics of sessions' observers")?,
            degrade_status_unavailable: counter(
                "tachograph_degrade_status_unavailable",
                "Figures sent without a degrade level",
            )?,
            viewers: gauge(Descriptor::new("tachograph_viewers", "Viewers connected: pages, scripts and others"))?,
            viewers_refused: counter("tachograph_viewers_refused", "Viewers refused because there were too many")?,
            viewer_frames_skipped: counter("tachograph_viewer_frames_skipped", "Frames that slow viewers did not get")?,
            viewers_cut_off: counter(
                "tachograph_viewers_cut_off",
                "Viewers cut off because they took nothing for 30 s",
            )?,
            subscriptions: gauge(Descriptor::new("tachograph_subscriptions", "Streams written filtered or as JSON"))?,
            subscriptions_refused: counter("tachograph_subscriptions_refused", "Subscriptions refused as too many")?,
            readers_refused: counter("tachograph_readers_refused", "Readers refused because too many read at once")?,
            events_dropped: counter("tachograph_events_dropped", "Events that there was no room for")?,
            receipts_left_out: counter("tachograph_receipts_left_out", "Receipts that the stream had no room for")?,
            families_left_out: gauge(Descriptor::new(
                "tachograph_exposition_families_left_out",
                "Families that the newest page of metrics left out because their names would be others'",
            ))?,
            exemplars: Exemplars::new(),
            exemplars_left_out: counter(
                "tachograph_exemplars_left_out",
                "Exemplars whose session's name a page cannot have, or that there was no room for",
            )?,
            frame_bytes: gauge(Descriptor::new("tachograph_frame_bytes", "Size of the newest frame").unit("bytes"))?,
            history_bytes: gauge(Descriptor::new("tachograph_history_bytes", "What the history holds").unit("bytes"))?,
            history_frames: gauge(Descriptor::new("tachograph_history_frames", "Frames that the history holds"))?,
            history_frames_let_go: counter("tachograph_history_frames_let_go", "Frames too old or too much to keep")?,
            tick_seconds: gauge(
                Descriptor::new("tachograph_tick_seconds", "How long the newest tick took")
                    .unit("s")
                    .aggregation(Aggregation::Max),
            )?,
            ticks_missed: counter("tachograph_ticks_missed", "Server ticks skipped as too late")?,
            clock_steps: counter("tachograph_clock_steps", "Times that the clock was set or the machine slept")?,
            tick_lag_seconds: gauge(
                Descriptor::new("tachograph_tick_lag_seconds", "How late the newest server tick was")
                    .unit("s")
                    .aggregation(Aggregation::Max),
            )?,
            transport: TransportMetrics::register(registry)?,
            sign_ins: counter("tachograph_sign_ins", "Browsers that signed in")?,
            sign_ins_failed: counter("tachograph_sign_ins_failed", "Wrong tokens that were shown")?,
            sign_ins_limited: counter("tachograph_sign_ins_limited", "Tokens not looked at after too many wrong ones")?,
            sign_ins_let_go: counter("tachograph_sign_ins_let_go", "Sign-ins that there was no room for any more")?,
            sign_in_addresses_let_go: counter(
                "tachograph_sign_in_addresses_let_go",
                "Addresses with wrong tokens that there was no room for any more",
            )?,
            requests_refused: registry.counter(&refused)?,
            protocol_errors: registry.counter(&errors)?,
        })
    }

    /// Counts something that a client sent and was refused.
    #[cfg_attr(not(feature = "live"), expect(dead_code, reason = "the protocol is not spoken"))]
    pub(crate) fn count_error(&self, code: ErrorCode) {
        if let Ok(errors) = self.protocol_errors.with(&[("code", code.as_str())]) {
            errors.inc();
        }
    }

    /// Counts a request that was not let in.
    pub(crate) fn count_refusal(&self, refusal: Refusal) {
        if let Ok(refused) = self.requests_refused.with(&[("reason", refusal.reason())]) {
            refused.inc();
        }
    }

    /// Keeps which session the times of a chunk came from that the provider just ended well.
    pub(crate) fn exemplify(&self, session_id: &str, source: &str, work: &Work) {
        let DefaultMetrics { inference_time_ms, processing_time_ms, .. } = &self.defaults;
        let (labels, at) = ([("source", source)], unix_millis());
        for (family, time) in [(inference_time_ms, work.inference), (processing_time_ms, work.processing)] {
            let milliseconds = time.as_secs_f64() * 1_000.0;
            if self.exemplars.record(family, &labels, milliseconds, session_id, at).is_err() {
                self.exemplars_left_out.inc();
            }
        }
    }
}
