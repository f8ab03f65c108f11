//! How a field is written and read: both halves in one trait, and one reader that checks every bound.

use alloc::string::String;
use alloc::vec::Vec;

use super::{FrameError, Reason};

/// The longest LEB128 of 64 bits.
pub(super) const VARINT_MAX: usize = 10;
/// Bytes that a text can have; what writes cuts longer ones.
pub(super) const TEXT_BYTES_MAX: usize = 4_096;

/// A field by itself.
pub(super) trait Codec: Sized {
    fn write(&self, out: &mut Vec<u8>);

    fn read(from: &mut Reader<'_>, field: &'static str) -> Result<Self, FrameError>;
}

/// Bytes that are being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The rest, once so many bytes of it were read.
    pub(super) fn skip(&mut self, read: usize) {
        self.rest = self.rest.get(read..).unwrap_or_default();
    }

    /// Nothing may be left.
    pub(super) fn finish(&self, field: &'static str) -> Result<(), FrameError> {
        if self.rest.is_empty() { Ok(()) } else { Err(FrameError::new(field, Reason::Trailing)) }
    }

    pub(super) fn bytes(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], FrameError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(FrameError::new(field, Reason::CutOff))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FrameError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(FrameError::new(field, Reason::CutOff))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self, field: &'static str) -> Result<u8, FrameError> {
        Ok(self.array::<1>(field)?[0])
    }

    #[inline]
    pub(super) fn varint(&mut self, field: &'static str) -> Result<u64, FrameError> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => {
                let (value, length) = read_varint(self.rest).ok_or(FrameError::new(field, Reason::CutOff))?;
                self.skip(length);
                Ok(value)
            }
        }
    }

    pub(super) fn signed(&mut self, field: &'static str) -> Result<i64, FrameError> {
        self.varint(field).map(unzigzag)
    }

    /// A number that memory can be asked for in.
    pub(super) fn size(&mut self, field: &'static str) -> Result<usize, FrameError> {
        usize::try_from(self.varint(field)?).map_err(|_| FrameError::new(field, Reason::OutOfRange))
    }

    pub(super) fn small(&mut self, field: &'static str) -> Result<u32, FrameError> {
        u32::try_from(self.varint(field)?).map_err(|_| FrameError::new(field, Reason::OutOfRange))
    }

    /// Bytes behind their length.
    pub(super) fn block(&mut self, field: &'static str) -> Result<Reader<'a>, FrameError> {
        let length = self.size(field)?;
        self.bytes(length, field).map(Self::new)
    }

    /// A text without a copy.
    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a str, FrameError> {
        let bytes = self.block(field)?.rest;
        if bytes.len() > TEXT_BYTES_MAX {
            return Err(FrameError::new(field, Reason::OutOfRange));
        }
        core::str::from_utf8(bytes).map_err(|_| FrameError::new(field, Reason::NotUtf8))
    }
}

/// The number and its length; None where the bytes end before it does. What does not fit into 64 bits is
/// lost from the tenth byte.
pub(super) fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(VARINT_MAX).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * place);
        if *byte < 0x80 || place + 1 == VARINT_MAX {
            return Some((value, place + 1));
        }
    }
    None
}

/// What a reader refuses is not written.
pub(super) fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// LEB128.
#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// LEB128 into room that is there. Up to two bytes, which most are, take no branch. Returns its length.
#[inline]
pub(super) fn write_varint(room: &mut [u8], at: usize, value: u64) -> usize {
    if value < 1 << 14 {
        let is_long = u64::from(value >= 0x80);
        let bytes = value & 0x7F | is_long << 7 | value >> 7 << 8;
        if let Some(two) = room.get_mut(at..at + 2) {
            two.copy_from_slice(&(bytes as u16).to_le_bytes());
        }
        return 1 + is_long as usize;
    }
    write_long(room, at, value)
}

fn write_long(room: &mut [u8], at: usize, mut value: u64) -> usize {
    let mut length = 0;
    for byte in room.iter_mut().skip(at).take(VARINT_MAX) {
        length += 1;
        if value < 0x80 {
            *byte = value as u8;
            break;
        }
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    length
}

pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    put_varint(out, end as u64);
    out.extend_from_slice(&text.as_bytes()[..end]);
}

/// Writes bytes behind their length; nothing at all where there are none.
pub(super) fn put_section(out: &mut Vec<u8>, id: u8, body: &[u8]) {
    if !body.is_empty() {
        out.push(id);
        put_varint(out, body.len() as u64);
        out.extend_from_slice(body);
    }
}

/// Small numbers for numbers near zero.
#[inline]
pub(super) const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

#[inline]
pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

impl Codec for Option<String> {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(text) = self {
            put_text(out, text);
        }
    }

    fn read(from: &mut Reader<'_>, field: &'static str) -> Result<Self, FrameError> {
        match from.byte(field)? {
            0 => Ok(None),
            1 => Ok(Some(from.text(field)?.into())),
            _ => Err(FrameError::new(field, Reason::OutOfRange)),
        }
    }
}
