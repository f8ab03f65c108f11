//! What the programs share: the command line, where was measured, random values, distributions, tables.

#![forbid(unsafe_code)]

pub mod command;
pub mod distribution;
pub mod machine;
pub mod random;
pub mod table;
