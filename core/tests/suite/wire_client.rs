use serde_json::{Value, json};
use tachograph_core::wire::{
    ClientFeatures, ClientMessage, DecodeError, ErrorCode, MIC, SYSTEM, SourceName, Start, decode_client_message,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOUND: usize = 64_000;

fn decode(text: &str) -> Result<ClientMessage, DecodeError> {
    decode_client_message(text, BOUND)
}

fn code(text: &str) -> ErrorCode {
    decode(text).unwrap_err().code
}

/// A start with this field replaced, or removed by null.
fn start_with(field: &str, value: Value) -> String {
    let mut start = json!({
        "type": "start", "session_id": "s", "attempt_id": "a", "connection_id": "c",
        "sample_rate": 16000, "format": "pcm_s16le", "channels": 1, "client_features": {},
    });
    start[field] = value;
    start.to_string()
}

fn start(text: &str) -> Result<Start, ErrorCode> {
    match decode(text).map_err(|error| error.code)? {
        ClientMessage::Start(start) => Ok(start),
        _ => Err(ErrorCode::Internal),
    }
}

#[test]
fn a_start_carries_every_field() {
    let text = r#"{"type": "start", "session_id": "call-7", "attempt_id": "2", "connection_id": "c-1",
        "sample_rate": 16000, "format": "pcm_s16le", "channels": 1, "client_features": {
        "clock_drift_compensation_enabled": true, "client_vad_enabled": true,
        "clock_drift_telemetry_enabled": true, "client_vad_telemetry_enabled": true}}"#;
    let expected = Start {
        session_id: "call-7".into(),
        attempt_id: Some("2".into()),
        connection_id: Some("c-1".into()),
        client_features: ClientFeatures {
            clock_drift_compensation_enabled: true,
            client_vad_enabled: true,
            clock_drift_telemetry_enabled: true,
            client_vad_telemetry_enabled: true,
        },
    };
    assert_eq!(start(text), Ok(expected));
}

#[test]
fn a_start_needs_nothing_but_its_session_id() {
    let expected = Start { session_id: "s".into(), ..Start::default() };
    assert_eq!(start(r#"{"type": "start", "session_id": "s"}"#), Ok(expected));
    assert_eq!(code(r#"{"type": "start"}"#), ErrorCode::InvalidMessage);
    assert_eq!(code(&start_with("session_id", Value::Null)), ErrorCode::InvalidMessage);
}

#[test]
fn fields_that_nobody_knows_are_no_fault() {
    assert!(start(&start_with("since_version_9", json!({"a": [1, 2]}))).is_ok());
}

#[test]
fn a_session_id_has_1_to_256_characters_of_any_length_in_bytes() {
    for (character, bytes) in [("a", 1), ("é", 2), ("語", 3), ("🎤", 4)] {
        assert_eq!(character.len(), bytes);
        let longest = character.repeat(256);
        assert_eq!(start(&start_with("session_id", json!(longest))).unwrap().session_id, longest);
        assert_eq!(code(&start_with("session_id", json!(character.repeat(257)))), ErrorCode::InvalidMessage);
    }
    assert_eq!(code(&start_with("session_id", json!(""))), ErrorCode::InvalidMessage);
}

#[test]
fn the_other_identifiers_have_at_most_256_characters_and_may_be_missing() {
    for field in ["attempt_id", "connection_id"] {
        assert!(start(&start_with(field, json!("é".repeat(256)))).is_ok());
        assert_eq!(code(&start_with(field, json!("é".repeat(257)))), ErrorCode::InvalidMessage);
        for nothing in [Value::Null, json!("")] {
            let start = start(&start_with(field, nothing)).unwrap();
            assert_eq!([start.attempt_id, start.connection_id].iter().flatten().count(), 1, "{field}");
        }
    }
}

#[test]
fn an_identifier_is_kept_as_it_is() {
    let odd = "../../etc/passwd\0 {} %s \n<b>\"';--";
    assert_eq!(start(&start_with("session_id", json!(odd))).unwrap().session_id, odd);
}

#[test]
fn a_field_of_a_wrong_type_is_invalid() {
    for field in ["session_id", "attempt_id", "connection_id"] {
        for wrong in [json!(7), json!(true), json!(["s"]), json!({"s": 1})] {
            assert_eq!(code(&start_with(field, wrong.clone())), ErrorCode::InvalidMessage, "{field}: {wrong}");
        }
    }
    for wrong in [json!(7), json!("on"), json!([]), json!([true]), json!({"client_vad_enabled": 1})] {
        assert_eq!(code(&start_with("client_features", wrong.clone())), ErrorCode::InvalidMessage, "{wrong}");
    }
}

#[test]
fn features_that_are_not_named_are_off() {
    let features = start(&start_with("client_features", json!({"client_vad_enabled": true}))).unwrap().client_features;
    assert_eq!(features, ClientFeatures { client_vad_enabled: true, ..ClientFeatures::default() });
    let none = start(&start_with("client_features", Value::Null)).unwrap().client_features;
    assert_eq!(none, ClientFeatures::default());
    assert!(!serde_json::to_string(&none).unwrap().contains("true"));
}

#[test]
fn any_other_format_is_unsupported() {
    let wrong = [
        ("sample_rate", json!(16001)),
        ("sample_rate", json!(48000)),
        ("sample_rate", json!(-16000)),
        ("sample_rate", json!("16000")),
        ("format", json!("pcm_f32le")),
        ("format", json!("PCM_S16LE")),
        ("format", json!("")),
        ("format", json!(16)),
        ("channels", json!(2)),
        ("channels", json!(0)),
        ("channels", json!([1])),
        ("channels", json!(true)),
    ];
    for (field, value) in wrong {
        assert_eq!(code(&start_with(field, value.clone())), ErrorCode::UnsupportedFormat, "{field}: {value}");
    }
}

#[test]
fn a_format_that_is_not_named_is_the_only_one_there_is() {
    for field in ["sample_rate", "format", "channels"] {
        assert!(start(&start_with(field, Value::Null)).is_ok(), "{field}");
    }
    assert!(start(&start_with("sample_rate", json!(16000.0))).is_ok());
}

#[test]
fn audio_is_of_system_unless_it_names_a_source() {
    let source = |text: &str| match decode(text) {
        Ok(ClientMessage::Audio { source, pcm }) => Ok((source, pcm.to_vec())),
        Ok(_) => Err(ErrorCode::Internal),
        Err(error) => Err(error.code),
    };
    assert_eq!(source(r#"{"type": "audio", "data": "AQID/w=="}"#), Ok((SYSTEM, vec![1, 2, 3, 255])));
    assert_eq!(source(r#"{"type": "audio", "source": null, "data": "AAA="}"#), Ok((SYSTEM, vec![0, 0])));
    assert_eq!(source(r#"{"type": "audio", "source": " Microphone\n", "data": "AAA="}"#), Ok((MIC, vec![0, 0])));
    for wrong in ["\"\"", "\"  \"", "\"my mic\"", "\"ö\"", "7", "[\"mic\"]"] {
        let text = format!(r#"{{"type": "audio", "source": {wrong}, "data": "AAA="}}"#);
        assert_eq!(source(&text), Err(ErrorCode::InvalidMessage), "{wrong}");
    }
}

#[test]
fn audio_needs_data_that_is_text() {
    for text in [r#"{"type": "audio"}"#, r#"{"type": "audio", "data": null}"#, r#"{"type": "audio", "data": [0, 0]}"#] {
        assert_eq!(code(text), ErrorCode::InvalidMessage, "{text}");
    }
}

#[test]
fn a_stop_needs_a_session_id() {
    let stop = ClientMessage::Stop { session_id: "call-7".into() };
    assert_eq!(decode(r#"{"type": "stop", "session_id": "call-7"}"#), Ok(stop));
    for text in [r#"{"type": "stop"}"#, r#"{"type": "stop", "session_id": 7}"#, r#"{"type": "stop", "session_id": ""}"#]
    {
        assert_eq!(code(text), ErrorCode::InvalidMessage, "{text}");
    }
}

#[test]
fn what_the_core_encodes_it_decodes() {
    let start = Start {
        session_id: "語\"\n".into(),
        attempt_id: Some("2".into()),
        connection_id: None,
        client_features: ClientFeatures { client_vad_enabled: true, ..ClientFeatures::default() },
    };
    assert_eq!(decode(&start.encode()), Ok(ClientMessage::Start(start)));
    assert_eq!(decode(&ClientMessage::encode_stop("s")), Ok(ClientMessage::Stop { session_id: "s".into() }));
    let (source, pcm) = (SourceName::parse("line-in_2").unwrap(), vec![7; 3_200]);
    let text = ClientMessage::encode_audio(source, &pcm);
    assert_eq!(decode(&text), Ok(ClientMessage::Audio { source, pcm: pcm.into() }));
}

#[test]
fn another_type_is_unknown() {
    for kind in ["", "dance", "Start", "metrics", " start"] {
        assert_eq!(code(&json!({"type": kind, "session_id": "s"}).to_string()), ErrorCode::UnknownType, "{kind}");
    }
}

#[test]
fn text_that_is_not_json_is_invalid_json() {
    let texts = [
        "",
        " ",
        "start",
        "{",
        r#"{"type": "start""#,
        r#"{"type": "start"} {}"#,
        r#"{'type': 'start'}"#,
        r#"{"type": "start",}"#,
        r#"{"type": NaN}"#,
        r#"{"type": 5, "x"}"#,
        r#"{"session_id": "s" "type": "start"}"#,
        "\u{feff}{}",
    ];
    for text in texts {
        assert_eq!(code(text), ErrorCode::InvalidJson, "{text}");
    }
}

#[test]
fn json_that_is_not_a_message_is_an_invalid_message() {
    let texts = [
        "null",
        "7",
        "\"start\"",
        "[]",
        r#"["start"]"#,
        r#"["start", 1]"#,
        r#"["stop", {"session_id": "s"}]"#,
        "{}",
        r#"{"type": null}"#,
        r#"{"type": 5}"#,
        r#"{"type": ["start"]}"#,
        r#"{"session_id": "s"}"#,
    ];
    for text in texts {
        assert_eq!(code(text), ErrorCode::InvalidMessage, "{text}");
    }
}

#[test]
fn a_type_named_twice_is_an_invalid_message() {
    assert_eq!(code(r#"{"type": "start", "session_id": "s", "type": "stop"}"#), ErrorCode::InvalidMessage);
}

#[test]
fn deep_nesting_is_refused_and_harms_nothing() {
    let nested = |brackets: usize| "[".repeat(brackets) + &"]".repeat(brackets);
    let inside = |kind: &str, value: String| format!(r#"{{"type": "{kind}", "session_id": "s", "x": {value}}}"#);
    assert_eq!(code(&inside("start", nested(100_000))), ErrorCode::InvalidMessage);
    assert_eq!(code(&inside("stop", nested(100_000))), ErrorCode::InvalidMessage);
    assert_eq!(code(&nested(100_000)), ErrorCode::InvalidMessage);
    assert_eq!(code(&"[".repeat(100_000)), ErrorCode::InvalidJson);
    assert!(decode(&inside("start", nested(50))).is_ok());
}

#[test]
fn huge_numbers_are_refused_and_harm_nothing() {
    let start = |rate: &str| format!(r#"{{"type": "start", "session_id": "s", "sample_rate": {rate}}}"#);
    assert_eq!(code(&start("1e999")), ErrorCode::InvalidMessage);
    assert_eq!(code(&start("1e300")), ErrorCode::UnsupportedFormat);
    assert_eq!(code(&start(&"9".repeat(300))), ErrorCode::UnsupportedFormat);
    assert_eq!(code(&start("-18446744073709551616")), ErrorCode::UnsupportedFormat);
}

#[test]
fn half_a_surrogate_pair_is_refused() {
    assert_eq!(code(r#"{"type": "stop", "session_id": "\ud800"}"#), ErrorCode::InvalidMessage);
}

#[test]
fn an_error_never_repeats_what_was_sent() {
    let secret = "s3cr3t";
    let texts = [
        secret.to_string(),
        json!({"type": secret}).to_string(),
        json!({"type": "audio", "source": format!("{secret} {secret}"), "data": "AAA="}).to_string(),
        json!({"type": "audio", "data": format!("{secret}!")}).to_string(),
        json!({"type": "audio", "data": {secret: 1}}).to_string(),
        json!({"type": "stop", "session_id": [secret]}).to_string(),
        start_with("format", json!(secret)),
        start_with("client_features", json!({"client_vad_enabled": secret})),
    ];
    for text in texts {
        let error = decode(&text).unwrap_err();
        assert!(!error.to_string().contains(secret), "{error}");
        assert!(error.to_string().starts_with(error.code.as_str()));
    }
}
