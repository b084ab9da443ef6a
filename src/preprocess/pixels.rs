//! Detector pixels that do not measure: finding them in dark and direct beam, and filling them in. Must not know: files,
//! scans, stages.

use super::normalise::fill_in;
use crate::error::{Error, Result};
use crate::slab::References;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut3, Axis};
use rayon::prelude::*;

/// Place named in the errors of this module.
const PLACE: &str = "pixels";
/// Columns on either side that tell what is usual.
const AROUND: usize = 5;

/// Pixels `[row, col]` that answer otherwise than their neighbours: true where one is bad.
///
/// Compared are the mean direct beam above dark and the dark itself with their medians over 11 columns of the same row (fewer
/// at the ends). A pixel is bad if its beam is below 1 / `factor` or above `factor` times the median (dead, or blinded by a
/// flaw of the scintillator), or if its dark differs by more than 1 - 1 / `factor` of the beam (hot). Rows without beam have
/// no bad pixels: nothing can be said. Each row is judged on its own.
///
/// `factor` 1.5 to 3 is usual. Errors: a factor that is not above 1, no direct beam, values that are not finite.
pub fn find_bad(references: &References, factor: f64) -> Result<Array2<bool>> {
    if !(factor > 1.0 && factor.is_finite()) {
        return Err(Error::invalid(PLACE, "the factor must be greater than 1").with("factor", factor));
    }
    let (flats, rows, cols) = references.flats.dim();
    if flats == 0 || references.dark.dim() != (rows, cols) {
        return Err(Error::invalid(PLACE, "expected a dark image and at least one direct-beam image of its shape")
            .with("dark", format!("{:?}", references.dark.shape()))
            .with("direct beam", format!("{:?}", references.flats.shape())));
    }
    let mut bad = Array2::from_elem((rows, cols), false);
    for (row, mut bad) in bad.outer_iter_mut().enumerate() {
        let dark: Vec<f64> = references.dark.row(row).iter().map(|v| f64::from(*v)).collect();
        let of_row = references.flats.index_axis(Axis(1), row);
        let sum = |flat: ArrayView1<f32>| flat.iter().map(|v| f64::from(*v)).sum::<f64>();
        let beam: Vec<f64> =
            of_row.axis_iter(Axis(1)).zip(&dark).map(|(values, dark)| sum(values) / flats as f64 - dark).collect();
        if let Some(col) = beam.iter().position(|v| !v.is_finite()) {
            return Err(Error::format(PLACE, "a dark or direct-beam image holds a value that is not a finite number")
                .with("row", row)
                .with("column", col));
        }
        for (col, bad) in bad.iter_mut().enumerate() {
            let (usual_beam, usual_dark) = (usual(&beam, col), usual(&dark, col));
            let is_odd = beam[col] * factor < usual_beam || beam[col] > factor * usual_beam;
            let is_hot = (dark[col] - usual_dark).abs() > (1.0 - 1.0 / factor) * usual_beam;
            *bad = usual_beam > 0.0 && (is_odd || is_hot);
        }
    }
    Ok(bad)
}

/// Median of a value and its neighbours.
fn usual(values: &[f64], at: usize) -> f64 {
    let mut near = values[at.saturating_sub(AROUND)..values.len().min(at + AROUND + 1)].to_vec();
    let middle = near.len() / 2;
    *near.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Fills the pixels `bad` `[row, col]` of `[row, view, col]` with straight lines between the nearest good ones of the row (at
/// its ends with the nearest), in every view, in place. A row without a good pixel stays as it is. Returns the number of bad
/// pixels.
///
/// For absorbance this is all there is to do. Counts need [`repair_references`] with the same pixels, or what is filled in
/// would be divided by the beam that the bad pixel saw.
///
/// Rows in parallel on `pool`. Errors: shapes that do not fit together.
pub fn repair(pool: &rayon::ThreadPool, mut data: ArrayViewMut3<f32>, bad: ArrayView2<bool>) -> Result<usize> {
    let (rows, _, cols) = data.dim();
    if bad.dim() != (rows, cols) {
        return Err(Error::invalid(PLACE, "the list of bad pixels must have the rows and columns of the data")
            .with("data", format!("{:?}", data.shape()))
            .with("bad", format!("{:?}", bad.shape())));
    }
    let mut work: Vec<_> = data.outer_iter_mut().zip(bad.outer_iter()).collect();
    pool.install(|| {
        work.par_iter_mut().for_each(|(views, bad)| {
            let bad: Vec<usize> = (0..cols).filter(|&n| bad[n]).collect();
            let mut line = vec![0.0; cols];
            for mut view in views.outer_iter_mut().filter(|_| !bad.is_empty()) {
                line.iter_mut().zip(&view).for_each(|(l, v)| *l = f64::from(*v));
                fill_in(&mut line, &bad);
                bad.iter().for_each(|&n| view[n] = line[n] as f32);
            }
        });
    });
    Ok(bad.iter().filter(|bad| **bad).count())
}

/// [`repair`] for the dark and direct-beam images that belong to repaired counts.
pub fn repair_references(pool: &rayon::ThreadPool, references: &mut References, bad: ArrayView2<bool>) -> Result<()> {
    repair(pool, references.dark.view_mut().insert_axis(Axis(1)), bad)?;
    repair(pool, references.flats.view_mut().permuted_axes([1, 0, 2]), bad)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;
    use std::sync::Arc;

    fn pool() -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap()
    }

    /// A beam of 1000 counts that varies over the detector, dark 100.
    fn references(rows: usize, cols: usize) -> References {
        let gain =
            |z: usize, n: usize| 1000.0 + 20.0 * n as f32 + if n.is_multiple_of(2) { 100.0 } else { 0.0 } + z as f32;
        References {
            dark: Array2::from_elem((rows, cols), 100.0),
            flats: Array3::from_shape_fn((2, rows, cols), |(i, z, n)| 100.0 + gain(z, n) + 10.0 * i as f32),
            flat_time: vec![0.0, 1.0],
            view_time: vec![0.5; 3],
            black_views: Arc::from(vec![false; 3]),
        }
    }

    #[test]
    fn dead_blinded_and_hot_pixels_are_found_and_no_others() {
        let mut references = references(4, 30);
        references.flats.slice_mut(ndarray::s![.., 0, 0]).fill(100.0);
        references.flats.slice_mut(ndarray::s![.., 1, 12..14]).fill(5000.0);
        references.dark[[2, 29]] = 60000.0;
        references.flats.slice_mut(ndarray::s![.., 2, 29]).fill(61400.0);
        references.flats.slice_mut(ndarray::s![.., 3, ..]).fill(100.0);
        let bad = find_bad(&references, 2.0).unwrap();
        let found: Vec<_> = bad.indexed_iter().filter(|(_, bad)| **bad).map(|(at, _)| at).collect();
        assert_eq!(found, [(0, 0), (1, 12), (1, 13), (2, 29)]);
    }

    #[test]
    fn transmission_of_repaired_counts_lies_between_that_of_neighbours() {
        let mut references = references(2, 30);
        let mut counts = Array3::from_shape_fn((2, 3, 30), |(z, m, n)| {
            let beam = references.flats[[0, z, n]] - 100.0;
            100.0 + beam * (0.5 + 0.1 * m as f32)
        });
        let good = (counts.clone(), references.clone());
        references.flats.slice_mut(ndarray::s![.., 1, 9..11]).fill(100.0);
        counts.slice_mut(ndarray::s![1, .., 9..11]).fill(7.0);
        let bad = find_bad(&references, 2.0).unwrap();
        assert_eq!(repair(&pool(), counts.view_mut(), bad.view()).unwrap(), 2);
        repair_references(&pool(), &mut references, bad.view()).unwrap();
        for ((z, m, n), value) in counts.indexed_iter() {
            let transmission =
                (value - references.dark[[z, n]]) / (references.flats[[0, z, n]] - references.dark[[z, n]]);
            assert!((transmission - (0.5 + 0.1 * m as f32)).abs() < 1e-6, "{z} {m} {n}");
            if !bad[[z, n]] {
                assert_eq!((*value, references.flats[[1, z, n]]), (good.0[[z, m, n]], good.1.flats[[1, z, n]]));
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut some = references(2, 8);
        assert!(find_bad(&some, 1.0).is_err() && find_bad(&some, f64::NAN).is_err());
        let bad = Array2::from_elem((2, 7), true);
        assert!(repair(&pool(), Array3::zeros((2, 3, 8)).view_mut(), bad.view()).is_err());
        some.flats[[1, 1, 3]] = f32::NAN;
        assert!(find_bad(&some, 2.0).unwrap_err().to_string().contains("row = 1, column = 3"));
    }
}
