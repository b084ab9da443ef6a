//! The innermost loop with AVX2 and FMA: 8 slices in a register, 8 sums in registers. Must not know images, threads or
//! files.

use super::{Hits, LOW_MASK, Ray, TILE_PX, portable};
use std::arch::x86_64::*;

const LANES: usize = 8;

/// See [`portable::add_views`].
#[target_feature(enable = "avx2,fma")]
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
        (16, false) => sum_wide::<2, 4>(hits, lines.as_flattened(), line_len, sums.as_flattened_mut()),
        (16, true) => {
            sum_tilted::<2, 2>(hits, fractions, lines.as_flattened(), line_len, sums.as_flattened_mut());
        }
        _ => sum_few::<L, TILTED>(hits, fractions, lines, line_len, sums),
    }
}

/// See [`portable::sum`]; up to 8 lanes.
#[target_feature(enable = "avx2,fma")]
pub(super) fn sum_few<const L: usize, const TILTED: bool>(
    hits: &[Hits],
    fractions: &[i32; L],
    lines: &[[f32; L]],
    line_len: usize,
    sums: &mut [[f32; L]; TILE_PX],
) {
    match (L, TILTED) {
        (LANES, false) => sum_wide::<1, 8>(hits, lines.as_flattened(), line_len, sums.as_flattened_mut()),
        (LANES, true) => {
            sum_tilted::<1, 4>(hits, fractions, lines.as_flattened(), line_len, sums.as_flattened_mut());
        }
        _ => portable::sum::<L, 8, TILTED, true>(hits, fractions, lines, line_len, sums),
    }
}

/// `V` registers per pixel, `Q` pixels at a time.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_wide<const V: usize, const Q: usize>(hits: &[Hits], lines: &[f32], line_len: usize, sums: &mut [f32]) {
    for (group, sums) in sums.chunks_exact_mut(LANES * V * Q).enumerate() {
        let mut parts = [[_mm256_setzero_ps(); V]; Q];
        for (hit, line) in hits.iter().zip(lines.chunks_exact(LANES * V * line_len)) {
            for (q, part) in parts.iter_mut().enumerate() {
                let at = hit.at[group * Q + q] as usize;
                let cols = line[at..at + 2 * V * LANES].as_chunks().0;
                let weight = _mm256_set1_ps(hit.weight[group * Q + q]);
                for (v, part) in part.iter_mut().enumerate() {
                    let (a, b) = (load(&cols[v]), load(&cols[V + v]));
                    *part = _mm256_add_ps(*part, _mm256_fmadd_ps(_mm256_sub_ps(b, a), weight, a));
                }
            }
        }
        store(parts.as_flattened(), sums);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_tilted<const V: usize, const Q: usize>(
    hits: &[Hits],
    fractions: &[i32],
    lines: &[f32],
    line_len: usize,
    sums: &mut [f32],
) {
    let mut lanes = [_mm256_setzero_si256(); V];
    for (lanes, fractions) in lanes.iter_mut().zip(fractions.as_chunks::<LANES>().0) {
        // SAFETY: 8 integers, and no alignment is asked for.
        *lanes = unsafe { _mm256_loadu_si256(fractions.as_ptr().cast()) };
    }
    let (mask, unit) = (_mm256_set1_epi32(LOW_MASK), _mm256_set1_ps(portable::UNIT));
    for (group, sums) in sums.chunks_exact_mut(LANES * V * Q).enumerate() {
        let mut parts = [[_mm256_setzero_ps(); V]; Q];
        for (hit, line) in hits.iter().zip(lines.chunks_exact(LANES * V * line_len)) {
            for (q, part) in parts.iter_mut().enumerate() {
                let at = hit.at[group * Q + q] as usize;
                let cols = line[at..at + 3 * V * LANES].as_chunks().0;
                let low = _mm256_set1_epi32(hit.low[group * Q + q]);
                for (v, part) in part.iter_mut().enumerate() {
                    let position = _mm256_add_epi32(low, lanes[v]);
                    let carry = _mm256_castsi256_ps(_mm256_cmpgt_epi32(position, mask));
                    let middle = load(&cols[V + v]);
                    let a = _mm256_blendv_ps(load(&cols[v]), middle, carry);
                    let b = _mm256_blendv_ps(middle, load(&cols[2 * V + v]), carry);
                    let weight = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_and_si256(position, mask)), unit);
                    *part = _mm256_add_ps(*part, _mm256_fmadd_ps(_mm256_sub_ps(b, a), weight, a));
                }
            }
        }
        store(parts.as_flattened(), sums);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(values: &[f32; LANES]) -> __m256 {
    // SAFETY: 8 values, and no alignment is asked for.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

/// Adds sums of pixels to their totals.
#[inline]
#[target_feature(enable = "avx2")]
fn store(parts: &[__m256], sums: &mut [f32]) {
    for (total, part) in sums.as_chunks_mut::<LANES>().0.iter_mut().zip(parts) {
        let sum = _mm256_add_ps(load(total), *part);
        // SAFETY: 8 values, and no alignment is asked for.
        unsafe { _mm256_storeu_ps(total.as_mut_ptr(), sum) };
    }
}
