//! What the system says of the process.

use std::time::Instant;

use metrics_process::collector::{self, Metrics};
use tachograph_core::instrument::{Counter, Gauge};
use tachograph_core::registry::{Descriptor, RegisterError, Registry};

/// What the system says of the process, under Prometheus' own names.
///
/// | family | kind | what |
/// | --- | --- | --- |
/// | `process_cpu_seconds_total` | counter | CPU time, of user and system, in whole seconds |
/// | `process_cpu_cores` | gauge | CPU seconds a second, since the update before |
/// | `process_resident_memory_bytes` | gauge | memory held |
/// | `process_virtual_memory_bytes` | gauge | addresses held |
/// | `process_virtual_memory_max_bytes` | gauge | their limit; 0 is none |
/// | `process_open_fds` | gauge | descriptors open |
/// | `process_max_fds` | gauge | their limit; 0 is none |
/// | `process_threads` | gauge | threads |
/// | `process_start_time_seconds` | gauge | when it began, in Unix seconds |
///
/// - A counter here is whole, so that `process_cpu_seconds_total` is the CPU time rounded down: below it by less than
///   a second, however long the process runs. A gauge could hold the fraction under that name, but would not be a
///   counter to those who scrape it. `process_cpu_cores` has it instead: what is looked at live.
/// - A figure that the platform does not have at [`register`](Self::register) has no family.
/// - `process_figures_unread` counts figures that there were and that could not be read; where there are none at all,
///   the updates.
///
/// ```
/// use tachograph::bridge::ProcessMetrics;
/// use tachograph::registry::Registry;
///
/// let registry = Registry::new();
/// let mut process = ProcessMetrics::register(&registry)?;
/// process.update();
/// assert!(registry.snapshot().gauge("process_resident_memory_bytes", &[]).is_none_or(|bytes| bytes > 0.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ProcessMetrics {
    cpu: Option<Cpu>,
    gauges: Vec<(Figure, Gauge)>,
    unread: Counter,
}

/// How a figure is read from all of them.
type Figure = fn(&Metrics) -> Option<u64>;

/// Names, helps, units.
const GAUGES: [(&str, &str, &str, Figure); 7] = [
    ("process_resident_memory_bytes", "Memory that the process holds", "bytes", |all| all.resident_memory_bytes),
    ("process_virtual_memory_bytes", "Addresses that the process holds", "bytes", |all| all.virtual_memory_bytes),
    ("process_virtual_memory_max_bytes", "Addresses that the process may hold; 0 is no limit", "bytes", |all| {
        all.virtual_memory_max_bytes
    }),
    ("process_open_fds", "Descriptors that the process has open", "", |all| all.open_fds),
    ("process_max_fds", "Descriptors that the process may have open; 0 is no limit", "", |all| all.max_fds),
    ("process_threads", "Threads of the process", "", |all| all.threads),
    ("process_start_time_seconds", "When the process began, in Unix seconds", "s", |all| all.start_time_seconds),
];

impl ProcessMetrics {
    /// Registers what the platform has, with its figures of now.
    ///
    /// # Errors
    /// One of the names is taken by another description.
    pub fn register(registry: &Registry) -> Result<Self, RegisterError> {
        Self::of(registry, &collector::collect())
    }

    fn of(registry: &Registry, now: &Metrics) -> Result<Self, RegisterError> {
        let has_figure = |held: &&(&str, &str, &str, Figure)| held.3(now).is_some();
        let gauge = |&(name, help, unit, figure): &(&str, &str, &str, Figure)| {
            Ok((figure, bound_gauge(registry, &Descriptor::new(name, help).unit(unit))?))
        };
        let unread = Descriptor::new("process_figures_unread", "Figures of the process that could not be read");
        let mut own = Self {
            cpu: now.cpu_seconds_total.map(|seconds| Cpu::register(registry, seconds)).transpose()?,
            gauges: GAUGES.iter().filter(has_figure).map(gauge).collect::<Result<_, RegisterError>>()?,
            unread: registry.counter(&unread)?.unlabelled()?,
        };
        own.take(now);
        Ok(own)
    }

    /// Takes on the figures of now; to be called once a tick. On Linux it reads two small files and counts the
    /// descriptors, which takes some 60 µs.
    pub fn update(&mut self) {
        self.take(&collector::collect());
    }

    fn take(&mut self, now: &Metrics) {
        for (figure, gauge) in &self.gauges {
            match figure(now) {
                Some(value) => gauge.set(value as f64),
                None => self.unread.inc(),
            }
        }
        if let Some(cpu) = &mut self.cpu {
            match now.cpu_seconds_total {
                Some(seconds) => cpu.take(seconds),
                None => self.unread.inc(),
            }
        }
        if self.gauges.is_empty() && self.cpu.is_none() {
            self.unread.inc();
        }
    }
}

#[derive(Debug)]
struct Cpu {
    seconds: Counter,
    cores: Gauge,
    /// At the update before.
    at: Instant,
    used_seconds: f64,
    /// Whole seconds counted until now.
    counted: u64,
}

impl Cpu {
    fn register(registry: &Registry, used_seconds: f64) -> Result<Self, RegisterError> {
        let seconds = Descriptor::new("process_cpu_seconds_total", "CPU time of user and system, whole seconds");
        let cores = Descriptor::new("process_cpu_cores", "CPU seconds a second since the update before");
        Ok(Self {
            seconds: registry.counter(&seconds.unit("s"))?.unlabelled()?,
            cores: bound_gauge(registry, &cores)?,
            at: Instant::now(),
            used_seconds,
            counted: 0,
        })
    }

    fn take(&mut self, used_seconds: f64) {
        let whole = used_seconds as u64;
        self.seconds.add(whole.saturating_sub(self.counted));
        self.counted = self.counted.max(whole);
        let passed_seconds = self.at.elapsed().as_secs_f64();
        // The system counts in hundredths of a second.
        if passed_seconds >= 0.1 {
            self.cores.set((used_seconds - self.used_seconds).max(0.0) / passed_seconds);
            (self.at, self.used_seconds) = (Instant::now(), used_seconds);
        }
    }
}

fn bound_gauge(registry: &Registry, descriptor: &Descriptor) -> Result<Gauge, RegisterError> {
    registry.gauge(descriptor)?.unlabelled()
}

#[cfg(test)]
mod tests;
