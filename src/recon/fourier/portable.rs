//! The innermost loops in plain Rust, for any machine; the files of the instruction sets instantiate those that they do
//! not write by hand. Must not know images, threads or files.

use super::Complex;
use super::kernel::MAX_WIDTH;
use super::spread::{Grids, Ray, Samples};
use super::views::{BLOCK, Turn};

/// Adds the samples of a ray to the grids of several slices.
#[inline(always)]
pub(super) fn spread<const W: usize, const FUSED: bool>(
    ray: &Ray,
    taps: &[[f32; MAX_WIDTH]],
    samples: Samples,
    grids: Grids,
) {
    for i in 0..ray.part_len {
        for k in (ray.first + i..ray.end).step_by(ray.part_len) {
            let point = ray.point(k);
            let [rows, cols] = point.fractions.map(|t| {
                let mut weights = taps[0];
                for terms in &taps[1..] {
                    for (weight, term) in weights.iter_mut().zip(terms) {
                        *weight = add::<FUSED>(*term, *weight, t);
                    }
                }
                weights
            });
            for slice in 0..samples.slices {
                let value = samples.values[slice * samples.stride + k];
                let mut products = [Complex::new(0.0, 0.0); W];
                for (product, col) in products.iter_mut().zip(cols) {
                    *product = value * col;
                }
                let start = slice * grids.stride + point.row * grids.row_len + point.col;
                let window = &mut grids.cells[start..start + (W - 1) * grids.row_len + W];
                for (cells, row) in window.chunks_mut(grids.row_len).zip(rows) {
                    for (cell, product) in cells[..W].iter_mut().zip(products) {
                        cell.re = add::<FUSED>(cell.re, product.re, row);
                        cell.im = add::<FUSED>(cell.im, product.im, row);
                    }
                }
            }
        }
    }
}

/// Parts two views that were transformed as one, `z[0..=len]` with `z[len] = z[0]`, times `response` and the turns:
/// `out[i][k] = view i (k) · response[k] · turn i (k)`. True if all are within ±`limit`.
#[inline(always)]
pub(super) fn part<const FUSED: bool>(
    z: &[Complex],
    response: &[Complex],
    turns: [&Turn; 2],
    mut out: [&mut [Complex]; 2],
    limit: f32,
) -> bool {
    let (last, mut within) = (z.len() - 1, true);
    for (block, response) in response.chunks(BLOCK).enumerate() {
        let (k, len) = (block * BLOCK, response.len());
        // The mirrored half, in falling order.
        let mirror = &z[last + 1 - k - len..][..len];
        let mut parts = [[[0.0f32; BLOCK]; 2]; 2];
        let [first, second] = &mut parts;
        for (i, z) in z[k..][..len].iter().enumerate() {
            let y = mirror[len - 1 - i];
            (first[0][i], first[1][i]) = (z.re + y.re, z.im - y.im);
            (second[0][i], second[1][i]) = (z.im + y.im, y.re - z.re);
        }
        for ((part, turn), out) in parts.iter().zip(turns).zip(&mut out) {
            let (coarse, turn_sign) = (turn.coarse[block], turn.sign);
            for (i, (out, h)) in out[k..][..len].iter_mut().zip(response).enumerate() {
                let turn = times::<FUSED>(coarse, Complex::new(turn.fine[0][i], turn.fine[1][i]));
                let value = times::<FUSED>(times::<FUSED>(Complex::new(part[0][i], part[1][i]), *h), turn);
                within &= (value.re.abs() <= limit) & (value.im.abs() <= limit);
                *out = Complex::new(value.re, value.im * turn_sign);
            }
        }
    }
    within
}

#[inline(always)]
fn times<const FUSED: bool>(a: Complex, b: Complex) -> Complex {
    Complex::new(add::<FUSED>(a.re * b.re, -a.im, b.im), add::<FUSED>(a.re * b.im, a.im, b.re))
}

/// `a + b * c`
#[inline(always)]
fn add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { b.mul_add(c, a) } else { a + b * c }
}
