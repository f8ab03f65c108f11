use std::io;

use bytes::Bytes;
use serde::Serialize;
use tachograph_core::wire::frame::{
    Applied, Decoder, Epoch, Extent, Filter, FrameError, Head, Record, RecordKind, Sieve,
};

const SERVER_VERSION: &str = env!("CARGO_PKG_VERSION");

/// How a stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// As frames.
    Binary,
    /// As lines of JSON, each of which says all.
    Plain,
}

/// Writes the server's stream in another form, or less of it.
#[derive(Debug)]
pub(crate) struct Writer {
    epoch: Epoch,
    form: Form,
    sieve: Option<Sieve>,
    /// For lines, which say all: what the stream has said until now.
    decoder: Decoder,
    /// The newest frame, sifted.
    sifted: Vec<u8>,
    newest_is_keyframe: bool,
    /// How much of the schema was told.
    described: Option<Extent>,
}

/// A frame in the wanted form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) frame: Bytes,
    /// Whether a reader can begin with it.
    pub(crate) is_self_contained: bool,
}

/// Why nothing more can be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("a frame of the server's own cannot be read: {0}")]
    Frame(#[from] FrameError),
    #[error("a frame cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("writing it failed")]
    Failed,
}

impl Writer {
    pub(crate) fn new(form: Form, filter: &Filter, epoch: Epoch) -> Self {
        let sieve = (!filter.is_everything()).then(|| Sieve::new(filter.clone()));
        Self {
            epoch,
            form,
            sieve,
            decoder: Decoder::default(),
            sifted: Vec::new(),
            newest_is_keyframe: false,
            described: None,
        }
    }

    /// Takes a record of the stream; returns when the frame is of, if it is one.
    pub(crate) fn take(&mut self, record: &Record<'_>) -> Result<Option<Head>, WriteError> {
        let applied = match &mut self.sieve {
            None => self.decoder.apply(record)?,
            Some(sieve) => {
                self.sifted.clear();
                let applied = sieve.take(record, &mut self.sifted)?;
                if self.form == Form::Plain {
                    self.decoder.decode(&self.sifted)?;
                }
                self.newest_is_keyframe = record.kind == RecordKind::Keyframe;
                applied
            }
        };
        Ok((applied == Applied::Frame).then(|| self.head()))
    }

    fn head(&mut self) -> Head {
        match &mut self.sieve {
            None => self.decoder.state().head(),
            Some(sieve) => sieve.encoder().state().head(),
        }
    }

    /// The newest frame in the wanted form.
    pub(crate) fn written(&self) -> Result<Written, WriteError> {
        match self.form {
            Form::Binary => {
                let frame = Bytes::copy_from_slice(&self.sifted);
                Ok(Written { frame, is_self_contained: self.newest_is_keyframe })
            }
            Form::Plain => {
                let plain = self.decoder.state().to_plain(self.epoch, SERVER_VERSION);
                let mut line = serde_json::to_vec(&plain)?;
                line.push(b'\n');
                // It is kept for a while, and what it does not use would be, too.
                line.shrink_to_fit();
                Ok(Written { frame: line.into(), is_self_contained: true })
            }
        }
    }

    /// The newest frame for a reader that begins with it; of lines, each is one.
    pub(crate) fn keyframe(&mut self) -> Option<Bytes> {
        let sieve = self.sieve.as_mut().filter(|_| self.form == Form::Binary)?;
        let mut keyframe = Vec::new();
        sieve.encoder().write_keyframe(&mut keyframe);
        Some(keyframe.into())
    }

    /// The whole schema, where the newest frame described something new; of lines there is none.
    pub(crate) fn new_schema(&mut self) -> Option<Bytes> {
        let sieve = self.sieve.as_mut().filter(|_| self.form == Form::Binary)?;
        let extent = sieve.encoder().state().extent();
        (self.described.replace(extent) != Some(extent)).then(|| Self::schema_of(sieve).into())
    }

    fn schema_of(sieve: &mut Sieve) -> Vec<u8> {
        let mut schema = Vec::new();
        sieve.encoder().write_schema(&mut schema);
        schema
    }
}

/// The line that tells of frames which a reader of lines did not get.
pub(crate) fn gap_line(reason: &'static str, frames: Option<u64>) -> io::Result<Bytes> {
    #[derive(Serialize)]
    struct Gap {
        reason: &'static str,
        frames: Option<u64>,
    }
    #[derive(Serialize)]
    struct Line {
        gap: Gap,
    }
    let mut line = serde_json::to_vec(&Line { gap: Gap { reason, frames } })?;
    line.push(b'\n');
    Ok(line.into())
}
