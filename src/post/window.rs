//! Filters that make a slice from itself and its neighbours. Beyond the edges of a slice the nearest pixel is repeated.
//!
//! Those that may take long for a slice take one step of a [`Watch`] for each of its lines.

use crate::progress::Watch;
use ndarray::{Array2, ArrayView3, ArrayViewMut2, Axis, s};

/// Median over a box of `size` x `size` pixels, both odd, in all slices of `window` (an odd number; the one in the middle is the
/// slice that is made). Of pixels in which nothing is NaN.
pub fn median(window: ArrayView3<f32>, size: usize, mut out: ArrayViewMut2<f32>, watch: &Watch) {
    let (slices, height, width) = window.dim();
    let half = size / 2;
    let mut values = Vec::with_capacity(slices * size * size);
    let mut lines: Vec<&[f32]> = Vec::with_capacity(slices * size);
    let window = window.as_standard_layout();
    let all = window.as_slice().unwrap_or_default();
    for (y, mut out) in out.outer_iter_mut().enumerate() {
        lines.clear();
        for z in 0..slices {
            for dy in 0..size {
                let y = (y + dy).saturating_sub(half).min(height - 1);
                lines.push(&all[(z * height + y) * width..][..width]);
            }
        }
        for (x, out) in out.iter_mut().enumerate() {
            values.clear();
            for line in &lines {
                match x.checked_sub(half) {
                    Some(first) if first + size <= width => values.extend_from_slice(&line[first..first + size]),
                    _ => values.extend((0..size).map(|dx| line[(x + dx).saturating_sub(half).min(width - 1)])),
                }
            }
            let middle = values.len() / 2;
            *out = *values.select_nth_unstable_by(middle, f32::total_cmp).1;
        }
        if !watch.step() {
            return;
        }
    }
}

/// Weights of a Gaussian, from its middle outwards, of the full sum 1. It ends where what is left out is below 1e-4 of it.
pub fn gaussian_weights(sigma_px: f64) -> Vec<f64> {
    // erfc(4 / √2) = 6e-5.
    let reach = (4.0 * sigma_px).ceil() as usize;
    let weight = |i: usize| if i == 0 { 1.0 } else { (-0.5 * (i as f64 / sigma_px).powi(2)).exp() };
    let half: Vec<f64> = (0..=reach).map(weight).collect();
    let sum = half[0] + 2.0 * half[1..].iter().sum::<f64>();
    half.into_iter().map(|w| w / sum).collect()
}

/// Gaussian smoothing: `across` over the slices of `window` (`2 across.len() - 1` of them), `within` along both axes of a slice;
/// see [`gaussian_weights`]. Sums in f64.
pub fn gaussian(window: ArrayView3<f32>, across: &[f64], within: &[f64], mut out: ArrayViewMut2<f32>, watch: &Watch) {
    let (_, height, width) = window.dim();
    let middle = across.len() - 1;
    let mut plane = Array2::<f64>::zeros((height, width));
    for (z, slice) in window.axis_iter(Axis(0)).enumerate() {
        let weight = across[z.abs_diff(middle)];
        plane.zip_mut_with(&slice, |sum, v| *sum += weight * f64::from(*v));
        if !watch.wanted() {
            return;
        }
    }
    let smooth = |line: &[f64], out: &mut [f64]| {
        let last = line.len() - 1;
        for (i, out) in out.iter_mut().enumerate() {
            let pairs = within.iter().enumerate().skip(1);
            let sum = pairs.map(|(d, w)| w * (line[i.saturating_sub(d)] + line[(i + d).min(last)]));
            *out = within[0] * line[i] + sum.sum::<f64>();
        }
    };
    let mut rows = Array2::<f64>::zeros((height, width));
    for (line, mut out) in plane.outer_iter().zip(rows.outer_iter_mut()) {
        if let (Some(line), Some(out)) = (line.as_slice(), out.as_slice_mut()) {
            smooth(line, out);
        }
        if !watch.step() {
            return;
        }
    }
    let (mut line, mut smoothed) = (vec![0.0; height], vec![0.0; height]);
    for x in 0..width {
        line.iter_mut().zip(rows.slice(s![.., x])).for_each(|(l, v)| *l = *v);
        smooth(&line, &mut smoothed);
        if !watch.wanted() {
            return;
        }
        out.slice_mut(s![.., x]).iter_mut().zip(&smoothed).for_each(|(o, v)| *o = *v as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn a_median_removes_single_pixels_and_keeps_edges() {
        let mut image = Array3::from_shape_fn((1, 6, 7), |(_, _, x)| if x < 3 { 1.0 } else { 2.0f32 });
        let clean = image.index_axis(Axis(0), 0).to_owned();
        image[[0, 2, 5]] = 90.0;
        image[[0, 0, 0]] = -90.0;
        let mut out = Array2::zeros((6, 7));
        median(image.view(), 3, out.view_mut(), &Watch::default());
        assert_eq!(out, clean);
        // In three dimensions a whole line across the slices is needed to be seen.
        let mut stack = Array3::zeros((3, 5, 5));
        stack[[1, 2, 2]] = 1.0f32;
        let mut out = Array2::ones((5, 5));
        median(stack.view(), 1, out.view_mut(), &Watch::default());
        assert!(out.iter().all(|v| *v == 0.0));
    }

    #[test]
    fn a_gaussian_keeps_the_sum_and_has_the_width_asked_for() {
        let (sigma, n) = (1.5, 41);
        let mut stack = Array3::zeros((1, n, n));
        stack[[0, n / 2, n / 2]] = 1.0f32;
        let weights = gaussian_weights(sigma);
        let mut out = Array2::zeros((n, n));
        gaussian(stack.view(), &[1.0], &weights, out.view_mut(), &Watch::default());
        let sum: f64 = out.iter().map(|v| f64::from(*v)).sum();
        // 32-bit pixels.
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        let moment = |axis: usize| -> f64 {
            let offset = |i: usize| i as f64 - (n / 2) as f64;
            out.indexed_iter().map(|((y, x), v)| offset([y, x][axis]).powi(2) * f64::from(*v)).sum()
        };
        // Sampling and the cut at 4 sigma change the variance by less than a thousandth.
        assert!([0, 1].iter().all(|axis| (moment(*axis) / sigma.powi(2) - 1.0).abs() < 1e-3));
        // A constant stays, up to the edges.
        let flat = Array3::from_elem((3, 8, 9), 2.0f32);
        let mut out = Array2::zeros((8, 9));
        gaussian(flat.view(), &[0.5, 0.25], &weights, out.view_mut(), &Watch::default());
        assert!(out.iter().all(|v| (v - 2.0).abs() < 1e-6));
    }
}
