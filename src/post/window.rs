//! Slices made from whole voxels of others: binned, cut.

use ndarray::{ArrayView3, ArrayViewMut2, s};

/// Mean of `bin` x `bin` pixels in all slices of `window`; what is left over at the right and the bottom is dropped.
pub fn bin(window: ArrayView3<f32>, bin: usize, mut out: ArrayViewMut2<f32>) {
    let n = (window.shape()[0] * bin * bin) as f64;
    for ((y, x), out) in out.indexed_iter_mut() {
        let voxels = window.slice(s![.., y * bin..(y + 1) * bin, x * bin..(x + 1) * bin]);
        *out = (voxels.iter().map(|v| f64::from(*v)).sum::<f64>() / n) as f32;
    }
}

/// The part of the slice that begins at `top`, `left` and has the size of `out`.
pub fn crop(window: ArrayView3<f32>, top: usize, left: usize, mut out: ArrayViewMut2<f32>) {
    let (height, width) = out.dim();
    out.assign(&window.slice(s![0, top..top + height, left..left + width]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array3};

    #[test]
    fn binning_keeps_the_mean_and_drops_what_is_left_over() {
        let stack = Array3::from_shape_fn((2, 4, 5), |(z, y, x)| (100 * z + 10 * y + x) as f32);
        let mut out = Array2::zeros((2, 2));
        bin(stack.view(), 2, out.view_mut());
        assert_eq!(out, ndarray::array![[55.5, 57.5], [75.5, 77.5]]);
        let mut out = Array2::zeros((2, 3));
        crop(stack.view(), 1, 2, out.view_mut());
        assert_eq!(out, ndarray::array![[12.0, 13.0, 14.0], [22.0, 23.0, 24.0]]);
    }
}
