//! Measures Tachograph beside other metrics libraries. See `--help`.

mod allocator;
mod bridge;
mod harness;
mod measure;
mod options;
mod report;
mod subjects;
mod values;

use std::process::ExitCode;

use bench_shared::machine;

use harness::{Effort, Pool};
use options::COMMAND;

fn main() -> ExitCode {
    COMMAND.run(|options| {
        let effort = options.effort.of(Effort::FULL, Effort::QUICK);
        let threads = machine::cores().max(2);
        let pool = Pool::new(threads);
        let entries = measure::all(&subjects::all(threads), &pool, effort);
        report::document(&entries, &bridge::all(&pool, effort), threads, effort)
    })
}
