//! The decoder and the registry for JavaScript, for people who do not write Rust.
//!
//! What is decoded comes back as plain objects, arrays and numbers. Whatever is wrong is thrown as
//! an `Error` whose `name` tells the kind and whose `message` says what was expected.
//!
//! ```ts
//! const message = decodeServerMessage(event.data);
//! if (message.type === "metrics") console.log(message.source, message.queue_fill_ratio);
//!
//! const stream = new Stream();
//! const socket = new WebSocket(`${server}/ws/stream?${stream.query(900)}`);
//! socket.binaryType = "arraybuffer";
//! socket.onmessage = ({ data }) => stream.take(new Uint8Array(data)).forEach(draw);
//!
//! const registry = new Registry();
//! const clicks = registry.counter({ name: "clicks", help: "Clicks", labels: ["button"] });
//! clicks.with({ button: "save" }).inc();
//! console.log(registry.snapshot().families[0].series);
//! ```

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::prelude::*;

use crate::instrument::{Counter, Gauge, Histogram, SCALE};
use crate::registry::{
    Aggregation, CounterFamily, Descriptor, GaugeFamily, HistogramFamily, LabelError, RegisterError, Registry,
};
use crate::wire::frame::{Arrival, Epoch, Follower, Hello, Outcome};
use crate::wire::{Envelope, StreamFrame};

/// The largest whole number that every JavaScript number up to it can tell apart: 2^53 - 1.
const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

#[wasm_bindgen]
extern "C" {
    /// JavaScript's own `Error`.
    #[derive(Clone, Debug)]
    pub type Error;

    #[wasm_bindgen(constructor)]
    fn new(message: &str) -> Error;

    #[wasm_bindgen(method, setter)]
    fn set_name(this: &Error, name: &str);
}

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** What a family of metrics is called, what it means, and which labels its series carry. */
export interface Description {
    /** Matches [a-zA-Z_][a-zA-Z0-9_]*. */
    name: string;
    help?: string;
    /** Such as "ms" or "bytes". */
    unit?: string;
    /** Names of labels, as that of a metric and without __ at their beginning; every series has a value for each. */
    labels?: string[];
    /** How a gauge's figures of several holders or machines become one; "sum" unless said. */
    aggregation?: "sum" | "max" | "min" | "last";
    /** Upper bounds, inclusive and ascending, between which a histogram counts exactly; other kinds have none. */
    bounds?: number[];
    /** The scale of a histogram's snapshots, 0 to 6: 2^scale buckets an octave; 6 unless said. */
    scale?: number;
}
"#;

/// Reads a message of the server as it came off the socket.
///
/// Throws a `DecodeError` when the text is not such a message, or holds a number above 2^53 - 1.
#[wasm_bindgen(js_name = decodeServerMessage, unchecked_return_type = "Record<string, any>")]
pub fn decode_server_message(text: &str) -> Result<JsValue, Error> {
    decode::<Envelope<'static>>(text, "a message of the server")
}

/// Reads a line of the viewers' stream in its plain form.
///
/// Throws a `DecodeError` when the text is not such a frame, or holds a number above 2^53 - 1.
#[wasm_bindgen(js_name = decodeStreamFrame, unchecked_return_type = "Record<string, any>")]
pub fn decode_stream_frame(text: &str) -> Result<JsValue, Error> {
    decode::<StreamFrame<'static>>(text, "a stream frame")
}

/// A viewer's side of the stream, over as many connections as it takes.
#[derive(Debug, Default)]
#[wasm_bindgen(js_name = Stream)]
pub struct JsStream {
    follower: Follower,
    /// What went wrong behind the frames that were returned last.
    failed: Option<String>,
}

#[wasm_bindgen(js_class = Stream)]
impl JsStream {
    /// One that has nothing yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// What to ask for on the next connection, as the query of the stream's address: so many seconds of the
    /// past at first, what was missed after that.
    pub fn query(&self, window: u32) -> String {
        self.follower.request(window).to_string()
    }

    /// Takes a message of the socket; returns the frames in it that are new, as `decodeStreamFrame` returns
    /// them.
    ///
    /// Throws a `DecodeError` when the bytes are not as they should be: connect again. Where frames came before
    /// that, they are returned, and the next call throws. A number above 2^53 - 1 is such an error, too.
    #[wasm_bindgen(unchecked_return_type = "Record<string, any>[]")]
    pub fn take(&mut self, message: &[u8]) -> Result<Vec<JsValue>, Error> {
        let undecoded = |fault: String| error("DecodeError", format!("the message is not of a stream: {fault}"));
        if let Some(fault) = self.failed.take() {
            return Err(undecoded(fault));
        }
        let mut origin = self.follower.hello().cloned();
        let (mut frames, mut failed) = (Vec::new(), None);
        let taken = self.follower.take(message, |arrival| match arrival {
            Arrival::Hello(hello) => origin = Some(hello.clone()),
            Arrival::Newest(state) | Arrival::Fills(state) => {
                let Hello { epoch, server_version, .. } = origin.as_ref().unwrap_or(&NOWHERE);
                match to_js(&state.to_plain(*epoch, server_version)) {
                    Ok(frame) => frames.push(frame),
                    Err(fault) => failed = Some(fault.to_string()),
                }
            }
            Arrival::Skipped(_) => {}
        });
        failed = taken.err().map(|fault| fault.to_string()).or(failed);
        match failed {
            Some(fault) if frames.is_empty() => Err(undecoded(fault)),
            fault => {
                self.failed = fault;
                Ok(frames)
            }
        }
    }
}

/// A follower tells no frame before the hello.
static NOWHERE: Hello =
    Hello { epoch: Epoch::from_bytes([0; 16]), server_version: String::new(), outcome: Outcome::Fresh, first_seq: 0 };

/// A set of metric families.
#[derive(Debug, Default)]
#[wasm_bindgen(js_name = Registry)]
pub struct JsRegistry(Registry);

#[wasm_bindgen(js_class = Registry)]
impl JsRegistry {
    /// An empty registry.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// The family of counters so described; the same one each time.
    ///
    /// Throws a `RegisterError` for an invalid description, or when its name is taken by another one.
    pub fn counter(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Description")] description: JsValue,
    ) -> Result<JsCounterFamily, Error> {
        self.0.counter(&describe(description)?).map(JsCounterFamily).map_err(unregistered)
    }

    /// The family of gauges so described; the same one each time.
    ///
    /// Throws a `RegisterError` for an invalid description, or when its name is taken by another one.
    pub fn gauge(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Description")] description: JsValue,
    ) -> Result<JsGaugeFamily, Error> {
        self.0.gauge(&describe(description)?).map(JsGaugeFamily).map_err(unregistered)
    }

    /// The family of histograms so described; the same one each time.
    ///
    /// Throws a `RegisterError` for an invalid description, or when its name is taken by another one.
    pub fn histogram(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Description")] description: JsValue,
    ) -> Result<JsHistogramFamily, Error> {
        self.0.histogram(&describe(description)?).map(JsHistogramFamily).map_err(unregistered)
    }

    /// All families and series now, in the shape that a stream frame carries as `registry`.
    ///
    /// Throws a `RangeError` when a count is above 2^53 - 1.
    #[wasm_bindgen(unchecked_return_type = "Record<string, any>")]
    pub fn snapshot(&self) -> Result<JsValue, Error> {
        to_js(&self.0.snapshot()).map_err(|fault| error("RangeError", fault))
    }
}

/// A family of counters.
#[derive(Debug)]
#[wasm_bindgen(js_name = CounterFamily)]
pub struct JsCounterFamily(CounterFamily);

#[wasm_bindgen(js_class = CounterFamily)]
impl JsCounterFamily {
    /// Binds the series with these labels.
    ///
    /// Throws a `LabelError` when they are not exactly the family's.
    pub fn with(
        &self,
        #[wasm_bindgen(unchecked_optional_param_type = "Record<string, string>")] labels: JsValue,
    ) -> Result<JsCounter, Error> {
        bind(labels, |labels| self.0.bind(labels)).map(JsCounter)
    }
}

/// A family of gauges.
#[derive(Debug)]
#[wasm_bindgen(js_name = GaugeFamily)]
pub struct JsGaugeFamily(GaugeFamily);

#[wasm_bindgen(js_class = GaugeFamily)]
impl JsGaugeFamily {
    /// Binds the series with these labels.
    ///
    /// Throws a `LabelError` when they are not exactly the family's.
    pub fn with(
        &self,
        #[wasm_bindgen(unchecked_optional_param_type = "Record<string, string>")] labels: JsValue,
    ) -> Result<JsGauge, Error> {
        bind(labels, |labels| self.0.bind(labels)).map(JsGauge)
    }
}

/// A family of histograms.
#[derive(Debug)]
#[wasm_bindgen(js_name = HistogramFamily)]
pub struct JsHistogramFamily(HistogramFamily);

#[wasm_bindgen(js_class = HistogramFamily)]
impl JsHistogramFamily {
    /// Binds the series with these labels.
    ///
    /// Throws a `LabelError` when they are not exactly the family's.
    pub fn with(
        &self,
        #[wasm_bindgen(unchecked_optional_param_type = "Record<string, string>")] labels: JsValue,
    ) -> Result<JsHistogram, Error> {
        bind(labels, |labels| self.0.bind(labels)).map(JsHistogram)
    }
}

/// A count that only goes up.
#[derive(Debug)]
#[wasm_bindgen(js_name = Counter)]
pub struct JsCounter(Counter);

#[wasm_bindgen(js_class = Counter)]
impl JsCounter {
    /// Counts `amount`, or one.
    ///
    /// Throws a `RangeError`, counting nothing, unless it is a whole number from 0 to 2^53 - 1.
    pub fn inc(&self, amount: Option<f64>) -> Result<(), Error> {
        let amount = amount.unwrap_or(1.0);
        let whole = amount as u64;
        if whole as f64 != amount || amount > SAFE_INTEGER_MAX {
            return Err(error("RangeError", "a counter counts whole numbers from 0 to 2^53 - 1"));
        }
        self.0.add(whole);
        Ok(())
    }
}

/// A figure that goes up and down.
#[derive(Debug)]
#[wasm_bindgen(js_name = Gauge)]
pub struct JsGauge(Gauge);

#[wasm_bindgen(js_class = Gauge)]
impl JsGauge {
    /// Takes on `value`; one that is not finite is refused, and counted in the snapshot's `refused_values`.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// Moves by `amount`, which may be negative; refused like [`set`](Self::set).
    pub fn add(&self, amount: f64) {
        self.0.add(amount);
    }
}

/// Counts values in buckets.
#[derive(Debug)]
#[wasm_bindgen(js_name = Histogram)]
pub struct JsHistogram(Histogram);

#[wasm_bindgen(js_class = Histogram)]
impl JsHistogram {
    /// Counts `value`; one that is not finite is refused, and counted in the snapshot's `refused_values`.
    pub fn record(&self, value: f64) {
        self.0.record(value);
    }
}

#[derive(Deserialize)]
struct Description {
    name: String,
    #[serde(default)]
    help: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    aggregation: Aggregation,
    #[serde(default)]
    bounds: Vec<f64>,
    scale: Option<u8>,
}

fn describe(description: JsValue) -> Result<Descriptor, Error> {
    let Description { name, help, unit, labels, aggregation, bounds, scale } =
        serde_wasm_bindgen::from_value(description)
            .map_err(|fault| error("RegisterError", format!("the description is not one: {fault}")))?;
    let unlabelled = Descriptor::new(&name, &help).unit(&unit).aggregation(aggregation).bounds(&bounds);
    let unlabelled = unlabelled.scale(scale.unwrap_or(SCALE));
    Ok(labels.iter().fold(unlabelled, |descriptor, label| descriptor.label(label)))
}

fn bind<I>(labels: JsValue, bind: impl FnOnce(&[(&str, &str)]) -> Result<I, LabelError>) -> Result<I, Error> {
    let labels: BTreeMap<String, String> = if labels.is_undefined() {
        BTreeMap::new()
    } else {
        serde_wasm_bindgen::from_value(labels)
            .map_err(|fault| error("LabelError", format!("labels are an object of strings: {fault}")))?
    };
    let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
    bind(&labels).map_err(|fault| error("LabelError", fault))
}

fn unregistered(fault: RegisterError) -> Error {
    error("RegisterError", fault)
}

fn decode<T: DeserializeOwned + Serialize>(text: &str, what: &str) -> Result<JsValue, Error> {
    let undecoded = |fault: &dyn Display| error("DecodeError", format!("the text is not {what}: {fault}"));
    let value: T = serde_json::from_str(text).map_err(|fault| undecoded(&fault))?;
    to_js(&value).map_err(|fault| undecoded(&fault))
}

/// Plain objects and numbers, as `JSON.parse` makes them.
fn to_js(value: &impl Serialize) -> Result<JsValue, serde_wasm_bindgen::Error> {
    value.serialize(&Serializer::json_compatible())
}

fn error(name: &str, message: impl Display) -> Error {
    let error = Error::new(&message.to_string());
    error.set_name(name);
    error
}
