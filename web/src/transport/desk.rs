use tachograph_core::time::Moment;
use tachograph_core::wire::frame::{FrameError, Reason, Record};

use super::Feed;

/// Bytes of a recording that are read at once.
pub const PIECE_BYTES: usize = 256 << 10;
/// A record of a recording is never longer.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// What lies before the reader: the live stream, and a recording on top of it while one is open. The
/// stream goes on below.
#[derive(Debug, Default)]
pub struct Desk {
    live: Feed,
    file: Option<Recording>,
}

/// A recording that was opened.
#[derive(Debug, Default)]
pub struct Recording {
    name: String,
    feed: Feed,
    /// What is not a whole record yet.
    rest: Vec<u8>,
    bytes: usize,
    fault: Option<FrameError>,
}

impl Desk {
    /// The live stream.
    pub fn live(&self) -> &Feed {
        &self.live
    }

    /// The live stream.
    pub fn live_mut(&mut self) -> &mut Feed {
        &mut self.live
    }

    /// The recording that is open.
    pub fn file(&self) -> Option<&Recording> {
        self.file.as_ref()
    }

    /// What is shown.
    pub fn shown(&self) -> &Feed {
        self.file.as_ref().map_or(&self.live, |file| &file.feed)
    }

    /// What is shown.
    pub fn shown_mut(&mut self) -> &mut Feed {
        self.file.as_mut().map_or(&mut self.live, |file| &mut file.feed)
    }

    /// Opens a recording; its bytes follow.
    pub fn open(&mut self, name: &str) {
        self.file = Some(Recording { name: name.into(), ..Recording::default() });
    }

    /// Takes the next bytes of the recording. Returns whether more can be taken.
    pub fn read(&mut self, bytes: &[u8]) -> bool {
        self.file.as_mut().is_some_and(|file| file.read(bytes))
    }

    /// The recording was read to its end.
    pub fn end(&mut self) {
        self.file.iter_mut().for_each(Recording::end);
    }

    /// Goes back to the live stream.
    pub fn close(&mut self) {
        self.file = None;
    }
}

impl Recording {
    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes that were read.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Why the rest of it cannot be read.
    pub fn fault(&self) -> Option<FrameError> {
        self.fault
    }

    fn read(&mut self, bytes: &[u8]) -> bool {
        if self.fault.is_some() {
            return false;
        }
        self.bytes += bytes.len();
        self.rest.extend_from_slice(bytes);
        let whole = whole_records(&self.rest);
        let taken = self.feed.take(&self.rest[..whole], Moment::default());
        self.rest.drain(..whole);
        self.fault = taken.err();
        // What has no end in sight is no record.
        if self.rest.len() > RECORD_BYTES_MAX {
            self.fault.get_or_insert_with(cut_off);
        }
        self.fault.is_none()
    }

    fn end(&mut self) {
        if !self.rest.is_empty() || self.feed.store().frames() == 0 {
            self.fault.get_or_insert_with(cut_off);
        }
        self.rest = Vec::new();
    }
}

fn cut_off() -> FrameError {
    FrameError { field: "record", reason: Reason::CutOff }
}

fn whole_records(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some((_, length)) = Record::split(&bytes[end..]) {
        end += length;
    }
    end
}
