//! Makes the pictures of the documents: the page in a browser, before a rehearsed service in health, in
//! overload and after it.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;
use tachograph_tests::Failure;
use tachograph_tests::browser::{Browser, Window};
use tachograph_tests::rehearsal::{Pace, Rehearsal, RehearsalServer, Scenario, Setup};
use tokio::time::sleep;

/// The fifth of January 2026, at nine.
const START_WALL_MS: u64 = 1_767_603_600_000;
const ZONE: &str = "UTC";
/// Of the story, in seconds: in health, in the overload, after it.
const HEALTHY: u64 = 270;
const OVERLOAD: u64 = 530;
const RECOVERED: u64 = 885;
/// When the service with gaps starts anew.
const GAPS: u64 = 262;

const DESK: Window = Window { width: 1_280, height: 800, dark: false, reduced_motion: true, touch: false };
const PHONE: Window = Window { width: 360, height: 780, dark: false, reduced_motion: true, touch: true };

const STREAM_WITHIN: Duration = Duration::from_secs(20);
const STILL_WITHIN: Duration = Duration::from_secs(20);
/// A page that looks the same for so long is painted.
const STILL_FOR: Duration = Duration::from_millis(600);
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// The page's clocks nearly stand still, but when they are set on: however long a picture takes, figures do
/// not get old, and before it paints the page does all that there is to do.
const SLOW_CLOCK: &str = "
    const [read, began, day] = [performance.now.bind(performance), performance.now(), Date.now()];
    let ahead = 0;
    globalThis.setClockOn = (milliseconds) => { ahead += milliseconds; };
    performance.now = () => began + ahead + (read() - began) / 10_000;
    Date.now = () => day + ahead;
";
/// The number of the newest frame that is painted.
const PAINTED: &str = "return Number(document.querySelector('[data-seq]')?.dataset.seq || 0)";
/// How many frames the page did not get.
const MISSING: &str = "return Number(document.querySelector('[data-missing]')?.dataset.missing ?? 0)";
/// Has everything painted at the window's own fineness.
const SETTLE: &str = "dispatchEvent(new Event('resize'))";
/// Longer than the page waits before it connects again.
const SET_CLOCK_ON: &str = "setClockOn(1_500)";
/// Where the first row of the sessions leads to: the worst one.
const WORST: &str = "return document.querySelector('[data-testid=\"source-row\"] a')?.getAttribute('href') ?? null";

/// One picture, in both themes.
struct Picture {
    name: &'static str,
    place: String,
    window: Window,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("pictures: it needs a folder to write to");
        return ExitCode::FAILURE;
    };
    match run(&folder).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("pictures: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    let studio = Studio { browser: Browser::start(DESK).await?, folder };
    studio.browser.cdp("Emulation.setTimezoneOverride", json!({"timezoneId": ZONE})).await?;
    let clock = json!({"source": SLOW_CLOCK});
    studio.browser.cdp("Page.addScriptToEvaluateOnNewDocument", clock).await?;
    studio.story().await?;
    studio.gaps().await?;
    studio.browser.end().await
}

struct Studio<'a> {
    browser: Browser,
    folder: &'a Path,
}

impl Studio<'_> {
    async fn story(&self) -> Result<(), Failure> {
        let server = RehearsalServer::start(rehearsal(0)?, Pace::Paused).await?;
        server.send(HEALTHY).await?;
        self.take(&server, &picture("metrics", "metrics?q=http")).await?;

        server.send(OVERLOAD - HEALTHY).await?;
        self.take(&server, &picture("overview-overload", "overview")).await?;
        self.take(&server, &Picture { window: PHONE, ..picture("narrow", "overview") }).await?;
        self.take(&server, &picture("board", &board())).await?;
        self.take(&server, &picture("sessions", "sessions")).await?;
        let worst = self.browser.read(WORST).await?;
        let worst = worst.as_str().ok_or("no session is listed")?.trim_start_matches("#/");
        self.take(&server, &picture("session", worst)).await?;

        server.send(RECOVERED - OVERLOAD).await?;
        self.take(&server, &picture("chart", "chart?m=http_request_duration_ms&above=800&w=900")).await
    }

    /// A chart of a service that missed ticks, of which frames were lost, and that was started anew.
    async fn gaps(&self) -> Result<(), Failure> {
        let gaps = picture("gaps", "chart?m=http_requests_total&split=sum&w=300");
        for dark in [false, true] {
            let server = RehearsalServer::start(rehearsal(0)?, Pace::Paused).await?;
            server.send(90).await?;
            self.show(&server, &gaps, dark).await?;
            // The page asks for what it did not get at once, and then not again for seconds of its clock.
            self.wait_for(server.skip(2).await?).await?;
            self.browser.until(MISSING, STREAM_WITHIN, |missing| *missing == 0).await?;
            server.miss(25)?;
            self.wait_for(server.send(70).await?).await?;
            server.skip(30).await?;
            self.wait_for(server.send(40).await?).await?;
            server.restart(rehearsal(GAPS)?)?;
            server.send(50).await?;
            self.browser.read(SET_CLOCK_ON).await?;
            self.wait_for(server.newest()).await?;
            self.keep(&gaps, dark).await?;
        }
        Ok(())
    }

    /// Takes a picture in both themes.
    async fn take(&self, server: &RehearsalServer, picture: &Picture) -> Result<(), Failure> {
        for dark in [false, true] {
            self.show(server, picture, dark).await?;
            self.keep(picture, dark).await?;
        }
        Ok(())
    }

    async fn show(&self, server: &RehearsalServer, picture: &Picture, dark: bool) -> Result<(), Failure> {
        self.browser.set_window(Window { dark, ..picture.window }).await?;
        // Another fragment alone would not load the page anew.
        self.browser.goto("about:blank").await?;
        self.browser.goto(&format!("http://{}/#/{}", server.address, picture.place)).await?;
        self.wait_for(server.newest()).await
    }

    async fn wait_for(&self, seq: u64) -> Result<(), Failure> {
        self.browser.until(PAINTED, STREAM_WITHIN, |painted| painted.as_u64() == Some(seq)).await?;
        Ok(())
    }

    /// Keeps what is shown once it does not change any more.
    async fn keep(&self, picture: &Picture, dark: bool) -> Result<(), Failure> {
        self.still(picture).await?;
        // Drawn anew as a whole: what was drawn bit by bit has other edges.
        let Window { width, height, touch, .. } = picture.window;
        let fine = json!({"width": width, "height": height, "deviceScaleFactor": 2, "mobile": touch});
        self.browser.cdp("Emulation.setDeviceMetricsOverride", fine).await?;
        self.still(picture).await?;
        self.browser.set_window(Window { dark, ..picture.window }).await?;
        self.browser.read(SETTLE).await?;
        let shown = self.still(picture).await?;
        let logs = self.browser.logs().await?;
        if !logs.is_empty() {
            return Err(format!("{}: {}", picture.name, logs.join("; ")).into());
        }
        let theme = if dark { "dark" } else { "light" };
        Ok(std::fs::write(self.folder.join(format!("{}-{theme}.png", picture.name)), shown)?)
    }

    /// What is shown, as a picture, once it does not change any more.
    async fn still(&self, picture: &Picture) -> Result<Vec<u8>, Failure> {
        let (began, mut since) = (Instant::now(), Instant::now());
        let mut before = Vec::new();
        loop {
            let now = self.browser.client.screenshot().await?;
            if now != before {
                (before, since) = (now, Instant::now());
            } else if since.elapsed() >= STILL_FOR {
                return Ok(before);
            }
            if began.elapsed() > STILL_WITHIN {
                return Err(format!("{} does not come to rest", picture.name).into());
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

fn rehearsal(second: u64) -> Result<Rehearsal, Failure> {
    let start_wall_ms = START_WALL_MS + second * 1_000;
    Rehearsal::new(Setup { scenario: Scenario::Story, start_wall_ms, seed: 1 + second, ..Setup::default() })
}

fn picture(name: &'static str, place: &str) -> Picture {
    Picture { name, place: place.into(), window: DESK }
}

/// Charts that tell the story, some with a limit.
fn board() -> String {
    let charts = [
        "server=sessions",
        "m=processing_lag_seconds&above=3",
        "m=queue_depth&above=12",
        "server=drops",
        "m=http_request_duration_ms&above=800",
        "m=http_requests_total&by=route",
        "m=db_query_duration_ms&r=p90&split=sum",
        "m=cache_misses_total&split=sum",
        "m=process_cpu_ratio",
    ];
    let charts = charts.map(|chart| format!("&c={}", chart.replace('=', "%3D").replace('&', "%26")));
    format!("board?name=On%20call{}&w=600", charts.concat())
}
