//! Noise2Inverse: a network that learns to denoise a volume from the noisy scan alone.
//!
//! The views of a scan are dealt into K interleaved subsets, and each is reconstructed by itself. Their noise is independent,
//! their object the same; so a network that is to predict one from the others can only learn the object. Input and target are
//! slices: the slice and its neighbours above and below in, the slice out (2.5D).
//!
//! Source: Hendriksen, Pelt, Batenburg, IEEE Trans. Comput. Imaging 6 (2020) 1320, doi:10.1109/TCI.2020.3019647. The network is
//! a U-Net: Ronneberger, Fischer, Brox (2015), doi:10.1007/978-3-319-24574-4_28.
//!
//! Must not know: files, chains, C, Java. [`Subsets`] gives pixels, an [`Engine`] computes.

mod apply;
mod cpu;
mod device;
mod engine;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod gpu;
mod network;
mod options;
mod random;
mod sample;
pub mod split;
mod store;
mod tensors;
#[cfg(test)]
mod tests;
mod torch;
mod train;

pub use apply::Denoiser;
pub use cpu::CpuEngine;
pub use device::{EngineKind, Gpu, gpus, open_engine};
pub use engine::{Batch, Engine, State, StepDone, Tick, Update};
pub use network::{Architecture, Norm, Role, TensorInfo};
pub use options::{Decay, TrainOptions};
pub use sample::Scaling;
pub use store::{Best, Checkpoint, Model};
pub use torch::Names;
pub use train::{Ended, EpochLoss, Observer, TrainReport, Trained, train};

use crate::error::Result;
use ndarray::ArrayViewMut2;
use std::ops::Range;

/// Noisy volumes of one object, one for each subset of its views.
pub trait Subsets: Sync {
    /// Number of subsets, K.
    fn count(&self) -> usize;
    /// z, y, x of each volume.
    fn shape(&self) -> [usize; 3];
    /// Lines `rows` and columns `cols` of slice `z` of a subset, 1/cm, into `out`, which has just that shape.
    fn read(
        &self,
        subset: usize,
        z: usize,
        rows: Range<usize>,
        cols: Range<usize>,
        out: ArrayViewMut2<f32>,
    ) -> Result<()>;
}
