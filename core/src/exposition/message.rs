//! Protobuf's encoding: fields one after the other, each behind its number.

use alloc::vec::Vec;

/// The longest varint, of 64 bits.
const VARINT_MAX: usize = 10;

// How a field's end is found.
const VARINT: u32 = 0;
const FIXED_64: u32 = 1;
const LENGTH: u32 = 2;

/// Seven bits a byte, the lowest first; all but the last have the eighth bit.
fn varint(mut number: u64) -> ([u8; VARINT_MAX], usize) {
    let mut bytes = [0; VARINT_MAX];
    let mut last = 0;
    while number >= 0x80 {
        bytes[last] = number as u8 | 0x80;
        number >>= 7;
        last += 1;
    }
    bytes[last] = number as u8;
    (bytes, last + 1)
}

fn put_varint(number: u64, out: &mut Vec<u8>) {
    if number < 0x80 {
        return out.push(number as u8);
    }
    let (bytes, count) = varint(number);
    out.extend_from_slice(&bytes[..count]);
}

fn put_key(field: u32, wire_type: u32, out: &mut Vec<u8>) {
    put_varint(u64::from(field << 3 | wire_type), out);
}

pub(super) fn put_unsigned(field: u32, number: u64, out: &mut Vec<u8>) {
    put_key(field, VARINT, out);
    put_varint(number, out);
}

/// Those near zero are short, whatever their sign.
pub(super) fn put_signed(field: u32, number: i64, out: &mut Vec<u8>) {
    put_unsigned(field, zigzag(number), out);
}

pub(super) fn put_double(field: u32, number: f64, out: &mut Vec<u8>) {
    put_key(field, FIXED_64, out);
    out.extend_from_slice(&number.to_le_bytes());
}

pub(super) fn put_text(field: u32, text: &str, out: &mut Vec<u8>) {
    put_key(field, LENGTH, out);
    put_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// Signed numbers as one field; none if there are none.
pub(super) fn put_all_signed(field: u32, numbers: impl IntoIterator<Item = i64>, out: &mut Vec<u8>) {
    let mut numbers = numbers.into_iter().peekable();
    if numbers.peek().is_some() {
        put_message(field, out, |out| numbers.for_each(|number| put_varint(zigzag(number), out)));
    }
}

/// A field of whatever `write` adds.
pub(super) fn put_message(field: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    put_key(field, LENGTH, out);
    let begin = Begin::of(out);
    write(out);
    begin.end(out);
}

/// Where a message begins: behind its length, which is written when it ends.
#[derive(Debug)]
pub(super) struct Begin(usize);

impl Begin {
    pub(super) fn of(out: &mut Vec<u8>) -> Self {
        // Most messages are so short that a byte is enough.
        out.push(0);
        Self(out.len())
    }

    pub(super) fn end(self, out: &mut Vec<u8>) {
        let (prefix, count) = varint(out.len().saturating_sub(self.0) as u64);
        out.splice(self.0 - 1..self.0, prefix.into_iter().take(count));
    }
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_protobuf_has_them() {
        let written = |put: fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            put(&mut out);
            out
        };
        assert_eq!(written(|out| put_unsigned(1, 150, out)), [0x08, 0x96, 0x01]);
        assert_eq!(written(|out| put_unsigned(16, u64::MAX, out))[..3], [0x80, 0x01, 0xFF]);
        assert_eq!(written(|out| put_signed(5, -1, out)), [0x28, 0x01]);
        assert_eq!(written(|out| put_all_signed(10, [1, -2, 64], out)), [0x52, 4, 2, 3, 0x80, 1]);
        assert!(written(|out| put_all_signed(10, [], out)).is_empty());
        assert_eq!([i64::MAX, i64::MIN].map(zigzag), [u64::MAX - 1, u64::MAX]);
    }

    #[test]
    fn a_length_takes_the_bytes_that_it_needs() {
        for (length, prefix) in [(0, &[0][..]), (127, &[127]), (128, &[0x80, 1]), (20_000, &[0xA0, 0x9C, 1])] {
            let mut out = Vec::from([7]);
            put_message(4, &mut out, |out| out.resize(out.len() + length, 9));
            assert_eq!(out[..2], [7, 0x22]);
            assert_eq!(&out[2..2 + prefix.len()], prefix);
            assert_eq!(out[2 + prefix.len()..], alloc::vec![9; length]);
        }
    }
}
