//! All kinds of stripes: algorithms 6, 5 and 3 of Vo, Atwood and Drakopoulos 2018, doi:10.1364/OE.26.028396, in the
//! published order.

use super::dead::{self, DeadOptions, dead_in};
use super::large::{self, LargeOptions, large_in};
use super::ranks::LeftEdge;
use super::sort::{sort_in, sort_scratch_bytes};
use crate::error::Result;
use ndarray::ArrayViewMut2;

const ID: &str = "ring.all";

/// Options of [`all`].
#[derive(Clone, Debug, PartialEq)]
pub struct AllOptions {
    /// How much a column must stand out to be called dead or striped; greater finds fewer.
    pub snr: f64,
    /// Width of the median for dead and large stripes, px.
    pub large_px: usize,
    /// Width of the median for small stripes, px.
    pub small_px: usize,
    /// As in [`LargeOptions`].
    pub drop_ratio: f64,
}

impl Default for AllOptions {
    fn default() -> Self {
        AllOptions { snr: 3.0, large_px: 51, small_px: 21, drop_ratio: 0.1 }
    }
}

pub(super) fn scratch_bytes(views: usize, cols: usize, options: &AllOptions) -> u64 {
    let steps = [
        dead::scratch_bytes(views, cols, &options.dead()),
        large::scratch_bytes(views, cols, options.large_px),
        sort_scratch_bytes(views, cols, options.small_px),
    ];
    steps.into_iter().max().unwrap_or(0)
}

impl AllOptions {
    fn dead(&self) -> DeadOptions {
        DeadOptions { snr: self.snr, kernel_px: self.large_px, residual: false, ..DeadOptions::default() }
    }
}

/// Removes dead, large and small stripes from one sinogram `[view, col]` in place, in this order: [`dead()`](super::dead())
/// without large stripes, [`large()`](super::large()), and [`sort()`](super::sort()) with a mirror that repeats the edge
/// column on both sides.
///
/// Errors: those of the three.
pub fn all(mut sino: ArrayViewMut2<f32>, options: &AllOptions) -> Result<()> {
    dead_in(ID, sino.view_mut(), &options.dead())?;
    let AllOptions { snr, large_px, small_px, drop_ratio } = *options;
    large_in(ID, sino.view_mut(), &LargeOptions { snr, kernel_px: large_px, drop_ratio, normalise: true })?;
    sort_in(ID, sino, small_px, LeftEdge::Column0)
}
