//! NEON, which every 64-bit ARM has: 4 slices in a register, 16 sums in registers. Must not know images or files.

use super::tile::{self, Chunk, FRACTION_MASK, Hits, UNIT};
use super::vector::{Plain, Vector};
use std::arch::aarch64::*;

/// See [`tile::add_chunk`].
pub(super) fn add_chunk<const L: usize, const TILTED: bool>(
    chunk: &Chunk<'_, L>,
    hits: &mut Hits,
    sums: &mut [[f32; L]],
) {
    match L {
        32 | 16 => tile::add_chunk::<float32x4_t, L, 4, 2, TILTED>(chunk, hits, sums),
        8 => tile::add_chunk::<float32x4_t, L, 2, 4, TILTED>(chunk, hits, sums),
        _ => tile::add_chunk::<Plain<1, true>, L, 1, 4, TILTED>(chunk, hits, sums),
    }
}

// SAFETY of all functions below: every processor of this architecture has NEON.
impl Vector for float32x4_t {
    type Mask = uint32x4_t;
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see above the block.
        unsafe { vdupq_n_f32(value) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's.
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe { vst1q_f32(to, self) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above the block.
        unsafe { vaddq_f32(self, other) }
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see above the block.
        unsafe { vsubq_f32(self, other) }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: see above the block.
        unsafe { vminq_f32(self, other) }
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, add: Self) -> Self {
        // SAFETY: see above the block.
        unsafe { vfmaq_f32(add, self, factor) }
    }
    #[inline(always)]
    unsafe fn split(low: i32, fractions: *const i32) -> (Self::Mask, Self) {
        // SAFETY: the caller's.
        unsafe {
            let mask = vdupq_n_s32(FRACTION_MASK);
            let position = vaddq_s32(vdupq_n_s32(low), vld1q_s32(fractions));
            let weight = vcvtq_f32_s32(vandq_s32(position, mask));
            (vcgtq_s32(position, mask), vmulq_n_f32(weight, UNIT))
        }
    }
    #[inline(always)]
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
        // SAFETY: see above the block.
        unsafe { vbslq_f32(mask, yes, no) }
    }
}
