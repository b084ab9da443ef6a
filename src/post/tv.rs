//! Total variation: the image nearest to the given one that varies less.

use super::wave::{Around, Iteration};
use crate::simd::{Kernel, widest};
use ndarray::{ArrayView2, ArrayViewMut2};

/// Images of a slice: given, wanted, wanted and extrapolated, and the three parts of the dual vector.
const GIVEN: usize = 0;
const BAR: usize = 2;
const DUAL_Z: usize = 5;
const FIELDS: usize = 6;

/// Minimises λ/2 Σ (u - f)² + Σ |∇u| over u, the model of Rudin, Osher and Fatemi (doi:10.1016/0167-2789(92)90242-F), by the
/// primal-dual iterations of Chambolle and Pock (doi:10.1007/s10851-010-0251-1).
///
/// ∇ are forward differences, 0 at the far faces of the volume; |∇u| is the length of the vector. λ has the unit 1 / voxel value:
/// larger keeps more. A wave of it reaches as many slices up and down as it does iterations.
#[derive(Clone, Debug)]
pub struct Tv {
    /// Voxels are multiplied by this power of 2, which takes them to where a λ near 1 is the same; 0 keeps them as they are.
    scale: f32,
    lambda: f32,
}

/// Both step lengths, 1/√12: the square of the norm of the gradient is below 12.
const STEP: f32 = 0.288_675_14;

impl Tv {
    /// With an infinite λ everything stays as it is.
    pub fn new(lambda: f64) -> Self {
        // A power of 2 changes no digits.
        let scale = lambda.log2().round().clamp(-100.0, 100.0).exp2();
        let (scale, lambda) = if lambda.is_finite() { (scale, lambda / scale) } else { (0.0, 1.0) };
        Tv { scale: scale as f32, lambda: lambda as f32 }
    }
}

impl Iteration for Tv {
    const FIELDS: usize = FIELDS;

    fn begin(&self, input: ArrayView2<f32>, fields: &mut [f32]) {
        let plane = input.len();
        let scale = if self.scale > 0.0 { self.scale } else { 1.0 };
        let (images, dual) = fields.split_at_mut(3 * plane);
        images[..plane].iter_mut().zip(input).for_each(|(f, v)| *f = scale * v);
        images.copy_within(..plane, plane);
        images.copy_within(..plane, 2 * plane);
        dual.fill(0.0);
    }

    fn step(&self, _: usize, around: &Around<'_>, here: &mut [&mut [f32]]) {
        let [f, u, bar, px, py, pz] = here else { return };
        let [height, width] = around.size;
        let lines = f.len() / width;
        if self.scale == 0.0 {
            return;
        }
        // The vertical part of the dual vector in the line above, as this iteration makes it.
        let mut above = vec![0f32; width];
        if let (Some(bar_above), Some(p), true) = (around.above(BAR), around.above(DUAL_Z - 2), around.first > 0) {
            let mut px = p.to_vec();
            let mut pz = around.above(DUAL_Z).unwrap_or(p).to_vec();
            above.copy_from_slice(around.above(DUAL_Z - 1).unwrap_or(p));
            let after = around.after(BAR, around.first - 1).unwrap_or(bar_above);
            let next = &bar[..width];
            widest(Dual { bar: bar_above, next, after, px: &mut px, py: &mut above, pz: &mut pz });
        }
        let zeros = vec![0f32; width];
        for y in 0..lines {
            let own = y * width..(y + 1) * width;
            let row = around.first + y;
            {
                let line = &bar[own.clone()];
                let next = match bar.get(own.end..own.end + width) {
                    Some(next) => next,
                    None if row + 1 < height => around.below(BAR).unwrap_or(line),
                    None => line,
                };
                let after = around.after(BAR, row).unwrap_or(line);
                let (px, py, pz) = (&mut px[own.clone()], &mut py[own.clone()], &mut pz[own.clone()]);
                widest(Dual { bar: line, next, after, px, py, pz });
            }
            let above = if y > 0 { &py[own.start - width..own.start] } else { &above[..] };
            let before = around.before(DUAL_Z, row).unwrap_or(&zeros);
            let dual = [&px[own.clone()], &py[own.clone()], &pz[own.clone()]];
            widest(Primal {
                lambda: self.lambda,
                given: &f[own.clone()],
                dual,
                above,
                before,
                u: &mut u[own.clone()],
                bar: &mut bar[own],
            });
        }
    }

    fn end(&self, fields: &[f32], mut out: ArrayViewMut2<f32>) {
        let plane = out.len();
        let (first, scale) = if self.scale > 0.0 { (plane, 1.0 / self.scale) } else { (GIVEN, 1.0) };
        out.iter_mut().zip(&fields[first..first + plane]).for_each(|(out, u)| *out = scale * u);
    }
}

/// p = (p + σ ∇ū) / max(1, |p + σ ∇ū|) for a line.
struct Dual<'a> {
    bar: &'a [f32],
    /// The next line, and the one in the next slice; `bar` itself beyond the volume.
    next: &'a [f32],
    after: &'a [f32],
    px: &'a mut [f32],
    py: &'a mut [f32],
    pz: &'a mut [f32],
}

impl Kernel for Dual<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Dual { bar, next, after, px, py, pz } = self;
        let n = bar.len() - 1;
        let one = |bar: f32, right: f32, next: f32, after: f32, p: (&mut f32, &mut f32, &mut f32)| {
            let x = *p.0 + STEP * (right - bar);
            let y = *p.1 + STEP * (next - bar);
            let z = *p.2 + STEP * (after - bar);
            let length2 = x * x + y * y + z * z;
            let scale = if length2 > 1.0 { 1.0 / length2.sqrt() } else { 1.0 };
            (*p.0, *p.1, *p.2) = (scale * x, scale * y, scale * z);
        };
        let (right, next_of, after_of) = (&bar[1..], &next[..n], &after[..n]);
        let (x, y, z) = (&mut px[..n], &mut py[..n], &mut pz[..n]);
        for i in 0..n {
            one(bar[i], right[i], next_of[i], after_of[i], (&mut x[i], &mut y[i], &mut z[i]));
        }
        one(bar[n], bar[n], next[n], after[n], (&mut px[n], &mut py[n], &mut pz[n]));
    }
}

/// u = (u + τ (∇·p + λ f)) / (1 + τ λ) for a line, and ū as far beyond it again.
struct Primal<'a> {
    lambda: f32,
    given: &'a [f32],
    dual: [&'a [f32]; 3],
    /// Its vertical part in the line above, its part across slices in the slice before.
    above: &'a [f32],
    before: &'a [f32],
    u: &'a mut [f32],
    bar: &'a mut [f32],
}

impl Kernel for Primal<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Primal { lambda, given, dual: [px, py, pz], above, before, u, bar } = self;
        let n = given.len();
        let part = 1.0 / (1.0 + STEP * lambda);
        let one = |dx: f32, dy: f32, dz: f32, given: f32, u: &mut f32, bar: &mut f32| {
            let new = (*u + STEP * (dx + dy + dz + lambda * given)) * part;
            *bar = new + (new - *u);
            *u = new;
        };
        one(px[0], py[0] - above[0], pz[0] - before[0], given[0], &mut u[0], &mut bar[0]);
        let (u, bar, right, left) = (&mut u[1..n], &mut bar[1..n], &px[1..n], &px[..n - 1]);
        let (given, py, above, pz, before) = (&given[1..n], &py[1..n], &above[1..n], &pz[1..n], &before[1..n]);
        for i in 0..n - 1 {
            let (dx, dy, dz) = (right[i] - left[i], py[i] - above[i], pz[i] - before[i]);
            one(dx, dy, dz, given[i], &mut u[i], &mut bar[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wave::tests::all;
    use super::*;
    use ndarray::Array3;

    fn noisy() -> Array3<f32> {
        Array3::from_shape_fn((7, 40, 11), |(z, y, x)| {
            let noise = ((z * 2_654_435 + y * 40_503 + x * 9_176_471).wrapping_mul(2_246_822_519) >> 9) % 1000;
            noise as f32 * 1e-3 + if x + y > 20 { 2.0 } else { 0.0 }
        })
    }

    fn volume_of(u: &Array3<f32>) -> Array3<f64> {
        u.mapv(f64::from)
    }

    /// Forward differences, 0 at the far faces.
    fn gradient(u: &Array3<f64>) -> [Array3<f64>; 3] {
        let (depth, height, width) = u.dim();
        let of = |[dz, dy, dx]: [usize; 3]| {
            Array3::from_shape_fn(u.dim(), |(z, y, x)| {
                u[[(z + dz).min(depth - 1), (y + dy).min(height - 1), (x + dx).min(width - 1)]] - u[[z, y, x]]
            })
        };
        [of([1, 0, 0]), of([0, 1, 0]), of([0, 0, 1])]
    }

    fn energy(u: &Array3<f32>, f: &Array3<f32>, lambda: f64) -> f64 {
        let [a, b, c] = gradient(&volume_of(u));
        let variation: f64 = a.iter().zip(&b).zip(&c).map(|((a, b), c)| (a * a + b * b + c * c).sqrt()).sum();
        let distance: f64 = u.iter().zip(f).map(|(u, f)| f64::from(u - f).powi(2)).sum();
        0.5 * lambda * distance + variation
    }

    /// The iterations as they stand in the paper, in f64.
    fn plain(f: &Array3<f32>, lambda: f64, iterations: usize) -> Array3<f64> {
        let f = volume_of(f);
        let step = 1.0 / 12f64.sqrt();
        let (mut u, mut bar) = (f.clone(), f.clone());
        let mut p = [(); 3].map(|()| Array3::<f64>::zeros(f.dim()));
        for _ in 0..iterations {
            let g = gradient(&bar);
            p.iter_mut().zip(&g).for_each(|(p, g)| *p += &(g * step));
            let length = (&p[0] * &p[0] + &p[1] * &p[1] + &p[2] * &p[2]).mapv(|l| l.sqrt().max(1.0));
            p.iter_mut().for_each(|p| *p /= &length);
            let divergence = Array3::from_shape_fn(f.dim(), |(z, y, x)| {
                let before = |i: usize, p: &Array3<f64>, at: [usize; 3]| if i > 0 { p[at] } else { 0.0 };
                let [pz, py, px] = &p;
                let here = pz[[z, y, x]] + py[[z, y, x]] + px[[z, y, x]];
                here - before(z, pz, [z.wrapping_sub(1), y, x])
                    - before(y, py, [z, y.wrapping_sub(1), x])
                    - before(x, px, [z, y, x.wrapping_sub(1)])
            });
            let new = (&u + &((divergence + &(&f * lambda)) * step)) / (1.0 + step * lambda);
            bar = &new * 2.0 - &u;
            u = new;
        }
        u
    }

    #[test]
    fn iterations_are_those_of_the_paper() {
        let f = noisy();
        // Within a factor of √2 around 1 no units are changed, so the steps are the same.
        for (lambda, iterations) in [(1.0, 1), (0.8, 7), (1.3, 60)] {
            let found = all(Tv::new(lambda), iterations, &f, 2, 7);
            let expected = plain(&f, lambda, iterations);
            let worst =
                found.iter().zip(&expected).fold(0.0, |worst, (a, b)| f64::max(worst, (f64::from(*a) - b).abs()));
            // Values up to 3 with a rounding of 1e-7 each, some at each iteration.
            assert!(worst < 5e-6, "{worst}");
        }
    }

    #[test]
    fn the_energy_falls_in_any_unit_and_a_constant_stays() {
        let f = noisy();
        let energies = [5, 20, 80].map(|n| energy(&all(Tv::new(1.0), n, &f, 1, 7), &f, 1.0));
        assert!(
            energy(&f, &f, 1.0) > energies[0] && energies[0] > energies[1] && energies[1] > energies[2],
            "{energies:?}"
        );
        // What the same noise means as 8 bits, 16 bits and small numbers: powers of 2, so that nothing is rounded.
        let found = all(Tv::new(1.0), 20, &f, 1, 7);
        for unit in [128.0f32, 32_768.0, 2f32.powi(-13)] {
            assert!(all(Tv::new(1.0 / f64::from(unit)), 20, &(&f * unit), 1, 7) == &found * unit, "{unit}");
        }
        let flat = Array3::from_elem((3, 4, 5), 0.1f32);
        assert!(all(Tv::new(3.0), 30, &flat, 1, 3) == flat);
        assert!(all(Tv::new(f64::INFINITY), 5, &f, 1, 7) == f);
    }

    /// A step between two slabs of thickness 6 and 10 loses 1 / (λ thickness) on either side, and stays a step.
    #[test]
    fn a_step_loses_the_height_that_theory_says() {
        let (low, high, lambda) = (6.0, 10.0, 2.0);
        let step = Array3::from_shape_fn((16, 2, 3), |(z, _, _)| if z < 6 { 1.0f32 } else { 3.0 });
        let found = all(Tv::new(lambda), 3000, &step, 1, 16);
        for ((z, _, _), v) in found.indexed_iter() {
            let expected = if z < 6 { 1.0 + 1.0 / (lambda * low) } else { 3.0 - 1.0 / (lambda * high) };
            // So close after so many iterations; the error falls as their number.
            assert!((f64::from(*v) - expected).abs() < 1e-3, "{z}: {v} {expected}");
        }
    }
}
