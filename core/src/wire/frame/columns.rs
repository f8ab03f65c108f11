//! The figures of counters and gauges, a column a kind: what changed since the frame before.

use alloc::vec::Vec;

use super::codec::{Reader, VARINT_MAX, read_varint, write_varint};
use super::float::{FLOAT_MAX, read_float, write_float};
use super::mask::{BLOCK, MASK_MAX, places, put_mask, read_mask};
use super::{FrameError, Reason};

/// Writes the counters that differ from `before`, each as how much it grew. Both are of one length.
pub(super) fn put_counters(out: &mut Vec<u8>, before: &[u64], now: &[u64]) {
    let begin = out.len();
    for (before, now) in before.chunks(BLOCK).zip(now.chunks(BLOCK)) {
        put_counter_block(out, before, now);
    }
    drop_if_idle(out, begin);
}

#[inline]
fn put_counter_block(out: &mut Vec<u8>, before: &[u64], now: &[u64]) {
    let mut grown = [0; BLOCK];
    let mut mask = 0;
    for (place, (grown, (before, now))) in grown.iter_mut().zip(before.iter().zip(now)).enumerate() {
        *grown = now.wrapping_sub(*before);
        mask |= u64::from(*grown != 0) << place;
    }
    put_mask(out, mask);
    put_varints(out, mask, &grown);
}

/// The numbers at the mask's places as LEB128. Up to two bytes, which most are, take no branch.
#[inline]
fn put_varints(out: &mut Vec<u8>, mask: u64, values: &[u64; BLOCK]) {
    let begin = out.len();
    let most = mask.count_ones() as usize * VARINT_MAX + 1;
    out.resize(begin + most, 0);
    let room = &mut out[begin..];
    let mut at = 0;
    for place in places(mask) {
        at += write_varint(room, at, values[place % BLOCK]);
    }
    out.truncate(begin + at);
}

/// Lets the counters grow by what was written.
pub(super) fn read_counters(from: &mut Reader<'_>, counters: &mut [u64]) -> Result<(), FrameError> {
    for block in counters.chunks_mut(BLOCK) {
        let mask = checked_mask(from, block.len(), "counters")?;
        read_varints(from, mask, block)?;
    }
    from.finish("counters")
}

#[inline]
fn read_varints(from: &mut Reader<'_>, mask: u64, block: &mut [u64]) -> Result<(), FrameError> {
    let bytes = from.rest();
    let mut at = 0;
    for place in places(mask) {
        let (grown, length) = read_short(bytes, at).ok_or(FrameError::new("counters", Reason::CutOff))?;
        at += length;
        if let Some(counter) = block.get_mut(place) {
            *counter = counter.wrapping_add(grown);
        }
    }
    from.skip(at);
    Ok(())
}

/// One or two bytes without a branch between them; more, and the last byte of all, the longer way.
#[inline]
fn read_short(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    match bytes.get(at..at + 2) {
        Some(&[low, high]) if low & high & 0x80 == 0 => {
            let (low, high) = (u64::from(low), u64::from(high));
            let is_long = low >> 7;
            Some((low & 0x7F | high << 7 & is_long.wrapping_neg(), 1 + is_long as usize))
        }
        _ => read_varint(bytes.get(at..)?),
    }
}

/// Writes the gauges that differ from `before`, bit for bit. Both are of one length.
pub(super) fn put_gauges(out: &mut Vec<u8>, before: &[f64], now: &[f64]) {
    let begin = out.len();
    for (before, now) in before.chunks(BLOCK).zip(now.chunks(BLOCK)) {
        let differs =
            |(place, (before, now)): (usize, (&f64, &f64))| u64::from(before.to_bits() != now.to_bits()) << place;
        let mask = before.iter().zip(now).enumerate().map(differs).fold(0, |mask, bit| mask | bit);
        put_mask(out, mask);
        put_floats(out, mask, before, now);
    }
    drop_if_idle(out, begin);
}

/// The floats at the mask's places.
#[inline]
fn put_floats(out: &mut Vec<u8>, mask: u64, before: &[f64], now: &[f64]) {
    let begin = out.len();
    out.resize(begin + mask.count_ones() as usize * FLOAT_MAX, 0);
    let mut at = begin;
    for (before, now) in places(mask).filter_map(|place| before.get(place).zip(now.get(place))) {
        let room = out.get_mut(at..).and_then(|room| room.first_chunk_mut());
        at += room.map_or(0, |room| write_float(room, *before, *now));
    }
    out.truncate(at);
}

/// Moves the gauges to what was written.
pub(super) fn read_gauges(from: &mut Reader<'_>, gauges: &mut [f64]) -> Result<(), FrameError> {
    for block in gauges.chunks_mut(BLOCK) {
        for place in places(checked_mask(from, block.len(), "gauges")?) {
            if let Some(gauge) = block.get_mut(place) {
                *gauge = read_float(from, *gauge, "gauges")?;
            }
        }
    }
    from.finish("gauges")
}

/// A mask whose bits all have a slot.
fn checked_mask(from: &mut Reader<'_>, slots: usize, field: &'static str) -> Result<u64, FrameError> {
    let mask = read_mask(from, field)?;
    let is_within = slots >= BLOCK || mask >> slots == 0;
    if is_within { Ok(mask) } else { Err(FrameError::new(field, Reason::OutOfRange)) }
}

/// Where nothing changed nothing is written, so that the section is left out.
fn drop_if_idle(out: &mut Vec<u8>, begin: usize) {
    if out[begin..].iter().all(|byte| *byte == 0) {
        out.truncate(begin);
    }
}

const _: () = assert!(MASK_MAX == 1 + BLOCK / 8);

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn counted(before: &[u64], now: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        put_counters(&mut out, before, now);
        let mut read = before.to_vec();
        if !out.is_empty() {
            read_counters(&mut Reader::new(&out), &mut read).unwrap();
        }
        assert_eq!(read, now);
        out
    }

    #[test]
    fn counters_of_every_size_come_back() {
        let now: Vec<u64> = (0..200).map(|place| if place % 3 == 0 { 0 } else { 1 << (place % 64) }).collect();
        counted(&vec![0; 200], &now);
        counted(&now, &vec![u64::MAX; 200]);
        assert!(counted(&now, &now).is_empty());
    }

    #[test]
    fn a_block_in_which_nothing_changed_is_one_byte() {
        let mut now = vec![7; 129];
        now[128] += 5;
        assert_eq!(counted(&vec![7; 129], &now), [0, 0, 1, 1, 5]);
    }

    #[test]
    fn a_bit_without_a_slot_is_refused() {
        let error = read_counters(&mut Reader::new(&[1, 2, 5]), &mut [0]).unwrap_err();
        assert_eq!((error.field, error.reason), ("counters", Reason::OutOfRange));
        let error = read_gauges(&mut Reader::new(&[1]), &mut [0.0]).unwrap_err();
        assert_eq!((error.field, error.reason), ("gauges", Reason::CutOff));
    }

    #[test]
    fn gauges_come_back() {
        let now: Vec<f64> = (0..100).map(|place| f64::from(place) / 7.0).collect();
        let mut out = Vec::new();
        put_gauges(&mut out, &[0.0; 100], &now);
        let mut read = vec![0.0; 100];
        read_gauges(&mut Reader::new(&out), &mut read).unwrap();
        assert_eq!(read, now);
    }
}
