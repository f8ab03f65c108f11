//! The soak for a minute; `make soak` runs it for an hour.

use std::time::Duration;

use tachograph_tests::Failure;
use tachograph_tests::soak::{Options, soak};

const SEED: u64 = 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_of_everything_leaves_nothing_behind_and_nothing_unaccounted_for() -> Result<(), Failure> {
    let report = soak(Options { duration: Duration::from_secs(60), seed: SEED }).await?;
    println!("{}", report.to_markdown("a minute"));
    assert!(report.holds(), "{}", report.to_markdown("a minute"));
    Ok(())
}
