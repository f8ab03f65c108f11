//! The span of time that is shown, and how it is moved.

use fantoccini::key::Key;
use tachograph_tests::Failure;
use tachograph_tests::browser::Window;
use tachograph_tests::rehearsal::Scenario;

use super::pages::{LATER, PLOT, Page, SOON, at, span};
use super::rehearsed;

#[tokio::test]
async fn a_pause_stops_the_figures_and_nothing_else() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Healthy, 120).await?;
    let page = Page::open_live(&server.address, "#/chart?m=http_requests_total&split=sum").await?;
    page.chart().until_table(|table| table.len() > 60).await?;
    let paused = page.timebar().pause().await?;
    let table = page.chart().table().await?;
    let later = page.until(LATER, |facts| facts.held >= paused.held + 3).await?;
    assert_eq!((later.row, at(&later)), (paused.row, at(&paused)), "the moment stands");
    assert_eq!(page.chart().table().await?, table, "so do the figures");
    assert!(later.clock.contains("behind"), "{}", later.clock);

    let live = page.timebar().live().await?;
    assert_eq!((live.held, live.missing), (live.seq, 0), "all of it arrived");
    assert!(live.row > paused.row && !live.clock.contains("behind"), "{live:?}");
    let caught_up = page.chart().until_table(|table| table.len() > 60).await?;
    assert!(caught_up.iter().skip(1).all(|row| row[1] != "–" || row == caught_up.last().unwrap_or(row)), "a hole");

    page.blur().await?;
    page.keys(" ").await?;
    page.until(SOON, |facts| at(facts).is_some()).await?;
    page.keys("l").await?;
    page.until(SOON, |facts| at(facts).is_none()).await?;
    page.end().await
}

#[tokio::test]
async fn moments_and_spans_are_gone_to_by_buttons_keys_and_the_slider() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Healthy, 200).await?;
    let page = Page::open_live(&server.address, "#/metrics?q=http").await?;
    page.until(LATER, |facts| facts.row >= 200).await?;
    let bar = page.timebar();
    bar.scrub().await?;
    let middle = page.until(SOON, |facts| at(facts).is_some()).await?;
    assert!((80..=130).contains(&middle.row), "the middle of 200 is {}", middle.row);
    bar.step(-1).await?;
    page.until(SOON, |facts| facts.row == middle.row - 1).await?;
    bar.step(1).await?;
    page.until(SOON, |facts| facts.row == middle.row).await?;
    page.blur().await?;
    let keys = [(Key::Left, -1_i64), (Key::Right, 0)];
    for (key, steps) in keys {
        page.keys(&String::from(char::from(key))).await?;
        page.until(SOON, |facts| facts.row as i64 == middle.row as i64 + steps).await?;
    }

    bar.window(900).await?;
    page.until(SOON, |facts| span(facts) == 900).await?;
    assert_eq!(bar.pressed().await?, ["15 min"]);
    page.blur().await?;
    page.keys("[").await?;
    page.until(SOON, |facts| span(facts) == 300).await?;
    page.keys("]]").await?;
    page.until(SOON, |facts| span(facts) == 1_800).await?;
    page.keys("[[[").await?;
    page.until(SOON, |facts| span(facts) == 60).await?;

    page.keys("p").await?;
    let playing = page.until(SOON, |facts| facts.row > middle.row).await?;
    page.until(LATER, |facts| facts.row >= playing.row + 2).await?;
    page.keys("p").await?;
    let stopped = page.until(SOON, |_| true).await?;
    let still = page.next_frame().await?;
    assert!(still.row <= stopped.row + 1, "it does not play on: {stopped:?} {still:?}");

    assert_a_link_shows_the_same(&page).await?;
    assert_the_way_back(&page).await?;
    page.end().await
}

/// A copy of the address shows the same in another window.
async fn assert_a_link_shows_the_same(page: &Page) -> Result<(), Failure> {
    let facts = page.settled().await?;
    let cards = page.cards().await?;
    assert!(
        facts.hash.contains("q=http") && facts.hash.contains("w=60") && facts.hash.contains("at="),
        "{}",
        facts.hash
    );
    let first = page.browser.client.window().await?;
    let other = page.browser.client.new_window(true).await?;
    page.browser.client.switch_to_window(other.handle).await?;
    // So that the same cards are in sight.
    page.browser.set_window(Window::default()).await?;
    page.browser.goto(&format!("{}{}", page.url, facts.hash)).await?;
    let shown = page.until(LATER, |shown| shown.row == facts.row && shown.state == "live").await?;
    assert_eq!((&shown.hash, shown.page), (&facts.hash, facts.page));
    let figures = |cards: &[super::pages::Card]| -> Vec<_> {
        cards.iter().map(|card| (card.chart.clone(), card.value.clone())).take(3).collect()
    };
    page.until_cards(|shown| figures(shown) == figures(&cards)).await?;
    page.browser.client.close_window().await?;
    page.browser.client.switch_to_window(first).await?;
    Ok(())
}

async fn assert_the_way_back(page: &Page) -> Result<(), Failure> {
    page.click("tab-events").await?;
    page.until(SOON, |facts| facts.page == "events").await?;
    page.browser.client.back().await?;
    let back = page.until(SOON, |facts| facts.page == "metrics").await?;
    assert!(back.hash.contains("q=http"), "{}", back.hash);
    Ok(())
}

#[tokio::test]
async fn charts_are_zoomed_by_pointer_and_by_keyboard() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Healthy, 300).await?;
    let page = Page::open_live(&server.address, "#/chart?m=db_pool_connections&split=sum").await?;
    page.chart().until_table(|table| table.len() > 100).await?;
    page.browser.drag(PLOT, -200.0, 100.0, true).await?;
    let zoomed = page.until(SOON, |facts| span(facts) < 200 && at(facts).is_some()).await?;
    let width = page.each(PLOT, "element.clientWidth").await?[0].as_f64().unwrap_or(1.0);
    let expected = 300.0 * 300.0 / width;
    assert!((span(&zoomed) as f64 - expected).abs() < expected * 0.2, "{} s for {expected} s", span(&zoomed));

    page.browser.double_click(PLOT).await?;
    page.until(SOON, |facts| span(facts) == 300 && at(facts).is_none()).await?;
    page.browser.read("document.querySelector('#chart-large .plot').focus()").await?;
    page.keys("+").await?;
    page.until(SOON, |facts| span(facts) == 150).await?;
    page.keys("-").await?;
    page.until(SOON, |facts| span(facts) == 300).await?;
    page.keys("++0").await?;
    page.until(SOON, |facts| span(facts) == 300 && at(facts).is_none()).await?;
    page.end().await
}

#[tokio::test]
async fn a_finger_moves_the_span_and_two_zoom_it() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Healthy, 400).await?;
    let phone = Window { width: 390, height: 844, touch: true, ..Window::default() };
    let page = Page::open_in(phone, &server.address, "#/chart?m=db_pool_connections&split=sum&w=120").await?;
    page.chart().until_table(|table| table.len() > 60).await?;
    let newest = page.until(LATER, |facts| facts.row >= 400).await?.row;
    let width = page.each(PLOT, "element.clientWidth").await?[0].as_f64().unwrap_or(1.0);
    page.browser.touch(PLOT, &[(-50.0, 50.0)]).await?;
    page.until(SOON, |facts| facts.row < newest && at(facts).is_some()).await?;
    let moved = page.settled().await?;
    let expected = 120.0 * 100.0 / width;
    // The axis takes some of the width; and up to a frame came meanwhile.
    let by = (newest - moved.row) as f64;
    assert!((0.8 * expected..1.6 * expected).contains(&by), "{by} s for {expected} s");

    page.browser.touch(PLOT, &[(-20.0, -60.0), (20.0, 60.0)]).await?;
    page.until(SOON, |facts| span(facts) < 120).await?;
    // The address is written while the fingers still move.
    let closer = page.settled().await?;
    assert!((30..60).contains(&span(&closer)), "a third of 120 s is {} s", span(&closer));
    page.browser.touch(PLOT, &[(-60.0, -20.0), (60.0, 20.0)]).await?;
    page.until(SOON, |facts| (2 * span(&closer)..4 * span(&closer)).contains(&span(facts))).await?;
    page.end().await
}

#[tokio::test]
async fn the_pointer_shows_one_moment_on_all_charts() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Healthy, 300).await?;
    let page = Page::open_live(&server.address, "#/overview").await?;
    page.until_cards(|cards| cards.iter().filter(|card| !card.value.is_empty()).count() > 3).await?;
    // The figures of a card's first frame are final only once those before it are there.
    page.next_frame().await?;
    page.timebar().pause().await?;
    let before = page.cards().await?;
    page.browser.drag("#overview-grid .card:nth-of-type(2) .plot", 0.0, 20.0, false).await?;
    let changed = |cards: &[super::pages::Card]| {
        let pairs = cards.iter().zip(&before);
        pairs.filter(|(now, before)| (&now.value, &now.legend) != (&before.value, &before.legend)).count()
    };
    page.until_cards(|cards| changed(cards) > 1).await?;
    page.browser.drag("h1", 0.0, 1.0, false).await?;
    page.until_cards(|cards| changed(cards) == 0).await?;

    // A card is opened by its chart, too.
    page.browser.read("document.querySelector('#overview-grid .plot').focus()").await?;
    page.keys(&String::from(char::from(Key::Enter))).await?;
    page.until(SOON, |facts| facts.page == "chart").await?;
    page.end().await
}
