//! How large numbers are, counted by size, for the spread of noise.
//!
//! Nothing but counts is added up, so the result is the same in whatever order the numbers come.

/// Median of the absolute value of a standard normal variable.
pub(super) const MEDIAN_OF_NORMAL: f64 = 0.674_489_750_196_081_7;

/// Counts of absolute values in bins as wide as `SHIFT` bits of an f32's mantissa: 2^(23 - SHIFT) bins from each power of two to
/// the next.
#[derive(Clone, Debug)]
pub(super) struct Magnitudes<const SHIFT: u32>(Vec<u64>);

impl<const SHIFT: u32> Magnitudes<SHIFT> {
    /// Bins of numbers that are neither negative nor infinite.
    pub const BINS: usize = (f32::INFINITY.to_bits() >> SHIFT) as usize;

    /// Nothing counted yet.
    pub fn new() -> Self {
        Magnitudes(vec![0; Self::BINS])
    }
    /// Counts a number; infinity goes to the last bin.
    pub fn add(&mut self, value: f32) {
        let bin = (value.abs().to_bits() >> SHIFT) as usize;
        self.0[bin.min(Self::BINS - 1)] += 1;
    }
    /// Median of what was counted, as if evenly spread within each bin; that of whole numbers by ± 1/2 if they are `whole`. 0 of
    /// nothing.
    pub fn median(&self, whole: bool) -> f64 {
        let half = self.0.iter().sum::<u64>() as f64 / 2.0;
        let edge = |bin: usize| f64::from(f32::from_bits((bin as u32) << SHIFT));
        let mut below = 0.0;
        for (bin, &n) in self.0.iter().enumerate().filter(|(_, n)| **n > 0) {
            let (mut low, mut high) = (edge(bin), edge(bin + 1));
            if whole {
                (low, high) = ((low - 0.5).max(0.0), high.max(low + 1.0) - 0.5);
            }
            if below + n as f64 >= half {
                return low + (high - low) * (half - below) / n as f64;
            }
            below += n as f64;
        }
        0.0
    }
}
