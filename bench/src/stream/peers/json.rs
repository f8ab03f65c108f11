use tachograph_core::snapshot::RegistrySnapshot;

use super::Peer;

/// The plain form of Tachograph's own stream.
pub struct Json;

impl Peer for Json {
    fn name(&self) -> &'static str {
        "JSON"
    }

    fn encode(&self, snapshot: &RegistrySnapshot, out: &mut Vec<u8>) {
        serde_json::to_writer(out, snapshot).expect("numbers and texts");
    }

    fn decode(&self, bytes: &[u8]) -> Option<usize> {
        let snapshot: RegistrySnapshot = serde_json::from_slice(bytes).expect("what was just written");
        Some(snapshot.all_series().count())
    }
}
