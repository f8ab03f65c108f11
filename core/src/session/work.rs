use alloc::collections::VecDeque;
use core::time::Duration;

/// Chunks over which means are taken.
const RECENT: usize = 10;

/// What came of a chunk that was processed.
///
/// ```
/// use core::time::Duration;
/// use tachograph_core::session::Work;
///
/// let took = Duration::from_millis(80);
/// let work = Work { inference: took, processing: took * 2, voice: None };
/// assert!(work.processing >= work.inference);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Time inside the provider.
    pub inference: Duration,
    /// From the arrival of the chunk's last frame to its result.
    pub processing: Duration,
    /// What voice detection found; None when it was off.
    pub voice: Option<Voice>,
}

/// What voice detection found in a chunk.
///
/// ```
/// use tachograph_core::session::Voice;
///
/// let mostly_voice = Voice { ratio: 0.8, is_speech: true };
/// assert!(mostly_voice.ratio > Voice::default().ratio);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Voice {
    /// The share of the chunk that is voice, 0 to 1.
    pub ratio: f64,
    /// Whether that is enough to call it speech.
    pub is_speech: bool,
}

/// The last 10 chunks that a provider ended well.
#[derive(Debug, Default)]
pub(super) struct RecentWork(VecDeque<Timing>);

/// In nanoseconds, as [`Amount`](super::Amount) keeps them.
#[derive(Debug)]
struct Timing {
    inference: u64,
    processing: u64,
    media: u64,
}

impl RecentWork {
    pub(super) fn add(&mut self, work: &Work, media: u64) {
        if self.0.len() >= RECENT {
            self.0.pop_front();
        }
        self.0.push_back(Timing { inference: nanos(work.inference), processing: nanos(work.processing), media });
    }

    pub(super) fn mean_inference(&self) -> Duration {
        self.mean(|chunk| chunk.inference)
    }

    pub(super) fn mean_processing(&self) -> Duration {
        self.mean(|chunk| chunk.processing)
    }

    /// Time inside the provider by media time; 0 without chunks, or of chunks that do not play.
    pub(super) fn realtime_factor(&self) -> f64 {
        let (media, inference) = (self.total(|chunk| chunk.media), self.total(|chunk| chunk.inference));
        // By whole nanoseconds, so that a factor at one of the ladder's thresholds is exactly that.
        if media == 0 { 0.0 } else { inference as f64 / media as f64 }
    }

    fn mean(&self, time: fn(&Timing) -> u64) -> Duration {
        Duration::from_nanos(self.total(time) / self.0.len().max(1) as u64)
    }

    fn total(&self, time: fn(&Timing) -> u64) -> u64 {
        self.0.iter().map(time).fold(0, u64::saturating_add)
    }
}

/// Of five centuries at most.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
