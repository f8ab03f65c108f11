use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::amount::Amount;
use super::chunk::{Chunk, ChunkResult, piece_of};
use super::config::AudioConfig;
use super::ladder::Level;
use super::queue::Queue;
use super::work::Work;
use super::{Session, SourceError};
use crate::time::Moment;
use crate::wire::{DecodeError, ErrorCode, PIECE_BYTES_MAX, SourceName, check_pcm};

const CHUNK_EXTENSION: Duration = Duration::from_secs(1);
/// The longest that the ladder may make a chunk.
const CHUNK_MAX: Duration = Duration::from_secs(8);

/// The audio of a session: a bounded queue a source, and the chunks that are cut from it for the provider.
/// All that becomes of it is told to the [`Session`].
///
/// ```
/// use bytes::Bytes;
/// use tachograph_core::registry::{DefaultMetrics, Registry};
/// use tachograph_core::session::{Audio, AudioConfig, Session};
/// use tachograph_core::time::Moment;
/// use tachograph_core::wire::MIC;
///
/// let metrics = DefaultMetrics::register(&Registry::new())?;
/// let mut session = Session::new(2, metrics, Default::default(), Moment::default());
/// let mut audio = Audio::new(AudioConfig::default());
/// audio.receive(&mut session, MIC, Bytes::from(vec![0; 64_000]), Moment::from_millis(10))?;
/// let figures = session.tick(1, Moment::from_millis(1_000), 1_767_225_600.0);
/// assert_eq!((figures[0].queue_bytes, figures[0].queue_fill_ratio), (64_000, 1.0));
/// let chunk = audio.next_chunk(&mut session, MIC, false, Moment::from_millis(1_000)).ok_or("no chunk")?;
/// assert_eq!(chunk.duration().as_secs(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Audio {
    config: AudioConfig,
    sources: Vec<SourceAudio>,
}

#[derive(Debug)]
struct SourceAudio {
    name: SourceName,
    queue: Queue,
    /// The chunk that is being filled.
    open: Chunk,
    /// It is long enough and waits for the provider.
    open_is_full: bool,
    drop_next_chunk: bool,
}

impl Audio {
    /// No audio yet.
    pub fn new(config: AudioConfig) -> Self {
        Self { config, sources: Vec::new() }
    }

    /// Takes in one frame: splits it into pieces of at most 100 ms and queues them. When the queue
    /// is full the oldest pieces go, only as many as needed.
    ///
    /// Returns whether the source is new.
    ///
    /// # Errors
    /// `invalid_audio` for no or half samples, `too_large` for a frame longer than the whole queue,
    /// `too_many_sources`, and `not_started` after the session's end; none of them changes anything.
    pub fn receive(
        &mut self,
        session: &mut Session,
        source: SourceName,
        frame: Bytes,
        now: Moment,
    ) -> Result<bool, DecodeError> {
        check_pcm(&frame)?;
        if frame.len() > self.config.queue_bytes_max {
            let message = "the frame is longer than the whole queue; send shorter frames";
            return Err(DecodeError::new(ErrorCode::TooLarge, message));
        }
        let is_new = session.open_source(source, self.config.source()).map_err(refusal)?;
        let (came, dropped) = self.held(source).receive(frame, now);
        session.enqueued(source, came, dropped, now);
        Ok(is_new)
    }

    /// Moves waiting audio into the source's chunk and returns the chunk when it is long enough or,
    /// with `flush`, when it holds all there is. None means that more audio is needed.
    ///
    /// At the level EMERGENCY every other chunk is dropped here.
    pub fn next_chunk(&mut self, session: &mut Session, source: SourceName, flush: bool, now: Moment) -> Option<Chunk> {
        self.fill(session, source, flush, now)?.take_full()
    }

    /// Moves waiting audio into the source's chunk while the provider works on the one before, so that a
    /// provider that keeps up never lets the queue overflow, however long its chunks are.
    pub fn fill_chunk(&mut self, session: &mut Session, source: SourceName, now: Moment) {
        self.fill(session, source, false, now);
    }

    fn fill(
        &mut self,
        session: &mut Session,
        source: SourceName,
        flush: bool,
        now: Moment,
    ) -> Option<&mut SourceAudio> {
        let level = session.level(source);
        let length = wanted_chunk(self.config.chunk, level);
        let held = self.named(source).filter(|_| !session.has_ended())?;
        let Filled { taken, dropped } = held.fill(length, level, flush);
        session.dequeued(source, taken);
        session.dropped(source, dropped, now);
        Some(held)
    }

    /// What the provider made of a chunk; None when it failed on it, which drops the chunk.
    /// Ignored after the session's end. Returns what the session was told of.
    pub fn end_chunk(
        &self,
        session: &mut Session,
        source: SourceName,
        chunk: &Chunk,
        result: Option<ChunkResult>,
        now: Moment,
    ) -> Option<Work> {
        let Some(ChunkResult { inference, voice }) = result else {
            session.failed(source, chunk.amount(), now);
            return None;
        };
        let work = Work { inference, processing: now.since(chunk.last_arrived()), voice };
        session.processed(source, chunk.amount(), &work, now);
        Some(work)
    }

    fn named(&mut self, name: SourceName) -> Option<&mut SourceAudio> {
        self.sources.iter_mut().find(|source| source.name == name)
    }

    /// The source's audio; there is room for it in the session.
    fn held(&mut self, name: SourceName) -> &mut SourceAudio {
        let place = self.sources.iter().position(|source| source.name == name).unwrap_or_else(|| {
            self.sources.push(SourceAudio::new(name, &self.config));
            self.sources.len() - 1
        });
        &mut self.sources[place]
    }
}

fn refusal(error: SourceError) -> DecodeError {
    let (code, message) = match error {
        SourceError::Ended => (ErrorCode::NotStarted, "the session has ended"),
        SourceError::TooMany => {
            (ErrorCode::TooManySources, "the session has as many sources as it may; use one of those")
        }
        SourceError::NotMetered => (ErrorCode::Internal, "the source cannot be metered"),
    };
    DecodeError::new(code, message)
}

fn wanted_chunk(length: Duration, level: Level) -> Duration {
    if level < Level::Warning {
        return length;
    }
    length.saturating_add(CHUNK_EXTENSION).min(CHUNK_MAX.max(length))
}

/// What filling a chunk came to.
#[derive(Debug, Default)]
struct Filled {
    /// Out of the queue.
    taken: Amount,
    /// Of that, with the chunks that the level drops.
    dropped: Amount,
}

impl SourceAudio {
    fn new(name: SourceName, config: &AudioConfig) -> Self {
        Self {
            name,
            queue: Queue::new(config.queue_bytes_max, config.queue_frames_max),
            open: Chunk::default(),
            open_is_full: false,
            drop_next_chunk: false,
        }
    }

    /// What came, and what had to go for it.
    fn receive(&mut self, mut frame: Bytes, now: Moment) -> (Amount, Amount) {
        let (mut came, mut dropped) = (Amount::default(), Amount::default());
        while !frame.is_empty() {
            let piece = frame.split_to(frame.len().min(PIECE_BYTES_MAX));
            came += piece_of(&piece);
            dropped += self.queue.push(piece, now);
        }
        (came, dropped)
    }

    /// Moves what waits into the chunk that is being filled, until that is long enough.
    fn fill(&mut self, length: Duration, level: Level, flush: bool) -> Filled {
        let mut filled = Filled::default();
        while !self.open_is_full {
            let Some(piece) = self.queue.take() else { break };
            filled.taken += piece_of(&piece.audio);
            self.open.add(piece);
            if self.open.duration() >= length {
                self.complete(level, &mut filled);
            }
        }
        let is_rest = flush && !self.open_is_full && self.open.amount().frames > 0;
        if is_rest {
            self.complete(level, &mut filled);
        }
        filled
    }

    /// The chunk takes no more audio: it is for the provider, or to be dropped.
    fn complete(&mut self, level: Level, filled: &mut Filled) {
        if self.is_to_be_dropped(level) {
            filled.dropped += core::mem::take(&mut self.open).amount();
        } else {
            self.open_is_full = true;
        }
    }

    /// At EMERGENCY and above, every other chunk.
    fn is_to_be_dropped(&mut self, level: Level) -> bool {
        if level < Level::Emergency {
            self.drop_next_chunk = false;
            return false;
        }
        let drop = self.drop_next_chunk;
        self.drop_next_chunk = !drop;
        drop
    }

    fn take_full(&mut self) -> Option<Chunk> {
        core::mem::take(&mut self.open_is_full).then(|| core::mem::take(&mut self.open))
    }
}
