//! AVX2 and FMA: 8 slices in a register, 8 sums in registers. Must not know images or files.

use super::tile::{self, Chunk, FRACTION_MASK, Hits, UNIT};
use super::vector::{Plain, Vector};
use std::arch::x86_64::*;

/// See [`tile::add_chunk`].
#[target_feature(enable = "avx2,fma")]
pub(super) fn add_chunk<const L: usize, const TILTED: bool>(
    chunk: &Chunk<'_, L>,
    hits: &mut Hits,
    sums: &mut [[f32; L]],
) {
    match L {
        32 | 16 => tile::add_chunk::<__m256, L, 2, 2, TILTED>(chunk, hits, sums),
        8 => tile::add_chunk::<__m256, L, 1, 4, TILTED>(chunk, hits, sums),
        _ => tile::add_chunk::<Plain<1, true>, L, 1, 4, TILTED>(chunk, hits, sums),
    }
}

// SAFETY of all functions below: a register type of an instruction set is only used inside `add_chunk`, here and for
// AVX-512, which is only called where the processor has it.
impl Vector for __m256 {
    type Mask = __m256;
    const LANES: usize = 8;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see above the block.
        unsafe { _mm256_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's, and no alignment is asked for.
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(to, self) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above the block.
        unsafe { _mm256_add_ps(self, other) }
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see above the block.
        unsafe { _mm256_sub_ps(self, other) }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: see above the block.
        unsafe { _mm256_min_ps(self, other) }
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, add: Self) -> Self {
        // SAFETY: see above the block.
        unsafe { _mm256_fmadd_ps(self, factor, add) }
    }
    #[inline(always)]
    unsafe fn split(low: i32, fractions: *const i32) -> (Self::Mask, Self) {
        // SAFETY: the caller's, and see above the block.
        unsafe {
            let mask = _mm256_set1_epi32(FRACTION_MASK);
            let position = _mm256_add_epi32(_mm256_set1_epi32(low), _mm256_loadu_si256(fractions.cast()));
            let weight = _mm256_cvtepi32_ps(_mm256_and_si256(position, mask));
            (_mm256_castsi256_ps(_mm256_cmpgt_epi32(position, mask)), _mm256_mul_ps(weight, _mm256_set1_ps(UNIT)))
        }
    }
    #[inline(always)]
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
        // SAFETY: see above the block.
        unsafe { _mm256_blendv_ps(no, yes, mask) }
    }
}
