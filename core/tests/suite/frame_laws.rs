//! What holds of any server's stream, over random servers and bytes.

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
