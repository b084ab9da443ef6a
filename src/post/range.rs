//! Smallest and largest value of an image.

/// Values that are compared side by side, as many as the widest vector registers hold.
const LANES: usize = 16;

/// Smallest and largest value; `None` if one is NaN or infinite. Nothing has the range from infinity to -infinity.
///
/// One pass in a form that compilers turn into vector instructions.
pub fn finite_range(values: &[f32]) -> Option<(f32, f32)> {
    let (mut low, mut high, mut zero) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES], [0f32; LANES]);
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut look = |i: usize, v: f32| {
        low[i] = if v < low[i] { v } else { low[i] };
        high[i] = if v > high[i] { v } else { high[i] };
        // 0 times a finite number is 0, everything else becomes NaN and stays so.
        zero[i] += 0.0 * v;
    };
    for chunk in chunks {
        for (i, v) in chunk.iter().enumerate() {
            look(i, *v);
        }
    }
    rest.iter().for_each(|v| look(0, *v));
    let least = low.iter().fold(f32::INFINITY, |a, b| a.min(*b));
    let most = high.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
    zero.iter().all(|z| *z == 0.0).then_some((least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_counts() {
        for len in [1, 15, 16, 17, 50] {
            let values: Vec<f32> = (0..len).map(|i| ((i * 37) % 11) as f32 - 5.0).collect();
            let sorted = |f: fn(f32, f32) -> f32| values.iter().copied().fold(values[0], f);
            assert_eq!(finite_range(&values), Some((sorted(f32::min), sorted(f32::max))));
            for i in 0..len {
                let with = |v: f32| {
                    let mut changed = values.clone();
                    changed[i] = v;
                    finite_range(&changed)
                };
                assert_eq!(with(-100.0).map(|r| r.0), Some(-100.0));
                assert_eq!(with(100.0).map(|r| r.1), Some(100.0));
                assert_eq!([f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(with), [None; 3]);
            }
        }
        assert_eq!(finite_range(&[]), Some((f32::INFINITY, f32::NEG_INFINITY)));
    }
}
