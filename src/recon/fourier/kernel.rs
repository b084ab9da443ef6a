//! The function that carries a sample to the grid points beside it: Kaiser-Bessel (Beatty, Nishimura and Pauly 2005,
//! doi:10.1109/TMI.2005.848376), and how wide it must be for a tolerance. Must not know views or images.

use std::f64::consts::PI;

/// Most grid points that a sample reaches in each direction.
pub(super) const MAX_WIDTH: usize = 8;
/// Most terms of the polynomial of a tap.
const TERMS: usize = 10;

/// Grid points per kernel and grid points per pixel that keep the error of the image below a tolerance.
///
/// The error that views of white noise give, the worst that was found, is 0.5 to 0.75 times the tolerances in this table;
/// the tests of the engine hold them.
const LEVELS: [(f64, usize, f64); 4] = [(5e-3, 4, 1.25), (2e-4, 6, 1.25), (1.5e-5, 8, 1.25), (1e-6, 8, 1.5)];

/// Tolerances that can be asked for: relative L2 error.
pub(in crate::recon) const TOLERANCE: (f64, f64) = (1e-6, 1e-2);

/// A kernel for one tolerance.
pub(super) struct Kernel {
    /// Grid points that a sample reaches in each direction.
    pub width: usize,
    /// Grid points per pixel, about.
    pub oversampling: f64,
    /// Shape: the larger, the narrower.
    beta: f64,
    /// Error allowed to the polynomials of the taps.
    tap_error: f64,
}

impl Kernel {
    pub fn new(tolerance: f64) -> Kernel {
        let fits = |level: &&(f64, usize, f64)| level.0 <= tolerance;
        let (_, width, oversampling) = LEVELS.iter().find(fits).copied().unwrap_or(LEVELS[LEVELS.len() - 1]);
        // Minimises the rms error over the circle; found by trying.
        let beta = if width == 4 { 0.96 } else { 0.985 } * PI * width as f64 * (1.0 - 0.5 / oversampling);
        Kernel { width, oversampling, beta, tap_error: 1e-2 * tolerance }
    }

    /// Value at `x` grid points from the sample.
    pub fn value(&self, x: f64) -> f64 {
        let z2 = 1.0 - (2.0 * x / self.width as f64).powi(2);
        if z2 < 0.0 { 0.0 } else { bessel_i0(self.beta * z2.sqrt()) / bessel_i0(self.beta) }
    }

    /// Fourier transform at `f` cycles per grid point: exact, for |f| below that where it stops being positive.
    pub fn transform(&self, f: f64) -> f64 {
        let width = self.width as f64;
        let root = (self.beta.powi(2) - (PI * width * f).powi(2)).max(1e-12).sqrt();
        width * root.sinh() / (root * bessel_i0(self.beta))
    }

    /// Polynomial of each tap, highest power first, in `t` from -1 to 1: the value of tap `i` where the sample is
    /// `(1 + t) / 2 - width / 2 + i` grid points before it. Taps beyond the width are 0.
    pub fn taps(&self) -> Vec<[f32; MAX_WIDTH]> {
        let tap = |tap: usize| {
            let value = |t: f64| self.value(0.5 * (1.0 + t) - 0.5 * self.width as f64 + tap as f64);
            chebyshev(value)
        };
        let series: Vec<[f64; TERMS]> = (0..self.width).map(tap).collect();
        // The last terms of a Chebyshev series are the error of leaving them out.
        let rest = |terms: usize| series.iter().map(|s| s[terms..].iter().map(|c| c.abs()).sum()).fold(0.0, f64::max);
        let terms = (2..TERMS).find(|&terms| rest(terms) < self.tap_error).unwrap_or(TERMS);
        let mut out = vec![[0.0; MAX_WIDTH]; terms];
        for (tap, series) in series.iter().enumerate() {
            for (term, coefficient) in powers(&series[..terms]).iter().take(terms).enumerate() {
                out[terms - 1 - term][tap] = *coefficient as f32;
            }
        }
        out
    }
}

/// Chebyshev series of `f` on [-1, 1], from its values in the nodes.
fn chebyshev(f: impl Fn(f64) -> f64) -> [f64; TERMS] {
    let angle = |node: usize| PI * (node as f64 + 0.5) / TERMS as f64;
    let values: [f64; TERMS] = std::array::from_fn(|node| f(angle(node).cos()));
    std::array::from_fn(|degree| {
        let dot: f64 = (0..TERMS).map(|node| values[node] * (degree as f64 * angle(node)).cos()).sum();
        if degree == 0 { dot / TERMS as f64 } else { 2.0 * dot / TERMS as f64 }
    })
}

/// Coefficients of powers, the lowest first, of a Chebyshev series: T(n+1) = 2 t T(n) - T(n-1).
fn powers(series: &[f64]) -> [f64; TERMS] {
    let (mut sum, mut before, mut now) = ([0.0; TERMS], [0.0; TERMS], [0.0; TERMS]);
    now[0] = 1.0;
    for (degree, weight) in series.iter().enumerate() {
        (0..TERMS).for_each(|i| sum[i] += weight * now[i]);
        let factor = if degree == 0 { 1.0 } else { 2.0 };
        let next = std::array::from_fn(|i| if i == 0 { 0.0 } else { factor * now[i - 1] } - before[i]);
        (before, now) = (now, next);
    }
    sum
}

/// Modified Bessel function of order 0, by its series.
fn bessel_i0(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0, 1.0, 1.0);
    while term > 1e-17 * sum {
        term *= (0.5 * x / n).powi(2);
        sum += term;
        n += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_follow_the_kernel() {
        for tolerance in [1e-2, 2e-4, 2e-5, 1e-6] {
            let kernel = Kernel::new(tolerance);
            let taps = kernel.taps();
            for step in 0..=100 {
                let t = -1.0 + 0.02 * f64::from(step);
                for tap in 0..MAX_WIDTH {
                    let poly = taps.iter().fold(0.0, |sum, c| sum * t + f64::from(c[tap]));
                    let x = 0.5 * (1.0 + t) - 0.5 * kernel.width as f64 + tap as f64;
                    let exact = if tap < kernel.width { kernel.value(x) } else { 0.0 };
                    // An error at random in each tap is spread over the whole image, and hardly shows in one pixel.
                    assert!((poly - exact).abs() < 5e-7 + 1e-2 * tolerance, "{tolerance} {tap} {t}: {poly} {exact}");
                }
            }
        }
    }

    #[test]
    fn transform_is_that_of_the_kernel() {
        let kernel = Kernel::new(2e-4);
        for f in [0.0, 0.1, 0.2, 0.4] {
            // Midpoint rule; the jump at the ends is 1e-3.
            let steps = 60_000;
            let h = kernel.width as f64 / f64::from(steps);
            let at = |i: i32| (f64::from(i) + 0.5) * h - 0.5 * kernel.width as f64;
            let sum: f64 = (0..steps).map(|i| h * kernel.value(at(i)) * (2.0 * PI * f * at(i)).cos()).sum();
            assert!((kernel.transform(f) - sum).abs() < 1e-8, "{f}: {} {sum}", kernel.transform(f));
        }
    }
}
