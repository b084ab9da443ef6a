//! The look at a scan before a run: which views are black, whether the sample fills the detector. And reading for a run.
//!
//! The survey always takes the same rows of the whole detector, so that nothing depends on the rows or the slab height
//! that were chosen for a run. Must not know: stages, ring removal, reconstruction.

use crate::context::Context;
use crate::error::{Error, Result};
use crate::geometry::covered_deg;
use crate::preprocess::normalise::{RowReferences, all_black, check_counts};
use crate::preprocess::{BlackRule, NormaliseOptions, RowReport, flat_weights, normalise_rows};
use crate::progress::Progress;
use crate::scan::{Frame, Scan};
use crate::slab::{Domain, Halo, References, Slab};
use ndarray::{Array2, Array3, ArrayViewMut3, Axis, s};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

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

/// Sums of one view, combined later in the order of the views.
#[derive(Default)]
struct ViewSums {
    clipped: u64,
    edge: f64,
    all: f64,
    moments: Vec<Moments>,
}

/// Reads up to 32 rows of every view and judges the scan; see [`Survey`].
///
/// Fails if every view is black as a frame (unless rows are judged one by one), if one direct-beam image is dark while
/// others are not, and on values that are not finite numbers.
pub fn survey(ctx: &Context, scan: &Scan, options: &NormaliseOptions, progress: &mut Progress) -> Result<Survey> {
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
    let sums_of = |view: usize| -> Result<ViewSums> {
        let mut sums = ViewSums::default();
        let mut absorbance = vec![0f64; shape.cols];
        let mut counts = Array2::zeros((bands[0].len(), shape.cols));
        let mut k = 0;
        for band in &bands {
            scan.source().read_rows(Frame::View(view), band.clone(), counts.view_mut())?;
            for line in counts.outer_iter() {
                let line = line.to_slice().unwrap_or_default();
                check_counts(line, rows[k], view)?;
                let mut moments = Moments::default();
                if references[k].good() > 0 {
                    sums.clipped += references[k].absorbance(line, weights[view], options.air, &mut absorbance);
                    sums.edge += absorbance[0].abs() + absorbance[shape.cols - 1].abs();
                    sums.all += absorbance.iter().map(|p| p.abs()).sum::<f64>();
                    moments = Moments::new(&absorbance);
                }
                sums.moments.push(moments);
                k += 1;
            }
        }
        Ok(sums)
    };
    let mut sums = Vec::with_capacity(shape.views);
    let group = 8 * ctx.threads();
    for first in (0..shape.views).step_by(group) {
        let part = first..(first + group).min(shape.views);
        let found: Vec<Result<ViewSums>> = ctx.pool().install(|| part.into_par_iter().map(sums_of).collect());
        for one in found {
            sums.push(one?);
        }
        progress.poll()?;
    }
    let good_pixels: usize = references.iter().map(RowReferences::good).sum();
    let limit = options.black_fraction * good_pixels as f64;
    let black_views: Arc<[bool]> = sums.iter().map(|s| good_pixels > 0 && s.clipped as f64 > limit).collect();
    if options.black == BlackRule::Frame && black_views.iter().all(|b| *b) {
        return Err(all_black(options).at(info.path.display()));
    }
    let (mut edge, mut all) = (0.0, 0.0);
    for (sum, _) in sums.iter().zip(black_views.iter()).filter(|(_, black)| !**black) {
        edge += sum.edge / 2.0;
        all += sum.all / shape.cols as f64;
    }
    let edge_over_mean = if all > 0.0 { edge / all } else { 0.0 };
    let moments = sums.into_iter().map(|s| s.moments).collect();
    Ok(Survey { black_views, edge_over_mean, rows, moments })
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

fn read_dark_and_flats(scan: &Scan, rows: &[usize], bands: &[Range<usize>]) -> Result<(Array2<f32>, Array3<f32>)> {
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

/// Dark and direct-beam images of the detector rows `rows`, with the times and the black views of the scan.
pub fn read_references(scan: &Scan, rows: Range<usize>, black_views: &Arc<[bool]>) -> Result<References> {
    let all: Vec<usize> = rows.clone().collect();
    let (dark, flats) = read_dark_and_flats(scan, &all, &[rows])?;
    let info = scan.info();
    let (flat_time, view_time) = (info.flat_time.clone(), info.view_time.clone());
    Ok(References { dark, flats, flat_time, view_time, black_views: black_views.clone() })
}

/// Counts of the detector rows `rows` with `halo` rows around them, and their references, ready for the first stage.
///
/// Beyond the ends of the detector the last row is repeated. Views are read in parallel on the threads of `ctx`; `tick` is
/// called on the calling thread with the finished part (0 to 1), and its error stops the reading.
pub fn read_counts(
    ctx: &Context,
    scan: &Scan,
    rows: Range<usize>,
    halo: Halo,
    black_views: &Arc<[bool]>,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<Slab> {
    let shape = scan.shape();
    if rows.start >= rows.end || rows.end > shape.rows {
        return Err(Error::invalid("rows", "expected rows of the detector, start..end with end not included")
            .with("rows", format!("{}..{}", rows.start, rows.end))
            .with("detector rows", shape.rows));
    }
    let there = rows.start.saturating_sub(halo.below)..(rows.end + halo.above).min(shape.rows);
    let below = halo.below - (rows.start - there.start);
    let total = halo.below + rows.len() + halo.above;
    let own = below..below + there.len();
    let mut references = read_references(scan, there.clone(), black_views)?;
    let mut data = Array3::zeros((total, shape.views, shape.cols));
    {
        // Few views at a time keep the reports frequent; a format that reads neighbouring views together gains from more.
        let per_task = shape.views.div_ceil(8 * ctx.threads()).clamp(1, 16);
        let mut band = data.slice_mut(s![own.clone(), .., ..]);
        let mut tasks: Vec<(usize, ArrayViewMut3<f32>)> =
            band.axis_chunks_iter_mut(Axis(1), per_task).enumerate().collect();
        let all = tasks.len();
        for (n, part) in tasks.chunks_mut(2 * ctx.threads()).enumerate() {
            let results: Vec<Result<()>> = ctx.pool().install(|| {
                part.par_iter_mut()
                    .map(|(k, out)| {
                        let first = *k * per_task;
                        let views = first..first + out.shape()[1];
                        scan.source().read_band(views, there.clone(), out.view_mut())
                    })
                    .collect()
            });
            results.into_iter().collect::<Result<()>>()?;
            tick(((n + 1) * 2 * ctx.threads()).min(all) as f64 / all as f64)?;
        }
    }
    if total > there.len() {
        let nearest: Vec<usize> = (0..total).map(|i| i.clamp(own.start, own.end - 1) - own.start).collect();
        for i in (0..own.start).chain(own.end..total) {
            let copy = data.index_axis(Axis(0), nearest[i] + own.start).to_owned();
            data.index_axis_mut(Axis(0), i).assign(&copy);
        }
        references.dark = references.dark.select(Axis(0), &nearest);
        references.flats = references.flats.select(Axis(1), &nearest);
    }
    let references = Some(Arc::new(references));
    Ok(Slab { data, domain: Domain::Counts, first_row: rows.start, halo, references })
}

/// Sinograms `[row, view, col]` of the detector rows `rows` in absorbance, with the defaults of the stage normalise: what a
/// chain would reconstruct from, black views included, which get the mean of the others.
///
/// `black_views` are those of `scan`: found out by a [`survey`] if nobody has yet, and kept there, for each call would read
/// the whole scan again. Repairs are told in the log. `progress` counts rows.
pub fn read_sinograms(
    ctx: &Context,
    scan: &Scan,
    rows: Range<usize>,
    black_views: &OnceLock<Arc<[bool]>>,
    progress: &mut Progress,
) -> Result<Array3<f32>> {
    let options = NormaliseOptions::default();
    let black_views = match black_views.get() {
        Some(known) => known,
        None => {
            let found = survey(ctx, scan, &options, progress)?.black_views;
            black_views.get_or_init(|| found)
        }
    };
    let count = rows.len();
    // Reading is half of the work here, normalising the other.
    let mut tick = |part: f64| progress.report((part * count as f64) as usize, count, part);
    let mut slab = read_counts(ctx, scan, rows, Halo::default(), black_views, &mut |part: f64| tick(part / 2.0))?;
    let references = slab.references.take();
    let references = references.ok_or_else(|| Error::internal("scan", "the reader gave no dark and flats"))?;
    let half = &mut |part: f64| tick(0.5 + part / 2.0);
    log_repairs(&normalise_rows(ctx.pool(), slab.data.view_mut(), &references, &options, slab.first_row, half)?);
    Ok(slab.data)
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
                 recon.fbp); an offset scan, with the axis near one edge, must be stitched first, which this version \
                 does not do"
            ),
        ));
    }
    let wedge = (covered < 170.0).then(|| {
        format!("the views cover only {covered:.1} of 180 degrees: expect streaks along the missing directions")
    });
    Ok(wedge)
}
