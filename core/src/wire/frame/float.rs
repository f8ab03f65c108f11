//! Floats: as a difference of decimals where they are decimals, else as the bits that differ.
//!
//! A number's lowest three bits say how it is written: 0 to 4 so many decimals, 5 six decimals, 6 bits.
//! For decimals the rest is the zigzag difference from the value before, both times 10^decimals and
//! rounded. For bits the rest is how many bytes follow: the lowest ones of the exclusive or with the bits
//! before.

use alloc::vec::Vec;

use super::codec::{Reader, VARINT_MAX, unzigzag, write_varint, zigzag};
use super::{FrameError, Reason};

const TAG_BITS: u32 = 3;
const TAG_MASK: u64 = (1 << TAG_BITS) - 1;
const SCALES: [f64; 6] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e6];
const FINEST: usize = SCALES.len() - 1;
const BITS: u64 = SCALES.len() as u64;
/// Whole numbers that a float holds with room to spare: rounding to one is exact.
const WHOLE_MAX: f64 = (1_u64 << 51) as f64;

/// The longest float: its head, and eight bytes.
pub(super) const FLOAT_MAX: usize = VARINT_MAX + 8;

/// Writes `now` as what it differs by from `before`.
pub(super) fn put_float(out: &mut Vec<u8>, before: f64, now: f64) {
    let mut room = [0; FLOAT_MAX];
    let length = write_float(&mut room, before, now);
    out.extend_from_slice(&room[..length.min(FLOAT_MAX)]);
}

/// The same into room for any float; returns how much of it was needed.
#[inline]
pub(super) fn write_float(room: &mut [u8; FLOAT_MAX], before: f64, now: f64) -> usize {
    match decimals(now).filter(|tag| before.abs() * SCALES[*tag] < WHOLE_MAX) {
        Some(tag) => {
            let difference = scaled(now, tag).wrapping_sub(scaled(before, tag));
            write_varint(room, 0, zigzag(difference) << TAG_BITS | tag as u64)
        }
        None => write_bits(room, before.to_bits() ^ now.to_bits()),
    }
}

fn write_bits(room: &mut [u8; FLOAT_MAX], differing: u64) -> usize {
    let length = (u64::BITS - differing.leading_zeros()).div_ceil(8) as usize;
    room[0] = (length as u8) << TAG_BITS | BITS as u8;
    room[1..9].copy_from_slice(&differing.to_le_bytes());
    1 + length
}

/// The value after `before`.
#[inline]
pub(super) fn read_float(from: &mut Reader<'_>, before: f64, field: &'static str) -> Result<f64, FrameError> {
    let head = from.varint(field)?;
    let (tag, rest) = (head & TAG_MASK, head >> TAG_BITS);
    match SCALES.get(tag as usize) {
        Some(scale) => Ok(scaled(before, tag as usize).wrapping_add(unzigzag(rest)) as f64 / scale),
        None => read_bits(from, before, tag, rest, field),
    }
}

fn read_bits(
    from: &mut Reader<'_>,
    before: f64,
    tag: u64,
    length: u64,
    field: &'static str,
) -> Result<f64, FrameError> {
    if tag != BITS || length > 8 {
        return Err(FrameError::new(field, Reason::OutOfRange));
    }
    let mut differing = [0; 8];
    let given = from.bytes(length as usize, field)?;
    differing[..given.len()].copy_from_slice(given);
    Ok(f64::from_bits(before.to_bits() ^ u64::from_le_bytes(differing)))
}

/// The fewest decimals that say all of the value, if it is a decimal of moderate size.
#[inline]
fn decimals(value: f64) -> Option<usize> {
    // Whole numbers take no division, and large ones have no room for six decimals.
    if is_decimal(value, 0) {
        return Some(0);
    }
    if !is_decimal(value, FINEST) {
        return None;
    }
    // Both quotients of the same number, rounded once, are the same float: the zeros at the end of the
    // finest tell the rest, and spare a division for each.
    let finest = scaled(value, FINEST);
    let coarser = [100_000, 10_000, 1_000, 100];
    Some(coarser.iter().position(|step| finest % step == 0).map_or(FINEST, |place| place + 1))
}

#[inline]
fn is_decimal(value: f64, tag: usize) -> bool {
    let scale = SCALES[tag];
    value.abs() * scale < WHOLE_MAX && (scaled(value, tag) as f64 / scale).to_bits() == value.to_bits()
}

/// Times 10^decimals and rounded, half away from zero; the cast saturates.
#[inline]
fn scaled(value: f64, tag: usize) -> i64 {
    let half = if value < 0.0 { -0.5 } else { 0.5 };
    (value * SCALES[tag] + half) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(before: f64, now: f64) -> Vec<u8> {
        let mut out = Vec::new();
        put_float(&mut out, before, now);
        out
    }

    #[test]
    fn any_value_after_any_other_comes_back_bit_for_bit() {
        let values = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.1,
            0.25,
            1e-6,
            123.456_789,
            1e15,
            -1e15,
            4e15,
            1e300,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX,
            f64::MIN,
            f64::NAN,
            f64::INFINITY,
            core::f64::consts::PI,
            1_767_225_600.123,
        ];
        for before in values {
            for now in values {
                let bytes = written(before, now);
                let mut reader = Reader::new(&bytes);
                let read = read_float(&mut reader, before, "value").unwrap();
                assert_eq!(read.to_bits(), now.to_bits(), "{now} after {before}");
                assert!(reader.is_empty());
            }
        }
    }

    #[test]
    fn the_fewest_decimals_are_found() {
        let numbers =
            (0..200_000_i64).map(|turn| turn.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64) >> (14 + turn % 50));
        for value in numbers.flat_map(|number| SCALES.map(|scale| number as f64 / scale)) {
            let fewest = (0..=FINEST).find(|tag| is_decimal(value, *tag));
            let expected = if is_decimal(value, FINEST) { fewest } else { fewest.filter(|tag| *tag == 0) };
            assert_eq!(decimals(value), expected, "{value:?}");
        }
    }

    #[test]
    fn decimals_are_short() {
        assert_eq!(written(4.0, 5.0), [0x10]);
        assert_eq!(written(0.25, 0.26), [0x12]);
        assert_eq!(written(12.5, 12.6), [0x11]);
        assert_eq!(written(0.0, core::f64::consts::PI).len(), 9);
    }
}
