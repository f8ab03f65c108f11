//! Servers that do at random what they may: who reads their stream holds what they said.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../core/tests/suite/frame_support.rs"]
#[allow(dead_code)]
mod frame_support;
#[path = "../../core/tests/suite/frame_ticks.rs"]
mod frame_ticks;

fuzz_target!(|choices: &[u8]| frame_ticks::run(choices));
