//! How many bytes a series takes a tick, changed or not, and how many a sample: a figure at a tick.

use tachograph_core::snapshot::{RegistrySnapshot, Value};
use tachograph_core::wire::frame::Keyframes;

use crate::dataset::{Dataset, Mix, Shape};
use crate::ours::Writer;
use crate::peers::{self, Peer};
use bench_shared::command::Effort;

pub const CHURNS: [f64; 4] = [0.01, 0.1, 0.4, 1.0];
pub const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// Series of a single kind.
pub const KIND_SERIES: usize = 10_000;
pub const HOUR_SERIES: usize = 1_000;
pub const HOUR_TICKS: usize = 3_600;
const ZSTD_LEVEL: i32 = 3;

/// Bytes as they are and compressed, of however much.
#[derive(Clone, Copy, Debug, Default)]
pub struct Size {
    pub raw: f64,
    pub zstd: f64,
}

impl Size {
    fn of(frame: &[u8]) -> Self {
        let compressed = zstd::bulk::compress(frame, ZSTD_LEVEL).expect("a level that exists");
        Self { raw: frame.len() as f64, zstd: compressed.len() as f64 }
    }

    fn add(&mut self, other: Self) {
        self.raw += other.raw;
        self.zstd += other.zstd;
    }

    fn divided(self, by: f64) -> Self {
        Self { raw: self.raw / by, zstd: self.zstd / by }
    }
}

/// What one shape takes.
pub struct Sizes {
    pub shape: Shape,
    /// Figures of a series: of a histogram each bucket that is not empty, and its sum.
    pub figures: f64,
    /// Bytes a series and tick of the deltas alone.
    pub deltas: Size,
    /// Bytes a series of one keyframe.
    pub keyframe: Size,
    /// Bytes a series of the schema.
    pub schema: Size,
    /// Bytes a series and tick of each peer.
    pub peers: Vec<(&'static str, Size)>,
}

impl Sizes {
    /// Ticks from keyframe to keyframe.
    pub fn keyframe_ticks(&self) -> f64 {
        (Keyframes::SHARE as f64 * self.keyframe.raw / self.deltas.raw).ceil().clamp(1.0, Keyframes::FRAMES_MAX as f64)
    }

    /// Bytes a series and tick with the keyframes.
    pub fn with_keyframes(&self) -> Size {
        let mut size = self.keyframe.divided(self.keyframe_ticks());
        size.add(self.deltas);
        size
    }

    /// The same for each figure.
    pub fn a_sample(&self) -> Size {
        self.with_keyframes().divided(self.figures)
    }
}

/// All that was measured.
pub struct Findings {
    pub sizes: Vec<Sizes>,
    /// [`KIND_SERIES`] of each kind, without peers.
    pub kinds: Vec<Sizes>,
    /// Bytes of [`HOUR_TICKS`] of [`HOUR_SERIES`] series, mixed, at 40 %: deltas, keyframes and one schema.
    pub hour: Size,
}

pub fn measure(effort: Effort) -> Findings {
    let shapes = Mix::MAIN.into_iter().flat_map(|mix| SIZES.map(|series| (mix, series)));
    let shapes = shapes.flat_map(|(mix, series)| CHURNS.map(|churn| Shape { mix, series, churn }));
    let kinds = Mix::KINDS.into_iter().flat_map(|mix| CHURNS.map(|churn| Shape { mix, series: KIND_SERIES, churn }));
    Findings {
        sizes: shapes.map(|shape| sizes(shape, ticks(shape.series, effort), &peers::all())).collect(),
        kinds: kinds.map(|shape| sizes(shape, ticks(shape.series, effort), &[])).collect(),
        hour: hour(),
    }
}

/// Fewer of what takes long.
pub fn ticks(series: usize, effort: Effort) -> usize {
    match (effort, series) {
        (Effort::Full, ..=10_000) => 60,
        (Effort::Full, _) => 12,
        (Effort::Quick, ..=10_000) => 6,
        (Effort::Quick, _) => 2,
    }
}

fn sizes(shape: Shape, ticks: usize, peers: &[&'static dyn Peer]) -> Sizes {
    eprintln!("bytes: {} series, {}, {} %", shape.series, shape.mix.name(), 100.0 * shape.churn);
    let mut dataset = Dataset::new(shape);
    let mut writer = Writer::default();
    let (tick, snapshot) = dataset.tick();
    writer.encode(tick, snapshot, &mut Vec::new());
    peers.iter().for_each(|peer| check(*peer, snapshot, shape.series));
    let mut deltas = Size::default();
    let mut peers: Vec<_> = peers.iter().map(|peer| (*peer, Size::default())).collect();
    for _ in 0..ticks {
        let (tick, snapshot) = dataset.tick();
        deltas.add(delta(&mut writer, tick, snapshot));
        peers.iter_mut().for_each(|(peer, size)| size.add(whole(*peer, snapshot)));
    }
    let (tick, snapshot) = dataset.tick();
    let figures = figures(snapshot) as f64 / shape.series as f64;
    writer.encode(tick, snapshot, &mut Vec::new());
    let samples = (shape.series * ticks) as f64;
    Sizes {
        shape,
        figures,
        deltas: deltas.divided(samples),
        keyframe: Size::of(&writer.keyframe()).divided(shape.series as f64),
        schema: Size::of(&writer.schema()).divided(shape.series as f64),
        peers: peers.into_iter().map(|(peer, size)| (peer.name(), size.divided(samples))).collect(),
    }
}

/// What other formats send as a sample each.
fn figures(snapshot: &RegistrySnapshot) -> usize {
    let figures = |value: &Value| value.histogram().map_or(1, |held| held.positive().len() + held.negative().len() + 1);
    snapshot.all_series().map(|(_, series)| figures(&series.value)).sum()
}

fn delta(writer: &mut Writer, tick: u64, snapshot: &RegistrySnapshot) -> Size {
    let mut out = Vec::new();
    writer.encode(tick, snapshot, &mut out);
    Size::of(&out)
}

/// Bytes that leave something out would be few for the wrong reason.
fn check(peer: &dyn Peer, snapshot: &RegistrySnapshot, series: usize) {
    let mut out = Vec::new();
    peer.encode(snapshot, &mut out);
    let decoded = peer.decode(&out);
    assert!(decoded.is_none_or(|decoded| decoded == series), "{} lost series", peer.name());
}

fn whole(peer: &dyn Peer, snapshot: &RegistrySnapshot) -> Size {
    let mut out = Vec::new();
    peer.encode(snapshot, &mut out);
    Size::of(&out)
}

/// As a file of it: schema and keyframe, then deltas, and a keyframe wherever one is due.
fn hour() -> Size {
    eprintln!("bytes: an hour of {HOUR_SERIES} series");
    let mut dataset = Dataset::new(Shape { mix: Mix::Mixed, series: HOUR_SERIES, churn: 0.4 });
    let mut writer = Writer::default();
    let mut size = Size::default();
    for place in 0..HOUR_TICKS {
        let (tick, snapshot) = dataset.tick();
        let delta = delta(&mut writer, tick, snapshot);
        if place == 0 {
            size.add(Size::of(&writer.schema()));
        } else {
            size.add(delta);
        }
        if writer.is_keyframe_due() {
            size.add(Size::of(&writer.keyframe()));
        }
    }
    size
}
