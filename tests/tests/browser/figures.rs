//! What the page shows is what the server says.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tachograph_tests::{Failure, Server, program, speech};
use tokio::time::sleep;

use super::pages::{Page, figure};

/// A program that streams a file until the value ends.
pub(crate) struct Playing(Child);

impl Playing {
    /// Plays recorded speech again and again as these sources.
    pub(crate) fn start(address: &str, sources: &str, more: &[&str]) -> Result<Self, Failure> {
        let child = Command::new(program())
            .args(["stream", "--loop", "--source", sources, "--url", &format!("http://{address}")])
            .args(more)
            .arg(speech())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }

    /// As Ctrl-C does: the sessions end as they should.
    pub(crate) fn interrupt(&self) -> Result<(), Failure> {
        Command::new("kill").args(["-INT", &self.0.id().to_string()]).status()?;
        Ok(())
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _ended_already = self.0.wait();
    }
}

/// The page's figures have at most six decimals.
fn is_same(shown: f64, told: f64) -> bool {
    (shown - told).abs() <= 6e-7 + told.abs() * 1e-9
}

#[tokio::test]
async fn the_table_of_sessions_shows_what_the_snapshot_says() -> Result<(), Failure> {
    const FRAMES: usize = 4;
    let server = Server::start("serve", &["--provider", "simulated", "--simulated-rtf", "0.6"])?;
    let _playing = Playing::start(&server.address, "mic,system", &[])?;
    let page = Page::open_live(&server.address, "#/sessions").await?;
    let is_processed = |rows: &[super::pages::Row]| {
        let cell = |row: &super::pages::Row| row.figures.get("infer_p50_ms").is_some_and(|cell| cell != "–");
        rows.len() == 2 && rows.iter().all(cell)
    };
    page.sessions().until_rows(is_processed).await?;
    let (began, mut compared, mut last) = (Instant::now(), 0, 0);
    while compared < FRAMES {
        assert!(began.elapsed() < Duration::from_secs(30), "only {compared} frames could be compared");
        let (seq, rows) = page.sessions().rows_with_seq().await?;
        let snapshot: Value = serde_json::from_str(&server.get("/api/v1/snapshot")?)?;
        if snapshot["seq"] == seq && seq != last {
            assert_same(&rows, &snapshot);
            (compared, last) = (compared + 1, seq);
        }
        sleep(Duration::from_millis(50)).await;
    }
    page.end().await
}

fn assert_same(rows: &[super::pages::Row], snapshot: &Value) {
    let mut compared = 0;
    for session in snapshot["sessions"].as_array().map_or(&[][..], Vec::as_slice) {
        for source in session["sources"].as_array().map_or(&[][..], Vec::as_slice) {
            let name = source["source"].as_str().unwrap_or_default();
            let row =
                rows.iter().find(|row| row.source == name).unwrap_or_else(|| panic!("no row of {name}: {rows:?}"));
            for cell in [
                "queue_fill_ratio",
                "backlog_seconds",
                "infer_p50_ms",
                "infer_p99_ms",
                "realtime_factor",
                "dropped_total",
            ] {
                let told = source[cell].as_f64();
                let shown = row.figures.get(cell).and_then(|cell| figure(cell));
                let same = match (shown, told) {
                    (Some(shown), Some(told)) => is_same(shown, told),
                    (shown, told) => shown == told,
                };
                assert!(same, "{cell} of {name}: {shown:?} is shown, {told:?} told: {source}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 12, "{snapshot}");
}

#[tokio::test]
async fn a_chart_its_table_and_its_files_show_what_the_history_says() -> Result<(), Failure> {
    let server = Server::start("serve", &["--provider", "simulated", "--simulated-rtf", "0.6"])?;
    let _playing = Playing::start(&server.address, "mic,system", &[])?;
    let page = Page::open_live(&server.address, "#/overview").await?;
    page.until(Duration::from_secs(30), |facts| facts.held >= 12).await?;
    page.timebar().pause().await?;
    let until = super::pages::at(&page.facts().await?).unwrap_or_default();

    let both =
        |name: &str, suffix: &str| ["mic", "system"].map(|source| format!("{name}{suffix}{{source=\"{source}\"}}"));
    for (family, reading, suffix) in [
        ("queue_depth", "figure", ""),
        ("audio_bytes_received", "total", ""),
        ("inference_time_ms", "p50", "_p50"),
        ("inference_time_ms", "p90", "_p90"),
        ("inference_time_ms", "p99", "_p99"),
        ("inference_time_ms", "total", "_count"),
    ] {
        page.go(&format!("#/chart?m={family}&r={reading}&split=each&w=900&at={until}")).await?;
        let lines = ["mic", "system"];
        let table = page.chart().until_table(|table| table.len() >= 12 && table[0].len() == 3).await?;
        assert!(lines.iter().all(|line| table[0].iter().any(|head| head == line)), "{:?}", table[0]);
        let history = history(&server, family, &both(family, suffix))?;
        let file: Value = serde_json::from_str(&std::fs::read_to_string(page.download("json", "json").await?)?)?;
        let csv = std::fs::read_to_string(page.download("csv", "csv").await?)?;
        let order = [1, 2].map(|column| lines.iter().position(|line| table[0][column] == *line).unwrap_or_default());
        assert_same_rows(&history, &file, &csv, &table, order, &format!("{family} {reading}"));
    }
    page.end().await
}

/// By Unix milliseconds, what the server tells of two series.
fn history(server: &Server, family: &str, names: &[String; 2]) -> Result<BTreeMap<u64, [Option<f64>; 2]>, Failure> {
    let history: Value = serde_json::from_str(&server.get(&format!("/api/v1/history?metric={family}&format=json"))?)?;
    let columns = history["columns"].as_array().ok_or("no columns")?;
    let place = |name: &String| columns.iter().position(|column| column["name"] == name.as_str());
    let places = [&names[0], &names[1]].map(place);
    let [Some(one), Some(other)] = places else { return Err(format!("no {names:?} in {columns:?}").into()) };
    let rows = history["rows"].as_array().ok_or("no rows")?;
    Ok(rows.iter().map(|row| (millis(&row[0]), [row[one].as_f64(), row[other].as_f64()])).collect())
}

fn millis(seconds: &Value) -> u64 {
    (seconds.as_f64().unwrap_or_default() * 1_000.0).round() as u64
}

fn assert_same_rows(
    history: &BTreeMap<u64, [Option<f64>; 2]>,
    file: &Value,
    csv: &str,
    table: &[Vec<String>],
    order: [usize; 2],
    what: &str,
) {
    let rows = file["rows"].as_array().map_or(&[][..], Vec::as_slice);
    let lines: Vec<&str> = csv.lines().skip(1).collect();
    assert_eq!((rows.len(), lines.len()), (table.len() - 1, table.len() - 1), "{what}");
    let mut compared = 0;
    // What grew before the first row that the page has is not known to it.
    for (number, row) in rows.iter().enumerate().skip(1) {
        let told = history.get(&millis(&row[0])).unwrap_or_else(|| panic!("{what}: no row of {}", row[0]));
        let cells: Vec<&str> = lines[number].split(',').collect();
        let shown = &table[table.len() - 1 - number];
        let moment = millis(&row[0]) / 1_000 % 86_400;
        assert_eq!(shown[0], format!("{:02}:{:02}:{:02}", moment / 3_600, moment / 60 % 60, moment % 60), "{what}");
        for column in 1..=2 {
            let told = told[order[column - 1]];
            for seen in [row[column].as_f64(), figure(cells[column]), figure(&shown[column])] {
                let same = match (seen, told) {
                    (Some(seen), Some(told)) => is_same(seen, told),
                    (seen, told) => seen == told,
                };
                assert!(same, "{what}, row {number} of {}: {seen:?} is shown, {told:?} told", rows.len());
                compared += usize::from(told.is_some());
            }
        }
    }
    assert!(compared > 3, "{what}: only {compared} figures");
}
