//! The same loops compiled for wasm32, in headless Chromium. `scripts/bench.sh` builds them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use crate::Failure;
use crate::browser::Browser;
use crate::loops::Rates;
use crate::process::repository;
use crate::speed::Speeds;

const LIMIT: Duration = Duration::from_secs(120);

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>stream</title><script type="module">
    import init, { rates } from "./tachograph_bench_wasm.js";
    await init();
    window.measure = (...shape) => [...rates(...shape)];
</script>"#;

/// Fills in the rates in wasm; returns the browser's version.
pub fn measure(speeds: &mut [Speeds], ticks: fn(usize) -> usize, rounds: usize) -> Result<String, Failure> {
    let built = repository("target/bench/wasm");
    if !built.join("tachograph_bench_wasm.js").exists() {
        return Err("the module is not there; scripts/bench.sh builds it".into());
    }
    let address = serve(built)?;
    let browser = Browser::start()?;
    browser.visit(&format!("http://{address}/"))?;
    browser.await_answer("return window.measure ? true : null", LIMIT)?;
    for speed in speeds {
        let shape = speed.shape;
        eprintln!("wasm: {} series, {}, {} %", shape.series, shape.mix.name(), 100.0 * shape.churn);
        let (series, churn, mix) = (shape.series, shape.churn, shape.mix as u8);
        let call = format!("return window.measure({series}, {churn}, {mix}, {}, {rounds})", ticks(series));
        speed.wasm = Some(read(&browser.run(&call)?)?);
    }
    Ok(browser.version.clone())
}

fn read(answer: &serde_json::Value) -> Result<Rates, Failure> {
    let rate = |place: usize| answer[place].as_f64().ok_or_else(|| format!("the page measured {answer}"));
    Ok(Rates { encode: rate(0)?, columns: rate(1)?, decode: rate(2)? })
}

/// Serves a folder, for as long as the program runs.
fn serve(folder: PathBuf) -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let folder = folder.clone();
            // A browser also opens connections on which it says nothing yet.
            std::thread::spawn(move || answer(&connection, &folder));
        }
    });
    Ok(address)
}

fn answer(mut connection: &TcpStream, folder: &std::path::Path) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or("/");
    let (kind, body) = match path {
        "/" => ("text/html", Some(PAGE.into())),
        "/tachograph_bench_wasm.js" => ("text/javascript", fs::read(folder.join(&path[1..])).ok()),
        "/tachograph_bench_wasm_bg.wasm" => ("application/wasm", fs::read(folder.join(&path[1..])).ok()),
        _ => ("text/plain", None),
    };
    let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
    let body: Vec<u8> = body.unwrap_or_default();
    // An isolated page's clock has steps of 5 µs instead of 100.
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\
         cross-origin-opener-policy: same-origin\r\ncross-origin-embedder-policy: require-corp\r\n\r\n",
        body.len(),
    );
    connection.write_all(head.as_bytes())?;
    connection.write_all(&body)
}
