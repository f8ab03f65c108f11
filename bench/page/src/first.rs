//! From an address that is entered to figures, and how many bytes that takes.

use std::time::Duration;

use bench_shared::distribution::Distribution;
use serde_json::json;
use tachograph_tests::Failure;
use tachograph_tests::browser::Browser;

use crate::shown::{Case, HISTORY, repository, serve};
use bench_shared::command::Effort;

pub const CASE: Case = Case { series: 1_000, sessions: 6, page: "overview" };
const WITHIN: Duration = Duration::from_secs(30);

/// Milliseconds from the navigation's start.
pub struct Findings {
    /// To the first painting that has figures.
    pub first: Distribution,
    /// To the first one of all the history, charts and all.
    pub whole: Distribution,
    /// Of all files, in Brotli.
    pub bytes: u64,
}

pub async fn measure(browser: &Browser, effort: Effort) -> Result<Findings, Failure> {
    let loads = effort.of(20, 5);
    eprintln!("first figures: {loads} loads");
    let server = serve(CASE, HISTORY).await?;
    let (mut first, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..loads {
        // So that the next address is not one of the same document.
        browser.goto("about:blank").await?;
        browser.cdp("Network.clearBrowserCache", json!({})).await?;
        browser.goto(&format!("http://{}/#measure", server.address)).await?;
        let told = "return window.probe?.whole ? [probe.first, probe.whole] : null";
        let told = browser.until(told, WITHIN, |told| !told.is_null()).await?;
        first.extend(told[0].as_f64());
        whole.extend(told[1].as_f64());
    }
    Ok(Findings { first: Distribution::of(first), whole: Distribution::of(whole), bytes: bytes()? })
}

fn bytes() -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(repository("server/dist"))? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "br") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
