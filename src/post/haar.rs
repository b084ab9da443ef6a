//! The Haar wavelet transform of boxes of voxels, one level at a time.
//!
//! Pairs of voxels along each axis become their mean and half their difference, so that all factors are powers of 2 and a
//! constant comes back to the bit. Of the orthonormal transform a level's coefficients are √8 times as large as those of the
//! level before. A line of odd length goes on with its last voxel again.

use crate::simd::{Kernel, widest};

/// Kinds of coefficients: mean (0) or difference along z (4), y (2) and x (1).
pub const KINDS: usize = 8;

/// One level: four lines of voxels, two in each of two slices, become a line of each kind.
pub struct Forward<'a> {
    /// `[z][y]`; the same line again where there is no second one.
    pub lines: [[&'a [f32]; 2]; 2],
    pub out: [&'a mut [f32]; KINDS],
    /// Room for 4 lines of even length.
    pub room: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Forward { lines: [[a, b], [c, d]], out, room } = self;
        let n = a.len();
        let even = n.next_multiple_of(2);
        let (b, c, d) = (&b[..n], &c[..n], &d[..n]);
        let (ss, rest) = room.split_at_mut(even);
        let (sd, rest) = rest.split_at_mut(even);
        let (ds, rest) = rest.split_at_mut(even);
        let dd = &mut rest[..even];
        for x in 0..n {
            let (s1, d1, s2, d2) = (a[x] + b[x], a[x] - b[x], c[x] + d[x], c[x] - d[x]);
            (ss[x], sd[x], ds[x], dd[x]) = (s1 + s2, d1 + d2, s1 - s2, d1 - d2);
        }
        if even > n {
            (ss[n], sd[n], ds[n], dd[n]) = (ss[n - 1], sd[n - 1], ds[n - 1], dd[n - 1]);
        }
        let [o0, o1, o2, o3, o4, o5, o6, o7] = out;
        split(ss, o0, o1);
        split(sd, o2, o3);
        split(ds, o4, o5);
        split(dd, o6, o7);
    }
}

#[inline(always)]
fn split(line: &[f32], mean: &mut [f32], difference: &mut [f32]) {
    let n = line.len() / 2;
    let (pairs, _) = line.as_chunks::<2>();
    let (pairs, mean, difference) = (&pairs[..n], &mut mean[..n], &mut difference[..n]);
    for x in 0..n {
        let [a, b] = pairs[x];
        mean[x] = 0.125 * (a + b);
        difference[x] = 0.125 * (a - b);
    }
}

/// The way back.
pub struct Back<'a> {
    pub kinds: [&'a [f32]; KINDS],
    /// `[z][y]`; none where there is no such line.
    pub lines: [[Option<&'a mut [f32]>; 2]; 2],
    /// Room for 4 lines of even length.
    pub room: &'a mut [f32],
}

impl Kernel for Back<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Back { kinds: [k0, k1, k2, k3, k4, k5, k6, k7], lines: [[a, b], [c, d]], room } = self;
        let even = 2 * k0.len();
        let (ss, rest) = room.split_at_mut(even);
        let (sd, rest) = rest.split_at_mut(even);
        let (ds, rest) = rest.split_at_mut(even);
        let dd = &mut rest[..even];
        join(k0, k1, ss);
        join(k2, k3, sd);
        join(k4, k5, ds);
        join(k6, k7, dd);
        let all = [&*ss, &*sd, &*ds, &*dd];
        write(all, a, |ss, sd, ds, dd| (ss + ds) + (sd + dd));
        write(all, b, |ss, sd, ds, dd| (ss + ds) - (sd + dd));
        write(all, c, |ss, sd, ds, dd| (ss - ds) + (sd - dd));
        write(all, d, |ss, sd, ds, dd| (ss - ds) - (sd - dd));
    }
}

#[inline(always)]
fn join(mean: &[f32], difference: &[f32], line: &mut [f32]) {
    let n = mean.len();
    let (pairs, _) = line.as_chunks_mut::<2>();
    let (pairs, difference) = (&mut pairs[..n], &difference[..n]);
    for x in 0..n {
        pairs[x] = [mean[x] + difference[x], mean[x] - difference[x]];
    }
}

#[inline(always)]
fn write([ss, sd, ds, dd]: [&[f32]; 4], out: Option<&mut [f32]>, of: impl Fn(f32, f32, f32, f32) -> f32) {
    let Some(out) = out else { return };
    let n = out.len();
    let (ss, sd, ds, dd) = (&ss[..n], &sd[..n], &ds[..n], &dd[..n]);
    for x in 0..n {
        out[x] = of(ss[x], sd[x], ds[x], dd[x]);
    }
}

/// Moves each value towards 0 by `threshold`, those nearer to it to 0.
pub fn soft(values: &mut [f32], threshold: f32) {
    widest(Soft { values, threshold });
}

struct Soft<'a> {
    values: &'a mut [f32],
    threshold: f32,
}

impl Kernel for Soft<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let t = self.threshold;
        for v in self.values {
            let low = if *v < -t { -t } else { *v };
            *v -= if low > t { t } else { low };
        }
    }
}

/// A box of voxels in work, at all levels.
pub struct Box3 {
    levels: usize,
    /// Sizes from level 0, the voxels, on.
    sizes: Vec<[usize; 3]>,
    /// Voxels, and the means of each level.
    means: Vec<Vec<f32>>,
    /// Coefficients of each level, kind by kind.
    kinds: Vec<Vec<f32>>,
    room: Vec<f32>,
}

impl Box3 {
    /// With room for boxes up to `largest`.
    pub fn new(levels: usize, largest: [usize; 3]) -> Self {
        let sizes = sizes(levels, largest);
        let count = |size: &[usize; 3]| size.iter().product::<usize>();
        let means = sizes.iter().map(|size| vec![0.0; count(size)]).collect();
        let kinds = sizes[1..].iter().map(|size| vec![0.0; (KINDS - 1) * count(size)]).collect();
        Box3 { levels, sizes, means, kinds, room: vec![0.0; 4 * (largest[2] + 1)] }
    }
    /// Memory, bytes.
    pub fn bytes(levels: usize, largest: [usize; 3]) -> u64 {
        let sizes = sizes(levels, largest);
        let cells: usize = sizes[1..].iter().map(|size| size.iter().product::<usize>()).sum();
        4 * (largest.iter().product::<usize>() + KINDS * cells + 4 * (largest[2] + 1)) as u64
    }
    /// The voxels of a box of `size`, to be filled before [`Box3::shrink`] and read after it.
    pub fn voxels(&mut self, size: [usize; 3]) -> &mut [f32] {
        self.sizes = sizes(self.levels, size);
        &mut self.means[0][..size.iter().product()]
    }
    /// Transforms, takes the thresholds `[level][kind]` off the coefficients, transforms back.
    pub fn shrink(&mut self, thresholds: &[[f32; KINDS]]) {
        for level in 0..self.levels {
            let (size, cells) = (self.sizes[level], self.sizes[level + 1]);
            let (fine, coarse) = self.means.split_at_mut(level + 1);
            let (fine, coarse, kinds) = (&fine[level], &mut coarse[0], &mut self.kinds[level]);
            let count: usize = cells.iter().product();
            let line = |z: usize, y: usize| {
                let (z, y) = (z.min(size[0] - 1), y.min(size[1] - 1));
                &fine[(z * size[1] + y) * size[2]..][..size[2]]
            };
            for (z, y) in (0..cells[0]).flat_map(|z| (0..cells[1]).map(move |y| (z, y))) {
                let at = (z * cells[1] + y) * cells[2];
                let mut others = kinds.chunks_mut(count).map(|kind| &mut kind[at..at + cells[2]]);
                let mean = &mut coarse[at..at + cells[2]];
                let out = [(); KINDS - 1].map(|()| others.next().unwrap_or_default());
                let [k1, k2, k3, k4, k5, k6, k7] = out;
                let lines = [0, 1].map(|dz| [0, 1].map(|dy| line(2 * z + dz, 2 * y + dy)));
                widest(Forward { lines, out: [mean, k1, k2, k3, k4, k5, k6, k7], room: &mut self.room });
            }
            for (kind, values) in kinds.chunks_mut(count).take(KINDS - 1).enumerate() {
                soft(values, thresholds[level][kind + 1]);
            }
        }
        for level in (0..self.levels).rev() {
            let (size, cells) = (self.sizes[level], self.sizes[level + 1]);
            let (fine, coarse) = self.means.split_at_mut(level + 1);
            let (fine, coarse, kinds) = (&mut fine[level], &coarse[0], &self.kinds[level]);
            let count: usize = cells.iter().product();
            for z in 0..cells[0] {
                let slices = &mut fine[2 * z * size[1] * size[2]..];
                let (first, second) = slices.split_at_mut(size[1] * size[2]);
                let second = if 2 * z + 1 < size[0] { &mut second[..size[1] * size[2]] } else { &mut [] };
                let (mut first, mut second) = (first.chunks_mut(size[2]), second.chunks_mut(size[2]));
                for y in 0..cells[1] {
                    let at = (z * cells[1] + y) * cells[2];
                    let kind = |kind: usize| match kind {
                        0 => &coarse[at..at + cells[2]],
                        kind => &kinds[(kind - 1) * count + at..][..cells[2]],
                    };
                    let kinds = [0, 1, 2, 3, 4, 5, 6, 7].map(kind);
                    let lines = [[first.next(), first.next()], [second.next(), second.next()]];
                    widest(Back { kinds, lines, room: &mut self.room });
                }
            }
        }
    }
}

fn sizes(levels: usize, size: [usize; 3]) -> Vec<[usize; 3]> {
    std::iter::successors(Some(size), |size| Some(size.map(|n| n.div_ceil(2)))).take(levels + 1).collect()
}
