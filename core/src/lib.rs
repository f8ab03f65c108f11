//! The core of Tachograph: what a running service counts, how a live session is metered, and
//! every message that carries the figures.
//!
//! The modules follow the data's way: [`instrument`] counts, [`label`] tells series apart,
//! [`registry`] names and collects, [`snapshot`] is what it collected, [`session`] meters one live
//! audio session, [`wire`] holds the messages that leave and arrive, [`exposition`] is what other
//! systems scrape.
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
//! let home = requests.bind(&[("route", "/")])?;
//! home.add(3);
//! assert_eq!(registry.snapshot().counter("requests", &[("route", "/")]), Some(3));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

#[cfg(not(model_check))]
pub mod exposition;
#[cfg(not(model_check))]
pub mod instrument;
#[cfg(not(model_check))]
pub mod label;
#[cfg(not(model_check))]
pub mod registry;
#[cfg(not(model_check))]
pub mod session;
#[cfg(not(model_check))]
pub mod snapshot;
#[cfg(not(model_check))]
pub mod time;
#[cfg(all(feature = "wasm", target_arch = "wasm32"))]
pub mod wasm;
#[cfg(not(model_check))]
pub mod wire;

mod memory;
mod sync;
