//! From the server's socket to decoded frames: where it is, when to connect again, what arrives.
//!
//! [`Link`] and [`Backoff`] decide and are plain Rust with time and chance as arguments;
//! [`Client`] carries out what they decide, in a browser.

mod address;
mod backoff;
mod client;
mod link;
mod socket;

pub use address::stream_address;
pub use backoff::Backoff;
pub use client::{Client, Listener};
pub use link::{Link, Todo};
