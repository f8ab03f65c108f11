//! Measures Tachograph beside other metrics libraries. See `--help`.

mod allocator;
mod harness;
mod measure;
mod options;
mod report;
mod subjects;
mod values;

use std::process::ExitCode;

use bench_shared::machine;

use harness::Pool;
use options::{Options, Request};

fn main() -> ExitCode {
    match options::parse() {
        Ok(Request::Measure(options)) => run(&options),
        Ok(Request::Help) => {
            println!("{}", options::HELP);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {error}\n\n{}", options::HELP);
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> ExitCode {
    let threads = machine::cores().max(2);
    let pool = Pool::new(threads);
    let entries = measure::all(&subjects::all(threads), &pool, options.effort);
    let document = report::document(&entries, threads, options.effort);
    print!("{document}");
    let Some(path) = &options.write else { return ExitCode::SUCCESS };
    match std::fs::write(path, document) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: cannot write {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}
