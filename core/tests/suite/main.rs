//! The rules of the live-listener protocol and of its figures, one test each. The same cases run
//! natively, in Node and in a browser.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounting;
mod audio;
mod backpressure;
mod default_metrics;
mod distribution;
mod drops;
mod error_codes;
mod exemplars;
mod exposition;
#[cfg(not(target_arch = "wasm32"))]
mod exposition_messages;
#[cfg(not(target_arch = "wasm32"))]
mod exposition_pages;
mod exposition_protobuf;
#[cfg(not(target_arch = "wasm32"))]
mod exposition_text;
mod frame;
#[cfg(not(target_arch = "wasm32"))]
mod frame_bytes;
mod frame_golden;
#[cfg(not(target_arch = "wasm32"))]
mod frame_hostile;
#[cfg(not(target_arch = "wasm32"))]
mod frame_hour;
#[cfg(not(target_arch = "wasm32"))]
mod frame_laws;
mod frame_specified;
mod frame_support;
#[cfg(not(target_arch = "wasm32"))]
mod frame_ticks;
#[cfg(not(target_arch = "wasm32"))]
mod fuzzed;
mod instruments;
mod labels;
mod ladder;
#[cfg(not(target_arch = "wasm32"))]
mod laws;
#[cfg(not(target_arch = "wasm32"))]
mod listener_steps;
mod provider_state;
mod queue;
mod receipt;
mod registry;
mod session_figures;
mod snapshot;
mod support;
mod time;
mod told;
mod wire_client;
mod wire_server_golden;

#[cfg(all(feature = "wasm", target_arch = "wasm32"))]
mod javascript;
