use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::config::Complaint;
use crate::Tachograph;
use crate::export::{Endpoint, Otlp, OtlpError, Temporality, checked_header, checked_resource};

/// The last figures are those of a server whose sessions ended, if that does not take longer: then there is still
/// time to push them before the process has to end.
const SERVED_WITHIN: Duration = Duration::from_millis(6_300);

#[derive(Debug, Args)]
pub(super) struct OtlpArgs {
    /// Push all metrics to the OpenTelemetry collector at this address, such as http://127.0.0.1:4318 or
    /// https://collector:4318.
    #[arg(long, env = "TACHOGRAPH_OTLP_ENDPOINT", value_name = "URL", value_parser = parse_endpoint)]
    otlp_endpoint: Option<String>,

    /// Trust a collector at https whose certificate is in this file, or vouched for by one in it, as PEM. [default:
    /// the system's authorities]
    #[arg(long, env = "TACHOGRAPH_OTLP_CA", value_name = "FILE")]
    otlp_ca: Option<PathBuf>,

    /// Whether a pushed count says all until now, or what came since the last push.
    #[arg(long, env = "TACHOGRAPH_OTLP_TEMPORALITY", default_value = "cumulative", value_name = "TEMPORALITY")]
    otlp_temporality: TemporalityKind,

    /// How often metrics are pushed, in seconds.
    #[arg(long, env = "TACHOGRAPH_OTLP_INTERVAL_SECONDS", default_value = "10", value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    otlp_interval_seconds: u64,

    /// What the pushed metrics are of, such as service.name=asr. Several, with commas between them or each with its
    /// own flag. [default: service.name=tachograph and a random service.instance.id]
    #[arg(long, env = "TACHOGRAPH_OTLP_RESOURCE", value_name = "KEY=VALUE", value_delimiter = ',',
          value_parser = parse_resource)]
    otlp_resource: Vec<Pair>,

    /// A header of every push, such as x-tenant=one. Several, with commas between them or each with its own flag.
    #[arg(long, env = "TACHOGRAPH_OTLP_HEADER", value_name = "NAME=VALUE", value_delimiter = ',',
          hide_env_values = true, value_parser = parse_header)]
    otlp_header: Vec<Pair>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TemporalityKind {
    /// All until now.
    Cumulative,
    /// What came since the last push.
    Delta,
}

/// A name and its value, which can be a password.
#[derive(Clone)]
struct Pair(String, String);

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=…", self.0)
    }
}

fn parse_endpoint(text: &str) -> Result<String, String> {
    text.parse::<Endpoint>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn parse_resource(text: &str) -> Result<Pair, String> {
    parse_pair(text, checked_resource)
}

fn parse_header(text: &str) -> Result<Pair, String> {
    parse_pair(text, |name, value| checked_header(name, value).map(|_| ()))
}

fn parse_pair(text: &str, check: fn(&str, &str) -> Result<(), OtlpError>) -> Result<Pair, String> {
    let (name, value) = text.split_once('=').ok_or("must be a name and a value with = between them")?;
    let (name, value) = (name.trim(), value.trim());
    check(name, value).map_err(|error| error.to_string())?;
    Ok(Pair(name.into(), value.into()))
}

/// What pushes while the server serves; nothing where no endpoint was given.
pub(super) struct Pushing {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl OtlpArgs {
    /// Pushes until [`Pushing::end`], at most for some seconds after the server is told to end.
    pub(super) fn start(&self, tacho: &Tachograph) -> Result<Pushing, OtlpError> {
        let stop = CancellationToken::new();
        let task = self.exporter().map(|otlp| otlp.spawn(tacho, stop.clone())).transpose()?;
        let (shutdown, late) = (tacho.shutdown().clone(), stop.clone());
        tokio::spawn(async move {
            shutdown.cancelled().await;
            sleep(SERVED_WITHIN).await;
            late.cancel();
        });
        Ok(Pushing { stop, task })
    }

    /// What does not go together.
    pub(super) fn complaints(&self) -> Vec<Complaint> {
        if let Some(otlp) = self.exporter() {
            let setting = |error: &OtlpError| match error {
                OtlpError::TooManyHeaders => "otlp-header",
                OtlpError::TooManyResources => "otlp-resource",
                _ => "otlp-endpoint",
            };
            let complaint = otlp.checked().err().map(|error| Complaint::new(setting(&error), error.to_string()));
            return complaint.into_iter().collect();
        }
        let pairs = [("otlp-header", &self.otlp_header), ("otlp-resource", &self.otlp_resource)];
        let useless = pairs.into_iter().filter(|(_, pairs)| !pairs.is_empty());
        useless.map(|(setting, _)| Complaint::new(setting, "has no use without otlp-endpoint; set that too")).collect()
    }

    fn exporter(&self) -> Option<Otlp> {
        let otlp = Otlp::new(self.otlp_endpoint.as_ref()?)
            .interval(Duration::from_secs(self.otlp_interval_seconds))
            .temporality(match self.otlp_temporality {
                TemporalityKind::Cumulative => Temporality::Cumulative,
                TemporalityKind::Delta => Temporality::Delta,
            });
        let otlp = match &self.otlp_ca {
            Some(file) => otlp.authority(file),
            None => otlp,
        };
        let otlp = self.otlp_resource.iter().fold(otlp, |otlp, Pair(key, value)| otlp.resource(key, value));
        Some(self.otlp_header.iter().fold(otlp, |otlp, Pair(name, value)| otlp.header(name, value)))
    }
}

impl Pushing {
    /// Waits until the last figures are out, for 3 s at most.
    pub(super) async fn end(self) {
        self.stop.cancel();
        if let Some(task) = self.task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the OTLP exporter failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        otlp: OtlpArgs,
    }

    fn parsed(args: &[&str]) -> Result<OtlpArgs, String> {
        let args = ["tachograph"].iter().chain(args);
        Only::try_parse_from(args).map(|only| only.otlp).map_err(|error| error.to_string())
    }

    #[test]
    fn without_an_endpoint_nothing_is_pushed() {
        assert!(parsed(&[]).unwrap().exporter().is_none());
        assert!(parsed(&["--otlp-endpoint", "http://127.0.0.1:4318"]).unwrap().exporter().is_some());
    }

    #[test]
    fn pairs_can_come_in_one_flag_or_in_several() {
        let args =
            ["--otlp-resource", "a=1, b=2", "--otlp-resource", "c=x=y", "--otlp-header", "authorization=Basic s3="];
        let args = parsed(&args).unwrap();
        let pairs: Vec<_> = args.otlp_resource.iter().map(|Pair(key, value)| (&**key, &**value)).collect();
        assert_eq!(pairs, [("a", "1"), ("b", "2"), ("c", "x=y")]);
        assert_eq!(args.otlp_header[0].1, "Basic s3=");
        assert!(!format!("{args:?}").contains("s3="));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (args, said) in [
            (["--otlp-endpoint", "collector:4318"], "must begin with http://"),
            (["--otlp-resource", "asr"], "= between them"),
            (["--otlp-header", "content-type=x"], "set by the exporter"),
            (["--otlp-interval-seconds", "0"], "0 is not in 1..=86400"),
        ] {
            let error = parsed(&args).unwrap_err();
            assert!(error.contains(said), "{args:?}: {error}");
        }
    }
}
