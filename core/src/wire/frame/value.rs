//! What a provider says of its health, which can be anything that JSON can say, in bytes.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde_json::{Map, Number, Value};

use super::codec::{Codec, Reader, put_signed, put_text, put_varint};
use super::{FrameError, Reason};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const SIGNED: u8 = 3;
const UNSIGNED: u8 = 4;
const FLOAT: u8 = 5;
const TEXT: u8 = 6;
const LIST: u8 = 7;
const OBJECT: u8 = 8;
/// Lists and objects within each other; deeper ones are written as null.
const DEPTH_MAX: u32 = 16;

impl Codec for Value {
    fn write(&self, out: &mut Vec<u8>) {
        put_value(out, self, DEPTH_MAX);
    }

    fn read(from: &mut Reader<'_>, field: &'static str) -> Result<Self, FrameError> {
        read_value(from, field, DEPTH_MAX)
    }
}

/// Byte 0, or byte 1 and a value.
impl Codec for Option<Arc<Value>> {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        self.iter().for_each(|value| value.write(out));
    }

    fn read(from: &mut Reader<'_>, field: &'static str) -> Result<Self, FrameError> {
        let is_there = from.byte(field)? != 0;
        is_there.then(|| Value::read(from, field).map(Arc::new)).transpose()
    }
}

fn put_value(out: &mut Vec<u8>, value: &Value, depth: u32) {
    match value {
        Value::Bool(held) => out.push(if *held { TRUE } else { FALSE }),
        Value::Number(number) => put_number(out, number),
        Value::String(text) => {
            out.push(TEXT);
            put_text(out, text);
        }
        Value::Array(values) if depth > 0 => {
            out.push(LIST);
            put_varint(out, values.len() as u64);
            values.iter().for_each(|value| put_value(out, value, depth - 1));
        }
        Value::Object(fields) if depth > 0 => {
            out.push(OBJECT);
            put_varint(out, fields.len() as u64);
            for (name, value) in fields {
                put_text(out, name);
                put_value(out, value, depth - 1);
            }
        }
        Value::Null | Value::Array(_) | Value::Object(_) => out.push(NULL),
    }
}

fn put_number(out: &mut Vec<u8>, number: &Number) {
    if let Some(signed) = number.as_i64() {
        out.push(SIGNED);
        put_signed(out, signed);
    } else if let Some(unsigned) = number.as_u64() {
        out.push(UNSIGNED);
        put_varint(out, unsigned);
    } else {
        out.push(FLOAT);
        out.extend_from_slice(&number.as_f64().unwrap_or_default().to_le_bytes());
    }
}

fn read_value(from: &mut Reader<'_>, field: &'static str, depth: u32) -> Result<Value, FrameError> {
    let out_of_range = FrameError::new(field, Reason::OutOfRange);
    let tag = from.byte(field)?;
    if depth == 0 && tag >= LIST {
        return Err(out_of_range);
    }
    Ok(match tag {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        SIGNED => from.signed(field)?.into(),
        UNSIGNED => from.varint(field)?.into(),
        FLOAT => Number::from_f64(f64::from_le_bytes(from.array(field)?)).map(Value::Number).ok_or(out_of_range)?,
        TEXT => Value::String(from.text(field)?.into()),
        LIST => {
            let count = from.size(field)?;
            Value::Array((0..count).map(|_| read_value(from, field, depth - 1)).collect::<Result<_, _>>()?)
        }
        OBJECT => {
            let count = from.size(field)?;
            let mut read = |_| Ok((String::from(from.text(field)?), read_value(from, field, depth - 1)?));
            Value::Object((0..count).map(&mut read).collect::<Result<Map<_, _>, FrameError>>()?)
        }
        _ => return Err(out_of_range),
    })
}

/// Memory that a value takes beside itself, at most.
pub(super) fn memory_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.capacity(),
        Value::Array(values) => values.capacity() * size_of::<Value>() + values.iter().map(memory_of).sum::<usize>(),
        Value::Object(fields) => {
            // A node of the tree has room for eleven, is half full at least, and has some for others.
            let nodes = fields.len().div_ceil(5);
            let held: usize = fields.iter().map(|(name, value)| name.capacity() + memory_of(value)).sum();
            held + nodes * 16 * size_of::<(String, Value)>()
        }
    }
}
