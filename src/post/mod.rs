//! Operations on finished slices, as functions on arrays.
//!
//! Must not know: files, chains, C or Java.

mod bins;
mod blocks;
pub mod diffusion;
pub mod edges;
mod exp;
pub mod gaussian;
mod haar;
pub mod median;
pub mod noise;
pub mod periodic;
mod range;
mod rough;
pub mod shape;
pub mod single;
mod to_int;
pub mod tv;
pub mod unwrap;
pub mod wave;
pub mod wavelet;

pub use bins::Bins;
pub use blocks::Blocks;
pub use noise::NoiseEstimator;
pub use range::finite_range;
pub use rough::RoughEstimate;
pub use to_int::Quantiser;
