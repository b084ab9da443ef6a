//! Noise and range of a volume as ct-rec's filters estimate them from a few lines of a few slices.

use ndarray::{ArrayView2, s};

/// Looks at every twentieth of the lines in the middle half of some slices, and there at the middle half of the columns. Noise
/// that neighbouring pixels share, as in every reconstruction, is found too small; see [`super::NoiseEstimator`] for better.
#[derive(Clone, Debug)]
pub struct RoughEstimate {
    squares: f64,
    pairs: u64,
    range: (f32, f32),
}

impl Default for RoughEstimate {
    fn default() -> Self {
        RoughEstimate { squares: 0.0, pairs: 0, range: (f32::INFINITY, f32::NEG_INFINITY) }
    }
}

impl RoughEstimate {
    /// Numbers of the slices to look at: a twentieth of all, but 1 to 10, evenly spaced.
    pub fn slices(of: usize) -> impl Iterator<Item = usize> {
        let count = (of / 20).clamp(1, 10);
        (0..count.min(of)).map(move |i| i * of / count)
    }
    /// Adds a slice.
    pub fn add(&mut self, slice: ArrayView2<f32>) {
        let (height, width) = slice.dim();
        let (first, end) = (width / 4, (3 * width / 4).max(width / 4 + 1).min(width));
        for y in (height / 4..(3 * height / 4).max(height / 4 + 1).min(height)).step_by((height / 20).max(1)) {
            let line = slice.slice(s![y, first..end]);
            for (a, b) in line.iter().zip(line.iter().skip(1)) {
                self.squares += f64::from(b - a).powi(2);
                self.pairs += 1;
            }
            self.range = line.iter().fold(self.range, |(low, high), v| (low.min(*v), high.max(*v)));
        }
    }
    /// Noise: sqrt(mean d² / 2) of neighbours along x. 0 if no two pixels were looked at.
    pub fn sigma(&self) -> f64 {
        (self.squares / (2.0 * self.pairs.max(1) as f64)).sqrt()
    }
    /// Largest less smallest value.
    pub fn span(&self) -> f64 {
        (f64::from(self.range.1) - f64::from(self.range.0)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn independent_noise_is_found() {
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        let image = Array2::from_shape_fn((200, 400), |_| uniform());
        let mut estimate = RoughEstimate::default();
        estimate.add(image.view());
        // 1 / sqrt(12); 2000 differences tell it to 3 %.
        assert!((estimate.sigma() - 0.2887).abs() < 0.03, "{}", estimate.sigma());
        assert!((0.98..1.0).contains(&estimate.span()));
        assert_eq!(RoughEstimate::slices(100).collect::<Vec<_>>(), [0, 20, 40, 60, 80]);
        assert_eq!(RoughEstimate::slices(1).collect::<Vec<_>>(), [0]);
        let mut one = RoughEstimate::default();
        one.add(Array2::from_elem((1, 1), 3.0).view());
        assert_eq!((one.sigma(), one.span()), (0.0, 0.0));
    }
}
