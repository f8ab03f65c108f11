//! The page's charts beside uPlot's, in the same browser, of the same figures.

use std::fs;

use bench_shared::distribution::Distribution;
use serde_json::{Value, json};
use tachograph_tests::Failure;
use tachograph_tests::browser::Browser;

use crate::shown::{numbers, repository};
use bench_shared::command::Effort;

/// What is drawn: in all as many charts as a window of that size shows, each as large as a card's.
pub const CHARTS: usize = 20;
pub const LINES: usize = 8;
pub const POINTS: usize = 900;
pub const SIZE: (u32, u32) = (340, 150);

/// Both, by turns.
pub struct Findings {
    pub own: Drawn,
    pub peer: Drawn,
    /// Making the page's display lists alone.
    pub lists: Distribution,
    pub sizes: Sizes,
}

/// Milliseconds for a tick of all charts.
#[derive(Default)]
pub struct Drawn {
    /// Until the script is done.
    pub drawn: Distribution,
    /// Until the browser has rendered it, too.
    pub rendered: Distribution,
}

/// Bytes in Brotli.
pub struct Sizes {
    pub peer_script: u64,
    pub peer_style: u64,
    pub own_script: u64,
    pub own_wasm: u64,
}

pub async fn measure(browser: &Browser, effort: Effort) -> Result<Findings, Failure> {
    let (rounds, ticks) = effort.of((12, 25), (3, 10));
    eprintln!("peer: {rounds} rounds of {ticks} ticks");
    let built = repository("target/bench/plot");
    let script = fs::read_to_string(built.join("peer.js"));
    let script = script.map_err(|error| format!("{error}; scripts/bench.sh builds what is missing"))?;
    let sizes: Value = serde_json::from_str(&fs::read_to_string(built.join("sizes.json"))?)?;
    browser.goto("data:text/html,<!doctype html><title>charts</title>").await?;
    browser.client.execute(&script, Vec::new()).await?;
    let (width, height) = SIZE;
    let shape = json!({"charts": CHARTS, "lines": LINES, "points": POINTS, "width": width, "height": height});
    browser.client.execute("bench.setUp(arguments[0])", vec![shape]).await?;
    let (mut own, mut peer, mut lists) = (Ticks::default(), Ticks::default(), Vec::new());
    // The first round is not counted.
    for round in 0..=rounds {
        let by_peer = run(browser, "uPlot", ticks).await?;
        let by_own = run(browser, "own", ticks).await?;
        let made = browser.client.execute("return bench.make(arguments[0])", vec![ticks.into()]).await?;
        if round > 0 {
            peer.add(&by_peer);
            own.add(&by_own);
            lists.extend(numbers(&made));
        }
    }
    let size = |name: &str| sizes[name]["brotli"].as_u64().unwrap_or_default();
    Ok(Findings {
        own: own.drawn(),
        peer: peer.drawn(),
        lists: Distribution::of(lists),
        sizes: Sizes {
            peer_script: size("uPlotScript"),
            peer_style: size("uPlotStyle"),
            own_script: size("ownScript"),
            own_wasm: size("ownWasm"),
        },
    })
}

async fn run(browser: &Browser, who: &str, ticks: u32) -> Result<Value, Failure> {
    let script =
        "const [who, ticks, done] = arguments; bench.run(who, ticks).then(done, (error) => done(String(error)))";
    let told = browser.client.execute_async(script, vec![who.into(), ticks.into()]).await?;
    if told.is_array() { Ok(told) } else { Err(format!("{who}: {told}").into()) }
}

#[derive(Default)]
struct Ticks {
    drawn: Vec<f64>,
    rendered: Vec<f64>,
}

impl Ticks {
    fn add(&mut self, ticks: &Value) {
        for tick in ticks.as_array().into_iter().flatten() {
            self.drawn.extend(tick[0].as_f64());
            self.rendered.extend(tick[1].as_f64());
        }
    }

    fn drawn(self) -> Drawn {
        Drawn { drawn: Distribution::of(self.drawn), rendered: Distribution::of(self.rendered) }
    }
}
