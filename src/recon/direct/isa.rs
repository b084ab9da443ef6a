//! Which instruction set computes, chosen once per reconstruction. The only place that calls into the files of the
//! instruction sets. Must not know images, threads or files.

#[cfg(target_arch = "aarch64")]
use super::neon;
use super::tile::{self, Chunk, Hits};
use super::vector::Plain;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::simd::Isa;

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
