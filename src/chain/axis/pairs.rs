//! Which views the search of the axis compares, and reading some rows of them as absorbance.

use crate::error::Result;
use crate::preprocess::normalise::{Air, RowReferences, check_counts};
use crate::preprocess::{NormaliseOptions, flat_weights};
use crate::scan::{Frame, Scan};
use crate::slab::Domain;
use ndarray::{Array2, Axis, s};
use std::f64::consts::PI;

/// Pairs of views that are compared at most.
const MOST_PAIRS: usize = 8;
/// Pixels of a frame that are read at once.
const PIXELS_AT_ONCE: usize = 1 << 22;

/// Two views that are to be compared, and by how much their angles miss half a turn, radians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) first: usize,
    pub(super) second: Frame,
    pub(super) mismatch: f64,
}

/// Pairs half a turn apart: exact ones if there are any, else near ones with at least two different mismatches.
pub(super) fn choose_pairs(angles_rad: &[f64], half_turn_frame: bool, black: &[bool]) -> Vec<Pair> {
    let n = angles_rad.len();
    if half_turn_frame && !black[0] {
        return vec![Pair { first: 0, second: Frame::HalfTurn, mismatch: 0.0 }];
    }
    if n < 2 {
        return Vec::new();
    }
    // First views of pairs: all over a full turn, and both ends of a half turn.
    let mut firsts: Vec<usize> = (0..MOST_PAIRS).map(|k| k * n / MOST_PAIRS).chain([1, 2]).filter(|&i| i < n).collect();
    firsts.sort_unstable();
    firsts.dedup();
    let mut sorted = angles_rad.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut steps: Vec<f64> = sorted.windows(2).map(|w| w[1] - w[0]).collect();
    steps.sort_by(f64::total_cmp);
    let step = steps[steps.len() / 2];
    // Angles in files are rounded; a fiftieth of a step moves nothing by more than that part of what is resolved.
    let exact = (0.02 * step).max(1e-6);
    let mut pairs = Vec::new();
    for &first in firsts.iter().filter(|&&i| !black[i]) {
        for second in (first + 1..n).filter(|&j| !black[j]) {
            let turn = angles_rad[second] - angles_rad[first] - PI;
            let mismatch = turn - 2.0 * PI * (turn / (2.0 * PI)).round();
            if mismatch.abs() <= exact {
                pairs.push(Pair { first, second: Frame::View(second), mismatch: 0.0 });
            } else if mismatch.abs() <= (3.5 * step).min(0.15) {
                pairs.push(Pair { first, second: Frame::View(second), mismatch });
            }
        }
    }
    if pairs.iter().any(|p| p.mismatch == 0.0) {
        pairs.retain(|p| p.mismatch == 0.0);
        return (0..pairs.len().min(MOST_PAIRS))
            .map(|k| pairs[k * pairs.len() / pairs.len().min(MOST_PAIRS)])
            .collect();
    }
    pairs.sort_by(|a, b| a.mismatch.abs().total_cmp(&b.mismatch.abs()));
    pairs.truncate(MOST_PAIRS);
    let differ = pairs.iter().any(|p| (p.mismatch - pairs[0].mismatch).abs() > 0.5 * step);
    if differ { pairs } else { Vec::new() }
}

/// Direct beam of a frame: two images and the weight of the second.
pub(super) type Beam = (Frame, Frame, f64);

/// Some rows of the frames of a scan as absorbance; the dark image is read once.
pub(super) struct Frames<'a> {
    scan: &'a Scan,
    pub(super) rows: Vec<usize>,
    options: &'a NormaliseOptions,
    dark: Array2<f32>,
}

impl<'a> Frames<'a> {
    pub(super) fn new(scan: &'a Scan, rows: Vec<usize>, options: &'a NormaliseOptions) -> Result<Self> {
        // Sinograms are absorbance already.
        let is_counts = scan.info().domain == Domain::Counts;
        let dark = if is_counts { read_some_rows(scan, Frame::Dark, &rows)? } else { Array2::zeros((0, 0)) };
        Ok(Frames { scan, rows, options, dark })
    }
    pub(super) fn beam(&self, view: usize) -> Beam {
        let info = self.scan.info();
        if info.domain != Domain::Counts {
            return (Frame::Flat(0), Frame::Flat(0), 0.0);
        }
        let (i, r2) = flat_weights(&info.view_time[view..=view], &info.flat_time)[0];
        (Frame::Flat(i), Frame::Flat((i + 1).min(info.flat_time.len() - 1)), r2)
    }
    pub(super) fn beam_of(&self, frame: Frame) -> Beam {
        match frame {
            Frame::View(m) => self.beam(m),
            _ => (Frame::HalfTurnFlat, Frame::HalfTurnFlat, 0.0),
        }
    }
    /// `[row, col]`; rows without beam are 0.
    pub(super) fn absorbance(&self, frame: Frame, (flat0, flat1, r2): Beam) -> Result<Array2<f32>> {
        if self.scan.info().domain != Domain::Counts {
            return read_some_rows(self.scan, frame, &self.rows);
        }
        let flat0 = (flat0, read_some_rows(self.scan, flat0, &self.rows)?);
        let flats = if flat1 == flat0.0 {
            flat0.1.insert_axis(Axis(0))
        } else {
            let flat1 = read_some_rows(self.scan, flat1, &self.rows)?;
            ndarray::stack![Axis(0), flat0.1, flat1]
        };
        let view = if let Frame::View(m) = frame { m } else { self.scan.shape().views };
        let mut data = read_some_rows(self.scan, frame, &self.rows)?;
        let mut absorbance = vec![0f64; data.ncols()];
        for (k, &row) in self.rows.iter().enumerate() {
            let references = RowReferences::new(self.dark.row(k), flats.index_axis(Axis(1), k), self.options, row)?;
            let counts = data.row(k).to_vec();
            check_counts(&counts, row, view)?;
            absorbance.fill(0.0);
            if references.good() > 0 {
                references.absorbance(&counts, (0, r2), Air::Off, &mut absorbance);
            }
            data.row_mut(k).iter_mut().zip(&absorbance).for_each(|(d, p)| *d = *p as f32);
        }
        Ok(data)
    }
}

/// The wanted rows (ascending) of one frame, in as few reads as memory allows: a compressed frame is decoded in whole.
fn read_some_rows(scan: &Scan, frame: Frame, rows: &[usize]) -> Result<Array2<f32>> {
    let cols = scan.shape().cols;
    let mut out = Array2::zeros((rows.len(), cols));
    let mut k = 0;
    while k < rows.len() {
        let fits = rows[k..].iter().take_while(|&&r| (r + 1 - rows[k]) * cols <= PIXELS_AT_ONCE).count().max(1);
        let span = rows[k]..rows[k + fits - 1] + 1;
        let mut read = Array2::zeros((span.len(), cols));
        scan.source().read_rows(frame, span, read.view_mut())?;
        for i in k..k + fits {
            out.row_mut(i).assign(&read.slice(s![rows[i] - rows[k], ..]));
        }
        k += fits;
    }
    Ok(out)
}
