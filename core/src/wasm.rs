//! The decoder and the registry for JavaScript.
