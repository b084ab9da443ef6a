//! Anisotropic diffusion: smoothing that stops at edges.

use super::exp::half_to_the;
use super::wave::{Around, Iteration};
use crate::simd::{Kernel, widest};
use ndarray::{ArrayView2, ArrayViewMut2};

/// How the flow between two voxels falls off with their difference d.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conductance {
    /// 1 / (1 + (d / K)²): wide regions before small ones.
    Rational,
    /// exp(-(d / K)²): strong edges before weak ones.
    Exponential,
}

/// Images of a slice: the voxels, and the flow to the next slice.
const VOXELS: usize = 0;
const FLOW: usize = 1;

/// Perona and Malik's diffusion (doi:10.1109/34.56205) by explicit steps of `dt`: u += dt Σ g(d) d over the differences d to the
/// 6 neighbours. Nothing flows through the faces of the volume, so its mean stays.
#[derive(Clone, Debug)]
pub struct Diffusion {
    conductance: Conductance,
    /// Of d², in g.
    factor: f32,
    dt: f32,
}

impl Diffusion {
    /// `k` is the difference at which the flow is halved (or falls to 1/e); 0 keeps everything as it is. Steps above
    /// [`Diffusion::LARGEST_DT`] would make noise grow.
    pub fn new(conductance: Conductance, k: f64, dt: f64) -> Self {
        let scale = match conductance {
            Conductance::Rational => 1.0,
            Conductance::Exponential => std::f64::consts::LOG2_E,
        };
        let (factor, dt) = if k > 1e-18 { (scale / (k * k), dt) } else { (0.0, 0.0) };
        Diffusion { conductance, factor: factor.min(1e36) as f32, dt: dt as f32 }
    }
    /// With 6 neighbours a larger step takes more out of a voxel than there is.
    pub const LARGEST_DT: f64 = 1.0 / 6.0;

    fn flow(&self, from: &[f32], to: &[f32], out: &mut [f32]) {
        let factor = self.factor;
        match self.conductance {
            Conductance::Rational => {
                widest(Flow { from, to, out, of: |d: f32| d / (1.0 + factor * d * d) });
            }
            Conductance::Exponential => {
                widest(Flow { from, to, out, of: |d: f32| d * half_to_the(factor * d * d) });
            }
        }
    }
}

impl Iteration for Diffusion {
    const FIELDS: usize = 2;

    fn begin(&self, input: ArrayView2<f32>, fields: &mut [f32]) {
        fields[..input.len()].iter_mut().zip(input).for_each(|(u, v)| *u = *v);
    }

    fn step(&self, _: usize, around: &Around<'_>, here: &mut [&mut [f32]]) {
        let [u, flow] = here else { return };
        let [_, width] = around.size;
        let zeros = vec![0f32; width];
        let (mut from_above, mut to_below, mut to_right) = (zeros.clone(), zeros.clone(), vec![0f32; width + 1]);
        if let Some(above) = around.above(VOXELS) {
            self.flow(above, &u[..width], &mut from_above);
        }
        for y in 0..u.len() / width {
            let own = y * width..(y + 1) * width;
            let row = around.first + y;
            let line = &u[own.clone()];
            match u.get(own.end..own.end + width).or(around.below(VOXELS)) {
                Some(below) => self.flow(line, below, &mut to_below),
                None => to_below.fill(0.0),
            }
            let flow = &mut flow[own.clone()];
            match around.after(VOXELS, row) {
                Some(after) => self.flow(line, after, flow),
                None => flow.fill(0.0),
            }
            self.flow(&line[..width - 1], &line[1..], &mut to_right[1..width]);
            widest(Add {
                dt: self.dt,
                u: &mut u[own],
                in_z: [around.before(FLOW, row).unwrap_or(&zeros), flow],
                in_y: [&from_above, &to_below],
                in_x: &to_right,
            });
            std::mem::swap(&mut from_above, &mut to_below);
        }
    }

    fn end(&self, fields: &[f32], mut out: ArrayViewMut2<f32>) {
        out.iter_mut().zip(fields).for_each(|(out, u)| *out = *u);
    }
}

/// g(d) d between the voxels of two lines.
struct Flow<'a, F> {
    from: &'a [f32],
    to: &'a [f32],
    out: &'a mut [f32],
    of: F,
}

impl<F: Fn(f32) -> f32> Kernel for Flow<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Flow { from, to, out, of } = self;
        let n = out.len();
        let (from, to) = (&from[..n], &to[..n]);
        for i in 0..n {
            out[i] = of(to[i] - from[i]);
        }
    }
}

/// What flows in less what flows out, to a line.
struct Add<'a> {
    dt: f32,
    u: &'a mut [f32],
    in_z: [&'a [f32]; 2],
    in_y: [&'a [f32]; 2],
    in_x: &'a [f32],
}

impl Kernel for Add<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Add { dt, u, in_z: [z0, z1], in_y: [y0, y1], in_x } = self;
        let n = u.len();
        let (z0, z1, y0, y1, x0, x1) = (&z0[..n], &z1[..n], &y0[..n], &y1[..n], &in_x[..n], &in_x[1..n + 1]);
        for i in 0..n {
            u[i] += dt * ((z1[i] - z0[i]) + (y1[i] - y0[i]) + (x1[i] - x0[i]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wave::tests::all;
    use super::*;
    use ndarray::Array3;

    fn noisy() -> Array3<f32> {
        Array3::from_shape_fn((6, 37, 9), |(z, y, x)| {
            let noise = ((z * 2_654_435 + y * 40_503 + x * 9_176_471).wrapping_mul(2_246_822_519) >> 9) % 1000;
            noise as f32 * 1e-3 + if x + y > 20 { 4.0 } else { 0.0 }
        })
    }

    #[test]
    fn steps_are_those_of_the_definition() {
        let input = noisy();
        for conductance in [Conductance::Rational, Conductance::Exponential] {
            let (k, dt, iterations) = (0.7, 0.14, 15);
            let mut plain = input.mapv(f64::from);
            for _ in 0..iterations {
                let old = plain.clone();
                for ((z, y, x), v) in plain.indexed_iter_mut() {
                    let neighbours = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1isize]];
                    for [dz, dy, dx] in neighbours {
                        let place = [z as isize + dz, y as isize + dy, x as isize + dx].map(usize::try_from);
                        let [Ok(a), Ok(b), Ok(c)] = place else { continue };
                        let Some(there) = old.get((a, b, c)) else { continue };
                        let d = there - old[[z, y, x]];
                        let g = match conductance {
                            Conductance::Rational => 1.0 / (1.0 + (d / k).powi(2)),
                            Conductance::Exponential => (-(d / k).powi(2)).exp(),
                        };
                        *v += dt * g * d;
                    }
                }
            }
            let found = all(Diffusion::new(conductance, k, dt), iterations, &input, 2, 6);
            let worst = found.iter().zip(&plain).fold(0.0, |worst, (a, b)| f64::max(worst, (f64::from(*a) - b).abs()));
            // Values up to 5 with a rounding of 2e-7 each, some at each step.
            assert!(worst < 5e-6, "{worst}");
        }
    }

    #[test]
    fn the_mean_stays_and_so_do_constants_and_high_steps() {
        let input = noisy();
        let mean = |of: &Array3<f32>| of.iter().map(|v| f64::from(*v)).sum::<f64>() / of.len() as f64;
        let found = all(Diffusion::new(Conductance::Exponential, 0.5, 0.14), 50, &input, 1, 6);
        // What flows out of a voxel flows into another, but for rounding.
        assert!((mean(&found) / mean(&input) - 1.0).abs() < 1e-6);
        let flat = Array3::from_elem((2, 3, 4), 0.3f32);
        assert!(all(Diffusion::new(Conductance::Rational, 0.5, 0.14), 20, &flat, 1, 2) == flat);
        assert!(all(Diffusion::new(Conductance::Rational, 0.0, 0.14), 20, &input, 1, 6) == input);
        // The step is 8 K high: the flow is e^-64 of what it would be.
        let step = Array3::from_shape_fn((1, 1, 8), |(_, _, x)| if x < 4 { 0.0f32 } else { 4.0 });
        let found = all(Diffusion::new(Conductance::Exponential, 0.5, 0.14), 100, &step, 1, 1);
        assert!(found.iter().zip(&step).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
