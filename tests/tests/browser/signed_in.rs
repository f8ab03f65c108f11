//! Signing in, as a person does it: by the link, by the form, and what becomes of an open page whose token is taken
//! back.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use fantoccini::Locator;
use serde_json::json;
use tachograph_tests::{Failure, Server};

use super::pages::{LATER, Page};

const TOKEN: &str = "a-token-for-looking-at-figures";
const OTHER: &str = "another-token-for-the-same-thing";
const FORM: &str = "return document.querySelector('form input[name=token]') !== null";
const NOTICE: &str = "return document.querySelector('.notice')?.textContent ?? ''";

/// A file of tokens that goes with the value.
struct Tokens(PathBuf);

impl Tokens {
    fn new(name: &str) -> Result<Self, Failure> {
        let tokens = Self(std::env::temp_dir().join(format!("tachograph-{name}-{}", std::process::id())));
        tokens.write(TOKEN)?;
        Ok(tokens)
    }

    fn write(&self, token: &str) -> Result<(), Failure> {
        Ok(fs::write(&self.0, token)?)
    }

    /// A server that lets in who has one.
    fn serve(&self) -> Result<Server, Failure> {
        let path = self.0.to_str().ok_or("a path that is not text")?;
        Server::start("serve", &["--view-token-file", path])
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        let _left_behind = fs::remove_file(&self.0);
    }
}

/// Fills in the form, and waits for the page that answers.
async fn show(page: &Page, token: &str) -> Result<(), Failure> {
    page.browser.read("window.isBefore = true").await?;
    let form = page.browser.client.find(Locator::Css("input[name=token]")).await?;
    form.send_keys(token).await?;
    page.browser.client.find(Locator::Css("button")).await?.click().await?;
    let answered = "return !window.isBefore && document.readyState === 'complete'";
    page.browser.until(answered, LATER, |is_there| is_there == true).await?;
    Ok(())
}

#[tokio::test]
async fn a_link_leads_to_the_page_and_an_open_page_ends_with_its_token() -> Result<(), Failure> {
    let tokens = Tokens::new("link")?;
    let server = tokens.serve()?;
    let page = Page::open_at(&format!("http://{}/sign-in?token={TOKEN}", server.address), "").await?;
    page.until(LATER, |facts| facts.state == "live" && facts.row > 0).await?;
    let place = page.browser.read("return location.pathname + location.search").await?;
    assert_eq!(place, "/", "the token stays in no address");
    assert_eq!(page.browser.read("return document.cookie").await?, "", "no script has a sign-in");
    page.browser.client.refresh().await?;
    page.until(LATER, |facts| facts.state == "live" && facts.row > 0).await?;

    tokens.write(OTHER)?;
    server.signal("HUP")?;
    page.until(LATER, |facts| facts.state == "reconnecting").await?;
    page.browser.client.refresh().await?;
    page.browser.until(FORM, LATER, |is_there| is_there == true).await?;
    show(&page, TOKEN).await?;
    assert_eq!(page.browser.read(NOTICE).await?, "The server does not know this token.");
    show(&page, OTHER).await?;
    page.until(LATER, |facts| facts.state == "live" && facts.row > 0).await?;
    page.browser.end().await
}

#[tokio::test]
async fn the_form_is_for_everybody_in_both_themes() -> Result<(), Failure> {
    let tokens = Tokens::new("form")?;
    let server = tokens.serve()?;
    for dark in [false, true] {
        let window = tachograph_tests::browser::Window { width: 360, dark, ..Default::default() };
        let page = Page::open_in(window, &server.address, "").await?;
        page.browser.until(FORM, LATER, |is_there| is_there == true).await?;
        // One can type at once.
        page.browser.until("return document.activeElement.name ?? null", LATER, |name| name == "token").await?;
        let width = "return document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(page.browser.read(width).await?, json!(true));
        let complaints = page.browser.axe().await?;
        assert!(complaints.is_empty(), "{complaints:?}");
        let theme = if dark { "dark" } else { "light" };
        page.browser.screenshot(&format!("sign-in-{theme}")).await?;
        page.browser.end().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_page_of_another_server_can_open_no_stream() -> Result<(), Failure> {
    let (tokens, elsewhere) = (Tokens::new("elsewhere")?, Server::start("serve", &[])?);
    let server = tokens.serve()?;
    let page = Page::open_at(&format!("http://{}/sign-in?token={TOKEN}", server.address), "").await?;
    page.until(LATER, |facts| facts.state == "live").await?;
    // Signed in there, and then on a page of somebody else: of the same host even, so that cookies go along.
    page.browser.goto(&format!("http://{}/healthz", elsewhere.address)).await?;
    let attempt = format!(
        "window.ended = null; const socket = new WebSocket('ws://{}/ws/stream');
         socket.onopen = () => window.ended = 'open'; socket.onerror = () => window.ended ??= 'refused';",
        server.address
    );
    page.browser.read(&attempt).await?;
    let ended = page.browser.until("return window.ended", Duration::from_secs(10), |ended| !ended.is_null()).await?;
    assert_eq!(ended, "refused");
    page.browser.end().await
}
