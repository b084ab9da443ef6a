//! Fewer pixels of projections: binning and cutting off.

use ndarray::{ArrayView3, ArrayViewMut2, s};

/// Bins absorbance: `input` is `bin` rows of `[row, view, col]`, `out` one row `[view, col / bin]`; columns left over at the
/// right are dropped.
///
/// Each value is that of a detector with larger pixels: the mean of *transmissions* exp(-p), not of absorbances, which would
/// bend edges (a beam that is half blocked is not half as absorbing as one that is blocked).
pub fn bin_absorbance(input: ArrayView3<f32>, bin: usize, mut out: ArrayViewMut2<f32>) {
    let n = (bin * input.shape()[0]) as f64;
    for (view, mut out) in out.outer_iter_mut().enumerate() {
        for (col, out) in out.iter_mut().enumerate() {
            let pixels = input.slice(s![.., view, col * bin..(col + 1) * bin]);
            // Relative to one of them, so that nothing underflows behind thick samples.
            let first = f64::from(pixels[[0, 0]]);
            let sum: f64 = pixels.iter().map(|p| (first - f64::from(*p)).exp()).sum();
            *out = (first - (sum / n).ln()) as f32;
        }
    }
}

/// Keeps the columns from `left` on, as many as `out` has; `input` is one row of `[row, view, col]`.
pub fn crop(input: ArrayView3<f32>, left: usize, mut out: ArrayViewMut2<f32>) {
    let cols = out.ncols();
    out.assign(&input.slice(s![0, .., left..left + cols]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array3};

    #[test]
    fn binning_means_transmissions() {
        let (open, blocked) = (0.0, 3.0f32);
        let input = Array3::from_shape_fn((2, 1, 5), |(row, _, col)| if (row + col) % 2 == 0 { open } else { blocked });
        let mut out = Array2::zeros((1, 2));
        bin_absorbance(input.view(), 2, out.view_mut());
        // Half of the beam comes through one half of the pixels, exp(-3) of it through the other.
        let expected = -(0.5 * (1.0 + (-3f64).exp())).ln() as f32;
        assert!(out.iter().all(|p| (p - expected).abs() < 1e-6), "{out}");
        // Thick samples: all the same, however thick.
        bin_absorbance(Array3::from_elem((2, 1, 4), 900f32).view(), 2, out.view_mut());
        assert!(out.iter().all(|p| *p == 900.0));
    }

    #[test]
    fn a_crop_keeps_the_columns_in_the_middle() {
        let input = Array3::from_shape_fn((1, 2, 6), |(_, view, col)| (10 * view + col) as f32);
        let mut out = Array2::zeros((2, 3));
        crop(input.view(), 2, out.view_mut());
        assert_eq!(out, ndarray::array![[2.0, 3.0, 4.0], [12.0, 13.0, 14.0]]);
    }
}
