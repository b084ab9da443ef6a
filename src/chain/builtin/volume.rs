//! `filter.*`: finished slices, smoothed.

use super::window::WindowStage;
use crate::chain::params::Params;
use crate::chain::stage::{ParamInfo, Setup, Stage, StageFactory, StageInfo};
use crate::error::{Error, Result};
use crate::post::window;
use crate::slab::{Domain, Halo};

static MEDIAN: StageInfo = StageInfo {
    id: "filter.median",
    summary: "Median over a box of voxels: removes single outliers, keeps edges",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        ParamInfo::int("size_px", "px", 3, "Width and height of the box, odd").range(1.0, 101.0),
        ParamInfo::int("depth_px", "px", 1, "Slices in the box, odd; 1 looks at each slice by itself")
            .range(1.0, 101.0),
    ],
};

static GAUSSIAN: StageInfo = StageInfo {
    id: "filter.gaussian",
    summary: "Gaussian smoothing within slices and across them",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        ParamInfo::float("sigma_px", "px", 1.0, "Standard deviation within slices").range(0.0, 100.0),
        ParamInfo::float("sigma_z_px", "px", 0.0, "Standard deviation across slices").range(0.0, 100.0),
    ],
};

/// All stages of this file.
pub(super) const STAGES: [Volume; 2] = [Volume(&MEDIAN), Volume(&GAUSSIAN)];

#[derive(Clone, Copy)]
pub(super) struct Volume(&'static StageInfo);

fn odd(params: &Params, name: &'static str) -> Result<usize> {
    let value = params.int(name).unwrap_or(1) as usize;
    match value % 2 {
        1 => Ok(value),
        _ => Err(Error::invalid(params.info().id, format!("{name}: expected an odd number")).with(name, value)),
    }
}

impl StageFactory for Volume {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let (info, threads) = (self.0, setup.threads);
        Ok(Box::new(match info.id {
            "filter.median" => {
                let (size, depth) = (odd(params, "size_px")?, odd(params, "depth_px")?);
                let values = (size * size * depth) as f64;
                let halo = Halo { below: depth / 2, above: depth / 2 };
                WindowStage {
                    halo,
                    ..WindowStage::new(info, threads, 4.0 * values, move |input, out, watch| {
                        window::median(input, size, out, watch)
                    })
                }
            }
            _ => {
                let sigma = |name| params.float(name).unwrap_or(0.0);
                let weights = |sigma: f64| if sigma > 0.0 { window::gaussian_weights(sigma) } else { vec![1.0] };
                let (within, across) = (weights(sigma("sigma_px")), weights(sigma("sigma_z_px")));
                let reach = across.len() - 1;
                let cost = (4 * within.len() + 2 * across.len()) as f64;
                let pixels = (setup.shape.views * setup.shape.cols) as u64;
                let halo = Halo { below: reach, above: reach };
                let stage = WindowStage::new(info, threads, cost, move |input, out, watch| {
                    window::gaussian(input, &across, &within, out, watch)
                });
                WindowStage { halo, scratch_bytes: 16 * pixels, ..stage }
            }
        }))
    }
}
