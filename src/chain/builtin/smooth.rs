//! `filter.median` and `filter.gaussian`: each slice from itself and its neighbours.

use super::window::WindowStage;
use crate::chain::params::Params;
use crate::chain::stage::{ParamInfo, Setup, Stage, StageFactory, StageInfo};
use crate::error::{Error, Result};
use crate::post::edges::{Boundary, Edges};
use crate::post::gaussian::{gaussian, gaussian_scratch, gaussian_weights};
use crate::post::median::{median, median_scratch};
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
        ParamInfo::choice(
            "boundary",
            &["nearest", "reflect", "mirror", "skip"],
            "nearest",
            "Beyond the volume: the last voxel again, mirrored with the last voxel again (reflect) or not (mirror), or nothing",
        ),
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
        ParamInfo::float(
            "truncate",
            "",
            4.0,
            "Standard deviations at which the Gaussian ends, rounded up to whole voxels",
        )
        .range(0.5, 10.0),
        ParamInfo::choice(
            "boundary",
            &["nearest", "reflect", "mirror", "zero"],
            "nearest",
            "Beyond the volume: the last voxel again, mirrored with the last voxel again (reflect) or not (mirror), or zero: dark borders",
        ),
    ],
};

/// All stages of this file.
pub(super) const STAGES: [Smooth; 2] = [Smooth(&MEDIAN), Smooth(&GAUSSIAN)];

#[derive(Clone, Copy)]
pub(super) struct Smooth(&'static StageInfo);

fn odd(params: &Params, name: &'static str) -> Result<usize> {
    let value = params.int(name).unwrap_or(1) as usize;
    match value % 2 {
        1 => Ok(value),
        _ => Err(Error::invalid(params.info().id, format!("{name}: expected an odd number")).with(name, value)),
    }
}

impl StageFactory for Smooth {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let (info, threads, slices) = (self.0, setup.threads, setup.shape.rows);
        let boundary = match params.text("boundary") {
            Some("reflect") => Boundary::Reflect,
            Some("mirror") => Boundary::Mirror,
            Some("zero" | "skip") => Boundary::Nothing,
            _ => Boundary::Nearest,
        };
        // The last slice again is what the window holds there already.
        let ends = (boundary != Boundary::Nearest).then_some(slices);
        let edges = move |slice: usize| Edges { boundary, slice, slices };
        let width = setup.shape.cols;
        let (reach, stage, scratch_bytes) = if info.id == MEDIAN.id {
            let (size, depth) = (odd(params, "size_px")?, odd(params, "depth_px")?);
            let values = (size * size * depth) as f64;
            // The network, and one after the other.
            let cost = if values > 256.0 { 5.0 * values } else { 0.02 * values.powf(1.8) + 1.0 };
            let mut stage = WindowStage::new(info, threads, cost, |_, _, _| ());
            stage.apply = Box::new(move |input, out, watch, slice| median(input, size, &edges(slice), out, watch));
            (depth / 2, stage, median_scratch(width, size, depth))
        } else {
            let number = |name| params.float(name).unwrap_or(0.0);
            let truncate = number("truncate");
            let weights = |sigma: f64| if sigma > 0.0 { gaussian_weights(sigma, truncate) } else { vec![1.0] };
            let (within, across) = (weights(number("sigma_px")), weights(number("sigma_z_px")));
            let (reach, scratch) = (across.len() - 1, gaussian_scratch(width, within.len()));
            let cost = 0.4 * (within.len() + across.len()) as f64 + 1.0;
            let mut stage = WindowStage::new(info, threads, cost, |_, _, _| ());
            stage.apply = Box::new(move |input, out, watch, slice| {
                gaussian(input, &across, &within, &edges(slice), out, watch);
            });
            (reach, stage, scratch)
        };
        Ok(Box::new(WindowStage { halo: Halo { below: reach, above: reach }, scratch_bytes, ends, ..stage }))
    }
}
