//! How fast a tick is encoded and decoded, natively and in a browser.

use std::time::Instant;

use crate::dataset::{Mix, Shape};
use crate::loops::{Rates, Recording, median};
use crate::peers::{self, Peer};
use crate::wasm;
use bench_shared::command::Effort;

pub const SIZES: [usize; 2] = [10_000, 100_000];
pub const CHURNS: [f64; 4] = [0.01, 0.1, 0.4, 1.0];
/// Series of a single kind.
pub const KIND_SERIES: usize = 10_000;

/// What one shape takes. All in million series a second.
pub struct Speeds {
    pub shape: Shape,
    pub native: Rates,
    /// None where it could not be run.
    pub wasm: Option<Rates>,
    /// Encode and decode of each peer.
    pub peers: Vec<(&'static str, f64, f64)>,
}

/// All that was measured.
pub struct Findings {
    pub speeds: Vec<Speeds>,
    /// Why there is none in wasm.
    pub no_wasm: Option<String>,
    pub browser: String,
}

pub fn measure(effort: Effort) -> Findings {
    let kinds = Mix::KINDS.map(|mix| (mix, KIND_SERIES));
    let shapes = Mix::MAIN.into_iter().flat_map(|mix| SIZES.map(|series| (mix, series))).chain(kinds);
    let shapes = shapes.flat_map(|(mix, series)| CHURNS.map(|churn| Shape { mix, series, churn }));
    let mut speeds: Vec<Speeds> = shapes.map(|shape| native(shape, effort)).collect();
    let rounds = rounds(effort);
    let (browser, no_wasm) = match wasm::measure(&mut speeds, ticks, rounds) {
        Ok(browser) => (browser, None),
        Err(error) => (String::new(), Some(error.to_string())),
    };
    Findings { speeds, no_wasm, browser }
}

pub fn rounds(effort: Effort) -> usize {
    match effort {
        Effort::Full => 9,
        Effort::Quick => 3,
    }
}

/// As many as make about as many series in all.
pub fn ticks(series: usize) -> usize {
    if series > 10_000 { 8 } else { 32 }
}

fn native(shape: Shape, effort: Effort) -> Speeds {
    eprintln!("speed: {} series, {}, {} %", shape.series, shape.mix.name(), 100.0 * shape.churn);
    let recording = Recording::new(shape, ticks(shape.series));
    let begun = Instant::now();
    let native = recording.rates(rounds(effort), &|| milliseconds(begun));
    let peers: &[&dyn Peer] = if Mix::MAIN.contains(&shape.mix) { &[&peers::JSON, &peers::OTLP] } else { &[] };
    let peers = peers.iter().map(|peer| {
        let (encode, decode) = peer_rates(*peer, &recording, shape.series, effort);
        (peer.name(), encode, decode)
    });
    Speeds { shape, native, wasm: None, peers: peers.collect() }
}

fn milliseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}

/// Of a tick in each round: these take long enough.
fn peer_rates(peer: &dyn Peer, recording: &Recording, series: usize, effort: Effort) -> (f64, f64) {
    let mut snapshots = recording.snapshots.iter().cycle();
    let mut out = Vec::new();
    let rounds = rounds(effort).min(7);
    let encode = median(rounds, || {
        let snapshot = snapshots.next().expect("a cycle has no end");
        out.clear();
        let begun = Instant::now();
        peer.encode(snapshot, &mut out);
        milliseconds(begun)
    });
    let decode = median(rounds, || {
        let begun = Instant::now();
        let decoded = peer.decode(&out);
        let elapsed = milliseconds(begun);
        assert_eq!(decoded, Some(series), "{} lost series", peer.name());
        elapsed
    });
    let rate = |elapsed_ms: f64| series as f64 / elapsed_ms / 1e3;
    (rate(encode), rate(decode))
}
