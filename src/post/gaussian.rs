//! Gaussian smoothing of slices, within and across them.

use super::edges::Edges;
use crate::progress::Watch;
use crate::simd::{Kernel, widest};
use ndarray::{ArrayView3, ArrayViewMut2};

/// Values that are summed side by side.
const LANES: usize = 16;

/// Weights of a Gaussian, from its middle outwards, of the full sum 1. It ends at `truncate` standard deviations, rounded up:
/// with 4, what is left out is below 1e-4 of it.
pub fn gaussian_weights(sigma_px: f64, truncate: f64) -> Vec<f64> {
    // erfc(4 / √2) = 6e-5.
    let reach = (truncate * sigma_px).ceil() as usize;
    let weight = |i: usize| if i == 0 { 1.0 } else { (-0.5 * (i as f64 / sigma_px).powi(2)).exp() };
    let half: Vec<f64> = (0..=reach).map(weight).collect();
    let sum = half[0] + 2.0 * half[1..].iter().sum::<f64>();
    half.into_iter().map(|w| w / sum).collect()
}

/// Working memory of [`gaussian`], bytes.
pub fn gaussian_scratch(width: usize, within: usize) -> u64 {
    8 * ((2 * within) * (width + LANES) + width + LANES + 2 * within) as u64
}

/// Gaussian smoothing: `across` over the slices of `window` (`2 across.len() - 1` of them), `within` along both axes of a
/// slice; see [`gaussian_weights`]. Beyond the volume is what `edges` say: [`super::edges::Boundary::Nothing`] is 0, with the
/// weights as they are, so that the borders get darker. Sums in f64. Takes a step of `watch` for each line, and returns early
/// when it is told to.
pub fn gaussian(
    window: ArrayView3<f32>,
    across: &[f64],
    within: &[f64],
    edges: &Edges,
    mut out: ArrayViewMut2<f32>,
    watch: &Watch,
) {
    let (_, height, width) = window.dim();
    let window = window.as_standard_layout();
    let all = window.as_slice().unwrap_or_default();
    let (middle, reach) = (across.len() - 1, within.len() - 1);
    let slices: Vec<(usize, f64)> = (0..=2 * middle)
        .filter_map(|k| edges.across(k, middle).map(|slice| (slice, across[k.abs_diff(middle)])))
        .collect();
    let wide = width.next_multiple_of(LANES);
    // What stands for the places left and right of a line.
    let beside = |x: isize| edges.boundary.source(x, width);
    let left: Vec<Option<usize>> = (0..reach).map(|k| beside(k as isize - reach as isize)).collect();
    let right: Vec<Option<usize>> = (0..reach).map(|k| beside((width + k) as isize)).collect();
    let mut line = vec![0.0f64; wide + 2 * reach];
    // Lines smoothed along x, of which those around the line in work are kept.
    let kept = (2 * reach + 1).min(height);
    let mut smooth = vec![0.0f64; kept * wide];
    let mut done = 0;
    let nothing = vec![0.0f64; wide];
    for y in 0..height {
        while done < height && done <= y + reach {
            let (own, beyond) = line[reach..].split_at_mut(width);
            let lines: Vec<(f64, &[f32])> =
                slices.iter().map(|(slice, w)| (*w, &all[(slice * height + done) * width..][..width])).collect();
            widest(Across { lines: &lines, out: own });
            let value = |at: &Option<usize>| at.map_or(0.0, |at| own[at]);
            beyond.iter_mut().zip(&right).for_each(|(v, at)| *v = value(at));
            let before: Vec<f64> = left.iter().map(value).collect();
            line[..reach].copy_from_slice(&before);
            let out = &mut smooth[done % kept * wide..][..wide];
            let lines: Vec<Pair> = (0..=reach).map(|d| (&line[reach - d..], &line[reach + d..])).collect();
            widest(Smooth { weights: within, lines: &lines, out });
            done += 1;
        }
        let row = |y: isize| match edges.boundary.source(y, height) {
            Some(y) => &smooth[y % kept * wide..][..wide],
            None => &nothing,
        };
        let lines: Vec<Pair> = (0..=reach).map(|d| (row(y as isize - d as isize), row((y + d) as isize))).collect();
        let lines = &lines[..];
        let mut row = out.row_mut(y);
        match row.as_slice_mut() {
            Some(out) => widest(Smooth { weights: within, lines, out }),
            None => {
                let mut values = vec![0f32; width];
                widest(Smooth { weights: within, lines, out: &mut values[..] });
                row.iter_mut().zip(values).for_each(|(o, v)| *o = v);
            }
        }
        if !watch.step() {
            return;
        }
    }
}

/// `out = Σ weight * line` over the slices.
struct Across<'a> {
    lines: &'a [(f64, &'a [f32])],
    out: &'a mut [f64],
}

impl Kernel for Across<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (k, out) in self.out.chunks_mut(LANES).enumerate() {
            let mut sum = [0f64; LANES];
            for (weight, line) in self.lines {
                let line = &line[k * LANES..];
                match line.first_chunk::<LANES>() {
                    Some(line) => (0..LANES).for_each(|i| sum[i] += weight * f64::from(line[i])),
                    None => sum.iter_mut().zip(line).for_each(|(sum, v)| *sum += weight * f64::from(*v)),
                }
            }
            out.copy_from_slice(&sum[..out.len()]);
        }
    }
}

/// Lines before and after the one in work.
type Pair<'a> = (&'a [f64], &'a [f64]);

/// `out = weights[0] line + Σ weights[d] (before + after)`, where `lines[d]` are before and after, both as long as `out`
/// rounded up to whole [`LANES`].
struct Smooth<'a, T> {
    weights: &'a [f64],
    lines: &'a [Pair<'a>],
    out: &'a mut [T],
}

/// What is written.
trait Number: Copy {
    fn of(v: f64) -> Self;
}

impl Number for f32 {
    fn of(v: f64) -> Self {
        v as f32
    }
}

impl Number for f64 {
    fn of(v: f64) -> Self {
        v
    }
}

impl<T: Number> Kernel for Smooth<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Some((middle, _)) = self.lines.first() else { return };
        for (k, out) in self.out.chunks_mut(LANES).enumerate() {
            // -0 is the number that changes no sum.
            let mut sum = [-0.0f64; LANES];
            for (weight, (before, after)) in self.weights.iter().zip(self.lines).skip(1) {
                let (before, after) = (&before[k * LANES..][..LANES], &after[k * LANES..][..LANES]);
                for i in 0..LANES {
                    sum[i] += weight * (before[i] + after[i]);
                }
            }
            let middle = &middle[k * LANES..][..LANES];
            for i in 0..LANES {
                sum[i] += self.weights[0] * middle[i];
            }
            out.iter_mut().zip(sum).for_each(|(out, v)| *out = T::of(v));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::edges::Boundary;
    use super::*;
    use ndarray::{Array2, Array3};

    #[test]
    fn a_gaussian_keeps_the_sum_and_has_the_width_asked_for() {
        let (sigma, n) = (1.5, 41);
        let mut stack = Array3::zeros((1, n, n));
        stack[[0, n / 2, n / 2]] = 1.0f32;
        let weights = gaussian_weights(sigma, 4.0);
        let edges = Edges::inside(Boundary::Nearest, 0);
        let mut out = Array2::zeros((n, n));
        gaussian(stack.view(), &[1.0], &weights, &edges, out.view_mut(), &Watch::default());
        let sum: f64 = out.iter().map(|v| f64::from(*v)).sum();
        // 32-bit pixels.
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        let moment = |axis: usize| -> f64 {
            let offset = |i: usize| i as f64 - (n / 2) as f64;
            out.indexed_iter().map(|((y, x), v)| offset([y, x][axis]).powi(2) * f64::from(*v)).sum()
        };
        // Sampling and the cut at 4 sigma change the variance by less than a thousandth.
        assert!([0, 1].iter().all(|axis| (moment(*axis) / sigma.powi(2) - 1.0).abs() < 1e-3));
        // A constant stays, up to the edges, unless there is nothing beyond them.
        let flat = Array3::from_elem((3, 8, 9), 2.0f32);
        for boundary in [Boundary::Nearest, Boundary::Reflect, Boundary::Mirror] {
            let mut out = Array2::zeros((8, 9));
            let edges = Edges { boundary, slice: 0, slices: 1 };
            gaussian(flat.view(), &[0.5, 0.25], &weights, &edges, out.view_mut(), &Watch::default());
            assert!(out.iter().all(|v| (v - 2.0).abs() < 1e-6));
        }
    }

    /// Any boundary, against the sum that the definition is, in f64.
    #[test]
    fn slices_come_out_as_the_definition_says() {
        let (slices, height, width) = (4, 7, 21);
        let volume =
            Array3::from_shape_fn((slices, height, width), |(z, y, x)| ((z * 31 + y * 17 + x * 7) % 23) as f32);
        let (across, within) = (gaussian_weights(0.7, 3.0), gaussian_weights(1.2, 3.0));
        let (deep, reach) = (across.len() as isize - 1, within.len() as isize - 1);
        for boundary in [Boundary::Nearest, Boundary::Reflect, Boundary::Mirror, Boundary::Nothing] {
            let at = |z: isize, y: isize, x: isize| -> f64 {
                let place = (boundary.source(z, slices), boundary.source(y, height), boundary.source(x, width));
                let (Some(z), Some(y), Some(x)) = place else { return 0.0 };
                f64::from(volume[[z, y, x]])
            };
            for slice in 0..slices {
                // Rows beyond the ends repeat the last one; whoever looks at them sees it.
                let window = Array3::from_shape_fn((2 * deep as usize + 1, height, width), |(k, y, x)| {
                    let z = (slice + k).saturating_sub(deep as usize).min(slices - 1);
                    volume[[z, y, x]]
                });
                let mut out = Array2::zeros((height, width));
                let edges = Edges { boundary, slice, slices };
                gaussian(window.view(), &across, &within, &edges, out.view_mut(), &Watch::default());
                for ((y, x), v) in out.indexed_iter() {
                    let mut sum = 0.0;
                    for dz in -deep..=deep {
                        for dy in -reach..=reach {
                            for dx in -reach..=reach {
                                let w = |w: &[f64], d: isize| w[d.unsigned_abs()];
                                let weight = w(&across, dz) * w(&within, dy) * w(&within, dx);
                                sum += weight * at(slice as isize + dz, y as isize + dy, x as isize + dx);
                            }
                        }
                    }
                    // One rounding to 32 bits of a number up to 22.
                    assert!((f64::from(*v) - sum).abs() < 2e-6, "{boundary:?} {slice} {y} {x}: {v} {sum}");
                }
            }
        }
    }
}
