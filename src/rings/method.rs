//! The methods by name, for those who choose one at run time.

use super::{
    AllOptions, DeadOptions, DetectOptions, FilterOptions, LargeOptions, RegularizeOptions, WaveletFftOptions,
};
use super::{all, dead, detect, filter, large, regularize, sort, wavelet_fft};
use crate::error::Result;
use ndarray::ArrayViewMut2;

/// A method of ring removal with its options.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// [`sort()`](super::sort()).
    Sort {
        /// Width of the median across columns.
        kernel_px: usize,
    },
    /// [`filter()`](super::filter()).
    Filter(FilterOptions),
    /// [`large()`](super::large()).
    Large(LargeOptions),
    /// [`dead()`](super::dead()).
    Dead(DeadOptions),
    /// [`all()`](super::all()).
    All(AllOptions),
    /// [`wavelet_fft()`](super::wavelet_fft()).
    WaveletFft(WaveletFftOptions),
    /// [`regularize()`](super::regularize()).
    Regularize(RegularizeOptions),
    /// [`detect()`](super::detect()).
    Detect(DetectOptions),
}

impl Method {
    /// Runs the method on one sinogram `[view, col]`, in place. Errors: those of the function.
    pub fn apply(&self, sino: ArrayViewMut2<f32>) -> Result<()> {
        match self {
            Method::Sort { kernel_px } => sort::sort(sino, *kernel_px),
            Method::Filter(options) => filter::filter(sino, options),
            Method::Large(options) => large::large(sino, options),
            Method::Dead(options) => dead::dead(sino, options),
            Method::All(options) => all::all(sino, options),
            Method::WaveletFft(options) => wavelet_fft::wavelet_fft(sino, options),
            Method::Regularize(options) => regularize::regularize(sino, options),
            Method::Detect(options) => detect::detect(sino, options).map(|_| ()),
        }
    }

    /// Most working memory for one sinogram, bytes.
    pub fn scratch_bytes(&self, views: usize, cols: usize) -> u64 {
        match self {
            Method::Sort { kernel_px } => sort::sort_scratch_bytes(views, cols, *kernel_px),
            Method::Filter(options) => filter::scratch_bytes(views, cols, options.kernel_px),
            Method::Large(options) => large::scratch_bytes(views, cols, options.kernel_px),
            Method::Dead(options) => dead::scratch_bytes(views, cols, options),
            Method::All(options) => all::scratch_bytes(views, cols, options),
            Method::WaveletFft(options) => wavelet_fft::scratch_bytes(views, cols, options),
            Method::Regularize(_) => regularize::scratch_bytes(cols),
            Method::Detect(_) => detect::scratch_bytes(views, cols),
        }
    }
}
