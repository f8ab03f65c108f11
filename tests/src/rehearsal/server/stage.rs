//! The thread that makes the frames: when it is told to, or once a second.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Shared;
use super::past::Past;
use crate::rehearsal::Rehearsal;

const TICK: Duration = Duration::from_secs(1);
/// Paused: it waits for a command.
const NEVER: Duration = Duration::from_secs(u32::MAX as u64);

/// When frames are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As a server does.
    EverySecond,
    /// Only those that are asked for.
    Paused,
}

/// What the thread is told to do.
pub(super) enum Command {
    Pace(Pace),
    /// To make so many frames; answered with the newest one's number.
    Make(u64, oneshot::Sender<u64>),
    /// The same, but that the viewers that are connected do not get them.
    Skip(u64, oneshot::Sender<u64>),
    Miss(u64),
    Restart(Box<Rehearsal>),
}

/// Follows the commands until there is nobody left to give one.
pub(super) fn run(mut rehearsal: Rehearsal, pace: Pace, commands: &Receiver<Command>, shared: &Arc<Shared>) {
    let mut due = due(pace);
    loop {
        let wait = due.map_or(NEVER, |due| due.saturating_duration_since(Instant::now()));
        match commands.recv_timeout(wait) {
            Ok(Command::Pace(pace)) => due = self::due(pace),
            Ok(command) => follow(command, &mut rehearsal, shared),
            Err(RecvTimeoutError::Timeout) => {
                shared.publish(rehearsal.tick());
                due = due.map(|due| due + TICK);
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// When the next frame is, if one is due by itself.
fn due(pace: Pace) -> Option<Instant> {
    (pace == Pace::EverySecond).then(Instant::now)
}

fn follow(command: Command, rehearsal: &mut Rehearsal, shared: &Shared) {
    match command {
        Command::Pace(_) => {}
        Command::Make(frames, done) => {
            for _ in 0..frames {
                shared.publish(rehearsal.tick());
            }
            let _nobody_waits = done.send(rehearsal.state().head().seq);
        }
        Command::Skip(frames, done) => {
            let made = (0..frames).map(|_| rehearsal.tick()).collect();
            shared.publish_unseen(made, rehearsal.keyframe().into());
            let _nobody_waits = done.send(rehearsal.state().head().seq);
        }
        Command::Miss(ticks) => rehearsal.miss(ticks),
        Command::Restart(next) => {
            *rehearsal = *next;
            shared.begin(Past::new(rehearsal.epoch()));
        }
    }
}
