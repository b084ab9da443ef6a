//! Spikes: pixels hit by stray radiation in one view. Must not know: files, scans, stages.

use crate::error::{Error, Result};
use crate::simd::{Kernel, widest};
use ndarray::{ArrayViewMut2, ArrayViewMut3};
use rayon::prelude::*;

/// Place named in the errors of this module.
const PLACE: &str = "spikes";
/// Columns of the window.
const COLS: usize = 3;
/// Most views of the window.
const MOST_VIEWS: usize = 15;

/// Which way a spike points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spike {
    /// Above its surroundings: stray radiation in counts.
    #[default]
    High,
    /// Below: the same in absorbance.
    Low,
    /// Either.
    Both,
}

/// Options of [`remove_spikes`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpikeOptions {
    /// Difference from the median beyond which a value is a spike; in the unit of the data, greater than 0.
    pub threshold: f32,
    /// Which way.
    pub spike: Spike,
    /// Views of the window, odd, 3 to 15: spikes may last for less than half of it.
    pub window_views: usize,
}

impl SpikeOptions {
    /// Refuses values outside what is accepted.
    pub fn check(&self) -> Result<()> {
        if !(self.threshold > 0.0 && self.threshold.is_finite()) {
            let accepted = "the threshold must be greater than 0, in the unit of the data";
            return Err(Error::invalid(PLACE, accepted).with("threshold", self.threshold));
        }
        if !(3..=MOST_VIEWS).contains(&self.window_views) || self.window_views.is_multiple_of(2) {
            let accepted = format!("the window must be an odd number of 3 to {MOST_VIEWS} views");
            return Err(Error::invalid(PLACE, accepted).with("window_views", self.window_views));
        }
        Ok(())
    }
}

/// Replaces spikes in `[row, view, col]` by the median of their surroundings, in place; returns how many.
///
/// The surroundings are 3 columns of `window_views` views around the pixel, of the same row; at the ends of the scan and of
/// the row the window is moved inwards. A value is a spike if it differs from the median of the window, itself included, by
/// more than the threshold. All medians are of values before any repair, so the order of work does not matter.
///
/// A hit lights up pixels beside one another in a single view, so the views before and after it are better witnesses than
/// the pixels around it: a spot of any size is found, and no other rows are needed, so there can be no seam. The views must
/// be in the order in which they were taken.
///
/// Fewer than 3 views or columns are left as they are. `detector_row` is the number of a row for messages. `tick` is called
/// on the calling thread with the finished part (0 to 1); its error stops the work.
///
/// Errors: options outside what is accepted, NaN.
pub fn remove_spikes(
    pool: &rayon::ThreadPool,
    mut data: ArrayViewMut3<f32>,
    options: &SpikeOptions,
    detector_row: impl Fn(usize) -> usize,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<u64> {
    options.check()?;
    let mut rows: Vec<_> = data.outer_iter_mut().collect();
    let (all, mut done, mut found) = (rows.len(), 0, 0);
    for group in rows.chunks_mut(pool.current_num_threads()) {
        let results: Vec<_> =
            pool.install(|| group.par_iter_mut().map(|row| despike(row.view_mut(), options)).collect());
        for result in results {
            found += result.map_err(|e: Error| e.with("row", detector_row(done)))?;
            done += 1;
        }
        tick(done as f64 / all as f64)?;
    }
    Ok(found)
}

/// One row `[view, col]`.
fn despike(mut row: ArrayViewMut2<f32>, options: &SpikeOptions) -> Result<u64> {
    let (views, cols) = row.dim();
    for (view, values) in row.outer_iter().enumerate() {
        if let Some(col) = values.iter().position(|v| v.is_nan()) {
            let message = "NaN has no median; repair or replace such pixels first";
            return Err(Error::invalid(PLACE, message).with("view", view).with("column", col));
        }
    }
    // An odd window that fits.
    let window = options.window_views.min(if views % 2 == 1 { views } else { views.saturating_sub(1) });
    if window < 3 || cols < COLS {
        return Ok(0);
    }
    // The views of the window before any repair: view m has place m % window.
    let mut lines = vec![vec![0f32; cols]; window];
    let (mut low, mut high) = (vec![0u8; cols], vec![0u8; cols]);
    let (mut read, mut found) = (0, 0);
    for view in 0..views {
        let first = view.saturating_sub(window / 2).min(views - window);
        while read < first + window {
            lines[read % window].iter_mut().zip(row.row(read)).for_each(|(l, v)| *l = *v);
            read += 1;
        }
        low.fill(0);
        high.fill(0);
        let own = &lines[view % window];
        for line in &lines {
            widest(Count { own, line, threshold: options.threshold, low: &mut low, high: &mut high });
        }
        let half = (window * COLS / 2) as u8;
        for col in 0..cols {
            // The median is farther below than the threshold if more than half of the window is, and so for above.
            let is_high = options.spike != Spike::Low && low[col] > half;
            let is_low = options.spike != Spike::High && high[col] > half;
            if is_high || is_low {
                row[[view, col]] = median(&lines, col.saturating_sub(COLS / 2).min(cols - COLS));
                found += 1;
            }
        }
    }
    Ok(found)
}

/// For each column, of the 3 columns of `line` around it: adds how many are lower than `own` by more than the threshold, and
/// how many are higher.
struct Count<'a> {
    own: &'a [f32],
    line: &'a [f32],
    threshold: f32,
    low: &'a mut [u8],
    high: &'a mut [u8],
}

impl Kernel for Count<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Count { own, line, threshold, low, high } = self;
        let cols = own.len();
        let mut one = |col: usize, values: &[f32]| {
            for value in values {
                low[col] += u8::from(own[col] - value > threshold);
                high[col] += u8::from(value - own[col] > threshold);
            }
        };
        one(0, &line[..COLS]);
        one(cols - 1, &line[cols - COLS..]);
        let (low, high) = (&mut low[1..cols - 1], &mut high[1..cols - 1]);
        let inner = cols - 2;
        let own = &own[1..cols - 1];
        for shift in 0..COLS {
            let line = &line[shift..shift + inner];
            for (((own, value), low), high) in own.iter().zip(line).zip(low.iter_mut()).zip(high.iter_mut()) {
                *low += u8::from(own - value > threshold);
                *high += u8::from(value - own > threshold);
            }
        }
    }
}

fn median(lines: &[Vec<f32>], first: usize) -> f32 {
    let mut window = [0f32; MOST_VIEWS * COLS];
    let window = &mut window[..lines.len() * COLS];
    window.chunks_exact_mut(COLS).zip(lines).for_each(|(w, line)| w.copy_from_slice(&line[first..first + COLS]));
    let middle = window.len() / 2;
    *window.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array3};

    const OPTIONS: SpikeOptions = SpikeOptions { threshold: 5.0, spike: Spike::High, window_views: 3 };

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    fn run(data: &mut Array3<f32>, options: &SpikeOptions) -> Result<u64> {
        remove_spikes(&pool(2), data.view_mut(), options, |row| row + 10, &mut |_| Ok(()))
    }

    /// Slopes and a step, which a median filter would change, without spikes.
    fn clean(rows: usize, views: usize, cols: usize) -> Array3<f32> {
        Array3::from_shape_fn((rows, views, cols), |(z, m, n)| {
            (100 + z + m) as f32 + 0.3 * n as f32 + if n > 20 { 50.0 } else { 0.0 }
        })
    }

    #[test]
    fn spikes_go_and_nothing_else_changes() {
        let before = clean(2, 30, 40);
        let mut data = before.clone();
        // Single pixels, also in corners; a spot of 4 columns; a negative one that is none in counts.
        let hits = [(0, 0, 0), (0, 29, 39), (0, 5, 20), (1, 12, 7), (1, 12, 8), (1, 12, 9), (1, 12, 10), (1, 0, 30)];
        hits.iter().for_each(|&(z, m, n)| data[[z, m, n]] += 40.0);
        data[[1, 20, 5]] -= 40.0;
        let low = data[[1, 20, 5]];
        assert_eq!(run(&mut data, &OPTIONS).unwrap(), hits.len() as u64);
        assert_eq!(data[[1, 20, 5]], low);
        for ((z, m, n), value) in data.indexed_iter().filter(|((z, m, n), _)| (*z, *m, *n) != (1, 20, 5)) {
            if hits.contains(&(z, m, n)) {
                // The median is within a view and a column of the pixel, away from the step.
                let near = (value - before[[z, m, n]]).abs();
                assert!(near < 2.0 || n == 20 && near < 53.0, "{z} {m} {n}: {near}");
            } else {
                assert_eq!(*value, before[[z, m, n]], "{z} {m} {n}");
            }
        }
        assert_eq!(run(&mut data, &SpikeOptions { spike: Spike::Both, ..OPTIONS }).unwrap(), 1);
        assert!((data[[1, 20, 5]] - before[[1, 20, 5]]).abs() < 2.0);
    }

    #[test]
    fn the_rule_is_that_of_the_median_pixel_by_pixel() {
        let mut state = 7u64;
        let mut random = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / 1e6
        };
        for (views, cols, window_views) in [(9, 12, 3), (11, 7, 5), (4, 3, 7), (15, 9, 15), (2, 9, 3), (9, 2, 3)] {
            let before = Array2::from_shape_simple_fn((views, cols), &mut random);
            for spike in [Spike::High, Spike::Low, Spike::Both] {
                let options = SpikeOptions { threshold: 4.0, spike, window_views };
                let mut got = before.clone();
                despike(got.view_mut(), &options).unwrap();
                let window = window_views.min(if views % 2 == 1 { views } else { views - 1 });
                for ((m, n), value) in before.indexed_iter() {
                    let mut expected = *value;
                    if window >= 3 && cols >= 3 {
                        let (m0, n0) =
                            (m.saturating_sub(window / 2).min(views - window), n.saturating_sub(1).min(cols - 3));
                        let mut all: Vec<f32> = (0..window * 3).map(|i| before[[m0 + i / 3, n0 + i % 3]]).collect();
                        all.sort_by(f32::total_cmp);
                        let median = all[all.len() / 2];
                        let high = spike != Spike::Low && value - median > 4.0;
                        let low = spike != Spike::High && median - value > 4.0;
                        expected = if high || low { median } else { *value };
                    }
                    assert_eq!(got[[m, n]], expected, "{views} {cols} {window_views} {spike:?} at {m} {n}");
                }
            }
        }
    }

    #[test]
    fn rows_do_not_depend_on_each_other() {
        let mut data = clean(5, 20, 30);
        data.indexed_iter_mut()
            .filter(|((z, m, n), _)| (z * 7 + m * 5 + n * 3) % 17 == 0)
            .for_each(|(_, v)| *v += 30.0);
        let before = data.clone();
        run(&mut data, &OPTIONS).unwrap();
        for row in 0..5 {
            let mut one = before.slice(ndarray::s![row..row + 1, .., ..]).to_owned();
            run(&mut one, &OPTIONS).unwrap();
            assert_eq!(one.index_axis(ndarray::Axis(0), 0), data.index_axis(ndarray::Axis(0), row));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut data = clean(2, 5, 5);
        for (options, reason) in [
            (SpikeOptions { threshold: 0.0, ..OPTIONS }, "greater than 0"),
            (SpikeOptions { threshold: f32::NAN, ..OPTIONS }, "greater than 0"),
            (SpikeOptions { window_views: 4, ..OPTIONS }, "odd number"),
            (SpikeOptions { window_views: 17, ..OPTIONS }, "odd number"),
        ] {
            assert!(run(&mut data, &options).unwrap_err().to_string().contains(reason));
        }
        data[[1, 2, 3]] = f32::NAN;
        let message = run(&mut data, &OPTIONS).unwrap_err().to_string();
        assert!(message.contains("view = 2, column = 3, row = 11"), "{message}");
    }
}
