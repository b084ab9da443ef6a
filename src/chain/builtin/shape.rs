//! `volume.*`: finished volumes of another shape: binned, cut, framed, masked, turned, unrolled.

use super::rows::RowStage;
use crate::chain::params::Params;
use crate::chain::stage::{ParamInfo, ParamKind, ParamValue, Setup, Stage, StageFactory, StageInfo};
use crate::error::{Error, Result};
use crate::post::shape::{self, Binning};
use crate::post::unwrap::{Unwrap, UnwrapOptions};
use crate::scan::ScanShape;
use crate::slab::{Domain, RowMap};
use ndarray::{ArrayViewMut2, Axis, Slice};

const fn pixels(name: &'static str, help: &'static str) -> ParamInfo {
    ParamInfo::int(name, "px", 0, help).range(0.0, 1e6)
}

const fn auto(name: &'static str, kind: ParamKind, unit: &'static str, help: &'static str) -> ParamInfo {
    ParamInfo::new(name, kind, unit, ParamValue::Auto, help).or_auto()
}

const fn value(name: &'static str, help: &'static str) -> ParamInfo {
    ParamInfo::float(name, "1/cm", 0.0, help).range(-3e38, 3e38)
}

static BIN: StageInfo = StageInfo {
    id: "volume.bin",
    summary: "Means or sums of boxes of voxels: a smaller volume",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        ParamInfo::int("bin", "", 2, "Voxels to a voxel in each direction").range(1.0, 64.0),
        auto("bin_x", ParamKind::Int, "", "Columns to a column; auto is bin").range(1.0, 64.0),
        auto("bin_y", ParamKind::Int, "", "Lines to a line; auto is bin").range(1.0, 64.0),
        auto("bin_z", ParamKind::Int, "", "Slices to a slice; auto is bin").range(1.0, 64.0),
        ParamInfo::choice("mode", &["mean", "sum"], "mean", "What becomes of the voxels of a box"),
        ParamInfo::choice(
            "partial",
            &["drop", "keep"],
            "drop",
            "Boxes that are cut off at the far ends: left out, or made of the voxels that there are",
        ),
    ],
};

static CROP: StageInfo = StageInfo {
    id: "volume.crop",
    summary: "Cuts off the sides of the volume",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        pixels("left_px", "Columns cut off at the left"),
        pixels("right_px", "Columns cut off at the right"),
        pixels("top_px", "Lines cut off at the top of each slice"),
        pixels("bottom_px", "Lines cut off at the bottom of each slice"),
        pixels("first_slices", "Slices cut off at the beginning"),
        pixels("last_slices", "Slices cut off at the end"),
    ],
};

static PAD: StageInfo = StageInfo {
    id: "volume.pad",
    summary: "Puts the volume into a larger frame",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        pixels("left_px", "Columns added at the left"),
        pixels("right_px", "Columns added at the right"),
        pixels("top_px", "Lines added at the top of each slice"),
        pixels("bottom_px", "Lines added at the bottom of each slice"),
        pixels("first_slices", "Slices added at the beginning; takes the memory of as many slices"),
        pixels("last_slices", "Slices added at the end"),
        value("value", "Value of what is added"),
    ],
};

static MASK: StageInfo = StageInfo {
    id: "volume.mask",
    summary: "Sets everything outside of a cylinder across the slices to one value",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        auto("radius_px", ParamKind::Float, "px", "Radius; auto is fraction of the largest circle in a slice")
            .range(0.0, 1e6),
        ParamInfo::float("fraction", "", 1.0, "Radius over half the shorter side of a slice").range(0.0, 2.0),
        auto("x_px", ParamKind::Float, "px", "Column of its middle; auto is that of the slice").range(-1e6, 1e6),
        auto("y_px", ParamKind::Float, "px", "Line of its middle; auto is that of the slice").range(-1e6, 1e6),
        value("value", "Value outside"),
    ],
};

static ROTATE: StageInfo = StageInfo {
    id: "volume.rotate",
    summary: "Turns each slice counter-clockwise by quarters, without interpolation",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[ParamInfo::int("quarters", "", 1, "Quarter turns; negative ones run clockwise").range(-3.0, 3.0)],
};

static UNWRAP: StageInfo = StageInfo {
    id: "volume.unwrap",
    summary: "Unrolls a hollow cylinder: each slice becomes an image of radius down and angle across",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        auto("x_px", ParamKind::Float, "px", "Column of the axis; auto is the middle").range(-1e6, 1e6),
        auto("y_px", ParamKind::Float, "px", "Line of the axis; auto is the middle").range(-1e6, 1e6),
        ParamInfo::float("inner_px", "px", 0.0, "Radius of the first line").range(0.0, 1e6),
        auto("outer_px", ParamKind::Float, "px", "Radius of the last line; auto is the largest circle around the axis")
            .range(0.0, 1e6),
        ParamInfo::float("radial_step_px", "px", 1.0, "Between lines").range(1e-3, 1e3),
        ParamInfo::float("arc_step_px", "px", 1.0, "Between columns, along the outer radius").range(1e-3, 1e3),
        ParamInfo::float("start_deg", "deg", 0.0, "Angle of the first column: 0 to the right, 90 up")
            .range(-360.0, 360.0),
        ParamInfo::float("span_deg", "deg", 360.0, "Angle of all columns, counter-clockwise; negative is clockwise")
            .range(-360.0, 360.0),
        ParamInfo::choice("interpolation", &["linear", "nearest"], "linear", "Between voxels"),
        value("value", "Value where the slice has no voxel"),
    ],
};

/// All stages of this file.
pub(super) const STAGES: [Shape; 6] =
    [Shape(&BIN), Shape(&CROP), Shape(&PAD), Shape(&MASK), Shape(&ROTATE), Shape(&UNWRAP)];

#[derive(Clone, Copy)]
pub(super) struct Shape(&'static StageInfo);

impl StageFactory for Shape {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        Ok(Box::new(match self.0.id {
            "volume.bin" => bin(params, setup)?,
            "volume.crop" => crop(params, setup)?,
            "volume.pad" => pad(params, setup),
            "volume.mask" => mask(params, setup),
            "volume.rotate" => rotate(params, setup),
            _ => unwrap(params, setup)?,
        }))
    }
}

/// Refuses to leave nothing.
fn not_empty(info: &StageInfo, shape: ScanShape) -> Result<ScanShape> {
    if shape.views > 0 && shape.rows > 0 && shape.cols > 0 {
        return Ok(shape);
    }
    Err(Error::invalid(info.id, "nothing of the volume would be left"))
}

fn float(params: &Params, name: &str) -> f64 {
    params.float(name).unwrap_or(0.0)
}

/// The six sides: left, right, top, bottom, first, last.
fn sides(params: &Params) -> [usize; 6] {
    ["left_px", "right_px", "top_px", "bottom_px", "first_slices", "last_slices"]
        .map(|name| params.int(name).unwrap_or(0) as usize)
}

fn bin(params: &Params, setup: &Setup) -> Result<RowStage> {
    let all = params.int("bin").unwrap_or(1);
    let [x, y, z] = ["bin_x", "bin_y", "bin_z"].map(|name| params.int(name).unwrap_or(all).max(1) as usize);
    let how = if params.text("mode") == Some("sum") { Binning::Sum } else { Binning::Mean };
    let keep = params.text("partial") == Some("keep");
    let count = |size: usize, bin: usize| if keep { size.div_ceil(bin) } else { size / bin };
    let ScanShape { views, rows, cols, .. } = setup.shape;
    let shape = ScanShape { views: count(views, y), rows: count(rows, z), cols: count(cols, x), ..setup.shape };
    let make = move |row: usize, window: ndarray::ArrayView3<f32>, out: ArrayViewMut2<f32>| {
        // Of the last box there may be less than a box; behind it are repetitions.
        let there = rows.saturating_sub(row * z);
        let slices = if there == 0 { z } else { z.min(there) };
        shape::bin(window.slice_axis(Axis(0), Slice::from(..slices)), [y, x], how, out);
    };
    Ok(RowStage {
        rows: RowMap { first: 0, step: z },
        shape: not_empty(&BIN, shape)?,
        after: Box::new(move |setup| {
            setup.geometry.pixel_um *= x as f64;
            let binned = |bin: usize| move |at: f64| (at - (bin as f64 - 1.0) / 2.0) / bin as f64;
            setup.geometry.center = setup.geometry.center.moved(binned(x), binned(z));
        }),
        ..RowStage::new(&BIN, setup, 0.5 * (x * y * z) as f64, make)
    })
}

fn crop(params: &Params, setup: &Setup) -> Result<RowStage> {
    let [left, right, top, bottom, first, last] = sides(params);
    let shape = ScanShape {
        views: setup.shape.views.saturating_sub(top + bottom),
        rows: setup.shape.rows.saturating_sub(first + last),
        cols: setup.shape.cols.saturating_sub(left + right),
        ..setup.shape
    };
    let from = [-(top as isize), -(left as isize)];
    Ok(RowStage {
        rows: RowMap { first, step: 1 },
        shape: not_empty(&CROP, shape)?,
        // The axis is told in columns of the detector, which stay; slices count anew.
        after: Box::new(move |setup| {
            setup.geometry.center = setup.geometry.center.moved(|col| col, |row| row - first as f64);
        }),
        ..RowStage::new(&CROP, setup, 1.0, move |_, window, out| shape::place(window.index_axis(Axis(0), 0), from, out))
    })
}

fn pad(params: &Params, setup: &Setup) -> RowStage {
    let [left, right, top, bottom, first, last] = sides(params);
    let value = float(params, "value") as f32;
    let ScanShape { views, rows, cols, .. } = setup.shape;
    let shape =
        ScanShape { views: views + top + bottom, rows: rows + first + last, cols: cols + left + right, ..setup.shape };
    let at = [top as isize, left as isize];
    let make = move |row: usize, window: ndarray::ArrayView3<f32>, mut out: ArrayViewMut2<f32>| {
        out.fill(value);
        // The window ends with the row itself, whose slice lies at its beginning. Rows beyond the last one repeat it.
        let row = row.min(shape.rows - 1);
        if (first..first + rows).contains(&row) {
            shape::place(window.index_axis(Axis(0), 0), at, out);
        }
    };
    RowStage {
        before: first,
        shape,
        after: Box::new(move |setup| {
            setup.geometry.center = setup.geometry.center.moved(|col| col, |row| row + first as f64);
        }),
        ..RowStage::new(&PAD, setup, 1.0, make)
    }
}

fn mask(params: &Params, setup: &Setup) -> RowStage {
    let (height, width) = (setup.shape.views as f64, setup.shape.cols as f64);
    let middle = |name, size: f64| params.float(name).unwrap_or((size - 1.0) / 2.0);
    let center = [middle("y_px", height), middle("x_px", width)];
    let radius = params.float("radius_px").unwrap_or(float(params, "fraction") * height.min(width) / 2.0);
    let value = float(params, "value") as f32;
    RowStage::new(&MASK, setup, 1.5, move |_, window, mut out| {
        out.assign(&window.index_axis(Axis(0), 0));
        shape::mask(out, center, radius, value);
    })
}

fn rotate(params: &Params, setup: &Setup) -> RowStage {
    let turns = params.int("quarters").unwrap_or(1).rem_euclid(4) as usize;
    let ScanShape { views, cols, .. } = setup.shape;
    let [views, cols] = if turns % 2 == 1 { [cols, views] } else { [views, cols] };
    RowStage {
        shape: ScanShape { views, cols, ..setup.shape },
        ..RowStage::new(&ROTATE, setup, 1.0, move |_, window, out| {
            shape::rotate(window.index_axis(Axis(0), 0), turns, out)
        })
    }
}

fn unwrap(params: &Params, setup: &Setup) -> Result<RowStage> {
    let (height, width) = (setup.shape.views as f64, setup.shape.cols as f64);
    let middle = |name, size: f64| params.float(name).unwrap_or((size - 1.0) / 2.0);
    let [x, y] = [middle("x_px", width), middle("y_px", height)];
    let largest = x.min(y).min(width - 1.0 - x).min(height - 1.0 - y);
    let radial_step_px = float(params, "radial_step_px");
    let unwrap = Unwrap::new(UnwrapOptions {
        center: [x, y],
        inner_px: float(params, "inner_px"),
        outer_px: params.float("outer_px").unwrap_or(largest),
        radial_step_px,
        arc_step_px: float(params, "arc_step_px"),
        start_rad: float(params, "start_deg").to_radians(),
        span_rad: float(params, "span_deg").to_radians(),
        linear: params.text("interpolation") != Some("nearest"),
        outside: float(params, "value") as f32,
    })
    .map_err(|e| e.at(UNWRAP.id))?;
    let [views, cols] = unwrap.size();
    Ok(RowStage {
        shape: ScanShape { views, cols, ..setup.shape },
        after: Box::new(move |setup| setup.geometry.pixel_um *= radial_step_px),
        ..RowStage::new(&UNWRAP, setup, 6.0, move |_, window, out| unwrap.unwrap(window.index_axis(Axis(0), 0), out))
    })
}
