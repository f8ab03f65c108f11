use super::{DecodeError, ErrorCode, SourceName};

/// Samples a second of the only format spoken: PCM16LE, mono.
pub const SAMPLE_RATE: u32 = 16_000;
/// Bytes of PCM a second of audio takes.
pub const PCM_BYTES_PER_SECOND: usize = 32_000;
/// A frame is split into queued pieces no longer than 100 ms.
pub const PIECE_BYTES_MAX: usize = PCM_BYTES_PER_SECOND / 10;

/// The source "system".
pub const SYSTEM: SourceName = SourceName::from_valid("system");
/// The source "mic".
pub const MIC: SourceName = SourceName::from_valid("mic");

const MAGIC: &[u8; 2] = b"EP";
const VERSION: u8 = 1;
const LENGTH: usize = 4;

/// What precedes the PCM in a binary frame: `"EP"`, version 1, and the source's byte.
///
/// ```
/// use tachograph_core::wire::{AudioHeader, MIC, SYSTEM};
///
/// let with_header = AudioHeader::decode(b"EP\x01\x01\x00\x00")?;
/// assert_eq!((with_header.source, with_header.length), (MIC, 4));
/// let bare = AudioHeader::decode(&[0, 0, 1, 0])?;
/// assert_eq!((bare.source, bare.length), (SYSTEM, 0));
/// assert!(AudioHeader::decode(b"EP\x02\x01\x00\x00").is_err());
/// # Ok::<(), tachograph_core::wire::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioHeader {
    /// Where the audio comes from.
    pub source: SourceName,
    /// Bytes before the PCM: 4, or 0 when the frame is bare PCM.
    pub length: usize,
}

impl AudioHeader {
    /// Reads the header of a binary frame; a frame that does not begin with "EP" has none and is
    /// of source "system".
    ///
    /// # Errors
    /// `invalid_audio` for a header that is cut off, or of another version or source byte.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        if !frame.starts_with(MAGIC) {
            return Ok(Self { source: SYSTEM, length: 0 });
        }
        let source = match frame.get(2..LENGTH) {
            Some([VERSION, 0]) => SYSTEM,
            Some([VERSION, 1]) => MIC,
            Some([VERSION, _]) => return Err(invalid("the source byte must be 0 (system) or 1 (mic)")),
            Some(_) => return Err(invalid("the header's version must be 1")),
            None => return Err(invalid("the frame ends within its header")),
        };
        Ok(Self { source, length: LENGTH })
    }
}

/// The header for audio of `source`, if that source has a byte.
///
/// ```
/// use tachograph_core::wire::{AudioHeader, MIC, encode_audio_header};
///
/// let header = encode_audio_header(MIC).ok_or("only system and mic have a byte")?;
/// assert_eq!(AudioHeader::decode(&header)?, AudioHeader { source: MIC, length: header.len() });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn encode_audio_header(source: SourceName) -> Option<[u8; LENGTH]> {
    let byte = [SYSTEM, MIC].iter().position(|known| *known == source)?;
    Some([MAGIC[0], MAGIC[1], VERSION, byte as u8])
}

/// Checks that `pcm` is at least one sample, and whole samples.
///
/// # Errors
/// `invalid_audio`.
///
/// ```
/// use tachograph_core::wire::{ErrorCode, check_pcm};
///
/// assert!(check_pcm(&[0; 320]).is_ok());
/// assert!(check_pcm(&[0; 3]).is_err_and(|error| error.code == ErrorCode::InvalidAudio));
/// ```
pub fn check_pcm(pcm: &[u8]) -> Result<(), DecodeError> {
    match pcm.len() {
        0 => Err(invalid("the frame holds no audio")),
        length if length % 2 == 1 => Err(invalid("PCM16LE is two bytes a sample; this frame has an odd length")),
        _ => Ok(()),
    }
}

pub(super) fn invalid(message: &'static str) -> DecodeError {
    DecodeError::new(ErrorCode::InvalidAudio, message)
}
