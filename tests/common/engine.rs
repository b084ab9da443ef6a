//! Short ways to call the reconstruction.

use super::Lcg;
use ndarray::{Array2, Array3, Axis};
use rayon::ThreadPool;
use wagiri::Result;
use wagiri::geometry::view_weights;
use wagiri::recon::{Engine, Fbp, FbpOptions, Filter, Interpolation};

pub const CHESLER: FbpOptions = FbpOptions {
    filter: Filter::Chesler,
    engine: Engine::Direct,
    pad: false,
    tolerance: FbpOptions::DEFAULT_TOLERANCE,
    interpolation: Interpolation::Sinc,
};

pub fn pool(threads: usize) -> ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

pub fn fbp(angles: &[f64], cols: usize, pixel_um: f64, options: FbpOptions) -> Fbp {
    Fbp::new(angles, &view_weights(angles), cols, pixel_um, &options).unwrap()
}

/// One slice with the engine that `fbp` was made for.
pub fn slice(fbp: &Fbp, sino: &Array2<f32>, center: f64) -> Array2<f32> {
    volume(fbp, &pool(2), &sino.clone().insert_axis(Axis(0)), &[center]).unwrap().remove_axis_0()
}

pub fn volume(fbp: &Fbp, pool: &ThreadPool, sinos: &Array3<f32>, centers: &[f64]) -> Result<Array3<f32>> {
    let (rows, _, cols) = sinos.dim();
    // NaN shows what was never written.
    let mut out = Array3::from_elem((rows, cols, cols), f32::NAN);
    fbp.reconstruct(pool, sinos.view(), centers, out.view_mut(), &mut |_| Ok(()))?;
    Ok(out)
}

pub trait RemoveAxis {
    fn remove_axis_0(self) -> Array2<f32>;
}
impl RemoveAxis for Array3<f32> {
    fn remove_axis_0(self) -> Array2<f32> {
        self.index_axis_move(Axis(0), 0)
    }
}

pub fn noise(views: usize, cols: usize, seed: u64) -> Array2<f32> {
    let mut random = Lcg(seed);
    Array2::from_shape_simple_fn((views, cols), || random.unit() as f32 * 2.0 - 0.5)
}
