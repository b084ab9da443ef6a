//! Which instruction set computes, chosen once per engine, and the tiles that fit its registers. Must not know images, networks
//! or threads.

use super::kernels::{self, Correlation, Finish, Row};
use super::vector::Plain;
use crate::simd::Isa;
#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::float32x4_t;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};

/// The inner loops of an instruction set that this processor has.
#[derive(Clone, Copy)]
pub(super) struct Kernels(Isa);

impl Kernels {
    pub fn new(isa: Isa) -> Option<Kernels> {
        isa.is_available().then_some(Kernels(isa))
    }
    pub fn best() -> Kernels {
        Kernels(Isa::best())
    }
    pub fn isa(self) -> Isa {
        self.0
    }
    /// See [`kernels::row`].
    pub fn row(self, row: &Row, finish: Finish, out: &mut [f32]) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Kernels` are only made of what the processor has.
            Isa::Avx512 => unsafe { row_avx512(row, finish, out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx2 => unsafe { row_avx2(row, finish, out) },
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => kernels::row::<float32x4_t, 4, 6>(row, finish, out),
            _ => kernels::row::<Plain, 4, 2>(row, finish, out),
        }
    }
    /// See [`kernels::correlate`].
    pub fn correlate(self, of: &Correlation, sums: &mut [f32]) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Kernels` are only made of what the processor has.
            Isa::Avx512 => unsafe { correlate_avx512(of, sums) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx2 => unsafe { correlate_avx2(of, sums) },
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => kernels::correlate::<float32x4_t, 4, 4>(of, sums),
            _ => kernels::correlate::<Plain, 2, 4>(of, sums),
        }
    }
}

/// 32 registers: 24 sums with two registers of weights, or 16 with one.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
fn row_avx512(row: &Row, finish: Finish, out: &mut [f32]) {
    match row.wide {
        32 => kernels::row::<__m512, 2, 12>(row, finish, out),
        _ => kernels::row::<__m512, 1, 16>(row, finish, out),
    }
}

/// 16 registers: 12 sums, two registers of weights.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn row_avx2(row: &Row, finish: Finish, out: &mut [f32]) {
    kernels::row::<__m256, 2, 6>(row, finish, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
fn correlate_avx512(of: &Correlation, sums: &mut [f32]) {
    match of.wide {
        32 => kernels::correlate::<__m512, 2, 12>(of, sums),
        _ => kernels::correlate::<__m512, 1, 16>(of, sums),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn correlate_avx2(of: &Correlation, sums: &mut [f32]) {
    kernels::correlate::<__m256, 2, 4>(of, sums);
}
