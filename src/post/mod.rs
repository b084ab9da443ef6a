//! Operations on finished slices, as functions on arrays.
//!
//! Must not know: files, chains, C or Java.

mod to_int;

pub use to_int::Quantiser;
