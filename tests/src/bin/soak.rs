//! Soaks the built program, and says whether all is as it must be.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tachograph_tests::Failure;
use tachograph_tests::soak::{Options, Report, soak};

const HELP: &str = "\
Soaks the built program among sessions, viewers and readers that come, go, stall, flood and die at random.

usage: soak [--minutes N | --seconds N] [--seed N] [--date TEXT] [--write FILE]

  --minutes N   how long, after the warm-up; 60 unless said otherwise
  --seconds N   the same in seconds
  --seed N      the same seed makes the same choices; one of its own unless said otherwise
  --date TEXT   what stands before what is written
  --write FILE  between the lines <!-- soak --> and <!-- /soak --> of a document
";
const BEGIN: &str = "<!-- soak -->\n";
const END: &str = "<!-- /soak -->";

struct Wanted {
    options: Options,
    date: String,
    document: Option<PathBuf>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("soak: {failure}; --help says more");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<bool, Failure> {
    let Some(Wanted { options, date, document }) = wanted(std::env::args().skip(1))? else {
        print!("{HELP}");
        return Ok(true);
    };
    println!("{:?} with SEED={}", options.duration, options.seed);
    let report = soak(options).await?;
    println!("{}", report.to_markdown(&date));
    match document {
        Some(document) if report.holds() => write(&document, &report, &date)?,
        _ => {}
    }
    println!("{}", if report.holds() { "all is as it must be" } else { "NOT all is as it must be" });
    Ok(report.holds())
}

fn wanted(mut args: impl Iterator<Item = String>) -> Result<Option<Wanted>, Failure> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let options = Options { duration: Duration::from_secs(3_600), seed: u64::from(clock.subsec_nanos()) };
    let mut wanted = Wanted { options, date: String::new(), document: None };
    while let Some(arg) = args.next() {
        if matches!(&*arg, "--help" | "-h") {
            return Ok(None);
        }
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{arg} needs a number, not {value}"));
        match &*arg {
            "--minutes" => wanted.options.duration = Duration::from_secs(60 * number()?),
            "--seconds" => wanted.options.duration = Duration::from_secs(number()?),
            "--seed" => wanted.options.seed = number()?,
            "--date" => wanted.date = value,
            "--write" => wanted.document = Some(value.into()),
            _ => return Err(format!("{arg} is not known").into()),
        }
    }
    Ok(Some(wanted))
}

/// The newest result in place of the one before.
fn write(document: &PathBuf, report: &Report, date: &str) -> Result<(), Failure> {
    let text = std::fs::read_to_string(document)?;
    let (before, rest) = text.split_once(BEGIN).ok_or("the document has no place for it")?;
    let (_, after) = rest.split_once(END).ok_or("the document has no end of the place for it")?;
    Ok(std::fs::write(document, format!("{before}{BEGIN}{}{END}{after}", report.to_markdown(date)))?)
}
