//! A stream that ends anywhere, and one with any byte changed.

use tachograph_core::wire::frame::{Applied, Decoder, Record, RecordKind};

use crate::frame_bytes::{assert_mended, read, run};
use crate::frame_golden::FRAMES;

/// To what a byte is changed: the neighbours, the ends, and what only one bit tells apart.
fn others(byte: u8) -> impl Iterator<Item = u8> {
    let values = [0, 1, 0x7F, 0x80, 0xFF, byte.wrapping_add(1), byte.wrapping_sub(1), byte ^ 0x40];
    values.into_iter().filter(move |value| *value != byte)
}

#[test]
fn a_stream_that_ends_anywhere_is_read_to_there() {
    for end in 0..FRAMES.len() {
        read(&FRAMES[..end]);
    }
}

#[test]
fn a_stream_with_any_byte_changed_is_read_or_told() {
    let mut stream = FRAMES.to_vec();
    for place in 0..FRAMES.len() {
        let byte = FRAMES[place];
        for value in [byte ^ 0x01, byte ^ 0x80] {
            stream[place] = value;
            read(&stream);
        }
        stream[place] = byte;
    }
}

/// A decoder that took all records before this one.
fn primed(records: usize) -> Decoder {
    let mut decoder = Decoder::with_limit(1 << 20);
    for record in Record::all(FRAMES).take(records) {
        decoder.apply(&record.unwrap()).unwrap();
    }
    decoder
}

#[test]
fn a_record_that_ends_anywhere_or_has_any_byte_changed_is_read_or_told() {
    for (number, record) in Record::all(FRAMES).enumerate() {
        let record = record.unwrap();
        let cut = (0..record.payload.len()).map(|end| record.payload[..end].to_vec());
        let changed = (0..record.payload.len()).flat_map(|place| {
            others(record.payload[place]).map(move |value| {
                let mut payload = record.payload.to_vec();
                payload[place] = value;
                payload
            })
        });
        for payload in cut.chain(changed) {
            let mut decoder = primed(number);
            match decoder.apply(&Record { kind: record.kind, payload: &payload }) {
                Ok(applied) => assert_eq!(applied == Applied::Frame, is_frame(record.kind)),
                Err(error) => assert!(!error.field.is_empty() && !error.reason.to_string().is_empty()),
            }
            assert_mended(&mut decoder);
        }
    }
}

fn is_frame(kind: RecordKind) -> bool {
    matches!(kind, RecordKind::Keyframe | RecordKind::Delta)
}

#[test]
fn a_change_that_the_fuzzer_would_make_is_read_or_told() {
    for place in (0..FRAMES.len() as u16).step_by(5) {
        for kind in 0..5 {
            let [low, high] = place.to_le_bytes();
            run(&[1, kind, low, high, 9]);
        }
    }
}
