//! Registries of any kind, written for scrapers and read back.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../core/tests/suite/exposition_messages.rs"]
mod exposition_messages;
#[path = "../../core/tests/suite/exposition_pages.rs"]
mod exposition_pages;
#[path = "../../core/tests/suite/exposition_text.rs"]
mod exposition_text;

fuzz_target!(|choices: &[u8]| exposition_pages::run(choices));
