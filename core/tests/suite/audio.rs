use tachograph_core::wire::{
    AudioHeader, ClientMessage, DecodeError, ErrorCode, MIC, PCM_BYTES_PER_SECOND, PIECE_BYTES_MAX, SAMPLE_RATE,
    SYSTEM, SourceName, check_pcm, decode_client_message, encode_audio_header,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn decode(data: &str, bound: usize) -> Result<Vec<u8>, DecodeError> {
    let text = serde_json::json!({"type": "audio", "data": data}).to_string();
    match decode_client_message(&text, bound)? {
        ClientMessage::Audio { pcm, .. } => Ok(pcm.to_vec()),
        _ => Err(DecodeError::new(ErrorCode::Internal, "not audio")),
    }
}

fn code(data: &str) -> ErrorCode {
    decode(data, 64_000).unwrap_err().code
}

fn header(frame: &[u8]) -> Result<(SourceName, usize), ErrorCode> {
    AudioHeader::decode(frame).map(|header| (header.source, header.length)).map_err(|error| error.code)
}

#[test]
fn a_second_of_audio_is_16000_samples_in_32000_bytes() {
    assert_eq!((SAMPLE_RATE, PCM_BYTES_PER_SECOND, PIECE_BYTES_MAX), (16_000, 32_000, 3_200));
}

#[test]
fn base64_may_be_padded_or_not() {
    for data in ["AQI=", "AQI", "AQIDBA==", "AQIDBA"] {
        let pcm = decode(data, 64_000).unwrap();
        assert_eq!(pcm, [1, 2, 3, 4][..pcm.len()], "{data}");
    }
}

#[test]
fn what_is_not_base64_is_invalid_audio() {
    for data in ["A", "AQI==", "AQ I=", "AQI=\n", "AQI=AQI=", "-_-_", "AQ_D", "ä===", "====", "AQJ=", "data:AQI="] {
        assert_eq!(code(data), ErrorCode::InvalidAudio, "{data}");
    }
}

#[test]
fn no_audio_and_half_a_sample_are_invalid_audio() {
    assert_eq!(code(""), ErrorCode::InvalidAudio);
    assert_eq!(code("AA=="), ErrorCode::InvalidAudio);
    assert_eq!(code("AQID"), ErrorCode::InvalidAudio);
    assert_eq!(check_pcm(&[]).unwrap_err().code, ErrorCode::InvalidAudio);
    assert_eq!(check_pcm(&[0; 3]).unwrap_err().code, ErrorCode::InvalidAudio);
    assert_eq!(check_pcm(&[0; 2]), Ok(()));
}

#[test]
fn audio_as_long_as_the_bound_is_taken_and_one_sample_more_is_too_large() {
    for bound in [2, 4, 6, 3_200, 63_998, 64_000, 64_002] {
        let encode = |length: usize| {
            let text = ClientMessage::encode_audio(SYSTEM, &vec![0; length]);
            decode_client_message(&text, bound).map(drop).map_err(|error| error.code)
        };
        assert_eq!(encode(bound), Ok(()), "{bound}");
        assert_eq!(encode(bound + 2), Err(ErrorCode::TooLarge), "{bound}");
        assert_eq!(encode(bound * 10 + 20), Err(ErrorCode::TooLarge), "{bound}");
    }
}

#[test]
fn audio_far_above_the_bound_is_refused_before_it_is_decoded() {
    let garbage = "!".repeat(200_000);
    assert_eq!(code(&garbage), ErrorCode::TooLarge);
}

#[test]
fn a_header_names_the_source() {
    assert_eq!(header(b"EP\x01\x00\x05\x06"), Ok((SYSTEM, 4)));
    assert_eq!(header(b"EP\x01\x01\x05\x06"), Ok((MIC, 4)));
    assert_eq!(header(b"EP\x01\x01"), Ok((MIC, 4)));
}

#[test]
fn a_frame_without_a_header_is_of_system() {
    for frame in [&b""[..], b"\x00\x01", b"E", b"PE\x01\x00", b"ep\x01\x00", b"\x00EP\x01", b"E\x00P\x01"] {
        assert_eq!(header(frame), Ok((SYSTEM, 0)), "{frame:?}");
    }
}

#[test]
fn a_header_of_another_version_or_source_or_cut_off_is_an_error() {
    for version in (0..=255).filter(|version| *version != 1) {
        assert_eq!(header(&[b'E', b'P', version, 0, 0, 0]), Err(ErrorCode::InvalidAudio), "{version}");
    }
    for source in 2..=255 {
        assert_eq!(header(&[b'E', b'P', 1, source, 0, 0]), Err(ErrorCode::InvalidAudio), "{source}");
    }
    assert_eq!(header(b"EP"), Err(ErrorCode::InvalidAudio));
    assert_eq!(header(b"EP\x01"), Err(ErrorCode::InvalidAudio));
}

#[test]
fn the_header_that_is_encoded_is_the_one_that_is_decoded() {
    for source in [SYSTEM, MIC] {
        assert_eq!(header(&encode_audio_header(source).unwrap()), Ok((source, 4)));
    }
    assert_eq!(encode_audio_header(SourceName::parse("line").unwrap()), None);
}

#[test]
fn a_source_is_trimmed_and_lower_cased_and_the_microphone_is_mic() {
    let parse = |name: &str| SourceName::parse(name).unwrap().as_str().to_string();
    assert_eq!(parse("  System\t\r\n"), "system");
    assert_eq!(parse("LINE-In_2"), "line-in_2");
    ["mic", "MIC", "microphone", " MicroPhone "].into_iter().for_each(|name| assert_eq!(parse(name), "mic"));
    assert_eq!(parse("microphone2"), "microphone2");
    assert_eq!(parse(&"a".repeat(32)), "a".repeat(32));
}

#[test]
fn a_source_is_1_to_32_of_a_z_0_9_underscore_and_hyphen() {
    let too_long = "a".repeat(33);
    for name in ["", "  ", "a b", "a.b", "a/b", "é", "mic\0", "a\"b", "{}", &too_long] {
        assert_eq!(SourceName::parse(name).unwrap_err().code, ErrorCode::InvalidMessage, "{name}");
    }
}

#[test]
fn sources_sort_like_their_names() {
    let mut names = ["b", "a-b", "ab", "a", "_", "a0", "aa"].map(|name| SourceName::parse(name).unwrap());
    names.sort();
    assert_eq!(names.map(|name| name.to_string()), ["_", "a", "a-b", "a0", "aa", "ab", "b"]);
}
