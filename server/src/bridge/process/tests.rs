use std::time::Duration;

use super::*;

type Failure = Box<dyn std::error::Error>;

#[cfg(target_os = "linux")]
fn status(key: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The same tables of the system, read in another way.
#[cfg(target_os = "linux")]
#[test]
fn the_figures_are_the_systems() -> Result<(), Failure> {
    let registry = Registry::new();
    let mut process = ProcessMetrics::register(&registry)?;
    let _open: Vec<_> = (0..16).map(|_| std::fs::File::open("/proc/self/status")).collect::<Result<_, _>>()?;
    process.update();
    let snapshot = registry.snapshot();
    let gauge = |name| snapshot.gauge(name, &[]).unwrap();
    let is_near = |value: f64, truth: f64| (value - truth).abs() <= 0.3 * truth;
    assert!(is_near(gauge("process_resident_memory_bytes"), 1024.0 * status("VmRSS:")));
    assert!(is_near(gauge("process_virtual_memory_bytes"), 1024.0 * status("VmSize:")));
    assert!(gauge("process_threads") >= 1.0);
    // Other tests open descriptors too.
    let open = std::fs::read_dir("/proc/self/fd")?.count() as f64;
    assert!(gauge("process_open_fds") >= 16.0 && is_near(gauge("process_open_fds"), open));
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files")).ok_or("no limit")?;
    let limit: f64 = limit.split_whitespace().next().ok_or("no limit")?.parse()?;
    assert_eq!(gauge("process_max_fds"), limit);
    let age_seconds = crate::clock::unix_seconds() - gauge("process_start_time_seconds");
    assert!((-2.0..3_600.0).contains(&age_seconds), "{age_seconds}");
    assert_eq!(snapshot.counter("process_figures_unread", &[]), Some(0));
    Ok(())
}

#[test]
fn cpu_time_is_counted_in_whole_seconds_and_shown_as_cores() -> Result<(), Failure> {
    let registry = Registry::new();
    let mut cpu = Cpu::register(&registry, 7.9)?;
    let mut take = |seconds, passed: u64| {
        cpu.at -= Duration::from_secs(passed);
        cpu.take(seconds);
        let snapshot = registry.snapshot();
        let cores = snapshot.gauge("process_cpu_cores", &[]).unwrap_or(f64::NAN);
        (snapshot.counter("process_cpu_seconds_total", &[]), (cores * 100.0).round() / 100.0)
    };
    assert_eq!(take(7.9, 0), (Some(7), 0.0));
    assert_eq!(take(8.4, 1), (Some(8), 0.5));
    assert_eq!(take(9.99, 1), (Some(9), 1.59));
    assert_eq!(take(10.0, 2), (Some(10), 0.0));
    // A clock that went back takes nothing away.
    assert_eq!(take(9.0, 1), (Some(10), 0.0));
    assert_eq!(take(12.0, 1), (Some(12), 3.0));
    Ok(())
}

#[test]
fn figures_that_cannot_be_read_are_counted_and_what_never_was_is_not_there() -> Result<(), Failure> {
    let registry = Registry::new();
    let has = Metrics { cpu_seconds_total: Some(1.5), open_fds: Some(9), ..Metrics::default() };
    let mut process = ProcessMetrics::of(&registry, &has)?;
    process.take(&Metrics { open_fds: Some(12), ..Metrics::default() });
    process.take(&Metrics::default());
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("process_figures_unread", &[]), Some(3));
    assert_eq!((snapshot.gauge("process_open_fds", &[]), snapshot.gauge("process_threads", &[])), (Some(12.0), None));
    assert_eq!(snapshot.counter("process_cpu_seconds_total", &[]), Some(1));
    Ok(())
}

#[test]
fn a_process_where_nothing_can_be_read_says_so() -> Result<(), Failure> {
    let registry = Registry::new();
    let mut process = ProcessMetrics::of(&registry, &Metrics::default())?;
    process.take(&Metrics::default());
    assert_eq!(registry.snapshot().counter("process_figures_unread", &[]), Some(2));
    Ok(())
}
