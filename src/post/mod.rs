//! Operations on finished slices, as functions on arrays.
//!
//! Must not know: files, chains, C or Java.

pub mod diffusion;
pub mod edges;
mod exp;
pub mod gaussian;
mod haar;
pub mod median;
pub mod noise;
mod range;
mod to_int;
pub mod tv;
pub mod wave;
pub mod wavelet;
pub mod window;

pub use noise::NoiseEstimator;
pub use range::finite_range;
pub use to_int::Quantiser;
