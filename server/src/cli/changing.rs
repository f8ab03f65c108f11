//! What of the running server takes new settings when they are read again; the rest takes a restart.

use tracing_subscriber::EnvFilter;

use super::config::{Change, Live, Start};
use crate::Tachograph;

/// All parts, each with the settings that it takes.
pub(super) fn parts(tacho: &Tachograph, start: &Start) -> Live {
    let mut live = Live::default();
    let limited = tacho.clone();
    live.part(&["max-sessions"], move |settled| {
        let (limited, limits) = (limited.clone(), settled.serve.limits());
        Ok(Box::new(move || limited.set_limits(limits)) as Change)
    });
    let log = start.log.clone();
    live.part(&["log"], move |settled| {
        let filter = EnvFilter::try_new(&settled.log.log).map_err(|error| error.to_string())?;
        let log = log.clone();
        Ok(Box::new(move || log.set(filter)) as Change)
    });
    live
}
