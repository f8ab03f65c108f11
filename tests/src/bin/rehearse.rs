//! Writes a recording of a simulated service to standard output.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use tachograph_tests::Failure;
use tachograph_tests::rehearsal::{Rehearsal, Scenario, Setup, record};

const HELP: &str = "\
Writes a recording of a simulated service, which `tachograph tail FILE` and the page can read.

usage: rehearse [--healthy | --story | --failing] [--seconds N] [--series N] [--sessions N] [--seed N] > FILE

  --healthy     nothing happens; what is rehearsed unless said otherwise
  --story       five minutes of health, five of overload, five of recovery
  --failing     a provider is restarted and fails
  --seconds N   how long it is, 900 unless said otherwise
  --series N    about how many series there are, 100 unless said otherwise
  --sessions N  how many sessions there are, 6 unless said otherwise
  --seed N      the same seed gives the same recording
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("rehearse: {failure}; --help says more");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<(), Failure> {
    let (mut setup, mut seconds) = (Setup::default(), 900);
    while let Some(arg) = args.next() {
        let mut number = || -> Result<u64, Failure> {
            let text = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
            text.parse().map_err(|_| format!("{arg} needs a number, not {text}").into())
        };
        match &*arg {
            "--help" | "-h" => return Ok(io::stdout().write_all(HELP.as_bytes())?),
            "--healthy" => setup.scenario = Scenario::Healthy,
            "--story" => setup.scenario = Scenario::Story,
            "--failing" => setup.scenario = Scenario::Failing,
            "--seconds" => seconds = number()?,
            "--series" => setup.series = usize::try_from(number()?)?,
            "--sessions" => setup.sessions = usize::try_from(number()?)?,
            "--seed" => setup.seed = number()?,
            _ => return Err(format!("{arg} is not known").into()),
        }
    }
    let recording = record(&mut Rehearsal::new(setup)?, seconds);
    Ok(io::stdout().write_all(&recording)?)
}
