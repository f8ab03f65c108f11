//! received = processed + dropped + waiting + in the provider's hands: at every moment, for every
//! source, in bytes and in frames, in the figures and in the registry.

use std::collections::BTreeMap;

use tachograph_core::session::{AudioConfig, Chunk};
use tachograph_core::wire::{MIC, Metrics, SYSTEM, SourceName};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::{Amount, Bench, Random, dropped, identity, ms, took, waiting};

#[derive(Clone, Copy, Debug)]
enum Event {
    Receive { mic: bool, bytes: usize },
    NextChunk { mic: bool, flush: bool },
    EndChunk { mic: bool, inference: Option<u64> },
    Pass { millis: u64 },
}

/// What the test itself saw go in and come out of one source.
#[derive(Default)]
struct Seen {
    received: Amount,
    processed: Amount,
    failed: Amount,
    chunks: Vec<Chunk>,
    processed_chunks: u64,
    failed_chunks: u64,
    last_waiting: Amount,
    last_dropped: Amount,
    /// Taken from the queue into the chunk that is being filled.
    open: Amount,
}

impl Seen {
    fn in_hand(&self) -> Amount {
        self.chunks.iter().map(Amount::of).fold(self.open, Amount::plus)
    }
}

struct Run {
    bench: Bench,
    now: u64,
    seen: BTreeMap<SourceName, Seen>,
}

const BYTES_MAX: usize = 10_000;
const FRAMES_MAX: usize = 7;

impl Run {
    fn new() -> Self {
        let config = AudioConfig {
            queue_bytes_max: BYTES_MAX,
            queue_frames_max: FRAMES_MAX,
            chunk: core::time::Duration::from_millis(150),
            fallback: true,
            ..AudioConfig::default()
        };
        Self { bench: Bench::with(config), now: 0, seen: BTreeMap::new() }
    }

    fn play(mut self, events: &[Event]) {
        for event in events {
            self.apply(*event);
            self.check();
        }
        self.end();
    }

    fn apply(&mut self, event: Event) {
        let source = |mic| if mic { MIC } else { SYSTEM };
        match event {
            Event::Receive { mic, bytes } => self.receive(source(mic), bytes),
            Event::NextChunk { mic, flush } => self.next_chunk(source(mic), flush),
            Event::EndChunk { mic, inference } => self.end_chunk(source(mic), inference),
            Event::Pass { millis } => self.now += millis,
        }
    }

    fn receive(&mut self, source: SourceName, bytes: usize) {
        let accepted = self.bench.receive(source, vec![0; bytes].into(), ms(self.now)).is_ok();
        assert_eq!(accepted, bytes > 0 && bytes.is_multiple_of(2) && bytes <= BYTES_MAX);
        if accepted {
            let seen = self.seen.entry(source).or_default();
            seen.received = seen.received.plus(Amount::of_pcm(bytes));
        }
    }

    fn next_chunk(&mut self, source: SourceName, flush: bool) {
        let chunk = self.bench.next_chunk(source, flush, ms(self.now));
        let Some(figures) = self.figures().remove(&source) else { return assert!(chunk.is_none()) };
        let seen = self.seen.entry(source).or_default();
        let taken = seen.last_waiting.minus(waiting(&figures));
        let dropped = dropped(&figures).minus(seen.last_dropped);
        let given = chunk.as_ref().map(Amount::of).unwrap_or_default();
        seen.open = seen.open.plus(taken).minus(dropped).minus(given);
        seen.chunks.extend(chunk);
    }

    fn end_chunk(&mut self, source: SourceName, inference: Option<u64>) {
        let Some(chunk) = self.seen.get_mut(&source).and_then(|seen| seen.chunks.pop()) else { return };
        self.bench.end_chunk_of(source, &chunk, inference.and_then(took), ms(self.now));
        let seen = self.seen.entry(source).or_default();
        if inference.is_some() {
            seen.processed = seen.processed.plus(Amount::of(&chunk));
            seen.processed_chunks += 1;
        } else {
            seen.failed = seen.failed.plus(Amount::of(&chunk));
            seen.failed_chunks += 1;
        }
    }

    fn figures(&mut self) -> BTreeMap<SourceName, Metrics> {
        let figures = self.bench.session.tick(self.now / 1_000, ms(self.now), 0.0);
        figures.into_iter().map(|figures| (figures.source, figures)).collect()
    }

    fn check(&mut self) {
        let (figures, counted) = (self.figures(), self.bench.counted());
        assert!(figures.keys().eq(self.seen.keys()));
        for (source, figures) in &figures {
            let Some(seen) = self.seen.get_mut(source) else { continue };
            let (waiting, dropped, in_hand) = (waiting(figures), dropped(figures), seen.in_hand());
            let accounted = seen.processed.plus(dropped).plus(waiting).plus(in_hand);
            assert_eq!(seen.received, accounted, "{source}");
            assert!(waiting.bytes <= BYTES_MAX as u64 && waiting.frames <= FRAMES_MAX as u64);
            assert!(dropped.frames >= seen.last_dropped.frames);

            assert_eq!(figures.bytes_received, seen.received.bytes);
            assert_eq!(figures.bytes_processed, seen.processed.bytes);
            assert_eq!(figures.bytes_in_provider, in_hand.bytes);
            assert_eq!(figures.total_chunks_processed, seen.processed_chunks);

            let labels = &[("source", source.as_str())];
            let counter = |name| counted.counter(name, labels).unwrap();
            assert_eq!(counter("audio_bytes_received"), seen.received.bytes);
            assert_eq!(counter("audio_frames_received"), seen.received.frames);
            assert_eq!(counter("audio_bytes_dropped"), dropped.bytes);
            assert_eq!(counter("audio_frames_dropped"), dropped.frames);
            assert_eq!(counter("asr_chunks_processed"), seen.processed_chunks);
            assert_eq!(counter("asr_errors"), seen.failed_chunks);
            assert_eq!(counted.gauge("queue_depth", labels), Some(waiting.frames as f64));
            for histogram in ["inference_time_ms", "processing_time_ms"] {
                assert_eq!(counted.histogram(histogram, labels).unwrap().count(), seen.processed_chunks);
            }
            (seen.last_waiting, seen.last_dropped) = (waiting, dropped);
        }
        let drained = figures.values().all(|f| f.queue_bytes == 0 && f.bytes_in_provider == 0);
        assert_eq!(self.bench.session.is_drained(), drained);
    }

    fn end(mut self) {
        let receipt = self.bench.session.end(identity(), Default::default(), ms(self.now));
        let counted = self.bench.counted();
        for part in &receipt.sources {
            let seen = &self.seen[&part.source];
            let left = seen.last_waiting.plus(seen.in_hand());
            let dropped = Amount { frames: part.frames.dropped, bytes: part.bytes.dropped };
            assert_eq!((part.frames_left, part.bytes_left), (left.frames, left.bytes));
            assert_eq!(dropped, seen.last_dropped.plus(left));
            assert!(dropped.bytes >= seen.failed.bytes + left.bytes);
            assert_eq!((part.frames.queued, part.bytes.queued), (0, 0));
            assert_eq!((part.frames.received, part.bytes.received), (seen.received.frames, seen.received.bytes));
            assert_eq!((part.frames.processed, part.bytes.processed), (seen.processed.frames, seen.processed.bytes));
            assert_eq!(part.frames.received, part.frames.processed + part.frames.dropped);
            assert_eq!(part.bytes.received, part.bytes.processed + part.bytes.dropped);
            let labels = &[("source", part.source.as_str())];
            assert_eq!(counted.counter("audio_bytes_dropped", labels), Some(part.bytes.dropped));
            assert_eq!(counted.counter("audio_frames_dropped", labels), Some(part.frames.dropped));
            assert_eq!(counted.gauge("queue_depth", labels), Some(0.0));
        }
        assert_eq!(receipt.sources.len(), self.seen.len());
        assert_eq!(counted.gauge("active_sessions", &[]), Some(0.0));
    }
}

/// The event that four numbers stand for.
fn event(kind: u64, mic: bool, size: u64, choice: bool) -> Event {
    match kind % 8 {
        0..=2 => Event::Receive { mic, bytes: (size % 10_100) as usize & !usize::from(choice) },
        3 | 4 => Event::NextChunk { mic, flush: choice },
        5 | 6 => Event::EndChunk { mic, inference: (!size.is_multiple_of(5)).then_some(size % 400) },
        _ => Event::Pass { millis: if choice { size % 100 } else { size % 12_000 } },
    }
}

#[test]
fn the_identity_holds_over_random_sessions() {
    let mut random = Random(7);
    for _ in 0..60 {
        let mut next = || random.next() >> 16;
        let events: Vec<_> = (0..300).map(|_| event(next(), next() % 4 == 0, next(), next() % 8 > 0)).collect();
        Run::new().play(&events);
    }
}

/// The ladder drops every other chunk here; those are accounted as dropped too.
#[test]
fn the_identity_holds_while_every_other_chunk_is_dropped() {
    let mut run = Run::new();
    let mut dropped_by_ladder = 0;
    for second in 0..60_u64 {
        let heard = Event::Receive { mic: false, bytes: 9_600 };
        let rest =
            [Event::NextChunk { mic: false, flush: false }, Event::EndChunk { mic: false, inference: Some(900) }];
        run.apply(heard);
        run.check();
        let before = run.seen[&SYSTEM].last_dropped;
        for event in rest {
            run.apply(event);
            run.check();
        }
        dropped_by_ladder += run.seen[&SYSTEM].last_dropped.frames - before.frames;
        run.now = second * 1_000;
    }
    assert!(dropped_by_ladder > 0);
    run.end();
}

#[cfg(not(target_arch = "wasm32"))]
mod any_sequence {
    use proptest::prelude::*;

    use super::{Event, Run, event};

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let numbers = (any::<u64>(), any::<bool>(), any::<u64>(), any::<bool>());
        prop::collection::vec(numbers.prop_map(|(kind, mic, size, choice)| event(kind, mic, size, choice)), 0..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

        #[test]
        fn keeps_the_identity(events in events()) {
            Run::new().play(&events);
        }
    }
}
