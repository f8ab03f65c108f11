use core::time::Duration;

use tachograph_core::time::Moment;

/// Frames come once a second; figures without a newer one for so long are stale.
pub const STALE_AFTER: Duration = Duration::from_secs(2);

/// Where the page stands with its server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// The first attempt, or connected and no frame yet.
    #[default]
    Connecting,
    /// Frames arrive.
    Live,
    /// Connected, and no new frame for longer than [`STALE_AFTER`].
    Stale {
        /// When the newest frame arrived.
        since: Moment,
    },
    /// The connection was lost or never stood.
    Reconnecting {
        /// Attempts that failed since the last frame.
        attempt: u32,
        /// Until the next one, in whole seconds; zero while it runs.
        next_in: Duration,
    },
}

impl Connection {
    /// The state in one word of the machine's.
    pub fn key(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Stale { .. } => "stale",
            Self::Reconnecting { .. } => "reconnecting",
        }
    }

    /// The state in one word for a person.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connecting => "Connecting",
            Self::Live => "Live",
            Self::Stale { .. } => "Stale",
            Self::Reconnecting { .. } => "Reconnecting",
        }
    }

    /// What is going on and what happens next; nothing while all is well.
    pub fn explanation(self) -> Option<String> {
        match self {
            Self::Connecting | Self::Live => None,
            Self::Stale { .. } => Some("The server is connected but sends no frames.".into()),
            Self::Reconnecting { next_in: Duration::ZERO, .. } => Some("No connection. Trying again now.".into()),
            Self::Reconnecting { attempt, next_in } => {
                Some(format!("No connection. Attempt {} in {} s.", attempt + 1, next_in.as_secs()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_when_it_tries_again() {
        let waiting = Connection::Reconnecting { attempt: 1, next_in: Duration::from_secs(3) };
        assert_eq!(waiting.explanation().as_deref(), Some("No connection. Attempt 2 in 3 s."));
        let trying = Connection::Reconnecting { attempt: 1, next_in: Duration::ZERO };
        assert_eq!(trying.explanation().as_deref(), Some("No connection. Trying again now."));
        assert_eq!(Connection::Live.explanation(), None);
    }
}
