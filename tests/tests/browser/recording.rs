//! What was recorded can be looked at without its server.

use std::path::Path;
use std::time::Duration;

use tachograph_tests::{Failure, Server};

use super::network::Wire;
use super::pages::{Facts, LATER, Page, SOON, at};

/// Drops a file on the page, as from a file manager.
const DROP: &str = r#"
    const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
    const carried = new DataTransfer();
    carried.items.add(new File([bytes], arguments[1]));
    document.getElementById("main")
        .dispatchEvent(new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true }));
"#;

async fn drop_file(page: &Page, bytes: &[u8], name: &str) -> Result<(), Failure> {
    page.browser.call(DROP, vec![base64(bytes).into(), name.into()]).await?;
    Ok(())
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let word = (0..3).fold(0_u32, |word, place| word << 8 | u32::from(part.get(place).copied().unwrap_or(0)));
        for place in 0..4 {
            let letter = char::from(LETTERS[(word >> (18 - 6 * place)) as usize & 63]);
            text.push(if place <= part.len() { letter } else { '=' });
        }
    }
    text
}

#[tokio::test]
async fn a_recording_shows_the_same_without_its_server() -> Result<(), Failure> {
    let mut server = Server::start("demo", &[])?;
    let wire = Wire::to(&server.address).await?;
    let page = Page::open_live(&wire.address, "#/chart?m=audio_bytes_received&r=total&split=each").await?;
    page.until(Duration::from_secs(30), |facts| facts.held >= 8).await?;
    let paused = page.timebar().pause().await?;
    let table = page.chart().until_table(|table| table.len() > 6 && table[0].len() == 3).await?;
    page.click("menu").await?;
    let own = page.download("record", "tacho").await?;
    let whole = page.download("recording", "tacho").await.or_else(|_| save_whole(&server))?;
    page.click("menu-dialog").await.ok();
    page.browser.read("document.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close())").await?;

    server.signal("KILL")?;
    server.wait(Duration::from_secs(5))?;
    page.until(LATER, |facts| facts.state == "reconnecting").await?;
    for file in [&own, &whole] {
        page.open_file(file).await?;
        page.until_text("[data-testid=\"file-notice\"] span", |text| text.contains("ticks held")).await?;
        let shown =
            page.until(LATER, |facts| facts.state == "recording" && facts.held >= 7 && at(facts).is_none()).await?;
        assert_eq!(shown.missing, 0, "{shown:?}");
        assert_shows(&page, at(&paused), &table).await?;
        page.browser.find("[data-act=\"close-file\"]").await?.click().await?;
        page.until(SOON, |facts| facts.state == "reconnecting").await?;
    }
    drop_file(&page, &std::fs::read(&own)?, "dropped.tacho").await?;
    page.until_text("[data-testid=\"file-notice\"] span", |text| text.contains("dropped.tacho")).await?;
    page.until(LATER, |facts| facts.state == "recording" && facts.held >= 7 && at(facts).is_none()).await?;
    assert_shows(&page, at(&paused), &table).await?;

    let again = Server::start("demo", &[])?;
    wire.lead_to(&again.address);
    page.browser.find("[data-act=\"close-file\"]").await?.click().await?;
    // The address follows a little later than the figures.
    let is_back = |facts: &Facts| facts.state == "live" && at(facts).is_none() && facts.restarts == 1;
    page.until(Duration::from_secs(20), is_back).await?;
    page.end().await
}

fn save_whole(server: &Server) -> Result<std::path::PathBuf, Failure> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("whole.tacho");
    let url = format!("http://{}/api/v1/recording", server.address);
    std::fs::write(&file, ureq::get(url).call()?.body_mut().read_to_vec()?)?;
    Ok(file)
}

/// The figures of the moment are those that were live then.
async fn assert_shows(page: &Page, moment: Option<u64>, table: &[Vec<String>]) -> Result<(), Failure> {
    let moment = moment.unwrap_or_default();
    page.go(&format!("#/chart?m=audio_bytes_received&r=total&split=each&at={moment}")).await?;
    page.chart().until_table(|shown| shown.get(..5) == table.get(..5)).await?;
    Ok(())
}

// The rehearsal goes on while its recording is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_recording_costs_nothing() -> Result<(), Failure> {
    let server = super::rehearsed(tachograph_tests::rehearsal::Scenario::Healthy, 40).await?;
    let page = Page::open_live(&server.address, "#/overview").await?;
    drop_file(&page, b"RIFF....WAVEfmt of quite another kind of file", "speech.wav").await?;
    let told = page.until_text("[data-testid=\"file-notice\"] span", |text| text.contains("not a recording")).await?;
    assert!(told.contains("speech.wav"), "{told}");
    page.browser.find("[data-act=\"close-file\"]").await?.click().await?;
    let back = page.until(LATER, |facts| facts.state == "live" && facts.row > 0).await?;
    assert_eq!((back.held, back.missing), (back.seq, 0), "nothing was lost: {back:?}");

    drop_file(&page, b"this is no board", "some.tachoboard").await?;
    page.until_text("#notice-told", |text| text.contains("no board")).await?;
    page.until(SOON, |facts| facts.page == "overview").await?;

    // One whose end is missing is shown as far as it goes.
    let url = format!("http://{}/api/v1/recording", server.address);
    let whole = ureq::get(url).call()?.body_mut().read_to_vec()?;
    drop_file(&page, &whole[..whole.len() * 2 / 3], "broken.tacho").await?;
    page.until(LATER, |facts| facts.state == "recording" && facts.held > 5).await?;
    page.until_text("[data-testid=\"file-notice\"] span", |text| text.contains("cannot be read")).await?;
    page.end().await
}

#[tokio::test]
async fn a_picture_of_a_chart_is_not_blank() -> Result<(), Failure> {
    let server = super::rehearsed(tachograph_tests::rehearsal::Scenario::Healthy, 60).await?;
    let page = Page::open_live(&server.address, "#/chart?m=http_request_duration_ms").await?;
    page.chart().until_table(|table| table.len() > 40).await?;
    let hook = "const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => { window.saved = blob; return make.call(URL, blob); };";
    page.browser.read(hook).await?;
    let file = page.download("png", "png").await?;
    assert!(std::fs::read(&file)?.starts_with(b"\x89PNG\r\n"));
    let look = r#"
        const done = arguments[0];
        createImageBitmap(window.saved).then((picture) => {
            const canvas = new OffscreenCanvas(picture.width, picture.height);
            const context = canvas.getContext("2d");
            context.drawImage(picture, 0, 0);
            const pixels = new Uint32Array(context.getImageData(0, 0, picture.width, picture.height).data.buffer);
            done([window.saved.type, picture.width, picture.height, new Set(pixels).size]);
        }, (error) => done(String(error)));
    "#;
    let seen = page.browser.client.execute_async(look, Vec::new()).await?;
    let size = |place: usize| seen[place].as_u64().unwrap_or_default();
    assert!(seen[0] == "image/png" && size(1) > 600 && size(2) > 300 && size(3) > 10, "{seen}");
    page.end().await
}
