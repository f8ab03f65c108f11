//! Tachograph's page: what a server says of its sessions and its registry, once a second.
//!
//! The modules follow the data's way: [`transport`] brings frames from the server's socket,
//! [`state`] keeps what they say, [`signals`] tells when there is something new, and [`view`] shows it, with
//! the texts and pictures that [`plot`] makes. The messages are [`tachograph_core::wire`]'s own types.

#![forbid(unsafe_code)]

pub mod plot;
pub mod signals;
pub mod state;
pub mod transport;
pub mod view;
