//! What a client of the live-listener can send, alone and within a session.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../core/tests/suite/listener_steps.rs"]
mod listener_steps;
#[path = "../../core/tests/suite/support.rs"]
#[allow(dead_code)]
mod support;

fuzz_target!(|input: &[u8]| listener_steps::run(input));
