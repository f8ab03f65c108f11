//! What the page takes of memory while frames come, over its window and beyond.

use std::time::Duration;

use serde_json::json;
use tachograph_tests::Failure;
use tachograph_tests::browser::Browser;
use tokio::time::{Instant, sleep_until};

use crate::shown::{CASES, Case, Shown, with_browser};
use bench_shared::command::Effort;

/// Between two frames: as fast as the page can still paint each.
const PACE: Duration = Duration::from_millis(50);
/// Between two samples, and beyond the frames that come one by one.
const SAMPLED: u64 = 100;
const SAMPLED_LATER: u64 = 450;

/// Of one case.
pub struct Findings {
    pub case: Case,
    pub samples: Vec<Sample>,
}

/// Bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// That have come until then.
    pub frames: u64,
    pub wasm: f64,
    /// The JavaScript heap, after all garbage was collected.
    pub heap: f64,
}

pub async fn measure(effort: Effort) -> Result<Vec<Findings>, Failure> {
    let mut found = Vec::new();
    for case in CASES {
        eprintln!("memory: {case:?}");
        let (one_by_one, last) = effort.of((1_800, 4_500), (1_000, 1_900));
        found.push(with_browser(async |browser| measure_case(browser, case, one_by_one, last).await).await?);
    }
    Ok(found)
}

/// Frames one by one, then up to the last one many at once.
async fn measure_case(browser: &Browser, case: Case, one_by_one: u64, last: u64) -> Result<Findings, Failure> {
    let shown = Shown::open(browser, case, 1).await?;
    shown.go(case).await?;
    shown.browser.cdp("Performance.enable", json!({})).await?;
    let mut samples = Vec::new();
    let mut seq = 1;
    while seq < last {
        let is_slow = seq < one_by_one;
        let step = if is_slow { SAMPLED - seq % SAMPLED } else { SAMPLED_LATER.min(last - seq) };
        if is_slow {
            send_slowly(&shown, step).await?;
            seq += step;
        } else {
            seq = shown.server.send(step).await?;
        }
        shown.draws(seq).await?;
        let sample = sample(&shown, seq).await?;
        eprintln!("memory: {sample:?}");
        samples.push(sample);
    }
    Ok(Findings { case, samples })
}

async fn send_slowly(shown: &Shown<'_>, frames: u64) -> Result<(), Failure> {
    let begun = Instant::now();
    for number in 1..=frames {
        shown.server.send(1).await?;
        sleep_until(begun + PACE * u32::try_from(number)?).await;
    }
    Ok(())
}

async fn sample(shown: &Shown<'_>, frames: u64) -> Result<Sample, Failure> {
    let browser = shown.browser;
    // What the probe itself has noted.
    browser.read("probe.begin()").await?;
    browser.cdp("HeapProfiler.collectGarbage", json!({})).await?;
    let told = browser.cdp("Performance.getMetrics", json!({})).await?;
    let metrics = told["metrics"].as_array().map_or(&[][..], Vec::as_slice);
    let heap =
        metrics.iter().find(|metric| metric["name"] == "JSHeapUsedSize").and_then(|metric| metric["value"].as_f64());
    let wasm = browser.read("return probe.memory.buffer.byteLength").await?.as_f64();
    Ok(Sample {
        frames,
        wasm: wasm.ok_or("the page has no wasm memory")?,
        heap: heap.ok_or("the browser tells no heap")?,
    })
}
