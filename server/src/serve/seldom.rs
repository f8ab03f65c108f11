use std::time::Duration;

use tokio::time::Instant;

/// What happens often is logged once in so long.
const EVERY: Duration = Duration::from_secs(10);

/// Lets one of many like lines into the log.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    said: Option<Instant>,
    since: u64,
}

impl Seldom {
    /// How often it happened since it was last said, this time included, if it is to be said now.
    pub(super) fn is_due(&mut self) -> Option<u64> {
        self.since += 1;
        if self.said.is_some_and(|said| said.elapsed() < EVERY) {
            return None;
        }
        self.said = Some(Instant::now());
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_said_at_once_and_then_seldom() {
        let mut seldom = Seldom::default();
        assert_eq!((seldom.is_due(), seldom.is_due(), seldom.is_due()), (Some(1), None, None));
        tokio::time::advance(EVERY).await;
        assert_eq!((seldom.is_due(), seldom.is_due()), (Some(3), None));
    }
}
