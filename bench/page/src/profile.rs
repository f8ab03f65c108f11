//! Where the page's time goes, by Chromium's own profiler. The functions of a release have no names; what
//! they are is told by a page that was built without `--strip-debug` in scripts/page-pack.mjs.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};
use tachograph_tests::Failure;
use tachograph_tests::browser::Browser;

const PRINTED: usize = 25;
const SAMPLE_MICROS: u64 = 200;

pub async fn begin(browser: &Browser) -> Result<(), Failure> {
    browser.cdp("Profiler.enable", json!({})).await?;
    browser.cdp("Profiler.setSamplingInterval", json!({"interval": SAMPLE_MICROS})).await?;
    browser.cdp("Profiler.start", json!({})).await?;
    Ok(())
}

/// Writes the profile and prints the functions that took longest themselves.
pub async fn end(browser: &Browser, folder: &Path, name: &str) -> Result<(), Failure> {
    let profile = browser.cdp("Profiler.stop", json!({})).await?["profile"].clone();
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(format!("{name}.cpuprofile")), profile.to_string())?;
    let mut times: Vec<(String, f64)> = own_times(&profile).into_iter().collect();
    times.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let all: f64 = times.iter().filter(|(name, _)| name != "(idle)").map(|(_, time)| time).sum();
    for (name, time) in times.iter().filter(|(name, _)| name != "(idle)").take(PRINTED) {
        eprintln!("{:8.1} ms {:5.1} % {name}", time, 100.0 * time / all);
    }
    Ok(())
}

/// Milliseconds by function.
fn own_times(profile: &Value) -> HashMap<String, f64> {
    let list = |name: &str| profile[name].as_array().cloned().unwrap_or_default();
    let nodes: HashMap<Option<u64>, String> =
        list("nodes").iter().map(|node| (node["id"].as_u64(), name(node))).collect();
    let mut times = HashMap::new();
    for (sample, micros) in list("samples").iter().zip(&list("timeDeltas")) {
        let name = nodes.get(&sample.as_u64()).cloned().unwrap_or_default();
        *times.entry(name).or_default() += micros.as_f64().unwrap_or_default() / 1e3;
    }
    times
}

fn name(node: &Value) -> String {
    let frame = &node["callFrame"];
    let named = frame["functionName"].as_str().filter(|name| !name.is_empty()).unwrap_or("(unnamed)");
    let file = frame["url"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    format!("{named} {file}:{}", frame["lineNumber"])
}
