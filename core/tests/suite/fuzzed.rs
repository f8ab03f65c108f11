//! The laws that the fuzzer looks for exceptions to, over random bytes and over those that it keeps.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use crate::{exposition_pages, frame_bytes, frame_ticks, listener_steps};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(160) })]

    #[test]
    fn whatever_a_client_does_is_accounted_for(mut choices in prop::collection::vec(any::<u8>(), 1..2_000)) {
        choices[0] = 1;
        listener_steps::run(&choices);
    }

    #[test]
    fn a_page_of_metrics_reads_back_as_the_registry(choices in prop::collection::vec(any::<u8>(), 0..2_000)) {
        exposition_pages::run(&choices);
    }
}

#[test]
fn what_the_fuzzer_keeps_is_still_fine() {
    let targets = [
        ("frames", frame_bytes::run as fn(&[u8])),
        ("round_trip", frame_ticks::run),
        ("listener", listener_steps::run),
        ("exposition", exposition_pages::run),
    ];
    for (target, run) in targets {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let mut inputs = 0;
        for input in fs::read_dir(corpus).unwrap() {
            run(&fs::read(input.unwrap().path()).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{target}");
    }
}
