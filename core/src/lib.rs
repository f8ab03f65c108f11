//! The core of Tachograph: what a running service counts, how a live session is metered, and
//! every message that carries the figures.
//!
//! The modules follow the data's way: [`instrument`] counts, [`registry`] names and collects,
//! [`session`] meters one live audio session, [`wire`] holds the messages that leave and arrive.
//! [`time`] is what all of them are given: nothing here reads a clock.
//!
//! The crate is `no_std` with `alloc`; a server, a browser and a microcontroller compile the same
//! code.
//!
//! ```
//! use tachograph_core::registry::{Descriptor, Registry};
//!
//! let registry = Registry::new();
//! let requests = registry.counter(&Descriptor::new("requests", "Requests served").label("route"))?;
//! let home = requests.with(&[("route", "/")])?;
//! home.add(3);
//! assert_eq!(registry.snapshot().counter("requests", &[("route", "/")]), Some(3));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod instrument;
pub mod registry;
pub mod session;
pub mod time;
#[cfg(all(feature = "wasm", target_arch = "wasm32"))]
pub mod wasm;
pub mod wire;

mod sync;
