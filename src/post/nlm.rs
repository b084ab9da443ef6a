//! Non-local means: the mean of voxels whose surroundings look alike.
//!
//! Buades, Coll and Morel 2005, doi:10.1109/CVPR.2005.38. The squared difference of two voxels is the same seen from either, and
//! belongs to many patches: it is taken once for each of half of all directions and summed along the three axes.

use super::exp::half_to_the;
use super::jobs::{Tile, tiles};
use crate::error::Result;
use crate::progress::Watch;
use crate::simd::{Kernel, widest};
use ndarray::{ArrayView3, ArrayViewMut3};
use std::f64::consts::LOG2_E;
use std::ops::Range;

/// Weight of a voxel in its own mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnWeight {
    /// That of the neighbour most like it, as its authors advise.
    Largest,
    /// 1, what the weight of an equal neighbour is.
    One,
}

/// What is compared, and what is alike.
#[derive(Clone, Copy, Debug)]
pub struct NlmOptions {
    /// Voxels from the middle of a patch to its faces.
    pub patch_px: usize,
    /// Distance up to which voxels are compared, along each axis.
    pub search_px: usize,
    /// Patches and search reach across slices.
    pub across: bool,
    /// Difference of patches at which the weight is 1/e, in the unit of the values; 0 leaves the volume as it is.
    pub h: f64,
    /// Standard deviation of noise that makes no difference, in that unit.
    pub sigma: f64,
    /// See there.
    pub own: OwnWeight,
}

/// Slices, lines and columns of the output that are made together: sums, weights and neighbours stay in the cache.
const TILE: [usize; 3] = [16, 16, 256];

impl NlmOptions {
    /// Radii of patch and search, `[z, y, x]`.
    fn radii(&self) -> [[usize; 3]; 2] {
        [self.patch_px, self.search_px].map(|radius| [if self.across { radius } else { 0 }, radius, radius])
    }
    /// Slices needed before and behind each one.
    pub fn reach(&self) -> usize {
        if self.across { self.patch_px + self.search_px } else { 0 }
    }
    /// Half of the directions to neighbours: those that come after the voxel itself.
    fn directions(&self) -> Vec<[isize; 3]> {
        let [z, y, x] = self.radii()[1].map(|r| -(r as isize)..=r as isize);
        let all = z.flat_map(|z| y.clone().map(move |y| [z, y])).flat_map(|[z, y]| x.clone().map(move |x| [z, y, x]));
        all.filter(|direction| *direction > [0, 0, 0]).collect()
    }
    /// Working memory of one thread for slices of this width, bytes.
    pub fn scratch_bytes(&self, width: usize) -> u64 {
        let [patch, search] = self.radii();
        let [slices, lines, cols] = [TILE[0], TILE[1], TILE[2].min(width)];
        let around = |size: usize, axis: usize| size + 2 * (patch[axis] + search[axis]);
        let copy = around(slices, 0) * around(lines, 1) * around(cols, 2);
        let planes = (2 * patch[0] + 2) * around(lines, 1) * around(cols, 2);
        4 * (copy + planes + 3 * slices * lines * cols) as u64
    }
}

/// Filters the slices of `volume` `[z, y, x]` from `first` on, as many as `out` has; `volume` holds [`NlmOptions::reach`] more at
/// either end, or ends there. A voxel becomes the mean of the voxels in reach with weights exp(-max(d² - 2 sigma², 0) / h²),
/// where d² is the mean squared difference of the two patches. Voxels outside of the volume have no weight; patches that
/// stick out of it see it mirrored at its outermost voxels. Of finite values.
///
/// Fails if `tick` does, which is told the finished part several times a second on the calling thread.
pub fn nlm(
    pool: &rayon::ThreadPool,
    volume: ArrayView3<f32>,
    first: usize,
    options: &NlmOptions,
    mut out: ArrayViewMut3<f32>,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<()> {
    if options.h <= 0.0 {
        let slices = first..first + out.shape()[0];
        out.assign(&volume.slice(ndarray::s![slices, .., ..]));
        return tick(1.0);
    }
    let directions = &options.directions()[..];
    let work = |tile: Tile<'_>, watch: &Watch| {
        let (lines, width) = (tile.out.shape()[1], volume.shape()[2]);
        let parts = width.div_ceil(TILE[2]);
        let Tile { z, y, mut out } = tile;
        let mut steps = 0;
        for part in 0..parts {
            let [slices, lines_here, _] = [out.shape()[0], lines, 0];
            let cols = part * TILE[2]..((part + 1) * TILE[2]).min(width);
            let start = [first + z, y, cols.start];
            let mut means = Means::new(volume, options, start, [slices, lines_here, cols.len()]);
            for (i, direction) in directions.iter().enumerate() {
                widest(Pairs { means: &mut means, direction: *direction });
                // As many steps as lines, evenly over the work.
                while steps * parts * directions.len() < (part * directions.len() + i + 1) * lines {
                    steps += 1;
                    watch.step();
                }
                if !watch.wanted() {
                    return;
                }
            }
            means.write(out.slice_mut(ndarray::s![.., .., cols]));
        }
    };
    tiles(pool, out.view_mut(), [TILE[0], TILE[1]], work, tick)
}

/// Index of an image of `n` that stands for index `i` outside of it.
fn mirror(i: isize, n: usize) -> usize {
    let period = 2 * (n.max(2) - 1);
    let i = i.rem_euclid(period as isize) as usize;
    i.min(period - i).min(n - 1)
}

/// A tile of the output in the making. Places are those of the tile's copy: its first voxel is at `margin`.
struct Means {
    patch: [usize; 3],
    /// From the edge of the copy to the tile, `[z, y, x]`.
    margin: [usize; 3],
    size: [usize; 3],
    /// Places that lie in the volume.
    inside: [Range<usize>; 3],
    /// The tile and what is around it, mirrored beyond the ends of the volume.
    copy: Vec<f32>,
    copy_size: [usize; 3],
    /// Of a difference, so that the sum of squares over a patch is an exponent of 1/2.
    scale: f32,
    /// What noise adds to that exponent.
    free: f32,
    own: OwnWeight,
    /// Of each voxel: weight times difference, weights, the largest.
    sums: Vec<f32>,
    weights: Vec<f32>,
    largest: Vec<f32>,
    /// Squared differences of a line; summed along x, of a slice; summed along y too, of as many slices as a patch has.
    squares: Vec<f32>,
    along_x: Vec<f32>,
    along_y: Vec<f32>,
    line: Vec<f32>,
}

impl Means {
    fn new(volume: ArrayView3<f32>, options: &NlmOptions, start: [usize; 3], size: [usize; 3]) -> Self {
        let [patch, search] = options.radii();
        let axes = [0, 1, 2];
        let margin = axes.map(|axis| patch[axis] + search[axis]);
        let copy_size = axes.map(|axis| size[axis] + 2 * margin[axis]);
        let shape = [0, 1, 2].map(|axis| volume.shape()[axis]);
        let place =
            |axis: usize, i: usize| mirror(start[axis] as isize + i as isize - margin[axis] as isize, shape[axis]);
        let columns: Vec<usize> = (0..copy_size[2]).map(|x| place(2, x)).collect();
        let mut copy = Vec::with_capacity(copy_size.iter().product());
        for z in 0..copy_size[0] {
            for y in 0..copy_size[1] {
                let line = volume.slice(ndarray::s![place(0, z), place(1, y), ..]);
                copy.extend(columns.iter().map(|x| line[*x]));
            }
        }
        let inside = axes.map(|axis| {
            let end = shape[axis] + margin[axis] - start[axis];
            margin[axis].saturating_sub(start[axis])..end.min(copy_size[axis])
        });
        let voxels: usize = patch.iter().map(|p| 2 * p + 1).product();
        let (plane, zeros) = (copy_size[1] * copy_size[2], || vec![0f32; size.iter().product()]);
        Means {
            patch,
            margin,
            size,
            inside,
            copy,
            copy_size,
            scale: ((LOG2_E / voxels as f64).sqrt() / options.h) as f32,
            free: (2.0 * LOG2_E * (options.sigma / options.h).powi(2)) as f32,
            own: options.own,
            sums: zeros(),
            weights: zeros(),
            largest: zeros(),
            squares: vec![0.0; copy_size[2]],
            along_x: vec![0.0; plane],
            along_y: vec![0.0; plane * (2 * patch[0] + 1)],
            line: vec![0.0; copy_size[2]],
        }
    }
    /// The means, once all pairs are in.
    fn write(&self, mut out: ArrayViewMut3<f32>) {
        for ((z, y, x), out) in out.indexed_iter_mut() {
            let i = (z * self.size[1] + y) * self.size[2] + x;
            let own = if self.own == OwnWeight::One { 1.0 } else { self.largest[i] };
            let [cz, cy, cx] = [z + self.margin[0], y + self.margin[1], x + self.margin[2]];
            let value = self.copy[(cz * self.copy_size[1] + cy) * self.copy_size[2] + cx];
            // A voxel without any neighbour has no weight.
            *out = value + self.sums[i] / (self.weights[i] + own).max(f32::MIN_POSITIVE);
        }
    }
    /// The places along one axis from which a voxel of the tile is seen in this direction, or which lie in it and see one.
    fn range(&self, axis: usize, step: isize) -> Range<usize> {
        let (start, end) = (self.margin[axis], self.margin[axis] + self.size[axis]);
        let (back, ahead) = (step.max(0) as usize, (-step).max(0) as usize);
        let low = (start - back).max(self.inside[axis].start + ahead);
        low..(end + ahead).min(self.inside[axis].end - back).max(low)
    }
}

/// All pairs of voxels in one direction, one of them in the tile.
struct Pairs<'a> {
    means: &'a mut Means,
    direction: [isize; 3],
}

impl Kernel for Pairs<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Pairs { means: m, direction } = self;
        let [zs, ys, xs] = [0, 1, 2].map(|axis| m.range(axis, direction[axis]));
        if zs.is_empty() || ys.is_empty() || xs.is_empty() {
            return;
        }
        let [pz, py, px] = m.patch;
        let (lines, stride, count) = (m.copy_size[1], m.copy_size[2], xs.len());
        let shift = (direction[0] * lines as isize + direction[1]) * stride as isize + direction[2];
        let planes = 2 * pz + 1;
        for zz in zs.start - pz..zs.end + pz {
            for yy in ys.start - py..ys.end + py {
                let at = (zz * lines + yy) * stride + xs.start - px;
                let a = &m.copy[at..at + count + 2 * px];
                let b = &m.copy[at.wrapping_add_signed(shift)..][..a.len()];
                let squares = &mut m.squares[..a.len()];
                for i in 0..a.len() {
                    let d = (a[i] - b[i]) * m.scale;
                    squares[i] = d * d;
                }
                let sums = &mut m.along_x[yy * stride..][..count];
                add_up(sums, (0..2 * px + 1).map(|k| &squares[k..k + count]));
            }
            let plane = zz % planes * lines;
            for y in ys.clone() {
                let sums = &mut m.along_y[(plane + y) * stride..][..count];
                add_up(sums, (0..2 * py + 1).map(|k| &m.along_x[(y + k - py) * stride..][..count]));
            }
            if zz < zs.start + pz {
                continue;
            }
            let z = zz - pz;
            for y in ys.clone() {
                let weights = &mut m.line[..count];
                let planes = (z - pz..z + pz + 1).map(|z| z % planes * lines);
                add_up(weights, planes.map(|plane| &m.along_y[(plane + y) * stride..][..count]));
                for w in weights.iter_mut() {
                    *w = half_to_the((*w - m.free).max(0.0));
                }
                pair_up(m, [z, y], xs.clone(), direction, shift);
            }
        }
    }
}

/// Sum of lines, in their order.
#[inline(always)]
fn add_up<'a>(sums: &mut [f32], mut lines: impl ExactSizeIterator<Item = &'a [f32]>) {
    if lines.len() >= 3
        && let (Some(a), Some(b), Some(c)) = (lines.next(), lines.next(), lines.next())
    {
        let (a, b, c) = (&a[..sums.len()], &b[..sums.len()], &c[..sums.len()]);
        for i in 0..sums.len() {
            sums[i] = a[i] + b[i] + c[i];
        }
    } else if let Some(a) = lines.next() {
        sums.copy_from_slice(a);
    }
    while let Some(a) = lines.next() {
        match lines.next() {
            Some(b) => {
                let (a, b) = (&a[..sums.len()], &b[..sums.len()]);
                for i in 0..sums.len() {
                    sums[i] = sums[i] + a[i] + b[i];
                }
            }
            None => sums.iter_mut().zip(a).for_each(|(s, a)| *s += a),
        }
    }
}

/// Adds the pairs of one line, whose weights are in `m.line`: to the near voxels first, then to the far ones.
#[inline(always)]
fn pair_up(m: &mut Means, [z, y]: [usize; 2], xs: Range<usize>, direction: [isize; 3], shift: isize) {
    let at = |z: usize, y: usize, x: usize| (z * m.copy_size[1] + y) * m.copy_size[2] + x;
    for (step, shift) in [([0, 0, 0], shift), (direction, -shift)] {
        // The voxel that gets, and where its partner is in the copy.
        let [z, y] = [z.wrapping_add_signed(step[0]), y.wrapping_add_signed(step[1])];
        let x0 = xs.start.wrapping_add_signed(step[2]);
        let [tz, ty] = [z.wrapping_sub(m.margin[0]), y.wrapping_sub(m.margin[1])];
        let cols = x0.max(m.margin[2])..(x0 + xs.len()).min(m.margin[2] + m.size[2]);
        if tz >= m.size[0] || ty >= m.size[1] || cols.is_empty() {
            continue;
        }
        let n = cols.len();
        let i = (tz * m.size[1] + ty) * m.size[2] + cols.start - m.margin[2];
        let place = at(z, y, cols.start);
        let own = &m.copy[place..place + n];
        let other = &m.copy[place.wrapping_add_signed(shift)..][..n];
        let w = &m.line[cols.start - x0..][..n];
        let (sums, weights, largest) = (&mut m.sums[i..i + n], &mut m.weights[i..i + n], &mut m.largest[i..i + n]);
        for x in 0..n {
            sums[x] += w[x] * (other[x] - own[x]);
            weights[x] += w[x];
            largest[x] = if w[x] > largest[x] { w[x] } else { largest[x] };
        }
    }
}
