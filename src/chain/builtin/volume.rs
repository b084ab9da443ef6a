//! `volume.*`: finished slices, binned, cut.

use super::window::WindowStage;
use crate::chain::params::Params;
use crate::chain::stage::{ParamInfo, Setup, Stage, StageFactory, StageInfo};
use crate::error::{Error, Result};
use crate::post::window;
use crate::scan::ScanShape;
use crate::slab::{Domain, RowMap};

static BIN: StageInfo = StageInfo {
    id: "volume.bin",
    summary: "Means of boxes of voxels: a smaller volume; what is left over at the far ends is dropped",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[ParamInfo::int("bin", "", 2, "Voxels to a voxel in each direction").range(1.0, 64.0)],
};

static CROP: StageInfo = StageInfo {
    id: "volume.crop",
    summary: "Cuts off the sides of the volume",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        ParamInfo::int("left_px", "px", 0, "Columns cut off at the left").range(0.0, 1e6),
        ParamInfo::int("right_px", "px", 0, "Columns cut off at the right").range(0.0, 1e6),
        ParamInfo::int("top_px", "px", 0, "Lines cut off at the top of each slice").range(0.0, 1e6),
        ParamInfo::int("bottom_px", "px", 0, "Lines cut off at the bottom of each slice").range(0.0, 1e6),
        ParamInfo::int("first_slices", "px", 0, "Slices cut off at the beginning").range(0.0, 1e6),
        ParamInfo::int("last_slices", "px", 0, "Slices cut off at the end").range(0.0, 1e6),
    ],
};

/// All stages of this file.
pub(super) const STAGES: [Volume; 2] = [Volume(&BIN), Volume(&CROP)];

#[derive(Clone, Copy)]
pub(super) struct Volume(&'static StageInfo);

impl StageFactory for Volume {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let (info, threads) = (self.0, setup.threads);
        let number = |name| params.int(name).unwrap_or(0) as usize;
        Ok(Box::new(match info.id {
            "volume.bin" => {
                let bin = number("bin").max(1);
                let binned = ScanShape {
                    views: setup.shape.views / bin,
                    rows: setup.shape.rows / bin,
                    cols: setup.shape.cols / bin,
                    ..setup.shape
                };
                not_empty(info, binned)?;
                WindowStage {
                    rows: RowMap { first: 0, step: bin },
                    dims: Box::new(move |[height, width]| [height / bin, width / bin]),
                    after: Box::new(move |setup| {
                        let mut after = Setup { shape: binned, ..setup.clone() };
                        after.geometry.pixel_um *= bin as f64;
                        after
                    }),
                    ..WindowStage::new(info, threads, (bin * bin * bin) as f64, move |input, out, _| {
                        window::bin(input, bin, out)
                    })
                }
            }
            _ => {
                let [left, right, top, bottom] = ["left_px", "right_px", "top_px", "bottom_px"].map(number);
                let (first, last) = (number("first_slices"), number("last_slices"));
                let cropped = ScanShape {
                    views: setup.shape.views.saturating_sub(top + bottom),
                    rows: setup.shape.rows.saturating_sub(first + last),
                    cols: setup.shape.cols.saturating_sub(left + right),
                    ..setup.shape
                };
                not_empty(info, cropped)?;
                WindowStage {
                    rows: RowMap { first, step: 1 },
                    dims: Box::new(move |[height, width]| [height - top - bottom, width - left - right]),
                    after: Box::new(move |setup| Setup { shape: cropped, ..setup.clone() }),
                    ..WindowStage::new(info, threads, 1.0, move |input, out, _| window::crop(input, top, left, out))
                }
            }
        }))
    }
}

/// Refuses to leave nothing.
fn not_empty(info: &StageInfo, shape: ScanShape) -> Result<()> {
    if shape.views > 0 && shape.rows > 0 && shape.cols > 0 {
        return Ok(());
    }
    Err(Error::invalid(info.id, "nothing of the volume would be left"))
}
