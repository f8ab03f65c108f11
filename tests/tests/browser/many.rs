//! As many sessions as a server has.

use std::time::{Duration, Instant};

use tachograph_tests::Failure;
use tachograph_tests::rehearsal::{Pace, Rehearsal, RehearsalServer, Setup};

use super::pages::{Page, SOON};

const SESSIONS: usize = 10_000;
/// Of 20,000 rows.
const ROWS_MAX: usize = 80;
const ANSWERED_WITHIN_MS: f64 = 500.0;
const ALL_ARRIVED: Duration = Duration::from_secs(40);

#[tokio::test]
async fn of_ten_thousand_sessions_only_those_in_sight_are_rows() -> Result<(), Failure> {
    let began = Instant::now();
    let setup = Setup { sessions: SESSIONS, ..Setup::default() };
    let server = RehearsalServer::start(Rehearsal::new(setup)?, Pace::Paused).await?;
    let newest = server.send(3).await?;
    println!("three seconds of {SESSIONS} sessions took {:.1} s", began.elapsed().as_secs_f64());
    let page = Page::open(&server.address, "#/sessions?sort=name").await?;
    page.until(ALL_ARRIVED, |facts| facts.seq == newest).await?;
    let rows = page.sessions().until_rows(|rows| rows.len() > 10).await?;
    assert!(page.sessions().count().await?.replace('\u{202f}', "").contains("10000 sessions"));
    let all = "return document.querySelectorAll('[data-testid=\"source-row\"]').length";
    let held = page.browser.read(all).await?.as_u64().unwrap_or_default() as usize;
    assert!(held <= ROWS_MAX, "{held} rows exist");

    page.browser
        .read("const body = document.getElementById('sessions-body'); body.scrollTop = body.scrollHeight")
        .await?;
    let count = "return Number(document.getElementById('sessions-table').getAttribute('aria-rowcount'))";
    let last = page.browser.read(count).await?;
    let shown = "return Math.max(...[...document.querySelectorAll('[data-testid=\"source-row\"]:not([hidden])')]
        .map((row) => Number(row.getAttribute('aria-rowindex'))))";
    page.until_read(shown, |shown| *shown == last).await?;
    let at_end = page.sessions().rows().await?;
    assert_ne!(at_end.last().map(|row| &row.session), rows.last().map(|row| &row.session));
    let held = page.browser.read(all).await?.as_u64().unwrap_or_default() as usize;
    assert!(held <= ROWS_MAX, "{held} rows exist");

    let mut took = f64::INFINITY;
    // A machine that just now begins other browsers can be late once; a slow filter is slow each time.
    for wanted in [at_end.first(), at_end.get(at_end.len() / 2), at_end.last()].into_iter().flatten() {
        took = took.min(filter_time(&page, &wanted.session).await?);
        let found = page.sessions().rows().await?;
        assert!(found.len() <= 4 && found.iter().all(|row| row.session == wanted.session), "{found:?}");
    }
    println!("a filter of {SESSIONS} sessions is answered in {took:.0} ms");
    assert!(took <= ANSWERED_WITHIN_MS, "the filter took {took} ms");
    page.until(SOON, |facts| facts.hash.contains("q=")).await?;
    page.end().await
}

/// From a word in the filter to the rows that have it, drawn, in milliseconds.
async fn filter_time(page: &Page, words: &str) -> Result<f64, Failure> {
    let script = r#"
        const [words, done] = arguments;
        const input = document.getElementById("sessions-words");
        input.focus();
        const began = performance.now();
        input.value = words;
        input.dispatchEvent(new Event("input", { bubbles: true }));
        const look = () => {
            const rows = [...document.querySelectorAll('[data-testid="source-row"]:not([hidden])')];
            if (rows.length > 0 && rows.every((row) => row.dataset.session === words)) done(performance.now() - began);
            else if (performance.now() - began > 20_000) done(-1);
            else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    "#;
    let took = page.browser.client.execute_async(script, vec![words.into()]).await?.as_f64().unwrap_or(-1.0);
    if took < 0.0 { Err("the filter was not answered".into()) } else { Ok(took) }
}
