//! How often values occur.

/// Counts in bins of one width from a first value on.
#[derive(Clone, Debug)]
pub struct Bins {
    first: f64,
    width: f64,
    counts: Vec<u64>,
}

impl Bins {
    /// `count` bins, at least 1, of `width` greater than 0.
    pub fn new(first: f64, width: f64, count: usize) -> Self {
        Bins { first, width, counts: vec![0; count.max(1)] }
    }
    /// Counts values; bin i holds [first + i width, first + (i + 1) width). Those beyond the ends go to the outermost bins.
    pub fn add(&mut self, values: impl IntoIterator<Item = f32>) {
        let last = self.counts.len() - 1;
        for v in values {
            let bin = ((f64::from(v) - self.first) / self.width).max(0.0) as usize;
            self.counts[bin.min(last)] += 1;
        }
    }
    /// Adds the counts of bins of the same first value, width and number.
    pub fn merge(&mut self, other: &Bins) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
    }
    /// Upper end and count of each bin.
    pub fn upper_ends(&self) -> impl Iterator<Item = (f64, u64)> {
        self.counts.iter().enumerate().map(|(i, n)| (self.first + (i + 1) as f64 * self.width, *n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_belongs_to_the_bin_that_begins_with_it() {
        let mut bins = Bins::new(-1.0, 0.5, 3);
        bins.add([-1.0, -0.75, -0.5, 0.4999, 0.5, -9.0]);
        let mut other = Bins::new(-1.0, 0.5, 3);
        other.add([0.0]);
        bins.merge(&other);
        assert_eq!(bins.upper_ends().collect::<Vec<_>>(), [(-0.5, 3), (0.0, 1), (0.5, 3)]);
    }
}
