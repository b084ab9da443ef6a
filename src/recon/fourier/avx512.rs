//! The innermost loop with AVX-512: the polynomials of rows and columns in one register, 8 complex grid points in another.
//! Must not know images, threads or files.

use super::kernel::MAX_WIDTH;
use super::spread::{DENSE, DENSE_REACH, Grids, Point, Ray, Samples};
use std::arch::x86_64::*;

/// See [`super::avx2::spread_dense`].
// `j` is a row of all four samples.
#[allow(clippy::needless_range_loop)]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
pub(super) fn spread_dense(width: usize, ray: &Ray, taps: &[[f32; MAX_WIDTH]], samples: Samples, grids: Grids) {
    // Column weights twice each, moved right by 0 to 2 columns; lane 15 is 0, because dense rays have narrow kernels.
    let pairs = |from: i32| {
        let lanes: [i32; 16] = std::array::from_fn(|i| if i as i32 / 2 < from { 15 } else { 8 + i as i32 / 2 - from });
        // SAFETY: 16 values, and no alignment is asked for.
        unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
    };
    let moves = [pairs(0), pairs(1), pairs(2)];
    let mut rows = [[0.0f32; MAX_WIDTH + DENSE_REACH]; DENSE];
    for i in (0..ray.part_len).step_by(DENSE) {
        for k in (ray.first + i..ray.end).step_by(ray.part_len) {
            let points: [Point; DENSE] = std::array::from_fn(|s| ray.point((k + s).min(ray.end - 1)));
            let (row, col) = (points[0].row, points[0].col.min(points[DENSE - 1].col));
            let t = std::array::from_fn::<_, DENSE, _>(|s| {
                let [row, col] = points[s].fractions.map(|t| _mm256_set1_ps(t));
                _mm512_insertf32x8::<1>(_mm512_castps256_ps512(row), col)
            });
            let mut weights = [twice(&taps[0]); DENSE];
            for terms in &taps[1..] {
                let terms = twice(terms);
                for s in 0..DENSE {
                    weights[s] = _mm512_fmadd_ps(weights[s], t[s], terms);
                }
            }
            for (rows, weights) in rows.iter_mut().zip(weights) {
                let rows = &mut rows[DENSE_REACH..][..MAX_WIDTH];
                // SAFETY: 8 values, and no alignment is asked for.
                unsafe { _mm256_storeu_ps(rows.as_mut_ptr(), _mm512_castps512_ps256(weights)) };
            }
            let cols: [__m512; DENSE] =
                std::array::from_fn(|s| _mm512_permutexvar_ps(moves[points[s].col - col], weights[s]));
            let height = points[DENSE - 1].row - row + width;
            let rows: [&[f32; MAX_WIDTH]; DENSE] =
                std::array::from_fn(|s| rows[s][DENSE_REACH - (points[s].row - row)..].first_chunk().expect("8 rows"));
            for slice in 0..samples.slices {
                let values = &samples.values[slice * samples.stride..];
                let products: [__m512; DENSE] = std::array::from_fn(|s| {
                    if k + s >= ray.end {
                        return _mm512_setzero_ps();
                    }
                    // The real part first: the lower half of 64 bits.
                    let z = values[k + s];
                    let bits = u64::from(z.im.to_bits()) << 32 | u64::from(z.re.to_bits());
                    _mm512_mul_ps(_mm512_castsi512_ps(_mm512_set1_epi64(bits as i64)), cols[s])
                });
                let start = slice * grids.stride + row * grids.row_len + col;
                let window = &mut grids.cells[start..start + (MAX_WIDTH - 1) * grids.row_len + MAX_WIDTH];
                for j in 0..height {
                    // SAFETY: 8 complex values from here on are within the window, and no alignment is asked for.
                    unsafe {
                        let cells = window.as_mut_ptr().add(j * grids.row_len).cast::<f32>();
                        let mut sum = _mm512_loadu_ps(cells);
                        for s in 0..DENSE {
                            sum = _mm512_fmadd_ps(products[s], _mm512_set1_ps(rows[s][j]), sum);
                        }
                        _mm512_storeu_ps(cells, sum);
                    }
                }
            }
        }
    }
}

/// The values in the lower and in the upper half.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx2")]
fn twice(values: &[f32; MAX_WIDTH]) -> __m512 {
    // SAFETY: 8 values, and no alignment is asked for.
    unsafe { _mm512_broadcast_f32x8(_mm256_loadu_ps(values.as_ptr())) }
}
