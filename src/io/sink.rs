//! Where finished slices go.

use crate::error::Result;
use ndarray::{Array3, ArrayView2, Axis, s};

/// Takes finished slices, in order of z, on one thread at a time.
pub trait SliceSink: Send {
    /// One slice; `z` is the detector row. It need not be where it belongs before `finish` or `abandon`.
    fn write(&mut self, z: usize, slice: ArrayView2<f32>) -> Result<()>;
    /// After the last slice; not called after an error. Long work calls `go_on` between slices and ends with its error.
    fn finish(&mut self, go_on: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let _ = go_on;
        Ok(())
    }
    /// Called when the run was cancelled or failed, also if `finish` failed: keeps finished slices, leaves nothing
    /// half-made. What the user should know of it comes back as a remark.
    fn abandon(&mut self) -> Option<String> {
        None
    }
}

/// Collects slices in memory.
pub struct MemorySink {
    first: usize,
    /// `[z, y, x]`.
    pub volume: Array3<f32>,
}

impl MemorySink {
    /// Room for `slices` slices of `shape` from number `first` on.
    pub fn new(first: usize, slices: usize, shape: [usize; 2]) -> Self {
        MemorySink { first, volume: Array3::zeros((slices, shape[0], shape[1])) }
    }
}

impl SliceSink for MemorySink {
    fn write(&mut self, z: usize, slice: ArrayView2<f32>) -> Result<()> {
        self.volume.index_axis_mut(Axis(0), z - self.first).slice_mut(s![.., ..]).assign(&slice);
        Ok(())
    }
}
