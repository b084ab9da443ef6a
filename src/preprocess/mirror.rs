//! The axis row by row from two opposite frames, as ct-rec's `hp2DO` defines it.
//!
//! [`super::center::line`] answers the same question with fractions of a pixel and a judgement of trust. Must not know: files,
//! scans.

use super::center::{least_squares, smooth};
use crate::error::{Error, Result};
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};
use rayon::prelude::*;
use std::ops::Range;

/// Place named in the errors of this module.
const PLACE: &str = "mirror";

/// What one row tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MirrorRow {
    /// Axis, px, in steps of half a pixel.
    pub center_px: f64,
    /// Root mean square of the difference there.
    pub rms: f64,
    /// Sum of products over the overlap: how much there is to see.
    pub product: f64,
}

/// A straight line through the axes of the rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MirrorFit {
    /// Columns per row.
    pub px_per_row: f64,
    /// Axis in row 0, px.
    pub px: f64,
    /// Standard deviation of the rows from the line, px, weighted as the fit.
    pub sd_px: f64,
}

/// Absorbance `[row, col]` of a frame. Each row of all three images is smoothed with weights exp(-1/2), 1, exp(-1/2) before;
/// where frame or beam do not exceed dark it is 0.
///
/// Errors: shapes that differ.
pub fn absorbance(counts: ArrayView2<f32>, dark: ArrayView2<f32>, beam: ArrayView2<f32>) -> Result<Array2<f64>> {
    if counts.dim() != dark.dim() || counts.dim() != beam.dim() {
        return Err(Error::invalid(PLACE, "frame, dark and direct beam must have the same size")
            .with("frame", format!("{:?}", counts.shape()))
            .with("dark", format!("{:?}", dark.shape()))
            .with("direct beam", format!("{:?}", beam.shape())));
    }
    let mut out = Array2::zeros(counts.raw_dim());
    for (y, mut line) in out.outer_iter_mut().enumerate() {
        let [counts, dark, beam] = [&counts, &dark, &beam].map(|image| smooth(image.row(y).iter()));
        for (x, p) in line.iter_mut().enumerate() {
            let ratio = (beam[x] - dark[x]) / (counts[x] - dark[x]);
            let lit = beam[x] > dark[x] && counts[x] > dark[x] && ratio.is_finite();
            *p = if lit { ratio.ln() } else { 0.0 };
        }
    }
    Ok(out)
}

/// The axis of each row of two opposite views of absorbance `[row, col]`: the shift of up to `reach_px` columns at which the
/// root mean square of the difference between the first and the mirrored second, over exactly the overlap, is smallest; of
/// equals the nearest to the middle. `curves` gets it for each row and shift, `[row, 2 reach_px + 1]`.
///
/// Rows in parallel on `pool`. Errors: views of different size, and a reach that leaves no overlap.
pub fn mirror_rows(
    pool: &rayon::ThreadPool,
    p000: ArrayView2<f64>,
    p180: ArrayView2<f64>,
    reach_px: usize,
    mut curves: ArrayViewMut2<f64>,
) -> Result<Vec<MirrorRow>> {
    let (rows, cols) = p000.dim();
    if p000.dim() != p180.dim() || curves.dim() != (rows, 2 * reach_px + 1) || reach_px >= cols {
        return Err(Error::invalid(PLACE, "views must be alike, and shifts smaller than their width")
            .with("first", format!("{:?}", p000.shape()))
            .with("second", format!("{:?}", p180.shape()))
            .with("reach_px", reach_px));
    }
    let work: Vec<_> = p000.outer_iter().zip(p180.outer_iter()).zip(curves.outer_iter_mut()).collect();
    let one = |((a, b), mut curve): ((ArrayView1<f64>, ArrayView1<f64>), ArrayViewMut1<f64>)| {
        let (a, mut b) = (a.to_vec(), b.to_vec());
        b.reverse();
        let overlap = |dx: isize| {
            let (i, k, n) = (dx.max(0) as usize, (-dx).max(0) as usize, cols - dx.unsigned_abs());
            a[i..i + n].iter().zip(&b[k..k + n])
        };
        let reach = reach_px as isize;
        for (dx, value) in (-reach..=reach).zip(curve.iter_mut()) {
            let sum: f64 = overlap(dx).map(|(a, b)| (a - b).powi(2)).sum();
            *value = (sum / (cols - dx.unsigned_abs()) as f64).sqrt();
        }
        let at = |dx: &isize| curve[(dx + reach) as usize];
        let outwards = std::iter::once(0).chain((1..=reach).flat_map(|dx| [dx, -dx]));
        let best = outwards.min_by(|a, b| at(a).total_cmp(&at(b))).unwrap_or(0);
        let product = overlap(best).map(|(a, b)| a * b).sum();
        MirrorRow { center_px: ((cols - 1) as f64 + best as f64) / 2.0, rms: at(&best), product }
    };
    Ok(pool.install(|| work.into_par_iter().map(one).collect()))
}

/// Least squares through the axes of `range`, weighted by the products. `None` if fewer than two rows show anything.
pub fn fit_rows(rows: &[MirrorRow], range: Range<usize>) -> Option<MirrorFit> {
    let used = rows.get(range.clone())?;
    let middle = (range.start + range.end - 1) as f64 / 2.0;
    let scale = (range.len() as f64 / 2.0).max(1.0);
    let weights: Vec<f64> = used.iter().map(|row| row.product.max(0.0)).collect();
    if weights.iter().filter(|w| **w > 0.0).count() < 2 {
        return None;
    }
    let at: Vec<[f64; 2]> = range.map(|y| [1.0, (y as f64 - middle) / scale]).collect();
    let px: Vec<f64> = used.iter().map(|row| row.center_px).collect();
    let [middle_px, slope] = least_squares(&at, &px, &weights)?.value;
    let residual = |(at, px): (&[f64; 2], &f64)| (px - middle_px - slope * at[1]).powi(2);
    let squares: f64 = at.iter().zip(&px).zip(&weights).map(|(row, w)| w * residual(row)).sum();
    let px_per_row = slope / scale;
    let sd_px = (squares / weights.iter().sum::<f64>()).sqrt();
    Some(MirrorFit { px_per_row, px: middle_px - middle * px_per_row, sd_px })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_tilted_axis_lie_on_the_line() {
        // Rows whose axis is at 30.5 + y / 8: on the grid of half pixels every fourth row.
        let (rows, cols) = (33, 64);
        let axis = |y: usize| 30.5 + y as f64 / 8.0;
        let shape = |s: f64| (-(s - 6.0).powi(2) / 30.0).exp() + 0.5 * (-(s + 9.0).powi(2) / 20.0).exp();
        let view = |sign: f64| Array2::from_shape_fn((rows, cols), |(y, x)| shape(sign * (x as f64 - axis(y))));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let mut curves = Array2::zeros((rows, 27));
        let found = mirror_rows(&pool, view(1.0).view(), view(-1.0).view(), 13, curves.view_mut()).unwrap();
        for (y, row) in found.iter().enumerate() {
            assert!((row.center_px - axis(y)).abs() <= 0.25, "{y}: {}", row.center_px);
            if y % 4 == 0 {
                // Exactly on the grid the views are equal, but for what leaves the detector.
                assert!(row.center_px == axis(y) && row.rms < 1e-3 && row.product > 1.0, "{y}: {row:?}");
                assert_eq!(curves[[y, (2.0 * row.center_px) as usize + 13 - (cols - 1)]], row.rms);
            }
        }
        let fit = fit_rows(&found, 0..rows).unwrap();
        // Steps of half a pixel scatter by at most a quarter.
        assert!((fit.px_per_row - 0.125).abs() < 0.01 && (fit.px - 30.5).abs() < 0.15 && fit.sd_px < 0.25, "{fit:?}");
        assert!(fit_rows(&found, 3..4).is_none());
        assert!(
            mirror_rows(&pool, view(1.0).view(), view(1.0).view(), 64, Array2::zeros((rows, 129)).view_mut()).is_err()
        );
    }

    #[test]
    fn absorbance_is_finite_and_exact_where_rows_are_flat() {
        let flat = |v: f32| Array2::from_elem((2, 9), v);
        let p = absorbance(flat(110.0).view(), flat(10.0).view(), flat(1010.0).view()).unwrap();
        assert!(p.iter().all(|p| (p - 10f64.ln()).abs() < 1e-12));
        for (counts, beam) in [(10.0, 1010.0), (500.0, 10.0), (5.0, 3.0), (f32::NAN, 7.0)] {
            let p = absorbance(flat(counts).view(), flat(10.0).view(), flat(beam).view()).unwrap();
            assert!(p.iter().all(|p| *p == 0.0), "{counts} {beam}");
        }
        assert!(absorbance(flat(1.0).view(), flat(1.0).view(), Array2::zeros((2, 8)).view()).is_err());
    }
}
