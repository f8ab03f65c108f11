//! What holds of any server's stream, over random servers, and over those and the bytes that the fuzzer
//! keeps.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use crate::{frame_bytes, frame_ticks};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(160) })]

    #[test]
    fn whoever_reads_holds_what_the_server_said(choices in prop::collection::vec(any::<u8>(), 0..6_000)) {
        frame_ticks::run(&choices);
    }

    #[test]
    fn a_reader_of_a_changed_stream_does_not_fail(mut changes in prop::collection::vec(any::<u8>(), 1..60)) {
        changes[0] = 1;
        frame_bytes::run(&changes);
    }
}

#[test]
fn what_the_fuzzer_keeps_is_still_fine() {
    for (target, run) in [("frames", frame_bytes::run as fn(&[u8])), ("round_trip", frame_ticks::run)] {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let mut inputs = 0;
        for input in fs::read_dir(corpus).unwrap() {
            run(&fs::read(input.unwrap().path()).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{target}");
    }
}
