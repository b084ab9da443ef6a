//! The innermost loops with AVX2 and FMA: 4 complex grid points in a register. Must not know images, threads or files.

use super::kernel::MAX_WIDTH;
use super::spread::{DENSE, DENSE_REACH, Grids, Point, Ray, Samples};
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

/// Adds the samples of a dense ray, four at a time: they reach 8 x 8 grid points, which are read and written once.
// `j` is a row of all four samples.
#[allow(clippy::needless_range_loop)]
#[target_feature(enable = "avx2,fma")]
pub(super) fn spread_dense(width: usize, ray: &Ray, taps: &[[f32; MAX_WIDTH]], samples: Samples, grids: Grids) {
    // Column weights twice each, moved right by 0 to 2 columns; lane 7 is 0, because dense rays have narrow kernels.
    let lane = |from: i32| if from < 0 { 7 } else { from };
    let pairs = |from: i32| {
        let [a, b, c, d] = [lane(from), lane(from + 1), lane(from + 2), lane(from + 3)];
        _mm256_setr_epi32(a, a, b, b, c, c, d, d)
    };
    let moves = [[pairs(0), pairs(4)], [pairs(-1), pairs(3)], [pairs(-2), pairs(2)]];
    let mut rows = [[0.0f32; MAX_WIDTH + DENSE_REACH]; DENSE];
    for i in (0..ray.part_len).step_by(DENSE) {
        for k in (ray.first + i..ray.end).step_by(ray.part_len) {
            let points: [Point; DENSE] = std::array::from_fn(|s| ray.point((k + s).min(ray.end - 1)));
            let (row, col) = (points[0].row, points[0].col.min(points[DENSE - 1].col));
            let mut cols = [[_mm256_setzero_ps(); 2]; DENSE];
            for (s, point) in points.iter().enumerate() {
                let [row_weights, col_weights] = weights(taps, point.fractions);
                store(&mut rows[s][DENSE_REACH..], row_weights);
                cols[s] = moves[point.col - col].map(|by| _mm256_permutevar8x32_ps(col_weights, by));
            }
            let height = points[DENSE - 1].row - row + width;
            let rows: [&[f32; MAX_WIDTH]; DENSE] =
                std::array::from_fn(|s| rows[s][DENSE_REACH - (points[s].row - row)..].first_chunk().expect("8 rows"));
            for slice in 0..samples.slices {
                let values = &samples.values[slice * samples.stride..];
                let mut products = cols;
                for (s, products) in products.iter_mut().enumerate() {
                    let value = if k + s < ray.end { pair(values[k + s]) } else { _mm256_setzero_ps() };
                    *products = products.map(|col| _mm256_mul_ps(value, col));
                }
                let start = slice * grids.stride + row * grids.row_len + col;
                let window = &mut grids.cells[start..start + (MAX_WIDTH - 1) * grids.row_len + MAX_WIDTH];
                for j in 0..height {
                    // SAFETY: 8 complex values from here on are within the window, and no alignment is asked for.
                    unsafe {
                        let cells = window.as_mut_ptr().add(j * grids.row_len).cast::<f32>();
                        let (mut low, mut high) = (_mm256_loadu_ps(cells), _mm256_loadu_ps(cells.add(8)));
                        for s in 0..DENSE {
                            let row = _mm256_set1_ps(rows[s][j]);
                            low = _mm256_fmadd_ps(products[s][0], row, low);
                            high = _mm256_fmadd_ps(products[s][1], row, high);
                        }
                        _mm256_storeu_ps(cells, low);
                        _mm256_storeu_ps(cells.add(8), high);
                    }
                }
            }
        }
    }
}

/// Weights of the rows and of the columns.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn weights(taps: &[[f32; MAX_WIDTH]], fractions: [f32; 2]) -> [__m256; 2] {
    let [rows, cols] = fractions.map(|t| _mm256_set1_ps(t));
    let mut weights = [load(&taps[0]); 2];
    for terms in &taps[1..] {
        let terms = load(terms);
        weights = [_mm256_fmadd_ps(weights[0], rows, terms), _mm256_fmadd_ps(weights[1], cols, terms)];
    }
    weights
}

/// The value, four times.
#[inline]
#[target_feature(enable = "avx2")]
fn pair(z: Complex) -> __m256 {
    // The real part first: the lower half of 64 bits.
    let bits = u64::from(z.im.to_bits()) << 32 | u64::from(z.re.to_bits());
    _mm256_castsi256_ps(_mm256_set1_epi64x(bits as i64))
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(values: &[f32; MAX_WIDTH]) -> __m256 {
    // SAFETY: 8 values, and no alignment is asked for.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(values: &mut [f32], register: __m256) {
    let values = &mut values[..8];
    // SAFETY: 8 values, and no alignment is asked for.
    unsafe { _mm256_storeu_ps(values.as_mut_ptr(), register) };
}

/// See [`portable::spread`].
#[target_feature(enable = "avx2,fma")]
pub(super) fn spread<const W: usize>(ray: &Ray, taps: &[[f32; MAX_WIDTH]], samples: Samples, grids: Grids) {
    let (low, high) = (_mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3), _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7));
    let mut rows = [0.0f32; MAX_WIDTH];
    for i in 0..ray.part_len {
        for k in (ray.first + i..ray.end).step_by(ray.part_len) {
            let point = ray.point(k);
            let [row_weights, col_weights] = weights(taps, point.fractions);
            store(&mut rows, row_weights);
            let cols = [_mm256_permutevar8x32_ps(col_weights, low), _mm256_permutevar8x32_ps(col_weights, high)];
            for slice in 0..samples.slices {
                let value = pair(samples.values[slice * samples.stride + k]);
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
