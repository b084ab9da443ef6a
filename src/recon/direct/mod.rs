//! Back-projection in f32 on all threads. Slices lie side by side in the SIMD lanes, so that where a ray hits the
//! detector is computed once for all of them.
//!
//! A panel of views is filtered for up to 32 slices, then spread over the image tile by tile; a pixel adds up a chunk of
//! up to 16 views in a register, then joins the panel, then the image. That order, and the arithmetic of a lane, are the
//! same whatever the number of lanes, threads or slices: results are bit-identical. Must not know files or stages.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx512;
#[allow(unsafe_code)]
mod isa;
#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code)]
mod neon;
#[allow(unsafe_code)]
mod tile;
#[allow(unsafe_code)]
mod vector;

use super::filter::{Complex, Scratch};
use super::{Fbp, inside, offset};
use crate::error::Result;
use ndarray::{ArrayView1, ArrayView3, ArrayViewMut3, Axis, s};
use rayon::prelude::*;
use std::ops::{AddAssign, Range};
use std::sync::Mutex;
use tile::{Chunk, FRACTION_MASK, Hits, Rays, SIDE, TILE, TILES};

pub use crate::simd::Isa;
pub(super) use isa::Checked;
pub(super) use tile::Slow;

/// Most views filtered and spread at a time: the more, the less often the image is read and written.
const PANEL_VIEWS: usize = 512;
/// Most whole columns between the axes of slices that go side by side.
const MAX_SHIFT: usize = 4;
/// Zero columns on either side of a filtered view: room for shifts, and for pixels across the circle's edge, which are
/// taken a few at a time.
const GUARD: usize = 16;
/// Most slices side by side: two cache lines of f32.
pub(super) const MAX_LANES: usize = 32;
/// Lanes of one slice group begin at a cache line: this many f32.
const ALIGN: usize = 16;
/// Rows of the image that are fetched ahead of the one that is added to: enough to hide the way to the memory, and few
/// enough to stay in the cache, where rows of slices of a round size share a few places.
const FETCH_AHEAD: usize = 4;
/// Updates (pixels × views × slices) per thread between two ticks.
const TICK_UPDATES: usize = 3_000_000_000;

/// Lanes for `slices` slices; surplus lanes hold zeros.
fn lanes_for(slices: usize) -> usize {
    match slices {
        0 | 1 => 1,
        2..=8 => 8,
        9..=16 => 16,
        _ => MAX_LANES,
    }
}

pub(super) fn scratch_bytes(fbp: &Fbp, rows: usize, threads: usize) -> u64 {
    let lanes = lanes_for(rows);
    let panel = size_of::<f32>() * (fbp.panel_views() * fbp.line_len() * lanes + ALIGN);
    let tiles = size_of::<Tile>() * (fbp.tiles_per_tick(threads, lanes) + fbp.cols.div_ceil(TILE));
    let sums = size_of::<f32>() * (TILE * TILE * lanes + ALIGN) + size_of::<Hits>();
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
        let all = self.cols.div_ceil(TILE).pow(2);
        let updates = TILE * TILE * self.panel_views() * lanes;
        (threads * (TICK_UPDATES / updates).max(1)).min(all)
    }
}

/// f32 that begin at a cache line.
struct Aligned {
    memory: Vec<f32>,
    start: usize,
}

impl Aligned {
    fn zeros(len: usize) -> Aligned {
        let memory = crate::memory::zeros::<f32>(len + ALIGN);
        let start = memory.as_ptr().align_offset(size_of::<f32>() * ALIGN).min(ALIGN);
        Aligned { memory, start }
    }
    fn lanes<const L: usize>(&mut self) -> &mut [[f32; L]] {
        let end = self.memory.len() - ALIGN + self.start;
        self.memory[self.start..end].as_chunks_mut().0
    }
}

/// Cuts chunks of views into panels of up to [`PANEL_VIEWS`].
fn panels(chunks: &[Range<usize>]) -> Vec<&[Range<usize>]> {
    let (mut panels, mut rest) = (Vec::new(), chunks);
    while let [first, ..] = rest {
        let fits = rest.iter().take_while(|chunk| chunk.end - first.start <= PANEL_VIEWS).count();
        let (panel, after) = rest.split_at(fits);
        panels.push(panel);
        rest = after;
    }
    panels
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
            (8, false) => pass.run::<8, false>(out, &mut tick)?,
            (8, true) => pass.run::<8, true>(out, &mut tick)?,
            (16, false) => pass.run::<16, false>(out, &mut tick)?,
            (16, true) => pass.run::<16, true>(out, &mut tick)?,
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
        // Register tiles reach 3 px, 4 columns, beyond the circle, a pair one column and lanes that carry over another.
        const { assert!(SIDE + MAX_SHIFT + 4 <= GUARD && L <= MAX_LANES) }
        let (views, line_len) = (self.fbp.views.len(), self.fbp.line_len());
        let mut memory = Aligned::zeros(self.fbp.panel_views() * line_len * L);
        let lines = memory.lanes::<L>();
        out.fill(0.0);
        for chunks in panels(&tile::chunks(&self.fbp.views)) {
            let panel = chunks[0].start..chunks[chunks.len() - 1].end;
            let part = |of_panel: f64| (panel.start as f64 + of_panel * panel.len() as f64) / views as f64;
            let lines = &mut lines[..panel.len() * line_len];
            self.filter(panel.start, lines, &mut || tick(part(0.0)))?;
            self.spread::<L, TILTED>(chunks, lines, &mut out, &mut |x| tick(part(x)))?;
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

    /// Adds a panel of filtered views, in chunks, to the image.
    fn spread<const L: usize, const TILTED: bool>(
        &self,
        chunks: &[Range<usize>],
        lines: &[[f32; L]],
        out: &mut ArrayViewMut3<f32>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        let cols = self.fbp.cols;
        let per_tick = self.fbp.tiles_per_tick(self.pool.current_num_threads(), L);
        let band_rows = TILE * per_tick.div_ceil(cols.div_ceil(TILE));
        // Memory of each thread for the tile that it works on.
        let work = || Mutex::new((Aligned::zeros(TILE * TILE * L), Hits::new()));
        let work: Vec<_> = (0..self.pool.current_num_threads()).map(|_| work()).collect();
        for (band, out) in out.axis_chunks_iter_mut(Axis(1), band_rows).enumerate() {
            let mut tiles = cut(out, band * band_rows);
            for tiles in tiles.chunks_mut(per_tick) {
                tick(tiles[0].first_y as f64 / cols as f64)?;
                self.pool.install(|| {
                    tiles.par_iter_mut().for_each(|tile| {
                        let work = &work[self.pool.current_thread_index().unwrap_or(0)];
                        let (sums, hits) = &mut *work.lock().unwrap_or_else(|e| e.into_inner());
                        self.tile::<L, TILTED>(chunks, lines, tile, hits, sums.lanes());
                    });
                });
            }
        }
        Ok(())
    }

    /// Adds a panel of filtered views to one tile.
    fn tile<const L: usize, const TILTED: bool>(
        &self,
        chunks: &[Range<usize>],
        lines: &[[f32; L]],
        tile: &mut Tile,
        hits: &mut Hits,
        sums: &mut [[f32; L]],
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
        // Register tiles that touch the circle: bit x of row y.
        let rows = tile.out.len_of(Axis(1));
        let mut touched = [0u32; TILES];
        for i in 0..rows {
            let x = in_circle(widest, i);
            if !x.is_empty() {
                let (start, end) = (x.start / SIDE, x.end.div_ceil(SIDE));
                touched[i / SIDE] |= (1 << end) - (1 << start);
            }
        }
        if touched.iter().all(|row| *row == 0) {
            return;
        }
        // An axis is a whole column and a fraction; with one axis the fraction is in the ray, else in the lanes.
        let mut fractions = [0; L];
        for (fraction, center) in fractions.iter_mut().zip(self.centers) {
            *fraction = tile::fixed(center.fract()).min(FRACTION_MASK);
        }
        let shared = if TILTED { 0 } else { fractions[0] };
        let corner = [offset(cols, first_x), -offset(cols, first_y)];
        let rays_of = |chunk: &Range<usize>| {
            Rays::new(&self.fbp.views[chunk.clone()], corner, GUARD + self.base_col(), shared, line_len)
        };
        let first_view = chunks[0].start;
        let lines_of =
            |chunk: &Range<usize>| &lines[(chunk.start - first_view) * line_len..(chunk.end - first_view) * line_len];
        sums.fill([0.0; L]);
        let mut rays = rays_of(&chunks[0]);
        for (i, chunk) in chunks.iter().enumerate() {
            let next = chunks.get(i + 1).map(|chunk| (rays_of(chunk), lines_of(chunk)));
            self.fbp.isa.add_chunk::<L, TILTED>(
                &Chunk {
                    rays: &rays,
                    lines: lines_of(chunk),
                    line_len,
                    fractions: &fractions,
                    touched: &touched,
                    next: next.as_ref().map(|(rays, lines)| (rays, *lines)),
                },
                hits,
                sums,
            );
            if let Some((next, _)) = next {
                rays = next;
            }
        }
        // First apart into lanes in the nearest cache, then to the image in long moves, many of which can be under way
        // to the memory at a time.
        for (i, sums) in sums.chunks(TILE).take(rows).enumerate() {
            let mut apart = [[0.0; TILE]; L];
            for (x, lanes) in sums.iter().enumerate() {
                for (apart, sum) in apart.iter_mut().zip(lanes) {
                    apart[x] = *sum;
                }
            }
            let lanes = tile.out.len_of(Axis(0));
            let shared = in_circle(widest, i);
            for (lane, apart) in apart.iter().enumerate().take(lanes) {
                // Each row of each slice is somewhere else in memory, where no processor looks ahead by itself.
                let (ahead, below) = ((lane + FETCH_AHEAD) % lanes, (lane + FETCH_AHEAD) / lanes);
                if i + below < rows {
                    tile::fetch_row(tile.out.slice(s![ahead, i + below, ..]));
                }
                let range = if TILTED { in_circle(self.centers[lane], i) } else { shared.clone() };
                let mut row = tile.out.slice_mut(s![lane, i, range.clone()]);
                row.add_assign(&ArrayView1::from(&apart[range]));
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

/// Cuts a band of image rows that begins at `first_y` into tiles.
fn cut(mut rest: ArrayViewMut3<f32>, first_y: usize) -> Vec<Tile> {
    let mut tiles = Vec::with_capacity(rest.len_of(Axis(1)).div_ceil(TILE) * rest.len_of(Axis(2)).div_ceil(TILE));
    let mut y = first_y;
    while !rest.is_empty() {
        let height = TILE.min(rest.len_of(Axis(1)));
        let (mut row, below) = rest.split_at(Axis(1), height);
        let mut x = 0;
        while !row.is_empty() {
            let width = TILE.min(row.len_of(Axis(2)));
            let (out, right) = row.split_at(Axis(2), width);
            tiles.push(Tile { first_y: y, first_x: x, out });
            (row, x) = (right, x + TILE);
        }
        (rest, y) = (below, y + TILE);
    }
    tiles
}
