//! Bilateral filter: the mean of the neighbours that are near, in place and in value.
//!
//! Tomasi and Manduchi 1998, doi:10.1109/ICCV.1998.710815.

use super::exp::half_to_the;
use super::jobs::{Tile, tiles};
use crate::error::Result;
use crate::progress::Watch;
use crate::simd::{Kernel, widest};
use ndarray::{ArrayView3, ArrayViewMut3};
use std::f64::consts::LOG2_E;

/// What counts as near.
#[derive(Clone, Copy, Debug)]
pub struct BilateralOptions {
    /// Width and height of the box of neighbours, odd.
    pub size_px: usize,
    /// Slices in it, odd.
    pub depth_px: usize,
    /// Standard deviation of the weights over the distance, px.
    pub sigma_px: f64,
    /// That over the difference of values, in their unit; 0 leaves the volume as it is.
    pub sigma: f64,
}

/// Filters the slices of `volume` `[z, y, x]` from `first` on, as many as `out` has; `volume` holds `depth_px / 2` more at either
/// end, or ends there. A voxel becomes the mean of the box around it with weights exp(-d² / 2 sigma_px² - (difference of
/// values)² / 2 sigma²); neighbours outside of the volume are not counted. Of finite values.
///
/// Fails if `tick` does, which is told the finished part several times a second on the calling thread.
pub fn bilateral(
    pool: &rayon::ThreadPool,
    volume: ArrayView3<f32>,
    first: usize,
    options: &BilateralOptions,
    mut out: ArrayViewMut3<f32>,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<()> {
    let slices = first..first + out.shape()[0];
    if options.sigma <= 0.0 {
        out.assign(&volume.slice(ndarray::s![slices, .., ..]));
        return tick(1.0);
    }
    let volume = volume.as_standard_layout();
    let (_, height, width) = volume.dim();
    let data = volume.as_slice().unwrap_or_default();
    let near = &Near::new(options);
    let work = |tile: Tile<'_>, watch: &Watch| {
        let Tile { z, y, mut out } = tile;
        let (mut sum, mut weights) = (vec![0f32; width], vec![0f32; width]);
        let mut lines = Vec::with_capacity(near.rows.len());
        for (y, mut out) in (y..).zip(out.axis_iter_mut(ndarray::Axis(1))) {
            for (z, out) in (first + z..).zip(out.outer_iter_mut()) {
                lines.clear();
                for row in &near.rows {
                    let (z, y) = (z.wrapping_add_signed(row.dz), y.wrapping_add_signed(row.dy));
                    if z < data.len() / (height * width) && y < height {
                        lines.push((&data[(z * height + y) * width..][..width], row.exponents.as_slice()));
                    }
                }
                let center = &data[(z * height + y) * width..][..width];
                let (sum, weights) = (&mut sum[..], &mut weights[..]);
                widest(Line { lines: &lines, center, scale: near.scale, sum, weights });
                out.into_iter().zip(center).zip(sum.iter().zip(&*weights)).for_each(|((o, c), (s, w))| *o = c + s / w);
            }
            if !watch.step() {
                return;
            }
        }
    };
    tiles(pool, out.view_mut(), [1, 16], work, tick)
}

/// The box of neighbours.
struct Near {
    rows: Vec<Row>,
    /// Of a difference of values, so that its square is an exponent of 1/2.
    scale: f32,
}

/// Neighbours in one line.
struct Row {
    dz: isize,
    dy: isize,
    /// Of 1/2, for the distance.
    exponents: Vec<f32>,
}

impl Near {
    fn new(options: &BilateralOptions) -> Self {
        let (half, deep) = ((options.size_px / 2) as isize, (options.depth_px / 2) as isize);
        let row = |(dz, dy): (isize, isize)| {
            let d2 = |dx: isize| (dz * dz + dy * dy + dx * dx) as f64;
            let exponent = |dx: isize| (LOG2_E * d2(dx) / (2.0 * options.sigma_px * options.sigma_px)) as f32;
            Row { dz, dy, exponents: (-half..=half).map(exponent).collect() }
        };
        let rows = (-deep..=deep).flat_map(|dz| (-half..=half).map(move |dy| (dz, dy))).map(row).collect();
        Near { rows, scale: ((LOG2_E / 2.0).sqrt() / options.sigma) as f32 }
    }
}

/// Sums of one line: for each voxel those of weight times difference to it, and of weights.
struct Line<'a> {
    lines: &'a [(&'a [f32], &'a [f32])],
    center: &'a [f32],
    scale: f32,
    sum: &'a mut [f32],
    weights: &'a mut [f32],
}

impl Kernel for Line<'_> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        self.sum.fill(0.0);
        self.weights.fill(0.0);
        for &(line, exponents) in self.lines {
            let (chunks, rest) = exponents.as_chunks::<4>();
            for (i, exponents) in chunks.iter().enumerate() {
                self.add(line, exponents, 4 * i);
            }
            for (i, exponent) in rest.iter().enumerate() {
                self.add(line, &[*exponent], 4 * chunks.len() + i);
            }
        }
        let half = self.lines.first().map_or(0, |(_, exponents)| exponents.len() / 2);
        let width = self.center.len();
        (0..half.min(width)).chain(half.max(width.saturating_sub(half))..width).for_each(|x| self.edge(x, half));
    }
}

impl Line<'_> {
    /// Neighbours number `at` and up of one line, for the voxels all of whose neighbours lie in it.
    #[inline(always)]
    fn add<const N: usize>(&mut self, line: &[f32], exponents: &[f32; N], at: usize) {
        let all = self.lines[0].1.len();
        if self.center.len() < all {
            return;
        }
        let (half, count, scale) = (all / 2, self.center.len() - all + 1, self.scale);
        let center = &self.center[half..half + count];
        let (sum, weights) = (&mut self.sum[half..half + count], &mut self.weights[half..half + count]);
        let near: [&[f32]; N] = std::array::from_fn(|k| &line[at + k..at + k + count]);
        for x in 0..count {
            let (c, mut s, mut w) = (center[x], sum[x], weights[x]);
            for k in 0..N {
                let difference = near[k][x] - c;
                let scaled = difference * scale;
                let weight = half_to_the(scaled * scaled + exponents[k]);
                s += weight * difference;
                w += weight;
            }
            (sum[x], weights[x]) = (s, w);
        }
    }
    /// A voxel near the end of the line.
    #[inline(always)]
    fn edge(&mut self, x: usize, half: usize) {
        let (c, mut s, mut w) = (self.center[x], 0.0, 0.0);
        let first = x.saturating_sub(half);
        for &(line, exponents) in self.lines {
            for (value, exponent) in line[first..].iter().zip(&exponents[first + half - x..]) {
                let difference = value - c;
                let scaled = difference * self.scale;
                let weight = half_to_the(scaled * scaled + exponent);
                s += weight * difference;
                w += weight;
            }
        }
        (self.sum[x], self.weights[x]) = (s, w);
    }
}
