use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const NAP: Duration = Duration::from_millis(10);
/// What is slept longer than that is noted.
const NOTED: Duration = Duration::from_millis(100);
const STALLS_MAX: usize = 100_000;

/// Notices when the machine runs nobody: a thread that sleeps 10 ms at a time, and notes when it slept longer.
pub(super) struct Canary {
    stalls: Arc<Mutex<Vec<Stall>>>,
    is_over: Arc<AtomicBool>,
}

/// So long nothing ran that wanted to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stall {
    pub(super) end: Instant,
    pub(super) length: Duration,
}

impl Canary {
    pub(super) fn start() -> Self {
        let canary = Self { stalls: Arc::default(), is_over: Arc::default() };
        let (stalls, is_over) = (Arc::clone(&canary.stalls), Arc::clone(&canary.is_over));
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let began = Instant::now();
                std::thread::sleep(NAP);
                let (end, length) = (Instant::now(), began.elapsed().saturating_sub(NAP));
                let mut stalls = stalls.lock().unwrap_or_else(PoisonError::into_inner);
                if length > NOTED && stalls.len() < STALLS_MAX {
                    stalls.push(Stall { end, length });
                }
            }
        });
        canary
    }

    pub(super) fn stalls(&self) -> Vec<Stall> {
        self.stalls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
