use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use earshot::Detector;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tachograph_core::session::{Chunk, ProviderInForce, Voice};
use tachograph_core::wire::SourceName;
use tokio::sync::Semaphore;

use super::{Provider, ProviderError, ProviderFactory, Quality};

/// Samples that the detector judges at once: 16 ms.
const FRAME: usize = 256;
const VOICE_ABOVE: f32 = 0.5;
/// Fewer voiced frames than 100 ms are a click, not speech.
const SPEECH_FRAMES: usize = 7;

/// Voice activity detection with earshot's neural network, on the audio itself: about 30 us of work for
/// each 16 ms of audio.
///
/// Chunks of all sources together use one core less than there are, so that a burst of them never keeps
/// the server from its tick. What a chunk waits for its core is part of the time that this provider takes.
///
/// ```
/// use tachograph::provider::{Providers, Vad};
///
/// assert_eq!(Providers::only(Vad::default()).primary.name(), "vad");
/// ```
#[derive(Debug)]
pub struct Vad {
    cores: Arc<Semaphore>,
}

impl Default for Vad {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cores: Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))) }
    }
}

impl ProviderFactory for Vad {
    fn name(&self) -> &'static str {
        "vad"
    }

    fn open(&self, _: SourceName) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        let provider = VadProvider {
            cores: Arc::clone(&self.cores),
            reduced: AtomicBool::default(),
            chunks_judged: AtomicU64::default(),
            ear: Arc::default(),
        };
        Box::pin(async { Ok(Arc::new(provider) as Arc<dyn Provider>) })
    }
}

/// The detector of one source: it remembers what it heard before.
struct VadProvider {
    cores: Arc<Semaphore>,
    reduced: AtomicBool,
    chunks_judged: AtomicU64,
    ear: Arc<Mutex<Ear>>,
}

struct Ear {
    detector: Box<Detector>,
    /// Samples short of a frame.
    rest: Vec<i16>,
}

impl Default for Ear {
    fn default() -> Self {
        Self { detector: Detector::default_boxed(), rest: Vec::with_capacity(FRAME) }
    }
}

impl Ear {
    /// Judges every whole frame of the chunk, with what was left of the one before.
    fn listen(&mut self, chunk: &Chunk) -> Voice {
        let (mut voiced, mut judged) = (0, 0);
        let samples = chunk.pieces().iter().flat_map(|piece| piece.chunks_exact(2));
        for sample in samples {
            self.rest.push(i16::from_le_bytes([sample[0], sample[1]]));
            if self.rest.len() == FRAME {
                voiced += usize::from(self.detector.predict_i16(&self.rest) > VOICE_ABOVE);
                judged += 1;
                self.rest.clear();
            }
        }
        Voice { ratio: voiced as f64 / judged.max(1) as f64, is_speech: voiced >= SPEECH_FRAMES }
    }
}

impl Provider for VadProvider {
    fn in_force(&self) -> ProviderInForce {
        let reduced = self.reduced.load(Ordering::Relaxed);
        let model_id = if reduced { "passthrough" } else { "earshot" };
        ProviderInForce { provider: "vad".into(), model_id: model_id.into(), vad_enabled: !reduced }
    }

    fn process(&self, chunk: Chunk) -> BoxFuture<'_, Result<Option<Voice>, ProviderError>> {
        Box::pin(async move {
            if self.reduced.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let core = Arc::clone(&self.cores).acquire_owned().await;
            let ear = Arc::clone(&self.ear);
            let listening = tokio::task::spawn_blocking(move || {
                let voice = ear.lock().listen(&chunk);
                drop(core);
                voice
            });
            let voice = listening.await.map_err(|error| ProviderError(error.to_string()))?;
            self.chunks_judged.fetch_add(1, Ordering::Relaxed);
            Ok(Some(voice))
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<Value, ProviderError>> {
        Box::pin(async { Ok(json!({"status": "ok", "chunks_judged": self.chunks_judged.load(Ordering::Relaxed)})) })
    }

    fn set_quality(&self, quality: Quality) {
        self.reduced.store(quality == Quality::Reduced, Ordering::Relaxed);
    }
}
