//! The innermost loop with NEON, which every 64-bit ARM has: plain Rust with fused multiply-add, which the compiler
//! turns into vector code. Must not know images, threads or files.

use super::{Hits, Ray, TILE_PX, portable};

/// See [`portable::add_views`].
pub(super) fn add_views<const L: usize, const TILTED: bool>(
    rays: &[Ray],
    corner: [i64; 2],
    fractions: &[i32; L],
    (lines, line_len): (&[[f32; L]], usize),
    hits: &mut [Hits],
    sums: &mut [[f32; L]; TILE_PX],
) {
    let hits = &mut hits[..rays.len()];
    portable::locate::<L, TILTED>(rays, corner, line_len, hits);
    match (L, TILTED) {
        (16, false) => portable::sum::<L, 4, TILTED, true>(hits, fractions, lines, line_len, sums),
        (16, true) => portable::sum::<L, 1, TILTED, true>(hits, fractions, lines, line_len, sums),
        (4 | 8, true) => portable::sum::<L, 2, TILTED, true>(hits, fractions, lines, line_len, sums),
        (8, false) => portable::sum::<L, 4, TILTED, true>(hits, fractions, lines, line_len, sums),
        _ => portable::sum::<L, 8, TILTED, true>(hits, fractions, lines, line_len, sums),
    }
}
