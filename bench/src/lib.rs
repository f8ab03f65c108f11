//! What both programs share: where was measured, random values, tables.

#![forbid(unsafe_code)]

pub mod machine;
pub mod random;
pub mod table;
