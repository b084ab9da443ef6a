//! Back-projection of a few views onto a tile of the image, for any register of [`Vector`].
//!
//! Along the image axis on which a ray moves slowly over the detector, a pixel and its neighbour are less than a column
//! apart. So the two, a *pair*, see only three columns: with the columns `c0 c1 c2`, the pixel at `c0 + w` and its
//! neighbour at `c0 + w + step` are
//!
//! ```text
//! c0 + w (c1 - c0)      and      c0 + min(w + step, 1) (c1 - c0) + max(w + step - 1, 0) (c2 - c1)
//! ```
//!
//! which is linear interpolation without a branch, from three loads instead of four. Must not know threads or files.

use super::vector::Vector;
use crate::recon::View;
use ndarray::ArrayView1;
use std::ops::Range;

/// Image rows and columns of a tile: what a thread works on at a time.
pub(super) const TILE: usize = 64;
/// Most views that a pixel sums in a register.
pub(super) const CHUNK_VIEWS: usize = 16;
/// Rows and columns of a register tile, whose sums stay in registers for the views of a chunk.
pub(super) const SIDE: usize = 4;
/// Its pairs of pixels.
const PAIRS: usize = SIDE * SIDE / 2;
/// Register tiles in a row or column of a tile.
pub(super) const TILES: usize = TILE / SIDE;
/// Bits of a position that are its fraction; the rest is the column. A tile's diagonal and three columns more fit i32.
pub(super) const FRACTION_BITS: u32 = 24;
/// Bits more for the corners of register tiles, so that errors of a step do not add up over a tile.
const FINE_BITS: u32 = 16;
pub(super) const FRACTION_MASK: i32 = (1 << FRACTION_BITS) - 1;
/// Columns to which a fraction of 1 corresponds.
pub(super) const UNIT: f32 = 1.0 / (1 << FRACTION_BITS) as f32;
/// Columns that a tile's pixels see, at most: its diagonal and three more, in equal parts for the register tiles that
/// fetch a view of the next chunk.
const SPAN_COLS: usize = 96;
const TILES_PER_VIEW: usize = TILES * TILES / CHUNK_VIEWS;

/// Along which image axis rays move more slowly over the detector, and whether backwards. The views of a chunk share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::recon) struct Slow {
    along_y: bool,
    backward: bool,
}

impl Slow {
    pub(in crate::recon) fn of(cos: f64, sin: f64) -> Slow {
        let along_y = sin.abs() < cos.abs();
        // One row down is one step towards smaller y.
        Slow { along_y, backward: if along_y { -sin } else { cos } < 0.0 }
    }
}

/// Cuts views into chunks that share their slow axis.
pub(super) fn chunks(views: &[View]) -> Vec<Range<usize>> {
    let mut chunks: Vec<Range<usize>> = Vec::with_capacity(views.len().div_ceil(CHUNK_VIEWS) + 4);
    for (i, view) in views.iter().enumerate() {
        match chunks.last_mut() {
            Some(last) if last.len() < CHUNK_VIEWS && views[last.start].slow == view.slow => last.end = i + 1,
            _ => chunks.push(i..i + 1),
        }
    }
    chunks
}

/// Where the pixels of a tile see the detector in each view of a chunk.
pub(super) struct Rays {
    views: usize,
    slow: Slow,
    /// Column left of the tile's first pixel, in the lines of the chunk, which lie one after the other.
    col: [i32; CHUNK_VIEWS],
    /// What the first pixel is beyond it, in units of [`UNIT`].
    start: [i32; CHUNK_VIEWS],
    /// From a pixel to the next along the slow axis, and along the other; also in finer units.
    step: [i32; CHUNK_VIEWS],
    other: [i32; CHUNK_VIEWS],
    fine_step: [i64; CHUNK_VIEWS],
    fine_other: [i64; CHUNK_VIEWS],
    /// Size of `step`, px.
    pair_px: [f32; CHUNK_VIEWS],
}

/// Columns in units of [`UNIT`].
pub(super) fn fixed(px: f64) -> i32 {
    (px * f64::from(1 << FRACTION_BITS)).round_ties_even() as i32
}

fn finer(px: f64) -> i64 {
    (px * (1i64 << (FRACTION_BITS + FINE_BITS)) as f64).round_ties_even() as i64
}

impl Rays {
    /// `x`, `y`: of the tile's first pixel, from the middle of the image, px. `base_col`: the column in a line that every
    /// axis is at or right of; `fraction`: how far right, where all lanes share it.
    pub(super) fn new(views: &[View], [x, y]: [f64; 2], base_col: usize, fraction: i32, line_len: usize) -> Rays {
        let slow = views.first().map_or(Slow::of(1.0, 0.0), |view| view.slow);
        // Where there is no view, rays stay in the zeros before the first column.
        let (none, fine, pair_px) = ([0; CHUNK_VIEWS], [0; CHUNK_VIEWS], [0.0; CHUNK_VIEWS]);
        let mut rays = Rays {
            views: views.len(),
            slow,
            col: none,
            start: none,
            step: none,
            other: none,
            fine_step: fine,
            fine_other: fine,
            pair_px,
        };
        for (i, view) in views.iter().enumerate() {
            let at = x * view.cos + y * view.sin;
            let start = fixed(at - at.floor()) + fraction;
            let (step, other) = if slow.along_y { (-view.sin, view.cos) } else { (view.cos, -view.sin) };
            (rays.fine_step[i], rays.fine_other[i]) = (finer(step), finer(other));
            let (step, other) = (fixed(step), fixed(other));
            rays.col[i] = (i * line_len + base_col) as i32 + at.floor() as i32 + (start >> FRACTION_BITS);
            (rays.start[i], rays.step[i], rays.other[i]) = (start & FRACTION_MASK, step, other);
            rays.pair_px[i] = step.abs() as f32 * UNIT;
        }
        rays
    }

    /// First column that the tile sees in view `i`.
    fn first_col(&self, i: usize) -> i32 {
        let edge = |step: i32| (TILE as i32 - 1) * step.min(0);
        self.col[i] + ((self.start[i] + edge(self.step[i]) + edge(self.other[i])) >> FRACTION_BITS)
    }
}

/// Where the pairs of a register tile see the detector in each view.
#[repr(align(64))]
pub(super) struct Hits {
    /// Where in the lines of the chunk the values of the pair's first column begin.
    at: [[u32; CHUNK_VIEWS]; PAIRS],
    /// With one axis for all lanes: weights of the first pixel, and both weights of its neighbour.
    weight: [[f32; CHUNK_VIEWS]; PAIRS],
    near: [[f32; CHUNK_VIEWS]; PAIRS],
    far: [[f32; CHUNK_VIEWS]; PAIRS],
    /// With lanes that have axes of their own: the fraction of the position.
    low: [[i32; CHUNK_VIEWS]; PAIRS],
}

impl Hits {
    pub(super) fn new() -> Box<Hits> {
        let (none, zero) = ([[0; CHUNK_VIEWS]; PAIRS], [[0.0; CHUNK_VIEWS]; PAIRS]);
        Box::new(Hits { at: [[0; CHUNK_VIEWS]; PAIRS], weight: zero, near: zero, far: zero, low: none })
    }

    /// Finds the pairs of the register tile at `slow`, `other` (register tiles along the two axes).
    ///
    /// Columns are held below `last`, so that no pair leads out of the lines.
    #[inline(always)]
    fn locate<const L: usize, const TILTED: bool>(&mut self, rays: &Rays, [slow, other]: [usize; 2], last: u32) {
        let backward = i32::from(rays.slow.backward);
        let (slow, other) = ((SIDE * slow) as i32 + backward, (SIDE * other) as i32);
        let mut corner = [0; CHUNK_VIEWS];
        for (v, corner) in corner.iter_mut().enumerate() {
            let steps = i64::from(slow) * rays.fine_step[v] + i64::from(other) * rays.fine_other[v];
            *corner = rays.start[v] + (steps >> FINE_BITS) as i32;
        }
        for pair in 0..PAIRS {
            let (i, j) = (2 * (pair % (SIDE / 2)) as i32, (pair / (SIDE / 2)) as i32);
            for (v, corner) in corner.iter().enumerate() {
                let position = corner + i * rays.step[v] + j * rays.other[v];
                let low = position & FRACTION_MASK;
                self.at[pair][v] = ((rays.col[v] + (position >> FRACTION_BITS)) as u32).min(last) * L as u32;
                if TILTED {
                    self.low[pair][v] = low;
                } else {
                    let weight = low as f32 * UNIT;
                    let next = weight + rays.pair_px[v];
                    let near = if next < 1.0 { next } else { 1.0 };
                    (self.weight[pair][v], self.near[pair][v], self.far[pair][v]) = (weight, near, next - near);
                }
            }
        }
    }
}

/// A chunk of views to be added to a tile.
pub(super) struct Chunk<'a, const L: usize> {
    pub rays: &'a Rays,
    /// Filtered views, [`Chunk::line_len`] long each.
    pub lines: &'a [[f32; L]],
    pub line_len: usize,
    /// Fractions of the lanes' axes, added to the positions lane by lane where lanes have axes of their own. This is the
    /// same integer that rays with the fraction in them hold, so the result is the same too.
    pub fractions: &'a [i32; L],
    /// Register tiles that matter: bit x of row y.
    pub touched: &'a [u32; TILES],
    /// What comes next: its columns are fetched towards the processor meanwhile.
    pub next: Option<(&'a Rays, &'a [[f32; L]])>,
}

/// Adds the views of a chunk to `sums` `[y][x][lane]`, `NV` registers per pixel and `P` pairs of a register tile at a time.
#[inline(always)]
pub(super) fn add_chunk<V: Vector, const L: usize, const NV: usize, const P: usize, const TILTED: bool>(
    chunk: &Chunk<'_, L>,
    hits: &mut Hits,
    sums: &mut [[f32; L]],
) {
    let rays = chunk.rays;
    let views = rays.views.min(CHUNK_VIEWS);
    let cols = views * chunk.line_len;
    // Columns read from a hit on: three, and a fourth where lanes carry over.
    let reach = if TILTED { 4 } else { 3 };
    assert!(chunk.lines.len() >= cols && cols >= reach && cols * L <= u32::MAX as usize && sums.len() >= TILE * TILE);
    // Strides in `sums`.
    let (along, across) = if rays.slow.along_y { (TILE, 1) } else { (1, TILE) };
    let lines = chunk.lines.as_ptr().cast::<f32>();
    for other in 0..TILES {
        for slow in 0..TILES {
            let (x, y) = if rays.slow.along_y { (other, slow) } else { (slow, other) };
            if chunk.touched[y] >> x & 1 == 0 {
                continue;
            }
            if let Some((next, lines)) = chunk.next {
                fetch(next, lines, other * TILES + slow);
            }
            hits.locate::<L, TILTED>(rays, [slow, other], (cols - reach) as u32);
            let corner = SIDE * (slow * along + other * across);
            for first in (0..PAIRS).step_by(P) {
                // The pair's pixel with the smaller position, and its neighbour.
                let pixels: [[usize; 2]; P] = std::array::from_fn(|p| {
                    let (i, j) = (2 * ((first + p) % (SIDE / 2)), (first + p) / (SIDE / 2));
                    let (left, right) = (corner + i * along + j * across, corner + (i + 1) * along + j * across);
                    if rays.slow.backward { [right, left] } else { [left, right] }
                });
                for group in (0..L).step_by(NV * V::LANES) {
                    let mut parts = [[[V::splat(0.0); 2]; NV]; P];
                    for v in 0..views {
                        for (p, parts) in parts.iter_mut().enumerate() {
                            let pair = first + p;
                            // SAFETY: `locate` holds `at` to `reach` columns of `L` lanes before the end of the lines.
                            let from = unsafe { lines.add(hits.at[pair][v] as usize + group) };
                            for (n, part) in parts.iter_mut().enumerate() {
                                // SAFETY: as above.
                                let col = |c: usize| unsafe { V::load(from.add(c * L + n * V::LANES)) };
                                let (mut c0, mut c1, mut c2) = (col(0), col(1), col(2));
                                let (weight, near, far);
                                if TILTED {
                                    // SAFETY: one fraction for each of the `L` lanes.
                                    let (carry, w) = unsafe {
                                        let fractions = chunk.fractions.as_ptr().add(group + n * V::LANES);
                                        V::split(hits.low[pair][v], fractions)
                                    };
                                    c0 = V::select(carry, c1, c0);
                                    c1 = V::select(carry, c2, c1);
                                    c2 = V::select(carry, col(3), c2);
                                    let next = w.add(V::splat(rays.pair_px[v]));
                                    (weight, near) = (w, next.min(V::splat(1.0)));
                                    far = next.sub(near);
                                } else {
                                    weight = V::splat(hits.weight[pair][v]);
                                    near = V::splat(hits.near[pair][v]);
                                    far = V::splat(hits.far[pair][v]);
                                }
                                let (rise, then) = (c1.sub(c0), c2.sub(c1));
                                part[0] = rise.mul_add(weight, part[0].add(c0));
                                part[1] = then.mul_add(far, rise.mul_add(near, part[1].add(c0)));
                            }
                        }
                    }
                    for (parts, pixels) in parts.iter().zip(&pixels) {
                        for (n, part) in parts.iter().enumerate() {
                            for (part, pixel) in part.iter().zip(pixels) {
                                let lanes = &mut sums[*pixel][group + n * V::LANES..][..V::LANES];
                                // SAFETY: as many lanes as a register has.
                                unsafe { V::load(lanes.as_ptr()).add(*part).store(lanes.as_mut_ptr()) };
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Asks for a part of what the next chunk reads; `tile` counts the register tiles, of which each asks for another part.
#[inline(always)]
fn fetch<const L: usize>(next: &Rays, lines: &[[f32; L]], tile: usize) {
    let (view, part) = (tile / TILES_PER_VIEW, tile % TILES_PER_VIEW);
    let cols = SPAN_COLS / TILES_PER_VIEW;
    let from = lines.as_ptr().wrapping_offset(next.first_col(view) as isize).wrapping_add(part * cols);
    fetch_lines::<true>(from.cast(), cols * size_of::<[f32; L]>());
}

/// Asks for a row of an image that is about to be changed.
pub(super) fn fetch_row(row: ArrayView1<f32>) {
    fetch_lines::<false>(row.as_ptr().cast(), size_of_val(&row[0]) * row.len());
}

/// Asks the memory for `bytes` from an address on, into the second cache or the nearest. A hint: it does nothing else,
/// whatever the address.
#[inline(always)]
fn fetch_lines<const SECOND: bool>(from: *const i8, bytes: usize) {
    for at in (0..bytes).step_by(64) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint, whatever the address.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
            let at = from.wrapping_add(at);
            if SECOND { _mm_prefetch::<_MM_HINT_T1>(at) } else { _mm_prefetch::<_MM_HINT_T0>(at) }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (from, at);
    }
}
