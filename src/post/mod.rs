//! Operations on finished slices, as functions on arrays.
//!
//! Must not know: files, chains, C or Java.

pub mod bilateral;
pub mod block_matching;
mod exp;
mod jobs;
pub mod nlm;
pub mod noise;
mod range;
mod to_int;
pub mod window;

pub use noise::NoiseEstimator;
pub use range::finite_range;
pub use to_int::Quantiser;
