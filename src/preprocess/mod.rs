//! From counts to absorbance, repairs of projections, and the search of the rotation axis, as functions on arrays.
//!
//! Must not know: files, scans, stages, C or Java.

pub mod air;
pub mod center;
pub mod frames;
mod logarithm;
mod loops;
pub mod mirror;
pub mod normalise;
pub mod offset;
pub mod phase;
pub mod pixels;
pub mod resize;
pub mod spikes;

pub use normalise::{Air, BlackRule, NormaliseOptions, RowReport, flat_weights, normalise_row, normalise_rows};

/// The next length at or above `least` for which FFTs are fast: a power of two, or one times 3, 5, 9 or 15.
fn fft_len(least: usize) -> usize {
    let next = |odd: usize| odd * least.div_ceil(odd).next_power_of_two();
    [1, 3, 5, 9, 15].into_iter().map(next).min().unwrap_or(least)
}
