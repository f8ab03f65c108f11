//! How the page looks, moves and sounds: to everybody, on every screen.

use fantoccini::key::Key;
use serde_json::{Value, json};
use tachograph_tests::Failure;
use tachograph_tests::browser::Window;
use tachograph_tests::rehearsal::{Pace, Rehearsal, RehearsalServer, Scenario, Setup};

use super::pages::{LATER, Page, SOON};
use super::rehearsed;

const PHONE: Window = Window { width: 360, height: 760, dark: false, reduced_motion: false, touch: true };
const WIDE: Window = Window { width: 1_920, height: 1_080, dark: false, reduced_motion: false, touch: false };
const CHART: &str = "#/chart?m=http_request_duration_ms";
const BOARD: &str =
    "#/board?name=on%20call&c=m%3Ddb_pool_connections&c=m%3Dhttp_request_duration_ms&c=server%3Dsessions";

/// The addresses of all pages, with a name for each.
async fn places(page: &Page) -> Result<Vec<(&'static str, String)>, Failure> {
    page.go("#/sessions").await?;
    let session = page.sessions().until_rows(|rows| !rows.is_empty()).await?[0].href.clone();
    let fixed = [
        ("overview", "#/overview"),
        ("sessions", "#/sessions"),
        ("metrics", "#/metrics"),
        ("chart", CHART),
        ("events", "#/events"),
        ("board", BOARD),
    ];
    let places = fixed.into_iter().map(|(name, place)| (name, place.to_owned()));
    Ok(places.chain([("session", session)]).collect())
}

/// Goes to a page and waits until its charts in sight are drawn, and its tables.
async fn show(page: &Page, place: &str) -> Result<(), Failure> {
    page.go(place).await?;
    let drawn = r#"const cards = [...document.querySelectorAll('section.page:not([hidden]) .card')];
        const seen = cards.filter((card) => card.getBoundingClientRect().top < innerHeight - 100);
        const drawn = (card) => (card.querySelector('.plot').getAttribute('aria-label') ?? '').includes(',');
        // A table that is not whole yet is pale.
        const busy = document.querySelector('section.page:not([hidden]) [aria-busy="true"]');
        return seen.every(drawn) && busy === null;"#;
    page.until_read(drawn, |drawn| *drawn == true).await?;
    Ok(())
}

#[tokio::test]
async fn every_page_fits_every_screen_and_is_kept_as_a_picture() -> Result<(), Failure> {
    // In the midst of the overload, just after the provider was restarted.
    let server = rehearsed(Scenario::Story, 440).await?;
    let page = Page::open_live(&server.address, "").await?;
    let places = places(&page).await?;
    let dark = Window { dark: true, ..Window::default() };
    let mut misfits = Vec::new();
    for (name, window) in [("light", Window::default()), ("dark", dark), ("phone", PHONE), ("wide", WIDE)] {
        page.browser.set_window(window).await?;
        for (place, address) in &places {
            show(&page, address).await?;
            if name != "wide" {
                page.browser.screenshot(&format!("{place}-{name}")).await?;
            }
            misfits.extend(misfits_of(&page).await?.into_iter().map(|misfit| format!("{place}, {name}: {misfit}")));
        }
    }
    assert!(misfits.is_empty(), "{}", misfits.join("\n"));
    page.end().await
}

/// What is wider than the window, or lies on something else.
async fn misfits_of(page: &Page) -> Result<Vec<String>, Failure> {
    let look = r#"
        const misfits = [];
        const width = document.documentElement.scrollWidth;
        if (width > innerWidth) {
            const wide = [...document.querySelectorAll("body *")]
                .filter((element) => element.getBoundingClientRect().right > innerWidth + 1 && element.offsetParent)
                .map((element) => element.id || element.className || element.tagName);
            misfits.push(`${width} px in ${innerWidth}: ${wide.slice(0, 5)}`);
        }
        const shown = (selector) => [...document.querySelectorAll(selector)]
            .filter((element) => element.getClientRects().length > 0);
        const lies_on = (one, other) => {
            const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
            return a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
        };
        const name = (element) => element.dataset?.testid || element.id || element.textContent.slice(0, 20) || element.tagName;
        for (const group of [".page-header > *, .page-header nav a", ".timebar > *, .timebar button, .timebar output", "section.page:not([hidden]) .bar > *", "section.page:not([hidden]) .card"]) {
            const held = shown(group);
            held.forEach((one, place) => held.slice(place + 1).forEach((other) => {
                if (!one.contains(other) && lies_on(one, other)) misfits.push(`${name(one)} lies on ${name(other)}`);
            }));
        }
        return misfits;
    "#;
    let misfits = page.browser.read(look).await?;
    let misfits = misfits.as_array().map_or(&[][..], Vec::as_slice).iter();
    Ok(misfits.map(|misfit| misfit.as_str().unwrap_or_default().to_owned()).collect())
}

#[tokio::test]
async fn nothing_jumps_when_figures_change() -> Result<(), Failure> {
    const TICKS: usize = 3;
    let server = rehearsed(Scenario::Healthy, 120).await?;
    let page = Page::open_live(&server.address, "").await?;
    let boxes = r"
        const boxes = {};
        document.querySelectorAll('h1, nav a, .timebar > *, .timebar button, section.page:not([hidden]) :is(h2, h3, .card, .bar > *, dt)')
            .forEach((element, place) => {
                const { left, top, width, height } = element.getBoundingClientRect();
                const name = element.dataset.chart ?? (element.id || element.tagName);
                // A heading's place is that of its text: what is beside it may take of the room behind.
                const box = element.tagName === 'H3' ? [left, top, height] : [left, top, width, height];
                if (width > 0) boxes[`${place} ${name}`] = box.map(Math.round).join();
            });
        return boxes;
    ";
    let mut jumps = Vec::new();
    for (name, address) in places(&page).await? {
        show(&page, &address).await?;
        page.next_frame().await?;
        let before = page.browser.read(boxes).await?;
        for _ in 0..TICKS {
            page.next_frame().await?;
            let now = page.browser.read(boxes).await?;
            let held = before.as_object().into_iter().flatten();
            let moved = held.filter(|(element, place)| now.get(element.as_str()) != Some(*place));
            jumps.extend(moved.map(|(element, place)| format!("{name}: {element} from {place} to {}", now[element])));
        }
    }
    assert!(jumps.is_empty(), "{}", jumps.join("\n"));
    page.end().await
}

#[tokio::test]
async fn everybody_can_use_every_page_in_both_themes() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Story, 440).await?;
    let page = Page::open_live(&server.address, "").await?;
    let places = places(&page).await?;
    let mut found = Vec::new();
    for dark in [false, true] {
        page.browser.set_window(Window { dark, ..Window::default() }).await?;
        for (name, address) in &places {
            show(&page, address).await?;
            found.extend(violations(&page, &format!("{name}, dark {dark}")).await?);
        }
        for dialog in ["menu", "help"] {
            page.browser.find(&format!("[data-act=\"{dialog}\"]")).await?.click().await?;
            found.extend(violations(&page, &format!("{dialog}, dark {dark}")).await?);
            page.keys(&String::from(char::from(Key::Escape))).await?;
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    page.end().await
}

async fn violations(page: &Page, place: &str) -> Result<Vec<String>, Failure> {
    let told = |found: &Value| format!("{place}: {} ({}) of {}", found["id"], found["help"], found["nodes"]);
    Ok(page.browser.axe().await?.iter().map(told).collect())
}

#[tokio::test]
async fn all_of_it_works_by_keyboard_alone() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Healthy, 120).await?;
    let page = Page::open_live(&server.address, "").await?;
    let press = |key: Key| String::from(char::from(key));
    page.keys("?").await?;
    let is_open = |dialog: &str| format!("return document.getElementById('{dialog}').open");
    page.until_read(&is_open("help"), |open| *open == true).await?;
    page.keys(&press(Key::Escape)).await?;
    page.until_read(&is_open("help"), |open| *open == false).await?;
    page.keys("m").await?;
    page.until_read(&is_open("menu"), |open| *open == true).await?;
    page.keys(&press(Key::Escape)).await?;
    page.until_read(&is_open("menu"), |open| *open == false).await?;

    for (key, name) in
        [("1", "overview"), ("2", "sessions"), ("3", "metrics"), ("4", "events"), ("5", "board"), ("3", "metrics")]
    {
        page.keys(key).await?;
        page.until(SOON, |facts| facts.page == name).await?;
    }
    page.keys("/").await?;
    page.keys("pool").await?;
    page.until(SOON, |facts| facts.hash.contains("q=pool")).await?;
    page.until_cards(|cards| cards.len() == 1).await?;
    page.blur().await?;
    assert!(tab_to(&page, "H3 A").await?, "a chart's link is reached");
    page.keys(&press(Key::Enter)).await?;
    page.until(SOON, |facts| facts.page == "chart").await?;
    page.browser.read("window.scrollTo(0, 0); document.activeElement?.blur()").await?;
    assert!(tab_to(&page, "pin").await?, "what can be done with a chart is reached");
    page.keys(" ").await?;
    page.until_text("#notice-told", |text| text.contains("Added")).await?;
    assert!(tab_to(&page, "plot").await?, "the chart is reached");
    page.keys(&press(Key::Left)).await?;
    page.until(SOON, |facts| facts.hash.contains("at=")).await?;
    let outline = "const style = getComputedStyle(document.activeElement); return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0";
    assert_eq!(page.browser.read(outline).await?, true, "where the focus is can be seen");
    page.end().await
}

/// Presses Tab until the focus is on this. Returns whether it ever is.
async fn tab_to(page: &Page, wanted: &str) -> Result<bool, Failure> {
    let name = "const held = document.activeElement;
        return [held.dataset.testid, held.className, `${held.parentElement?.tagName} ${held.tagName}`, held.id]";
    for _ in 0..60 {
        page.keys(&String::from(char::from(Key::Tab))).await?;
        let focused = page.browser.read(name).await?;
        if focused.as_array().is_some_and(|names| names.contains(&json!(wanted))) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[tokio::test]
async fn the_theme_is_kept_and_nothing_moves_for_who_does_not_like_it() -> Result<(), Failure> {
    let server = rehearsed(Scenario::Healthy, 30).await?;
    let still = Window { reduced_motion: true, ..Window::default() };
    let page = Page::open_in(still, &server.address, "").await?;
    page.until(LATER, |facts| facts.row > 0).await?;
    let background = "return getComputedStyle(document.body).backgroundColor";
    let light = page.browser.read(background).await?;
    choose_theme(&page, "dark").await?;
    let dark = page.until_read(background, |colour| *colour != light).await?;
    page.browser.client.refresh().await?;
    page.until(LATER, |facts| facts.row > 0).await?;
    page.until_read(background, |colour| *colour == dark).await?;
    choose_theme(&page, "light").await?;
    page.until_read(background, |colour| *colour == light).await?;
    page.browser.set_window(Window { dark: true, ..still }).await?;
    assert_eq!(page.browser.read(background).await?, light, "a choice stands against the system");
    choose_theme(&page, "system").await?;
    page.until_read(background, |colour| *colour == dark).await?;

    for place in ["#/overview", "#/sessions", "#/metrics"] {
        show(&page, place).await?;
        let moving = "return document.getAnimations().filter((one) => one.playState === 'running').length";
        assert_eq!(page.browser.read(moving).await?, 0, "{place}");
    }
    page.end().await
}

async fn choose_theme(page: &Page, theme: &str) -> Result<(), Failure> {
    page.click("menu").await?;
    page.click(&format!("theme-{theme}")).await?;
    page.keys(&String::from(char::from(Key::Escape))).await?;
    page.until_read("return document.querySelectorAll('dialog[open]').length", |open| *open == 0).await?;
    Ok(())
}

#[tokio::test]
async fn a_server_without_sessions_says_how_to_start_one() -> Result<(), Failure> {
    let setup = Setup { sessions: 0, ..Setup::default() };
    let server = RehearsalServer::start(Rehearsal::new(setup)?, Pace::EverySecond).await?;
    let page = Page::open_live(&server.address, "#/sessions").await?;
    page.until_text("[data-testid=\"no-sessions\"]", |text| text.contains("tachograph stream")).await?;
    page.go("#/overview").await?;
    page.until_text("#attention-none", |text| text.contains("Nothing needs attention")).await?;
    page.go("#/session?session=0-77").await?;
    page.session().until_state(|state| state.contains("not live")).await?;
    page.end().await
}
