//! Whole frames from counts to absorbance, or to a difference of counts: projection images as ct-rec's `*_prj_*` programs
//! define them. For reconstruction, [`super::normalise`] works on rows.
//!
//! Must not know: files, scans, stages.

use crate::error::{Error, Result};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Zip};
use rayon::prelude::*;

/// Place named in the errors of this module.
const PLACE: &str = "frames";
/// Columns at either edge that [`subtract_edges`] takes for air.
const EDGE: usize = 10;
/// Weights of [`smooth_beam`].
const BEAM: [f64; 5] = [0.1, 0.2, 0.4, 0.2, 0.1];
/// What equal counts become in [`difference`].
const ZERO: f64 = 5000.0;

/// What becomes of a pixel that is too dark for a logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weak {
    /// Signal and beam below this many counts are raised to it.
    Raise(f64),
    /// A pixel with a signal of at most this many counts, or without beam, is 0.
    Zero(f64),
}

/// Smooths a direct-beam image `[row, col]` along its rows with weights 0.1, 0.2, 0.4, 0.2, 0.1 to whole counts; two columns
/// at either end stay.
pub fn smooth_beam(mut image: ArrayViewMut2<f32>) {
    for mut row in image.outer_iter_mut() {
        let old: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
        for (out, window) in row.iter_mut().skip(2).zip(old.windows(5)) {
            // A hair, or rounding of a sum of equal counts would cost one.
            *out = (window.iter().zip(BEAM).map(|(v, w)| v * w).sum::<f64>() + 1e-6).trunc() as f32;
        }
    }
}

/// The direct beam above dark at a time between two images, `weight` of the way from the first to the second.
pub fn beam(
    dark: ArrayView2<f32>,
    first: ArrayView2<f32>,
    second: ArrayView2<f32>,
    weight: f64,
) -> Result<Array2<f64>> {
    same_size(&[dark, first, second])?;
    let mut out = Array2::zeros(dark.raw_dim());
    Zip::from(&mut out).and(dark).and(first).and(second).for_each(|out, d, a, b| {
        *out = (1.0 - weight) * f64::from(*a) + weight * f64::from(*b) - f64::from(*d);
    });
    Ok(out)
}

/// Absorbance ln(beam / (counts - dark)) of a frame `[row, col]`, always finite, and how many pixels were too dark.
///
/// `beam` is above dark, see [`beam()`]. Rows in parallel on `pool`. Errors: shapes that differ.
pub fn absorbance(
    pool: &rayon::ThreadPool,
    counts: ArrayView2<f32>,
    dark: ArrayView2<f32>,
    beam: ArrayView2<f64>,
    weak: Weak,
) -> Result<(Array2<f32>, u64)> {
    same_size(&[counts, dark])?;
    if beam.dim() != counts.dim() {
        return Err(differ(counts.shape(), beam.shape()));
    }
    let mut out = Array2::<f32>::zeros(counts.raw_dim());
    let pixel = |counts: f32, dark: f32, beam: f64| {
        let signal = f64::from(counts) - f64::from(dark);
        match weak {
            Weak::Raise(floor) => {
                // Written so that NaN is below, too.
                let raised = |v: f64| if v >= floor { v.min(1e300) } else { floor };
                ((raised(beam) / raised(signal)).ln() as f32, signal.is_nan() || signal < floor)
            }
            Weak::Zero(least) if signal > least && beam > 0.0 && (beam / signal).is_finite() => {
                ((beam / signal).ln() as f32, false)
            }
            Weak::Zero(_) => (0.0, true),
        }
    };
    let rows: Vec<_> = out.outer_iter_mut().enumerate().collect();
    let row = |(y, mut out): (usize, ndarray::ArrayViewMut1<f32>)| {
        let mut count = 0;
        Zip::from(&mut out).and(counts.row(y)).and(dark.row(y)).and(beam.row(y)).for_each(|out, c, d, b| {
            let (p, dark) = pixel(*c, *d, *b);
            *out = p;
            count += u64::from(dark);
        });
        count
    };
    let clipped = pool.install(|| rows.into_par_iter().map(row).sum());
    Ok((out, clipped))
}

/// Subtracts from each row the mean of its 10 outermost columns on either side.
pub fn subtract_edges(mut image: ArrayViewMut2<f32>) {
    let edge = EDGE.min(image.ncols());
    for mut row in image.axis_iter_mut(Axis(0)) {
        let ends = row.iter().take(edge).chain(row.iter().rev().take(edge));
        let mean = ends.map(|v| f64::from(*v)).sum::<f64>() / (2 * edge) as f64;
        row.mapv_inplace(|v| (f64::from(v) - mean) as f32);
    }
}

/// Counts - dark - beam + 5000, rounded, within 16 bits: what a frame has more or less than the direct beam.
pub fn difference(counts: ArrayView2<f32>, dark: ArrayView2<f32>, beam: ArrayView2<f64>) -> Result<Array2<u16>> {
    same_size(&[counts, dark])?;
    if beam.dim() != counts.dim() {
        return Err(differ(counts.shape(), beam.shape()));
    }
    let mut out = Array2::zeros(counts.raw_dim());
    Zip::from(&mut out).and(counts).and(dark).and(beam).for_each(|out, c, d, b| {
        // The cast keeps within 16 bits, and makes 0 of what is no number.
        *out = (f64::from(*c) - f64::from(*d) - b + ZERO).round() as u16;
    });
    Ok(out)
}

fn same_size(images: &[ArrayView2<f32>]) -> Result<()> {
    let other = images.iter().find(|image| image.dim() != images[0].dim());
    other.map_or(Ok(()), |other| Err(differ(images[0].shape(), other.shape())))
}

fn differ(a: &[usize], b: &[usize]) -> Error {
    let message = "frame, dark and direct beam must have the same size";
    Error::invalid(PLACE, message).with("one", format!("{a:?}")).with("other", format!("{b:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn pool() -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap()
    }

    #[test]
    fn a_beam_is_smoothed_to_whole_counts_except_at_its_ends() {
        let mut image = array![[1.0, 2.0, 30.0, 4.0, 5.0, 6.0, 1007.0]];
        smooth_beam(image.view_mut());
        // 0.1 + 0.4 + 12 + 0.8 + 0.5 = 13.8, 0.2 + 6 + 1.6 + 1 + 0.6 = 9.4, 3 + 0.8 + 2 + 1.2 + 100.7 = 107.7.
        assert_eq!(image, array![[1.0, 2.0, 13.0, 9.0, 107.0, 6.0, 1007.0]]);
        let mut flat = Array2::from_elem((3, 9), 1234.0);
        smooth_beam(flat.view_mut());
        assert!(flat.iter().all(|v| *v == 1234.0));
        let mut narrow = array![[3.0, 1.0, 2.0]];
        smooth_beam(narrow.view_mut());
        assert_eq!(narrow, array![[3.0, 1.0, 2.0]]);
    }

    #[test]
    fn absorbance_follows_its_formula_and_stays_finite() {
        let (dark, first, second) =
            (Array2::from_elem((1, 4), 10.0), Array2::from_elem((1, 4), 110.0), Array2::from_elem((1, 4), 210.0));
        let beam = beam(dark.view(), first.view(), second.view(), 0.25).unwrap();
        assert!(beam.iter().all(|b| *b == 125.0));
        let counts = array![[60.0f32, 11.0, 10.0, f32::NAN]];
        let (p, clipped) = absorbance(&pool(), counts.view(), dark.view(), beam.view(), Weak::Raise(2.0)).unwrap();
        assert_eq!(clipped, 3);
        let expected = [2.5f64.ln(), 62.5f64.ln(), 62.5f64.ln(), 62.5f64.ln()];
        assert!(p.iter().zip(expected).all(|(p, e)| (f64::from(*p) - e).abs() < 1e-6), "{p}");
        let (p, clipped) = absorbance(&pool(), counts.view(), dark.view(), beam.view(), Weak::Zero(10.0)).unwrap();
        assert!(clipped == 3 && p.iter().skip(1).all(|p| *p == 0.0) && (p[[0, 0]] - 0.916_290_7).abs() < 1e-6);
    }

    #[test]
    fn air_at_the_edges_becomes_zero() {
        let mut image =
            Array2::from_shape_fn((2, 40), |(y, x)| y as f32 + 0.5 + if (15..25).contains(&x) { 2.0 } else { 0.0 });
        subtract_edges(image.view_mut());
        assert!(
            image
                .row(1)
                .iter()
                .enumerate()
                .all(|(x, v)| (v - if (15..25).contains(&x) { 2.0 } else { 0.0 }).abs() < 1e-6)
        );
    }

    #[test]
    fn differences_are_kept_within_16_bits() {
        let beam = array![[100.0, 100.4, 9000.0, 0.0]];
        let (counts, dark) = (array![[110.0f32, 110.0, 110.0, 65535.0]], array![[10.0f32, 10.0, 10.0, 0.0]]);
        assert_eq!(difference(counts.view(), dark.view(), beam.view()).unwrap(), array![[5000, 5000, 0, 65535]]);
        assert!(difference(counts.view(), dark.view(), Array2::zeros((2, 4)).view()).is_err());
    }
}
