//! What of the bridges allocates, and what does not: counted by the allocator itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unsafe_code, reason = "an allocator is unsafe to write; this one only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use axum::http::{Request, Response, StatusCode};
use futures_util::FutureExt;
use tachograph::bridge::RequestMetrics;
use tachograph_core::registry::Registry;
use tower::{Layer, Service};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _torn_down = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's word.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, held: *mut u8, layout: Layout) {
        // SAFETY: the caller's word.
        unsafe { System.dealloc(held, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of this thread while it does `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// But for times in octaves that there were none in yet, of which there are a few.
#[test]
fn a_request_allocates_the_first_time_and_hardly_ever_after() {
    const OCTAVES_MAX: u64 = 32;
    let registry = Registry::new();
    let answer = |request: Request<StatusCode>| {
        let mut response = Response::new(());
        *response.status_mut() = *request.body();
        std::future::ready(Ok::<_, std::convert::Infallible>(response))
    };
    let metrics = RequestMetrics::new(&registry).unwrap().with_route(|_| Some("/users/{id}"));
    let mut service = metrics.layer(tower::service_fn(answer));
    let mut ask = || {
        for status in [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::BAD_GATEWAY] {
            service.call(Request::new(status)).now_or_never().unwrap().unwrap();
        }
        drop(service.call(Request::new(StatusCode::OK)));
    };
    assert!(allocations(&mut ask) > 0);
    assert!(allocations(|| (0..1_000).for_each(|_| ask())) <= OCTAVES_MAX);
}

#[cfg(feature = "metrics")]
#[test]
fn a_call_of_the_facade_allocates_the_first_time_and_never_after() {
    use metrics::{counter, gauge, histogram};

    let recorder = tachograph::bridge::Recorder::new(&Registry::new()).unwrap();
    let count = || {
        counter!("frames").increment(1);
        counter!("requests", "route" => "/", "status" => "2xx").increment(1);
        counter!("bytes").absolute(7);
        gauge!("depth", "queue" => "in").set(1.0);
        histogram!("time").record(0.1);
        // Refused, which is counted.
        gauge!("frames").set(1.0);
    };
    metrics::with_local_recorder(&recorder, || {
        assert!(allocations(count) > 0);
        assert_eq!(allocations(|| (0..100).for_each(|_| count())), 0);
    });
}

#[cfg(feature = "tracing")]
#[test]
fn entering_a_span_allocates_nothing() {
    use tracing_subscriber::layer::SubscriberExt;

    let times = tachograph::bridge::SpanTimes::new(&Registry::new()).unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(times), || {
        let span = tracing::info_span!("work");
        let enter = || (0..100).for_each(|_| span.in_scope(|| ()));
        enter();
        assert_eq!(allocations(enter), 0);
    });
}
