//! Histograms: the buckets that grew, and the sum.
//!
//! What changed is a byte of flags and the parts they name: zeros, positive buckets, negative ones,
//! counts between bounds, and the sum. `ANEW` says that the histogram begins at nothing: buckets never
//! shrink but where their source is another one.

use alloc::vec::Vec;

use super::codec::{Reader, put_signed, put_varint};
use super::float::{put_float, read_float};
use super::{FrameError, Reason};
use crate::snapshot::{Buckets, ExactSum, HistogramSnapshot};

const ZERO: u8 = 1;
const POSITIVE: u8 = 1 << 1;
const NEGATIVE: u8 = 1 << 2;
const BETWEEN_BOUNDS: u8 = 1 << 3;
const SUM: u8 = 1 << 4;
const ANEW: u8 = 1 << 5;
/// More than any float's bucket at the finest scale is numbered.
const INDEX_MAX: u32 = 1 << 17;

/// Writes what a histogram counted since `before`. Returns whether it counted anything.
pub(super) fn put_histogram(out: &mut Vec<u8>, before: &HistogramSnapshot, now: &HistogramSnapshot) -> bool {
    let begin = out.len();
    out.push(0);
    if put_parts(out, begin, before, now).is_none() {
        out.truncate(begin);
        out.push(ANEW);
        // Everything grew since nothing.
        let _always_grown = put_parts(out, begin, &HistogramSnapshot::empty(now.scale(), now.bounds()), now);
    }
    out[begin] != 0
}

/// None if something shrank.
fn put_parts(out: &mut Vec<u8>, flags: usize, before: &HistogramSnapshot, now: &HistogramSnapshot) -> Option<()> {
    let zeros = now.zero().checked_sub(before.zero())?;
    if zeros > 0 {
        out[flags] |= ZERO;
        put_varint(out, zeros);
    }
    for (flag, before, now) in
        [(POSITIVE, before.positive(), now.positive()), (NEGATIVE, before.negative(), now.negative())]
    {
        if before != now {
            out[flags] |= flag;
            put_buckets(out, before, now)?;
        }
    }
    if before.buckets() != now.buckets() {
        out[flags] |= BETWEEN_BOUNDS;
        for (before, now) in before.buckets().iter().zip(now.buckets()) {
            put_varint(out, now.checked_sub(*before)?);
        }
    }
    if before.sum().to_bits() != now.sum().to_bits() {
        out[flags] |= SUM;
        put_float(out, before.sum(), now.sum());
    }
    Some(())
}

/// Writes the buckets that grew; None if one shrank.
fn put_buckets(out: &mut Vec<u8>, before: &[(i32, u64)], now: &[(i32, u64)]) -> Option<()> {
    let pairs = before.iter().zip(now);
    let same = before.len() == now.len() && pairs.clone().all(|(before, now)| before.0 == now.0);
    if !same {
        return put_grown(out, grown(before, now));
    }
    let grown = pairs.filter(|(before, now)| before.1 != now.1);
    put_grown(out, grown.map(|(before, now)| Some((now.0, now.1.checked_sub(before.1)?))))
}

/// How many buckets grew, then of each how far it is from the one before and by how much it grew.
fn put_grown(out: &mut Vec<u8>, grown: impl Iterator<Item = Option<(i32, u64)>> + Clone) -> Option<()> {
    let count = grown.clone().try_fold(0, |count, bucket| bucket.map(|_| count + 1))?;
    put_varint(out, count);
    let mut last = 0;
    for (index, growth) in grown.flatten() {
        put_signed(out, i64::from(index) - i64::from(last));
        put_varint(out, growth);
        last = index;
    }
    Some(())
}

/// The buckets that grew; None in place of one that shrank.
fn grown<'a>(before: &'a [(i32, u64)], now: &'a [(i32, u64)]) -> impl Iterator<Item = Option<(i32, u64)>> + Clone + 'a {
    let mut before = before.iter().peekable();
    let mut now = now.iter();
    core::iter::from_fn(move || {
        for (index, count) in now.by_ref() {
            let was = match before.peek() {
                Some((held, _)) if held < index => return Some(None),
                Some((held, was)) if held == index => {
                    before.next();
                    *was
                }
                _ => 0,
            };
            match count.checked_sub(was) {
                Some(0) => {}
                growth => return Some(growth.map(|growth| (*index, growth))),
            }
        }
        before.next().map(|_| None)
    })
}

/// Lets a histogram grow by what was written.
pub(super) fn read_histogram(from: &mut Reader<'_>, histogram: &mut HistogramSnapshot) -> Result<(), FrameError> {
    let flags = from.byte("histogram.flags")?;
    if flags & ANEW != 0 {
        *histogram = HistogramSnapshot::empty(histogram.scale(), histogram.bounds());
    }
    let sum = histogram.sum();
    let parts = histogram.parts();
    if flags & ZERO != 0 {
        *parts.zero = parts.zero.wrapping_add(from.varint("histogram.zero")?);
    }
    for (flag, buckets) in [(POSITIVE, parts.positive), (NEGATIVE, parts.negative)] {
        if flags & flag != 0 {
            read_buckets(from, buckets)?;
        }
    }
    if flags & BETWEEN_BOUNDS != 0 {
        for bucket in parts.buckets {
            *bucket = bucket.wrapping_add(from.varint("histogram.bounds")?);
        }
    }
    if flags & SUM != 0 {
        *parts.sum = ExactSum::from(read_float(from, sum, "histogram.sum")?);
    }
    Ok(())
}

/// Takes on buckets in the order of their numbers.
fn read_buckets(from: &mut Reader<'_>, buckets: &mut Buckets) -> Result<(), FrameError> {
    let wrong = |field| FrameError::new(field, Reason::OutOfRange);
    let mut growing = buckets.grow();
    let mut last = None;
    for _ in 0..from.size("histogram.buckets")? {
        let step = i32::try_from(from.signed("histogram.bucket")?).ok();
        let index = step.and_then(|step| last.unwrap_or(0_i32).checked_add(step));
        let index = index.filter(|index| index.unsigned_abs() <= INDEX_MAX && last.is_none_or(|last| last < *index));
        let index = index.ok_or(wrong("histogram.bucket"))?;
        let growth = from.varint("histogram.count")?;
        if growth == 0 {
            return Err(wrong("histogram.count"));
        }
        growing.add(index, growth);
        last = Some(index);
    }
    Ok(())
}
