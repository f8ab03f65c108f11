//! The loops whose time is measured: the same natively and in wasm.

use tachograph_core::snapshot::{RegistrySnapshot, Value};

use crate::dataset::{Dataset, Shape};
use crate::ours::{Follower, Rewriter, Writer};

/// Million series a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// From a registry's snapshot.
    pub encode: f64,
    /// From columns.
    pub columns: f64,
    pub decode: f64,
}

/// Milliseconds since whenever.
pub type Clock<'a> = &'a dyn Fn() -> f64;

/// Consecutive ticks, as snapshots and as a stream.
pub struct Recording {
    shape: Shape,
    pub snapshots: Vec<RegistrySnapshot>,
    /// Schema and keyframe at the first snapshot.
    beginning: Vec<u8>,
    /// A delta for each further one.
    deltas: Vec<Vec<u8>>,
}

impl Recording {
    pub fn new(shape: Shape, ticks: usize) -> Self {
        let snapshots = Dataset::new(shape).ticks(ticks + 1);
        let mut writer = Writer::default();
        writer.encode(1, &snapshots[0], &mut Vec::new());
        let beginning = [writer.schema(), writer.keyframe()].concat();
        let deltas = (2..).zip(&snapshots[1..]).map(|(tick, snapshot)| written(&mut writer, tick, snapshot)).collect();
        let recording = Self { shape, snapshots, beginning, deltas };
        recording.check();
        recording
    }

    /// A decoder that loses something would be fast for the wrong reason.
    fn check(&self) {
        let mut follower = self.follower();
        self.deltas.iter().for_each(|delta| follower.decode(delta).expect("what was just written"));
        let (decoded, last) = (follower.registry(), self.snapshots.last().expect("at least one"));
        let series = decoded.all_series().zip(last.all_series());
        let mut same =
            series.map(|((_, one), (_, other))| one.labels == other.labels && agree(&one.value, &other.value));
        assert!(decoded.series == last.series && same.all(|same| same), "what was decoded is not what was encoded");
    }

    /// Medians of so many rounds.
    pub fn rates(&self, rounds: usize, now: Clock<'_>) -> Rates {
        let mut decodes = Vec::new();
        // The rewriter decodes first: what it takes beyond that is its encoding. One after the other, so that
        // noise meets both alike.
        let columns = median(rounds, || {
            let decode = self.decode(now);
            decodes.push(decode);
            self.rewrite(now) - decode
        });
        Rates {
            encode: self.rate(Live::new(self.shape).encode(rounds, self.deltas.len(), now)),
            columns: self.rate(columns),
            decode: self.rate(median(decodes.len(), || decodes.pop().unwrap_or_default())),
        }
    }

    /// Million series a second, where all ticks took so many milliseconds.
    pub fn rate(&self, elapsed_ms: f64) -> f64 {
        (self.shape.series * self.deltas.len()) as f64 / elapsed_ms / 1e3
    }

    fn follower(&self) -> Follower {
        let mut follower = Follower::default();
        follower.decode(&self.beginning).expect("what was just written");
        follower
    }

    fn decode(&self, now: Clock<'_>) -> f64 {
        let mut follower = self.follower();
        let begun = now();
        for delta in &self.deltas {
            follower.decode(delta).expect("a stream that was checked");
        }
        now() - begun
    }

    fn rewrite(&self, now: Clock<'_>) -> f64 {
        let (mut rewriter, mut out) = (Rewriter::default(), Vec::new());
        rewriter.rewrite(&self.beginning, &mut out).expect("a stream that was checked");
        let begun = now();
        for delta in &self.deltas {
            out.clear();
            rewriter.rewrite(delta, &mut out).expect("a stream that was checked");
        }
        now() - begun
    }
}

/// A server's tick: what changes, the collector's snapshot, the frame.
struct Live {
    dataset: Dataset,
    writer: Writer,
    out: Vec<u8>,
}

impl Live {
    fn new(shape: Shape) -> Self {
        let mut live = Self { dataset: Dataset::new(shape), writer: Writer::default(), out: Vec::new() };
        // So that all the memory is there.
        for _ in 0..3 {
            live.tick(&|| 0.0);
        }
        live
    }

    /// Milliseconds of the frame alone.
    fn tick(&mut self, now: Clock<'_>) -> f64 {
        let (tick, snapshot) = self.dataset.tick();
        self.out.clear();
        let begun = now();
        self.writer.encode(tick, snapshot, &mut self.out);
        now() - begun
    }

    /// The median of so many rounds of so many ticks.
    fn encode(&mut self, rounds: usize, ticks: usize, now: Clock<'_>) -> f64 {
        median(rounds, || (0..ticks).map(|_| self.tick(now)).sum())
    }
}

/// A snapshot's sums are exact, those of a stream are the nearest floats.
fn agree(one: &Value, other: &Value) -> bool {
    match (one.histogram(), other.histogram()) {
        (Some(one), Some(other)) => one.positive() == other.positive() && one.sum().to_bits() == other.sum().to_bits(),
        _ => one == other,
    }
}

fn written(writer: &mut Writer, tick: u64, snapshot: &RegistrySnapshot) -> Vec<u8> {
    let mut out = Vec::new();
    writer.encode(tick, snapshot, &mut out);
    out
}

/// The median of so many samples.
pub fn median(rounds: usize, mut sample: impl FnMut() -> f64) -> f64 {
    let mut samples: Vec<f64> = (0..rounds.max(1)).map(|_| sample()).collect();
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
