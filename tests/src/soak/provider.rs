//! The provider's troubles.

use std::sync::Arc;
use std::time::Instant;

use super::Scene;
use crate::Failure;
use crate::chance::Chance;

/// Late is slower than real time; the others are the simulated provider's own.
const TROUBLES: [(&str, &str); 4] = [
    ("late", "a provider that is late"),
    ("error", "a provider that fails"),
    ("hang", "a provider that hangs"),
    ("panic", "a provider that panics"),
];

/// Sound at a speed of its choosing for a while, then in trouble for a while; sound in the end.
pub(super) async fn trouble(scene: Arc<Scene>, mut chance: Chance, end: Instant) {
    while Instant::now() < end {
        set(&scene, "none", chance.between(0.05, 0.8)).await;
        scene.pause(&mut chance, 25.0, end).await;
        let Some((fault, what)) = chance.one_of(&TROUBLES).filter(|_| Instant::now() < end) else { break };
        scene.ledger.count(what);
        match fault {
            "late" => set(&scene, "none", chance.between(1.1, 3.0)).await,
            fault => set(&scene, fault, 0.5).await,
        }
        scene.pause(&mut chance, 8.0, end).await;
    }
    set(&scene, "none", 0.1).await;
}

async fn set(scene: &Scene, fault: &'static str, rtf: f64) {
    let url = format!("http://{}/api/v1/simulated", scene.address);
    let put = move || -> Result<(), Failure> {
        let body = serde_json::json!({"fault": fault, "rtf": rtf}).to_string();
        ureq::put(url).header("content-type", "application/json").send(body)?;
        Ok(())
    };
    let failure = match tokio::task::spawn_blocking(put).await {
        Ok(Ok(())) => return,
        Ok(Err(failure)) => failure.to_string(),
        Err(failure) => failure.to_string(),
    };
    scene.ledger.fail(format!("the provider cannot be told {fault}: {failure}"));
}
