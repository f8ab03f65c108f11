use std::thread::sleep;
use std::time::Duration;

use tokio::runtime::Builder;

use super::*;

type Failure = Box<dyn std::error::Error>;

#[test]
fn the_figures_are_tokios() -> Result<(), Failure> {
    let registry = Registry::new();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut metrics = RuntimeMetrics::register(&registry, runtime.handle().clone())?;
    let tasks: Vec<_> = (0..5).map(|_| runtime.spawn(std::future::pending::<()>())).collect();
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(20)).await });
    metrics.update();
    let snapshot = registry.snapshot();
    let gauge = |name| snapshot.gauge(name, &[]).unwrap();
    assert_eq!((gauge("tokio_workers"), gauge("tokio_alive_tasks")), (2.0, 5.0));
    assert_eq!(gauge("tokio_global_queue_depth"), 0.0);
    assert!(snapshot.counter("tokio_parks", &[]).unwrap() > 0);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(())
}

#[test]
fn a_worker_that_does_not_yield_is_busy() -> Result<(), Failure> {
    let registry = Registry::new();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut metrics = RuntimeMetrics::register(&registry, runtime.handle().clone())?;
    let ratio = |metrics: &mut RuntimeMetrics| {
        metrics.update();
        registry.snapshot().gauge("tokio_busy_ratio", &[]).unwrap_or(f64::NAN)
    };
    sleep(Duration::from_millis(100));
    let idle = ratio(&mut metrics);
    assert!(idle < 0.5, "{idle}");
    runtime.block_on(runtime.spawn(async { sleep(Duration::from_millis(300)) }))?;
    // A worker tells of its time when it goes to sleep.
    let has_told = || runtime.metrics().worker_total_busy_duration(0) >= Duration::from_millis(300);
    (0..1_000).take_while(|_| !has_told()).for_each(|_| sleep(Duration::from_millis(1)));
    let busy = ratio(&mut metrics);
    assert!(busy > 0.5 && busy <= 1.0, "{busy}");
    Ok(())
}

#[test]
fn runtimes_add_up_and_go_with_what_reads_them() -> Result<(), Failure> {
    let registry = Registry::new();
    let runtimes = [1, 3].map(|workers| Builder::new_multi_thread().worker_threads(workers).build());
    let [one, three] = runtimes;
    let (one, three) = (one?, three?);
    let first = RuntimeMetrics::register(&registry, one.handle().clone())?;
    let _second = RuntimeMetrics::register(&registry, three.handle().clone())?;
    assert_eq!(registry.snapshot().gauge("tokio_workers", &[]), Some(4.0));
    drop(first);
    assert_eq!(registry.snapshot().gauge("tokio_workers", &[]), Some(3.0));
    Ok(())
}

#[test]
fn seconds_are_whole_and_only_grow() -> Result<(), Failure> {
    let registry = Registry::new();
    let runtime = Builder::new_current_thread().build()?;
    let mut metrics = RuntimeMetrics::register(&registry, runtime.handle().clone())?;
    let mut take = |millis| {
        let now =
            Totals { at: metrics.before.at + Duration::from_secs(1), busy: Duration::from_millis(millis), parks: 0 };
        metrics.take(now);
        let snapshot = registry.snapshot();
        (snapshot.counter("tokio_busy_seconds", &[]), snapshot.gauge("tokio_busy_ratio", &[]))
    };
    metrics_are(take(900), 0, 0.9);
    metrics_are(take(1_100), 1, 0.2);
    metrics_are(take(1_100), 1, 0.0);
    metrics_are(take(3_000), 3, 1.0);
    Ok(())
}

fn metrics_are((seconds, ratio): (Option<u64>, Option<f64>), whole: u64, share: f64) {
    assert_eq!(seconds, Some(whole));
    assert!(ratio.is_some_and(|ratio| (ratio - share).abs() < 1e-2), "{ratio:?}");
}
