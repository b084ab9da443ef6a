//! `recon.fbp`: sinograms to slices.

use super::n2i::N2I;
use crate::chain::params::Params;
use crate::chain::stage::{
    ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker,
};
use crate::chain::survey;
use crate::error::{Error, Result};
use crate::geometry::{Center, Geometry, view_weights};
use crate::recon::pad::{edge_and_mean, is_truncated};
use crate::recon::{Engine, Fbp, FbpOptions, Filter, Interpolation};
use crate::scan::ScanShape;
use crate::slab::{Domain, Slab, SlabShape};
use ndarray::Axis;
use rayon::prelude::*;

pub(super) const FILTER: ParamInfo = ParamInfo::choice(
    "filter",
    &["chesler", "shepp-logan", "ramp"],
    "chesler",
    "chesler: Hann-windowed ramp, smooth; shepp-logan: sharper; ramp: no window, sharpest and noisiest",
);
pub(super) const CENTER: ParamInfo = ParamInfo::new(
    "center_px",
    ParamKind::Text,
    "px",
    ParamValue::Auto,
    "Rotation axis on the detector, first column is 0: a column, row:px,row:px for a tilted axis, or auto",
)
.or_auto();
pub(super) const PIXEL: ParamInfo = ParamInfo::new(
    "pixel_um",
    ParamKind::Float,
    "um",
    ParamValue::Auto,
    "Detector pixel at the sample; auto takes it from the scan's file, or 1 um",
)
.range(1e-6, 1e6)
.or_auto();
pub(super) const ANGLE_OFFSET: ParamInfo = ParamInfo::new(
    "angle_offset_deg",
    ParamKind::Float,
    "deg",
    ParamValue::Float(0.0),
    "Turns the slices, counter-clockwise on screen",
)
.range(-3600.0, 3600.0);
pub(super) const TURN: ParamInfo = ParamInfo::choice(
    "turn",
    &["half", "full"],
    "half",
    "half: views over 180 degrees; full: over 360 degrees with the axis near the middle of the detector",
);
const PAD: ParamInfo = ParamInfo::choice(
    "pad",
    &["auto", "on", "off", "slice"],
    "auto",
    "Taper the ends of truncated views: on, off, auto (one decision for the volume) or slice (one for each slice)",
);
pub(super) const PAD_THRESHOLD: ParamInfo = ParamInfo::new(
    "pad_threshold",
    ParamKind::Float,
    "",
    ParamValue::Float(0.3),
    "auto and slice pad where the mean of the edge columns exceeds this multiple of the mean of all",
)
.range(0.0, 1e6);
pub(super) const ENGINE: ParamInfo = ParamInfo::choice(
    "engine",
    &["direct", "fourier", "reference"],
    "direct",
    "direct: 32-bit, fast; fourier: 32-bit, much faster, with an error within tolerance; reference: 64-bit, plain and slow, to check against",
);
pub(super) const TOLERANCE: ParamInfo = ParamInfo::new(
    "tolerance",
    ParamKind::Float,
    "",
    ParamValue::Float(FbpOptions::DEFAULT_TOLERANCE),
    "Fourier engine: largest error of a slice, relative L2 against back-projection with that interpolation",
)
.range(FbpOptions::TOLERANCE.0, FbpOptions::TOLERANCE.1);
pub(super) const INTERPOLATION: ParamInfo = ParamInfo::choice(
    "interpolation",
    &["sinc", "linear"],
    "sinc",
    "Fourier engine, between columns: sinc keeps all detail and noise, linear damps the highest frequencies as the other engines do",
);

/// `recon.fbp`.
pub(in crate::chain) static FBP: StageInfo = StageInfo {
    id: "recon.fbp",
    summary: "Filtered (convolution) back-projection, linear interpolation, values in 1/cm",
    input: Domain::Sinogram,
    output: Domain::Volume,
    params: &[FILTER, CENTER, PIXEL, ANGLE_OFFSET, TURN, PAD, PAD_THRESHOLD, ENGINE, TOLERANCE, INTERPOLATION],
};

/// `recon.fourier`: [`FBP`] with the Fourier engine.
static FOURIER: StageInfo = StageInfo {
    id: "recon.fourier",
    summary: "Filtered back-projection by gridding in Fourier space, to a tolerance, values in 1/cm",
    input: Domain::Sinogram,
    output: Domain::Volume,
    params: &[FILTER, CENTER, PIXEL, ANGLE_OFFSET, TURN, PAD, PAD_THRESHOLD, TOLERANCE, INTERPOLATION],
};

/// The reconstruction stages, which need axis and pixel size.
pub(super) const STAGES: [FbpFactory; 2] = [FbpFactory(&FBP), FbpFactory(&FOURIER)];

/// True for a stage that reconstructs.
pub(in crate::chain) fn is_recon(info: &StageInfo) -> bool {
    STAGES.iter().any(|stage| stage.0.id == info.id) || info.id == N2I.id
}

/// The stage `info` from the parameters of another one that has them all.
pub(super) fn stage(info: &'static StageInfo, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
    FbpFactory(info).create(params, setup)
}

#[derive(Clone, Copy)]
pub(super) struct FbpFactory(&'static StageInfo);
struct FbpStage {
    info: &'static StageInfo,
    center: Center,
    pixel_um: f64,
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
        self.0
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let geometry = &setup.geometry;
        let center = params.text("center_px").map(str::parse).transpose()?.unwrap_or(geometry.center);
        let pixel_um = params.float("pixel_um").unwrap_or(geometry.pixel_um);
        if geometry.angles_rad.len() != setup.shape.views {
            return Err(Error::unsupported(
                "recon.fbp",
                "an earlier stage changed the number of views but not the angles",
            )
            .with("views", setup.shape.views)
            .with("angles", geometry.angles_rad.len()));
        }
        let full = params.text("turn") == Some("full");
        let remark = survey::check_half_turn(&geometry.angles_rad, full)?;
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
        // Nanoseconds for a view and a pixel.
        let (engine, cost_per_update) =
            match if self.0.id == FOURIER.id { Some("fourier") } else { params.text("engine") } {
                Some("fourier") => (Engine::Fourier, 0.0105),
                Some("reference") => (Engine::Reference, 4.4),
                _ => (Engine::Direct, 0.047),
            };
        let tolerance = params.float("tolerance").unwrap_or(FbpOptions::DEFAULT_TOLERANCE);
        let interpolation = match params.text("interpolation") {
            Some("linear") => Interpolation::Linear,
            _ => Interpolation::Sinc,
        };
        let offset = params.float("angle_offset_deg").unwrap_or(0.0).to_radians();
        let angles: Vec<f64> = geometry.angles_rad.iter().map(|a| a + offset).collect();
        let weights = view_weights(&geometry.angles_rad);
        let fbp = |wanted: bool, pad: bool| {
            let options = FbpOptions { filter, engine, pad, tolerance, interpolation };
            wanted.then(|| Fbp::new(&angles, &weights, setup.shape.cols, pixel_um, &options)).transpose()
        };
        let (plain, padded) = (fbp(plain, false)?, fbp(padded, true)?);
        Ok(Box::new(FbpStage {
            info: self.0,
            center,
            pixel_um,
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
        self.info
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
            scratch_bytes: scratch(&self.plain).max(scratch(&self.padded)),
            cost_per_row: self.cost_per_update * (views * cols) as f64 * cols as f64,
            ..StagePlan::new(output)
        })
    }
    fn after(&self, setup: &Setup) -> Setup {
        let shape = ScanShape { views: setup.shape.cols, ..setup.shape };
        let geometry = Geometry { center: self.center, pixel_um: self.pixel_um, ..setup.geometry.clone() };
        Setup { shape, geometry, ..setup.clone() }
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
