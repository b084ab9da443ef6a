//! The look at a scan before a run: which views are black, whether the sample fills the detector.
//!
//! The survey always takes the same rows of the whole detector, so that nothing depends on the rows or the slab height
//! that were chosen for a run. Must not know: stages, ring removal, reconstruction.

use super::read::Kept;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::geometry::covered_deg;
use crate::preprocess::normalise::{RowReferences, all_black, check_counts};
use crate::preprocess::{BlackRule, NormaliseOptions, RowReport, flat_weights};
use crate::progress::Progress;
use crate::scan::{Band, BandMut, Frame, Grain, Scan, ScanShape};
use ndarray::{Array2, Array3, ArrayView1, Axis, s};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Bands of neighbouring rows that the survey reads, and rows in a band: few reads of a compressed frame, all heights.
const BANDS: usize = 8;
const BAND_ROWS: usize = 4;

/// What the survey found.
#[derive(Clone, Debug)]
pub struct Survey {
    /// One per view: more than `black_fraction` of the surveyed pixels are clipped.
    pub black_views: Arc<[bool]>,
    /// Mean |absorbance| of the two edge columns over that of all columns, black views left out; 0 if there is none. About
    /// 0 where air is on both sides of the sample, about 1 where the sample fills the detector.
    pub edge_over_mean: f64,
    /// Detector rows that were looked at.
    pub rows: Vec<usize>,
    /// `[view][surveyed row]`, for the search of the axis; zeros in rows without beam.
    pub(super) moments: Vec<Vec<Moments>>,
}

/// Sums over one row of one view of absorbance.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    /// Sum of p.
    pub(super) mass: f64,
    /// Sum of x p, x = 0 at the first column.
    pub(super) first: f64,
    /// Mean of p over a 32nd of the width at the left and right edge.
    pub(super) edges: [f64; 2],
}

impl Moments {
    fn new(absorbance: &[f64]) -> Self {
        let n = absorbance.len();
        let edge = (n / 32).max(1);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        Moments {
            mass: absorbance.iter().sum(),
            first: absorbance.iter().enumerate().map(|(x, p)| x as f64 * p).sum(),
            edges: [mean(&absorbance[..edge]), mean(&absorbance[n - edge..])],
        }
    }
}

/// Bands of rows spread evenly over the detector; all rows of a small one.
fn bands(rows: usize) -> Vec<Range<usize>> {
    if rows <= BANDS * BAND_ROWS {
        return std::iter::once(0..rows).collect();
    }
    let start = |k: usize| ((2 * k + 1) * rows / (2 * BANDS)).saturating_sub(BAND_ROWS / 2).min(rows - BAND_ROWS);
    (0..BANDS).map(|k| start(k)..start(k) + BAND_ROWS).collect()
}

/// The rows that are read in one go for `bands`: those in which the same grain is touched are joined, so that none is decoded
/// twice; `whole` grains on demand.
fn spans(bands: &[Range<usize>], grain: usize, rows: usize, whole: bool) -> Vec<Range<usize>> {
    let grain = grain.max(1);
    let around = |band: &Range<usize>| band.start / grain * grain..band.end.next_multiple_of(grain).min(rows);
    let mut spans: Vec<Range<usize>> = Vec::new();
    for band in bands {
        match spans.last_mut().filter(|last| around(last).end > around(band).start) {
            Some(last) => last.end = last.end.max(band.end),
            None => spans.push(band.clone()),
        }
    }
    if whole { spans.iter().map(around).collect() } else { spans }
}

/// Which of the counts that the survey reads are to be kept.
#[derive(Clone, Debug)]
pub(super) struct Keep {
    /// Rows that will be needed.
    pub rows: Range<usize>,
    /// Everything that is decoded, not only the rows that the survey looks at.
    pub whole_grains: bool,
}

impl Keep {
    /// Detector rows that are kept.
    pub fn ranges(&self, shape: ScanShape, grain: Grain) -> Vec<Range<usize>> {
        let spans = spans(&bands(shape.rows), grain.rows, shape.rows, self.whole_grains);
        let kept = spans.iter().map(|span| span.start.max(self.rows.start)..span.end.min(self.rows.end));
        kept.filter(|range| !range.is_empty()).collect()
    }
}

/// Sums of one view, combined later in the order of the views.
#[derive(Default)]
struct ViewSums {
    clipped: u64,
    edge: f64,
    all: f64,
    moments: Vec<Moments>,
}

impl ViewSums {
    /// One more row of the view.
    fn add(&mut self, absorbance: &[f64]) {
        self.edge += absorbance[0].abs() + absorbance[absorbance.len() - 1].abs();
        self.all += absorbance.iter().map(|p| p.abs()).sum::<f64>();
        self.moments.push(Moments::new(absorbance));
    }
}

impl Survey {
    fn new(sums: Vec<ViewSums>, black_views: Arc<[bool]>, rows: Vec<usize>, cols: usize) -> Self {
        let (mut edge, mut all) = (0.0, 0.0);
        for (sum, _) in sums.iter().zip(black_views.iter()).filter(|(_, black)| !**black) {
            edge += sum.edge / 2.0;
            all += sum.all / cols as f64;
        }
        let edge_over_mean = if all > 0.0 { edge / all } else { 0.0 };
        Survey { black_views, edge_over_mean, rows, moments: sums.into_iter().map(|s| s.moments).collect() }
    }
}

/// Reads up to 32 rows of every view and judges the scan; see [`Survey`].
///
/// Fails if every view is black as a frame (unless rows are judged one by one), if one direct-beam image is dark while
/// others are not, and on values that are not finite numbers.
pub fn survey(ctx: &Context, scan: &Scan, options: &NormaliseOptions, progress: &mut Progress) -> Result<Survey> {
    Ok(survey_and_keep(ctx, scan, options, None, progress)?.0)
}

/// [`survey`] that gives the counts of the rows in `keep` out, so that they need not be read again.
pub(super) fn survey_and_keep(
    ctx: &Context,
    scan: &Scan,
    options: &NormaliseOptions,
    keep: Option<&Keep>,
    progress: &mut Progress,
) -> Result<(Survey, Kept)> {
    options.check()?;
    let shape = scan.shape();
    let bands = bands(shape.rows);
    let rows: Vec<usize> = bands.iter().cloned().flatten().collect();
    let (dark, flats) = read_dark_and_flats(scan, &rows, &bands)?;
    check_flats(scan, &dark, &flats, options)?;
    let mut references = Vec::with_capacity(rows.len());
    for (k, &row) in rows.iter().enumerate() {
        references.push(RowReferences::new(dark.row(k), flats.index_axis(Axis(1), k), options, row)?);
    }
    let info = scan.info();
    let weights = flat_weights(&info.view_time, &info.flat_time);
    let source = scan.source();
    let (kind, grain) = (source.count_type(), source.grain());
    let spans = spans(&bands, grain.rows, shape.rows, keep.is_some_and(|k| k.whole_grains));
    let keep = keep.map_or(Vec::new(), |k| k.ranges(shape, grain));
    // Where each surveyed row is: span, and row in it.
    let places = rows.iter().map(|row| {
        let span = spans.iter().position(|span| span.contains(row)).unwrap_or(0);
        (span, row - spans[span].start)
    });
    let places: Vec<(usize, usize)> = places.collect();
    let sums_of = |(first, kept): (usize, Vec<BandMut>)| -> Result<Vec<ViewSums>> {
        let views = first..(first + at_once(grain.views)).min(shape.views);
        let mut counts = Vec::with_capacity(spans.len());
        for span in &spans {
            let mut band = Band::zeros(kind, [span.len(), views.len(), shape.cols]);
            band.view_mut().read(source, views.clone(), span.clone())?;
            counts.push(band);
        }
        for (range, mut out) in keep.iter().zip(kept) {
            let here = spans.iter().zip(&counts).find(|(span, _)| span.contains(&range.start));
            if let Some((span, band)) = here {
                band.copy_to(range.start - span.start..range.end - span.start, 0..views.len(), &mut out);
            }
        }
        let (mut line, mut absorbance) = (vec![0f32; shape.cols], vec![0f64; shape.cols]);
        let mut all = Vec::with_capacity(views.len());
        for view in views.clone() {
            let mut sums = ViewSums::default();
            for (k, &(span, row)) in places.iter().enumerate() {
                counts[span].line(row, view - first, &mut line);
                check_counts(&line, rows[k], view)?;
                if references[k].good() > 0 {
                    sums.clipped += references[k].absorbance(&line, weights[view], options.air, &mut absorbance);
                    sums.add(&absorbance);
                } else {
                    sums.moments.push(Moments::default());
                }
            }
            all.push(sums);
        }
        Ok(all)
    };
    let mut kept: Vec<Band> = keep.iter().map(|r| Band::zeros(kind, [r.len(), shape.views, shape.cols])).collect();
    let at_once = at_once(grain.views);
    let mut tasks: Vec<(usize, Vec<BandMut>)> = (0..shape.views).step_by(at_once).map(|v| (v, Vec::new())).collect();
    for band in &mut kept {
        for (task, part) in tasks.iter_mut().zip(band.view_mut().into_groups(at_once)) {
            task.1.push(part);
        }
    }
    let mut sums = Vec::with_capacity(shape.views);
    let mut tasks = tasks.into_iter();
    loop {
        let part: Vec<_> = tasks.by_ref().take(2 * ctx.threads()).collect();
        if part.is_empty() {
            break;
        }
        let found: Vec<Result<_>> = ctx.pool().install(|| part.into_par_iter().map(sums_of).collect());
        for some in found {
            sums.extend(some?);
        }
        progress.poll()?;
    }
    let good_pixels: usize = references.iter().map(RowReferences::good).sum();
    let limit = options.black_fraction * good_pixels as f64;
    let black_views: Arc<[bool]> = sums.iter().map(|s| good_pixels > 0 && s.clipped as f64 > limit).collect();
    if options.black == BlackRule::Frame && black_views.iter().all(|b| *b) {
        return Err(all_black(options).at(info.path.display()));
    }
    let found = Survey::new(sums, black_views, rows, shape.cols);
    Ok((found, Kept(keep.into_iter().zip(kept).collect())))
}

/// The same look at sinograms: nothing is black there, and what they hold is absorbance already.
pub(super) fn survey_sinograms(ctx: &Context, scan: &Scan, progress: &mut Progress) -> Result<Survey> {
    let shape = scan.shape();
    let rows: Vec<usize> = bands(shape.rows).into_iter().flatten().collect();
    let mut sums: Vec<ViewSums> = (0..shape.views).map(|_| ViewSums::default()).collect();
    let read = |row: &usize| -> Result<Vec<ViewSums>> {
        let mut sinogram = Array3::zeros((1, shape.views, shape.cols));
        scan.source().read_band(0..shape.views, *row..row + 1, sinogram.view_mut())?;
        let of_view = |(view, line): (usize, ArrayView1<f32>)| {
            if let Some(col) = line.iter().position(|v| !v.is_finite()) {
                let message = "a sinogram holds a value that is not a finite number";
                let place = scan.info().path.display();
                return Err(Error::format(place, message).with("row", row).with("view", view).with("column", col));
            }
            let absorbance: Vec<f64> = line.iter().map(|p| f64::from(*p)).collect();
            let mut sums = ViewSums::default();
            sums.add(&absorbance);
            Ok(sums)
        };
        sinogram.index_axis(Axis(0), 0).outer_iter().enumerate().map(of_view).collect()
    };
    for group in rows.chunks(ctx.threads()) {
        let found: Vec<Result<_>> = ctx.pool().install(|| group.par_iter().map(read).collect());
        for of_row in found {
            sums.iter_mut().zip(of_row?).for_each(|(all, one)| {
                all.edge += one.edge;
                all.all += one.all;
                all.moments.extend(one.moments);
            });
        }
        progress.poll()?;
    }
    Ok(Survey::new(sums, vec![false; shape.views].into(), rows, shape.cols))
}

/// Views that one task of the survey reads.
fn at_once(grain_views: usize) -> usize {
    4usize.next_multiple_of(grain_views.max(1))
}

/// A direct-beam image taken with the shutter closed would spoil every view near it without any sign in the slices.
fn check_flats(scan: &Scan, dark: &Array2<f32>, flats: &Array3<f32>, options: &NormaliseOptions) -> Result<()> {
    let place = || scan.info().path.display();
    let lit = |flat: usize| {
        let image = flats.index_axis(Axis(0), flat);
        image.iter().zip(dark).filter(|(f, d)| f64::from(**f) - f64::from(**d) >= options.floor_counts).count()
    };
    let counts: Vec<usize> = (0..flats.shape()[0]).map(lit).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    if most == 0 {
        let message = "no direct-beam (I0) image is brighter than the dark image; check that they are not mixed up, or \
                       lower floor_counts if the counts are scaled";
        return Err(Error::format(place(), message).with("floor_counts", options.floor_counts));
    }
    match counts.iter().position(|n| 2 * n < most) {
        None => Ok(()),
        Some(i) => {
            let message = "a direct-beam (I0) image is dark where another one is lit (shutter closed?); leave it out";
            Err(Error::format(place(), message).with("image", i).with("lit pixels", counts[i]).with("other", most))
        }
    }
}

pub(super) fn read_dark_and_flats(
    scan: &Scan,
    rows: &[usize],
    bands: &[Range<usize>],
) -> Result<(Array2<f32>, Array3<f32>)> {
    let shape = scan.shape();
    let mut dark = Array2::zeros((rows.len(), shape.cols));
    let mut flats = Array3::zeros((shape.flats, rows.len(), shape.cols));
    let mut k = 0;
    for band in bands {
        let own = k..k + band.len();
        k += band.len();
        scan.source().read_rows(Frame::Dark, band.clone(), dark.slice_mut(s![own.clone(), ..]))?;
        for i in 0..shape.flats {
            scan.source().read_rows(Frame::Flat(i), band.clone(), flats.slice_mut(s![i, own.clone(), ..]))?;
        }
    }
    Ok((dark, flats))
}

/// Tells in the log what was repaired in some rows.
pub(crate) fn log_repairs(reports: &[RowReport]) {
    let mut all = RowReport::default();
    reports.iter().for_each(|report| all.merge(report));
    for remark in all.remarks() {
        log::warn!("{remark}");
    }
}

/// Checks that the views fit the reconstruction from a half turn (or a full one, if `full_turn_allowed`).
///
/// Returns a remark if a wedge of directions is missing (less than 170 degrees), an error if the scan turns further than
/// the half circle that would be reconstructed: the image would be silently wrong.
pub fn check_half_turn(angles_rad: &[f64], full_turn_allowed: bool) -> Result<Option<String>> {
    let covered = covered_deg(angles_rad);
    let n = angles_rad.len();
    // A closed half turn of few views covers more than 190 degrees by its steps, yet ends at 180.
    let span = if n > 1 { covered * (n - 1) as f64 / n as f64 } else { 0.0 };
    if covered > 190.0 && span > 185.0 && !full_turn_allowed {
        return Err(Error::unsupported(
            "angles",
            format!(
                "the scan covers {covered:.1} degrees, not 180; use the views of half a turn (--views A..B), or for 360 \
                 degrees with the axis near the middle of the detector --turn full (stage parameter turn=full of \
                 recon.fbp); an offset scan, with the axis near one edge, must be stitched first: put the stage \
                 offset.stitch before recon.fbp"
            ),
        ));
    }
    let wedge = (covered < 170.0).then(|| {
        format!("the views cover only {covered:.1} of 180 degrees: expect streaks along the missing directions")
    });
    Ok(wedge)
}
