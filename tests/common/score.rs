//! How near a volume is to the truth, within a cylinder and away from the first and last slices.

use super::xy;
use ndarray::{Array3, ArrayView2, Axis, s};
use std::ops::Range;

/// Where to look, and the range of values that the noise is compared with.
#[derive(Clone, Debug)]
pub struct Region {
    pub slices: Range<usize>,
    /// Of the cylinder, whose axis is the middle of the slices.
    pub radius_px: f64,
    /// Largest minus smallest value of the truth.
    pub range: f64,
}

impl Region {
    fn holds(&self, size: usize, row: usize, col: usize) -> bool {
        let (x, y) = xy(size, row, col);
        x.hypot(y) < self.radius_px
    }
    /// Peak signal-to-noise ratio, dB.
    pub fn psnr(&self, truth: &Array3<f32>, found: &Array3<f32>) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for z in self.slices.clone() {
            let slice = found.index_axis(Axis(0), z);
            for ((row, col), v) in slice.indexed_iter().filter(|((row, col), _)| self.holds(slice.ncols(), *row, *col))
            {
                sum += f64::from(v - truth[[z, row, col]]).powi(2);
                count += 1.0;
            }
        }
        -10.0 * (sum / count / (self.range * self.range)).log10()
    }
    /// Structural similarity (Wang et al. 2004, doi:10.1109/TIP.2003.819861) within slices, over 7 x 7 pixels of equal weight.
    pub fn ssim(&self, truth: &Array3<f32>, found: &Array3<f32>) -> f64 {
        let sums =
            self.slices.clone().map(|z| self.ssim_of_slice(truth.slice(s![z, .., ..]), found.slice(s![z, .., ..])));
        let (sum, count) = sums.fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        sum / count
    }
    fn ssim_of_slice(&self, a: ArrayView2<f32>, b: ArrayView2<f32>) -> (f64, f64) {
        const HALF: usize = 3;
        let (mut sum, mut count) = (0.0, 0.0);
        let (size, n) = (a.ncols(), 49.0);
        let (c1, c2) = (1e-4 * self.range * self.range, 9e-4 * self.range * self.range);
        for row in HALF..a.nrows() - HALF {
            for col in (HALF..size - HALF).filter(|col| self.holds(size, row, *col)) {
                let around = s![row - HALF..=row + HALF, col - HALF..=col + HALF];
                let (mut m, mut squares) = ([0.0; 2], [0.0; 3]);
                for (a, b) in a.slice(around).iter().zip(b.slice(around)) {
                    let (a, b) = (f64::from(*a), f64::from(*b));
                    m = [m[0] + a, m[1] + b];
                    squares = [squares[0] + a * a, squares[1] + b * b, squares[2] + a * b];
                }
                let m = m.map(|sum| sum / n);
                let within = |squares: f64, product: f64| (squares / n - product) * n / (n - 1.0);
                let [va, vb] = [within(squares[0], m[0] * m[0]), within(squares[1], m[1] * m[1])];
                let both = within(squares[2], m[0] * m[1]);
                sum +=
                    (2.0 * m[0] * m[1] + c1) * (2.0 * both + c2) / ((m[0] * m[0] + m[1] * m[1] + c1) * (va + vb + c2));
                count += 1.0;
            }
        }
        (sum, count)
    }
}
