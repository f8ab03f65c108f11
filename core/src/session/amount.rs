use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

use super::work::nanos;

/// So much of what a source carries.
///
/// ```
/// use core::time::Duration;
/// use tachograph_core::session::Amount;
///
/// let picture = Amount::new(1, 40_000).lasting(Duration::from_millis(40));
/// assert_eq!((picture + picture).media(), Duration::from_millis(80));
/// assert_eq!(picture - (picture + picture), Amount::default(), "it never goes below nothing");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// What is queued one by one: frames, messages, tokens.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    pub(super) media_nanos: u64,
}

impl Amount {
    /// Frames and their bytes, which do not play.
    pub const fn new(frames: u64, bytes: u64) -> Self {
        Self { frames, bytes, media_nanos: 0 }
    }

    /// The same, which plays for so long.
    #[must_use]
    pub fn lasting(self, media: Duration) -> Self {
        Self { media_nanos: nanos(media), ..self }
    }

    /// How long it plays; zero of what does not play.
    pub fn media(self) -> Duration {
        Duration::from_nanos(self.media_nanos)
    }

    pub(super) fn media_seconds(self) -> f64 {
        self.media().as_secs_f64()
    }

    /// The smaller of both, of each figure.
    pub(super) fn at_most(self, other: Self) -> Self {
        self.with(other, u64::min)
    }

    #[inline(never)]
    fn with(self, other: Self, of: fn(u64, u64) -> u64) -> Self {
        Self {
            frames: of(self.frames, other.frames),
            bytes: of(self.bytes, other.bytes),
            media_nanos: of(self.media_nanos, other.media_nanos),
        }
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Amount {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with(other, u64::saturating_sub)
    }
}
