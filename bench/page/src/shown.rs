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
const WITHIN: Duration = Duration::from_secs(30);
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

/// A page that is shown.
pub struct Shown<'a> {
    pub browser: &'a Browser,
    pub server: RehearsalServer,
}

impl<'a> Shown<'a> {
    /// Makes the service, with so many frames behind it, and opens the page, which may ask for them.
    pub async fn open(browser: &'a Browser, case: Case, history: u64) -> Result<Self, Failure> {
        let server = serve(case, history).await?;
        browser.goto(&format!("http://{}/#measure", server.address)).await?;
        let shown = Self { browser, server };
        shown.settle(history.min(HISTORY)).await?;
        Ok(shown)
    }

    /// Goes to the case's page, the last 15 minutes in sight. Returns whether all was drawn in time.
    pub async fn go(&self, case: Case) -> Result<bool, Failure> {
        let go = format!("probe.isIdle = false; location.hash = '#/{}?w={HISTORY}'", case.page);
        self.browser.read(&go).await?;
        let is_there = "return document.querySelector('main').dataset.page";
        self.browser.until(is_there, WITHIN, |page| page == case.page).await?;
        sleep(IN_SIGHT).await;
        Ok(self.settle(0).await.is_ok())
    }

    /// Waits until the page holds so many frames and has drawn all of them.
    async fn settle(&self, held: u64) -> Result<(), Failure> {
        let script = "return [probe.isIdle, probe.held, probe.paintings, probe.took]";
        let is_settled = |found: &Value| found[0] == true && found[1].as_u64() >= Some(held);
        self.browser.until(script, WITHIN, is_settled).await?;
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

/// Works with a browser whose pages are watched, and ends it, however that goes: one that is only dropped
/// may live on.
pub async fn with_browser<T>(work: impl AsyncFnOnce(&Browser) -> Result<T, Failure>) -> Result<T, Failure> {
    let browser = Browser::start(Window { width: WIDTH, height: HEIGHT, ..Window::default() }).await?;
    let done = match browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({"source": PROBE})).await {
        Ok(_) => work(&browser).await,
        Err(failure) => Err(failure),
    };
    browser.end().await?;
    done
}

/// Such as `Chromium 142.0.1.2`.
pub async fn version(browser: &Browser) -> Result<String, Failure> {
    let told = browser.cdp("Browser.getVersion", json!({})).await?;
    let product = told["product"].as_str().unwrap_or_default();
    Ok(format!("Chromium {}", product.split('/').nth(1).unwrap_or("of an unknown version")))
}

/// The numbers of a list.
pub fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
