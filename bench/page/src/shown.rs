//! The built page in a browser, with a simulated service behind it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tachograph_tests::Failure;
use tachograph_tests::browser::{Browser, Window};
use tachograph_tests::rehearsal::{Pace, Rehearsal, RehearsalServer, Setup};
use tokio::time::sleep;

/// What the page's window of 15 minutes holds.
pub const HISTORY: u64 = 900;
/// Until the page has taken in all of it, and drawn it.
const WITHIN: Duration = Duration::from_secs(120);
/// Longer than it takes until charts that come into sight ask for their past.
const IN_SIGHT: Duration = Duration::from_millis(500);
const PROBE: &str = include_str!("../js/probe.js");
pub const WIDTH: u32 = 1_920;
pub const HEIGHT: u32 = 1_080;

/// What is shown, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub series: usize,
    pub sessions: usize,
    /// The page's word in its address.
    pub page: &'static str,
}

pub const CASES: [Case; 4] = [
    Case { series: 100, sessions: 6, page: "metrics" },
    Case { series: 1_000, sessions: 6, page: "metrics" },
    Case { series: 10_000, sessions: 6, page: "metrics" },
    Case { series: 100, sessions: 1_000, page: "sessions" },
];

/// A page that is shown; all of it ends with the value.
pub struct Shown {
    pub browser: Browser,
    pub server: RehearsalServer,
}

impl Shown {
    /// Makes the service, with so many frames behind it, and opens the page, which may ask for them.
    pub async fn open(case: Case, history: u64) -> Result<Self, Failure> {
        let server = serve(case, history).await?;
        let browser = browser().await?;
        browser.goto(&format!("http://{}/#measure", server.address)).await?;
        let shown = Self { browser, server };
        shown.settle(history.min(HISTORY)).await?;
        Ok(shown)
    }

    /// Goes to the case's page, the last 15 minutes in sight, and waits until all is drawn.
    pub async fn go(&self, case: Case) -> Result<(), Failure> {
        let go = format!("probe.isIdle = false; location.hash = '#/{}?w={HISTORY}'", case.page);
        self.browser.read(&go).await?;
        let is_there = "return document.querySelector('main').dataset.page";
        self.browser.until(is_there, WITHIN, |page| page == case.page).await?;
        self.settle(0).await?;
        sleep(IN_SIGHT).await;
        self.settle(0).await
    }

    /// Waits until the page holds so many frames and has drawn all of them.
    async fn settle(&self, held: u64) -> Result<(), Failure> {
        let script = "return probe.isIdle ? probe.held : -1";
        self.browser.until(script, WITHIN, |found| found.as_f64() >= Some(held as f64)).await?;
        Ok(())
    }

    /// Waits until the page has drawn this frame.
    pub async fn draws(&self, seq: u64) -> Result<(), Failure> {
        self.browser.until("return probe.seq", WITHIN, |drawn| drawn.as_u64() >= Some(seq)).await?;
        Ok(())
    }
}

/// A service with so many frames behind it.
pub async fn serve(case: Case, history: u64) -> Result<RehearsalServer, Failure> {
    let Case { series, sessions, .. } = case;
    let rehearsal = Rehearsal::new(Setup { series, sessions, ..Setup::default() })?;
    let server = RehearsalServer::start(rehearsal, Pace::Paused).await?;
    server.send(history).await?;
    Ok(server)
}

/// A browser whose pages are watched.
pub async fn browser() -> Result<Browser, Failure> {
    let browser = Browser::start(Window { width: WIDTH, height: HEIGHT, ..Window::default() }).await?;
    browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({"source": PROBE})).await?;
    Ok(browser)
}

/// Such as `Chromium 142.0.1.2`.
pub async fn browser_version() -> Result<String, Failure> {
    let browser = Browser::start(Window::default()).await?;
    let told = browser.cdp("Browser.getVersion", json!({})).await?;
    let product = told["product"].as_str().unwrap_or_default();
    let version = product.split('/').nth(1).unwrap_or("of an unknown version");
    browser.end().await?;
    Ok(format!("Chromium {version}"))
}

/// The numbers of a list.
pub fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
