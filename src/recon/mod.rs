//! Filtered back-projection: sinograms to slices. Must not know files, stages, C or Java.

use crate::error::{Error, Result};
use ndarray::{ArrayView3, ArrayViewMut3};

/// Ramp filter and its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// |f|, no window (Ramachandran and Lakshminarayanan).
    Ramp,
    /// |f| sinc(f) (Shepp and Logan).
    SheppLogan,
    /// |f| (1 + cos 2πf) / 2 (Chesler), the Hann window.
    Chesler,
}

/// Which implementation computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// f32, all threads.
    Direct,
    /// f64, plain loops: the truth of every test.
    Reference,
}

/// How to reconstruct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FbpOptions {
    /// Filter.
    pub filter: Filter,
    /// Engine.
    pub engine: Engine,
    /// Extend truncated views with a cosine taper of half the width before filtering.
    pub pad: bool,
}

/// Prepared reconstruction of slices of one size and set of angles: FFT plans, kernel, trigonometric tables.
pub struct Fbp {}

impl Fbp {
    /// `angles_rad` and `weights_rad` (see `geometry::view_weights`): one per view. `cols`: detector width.
    pub fn new(
        angles_rad: &[f64],
        weights_rad: &[f64],
        cols: usize,
        pixel_um: f64,
        options: &FbpOptions,
    ) -> Result<Self> {
        let _ = (angles_rad, weights_rad, cols, pixel_um, options);
        Err(Error::internal("recon.fbp", "stub"))
    }
    /// Working memory of [`Fbp::reconstruct`] for `rows` slices on `threads` threads, bytes.
    pub fn scratch_bytes(&self, rows: usize, threads: usize) -> u64 {
        let _ = (rows, threads);
        0
    }
    /// `sinograms` `[row, view, col]` and the axis of each row, px → `out` `[row, y, x]`, 1/cm.
    ///
    /// Threads are those of `pool`. `tick` is called on the calling thread, several times a second, with the finished
    /// part (0 to 1); its error stops the work.
    pub fn reconstruct(
        &self,
        pool: &rayon::ThreadPool,
        sinograms: ArrayView3<f32>,
        center_px: &[f64],
        out: ArrayViewMut3<f32>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        let _ = (pool, sinograms, center_px, out, tick);
        Err(Error::internal("recon.fbp", "stub"))
    }
}
