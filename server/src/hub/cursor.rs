use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tachograph_core::wire::frame::{Epoch, Outcome, Record, Request, write_skipped};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::channel::{BATCH_BYTES_MAX, Batch, Begin, Channel, KeyframesWanted, Origin, Read};
use super::form::{Form, WriteError, Writer};
use super::relay::Wanted;

/// Frames that are written anew at once, and bytes of them.
const PIECE_FRAMES_MAX: usize = 256;
const PIECE_BYTES_MAX: usize = 64 * 1024;
/// What writes the past anew holds all that the stream said until there: whoever reads it a little at a time has it no
/// longer than this, and skips the rest.
const FILL_MAX: Duration = Duration::from_secs(600);

/// A reader's place in a stream. What it holds does not grow with what it has not read.
#[derive(Debug)]
pub(crate) struct Cursor {
    channel: Arc<Channel>,
    newest: watch::Receiver<u64>,
    /// What comes before the next frame.
    opening: VecDeque<Bytes>,
    /// The past, while it is written as this reader wants it.
    fill: Option<Fill>,
    /// The next frame.
    next: u64,
    /// Frames up to this one are owed.
    owed: u64,
    /// How many were, when they were owed.
    granted: u64,
    keyframes: KeyframesWanted,
    /// It is at none of the frames until a keyframe comes.
    awaits_keyframe: bool,
    /// Frames that it did not get before what is in the opening.
    skipped: u64,
    form: Form,
    outcome: Outcome,
}

impl Cursor {
    /// A reader of the whole stream.
    pub(crate) fn open(channel: &Arc<Channel>, epoch: Epoch, request: Request, keyframes: KeyframesWanted) -> Self {
        let newest = channel.subscribe();
        channel.with_history(|history| {
            let begin = Begin::answer(request, epoch, history, Origin::AsItIs);
            let keyframe = history.keyframe_for(begin.seq).filter(|_| begin.needs_keyframe);
            let first = keyframe.map_or(begin.seq, |entry| entry.seq);
            let mut hello = Vec::new();
            begin.hello(epoch, first).write(&mut hello);
            let mut opening = VecDeque::from([Bytes::from(hello)]);
            if let Some(keyframe) = keyframe.and_then(|entry| entry.keyframe.clone()) {
                opening.extend([history.schema(), keyframe]);
            }
            let owed = history.newest().map_or(0, |entry| entry.seq);
            let awaits_keyframe = begin.needs_keyframe && keyframe.is_none();
            let next = if awaits_keyframe { owed + 1 } else { first + u64::from(keyframe.is_some()) };
            let granted = owed.saturating_sub(next);
            let (channel, form, outcome) = (Arc::clone(channel), Form::Binary, begin.outcome);
            let (fill, skipped) = (None, 0);
            Self {
                channel,
                newest,
                opening,
                fill,
                next,
                owed,
                granted,
                keyframes,
                awaits_keyframe,
                skipped,
                form,
                outcome,
            }
        })
    }

    /// A reader of part of the stream, or of another form of it: its past is written anew from the whole
    /// stream's, and goes on with what the relay writes.
    pub(crate) fn open_relayed(
        whole: &Arc<Channel>,
        relay: Arc<Channel>,
        epoch: Epoch,
        request: Request,
        wanted: &Wanted,
    ) -> Self {
        let newest = relay.subscribe();
        let writer = Writer::new(wanted.form, &wanted.filter, epoch);
        let fill = Fill::new(Arc::clone(whole), writer, epoch, request, wanted.form);
        let (next, owed, outcome) = (fill.next, fill.until, fill.begin.outcome);
        Self {
            channel: relay,
            newest,
            opening: VecDeque::new(),
            fill: Some(fill),
            next,
            owed,
            granted: owed.saturating_sub(next),
            keyframes: KeyframesWanted::Needed,
            awaits_keyframe: false,
            skipped: 0,
            form: wanted.form,
            outcome,
        }
    }

    /// How the stream answers what was asked for.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What comes next, once it is there; none once the stream ended. Nothing is lost where the caller stops
    /// waiting.
    pub(crate) async fn next(&mut self) -> Option<Batch> {
        loop {
            if let Some(bytes) = self.next_of_opening() {
                let skipped = std::mem::take(&mut self.skipped);
                return Some(Batch { bytes, first_seq: self.next.saturating_sub(1), skipped });
            }
            if let Some(fill) = &mut self.fill {
                match fill.next().await {
                    Some(batch) => return Some(batch),
                    None => self.end_fill(),
                }
                continue;
            }
            match self.read() {
                Read::Frames { batch, keyframe, next } => {
                    self.next = next;
                    self.opening.extend(keyframe);
                    return Some(batch);
                }
                Read::Skip { skipped, schema, keyframe, next } => self.skip(skipped, schema, keyframe, next),
                Read::Nothing if self.channel.is_closed() => return None,
                Read::Nothing => self.newest.changed().await.ok()?,
            }
        }
    }

    fn read(&mut self) -> Read {
        if self.awaits_keyframe {
            return self.channel.read_keyframe(self.next);
        }
        self.owe_more();
        self.channel.read(self.next, self.owed, self.keyframes)
    }

    /// What came while a reader took in its past is owed, too, if it is at most half of that: it catches up.
    fn owe_more(&mut self) {
        let newest = *self.newest.borrow();
        let behind = newest.saturating_sub(self.next);
        if self.next > self.owed && behind > 0 && behind <= self.granted / 2 {
            (self.owed, self.granted) = (newest, behind);
        }
    }

    /// Goes on with a keyframe.
    fn skip(&mut self, skipped: u64, schema: Option<Bytes>, keyframe: Bytes, next: u64) {
        if self.form == Form::Binary {
            let mut told = Vec::new();
            write_skipped(skipped, &mut told);
            let told = (skipped > 0).then_some(Bytes::from(told));
            self.opening.extend(told.into_iter().chain(schema));
        }
        self.opening.push_back(keyframe);
        (self.next, self.skipped, self.awaits_keyframe) = (next, skipped, false);
    }

    /// Whole records, as many as make a message; a line by itself.
    fn next_of_opening(&mut self) -> Option<Bytes> {
        let is_records = self.form == Form::Binary;
        let part = self.opening.front_mut()?;
        let mut length = 0;
        while is_records
            && let Some((_, more)) = part.get(length..).and_then(Record::split)
            && (length == 0 || length + more <= BATCH_BYTES_MAX)
        {
            length += more;
        }
        let message = if length == 0 { std::mem::take(part) } else { part.split_to(length) };
        if part.is_empty() {
            self.opening.pop_front();
        }
        if self.opening.is_empty() {
            self.opening = VecDeque::new();
        }
        Some(message)
    }

    fn end_fill(&mut self) {
        if let Some(fill) = self.fill.take() {
            self.next = fill.next;
        }
    }
}

/// The past as a reader wants it, written piece by piece as it is read.
#[derive(Debug)]
struct Fill {
    whole: Arc<Channel>,
    begin: Begin,
    epoch: Epoch,
    form: Form,
    /// None while a piece is written.
    writer: Option<Writer>,
    working: Option<JoinHandle<Option<Piece>>>,
    /// The next frame of the whole stream.
    next: u64,
    /// The last one that is of the past: the relay has those after it.
    until: u64,
    has_begun: bool,
    ends_at: Instant,
}

/// Frames of the whole stream.
struct Source {
    /// Schema and keyframe, where the writer has none.
    head: Vec<Bytes>,
    frames: Vec<Bytes>,
    /// The first frame's number.
    first: u64,
}

/// Some of the past, written.
#[derive(Debug)]
struct Piece {
    writer: Writer,
    batch: Batch,
    /// The next frame.
    next: u64,
}

impl Fill {
    fn new(whole: Arc<Channel>, writer: Writer, epoch: Epoch, request: Request, form: Form) -> Self {
        let (begin, until) = whole.with_history(|history| {
            let newest = history.newest().map_or(0, |entry| entry.seq);
            (Begin::answer(request, epoch, history, Origin::WrittenAnew), newest)
        });
        let (next, writer, ends_at) = (begin.seq, Some(writer), Instant::now() + FILL_MAX);
        Self { whole, begin, epoch, form, writer, working: None, next, until, has_begun: false, ends_at }
    }

    /// None once nothing of the past is left, or it was read for too long.
    async fn next(&mut self) -> Option<Batch> {
        while Instant::now() < self.ends_at {
            if self.working.is_none() {
                self.working = Some(self.work()?);
            }
            let piece = self.working.as_mut()?.await;
            self.working = None;
            let Piece { writer, batch, next } = piece.ok()??;
            (self.writer, self.next) = (Some(writer), next);
            if !batch.bytes.is_empty() {
                return Some(batch);
            }
        }
        None
    }

    fn work(&mut self) -> Option<JoinHandle<Option<Piece>>> {
        let has_begun = std::mem::replace(&mut self.has_begun, true);
        let source = self.source(has_begun)?;
        let (writer, begin, epoch, form) = (self.writer.take()?, self.begin, self.epoch, self.form);
        Some(spawn_blocking(move || {
            let hello = (!has_begun && form == Form::Binary).then(|| {
                let first =
                    if begin.needs_keyframe { source.first - source.head.len().min(1) as u64 } else { begin.seq };
                begin.hello(epoch, first)
            });
            let mut bytes = Vec::new();
            hello.iter().for_each(|hello| hello.write(&mut bytes));
            write_piece(writer, &source, begin, form, bytes)
        }))
    }

    /// The next frames of the whole stream; at first from the keyframe before them on.
    fn source(&self, has_begun: bool) -> Option<Source> {
        self.whole.with_history(|history| {
            let keyframe = history.keyframe_for(self.begin.seq).filter(|_| !has_begun);
            let (first, head) = match keyframe.and_then(|entry| Some((entry.seq, entry.keyframe.clone()?))) {
                Some((seq, keyframe)) => (seq + 1, vec![history.schema(), keyframe]),
                None => (self.next, Vec::new()),
            };
            // What was let go meanwhile cannot be written any more.
            history.oldest().filter(|oldest| oldest.seq <= first)?;
            let frames = history.from(first).take_while(|entry| entry.seq <= self.until).take(PIECE_FRAMES_MAX);
            let frames: Vec<_> = frames.map(|entry| entry.frame.clone()).collect();
            let is_any = !(head.is_empty() && frames.is_empty());
            is_any.then_some(Source { head, frames, first })
        })
    }
}

/// None where the frames cannot be read, which is a bug.
fn write_piece(mut writer: Writer, source: &Source, begin: Begin, form: Form, mut bytes: Vec<u8>) -> Option<Piece> {
    // Readers of frames need the keyframe before those they asked for, and what is between.
    let wanted = if form == Form::Binary && begin.needs_keyframe { 0 } else { begin.seq };
    let (mut next, mut first_seq) = (source.first, None);
    for part in source.head.iter().chain(&source.frames) {
        let taken = take_part(&mut writer, part, wanted, &mut bytes);
        let taken = taken.inspect_err(|error| tracing::error!(%error, "the past cannot be written")).ok()?;
        if let Some(seq) = taken {
            next = seq + 1;
            first_seq = first_seq.or((seq >= wanted).then_some(seq));
        }
        if bytes.len() > PIECE_BYTES_MAX {
            break;
        }
    }
    let batch = Batch { bytes: bytes.into(), first_seq: first_seq.unwrap_or(next), skipped: 0 };
    Some(Piece { writer, batch, next })
}

/// Writes a frame of the past if it is wanted. Returns its number; none if it is no frame.
fn take_part(writer: &mut Writer, part: &[u8], wanted: u64, bytes: &mut Vec<u8>) -> Result<Option<u64>, WriteError> {
    let mut seq = None;
    for record in Record::all(part) {
        let Some(head) = writer.take(&record?)? else { continue };
        seq = Some(head.seq);
        if head.seq >= wanted {
            bytes.extend_from_slice(&writer.written()?.frame);
        }
    }
    Ok(seq)
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::super::{Subscription, keep_ticking, open};
    use super::*;
    use crate::Tachograph;

    #[tokio::test(start_paused = true)]
    async fn who_reads_the_past_for_too_long_skips_the_rest_of_it() {
        let tacho = Tachograph::new().unwrap();
        let app = &tacho.0;
        keep_ticking(app);
        sleep(Duration::from_secs(60)).await;
        let mut reader = open(app, &Subscription::parse("window=all").unwrap(), Form::Plain).unwrap();
        let first = reader.next().await.unwrap();
        assert_eq!((first.first_seq, first.skipped), (1, 0));
        sleep(FILL_MAX).await;
        let next = reader.next().await.unwrap();
        assert!(next.skipped > 500 && next.first_seq > 600, "{} skipped, on from {}", next.skipped, next.first_seq);
    }
}
