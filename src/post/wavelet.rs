//! Wavelet shrinkage: noise is small in all coefficients of the Haar transform, structure is large in few.

use super::haar::{Box3, Forward, KINDS};
use super::magnitudes::{MEDIAN_OF_NORMAL, Magnitudes};
use crate::error::Result;
use crate::progress::{Watch, watched};
use crate::simd::widest;
use ndarray::{ArrayView2, ArrayView3, ArrayViewMut3, Axis, s};
use rayon::prelude::*;

/// Most levels that make sense: the coarsest coefficients belong to boxes of 32³ voxels.
pub const MOST_LEVELS: usize = 5;
/// Bins are 0.2 % wide.
type Sizes = Magnitudes<14>;

/// Sums over the coefficients of a kind at a level.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    squares: [f64; KINDS],
    count: u64,
}

impl Sums {
    fn add(&mut self, other: &Sums) {
        self.squares.iter_mut().zip(other.squares).for_each(|(a, b)| *a += b);
        self.count += other.count;
    }
}

/// What the coefficients of a volume are like, found from its slices one after the other. Sums are those of pairs of lines, in
/// order, so nothing depends on how the slices come.
///
/// Cells of 2³ values that are all exactly 0 do not count: they lie outside the reconstructed circle.
#[derive(Clone, Debug)]
pub struct Coefficients {
    levels: usize,
    /// Slice of each level that waits for the next one.
    waiting: Vec<Option<Vec<f32>>>,
    /// Height and width at each level.
    sizes: Vec<[usize; 2]>,
    sums: Vec<Sums>,
    /// |differences along all three axes| of the finest level by size.
    finest: Sizes,
}

impl Coefficients {
    /// Of a volume with slices of `size`.
    pub fn new(levels: usize, size: [usize; 2]) -> Self {
        let halved = |size: &[usize; 2]| Some(size.map(|n| n.div_ceil(2)));
        Coefficients {
            levels,
            waiting: vec![None; levels],
            sizes: std::iter::successors(Some(size), halved).take(levels + 1).collect(),
            sums: vec![Sums::default(); levels],
            finest: Sizes::new(),
        }
    }
    /// Memory, bytes.
    pub fn bytes([height, width]: [usize; 2]) -> u64 {
        // Slices that wait, 4/3 of one, and the coefficients of a pair.
        4 * (4 * (height + 1) * (width + 2) + 2 * Sizes::BINS) as u64
    }
    /// The next slice. Works on the threads of the pool that it is called in.
    pub fn add(&mut self, slice: ArrayView2<f32>) {
        self.push(0, slice.iter().copied().collect());
    }
    fn push(&mut self, level: usize, slice: Vec<f32>) {
        if level == self.levels {
            return;
        }
        match self.waiting[level].take() {
            None => self.waiting[level] = Some(slice),
            Some(first) => self.pair(level, &first, &slice),
        }
    }
    fn pair(&mut self, level: usize, first: &[f32], second: &[f32]) {
        let ([height, width], [rows, cols]) = (self.sizes[level], self.sizes[level + 1]);
        let mut means = vec![0f32; rows * cols];
        let each = |(row, mean): (usize, &mut [f32])| -> (Sums, Vec<f32>) {
            let (mut kinds, mut room) = (vec![0f32; (KINDS - 1) * cols], vec![0f32; 8 * cols]);
            let line = |dy: usize| (2 * row + dy).min(height - 1) * width;
            let lines = [first, second].map(|slice| [0, 1].map(|dy| &slice[line(dy)..][..width]));
            let mut others = kinds.chunks_mut(cols);
            let [k1, k2, k3, k4, k5, k6, k7] = [(); KINDS - 1].map(|()| others.next().unwrap_or_default());
            widest(Forward { lines, out: [mean, k1, k2, k3, k4, k5, k6, k7], room: &mut room });
            let mut sums = Sums::default();
            for (sum, kind) in sums.squares[1..].iter_mut().zip(kinds.chunks(cols)) {
                *sum = kind.iter().map(|v| f64::from(*v).powi(2)).sum();
            }
            let is_empty = |x: &usize| mean[*x] == 0.0 && (0..KINDS - 1).all(|kind| kinds[kind * cols + x] == 0.0);
            sums.count = (0..cols).filter(|x| !is_empty(x)).count() as u64;
            kinds.drain(..(KINDS - 2) * cols);
            (sums, kinds)
        };
        let found: Vec<(Sums, Vec<f32>)> = means.par_chunks_mut(cols).enumerate().map(each).collect();
        for (sums, finest) in &found {
            self.sums[level].add(sums);
            if level == 0 {
                finest.iter().filter(|v| **v != 0.0).for_each(|v| self.finest.add(*v));
            }
        }
        self.push(level + 1, means);
    }
    /// No more slices.
    pub fn finish(&mut self) {
        for level in 0..self.levels {
            if let Some(last) = self.waiting[level].take() {
                self.pair(level, &last, &last);
            }
        }
    }
    /// Standard deviation of the noise of a voxel: the median of the finest coefficients along all three axes that are not 0,
    /// over 0.6745 (Donoho and Johnstone, doi:10.1093/biomet/81.3.425). Structure is large in few of them, and hardly moves it.
    pub fn sigma(&self) -> f64 {
        gain(0) * self.finest.median(false) / MEDIAN_OF_NORMAL
    }
    /// BayesShrink (Chang, Yu and Vetterli, doi:10.1109/83.862633): `scale` σ² / √(variance - σ²) for each level and kind, with the
    /// variance of its coefficients; where they are no more than noise all are taken away.
    pub fn thresholds(&self, sigma: f64, scale: f64) -> Vec<[f32; KINDS]> {
        let of = |(level, sums): (usize, &Sums)| {
            let threshold = |squares: f64| {
                let variance = gain(level).powi(2) * squares / sums.count.max(1) as f64;
                let signal = variance - sigma * sigma;
                let threshold = scale * sigma * sigma / signal.sqrt() / gain(level);
                if sigma == 0.0 || scale == 0.0 {
                    0.0
                } else if signal > 0.0 {
                    threshold.min(f64::from(f32::MAX)) as f32
                } else {
                    f32::MAX
                }
            };
            sums.squares.map(threshold)
        };
        self.sums.iter().enumerate().map(of).collect()
    }
}

/// How much larger the orthonormal coefficients are than those of [`super::haar`].
fn gain(level: usize) -> f64 {
    8f64.powi(level as i32 + 1).sqrt()
}

/// Voxels whose coefficients are shrunk together, along each axis.
pub fn box_size(levels: usize) -> usize {
    1 << levels
}

/// Working memory of [`shrink`] for one thread, bytes.
pub fn shrink_scratch(levels: usize, shifts: usize, width: usize) -> u64 {
    Box3::bytes(levels, [box_size(levels), box_size(levels), width + shifts])
}

/// The slices of a volume that are there, and those that are made.
pub struct Slices<'a> {
    /// Slices around those that are made: with boxes of n slices, the n - 1 before and after as far as there are any.
    pub input: ArrayView3<'a, f32>,
    /// Number of the first one in the volume.
    pub first: usize,
    /// Slices of the volume.
    pub slices: usize,
    /// What is made.
    pub out: ArrayViewMut3<'a, f32>,
    /// Number of the first slice that is made.
    pub out_first: usize,
}

/// Takes the thresholds, one for each level and kind of coefficient, off the coefficients of the orthonormal Haar transform.
/// Boxes begin at multiples of their size; with several `shifts` the result is the mean over volumes moved along the diagonal by
/// 0 to `shifts` - 1 voxels (cycle spinning, Coifman and Donoho 1995, doi:10.1007/978-1-4612-2544-7_9), which shows no boxes. Beyond
/// the far ends of the volume, the last voxel of a level goes on.
pub fn shrink(
    pool: &rayon::ThreadPool,
    mut slices: Slices<'_>,
    thresholds: &[[f32; KINDS]],
    shifts: usize,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<()> {
    let n = box_size(thresholds.len());
    let (made, height, width) = slices.out.dim();
    let shifts = shifts.max(1);
    for shift in 0..shifts {
        // Bands of lines that belong to the same boxes.
        let mut bands = Vec::new();
        let (mut rest, mut y) = (slices.out.view_mut(), 0);
        while y < height {
            let end = ((y + shift) / n + 1) * n - shift;
            let (band, others) = rest.split_at(Axis(1), end.min(height) - y);
            bands.push((y, band));
            (rest, y) = (others, end);
        }
        let (input, first, all, out_first) = (&slices.input, slices.first, slices.slices, slices.out_first);
        let work = |(y, mut out): (usize, ArrayViewMut3<f32>), watch: &Watch| {
            let mut work = Box3::new(thresholds.len(), [n, n, width + shift]);
            let top = (y + shift) / n * n;
            let lines = (height + shift - top).min(n);
            let mut z = out_first;
            while z < out_first + made {
                let front = (z + shift) / n * n;
                let depth = (all + shift - front).min(n);
                let size = [depth, lines, width + shift];
                for (i, line) in work.voxels(size).chunks_exact_mut(width + shift).enumerate() {
                    let z = (front + i / lines).saturating_sub(shift) - first;
                    let y = (top + i % lines).saturating_sub(shift);
                    let from = input.slice(s![z, y, ..]);
                    line[shift..].iter_mut().zip(from).for_each(|(v, from)| *v = *from);
                    line[..shift].fill(from[0]);
                }
                work.shrink(thresholds);
                let end = (front + n - shift).min(out_first + made);
                let voxels = work.voxels(size);
                for z in z..end {
                    for (dy, mut out) in out.index_axis_mut(Axis(0), z - out_first).outer_iter_mut().enumerate() {
                        let line = ((z + shift - front) * lines + y + dy + shift - top) * (width + shift) + shift;
                        let part = 1.0 / shifts as f32;
                        let values = out.iter_mut().zip(&voxels[line..line + width]);
                        if shift == 0 {
                            values.for_each(|(out, v)| *out = part * v);
                        } else {
                            values.for_each(|(out, v)| *out += part * v);
                        }
                    }
                }
                z = end;
                if !watch.wanted() {
                    return;
                }
            }
            (0..out.dim().1).for_each(|_| {
                watch.step();
            });
        };
        let so_far = |part: f64| (shift as f64 + part) / shifts as f64;
        watched(pool, bands, height, work, &mut |part| tick(so_far(part)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    fn noisy(shape: (usize, usize, usize)) -> Array3<f32> {
        Array3::from_shape_fn(shape, |(z, y, x)| {
            let noise = ((z * 2_654_435 + y * 40_503 + x * 9_176_471).wrapping_mul(2_246_822_519) >> 9) % 1000;
            noise as f32 * 1e-3 + if x + y > 20 { 4.0 } else { 0.0 }
        })
    }

    fn all(volume: &Array3<f32>, thresholds: &[[f32; KINDS]], shifts: usize, rows: usize) -> Array3<f32> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let (slices, reach) = (volume.dim().0, box_size(thresholds.len()) - 1);
        let mut out = Array3::from_elem(volume.dim(), 99.0);
        for (i, out) in out.axis_chunks_iter_mut(Axis(0), rows).enumerate() {
            let first = (i * rows).saturating_sub(reach);
            let input = volume.slice(s![first..(i * rows + out.dim().0 + reach).min(slices), .., ..]);
            shrink(&pool, Slices { input, first, slices, out, out_first: i * rows }, thresholds, shifts, &mut |_| {
                Ok(())
            })
            .unwrap();
        }
        out
    }

    #[test]
    fn without_thresholds_any_volume_comes_back() {
        for shape in [(1, 1, 1), (1, 5, 7), (8, 8, 8), (13, 10, 35)] {
            let volume = noisy(shape);
            for (levels, shifts) in [(1, 1), (3, 1), (5, 3)] {
                let found = all(&volume, &vec![[0.0; KINDS]; levels], shifts, 4);
                let worst = found.iter().zip(&volume).fold(0.0, |worst, (a, b)| f32::max(worst, (a - b).abs()));
                // Some roundings of values up to 5.
                assert!(worst < 5e-6, "{shape:?} {levels} {shifts}: {worst}");
            }
        }
        // A constant to the bit, whatever the thresholds, and a mean of four of them too.
        let flat = Array3::from_elem((5, 6, 7), 0.3f32);
        assert!(all(&flat, &[[1e3; KINDS]; 3], 4, 5) == flat);
    }

    #[test]
    fn large_thresholds_leave_the_means_of_boxes() {
        let volume = noisy((8, 8, 8));
        let found = all(&volume, &[[f32::MAX; KINDS]; 3], 1, 8);
        let mean = volume.iter().map(|v| f64::from(*v)).sum::<f64>() / 512.0;
        assert!(found.iter().all(|v| (f64::from(*v) - mean).abs() < 1e-6));
    }

    #[test]
    fn sums_and_noise_do_not_depend_on_where_zeros_are_added() {
        let of = |volume: &Array3<f32>| {
            let mut found = Coefficients::new(2, [volume.dim().1, volume.dim().2]);
            volume.outer_iter().for_each(|slice| found.add(slice));
            found.finish();
            found
        };
        // Noise of a known strength: uniform between 0 and 1.
        let mut state = 1u64;
        let volume = Array3::from_shape_simple_fn((32, 32, 32), || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        });
        let found = of(&volume);
        // Of 4096 values the median is within some percent.
        assert!((found.sigma() * 12f64.sqrt() - 1.0).abs() < 0.06, "{}", found.sigma());
        let mut wider = Array3::zeros((32, 40, 48));
        wider.slice_mut(s![.., 4..36, 8..40]).assign(&volume);
        let beside = of(&wider);
        assert_eq!(found.sigma(), beside.sigma());
        // Sums of the same numbers in another order.
        let (a, b) = (found.thresholds(0.2, 1.0), beside.thresholds(0.2, 1.0));
        for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
            assert!(a == b || (a / b - 1.0).abs() < 1e-5, "{a} {b}");
        }
        assert!(found.thresholds(0.0, 1.0).iter().flatten().all(|t| *t == 0.0));
    }
}
