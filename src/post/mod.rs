//! Operations on finished slices, as functions on arrays.
//!
//! Must not know: files, chains, C or Java.

pub mod bilateral;
mod bins;
pub mod block_matching;
mod blocks;
pub mod edges;
mod exp;
pub mod gaussian;
mod jobs;
pub mod median;
pub mod nlm;
pub mod noise;
pub mod periodic;
mod range;
mod rough;
pub mod shape;
pub mod single;
mod to_int;
pub mod unwrap;

pub use bins::Bins;
pub use blocks::Blocks;
pub use noise::NoiseEstimator;
pub use range::finite_range;
pub use rough::RoughEstimate;
pub use to_int::Quantiser;
