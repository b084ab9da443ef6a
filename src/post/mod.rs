//! Operations on finished slices, as functions on arrays.
//!
//! Must not know: files, chains, C or Java.

mod range;
pub mod shape;
mod to_int;
pub mod unwrap;
pub mod window;

pub use range::finite_range;
pub use to_int::Quantiser;
