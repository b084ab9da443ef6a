//! Operations on finished slices, as functions on arrays.
//!
//! Must not know: files, chains, C or Java.

pub mod edges;
pub mod gaussian;
pub mod median;
mod range;
mod to_int;
pub mod window;

pub use range::finite_range;
pub use to_int::Quantiser;
