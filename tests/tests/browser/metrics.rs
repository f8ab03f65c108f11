//! Families are found, opened, and read in every way that the page offers.

use tachograph_tests::Failure;
use tachograph_tests::rehearsal::Scenario;

use super::pages::{LATER, Page, SOON, figure};
use super::rehearsed;

#[tokio::test]
async fn a_family_is_found_opened_and_read_in_every_way() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Healthy, 120).await?;
    let page = Page::open_live(&server.address, "#/metrics").await?;
    let all = page.until_cards(|cards| cards.len() > 20).await?.len();
    let groups = page.metrics().groups().await?;
    assert!(["http", "db", "cache"].iter().all(|group| groups.iter().any(|held| held == group)), "{groups:?}");
    let named = groups.strip_suffix(&["others".to_owned()]).unwrap_or(&groups);
    assert!(named.is_sorted(), "{groups:?}");

    page.metrics().search("no family is called so").await?;
    page.until_text("#metrics-none:not([hidden])", |text| !text.is_empty()).await?;
    page.metrics().search("POOL connect").await?;
    let found = page.until_cards(|cards| cards.len() == 1).await?;
    assert_eq!((found[0].title.as_str(), all > 20), ("db_pool_connections", true));
    page.metrics().open_first().await?;
    page.until(SOON, |facts| facts.page == "chart" && facts.hash.contains("m=db_pool_connections")).await?;
    assert_lines_of_a_gauge(&page).await?;
    assert_only_some_series(&page).await?;
    assert_readings_of_a_counter(&page).await?;
    assert_readings_of_a_histogram(&page).await?;
    page.end().await
}

/// What a reading makes of the newest tick that is shown: each line's figure.
async fn newest(page: &Page, split: &str, lines: usize) -> Result<Vec<f64>, Failure> {
    page.chart().choose("split", split).await?;
    page.until(SOON, |facts| facts.hash.contains(&format!("split={split}"))).await?;
    let is_drawn = |table: &[Vec<String>]| {
        table.len() > 20 && table[0].len() == lines + 1 && table[1].iter().all(|cell| cell != "–")
    };
    let table = page.chart().until_table(is_drawn).await?;
    Ok(table[1][1..].iter().filter_map(|cell| figure(cell)).collect())
}

async fn assert_lines_of_a_gauge(page: &Page) -> Result<(), Failure> {
    page.timebar().pause().await?;
    page.chart().choose("split", "each").await?;
    let table = page.chart().until_table(|table| table.len() > 20 && table[0].len() > 2).await?;
    let lines = table[0].len() - 1;
    let each = newest(page, "each", lines).await?;
    assert_eq!(each.len(), lines, "{table:?}");
    let sum = newest(page, "sum", 1).await?;
    let max = newest(page, "max", 1).await?;
    assert!((sum[0] - each.iter().sum::<f64>()).abs() < 1e-3, "{sum:?} of {each:?}");
    assert_eq!(max[0], each.iter().copied().fold(f64::MIN, f64::max));

    page.chart().choose("split", "by:pool").await?;
    let table = page.chart().until_table(|table| table[0].iter().any(|head| head == "primary")).await?;
    let by: f64 = table[1][1..].iter().filter_map(|cell| figure(cell)).sum();
    assert!((sum[0] - by).abs() < 1e-3, "{sum:?} of {table:?}");
    Ok(())
}

async fn assert_only_some_series(page: &Page) -> Result<(), Failure> {
    let of = page.chart().table().await?;
    let place = of[0].iter().position(|head| head == "primary").ok_or("no line of the pool")?;
    page.chart().choose("label", "pool").await?;
    page.until_read("return document.querySelectorAll('#chart-value option').length", |options| {
        options.as_u64() > Some(1)
    })
    .await?;
    page.chart().choose("value", "primary").await?;
    page.until_text("#title-chart", |title| title == "db_pool_connections where pool=primary").await?;
    let table = page.chart().until_table(|table| table[0].len() == 2 && table.len() > 20).await?;
    assert_eq!(table[1][1], of[1][place], "the same line by itself");
    Ok(())
}

async fn assert_readings_of_a_counter(page: &Page) -> Result<(), Failure> {
    page.go("#/chart?m=cache_hits_total&split=sum").await?;
    page.timebar().pause().await?;
    page.chart().choose("reading", "total").await?;
    let is_total = |table: &[Vec<String>]| table.len() > 20 && figure(&table[1][1]) > figure(&table[9][1]);
    let total = page.chart().until_table(is_total).await?;
    page.chart().choose("reading", "rate").await?;
    page.until(SOON, |facts| facts.hash.contains("r=rate")).await?;
    let rates = page.chart().until_table(|table| table.len() > 20 && table[1] != total[1]).await?;
    let figures = |table: &[Vec<String>], row: usize| figure(&table[row][1]).unwrap_or(f64::NAN);
    let grown: f64 = (1..9).map(|row| figures(&rates, row)).sum();
    let difference = figures(&total, 1) - figures(&total, 9);
    assert!((grown - difference).abs() < 1e-3, "rates of {grown} for a growth of {difference}");
    Ok(())
}

async fn assert_readings_of_a_histogram(page: &Page) -> Result<(), Failure> {
    page.go("#/chart?m=http_request_duration_ms").await?;
    let heat = page.until_cards(|cards| cards.len() == 1 && cards[0].legend.len() == 3).await?;
    let names: Vec<&str> = heat[0].legend.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["p50", "p90", "p99"]);
    page.timebar().pause().await?;
    let is_drawn = |table: &[Vec<String>]| table.len() > 20 && table[0].len() == 4 && figure(&table[1][1]).is_some();
    let heat = page.chart().until_table(is_drawn).await?;
    let figures: Vec<f64> = heat[1][1..].iter().filter_map(|cell| figure(cell)).collect();
    assert!(figures.len() == 3 && figures.is_sorted(), "{figures:?}");
    page.chart().choose("split", "sum").await?;
    page.chart().choose("reading", "p99").await?;
    let is_drawn = |table: &[Vec<String>]| table.len() > 20 && table[0].len() == 2 && figure(&table[1][1]).is_some();
    let p99 = page.chart().until_table(is_drawn).await?;
    assert_eq!(p99[1][1], heat[1][3]);
    page.chart().choose("reading", "mean").await?;
    page.until(SOON, |facts| facts.hash.contains("r=mean")).await?;
    let between = |table: &[Vec<String>]| table.len() > 20 && figure(&table[1][1]) < figure(&p99[1][1]);
    page.chart().until_table(between).await?;
    Ok(())
}

#[tokio::test]
async fn a_crossed_threshold_is_marked_wherever_the_reader_is() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Healthy, 30).await?;
    let page = Page::open_live(&server.address, "#/chart?m=db_pool_connections&split=max").await?;
    page.until_cards(|cards| cards.len() == 1 && !cards[0].value.is_empty()).await?;
    page.type_into("chart-limit", "1000000").await?;
    page.chart().choose("side", "above").await?;
    page.until(SOON, |facts| facts.hash.contains("above=1000000")).await?;
    assert!(!page.chart().card().await?.is_crossed);
    page.type_into("chart-limit", "0.5").await?;
    page.until(SOON, |facts| facts.hash.contains("above=0.5")).await?;
    page.until_cards(|cards| cards.len() == 1 && cards[0].is_crossed).await?;

    page.click("pin").await?;
    page.until(LATER, |facts| facts.title == "(1!) Tachograph").await?;
    page.click("tab-overview").await?;
    let lines = page.overview().until_attention(|lines| !lines.is_empty()).await?;
    assert!(lines[0].contains("db_pool_connections") && lines[0].contains("threshold"), "{lines:?}");
    assert!(page.overview().health().await?.contains("threshold"));
    // What follows moves up once the page has said for long enough that the chart is on the board.
    page.until_read("return document.getElementById('notice-told').hidden", |hidden| *hidden == true).await?;
    page.browser.find("#attention li a").await?.click().await?;
    page.until(SOON, |facts| facts.page == "chart" && facts.hash.contains("above=0.5")).await?;

    // A chart of figures that all are below the limit.
    page.go("#/chart?m=db_pool_connections&split=max&below=1000000").await?;
    page.until_cards(|cards| cards.len() == 1 && cards[0].is_crossed).await?;
    page.end().await
}

/// Notes what the browser is asked to tell.
const TOLD: &str = "
    window.told = [];
    window.Notification = class extends Notification {
        constructor(title, options) {
            super(title, options);
            told.push([title, options.body]);
        }
    };
";

#[tokio::test]
async fn the_browser_tells_of_a_crossed_threshold_once_it_is_allowed_to() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Healthy, 30).await?;
    let page = Page::open_live(&server.address, "#/overview").await?;
    page.browser.allow(&["notifications"]).await?;
    page.browser.before_each_page(TOLD).await?;
    page.browser.client.refresh().await?;
    page.until(LATER, |facts| facts.state == "live" && facts.row > 0).await?;
    page.go("#/chart?m=db_pool_connections&split=max&above=0.5").await?;
    page.click("pin").await?;
    page.click("tab-board").await?;
    page.click("notify").await?;
    page.until_text("#notice-told", |text| text.contains("You are told")).await?;
    page.until_read("return told", |told| told[0][0] == "db_pool_connections").await?;
    for _ in 0..3 {
        page.next_frame().await?;
    }
    let told = page.browser.read("return told").await?;
    assert_eq!(told.as_array().map(Vec::len), Some(1), "{told}");
    assert!(told[0][1].as_str().is_some_and(|words| words.contains("threshold")), "{told}");
    page.end().await
}

/// As the fields stand: first whether above or below, then the limit.
#[tokio::test]
async fn a_threshold_can_be_chosen_side_first() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Healthy, 30).await?;
    let page = Page::open_live(&server.address, "#/chart?m=db_pool_connections&split=max").await?;
    page.chart().choose("side", "above").await?;
    page.next_frame().await?;
    let limit = page.find("chart-limit").await?;
    limit.click().await?;
    page.next_frame().await?;
    limit.send_keys("0.5").await?;
    page.until(SOON, |facts| facts.hash.contains("above=0.5")).await?;
    page.end().await
}
