//! The axis of an offset scan from the overlap of opposite views.

use super::{PLACE, Pair};
use crate::error::{Error, Result};
use crate::preprocess::center::{Correlator, parabola};
use ndarray::{ArrayView2, ArrayView3, Axis};
use std::ops::Range;

/// Widths of the smoothing, px: noise hides what is fine first.
const WIDTHS: [usize; 3] = [2, 6, 18];
/// Part of the mean energy that counts as background: enough for air without noise.
const AIR: f64 = 1e-4;
/// Agreement at which the next finer smoothing is not given up.
const CLEAR: f64 = 0.5;
/// Rows that count as one independent value.
const ROWS_ALIKE: f64 = 4.0;

/// What the search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlap {
    /// Axis, px (column, 0-based).
    pub center_px: f64,
    /// Agreement of opposite views there: nearly 1 for equal ones, 0 for unrelated ones.
    pub score: f64,
    /// Standard error of the axis, px, from what differs between opposite views that are shifted best.
    pub error_px: f64,
    /// 0 (a guess) to 1: how much the best axis stands out from all others; less if the error is above half a pixel, or the
    /// lower bound of the agreement below 0.5.
    pub confidence: f64,
    /// Lower bound of the agreement for each axis in the range of the search, in steps of half a pixel.
    pub curve: Vec<(f64, f64)>,
}

/// Collects pairs of opposite views, then tells the axis.
///
/// Views of a pair are mirror images about the axis c: p180(2c - n) = p000(n) where the detector sees both. Twice the axis
/// is the shift that brings one and the mirrored other together. Compared are horizontal derivatives, smoothed over 2, 6 or
/// 18 px, by
///
/// ρ = 2 Σ a b / (Σ a² + Σ b² + ε), sums over the overlap, all rows and all pairs,
///
/// which is 1 minus the squared difference over the energy. A plain mean squared difference, as it is often used, becomes
/// small wherever there is little to compare: at an overlap of few columns, and where air lies upon air. Here air scores 0
/// (ε is 1e-4 of the mean energy; noise in air adds to the squares, and not to the products), and few columns must agree
/// better than many: the axis is where the lower end of the 95 % range of ρ (Fisher's transform, one independent value for
/// every 4 rows and twice the smoothing of a pair) is highest. The answer is that of the finest smoothing with a lower end of
/// at least 0.5; if there is none, of the highest.
///
/// Works on the calling thread, some 0.5 ms for each row of each pair at 2048 columns.
pub struct OverlapSearch {
    cols: usize,
    scales: Vec<Scale>,
}

impl OverlapSearch {
    /// `cols`: width of the detector, at least 16.
    pub fn new(cols: usize) -> Result<Self> {
        if !(16..=1 << 20).contains(&cols) {
            return Err(Error::invalid(PLACE, "expected 16 to 1048576 detector columns").with("cols", cols));
        }
        Ok(OverlapSearch { cols, scales: WIDTHS.iter().filter_map(|&width| Scale::new(cols, width)).collect() })
    }

    /// Axes that can be found: those for which enough columns overlap.
    pub fn range_px(&self) -> Range<f64> {
        let finest = &self.scales[0];
        finest.px(0)..finest.px(finest.shifts.len() - 1)
    }

    /// Adds some rows `[row, col]` of absorbance of a view and of the one half a turn later.
    ///
    /// Errors: shapes that differ or do not have the width of the search, values that are not finite.
    pub fn add(&mut self, p000: ArrayView2<f32>, p180: ArrayView2<f32>) -> Result<()> {
        if p000.dim() != p180.dim() || p000.ncols() != self.cols {
            return Err(Error::invalid(PLACE, "expected two views with the same rows and the width of the detector")
                .with("cols", self.cols)
                .with("first", format!("{:?}", p000.shape()))
                .with("second", format!("{:?}", p180.shape())));
        }
        for (row, (a, b)) in p000.outer_iter().zip(p180.outer_iter()).enumerate() {
            if let Some(col) = (0..self.cols).find(|&k| !(a[k].is_finite() && b[k].is_finite())) {
                return Err(Error::invalid(PLACE, "a view holds a value that is not finite")
                    .with("row", row)
                    .with("column", col));
            }
            let a: Vec<f64> = a.iter().map(|v| f64::from(*v)).collect();
            let b: Vec<f64> = b.iter().rev().map(|v| f64::from(*v)).collect();
            self.scales.iter_mut().for_each(|scale| scale.add(&a, &b));
        }
        let independent = (p000.nrows() as f64 / ROWS_ALIKE).max(1.0);
        self.scales.iter_mut().for_each(|scale| scale.independent += independent / (2 * scale.width) as f64);
        Ok(())
    }

    /// The axis within `search` (px). `None` if nothing was added, the views show nothing, or no axis of the range can be
    /// found. The confidence is 0 if the best axis is at an end of the range.
    pub fn find(&self, search: &Range<f64>) -> Option<Overlap> {
        let mut best: Option<Found> = None;
        for found in self.scales.iter().filter_map(|scale| scale.find(search)) {
            // An axis at the end of what a smoothing can see is probably beyond.
            if best.as_ref().is_none_or(|best| (best.at_end, found.bound) > (found.at_end, best.bound)) {
                best = Some(found);
            }
            if best.as_ref().is_some_and(|best| !best.at_end && best.bound >= CLEAR) {
                break;
            }
        }
        best.map(|best| best.overlap)
    }
}

/// Answer of one smoothing.
struct Found {
    /// Lower end of its agreement.
    bound: f64,
    at_end: bool,
    overlap: Overlap,
}

/// Sums of one smoothing.
struct Scale {
    cols: usize,
    width: usize,
    correlator: Correlator,
    shifts: Range<isize>,
    /// Per shift: sum of products, and sum of squares of both, over the overlap.
    products: Vec<f64>,
    squares: Vec<f64>,
    /// Sum of squares of all columns, and of how many.
    total: f64,
    columns: usize,
    /// Independent values per column of overlap.
    independent: f64,
}

impl Scale {
    /// `None` if too few columns are left.
    fn new(cols: usize, width: usize) -> Option<Self> {
        let used = cols.checked_sub(2 * width)?;
        // Fewer columns decide by chance.
        let limit = used.checked_sub((cols / 64).max(width).max(6))? as isize;
        let shifts = -limit..limit + 1;
        let zeros = vec![0.0; shifts.len()];
        let correlator = Correlator::new(used);
        let (products, squares) = (zeros.clone(), zeros);
        Some(Scale { cols, width, correlator, shifts, products, squares, total: 0.0, columns: 0, independent: 0.0 })
    }

    fn px(&self, index: usize) -> f64 {
        (self.cols as f64 - 1.0 + (self.shifts.start + index as isize) as f64) / 2.0
    }

    /// Columns that overlap at a shift.
    fn overlap(&self, index: usize) -> f64 {
        let shift = self.shifts.start + index as isize;
        (self.cols - 2 * self.width - shift.unsigned_abs()) as f64
    }

    fn add(&mut self, a: &[f64], b: &[f64]) {
        let (a, b) = (derivative(a, self.width), derivative(b, self.width));
        let (differences, products) = self.correlator.differences(&a, &b, &self.shifts);
        for (i, (difference, product)) in differences.iter().zip(&products).enumerate() {
            self.products[i] += product;
            self.squares[i] += difference * self.overlap(i) + 2.0 * product;
        }
        self.total += a.iter().chain(&b).map(|v| v * v).sum::<f64>();
        self.columns += 2 * a.len();
    }

    fn find(&self, search: &Range<f64>) -> Option<Found> {
        let floor = AIR * self.total / self.columns.max(1) as f64;
        if !(floor > 0.0 && floor.is_finite()) {
            return None;
        }
        let rows = (self.columns / (2 * (self.cols - 2 * self.width))) as f64;
        let score = |i: usize| {
            let energy = self.squares[i] + 2.0 * floor * self.overlap(i) * rows;
            (2.0 * self.products[i] / energy).clamp(-1.0, 1.0)
        };
        let bound = |i: usize| {
            let spread = 2.0 / (self.independent * self.overlap(i)).sqrt();
            (score(i).clamp(-0.999_999, 0.999_999).atanh() - spread).tanh()
        };
        let wanted: Vec<usize> = (0..self.shifts.len()).filter(|&i| search.contains(&self.px(i))).collect();
        let chosen = wanted.iter().copied().max_by(|&i, &k| bound(i).total_cmp(&bound(k)))?;
        // Nearby the bound leans towards long overlaps; the agreement itself does not.
        let near = wanted.iter().copied().filter(|i| i.abs_diff(chosen) <= self.width);
        let best = near.max_by(|&i, &k| score(i).total_cmp(&score(k)))?;
        // As far apart as the smoothing: near the lowest point noise is all that differs.
        let apart = self.width / 2;
        let at_end = best < wanted[0] + apart || best + apart > wanted[wanted.len() - 1];
        let (mut fraction, mut error_px) = (0.0, self.width as f64);
        if !at_end {
            let difference = |i: usize| (self.squares[i] - 2.0 * self.products[i]) / (self.overlap(i) * rows);
            let [below, here, above] = [best - apart, best, best + apart].map(difference);
            fraction = parabola(below, here, above) * apart as f64;
            // Least squares: the variance of a shift is that of a difference over the sum of squared slopes, which is half
            // the bend. Noise is alike over twice the smoothing.
            let slopes = 0.5 * (below - 2.0 * here + above) / (apart * apart) as f64;
            let values = self.overlap(best) * rows / (2 * self.width) as f64;
            let variance = here.max(0.0) / (slopes * values);
            if slopes > 0.0 && variance.is_finite() {
                error_px = error_px.min(0.5 * variance.sqrt());
            }
        }
        let far = (self.cols / 50).max(2 * self.width);
        let others = wanted.iter().filter(|i| i.abs_diff(best) > far);
        let second = others.map(|&i| bound(i)).fold(0.0, f64::max);
        let stands_out = ((1.0 - second / bound(best)) / 0.6).clamp(0.0, 1.0);
        let is_guess = at_end || bound(best) <= 0.0;
        let overlap = Overlap {
            center_px: self.px(best) + 0.5 * fraction,
            score: score(best),
            error_px,
            confidence: if is_guess { 0.0 } else { stands_out * (0.5 / error_px).min(bound(best) / CLEAR).min(1.0) },
            curve: wanted.iter().map(|&i| (self.px(i), bound(i))).collect(),
        };
        Some(Found { bound: bound(best), at_end, overlap })
    }
}

/// The axis of sinograms `[row, view, col]` of a full turn, absorbance, from `pairs` (see [`super::opposite_views`]; some of
/// them, evenly spaced, are enough); see [`OverlapSearch`].
///
/// `search` in px; without, all axes that leave an overlap. Errors: as [`OverlapSearch::add`], and pairs beyond the views.
pub fn find_axis(sinograms: ArrayView3<f32>, pairs: &[Pair], search: Option<&Range<f64>>) -> Result<Option<Overlap>> {
    let (_, views, cols) = sinograms.dim();
    let mut all = OverlapSearch::new(cols)?;
    for pair in pairs {
        if pair.first.max(pair.second) >= views {
            return Err(Error::invalid(PLACE, "a pair names a view that is not there")
                .with("views", views)
                .with("pair", format!("{pair:?}")));
        }
        let view = |m: usize| sinograms.index_axis(Axis(1), m);
        all.add(view(pair.first), view(pair.second))?;
    }
    let whole = all.range_px();
    Ok(all.find(search.unwrap_or(&(whole.start..whole.end + 0.25))))
}

/// Sum of `width` values after each one minus as many before it, where there are so many on either side.
fn derivative(v: &[f64], width: usize) -> Vec<f64> {
    let mut sums = vec![0.0];
    v.iter().for_each(|x| sums.push(sums[sums.len() - 1] + x));
    let at = |k: usize| sums[k + width + 1] - sums[k + 1] - (sums[k] - sums[k - width]);
    (width..v.len() - width).map(at).collect()
}
