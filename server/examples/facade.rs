//! An application that counts through the macros of the crate `metrics`, as other crates do, and whose figures are
//! on a dashboard: `cargo run -p tachograph --features metrics --example facade`.
//!
//! `curl http://127.0.0.1:3000/jobs/pack` does a job and says how many seconds it took.

mod shared;

use std::error::Error;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use metrics::Unit;
use shared::Arguments;
use tachograph::Tachograph;
use tachograph::bridge::Recorder;
use tokio::net::TcpListener;

/// Kinds of jobs, with what each takes.
const KINDS: [(&str, Duration); 2] = [("pack", Duration::from_millis(12)), ("ship", Duration::from_millis(40))];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read()?;
    let tacho = Tachograph::new()?;
    install_recorder(&tacho)?;
    let app = Router::new().route("/jobs/{kind}", get(job)).nest("/tacho", tachograph::router(&tacho));
    let listener = TcpListener::bind(&arguments.listen).await?;
    println!("http://{}/tacho", listener.local_addr()?);
    let over = async move {
        arguments.over().await;
        // Without it the server would wait for the pages that look at it.
        tacho.shutdown().cancel();
    };
    axum::serve(listener, app).with_graceful_shutdown(over).await?;
    Ok(())
}

/// What is counted before this is lost, and what is described after its first use is not taken on: so both come
/// first.
fn install_recorder(tacho: &Tachograph) -> Result<(), Box<dyn Error>> {
    let recorder = Recorder::builder().bounds("job.seconds", &[0.01, 0.02, 0.05, 0.1]).build(tacho.registry())?;
    recorder.install()?;
    metrics::describe_counter!("jobs.done", "Jobs that were done");
    metrics::describe_gauge!("job.newest.seconds", Unit::Seconds, "Time that the newest job took");
    metrics::describe_histogram!("job.seconds", Unit::Seconds, "Time that a job took");
    Ok(())
}

async fn job(Path(asked): Path<String>) -> Result<String, StatusCode> {
    // Each value of a label is a series of its own: whatever a client asks for must not become one.
    let (kind, span) = KINDS.into_iter().find(|(kind, _)| *kind == asked).ok_or(StatusCode::NOT_FOUND)?;
    let began = Instant::now();
    tokio::time::sleep(span).await;
    let seconds = began.elapsed().as_secs_f64();
    metrics::counter!("jobs.done", "kind" => kind).increment(1);
    metrics::gauge!("job.newest.seconds", "kind" => kind).set(seconds);
    metrics::histogram!("job.seconds", "kind" => kind).record(seconds);
    Ok(format!("{seconds}\n"))
}
