//! Calls into the files of the instruction sets. Must not know images, threads or files.

use super::Complex;
use super::kernel::MAX_WIDTH;
use super::portable;
use super::spread::{Grids, Ray, Samples};
use super::views::Turn;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::recon::direct::{Checked, Isa};

/// Adds the samples of a ray to the grids of several slices.
pub(super) fn spread(isa: Checked, width: usize, ray: &Ray, taps: &[[f32; MAX_WIDTH]], samples: Samples, grids: Grids) {
    match (isa.isa(), ray.is_dense, width) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a `Checked` is only made of what the processor has.
        (Isa::Avx512, true, _) => unsafe { avx512::spread_dense(width, ray, taps, samples, grids) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        (Isa::Avx2, true, _) => unsafe { avx2::spread_dense(width, ray, taps, samples, grids) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        (Isa::Avx512 | Isa::Avx2, _, 4) => unsafe { avx2::spread::<4>(ray, taps, samples, grids) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        (Isa::Avx512 | Isa::Avx2, _, 6) => unsafe { avx2::spread::<6>(ray, taps, samples, grids) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        (Isa::Avx512 | Isa::Avx2, _, _) => unsafe { avx2::spread::<8>(ray, taps, samples, grids) },
        (Isa::Neon, _, 4) => portable::spread::<4, true>(ray, taps, samples, grids),
        (Isa::Neon, _, 6) => portable::spread::<6, true>(ray, taps, samples, grids),
        (Isa::Neon, _, _) => portable::spread::<8, true>(ray, taps, samples, grids),
        (_, _, 4) => portable::spread::<4, false>(ray, taps, samples, grids),
        (_, _, 6) => portable::spread::<6, false>(ray, taps, samples, grids),
        (_, _, _) => portable::spread::<8, false>(ray, taps, samples, grids),
    }
}

/// Parts two views that were transformed as one, see [`portable::part`].
pub(super) fn part(
    isa: Checked,
    z: &[Complex],
    response: &[Complex],
    turns: [&Turn; 2],
    out: [&mut [Complex]; 2],
    limit: f32,
) -> bool {
    match isa.isa() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a `Checked` is only made of what the processor has.
        Isa::Avx512 | Isa::Avx2 => unsafe { avx2::part(z, response, turns, out, limit) },
        Isa::Neon => portable::part::<true>(z, response, turns, out, limit),
        _ => portable::part::<false>(z, response, turns, out, limit),
    }
}
