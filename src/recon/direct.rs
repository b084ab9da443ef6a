//! Back-projection in f32 on all threads. Slices lie side by side in the SIMD lanes, so that where a ray hits the
//! detector is computed once for all of them.
//!
//! A panel of views is filtered for up to 16 slices, then spread over the image tile by tile; a pixel adds up 32 views
//! in a register, then joins the panel, then the image. That order, and the arithmetic of a lane, are the same whatever
//! the number of lanes, threads or slices: results are bit-identical. Must not know files or stages.

use super::filter::Scratch;
use super::{Fbp, View, inside, offset};
use crate::error::Result;
use ndarray::{ArrayView3, ArrayViewMut3, Axis, s};
use rayon::prelude::*;
use std::ops::Range;

/// Views filtered and spread at a time; even, since views are filtered in pairs.
const PANEL_VIEWS: usize = 128;
/// Views that a pixel sums in a register.
const REGISTER_VIEWS: usize = 32;
/// Image rows and columns of a tile: what a thread works on at a time.
const TILE_ROWS: usize = 32;
const TILE_COLS: usize = 64;
/// Zero columns on either side of a filtered view: pixels are taken a few at a time, also across the circle's edge.
const GUARD: usize = 8;
/// Most slices side by side: one cache line of f32.
const MAX_LANES: usize = 16;
/// Lanes of one slice group begin at a cache line: this many f32.
const ALIGN: usize = MAX_LANES;
/// Updates (pixels × views × slices) per thread between two ticks.
const TICK_UPDATES: usize = 200_000_000;

/// Lanes for `slices` slices; surplus lanes hold zeros.
fn lanes_for(slices: usize) -> usize {
    match slices {
        0 | 1 => 1,
        2..=4 => 4,
        5..=8 => 8,
        _ => MAX_LANES,
    }
}

pub(super) fn scratch_bytes(fbp: &Fbp, rows: usize, threads: usize) -> u64 {
    let lanes = lanes_for(rows);
    let panel = size_of::<f32>() * (fbp.panel_views() * fbp.line_len() * lanes + ALIGN);
    let tiles = size_of::<Tile>() * (fbp.tiles_per_tick(threads, lanes) + fbp.cols.div_ceil(TILE_COLS));
    let sums = size_of::<f32>() * TILE_ROWS * TILE_COLS * lanes;
    (panel + tiles) as u64 + threads as u64 * fbp.filter.scratch_bytes().max(sums as u64)
}

impl Fbp {
    fn panel_views(&self) -> usize {
        PANEL_VIEWS.min(self.views.len())
    }
    /// Length of a filtered view in the panel.
    fn line_len(&self) -> usize {
        self.cols + 2 * GUARD
    }
    fn tiles_per_tick(&self, threads: usize, lanes: usize) -> usize {
        let all = self.cols.div_ceil(TILE_ROWS) * self.cols.div_ceil(TILE_COLS);
        let updates = TILE_ROWS * TILE_COLS * self.panel_views() * lanes;
        (threads * (TICK_UPDATES / updates).max(1)).min(all)
    }
}

/// Slices that share an axis share a pass; a tilted axis puts every slice in a pass of its own.
pub(super) fn reconstruct(
    fbp: &Fbp,
    pool: &rayon::ThreadPool,
    sinograms: ArrayView3<f32>,
    center_px: &[f64],
    mut out: ArrayViewMut3<f32>,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<()> {
    let mut first_row = 0;
    for group in center_px.chunk_by(|a, b| a == b) {
        for pass in group.chunks(MAX_LANES) {
            let rows = s![first_row..first_row + pass.len(), .., ..];
            let (before, all) = (first_row as f64, center_px.len() as f64);
            let mut tick = |part: f64| tick((before + part * pass.len() as f64) / all);
            let out = out.slice_mut(rows);
            let job = Pass { fbp, pool, sinograms: sinograms.slice(rows), first_row, center_px: pass[0] };
            match lanes_for(pass.len()) {
                1 => job.run::<1, 8>(out, &mut tick)?,
                4 => job.run::<4, 4>(out, &mut tick)?,
                8 => job.run::<8, 4>(out, &mut tick)?,
                _ => job.run::<MAX_LANES, 2>(out, &mut tick)?,
            }
            first_row += pass.len();
        }
    }
    tick(1.0)
}

/// Up to [`MAX_LANES`] slices with one axis.
struct Pass<'a> {
    fbp: &'a Fbp,
    pool: &'a rayon::ThreadPool,
    sinograms: ArrayView3<'a, f32>,
    first_row: usize,
    center_px: f64,
}

/// Part of the image in all slices.
struct Tile<'a> {
    first_y: usize,
    first_x: usize,
    out: ArrayViewMut3<'a, f32>,
}

impl Pass<'_> {
    /// `L` lanes, `Q` pixels in registers at a time.
    fn run<const L: usize, const Q: usize>(
        &self,
        mut out: ArrayViewMut3<f32>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        const { assert!(Q <= GUARD && TILE_COLS % Q == 0 && L <= MAX_LANES && PANEL_VIEWS % REGISTER_VIEWS == 0) }
        let (views, line_len) = (self.fbp.views.len(), self.fbp.line_len());
        let mut memory = vec![0.0; self.fbp.panel_views() * line_len * L + ALIGN];
        let aligned = memory.as_ptr().align_offset(size_of::<f32>() * ALIGN).min(ALIGN);
        let lines = memory[aligned..].as_chunks_mut::<L>().0;
        out.fill(0.0);
        for first in (0..views).step_by(PANEL_VIEWS) {
            let panel = first..views.min(first + PANEL_VIEWS);
            let part = |of_panel: f64| (panel.start as f64 + of_panel * panel.len() as f64) / views as f64;
            let lines = &mut lines[..panel.len() * line_len];
            self.filter(panel.start, lines, &mut || tick(part(0.0)))?;
            self.spread::<L, Q>(&self.fbp.views[panel.clone()], lines, &mut out, &mut |x| tick(part(x)))?;
        }
        Ok(())
    }

    /// Fills `lines` `[view][GUARD + col + GUARD][lane]` with filtered views, weights included, from `first_view` on.
    fn filter<const L: usize>(
        &self,
        first_view: usize,
        lines: &mut [[f32; L]],
        tick: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let fbp = self.fbp;
        let (line_len, fft_len) = (fbp.line_len(), fbp.filter.len());
        // An FFT of a pair of views and back takes about as long as this many updates.
        let updates = 4 * fft_len * fft_len.ilog2() as usize * self.sinograms.len_of(Axis(0));
        let pairs_per_tick = self.pool.current_num_threads() * (TICK_UPDATES / updates).max(1);
        for (chunk, lines) in lines.chunks_mut(2 * line_len * pairs_per_tick).enumerate() {
            tick()?;
            let first_view = first_view + 2 * chunk * pairs_per_tick;
            let filter_pair = |scratch: &mut Scratch, (pair, lines): (usize, &mut [[f32; L]])| -> Result<()> {
                let view = first_view + 2 * pair;
                for (lane, sinogram) in self.sinograms.outer_iter().enumerate() {
                    let row = self.first_row + lane;
                    let filtered = fbp.filter_pair(sinogram, view, scratch).map_err(|e| e.with("row", row))?;
                    for (second, line) in lines.chunks_mut(line_len).enumerate() {
                        let weight = fbp.views[view + second].weight_per_cm;
                        for (out, z) in line[GUARD..].iter_mut().zip(filtered) {
                            out[lane] = (weight * if second == 0 { z.re } else { z.im }) as f32;
                        }
                    }
                }
                Ok(())
            };
            let pairs = lines.par_chunks_mut(2 * line_len).enumerate();
            self.pool.install(|| pairs.try_for_each_init(|| fbp.filter.scratch(), filter_pair))?;
        }
        Ok(())
    }

    /// Adds a panel of filtered views to the image.
    fn spread<const L: usize, const Q: usize>(
        &self,
        views: &[View],
        lines: &[[f32; L]],
        out: &mut ArrayViewMut3<f32>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        let cols = self.fbp.cols;
        let per_tick = self.fbp.tiles_per_tick(self.pool.current_num_threads(), L);
        let band_rows = TILE_ROWS * per_tick.div_ceil(cols.div_ceil(TILE_COLS));
        for (band, out) in out.axis_chunks_iter_mut(Axis(1), band_rows).enumerate() {
            let mut tiles = cut(out, band * band_rows);
            for tiles in tiles.chunks_mut(per_tick) {
                tick(tiles[0].first_y as f64 / cols as f64)?;
                self.pool.install(|| {
                    tiles.par_iter_mut().for_each_init(
                        || vec![[0.0; L]; TILE_ROWS * TILE_COLS],
                        |sums, tile| self.tile::<L, Q>(views, lines, tile, sums),
                    );
                });
            }
        }
        Ok(())
    }

    /// Adds a panel of filtered views to one tile.
    fn tile<const L: usize, const Q: usize>(
        &self,
        views: &[View],
        lines: &[[f32; L]],
        tile: &mut Tile,
        sums: &mut [[f32; L]],
    ) {
        let (cols, line_len) = (self.fbp.cols, self.fbp.line_len());
        let rows = tile.out.len_of(Axis(1));
        let last_x = tile.first_x + tile.out.len_of(Axis(2));
        // Columns of the tile that lie in the circle, row by row.
        let ranges: [Range<usize>; TILE_ROWS] = std::array::from_fn(|i| {
            let x = if i < rows { inside(cols, self.center_px, tile.first_y + i) } else { 0..0 };
            x.start.clamp(tile.first_x, last_x) - tile.first_x..x.end.clamp(tile.first_x, last_x) - tile.first_x
        });
        let left = offset(cols, tile.first_x);
        let mut rays = [Ray { start: 0, step: 0 }; REGISTER_VIEWS];
        sums.fill([0.0; L]);
        for (views, lines) in views.chunks(REGISTER_VIEWS).zip(lines.chunks(REGISTER_VIEWS * line_len)) {
            for (i, range) in ranges.iter().enumerate().filter(|(_, range)| !range.is_empty()) {
                let y = -offset(cols, tile.first_y + i);
                for (ray, view) in rays.iter_mut().zip(views) {
                    *ray = Ray::new(left * view.cos + y * view.sin + self.center_px + GUARD as f64, view.cos);
                }
                let sums = &mut sums[i * TILE_COLS..(i + 1) * TILE_COLS].as_chunks_mut::<Q>().0;
                for quad in range.start / Q..range.end.div_ceil(Q) {
                    let sum = sum_views::<L, Q>(&rays[..views.len()], (quad * Q) as i64, lines, line_len);
                    for (total, part) in sums[quad].iter_mut().zip(sum) {
                        total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
                    }
                }
            }
        }
        for (lane, mut slice) in tile.out.outer_iter_mut().enumerate() {
            for ((mut row, range), sums) in slice.rows_mut().into_iter().zip(&ranges).zip(sums.chunks(TILE_COLS)) {
                for (out, sum) in row.iter_mut().zip(sums).take(range.end).skip(range.start) {
                    *out += sum[lane];
                }
            }
        }
    }
}

/// Where the pixels of a row see the detector in one view, in columns times 2³²: exact steps, however wide the image.
#[derive(Clone, Copy)]
struct Ray {
    start: i64,
    step: i64,
}

impl Ray {
    fn new(start_px: f64, step_px: f64) -> Self {
        let fixed = |px: f64| (px * (1u64 << 32) as f64).round() as i64;
        Ray { start: fixed(start_px), step: fixed(step_px) }
    }
}

/// Sums up to [`REGISTER_VIEWS`] views for `Q` pixels from `first` on.
#[inline]
fn sum_views<const L: usize, const Q: usize>(
    rays: &[Ray],
    first: i64,
    lines: &[[f32; L]],
    line_len: usize,
) -> [[f32; L]; Q] {
    let mut sums = [[0.0f32; L]; Q];
    for (ray, line) in rays.iter().zip(lines.chunks_exact(line_len)) {
        let mut position = ray.start + first * ray.step;
        for sum in &mut sums {
            // The upper half is the column, the upper 24 bits of the lower half are the fraction: all that f32 holds.
            let col = (position >> 32) as usize;
            let fraction = (position as u32 >> 8) as i32 as f32 * (1.0 / (1 << 24) as f32);
            let [a, b] = [&line[col], &line[col + 1]];
            for l in 0..L {
                sum[l] += a[l] + (b[l] - a[l]) * fraction;
            }
            position += ray.step;
        }
    }
    sums
}

/// Cuts a band of image rows that begins at `first_y` into tiles.
fn cut(mut rest: ArrayViewMut3<f32>, first_y: usize) -> Vec<Tile> {
    let mut tiles =
        Vec::with_capacity(rest.len_of(Axis(1)).div_ceil(TILE_ROWS) * rest.len_of(Axis(2)).div_ceil(TILE_COLS));
    let mut y = first_y;
    while !rest.is_empty() {
        let height = TILE_ROWS.min(rest.len_of(Axis(1)));
        let (mut row, below) = rest.split_at(Axis(1), height);
        let mut x = 0;
        while !row.is_empty() {
            let width = TILE_COLS.min(row.len_of(Axis(2)));
            let (out, right) = row.split_at(Axis(2), width);
            tiles.push(Tile { first_y: y, first_x: x, out });
            (row, x) = (right, x + TILE_COLS);
        }
        (rest, y) = (below, y + TILE_ROWS);
    }
    tiles
}
