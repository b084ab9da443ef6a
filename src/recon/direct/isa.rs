//! Which instruction set computes, chosen once per reconstruction. The only place that calls into the files of the
//! instruction sets. Must not know images, threads or files.

#[cfg(target_arch = "aarch64")]
use super::neon;
use super::tile::{self, Chunk, Hits};
use super::vector::Plain;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

/// Instruction set of the direct and the Fourier engine.
///
/// Each gives the same bits for any number of threads and slices; two of them differ by rounding, at most 1e-6 of the
/// largest value. The best that the processor has is taken; [`super::Fbp::with_isa`] is for tests and benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// What every machine of the architecture has, without fused multiply-add.
    Portable,
    /// AVX2 with FMA (x86-64).
    Avx2,
    /// AVX-512 F, BW, DQ and VL (x86-64).
    Avx512,
    /// NEON (64-bit ARM).
    Neon,
}

impl Isa {
    /// All instruction sets, the best first.
    pub const ALL: [Isa; 4] = [Isa::Avx512, Isa::Avx2, Isa::Neon, Isa::Portable];

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            Isa::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => false,
        }
    }

    /// The best that this processor has.
    pub fn best() -> Isa {
        Isa::ALL.into_iter().find(|isa| isa.is_available()).unwrap_or(Isa::Portable)
    }
}

/// An instruction set that this processor has.
#[derive(Clone, Copy)]
pub(in crate::recon) struct Checked(Isa);

impl Checked {
    pub fn new(isa: Isa) -> Option<Checked> {
        isa.is_available().then_some(Checked(isa))
    }
    pub fn best() -> Checked {
        Checked(Isa::best())
    }
    pub fn isa(self) -> Isa {
        self.0
    }

    /// See [`tile::add_chunk`].
    #[inline]
    pub(super) fn add_chunk<const L: usize, const TILTED: bool>(
        self,
        chunk: &Chunk<'_, L>,
        hits: &mut Hits,
        sums: &mut [[f32; L]],
    ) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Checked` is only made of what the processor has.
            Isa::Avx512 => unsafe { avx512::add_chunk::<L, TILTED>(chunk, hits, sums) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx2 => unsafe { avx2::add_chunk::<L, TILTED>(chunk, hits, sums) },
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => neon::add_chunk::<L, TILTED>(chunk, hits, sums),
            _ => match L {
                32 | 16 | 8 => tile::add_chunk::<Plain<4, false>, L, 2, 2, TILTED>(chunk, hits, sums),
                _ => tile::add_chunk::<Plain<1, false>, L, 1, 4, TILTED>(chunk, hits, sums),
            },
        }
    }
}
