//! The innermost loops with AVX2 and FMA: 4 complex grid points in a register. Must not know images, threads or files.

use super::kernel::{MAX_WIDTH, TERMS};
use super::spread::{Grids, Ray, Samples};
use super::views::Turn;
use super::{Complex, portable};
use std::arch::x86_64::*;

/// See [`portable::part`].
#[target_feature(enable = "avx2,fma")]
pub(super) fn part(
    z: &[Complex],
    response: &[Complex],
    turns: [&Turn; 2],
    out: [&mut [Complex]; 2],
    limit: f32,
) -> bool {
    portable::part::<true>(z, response, turns, out, limit)
}

/// See [`portable::spread`].
#[target_feature(enable = "avx2,fma")]
pub(super) fn spread<const W: usize>(ray: &Ray, taps: &[[f32; MAX_WIDTH]; TERMS], samples: Samples, grids: Grids) {
    // SAFETY: 8 values each, and no alignment is asked for.
    let taps: [__m256; TERMS] = std::array::from_fn(|i| unsafe { _mm256_loadu_ps(taps[i].as_ptr()) });
    let (low, high) = (_mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3), _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7));
    let mut rows = [0.0f32; MAX_WIDTH];
    for i in 0..ray.part_len {
        for k in (ray.first + i..ray.end).step_by(ray.part_len) {
            let point = ray.point(k);
            let [row_weights, col_weights] = point.fractions.map(|t| {
                let t = _mm256_set1_ps(t);
                let mut weights = taps[0];
                for terms in &taps[1..] {
                    weights = _mm256_fmadd_ps(weights, t, *terms);
                }
                weights
            });
            // SAFETY: 8 values, and no alignment is asked for.
            unsafe { _mm256_storeu_ps(rows.as_mut_ptr(), row_weights) };
            let cols = [_mm256_permutevar8x32_ps(col_weights, low), _mm256_permutevar8x32_ps(col_weights, high)];
            for slice in 0..samples.slices {
                let value = samples.values[slice * samples.stride + k];
                let value =
                    _mm256_setr_ps(value.re, value.im, value.re, value.im, value.re, value.im, value.re, value.im);
                let products = cols.map(|col| _mm256_mul_ps(value, col));
                let start = slice * grids.stride + point.row * grids.row_len + point.col;
                let window = &mut grids.cells[start..start + (W - 1) * grids.row_len + W];
                for (j, row) in rows[..W].iter().enumerate() {
                    let row = _mm256_set1_ps(*row);
                    // SAFETY: `W` complex values from here on are within the window, and no alignment is asked for.
                    unsafe {
                        let cells = window.as_mut_ptr().add(j * grids.row_len).cast::<f32>();
                        _mm256_storeu_ps(cells, _mm256_fmadd_ps(products[0], row, _mm256_loadu_ps(cells)));
                        let cells = cells.add(8);
                        if W == 6 {
                            let (product, row) = (_mm256_castps256_ps128(products[1]), _mm256_castps256_ps128(row));
                            _mm_storeu_ps(cells, _mm_fmadd_ps(product, row, _mm_loadu_ps(cells)));
                        } else if W == 8 {
                            _mm256_storeu_ps(cells, _mm256_fmadd_ps(products[1], row, _mm256_loadu_ps(cells)));
                        }
                    }
                }
            }
        }
    }
}
