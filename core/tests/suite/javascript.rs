//! The export as JavaScript sees it: real objects, methods by name, thrown errors.

use js_sys::{Error, Function, JSON, Object, Reflect};
use tachograph_core::wasm::{JsRegistry, JsStream, decode_server_message, decode_stream_frame};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::wire_server_golden::{MESSAGES, STREAM_FRAME};

fn registry() -> JsValue {
    JsRegistry::new().into()
}

fn parse(json: &str) -> JsValue {
    JSON::parse(json).unwrap()
}

fn json(value: &JsValue) -> String {
    JSON::stringify(value).unwrap().into()
}

/// `object[method](...arguments)`.
fn call(object: &JsValue, method: &str, arguments: &[JsValue]) -> Result<JsValue, JsValue> {
    let method: Function = Reflect::get(object, &method.into()).unwrap().unchecked_into();
    method.apply(object, &arguments.iter().collect())
}

/// The series with these labels of the family so described.
fn bind(registry: &JsValue, kind: &str, description: &str, labels: &str) -> JsValue {
    let family = call(registry, kind, &[parse(description)]).unwrap();
    call(&family, "with", &[parse(labels)]).unwrap()
}

/// The families of a snapshot, or one of its other fields, as JSON.
fn snapshot(registry: &JsValue, field: &str) -> String {
    json(&Reflect::get(&call(registry, "snapshot", &[]).unwrap(), &field.into()).unwrap())
}

/// The name and the message of what was thrown, which must be an `Error`.
fn thrown(result: Result<JsValue, JsValue>) -> (String, String) {
    let error: Error = result.unwrap_err().dyn_into().unwrap();
    (error.name().into(), error.message().into())
}

#[test]
fn a_message_is_decoded_to_what_json_parse_makes_of_it() {
    for (name, text) in MESSAGES {
        let decoded = decode_server_message(text).unwrap();
        assert_eq!(json(&decoded), json(&parse(text)), "{name}");
        assert_eq!(Object::get_prototype_of(&decoded), Object::get_prototype_of(&Object::new()));
    }
}

#[test]
fn a_stream_frame_is_decoded_to_what_json_parse_makes_of_it() {
    assert_eq!(json(&decode_stream_frame(STREAM_FRAME.1).unwrap()), json(&parse(STREAM_FRAME.1)));
}

#[test]
fn a_binary_stream_is_decoded_to_what_its_lines_say() {
    let (bytes, lines) = (include_bytes!("../golden/frames.bin"), include_str!("../golden/frames.jsonl"));
    let mut stream = JsStream::new();
    assert_eq!(stream.query(60), "window=60");
    let frames = stream.take(bytes).unwrap();
    let expected: Vec<String> = lines.lines().map(|line| json(&parse(line))).collect();
    assert_eq!(frames.iter().map(json).collect::<Vec<_>>(), expected);
    assert!(stream.query(60).starts_with("epoch="));
    assert!(stream.take(bytes).unwrap().is_empty(), "what is there is not told again");
    let (name, message) = thrown(stream.take(&[4, 9]).map(|_| JsValue::NULL).map_err(JsValue::from));
    assert_eq!(name, "DecodeError");
    assert!(message.contains("record"), "{message}");
}

#[test]
fn what_cannot_be_decoded_is_thrown_as_an_error_that_says_why() {
    let error = |result: Result<JsValue, _>| thrown(result.map_err(JsValue::from));
    for text in ["", "{", "7", "{}", r#"{"type": "dance"}"#] {
        let (name, message) = error(decode_server_message(text));
        assert_eq!(name, "DecodeError");
        assert!(message.starts_with("the text is not a message of the server: "), "{message}");
        let (name, message) = error(decode_stream_frame(text));
        assert_eq!(name, "DecodeError");
        assert!(message.starts_with("the text is not a stream frame: "), "{message}");
    }
    assert!(error(decode_stream_frame("{}")).1.contains("epoch"));
}

#[test]
fn a_number_that_javascript_cannot_hold_is_thrown_and_not_bent() {
    let (_, text) = MESSAGES[0];
    let with_seq = |seq: u64| text.replace("\"seq\":0", &format!("\"seq\":{seq}"));
    let decoded = decode_server_message(&with_seq((1 << 53) - 1)).unwrap();
    assert_eq!(Reflect::get(&decoded, &"seq".into()).unwrap().as_f64(), Some(9_007_199_254_740_991.0));
    let (name, _) = thrown(decode_server_message(&with_seq(u64::MAX)).map_err(JsValue::from));
    assert_eq!(name, "DecodeError");
}

#[test]
fn a_counter_counts() {
    let registry = registry();
    let description = r#"{"name": "frames", "help": "Frames", "unit": "frames", "labels": ["source", "kind"]}"#;
    let counter = bind(&registry, "counter", description, r#"{"kind": "a", "source": "mic"}"#);
    call(&counter, "inc", &[]).unwrap();
    call(&counter, "inc", &[41.into()]).unwrap();
    call(&counter, "inc", &[0.into()]).unwrap();
    assert_eq!(
        snapshot(&registry, "families"),
        r#"[{"name":"frames","kind":"counter","unit":"frames","help":"Frames","aggregation":"sum","labels":["source","kind"],"series":[{"labels":{"source":"mic","kind":"a"},"counter":42}]}]"#
    );
}

#[test]
fn a_counter_refuses_what_is_no_whole_number() {
    let registry = registry();
    let counter = bind(&registry, "counter", r#"{"name": "frames"}"#, "{}");
    for amount in [-1.0, 0.5, f64::NAN, f64::INFINITY, 9_007_199_254_740_992.0] {
        let refused = thrown(call(&counter, "inc", &[amount.into()]));
        assert_eq!(
            refused,
            ("RangeError".into(), "a counter counts whole numbers from 0 to 2^53 - 1".into()),
            "{amount}"
        );
    }
    assert!(snapshot(&registry, "families").contains(r#""counter":0"#));
}

#[test]
fn a_gauge_moves_and_refuses_what_is_not_finite() {
    let registry = registry();
    let gauge = bind(&registry, "gauge", r#"{"name": "depth"}"#, "{}");
    call(&gauge, "set", &[4.5.into()]).unwrap();
    call(&gauge, "add", &[(-1).into()]).unwrap();
    call(&gauge, "set", &[f64::NAN.into()]).unwrap();
    call(&gauge, "add", &[f64::INFINITY.into()]).unwrap();
    assert!(snapshot(&registry, "families").contains(r#""series":[{"labels":{},"gauge":3.5}]"#));
    assert_eq!(snapshot(&registry, "refused_values"), "2");
}

#[test]
fn a_histogram_counts_in_buckets() {
    let registry = registry();
    let histogram = bind(&registry, "histogram", r#"{"name": "time", "unit": "ms", "bounds": [10, 100]}"#, "{}");
    for value in [10.0, 10.5, 1_000.0] {
        call(&histogram, "record", &[value.into()]).unwrap();
    }
    let expected = r#""sum":1020.5,"bounds":[10,100],"buckets":[1,1,1]}"#;
    assert!(snapshot(&registry, "families").contains(expected));
}

#[test]
fn a_family_without_labels_is_bound_without_any() {
    let family = call(&registry(), "counter", &[parse(r#"{"name": "frames"}"#)]).unwrap();
    assert!(call(&family, "with", &[]).is_ok());
    assert!(call(&family, "with", &[parse("{}")]).is_ok());
}

#[test]
fn a_family_is_the_same_one_each_time() {
    let registry = registry();
    for _ in 0..2 {
        let counter = bind(&registry, "counter", r#"{"name": "frames"}"#, "{}");
        call(&counter, "inc", &[]).unwrap();
    }
    assert!(snapshot(&registry, "families").contains(r#""counter":2"#));
}

#[test]
fn what_cannot_be_registered_is_thrown_as_an_error_that_says_why() {
    let registry = registry();
    let refused = |kind: &str, description: &str| thrown(call(&registry, kind, &[parse(description)]));
    bind(&registry, "counter", r#"{"name": "taken"}"#, "{}");
    for (kind, description, message) in [
        ("counter", r#"{"name": "1st"}"#, "a metric's name must match [a-zA-Z_][a-zA-Z0-9_]*"),
        ("counter", r#"{"name": "a", "labels": ["b", "b"]}"#, "a label is named twice"),
        (
            "counter",
            r#"{"name": "taken", "help": "other"}"#,
            "this name is registered already with another description; use that, or another name",
        ),
        (
            "gauge",
            r#"{"name": "taken"}"#,
            "this name is registered already with another description; use that, or another name",
        ),
        (
            "counter",
            r#"{"name": "a", "bounds": [1]}"#,
            "a histogram's bounds must be finite and ascending; other kinds take none",
        ),
        ("histogram", r#"{"name": "a", "scale": 7}"#, "a histogram's scale is from 0 to 6; other kinds take none"),
        (
            "counter",
            r#"{"name": "a", "aggregation": "max"}"#,
            "counters and histograms add up; only a gauge has another aggregation",
        ),
    ] {
        assert_eq!(refused(kind, description), ("RegisterError".into(), message.into()), "{description}");
    }
}

#[test]
fn a_description_of_a_wrong_shape_is_thrown_as_an_error() {
    let registry = registry();
    let wrong = ["null", "7", "[]", "{}", r#"{"name": 7}"#, r#"{"name": "a", "labels": "b"}"#];
    let wrong = wrong.into_iter().map(parse).chain([JsValue::UNDEFINED]);
    for (description, kind) in wrong.zip(["counter", "gauge", "histogram"].into_iter().cycle()) {
        let (name, message) = thrown(call(&registry, kind, std::slice::from_ref(&description)));
        assert_eq!(name, "RegisterError", "{description:?}");
        assert!(message.starts_with("the description is not one: "), "{message}");
    }
    assert_eq!(snapshot(&registry, "families"), "[]");
}

#[test]
fn labels_that_are_not_the_familys_are_thrown_as_an_error() {
    let family = call(&registry(), "gauge", &[parse(r#"{"name": "depth", "labels": ["source"]}"#)]).unwrap();
    let refused = |labels: JsValue| thrown(call(&family, "with", &[labels]));
    let missing = ("LabelError".to_string(), "every label of the family needs a value".to_string());
    assert_eq!(refused(parse("{}")), missing);
    assert_eq!(refused(JsValue::UNDEFINED), missing);
    assert_eq!(refused(parse(r#"{"source": "mic", "kind": "a"}"#)).0, "LabelError");
    for wrong in ["null", "7", r#"{"source": 7}"#, r#"["source"]"#] {
        assert_eq!(refused(parse(wrong)).0, "LabelError", "{wrong}");
    }
}

#[test]
fn a_count_that_javascript_cannot_hold_is_thrown_and_not_bent() {
    let registry = registry();
    let counter = bind(&registry, "counter", r#"{"name": "frames"}"#, "{}");
    for _ in 0..2 {
        call(&counter, "inc", &[9_007_199_254_740_991.0.into()]).unwrap();
    }
    assert_eq!(thrown(call(&registry, "snapshot", &[])).0, "RangeError");
}

#[test]
fn registries_do_not_mix() {
    let (one, other) = (registry(), registry());
    bind(&one, "counter", r#"{"name": "frames"}"#, "{}");
    assert_eq!(snapshot(&other, "families"), "[]");
}
