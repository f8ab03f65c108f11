//! The clocks that the core is given: monotonic inside, wall time on the wire.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tachograph_core::time::Moment;
use tokio::time::Instant;

/// Monotonic time since the server's start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Now, for the core.
    pub fn now(&self) -> Moment {
        let nanos = self.origin.elapsed().as_nanos();
        Moment::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// A moment of the core, for tokio's timers.
    pub fn instant(&self, moment: Moment) -> Instant {
        self.origin + Duration::from_nanos(moment.as_nanos())
    }
}

/// Wall time now, as Unix seconds.
pub(crate) fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
