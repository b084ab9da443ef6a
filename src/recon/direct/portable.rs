//! The innermost loop in plain Rust, for any machine and any number of lanes. The compiler turns the loop over the
//! lanes into vector code; the files of the instruction sets instantiate it for the lanes that they do not write by
//! hand. Must not know images, threads or files.

use super::{Hits, LOW_MASK, POSITION_BITS, Ray, TILE_PX, TILE_SIDE};

/// Whole columns to which a weight of 1 corresponds.
pub(super) const UNIT: f32 = 1.0 / (1u32 << POSITION_BITS) as f32;

/// Finds where the pixels of a register tile, whose corner is `x`, `y` in the tile, see the detector in each view.
///
/// Columns are held within the line, so that `hits` never lead out of it.
#[inline(always)]
pub(super) fn locate<const L: usize, const TILTED: bool>(
    rays: &[Ray],
    [x, y]: [i64; 2],
    line_len: usize,
    hits: &mut [Hits],
) {
    let last = (line_len - if TILTED { 3 } else { 2 }) as i32;
    for (ray, hit) in rays.iter().zip(hits) {
        let corner = ray.start + x * ray.step_x + y * ray.step_y;
        let (col, low) = ((corner >> POSITION_BITS) as i32, (corner & i64::from(LOW_MASK)) as i32);
        let (step_x, step_y) = (ray.step_x as i32, ray.step_y as i32);
        for p in 0..TILE_PX {
            // A register tile is 3 steps wide and high: 3 √2 columns and a fraction, which 31 bits hold.
            let (i, j) = ((p % TILE_SIDE) as i32, (p / TILE_SIDE) as i32);
            let position = low + i * step_x + j * step_y;
            hit.at[p] = (col + (position >> POSITION_BITS)).clamp(0, last) as u32 * L as u32;
            if TILTED {
                hit.low[p] = position & LOW_MASK;
            } else {
                hit.weight[p] = (position & LOW_MASK) as f32 * UNIT;
            }
        }
    }
}

/// Adds the sum of the views in `hits` to `sums`, `Q` pixels in registers at a time; `FUSED`: with multiply-add.
///
/// With `TILTED`, `fractions` are added to the positions lane by lane. This is the same integer that a ray with the
/// fraction in it holds, so the result is the same too.
#[inline(always)]
pub(super) fn sum<const L: usize, const Q: usize, const TILTED: bool, const FUSED: bool>(
    hits: &[Hits],
    fractions: &[i32; L],
    lines: &[[f32; L]],
    line_len: usize,
    sums: &mut [[f32; L]; TILE_PX],
) {
    for (group, sums) in sums.as_chunks_mut::<Q>().0.iter_mut().enumerate() {
        let mut parts = [[0.0f32; L]; Q];
        for (hit, line) in hits.iter().zip(lines.chunks_exact(line_len)) {
            let line = line.as_flattened();
            for (q, part) in parts.iter_mut().enumerate() {
                let p = group * Q + q;
                let at = hit.at[p] as usize;
                if TILTED {
                    let line = &line[at..at + 3 * L];
                    for l in 0..L {
                        let position = hit.low[p] + fractions[l];
                        let carry = position > LOW_MASK;
                        let a = either(carry, line[L + l], line[l]);
                        let b = either(carry, line[2 * L + l], line[L + l]);
                        let weight = (position & LOW_MASK) as f32 * UNIT;
                        part[l] += lerp::<FUSED>(a, b, weight);
                    }
                } else {
                    let line = &line[at..at + 2 * L];
                    for l in 0..L {
                        part[l] += lerp::<FUSED>(line[l], line[L + l], hit.weight[p]);
                    }
                }
            }
        }
        for (total, part) in sums.as_flattened_mut().iter_mut().zip(parts.as_flattened()) {
            *total += part;
        }
    }
}

#[inline(always)]
fn lerp<const FUSED: bool>(a: f32, b: f32, weight: f32) -> f32 {
    if FUSED { (b - a).mul_add(weight, a) } else { a + (b - a) * weight }
}

/// `if yes { a } else { b }` in a form that compilers turn into vector code.
#[inline(always)]
fn either(yes: bool, a: f32, b: f32) -> f32 {
    let mask = u32::from(yes).wrapping_neg();
    f32::from_bits(a.to_bits() & mask | b.to_bits() & !mask)
}

pub(super) fn add_views<const L: usize, const TILTED: bool>(
    rays: &[Ray],
    corner: [i64; 2],
    fractions: &[i32; L],
    (lines, line_len): (&[[f32; L]], usize),
    hits: &mut [Hits],
    sums: &mut [[f32; L]; TILE_PX],
) {
    let hits = &mut hits[..rays.len()];
    locate::<L, TILTED>(rays, corner, line_len, hits);
    match (L, TILTED) {
        (1, _) => sum::<L, 8, TILTED, false>(hits, fractions, lines, line_len, sums),
        (4 | 8, false) => sum::<L, 4, TILTED, false>(hits, fractions, lines, line_len, sums),
        (4 | 8, true) | (_, false) => sum::<L, 2, TILTED, false>(hits, fractions, lines, line_len, sums),
        (_, true) => sum::<L, 1, TILTED, false>(hits, fractions, lines, line_len, sums),
    }
}
