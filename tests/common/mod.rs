//! Phantoms with exact line integrals, and a reproducible source of numbers, for the Rust tests.

// Each test file uses its own part.
#![allow(dead_code)]

pub mod accuracy;
pub mod chains;
pub mod engine;
pub mod foam;
pub mod low_dose;
pub mod noisy;
pub mod score;
pub mod series;
pub mod stripes;

use ndarray::Array2;

/// Reproducible pseudo-random numbers (Knuth's MMIX constants); enough for test data.
pub struct Lcg(pub u64);

impl Lcg {
    /// 0 to 1.
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A homogeneous ellipse; lengths in px, `x` to the right and `y` up from the rotation axis.
#[derive(Clone, Copy, Debug)]
pub struct Ellipse {
    pub x: f64,
    pub y: f64,
    /// Half axes.
    pub a: f64,
    pub b: f64,
    /// Counter-clockwise turn of half axis `a`, radians.
    pub turn_rad: f64,
    /// Added inside, 1/cm.
    pub mu_per_cm: f64,
}

impl Ellipse {
    pub fn disc(x: f64, y: f64, radius: f64, mu_per_cm: f64) -> Self {
        Ellipse { x, y, a: radius, b: radius, turn_rad: 0.0, mu_per_cm }
    }
    /// Length in px of the ray at distance `s` from the axis in the view at `angle_rad`.
    pub fn chord_px(&self, angle_rad: f64, s: f64) -> f64 {
        let (sin, cos) = angle_rad.sin_cos();
        let s = s - self.x * cos - self.y * sin;
        let (sin, cos) = (angle_rad - self.turn_rad).sin_cos();
        let width2 = (self.a * cos).powi(2) + (self.b * sin).powi(2);
        if s * s >= width2 { 0.0 } else { 2.0 * self.a * self.b * (width2 - s * s).sqrt() / width2 }
    }
    /// Below 1 inside, 1 on the edge.
    pub fn level(&self, x: f64, y: f64) -> f64 {
        let (sin, cos) = self.turn_rad.sin_cos();
        let (dx, dy) = (x - self.x, y - self.y);
        (((dx * cos + dy * sin) / self.a).powi(2) + ((dy * cos - dx * sin) / self.b).powi(2)).sqrt()
    }
    /// A lower bound of the distance from (x, y) to the edge, px.
    pub fn edge_distance_at_least(&self, x: f64, y: f64) -> f64 {
        (self.level(x, y) - 1.0).abs() * self.a.min(self.b)
    }
}

/// Exact absorbance `[view, col]` of ellipses, sampled at the column centres.
pub fn sinogram(objects: &[Ellipse], angles_rad: &[f64], cols: usize, center_px: f64, pixel_um: f64) -> Array2<f32> {
    Array2::from_shape_fn((angles_rad.len(), cols), |(m, n)| {
        let s = n as f64 - center_px;
        let cm: f64 = objects.iter().map(|e| e.mu_per_cm * e.chord_px(angles_rad[m], s)).sum();
        (cm * pixel_um * 1e-4) as f32
    })
}

/// Coordinates of pixel (row, col) of an image of `size` × `size`: x right, y up, from the centre.
pub fn xy(size: usize, row: usize, col: usize) -> (f64, f64) {
    let middle = (size as f64 - 1.0) / 2.0;
    (col as f64 - middle, middle - row as f64)
}

/// An untrained network for `subsets` subsets that sees `channels` slices: whatever it makes of its input, it is the same.
pub fn tiny_model(subsets: usize, channels: usize) -> wagiri::denoise::Model {
    use wagiri::denoise::{Architecture, Model, Norm, Scaling, State};
    let architecture = Architecture { channels, base_width: 8, depth: 1, norm: Norm::Batch };
    let State { averaged_parameters: parameters, averaged_statistics: statistics, .. } = State::new(&architecture, 7);
    let scaling = Scaling { mean: 0.5, spread: 2.0 };
    Model { architecture, subsets, scaling, parameters, statistics, about: Default::default() }
}
