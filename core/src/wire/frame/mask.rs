//! Which slots changed: 64 at a time, with what changed of them right behind.
//!
//! A block of 64 slots begins with a byte that says which of the eight bytes of its mask are not zero;
//! those bytes follow, lowest first. Bit `i` of the mask is slot `i` of the block. A block in which
//! nothing changed is one zero byte.

use alloc::vec::Vec;

use super::FrameError;
use super::codec::Reader;

/// Slots of a block.
pub(super) const BLOCK: usize = 64;
/// Bytes that a mask takes at most.
pub(super) const MASK_MAX: usize = 9;

pub(super) fn put_mask(out: &mut Vec<u8>, mask: u64) {
    let place = out.len();
    out.push(0);
    for (index, byte) in mask.to_le_bytes().into_iter().enumerate().filter(|(_, byte)| *byte != 0) {
        out[place] |= 1 << index;
        out.push(byte);
    }
}

#[inline]
pub(super) fn read_mask(from: &mut Reader<'_>, field: &'static str) -> Result<u64, FrameError> {
    let mut present = from.byte(field)?;
    let mut mask = 0;
    while present != 0 {
        let place = present.trailing_zeros();
        mask |= u64::from(from.byte(field)?) << (8 * place);
        present &= present - 1;
    }
    Ok(mask)
}

/// The places of the bits that are set, ascending.
#[inline]
pub(super) fn places(mut mask: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let place = (mask != 0).then(|| mask.trailing_zeros() as usize)?;
        mask &= mask - 1;
        Some(place)
    })
}
