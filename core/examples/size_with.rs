//! A program that uses the whole core but its messages: instruments, labels, registry, snapshots and
//! a session. `scripts/core-size.sh` tells what that adds to a wasm build.

use std::hint::black_box;
use std::time::Duration;

use tachograph_core::registry::{Aggregation, DefaultMetrics, Descriptor, Registry, SelfMetrics};
use tachograph_core::session::{Audio, AudioConfig, ChunkResult, Session};
use tachograph_core::time::Moment;
use tachograph_core::wire::MIC;

fn main() {
    println!("{:?}", run());
}

fn run() -> Option<f64> {
    let registry = Registry::new();
    let metrics = DefaultMetrics::register(&registry).ok()?;
    let own = SelfMetrics::register(&registry).ok()?;
    record(&registry)?;
    let figures = session(metrics);
    let mut snapshot = registry.snapshot();
    own.update(&snapshot);
    let since = registry.snapshot().since(&snapshot).ok()?;
    snapshot.merge(&since).ok()?;
    Some(snapshot.histogram("time", &[])?.quantile(black_box(0.99)) + figures as f64)
}

fn record(registry: &Registry) -> Option<()> {
    let route = black_box("/");
    let requests = registry.counter(&Descriptor::new("requests", "Requests").label("route")).ok()?;
    requests.with(&[("route", route)]).ok()?.inc();
    let lag = Descriptor::new("lag", "Lag").aggregation(Aggregation::Max);
    registry.gauge(&lag).ok()?.bind(&[]).ok()?.part().set(black_box(1.5));
    let time = Descriptor::new("time", "Time").unit("ms").bounds(&[10.0, 100.0]);
    registry.histogram(&time).ok()?.bind(&[]).ok()?.record(black_box(12.5));
    Some(())
}

fn session(metrics: DefaultMetrics) -> usize {
    let now = Moment::from_millis;
    let mut session = Session::new(2, metrics, Default::default(), now(0));
    let mut audio = Audio::new(AudioConfig::default());
    let _refused = audio.receive(&mut session, MIC, black_box(vec![0; 3_200]).into(), now(100));
    if let Some(chunk) = audio.next_chunk(&mut session, MIC, true, now(200)) {
        let result = ChunkResult { inference: Duration::from_millis(20), voice: None };
        audio.end_chunk(&mut session, MIC, &chunk, Some(result), now(220));
    }
    session.tick(1, now(1_000), 0.0).len() + session.take_statuses().len()
}
