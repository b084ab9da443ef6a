//! What the innermost loop needs of a SIMD register, and the register of plain Rust. Must not know images or views.

use super::tile::{FRACTION_MASK, UNIT};

/// A register of f32. Every operation is that of IEEE 754 in each lane, so that a lane's numbers do not depend on how
/// many lanes there are.
pub(super) trait Vector: Copy {
    /// Chooses lanes.
    type Mask: Copy;
    const LANES: usize;

    fn splat(value: f32) -> Self;
    /// # Safety
    /// `LANES` values must be readable at `from`.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// `LANES` values must be writable at `to`.
    unsafe fn store(self, to: *mut f32);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn min(self, other: Self) -> Self;
    /// `self * factor + add`, rounded once where the instruction set can.
    fn mul_add(self, factor: Self, add: Self) -> Self;
    /// Adds to the fraction `low` of a position one fraction per lane: where the sum reaches a whole column, and what is
    /// beyond it, as a weight from 0 to 1.
    ///
    /// # Safety
    /// `LANES` values must be readable at `fractions`.
    unsafe fn split(low: i32, fractions: *const i32) -> (Self::Mask, Self);
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
}

/// `N` lanes in plain Rust, which the compiler turns into vector code; `FUSED`: with fused multiply-add.
#[derive(Clone, Copy)]
pub(super) struct Plain<const N: usize, const FUSED: bool>([f32; N]);

impl<const N: usize, const FUSED: bool> Plain<N, FUSED> {
    #[inline(always)]
    fn each(self, other: Self, op: impl Fn(f32, f32) -> f32) -> Self {
        Plain(std::array::from_fn(|i| op(self.0[i], other.0[i])))
    }
}

impl<const N: usize, const FUSED: bool> Vector for Plain<N, FUSED> {
    type Mask = [bool; N];
    const LANES: usize = N;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Plain([value; N])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's; arrays of f32 are aligned as f32 are.
        Plain(unsafe { from.cast::<[f32; N]>().read() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { to.cast::<[f32; N]>().write(self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.each(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.each(other, |a, b| a - b)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.each(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, add: Self) -> Self {
        let one = |i: usize| {
            if FUSED { self.0[i].mul_add(factor.0[i], add.0[i]) } else { self.0[i] * factor.0[i] + add.0[i] }
        };
        Plain(std::array::from_fn(one))
    }
    #[inline(always)]
    unsafe fn split(low: i32, fractions: *const i32) -> (Self::Mask, Self) {
        // SAFETY: the caller's.
        let positions = unsafe { fractions.cast::<[i32; N]>().read() }.map(|fraction| low + fraction);
        let weight = |position: i32| (position & FRACTION_MASK) as f32 * UNIT;
        (positions.map(|position| position > FRACTION_MASK), Plain(positions.map(weight)))
    }
    #[inline(always)]
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
        // In a form that compilers turn into vector code.
        let one = |i: usize| {
            let bits = u32::from(mask[i]).wrapping_neg();
            f32::from_bits(yes.0[i].to_bits() & bits | no.0[i].to_bits() & !bits)
        };
        Plain(std::array::from_fn(one))
    }
}
