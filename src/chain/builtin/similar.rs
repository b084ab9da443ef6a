//! `filter.bilateral`, `filter.nlm`, `filter.block-matching`: filters of finished slices that keep edges, by as much as the noise
//! asks for.

use crate::chain::params::Params;
use crate::chain::stage::{
    ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker,
};
use crate::error::{Error, Result};
use crate::post::NoiseEstimator;
use crate::post::bilateral::{BilateralOptions, bilateral};
use crate::post::block_matching::{BlockMatching, BlockMatchingOptions};
use crate::post::nlm::{NlmOptions, OwnWeight, nlm};
use crate::slab::{Domain, Halo, Slab, SlabShape};
use ndarray::{ArrayView3, ArrayViewMut3, s};

static BILATERAL: StageInfo = StageInfo {
    id: "filter.bilateral",
    summary: "Mean of the neighbours that are near in place and in value: smooths, keeps edges",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        ParamInfo::int("size_px", "px", 5, "Width and height of the box of neighbours, odd").range(1.0, 51.0),
        ParamInfo::new("depth_px", ParamKind::Int, "px", ParamValue::Auto, "Slices in the box, odd; auto: as many as size_px, 1 looks at each slice by itself")
            .range(1.0, 51.0)
            .or_auto(),
        ParamInfo::float("sigma_px", "px", 1.0, "Standard deviation of the weights over the distance").range(0.1, 100.0),
        ParamInfo::new("sigma", ParamKind::Float, "", ParamValue::Auto, "Standard deviation of the weights over the difference of values, in their unit; auto: twice the noise found in the volume; 0 changes nothing")
            .range(0.0, f64::INFINITY)
            .or_auto(),
    ],
};

static NLM: StageInfo = StageInfo {
    id: "filter.nlm",
    summary: "Non-local means: mean of the voxels whose surroundings look alike",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        ParamInfo::int("patch_px", "px", 1, "Voxels from the middle of the surroundings that are compared to their faces")
            .range(0.0, 10.0),
        ParamInfo::int("search_px", "px", 3, "Distance up to which voxels are compared, along each axis").range(1.0, 30.0),
        ParamInfo::choice("reach", &["volume", "slice"], "volume", "Compare across slices, or look at each slice by itself"),
        ParamInfo::new("h", ParamKind::Float, "", ParamValue::Auto, "Difference at which the weight is 1/e, root mean square in the unit of the values; auto: 0.6 of the noise found in the volume; 0 changes nothing")
            .range(0.0, f64::INFINITY)
            .or_auto(),
        ParamInfo::new("sigma", ParamKind::Float, "", ParamValue::Auto, "Noise that makes no difference, in the unit of the values; auto: the noise found in the volume")
            .range(0.0, f64::INFINITY)
            .or_auto(),
        ParamInfo::choice("own", &["one", "largest"], "one", "Weight of the voxel itself: that of an equal one, or that of the neighbour most like it"),
    ],
};

static BLOCK_MATCHING: StageInfo = StageInfo {
    id: "filter.block-matching",
    summary: "BM4D: groups of cubes that look alike, filtered together; slow",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        ParamInfo::int("search_px", "px", 4, "Distance up to which cubes of 4 x 4 x 4 voxels are compared, along each axis")
            .range(1.0, BlockMatchingOptions::MOST as f64),
        ParamInfo::new("sigma", ParamKind::Float, "", ParamValue::Auto, "Standard deviation of the noise, in the unit of the values; auto: as found in the volume; 0 changes nothing")
            .range(0.0, f64::INFINITY)
            .or_auto(),
        ParamInfo::choice("stages", &["both", "first"], "both", "Hard thresholds, then Wiener filters; or only the first, in half the time"),
    ],
};

/// All stages of this file.
pub(super) const STAGES: [Denoise; 3] = [Denoise(&BILATERAL), Denoise(&NLM), Denoise(&BLOCK_MATCHING)];

#[derive(Clone, Copy)]
pub(super) struct Denoise(&'static StageInfo);

/// What is not given is a multiple of the noise.
#[derive(Clone, Copy)]
enum Method {
    Bilateral { options: BilateralOptions, sigma: Option<f64> },
    Nlm { options: NlmOptions, h: Option<f64>, sigma: Option<f64> },
    BlockMatching { options: BlockMatchingOptions, sigma: Option<f64> },
}

/// A method with all its numbers.
enum Ready {
    Bilateral(BilateralOptions),
    Nlm(NlmOptions),
    BlockMatching(BlockMatching),
}

impl Method {
    fn needs_noise(&self) -> bool {
        match self {
            Method::Bilateral { sigma, .. } | Method::BlockMatching { sigma, .. } => sigma.is_none(),
            Method::Nlm { h, sigma, .. } => h.is_none() || sigma.is_none(),
        }
    }
    /// The numbers for this noise, and in words those that come from it.
    fn ready(&self, noise: f64) -> (Ready, String) {
        match *self {
            Method::Bilateral { options, sigma } => {
                let options = BilateralOptions { sigma: sigma.unwrap_or(2.0 * noise), ..options };
                (Ready::Bilateral(options), format!("sigma={}", options.sigma))
            }
            Method::Nlm { options, h, sigma } => {
                let options = NlmOptions { h: h.unwrap_or(0.6 * noise), sigma: sigma.unwrap_or(noise), ..options };
                (Ready::Nlm(options), format!("h={} sigma={}", options.h, options.sigma))
            }
            Method::BlockMatching { options, sigma } => {
                let options = BlockMatchingOptions { sigma: sigma.unwrap_or(noise), ..options };
                (Ready::BlockMatching(BlockMatching::new(options)), format!("sigma={}", options.sigma))
            }
        }
    }
    /// Slices needed on either side of each one.
    fn reach(&self) -> usize {
        match self {
            Method::Bilateral { options, .. } => options.depth_px / 2,
            Method::Nlm { options, .. } => options.reach(),
            Method::BlockMatching { options, .. } => options.reach(),
        }
    }
    fn scratch_bytes(&self, own: usize, dims: [usize; 2], threads: usize) -> u64 {
        match self {
            Method::Bilateral { options, .. } => {
                let lines = 40 * options.size_px * options.depth_px;
                (8 * dims[1] + lines) as u64 * threads as u64
            }
            Method::Nlm { options, .. } => options.scratch_bytes(dims[1]) * threads as u64,
            Method::BlockMatching { options, .. } => options.scratch_bytes(own, dims, threads),
        }
    }
    /// Nanoseconds for a voxel.
    fn cost(&self) -> f64 {
        match self {
            Method::Bilateral { options, .. } => 0.5 * (options.size_px.pow(2) * options.depth_px) as f64,
            Method::Nlm { options, .. } => {
                let width = 2.0 * options.search_px as f64 + 1.0;
                let patch = 0.8 + 0.2 * options.patch_px as f64;
                width.powi(if options.across { 3 } else { 2 }) * patch
            }
            Method::BlockMatching { options, .. } => {
                let one = 150.0 + 0.35 * (2.0 * options.search_px as f64 + 1.0).powi(3);
                if options.wiener { 2.0 * one } else { one }
            }
        }
    }
}

fn odd(params: &Params, name: &'static str, value: usize) -> Result<usize> {
    match value % 2 {
        1 => Ok(value),
        _ => Err(Error::invalid(params.info().id, format!("{name}: expected an odd number")).with(name, value)),
    }
}

impl StageFactory for Denoise {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let size = |name| params.int(name).and_then(|v| usize::try_from(v).ok());
        let sigma = params.float("sigma");
        let method = match self.0.id {
            "filter.bilateral" => {
                let size_px = odd(params, "size_px", size("size_px").unwrap_or(5))?;
                let depth_px = odd(params, "depth_px", size("depth_px").unwrap_or(size_px))?;
                let sigma_px = params.float("sigma_px").unwrap_or(1.0);
                Method::Bilateral { options: BilateralOptions { size_px, depth_px, sigma_px, sigma: 0.0 }, sigma }
            }
            "filter.nlm" => {
                let (patch_px, search_px) = (size("patch_px").unwrap_or(1), size("search_px").unwrap_or(3));
                let across = params.text("reach") != Some("slice");
                let own = if params.text("own") == Some("largest") { OwnWeight::Largest } else { OwnWeight::One };
                let options = NlmOptions { patch_px, search_px, across, h: 0.0, sigma: 0.0, own };
                Method::Nlm { options, h: params.float("h"), sigma }
            }
            _ => {
                let search_px = size("search_px").unwrap_or(4);
                let wiener = params.text("stages") != Some("first");
                Method::BlockMatching { options: BlockMatchingOptions { search_px, sigma: 0.0, wiener }, sigma }
            }
        };
        Ok(Box::new(DenoiseStage { info: self.0, method, rows: setup.shape.rows, threads: setup.threads }))
    }
}

struct DenoiseStage {
    info: &'static StageInfo,
    method: Method,
    /// Slices of the volume.
    rows: usize,
    threads: usize,
}

impl Stage for DenoiseStage {
    fn info(&self) -> &'static StageInfo {
        self.info
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        let reach = self.method.reach();
        let output = SlabShape { rows: input.rows.saturating_sub(2 * reach), ..input };
        let own = self.method.scratch_bytes(output.rows, input.dims, self.threads);
        // Block matching holds what its first stage made of the slices around.
        let kept_bytes = if matches!(self.method, Method::BlockMatching { .. }) { own } else { 0 };
        Ok(StagePlan {
            halo: Halo { below: reach, above: reach },
            scratch_bytes: own - kept_bytes + super::beside(input, output),
            kept_bytes,
            cost_per_row: super::cost(input, self.method.cost()),
            ..StagePlan::new(output)
        })
    }
    fn preferred_rows(&self) -> usize {
        match self.method {
            Method::Bilateral { .. } => 1,
            Method::Nlm { .. } => 16,
            // Groups that reach beyond a slab are found again for the next one.
            Method::BlockMatching { .. } => 64,
        }
    }
    fn surveys(&self) -> bool {
        self.method.needs_noise()
    }
    fn worker(&self, _: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(DenoiseWorker {
            stage: self,
            noise: NoiseEstimator::new(),
            ready: self.method.ready(0.0).0,
            found: None,
        }))
    }
}

struct DenoiseWorker<'s> {
    stage: &'s DenoiseStage,
    noise: NoiseEstimator,
    ready: Ready,
    /// What was made of the noise, in words.
    found: Option<String>,
}

impl Worker for DenoiseWorker<'_> {
    fn process(&mut self, slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab> {
        let (reach, rows) = (self.stage.method.reach(), self.stage.rows);
        let halo = Halo { below: slab.halo.below - reach, above: slab.halo.above - reach };
        let [planes, height, width] = [0, 1, 2].map(|axis| slab.data.shape()[axis]);
        let mut data = run.array([planes - 2 * reach, height, width]);
        // Rows beyond the ends of the volume are no part of it.
        let number = |i: usize| (slab.first_row + i).saturating_sub(slab.halo.below).min(rows);
        let inside = |of: std::ops::Range<usize>| {
            let before = slab.halo.below.saturating_sub(slab.first_row);
            of.start.max(before)..of.end.min((rows + slab.halo.below).saturating_sub(slab.first_row))
        };
        let (given, wanted) = (inside(0..planes), inside(reach..planes - reach));
        let volume = slab.data.slice(s![given.clone(), .., ..]);
        let first = wanted.start - given.start;
        let out = wanted.start - reach..wanted.end - reach;
        self.apply(volume, [number(given.start), rows], first, data.slice_mut(s![out.clone(), .., ..]), run)?;
        let (before, rest) = data.view_mut().split_at(ndarray::Axis(0), out.start);
        let (made, behind) = rest.split_at(ndarray::Axis(0), out.len());
        for (mut part, like) in [(before, 0), (behind, out.len() - 1)] {
            part.outer_iter_mut().for_each(|mut row| row.assign(&made.index_axis(ndarray::Axis(0), like)));
        }
        let first_row = slab.first_row;
        run.recycle(slab.data);
        Ok(Slab { data, domain: Domain::Volume, first_row, halo, references: None })
    }
    fn survey(&mut self, slab: &Slab, _: &mut Run<'_, '_>) -> Result<()> {
        self.noise.add_slab(slab.data.view());
        Ok(())
    }
    fn survey_done(&mut self, _: &mut Run<'_, '_>) -> Result<()> {
        let noise = self.noise.sigma();
        let (ready, numbers) = self.stage.method.ready(noise);
        self.ready = ready;
        self.found = Some(if noise > 0.0 {
            format!("noise of {noise} found in the volume: {numbers}")
        } else {
            format!("no noise found in the volume: {numbers}")
        });
        Ok(())
    }
    fn remarks(&self) -> Vec<String> {
        self.found.iter().map(|found| format!("{}: {found}", self.stage.info.id)).collect()
    }
}

impl DenoiseWorker<'_> {
    fn apply(
        &mut self,
        volume: ArrayView3<f32>,
        place: [usize; 2],
        first: usize,
        out: ArrayViewMut3<f32>,
        run: &mut Run<'_, '_>,
    ) -> Result<()> {
        let (pool, tick) = (run.context.pool(), &mut |part| run.tick(part));
        match &mut self.ready {
            Ready::Bilateral(options) => bilateral(pool, volume, first, options, out, tick),
            Ready::Nlm(options) => nlm(pool, volume, first, options, out, tick),
            Ready::BlockMatching(filter) => filter.filter(pool, volume, place, first, out, tick),
        }
    }
}
