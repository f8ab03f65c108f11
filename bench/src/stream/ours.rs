//! Tachograph's own format: every call into it is here.

use tachograph_core::snapshot::RegistrySnapshot;
use tachograph_core::wire::frame::{Decoder, Encoder, Filter, Keyframes, Record, RecordKind, Sieve, Tick};

use crate::dataset::EPOCH_MS;

/// Writes a stream of ticks.
#[derive(Default)]
pub struct Writer {
    encoder: Encoder,
    keyframes: Keyframes,
}

impl Writer {
    /// Appends one delta record.
    pub fn encode(&mut self, tick: u64, snapshot: &RegistrySnapshot, out: &mut Vec<u8>) {
        let times = (tick * 1_000_000, EPOCH_MS + tick * 1_000);
        let tick = Tick { tick, monotonic_us: times.0, wall_ms: times.1, ..Tick::of(snapshot) };
        let begin = out.len();
        self.encoder.encode(&tick, out);
        self.keyframes.add_frame(out.len() - begin);
    }

    /// Whether a server would write a keyframe now.
    pub fn is_keyframe_due(&self) -> bool {
        self.keyframes.are_due()
    }

    /// The newest tick by itself, a record.
    pub fn keyframe(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encoder.write_keyframe(&mut out);
        self.keyframes.add_keyframe(out.len());
        out
    }

    /// The whole schema, a record.
    pub fn schema(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encoder.write_schema(&mut out);
        out
    }
}

/// Follows a stream.
#[derive(Default)]
pub struct Follower {
    decoder: Decoder,
}

impl Follower {
    /// Takes whole records.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.decoder.decode(bytes).map(drop).map_err(|error| error.to_string())
    }

    /// When the newest frame is of, in Unix milliseconds.
    pub fn wall_ms(&self) -> u64 {
        self.decoder.state().head().wall_ms
    }

    /// What was decoded, as the registry was.
    pub fn registry(&self) -> RegistrySnapshot {
        self.decoder.state().registry()
    }
}

/// Follows a stream and writes it anew from the columns that it holds.
pub struct Rewriter {
    sieve: Sieve,
}

impl Default for Rewriter {
    fn default() -> Self {
        Self { sieve: Sieve::new(Filter::default()) }
    }
}

impl Rewriter {
    /// Takes whole records; appends what it writes of them.
    pub fn rewrite(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        for record in Record::all(bytes) {
            let record = record.map_err(|error| error.to_string())?;
            self.sieve.take(&record, out).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// The payloads of the deltas in a message.
pub fn deltas(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let records = Record::all(bytes).filter_map(Result::ok);
    records.filter(|record| record.kind == RecordKind::Delta).map(|record| record.payload)
}
