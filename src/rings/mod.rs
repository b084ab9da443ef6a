//! Ring (stripe) removal on sinograms, as functions on arrays. Must not know files, stages, C or Java.
//!
//! Each method is a function on one sinogram `[view, col]`; [`Method`] names one with its options, and [`rows`] runs a
//! function on each sinogram of `[row, view, col]`, rows in parallel.

mod all;
mod check;
mod dead;
mod detect;
mod filter;
mod large;
mod median;
mod method;
mod outlier;
mod radix;
mod ranks;
mod regularize;
mod rows;
mod sort;
mod wavelet;
mod wavelet_fft;

pub use all::{AllOptions, all};
pub use dead::{DeadOptions, dead};
pub use detect::{DetectOptions, Detected, detect};
pub use filter::{FilterOptions, filter};
pub use large::{LargeOptions, large};
pub use method::Method;
pub use regularize::{RegularizeOptions, regularize};
pub use rows::rows;
pub use sort::{odd_kernel, sort, sort_scratch_bytes};
pub use wavelet::WAVELETS;
pub use wavelet_fft::{WaveletFftOptions, wavelet_fft};
