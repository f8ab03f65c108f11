//! From a frame's arrival until it is painted and rendered, and tasks that take long meanwhile.

use std::path::Path;
use std::time::Duration;

use bench_shared::distribution::Distribution;
use serde_json::Value;
use tachograph_tests::Failure;
use tachograph_tests::browser::Browser;
use tokio::time::sleep;

use crate::profile;
use crate::shown::{CASES, Case, HISTORY, Shown, numbers, with_browser};
use bench_shared::command::Effort;

/// Between two frames: less than a second, which is what a service takes, so that more are measured.
const PACE: Duration = Duration::from_millis(250);
/// Frames before those that count.
const BEFORE: u64 = 8;
const PROFILED: u64 = 60;

/// Of one case.
pub struct Findings {
    pub case: Case,
    /// In sight.
    pub charts: u64,
    /// Whether the past of all charts was drawn before.
    pub is_whole: bool,
    pub times: Times,
    /// How long they took, in ms.
    pub long_tasks: Distribution,
}

/// Milliseconds.
pub struct Times {
    /// From the message to when what it says is kept.
    pub taking: Distribution,
    /// From there to the painting's begin: what the screen is waited for.
    pub waiting: Distribution,
    /// The painting.
    pub painting: Distribution,
    /// From the painting's end to that of the browser's own rendering.
    pub rendering: Distribution,
    /// Taking and painting.
    pub work: Distribution,
    /// From the arrival to the painting's end, with the waiting.
    pub painted: Distribution,
    /// From the arrival to the end of the browser's own rendering, with the waiting.
    pub rendered: Distribution,
}

pub async fn measure(effort: Effort, profiles: Option<&Path>) -> Result<Vec<Findings>, Failure> {
    let mut found = Vec::new();
    for case in CASES {
        eprintln!("frames: {case:?}");
        found
            .push(with_browser(async |browser| measure_case(browser, case, effort.of(240, 40), profiles).await).await?);
    }
    Ok(found)
}

async fn measure_case(
    browser: &Browser,
    case: Case,
    frames: u64,
    profiles: Option<&Path>,
) -> Result<Findings, Failure> {
    let shown = Shown::open(browser, case, HISTORY).await?;
    let is_whole = shown.go(case).await?;
    send(&shown, BEFORE).await?;
    shown.browser.read("probe.begin()").await?;
    send(&shown, frames).await?;
    let told = shown.browser.read("return { ...probe.end(), charts: probe.charts() }").await?;
    if let Some(folder) = profiles {
        profile::begin(shown.browser).await?;
        send(&shown, PROFILED).await?;
        let name = format!("{}-{}-{}", case.page, case.series, case.sessions);
        profile::end(shown.browser, folder, &name).await?;
    }
    Ok(Findings {
        case,
        is_whole,
        charts: told["charts"].as_u64().unwrap_or_default(),
        times: Times::of(&told["frames"])?,
        long_tasks: Distribution::of(numbers(&told["longTasks"])),
    })
}

async fn send(shown: &Shown<'_>, frames: u64) -> Result<(), Failure> {
    for number in 0..frames {
        shown.server.send(1).await?;
        // Not always at the same moment of the screen's own period.
        sleep(PACE + Duration::from_millis(7 * number % 17)).await;
    }
    Ok(())
}

impl Times {
    fn of(frames: &Value) -> Result<Self, Failure> {
        let frames = frames.as_array().filter(|frames| !frames.is_empty()).ok_or("the page painted no frame")?;
        let between = |from: &str, to: &str| -> Vec<f64> {
            let moment = |frame: &Value, name: &str| frame[name].as_f64().unwrap_or(f64::NAN);
            frames.iter().map(|frame| moment(frame, to) - moment(frame, from)).collect()
        };
        let (taking, painting) = (between("received", "arrived"), between("begun", "painted"));
        let work = taking.iter().zip(&painting).map(|(taking, painting)| taking + painting).collect();
        Ok(Self {
            waiting: Distribution::of(between("arrived", "begun")),
            rendering: Distribution::of(between("painted", "rendered")),
            painted: Distribution::of(between("arrived", "painted")),
            rendered: Distribution::of(between("arrived", "rendered")),
            work: Distribution::of(work),
            taking: Distribution::of(taking),
            painting: Distribution::of(painting),
        })
    }
}
