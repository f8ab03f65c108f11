use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Compresses an answer while it is written, in the memory of a piece: what came out is taken after each.
#[derive(Debug)]
pub(super) struct Gzip(GzEncoder<Vec<u8>>);

impl Gzip {
    pub(super) fn new() -> Self {
        // The fastest: it works in a thread that serves others too.
        Self(GzEncoder::new(Vec::new(), Compression::fast()))
    }

    /// What can be sent of it; little or nothing as long as the next piece may still be part of it.
    pub(super) fn add(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        self.0.write_all(piece)?;
        Ok(std::mem::take(self.0.get_mut()).into())
    }

    /// The rest of it.
    pub(super) fn end(self) -> io::Result<Bytes> {
        self.0.finish().map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// Bytes that cannot be compressed.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn what_was_compressed_is_the_same_again_and_no_more_is_held_than_a_few_pieces() {
        const PIECE: usize = 64 * 1_024;
        let sent = [noise(20 * PIECE), vec![7; 20 * PIECE], noise(1)].concat();
        let (mut gzip, mut out) = (Gzip::new(), Vec::new());
        for (number, piece) in (1..).zip(sent.chunks(PIECE)) {
            out.extend(gzip.add(piece).unwrap());
            assert!(number > 20 || out.len() + 3 * PIECE > number * PIECE, "{number}: {}", out.len());
        }
        out.extend(gzip.end().unwrap());
        assert!(out.len() < 21 * PIECE, "{}", out.len());
        let mut read = Vec::new();
        GzDecoder::new(&*out).read_to_end(&mut read).unwrap();
        assert!(read == sent);
    }
}
