//! From counts to absorbance, and the search of the rotation axis, as functions on arrays.
//!
//! Must not know: files, scans, stages, C or Java.

pub mod center;
mod logarithm;
mod loops;
pub mod normalise;
pub mod resize;

pub use normalise::{Air, BlackRule, NormaliseOptions, RowReport, flat_weights, normalise_row, normalise_rows};
