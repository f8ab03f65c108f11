use std::sync::Arc;

use tachograph_core::wire::Identity;

use crate::access::{HostName, Origin};
use crate::hub::HistoryLimits;
use crate::limits::Limits;

/// Called at each tick of each session, before its figures are taken. A panic in it costs that tick,
/// nothing else.
pub(crate) type SessionTickHook = Arc<dyn Fn(&Identity, u64) + Send + Sync>;

/// Called at each tick, before anything is collected. A panic in it costs that frame, nothing else.
pub(crate) type TickHook = Box<dyn Fn(u64) + Send + Sync>;

/// The bounds and choices of a Tachograph.
#[derive(Default)]
pub(crate) struct Options {
    /// Those that it begins with.
    pub(crate) limits: Limits,
    /// How much of the past is kept for viewers.
    pub(crate) history: HistoryLimits,
    /// Names that an application goes by; any, where there is none.
    pub(crate) allowed_hosts: Vec<HostName>,
    /// Other origins whose pages may open WebSockets within an application.
    pub(crate) allowed_origins: Vec<Origin>,
    pub(crate) session_tick_hook: Option<SessionTickHook>,
    pub(crate) tick_hooks: Vec<TickHook>,
}
