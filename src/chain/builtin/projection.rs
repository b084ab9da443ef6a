//! `proj.*`: projections in absorbance, before ring removal.

use super::window::WindowStage;
use crate::chain::params::Params;
use crate::chain::stage::{ParamInfo, Setup, Stage, StageFactory, StageInfo};
use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::preprocess::resize;
use crate::scan::ScanShape;
use crate::slab::{Domain, RowMap};

static BIN: StageInfo = StageInfo {
    id: "proj.bin",
    summary: "Means of squares of detector pixels, as a detector with larger pixels would see it",
    input: Domain::Sinogram,
    output: Domain::Sinogram,
    params: &[ParamInfo::int(
        "bin_px",
        "px",
        2,
        "Pixels to a pixel in both directions; what is left over at the far ends is dropped",
    )
    .range(1.0, 64.0)],
};

static CROP: StageInfo = StageInfo {
    id: "proj.crop",
    summary: "Cuts off the sides of the detector",
    input: Domain::Sinogram,
    output: Domain::Sinogram,
    params: &[
        ParamInfo::int("left_px", "px", 0, "Columns cut off at the left").range(0.0, 1e6),
        ParamInfo::int("right_px", "px", 0, "Columns cut off at the right").range(0.0, 1e6),
        ParamInfo::int("top_px", "px", 0, "Rows cut off at the top").range(0.0, 1e6),
        ParamInfo::int("bottom_px", "px", 0, "Rows cut off at the bottom").range(0.0, 1e6),
    ],
};

/// All stages of this file.
pub(super) const STAGES: [Projection; 2] = [Projection(&BIN), Projection(&CROP)];

#[derive(Clone, Copy)]
pub(super) struct Projection(&'static StageInfo);

impl StageFactory for Projection {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let (info, threads) = (self.0, setup.threads);
        let number = |name| params.int(name).unwrap_or(0) as usize;
        Ok(Box::new(match info.id {
            "proj.bin" => {
                let bin = number("bin_px").max(1);
                let shape = ScanShape { rows: setup.shape.rows / bin, cols: setup.shape.cols / bin, ..setup.shape };
                not_empty(info, shape)?;
                WindowStage {
                    rows: RowMap { first: 0, step: bin },
                    dims: Box::new(move |[views, cols]| [views, cols / bin]),
                    after: Box::new(move |setup| {
                        let b = bin as f64;
                        // Pixel centres: the first large one lies in the middle of the first b small ones.
                        let at = |i: f64| (i + 0.5) / b - 0.5;
                        let center = setup.geometry.center.moved(at, at);
                        let pixel_um = setup.geometry.pixel_um * b;
                        let geometry = Geometry { center, pixel_um, ..setup.geometry.clone() };
                        Setup { shape, geometry, ..setup.clone() }
                    }),
                    ..WindowStage::new(info, threads, 20.0 * (bin * bin) as f64, move |input, out, _| {
                        resize::bin_absorbance(input, bin, out)
                    })
                }
            }
            _ => {
                let [left, right, top, bottom] = ["left_px", "right_px", "top_px", "bottom_px"].map(number);
                let shape = ScanShape {
                    rows: setup.shape.rows.saturating_sub(top + bottom),
                    cols: setup.shape.cols.saturating_sub(left + right),
                    ..setup.shape
                };
                not_empty(info, shape)?;
                WindowStage {
                    rows: RowMap { first: top, step: 1 },
                    dims: Box::new(move |[views, cols]| [views, cols - left - right]),
                    after: Box::new(move |setup| {
                        let center = setup.geometry.center.moved(|x| x - left as f64, |row| row - top as f64);
                        let geometry = Geometry { center, ..setup.geometry.clone() };
                        // How far the sample reaches over narrower edges is not known; assume that it does.
                        let edge_over_mean = if left + right > 0 { f64::INFINITY } else { setup.edge_over_mean };
                        Setup { shape, geometry, edge_over_mean, ..setup.clone() }
                    }),
                    ..WindowStage::new(info, threads, 1.0, move |input, out, _| resize::crop(input, left, out))
                }
            }
        }))
    }
}

/// Refuses to leave nothing.
fn not_empty(info: &StageInfo, shape: ScanShape) -> Result<()> {
    if shape.rows > 0 && shape.cols > 1 {
        return Ok(());
    }
    Err(Error::invalid(info.id, "at least 1 row and 2 columns of the detector must be left"))
}
