//! Rows of a full turn to rows of a half turn that reach from one side of the sample to the other.

use super::{PLACE, Pair};
use crate::error::{Error, Result};
use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3};
use rayon::prelude::*;
use std::f64::consts::PI;

/// Values on either side that make one between them.
const SIDE: usize = 3;

/// Where the columns of a stitched row are: a row of the detector, `lead` columns before it, and some after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    cols: usize,
    width: usize,
    lead: usize,
    /// The integer axis of ct-rec, if its numbers are wanted.
    rc: Option<usize>,
}

/// Width and axis of stitched rows: `(width, center_px)`, for rows of `cols` columns with their axis at `center_px`.
///
/// Errors: an axis that is not on the detector.
pub fn stitched(cols: usize, center_px: f64) -> Result<(usize, f64)> {
    let layout = Layout::new(cols, [center_px; 2])?;
    Ok((layout.width(), layout.center_px(center_px)))
}

impl Layout {
    /// For rows of `cols` columns; `center_px` is the axis in the first and in the last row of the detector (not of a slab:
    /// all rows of a volume share one width).
    ///
    /// The pixels of the first view stay where they are. The other view brings those beyond: `floor(2 c) + 1 - cols` after
    /// the last column if the axis c is right of the middle, `floor(cols - 1 - 2 c)` before the first if it is left.
    ///
    /// Errors: an axis that is not on the detector, and more than 1048576 columns.
    pub fn new(cols: usize, center_px: [f64; 2]) -> Result<Self> {
        let last = cols as f64 - 1.0;
        if let Some(px) = center_px.into_iter().find(|px| !(*px >= 0.0 && *px <= last && cols <= 1 << 20)) {
            let accepted = format!("the rotation axis must lie on the detector, 0 to {last} px");
            return Err(Error::invalid(PLACE, accepted).with("center_px", px));
        }
        let most = |f: fn(f64, f64) -> f64| center_px.into_iter().map(|px| f(last, px)).fold(0.0, f64::max) as usize;
        // A hair, or rounding of an axis such as 0.1 + 0.2 could cost a column.
        let lead = most(|last, px| (last - 2.0 * px + 1e-6).floor());
        let behind = most(|last, px| (2.0 * px - last + 1e-6).floor());
        Ok(Layout { cols, width: lead + cols + behind, lead, rc: None })
    }

    /// As ct-rec's `ofct_srec` with its integer axis `rc`: rows are mirrored about `rc - 1/2`, and reconstructed about
    /// `rc + 1/2` whatever the true axis is, which doubles edges by about a pixel; left of the middle the weights run the
    /// wrong way. Only to get its numbers.
    ///
    /// Errors: an `rc` that is not within 1 to `cols - 1`.
    pub fn ct_rec(cols: usize, rc: usize) -> Result<Self> {
        if rc == 0 || rc >= cols {
            let accepted = format!("expected an integer axis of 1 to {}", cols.saturating_sub(1));
            return Err(Error::invalid(PLACE, accepted).with("rc", rc));
        }
        let width = 2 * rc.max(cols - rc);
        Ok(Layout { cols, width, lead: cols.saturating_sub(2 * rc), rc: Some(rc) })
    }

    /// Columns of a stitched row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Axis in stitched rows where it was at `center_px` in the scan; with ct-rec's rule one axis for all.
    pub fn center_px(&self, center_px: f64) -> f64 {
        match self.rc {
            Some(_) => (self.width as f64 + 1.0) / 2.0,
            None => center_px + self.lead as f64,
        }
    }

    /// How the columns of a row with its axis at `center_px` are made.
    fn recipe(&self, center_px: f64) -> Recipe {
        let last = self.cols as f64 - 1.0;
        let twice = self.rc.map_or(2.0 * center_px, |rc| 2.0 * rc as f64 - 1.0);
        // Columns, in those of the first view, that both see.
        let (low, high) = ((twice - last).max(0.0), last.min(twice));
        let weight = |k: usize| {
            let n = k as f64 - self.lead as f64;
            if n < 0.0 || n > last {
                return 0.0;
            }
            if let Some(rc) = self.rc {
                let (start, end) =
                    if 2 * rc >= self.cols { (2 * rc - self.cols, self.cols) } else { (self.lead, self.cols) };
                return match k {
                    k if (start..end).contains(&k) => (end - k) as f64 / (end - start + 1) as f64,
                    _ => 1.0,
                };
            }
            // From 0 to 1 over the overlap; in both views half a column from the ends, so that the weights of a pair and
            // of its mirror image add up to 1.
            let part = ((n - low + 0.5) / (high - low + 1.0)).clamp(0.0, 1.0);
            let own = if twice >= last { 1.0 - part } else { part };
            (0.5 * PI * own).sin().powi(2)
        };
        // Whole columns to within what no scan resolves need no interpolation.
        let whole = if (twice - twice.round()).abs() < 1e-3 { twice.round() } else { twice.floor() };
        let fraction = (twice - whole).max(0.0);
        let taps = if fraction < 1e-3 { None } else { Some(taps(fraction)) };
        Recipe {
            lead: self.lead,
            mirror: whole as isize + self.lead as isize,
            taps,
            own: (0..self.width).map(weight).collect(),
        }
    }
}

/// See [`Layout::recipe`].
struct Recipe {
    lead: usize,
    /// Column k of the stitched row is column `mirror - k` (and a fraction) of the opposite view.
    mirror: isize,
    taps: Option<[f64; 2 * SIDE]>,
    /// Weight of the first view in each column; that of the opposite one is 1 minus it.
    own: Vec<f64>,
}

impl Recipe {
    /// `first` and `second` `[col]` → `out` `[stitched col]`. Beyond its ends a view repeats its last value.
    fn stitch(&self, first: &[f32], second: &[f32], out: &mut [f32]) {
        let last = second.len() as isize - 1;
        let at = |i: isize| f64::from(second[i.clamp(0, last) as usize]);
        for (k, (out, own)) in out.iter_mut().zip(&self.own).enumerate() {
            let source = self.mirror - k as isize;
            let opposite = || match &self.taps {
                None => at(source),
                Some(taps) => (source + 1 - SIDE as isize..).zip(taps).map(|(i, weight)| weight * at(i)).sum(),
            };
            *out = if *own >= 1.0 {
                first[k - self.lead]
            } else if *own <= 0.0 {
                opposite() as f32
            } else {
                (own * f64::from(first[k - self.lead]) + (1.0 - own) * opposite()) as f32
            };
        }
    }
}

/// Weights of 6 neighbours for the value at `fraction` after the third: a sinc under a wider sinc, sum 1.
///
/// A straight line would do for the position but halves the finest structure, and only on one side of the sample.
fn taps(fraction: f64) -> [f64; 2 * SIDE] {
    let sinc = |x: f64| if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) };
    let raw: [f64; 2 * SIDE] = std::array::from_fn(|i| {
        let x = i as f64 - (SIDE as f64 - 1.0) - fraction;
        sinc(x) * sinc(x / SIDE as f64)
    });
    let sum: f64 = raw.iter().sum();
    raw.map(|v| v / sum)
}

/// Sinograms of a full turn `[row, view, col]` → `out` `[row, pair, stitched col]`, rows in parallel on `pool`.
///
/// `pairs` (see [`super::opposite_views`]) name the views; the angle of a stitched view is that of its first. `center_px` is
/// the axis of each row. In the overlap the first view fades out and the opposite one in, by squares of a cosine (after Vo et
/// al. 2021, doi:10.1364/OE.418448, with smooth instead of straight ramps). Pixels of the first view are never interpolated,
/// those of the opposite one only if twice the axis is not an integer.
///
/// `tick` is called on the calling thread with the finished part (0 to 1); its error stops the work. The result of a row does
/// not depend on the other rows, nor on the number of threads.
///
/// Errors: shapes that do not fit together, pairs beyond the views, an axis that is not on the detector.
pub fn stitch_rows(
    pool: &rayon::ThreadPool,
    sinograms: ArrayView3<f32>,
    pairs: &[Pair],
    layout: &Layout,
    center_px: &[f64],
    mut out: ArrayViewMut3<f32>,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<()> {
    let (rows, views, cols) = sinograms.dim();
    if cols != layout.cols || out.dim() != (rows, pairs.len(), layout.width) || center_px.len() != rows {
        return Err(Error::invalid(PLACE, "input, output and axes must fit the layout")
            .with("input", format!("{:?}", sinograms.shape()))
            .with("output", format!("{:?}", out.shape()))
            .with("axes", center_px.len())
            .with("layout", format!("{} -> {} columns", layout.cols, layout.width)));
    }
    if let Some(pair) = pairs.iter().find(|p| p.first.max(p.second) >= views) {
        return Err(Error::invalid(PLACE, "a pair names a view that is not there")
            .with("views", views)
            .with("pair", format!("{pair:?}")));
    }
    if let Some(row) = center_px.iter().position(|px| !(*px >= 0.0 && *px <= cols as f64 - 1.0)) {
        let accepted = format!("the rotation axis must lie on the detector, 0 to {} px", cols - 1);
        return Err(Error::invalid(PLACE, accepted).with("center_px", center_px[row]).with("row", row));
    }
    let mut work: Vec<_> = sinograms.outer_iter().zip(out.outer_iter_mut()).zip(center_px).collect();
    let mut done = 0;
    for group in work.chunks_mut(pool.current_num_threads()) {
        let size = group.len();
        pool.install(|| {
            group.par_iter_mut().for_each(|((sino, out), center_px)| {
                stitch_row(sino.view(), pairs, &layout.recipe(**center_px), out.view_mut());
            });
        });
        done += size;
        tick(done as f64 / rows as f64)?;
    }
    Ok(())
}

fn stitch_row(sino: ArrayView2<f32>, pairs: &[Pair], recipe: &Recipe, mut out: ArrayViewMut2<f32>) {
    let mut line = vec![0.0; recipe.own.len()];
    for (pair, mut out) in pairs.iter().zip(out.rows_mut()) {
        let [first, second] = [pair.first, pair.second].map(|m| sino.row(m));
        match (first.as_slice(), second.as_slice()) {
            (Some(first), Some(second)) => recipe.stitch(first, second, &mut line),
            _ => recipe.stitch(&first.to_vec(), &second.to_vec(), &mut line),
        }
        out.iter_mut().zip(&line).for_each(|(o, v)| *o = *v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_of_a_pair_and_its_mirror_image_weigh_one() {
        for center in [200.0, 231.25, 127.5, 20.5, 17.3] {
            let layout = Layout::new(256, [center; 2]).unwrap();
            let own = layout.recipe(center).own;
            let twice = 2.0 * layout.center_px(center);
            for (k, weight) in own.iter().enumerate().filter(|_| twice.fract() == 0.0) {
                let mirrored = own.get(twice as usize - k).copied().unwrap_or(0.0);
                assert!((weight + mirrored - 1.0).abs() < 1e-12, "{center} {k}: {weight} {mirrored}");
            }
            assert!(own.windows(2).all(|w| if center > 127.0 { w[0] >= w[1] } else { w[0] <= w[1] }));
        }
    }

    #[test]
    fn ct_recs_rule_on_both_sides() {
        let (first, second): (Vec<f32>, Vec<f32>) = ((0..10).map(|n| n as f32).collect(), vec![100.0; 10]);
        for (rc, width, overlap) in [(7, 14, 4..10), (3, 14, 4..10)] {
            let layout = Layout::ct_rec(10, rc).unwrap();
            assert_eq!((layout.width(), layout.center_px(0.0)), (width, rc.max(10 - rc) as f64 + 0.5));
            let mut out = vec![f32::NAN; width];
            layout.recipe(0.0).stitch(&first, &second, &mut out);
            for (k, value) in out.iter().enumerate() {
                let own = if rc == 7 { k as f64 } else { k as f64 - 4.0 };
                let expected = if overlap.contains(&k) {
                    ((overlap.end - k) as f64 * own + (k - overlap.start + 1) as f64 * 100.0) / 7.0
                } else if (rc == 7) == (k < overlap.start) {
                    own
                } else {
                    100.0
                };
                assert!((f64::from(*value) - expected).abs() < 1e-5, "{rc} {k}: {value} {expected}");
            }
        }
    }

    #[test]
    fn interpolation_keeps_a_constant_and_a_slow_wave() {
        for fraction in [0.01, 0.25, 0.5, 0.9] {
            let taps = taps(fraction);
            let wave = |x: f64| (0.5 * x).sin();
            let got: f64 = taps.iter().enumerate().map(|(i, t)| t * wave(i as f64)).sum();
            // A wave of 12.6 px; a straight line would be off by 3 % in the middle.
            assert!((got - wave(2.0 + fraction)).abs() < 0.003, "{fraction}: {got}");
            assert!((taps.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
}
