//! Sorts a short column of numbers digit by digit, which takes a time that does not depend on their order. Must not know
//! sinograms.

/// Most bits of a digit: three of them make a key, and a table of counts stays in the nearest cache.
const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 1 << DIGIT_BITS;
/// Below this many values comparing is faster than counting.
const FEW: usize = 200;

/// Memory for sorting columns of one length.
pub(super) struct Sorter {
    /// Key in the upper half, place in the lower.
    pairs: Vec<u64>,
    moved: Vec<u64>,
    counts: Vec<[u32; DIGITS]>,
}

impl Sorter {
    pub fn new(len: usize) -> Self {
        let passes = if len < FEW { 0 } else { 3 };
        Sorter { pairs: vec![0; len], moved: vec![0; len], counts: vec![[0; DIGITS]; passes] }
    }

    pub fn bytes(len: usize) -> usize {
        2 * size_of::<u64>() * len + if len < FEW { 0 } else { 3 * size_of::<[u32; DIGITS]>() }
    }

    /// Sorts `values`, in ascending order, and writes to `places` where each stood. Equal values keep their order; the
    /// two zeros are equal, and both become 0. Without NaN only.
    pub fn sort(&mut self, values: &mut [f32], places: &mut [u32]) {
        let (low, high) = values.iter().map(|v| ordered(*v)).fold((u32::MAX, 0), |(l, h), k| (l.min(k), h.max(k)));
        let key = |pair: u64| (pair >> 32) as u32;
        for (place, (pair, value)) in self.pairs.iter_mut().zip(&*values).enumerate() {
            *pair = u64::from(ordered(*value) - low) << 32 | place as u64;
        }
        let mut put = |at: usize, pair: u64| {
            values[at] = unordered(low + key(pair));
            places[at] = pair as u32;
        };
        // Only the bits that differ, in digits of equal width: the fewer, and the better spread.
        let bits = u32::BITS - (high.wrapping_sub(low)).leading_zeros();
        let passes = bits.div_ceil(DIGIT_BITS);
        if self.counts.is_empty() || passes == 0 {
            // No two pairs are equal, so this keeps the order of equal values.
            self.pairs.sort_unstable();
            self.pairs.iter().enumerate().for_each(|(at, pair)| put(at, *pair));
            return;
        }
        let width = bits.div_ceil(passes);
        let digit = |pair: u64, pass: u32| (pair >> (32 + pass * width)) as usize & ((1 << width) - 1) & (DIGITS - 1);
        for (pass, counts) in (0..passes).zip(&mut self.counts) {
            counts[..1 << width].fill(0);
            self.pairs.iter().for_each(|pair| counts[digit(*pair, pass)] += 1);
            let mut before = 0;
            for count in &mut counts[..1 << width] {
                before += std::mem::replace(count, before);
            }
            let mut place = |pair: u64| {
                let next = &mut counts[digit(pair, pass)];
                let at = *next as usize;
                *next += 1;
                at
            };
            if pass + 1 < passes {
                self.pairs.iter().for_each(|pair| self.moved[place(*pair)] = *pair);
                std::mem::swap(&mut self.pairs, &mut self.moved);
            } else {
                self.pairs.iter().for_each(|pair| put(place(*pair), *pair));
            }
        }
    }
}

/// Unsigned integers in the order of the floats; both zeros are one.
fn ordered(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    bits ^ (((bits as i32) >> 31) as u32 | 1 << 31)
}

fn unordered(key: u32) -> f32 {
    f32::from_bits(key ^ (!((key as i32) >> 31) as u32 | 1 << 31))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_the_order_of_floats() {
        let values = [f32::NEG_INFINITY, -3.5, -f32::MIN_POSITIVE, -1e-40, 0.0, 1e-40, 2.0, f32::INFINITY];
        for pair in values.windows(2) {
            assert!(ordered(pair[0]) < ordered(pair[1]));
        }
        assert!(values.iter().all(|v| unordered(ordered(*v)) == *v));
        assert_eq!(ordered(-0.0), ordered(0.0));
    }

    /// Against the stable sort of the standard library, for every number of digits.
    #[test]
    fn order_and_places_are_those_of_a_stable_sort() {
        const EXTREME: [f32; 10] =
            [f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, 1e-45, -1e-45, f32::MAX, f32::MIN, 1.0, -1.0];
        // All equal, a few different, 10 and 20 bits that differ, nearly all bits, extreme values.
        let draws: [fn(u32) -> f32; 6] = [
            |_| -2.5,
            |r| (r % 7) as f32 - 3.0,
            |r| 1.0 + (r % 1000) as f32 * f32::EPSILON,
            |r| 1.0 + (r % (1 << 20)) as f32 * f32::EPSILON,
            |r| (r as f32 - 8e6) * 1e-7,
            |r| EXTREME[r as usize % EXTREME.len()],
        ];
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            state >> 8
        };
        for len in [0, 1, 2, 3, FEW - 1, FEW, FEW + 1, 1800, 70_000] {
            for (kind, draw) in draws.into_iter().enumerate() {
                let values: Vec<f32> = (0..len).map(|_| draw(random())).collect();
                let mut expected: Vec<usize> = (0..len).collect();
                expected.sort_by(|a, b| values[*a].partial_cmp(&values[*b]).unwrap());
                let (mut sorted, mut places) = (values.clone(), vec![0; len]);
                Sorter::new(len).sort(&mut sorted, &mut places);
                assert!(places.iter().zip(&expected).all(|(a, b)| *a as usize == *b), "kind {kind}, {len}");
                let bits = |v: &f32| (v + 0.0).to_bits();
                assert!(
                    sorted.iter().zip(&expected).all(|(a, b)| a.to_bits() == bits(&values[*b])),
                    "kind {kind}, {len}"
                );
            }
        }
    }
}
