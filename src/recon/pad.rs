//! Samples wider than the detector: how to notice it, and how to extend the cut views before filtering.
//!
//! A view that stops at a high value looks to the ramp filter like a cliff, and the image gets a bright rim. A smooth
//! extension takes the cliff away (Ohnesorge et al. 2000, doi:10.1118/1.598855). Must not know images or engines.

use ndarray::ArrayView2;
use std::ops::{AddAssign, Mul};

/// Sums of absolute values over one or more sinograms. They are additive, so that the question "truncated?" can be
/// answered per slice or for a volume, in bounded memory. Add in the order of rows for a reproducible result.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EdgeSums {
    /// Sum over the first and the last column.
    pub edge_sum: f64,
    /// Number of values in `edge_sum`.
    pub edge_count: u64,
    /// Sum over all columns.
    pub sum: f64,
    /// Number of values in `sum`.
    pub count: u64,
}

impl AddAssign for EdgeSums {
    fn add_assign(&mut self, other: Self) {
        self.edge_sum += other.edge_sum;
        self.edge_count += other.edge_count;
        self.sum += other.sum;
        self.count += other.count;
    }
}

impl EdgeSums {
    /// Mean absolute value of the edge columns; 0 without data.
    pub fn edge_mean(&self) -> f64 {
        if self.edge_count == 0 { 0.0 } else { self.edge_sum / self.edge_count as f64 }
    }
    /// Mean absolute value of all columns; 0 without data.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }
    /// See [`is_truncated`].
    pub fn is_truncated(&self, threshold: f64) -> bool {
        is_truncated(self.edge_mean(), self.mean(), threshold)
    }
}

/// Sums of |p| over one sinogram `[view, col]` after ring removal.
pub fn edge_and_mean(sino: ArrayView2<f32>) -> EdgeSums {
    let mut sums = EdgeSums::default();
    for row in sino.rows() {
        let (Some(first), Some(last)) = (row.first(), row.last()) else { continue };
        sums += EdgeSums {
            edge_sum: f64::from(first.abs()) + f64::from(last.abs()),
            edge_count: 2,
            sum: row.iter().map(|p| f64::from(p.abs())).sum(),
            count: row.len() as u64,
        };
    }
    sums
}

/// True if the views seem to be cut off: the mean of |p| at the edges exceeds `threshold` times the mean of all.
///
/// 0.3 is a useful threshold; 0 or less switches the test off.
pub fn is_truncated(edge_mean: f64, mean: f64, threshold: f64) -> bool {
    threshold > 0.0 && mean > 0.0 && edge_mean > threshold * mean
}

/// Falls from 1 (not included) to 0 in `width` steps of half a cosine.
pub fn taper(width: usize) -> Vec<f64> {
    (1..=width).map(|n| 0.5 * (1.0 + (std::f64::consts::PI * n as f64 / width as f64).cos())).collect()
}

/// Continues the `cols` values at the start of a periodic row beyond both ends by its edge values times `taper`.
///
/// What lies before the first value stands at the end of the row. `periodic` must have room for
/// `cols + 2 * taper.len()` values.
pub fn extend_row<T: Copy + Mul<f64, Output = T>>(periodic: &mut [T], cols: usize, taper: &[f64]) {
    let len = periodic.len();
    if cols == 0 || taper.is_empty() {
        return;
    }
    let (first, last) = (periodic[0], periodic[cols - 1]);
    for (n, weight) in taper.iter().enumerate() {
        periodic[cols + n] = last * *weight;
        periodic[len - 1 - n] = first * *weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn extension_starts_near_the_edge_value_and_ends_at_zero() {
        let mut row = [2.0, 5.0, 6.0, 4.0, 9.0, 9.0, 9.0, 9.0];
        extend_row(&mut row, 4, &taper(2));
        let expected = [2.0, 5.0, 6.0, 4.0, 2.0, 0.0, 0.0, 1.0];
        assert!(row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{row:?}");
    }

    #[test]
    fn sums_add_up_and_decide() {
        let (a, b) = (array![[1.0f32, 2.0, -3.0]], array![[0.0f32, 4.0, 0.5]]);
        let mut sums = edge_and_mean(a.view());
        assert_eq!(sums, EdgeSums { edge_sum: 4.0, edge_count: 2, sum: 6.0, count: 3 });
        assert!(sums.is_truncated(0.3));
        sums += edge_and_mean(b.view());
        assert_eq!((sums.edge_mean(), sums.mean()), (1.125, 1.75));
        assert!(sums.is_truncated(0.6) && !sums.is_truncated(0.65));
    }

    #[test]
    fn threshold_zero_and_empty_sinograms_never_pad() {
        assert!(!is_truncated(1.0, 0.1, 0.0));
        assert!(!is_truncated(1.0, 0.1, -1.0));
        assert!(!is_truncated(0.0, 0.0, 0.3));
        assert!(!is_truncated(0.3, 1.0, 0.3));
        assert!(!EdgeSums::default().is_truncated(0.3));
    }
}
