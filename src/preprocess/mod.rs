//! From counts to absorbance, and the search of the rotation axis, as functions on arrays.
//!
//! Must not know: files, scans, stages, C or Java.

pub mod center;
mod logarithm;
pub mod normalise;
pub mod offset;

pub use normalise::{Air, BlackRule, NormaliseOptions, RowReport, flat_weights, normalise_row, normalise_rows};
