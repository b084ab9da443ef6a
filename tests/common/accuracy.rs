//! How exact a slice is: a known object of 1024 columns and 1608 views, and the distance between two slices.

use super::{Ellipse, sinogram, xy};
use ndarray::Array2;
use std::f64::consts::PI;
use wagiri::geometry::uniform_angles;

/// A known object, seen in 1608 views.
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

const EDGE_PX: f64 = 8.0;

impl AccuracyCase {
    /// A body of 1 1/cm that holds three parts a little denser and lighter.
    pub fn new() -> Self {
        AccuracyCase::of([
            (0.0, 0.0, 440.0, 350.0, 12.0, 1.0),
            (-160.0, 70.0, 130.0, 80.0, 35.0, 0.2),
            (170.0, 90.0, 70.0, 120.0, -20.0, -0.2),
            (30.0, -170.0, 150.0, 60.0, 8.0, 0.1),
        ])
    }
    /// Four ellipses of about 1 1/cm apart from one another.
    pub fn four() -> Self {
        AccuracyCase::of([
            (-190.0, 160.0, 150.0, 110.0, 25.0, 1.0),
            (200.0, 190.0, 120.0, 160.0, -15.0, 0.9),
            (-170.0, -200.0, 170.0, 120.0, -30.0, 1.1),
            (220.0, -170.0, 130.0, 130.0, 0.0, 1.0),
        ])
    }
    fn of(ellipses: [(f64, f64, f64, f64, f64, f64); 4]) -> Self {
        let (cols, center_px, pixel_um) = (1024, 511.5, 10.0);
        let angles_rad = uniform_angles(1608, 0.0, PI);
        let objects = ellipses.map(|(x, y, a, b, turn_deg, mu_per_cm)| Ellipse {
            x,
            y,
            a,
            b,
            turn_rad: turn_deg.to_radians(),
            mu_per_cm,
        });
        let sinogram = sinogram(&objects, &angles_rad, cols, center_px, pixel_um);
        AccuracyCase { cols, center_px, pixel_um, angles_rad, sinogram, objects }
    }
    /// Sums over `image - truth` where `is_wanted(inside an object, far from any edge)`, in the circle.
    fn error(&self, image: &Array2<f32>, is_wanted: impl Fn(bool, bool) -> bool) -> FlatError {
        let (mut sum, mut sum2, mut pixels) = (0.0, 0.0, 0usize);
        let radius = (self.cols as f64 - 1.0) / 2.0;
        for ((row, col), value) in image.indexed_iter() {
            let (x, y) = xy(self.cols, row, col);
            let far = || self.objects.iter().all(|e| e.edge_distance_at_least(x, y) >= EDGE_PX);
            let inside = self.objects.iter().filter(|e| e.level(x, y) < 1.0);
            let truth: f64 = inside.map(|e| e.mu_per_cm).sum();
            if x * x + y * y <= radius * radius && is_wanted(truth > 0.0, far()) {
                let d = f64::from(*value) - truth;
                (sum, sum2, pixels) = (sum + d, sum2 + d * d, pixels + 1);
            }
        }
        FlatError { rmse: (sum2 / pixels as f64).sqrt(), bias: sum / pixels as f64, pixels }
    }
    /// Over the pixels in the object that are 8 px or more from any edge.
    pub fn flat_error(&self, image: &Array2<f32>) -> FlatError {
        self.error(image, |inside, far| inside && far)
    }
    /// Over the pixels of air that are 8 px or more from any edge, 1/cm.
    pub fn air_rmse(&self, image: &Array2<f32>) -> f64 {
        self.error(image, |inside, far| !inside && far).rmse
    }
    /// Over the circle, edges included, 1/cm.
    pub fn circle_rmse(&self, image: &Array2<f32>) -> f64 {
        self.error(image, |_, _| true).rmse
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
