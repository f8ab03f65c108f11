//! What the programs share: where was measured, random values, distributions, tables.

#![forbid(unsafe_code)]

pub mod distribution;
pub mod machine;
pub mod random;
pub mod table;
