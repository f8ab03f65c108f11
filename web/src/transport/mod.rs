//! From the server's socket to what the page knows: where it is, what to ask for, when to connect again,
//! what arrives.
//!
//! [`Link`], [`Backoff`] and [`Clock`] decide, [`Feed`] takes what arrives; they are plain Rust with time
//! and chance as arguments. [`Client`] carries out what they decide, in a browser.

mod address;
mod backoff;
mod client;
mod clock;
mod desk;
mod feed;
mod link;
mod measure;
mod socket;

pub use address::stream_address;
pub use backoff::Backoff;
pub use client::{Client, Listener};
pub use clock::Clock;
pub use desk::{Desk, PIECE_BYTES, Recording};
pub use feed::Feed;
pub use link::{Link, Todo};
pub use measure::note_painted;
