//! What needs attention is told, and can be followed to its session.

use tachograph_tests::{Failure, Server};

use super::figures::Playing;
use super::pages::{LATER, Page, SOON, figure};

#[tokio::test]
async fn an_overloaded_provider_is_told_and_followed_to_its_session() -> Result<(), Failure> {
    let server = Server::start("serve", &["--provider", "simulated", "--simulated-rtf", "2"])?;
    let playing = Playing::start(&server.address, "mic,system", &["--sessions", "2"])?;
    let page = Page::open_live(&server.address, "").await?;
    let troubled = page.overview().until_attention(|lines| lines.iter().any(|line| line.contains("mic"))).await?;
    assert!(page.overview().health().await?.contains("need attention"), "{troubled:?}");

    page.click("tab-sessions").await?;
    let rows =
        page.sessions().until_rows(|rows| rows.len() == 4 && rows.iter().all(|row| row.severity == "alarm")).await?;
    assert!(rows.iter().all(|row| troubled.is_empty() || !row.session.is_empty()));
    page.click("state-alarm").await?;
    page.until(SOON, |facts| facts.hash.contains("state=alarm")).await?;
    page.sessions().until_rows(|rows| rows.len() == 4).await?;
    page.sessions().filter("mic").await?;
    let of_mic = page.sessions().until_rows(|rows| rows.len() == 2).await?;
    assert!(of_mic.iter().all(|row| row.source == "mic"), "{of_mic:?}");
    assert!(page.sessions().count().await?.starts_with("2 rows"));
    page.sessions().filter("nobody is called so").await?;
    page.until_text("[data-testid=\"no-sessions\"]", |text| text.contains("No session fits")).await?;
    page.sessions().filter("").await?;
    page.click("state-well").await?;
    page.sessions().until_rows(|rows| rows.len() == 4).await?;
    assert_sorted_both_ways(&page, "realtime_factor").await?;
    assert_sorted_both_ways(&page, "backlog_seconds").await?;

    let opened = open_by_keyboard(&page).await?;
    assert_eq!(page.session().name().await?, opened);
    page.session().until_state(|state| state == "slower than real time" || state == "dropping frames").await?;
    page.until_cards(|cards| cards.len() == 11 && cards[0].legend.len() == 2).await?;
    let events = page.session().events().await?;
    assert!(
        events.iter().any(|event| event.to_lowercase().contains("began") || event.to_lowercase().contains("start")),
        "{events:?}"
    );

    // So that what waits is soon done with.
    ureq::put(format!("http://{}/api/v1/simulated", server.address))
        .content_type("application/json")
        .send(r#"{"rtf": 0.01, "fault": "none"}"#)?;
    playing.interrupt()?;
    let receipt = page.session().until_receipt().await?;
    assert!(receipt.iter().any(|line| line.contains("mic") && line.contains("bytes")), "{receipt:?}");
    page.session().until_state(|state| state == "not live at this moment").await?;
    page.browser.client.back().await?;
    page.until(LATER, |facts| facts.page == "sessions").await?;
    page.end().await
}

async fn assert_sorted_both_ways(page: &Page, column: &str) -> Result<(), Failure> {
    let figures = |rows: &[super::pages::Row]| -> Vec<f64> {
        rows.iter().filter_map(|row| row.figures.get(column).and_then(|cell| figure(cell))).collect()
    };
    page.sessions().sort(column).await?;
    page.until(SOON, |facts| facts.hash.contains(column) && !facts.hash.contains("reversed")).await?;
    let falls =
        |rows: &[super::pages::Row]| figures(rows).len() == 4 && figures(rows).is_sorted_by(|one, next| one >= next);
    page.sessions().until_rows(falls).await?;
    page.sessions().sort(column).await?;
    page.until(SOON, |facts| facts.hash.contains("reversed")).await?;
    page.sessions().until_rows(|rows| figures(rows).is_sorted()).await?;
    let sorts = page.each("#sessions-head [aria-sort=\"ascending\"] button", "element.dataset.testid").await?;
    assert_eq!(sorts, [format!("sort-{column}")]);
    Ok(())
}

/// Chooses the third row with the arrows and opens it. Returns the session's name.
async fn open_by_keyboard(page: &Page) -> Result<String, Failure> {
    use fantoccini::key::Key;
    page.go("#/sessions?sort=name").await?;
    page.sessions().focus().await?;
    page.keys(&String::from_iter([
        char::from(Key::Down),
        char::from(Key::Down),
        char::from(Key::Down),
        char::from(Key::Up),
    ]))
    .await?;
    let rows = page.sessions().until_rows(|rows| rows.get(2).is_some_and(|row| row.is_chosen)).await?;
    page.keys(&String::from(char::from(Key::Enter))).await?;
    page.until(SOON, |facts| facts.page == "session").await?;
    // The same by its link.
    page.browser.client.back().await?;
    page.until(SOON, |facts| facts.page == "sessions").await?;
    let link = format!("[data-testid=\"source-row\"] a[href=\"{}\"]", rows[2].href);
    page.browser.find(&link).await?.click().await?;
    page.until(SOON, |facts| facts.page == "session").await?;
    Ok(rows[2].session.clone())
}

/// The field had the focus when the address changed.
#[tokio::test]
async fn a_filter_that_the_address_took_off_does_not_come_back() -> Result<(), Failure> {
    let server = super::rehearsed(tachograph_tests::rehearsal::Scenario::Healthy, 20).await?;
    let page = Page::open_live(&server.address, "#/sessions").await?;
    page.sessions().filter("nobody is called so").await?;
    page.until(SOON, |facts| facts.hash.contains("q=nobody")).await?;
    page.go("#/sessions").await?;
    page.sessions().until_rows(|rows| !rows.is_empty()).await?;
    page.sessions().sort("name").await?;
    page.until(SOON, |facts| facts.hash.contains("sort=name")).await?;
    page.next_frame().await?;
    assert!(!page.sessions().rows().await?.is_empty(), "the filter came back: {:?}", page.facts().await?);
    page.end().await
}

#[tokio::test]
async fn a_failing_provider_is_told() -> Result<(), Failure> {
    let server = Server::start("serve", &["--provider", "simulated", "--simulated-fault", "error"])?;
    let _playing = Playing::start(&server.address, "mic", &[])?;
    let page = Page::open_live(&server.address, "").await?;
    let is_told = |lines: &[String]| lines.iter().any(|line| line.contains("provider"));
    page.overview().until_attention(is_told).await?;
    page.go("#/events").await?;
    page.events().until(|events| events.iter().any(|(event, _)| event == "fault")).await?;
    page.events().filter("provider").await?;
    page.events()
        .until(|events| !events.is_empty() && events.iter().all(|(event, _)| event != "session_started"))
        .await?;
    page.events().filter("nothing of this kind").await?;
    page.until_text("#events-count", |text| text.starts_with('0')).await?;
    page.end().await
}
