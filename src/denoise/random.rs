//! Random numbers that are the same on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195).
pub(super) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }
    /// A generator of its own for each pair of numbers: what is drawn for one thing does not depend on what was drawn before.
    pub fn of(seed: u64, a: u64, b: u64) -> Self {
        let mut seeds = Random(seed);
        let mut random = Random(seeds.next() ^ a.wrapping_mul(0xd134_2543_de82_ef95));
        random = Random(random.next() ^ b.wrapping_mul(0xaf25_1af3_b0f0_25b5));
        random.next();
        random
    }
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// 0 to 1, 1 not included.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    /// 0 to `end`, `end` not included.
    pub fn below(&mut self, end: usize) -> usize {
        // The bias is below `end` / 2^64.
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fill_their_range_evenly() {
        let mut random = Random::of(7, 1, 2);
        let mut counts = [0usize; 10];
        let mut sum = 0.0;
        for _ in 0..100_000 {
            counts[random.below(10)] += 1;
            sum += random.unit();
        }
        // Five standard deviations of a count of 10000 and of the mean of 100000 numbers.
        assert!(counts.iter().all(|&n| (9500..10500).contains(&n)), "{counts:?}");
        assert!((sum / 1e5 - 0.5).abs() < 5.0 * (1.0f64 / 12.0 / 1e5).sqrt());
    }

    #[test]
    fn generators_of_other_numbers_differ() {
        let first = |seed, a, b| Random::of(seed, a, b).next();
        let all = [first(1, 0, 0), first(1, 0, 1), first(1, 1, 0), first(2, 0, 0), first(1, 2, 0), first(1, 0, 2)];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b));
        }
    }
}
