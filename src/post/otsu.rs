//! Thresholds that separate the values of a histogram into classes (N. Otsu, 1979, doi:10.1109/TSMC.1979.4310076; several of
//! them: P. Liao, T. Chen and P. Chung, J. Inf. Sci. Eng. 17 (2001), 713).

use super::Histogram;
use crate::error::{Error, Result};

/// The `classes - 1` thresholds, in ascending order, between which the values of `histogram` differ least: the sum of their
/// squared distances from the mean of their class is as small as can be. A threshold is the lower edge of the first bin of the
/// class above it that holds anything, so a value belongs to the class above if it is at least that large.
///
/// Exact for the bins of the histogram. Of several best the one with the lowest thresholds. An error if fewer bins hold values
/// than there are classes.
pub fn otsu_thresholds(histogram: &Histogram, classes: usize) -> Result<Vec<f64>> {
    let filled: Vec<(usize, u64)> =
        histogram.counts().iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
    if classes < 2 || filled.len() < classes {
        let message = format!("expected at least {} different values to tell classes apart", classes.max(2));
        return Err(Error::invalid("", message).with("different values", filled.len()));
    }
    let gains = Gains::new(&filled);
    let bins = filled.len();
    // best[j]: of the first j bins in `k` classes; from[k][j]: where the last of them begins.
    let mut best: Vec<f64> = (0..=bins).map(|j| gains.of(0, j)).collect();
    let mut from = Vec::with_capacity(classes);
    for k in 2..=classes {
        let (mut next, mut begin) = (vec![f64::NEG_INFINITY; bins + 1], vec![0; bins + 1]);
        improve(&gains, &best, &mut next, &mut begin, k..bins + 1, k - 1..bins);
        best = next;
        from.push(begin);
    }
    let mut thresholds = vec![0.0; classes - 1];
    let mut end = bins;
    for (threshold, begin) in thresholds.iter_mut().zip(&from).rev() {
        end = begin[end];
        *threshold = histogram.edge(filled[end].0);
    }
    Ok(thresholds)
}

/// Fills `next[j]` and `begin[j]` for the `j` in `ends`, knowing that the last class begins within `begins`. The best begin does
/// not go back when `j` grows, so that each half of the ends needs a part of the begins only.
fn improve(
    gains: &Gains,
    best: &[f64],
    next: &mut [f64],
    begin: &mut [usize],
    ends: std::ops::Range<usize>,
    begins: std::ops::Range<usize>,
) {
    if ends.is_empty() {
        return;
    }
    let j = ends.start + ends.len() / 2;
    for i in begins.start..begins.end.min(j) {
        let value = best[i] + gains.of(i, j);
        if value > next[j] {
            (next[j], begin[j]) = (value, i);
        }
    }
    let i = begin[j];
    improve(gains, best, next, begin, ends.start..j, begins.start..i + 1);
    improve(gains, best, next, begin, j + 1..ends.end, i..begins.end);
}

/// What a class contributes: the square of the sum of its values over their number. The larger the sum over all classes, the
/// less the values differ within them.
struct Gains {
    /// Values in the first i bins, and the sum of their bin numbers from the middle on: exact.
    count: Vec<u64>,
    sum: Vec<i128>,
}

impl Gains {
    fn new(filled: &[(usize, u64)]) -> Self {
        let number: u128 = filled.iter().map(|(_, n)| u128::from(*n)).sum();
        let total: u128 = filled.iter().map(|(i, n)| *i as u128 * u128::from(*n)).sum();
        // Near the mean, so that little is lost in differences of squares.
        let middle = (total / number.max(1)) as i128;
        let (mut count, mut sum) = (vec![0], vec![0]);
        for (k, (i, n)) in filled.iter().enumerate() {
            count.push(count[k] + n);
            sum.push(sum[k] + (*i as i128 - middle) * i128::from(*n));
        }
        Gains { count, sum }
    }
    /// Of the bins `i..j`.
    fn of(&self, i: usize, j: usize) -> f64 {
        let count = self.count[j] - self.count[i];
        let sum = (self.sum[j] - self.sum[i]) as f64;
        if count == 0 { 0.0 } else { sum * sum / count as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::post::BinWidth;
    use ndarray::Array3;

    fn histogram(values: Vec<f32>) -> Histogram {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
        let mut made =
            Histogram::new(BinWidth::Finest(1 << 16), f64::NEG_INFINITY, f64::INFINITY).expect("a histogram");
        let values = Array3::from_shape_vec((1, 1, values.len()), values).expect("a line");
        made.add(&pool, values.view(), &mut |_| Ok(())).expect("counts");
        made
    }

    /// Sum of squared distances from the means of the classes.
    fn spread(values: &[f32], thresholds: &[f64]) -> f64 {
        let class = |v: f32| thresholds.iter().filter(|t| f64::from(v) >= **t).count();
        let of = |k: usize| {
            let inside: Vec<f64> = values.iter().filter(|v| class(**v) == k).map(|v| f64::from(*v)).collect();
            let mean = inside.iter().sum::<f64>() / inside.len().max(1) as f64;
            inside.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
        };
        (0..=thresholds.len()).map(of).sum()
    }

    #[test]
    fn no_other_thresholds_are_better() {
        let mut seed = 5u64;
        let mut random = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize
        };
        for round in 0..20 {
            // Whole numbers: bins of their own, so that nothing but the choice is compared.
            let values: Vec<f32> = (0..40).map(|_| ((random() % 4) * 9 + random() % 7) as f32).collect();
            let made = histogram(values.clone());
            let levels: Vec<f64> = (1..=34).map(f64::from).collect();
            for classes in 2..=4 {
                let found = otsu_thresholds(&made, classes).expect("thresholds");
                assert!(found.is_sorted() && found.len() == classes - 1);
                let mut least = f64::INFINITY;
                for a in 0..levels.len() {
                    for b in a..if classes > 2 { levels.len() } else { a + 1 } {
                        for c in b..if classes > 3 { levels.len() } else { b + 1 } {
                            least = least.min(spread(&values, &[levels[a], levels[b], levels[c]][..classes - 1]));
                        }
                    }
                }
                // Rounding only.
                assert!(spread(&values, &found) <= least * (1.0 + 1e-12) + 1e-9, "{round} {classes}: {found:?}");
            }
        }
    }

    #[test]
    fn a_threshold_is_the_smallest_value_of_the_class_above() {
        let two = histogram([vec![10.0; 70], vec![200.0; 30]].concat());
        assert_eq!(otsu_thresholds(&two, 2).expect("one"), [200.0]);
        let three = histogram([vec![0.25; 5], vec![1.5; 900], vec![-3.0; 40]].concat());
        assert_eq!(otsu_thresholds(&three, 3).expect("two"), [0.25, 1.5]);
        assert_eq!(
            otsu_thresholds(&three, 4).expect_err("too few").to_string(),
            "expected at least 4 different values to tell classes apart (different values = 3)"
        );
    }
}
