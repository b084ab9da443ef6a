//! The built-in stages: one thin adapter per algorithm.

use super::params::Params;
use super::stage::{ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker};
use crate::error::{Error, Result};
use crate::geometry::{Center, view_weights};
use crate::preprocess::normalise::{Air, BlackRule, NormaliseOptions, RowReport, normalise_rows};
use crate::recon::pad::{edge_and_mean, is_truncated};
use crate::recon::{Engine, Fbp, FbpOptions, Filter};
use crate::rings;
use crate::slab::{Domain, Halo, Slab, SlabShape};
use ndarray::Axis;
use rayon::prelude::*;
use std::sync::Arc;

pub(super) fn factories() -> Vec<Arc<dyn StageFactory>> {
    vec![Arc::new(NormaliseFactory), Arc::new(RingSortFactory), Arc::new(FbpFactory)]
}

// ---------------------------------------------------------------- normalise

/// `normalise`, and the parameters that the survey of a scan must know before the first slab is read.
pub(super) static NORMALISE: StageInfo = StageInfo {
    id: "normalise",
    summary: "Counts to absorbance: dark and direct beam (interpolated in time), black views, dead pixels",
    input: Domain::Counts,
    output: Domain::Sinogram,
    params: &[
        ParamInfo::new("floor_counts", ParamKind::Float, "counts", ParamValue::Float(2.0), "Signal and direct beam below this many counts above dark are raised to it, so that opaque pixels stay finite").range(1e-6, 1e6),
        ParamInfo::new("black_fraction", ParamKind::Float, "", ParamValue::Float(0.5), "A view with more than this part of its pixels at the floor is black: it is replaced by the mean of the others").range(1e-6, 1.0),
        ParamInfo::choice("black", &["frame", "row"], "frame", "Judge black views by the whole frame, or each detector row by itself"),
        ParamInfo::choice("air", &["off", "edges"], "off", "Subtract from each row of each view the mean of its 10 outermost columns on either side (air beside the sample)"),
        ParamInfo::new("repair", ParamKind::Bool, "", ParamValue::Bool(true), "Fill detector pixels whose direct beam does not exceed dark from their neighbours"),
    ],
};

pub(super) fn normalise_options(p: &Params) -> NormaliseOptions {
    NormaliseOptions {
        floor_counts: p.float("floor_counts").unwrap_or(2.0),
        black_fraction: p.float("black_fraction").unwrap_or(0.5),
        black: if p.text("black") == Some("row") { BlackRule::Row } else { BlackRule::Frame },
        air: if p.text("air") == Some("edges") { Air::Edges } else { Air::Off },
        repair: p.bool("repair"),
    }
}

struct NormaliseFactory;
struct Normalise(NormaliseOptions);
struct NormaliseWorker {
    options: NormaliseOptions,
    report: RowReport,
}

impl StageFactory for NormaliseFactory {
    fn info(&self) -> &'static StageInfo {
        &NORMALISE
    }
    fn create(&self, params: &Params, _: &Setup) -> Result<Box<dyn Stage>> {
        Ok(Box::new(Normalise(normalise_options(params))))
    }
}

impl Stage for Normalise {
    fn info(&self) -> &'static StageInfo {
        &NORMALISE
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        let output = SlabShape { domain: Domain::Sinogram, ..input };
        Ok(StagePlan { output, halo: Halo::default(), scratch_bytes: 0, cost_per_row: in_place_cost(input, 20.0) })
    }
    fn worker(&self, _: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(NormaliseWorker { options: self.0, report: RowReport::default() }))
    }
}

impl Worker for NormaliseWorker {
    fn process(&mut self, mut slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab> {
        let references = slab.references.take();
        let references =
            references.ok_or_else(|| Error::internal("normalise", "the slab carries no dark and flats"))?;
        let (pool, first) = (run.context.pool(), slab.first_row.saturating_sub(slab.halo.below));
        let tick = &mut |fraction| run.tick(fraction);
        let reports = normalise_rows(pool, slab.data.view_mut(), &references, &self.options, first, tick)?;
        // Halo rows belong to a neighbouring slab, which counts them.
        for report in &reports[slab.halo.below..reports.len() - slab.halo.above] {
            self.report.merge(report);
        }
        slab.domain = Domain::Sinogram;
        Ok(slab)
    }
    fn remarks(&self) -> Vec<String> {
        self.report.remarks()
    }
}

/// Operations per value as a share of the 36 per voxel and view of back-projection; only for the time estimate.
fn in_place_cost(input: SlabShape, per_value: f64) -> f64 {
    per_value * input.dims[0] as f64 * input.dims[1] as f64
}

// ---------------------------------------------------------------- ring.sort

static RING_SORT: StageInfo = StageInfo {
    id: "ring.sort",
    summary: "Ring removal by sorting each detector column and taking the median across columns (Vo 2018, algorithm 3)",
    input: Domain::Sinogram,
    output: Domain::Sinogram,
    params: &[ParamInfo::new("kernel_px", ParamKind::Int, "px", ParamValue::Int(5), "Width of the median across columns; 0 or 1 is off, even widths grow by 1; wider removes wider rings and more of the sample").range(0.0, 1001.0)],
};

struct RingSortFactory;
struct RingSort {
    kernel_px: usize,
    threads: usize,
    /// Of the detector.
    rows: usize,
}
struct RingSortWorker {
    kernel_px: usize,
    rows: usize,
}

impl StageFactory for RingSortFactory {
    fn info(&self) -> &'static StageInfo {
        &RING_SORT
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let kernel_px = params.int("kernel_px").unwrap_or(5) as usize;
        if kernel_px > setup.shape.cols {
            return Err(Error::invalid("ring.sort", "the median cannot be wider than the detector")
                .with("kernel_px", kernel_px)
                .with("cols", setup.shape.cols));
        }
        Ok(Box::new(RingSort { kernel_px, threads: setup.threads, rows: setup.shape.rows }))
    }
}

impl Stage for RingSort {
    fn info(&self) -> &'static StageInfo {
        &RING_SORT
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        let one = rings::sort_scratch_bytes(input.dims[0], input.dims[1], self.kernel_px);
        Ok(StagePlan {
            output: input,
            halo: Halo::default(),
            scratch_bytes: one * self.threads.min(input.rows) as u64,
            cost_per_row: in_place_cost(input, 400.0),
        })
    }
    fn worker(&self, _: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(RingSortWorker { kernel_px: self.kernel_px, rows: self.rows }))
    }
}

impl Worker for RingSortWorker {
    fn process(&mut self, mut slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab> {
        let detector_rows: Vec<usize> =
            (0..slab.data.len_of(Axis(0))).map(|i| slab.detector_row(i, self.rows)).collect();
        let (pool, tick) = (run.context.pool(), &mut |fraction| run.tick(fraction));
        rings::sort_rows(pool, slab.data.view_mut(), self.kernel_px, |i| detector_rows[i], tick)?;
        Ok(slab)
    }
    fn remarks(&self) -> Vec<String> {
        if self.kernel_px > 1 && self.kernel_px.is_multiple_of(2) {
            vec![format!("ring.sort: the median needs an odd width: {} px used", self.kernel_px + 1)]
        } else {
            Vec::new()
        }
    }
}

// ---------------------------------------------------------------- recon.fbp

pub(super) static FBP: StageInfo = StageInfo {
    id: "recon.fbp",
    summary: "Filtered (convolution) back-projection, linear interpolation, values in 1/cm",
    input: Domain::Sinogram,
    output: Domain::Volume,
    params: &[
        ParamInfo::choice(
            "filter",
            &["chesler", "shepp-logan", "ramp"],
            "chesler",
            "chesler: Hann-windowed ramp, smooth; shepp-logan: sharper; ramp: no window, sharpest and noisiest",
        ),
        ParamInfo::new(
            "center_px",
            ParamKind::Text,
            "px",
            ParamValue::Auto,
            "Rotation axis on the detector, first column is 0: a column, row:px,row:px for a tilted axis, or auto",
        )
        .or_auto(),
        ParamInfo::new(
            "pixel_um",
            ParamKind::Float,
            "um",
            ParamValue::Auto,
            "Detector pixel at the sample; auto takes it from the scan's file, or 1 um",
        )
        .range(1e-6, 1e6)
        .or_auto(),
        ParamInfo::new(
            "angle_offset_deg",
            ParamKind::Float,
            "deg",
            ParamValue::Float(0.0),
            "Turns the slices, counter-clockwise on screen",
        )
        .range(-3600.0, 3600.0),
        ParamInfo::choice(
            "turn",
            &["half", "full"],
            "half",
            "half: views over 180 degrees; full: over 360 degrees with the axis near the middle of the detector",
        ),
        ParamInfo::choice(
            "pad",
            &["auto", "on", "off", "slice"],
            "auto",
            "Taper the ends of truncated views: on, off, auto (one decision for the volume) or slice (one for each slice)",
        ),
        ParamInfo::new(
            "pad_threshold",
            ParamKind::Float,
            "",
            ParamValue::Float(0.3),
            "auto and slice pad where the mean of the edge columns exceeds this multiple of the mean of all",
        )
        .range(0.0, 1e6),
        ParamInfo::choice(
            "engine",
            &["direct", "fourier", "reference"],
            "direct",
            "direct: 32-bit, fast; fourier: 32-bit, much faster, with an error within tolerance; reference: 64-bit, plain and slow, to check against",
        ),
        ParamInfo::new(
            "tolerance",
            ParamKind::Float,
            "",
            ParamValue::Float(FbpOptions::DEFAULT_TOLERANCE),
            "engine=fourier: largest error of a slice, relative L2 against sinc-interpolated back-projection",
        )
        .range(FbpOptions::TOLERANCE.0, FbpOptions::TOLERANCE.1),
    ],
};

struct FbpFactory;
struct FbpStage {
    center: Center,
    plain: Option<Fbp>,
    padded: Option<Fbp>,
    pad_threshold: f64,
    threads: usize,
    /// Of the detector.
    rows: usize,
    /// Views and columns that the engines are made for.
    dims: [usize; 2],
    cost_per_update: f64,
    remark: Option<String>,
}

impl StageFactory for FbpFactory {
    fn info(&self) -> &'static StageInfo {
        &FBP
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let geometry = &setup.geometry;
        let full = params.text("turn") == Some("full");
        let remark = super::survey::check_half_turn(&geometry.angles_rad, full)?;
        let pad_threshold = params.float("pad_threshold").unwrap_or(0.3);
        let truncated = is_truncated(setup.edge_over_mean, 1.0, pad_threshold);
        let (plain, padded) = match params.text("pad") {
            Some("on") => (false, true),
            Some("off") => (true, false),
            Some("slice") => (true, true),
            _ => (!truncated, truncated),
        };
        let filter = match params.text("filter") {
            Some("ramp") => Filter::Ramp,
            Some("shepp-logan") => Filter::SheppLogan,
            _ => Filter::Chesler,
        };
        // Cost of one update, relative to other stages.
        let (engine, cost_per_update) = match params.text("engine") {
            Some("fourier") => (Engine::Fourier, 1.0),
            Some("reference") => (Engine::Reference, 40.0),
            _ => (Engine::Direct, 6.0),
        };
        let tolerance = params.float("tolerance").unwrap_or(FbpOptions::DEFAULT_TOLERANCE);
        let offset = params.float("angle_offset_deg").unwrap_or(0.0).to_radians();
        let angles: Vec<f64> = geometry.angles_rad.iter().map(|a| a + offset).collect();
        let weights = view_weights(&geometry.angles_rad);
        let fbp = |wanted: bool, pad: bool| {
            let options = FbpOptions { filter, engine, pad, tolerance };
            wanted.then(|| Fbp::new(&angles, &weights, setup.shape.cols, geometry.pixel_um, &options)).transpose()
        };
        let (plain, padded) = (fbp(plain, false)?, fbp(padded, true)?);
        Ok(Box::new(FbpStage {
            center: geometry.center,
            plain,
            padded,
            pad_threshold,
            threads: setup.threads,
            rows: setup.shape.rows,
            dims: [setup.shape.views, setup.shape.cols],
            cost_per_update,
            remark,
        }))
    }
}

impl Stage for FbpStage {
    fn info(&self) -> &'static StageInfo {
        &FBP
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        let [views, cols] = input.dims;
        if input.dims != self.dims {
            return Err(Error::unsupported("recon.fbp", "an earlier stage changed the number of views or columns")
                .with("sinogram", format!("{views} x {cols}"))
                .with("scan", format!("{} x {}", self.dims[0], self.dims[1])));
        }
        let output = SlabShape { domain: Domain::Volume, rows: input.rows, dims: [cols, cols] };
        let scratch = |fbp: &Option<Fbp>| fbp.as_ref().map_or(0, |f| f.scratch_bytes(input.rows, self.threads));
        Ok(StagePlan {
            output,
            halo: Halo::default(),
            scratch_bytes: scratch(&self.plain).max(scratch(&self.padded)),
            cost_per_row: self.cost_per_update * (views * cols) as f64 * cols as f64,
        })
    }
    fn preferred_rows(&self) -> usize {
        let rows = |fbp: &Option<Fbp>| fbp.as_ref().map_or(1, Fbp::preferred_rows);
        rows(&self.plain).max(rows(&self.padded))
    }
    fn worker(&self, _: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(FbpWorker { stage: self, padded_slices: 0, slices: 0 }))
    }
}

struct FbpWorker<'a> {
    stage: &'a FbpStage,
    padded_slices: usize,
    slices: usize,
}

impl FbpWorker<'_> {
    /// Which slices to pad: all, none, or as each sinogram says.
    fn padded(&self, slab: &Slab, run: &Run<'_, '_>) -> Vec<bool> {
        let rows = slab.data.shape()[0];
        match (&self.stage.plain, &self.stage.padded) {
            (_, None) => vec![false; rows],
            (None, _) => vec![true; rows],
            _ => run.context.pool().install(|| {
                let decide = |i| edge_and_mean(slab.data.index_axis(Axis(0), i)).is_truncated(self.stage.pad_threshold);
                (0..rows).into_par_iter().map(decide).collect()
            }),
        }
    }
}

impl Worker for FbpWorker<'_> {
    fn process(&mut self, slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab> {
        let [rows, _, cols] = slab.data.dim().into();
        let centers: Vec<f64> =
            (0..rows).map(|i| self.stage.center.at(slab.detector_row(i, self.stage.rows))).collect();
        let padded = self.padded(&slab, run);
        let mut out = run.array([rows, cols, cols]);
        // Runs of slices that share the decision go through one engine.
        let mut start = 0;
        while start < rows {
            let end = (start..rows).find(|&i| padded[i] != padded[start]).unwrap_or(rows);
            let engine = if padded[start] { &self.stage.padded } else { &self.stage.plain };
            let engine = engine.as_ref().ok_or_else(|| Error::internal("recon.fbp", "no engine for this slice"))?;
            let part = ndarray::Slice::from(start..end);
            let pool = run.context.pool();
            let (done, size) = (start as f64, (end - start) as f64);
            engine.reconstruct(
                pool,
                slab.data.slice_axis(Axis(0), part),
                &centers[start..end],
                out.slice_axis_mut(Axis(0), part),
                &mut |fraction| run.tick((done + fraction * size) / rows as f64),
            )?;
            start = end;
        }
        // Halo rows belong to a neighbouring slab, which counts them.
        let own = &padded[slab.halo.below..rows - slab.halo.above];
        self.slices += own.len();
        self.padded_slices += own.iter().filter(|p| **p).count();
        run.recycle(slab.data);
        Ok(Slab { data: out, domain: Domain::Volume, ..slab })
    }
    fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<String> = self.stage.remark.iter().map(|r| format!("recon.fbp: {r}")).collect();
        if self.padded_slices > 0 {
            let (n, all) = (self.padded_slices, self.slices);
            remarks.push(format!(
                "recon.fbp: {n} of {all} slices padded, because the views are truncated (pad=off stops that)"
            ));
        }
        remarks
    }
}
