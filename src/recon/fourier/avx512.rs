//! The innermost loop with AVX-512: the polynomials of rows and columns in one register, 8 complex grid points in another.
//! Must not know images, threads or files.

use super::kernel::{MAX_WIDTH, TERMS};
use super::spread::{Grids, Ray, Samples};
use std::arch::x86_64::*;

/// See [`super::portable::spread`].
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
pub(super) fn spread<const W: usize>(ray: &Ray, taps: &[[f32; MAX_WIDTH]; TERMS], samples: Samples, grids: Grids) {
    // SAFETY: 8 values each, and no alignment is asked for.
    let taps: [__m512; TERMS] =
        std::array::from_fn(|i| unsafe { _mm512_broadcast_f32x8(_mm256_loadu_ps(taps[i].as_ptr())) });
    let pairs = _mm512_setr_epi32(8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15);
    let mask = if W == 6 { 0x0fff } else { 0xffff };
    let mut rows = [0.0f32; MAX_WIDTH];
    for i in 0..ray.part_len {
        for k in (ray.first + i..ray.end).step_by(ray.part_len) {
            let point = ray.point(k);
            let [row, col] = point.fractions.map(|t| _mm256_set1_ps(t));
            let t = _mm512_insertf32x8::<1>(_mm512_castps256_ps512(row), col);
            let mut weights = taps[0];
            for terms in &taps[1..] {
                weights = _mm512_fmadd_ps(weights, t, *terms);
            }
            // SAFETY: 8 values, and no alignment is asked for.
            unsafe { _mm256_storeu_ps(rows.as_mut_ptr(), _mm512_castps512_ps256(weights)) };
            let cols = _mm512_permutexvar_ps(pairs, weights);
            for slice in 0..samples.slices {
                let value = samples.values[slice * samples.stride + k];
                // The real part first: the lower half of 64 bits.
                let value = f64::from_bits(u64::from(value.im.to_bits()) << 32 | u64::from(value.re.to_bits()));
                let product = _mm512_mul_ps(_mm512_castpd_ps(_mm512_set1_pd(value)), cols);
                let start = slice * grids.stride + point.row * grids.row_len + point.col;
                let window = &mut grids.cells[start..start + (W - 1) * grids.row_len + W];
                for (j, row) in rows[..W].iter().enumerate() {
                    // SAFETY: `W` complex values from here on are within the window, the mask leaves out what is
                    // beyond them, and no alignment is asked for.
                    unsafe {
                        let cells = window.as_mut_ptr().add(j * grids.row_len).cast::<f32>();
                        if W == 4 {
                            let sum = _mm256_loadu_ps(cells);
                            let sum = _mm256_fmadd_ps(_mm512_castps512_ps256(product), _mm256_set1_ps(*row), sum);
                            _mm256_storeu_ps(cells, sum);
                        } else {
                            let sum = _mm512_maskz_loadu_ps(mask, cells);
                            let sum = _mm512_fmadd_ps(product, _mm512_set1_ps(*row), sum);
                            _mm512_mask_storeu_ps(cells, mask, sum);
                        }
                    }
                }
            }
        }
    }
}
