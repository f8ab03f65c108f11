//! Requests that wait for the collector, and the bound on them.

use std::collections::VecDeque;

use super::request::{REQUEST_BYTES_MAX, Request};

/// What a request can be larger than its limit by: the point that reached it, and what compression adds to
/// what cannot be compressed.
const OVERHANG_BYTES: usize = 64 * 1024;

/// The oldest first. A request is made only where there is room for the largest one, so that none that was made
/// has to be thrown away.
#[derive(Debug)]
pub(super) struct Buffer {
    waiting: VecDeque<Request>,
    /// Bytes of those that wait.
    bytes: usize,
    /// What is being sent.
    in_hand: Option<Request>,
    limits: Limits,
    is_closed: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) requests: usize,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    Request(Request),
    /// Nothing yet.
    Nothing,
    /// Nothing any more.
    End,
}

impl Buffer {
    pub(super) fn new(limits: Limits) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, in_hand: None, limits, is_closed: false }
    }

    /// Bytes that it holds, with those of the request that is being sent.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.in_hand.as_ref().map_or(0, |request| request.body.len())
    }

    /// Requests that it holds, with the one that is being sent.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.in_hand.is_some())
    }

    /// Whether one more request may be made.
    pub(super) fn has_room(&self) -> bool {
        self.len() < self.limits.requests && self.bytes() + REQUEST_BYTES_MAX + OVERHANG_BYTES <= self.limits.bytes
    }

    /// Lets the oldest go until one more request may be made, but none of this reading of the registry: that would
    /// be the newest that is known of its series. Returns how many points went.
    pub(super) fn make_room(&mut self, cut: u64) -> u64 {
        let mut points = 0;
        while !self.has_room() && self.waiting.front().is_some_and(|oldest| oldest.cut != cut) {
            points += self.pop().map_or(0, |oldest| oldest.points);
        }
        points
    }

    pub(super) fn push(&mut self, request: Request) {
        self.bytes += request.body.len();
        self.waiting.push_back(request);
    }

    /// Takes the oldest to send it.
    pub(super) fn next(&mut self) -> Next {
        match self.pop() {
            Some(request) => {
                self.in_hand = Some(request.clone());
                Next::Request(request)
            }
            None if self.is_closed => Next::End,
            None => Next::Nothing,
        }
    }

    /// What was taken is to be sent again.
    pub(super) fn put_back(&mut self) {
        if let Some(request) = self.in_hand.take() {
            self.bytes += request.body.len();
            self.waiting.push_front(request);
        }
    }

    /// What was taken is done with.
    pub(super) fn let_go(&mut self) {
        self.in_hand = None;
    }

    /// Nothing more comes.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Lets all go, also what is being sent; returns how many points went.
    pub(super) fn drain(&mut self) -> u64 {
        self.bytes = 0;
        self.in_hand.take().into_iter().chain(self.waiting.drain(..)).map(|request| request.points).sum()
    }

    fn pop(&mut self) -> Option<Request> {
        let oldest = self.waiting.pop_front()?;
        self.bytes -= oldest.body.len();
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes: 4 << 20, requests: 4 };

    fn request(bytes: usize, cut: u64) -> Request {
        Request { body: vec![0; bytes].into(), is_compressed: false, points: 10, cut }
    }

    #[test]
    fn the_number_of_requests_is_bounded() {
        let mut buffer = Buffer::new(LIMITS);
        (0..4).for_each(|cut| buffer.push(request(100, cut)));
        assert!(!buffer.has_room());
        assert_eq!((buffer.make_room(4), buffer.len(), buffer.bytes()), (10, 3, 300), "the oldest goes");
        let Next::Request(oldest) = buffer.next() else { panic!("nothing waits") };
        assert_eq!((oldest.cut, buffer.len()), (1, 3), "what is being sent is held too");
    }

    #[test]
    fn their_bytes_are_bounded() {
        let mut buffer = Buffer::new(LIMITS);
        let mut cut = 0;
        while buffer.has_room() {
            buffer.push(request(REQUEST_BYTES_MAX + OVERHANG_BYTES, cut));
            cut += 1;
        }
        assert_eq!((buffer.len(), cut), (3, 3));
        assert!(buffer.bytes() <= LIMITS.bytes);
        assert!(matches!(buffer.next(), Next::Request(_)));
        assert!(!buffer.has_room(), "while it is being sent");
        buffer.put_back();
        let Next::Request(oldest) = buffer.next() else { panic!("nothing waits") };
        buffer.let_go();
        assert!(buffer.has_room());
        assert!(matches!(buffer.next(), Next::Request(_)));
        assert_eq!((oldest.cut, buffer.drain(), buffer.bytes(), buffer.len()), (0, 20, 0, 0));
    }

    #[test]
    fn a_reading_does_not_push_out_its_own_beginning() {
        let mut buffer = Buffer::new(LIMITS);
        buffer.push(request(100, 1));
        (0..3).for_each(|_| buffer.push(request(100, 2)));
        assert_eq!((buffer.make_room(2), buffer.has_room()), (10, true));
        buffer.push(request(100, 2));
        assert_eq!((buffer.make_room(2), buffer.has_room()), (0, false));
    }

    #[test]
    fn it_ends_when_it_is_closed_and_empty() {
        let mut buffer = Buffer::new(LIMITS);
        assert!(matches!(buffer.next(), Next::Nothing));
        buffer.push(request(1, 0));
        buffer.close();
        assert!(matches!(buffer.next(), Next::Request(_)));
        assert!(matches!(buffer.next(), Next::End));
    }
}
