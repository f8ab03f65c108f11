//! A session on a bench: audio by the millisecond, a provider whose times the test decides.

use core::time::Duration;

use bytes::Bytes;
use tachograph_core::registry::{DefaultMetrics, Registry};
use tachograph_core::session::{Audio, AudioConfig, Chunk, ChunkResult, Session, TickTally};
use tachograph_core::snapshot::RegistrySnapshot;
use tachograph_core::time::Moment;
use tachograph_core::wire::{DecodeError, Identity, Metrics, PIECE_BYTES_MAX, Receipt, SYSTEM, SourceName, Status};

pub(crate) const UNIX: f64 = 1_767_225_600.0;

pub(crate) fn ms(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

/// So much silence.
pub(crate) fn pcm(millis: usize) -> Bytes {
    vec![0; millis * 32].into()
}

pub(crate) fn took(millis: u64) -> Option<ChunkResult> {
    Some(ChunkResult { inference: Duration::from_millis(millis), voice: None })
}

pub(crate) struct Bench {
    pub(crate) registry: Registry,
    pub(crate) session: Session,
    pub(crate) audio: Audio,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(AudioConfig::default())
    }

    pub(crate) fn with(config: AudioConfig) -> Self {
        let registry = Registry::new();
        let metrics = DefaultMetrics::register(&registry).unwrap();
        let session = Session::new(config.sources_max, metrics, Default::default(), ms(0));
        Self { registry, session, audio: Audio::new(config) }
    }

    /// So much audio of "system" arrives.
    pub(crate) fn hear(&mut self, millis: usize, at: u64) {
        self.hear_from(SYSTEM, millis, at);
    }

    pub(crate) fn hear_from(&mut self, source: SourceName, millis: usize, at: u64) {
        self.receive(source, pcm(millis), ms(at)).unwrap();
    }

    pub(crate) fn receive(&mut self, source: SourceName, frame: Bytes, now: Moment) -> Result<bool, DecodeError> {
        self.audio.receive(&mut self.session, source, frame, now)
    }

    pub(crate) fn next_chunk(&mut self, source: SourceName, flush: bool, now: Moment) -> Option<Chunk> {
        self.audio.next_chunk(&mut self.session, source, flush, now)
    }

    pub(crate) fn fill_chunk(&mut self, source: SourceName, now: Moment) {
        self.audio.fill_chunk(&mut self.session, source, now);
    }

    pub(crate) fn end_chunk_of(&mut self, source: SourceName, chunk: &Chunk, result: Option<ChunkResult>, now: Moment) {
        self.audio.end_chunk(&mut self.session, source, chunk, result, now);
    }

    /// Everything of "system" that waits, as one chunk in the provider's hands.
    pub(crate) fn take(&mut self, at: u64) -> Option<Chunk> {
        self.next_chunk(SYSTEM, true, ms(at))
    }

    pub(crate) fn end_chunk(&mut self, chunk: &Chunk, result: Option<ChunkResult>, at: u64) {
        self.end_chunk_of(SYSTEM, chunk, result, ms(at));
    }

    /// So much audio arrives and is processed at once, with that much time inside the provider.
    pub(crate) fn process(&mut self, audio: usize, inference: u64, at: u64) {
        self.hear(audio, at);
        let chunk = self.take(at).unwrap();
        self.end_chunk(&chunk, took(inference), at);
    }

    /// The figures of "system", or of the first source.
    pub(crate) fn tick(&mut self, at: u64) -> Metrics {
        let mut figures = self.session.tick(at / 1_000, ms(at), UNIX + at as f64 / 1_000.0);
        let place = figures.iter().position(|figures| figures.source == SYSTEM);
        figures.swap_remove(place.unwrap_or(0))
    }

    pub(crate) fn statuses(&mut self) -> Vec<Status> {
        self.session.take_statuses()
    }

    pub(crate) fn end(&mut self, at: u64) -> Receipt {
        self.session.end(identity(), TickTally::default(), ms(at))
    }

    pub(crate) fn counted(&self) -> RegistrySnapshot {
        self.registry.snapshot()
    }
}

/// What a test itself saw of audio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
}

impl Amount {
    pub(crate) fn of(chunk: &Chunk) -> Self {
        let bytes = chunk.pieces().iter().map(|piece| piece.len() as u64).sum();
        Self { frames: chunk.pieces().len() as u64, bytes }
    }

    /// As its frames are cut, by length.
    pub(crate) fn of_pcm(bytes: usize) -> Self {
        Self { frames: bytes.div_ceil(PIECE_BYTES_MAX) as u64, bytes: bytes as u64 }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { frames: self.frames + other.frames, bytes: self.bytes + other.bytes }
    }

    /// Fails a test when it would go below nothing.
    pub(crate) fn minus(self, other: Self) -> Self {
        Self { frames: self.frames - other.frames, bytes: self.bytes - other.bytes }
    }
}

pub(crate) fn waiting(figures: &Metrics) -> Amount {
    Amount { frames: figures.queue_depth, bytes: figures.queue_bytes }
}

pub(crate) fn dropped(figures: &Metrics) -> Amount {
    Amount { frames: figures.dropped_total, bytes: figures.bytes_dropped }
}

pub(crate) fn identity() -> Identity {
    Identity { session_id: Some("call-7".into()), attempt_id: None, connection_id: Some("c-1".into()) }
}

/// Reproducible numbers: SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        self.below(1 << 53) as f64 / (1_u64 << 53) as f64
    }
}
