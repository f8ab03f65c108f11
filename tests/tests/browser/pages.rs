//! The page's pages as a person has them: what each shows, and what can be done on it.

use std::collections::BTreeMap;
use std::panic::Location;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use serde_json::{Value, json};
use tachograph_tests::Failure;
use tachograph_tests::browser::{Browser, Window};
use tokio::time::sleep;

/// For whatever the page does by itself at once.
pub(crate) const SOON: Duration = Duration::from_secs(5);
/// For what needs a frame or two of the server, on a machine that does much else.
pub(crate) const LATER: Duration = Duration::from_secs(12);
/// The address follows within 0.4 s.
const SETTLES_WITHIN: Duration = Duration::from_millis(900);
/// Chromium saves no more than ten files of a page in a second.
const BETWEEN_FILES: Duration = Duration::from_millis(150);
/// A choice is painted with the next drawing of the screen.
const PAINTED: &str = "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))";
/// The page's own listener came first, and asks for the next drawing of the screen.
const GO: &str = "return new Promise((done) => {
    const painted = () => requestAnimationFrame(() => requestAnimationFrame(done));
    const before = location.href;
    location.hash = arguments[0];
    if (location.href === before) done(); else addEventListener('hashchange', painted, { once: true });
})";

/// Before the page's own scripts: notes what must never happen, and when the first figures were there.
const GUARD: &str = r#"
    window.broken = [];
    window.hosts = [];
    window.attempted = [];
    addEventListener("securitypolicyviolation", (event) => broken.push("policy: " + event.violatedDirective));
    addEventListener("error", (event) => broken.push("error: " + event.message));
    addEventListener("unhandledrejection", (event) => broken.push("rejection: " + event.reason));
    const Socket = window.WebSocket;
    window.WebSocket = class extends Socket {
        constructor(...asked) {
            super(...asked);
            hosts.push(new URL(this.url).host);
            attempted.push(performance.now());
        }
    };
    const look = () => {
        const drawn = document.querySelector('.now[data-value]:not([data-value=""])');
        if (drawn) window.firstFigures = performance.now();
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
"#;

/// What the page says of itself.
const FACTS: &str = r#"
    const facts = document.getElementById("footer-facts")?.dataset ?? {};
    const number = (text) => Number(text || 0);
    return {
        state: document.querySelector('[data-testid="connection-state"]')?.dataset.state ?? "none",
        page: document.getElementById("main")?.dataset.page ?? "",
        hash: location.hash,
        title: document.title,
        clock: document.getElementById("clock")?.textContent ?? "",
        epoch: facts.epoch ?? "",
        seq: number(facts.seq), held: number(facts.held), missing: number(facts.missing),
        restarts: number(facts.restarts), row: number(facts.row),
    };
"#;

const CARDS: &str = r#"
    return [...document.querySelectorAll('section.page:not([hidden]) [data-testid="card"]')].map((card) => ({
        chart: card.dataset.chart,
        title: card.querySelector("h3").textContent,
        now: card.querySelector(".now").textContent,
        value: card.querySelector(".now").dataset.value ?? "",
        crossed: card.dataset.crossed === "true",
        legend: [...card.querySelectorAll(".key:not([hidden])")]
            .map((key) => [key.children[1].textContent, key.children[2].textContent]),
    }));
"#;

/// A browser that shows the page.
pub(crate) struct Page {
    pub(crate) browser: Browser,
    /// Such as `http://127.0.0.1:40321/`.
    pub(crate) url: String,
}

/// What the page says of itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Facts {
    /// Of the connection.
    pub(crate) state: String,
    /// Which page is shown.
    pub(crate) page: String,
    pub(crate) hash: String,
    pub(crate) title: String,
    /// The moment that is shown.
    pub(crate) clock: String,
    pub(crate) epoch: String,
    /// Of the newest frame.
    pub(crate) seq: u64,
    pub(crate) held: u64,
    pub(crate) missing: u64,
    pub(crate) restarts: u64,
    /// The one that is shown.
    pub(crate) row: u64,
}

impl Facts {
    fn of(read: &Value) -> Self {
        let text = |name: &str| read[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| read[name].as_u64().unwrap_or_default();
        Self {
            state: text("state"),
            page: text("page"),
            hash: text("hash"),
            title: text("title"),
            clock: text("clock"),
            epoch: text("epoch"),
            seq: number("seq"),
            held: number("held"),
            missing: number("missing"),
            restarts: number("restarts"),
            row: number("row"),
        }
    }
}

/// A chart with its heading.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Card {
    /// What it shows, as an address has it.
    pub(crate) chart: String,
    pub(crate) title: String,
    pub(crate) value: String,
    pub(crate) is_crossed: bool,
    /// Its lines with their figures.
    pub(crate) legend: Vec<(String, String)>,
}

impl Page {
    /// Opens a server's page at a fragment such as `#/sessions`, in a laptop's window.
    pub(crate) async fn open(address: &str, fragment: &str) -> Result<Self, Failure> {
        Self::open_in(Window::default(), address, fragment).await
    }

    pub(crate) async fn open_in(window: Window, address: &str, fragment: &str) -> Result<Self, Failure> {
        Self::open_url(window, format!("http://{address}/"), fragment).await
    }

    /// At an address as it is.
    pub(crate) async fn open_at(url: &str, fragment: &str) -> Result<Self, Failure> {
        Self::open_url(Window::default(), url.to_owned(), fragment).await
    }

    async fn open_url(window: Window, url: String, fragment: &str) -> Result<Self, Failure> {
        let browser = Browser::start(window).await?;
        browser.cdp("Emulation.setTimezoneOverride", json!({"timezoneId": "UTC"})).await?;
        browser.before_each_page(GUARD).await?;
        let page = Self { browser, url };
        page.browser.goto(&format!("{}{fragment}", page.url)).await?;
        Ok(page)
    }

    /// The same once there are figures.
    pub(crate) async fn open_live(address: &str, fragment: &str) -> Result<Self, Failure> {
        let page = Self::open(address, fragment).await?;
        page.until(LATER, |facts| facts.state == "live" && facts.row > 0).await?;
        Ok(page)
    }

    /// Goes to a fragment as by a link, and waits until it is painted.
    #[track_caller]
    pub(crate) fn go(&self, fragment: &str) -> impl Future<Output = Result<(), Failure>> {
        told(async move {
            self.browser.call(GO, vec![fragment.into()]).await?;
            let name: String = fragment.chars().skip(2).take_while(char::is_ascii_lowercase).collect();
            self.until(SOON, |facts| facts.page == name).await?;
            Ok(())
        })
    }

    pub(crate) async fn facts(&self) -> Result<Facts, Failure> {
        Ok(Facts::of(&self.browser.read(FACTS).await?))
    }

    /// Waits until this holds of the page.
    #[track_caller]
    pub(crate) fn until(
        &self,
        limit: Duration,
        wanted: impl Fn(&Facts) -> bool,
    ) -> impl Future<Output = Result<Facts, Failure>> {
        told(async move {
            let read = self.browser.until(FACTS, limit, |read| wanted(&Facts::of(read))).await?;
            Ok(Facts::of(&read))
        })
    }

    /// Waits until another frame is there.
    #[track_caller]
    pub(crate) fn next_frame(&self) -> impl Future<Output = Result<Facts, Failure>> {
        told(async move {
            let before = self.facts().await?.held;
            self.until(LATER, |facts| facts.held > before).await
        })
    }

    /// What the page says once it stands, which its address does a little later than its figures.
    pub(crate) async fn settled(&self) -> Result<Facts, Failure> {
        let mut facts = self.facts().await?;
        for _ in 0..10 {
            sleep(SETTLES_WITHIN).await;
            let later = self.facts().await?;
            let is_settled = (&later.hash, later.row) == (&facts.hash, facts.row);
            facts = later;
            if is_settled {
                return Ok(facts);
            }
        }
        Err(format!("the page does not stand still: {facts:?}").into())
    }

    /// Waits until a script returns what is wanted.
    #[track_caller]
    pub(crate) fn until_read(
        &self,
        script: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> impl Future<Output = Result<Value, Failure>> {
        told(async move { self.browser.until(script, LATER, wanted).await })
    }

    /// What each element of a selector gives, by an expression of `element`.
    pub(crate) async fn each(&self, css: &str, expression: &str) -> Result<Vec<Value>, Failure> {
        let script = format!("return [...document.querySelectorAll(arguments[0])].map((element) => {expression});");
        Ok(self.browser.call(&script, vec![css.into()]).await?.as_array().cloned().unwrap_or_default())
    }

    pub(crate) async fn texts(&self, css: &str) -> Result<Vec<String>, Failure> {
        let texts = self.each(css, "element.textContent").await?;
        Ok(texts.iter().filter_map(|text| text.as_str().map(Into::into)).collect())
    }

    pub(crate) async fn text(&self, css: &str) -> Result<String, Failure> {
        self.texts(css).await?.into_iter().next().ok_or_else(|| format!("there is no {css}").into())
    }

    /// Waits until the first element of a selector has a text that is wanted.
    #[track_caller]
    pub(crate) fn until_text(
        &self,
        css: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> impl Future<Output = Result<String, Failure>> {
        told(async move {
            let script = format!("return document.querySelector({})?.textContent ?? ''", json!(css));
            let read = self.until_read(&script, |read| read.as_str().is_some_and(&wanted)).await?;
            Ok(read.as_str().unwrap_or_default().to_owned())
        })
    }

    pub(crate) async fn find(&self, testid: &str) -> Result<Element, Failure> {
        self.browser.find(&format!("[data-testid=\"{testid}\"]")).await
    }

    #[track_caller]
    pub(crate) fn click(&self, testid: &str) -> impl Future<Output = Result<(), Failure>> {
        told(async move { self.browser.click(testid).await.map_err(|error| format!("{testid}: {error}").into()) })
    }

    /// Types into a field, in place of what it has.
    #[track_caller]
    pub(crate) fn type_into(&self, testid: &str, text: &str) -> impl Future<Output = Result<(), Failure>> {
        told(async move {
            let field = self.find(testid).await?;
            field.click().await?;
            field.clear().await?;
            Ok(field.send_keys(text).await?)
        })
    }

    pub(crate) async fn keys(&self, keys: &str) -> Result<(), Failure> {
        self.browser.keys(keys).await
    }

    /// Takes the focus from whatever has it.
    pub(crate) async fn blur(&self) -> Result<(), Failure> {
        self.browser.read("document.activeElement?.blur()").await?;
        Ok(())
    }

    pub(crate) async fn cards(&self) -> Result<Vec<Card>, Failure> {
        let read = self.browser.read(CARDS).await?;
        Ok(read.as_array().map_or(&[][..], Vec::as_slice).iter().map(card_of).collect())
    }

    /// Waits until the cards are as wanted.
    #[track_caller]
    pub(crate) fn until_cards(
        &self,
        wanted: impl Fn(&[Card]) -> bool,
    ) -> impl Future<Output = Result<Vec<Card>, Failure>> {
        told(async move {
            let cards = |read: &Value| -> Vec<Card> {
                read.as_array().map_or(&[][..], Vec::as_slice).iter().map(card_of).collect()
            };
            let read = self.browser.until(CARDS, LATER, |read| wanted(&cards(read))).await?;
            Ok(cards(&read))
        })
    }

    /// Does what downloads a file. Returns where it is.
    #[track_caller]
    pub(crate) fn download(&self, button: &str, ending: &str) -> impl Future<Output = Result<PathBuf, Failure>> {
        told(async move {
            sleep(BETWEEN_FILES).await;
            let folder = folder(ending)?;
            self.browser.download_to(&folder).await?;
            self.click(button).await?;
            let began = Instant::now();
            while began.elapsed() < LATER {
                for entry in std::fs::read_dir(&folder)? {
                    let file = entry?.path();
                    // An empty one holds the name until what is saved is whole.
                    let is_whole = std::fs::metadata(&file).is_ok_and(|held| held.len() > 0);
                    if is_whole && file.extension().is_some_and(|held| held == ending) {
                        return Ok(file);
                    }
                }
                sleep(Duration::from_millis(50)).await;
            }
            Err(format!("{button} saved no file {ending}").into())
        })
    }

    /// Opens a file as by the dialog for it.
    pub(crate) async fn open_file(&self, file: &std::path::Path) -> Result<(), Failure> {
        Ok(self.find("file").await?.send_keys(&file.to_string_lossy()).await?)
    }

    /// What must never happen did not. Ends the browser.
    #[track_caller]
    pub(crate) fn end(self) -> impl Future<Output = Result<(), Failure>> {
        told(async move {
            self.assert_sound().await?;
            self.browser.end().await
        })
    }

    /// No error, nothing that the page's policy forbids, no request to anybody else.
    pub(crate) async fn assert_sound(&self) -> Result<(), Failure> {
        let broken = self.browser.read("return window.broken").await?;
        assert_eq!(broken, json!([]), "the page broke");
        let failed = self.browser.read("return document.documentElement.dataset.failed ?? 'no'").await?;
        assert_eq!(failed, "no", "the page is marked as failed");
        let asked = "return [...hosts, ...performance.getEntriesByType('resource').map((entry) => entry.name)
            .filter((name) => !/^(data|blob):/.test(name)).map((name) => new URL(name).host)]
            .filter((host) => host !== location.host)";
        assert_eq!(self.browser.read(asked).await?, json!([]), "others were asked");
        Ok(())
    }

    // ---- the pages

    pub(crate) fn overview(&self) -> Overview<'_> {
        Overview(self)
    }

    pub(crate) fn sessions(&self) -> Sessions<'_> {
        Sessions(self)
    }

    pub(crate) fn session(&self) -> SessionPage<'_> {
        SessionPage(self)
    }

    pub(crate) fn metrics(&self) -> Metrics<'_> {
        Metrics(self)
    }

    pub(crate) fn chart(&self) -> ChartPage<'_> {
        ChartPage(self)
    }

    pub(crate) fn board(&self) -> Board<'_> {
        Board(self)
    }

    pub(crate) fn events(&self) -> Events<'_> {
        Events(self)
    }

    pub(crate) fn timebar(&self) -> Timebar<'_> {
        Timebar(self)
    }
}

/// Where a test waited in vain is told.
#[track_caller]
fn told<T>(work: impl Future<Output = Result<T, Failure>>) -> impl Future<Output = Result<T, Failure>> {
    let caller = Location::caller();
    async move { work.await.map_err(|failure| format!("{caller}: {failure}").into()) }
}

fn card_of(read: &Value) -> Card {
    let text = |name: &str| read[name].as_str().unwrap_or_default().to_owned();
    let pair = |pair: &Value| Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()));
    Card {
        chart: text("chart"),
        title: text("title"),
        value: text("value"),
        is_crossed: read["crossed"] == true,
        legend: read["legend"].as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(pair).collect(),
    }
}

/// A new folder that no other test has.
fn folder(name: &str) -> Result<PathBuf, Failure> {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder.canonicalize()?)
}

/// What needs attention.
pub(crate) struct Overview<'p>(&'p Page);

impl Overview<'_> {
    /// The line that says how everything stands.
    pub(crate) async fn health(&self) -> Result<String, Failure> {
        self.0.text("#health").await
    }

    /// What is listed, each in a line.
    #[track_caller]
    pub(crate) fn until_attention(
        &self,
        wanted: impl Fn(&[String]) -> bool,
    ) -> impl Future<Output = Result<Vec<String>, Failure>> {
        told(async move {
            let script = "return [...document.querySelectorAll('#attention:not([hidden]) li:not([hidden])')]
                .map((line) => [...line.children].map((part) => part.textContent).join(' | '))";
            let lines = |read: &Value| -> Vec<String> {
                let lines = read.as_array().map_or(&[][..], Vec::as_slice).iter();
                lines.filter_map(|line| line.as_str().map(Into::into)).collect()
            };
            let limit = Duration::from_secs(40);
            let read = self.0.browser.until(script, limit, |read| wanted(&lines(read))).await?;
            Ok(lines(&read))
        })
    }
}

/// All sessions.
pub(crate) struct Sessions<'p>(&'p Page);

/// A row of their table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) session: String,
    pub(crate) source: String,
    pub(crate) severity: String,
    pub(crate) is_chosen: bool,
    pub(crate) figures: BTreeMap<String, String>,
    pub(crate) href: String,
}

const ROWS: &str = r#"
    const place = (row) => Number(row.getAttribute("aria-rowindex"));
    const rows = [...document.querySelectorAll('[data-testid="source-row"]:not([hidden])')];
    return rows.sort((one, other) => place(one) - place(other)).map((row) => ({
        session: row.dataset.session, source: row.dataset.source, severity: row.dataset.severity,
        chosen: row.getAttribute("aria-selected") === "true",
        href: row.querySelector("a").getAttribute("href"),
        figures: Object.fromEntries([...row.querySelectorAll("[data-figure]")]
            .map((cell) => [cell.dataset.figure, cell.dataset.value])),
    }));
"#;

impl Sessions<'_> {
    /// The rows that there are, from the top. The frame that they are of is read with them.
    pub(crate) async fn rows(&self) -> Result<Vec<Row>, Failure> {
        Ok(rows_of(&self.0.browser.read(ROWS).await?))
    }

    /// The newest frame's number, and the rows.
    pub(crate) async fn rows_with_seq(&self) -> Result<(u64, Vec<Row>), Failure> {
        let script = format!(
            "const read = () => {{ {ROWS} }};
            return [Number(document.getElementById('footer-facts').dataset.seq || 0), read()];"
        );
        let read = self.0.browser.read(&script).await?;
        Ok((read[0].as_u64().unwrap_or_default(), rows_of(&read[1])))
    }

    #[track_caller]
    pub(crate) fn until_rows(
        &self,
        wanted: impl Fn(&[Row]) -> bool,
    ) -> impl Future<Output = Result<Vec<Row>, Failure>> {
        told(async move {
            let read = self.0.browser.until(ROWS, Duration::from_secs(40), |read| wanted(&rows_of(read))).await?;
            Ok(rows_of(&read))
        })
    }

    pub(crate) async fn filter(&self, words: &str) -> Result<(), Failure> {
        self.0.type_into("sessions-filter", words).await
    }

    pub(crate) async fn sort(&self, column: &str) -> Result<(), Failure> {
        self.0.click(&format!("sort-{column}")).await
    }

    pub(crate) async fn count(&self) -> Result<String, Failure> {
        self.0.text("#sessions-count").await
    }

    pub(crate) async fn focus(&self) -> Result<(), Failure> {
        self.0.browser.read("document.getElementById('sessions-table').focus()").await?;
        Ok(())
    }
}

fn rows_of(read: &Value) -> Vec<Row> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = read.as_array().map_or(&[][..], Vec::as_slice).iter();
    rows.map(|row| Row {
        session: text(&row["session"]),
        source: text(&row["source"]),
        severity: text(&row["severity"]),
        is_chosen: row["chosen"] == true,
        href: text(&row["href"]),
        figures: row["figures"]
            .as_object()
            .map(|held| held.iter().map(|(name, value)| (name.clone(), text(value))).collect())
            .unwrap_or_default(),
    })
    .collect()
}

/// One session.
pub(crate) struct SessionPage<'p>(&'p Page);

impl SessionPage<'_> {
    pub(crate) async fn name(&self) -> Result<String, Failure> {
        self.0.text("#title-session").await
    }

    #[track_caller]
    pub(crate) fn until_state(&self, wanted: impl Fn(&str) -> bool) -> impl Future<Output = Result<String, Failure>> {
        told(async move { self.0.until_text("[data-testid=\"session-state\"]", wanted).await })
    }

    /// The receipt's lines, once it is there.
    #[track_caller]
    pub(crate) fn until_receipt(&self) -> impl Future<Output = Result<Vec<String>, Failure>> {
        told(async move {
            let script = "return [...document.querySelectorAll('#receipt:not([hidden]) tr')]
                .map((row) => [...row.children].map((cell) => cell.textContent).join(': '))";
            let limit = Duration::from_secs(40);
            let read = self
                .0
                .browser
                .until(script, limit, |read| read.as_array().is_some_and(|rows| !rows.is_empty()))
                .await?;
            let rows = read.as_array().map_or(&[][..], Vec::as_slice).iter();
            Ok(rows.filter_map(|row| row.as_str().map(Into::into)).collect())
        })
    }

    pub(crate) async fn events(&self) -> Result<Vec<String>, Failure> {
        self.0.texts("#session-events:not([hidden]) li:not([hidden])").await
    }
}

/// All families.
pub(crate) struct Metrics<'p>(&'p Page);

impl Metrics<'_> {
    pub(crate) async fn search(&self, words: &str) -> Result<(), Failure> {
        self.0.type_into("metrics-filter", words).await
    }

    pub(crate) async fn groups(&self) -> Result<Vec<String>, Failure> {
        self.0.texts("#metrics-groups .group").await
    }

    /// Opens the first chart by its heading.
    pub(crate) async fn open_first(&self) -> Result<(), Failure> {
        Ok(self.0.browser.find("#metrics-groups .card h3 a").await?.click().await?)
    }
}

/// One chart.
pub(crate) struct ChartPage<'p>(&'p Page);

impl ChartPage<'_> {
    /// Chooses of a list, and waits until it is painted.
    #[track_caller]
    pub(crate) fn choose(&self, what: &str, value: &str) -> impl Future<Output = Result<(), Failure>> {
        told(async move {
            let select = self.0.find(&format!("chart-{what}")).await?;
            select.select_by_value(value).await.map_err(|error| format!("{what}={value}: {error}"))?;
            self.0.browser.read(PAINTED).await?;
            Ok(())
        })
    }

    /// The table's head and its rows, newest first.
    pub(crate) async fn table(&self) -> Result<Vec<Vec<String>>, Failure> {
        Ok(table_of(&self.0.browser.read(TABLE).await?))
    }

    #[track_caller]
    pub(crate) fn until_table(
        &self,
        wanted: impl Fn(&[Vec<String>]) -> bool,
    ) -> impl Future<Output = Result<Vec<Vec<String>>, Failure>> {
        let is_wanted = move |table: &[Vec<String>]| !table.is_empty() && wanted(table);
        told(async move {
            let read = self.0.browser.until(TABLE, LATER, |read| is_wanted(&table_of(read))).await?;
            Ok(table_of(&read))
        })
    }

    pub(crate) async fn card(&self) -> Result<Card, Failure> {
        self.0.cards().await?.into_iter().next().ok_or_else(|| "there is no chart".into())
    }
}

/// The plot of the chart page.
pub(crate) const PLOT: &str = "#chart-large .plot";

/// The rows, once all that they can tell is there.
const TABLE: &str = "return [...document.querySelectorAll('#chart-table:not([aria-busy=true]) tr')]
    .map((row) => [...row.children].map((cell) => cell.textContent))";

fn table_of(read: &Value) -> Vec<Vec<String>> {
    let cells = |row: &Value| -> Vec<String> {
        let cells = row.as_array().map_or(&[][..], Vec::as_slice).iter();
        cells.filter_map(|cell| cell.as_str().map(Into::into)).collect()
    };
    read.as_array().map_or(&[][..], Vec::as_slice).iter().map(cells).collect()
}

/// A figure of a table, without its unit.
pub(crate) fn figure(cell: &str) -> Option<f64> {
    let digits: String = cell.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | 'e')).collect();
    digits.parse().ok()
}

/// The chosen charts.
pub(crate) struct Board<'p>(&'p Page);

impl Board<'_> {
    pub(crate) async fn name(&self, name: &str) -> Result<(), Failure> {
        self.0.type_into("board-name", name).await
    }

    pub(crate) async fn take_off(&self, place: usize) -> Result<(), Failure> {
        let css = format!("#board-grid .card:nth-of-type({}) button", place + 1);
        Ok(self.0.browser.find(&css).await?.click().await?)
    }

    pub(crate) async fn charts(&self) -> Result<Vec<String>, Failure> {
        Ok(self.0.cards().await?.into_iter().map(|card| card.chart).collect())
    }
}

/// What happened.
pub(crate) struct Events<'p>(&'p Page);

impl Events<'_> {
    /// What happened and to whom, newest first.
    #[track_caller]
    pub(crate) fn until(
        &self,
        wanted: impl Fn(&[(String, String)]) -> bool,
    ) -> impl Future<Output = Result<Vec<(String, String)>, Failure>> {
        told(async move {
            let script = "return [...document.querySelectorAll('#events-list [data-testid=event]:not([hidden])')]
                .map((event) => [event.dataset.event, event.dataset.session])";
            let events = |read: &Value| -> Vec<(String, String)> {
                let events = read.as_array().map_or(&[][..], Vec::as_slice).iter();
                events.filter_map(|event| Some((event[0].as_str()?.into(), event[1].as_str()?.into()))).collect()
            };
            let limit = Duration::from_secs(40);
            let read = self.0.browser.until(script, limit, |read| wanted(&events(read))).await?;
            Ok(events(&read))
        })
    }

    pub(crate) async fn filter(&self, words: &str) -> Result<(), Failure> {
        self.0.type_into("events-filter", words).await
    }
}

/// Which span of time is shown.
pub(crate) struct Timebar<'p>(&'p Page);

impl Timebar<'_> {
    pub(crate) async fn pause(&self) -> Result<Facts, Failure> {
        self.0.click("pause").await?;
        self.0.until(SOON, |facts| at(facts).is_some()).await
    }

    pub(crate) async fn live(&self) -> Result<Facts, Failure> {
        self.0.click("live").await?;
        self.0.until(SOON, |facts| at(facts).is_none()).await
    }

    /// By its buttons.
    pub(crate) async fn step(&self, ticks: i32) -> Result<(), Failure> {
        Ok(self.0.browser.find(&format!("[data-act=\"step:{ticks}\"]")).await?.click().await?)
    }

    pub(crate) async fn window(&self, seconds: u32) -> Result<(), Failure> {
        self.0.click(&format!("window-{seconds}")).await
    }

    /// Which spans are marked as chosen.
    pub(crate) async fn pressed(&self) -> Result<Vec<String>, Failure> {
        self.0.texts("#windows [aria-pressed=\"true\"]").await
    }

    /// Clicks on the middle of the slider.
    pub(crate) async fn scrub(&self) -> Result<(), Failure> {
        self.0.click("scrub").await
    }
}

/// The moment of an address, in Unix milliseconds; None while it goes along.
pub(crate) fn at(facts: &Facts) -> Option<u64> {
    number(facts, "at=")
}

/// The span of an address, in seconds.
pub(crate) fn span(facts: &Facts) -> u64 {
    number(facts, "w=").unwrap_or(300)
}

fn number(facts: &Facts, name: &str) -> Option<u64> {
    let query = facts.hash.split_once('?')?.1;
    query.split('&').find_map(|pair| pair.strip_prefix(name)).and_then(|text| text.parse().ok())
}
