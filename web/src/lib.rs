//! Tachograph's page: what a server says of its sessions and its registry, once a second.
//!
//! The modules follow the data's way: [`transport`] brings frames from the server's socket,
//! [`state`] keeps what they say, [`signals`] hands it to the elements in [`view`]. The messages
//! are [`tachograph_core::wire`]'s own types.

#![forbid(unsafe_code)]

pub mod signals;
pub mod state;
pub mod transport;
pub mod view;
