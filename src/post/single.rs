//! Filters of single images that ct-rec's programs define with edges of their own: gf_sd, gf_fd and tif_mgf.
//!
//! Must not know: files, chains.

use super::edges::{Boundary, Edges};
use super::gaussian::gaussian;
use super::median::median;
use super::periodic::PeriodicGaussian;
use crate::progress::Watch;
use ndarray::{Array2, ArrayView2, Axis};

/// Sums of `weights` (from the middle outwards) along both axes.
fn weighted(image: ArrayView2<f32>, weights: &[f64], boundary: Boundary) -> Array2<f32> {
    let mut out = Array2::zeros(image.dim());
    let window = image.insert_axis(Axis(0));
    gaussian(window, &[1.0], weights, &Edges::inside(boundary, 0), out.view_mut(), &Watch::default());
    out
}

/// gf_sd: smoothing by exp(-r² / R²) out to ceil(sqrt(ln 2 (bits + 1)) R), where a full image of `bits` has fallen below half
/// a grey level; beyond the edge the image is `outside`. Weights sum up to 1.
pub fn gaussian_constant(image: ArrayView2<f32>, radius_px: f64, bits: u32, outside: f64) -> Array2<f32> {
    let reach = ((2f64.ln() * f64::from(bits + 1)).sqrt() * radius_px).ceil() as usize;
    let weight = |d: usize| if d == 0 { 1.0 } else { (-(d as f64 / radius_px).powi(2)).exp() };
    let weights = normalised((0..=reach).map(weight).collect());
    let outside = outside as f32;
    weighted(image.mapv(|v| v - outside).view(), &weights, Boundary::Nothing).mapv_into(|v| v + outside)
}

/// gf_fd: the same by [`PeriodicGaussian`], so that an image that fills its power of two wraps around. `outside` is what fills
/// the rest.
pub fn gaussian_periodic(image: ArrayView2<f32>, radius_px: f64, outside: f64) -> Array2<f32> {
    let outside = outside as f32;
    let mut out = image.mapv(|v| v - outside);
    let (height, width) = out.dim();
    PeriodicGaussian::new(width, radius_px).smooth(out.view_mut());
    PeriodicGaussian::new(height, radius_px).smooth(out.view_mut().reversed_axes());
    out.mapv_inplace(|v| v + outside);
    out
}

/// tif_mgf: median over `size` x `size` pixels (odd), then a Gaussian of `sigma_px` out to 3 of it, at most 25 pixels; mirrored
/// edges.
pub fn median_gaussian(image: ArrayView2<f32>, size: usize, sigma_px: f64) -> Array2<f32> {
    let mut middle = image.to_owned();
    if size > 1 {
        let edges = Edges::inside(Boundary::Mirror, 0);
        median(image.insert_axis(Axis(0)), size, &edges, middle.view_mut(), &Watch::default());
    }
    if sigma_px <= 0.0 {
        return middle;
    }
    let reach = ((3.0 * sigma_px).ceil() as usize).min(25);
    let weights = normalised((0..=reach).map(|d| (-0.5 * (d as f64 / sigma_px).powi(2)).exp()).collect());
    weighted(middle.view(), &weights, Boundary::Mirror)
}

/// Weights from the middle outwards over their full sum.
fn normalised(half: Vec<f64>) -> Vec<f64> {
    let sum = half[0] + 2.0 * half[1..].iter().sum::<f64>();
    half.into_iter().map(|w| w / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_point_becomes_the_kernel_and_a_flat_image_stays_with_its_own_value_outside() {
        let mut image = Array2::zeros((41, 41));
        image[[20, 20]] = 1000.0f32;
        let radius = 3.0;
        let expected = |d2: f64| 1000.0 * (-d2 / (radius * radius)).exp() / (std::f64::consts::PI * radius * radius);
        for out in [gaussian_constant(image.view(), radius, 16, 0.0), gaussian_periodic(image.view(), radius, 0.0)] {
            // Sampling at R = 3 changes the sum by less than 1e-6; what is cut off by less than 2^-17.
            for (y, x) in [(20, 20), (22, 21), (16, 20)] {
                let d2 = ((y as f64 - 20.0).powi(2)) + (x as f64 - 20.0).powi(2);
                assert!((f64::from(out[[y, x]]) - expected(d2)).abs() < 1e-3, "{y} {x}");
            }
        }
        let flat = Array2::from_elem((5, 32), 7.0f32);
        for out in [gaussian_constant(flat.view(), 2.0, 8, 7.0), gaussian_periodic(flat.view(), 2.0, 7.0)] {
            assert!(out.iter().all(|v| (v - 7.0).abs() < 1e-5));
        }
        let dark_edge = gaussian_constant(flat.view(), 2.0, 8, 0.0);
        assert!(dark_edge[[0, 0]] < 3.0);
    }

    #[test]
    fn the_median_is_mirrored_at_the_outermost_pixels() {
        let image = array![[9.0, 1.0, 2.0, 3.0f32], [9.0, 1.0, 2.0, 3.0]];
        // Around the corner: 1 9 1 in both lines and the mirrored one.
        assert_eq!(median_gaussian(image.view(), 3, 0.0)[[0, 0]], 1.0);
        assert_eq!(median_gaussian(image.view(), 1, 0.0), image);
        let out = median_gaussian(array![[0.0, 1.0, 0.0f32]].view(), 1, 0.5);
        let (a, b) = ((-2f64).exp(), (-8f64).exp());
        let sum = 1.0 + 2.0 * (a + b);
        // The first pixel sees 1 on both sides; across, one line is all that there is.
        assert!((f64::from(out[[0, 0]]) - 2.0 * a / sum).abs() < 1e-6);
    }
}
