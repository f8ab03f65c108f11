//! The very loops that are measured natively, by a page's clock.

// Taken over by their paths: the bench's other dependencies cannot be built for wasm32.
#[path = "../../src/stream/dataset.rs"]
#[allow(dead_code)]
mod dataset;
#[path = "../../src/stream/loops.rs"]
mod loops;
#[path = "../../src/stream/ours.rs"]
#[allow(dead_code)]
mod ours;
#[path = "../../shared/src/random.rs"]
#[allow(dead_code)]
mod random;

use dataset::{Mix, Shape};
use loops::Recording;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn now() -> f64;
}

/// In the order of their numbers.
const MIXES: [Mix; 5] = [Mix::Mixed, Mix::Scalars, Mix::Counters, Mix::Gauges, Mix::Histograms];

/// Encode from a snapshot, encode from columns, decode: medians, in million series a second. `mix` is its number.
#[wasm_bindgen]
pub fn rates(series: usize, churn: f64, mix: usize, ticks: usize, rounds: usize) -> Vec<f64> {
    let recording = Recording::new(Shape { mix: MIXES[mix], series, churn }, ticks);
    let rates = recording.rates(rounds, &now);
    vec![rates.encode, rates.columns, rates.decode]
}
