//! A foam as a detector with few photons sees it, reconstructed.

use super::foam::Foam;
use super::{Lcg, xy};
use ndarray::{Array3, Axis};
use std::f64::consts::{LN_2, PI};
use wagiri::geometry::{uniform_angles, view_weights};
use wagiri::recon::{Engine, Fbp, FbpOptions, Filter};

/// The truth and the noisy slices, in 1/cm: `size` columns, twice as many views, on the average half of `photons` absorbed.
pub fn noisy_foam(size: usize, slices: usize, photons: f64) -> (Array3<f32>, Array3<f32>) {
    let (views, radius_px) = (2 * size, 0.47 * size as f64);
    let half = 0.5 * slices as f64 / radius_px;
    let foam = Foam::new(1, 8000, half);
    let angles = uniform_angles(views, 0.0, PI);
    let height = |k: usize| (k as f64 - (slices as f64 - 1.0) / 2.0) / radius_px;
    let (mut sinograms, mut truth) = (Array3::zeros((slices, views, size)), Array3::zeros((slices, size, size)));
    for k in 0..slices {
        sinograms.index_axis_mut(Axis(0), k).assign(&foam.sinogram(height(k), &angles, size, radius_px));
        truth.index_axis_mut(Axis(0), k).assign(&foam.slice(height(k), size, radius_px));
    }
    // Half of the photons are absorbed on the average.
    let mean = f64::from(sinograms.mean().expect("views")) * size as f64 / (2.0 * radius_px);
    let absorbance = LN_2 / mean;
    let mut random = Lcg(5);
    sinograms.mapv_inplace(|p: f32| {
        if photons.is_infinite() {
            return (absorbance * f64::from(p)) as f32;
        }
        // Poisson numbers as their definition by waiting times says.
        let (limit, mut counts, mut product) =
            ((-photons * (-absorbance * f64::from(p)).exp()).exp(), 0.0, random.unit());
        while product > limit {
            counts += 1.0;
            product *= random.unit();
        }
        (photons / f64::max(counts, 1.0)).ln() as f32
    });
    truth *= (absorbance / radius_px * 1e4) as f32;
    let tolerance = FbpOptions::DEFAULT_TOLERANCE;
    let options = FbpOptions {
        filter: Filter::Ramp,
        engine: Engine::Direct,
        pad: false,
        tolerance,
        interpolation: Default::default(),
    };
    let fbp = Fbp::new(&angles, &view_weights(&angles), size, 1.0, &options).expect("an engine");
    let mut out = Array3::zeros(truth.dim());
    let centers = vec![(size as f64 - 1.0) / 2.0; slices];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    fbp.reconstruct(&pool, sinograms.view(), &centers, out.view_mut(), &mut |_| Ok(())).expect("slices");
    (truth, out)
}

/// Peak signal to noise ratio within the foam and away from the first and last slices, dB.
pub fn psnr(truth: &Array3<f32>, volume: &Array3<f32>) -> f64 {
    let (slices, size, _) = truth.dim();
    let (mut sum, mut count) = (0.0, 0.0);
    for ((z, y, x), v) in volume.indexed_iter() {
        let (px, py) = xy(size, y, x);
        if z >= slices / 4 && z < slices - slices / 4 && px.hypot(py) < 0.45 * size as f64 {
            sum += (f64::from(*v) - f64::from(truth[[z, y, x]])).powi(2);
            count += 1.0;
        }
    }
    let peak = truth.iter().fold(0f32, |a, b| a.max(*b));
    10.0 * (f64::from(peak).powi(2) / (sum / count)).log10()
}
