use alloc::collections::VecDeque;
use core::time::Duration;

use crate::time::Moment;

const SPAN: Duration = Duration::from_secs(10);
const ERRORS_MAX: usize = 10;

/// How many faults a client may make: the tenth within 10 s ends its connection.
///
/// ```
/// use tachograph_core::session::ErrorBudget;
/// use tachograph_core::time::Moment;
///
/// let mut budget = ErrorBudget::default();
/// assert!((1..=9).all(|second| !budget.spend(Moment::from_millis(second * 1_000))));
/// assert!(budget.spend(Moment::from_millis(10_000)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ErrorBudget(VecDeque<Moment>);

impl ErrorBudget {
    /// Counts a fault; true when it is the tenth within 10 s.
    pub fn spend(&mut self, now: Moment) -> bool {
        while self.0.front().is_some_and(|oldest| now.since(*oldest) >= SPAN) || self.0.len() >= ERRORS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.0.len() >= ERRORS_MAX
    }
}
