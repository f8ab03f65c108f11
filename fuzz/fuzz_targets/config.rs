//! Texts of any kind as the server's configuration: it is read, or what is wrong with it is counted, each time alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tachograph::cli::check_config_text;

fuzz_target!(|text: &str| assert_eq!(check_config_text(text), check_config_text(text)));
