//! Chosen charts: kept, shared, carried in a file.

use tachograph_tests::Failure;
use tachograph_tests::rehearsal::Scenario;

use super::pages::{LATER, Page, SOON};
use super::rehearsed;

const CHART: &str = "m=db_pool_connections&split=max";
const OTHER: &str = "m=cache_hits_total";

#[tokio::test]
async fn a_board_is_kept_linked_and_carried_in_a_file() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Healthy, 60).await?;
    let page = Page::open_live(&server.address, &format!("#/chart?{CHART}")).await?;
    page.click("pin").await?;
    page.until_text("#notice-told", |text| text.contains("Added")).await?;
    page.go(&format!("#/chart?{OTHER}")).await?;
    page.click("pin").await?;
    page.until_text("#notice-told", |text| text.contains("Added")).await?;
    page.click("tab-board").await?;
    page.until_cards(|cards| cards.len() == 2 && cards.iter().all(|card| !card.value.is_empty())).await?;
    assert_eq!(page.board().charts().await?, [CHART, OTHER]);

    page.board().name("on call").await?;
    page.click("board-save").await?;
    page.until_text("#notice-told", |text| text.contains("saved")).await?;
    let link = page.until(SOON, |facts| facts.hash.contains("name=on%20call")).await?.hash;
    page.browser.goto(&format!("{}#/overview", page.url)).await?;
    page.browser.client.refresh().await?;
    page.until(LATER, |facts| facts.row > 0).await?;
    page.click("tab-board").await?;
    page.until_cards(|cards| cards.len() == 2).await?;
    assert_eq!(page.browser.read("return document.getElementById('board-name').value").await?, "on call");

    let file = page.download("board-file", "tachoboard").await?;
    page.board().take_off(0).await?;
    page.until_cards(|cards| cards.len() == 1 && cards[0].chart == OTHER).await?;
    page.go("#/overview").await?;
    page.open_file(&file).await?;
    page.until(SOON, |facts| facts.page == "board").await?;
    page.until_cards(|cards| cards.len() == 2 && cards[0].chart == CHART).await?;

    // Of a browser that keeps nothing, the link shows the same.
    page.browser.read("localStorage.clear()").await?;
    page.browser.goto("about:blank").await?;
    page.browser.goto(&format!("{}{link}", page.url)).await?;
    page.until_cards(|cards| cards.len() == 2 && cards.iter().all(|card| !card.value.is_empty())).await?;
    page.end().await
}

#[tokio::test]
async fn a_link_is_copied_or_the_reader_is_told_how() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Healthy, 20).await?;
    let page = Page::open_live(&server.address, &format!("#/board?c={}", CHART.replace('=', "%3D"))).await?;
    page.browser.allow(&["clipboardReadWrite", "clipboardSanitizedWrite"]).await?;
    page.click("share").await?;
    page.until_text("#notice-told", |text| text.contains("copied")).await?;
    let held =
        page.browser.client.execute_async("navigator.clipboard.readText().then(arguments[0])", Vec::new()).await?;
    // The address of the browser follows a little later.
    page.until(SOON, |facts| held == format!("{}{}", page.url, facts.hash)).await?;

    // As where a page is not served by TLS.
    page.browser.read("Object.defineProperty(navigator, 'clipboard', { value: undefined })").await?;
    page.click("share").await?;
    page.until_text("#notice-told", |text| text.contains("browser's own bar")).await?;
    page.end().await
}

/// The last one, too.
#[tokio::test]
async fn a_chart_can_be_taken_off_the_board() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Healthy, 20).await?;
    let page = Page::open_live(&server.address, &format!("#/chart?{CHART}")).await?;
    page.click("pin").await?;
    page.click("tab-board").await?;
    page.until_cards(|cards| cards.len() == 1).await?;
    page.board().take_off(0).await?;
    page.next_frame().await?;
    page.until_cards(<[_]>::is_empty).await?;
    page.end().await
}
