//! Counts to absorbance: dark and direct beam, floors, black views, dead pixels.
//!
//! With the default options the numbers are those of ct-rec's `hp_tg` to the last bit: f64 arithmetic, transmission
//! kept as f32, logarithm in f64, result as f32. With [`Air::Edges`] they follow `ct_rec`: f64 to the end and a
//! baseline from the edge columns. Must not know: files, scans, stages.

use super::loops::{Store, View};
use crate::error::{Error, Result};
use crate::simd::widest;
use crate::slab::References;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, ArrayViewMut3, Axis};
use rayon::prelude::*;

/// Place named in the errors of this module.
const PLACE: &str = "normalise";
/// Columns at either edge that are taken for air by [`Air::Edges`].
pub const AIR_COLS: usize = 10;

/// Which views count as black (beam lost, shutter closed) and are replaced by the mean of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlackRule {
    /// Whole frames, as judged beforehand (`References::black_views`).
    #[default]
    Frame,
    /// Each detector row for itself: more clipped pixels than `black_fraction` of the row.
    Row,
}

/// Correction for changes of the beam between direct-beam images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Air {
    /// None.
    #[default]
    Off,
    /// The mean absorbance of the 10 columns at either edge is subtracted from each view of each row; right only where
    /// the sample never reaches these columns.
    Edges,
}

/// Options of [`normalise_row`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormaliseOptions {
    /// Smallest signal above dark, counts; anything below is raised to it, so that the logarithm is always finite.
    pub floor_counts: f64,
    /// Part of clipped pixels above which a view is black, above 0 and at most 1.
    pub black_fraction: f64,
    /// What is judged black.
    pub black: BlackRule,
    /// Air baseline.
    pub air: Air,
    /// Replace dead and hot detector pixels.
    pub repair: bool,
}

impl Default for NormaliseOptions {
    fn default() -> Self {
        NormaliseOptions {
            floor_counts: 2.0,
            black_fraction: 0.5,
            black: BlackRule::Frame,
            air: Air::Off,
            repair: true,
        }
    }
}

impl NormaliseOptions {
    /// Refuses values outside what is accepted.
    pub fn check(&self) -> Result<()> {
        if !(self.floor_counts > 0.0 && self.floor_counts.is_finite()) {
            return Err(Error::invalid(PLACE, "the floor must be greater than 0 counts above dark")
                .with("floor_counts", self.floor_counts));
        }
        if !(self.black_fraction > 0.0 && self.black_fraction <= 1.0) {
            return Err(Error::invalid(PLACE, "the black fraction must be greater than 0 and at most 1")
                .with("black_fraction", self.black_fraction));
        }
        Ok(())
    }
}

/// What was repaired: in one row, or summed over many with [`RowReport::merge`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowReport {
    /// Rows in this report.
    pub rows: usize,
    /// Pixels of good columns and good views whose signal was raised to the floor.
    pub clipped: u64,
    /// Pixels of good columns and good views in all, for the share of clipped ones.
    pub pixels: u64,
    /// Dead or hot detector pixels that were repaired.
    pub repaired_cols: usize,
    /// Rows without any direct beam, set to zero.
    pub dark_rows: usize,
    /// Black views, summed over rows.
    pub black: usize,
    /// Black views in the row that has most of them.
    pub black_most: usize,
}

impl RowReport {
    /// Adds the report of other rows.
    pub fn merge(&mut self, other: &RowReport) {
        self.rows += other.rows;
        self.clipped += other.clipped;
        self.pixels += other.pixels;
        self.repaired_cols += other.repaired_cols;
        self.dark_rows += other.dark_rows;
        self.black += other.black;
        self.black_most = self.black_most.max(other.black_most);
    }
    /// One sentence with numbers for each kind of repair that took place.
    pub fn remarks(&self) -> Vec<String> {
        let mut out = Vec::new();
        let lit = self.rows - self.dark_rows;
        if self.black > 0 && self.black == self.black_most * lit {
            out.push(format!("{} black projection(s) replaced by the mean of the others", self.black_most));
        } else if self.black > 0 {
            let (sum, most) = (self.black, self.black_most);
            out.push(format!(
                "{sum} black projection rows (at most {most} per slice) replaced by the mean of the others"
            ));
        }
        if self.repaired_cols > 0 {
            let n = self.repaired_cols;
            out.push(format!("{n} dead or hot detector pixel(s) filled in from their neighbours in the row"));
        }
        if self.dark_rows > 0 {
            out.push(format!("{} detector row(s) without direct beam set to zero", self.dark_rows));
        }
        if self.clipped > 0 {
            let percent = 100.0 * self.clipped as f64 / self.pixels.max(1) as f64;
            out.push(format!("{} value(s) ({percent:.2} %) below the signal floor raised to it", self.clipped));
        }
        out
    }
}

/// For each view the direct-beam image `i` and the weight `r2` of image `i + 1` (that of image `i` is `1 - r2`).
///
/// Linear in time. Beyond the first and last image the line goes on, by at most one interval: further out it would
/// only multiply noise. A single image stands for all times; two images with the same time stamp count half each.
/// `flat_time` must be in ascending order.
pub fn flat_weights(view_time: &[f64], flat_time: &[f64]) -> Vec<(usize, f64)> {
    let last_pair = flat_time.len().saturating_sub(2);
    let weight = |&t: &f64| {
        if flat_time.len() < 2 {
            return (0, 0.0);
        }
        let i = (0..=last_pair).rev().find(|&i| t >= flat_time[i]).unwrap_or(0);
        let r2 = (t - flat_time[i]) / (flat_time[i + 1] - flat_time[i]);
        // Equal stamps give no number; both images are equally near.
        (i, if r2.is_finite() { r2.clamp(-1.0, 2.0) } else { 0.5 })
    };
    view_time.iter().map(weight).collect()
}

/// Dark and direct beam of one detector row, checked, with the list of its bad pixels.
pub(crate) struct RowReferences {
    dark: Vec<f64>,
    flats: Vec<Vec<f64>>,
    /// Empty unless pixels are repaired; ascending.
    bad: Vec<usize>,
    floor: f64,
}

impl RowReferences {
    /// `dark` `[col]`, `flats` `[flat, col]`. A pixel is bad if in any direct-beam image it is not at least `floor_counts`
    /// above dark: this holds for pixels that are dead, and for hot ones that are bright without beam. One image is enough,
    /// for a pixel must be good or bad for a whole scan, or it would leave an arc in the slice.
    pub(crate) fn new(
        dark: ArrayView1<f32>,
        flats: ArrayView2<f32>,
        options: &NormaliseOptions,
        row: usize,
    ) -> Result<Self> {
        let not_finite = |frame: String, col: usize| {
            Error::format(PLACE, format!("the {frame} image holds a value that is not a finite number"))
                .with("row", row)
                .with("column", col)
        };
        if let Some(col) = dark.iter().position(|v| !v.is_finite()) {
            return Err(not_finite("dark".into(), col));
        }
        for (i, flat) in flats.outer_iter().enumerate() {
            if let Some(col) = flat.iter().position(|v| !v.is_finite()) {
                return Err(not_finite(format!("direct-beam (I0) {i}"), col));
            }
        }
        let dark: Vec<f64> = dark.iter().map(|&v| f64::from(v)).collect();
        let flats: Vec<Vec<f64>> = flats.outer_iter().map(|f| f.iter().map(|&v| f64::from(v)).collect()).collect();
        let floor = options.floor_counts;
        let weak = |x: &usize| flats.iter().any(|f| f[*x] - dark[*x] < floor);
        let bad = if options.repair { (0..dark.len()).filter(weak).collect() } else { Vec::new() };
        Ok(RowReferences { dark, flats, bad, floor })
    }
    /// Columns that are filled in from their neighbours.
    pub(crate) fn bad(&self) -> &[usize] {
        &self.bad
    }
    /// Columns with beam.
    pub(crate) fn good(&self) -> usize {
        self.dark.len() - self.bad.len()
    }
    /// Absorbance of one view, bad columns filled in, baseline subtracted; returns the number of clipped pixels.
    pub(crate) fn absorbance(&self, counts: &[f32], weight: (usize, f64), air: Air, out: &mut [f64]) -> u64 {
        let flats = [weight.0, (weight.0 + 1).min(self.flats.len() - 1)].map(|i| self.flats[i].as_slice());
        let clipped = match air {
            Air::Off => widest(View::<true> { counts, dark: &self.dark, flats, r2: weight.1, floor: self.floor, out }),
            Air::Edges => {
                widest(View::<false> { counts, dark: &self.dark, flats, r2: weight.1, floor: self.floor, out })
            }
        };
        // Bad columns say nothing about the view.
        let bad = self.bad.iter().filter(|&&x| f64::from(counts[x]) - self.dark[x] < self.floor).count();
        fill_in(out, &self.bad);
        if air == Air::Edges {
            let n = out.len();
            let edge = AIR_COLS.min(n);
            let sum = out[..edge].iter().sum::<f64>() + out[n - edge..].iter().rev().sum::<f64>();
            let baseline = sum / (2 * edge) as f64;
            out.iter_mut().for_each(|p| *p -= baseline);
        }
        clipped - bad as u64
    }
}

/// Replaces the columns `bad` (ascending) by straight lines between the nearest good ones; at the ends by the nearest.
pub(super) fn fill_in(values: &mut [f64], bad: &[usize]) {
    let mut k = 0;
    while k < bad.len() {
        let first = bad[k];
        let mut last = first;
        while k + 1 < bad.len() && bad[k + 1] == last + 1 {
            k += 1;
            last = bad[k];
        }
        k += 1;
        let left = first.checked_sub(1).map(|x| values[x]);
        let right = values.get(last + 1).copied();
        let (Some(a), Some(b)) = (left.or(right), right.or(left)) else { return };
        let steps = (last + 2 - first) as f64;
        for (k, value) in values[first..=last].iter_mut().enumerate() {
            *value = a + (b - a) * (k + 1) as f64 / steps;
        }
    }
}

/// Refuses a count that is not a finite number.
pub(crate) fn check_counts(counts: &[f32], row: usize, view: usize) -> Result<()> {
    // Without a way out in the middle this is vector code.
    if counts.iter().fold(true, |finite, v| finite & v.is_finite()) {
        return Ok(());
    }
    match counts.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(col) => Err(Error::format(PLACE, "a projection holds a value that is not a finite number")
            .with("row", row)
            .with("view", view)
            .with("column", col)),
    }
}

/// The error for a scan, or a row of it, without a single usable view.
pub(crate) fn all_black(options: &NormaliseOptions) -> Error {
    let message = "every projection is black: no view is left to reconstruct from; check that dark, direct-beam (I0) \
                   and projection images are not mixed up, or lower floor_counts if the counts are scaled";
    Error::format(PLACE, message).with("floor_counts", options.floor_counts)
}

/// One detector row from counts to absorbance, in place.
///
/// `counts` `[view, col]`, `dark` `[col]`, `flats` `[flat, col]` all in counts; `weights` from [`flat_weights`];
/// `black_views` one per view (not looked at with [`BlackRule::Row`]); `row` is the detector row for messages.
///
/// * Signal and direct beam are raised to `floor_counts` above dark, so the result is always finite.
/// * Bad pixels (see [`NormaliseOptions::repair`]: not `floor_counts` above dark in some direct-beam image) get the
///   absorbance on a straight line between the nearest good pixels of the row.
/// * Black views get the mean of the others.
/// * A row in which no pixel sees the direct beam carries no information and becomes zero, not an error: detectors are
///   often higher than the beam.
///
/// Fails on a value that is not finite (naming row, view and column), if every view is black, and if the shapes
/// contradict each other.
#[allow(clippy::too_many_arguments)]
pub fn normalise_row(
    mut counts: ArrayViewMut2<f32>,
    dark: ArrayView1<f32>,
    flats: ArrayView2<f32>,
    weights: &[(usize, f64)],
    black_views: &[bool],
    options: &NormaliseOptions,
    row: usize,
) -> Result<RowReport> {
    options.check()?;
    let (views, cols) = counts.dim();
    let needs_frames = options.black == BlackRule::Frame;
    if dark.len() != cols
        || flats.ncols() != cols
        || flats.nrows() == 0
        || weights.len() != views
        || weights.iter().any(|w| w.0 >= flats.nrows())
        || (needs_frames && black_views.len() != views)
    {
        return Err(Error::invalid(PLACE, "dark, direct beam, weights and black views must fit the projections")
            .with("projections", format!("{views} x {cols}"))
            .with("dark", dark.len())
            .with("direct beam", format!("{:?}", flats.shape()))
            .with("weights", weights.len())
            .with("black views", black_views.len()));
    }
    let refs = RowReferences::new(dark, flats, options, row)?;
    let mut report = RowReport { rows: 1, ..RowReport::default() };
    let (mut line, mut absorbance) = (vec![0f32; cols], vec![0f64; cols]);
    let mut sum = vec![0f64; cols];
    let mut is_black = vec![false; views];
    let limit = (options.black_fraction * refs.good() as f64).floor() as u64;
    for (m, mut view) in counts.outer_iter_mut().enumerate() {
        ArrayViewMut1::from(&mut line).assign(&view);
        check_counts(&line, row, m)?;
        if refs.good() == 0 {
            view.fill(0.0);
            continue;
        }
        let clipped = refs.absorbance(&line, weights[m], options.air, &mut absorbance);
        is_black[m] = if needs_frames { black_views[m] } else { clipped > limit };
        if is_black[m] {
            report.black += 1;
            continue;
        }
        report.clipped += clipped;
        report.pixels += refs.good() as u64;
        widest(Store { absorbance: &absorbance, air: options.air, line: &mut line, sum: &mut sum });
        view.assign(&ArrayView1::from(&line));
    }
    if refs.good() == 0 {
        report.dark_rows = 1;
        return Ok(report);
    }
    if report.black == views {
        return Err(all_black(options).with("row", row));
    }
    if report.black > 0 {
        let good_views = (views - report.black) as f64;
        for (mut view, _) in counts.outer_iter_mut().zip(&is_black).filter(|(_, black)| **black) {
            view.iter_mut().zip(&sum).for_each(|(v, s)| *v = (s / good_views) as f32);
        }
    }
    report.repaired_cols = refs.bad().len();
    report.black_most = report.black;
    Ok(report)
}

/// Rows `[row, view, col]` from counts to absorbance, in place, rows in parallel on `pool`; see [`normalise_row`].
///
/// `references` must hold the same rows; `first_row` is the detector row of the first one, for messages. Returns one report
/// per row, in order. `tick` is called on the calling thread with the finished part (0 to 1); its error stops the work.
/// The result does not depend on the number of threads.
pub fn normalise_rows(
    pool: &rayon::ThreadPool,
    mut counts: ArrayViewMut3<f32>,
    references: &References,
    options: &NormaliseOptions,
    first_row: usize,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<Vec<RowReport>> {
    let rows = counts.shape()[0];
    if references.dark.nrows() != rows || references.flats.shape()[1] != rows {
        return Err(Error::invalid(PLACE, "dark and direct-beam images must have the rows of the projections")
            .with("rows", rows)
            .with("dark", references.dark.nrows())
            .with("direct beam", references.flats.shape()[1]));
    }
    let weights = flat_weights(&references.view_time, &references.flat_time);
    let mut reports = Vec::with_capacity(rows);
    // Groups so that a cancelled run stops soon; each row is on its own, so groups do not change the result.
    let group = 4 * pool.current_num_threads();
    let mut views: Vec<_> = counts.outer_iter_mut().enumerate().collect();
    for part in views.chunks_mut(group) {
        let results: Vec<Result<RowReport>> = pool.install(|| {
            part.par_iter_mut()
                .map(|(k, view)| {
                    let dark = references.dark.row(*k);
                    let flats = references.flats.index_axis(Axis(1), *k);
                    let black = &references.black_views;
                    normalise_row(view.view_mut(), dark, flats, &weights, black, options, first_row + *k)
                })
                .collect()
        });
        for result in results {
            reports.push(result?);
        }
        tick(reports.len() as f64 / rows as f64)?;
    }
    Ok(reports)
}
