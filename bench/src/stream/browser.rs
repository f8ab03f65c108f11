//! Chromium through its driver: the few commands of WebDriver that are needed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Failure;

/// Of one command.
const LIMIT: Duration = Duration::from_secs(300);
/// As in the tests of the whole.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser with its driver; both end with the value.
pub struct Browser {
    driver: Child,
    /// Of the session.
    address: String,
    agent: ureq::Agent,
    /// Such as `Chromium 142.0`.
    pub version: String,
}

impl Browser {
    pub fn start() -> Result<Self, Failure> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("chromedriver cannot be started: {error}"))?;
        let port = port(&mut driver);
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = config.timeout_global(Some(LIMIT)).build().new_agent();
        let mut browser = Self { driver, address: String::new(), agent, version: String::new() };
        browser.address = format!("http://127.0.0.1:{}/session", port?);
        browser.open()?;
        Ok(browser)
    }

    fn open(&mut self) -> Result<(), Failure> {
        let always = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {"args": FLAGS},
            "timeouts": {"script": LIMIT.as_millis() as u64},
        });
        let session = self.post("", &json!({"capabilities": {"alwaysMatch": always}}))?;
        let id = session["sessionId"].as_str().ok_or("the driver gives no session")?;
        self.address = format!("{}/{id}", self.address);
        let version = session["capabilities"]["browserVersion"].as_str().unwrap_or("of an unknown version");
        self.version = format!("Chromium {version}");
        Ok(())
    }

    pub fn visit(&self, address: &str) -> Result<(), Failure> {
        self.post("/url", &json!({"url": address})).map(drop)
    }

    /// What a function's body returns in the page.
    pub fn run(&self, script: &str) -> Result<Value, Failure> {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Asks until the answer is not null.
    pub fn await_answer(&self, script: &str, limit: Duration) -> Result<Value, Failure> {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            let answer = self.run(script)?;
            if !answer.is_null() {
                return Ok(answer);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Err(format!("the page gave no answer within {limit:?}").into())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.agent.post(format!("{}{path}", self.address)).content_type("application/json");
        let mut response = request.send(body.to_string())?;
        let answer: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
        match answer["value"]["error"].as_str() {
            Some(error) => Err(format!("the browser's driver: {error}: {}", answer["value"]["message"]).into()),
            None => Ok(answer["value"].clone()),
        }
    }
}

/// A driver that is told to end also ends its browser.
impl Drop for Browser {
    fn drop(&mut self) {
        let _ended_already = self.agent.delete(&self.address).call();
        crate::process::end(&mut self.driver);
    }
}

fn port(driver: &mut Child) -> Result<String, Failure> {
    let stdout = driver.stdout.take().ok_or("the driver has no output")?;
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let found = lines.find_map(|line| {
        line.split_once("successfully on port ").map(|(_, port)| port.trim_end_matches('.').to_owned())
    });
    Ok(found.ok_or("the driver does not say its port")?)
}
