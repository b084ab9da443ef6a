//! A foam as a detector with few photons counts it.

use super::Lcg;
use super::foam::Foam;
use ndarray::{Array2, Array3, Axis};
use std::f64::consts::PI;
use wagiri::geometry::uniform_angles;

/// How it is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Dose {
    /// Slices, lines and columns of the volume, and columns of the detector.
    pub size: usize,
    /// Over half a turn.
    pub views: usize,
    /// Radius of the cylinder.
    pub radius_px: f64,
    /// Photons of the direct beam in a pixel of a view.
    pub photons: f64,
    /// The part of them that is absorbed on the way through the foam, on the average.
    pub absorbed: f64,
}

/// What a detector counts.
pub struct LowDose {
    pub dose: Dose,
    /// The part of each voxel that is material, `[z, y, x]`.
    pub truth: Array3<f32>,
    /// Photons, `[z, view, column]`.
    pub counts: Array3<f32>,
    /// Of the material, in radii of the cylinder to the power of -1.
    pub absorbance: f64,
}

impl LowDose {
    /// Counts of `foam` whose noise depends on `seed`.
    pub fn new(foam: &Foam, dose: Dose, seed: u64) -> Self {
        let Dose { size, views, radius_px, photons, .. } = dose;
        let angles = uniform_angles(views, 0.0, PI);
        let plane = |z: usize| (z as f64 - (size as f64 - 1.0) / 2.0) / radius_px;
        let clean: Vec<Array2<f32>> = (0..size).map(|z| foam.sinogram(plane(z), &angles, size, radius_px)).collect();
        let absorbance = absorbance(&clean, dose.absorbed);
        let mut random = Lcg(seed);
        let (mut counts, mut truth) = (Array3::zeros((size, views, size)), Array3::zeros((size, size, size)));
        for (z, clean) in clean.iter().enumerate() {
            truth.index_axis_mut(Axis(0), z).assign(&foam.slice(plane(z), size, radius_px));
            counts.index_axis_mut(Axis(0), z).zip_mut_with(clean, |count: &mut f32, length| {
                *count = poisson(&mut random, photons * (-absorbance * f64::from(*length)).exp()) as f32;
            });
        }
        LowDose { dose, truth, counts, absorbance }
    }
    /// Minus the logarithm of the part that arrives; where nothing arrived, one photon is assumed.
    pub fn sinograms(&self) -> Array3<f32> {
        self.counts.mapv(|count| (self.dose.photons / f64::from(count.max(1.0))).ln() as f32)
    }
    /// With a pixel of this size the material has the value 1 per cm.
    pub fn pixel_um(&self) -> f64 {
        self.absorbance / self.dose.radius_px * 1e4
    }
}

/// Absorbance of a radius of material with which the part `wanted` of the light is absorbed in all rays that meet the foam.
fn absorbance(clean: &[Array2<f32>], wanted: f64) -> f64 {
    let absorbed = |a: f64| {
        let rays = clean.iter().flatten().filter(|length| **length > 0.0);
        let (sum, count) =
            rays.fold((0.0, 0.0), |(sum, count), l| (sum + 1.0 - (-a * f64::from(*l)).exp(), count + 1.0));
        sum / count
    };
    let (mut low, mut high) = (0.0, 20.0);
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        if absorbed(middle) < wanted { low = middle } else { high = middle }
    }
    low
}

/// Number of photons that arrive when `mean` are expected.
fn poisson(random: &mut Lcg, mean: f64) -> f64 {
    let (mut left, mut count) = (random.unit(), 0.0);
    let mut part = (-mean).exp();
    while left > part && count < 1000.0 {
        left -= part;
        count += 1.0;
        part *= mean / count;
    }
    count
}
