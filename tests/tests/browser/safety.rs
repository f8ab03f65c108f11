//! What the page may do, and where it can be served.

use serde_json::Value;
use tachograph_tests::{Failure, Server};

use super::network::under_path;
use super::pages::{LATER, Page};

#[tokio::test]
async fn the_page_stays_within_its_policy_and_with_its_server() -> Result<(), Failure> {
    let server = Server::start("demo", &[])?;
    let page = Page::open_live(&server.address, "").await?;
    for place in ["#/sessions", "#/metrics", "#/events", "#/board", "#/chart?m=inference_time_ms", "#/overview"] {
        page.go(place).await?;
        page.next_frame().await?;
    }
    page.click("menu").await?;
    page.click("theme-dark").await?;
    page.browser.find("#menu [data-act=\"close\"]").await?.click().await?;
    let fetched = r#"
        const done = arguments[0];
        fetch(".").then((answer) => done(answer.headers.get("content-security-policy")), (error) => done(String(error)));
    "#;
    let policy = page.browser.client.execute_async(fetched, Vec::new()).await?;
    let policy = policy.as_str().unwrap_or_default();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe-inline"), "{policy}");
    assert_eq!(page.browser.logs().await?, Vec::<String>::new());
    page.end().await
}

#[tokio::test]
async fn the_page_works_under_a_path() -> Result<(), Failure> {
    let server = Server::start("demo", &[])?;
    let proxy = under_path("/some/prefix", &server.address).await?;
    let page = Page::open_live(&format!("{proxy}/some/prefix"), "#/sessions").await?;
    page.sessions().until_rows(|rows| rows.len() == 3).await?;
    page.next_frame().await?;
    let links = "return [...document.querySelectorAll('footer a, [data-testid=recording]')].map((link) => link.href)";
    let links = page.browser.read(links).await?;
    let links: Vec<&str> = links.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(links.len(), 2);
    for link in links {
        assert!(link.starts_with(&format!("http://{proxy}/some/prefix/api/v1/")), "{link}");
        let fetched = "const done = arguments[1]; fetch(arguments[0]).then((answer) => done(answer.status), (error) => done(String(error)))";
        assert_eq!(page.browser.client.execute_async(fetched, vec![link.into()]).await?, 200, "{link}");
    }
    page.click("tab-overview").await?;
    let facts = page.until(LATER, |facts| facts.page == "overview").await?;
    assert_eq!(facts.missing, 0);
    assert_eq!(page.browser.logs().await?, Vec::<String>::new());
    page.end().await
}
