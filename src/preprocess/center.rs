//! Where the rotation axis is: estimates from pairs of opposite views and from the centroid of sinograms.
//!
//! A view taken half a turn later is the mirror image of the first one; twice the axis is the shift that brings both
//! together. Must not know: files, scans, how the pairs were chosen.

use ndarray::{ArrayView2, Axis};
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::PI;
use std::ops::Range;
use std::sync::Arc;

/// An axis with a measure of trust.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Axis, px (column, 0-based).
    pub px: f64,
    /// 0 (none) to 1.
    pub confidence: f64,
}

/// The axis that `ct_rec` finds from two opposite rows of absorbance, in steps of half a pixel.
///
/// Root mean square of the difference for each shift up to half the width, divided by the number of overlapping columns
/// (one more than the terms that ct-rec sums; kept, since the choice depends on it), the smallest wins, the first of equals.
/// The confidence, which ct-rec does not have, is 1 minus the smallest over the median mean square; 0 for an empty row, for
/// which the middle is returned. `None` for rows of different lengths or of less than 2 columns.
pub fn rmsd(p000: &[f32], p180: &[f32]) -> Option<Estimate> {
    let n = p000.len();
    if n < 2 || p180.len() != n {
        return None;
    }
    let square = |a: f32, b: f32| (f64::from(a) - f64::from(b)).powi(2);
    let last = n - 1;
    let sum: f64 = (0..n).map(|j| square(p000[j], p180[last - j])).sum();
    let (mut best, mut shift) = ((sum / n as f64).sqrt(), 0.0);
    let mut all = vec![best];
    for dx in 1..=n / 2 {
        let right: f64 = (0..last - dx).map(|j| square(p000[j + dx], p180[last - j])).sum();
        let left: f64 = (0..last - dx).map(|j| square(p000[j], p180[last - dx - j])).sum();
        for (sum, signed) in [(right, dx as f64), (left, -(dx as f64))] {
            let rmsd = (sum / (n - dx) as f64).sqrt();
            all.push(rmsd);
            if rmsd < best {
                (best, shift) = (rmsd, signed);
            }
        }
    }
    all.sort_by(f64::total_cmp);
    let typical = all[all.len() / 2];
    let confidence = if typical > 0.0 { 1.0 - (best / typical).powi(2) } else { 0.0 };
    Some(Estimate { px: (last as f64 + shift) / 2.0, confidence })
}

/// Estimate of one row, see [`line()`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowAxis {
    /// Index of the row in the input.
    pub row: usize,
    /// Axis in this row.
    pub px: f64,
    /// Sum of products of both views over the overlap: how much there is to see in this row.
    pub weight: f64,
}

/// Range of axes that is looked at for the typical disagreement of views that do not belong together.
pub fn usual_range(cols: usize) -> Range<f64> {
    let last = cols as f64 - 1.0;
    0.25 * last..0.75 * last
}

/// Axis from the smallest mean squared difference between the rows `p000` and the mirrored rows `p180`, both `[row, col]`
/// absorbance; the axis lies in `search` (px).
///
/// Rows are smoothed with weights exp(-1/2), 1, exp(-1/2); the difference is taken over exactly the overlapping columns and
/// summed over rows; a parabola through the lowest point and its neighbours gives the fraction of a pixel. Returns the common
/// axis and that of each row which shows one, within 2 % of the width (at least 3 px) of the common one. The confidence is 1
/// minus the smallest over the median difference; 0 if the smallest lies at a border of `search`. `None` without any signal,
/// for views of different shapes or of less than 4 columns, and where `search` holds no axis.
pub fn line(p000: ArrayView2<f32>, p180: ArrayView2<f32>, search: &Range<f64>) -> Option<(Estimate, Vec<RowAxis>)> {
    let cols = p000.ncols();
    let shifts = same_shape(&p000, &p180).then(|| Shifts::new(cols, search))??;
    let correlator = Correlator::new(cols);
    let mut rows = Vec::with_capacity(p000.nrows());
    let mut sum = vec![0.0; shifts.all.len()];
    // Differences below this are rounding of the Fourier transform.
    let floor = |a: &[f64], b: &[f64]| 1e-20 * a.iter().chain(b).map(|v| v * v).sum::<f64>();
    let mut floors = 0.0;
    for (a, b) in p000.outer_iter().zip(p180.outer_iter()) {
        let (a, b) = (smooth(a.iter()), smooth(b.iter().rev()));
        let (differences, products) = correlator.differences(&a, &b, &shifts.all);
        sum.iter_mut().zip(&differences).for_each(|(s, d)| *s += d);
        floors += floor(&a, &b);
        rows.push((differences, products, floor(&a, &b)));
    }
    let common = lowest(&sum, shifts.search.clone(), floors)?;
    let px = |at: f64| (cols as f64 - 1.0 + shifts.all.start as f64 + at) / 2.0;
    let near = (0.04 * cols as f64).max(6.0).ceil() as usize;
    let middle = common.0.round().max(0.0) as usize;
    let window = middle.saturating_sub(near).max(shifts.search.start)..(middle + near + 1).min(shifts.search.end);
    let mut found = Vec::new();
    for (row, (differences, products, floor)) in rows.iter().enumerate() {
        if let Some((at, confidence)) = lowest(differences, window.clone(), *floor)
            && confidence > 0.5
        {
            let weight = products[(at.round() as usize).min(products.len() - 1)].max(0.0);
            found.push(RowAxis { row, px: px(at), weight });
        }
    }
    Some((Estimate { px: px(common.0), confidence: common.1 }, found))
}

/// Axis by registration of the rows `p000` with the mirrored rows `p180`, both `[row, col]` absorbance.
///
/// The horizontal derivative of both is correlated with half-whitened amplitudes, summed over rows, and the peak refined to
/// 0.01 px by evaluating the Fourier sum between the samples (after Guizar-Sicairos et al. 2008, doi:10.1364/OL.33.000156).
/// The derivative takes slowly varying backgrounds out of the game, so this fails in other cases than [`line()`]. The
/// confidence falls from 1 to 0 as the second highest peak rises from 0.4 to 1 of the highest; 0 at a border of `search`.
/// `None` as for [`line()`].
pub fn registration(p000: ArrayView2<f32>, p180: ArrayView2<f32>, search: &Range<f64>) -> Option<Estimate> {
    let cols = p000.ncols();
    let shifts = same_shape(&p000, &p180).then(|| Shifts::new(cols, search))??;
    let correlator = Correlator::new(cols);
    let taper = taper(cols);
    let gradient = |row: Vec<f64>| -> Vec<f64> {
        let difference = |k: usize| if k + 1 < cols { (row[k + 1] - row[k]) * taper[k] } else { 0.0 };
        (0..cols).map(difference).collect()
    };
    let mut spectrum = vec![Complex::default(); correlator.len];
    for (a, b) in p000.axis_iter(Axis(0)).zip(p180.axis_iter(Axis(0))) {
        let (a, b) = (gradient(smooth(a.iter())), gradient(smooth(b.iter().rev())));
        let cross = correlator.cross_spectrum(&a, &b);
        spectrum.iter_mut().zip(&cross).for_each(|(s, c)| *s += c);
    }
    let largest = spectrum.iter().map(|c| c.norm()).fold(0.0, f64::max);
    if !(largest > 0.0 && largest.is_finite()) {
        return None;
    }
    spectrum.iter_mut().for_each(|c| *c /= c.norm().max(1e-6 * largest).sqrt());
    let correlation = correlator.inverse(spectrum.clone(), &shifts.all);
    let peak = (shifts.search.clone()).max_by(|&i, &k| correlation[i].total_cmp(&correlation[k]))?;
    if correlation[peak] <= 0.0 {
        return None;
    }
    let apart = (cols / 50).max(4);
    let second =
        (0..correlation.len()).filter(|i| i.abs_diff(peak) > apart).map(|i| correlation[i]).fold(0.0, f64::max);
    let at_border = peak <= shifts.search.start || peak + 1 >= shifts.search.end;
    let confidence = if at_border { 0.0 } else { ((1.0 - second / correlation[peak]) / 0.6).clamp(0.0, 1.0) };
    let coarse = (shifts.all.start + peak as isize) as f64;
    let fine = (-100..=100).map(|k| coarse + f64::from(k) / 100.0);
    let best = fine.map(|dx| (fourier_sum(&spectrum, dx), dx)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(Estimate { px: (cols as f64 - 1.0 + best.1) / 2.0, confidence })
}

/// Axis from the centroids of one sinogram row, and how well they fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MomentFit {
    /// Axis, px.
    pub px: f64,
    /// Standard error of `px`.
    pub error_px: f64,
}

/// Axis from the centroid of each view, px: for a sample that is never cut off it moves exactly as c + a cos θ + b sin θ (the
/// Helgason-Ludwig condition of first order; see Natterer, doi:10.1137/1.9780898719284).
///
/// `angles_rad` and `centroid_px` one per view. Least squares; `None` with fewer than 6 views or a range of angles that does
/// not tell the three apart.
pub fn moment(angles_rad: &[f64], centroid_px: &[f64]) -> Option<MomentFit> {
    let n = angles_rad.len();
    if n < 6 || centroid_px.len() != n {
        return None;
    }
    let rows: Vec<[f64; 3]> = angles_rad.iter().map(|t| [1.0, t.cos(), t.sin()]).collect();
    let fit = least_squares(&rows, centroid_px, &vec![1.0; n])?;
    Some(MomentFit { px: fit.value[0], error_px: fit.error[0] })
}

/// Result of [`least_squares`].
pub(crate) struct Fit<const P: usize> {
    /// Parameters.
    pub(crate) value: [f64; P],
    /// Their standard errors, from the residuals.
    pub(crate) error: [f64; P],
}

/// Weighted linear least squares by normal equations; `None` if they do not determine the parameters.
pub(crate) fn least_squares<const P: usize>(rows: &[[f64; P]], values: &[f64], weights: &[f64]) -> Option<Fit<P>> {
    let (mut matrix, mut right) = ([[0.0; P]; P], [0.0; P]);
    for ((row, value), weight) in rows.iter().zip(values).zip(weights) {
        for i in 0..P {
            right[i] += weight * row[i] * value;
            for k in 0..P {
                matrix[i][k] += weight * row[i] * row[k];
            }
        }
    }
    let inverse = invert(matrix)?;
    let times = |v: &[f64; P], i: usize| (0..P).map(|k| inverse[i][k] * v[k]).sum::<f64>();
    let value: [f64; P] = std::array::from_fn(|i| times(&right, i));
    let residual = |(row, y): (&[f64; P], &f64)| y - (0..P).map(|k| row[k] * value[k]).sum::<f64>();
    let squares: f64 = rows.iter().zip(values).zip(weights).map(|(p, w)| w * residual(p).powi(2)).sum();
    let free = rows.len().saturating_sub(P).max(1) as f64;
    let error = std::array::from_fn(|i| (inverse[i][i] * squares / free).max(0.0).sqrt());
    value.iter().all(|v| v.is_finite()).then_some(Fit { value, error })
}

/// Gauss-Jordan with pivoting; `None` for a matrix that is singular within 1e-9.
fn invert<const P: usize>(mut m: [[f64; P]; P]) -> Option<[[f64; P]; P]> {
    let mut inverse: [[f64; P]; P] = std::array::from_fn(|i| std::array::from_fn(|k| f64::from(u8::from(i == k))));
    let scale: [f64; P] = std::array::from_fn(|i| m[i][i]);
    for i in 0..P {
        let pivot = (i..P).max_by(|&a, &b| m[a][i].abs().total_cmp(&m[b][i].abs()))?;
        m.swap(i, pivot);
        inverse.swap(i, pivot);
        let divisor = m[i][i];
        if divisor.abs().is_nan() || divisor.abs() <= 1e-9 * scale[i].abs() {
            return None;
        }
        for k in 0..P {
            m[i][k] /= divisor;
            inverse[i][k] /= divisor;
        }
        let (pivot_row, pivot_inverse) = (m[i], inverse[i]);
        for r in (0..P).filter(|r| *r != i) {
            let factor = m[r][i];
            for k in 0..P {
                m[r][k] -= factor * pivot_row[k];
                inverse[r][k] -= factor * pivot_inverse[k];
            }
        }
    }
    Some(inverse)
}

fn same_shape(a: &ArrayView2<f32>, b: &ArrayView2<f32>) -> bool {
    a.dim() == b.dim()
}

/// Shifts, in columns, that are computed, and the part of them that answers may come from.
struct Shifts {
    all: Range<isize>,
    /// Indices into `all`.
    search: Range<usize>,
}

impl Shifts {
    fn new(cols: usize, search: &Range<f64>) -> Option<Self> {
        // A sixteenth of the width must overlap, or chance decides.
        let limit = cols as isize - (cols as isize / 16).max(3);
        if limit < 1 {
            return None;
        }
        let shift = |px: f64| 2.0 * px - (cols as f64 - 1.0);
        let bound = |v: f64| (v as isize).clamp(-limit, limit);
        let usual = usual_range(cols);
        let (start, end) = (bound(shift(search.start).ceil()), bound(shift(search.end).floor()) + 1);
        let all = start.min(bound(shift(usual.start).ceil()))..end.max(bound(shift(usual.end).floor()) + 1);
        if start >= end {
            return None;
        }
        Some(Shifts { search: (start - all.start) as usize..(end - all.start) as usize, all })
    }
}

/// Correlations of rows by FFT, zero padded so that nothing wraps.
pub(super) struct Correlator {
    len: usize,
    forward: Arc<dyn Fft<f64>>,
    backward: Arc<dyn Fft<f64>>,
}

impl Correlator {
    pub(super) fn new(cols: usize) -> Self {
        let len = (2 * cols).next_power_of_two();
        let mut planner = FftPlanner::new();
        Correlator { len, forward: planner.plan_fft_forward(len), backward: planner.plan_fft_inverse(len) }
    }
    fn cross_spectrum(&self, a: &[f64], b: &[f64]) -> Vec<Complex<f64>> {
        let transform = |v: &[f64]| {
            let mut out = vec![Complex::default(); self.len];
            out.iter_mut().zip(v).for_each(|(o, v)| o.re = *v);
            self.forward.process(&mut out);
            out
        };
        let b = transform(b);
        transform(a).iter().zip(&b).map(|(x, y)| x * y.conj()).collect()
    }
    fn inverse(&self, mut spectrum: Vec<Complex<f64>>, shifts: &Range<isize>) -> Vec<f64> {
        self.backward.process(&mut spectrum);
        let at = |dx: isize| spectrum[dx.rem_euclid(self.len as isize) as usize].re / self.len as f64;
        shifts.clone().map(at).collect()
    }
    /// For each shift dx the mean of (a[j + dx] - b[j])² over the overlap, and the sum of a[j + dx] b[j].
    pub(super) fn differences(&self, a: &[f64], b: &[f64], shifts: &Range<isize>) -> (Vec<f64>, Vec<f64>) {
        let n = a.len();
        // The same constant taken from both leaves the difference and keeps the squares small.
        let mean = (a.iter().sum::<f64>() + b.iter().sum::<f64>()) / (2 * n) as f64;
        let shifted = |v: &[f64]| v.iter().map(|x| x - mean).collect::<Vec<f64>>();
        let (a, b) = (shifted(a), shifted(b));
        let running = |v: &[f64], f: fn(f64) -> f64| {
            let mut sums = vec![0.0];
            v.iter().for_each(|x| sums.push(sums[sums.len() - 1] + f(*x)));
            sums
        };
        let (a2, b2) = (running(&a, |x| x * x), running(&b, |x| x * x));
        let (a1, b1) = (running(&a, |x| x), running(&b, |x| x));
        let products = self.inverse(self.cross_spectrum(&a, &b), shifts);
        let one = |(dx, product): (isize, &f64)| {
            let overlap = n - dx.unsigned_abs();
            let (i, k) = (dx.max(0) as usize, (-dx).max(0) as usize);
            let sum = |s: &[f64], from: usize| s[from + overlap] - s[from];
            let squares = sum(&a2, i) + sum(&b2, k) - 2.0 * product;
            let linear = mean * (sum(&a1, i) + sum(&b1, k)) + mean * mean * overlap as f64;
            (squares.max(0.0) / overlap as f64, product + linear)
        };
        shifts.clone().zip(&products).map(one).unzip()
    }
}

/// Index with its fraction of the smallest value within `search`, and the confidence that it means something.
fn lowest(curve: &[f64], search: Range<usize>, floor: f64) -> Option<(f64, f64)> {
    let i = search.clone().min_by(|&i, &k| curve[i].total_cmp(&curve[k]))?;
    let mut sorted = curve.to_vec();
    sorted.sort_by(f64::total_cmp);
    let typical = sorted[sorted.len() / 2];
    if !(typical > floor && typical.is_finite()) {
        return None;
    }
    if i <= search.start || i + 1 >= search.end {
        return Some((i as f64, 0.0));
    }
    let fraction = parabola(curve[i - 1], curve[i], curve[i + 1]);
    Some((i as f64 + fraction, (1.0 - curve[i] / typical).clamp(0.0, 1.0)))
}

/// Where the parabola through three values, one apart, is lowest: -0.5 to 0.5 from the middle one.
pub(super) fn parabola(below: f64, here: f64, above: f64) -> f64 {
    let bend = below - 2.0 * here + above;
    if bend > 0.0 { (0.5 * (below - above) / bend).clamp(-0.5, 0.5) } else { 0.0 }
}

pub(super) fn smooth<'a>(row: impl Iterator<Item = &'a f32>) -> Vec<f64> {
    let v: Vec<f64> = row.map(|x| f64::from(*x)).collect();
    let side = (-0.5f64).exp();
    let at = |k: usize| {
        let (mut sum, mut weight) = (v[k], 1.0);
        for x in [k.checked_sub(1).map(|k| v[k]), v.get(k + 1).copied()].into_iter().flatten() {
            sum += side * x;
            weight += side;
        }
        sum / weight
    };
    (0..v.len()).map(at).collect()
}

/// Rises and falls over a sixteenth of the width: where a view is cut off its edge must not look like structure.
fn taper(cols: usize) -> Vec<f64> {
    let width = (cols / 16).max(2);
    let rise = |d: usize| if d < width { 0.5 - 0.5 * (PI * (d as f64 + 0.5) / width as f64).cos() } else { 1.0 };
    let last = cols.saturating_sub(2);
    (0..cols).map(|k| rise(k) * rise(last.saturating_sub(k))).collect()
}

/// Value of the correlation between its samples.
fn fourier_sum(spectrum: &[Complex<f64>], dx: f64) -> f64 {
    let n = spectrum.len();
    let step = 2.0 * PI * dx / n as f64;
    // The spectrum belongs to a real function: twice the positive half.
    (1..n / 2).map(|k| (spectrum[k] * Complex::from_polar(1.0, step * k as f64)).re).sum::<f64>() * 2.0 + spectrum[0].re
}
