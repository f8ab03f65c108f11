//! Threads that last, and slices of work in rounds, so that noise meets all subjects alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::subjects::Worker;

/// Operations an iteration, in all workers.
pub const OPERATIONS_PER_ITERATION: f64 = 8.0;

/// How long and how often is measured.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    pub slice: Duration,
}

impl Effort {
    pub const FULL: Self = Self { rounds: 15, slice: Duration::from_millis(25) };
    pub const QUICK: Self = Self { rounds: 3, slice: Duration::from_millis(10) };
}

/// The samples of one figure.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    pub median: f64,
    pub minimum: f64,
}

impl Summary {
    pub fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let middle = samples.len() / 2;
        let median =
            if samples.len() % 2 == 1 { samples[middle] } else { (samples[middle - 1] + samples[middle]) / 2.0 };
        Self { median, minimum: samples[0] }
    }
}

/// Threads that live as long as the measurement: a thread is known to a library once it updates.
pub struct Pool {
    lanes: Vec<Sender<Job>>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Pool {
    pub fn new(threads: usize) -> Self {
        Self { lanes: (0..threads).map(|_| lane()).collect() }
    }

    pub fn threads(&self) -> usize {
        self.lanes.len()
    }

    /// Runs the work on the thread of this number and waits for what it returns.
    pub fn run<T: Send + 'static>(&self, thread: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.start(thread, work).recv().expect("a lane that lives")
    }

    fn start<T: Send + 'static>(&self, thread: usize, work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
        let (done, result) = channel();
        let job = move || drop(done.send(work()));
        self.lanes[thread].send(Box::new(job)).expect("a lane that lives");
        result
    }

    /// Runs each worker on a thread of its own, all from the same moment: the mean time each took.
    fn time(&self, workers: &mut Vec<Worker>, iterations: u64) -> Duration {
        let barrier = Arc::new(AtomicUsize::new(workers.len()));
        let started: Vec<_> = workers
            .drain(..)
            .enumerate()
            .map(|(thread, worker)| self.start(thread, slice(worker, iterations, Arc::clone(&barrier))))
            .collect();
        let total: Duration = started.iter().map(|slice| finish(slice, workers)).sum();
        total / workers.len() as u32
    }
}

fn lane() -> Sender<Job> {
    let (jobs, lane) = channel::<Job>();
    thread::spawn(move || lane.iter().for_each(|job| job()));
    jobs
}

fn slice(
    mut worker: Worker,
    iterations: u64,
    barrier: Arc<AtomicUsize>,
) -> impl FnOnce() -> (Worker, Duration) + Send + 'static {
    move || {
        await_all(&barrier);
        let start = Instant::now();
        worker(iterations);
        (worker, start.elapsed())
    }
}

/// Spins: a wake-up by the operating system would differ by much more between the threads.
fn await_all(barrier: &AtomicUsize) {
    barrier.fetch_sub(1, Ordering::AcqRel);
    while barrier.load(Ordering::Acquire) > 0 {
        std::hint::spin_loop();
    }
}

fn finish(slice: &Receiver<(Worker, Duration)>, workers: &mut Vec<Worker>) -> Duration {
    let (worker, elapsed) = slice.recv().expect("a lane that lives");
    workers.push(worker);
    elapsed
}

/// One figure in the making: workers, a slice of them each round.
pub struct Trial {
    workers: Vec<Worker>,
    iterations: u64,
    samples: Vec<f64>,
}

impl Trial {
    /// With a slice as long as the effort says.
    pub fn new(pool: &Pool, workers: Vec<Worker>, effort: Effort) -> Self {
        let mut trial = Self { workers, iterations: 0, samples: Vec::new() };
        trial.calibrate(pool, effort.slice);
        trial
    }

    fn calibrate(&mut self, pool: &Pool, slice: Duration) {
        let mut iterations = 64;
        let elapsed = loop {
            let elapsed = pool.time(&mut self.workers, iterations);
            if elapsed * 8 > slice {
                break elapsed;
            }
            iterations *= 2;
        };
        let scale = slice.as_secs_f64() / elapsed.as_secs_f64();
        self.iterations = ((iterations as f64 * scale) as u64).max(1);
    }

    /// One slice.
    pub fn round(&mut self, pool: &Pool) {
        let elapsed = pool.time(&mut self.workers, self.iterations);
        self.samples.push(elapsed.as_secs_f64() * 1e9 / (self.iterations as f64 * OPERATIONS_PER_ITERATION));
    }

    /// Nanoseconds an operation, as each thread sees them.
    pub fn summary(self) -> Summary {
        Summary::of(self.samples)
    }
}
