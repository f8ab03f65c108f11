//! What the server's bridges cost: its middleware around a handler, and its recorder beside the exporter's.

use std::hint::black_box;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use metrics::{Recorder, counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use tachograph::bridge::RequestMetrics;
use tachograph_core::registry::Registry;
use tokio::runtime::Builder;
use tower::ServiceExt;

use crate::harness::{Effort, Pool, Summary, Trial};
use crate::subjects::Worker;
use crate::values::BOUNDS_S;

/// Operations an iteration of the harness.
const OPERATIONS: usize = crate::harness::OPERATIONS_PER_ITERATION as usize;

/// All that was measured of the bridges, in nanoseconds.
pub struct Bridge {
    /// A request to a router.
    pub plain: Summary,
    /// The same with the middleware.
    pub counted: Summary,
    pub facade: Vec<Call>,
}

impl Bridge {
    /// What the middleware adds to a request.
    pub fn middleware_ns(&self) -> f64 {
        self.counted.median - self.plain.median
    }
}

/// A call of the facade.
pub struct Call {
    pub name: &'static str,
    pub own: Summary,
    pub peer: Summary,
}

/// Measures all of it.
pub fn all(pool: &Pool, effort: Effort) -> Bridge {
    eprintln!("time: middleware");
    let metrics = RequestMetrics::new(&registry()).expect("free names");
    let [plain, counted] = together(pool, effort, [requests(router()), requests(router().layer(metrics))], || ());
    Bridge { plain, counted, facade: facade(pool, effort) }
}

fn facade(pool: &Pool, effort: Effort) -> Vec<Call> {
    eprintln!("time: facade");
    let own = tachograph::bridge::Recorder::new(&registry()).expect("free names");
    let peer = Arc::new(PrometheusBuilder::new().set_buckets(&BOUNDS_S).expect("not empty").build_recorder());
    let calls: [(&str, fn()); 5] = [
        ("`counter!`", || counter!("frames").increment(1)),
        ("`counter!` with two labels that are literals", || {
            counter!("requests", "route" => "/", "outcome" => "ok").increment(1);
        }),
        ("`counter!` with two labels, one an owned string", || {
            counter!("logins", "route" => black_box("/login").to_owned(), "outcome" => "ok").increment(1);
        }),
        ("`gauge!`", || gauge!("depth").set(black_box(3.0))),
        ("`histogram!`", || histogram!("seconds").record(black_box(0.008))),
    ];
    let measured = calls.map(|(name, call)| {
        let workers = [under(own.clone(), call), under(Arc::clone(&peer), call)];
        let [own, peer] = together(pool, effort, workers, || peer.handle().run_upkeep());
        Call { name, own, peer }
    });
    measured.into()
}

/// A slice of each in turn each round.
fn together(pool: &Pool, effort: Effort, workers: [Worker; 2], settle: impl Fn()) -> [Summary; 2] {
    let mut trials = workers.map(|worker| Trial::new(pool, vec![worker], effort));
    for _ in 0..effort.rounds {
        for trial in &mut trials {
            trial.round(pool);
            settle();
        }
    }
    trials.map(Trial::summary)
}

fn router() -> Router {
    Router::new().route("/users/{id}", get(async || "Ada"))
}

fn requests(router: Router) -> Worker {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    Box::new(move |iterations| {
        runtime.block_on(async {
            for _ in 0..iterations as usize * OPERATIONS {
                let request = Request::get("/users/7").body(Body::empty()).expect("a request");
                black_box(router.clone().oneshot(request).await.expect("an answer"));
            }
        });
    })
}

fn under(recorder: impl Recorder + Send + 'static, call: fn()) -> Worker {
    Box::new(move |iterations| {
        with_local_recorder(&recorder, || (0..iterations as usize * OPERATIONS).for_each(|_| call()));
    })
}

/// For as long as the process lives, as in a program that registers its metrics once.
fn registry() -> Registry {
    Box::leak(Box::new(Registry::new())).clone()
}
