//! Which of a list of numbers stand out: Vo, Atwood, Drakopoulos 2018, algorithm 4, doi:10.1364/OE.26.028396. Must not
//! know sinograms.

use super::check::mirrored;

/// Part of the sorted numbers at either end that the line is not fitted to.
const DROPPED: f64 = 0.25;

/// True for numbers that stand out from a straight line through the middle half of the sorted ones, by `snr` times the
/// line's own rise or more, and, as in algorithm 5 and 6, for the neighbours of these on either side.
pub(super) fn mask(values: &[f64], snr: f64) -> Vec<bool> {
    let len = values.len();
    let mut descending = values.to_vec();
    descending.sort_unstable_by(|a, b| b.total_cmp(a));
    let dropped = (DROPPED * len as f64) as usize;
    let fitted = dropped + 1..len.saturating_sub(dropped);
    if fitted.len() < 2 {
        return vec![false; len];
    }
    let count = fitted.len() as f64;
    let mean_x = fitted.clone().sum::<usize>() as f64 / count;
    let mean_y = descending[fitted.clone()].iter().sum::<f64>() / count;
    let (mut xy, mut xx) = (0.0, 0.0);
    for x in fitted {
        let dx = x as f64 - mean_x;
        (xy, xx) = (xy + dx * (descending[x] - mean_y), xx + dx * dx);
    }
    let highest = mean_y - xy / xx * mean_x;
    let lowest = highest + xy / xx * (len - 1) as f64;
    // The least is that of the published program, for numbers around 1.
    let noise = (lowest - highest).abs().max(1e-6);
    let (above, below) = (highest + noise * snr * 0.5, lowest - noise * snr * 0.5);
    let is_any_above = (descending[0] - highest).abs() / noise >= snr;
    let is_any_below = (descending[len - 1] - lowest).abs() / noise >= snr;
    let is_out = |v: f64| is_any_above && v > above || is_any_below && v <= below;
    (0..len).map(|i| values[i.saturating_sub(1)..(i + 2).min(len)].iter().any(|v| is_out(*v))).collect()
}

/// Median over a window of odd width around each number; the list is mirrored at its ends, which are repeated.
pub(super) fn running_median(values: &[f64], kernel: usize) -> Vec<f64> {
    let half = (kernel / 2) as isize;
    let mut window = vec![0.0; kernel];
    let mut median = |i: usize| {
        for (w, at) in window.iter_mut().zip(i as isize - half..) {
            *w = values[mirrored(at, values.len())];
        }
        *window.select_nth_unstable_by(kernel / 2, f64::total_cmp).1
    };
    (0..values.len()).map(&mut median).collect()
}

/// `a / b`; 1 where that is not a positive number, so that nothing is scaled by it.
pub(super) fn ratio(a: f64, b: f64) -> f64 {
    let ratio = a / b;
    if ratio.is_finite() && ratio > 0.0 { ratio } else { 1.0 }
}
