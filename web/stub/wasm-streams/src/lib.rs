//! Stands in for `wasm-streams`, which Leptos needs for server functions. The page has none, but
//! the real crate exports classes to JavaScript, and what is exported is never taken out as
//! unused: with it the page's first load is 5 kB larger. This has as much of its interface as
//! `server_fn` names, and no streams.

#![forbid(unsafe_code)]

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use wasm_bindgen::JsValue;

/// A stream of JavaScript's, held and never read.
#[derive(Debug)]
pub struct ReadableStream {
    raw: web_sys::ReadableStream,
}

impl ReadableStream {
    /// Holds `raw`.
    pub fn from_raw(raw: web_sys::ReadableStream) -> Self {
        Self { raw }
    }

    /// A request's body.
    ///
    /// # Panics
    ///
    /// Always: only a server function makes one.
    pub fn from_stream(_body: impl Stream<Item = Result<JsValue, JsValue>> + 'static) -> Self {
        unreachable!("the page calls no server functions")
    }

    /// What [`from_raw`](Self::from_raw) was given.
    pub fn into_raw(self) -> web_sys::ReadableStream {
        self.raw
    }

    /// A response's body: it ends at once.
    pub fn into_stream(self) -> IntoStream {
        IntoStream
    }
}

/// A stream without items.
#[derive(Debug)]
pub struct IntoStream;

impl Stream for IntoStream {
    type Item = Result<JsValue, JsValue>;

    fn poll_next(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}
