//! The example in docs/protocol.md is what is written and what is read.

use tachograph_core::registry::{Descriptor, Registry};
use tachograph_core::snapshot::RegistrySnapshot;
use tachograph_core::wire::frame::{
    Applied, Decoder, Encoder, Epoch, Hello, Outcome, Record, RecordKind, ServerFigures, Tick,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const PROTOCOL: &str = include_str!("../../../docs/protocol.md");

/// The block after the heading, without what stands behind a semicolon.
fn specified() -> Vec<u8> {
    let (_, after) = PROTOCOL.split_once("### An example\n").unwrap();
    let block = after.split("```").nth(1).unwrap();
    let digits = block.lines().skip(1).flat_map(|line| line.split(';').next().unwrap_or_default().split_whitespace());
    digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn tick<'a>(number: u64, registry: &'a RegistrySnapshot) -> Tick<'a> {
    Tick {
        tick: number,
        monotonic_us: number * 1_000_000,
        wall_ms: number * 1_000,
        server: ServerFigures { viewers: 1, tick_lag_ms: 0.5, ticks_missed: 0 },
        ..Tick::of(registry)
    }
}

#[test]
fn the_example_is_what_is_written() {
    let registry = Registry::new();
    let frames = registry.counter(&Descriptor::new("frames", "").label("source")).unwrap();
    let frames = frames.bind(&[("source", "mic")]).unwrap();
    let lag = registry.gauge(&Descriptor::new("lag", "").unit("s")).unwrap().bind(&[]).unwrap();
    let collected = || RegistrySnapshot { bytes_held: 0, ..registry.snapshot() };
    let mut encoder = Encoder::new();
    frames.add(3);
    lag.set(0.25);
    encoder.encode(&tick(1, &collected()), &mut Vec::new());
    let epoch = Epoch::from_bytes(*b"0123456789abcdef");
    let mut stream = Vec::new();
    Hello { epoch, server_version: "0.1.0".into(), outcome: Outcome::Fresh, first_seq: 1 }.write(&mut stream);
    encoder.write_schema(&mut stream);
    encoder.write_keyframe(&mut stream);
    frames.add(200);
    lag.set(0.5);
    encoder.encode(&tick(2, &collected()), &mut stream);
    let lines: Vec<String> = stream.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(stream, specified(), "written: {}", lines.join(" "));
}

#[test]
fn the_example_says_what_stands_beside_it() {
    let stream = specified();
    let mut decoder = Decoder::default();
    let mut kinds = Vec::new();
    for record in Record::all(&stream) {
        let record = record.unwrap();
        kinds.push(record.kind);
        if decoder.apply(&record).unwrap() == Applied::Frame {
            let expected = [(Some(3), Some(0.25)), (Some(203), Some(0.5))][decoder.state().head().seq as usize - 1];
            let registry = decoder.state().registry();
            assert_eq!((registry.counter("frames", &[("source", "mic")]), registry.gauge("lag", &[])), expected);
        }
    }
    assert_eq!(kinds, [RecordKind::Hello, RecordKind::Schema, RecordKind::Keyframe, RecordKind::Delta]);
}
