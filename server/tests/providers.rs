//! The providers on real audio.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use bytes::Bytes;
use tachograph::provider::{Fault, ProviderFactory, Quality, Simulated, SimulatedControl, Vad};
use tachograph_core::registry::{DefaultMetrics, Registry};
use tachograph_core::session::{Audio, AudioConfig, Chunk, Session};
use tachograph_core::time::Moment;
use tachograph_core::wire::MIC;
use tokio::time::{Instant, timeout};

/// The audio as a session hands it to a provider.
fn chunk(pcm: Vec<u8>) -> Chunk {
    let config = AudioConfig { queue_bytes_max: pcm.len(), queue_frames_max: 10_000, ..AudioConfig::default() };
    let metrics = DefaultMetrics::register(&Registry::new()).unwrap();
    let mut session = Session::new(1, metrics, Default::default(), Moment::default());
    let mut audio = Audio::new(config);
    audio.receive(&mut session, MIC, Bytes::from(pcm), Moment::default()).unwrap();
    audio.next_chunk(&mut session, MIC, true, Moment::default()).unwrap()
}

/// The demo's speech: every other sample pair of 22,050 Hz is near enough to 16 kHz for a detector of voices.
fn speech() -> Vec<u8> {
    let file = include_bytes!("../assets/speech.wav");
    let samples: Vec<&[u8]> = file[44..].chunks_exact(2).collect();
    let at = |sample: usize| samples.get(sample * 22_050 / 16_000).copied();
    (0..48_000).map_while(at).flatten().copied().collect()
}

#[tokio::test]
async fn vad_hears_speech_and_nothing_in_silence() {
    let provider = Vad::default().open(MIC).await.unwrap();
    let voice = provider.process(chunk(speech())).await.unwrap().unwrap();
    assert!(voice.is_speech && voice.ratio > 0.3, "{voice:?}");
    let provider = Vad::default().open(MIC).await.unwrap();
    let silence = provider.process(chunk(vec![0; 64_000])).await.unwrap().unwrap();
    assert!(!silence.is_speech && silence.ratio < 0.05, "{silence:?}");
}

#[tokio::test]
async fn reduced_quality_changes_the_model_and_turns_voice_detection_off_until_it_is_full_again() {
    let provider = Vad::default().open(MIC).await.unwrap();
    let full = provider.in_force();
    provider.set_quality(Quality::Reduced);
    let reduced = provider.in_force();
    assert!(full.vad_enabled && !reduced.vad_enabled && full.model_id != reduced.model_id);
    assert_eq!(provider.process(chunk(speech())).await.unwrap(), None);
    provider.set_quality(Quality::Full);
    assert_eq!(provider.in_force(), full);
}

/// Time is tokio's own and jumps to whatever is waited for.
#[tokio::test(start_paused = true)]
async fn simulated_takes_its_factor_of_the_audio_time_and_can_be_told_to_fail() {
    let simulated = Simulated::new(SimulatedControl { rtf: 0.5, fault: Fault::None });
    let provider = simulated.open(MIC).await.unwrap();
    let began = Instant::now();
    provider.process(chunk(vec![0; 32_000])).await.unwrap();
    assert!((began.elapsed().as_secs_f64() - 0.5).abs() < 0.005, "{:?}", began.elapsed());
    simulated.set_control(SimulatedControl { rtf: 0.5, fault: Fault::Error });
    assert!(provider.process(chunk(vec![0; 32_000])).await.is_err());
    simulated.set_control(SimulatedControl { rtf: 0.5, fault: Fault::Hang });
    let hang = timeout(Duration::from_millis(200), provider.process(chunk(vec![0; 32_000])));
    assert!(hang.await.is_err());
}
