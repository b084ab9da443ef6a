//! Back-projection in f32 on all threads. Slices lie side by side in the SIMD lanes, so that where a ray hits the
//! detector is computed once for all of them.
//!
//! A panel of views is filtered for up to 16 slices, then spread over the image tile by tile; a pixel adds up 32 views
//! in a register, then joins the panel, then the image. That order, and the arithmetic of a lane, are the same whatever
//! the number of lanes, threads or slices: results are bit-identical. Must not know files or stages.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx512;
#[allow(unsafe_code)]
mod isa;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use super::filter::{Complex, Scratch};
use super::{Fbp, View, inside, offset};
use crate::error::Result;
use ndarray::{ArrayView1, ArrayView3, ArrayViewMut3, Axis, s};
use rayon::prelude::*;
use std::ops::{AddAssign, Range};

pub(super) use isa::Checked;
pub use isa::Isa;

/// Views filtered and spread at a time; even, since views are filtered in pairs.
const PANEL_VIEWS: usize = 256;
/// Views that a pixel sums in a register.
const REGISTER_VIEWS: usize = 32;
/// Image rows and columns of a tile: what a thread works on at a time.
const TILE_ROWS: usize = 64;
const TILE_COLS: usize = 64;
/// Rows and columns of a register tile, whose sums stay in registers for some views.
const TILE_SIDE: usize = 4;
/// Its pixels.
const TILE_PX: usize = TILE_SIDE * TILE_SIDE;
/// Register tiles in a tile.
const TILE_TILES: usize = TILE_ROWS * TILE_COLS / TILE_PX;
/// Bits of a position that are its fraction; the rest is the column.
const POSITION_BITS: u32 = 28;
const LOW_MASK: i32 = (1 << POSITION_BITS) - 1;
/// Most whole columns between the axes of slices that go side by side.
const MAX_SHIFT: usize = 4;
/// Zero columns on either side of a filtered view: room for shifts, and for pixels across the circle's edge, which are
/// taken a few at a time.
const GUARD: usize = 16;
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
    let sums = size_of::<f32>() * TILE_ROWS * TILE_COLS * lanes + size_of::<Hits>() * REGISTER_VIEWS;
    let filter = fbp.filter.scratch_bytes() + (size_of::<Complex>() * lanes * fbp.line_len()) as u64;
    (panel + tiles) as u64 + threads as u64 * filter.max(sums as u64)
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

/// Slices go through in passes: as many side by side as there are lanes and as their axes allow.
pub(super) fn reconstruct(
    fbp: &Fbp,
    pool: &rayon::ThreadPool,
    sinograms: ArrayView3<f32>,
    center_px: &[f64],
    mut out: ArrayViewMut3<f32>,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<()> {
    let mut first_row = 0;
    while first_row < center_px.len() {
        let centers = &center_px[first_row..];
        let centers = &centers[..side_by_side(centers)];
        let rows = s![first_row..first_row + centers.len(), .., ..];
        let (before, all) = (first_row as f64, center_px.len() as f64);
        let mut tick = |part: f64| tick((before + part * centers.len() as f64) / all);
        let out = out.slice_mut(rows);
        let pass = Pass { fbp, pool, sinograms: sinograms.slice(rows), first_row, centers };
        let tilted = centers.iter().any(|c| *c != centers[0]);
        match (lanes_for(centers.len()), tilted) {
            (1, _) => pass.run::<1, false>(out, &mut tick)?,
            (4, false) => pass.run::<4, false>(out, &mut tick)?,
            (4, true) => pass.run::<4, true>(out, &mut tick)?,
            (8, false) => pass.run::<8, false>(out, &mut tick)?,
            (8, true) => pass.run::<8, true>(out, &mut tick)?,
            (_, false) => pass.run::<MAX_LANES, false>(out, &mut tick)?,
            (_, true) => pass.run::<MAX_LANES, true>(out, &mut tick)?,
        }
        first_row += centers.len();
    }
    tick(1.0)
}

/// How many of the first slices can go side by side.
fn side_by_side(centers: &[f64]) -> usize {
    let (mut low, mut high) = (f64::MAX, 0.0f64);
    let fits = |center: &f64| {
        (low, high) = (low.min(center.floor()), high.max(center.floor()));
        high - low <= MAX_SHIFT as f64
    };
    centers.iter().take(MAX_LANES).map(fits).take_while(|fits| *fits).count()
}

/// Up to [`MAX_LANES`] slices side by side.
struct Pass<'a> {
    fbp: &'a Fbp,
    pool: &'a rayon::ThreadPool,
    sinograms: ArrayView3<'a, f32>,
    first_row: usize,
    centers: &'a [f64],
}

/// Part of the image in all slices.
struct Tile<'a> {
    first_y: usize,
    first_x: usize,
    out: ArrayViewMut3<'a, f32>,
}

impl Pass<'_> {
    /// `L` lanes, lanes with axes of their own if `TILTED`.
    fn run<const L: usize, const TILTED: bool>(
        &self,
        mut out: ArrayViewMut3<f32>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        const { assert!(2 * TILE_SIDE + MAX_SHIFT + 4 <= GUARD && L <= MAX_LANES) }
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
            self.spread::<L, TILTED>(&self.fbp.views[panel.clone()], lines, &mut out, &mut |x| tick(part(x)))?;
        }
        Ok(())
    }

    /// First column at or left of every axis.
    fn base_col(&self) -> usize {
        self.centers.iter().fold(f64::MAX, |low, c| low.min(c.floor())) as usize
    }

    /// Fills `lines` `[view][GUARD + col + GUARD][lane]` with filtered views, weights included, from `first_view` on.
    /// Lanes are shifted by whole columns, so that all axes fall between the same two.
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
            let base_col = self.base_col();
            // Zero where no lane has a value.
            let rows = || vec![Complex::new(0.0, 0.0); L * line_len];
            let filter_pair = |work: &mut (Vec<Complex>, Scratch), (pair, lines): (usize, &mut [[f32; L]])| {
                let ((rows, scratch), view) = (work, first_view + 2 * pair);
                let lanes = self.sinograms.outer_iter().zip(rows.chunks_exact_mut(line_len)).zip(self.centers);
                for (lane, ((sinogram, row), center)) in lanes.enumerate() {
                    let start = GUARD + base_col - *center as usize;
                    let out = &mut row[start..start + fbp.cols];
                    fbp.filter_pair(sinogram, view, out, scratch).map_err(|e| e.with("row", self.first_row + lane))?;
                }
                let (first, second) = lines.split_at_mut(line_len);
                side_by_side_in(first, rows, |z| z.re);
                // Empty if the last view is alone.
                side_by_side_in(second, rows, |z| z.im);
                Ok(())
            };
            let pairs = lines.par_chunks_mut(2 * line_len).enumerate();
            self.pool.install(|| pairs.try_for_each_init(|| (rows(), fbp.filter.scratch()), filter_pair))?;
        }
        Ok(())
    }

    /// Adds a panel of filtered views to the image.
    fn spread<const L: usize, const TILTED: bool>(
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
                        || Work {
                            sums: vec![[[0.0; L]; TILE_PX]; TILE_TILES],
                            hits: vec![Hits::default(); REGISTER_VIEWS],
                        },
                        |work, tile| self.tile::<L, TILTED>(views, lines, tile, work),
                    );
                });
            }
        }
        Ok(())
    }

    /// Adds a panel of filtered views to one tile.
    fn tile<const L: usize, const TILTED: bool>(
        &self,
        views: &[View],
        lines: &[[f32; L]],
        tile: &mut Tile,
        work: &mut Work<L>,
    ) {
        let (cols, line_len) = (self.fbp.cols, self.fbp.line_len());
        // Columns of the tile that lie in the circle of an axis.
        let (first_x, last_x) = (tile.first_x, tile.first_x + tile.out.len_of(Axis(2)));
        let first_y = tile.first_y;
        let in_circle = |center: f64, i: usize| {
            let x = inside(cols, center, first_y + i);
            x.start.clamp(first_x, last_x) - first_x..x.end.clamp(first_x, last_x) - first_x
        };
        // All circles have the same middle: the widest holds the others.
        let middle = (cols as f64 - 1.0) / 2.0;
        let nearer = |a: f64, b: f64| if (b - middle).abs() < (a - middle).abs() { b } else { a };
        let widest = self.centers.iter().copied().fold(self.centers[0], nearer);
        // Register tiles that touch the circle, in each row of register tiles.
        let rows = tile.out.len_of(Axis(1));
        let mut touched: [Range<usize>; TILE_ROWS / TILE_SIDE] = [const { 0..0 }; _];
        for (strip, touched) in touched.iter_mut().enumerate() {
            for i in strip * TILE_SIDE..rows.min((strip + 1) * TILE_SIDE) {
                let x = in_circle(widest, i);
                let x = x.start / TILE_SIDE..x.end.div_ceil(TILE_SIDE);
                if !x.is_empty() {
                    *touched =
                        if Range::is_empty(touched) { x } else { touched.start.min(x.start)..touched.end.max(x.end) };
                }
            }
        }
        if touched.iter().all(Range::is_empty) {
            return;
        }
        // An axis is a whole column and a fraction; with one axis the fraction is in the ray, else in the lanes.
        let mut base = ((GUARD + self.base_col()) as i64) << POSITION_BITS;
        let mut fractions = [0; L];
        for (fraction, center) in fractions.iter_mut().zip(self.centers) {
            *fraction = fixed(center.fract()).min(i64::from(LOW_MASK)) as i32;
        }
        if !TILTED {
            base += i64::from(fractions[0]);
        }
        let (x, y) = (offset(cols, first_x), -offset(cols, first_y));
        work.sums.fill([[0.0; L]; TILE_PX]);
        for (views, lines) in views.chunks(REGISTER_VIEWS).zip(lines.chunks(REGISTER_VIEWS * line_len)) {
            let mut rays = [Ray::default(); REGISTER_VIEWS];
            for (ray, view) in rays.iter_mut().zip(views) {
                let start = base + fixed(x * view.cos + y * view.sin);
                *ray = Ray { start, step_x: fixed(view.cos), step_y: fixed(-view.sin) };
            }
            let rays = &rays[..views.len()];
            for (strip, (touched, sums)) in touched.iter().zip(work.sums.chunks_mut(TILE_COLS / TILE_SIDE)).enumerate()
            {
                for x in touched.clone() {
                    let corner = [(x * TILE_SIDE) as i64, (strip * TILE_SIDE) as i64];
                    let lines = (lines, line_len);
                    self.fbp.isa.add_views::<L, TILTED>(rays, corner, &fractions, lines, &mut work.hits, &mut sums[x]);
                }
            }
        }
        // First apart into lanes in the nearest cache, then to the image in long moves, many of which can be under way
        // to the memory at a time.
        for i in 0..rows {
            let sums = &work.sums[i / TILE_SIDE * (TILE_COLS / TILE_SIDE)..][..TILE_COLS / TILE_SIDE];
            let mut apart = [[0.0; TILE_COLS]; L];
            for (x, lanes) in sums.iter().flat_map(|sums| &sums[i % TILE_SIDE * TILE_SIDE..][..TILE_SIDE]).enumerate() {
                for (apart, sum) in apart.iter_mut().zip(lanes) {
                    apart[x] = *sum;
                }
            }
            for (lane, mut slice) in tile.out.outer_iter_mut().enumerate() {
                let range = in_circle(self.centers[lane], i);
                let mut row = slice.row_mut(i);
                row.slice_mut(s![range.clone()]).add_assign(&ArrayView1::from(&apart[lane][range]));
            }
        }
    }
}

/// Writes `rows` `[lane][col]` to `line` `[col][lane]`, a few cache lines at a time.
fn side_by_side_in<const L: usize>(line: &mut [[f32; L]], rows: &[Complex], part: impl Fn(&Complex) -> f32) {
    let line_len = rows.len() / L;
    for (first, block) in (0..line_len).step_by(16).zip(line.chunks_mut(16)) {
        for (lane, row) in rows.chunks_exact(line_len).enumerate() {
            for (out, z) in block.iter_mut().zip(&row[first..]) {
                out[lane] = part(z);
            }
        }
    }
}

/// Memory of a thread that works on tiles.
struct Work<const L: usize> {
    /// Sums of the panel, one register tile after the other.
    sums: Vec<[[f32; L]; TILE_PX]>,
    hits: Vec<Hits>,
}

/// Columns times 2²⁸: steps from pixel to pixel are exact, however wide the image.
fn fixed(px: f64) -> i64 {
    (px * (1i64 << POSITION_BITS) as f64).round_ties_even() as i64
}

/// Where the pixels of a tile see the detector in one view, see [`fixed`].
#[derive(Clone, Copy, Default)]
struct Ray {
    /// Position of the tile's first pixel.
    start: i64,
    /// From a pixel to its right neighbour.
    step_x: i64,
    /// From a pixel to the one below.
    step_y: i64,
}

/// Where the pixels of a register tile see the detector in one view.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Hits {
    /// Where in a filtered view the values of the left column begin.
    at: [u32; TILE_PX],
    /// Weight of the right column, with one axis for all lanes.
    weight: [f32; TILE_PX],
    /// Fraction of the position, with lanes that have axes of their own.
    low: [i32; TILE_PX],
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
