//! Log lines on their way to standard error: whoever logs waits for nobody who reads them.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tachograph_core::instrument::Counter;
use tachograph_core::registry::{Descriptor, RegisterError, Registry};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait to be written; more are lost, and counted.
const WAITING_MAX: usize = 1_024;
const FLUSH_EVERY: Duration = Duration::from_millis(5);

static WAITING: AtomicUsize = AtomicUsize::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);
static COUNTER: OnceLock<Counter> = OnceLock::new();

/// Gives each line to a thread that writes it: a disk that is full or a reader that stopped costs lines, and neither
/// time nor the task that logs. The usual crate for this counts the lines that it has no room for, but neither those
/// that could not be written nor any in a registry, and its end cannot be waited for as long as one likes.
pub(super) struct Lines(SyncSender<Vec<u8>>);

/// One line.
pub(super) struct Line<'a>(&'a Lines);

impl Lines {
    /// To standard error.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, lines) = sync_channel(WAITING_MAX);
        thread::Builder::new().name("tachograph-log".into()).spawn(move || write_all(&lines))?;
        Ok(Self(sender))
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

impl Write for Line<'_> {
    /// Takes all of it, and never fails.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        WAITING.fetch_add(1, Ordering::Relaxed);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.0.0.try_send(line.to_vec()) {
            lose();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(lines: &Receiver<Vec<u8>>) {
    for line in lines {
        match io::stderr().write_all(&line) {
            Ok(()) => _ = WAITING.fetch_sub(1, Ordering::Relaxed),
            Err(_) => lose(),
        }
    }
}

fn lose() {
    WAITING.fetch_sub(1, Ordering::Relaxed);
    LOST.fetch_add(1, Ordering::Relaxed);
    if let Some(counter) = COUNTER.get() {
        counter.inc();
    }
}

/// Counts lines that are lost, from now on in the registry, too.
pub(super) fn count_lost(registry: &Registry) -> Result<(), RegisterError> {
    let descriptor = Descriptor::new("tachograph_log_lines_lost", "Log lines that could not be written");
    let counter = registry.counter(&descriptor)?.unlabelled()?;
    counter.add(LOST.load(Ordering::Relaxed));
    let _counted_elsewhere = COUNTER.set(counter);
    Ok(())
}

/// Waits until all lines are written, for at most `limit`.
pub(super) fn flush(limit: Duration) {
    let began = Instant::now();
    while WAITING.load(Ordering::Relaxed) > 0 && began.elapsed() < limit {
        thread::sleep(FLUSH_EVERY);
    }
}
