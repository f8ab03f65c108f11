use std::collections::BTreeSet;

use tachograph_core::session::ErrorBudget;
use tachograph_core::wire::ErrorCode;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::ms;

/// Every code as it stands in a message, whether one such error ends the connection, and the close
/// code when it does.
const CODES: [(ErrorCode, &str, bool, u16); 14] = [
    (ErrorCode::InvalidJson, "invalid_json", false, 1007),
    (ErrorCode::InvalidMessage, "invalid_message", false, 1007),
    (ErrorCode::UnknownType, "unknown_type", false, 1007),
    (ErrorCode::UnsupportedFormat, "unsupported_format", true, 1003),
    (ErrorCode::NotStarted, "not_started", false, 1008),
    (ErrorCode::AlreadyStarted, "already_started", false, 1008),
    (ErrorCode::InvalidAudio, "invalid_audio", false, 1007),
    (ErrorCode::TooLarge, "too_large", false, 1009),
    (ErrorCode::TooManySources, "too_many_sources", false, 1008),
    (ErrorCode::SessionMismatch, "session_mismatch", false, 1008),
    (ErrorCode::Unauthorized, "unauthorized", true, 1008),
    (ErrorCode::AtCapacity, "at_capacity", true, 1013),
    (ErrorCode::ProviderFailed, "provider_failed", false, 1011),
    (ErrorCode::Internal, "internal", true, 1011),
];

#[test]
fn every_code_has_its_name_fatality_and_close_code() {
    for (code, name, fatal, close) in CODES {
        assert_eq!((code.as_str(), code.is_fatal(), code.close_code()), (name, fatal, close));
        assert_eq!(code.to_string(), name);
        assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<ErrorCode>(&format!("\"{name}\"")).unwrap(), code);
    }
    assert_eq!(CODES.map(|(code, ..)| code).into_iter().collect::<BTreeSet<_>>().len(), CODES.len());
}

#[test]
fn the_tenth_error_within_10_s_is_fatal() {
    let mut budget = ErrorBudget::default();
    let fatal: Vec<_> = (1..=10).map(|n| budget.spend(ms(n * 1_000 - 1))).collect();
    assert_eq!(fatal, [false, false, false, false, false, false, false, false, false, true]);
}

#[test]
fn ten_errors_over_a_full_10_s_are_not_fatal() {
    let mut budget = ErrorBudget::default();
    assert!(!budget.spend(ms(0)));
    assert!((1..9).all(|n| !budget.spend(ms(n * 1_000))));
    assert!(!budget.spend(ms(10_000)));
    assert!(budget.spend(ms(10_999)));
}

#[test]
fn an_error_now_and_then_is_never_fatal() {
    let mut budget = ErrorBudget::default();
    assert!((0..10_000).all(|n| !budget.spend(ms(n * 1_112))));
}
