//! `filter.tv`, `filter.diffusion` and `filter.wavelet`: noise is taken out of a volume, its edges stay.

use super::inside::{Inside, repeat_ends};
use crate::chain::params::Params;
use crate::chain::stage::{
    ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker,
};
use crate::error::Result;
use crate::post::NoiseEstimator;
use crate::post::diffusion::{Conductance, Diffusion};
use crate::post::tv::Tv;
use crate::post::wave::{Iteration, Wave};
use crate::post::wavelet::{Coefficients, MOST_LEVELS, Slices, box_size, shrink, shrink_scratch};
use crate::progress::{Watch, watched};
use crate::slab::{Domain, Halo, Slab, SlabShape};
use ndarray::{ArrayView3, ArrayViewMut3};

const fn auto(name: &'static str, unit: &'static str, help: &'static str) -> ParamInfo {
    ParamInfo::new(name, ParamKind::Float, unit, ParamValue::Auto, help).or_auto()
}

static TV: StageInfo = StageInfo {
    id: "filter.tv",
    summary: "Total variation (Rudin, Osher and Fatemi): the nearest volume that varies less, flat between sharp edges",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        auto("lambda", "1/value", "Weight of the distance from the volume given, larger keeps more; auto is 2 / noise")
            .range(1e-12, 1e12),
        ParamInfo::int(
            "iterations",
            "",
            100,
            "Iterations (Chambolle and Pock); as many slices above and below are needed in memory, as far as there are any",
        )
        .range(1.0, 10_000.0),
    ],
};

static DIFFUSION: StageInfo = StageInfo {
    id: "filter.diffusion",
    summary: "Anisotropic diffusion (Perona and Malik): smoothing that stops at edges",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        auto(
            "k",
            "value",
            "Difference between neighbours at which the flow is halved (or falls to 1/e); auto is 2 x the noise",
        )
        .range(1e-12, 1e12),
        ParamInfo::int(
            "iterations",
            "",
            20,
            "Steps; as many slices above and below are needed in memory, as far as there are any",
        )
        .range(1.0, 10_000.0),
        ParamInfo::float("dt", "", 0.14, "Length of a step; above 1/6 noise would grow")
            .range(0.001, Diffusion::LARGEST_DT),
        ParamInfo::choice(
            "conductance",
            &["exponential", "rational"],
            "exponential",
            "Flow over differences d: 1 / (1 + (d/k)^2) prefers wide regions, exp(-(d/k)^2) strong edges",
        ),
    ],
};

static WAVELET: StageInfo = StageInfo {
    id: "filter.wavelet",
    summary: "Wavelet shrinkage (Haar, BayesShrink): takes small coefficients for noise, each scale and direction by itself",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        ParamInfo::int("levels", "", 3, "Levels: noise is sought in boxes of up to 2^levels voxels")
            .range(1.0, MOST_LEVELS as f64),
        auto("sigma", "value", "Noise of a voxel; auto finds it as noise says").range(1e-12, 1e12),
        ParamInfo::choice(
            "noise",
            &["slices", "finest"],
            "slices",
            "How noise is found: from slices against their neighbours, whose noise is independent of theirs, or from the median of \
             the finest coefficients, which neighbours within a reconstructed slice make too small",
        ),
        ParamInfo::float("scale", "", 1.0, "Factor on all thresholds").range(0.0, 100.0),
        ParamInfo::int(
            "shifts",
            "",
            4,
            "Positions of the boxes over which the result is the mean; 1 shows their edges",
        )
        .range(1.0, 32.0),
    ],
};

/// All stages of this file.
pub(super) const STAGES: [Denoise; 3] = [Denoise(&TV), Denoise(&DIFFUSION), Denoise(&WAVELET)];

#[derive(Clone, Copy)]
pub(super) struct Denoise(&'static StageInfo);

/// What a stage does; what is `None` is found.
#[derive(Clone, Copy)]
enum Method {
    Tv { lambda: Option<f64> },
    Diffusion { k: Option<f64>, dt: f64, conductance: Conductance },
    Wavelet { levels: usize, sigma: Option<f64>, finest: bool, scale: f64, shifts: usize },
}

impl StageFactory for Denoise {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let whole = |name| params.int(name).unwrap_or(1).max(1) as usize;
        let (slices, size) = (setup.shape.rows, [setup.shape.views, setup.shape.cols]);
        let number = |name| params.float(name).unwrap_or(0.0);
        let method = match self.0.id {
            "filter.tv" => Method::Tv { lambda: params.float("lambda") },
            "filter.diffusion" => {
                let conductance = match params.text("conductance") {
                    Some("rational") => Conductance::Rational,
                    _ => Conductance::Exponential,
                };
                Method::Diffusion { k: params.float("k"), dt: number("dt"), conductance }
            }
            _ => {
                let (levels, shifts) = (whole("levels"), whole("shifts"));
                let finest = params.text("noise") == Some("finest");
                Method::Wavelet { levels, sigma: params.float("sigma"), finest, scale: number("scale"), shifts }
            }
        };
        let iterations = if matches!(method, Method::Wavelet { .. }) { 0 } else { whole("iterations") };
        Ok(Box::new(DenoiseStage { info: self.0, method, iterations, slices, size, threads: setup.threads }))
    }
}

struct DenoiseStage {
    info: &'static StageInfo,
    method: Method,
    iterations: usize,
    slices: usize,
    size: [usize; 2],
    threads: usize,
}

impl DenoiseStage {
    /// Slices that are needed above and below, but no more than there are.
    fn reach(&self) -> usize {
        let reach = match self.method {
            Method::Wavelet { levels, .. } => box_size(levels) - 1,
            _ => self.iterations,
        };
        reach.min(self.slices.saturating_sub(1))
    }
}

impl Stage for DenoiseStage {
    fn info(&self) -> &'static StageInfo {
        self.info
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        let reach = self.reach();
        let output = SlabShape { rows: input.rows.saturating_sub(2 * reach), ..input };
        let (kept_bytes, work, cost) = match self.method {
            Method::Tv { .. } => {
                (Wave::<Tv>::bytes(self.iterations, self.slices, self.size), 0, 2.4 * self.iterations as f64)
            }
            Method::Diffusion { conductance, .. } => {
                let ns = if conductance == Conductance::Rational { 1.0 } else { 1.7 };
                (Wave::<Diffusion>::bytes(self.iterations, self.slices, self.size), 0, ns * self.iterations as f64)
            }
            Method::Wavelet { levels, shifts, .. } => {
                let jobs = self.threads.min(self.size[0].div_ceil(box_size(levels))) as u64;
                let work = jobs * shrink_scratch(levels, shifts, self.size[1]);
                (Coefficients::bytes(self.size), work, 3.0 + 3.0 * shifts as f64)
            }
        };
        let scratch_bytes = work + super::beside(input, output);
        let cost_per_row = super::cost(input, cost);
        Ok(StagePlan {
            halo: Halo { below: reach, above: reach },
            scratch_bytes,
            kept_bytes,
            cost_per_row,
            ..StagePlan::new(output)
        })
    }
    fn preferred_rows(&self) -> usize {
        // Stages before this one make the slices around each part again.
        (2 * self.reach()).next_power_of_two().clamp(16, 256)
    }
    fn surveys(&self) -> bool {
        match self.method {
            Method::Tv { lambda } => lambda.is_none(),
            Method::Diffusion { k, .. } => k.is_none(),
            // The thresholds come from all coefficients.
            Method::Wavelet { .. } => true,
        }
    }
    fn worker(&self, _: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        let coefficients = match self.method {
            Method::Wavelet { levels, .. } => Some(Coefficients::new(levels, self.size)),
            _ => None,
        };
        let noise = NoiseEstimator::new();
        Ok(Box::new(DenoiseWorker { stage: self, noise, coefficients, filter: None, found: None }))
    }
}

/// Makes slices from number `made` on of input from number `first` on.
trait Filter: Send {
    fn make(
        &mut self,
        run: &mut Run<'_, '_>,
        input: ArrayView3<f32>,
        first: usize,
        out: ArrayViewMut3<f32>,
        made: usize,
    ) -> Result<()>;
}

impl<I: Iteration> Filter for Wave<I> {
    fn make(
        &mut self,
        run: &mut Run<'_, '_>,
        input: ArrayView3<f32>,
        first: usize,
        out: ArrayViewMut3<f32>,
        made: usize,
    ) -> Result<()> {
        let (pool, rows) = (run.context.pool(), out.dim().0);
        let work = |(wave, out): (&mut Wave<I>, ArrayViewMut3<f32>), watch: &Watch| {
            wave.make(input, first, out, made, watch);
        };
        watched(pool, [(self, out)], rows, work, &mut |part| run.tick(part))
    }
}

struct Shrink {
    thresholds: Vec<[f32; 8]>,
    shifts: usize,
    slices: usize,
}

impl Filter for Shrink {
    fn make(
        &mut self,
        run: &mut Run<'_, '_>,
        input: ArrayView3<f32>,
        first: usize,
        out: ArrayViewMut3<f32>,
        made: usize,
    ) -> Result<()> {
        let slices = Slices { input, first, slices: self.slices, out, out_first: made };
        shrink(run.context.pool(), slices, &self.thresholds, self.shifts, &mut |part| run.tick(part))
    }
}

struct DenoiseWorker<'s> {
    stage: &'s DenoiseStage,
    /// What is found out before.
    noise: NoiseEstimator,
    coefficients: Option<Coefficients>,
    filter: Option<Box<dyn Filter>>,
    found: Option<String>,
}

impl DenoiseWorker<'_> {
    /// The filter with what was found.
    fn filter(&mut self) -> Box<dyn Filter> {
        let DenoiseStage { info, method, iterations, slices, size, .. } = *self.stage;
        let noise = match (method, &self.coefficients) {
            (Method::Wavelet { finest: true, .. }, Some(all)) => all.sigma(),
            _ => self.noise.sigma(),
        };
        let mut say = |what: String| self.found = Some(format!("{}: noise of {noise:.4e} found{what}", info.id));
        match method {
            Method::Tv { lambda } => {
                let lambda = lambda.unwrap_or_else(|| {
                    let lambda = LAMBDA_NOISE / noise;
                    say(format!(", lambda = {lambda:.4e}"));
                    lambda
                });
                Box::new(Wave::new(Tv::new(lambda), iterations, slices, size))
            }
            Method::Diffusion { k, dt, conductance } => {
                let k = k.unwrap_or_else(|| {
                    say(format!(", k = {:.4e}", 2.0 * noise));
                    2.0 * noise
                });
                Box::new(Wave::new(Diffusion::new(conductance, k, dt), iterations, slices, size))
            }
            Method::Wavelet { levels, sigma, scale, shifts, .. } => {
                let sigma = sigma.unwrap_or_else(|| {
                    say(String::new());
                    noise
                });
                let none = || vec![[0.0; 8]; levels];
                let thresholds = self.coefficients.as_ref().map_or_else(none, |all| all.thresholds(sigma, scale));
                Box::new(Shrink { thresholds, shifts, slices })
            }
        }
    }
}

/// λ times the noise. The foam of the benchmark comes out best near 2, large bodies with little noise near 1.5.
const LAMBDA_NOISE: f64 = 2.0;

impl Worker for DenoiseWorker<'_> {
    fn survey(&mut self, slab: &Slab, run: &mut Run<'_, '_>) -> Result<()> {
        self.noise.add_slab(slab.data.view());
        if let Some(all) = &mut self.coefficients {
            let rows = slab.data.dim().0 as f64;
            for (i, slice) in slab.data.outer_iter().enumerate() {
                run.context.pool().install(|| all.add(slice));
                run.tick(i as f64 / rows)?;
            }
        }
        Ok(())
    }
    fn survey_done(&mut self, run: &mut Run<'_, '_>) -> Result<()> {
        if let Some(all) = &mut self.coefficients {
            run.context.pool().install(|| all.finish());
        }
        Ok(())
    }
    fn process(&mut self, slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab> {
        let mut filter = match self.filter.take() {
            Some(filter) => filter,
            None => self.filter(),
        };
        let stage = self.stage;
        let inside = Inside::of(&slab, stage.reach(), stage.slices);
        let mut data = run.array([inside.rows, stage.size[0], stage.size[1]]);
        filter.make(run, inside.input(&slab), inside.first, inside.made(&mut data), inside.made.start)?;
        repeat_ends(&mut data, &inside);
        self.filter = Some(filter);
        run.recycle(slab.data);
        Ok(Slab { data, halo: inside.halo, ..slab })
    }
    fn remarks(&self) -> Vec<String> {
        self.found.iter().cloned().collect()
    }
}
