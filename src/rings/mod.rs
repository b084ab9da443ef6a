//! Ring (stripe) removal on sinograms, as functions on arrays. Must not know files, stages, C or Java.

mod median;
mod radix;
mod sort;

pub use sort::{odd_kernel, sort, sort_rows, sort_scratch_bytes};
