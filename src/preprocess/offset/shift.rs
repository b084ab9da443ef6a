//! How two opposite frames of an offset scan lie on each other, across and along the axis, as ct-rec's `ofct_DO` defines it.
//!
//! [`super::OverlapSearch`] judges the axis better; this one finds the shift along the axis, too. Must not know: files, scans.

use super::PLACE;
use crate::error::{Error, Result};
use crate::preprocess::center::parabola;
use crate::preprocess::fft_len;
use ndarray::{Array2, ArrayView2, ArrayViewMut1};
use rayon::prelude::*;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::ops::Range;
use std::sync::Arc;

/// Rows along the axis that are looked at in either direction.
const REACH_ROWS: isize = 10;
/// Rows that are transformed together.
const BLOCK: usize = 64;

/// Where the mean squared difference is smallest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameShift {
    /// Columns from the mirrored second frame to the first.
    pub cols: f64,
    /// Rows by which the first frame stands lower.
    pub rows: f64,
    /// It lies at an end of the columns that were looked at, and is probably none.
    pub at_end: bool,
}

/// Sums over pairs of frames.
pub struct ShiftSearch {
    size: [usize; 2],
    shifts: Range<usize>,
    len: usize,
    forward: Arc<dyn Fft<f64>>,
    backward: Arc<dyn Fft<f64>>,
    lanes: Vec<Lane>,
}

/// Sums of one shift along the axis.
struct Lane {
    rows: isize,
    /// Half of the cross spectrum.
    cross: Vec<Complex<f64>>,
    /// Squares of both frames over the overlap, for each shift of columns.
    squares: Vec<f64>,
}

/// Spectra of some rows, and their squares over the overlap for each shift.
struct Rows {
    first: usize,
    rows: Vec<(Vec<Complex<f64>>, Vec<f64>)>,
}

impl Rows {
    fn at(&self, y: isize) -> Option<&(Vec<Complex<f64>>, Vec<f64>)> {
        self.rows.get(usize::try_from(y - self.first as isize).ok()?)
    }
}

impl ShiftSearch {
    /// For frames of `[rows, cols]`; shifts from half the width up are looked at (an axis right of three quarters).
    ///
    /// Errors: fewer than 8 columns or no row.
    pub fn new([rows, cols]: [usize; 2]) -> Result<Self> {
        if rows == 0 || !(8..=1 << 20).contains(&cols) {
            let message = "expected frames of at least 1 row and 8 to 1048576 columns";
            return Err(Error::invalid(PLACE, message).with("rows", rows).with("cols", cols));
        }
        let shifts = cols.div_ceil(2)..cols - 1;
        let len = fft_len(2 * cols);
        let mut planner = FftPlanner::new();
        let reach = REACH_ROWS.min(rows as isize - 1);
        let lane = |rows| Lane { rows, cross: vec![Complex::default(); len / 2 + 1], squares: vec![0.0; shifts.len()] };
        let lanes = (-reach..=reach).map(lane).collect();
        let (forward, backward) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len));
        Ok(ShiftSearch { size: [rows, cols], shifts, len, forward, backward, lanes })
    }

    /// Adds a frame of absorbance and the one half a turn later, smoothed if wanted ([`smooth`]). Threads are those of `pool`;
    /// the sums do not depend on their number.
    ///
    /// Errors: another size.
    pub fn add(&mut self, pool: &rayon::ThreadPool, p000: ArrayView2<f32>, p180: ArrayView2<f32>) -> Result<()> {
        let [rows, cols] = self.size;
        if p000.dim() != (rows, cols) || p180.dim() != (rows, cols) {
            return Err(Error::invalid(PLACE, "expected two frames of the size of the search")
                .with("size", format!("{:?}", self.size))
                .with("first", format!("{:?}", p000.shape()))
                .with("second", format!("{:?}", p180.shape())));
        }
        let (shifts, forward, len) = (self.shifts.clone(), self.forward.clone(), self.len);
        let transformed = |v: Vec<f64>, tail: bool| {
            // Sums of squares: of the columns from the shift on for the first frame, up to it from the end for the second.
            let mut sums = vec![0.0];
            v.iter().for_each(|x| sums.push(sums[sums.len() - 1] + x * x));
            let square = |dx: usize| if tail { sums[cols] - sums[dx] } else { sums[cols - dx] };
            let squares = shifts.clone().map(square).collect();
            let mut spectrum: Vec<Complex<f64>> = v.into_iter().map(|re| Complex { re, im: 0.0 }).collect();
            spectrum.resize(len, Complex::default());
            forward.process(&mut spectrum);
            spectrum.truncate(len / 2 + 1);
            (spectrum, squares)
        };
        let reach = self.lanes.len() / 2;
        for start in (0..rows).step_by(BLOCK) {
            let block = start..(start + BLOCK).min(rows);
            let around = block.start.saturating_sub(reach)..(block.end + reach).min(rows);
            let (first, second) = pool.install(|| {
                let own = block.clone().into_par_iter();
                let own = own.map(|y| transformed(p000.row(y).iter().map(|v| f64::from(*v)).collect(), true));
                let other = around.clone().into_par_iter();
                let other =
                    other.map(|y| transformed(p180.row(y).iter().rev().map(|v| f64::from(*v)).collect(), false));
                (own.collect(), other.collect())
            });
            let (first, second) =
                (Rows { first: block.start, rows: first }, Rows { first: around.start, rows: second });
            pool.install(|| {
                self.lanes.par_iter_mut().for_each(|lane| {
                    for y in block.clone() {
                        let (Some(a), Some(b)) = (first.at(y as isize), second.at(y as isize - lane.rows)) else {
                            continue;
                        };
                        lane.cross.iter_mut().zip(a.0.iter().zip(&b.0)).for_each(|(s, (a, b))| *s += a * b.conj());
                        lane.squares.iter_mut().zip(a.1.iter().zip(&b.1)).for_each(|(s, (a, b))| *s += a + b);
                    }
                });
            });
        }
        Ok(())
    }

    /// Mean squared difference for each shift of columns in a lane.
    fn curve(&self, lane: &Lane) -> Vec<f64> {
        let mut spectrum = lane.cross.clone();
        spectrum.resize(self.len, Complex::default());
        (1..self.len.div_ceil(2)).for_each(|k| spectrum[self.len - k] = lane.cross[k].conj());
        self.backward.process(&mut spectrum);
        let rows = self.size[0] - lane.rows.unsigned_abs();
        let mean = |(dx, squares): (usize, &f64)| {
            let product = spectrum[dx].re / self.len as f64;
            (squares - 2.0 * product).max(0.0) / (rows * (self.size[1] - dx)) as f64
        };
        self.shifts.clone().zip(&lane.squares).map(mean).collect()
    }

    /// The best shift, a parabola through its neighbours giving the fractions. `near` tells the shift of columns if it is known
    /// to within a column: without, a small overlap of air on air may look best. `None` without any signal, or `near` beyond the
    /// shifts that were looked at.
    pub fn find(&self, near: Option<f64>) -> Option<FrameShift> {
        let curves: Vec<Vec<f64>> = self.lanes.iter().map(|lane| self.curve(lane)).collect();
        let wanted = |k: &usize| near.is_none_or(|near| ((self.shifts.start + k) as f64 - near).abs() <= 1.0);
        let all = (0..curves.len()).flat_map(|lane| (0..self.shifts.len()).filter(wanted).map(move |k| (lane, k)));
        let (lane, k) = all.min_by(|&(a, i), &(b, k)| curves[a][i].total_cmp(&curves[b][k]))?;
        if self.lanes.iter().all(|lane| lane.squares.iter().all(|s| *s <= 0.0)) {
            return None;
        }
        let at_end = k == 0 || k + 1 == curves[lane].len();
        let cols = if at_end { 0.0 } else { parabola(curves[lane][k - 1], curves[lane][k], curves[lane][k + 1]) };
        let beside = lane.checked_sub(1).and_then(|below| curves.get(below)).zip(curves.get(lane + 1));
        let rows = beside.map_or(0.0, |(below, above)| parabola(below[k], curves[lane][k], above[k]));
        let cols = (self.shifts.start + k) as f64 + cols;
        Some(FrameShift { cols, rows: self.lanes[lane].rows as f64 + rows, at_end })
    }
}

/// Gaussian of standard deviation `sigma_px` along rows and columns, cut off at three of them, weights renormalised at the
/// borders; 0 changes nothing.
pub fn smooth(pool: &rayon::ThreadPool, image: ArrayView2<f32>, sigma_px: f64) -> Array2<f32> {
    if sigma_px.is_nan() || sigma_px <= 0.0 || image.is_empty() {
        return image.to_owned();
    }
    let reach = (3.0 * sigma_px).ceil().min(1e6) as usize;
    let weights: Vec<f64> = (0..=reach).map(|k| (-0.5 * (k as f64 / sigma_px).powi(2)).exp()).collect();
    let norms = |n: usize| -> Vec<f64> {
        let norm = |x: usize| (x.saturating_sub(reach)..(x + reach + 1).min(n)).map(|k| weights[k.abs_diff(x)]).sum();
        (0..n).map(norm).collect()
    };
    // A shift at a time, so that the inner loop runs over whole lines.
    let add = |sum: &mut [f64], line: &[f32], weight: f64| {
        sum.iter_mut().zip(line).for_each(|(sum, v)| *sum += weight * f64::from(*v));
    };
    let (rows, cols) = image.dim();
    let (norm_x, norm_y) = (norms(cols), norms(rows));
    let image = image.as_standard_layout();
    let along = |y: usize| -> Vec<f32> {
        let line = image.row(y).to_vec();
        let mut sum = vec![0.0; cols];
        add(&mut sum, &line, weights[0]);
        for k in 1..=reach.min(cols - 1) {
            add(&mut sum[k..], &line, weights[k]);
            add(&mut sum, &line[k..], weights[k]);
        }
        sum.iter().zip(&norm_x).map(|(sum, norm)| (sum / norm) as f32).collect()
    };
    let lines: Vec<Vec<f32>> = pool.install(|| (0..rows).into_par_iter().map(along).collect());
    let across = |(y, mut out): (usize, ArrayViewMut1<f32>)| {
        let mut sum = vec![0.0; cols];
        for k in y.saturating_sub(reach)..(y + reach + 1).min(rows) {
            add(&mut sum, &lines[k], weights[k.abs_diff(y)]);
        }
        out.iter_mut().zip(&sum).for_each(|(out, sum)| *out = (sum / norm_y[y]) as f32);
    };
    let mut out = Array2::zeros((rows, cols));
    let all: Vec<_> = out.outer_iter_mut().enumerate().collect();
    pool.install(|| all.into_par_iter().for_each(across));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    /// A frame of blobs seen with the axis at `axis`, moved down by `down`, from the front or the back.
    fn frame(rows: usize, axis: f64, down: f64, back: bool) -> Array2<f32> {
        let blobs = [
            (-3.0, 8.0, 2.5),
            (4.0, 20.0, 3.0),
            (9.0, 30.0, 2.0),
            (-9.0, 38.0, 3.0),
            (-40.0, 15.0, 6.0),
            (-70.0, 25.0, 9.0),
        ];
        Array2::from_shape_fn((rows, 128), |(y, x)| {
            let s = if back { axis - x as f64 } else { x as f64 - axis };
            let blob = |(bs, by, w): (f64, f64, f64)| {
                (-((s - bs).powi(2) + (y as f64 - down - by).powi(2)) / (2.0 * w * w)).exp()
            };
            (blobs.into_iter().map(blob).sum::<f64>() + 0.02 * s * (2.0 + ((y as f64 - down) / 3.0).sin())) as f32
        })
    }

    #[test]
    fn shift_of_rows_and_columns_is_found_and_equals_the_plain_sum() {
        for (axis, down) in [(110.0, 3.0), (104.5, -4.0), (112.3, 0.0)] {
            let (a, b) = (frame(45, axis, down, false), frame(45, axis, 0.0, true));
            let mut search = ShiftSearch::new([45, 128]).unwrap();
            search.add(&pool(2), a.view(), b.view()).unwrap();
            let found = search.find(None).unwrap();
            // Shifts are 2 axis + 1 - cols; a parabola through samples of a smooth valley is good to a tenth.
            assert!((found.cols - (2.0 * axis - 127.0)).abs() < 0.1 && (found.rows - down).abs() < 0.1, "{found:?}");
            let lane = &search.lanes[(down as isize + 10) as usize];
            let (curve, dx, dy) = (search.curve(lane), 2.0 * axis - 127.0, down as isize);
            let dx = dx.round() as usize;
            let (mut sum, mut count) = (0.0, 0.0);
            for y in 0..45isize {
                for x in dx..128 {
                    if (0..45).contains(&(y - dy)) {
                        // Column x - dx of the mirrored frame.
                        let h = b[[(y - dy) as usize, 127 - (x - dx)]];
                        sum += (f64::from(a[[y as usize, x]]) - f64::from(h)).powi(2);
                        count += 1.0;
                    }
                }
            }
            let got = curve[dx - search.shifts.start];
            assert!((got - sum / count).abs() < 1e-12, "{axis}: {got} {}", sum / count);
            let mut single = ShiftSearch::new([45, 128]).unwrap();
            single.add(&pool(1), a.view(), b.view()).unwrap();
            assert_eq!(single.find(None), Some(found));
            assert_eq!(single.find(Some(found.cols)), Some(found));
            assert_eq!(single.find(Some(10.0)), None);
        }
    }

    #[test]
    fn one_row_works_and_nothing_is_none() {
        let mut search = ShiftSearch::new([1, 128]).unwrap();
        assert_eq!(search.find(None), None);
        let row = |back| frame(45, 108.0, 0.0, back).slice(ndarray::s![20..21, ..]).to_owned();
        search.add(&pool(2), row(false).view(), row(true).view()).unwrap();
        let found = search.find(None).unwrap();
        assert!((found.cols - 89.0).abs() < 0.2 && found.rows == 0.0, "{found:?}");
        assert!(search.add(&pool(1), frame(45, 1.0, 0.0, false).view(), row(true).view()).is_err());
        assert!(ShiftSearch::new([0, 128]).is_err() && ShiftSearch::new([3, 7]).is_err());
    }

    #[test]
    fn smoothing_keeps_a_constant_and_widens_a_point() {
        let flat = Array2::from_elem((7, 9), 3.5f32);
        assert!(smooth(&pool(2), flat.view(), 10.0).iter().all(|v| (v - 3.5).abs() < 1e-5));
        assert_eq!(smooth(&pool(2), flat.view(), 0.0), flat);
        let mut point = Array2::zeros((41, 61));
        point[[20, 30]] = 1.0f32;
        let wide = smooth(&pool(2), point.view(), 2.0);
        let expected = |d2: f64| (-d2 / 8.0).exp();
        for (y, x) in [(20, 31), (22, 30), (23, 34)] {
            let d2 = (y as f64 - 20.0).powi(2) + (x as f64 - 30.0).powi(2);
            assert!((f64::from(wide[[y, x]] / wide[[20, 30]]) - expected(d2)).abs() < 1e-5);
        }
    }
}
