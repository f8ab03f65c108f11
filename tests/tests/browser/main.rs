//! A real browser on the page: of the built program where real sessions are behind it, and of a rehearsal for
//! what a server does seldom.
#![allow(clippy::panic, reason = "a test fails by it")]

mod board;
mod embedded;
mod figures;
mod live;
mod looks;
mod many;
mod metrics;
mod network;
mod pages;
mod recording;
mod safety;
mod signed_in;
mod time;
mod trouble;
mod window;

use tachograph_tests::Failure;
use tachograph_tests::rehearsal::{Pace, Rehearsal, RehearsalServer, Scenario, Setup};

/// A rehearsed service that is so many seconds old, and goes on a second at a time.
async fn rehearsed(scenario: Scenario, seconds: u64) -> Result<RehearsalServer, Failure> {
    let server = RehearsalServer::start(Rehearsal::new(Setup { scenario, ..Setup::default() })?, Pace::Paused).await?;
    server.send(seconds).await?;
    server.set_pace(Pace::EverySecond)?;
    Ok(server)
}
