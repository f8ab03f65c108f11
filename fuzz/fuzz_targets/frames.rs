//! Bytes of any kind, and streams with some bytes changed, for everything that reads.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../core/tests/suite/frame_bytes.rs"]
mod frame_bytes;

fuzz_target!(|input: &[u8]| frame_bytes::run(input));
