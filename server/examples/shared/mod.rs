//! What the examples are told: where to listen, and for how long to run.

use std::future::pending;
use std::time::Duration;

/// `[--listen ADDRESS] [--seconds N]`.
pub(crate) struct Arguments {
    pub(crate) listen: String,
    span: Option<Duration>,
}

impl Arguments {
    pub(crate) fn read() -> Result<Self, String> {
        let mut arguments = Self { listen: "127.0.0.1:3000".into(), span: None };
        let mut words = std::env::args().skip(1);
        while let Some(flag) = words.next() {
            let value = words.next().ok_or_else(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--listen" => arguments.listen = value,
                "--seconds" => {
                    let seconds = value.parse().map_err(|_| format!("--seconds is a whole number, not {value}"))?;
                    arguments.span = Some(Duration::from_secs(seconds));
                }
                _ => return Err(format!("{flag} is not known; there are --listen ADDRESS and --seconds N")),
            }
        }
        Ok(arguments)
    }

    /// Waits for Ctrl-C, or until the time is over.
    pub(crate) async fn over(&self) {
        let time_is_over = async {
            match self.span {
                Some(span) => tokio::time::sleep(span).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = time_is_over => {}
            _told_or_deaf = tokio::signal::ctrl_c() => {}
        }
    }
}
