//! Long answers: piece by piece, no faster than they are read.

use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use crate::access::Admission;
use crate::app::App;
use crate::hub::WRITE_MAX;

/// Bytes that are sent at once, and pieces of them that wait to be sent.
pub(super) const PIECE_BYTES: usize = 64 * 1024;
const PIECES_WAITING: usize = 2;
/// Whoever reads an answer a little at a time keeps its place for so long at most.
const ANSWER_MAX: Duration = Duration::from_secs(600);

/// Where the pieces of an answer go. An answer whose pieces were not [ended](Self::end) is cut off, so that
/// nobody takes it for all there is.
#[derive(Debug)]
pub(super) struct Pieces {
    sender: mpsc::Sender<Piece>,
    until: Instant,
    admission: Admission,
}

#[derive(Debug)]
enum Piece {
    More(Bytes),
    End,
}

/// An answer's pieces, and the body that they become. There are no more once its reader may not read any more.
pub(super) fn pieces(admission: Admission) -> (Pieces, Body) {
    let (sender, waiting) = mpsc::channel(PIECES_WAITING);
    let pieces = Pieces { sender, until: Instant::now() + ANSWER_MAX, admission };
    (pieces, Body::from_stream(stream::unfold(Some(waiting), next)))
}

/// An answer that is written while it is read, for as long as the server runs; its place is free then, even
/// where nobody takes the end.
pub(super) fn written<W>(
    app: App,
    admission: Admission,
    place: OwnedSemaphorePermit,
    write: impl FnOnce(App, Pieces) -> W,
) -> Body
where
    W: Future<Output = io::Result<()>> + Send + 'static,
{
    let (pieces, body) = pieces(admission);
    let shutdown = app.shutdown.clone();
    let writing = write(app, pieces);
    tokio::spawn(async move {
        let _place = place;
        let written = tokio::select! {
            // What can be written at once still is.
            biased;
            written = writing => written,
            () = shutdown.cancelled() => Err(io::Error::other("the server is shutting down")),
        };
        if let Err(error) = written {
            tracing::debug!(%error, "an answer was not written to its end");
        }
    });
    body
}

type Waiting = mpsc::Receiver<Piece>;

async fn next(waiting: Option<Waiting>) -> Option<(io::Result<Bytes>, Option<Waiting>)> {
    let mut waiting = waiting?;
    match waiting.recv().await {
        Some(Piece::More(piece)) => Some((Ok(piece), Some(waiting))),
        Some(Piece::End) => None,
        None => Some((Err(io::Error::other("the answer was not written to its end")), None)),
    }
}

impl Pieces {
    /// Waits until there is room for it; whoever takes nothing for long must not keep the place of others.
    /// Nothing is not sent.
    pub(super) async fn send(&self, piece: Bytes) -> io::Result<()> {
        if piece.is_empty() { Ok(()) } else { self.put(Piece::More(piece)).await }
    }

    /// All was sent.
    pub(super) async fn end(self) -> io::Result<()> {
        self.put(Piece::End).await
    }

    async fn put(&self, piece: Piece) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        tokio::select! {
            biased;
            () = self.admission.revoked() => Err(io::Error::other("its reader is not let in any more")),
            sent = self.sender.send_timeout(piece, WRITE_MAX.min(left)) => {
                sent.map_err(|_| io::Error::other("it is not read any more"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use futures_util::StreamExt;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn pieces() -> (Pieces, Body) {
        super::pieces(Admission::default())
    }

    #[tokio::test]
    async fn an_answer_is_whole_or_cut_off() {
        let (whole, body) = pieces();
        whole.send("a".into()).await.unwrap();
        whole.end().await.unwrap();
        assert_eq!(to_bytes(body, 10).await.unwrap(), "a");
        let (broken, body) = pieces();
        broken.send("a".into()).await.unwrap();
        drop(broken);
        assert!(to_bytes(body, 10).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_let_in_any_more_gets_no_more() {
        let revoked = CancellationToken::new();
        let (answer, body) = super::pieces(Admission::until(revoked.clone()));
        for _ in 0..PIECES_WAITING {
            answer.send("a".into()).await.unwrap();
        }
        let (waited, ()) = tokio::join!(answer.send("b".into()), async { revoked.cancel() });
        let told = waited.unwrap_err().to_string();
        assert!(told.contains("not let in"), "{told}");
        assert!(answer.end().await.is_err(), "it is not taken for whole");
        assert!(to_bytes(body, 10).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_little_at_a_time_is_cut_off_in_the_end() {
        let (slow, body) = pieces();
        let mut body = body.into_data_stream();
        let reading = tokio::spawn(async move {
            let mut read = 0;
            while let Some(Ok(_)) = body.next().await {
                read += 1;
                tokio::time::sleep(WRITE_MAX - Duration::from_secs(1)).await;
            }
            read
        });
        let begun = Instant::now();
        while slow.send("a".into()).await.is_ok() {}
        assert_eq!(begun.elapsed(), ANSWER_MAX);
        drop(slow);
        assert!(reading.await.unwrap() > 10);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_for_long_is_told_later_that_it_was_cut_off() {
        let (unread, body) = pieces();
        for _ in 0..PIECES_WAITING {
            unread.send("a".into()).await.unwrap();
        }
        assert!(unread.send("a".into()).await.is_err());
        drop(unread);
        assert!(to_bytes(body, 10).await.is_err());
    }
}
