//! Operations on finished slices, as functions on arrays.
//!
//! Must not know: files, chains, C or Java.

pub mod bilateral;
mod bins;
pub mod block_matching;
mod blocks;
pub mod diffusion;
mod draw;
pub mod edges;
mod exp;
pub mod gaussian;
mod haar;
mod histogram;
mod intensity;
mod jobs;
mod magnitudes;
pub mod median;
pub mod nlm;
pub mod noise;
mod otsu;
pub mod periodic;
mod range;
pub mod register;
mod rough;
pub mod shape;
pub mod single;
pub mod surface;
mod to_int;
pub mod tv;
pub mod unwrap;
mod view;
pub mod wave;
pub mod wavelet;

pub use bins::Bins;
pub use blocks::Blocks;
pub use draw::{draw_histogram, draw_text};
pub use histogram::{BinWidth, Histogram};
pub use intensity::{Along, Intensity, IntensityProjection};
pub use noise::NoiseEstimator;
pub use otsu::otsu_thresholds;
pub use range::finite_range;
pub use rough::RoughEstimate;
pub use to_int::Quantiser;
pub use view::BirdsEye;
