//! A real browser on the page of the built program.
#![allow(clippy::panic, reason = "a test fails by it")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tachograph_core::session::Level;
use tachograph_core::snapshot::Value as SeriesValue;
use tachograph_core::wire::StreamFrame;
use tachograph_tests::browser::{Browser, Window};
use tachograph_tests::{Failure, Server, program, speech};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// Everything that the page shows of one frame, read in one go.
const READ_PAGE: &str = r#"
    const all = (selector) => [...document.querySelectorAll(selector)];
    const frame = document.querySelector('[data-testid="frame"]');
    return {
        state: document.querySelector('[data-testid="connection-state"]')?.dataset.state ?? "none",
        seq: frame?.dataset.seq ?? null,
        epoch: frame?.dataset.epoch ?? null,
        held: Number(frame?.dataset.held ?? 0),
        missing: Number(frame?.dataset.missing ?? 0),
        restarts: Number(frame?.dataset.restarts ?? 0),
        events: all('[data-testid="event"]').map((event) => [event.dataset.event, event.dataset.session]),
        rows: all('[data-testid="source-row"]').map((row) => ({
            session: row.dataset.session,
            source: row.dataset.source,
            // The tick at which its first line begins; the newest one is 299.
            begins: Number(row.querySelector('.sparkline .line')?.getAttribute('d')?.match(/^M(\d+)/)?.[1] ?? 300),
            figures: Object.fromEntries([...row.querySelectorAll('[data-figure]')]
                .map((cell) => [cell.dataset.figure, cell.dataset.value])),
        })),
        series: all('[data-testid="series"]')
            .map((series) => [series.dataset.family, series.dataset.labels, series.dataset.value]),
    };
"#;

/// Reads the page until `wanted` holds of it, for at most `limit`.
async fn until(browser: &Browser, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Result<Value, Failure> {
    browser.until(READ_PAGE, limit, wanted).await
}

/// A network between browser and server that can be cut.
struct Wire {
    address: String,
    sound: watch::Sender<bool>,
}

impl Wire {
    async fn to(server: &str) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (sound, is_sound) = watch::channel(true);
        let server = server.to_owned();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *is_sound.borrow() {
                    tokio::spawn(carry(near, server.clone(), is_sound.clone()));
                }
            }
        });
        Ok(Self { address, sound })
    }

    /// Ends all connections, and lets no other one through.
    fn cut(&self) {
        self.sound.send_replace(false);
    }

    fn mend(&self) {
        self.sound.send_replace(true);
    }
}

/// Carries a connection until it ends or is cut.
async fn carry(mut near: TcpStream, server: String, mut is_sound: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _ended = copy_bidirectional(&mut near, &mut far) => {}
        _cut = is_sound.wait_for(|sound| !sound) => {}
    }
}

fn rows(page: &Value) -> &[Value] {
    page["rows"].as_array().map_or(&[], Vec::as_slice)
}

fn figure(row: &Value, name: &str) -> f64 {
    row["figures"][name].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

fn seq(page: &Value) -> u64 {
    page["seq"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn the_demo_moves_within_3_s_goes_stale_within_3_s_and_comes_back_by_itself() -> Result<(), Failure> {
    let mut server = Server::start("demo", &[])?;
    let address = server.address.clone();
    let browser = Browser::start(Window::default()).await?;
    browser.goto(&format!("http://{address}/")).await?;

    let moving =
        |page: &Value| rows(page).len() == 3 && rows(page).iter().all(|row| figure(row, "bytes_received") > 0.0);
    let first = until(&browser, Duration::from_secs(3), moving).await?;
    let sessions: Vec<&str> = rows(&first).iter().filter_map(|row| row["session"].as_str()).collect();
    assert!(sessions.contains(&"demo-meeting") && sessions.contains(&"demo-dictation"), "{sessions:?}");
    assert_one_update_a_second(&browser, first).await?;

    server.signal("STOP")?;
    until(&browser, Duration::from_secs(3), |page| page["state"] == "stale").await?;
    server.signal("CONT")?;
    until(&browser, Duration::from_secs(5), |page| page["state"] == "live").await?;

    server.signal("KILL")?;
    server.wait(Duration::from_secs(5))?;
    let stale = until(&browser, Duration::from_secs(3), |page| page["state"] != "live").await?;
    assert_eq!(rows(&stale).len(), 3, "the last figures stay, marked as old");

    let _again = Server::start_at(&address, "demo", &[])?;
    let is_back = |page: &Value| page["state"] == "live" && page["epoch"] != stale["epoch"];
    let back = until(&browser, Duration::from_secs(20), is_back).await?;
    assert_eq!(back["restarts"], 1);
    assert!(has_event(&back, "restarted", "server"), "{}", back["events"]);
    browser.end().await
}

fn has_event(page: &Value, event: &str, session: &str) -> bool {
    page["events"].as_array().is_some_and(|events| events.iter().any(|told| *told == json!([event, session])))
}

#[tokio::test]
async fn a_page_that_is_opened_late_shows_what_was_before() -> Result<(), Failure> {
    const BEFORE: u64 = 20;
    let server = Server::start("demo", &[])?;
    sleep(Duration::from_secs(BEFORE)).await;
    let browser = Browser::start(Window::default()).await?;
    browser.goto(&format!("http://{}/", server.address)).await?;
    let drawn = |page: &Value| {
        rows(page).len() == 3 && rows(page).iter().all(|row| row["begins"].as_u64() <= Some(300 - (BEFORE - 5)))
    };
    let page = until(&browser, Duration::from_secs(1), drawn).await?;
    assert!(has_event(&page, "session_started", "demo-meeting"), "{}", page["events"]);
    let whole = until(&browser, Duration::from_secs(3), |page| seq(page) >= BEFORE).await?;
    assert_nothing_missing(&whole);
    browser.end().await
}

#[tokio::test]
async fn a_page_whose_connection_was_cut_gets_what_it_missed() -> Result<(), Failure> {
    let server = Server::start("demo", &[])?;
    let wire = Wire::to(&server.address).await?;
    let browser = Browser::start(Window::default()).await?;
    browser.goto(&format!("http://{}/", wire.address)).await?;
    until(&browser, Duration::from_secs(8), |page| page["state"] == "live" && seq(page) >= 3).await?;

    wire.cut();
    let lost = until(&browser, Duration::from_secs(3), |page| page["state"] == "reconnecting").await?;
    sleep(Duration::from_secs(5)).await;
    wire.mend();
    let back = until(&browser, Duration::from_secs(12), |page| page["state"] == "live").await?;
    assert!(seq(&back) >= seq(&lost) + 5, "{} after {}", seq(&back), seq(&lost));
    assert_nothing_missing(&back);
    let later = until(&browser, Duration::from_secs(3), |page| seq(page) > seq(&back)).await?;
    assert_nothing_missing(&later);
    browser.end().await
}

/// Of a server that was watched from its first frame, each frame is there once.
fn assert_nothing_missing(page: &Value) {
    assert_eq!((&page["held"], &page["missing"], &page["restarts"]), (&json!(seq(page)), &json!(0), &json!(0)));
}

/// Follows the page for five frames: none is left out, and every source's figures move with each.
async fn assert_one_update_a_second(browser: &Browser, first: Value) -> Result<(), Failure> {
    let (began, mut shown) = (Instant::now(), first);
    for _ in 0..5 {
        let before = shown;
        shown = until(browser, Duration::from_secs(3), |page| seq(page) != seq(&before)).await?;
        assert_eq!(seq(&shown), seq(&before) + 1);
        for (row, earlier) in rows(&shown).iter().zip(rows(&before)) {
            assert!(figure(row, "bytes_received") > figure(earlier, "bytes_received"), "{row} after {earlier}");
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    assert!((4.0..6.5).contains(&seconds), "five updates took {seconds} s");
    Ok(())
}

#[tokio::test]
async fn the_page_and_the_snapshot_show_the_same_figures_of_a_streamed_file() -> Result<(), Failure> {
    let server = Server::start("serve", &["--provider", "simulated", "--simulated-rtf", "0.6"])?;
    let url = format!("http://{}", server.address);
    let mut playing = Command::new(program())
        .args(["stream", "--loop", "--source", "mic,system", "--url", &url])
        .arg(speech())
        .stderr(Stdio::null())
        .spawn()?;
    let browser = Browser::start(Window::default()).await?;
    browser.goto(&format!("{url}/")).await?;
    let processed = |page: &Value| rows(page).iter().any(|row| figure(row, "avg_infer_ms") > 0.0);
    until(&browser, Duration::from_secs(15), processed).await?;

    let compared = compare_for(&browser, &server, 5).await;
    playing.kill()?;
    playing.wait()?;
    compared?;
    until(&browser, Duration::from_secs(40), |page| rows(page).is_empty()).await?;
    browser.end().await
}

/// Compares as many frames as asked for.
async fn compare_for(browser: &Browser, server: &Server, frames: usize) -> Result<(), Failure> {
    let began = Instant::now();
    let (mut compared, mut last) = (0, 0);
    while compared < frames {
        if began.elapsed() > Duration::from_secs(30) {
            return Err(format!("only {compared} frames could be compared").into());
        }
        let (page, snapshot) = (browser.read(READ_PAGE).await?, server.snapshot()?);
        if seq(&page) == snapshot.seq && snapshot.seq != last {
            assert_same(&page, &snapshot);
            (compared, last) = (compared + 1, snapshot.seq);
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn assert_same(page: &Value, snapshot: &StreamFrame) {
    let sources =
        snapshot.sessions.iter().flat_map(|session| session.sources.iter().map(move |source| (session, source)));
    let mut shown = 0;
    for (session, source) in sources {
        shown += 1;
        let row = rows(page).iter().find(|row| {
            row["session"].as_str() == session.identity.session_id.as_deref() && row["source"] == source.source.as_str()
        });
        let row = row.unwrap_or_else(|| panic!("no row for {source:?} in {page}"));
        let expected = [
            ("queue_fill_ratio", source.queue_fill_ratio),
            ("backlog_seconds", source.backlog_seconds),
            ("avg_infer_ms", source.avg_infer_ms),
            ("realtime_factor", source.realtime_factor),
            ("dropped_total", source.dropped_total as f64),
            ("bytes_received", source.bytes_received as f64),
        ];
        for (name, value) in expected {
            assert_eq!(figure(row, name), value, "{name} of {row}");
        }
        let level = source.degrade_level.map(Level::as_str);
        assert_eq!(row["figures"]["degrade_level"].as_str(), level, "{row}");
    }
    assert_eq!(rows(page).len(), shown);
    assert_same_series(page, snapshot);
}

fn assert_same_series(page: &Value, snapshot: &StreamFrame) {
    let shown = page["series"].as_array().map_or(&[][..], Vec::as_slice);
    let find = |family: &str, labels: &str| {
        shown.iter().find(|series| series[0] == family && series[1] == labels).and_then(|series| series[2].as_str())
    };
    let mut compared = 0;
    for family in &snapshot.registry.families {
        for series in &family.series {
            let labels: Vec<String> = family.labels(series).map(|(name, value)| format!("{name}={value}")).collect();
            let expected = match &series.value {
                SeriesValue::Counter(total) => *total as f64,
                SeriesValue::Gauge(gauge) => gauge.value(),
                SeriesValue::Histogram(buckets) => buckets.count() as f64,
            };
            let value: Option<f64> = find(family.name(), &labels.join(",")).and_then(|text| text.parse().ok());
            assert_eq!(value, Some(expected), "{} {labels:?}", family.name());
            compared += 1;
        }
    }
    assert!(compared >= 20, "only {compared} series");
}

/// What the page at hand says of the window it is in.
const READ_WINDOW: &str = r"
    const is = (query) => matchMedia(query).matches;
    return [innerWidth, innerHeight, is('(prefers-color-scheme: dark)'), is('(prefers-reduced-motion: reduce)'),
        navigator.maxTouchPoints > 0];
";

#[tokio::test]
async fn a_window_is_as_asked_for() -> Result<(), Failure> {
    let phone = Window { width: 390, height: 844, dark: true, reduced_motion: true, touch: true };
    let browser = Browser::start(phone).await?;
    let page = "data:text/html,<!doctype html><meta name=viewport content='width=device-width'>\
        <button data-testid=go onclick=\"this.textContent='gone'\">go</button><input autofocus>";
    browser.goto(page).await?;
    assert_eq!(browser.read(READ_WINDOW).await?, json!([390, 844, true, true, true]));
    browser.set_window(Window::default()).await?;
    assert_eq!(browser.read(READ_WINDOW).await?, json!([1_280, 800, false, false, false]));

    browser.click("go").await?;
    assert_eq!(browser.text("go").await?, "gone");
    browser.keys("\u{E004}ab").await?;
    browser.until("return document.querySelector('input').value", Duration::from_secs(2), |held| held == "ab").await?;
    let picture = std::fs::read(browser.screenshot("a-window").await?)?;
    assert!(picture.starts_with(b"\x89PNG"));

    assert_eq!(browser.logs().await?, Vec::<String>::new());
    browser.read("console.error('wrong'); console.log('right')").await?;
    let logs = browser.logs().await?;
    assert!(logs.len() == 1 && logs[0].contains("wrong"), "{logs:?}");
    browser.end().await
}

#[tokio::test]
async fn what_others_cannot_use_is_found() -> Result<(), Failure> {
    let browser = Browser::start(Window::default()).await?;
    browser
        .goto("data:text/html,<!doctype html><html lang=en><title>page</title><main><h1>page</h1><input></main>")
        .await?;
    let found = browser.axe().await?;
    assert!(found.len() == 1 && found[0]["id"] == "label", "{found:?}");
    browser.end().await
}
