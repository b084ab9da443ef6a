//! Medians of many short windows at a time. Must not know sinograms.

/// Widest window for [`of_columns`]; wider ones are faster with [`slide`].
pub(super) const MOST_COLUMNS: usize = 25;
/// Ranks that go through a network side by side, in the SIMD lanes.
const LANES: usize = 64;

/// Median at each rank over an odd number of `columns`, at most [`MOST_COLUMNS`].
pub(super) fn of_columns(columns: &[&[f32]], out: &mut [f32]) {
    let ranks = out.len();
    match columns {
        [a, b, c] => {
            let (a, b, c) = (&a[..ranks], &b[..ranks], &c[..ranks]);
            (0..ranks).for_each(|i| out[i] = of_3(a[i], b[i], c[i]));
        }
        [a, b, c, d, e] => {
            let (a, b, c, d, e) = (&a[..ranks], &b[..ranks], &c[..ranks], &d[..ranks], &e[..ranks]);
            (0..ranks).for_each(|i| out[i] = of_5([a[i], b[i], c[i], d[i], e[i]]));
        }
        _ => {
            let mut window = [[0.0; LANES]; MOST_COLUMNS];
            let window = &mut window[..columns.len()];
            for (first, out) in (0..ranks).step_by(LANES).zip(out.chunks_mut(LANES)) {
                for (lanes, column) in window.iter_mut().zip(columns) {
                    lanes[..out.len()].copy_from_slice(&column[first..first + out.len()]);
                }
                out.copy_from_slice(&of_window(window)[..out.len()]);
            }
        }
    }
}

fn of_3(a: f32, b: f32, c: f32) -> f32 {
    larger(smaller(a, b), smaller(larger(a, b), c))
}

/// Of two pairs, the smallest and the largest of the four cannot be the median.
fn of_5([a, b, c, d, e]: [f32; 5]) -> f32 {
    of_3(larger(smaller(a, b), smaller(c, d)), smaller(larger(a, b), larger(c, d)), e)
}

/// In the form of the processor's instruction; there is no NaN to look after.
fn smaller(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}

fn larger(a: f32, b: f32) -> f32 {
    if b < a { a } else { b }
}

/// Median of each lane: sinks the smallest of what is left to the front until the middle one is in place.
fn of_window(window: &mut [[f32; LANES]]) -> &[f32; LANES] {
    let half = window.len() / 2;
    for i in 0..=half {
        let (front, rest) = window.split_at_mut(i + 1);
        let least = &mut front[i];
        for other in rest {
            for (a, b) in least.iter_mut().zip(other) {
                (*a, *b) = (smaller(*a, *b), larger(*a, *b));
            }
        }
    }
    &window[half]
}

/// Puts `new` into an ascending `window` in the place of `old`, one of its values.
pub(super) fn slide(window: &mut [f32], old: f32, new: f32) {
    let from = window.partition_point(|v| *v < old);
    let to = if new < old {
        let to = window[..from].partition_point(|v| *v < new);
        window.copy_within(to..from, to + 1);
        to
    } else {
        let to = from + window[from + 1..].partition_point(|v| *v < new);
        window.copy_within(from + 1..to + 1, from);
        to
    };
    window[to] = new;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If each set of zeros and ones comes out right, so does each set of numbers (the 0-1 principle).
    #[test]
    fn networks_find_the_median_of_any_window() {
        for k in [3, 5, 7, 9] {
            let columns: Vec<Vec<f32>> =
                (0..k).map(|bit| (0..1 << k).map(|set| (set >> bit & 1) as f32).collect()).collect();
            let columns: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
            let mut medians = vec![9.0; 1 << k];
            of_columns(&columns, &mut medians);
            for (set, median) in medians.iter().enumerate() {
                assert_eq!(*median, f32::from(u8::from(set.count_ones() as usize > k / 2)), "{k} {set:b}");
            }
        }
    }

    #[test]
    fn a_window_stays_in_order_when_it_slides() {
        let values: Vec<f32> = (0u32..400).map(|i| (i.wrapping_mul(2_654_435_761) >> 28) as f32).collect();
        for k in [1, 2, 9, 100] {
            let mut window = values[..k].to_vec();
            window.sort_by(f32::total_cmp);
            for first in 1..values.len() - k {
                slide(&mut window, values[first - 1], values[first + k - 1]);
                let mut expected = values[first..first + k].to_vec();
                expected.sort_by(f32::total_cmp);
                assert_eq!(window, expected);
            }
        }
    }
}
