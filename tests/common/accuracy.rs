//! How exact a slice is: a known object of 1024 columns and 1608 views, and the distance between two slices.

use super::{Ellipse, sinogram, xy};
use ndarray::Array2;
use std::f64::consts::PI;
use wagiri::geometry::uniform_angles;

/// A body of 1 1/cm that holds three parts a little denser and lighter, seen in 1608 views.
pub struct AccuracyCase {
    pub cols: usize,
    pub center_px: f64,
    pub pixel_um: f64,
    pub angles_rad: Vec<f64>,
    /// Exact line integrals, `[view, col]`.
    pub sinogram: Array2<f32>,
    objects: [Ellipse; 4],
}

/// Error over the flat pixels, 1/cm.
#[derive(Debug)]
pub struct FlatError {
    pub rmse: f64,
    pub bias: f64,
    pub pixels: usize,
}

impl AccuracyCase {
    pub fn new() -> Self {
        let (cols, center_px, pixel_um) = (1024, 511.5, 10.0);
        let angles_rad = uniform_angles(1608, 0.0, PI);
        let e =
            |x, y, a, b, turn_deg: f64, mu_per_cm| Ellipse { x, y, a, b, turn_rad: turn_deg.to_radians(), mu_per_cm };
        let objects = [
            e(0.0, 0.0, 440.0, 350.0, 12.0, 1.0),
            e(-160.0, 70.0, 130.0, 80.0, 35.0, 0.2),
            e(170.0, 90.0, 70.0, 120.0, -20.0, -0.2),
            e(30.0, -170.0, 150.0, 60.0, 8.0, 0.1),
        ];
        let sinogram = sinogram(&objects, &angles_rad, cols, center_px, pixel_um);
        AccuracyCase { cols, center_px, pixel_um, angles_rad, sinogram, objects }
    }
    /// Over the pixels in the body that are 8 px or more from any edge.
    pub fn flat_error(&self, image: &Array2<f32>) -> FlatError {
        let (mut sum, mut sum2, mut pixels) = (0.0, 0.0, 0usize);
        for ((row, col), value) in image.indexed_iter() {
            let (x, y) = xy(self.cols, row, col);
            let far = self.objects.iter().all(|e| e.edge_distance_at_least(x, y) >= 8.0);
            if far && self.objects[0].level(x, y) < 1.0 {
                let inside = self.objects.iter().filter(|e| e.level(x, y) < 1.0);
                let d = f64::from(*value) - inside.map(|e| e.mu_per_cm).sum::<f64>();
                (sum, sum2, pixels) = (sum + d, sum2 + d * d, pixels + 1);
            }
        }
        FlatError { rmse: (sum2 / pixels as f64).sqrt(), bias: sum / pixels as f64, pixels }
    }
}

/// rms and maximum of `a - b` over the maximum of |b|.
pub fn difference<'a>(a: impl IntoIterator<Item = &'a f32>, b: impl IntoIterator<Item = &'a f64>) -> (f64, f64) {
    let (mut sum2, mut worst, mut top, mut count) = (0.0f64, 0.0f64, 0.0f64, 0.0);
    for (a, b) in a.into_iter().zip(b) {
        let d = f64::from(*a) - b;
        assert!(d.is_finite());
        sum2 += d * d;
        worst = worst.max(d.abs());
        top = top.max(b.abs());
        count += 1.0;
    }
    ((sum2 / count).sqrt() / top, worst / top)
}
