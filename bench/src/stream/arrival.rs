//! From an event to its arrival in a page: sessions start and end at any moment within the tick, and the
//! page, opened with `#measure`, notes for each event when it happened and when it was there.

use std::process::Child;
use std::time::{Duration, Instant};

use bench_shared::distribution::Distribution;

use crate::Failure;
use crate::browser::Browser;
use crate::process::{self, Server};
use crate::random::Random;
use bench_shared::command::Effort;

const ARRIVALS: &str = "return window.__tachographArrivals ?? null";
const PAGE_WITHIN: Duration = Duration::from_secs(20);
/// Sessions at once; beyond, the oldest one is ended first.
const SESSIONS: usize = 8;
/// Longer than a tick, so that the last event arrives too.
const AFTERWARDS: Duration = Duration::from_millis(2_500);

/// All that was measured.
pub struct Findings {
    /// Milliseconds from the event to its arrival.
    pub delays: Distribution,
    pub seconds: u64,
    pub browser: String,
}

pub fn measure(effort: Effort) -> Result<Findings, Failure> {
    let seconds = if effort == Effort::Full { 120 } else { 15 };
    eprintln!("arrival: {seconds} s");
    let server = Server::start(0)?;
    let browser = Browser::start()?;
    browser.visit(&format!("http://{}/#measure", server.address))?;
    let hook = browser.await_answer(ARRIVALS, PAGE_WITHIN);
    hook.map_err(|error| format!("the page has no window.__tachographArrivals: {error}"))?;
    come_and_go(&server.address, Duration::from_secs(seconds))?;
    std::thread::sleep(AFTERWARDS);
    let arrivals = browser.run(ARRIVALS)?;
    let arrivals = arrivals.as_array().ok_or("the page's arrivals are no list")?;
    let delay = |pair: &serde_json::Value| Some(pair[1].as_f64()? - pair[0].as_f64()?);
    let delays: Vec<f64> = arrivals.iter().filter_map(delay).collect();
    if delays.is_empty() {
        return Err("the page saw no event".into());
    }
    Ok(Findings { delays: Distribution::of(delays), seconds, browser: browser.version.clone() })
}

/// Sessions that start and end at random moments.
fn come_and_go(address: &str, limit: Duration) -> Result<(), Failure> {
    let mut random = Random::new(0xa441);
    let mut sessions: Vec<Child> = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < limit {
        std::thread::sleep(Duration::from_secs_f64(0.05 + 0.5 * random.uniform()));
        if sessions.len() == SESSIONS || (!sessions.is_empty() && random.happens(0.5)) {
            let mut session = sessions.remove(random.below(sessions.len() as u64) as usize);
            process::interrupt(&session);
            // It says stop and waits for the summary: meanwhile others go on.
            std::thread::spawn(move || session.wait());
        } else {
            sessions.push(process::session(address, 1.0)?);
        }
    }
    sessions.iter_mut().for_each(process::end);
    Ok(())
}
