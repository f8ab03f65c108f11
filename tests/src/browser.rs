//! A real browser: Chromium with its driver, in a window of a given kind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource, KeyAction, KeyActions, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::time::sleep;
use url::{ParseError, Url};

use crate::{Failure, root};

const CHROMIUM_FLAGS: [&str; 9] = [
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
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Steps in which fingers move.
const TOUCH_STEPS: u32 = 8;
/// Violations that count.
const AXE: &str = r#"
    const done = arguments[arguments.length - 1];
    axe.run().then(
        (found) => done(found.violations
            .filter((violation) => ["serious", "critical"].includes(violation.impact))
            .map((violation) => ({
                id: violation.id,
                impact: violation.impact,
                help: violation.help,
                nodes: violation.nodes.map((node) => node.target.join(" ")),
            }))),
        (error) => done({ error: String(error) }),
    );
"#;

/// What the page is shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// In CSS pixels.
    pub width: u32,
    /// In CSS pixels.
    pub height: u32,
    /// Whether its user likes dark pages.
    pub dark: bool,
    /// Whether its user likes nothing to move.
    pub reduced_motion: bool,
    /// Whether it is touched, as a phone.
    pub touch: bool,
}

impl Default for Window {
    /// A laptop's, light.
    fn default() -> Self {
        Self { width: 1_280, height: 800, dark: false, reduced_motion: false, touch: false }
    }
}

/// Chromium with its driver; both end with the value.
#[derive(Debug)]
pub struct Browser {
    /// Ends with the value.
    _driver: Driver,
    /// What else WebDriver can do.
    pub client: Client,
}

impl Browser {
    /// Starts both and makes the window.
    ///
    /// # Errors
    /// One of them is not installed, or does not start.
    pub async fn start(window: Window) -> Result<Self, Failure> {
        let mut begun = Driver::begin().await;
        // The port that a driver chose can be another's by the time it listens.
        for _ in 0..2 {
            if begun.is_err() {
                begun = Driver::begin().await;
            }
        }
        let (driver, client) = begun?;
        let browser = Self { _driver: driver, client };
        browser.set_window(window).await?;
        Ok(browser)
    }

    /// Makes the window another one.
    ///
    /// # Errors
    /// The browser is gone.
    pub async fn set_window(&self, window: Window) -> Result<(), Failure> {
        let Window { width, height, dark, reduced_motion, touch } = window;
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch});
        self.cdp("Emulation.setDeviceMetricsOverride", size).await?;
        self.cdp("Emulation.setTouchEmulationEnabled", json!({"enabled": touch})).await?;
        let scheme = if dark { "dark" } else { "light" };
        let motion = if reduced_motion { "reduce" } else { "no-preference" };
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]);
        self.cdp("Emulation.setEmulatedMedia", json!({"features": features})).await?;
        Ok(())
    }

    /// Opens an address.
    ///
    /// # Errors
    /// There is no good answer.
    pub async fn goto(&self, url: &str) -> Result<(), Failure> {
        Ok(self.client.goto(url).await?)
    }

    /// What a script returns.
    ///
    /// # Errors
    /// It throws.
    pub async fn read(&self, script: &str) -> Result<Value, Failure> {
        Ok(self.client.execute(script, Vec::new()).await?)
    }

    /// Reads by a script until `wanted` holds of what it returns, for at most `limit`.
    ///
    /// # Errors
    /// It does not hold in time; what the script returned last is told.
    pub async fn until(
        &self,
        script: &str,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, Failure> {
        let began = Instant::now();
        loop {
            let read = self.read(script).await?;
            if wanted(&read) {
                return Ok(read);
            }
            if began.elapsed() > limit {
                return Err(format!("not within {limit:?}; the page shows {read}").into());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// A command of the Chrome DevTools protocol.
    ///
    /// # Errors
    /// The browser refuses it.
    pub async fn cdp(&self, method: &str, params: Value) -> Result<Value, Failure> {
        let body = json!({"cmd": method, "params": params});
        Ok(self.client.issue_cmd(Chromium { path: "goog/cdp/execute", body }).await?)
    }

    /// What a script returns that is given arguments.
    ///
    /// # Errors
    /// It throws.
    pub async fn call(&self, script: &str, arguments: Vec<Value>) -> Result<Value, Failure> {
        Ok(self.client.execute(script, arguments).await?)
    }

    /// Runs a script in every page from now on, before the page's own.
    ///
    /// # Errors
    /// The browser refuses it.
    pub async fn before_each_page(&self, script: &str) -> Result<(), Failure> {
        self.cdp("Page.addScriptToEvaluateOnNewDocument", json!({"source": script})).await?;
        Ok(())
    }

    /// Keeps in this folder what is downloaded.
    ///
    /// # Errors
    /// The browser refuses it.
    pub async fn download_to(&self, folder: &Path) -> Result<(), Failure> {
        let behavior = json!({"behavior": "allow", "downloadPath": folder});
        self.cdp("Browser.setDownloadBehavior", behavior).await?;
        Ok(())
    }

    /// The element of this CSS selector.
    ///
    /// # Errors
    /// There is none.
    pub async fn find(&self, css: &str) -> Result<Element, Failure> {
        let found = self.client.find(Locator::Css(css)).await;
        Ok(found.map_err(|error| format!("{css}: {error}"))?)
    }

    /// Moves the pointer over an element, from and to these pixels from its middle. With the button down, if
    /// it drags.
    ///
    /// # Errors
    /// There is no such element in sight.
    pub async fn drag(&self, css: &str, from: f64, to: f64, is_down: bool) -> Result<(), Failure> {
        let element = self.find(css).await?;
        let at = |x: f64| PointerAction::MoveToElement { element: element.clone(), duration: None, x, y: 0.0 };
        let button = MOUSE_BUTTON_LEFT;
        let mut actions = MouseActions::new("mouse".to_owned()).then(at(from));
        if is_down {
            actions = actions.then(PointerAction::Down { button });
        }
        actions = actions.then(at((from + to) / 2.0)).then(at(to));
        if is_down {
            actions = actions.then(PointerAction::Up { button });
        }
        Ok(self.client.perform_actions(actions).await?)
    }

    /// Puts fingers on an element, moves each from and to these pixels from its middle, and lifts them.
    ///
    /// # Errors
    /// There is no such element, or the window [is not touched](Window::touch).
    pub async fn touch(&self, css: &str, fingers: &[(f64, f64)]) -> Result<(), Failure> {
        let (x, y) = self.middle(css).await?;
        let event = async |kind: &str, points: Vec<Value>| {
            self.cdp("Input.dispatchTouchEvent", json!({"type": kind, "touchPoints": points})).await
        };
        for step in 0..=TOUCH_STEPS {
            let done = f64::from(step) / f64::from(TOUCH_STEPS);
            let at =
                |(id, (from, to)): (usize, &(f64, f64))| json!({"x": x + from + (to - from) * done, "y": y, "id": id});
            let points = fingers.iter().enumerate().map(at).collect();
            event(if step == 0 { "touchStart" } else { "touchMove" }, points).await?;
        }
        event("touchEnd", Vec::new()).await?;
        Ok(())
    }

    /// Lets pages do something, such as `notifications`, without asking anybody.
    ///
    /// # Errors
    /// The browser does not know it.
    pub async fn allow(&self, permissions: &[&str]) -> Result<(), Failure> {
        self.cdp("Browser.grantPermissions", json!({"permissions": permissions})).await?;
        Ok(())
    }

    /// Clicks twice on the middle of an element.
    ///
    /// # Errors
    /// There is no such element in sight.
    pub async fn double_click(&self, css: &str) -> Result<(), Failure> {
        let (x, y) = self.middle(css).await?;
        // Counted here: the driver takes two presses for two clicks if the page was busy between them.
        for count in [1, 2] {
            for kind in ["mousePressed", "mouseReleased"] {
                let event = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": count});
                self.cdp("Input.dispatchMouseEvent", event).await?;
            }
        }
        Ok(())
    }

    /// The middle of the first element of a CSS selector, in the window.
    async fn middle(&self, css: &str) -> Result<(f64, f64), Failure> {
        let middle = "const box = document.querySelector(arguments[0]).getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]";
        let middle = self.call(middle, vec![css.into()]).await?;
        middle[0].as_f64().zip(middle[1].as_f64()).ok_or_else(|| format!("{css} has no middle").into())
    }

    /// Clicks on the element of this test id.
    ///
    /// # Errors
    /// There is none, or it cannot be clicked on.
    pub async fn click(&self, testid: &str) -> Result<(), Failure> {
        Ok(self.element(testid).await?.click().await?)
    }

    /// The text that the element of this test id shows.
    ///
    /// # Errors
    /// There is none.
    pub async fn text(&self, testid: &str) -> Result<String, Failure> {
        Ok(self.element(testid).await?.text().await?)
    }

    async fn element(&self, testid: &str) -> Result<Element, Failure> {
        self.find(&format!("[data-testid=\"{testid}\"]")).await
    }

    /// Presses keys, one after another: letters, and those of [`fantoccini::key::Key`].
    ///
    /// # Errors
    /// The browser is gone.
    pub async fn keys(&self, keys: &str) -> Result<(), Failure> {
        let press = |actions: KeyActions, value| actions.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        let actions = keys.chars().fold(KeyActions::new("keyboard".to_owned()), press);
        Ok(self.client.perform_actions(actions).await?)
    }

    /// Keeps what the window shows as `target/screenshots/NAME.png`. Returns where.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn screenshot(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = root().join("target/screenshots");
        std::fs::create_dir_all(&folder)?;
        let file = folder.join(format!("{name}.png"));
        std::fs::write(&file, self.client.screenshot().await?)?;
        Ok(file)
    }

    /// What axe-core finds wrong with the page for those who do not see or use it as others do: a list of
    /// the serious and critical violations, each with `id`, `impact`, `help` and `nodes`.
    ///
    /// # Errors
    /// axe-core is not installed, or fails.
    pub async fn axe(&self) -> Result<Vec<Value>, Failure> {
        let file = root().join(".tools/axe/node_modules/axe-core/axe.min.js");
        let source = std::fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}; run scripts/test-tools.sh", file.display()))?;
        // As the page's own, which what a script of WebDriver declares is not; and whatever the page's policy
        // says of scripts.
        self.cdp("Runtime.evaluate", json!({"expression": source})).await?;
        match self.client.execute_async(AXE, Vec::new()).await? {
            Value::Array(violations) => Ok(violations),
            other => Err(format!("axe-core failed: {other}").into()),
        }
    }

    /// What the browser complained of since the last call: errors on the console, and requests that
    /// failed.
    ///
    /// # Errors
    /// The browser is gone.
    pub async fn logs(&self) -> Result<Vec<String>, Failure> {
        let told = self.client.issue_cmd(Chromium { path: "se/log", body: json!({"type": "browser"}) }).await?;
        let entries = told.as_array().map_or(&[][..], Vec::as_slice).iter();
        let errors = entries.filter(|entry| entry["level"] == "SEVERE");
        Ok(errors.filter_map(|entry| entry["message"].as_str().map(Into::into)).collect())
    }

    /// Ends the browser as its user would.
    ///
    /// # Errors
    /// It is gone.
    pub async fn end(self) -> Result<(), Failure> {
        Ok(self.client.clone().close().await?)
    }
}

/// Chromium's driver, and the folder that its browser keeps its own things in.
#[derive(Debug)]
struct Driver {
    process: Child,
    profile: PathBuf,
}

impl Driver {
    /// A driver, and a browser of its own.
    async fn begin() -> Result<(Self, Client), Failure> {
        let mut driver = Self::start()?;
        let client = driver.open().await?;
        Ok((driver, client))
    }

    fn start() -> Result<Self, Failure> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let profile = std::env::temp_dir().join(format!("tachograph-browser-{}-{number}", std::process::id()));
        let process =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        Ok(Self { process, profile })
    }

    async fn open(&mut self) -> Result<Client, Failure> {
        let stdout = self.process.stdout.take().ok_or("the driver has no output")?;
        let port = BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("successfully on port ").map(|(_, port)| port.trim_end_matches('.').to_owned())
            })
            .ok_or("the driver does not say its port")?;
        let own = [format!("--user-data-dir={}", self.profile.display())];
        let flags: Vec<&str> = CHROMIUM_FLAGS.into_iter().chain(own.iter().map(String::as_str)).collect();
        let options = json!({"goog:chromeOptions": {"args": flags}, "goog:loggingPrefs": {"browser": "ALL"}});
        let Value::Object(capabilities) = options else { return Err("no capabilities".into()) };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        Ok(builder.capabilities(capabilities).connect(&format!("http://127.0.0.1:{port}")).await?)
    }

    /// The processes of its browser: those that were told the folder.
    fn browsers(&self) -> Vec<String> {
        let profile = self.profile.display().to_string();
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let is_its = |pid: &String| {
            let told = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            pid.parse::<u32>().is_ok() && String::from_utf8_lossy(&told).contains(&profile)
        };
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(is_its).collect()
    }
}

/// However a test ends; a driver that is busy leaves its browser behind.
impl Drop for Driver {
    fn drop(&mut self) {
        let _ended_already = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ended_already = self.process.wait();
        for pid in self.browsers() {
            let _ended_already = Command::new("kill").args(["-KILL", &pid]).stderr(Stdio::null()).status();
        }
        let _gone_already = std::fs::remove_dir_all(&self.profile);
    }
}

/// A command that Chromium's driver knows beside WebDriver's own.
#[derive(Debug)]
struct Chromium {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Chromium {
    fn endpoint(&self, base_url: &Url, session_id: Option<&str>) -> Result<Url, ParseError> {
        base_url.join(&format!("session/{}/{}", session_id.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
