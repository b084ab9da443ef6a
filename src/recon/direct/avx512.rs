//! The innermost loop with AVX-512: 16 slices in a register, 16 pixels in 16 registers. Must not know images, threads
//! or files.

use super::{Hits, LOW_MASK, Ray, TILE_PX, avx2, portable};
use std::arch::x86_64::*;

const LANES: usize = 16;

/// See [`portable::add_views`].
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
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
        (LANES, false) => sum16(hits, lines.as_flattened(), line_len, sums.as_flattened_mut()),
        (LANES, true) => sum16_tilted(hits, fractions, lines.as_flattened(), line_len, sums.as_flattened_mut()),
        _ => avx2::sum_few::<L, TILTED>(hits, fractions, lines, line_len, sums),
    }
}

/// See [`portable::sum`].
#[target_feature(enable = "avx512f")]
fn sum16(hits: &[Hits], lines: &[f32], line_len: usize, sums: &mut [f32]) {
    let mut parts = [_mm512_setzero_ps(); TILE_PX];
    for (hit, line) in hits.iter().zip(lines.chunks_exact(LANES * line_len)) {
        for (p, part) in parts.iter_mut().enumerate() {
            let at = hit.at[p] as usize;
            let cols = line[at..at + 2 * LANES].as_chunks().0;
            let (a, b) = (load(&cols[0]), load(&cols[1]));
            let lerp = _mm512_fmadd_ps(_mm512_sub_ps(b, a), _mm512_set1_ps(hit.weight[p]), a);
            *part = _mm512_add_ps(*part, lerp);
        }
    }
    store(&parts, sums);
}

#[target_feature(enable = "avx512f")]
fn sum16_tilted(hits: &[Hits], fractions: &[i32], lines: &[f32], line_len: usize, sums: &mut [f32]) {
    let fractions = {
        let mut lanes = [0; LANES];
        lanes.copy_from_slice(fractions);
        // SAFETY: 16 integers.
        unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
    };
    let (mask, unit) = (_mm512_set1_epi32(LOW_MASK), _mm512_set1_ps(portable::UNIT));
    let mut parts = [_mm512_setzero_ps(); TILE_PX];
    for (hit, line) in hits.iter().zip(lines.chunks_exact(LANES * line_len)) {
        for (p, part) in parts.iter_mut().enumerate() {
            let at = hit.at[p] as usize;
            let cols = line[at..at + 3 * LANES].as_chunks().0;
            let position = _mm512_add_epi32(_mm512_set1_epi32(hit.low[p]), fractions);
            let carry = _mm512_cmpgt_epi32_mask(position, mask);
            let q = load(&cols[1]);
            let (a, b) = (_mm512_mask_mov_ps(load(&cols[0]), carry, q), _mm512_mask_mov_ps(q, carry, load(&cols[2])));
            let weight = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_and_si512(position, mask)), unit);
            *part = _mm512_add_ps(*part, _mm512_fmadd_ps(_mm512_sub_ps(b, a), weight, a));
        }
    }
    store(&parts, sums);
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(values: &[f32; LANES]) -> __m512 {
    // SAFETY: 16 values, and no alignment is asked for.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

/// Adds the sums of the pixels to the totals.
#[inline]
#[target_feature(enable = "avx512f")]
fn store(parts: &[__m512; TILE_PX], sums: &mut [f32]) {
    for (total, part) in sums.as_chunks_mut::<LANES>().0.iter_mut().zip(parts) {
        let sum = _mm512_add_ps(load(total), *part);
        // SAFETY: 16 values, and no alignment is asked for.
        unsafe { _mm512_storeu_ps(total.as_mut_ptr(), sum) };
    }
}
