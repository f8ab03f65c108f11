use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::Failure;

/// Lines that are kept to be shown.
const SHOWN_MAX: usize = 20;

/// What the server complained of, read as it comes so that it never waits.
pub(super) struct Log(JoinHandle<Complaints>);

#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// By level.
    pub(super) lines: BTreeMap<String, u64>,
    /// The simulated provider's own panics.
    pub(super) panics_rehearsed: u64,
    /// Panics, errors and lines that are not the log's which nobody rehearsed.
    pub(super) unexpected: Vec<String>,
}

impl Log {
    pub(super) fn read(stderr: impl Read + Send + 'static) -> Self {
        Self(std::thread::spawn(move || {
            let mut complaints = Complaints::default();
            BufReader::new(stderr).split(b'\n').map_while(Result::ok).for_each(|line| complaints.take(&line));
            complaints
        }))
    }

    /// All of it, once the server has ended.
    pub(super) fn ended(self) -> Result<Complaints, Failure> {
        self.0.join().map_err(|_| "the log could not be read".into())
    }
}

impl Complaints {
    fn take(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        if let Ok(entry) = serde_json::from_str::<Value>(&line) {
            let level = entry["level"].as_str().unwrap_or("none").to_lowercase();
            if is_rehearsed_panic(&entry) {
                self.panics_rehearsed += 1;
            } else if level == "error" {
                self.note(&line);
            }
            *self.lines.entry(level).or_default() += 1;
        } else if !line.trim().is_empty() {
            self.note(&line);
        }
    }

    fn note(&mut self, line: &str) {
        if self.unexpected.len() < SHOWN_MAX {
            self.unexpected.push(line.to_owned());
        }
    }
}

fn is_rehearsed_panic(entry: &Value) -> bool {
    let place = entry["place"].as_str().unwrap_or_default();
    entry["why"] == "simulated panic" && place.contains("provider/simulated.rs")
}
