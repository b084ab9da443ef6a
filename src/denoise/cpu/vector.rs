//! What the innermost loops need of a SIMD register, and the registers. Must not know images or networks.

/// A register of f32. Every operation is that of IEEE 754 in each lane, so that a lane's numbers do not depend on how many
/// lanes there are.
pub(super) trait Vector: Copy {
    const LANES: usize;

    fn splat(value: f32) -> Self;
    /// # Safety
    /// `LANES` values must be readable at `from`.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// `LANES` values must be writable at `to`.
    unsafe fn store(self, to: *mut f32);
    fn add(self, other: Self) -> Self;
    /// `self * factor + add`, rounded once where the instruction set can.
    fn mul_add(self, factor: Self, add: Self) -> Self;
    /// Negative values become 0; NaN stays what it is.
    fn ramp(self) -> Self;
}

/// Four lanes in plain Rust, which the compiler turns into vector code; without fused multiply-add.
#[derive(Clone, Copy)]
pub(super) struct Plain([f32; 4]);

impl Vector for Plain {
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Plain([value; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's; arrays of f32 are aligned as f32 are.
        Plain(unsafe { from.cast::<[f32; 4]>().read() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { to.cast::<[f32; 4]>().write(self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, add: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] * factor.0[i] + add.0[i]))
    }
    #[inline(always)]
    fn ramp(self) -> Self {
        Plain(self.0.map(|v| if v < 0.0 { 0.0 } else { v }))
    }
}

/// Writes a register out of the names of its instructions; if an argument of `$max` is NaN, what comes out is the second one, or
/// NaN.
macro_rules! register {
    (
        ($name:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $max:ident),
        |$a:ident, $b:ident, $c:ident| $mul_add:expr
    ) => {
        // SAFETY of all functions: a register of an instruction set is only used inside functions of `isa.rs` that are
        // compiled for it, and those are only called where the processor has it.
        impl Vector for $name {
            const LANES: usize = $lanes;

            #[inline(always)]
            fn splat(value: f32) -> Self {
                // SAFETY: see above the block.
                unsafe { $splat(value) }
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: the caller's, and no alignment is asked for.
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: as above.
                unsafe { $store(to, self) }
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: see above the block.
                unsafe { $add(self, other) }
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, add: Self) -> Self {
                let ($a, $b, $c) = (self, factor, add);
                // SAFETY: see above the block.
                unsafe { $mul_add }
            }
            #[inline(always)]
            fn ramp(self) -> Self {
                // SAFETY: see above the block.
                unsafe { $max($splat(0.0), self) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    register!(
        (__m512, 16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps, _mm512_max_ps),
        |a, b, c| _mm512_fmadd_ps(a, b, c)
    );
    register!(
        (__m256, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps, _mm256_max_ps),
        |a, b, c| _mm256_fmadd_ps(a, b, c)
    );
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::Vector;
    use std::arch::aarch64::*;

    register!((float32x4_t, 4, vdupq_n_f32, vld1q_f32, vst1q_f32, vaddq_f32, vmaxq_f32), |a, b, c| vfmaq_f32(c, a, b));
}
