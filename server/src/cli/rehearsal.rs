use std::time::Duration;

use tachograph_core::instrument::{Counter, Gauge};
use tachograph_core::registry::{Descriptor, RegisterError};
use tokio::time::{MissedTickBehavior, interval};

use crate::Tachograph;

/// Series of one family.
const FAMILY_SERIES: u32 = 100;
const EVERY: Duration = Duration::from_secs(1);

/// Fills the registry with series that change each second: three counters for each gauge, two of five by
/// turns.
pub(super) fn begin(tacho: &Tachograph, series: u32) -> Result<(), RegisterError> {
    if series == 0 {
        return Ok(());
    }
    let (mut counters, mut gauges) = (Vec::new(), Vec::new());
    for number in 0..series {
        let (family, place) = (number / FAMILY_SERIES, (number % FAMILY_SERIES).to_string());
        let labels = [("place", &*place)];
        let described = |kind| Descriptor::new(&format!("rehearsal_{kind}_{family}"), "Rehearsed").label("place");
        let conflict = |_| RegisterError::Conflict;
        if number % 4 == 0 {
            gauges.push(tacho.registry().gauge(&described("level"))?.bind(&labels).map_err(conflict)?);
        } else {
            counters.push(tacho.registry().counter(&described("total"))?.bind(&labels).map_err(conflict)?);
        }
    }
    tokio::spawn(keep_changing(counters, gauges));
    Ok(())
}

async fn keep_changing(counters: Vec<Counter>, gauges: Vec<Gauge>) {
    let mut seconds = interval(EVERY);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for turn in 0_u64.. {
        seconds.tick().await;
        let is_due = |place: usize| (place as u64 * 7 + turn * 3) % 5 < 2;
        for (place, counter) in counters.iter().enumerate().filter(|(place, _)| is_due(*place)) {
            counter.add(1 + (place as u64 * 31 + turn * 17) % 400);
        }
        for (place, gauge) in gauges.iter().enumerate().filter(|(place, _)| is_due(*place)) {
            gauge.set(((place as u64 * 131 + turn * 71) % 10_000) as f64 / 100.0);
        }
    }
}
