//! The search of the rotation axis in a scan: chooses what to compare, compares in several ways, and says how sure it is.
//!
//! The array functions are in `preprocess::center`. Must not know: stages, reconstruction.

mod offset;
mod pairs;
mod shift;

use super::survey::{Survey, survey, survey_sinograms};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::geometry::Center;
use crate::preprocess::NormaliseOptions;
use crate::preprocess::center::{Estimate, least_squares, line, moment, registration, rmsd, usual_range};
use crate::progress::Progress;
use crate::scan::{Frame, Scan};
use crate::slab::Domain;
use offset::overlap;
pub use shift::{ShiftFound, ShiftOptions, find_shift};

use pairs::{Frames, Pair, choose_pairs};
use rayon::prelude::*;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Rows that are compared at most, evenly spaced.
const MOST_ROWS: usize = 256;
/// An answer below this is a guess.
const LEAST_CONFIDENCE: f64 = 0.6;
/// How to search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AxisMethod {
    /// Several methods, which must agree.
    #[default]
    Auto,
    /// One row against its mirror image, steps of 0.5 px, as `ct_rec`.
    Rmsd,
    /// All rows against their mirror images and a straight line through the axes found, as `hp2DO`; finds a tilt.
    Line,
    /// Fourier registration of opposite views.
    Registration,
    /// Centroids of all views; only for samples that are never cut off.
    Moment,
    /// Overlap of opposite views of a full turn with the axis near one edge of the detector.
    Overlap,
}

impl AxisMethod {
    /// All, in the order of documents.
    pub const ALL: [AxisMethod; 6] = [
        AxisMethod::Auto,
        AxisMethod::Rmsd,
        AxisMethod::Line,
        AxisMethod::Registration,
        AxisMethod::Moment,
        AxisMethod::Overlap,
    ];
    /// Name on command lines.
    pub fn name(self) -> &'static str {
        match self {
            AxisMethod::Auto => "auto",
            AxisMethod::Rmsd => "rmsd",
            AxisMethod::Line => "line",
            AxisMethod::Registration => "registration",
            AxisMethod::Moment => "moment",
            AxisMethod::Overlap => "overlap",
        }
    }
}

impl FromStr for AxisMethod {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|m| m.name() == text).ok_or_else(|| {
            let accepted = "expected auto, rmsd, line, registration, moment or overlap";
            Error::invalid("axis", accepted).with("method", format!("'{text}'"))
        })
    }
}

/// What to search and where.
#[derive(Clone, Debug, Default)]
pub struct AxisOptions {
    /// How.
    pub method: AxisMethod,
    /// Detector rows to look at; all if `None`. [`AxisMethod::Rmsd`] takes the middle one.
    pub rows: Option<Range<usize>>,
    /// Axes to consider, px; if `None` the middle half of the detector, or all of it for [`AxisMethod::Overlap`].
    pub search_px: Option<Range<f64>>,
    /// How counts become absorbance.
    pub normalise: NormaliseOptions,
}

/// Answer of one method.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// `line`, ...
    pub method: &'static str,
    /// Axis in the middle of the rows looked at, px.
    pub center_px: f64,
    /// 0 (worthless) to 1.
    pub confidence: f64,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:.2} px (confidence {:.2})", self.method, self.center_px, self.confidence)
    }
}

/// Slope of the axis over the rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tilt {
    /// Columns per row.
    pub px_per_row: f64,
    /// Standard error of `px_per_row`.
    pub error: f64,
}

/// The axis, and why to believe it.
#[derive(Clone, Debug)]
pub struct AxisFound {
    /// A line if the tilt is significant, else one column.
    pub center: Center,
    /// 0 to 1.
    pub confidence: f64,
    /// The method whose number is given.
    pub method: &'static str,
    /// All answers, trusted or not.
    pub candidates: Vec<Candidate>,
    /// The tilt as measured, significant or not, where enough rows show the axis.
    pub tilt: Option<Tilt>,
}

/// Finds the rotation axis of a scan; see [`AxisMethod`].
///
/// Views exactly half a turn apart are compared where there are any (the extra frame of a HiPic scan, the last view of a
/// closed half turn, a full turn). Else the shift is measured for several pairs that miss half a turn by a few steps and
/// extrapolated to none: a single such pair would be biased by the turn that is missing.
///
/// `auto` demands two methods that agree within 1 px (0.2 % of the width of a large detector); the confidence is the
/// geometric mean of theirs, lowered if a third one contradicts, and must be 0.6.
/// Fails with `UNSUPPORTED` if it would have to guess, naming the candidates, and with `INVALID` for rows or a search range
/// outside the detector.
pub fn find_axis(ctx: &Context, scan: &Scan, options: &AxisOptions, progress: &mut Progress) -> Result<AxisFound> {
    let survey = match scan.info().domain {
        Domain::Counts => survey(ctx, scan, &options.normalise, progress)?,
        Domain::Sinogram => survey_sinograms(ctx, scan, progress)?,
        Domain::Volume => return Err(Error::unsupported("axis", "finished slices do not show the rotation axis")),
    };
    find_axis_with(ctx, scan, &survey, options, progress)
}

/// [`find_axis`] for a scan that has been surveyed already.
pub fn find_axis_with(
    ctx: &Context,
    scan: &Scan,
    survey: &Survey,
    options: &AxisOptions,
    progress: &mut Progress,
) -> Result<AxisFound> {
    let shape = scan.shape();
    let range = options.rows.clone().unwrap_or(0..shape.rows);
    if range.start >= range.end || range.end > shape.rows {
        return Err(Error::invalid("rows", "expected rows of the detector, start..end with end not included")
            .with("rows", format!("{}..{}", range.start, range.end))
            .with("detector rows", shape.rows));
    }
    if options.method == AxisMethod::Overlap {
        return overlap(ctx, scan, &range, options, progress);
    }
    let last = shape.cols as f64 - 1.0;
    let search = options.search_px.clone().unwrap_or(usual_range(shape.cols));
    if !(search.start >= 0.0 && search.start < search.end && search.end <= last) {
        return Err(Error::invalid(
            "search_px",
            format!("expected two columns from 0 to {last}, the smaller one first"),
        )
        .with("search_px", format!("{}..{}", search.start, search.end)));
    }
    let middle = (range.start + range.end - 1) as f64 / 2.0;
    let black = &survey.black_views;
    let pairs = || choose_pairs(&scan.info().angles_rad, scan.info().half_turn_frame, black);
    let no_pair = || {
        let message = "no two projections lie half a turn apart, so opposite views cannot be compared; use the method \
                       moment or give the axis as center_px=...";
        Error::unsupported("axis", message)
    };
    // ct_rec's rule is about its own frames; in sinograms its steps of half a pixel are all that is left of it.
    if options.method == AxisMethod::Rmsd {
        // ct_rec compares one row of one exact pair, each view with the direct-beam image taken right before it.
        let pair = pairs().into_iter().find(|p| p.mismatch == 0.0).ok_or_else(no_pair)?;
        let frames = Frames::new(scan, vec![range.start + range.len() / 2], &options.normalise)?;
        let first = if pair.second == Frame::HalfTurn {
            (Frame::Flat(0), Frame::Flat(0), 0.0)
        } else {
            frames.beam(pair.first)
        };
        let a = frames.absorbance(Frame::View(pair.first), first)?;
        let b = frames.absorbance(pair.second, frames.beam_of(pair.second))?;
        let found = rmsd(&a.row(0).to_vec(), &b.row(0).to_vec()).ok_or_else(no_pair)?;
        let candidate = Candidate { method: "rmsd", center_px: found.px, confidence: found.confidence };
        let (center, confidence) = (Center::Fixed(found.px), found.confidence);
        return Ok(AxisFound { center, confidence, method: "rmsd", candidates: vec![candidate], tilt: None });
    }
    let mut candidates = Vec::new();
    let mut tilted = None;
    if matches!(options.method, AxisMethod::Auto | AxisMethod::Line | AxisMethod::Registration) {
        let pairs = pairs();
        if pairs.is_empty() && options.method != AxisMethod::Auto {
            return Err(no_pair());
        }
        let frames = Frames::new(scan, evenly(&range, MOST_ROWS), &options.normalise)?;
        progress.poll()?;
        let want = |method| options.method == AxisMethod::Auto || options.method == method;
        let compare = |pair: &Pair| -> Result<_> {
            let a = frames.absorbance(Frame::View(pair.first), frames.beam(pair.first))?;
            let b = frames.absorbance(pair.second, frames.beam_of(pair.second))?;
            let by_line = want(AxisMethod::Line).then(|| line(a.view(), b.view(), &search)).flatten();
            let by_registration =
                want(AxisMethod::Registration).then(|| registration(a.view(), b.view(), &search)).flatten();
            Ok((by_line, by_registration))
        };
        let found: Vec<Result<_>> = ctx.pool().install(|| pairs.par_iter().map(compare).collect());
        let found = found.into_iter().collect::<Result<Vec<_>>>()?;
        progress.poll()?;
        let lines: Vec<Option<Estimate>> = found.iter().map(|f| f.0.as_ref().map(|l| l.0)).collect();
        let registrations: Vec<Option<Estimate>> = found.iter().map(|f| f.1).collect();
        for (method, estimates) in [("line", lines), ("registration", registrations)] {
            if let Some(Estimate { px, confidence }) = to_half_turn(&pairs, &estimates) {
                let inside = px > search.start && px < search.end;
                candidates.push(Candidate { method, center_px: px, confidence: if inside { confidence } else { 0.0 } });
            }
        }
        let points = pairs.iter().zip(&found).filter_map(|(p, f)| Some((p, &f.0.as_ref()?.1)));
        let points = points.flat_map(|(pair, rows)| rows.iter().map(|r| (pair.mismatch, *r)));
        let points: Vec<Point> = points
            .map(|(mismatch, r)| Point {
                row: frames.rows[r.row] as f64 - middle,
                mismatch,
                px: r.px,
                weight: r.weight,
            })
            .collect();
        tilted = fit_tilt(points);
    }
    if matches!(options.method, AxisMethod::Auto | AxisMethod::Moment) {
        candidates.extend(by_moment(scan, survey, &range, &search));
    }
    let (best, confidence) = match options.method {
        AxisMethod::Auto => agree(&candidates, shape.cols),
        _ => candidates.first().filter(|c| c.confidence > 0.0).map(|c| (c.clone(), c.confidence)),
    }
    .ok_or_else(|| refusal(&candidates))?;
    // Three decimals are finer than any method here, and can be typed again with the same result.
    let rounded = |px: f64| (px * 1000.0).round() / 1000.0;
    let mut center = Center::Fixed(rounded(best.center_px));
    if let Some((tilt, px)) = tilted
        && best.method == "line"
        && is_significant(&tilt, range.len())
    {
        let at = |row: usize| px + (row as f64 - middle) * tilt.px_per_row;
        let (row0, row1) = (range.start, range.end - 1);
        center = Center::Line { row0: row0 as f64, px0: rounded(at(row0)), row1: row1 as f64, px1: rounded(at(row1)) };
    }
    Ok(AxisFound { center, confidence, method: best.method, candidates, tilt: tilted.map(|t| t.0) })
}

fn refusal(candidates: &[Candidate]) -> Error {
    let list: Vec<String> = candidates.iter().map(|c| c.to_string()).collect();
    let found = if list.is_empty() { "none".to_string() } else { list.join(", ") };
    let message =
        format!("the rotation axis cannot be found with confidence; give it as center_px=... (candidates: {found})");
    Error::unsupported("axis", message)
}

/// The most accurate of the methods that agree with another one well enough: agreement within a pixel is itself evidence, so
/// what counts is the geometric mean of both confidences. A third, confident method that contradicts lowers it.
fn agree(candidates: &[Candidate], cols: usize) -> Option<(Candidate, f64)> {
    let within = (0.002 * cols as f64).max(1.0);
    let near = |a: &Candidate, b: &Candidate| (a.center_px - b.center_px).abs() <= within;
    // Candidates come in order of accuracy, as measured on phantoms and real scans.
    candidates.iter().find_map(|c| {
        let others = candidates.iter().filter(|o| o.method != c.method && near(o, c));
        let support = others.map(|o| o.confidence).fold(0.0, f64::max);
        let against = candidates.iter().any(|o| o.confidence >= LEAST_CONFIDENCE && !near(o, c));
        let confidence = (c.confidence * support).sqrt() * if against { 0.7 } else { 1.0 };
        (confidence >= LEAST_CONFIDENCE).then(|| (c.clone(), confidence))
    })
}

/// The slope must be no chance (4 standard errors), and it must matter: a quarter of a pixel from end to end.
fn is_significant(tilt: &Tilt, rows: usize) -> bool {
    tilt.px_per_row.abs() > 4.0 * tilt.error && tilt.px_per_row.abs() * rows as f64 > 0.25
}

/// At most `most` of the rows, evenly spaced, first and last included.
fn evenly(range: &Range<usize>, most: usize) -> Vec<usize> {
    let n = range.len();
    if n <= most {
        return range.clone().collect();
    }
    (0..most).map(|k| range.start + k * (n - 1) / (most - 1)).collect()
}

/// The axis where the mismatch is none. The mean confidence of the pairs, halved at a standard error of half a pixel.
fn to_half_turn(pairs: &[Pair], estimates: &[Option<Estimate>]) -> Option<Estimate> {
    let found: Vec<(f64, Estimate)> =
        pairs.iter().zip(estimates).filter_map(|(p, e)| Some((p.mismatch, (*e)?))).collect();
    let confidence = found.iter().map(|f| f.1.confidence).sum::<f64>() / pairs.len().max(1) as f64;
    let values: Vec<f64> = found.iter().map(|f| f.1.px).collect();
    let weights: Vec<f64> = found.iter().map(|f| f.1.confidence + 1e-6).collect();
    let (px, error) = if found.iter().all(|f| f.0 == 0.0) {
        let fit = least_squares(&vec![[1.0]; found.len()], &values, &weights)?;
        (fit.value[0], fit.error[0])
    } else {
        // Scaled to about 1, so that the equations are well conditioned.
        let largest = found.iter().map(|f| f.0.abs()).fold(0.0, f64::max);
        let rows: Vec<[f64; 2]> = found.iter().map(|f| [1.0, f.0 / largest]).collect();
        let fit = least_squares(&rows, &values, &weights)?;
        (fit.value[0], fit.error[0])
    };
    Some(Estimate { px, confidence: confidence / (1.0 + (2.0 * error).powi(2)) })
}

/// Axis of one row of one pair; `row` counts from the middle.
#[derive(Clone, Copy)]
struct Point {
    row: f64,
    mismatch: f64,
    px: f64,
    weight: f64,
}

/// Weighted straight line through the axes of the rows (and through the mismatch), with one round of leaving out points
/// further off than 4 times the median; needs 8 rows. Returns the tilt and the axis in the middle.
fn fit_tilt(mut points: Vec<Point>) -> Option<(Tilt, f64)> {
    let distinct = |points: &[Point]| {
        let mut rows: Vec<f64> = points.iter().map(|p| p.row).collect();
        rows.sort_by(f64::total_cmp);
        rows.dedup();
        rows.len()
    };
    for round in 0..2 {
        if distinct(&points) < 8 {
            return None;
        }
        let largest = |f: fn(&Point) -> f64| points.iter().map(|p| f(p).abs()).fold(0.0, f64::max);
        let (height, turn) = (largest(|p| p.row), largest(|p| p.mismatch));
        let values: Vec<f64> = points.iter().map(|p| p.px).collect();
        let weights: Vec<f64> = points.iter().map(|p| p.weight).collect();
        // Without mismatch its column must not be part of the equations.
        let (value, error) = if turn > 0.0 {
            let rows: Vec<[f64; 3]> = points.iter().map(|p| [1.0, p.row / height, p.mismatch / turn]).collect();
            let fit = least_squares(&rows, &values, &weights)?;
            (fit.value, fit.error)
        } else {
            let rows: Vec<[f64; 2]> = points.iter().map(|p| [1.0, p.row / height]).collect();
            let fit = least_squares(&rows, &values, &weights)?;
            ([fit.value[0], fit.value[1], 0.0], [fit.error[0], fit.error[1], 0.0])
        };
        if round == 1 {
            return Some((Tilt { px_per_row: value[1] / height, error: error[1] / height }, value[0]));
        }
        let turn = if turn > 0.0 { turn } else { 1.0 };
        let off = |p: &Point| (p.px - value[0] - value[1] * p.row / height - value[2] * p.mismatch / turn).abs();
        let mut sorted: Vec<f64> = points.iter().map(off).collect();
        sorted.sort_by(f64::total_cmp);
        let limit = 4.0 * sorted[sorted.len() / 2].max(1e-6);
        points.retain(|p| off(p) <= limit);
    }
    None
}

/// Centroids of the surveyed rows; `None` if the sample is cut off or there is nothing to see.
fn by_moment(scan: &Scan, survey: &Survey, range: &Range<usize>, search: &Range<f64>) -> Option<Candidate> {
    let info = scan.info();
    let cols = scan.shape().cols as f64;
    let views: Vec<usize> = (0..info.angles_rad.len()).filter(|&m| !survey.black_views[m]).collect();
    let angles: Vec<f64> = views.iter().map(|&m| info.angles_rad[m]).collect();
    let (low, high) = angles.iter().fold((f64::MAX, f64::MIN), |(lo, hi), &a| (lo.min(a), hi.max(a)));
    // From less than 150 degrees the constant cannot be told from the cosine well.
    if high - low < 150f64.to_radians() {
        return None;
    }
    let mut found: Vec<(f64, f64)> = Vec::new();
    for (k, _) in survey.rows.iter().enumerate().filter(|(_, row)| range.contains(row)) {
        let moments: Vec<_> = views.iter().map(|&m| survey.moments[m][k]).collect();
        let mean = |f: &dyn Fn(usize) -> f64| (0..moments.len()).map(f).sum::<f64>() / moments.len() as f64;
        // The beam drifts: the air beside the sample tells its level in each view.
        let air = |i: usize| (moments[i].edges[0] + moments[i].edges[1]) / 2.0;
        let mass = |i: usize| moments[i].mass - cols * air(i);
        let centroid = |i: usize| (moments[i].first - air(i) * cols * (cols - 1.0) / 2.0) / mass(i);
        let mean_mass = mean(&mass);
        let spread = mean(&|i| (mass(i) - mean_mass).powi(2)).sqrt();
        // A view that is cut off shows at the edges and in the mass, which else is the same from all sides.
        let edge = mean(&|i| moments[i].edges[0].abs().max(moments[i].edges[1].abs())) * cols;
        if !(mean_mass > 0.0 && spread < 0.05 * mean_mass && edge < 0.1 * mean_mass) {
            continue;
        }
        let centroids: Vec<f64> = (0..moments.len()).map(centroid).collect();
        if let Some(fit) = moment(&angles, &centroids) {
            found.push((fit.px, fit.error_px));
        }
    }
    if found.is_empty() {
        return None;
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = found.len();
    let px = (found[(n - 1) / 2].0 + found[n / 2].0) / 2.0;
    let error = found.iter().map(|f| f.1).sum::<f64>() / n as f64;
    let inside = px > search.start && px < search.end;
    // Half confidence at a standard error of a quarter pixel.
    let confidence = if inside { 1.0 / (1.0 + (4.0 * error).powi(2)) } else { 0.0 };
    Some(Candidate { method: "moment", center_px: px, confidence })
}
