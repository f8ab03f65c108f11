//! What a service manager is told, systemd or one that speaks as it does: where nobody listens, nothing.

#[cfg(unix)]
use std::ffi::OsStr;
#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::os::unix::net::{SocketAddr, UnixDatagram};
#[cfg(unix)]
use std::sync::OnceLock;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crate::Tachograph;
use crate::app::Shared;

/// Between two looks at the tick there are at most so many.
const LOOK_MAX: Duration = Duration::from_secs(5);
#[cfg(unix)]
const SEND_MAX: Duration = Duration::from_secs(1);

/// The server takes connections, or goes on after it read its settings again.
pub(super) fn ready() {
    tell(Told::Ready);
}

/// It reads its settings again; [`ready`] follows.
pub(super) fn reloading() {
    tell(Told::Reloading);
}

/// It ends.
pub(super) fn stopping() {
    tell(Told::Stopping);
}

/// Tells that the server is alive for as long as its tick goes on, if the service manager wants to know: one that is
/// stuck is restarted. Runs on a thread of its own, so that nothing but the tick counts.
pub(super) fn watch(tacho: &Tachograph) {
    let Some(limit) = silence_max() else { return };
    let mut heart = Heart::of(tacho);
    thread::spawn(move || {
        // Four looks, so that a late one is no death.
        let pause = (limit / 4).min(LOOK_MAX);
        while let Some(is_beating) = heart.beats() {
            if is_beating {
                tell(Told::Alive);
            }
            thread::sleep(pause);
        }
    });
}

/// Whether the tick goes on.
struct Heart {
    app: Weak<Shared>,
    newest: u64,
}

impl Heart {
    fn of(tacho: &Tachograph) -> Self {
        Self { app: Arc::downgrade(&tacho.0), newest: 0 }
    }

    /// Whether there was a tick since it was last asked; nothing once there is nobody to tick.
    fn beats(&mut self) -> Option<bool> {
        let app = self.app.upgrade()?;
        let newest = app.hub.whole().newest();
        Some(std::mem::replace(&mut self.newest, newest) != newest)
    }
}

#[derive(Clone, Copy, Debug)]
enum Told {
    Ready,
    Reloading,
    Stopping,
    Alive,
}

#[cfg(unix)]
fn tell(told: Told) {
    use sd_notify::NotifyState;

    let message = match told {
        Told::Ready => Ok(NotifyState::Ready.to_string()),
        Told::Reloading => {
            NotifyState::monotonic_usec_now().map(|since| format!("{}\n{since}", NotifyState::Reloading))
        }
        Told::Stopping => Ok(NotifyState::Stopping.to_string()),
        Told::Alive => Ok(NotifyState::Watchdog.to_string()),
    };
    let Some(line) = LINE.get_or_init(line) else { return };
    if let Err(error) = message.and_then(|message| line.send(message.as_bytes())) {
        tracing::warn!(%error, ?told, "the service manager was not told");
    }
}

/// Where the service manager listens, if it does. It is kept open: a server that is out of descriptors is alive.
#[cfg(unix)]
static LINE: OnceLock<Option<UnixDatagram>> = OnceLock::new();

#[cfg(unix)]
fn line() -> Option<UnixDatagram> {
    let name = std::env::var_os("NOTIFY_SOCKET")?;
    let line = UnixDatagram::unbound().and_then(|line| {
        line.connect_addr(&address(&name)?)?;
        // Who does not listen is not waited for.
        line.set_write_timeout(Some(SEND_MAX))?;
        Ok(line)
    });
    line.inspect_err(|error| tracing::warn!(%error, "there is no service manager at NOTIFY_SOCKET")).ok()
}

/// A path, or with an @ before it a name without a file.
#[cfg(unix)]
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;

        if let Some(name) = name.as_bytes().strip_prefix(b"@") {
            return SocketAddr::from_abstract_name(name);
        }
    }
    SocketAddr::from_pathname(name)
}

#[cfg(not(unix))]
fn tell(_: Told) {}

/// After so long a silence the service manager restarts the server.
#[cfg(unix)]
fn silence_max() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero())
}

#[cfg(not(unix))]
fn silence_max() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    fn beats_within(heart: &mut Heart, limit: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if heart.beats() == Some(true) {
                return true;
            }
            thread::sleep(Duration::from_millis(50));
        }
        false
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_tick_that_is_stuck_has_no_heartbeat_and_one_that_goes_on_has() {
        let (release, held) = mpsc::channel::<()>();
        let held = parking_lot::Mutex::new(held);
        let tacho = Tachograph::builder()
            .on_tick(move |tick| {
                if tick == 2 {
                    let _released = held.lock().recv_timeout(Duration::from_secs(30));
                }
            })
            .build()
            .unwrap();
        let router: axum::Router = crate::router(&tacho);
        let mut heart = Heart::of(&tacho);
        tokio::task::spawn_blocking(move || {
            assert!(beats_within(&mut heart, Duration::from_secs(10)), "the first tick");
            // Until it is stuck.
            thread::sleep(Duration::from_secs(4));
            heart.beats();
            assert!(!beats_within(&mut heart, Duration::from_secs(3)), "a beat of a tick that is stuck");
            drop(release);
            assert!(beats_within(&mut heart, Duration::from_secs(10)), "no beat after it went on");
            drop((tacho, router));
            let begun = Instant::now();
            while heart.beats().is_some() {
                assert!(begun.elapsed() < Duration::from_secs(10), "a beat of nobody");
                thread::sleep(Duration::from_millis(50));
            }
        })
        .await
        .unwrap();
    }
}
