//! How two volumes that share slices lie to each other: how many they share, and how far they are shifted within the slices.
//!
//! Normalised correlation of details, which are what is left without what all slices of a volume have in common: rings, the edge
//! of the field of view and the wall of a container look alike at any height. Must not know: files.

use crate::simd::{Kernel, widest};
use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis, s};

/// Slices that are compared at a time.
const COMPARED: usize = 32;
/// Overlaps around the one that was found that show what chance gives.
const NEAR: usize = 8;

/// How the lower volume goes on from the upper one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Joint {
    /// Slices that both have: the last of the upper, the first of the lower one.
    pub overlap: usize,
    /// What lies at (line, column) of a slice of the upper volume lies at (line, column) plus this in the lower one, px.
    pub shift: [f64; 2],
    /// Correlation of the details, 1 for the same.
    pub correlation: f64,
    /// 0 (any other overlap is as likely) to 1.
    pub confidence: f64,
}

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Fewest slices that may overlap, at least 1.
    pub least: usize,
    /// Most.
    pub most: usize,
    /// Largest shift along either axis, pixels of the arrays.
    pub shift: usize,
}

/// Details of slices `[z, y, x]`, in place: without `mean`, the mean of all slices, and each without its own mean.
pub fn details(slices: &mut Array3<f32>, mean: ArrayView2<f64>) {
    for mut slice in slices.outer_iter_mut() {
        slice.zip_mut_with(&mean, |v, m| *v = (f64::from(*v) - m) as f32);
        let own = slice.iter().map(|v| f64::from(*v)).sum::<f64>() / slice.len().max(1) as f64;
        slice.mapv_inplace(|v| (f64::from(v) - own) as f32);
    }
}

/// Mean of slices `[z, y, x]`.
pub fn mean(slices: ArrayView3<f32>) -> Array2<f64> {
    let mut sum = Array2::<f64>::zeros((slices.len_of(Axis(1)), slices.len_of(Axis(2))));
    slices.outer_iter().for_each(|slice| sum.zip_mut_with(&slice, |s, v| *s += f64::from(*v)));
    sum / slices.len_of(Axis(0)).max(1) as f64
}

/// Finds the overlap among all that `search` allows. `above` are the details of the last slices of the upper volume and `below`
/// those of the first of the lower one, as many as may overlap, all of one size.
///
/// The confidence is 1 without four times what chance gives over the correlation that was found: the root mean square of the
/// correlations with mirrored slices, which are as rough and have nothing in common; or, if that is more, 1 without twice what the
/// correlation leaves to 1 over what chance leaves, since mirrored slices of a symmetric body are alike. That times the part of the thirds of the
/// slices that find the same overlap by themselves. `None` if nothing correlates, or best at the smallest overlap that is allowed
/// while others are, since a smaller one might be better.
pub fn search(above: ArrayView3<f32>, below: ArrayView3<f32>, search: &Search) -> Option<Joint> {
    let Search { least, .. } = *search;
    let most = search.most.min(above.len_of(Axis(0))).min(below.len_of(Axis(0)));
    let room = above.len_of(Axis(1)).min(above.len_of(Axis(2))).saturating_sub(1) / 2;
    let reach = search.shift.min(room) as isize;
    let shifts: Vec<[isize; 2]> = (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| [dy, dx])).collect();
    let compare = |below: ArrayView3<f32>, overlap: usize, shift| {
        let first = above.len_of(Axis(0)) - overlap;
        correlation(above.slice(s![first.., .., ..]), below.slice(s![..overlap, .., ..]), shift)
    };
    // Of equals the first.
    let better = |a: (f64, [isize; 2]), b: (f64, [isize; 2])| if b.0 > a.0 { b } else { a };
    let found: Vec<(f64, [isize; 2])> = (least..=most)
        .filter_map(|overlap| shifts.iter().map(|shift| (compare(below, overlap, *shift), *shift)).reduce(better))
        .collect();
    let values: Vec<f64> = found.iter().map(|(value, _)| *value).collect();
    let (at, peak) = values.iter().copied().enumerate().reduce(|a, b| if b.1 > a.1 { b } else { a })?;
    if !(peak > 0.0 && peak.is_finite()) || (at == 0 && values.len() > 1) {
        return None;
    }
    let slope = |values: &mut dyn Iterator<Item = f64>| values.take_while(|v| *v > peak / 2.0).count();
    let (left, right) = (slope(&mut values[..at].iter().rev().copied()), slope(&mut values[at + 1..].iter().copied()));
    let (overlap, shift) = (least + at, found[at].1);
    let flipped = below.slice(s![.., .., ..;-1]).as_standard_layout().to_owned();
    let mirrors = [below.slice(s![.., ..;-1, ..]), flipped.view(), flipped.slice(s![.., ..;-1, ..])];
    let near = overlap.saturating_sub(NEAR).max(least)..=(overlap + NEAR).min(most);
    let squares: Vec<f64> = near.flat_map(|n| mirrors.map(|mirror| compare(mirror, n, [0, 0]).powi(2))).collect();
    let chance = (squares.iter().sum::<f64>() / squares.len().max(1) as f64).sqrt();
    // Chance has its peak elsewhere in another part of the slices.
    let width = above.len_of(Axis(2));
    let agrees = |third: &usize| {
        let cols = third * width / 3..(third + 1) * width / 3;
        let (above, below) = (above.slice(s![.., .., cols.clone()]), below.slice(s![.., .., cols]));
        let value = |n: usize| {
            let first = above.len_of(Axis(0)) - n;
            correlation(above.slice(s![first.., .., ..]), below.slice(s![..n, .., ..]), shift)
        };
        let best = (least..=most).map(|n| (value(n), n)).reduce(|a, b| if b.0 > a.0 { b } else { a });
        best.is_some_and(|(_, best)| best + left.max(1) >= overlap && best <= overlap + right.max(1))
    };
    let agreeing = (0..3).filter(agrees).count() as f64 / 3.0;
    // Of a symmetric body mirrored slices have much in common, but what they leave unexplained is more.
    let beyond_chance = (1.0 - 4.0 * chance / peak).max(1.0 - 2.0 * (1.0 - peak) / (1.0 - chance).max(f64::EPSILON));
    let confidence = beyond_chance.max(0.0) * agreeing;
    Some(Joint { overlap, shift: shift.map(|d| d as f64), correlation: peak, confidence })
}

/// Looks closer around a guess: `below` are details of some slices of the lower volume, `above` of more slices of the upper one,
/// of which number `first` shows the first of `below`. Steps of `step` pixels and as many slices, then smaller ones, down to
/// fractions of a pixel from the parabola through the peak. Returns `first`, shift and correlation; nothing moves within slices if
/// not `shifts`.
pub fn refine(
    above: ArrayView3<f32>,
    below: ArrayView3<f32>,
    (first, shift): (usize, [isize; 2]),
    step: usize,
    shifts: bool,
) -> (usize, [f64; 2], f64) {
    let count = below.len_of(Axis(0));
    let last = above.len_of(Axis(0)).saturating_sub(count) as isize;
    let room = (above.len_of(Axis(1)).min(above.len_of(Axis(2))) / 2) as isize;
    let value = |[first, dy, dx]: [isize; 3]| {
        let allowed = (0..=last).contains(&first) && dy.abs() < room && dx.abs() < room;
        let at = first.max(0) as usize;
        if allowed { correlation(above.slice(s![at..at + count, .., ..]), below, [dy, dx]) } else { f64::NEG_INFINITY }
    };
    let mut best = [first as isize, shift[0], shift[1]];
    let mut peak = value(best);
    let mut step = step.max(1) as isize;
    while step > 0 {
        let from = best;
        for z in [-step, 0, step] {
            for y in [-step, 0, step] {
                for x in [-step, 0, step] {
                    let to = [from[0] + z, from[1] + y, from[2] + x];
                    let value = if shifts || (y, x) == (0, 0) { value(to) } else { f64::NEG_INFINITY };
                    if value > peak {
                        (best, peak) = (to, value);
                    }
                }
            }
        }
        // As far as it gets better, then with half the step.
        if best == from {
            step /= 2;
        }
    }
    let fraction = |axis: usize| {
        let at = |d: isize| {
            let mut at = best;
            at[axis] += d;
            value(at)
        };
        let (before, after) = (at(-1), at(1));
        let curvature = before + after - 2.0 * peak;
        let offset = (before - after) / (2.0 * curvature);
        if shifts && curvature < 0.0 && offset.is_finite() { offset.clamp(-0.5, 0.5) } else { 0.0 }
    };
    (best[0].max(0) as usize, [best[1] as f64 + fraction(1), best[2] as f64 + fraction(2)], peak)
}

/// Normalised correlation of slices with those of the same number in the other array, moved by `shift`, over some of them and
/// what both show.
fn correlation(above: ArrayView3<f32>, below: ArrayView3<f32>, [dy, dx]: [isize; 2]) -> f64 {
    let (count, height, width) = above.dim();
    // The part of one axis that both show: where it begins in either, and its length.
    let common =
        |d: isize, size: usize| ((-d).max(0) as usize, d.max(0) as usize, size.saturating_sub(d.unsigned_abs()));
    let ((ya, yb, height), (xa, xb, width)) = (common(dy, height), common(dx, width));
    let picked = count.min(COMPARED);
    let mut sums = [0.0; 3];
    for k in 0..picked {
        // Evenly spread, both ends included.
        let z = if picked > 1 { k * (count - 1) / (picked - 1) } else { 0 };
        for y in 0..height {
            let a = above.slice_move(s![z, ya + y, xa..xa + width]);
            let b = below.slice_move(s![z, yb + y, xb..xb + width]);
            if let (Some(a), Some(b)) = (a.to_slice(), b.to_slice()) {
                let line = widest(Products { a, b });
                sums.iter_mut().zip(line).for_each(|(s, v)| *s += v);
            }
        }
    }
    let [ab, aa, bb] = sums;
    if aa > 0.0 && bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

/// Sums of a b, a a and b b.
struct Products<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl Kernel for Products<'_> {
    type Output = [f64; 3];
    #[inline(always)]
    fn run(self) -> [f64; 3] {
        const LANES: usize = 16;
        let mut sums = [[0.0f32; LANES]; 3];
        let (a, b) = (self.a.as_chunks::<LANES>(), self.b.as_chunks::<LANES>());
        for (a, b) in a.0.iter().zip(b.0) {
            for i in 0..LANES {
                sums[0][i] += a[i] * b[i];
                sums[1][i] += a[i] * a[i];
                sums[2][i] += b[i] * b[i];
            }
        }
        for (i, (a, b)) in a.1.iter().zip(b.1).enumerate() {
            sums[0][i] += a * b;
            sums[1][i] += a * a;
            sums[2][i] += b * b;
        }
        sums.map(|lanes| lanes.iter().map(|v| f64::from(*v)).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reproducible numbers from -1 to 1 of a place.
    fn hash(z: i64, y: i64, x: i64, seed: i64) -> f64 {
        let mut v =
            (z.wrapping_mul(73_856_093) ^ y.wrapping_mul(19_349_663) ^ x.wrapping_mul(83_492_791) ^ seed) as u64;
        for _ in 0..2 {
            v = (v ^ (v >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        (v >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Smooth random structure with details of about four voxels.
    fn structure(z: f64, y: f64, x: f64) -> f64 {
        let (z, y, x) = (z / 4.0, y / 4.0, x / 4.0);
        let smooth = |t: f64| t * t * (3.0 - 2.0 * t);
        let mut sum = 0.0;
        for (k, j, i) in (0..8).map(|n| (n & 1, n >> 1 & 1, n >> 2)) {
            let weight = |at: f64, corner: i64| {
                let t = smooth(at - at.floor());
                if corner == 1 { t } else { 1.0 - t }
            };
            let corner = hash(z.floor() as i64 + k, y.floor() as i64 + j, x.floor() as i64 + i, 1);
            sum += weight(z, k) * weight(y, j) * weight(x, i) * corner;
        }
        sum
    }

    /// Slices `first..first + count` of one body, seen with a shift, noise of its own, and rings that belong to the detector.
    fn volume(first: usize, count: usize, shift: [f64; 2], noise: f64, seed: i64) -> Array3<f32> {
        Array3::from_shape_fn((count, 32, 96), |(z, y, x)| {
            let at = [(first + z) as f64, y as f64 - shift[0], x as f64 - shift[1]];
            let ring = 2.0 * ((x as f64 - 40.0).hypot(y as f64 - 12.0) * 1.7).sin();
            let own = noise * hash(z as i64, y as i64, x as i64, seed);
            (structure(at[0], at[1], at[2]) + ring + own) as f32
        })
    }

    fn detailed(mut slices: Array3<f32>) -> Array3<f32> {
        let mean = mean(slices.view());
        details(&mut slices, mean.view());
        slices
    }

    #[test]
    fn the_overlap_is_found_in_noise_and_rings() {
        // Where noise has fifty times the variance of the structure, it moves the peak by a quarter of a pixel; else the parabola,
        // which is only near the peak that of the correlation, is off by about a tenth.
        let cases = [(17, [0.0, 0.0], 2.0, 0.4), (30, [-1.3, 2.4], 1.0, 0.15), (5, [0.4, -2.0], 0.5, 0.15)];
        for (overlap, shift, noise, tolerance) in cases {
            let upper = detailed(volume(0, 45, [0.0; 2], noise, 7));
            let lower = detailed(volume(45 - overlap, 45, shift, noise, 8));
            let options = Search { least: 3, most: 40, shift: 3 };
            let found = search(upper.view(), lower.view(), &options).unwrap();
            assert!(found.overlap == overlap && found.confidence > 0.5, "{overlap} {shift:?}: {found:?}");
            let count = overlap.min(24);
            let (first, exact, peak) = refine(
                upper.view(),
                lower.slice(s![..count, .., ..]),
                (45 - overlap, found.shift.map(|d| d as isize)),
                2,
                true,
            );
            let off = (exact[0] - shift[0]).abs().max((exact[1] - shift[1]).abs());
            assert!(
                first == 45 - overlap && off < tolerance && peak > 0.05,
                "{overlap} {shift:?}: {first} {exact:?} {peak}"
            );
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_is_shared() {
        let upper = detailed(volume(0, 45, [0.0; 2], 1.0, 7));
        let lower = detailed(volume(500, 45, [0.0; 2], 1.0, 8));
        let found = search(upper.view(), lower.view(), &Search { least: 3, most: 40, shift: 2 });
        assert!(found.is_none_or(|found| found.confidence < 0.3), "{found:?}");
        let flat = Array3::zeros((20, 8, 8));
        assert!(search(flat.view(), flat.view(), &Search { least: 3, most: 20, shift: 2 }).is_none());
    }
}
