//! What the exporter says of itself, in the registry that it pushes.

use tachograph_core::instrument::{Counter, Gauge};
use tachograph_core::registry::{CounterFamily, Descriptor, RegisterError, Registry};

use super::buffer::Buffer;

#[derive(Debug)]
pub(super) struct Counts {
    pub(super) requests_sent: Counter,
    pub(super) points_sent: Counter,
    pub(super) retries: Counter,
    pub(super) readings_put_off: Counter,
    buffer_bytes: Gauge,
    buffer_requests: Gauge,
    points_dropped: CounterFamily,
}

/// Why points did not arrive.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dropped {
    /// The buffer was full; newer totals follow.
    BufferFull,
    /// The collector refused their request.
    Refused,
    /// The collector took their request without them.
    Rejected,
    /// The exporter ended first.
    Shutdown,
}

impl Counts {
    pub(super) fn register(registry: &Registry) -> Result<Self, RegisterError> {
        let counter = |name, help| registry.counter(&Descriptor::new(name, help))?.unlabelled();
        let gauge = |descriptor| registry.gauge(&descriptor)?.unlabelled();
        let dropped = Descriptor::new("tachograph_otlp_points_dropped", "Points that did not reach the collector");
        Ok(Self {
            requests_sent: counter("tachograph_otlp_requests_sent", "Requests that the collector took")?,
            points_sent: counter("tachograph_otlp_points_sent", "Points that the collector took")?,
            retries: counter("tachograph_otlp_retries", "Requests that have to be sent again")?,
            readings_put_off: counter(
                "tachograph_otlp_readings_put_off",
                "Readings of the registry that ended before its last series because the buffer was full",
            )?,
            buffer_bytes: gauge(
                Descriptor::new("tachograph_otlp_buffer_bytes", "What waits for the collector").unit("bytes"),
            )?,
            buffer_requests: gauge(Descriptor::new(
                "tachograph_otlp_buffer_requests",
                "Requests that wait for the collector",
            ))?,
            points_dropped: registry.counter(&dropped.label("reason"))?,
        })
    }

    pub(super) fn drop_points(&self, points: u64, reason: Dropped) {
        let reason = match reason {
            Dropped::BufferFull => "buffer_full",
            Dropped::Refused => "refused",
            Dropped::Rejected => "rejected",
            Dropped::Shutdown => "shutdown",
        };
        if let Ok(dropped) = self.points_dropped.with(&[("reason", reason)]) {
            dropped.add(points);
        }
    }

    pub(super) fn show(&self, buffer: &Buffer) {
        self.buffer_bytes.set(buffer.bytes() as f64);
        self.buffer_requests.set(buffer.len() as f64);
    }
}
