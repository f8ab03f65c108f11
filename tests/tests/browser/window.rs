//! The window that the other tests look through.

use std::time::Duration;

use serde_json::json;
use tachograph_tests::Failure;
use tachograph_tests::browser::{Browser, Window};

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
