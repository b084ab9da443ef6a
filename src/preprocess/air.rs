//! Air beside the sample as the zero of absorbance. Must not know: files, scans, stages.

use crate::error::{Error, Result};
use ndarray::ArrayViewMut3;
use rayon::prelude::*;

/// Place named in the errors of this module.
const PLACE: &str = "air";

/// Subtracts from each view of each row of absorbance `[row, view, col]` what it shows of air, in place.
///
/// `left_px` and `right_px`: columns at either edge that the sample never reaches. With both, a straight line through the
/// means of both margins, each at its middle, is subtracted, so that a beam that moves or tilts between direct-beam images
/// leaves no trace; with one of them 0, the mean of the other. (`Air::Edges` of `normalise` subtracts one number, the mean
/// of 10 columns at either edge.)
///
/// Rows in parallel on `pool`; sums in f64. The result does not depend on the number of rows or threads.
///
/// Errors: no margin at all, margins that together are wider than a row, a margin that is not finite.
pub fn air_baseline(
    pool: &rayon::ThreadPool,
    mut absorbance: ArrayViewMut3<f32>,
    left_px: usize,
    right_px: usize,
) -> Result<()> {
    let cols = absorbance.shape()[2];
    let both = left_px.saturating_add(right_px);
    if both == 0 || both > cols {
        let accepted = format!("expected margins of 1 to {cols} columns in all");
        return Err(Error::invalid(PLACE, accepted).with("left_px", left_px).with("right_px", right_px));
    }
    let mut rows: Vec<_> = absorbance.outer_iter_mut().enumerate().collect();
    let results: Vec<Result<()>> = pool.install(|| {
        rows.par_iter_mut()
            .map(|(row, views)| {
                for (view, mut line) in views.outer_iter_mut().enumerate() {
                    let mean = |first: usize, n: usize| {
                        line.iter().skip(first).take(n).map(|p| f64::from(*p)).sum::<f64>() / n.max(1) as f64
                    };
                    let (left, right) = (mean(0, left_px), mean(cols - right_px, right_px));
                    if !(left.is_finite() && right.is_finite()) {
                        return Err(Error::invalid(
                            PLACE,
                            "the air beside the sample holds a value that is not finite",
                        )
                        .with("row", *row)
                        .with("view", view));
                    }
                    let slope = if left_px > 0 && right_px > 0 {
                        // From the middle of one margin to the middle of the other.
                        (right - left) / (cols as f64 - 0.5 * both as f64)
                    } else {
                        0.0
                    };
                    let level = if left_px > 0 { left } else { right };
                    let middle = 0.5 * (left_px as f64 - 1.0);
                    for (n, p) in line.iter_mut().enumerate() {
                        *p = (f64::from(*p) - level - slope * (n as f64 - middle)) as f32;
                    }
                }
                Ok(())
            })
            .collect()
    });
    results.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    fn run(data: &mut Array3<f32>, left_px: usize, right_px: usize) -> Result<()> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        air_baseline(&pool, data.view_mut(), left_px, right_px)
    }

    #[test]
    fn slopes_go_and_the_sample_stays() {
        let sample = |n: usize| if (8..32).contains(&n) { 1.5 } else { 0.0 };
        let slope = |m: usize, n: usize| 0.02 * m as f32 - 0.003 * (m as f32 - 2.0) * n as f32;
        for (left, right) in [(8, 8), (3, 8), (1, 1)] {
            let mut data = Array3::from_shape_fn((3, 5, 40), |(_, m, n)| sample(n) + slope(m, n));
            run(&mut data, left, right).unwrap();
            // Rounding of f32 numbers up to 2.
            assert!(data.indexed_iter().all(|((_, _, n), v)| (v - sample(n)).abs() < 5e-7), "{left} {right}");
        }
        for (left, right) in [(8, 0), (0, 8)] {
            let mut data = Array3::from_shape_fn((1, 5, 40), |(_, m, n)| sample(n) + 0.1 * m as f32);
            run(&mut data, left, right).unwrap();
            assert!(data.indexed_iter().all(|((_, _, n), v)| (v - sample(n)).abs() < 5e-7), "{left} {right}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut data = Array3::zeros((1, 2, 10));
        for (left, right) in [(0, 0), (6, 5), (usize::MAX, 2)] {
            assert!(run(&mut data, left, right).unwrap_err().to_string().contains("1 to 10 columns"));
        }
        data[[0, 1, 9]] = f32::NAN;
        assert!(run(&mut data, 2, 2).unwrap_err().to_string().contains("view = 1"));
        assert!(run(&mut data, 2, 0).is_ok());
    }
}
