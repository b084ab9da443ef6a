//! `recon.n2i`: sinograms to denoised slices. The views are dealt into subsets as for the training of the network; each goes
//! through the stages right before this one and is reconstructed by itself, then the network sees them together.

use super::fbp::{self, FBP};
use super::inside::{Inside, repeat_ends};
use super::network::Network;
use crate::chain::params::Params;
use crate::chain::spec::Step;
use crate::chain::stage::{
    Arrays, ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker,
};
use crate::denoise::split::{check_count, subset_views};
use crate::error::{Error, Result};
use crate::geometry::Geometry;
use crate::scan::ScanShape;
use crate::slab::{Domain, Halo, RowMap, Slab, SlabShape};
use ndarray::{Array3, ArrayView3, Axis, Slice, s};
use std::borrow::Cow;
use std::ops::Range;

pub(super) const MODEL: ParamInfo = ParamInfo::new(
    "model",
    ParamKind::Text,
    "",
    ParamValue::Text(Cow::Borrowed("")),
    "File of the trained network, as wagiri n2i train or wagiri denoise writes it",
);
const PAD: ParamInfo = ParamInfo::choice(
    "pad",
    &["auto", "on", "off"],
    "auto",
    "Taper the ends of truncated views: on, off or auto (one decision for the volume and all subsets)",
);
const DEVICE: ParamInfo = ParamInfo::choice(
    "device",
    &["auto", "cpu", "cuda", "wgpu"],
    "auto",
    "What computes the network: auto takes the first of cuda, wgpu and cpu that is there",
);

/// `recon.n2i`.
pub(in crate::chain) static N2I: StageInfo = StageInfo {
    id: "recon.n2i",
    summary: "Filtered back-projection of subsets of the views, ring removal included, and their denoising by a network (Noise2Inverse)",
    input: Domain::Sinogram,
    output: Domain::Volume,
    params: &[
        MODEL,
        fbp::FILTER,
        fbp::CENTER,
        fbp::PIXEL,
        fbp::ANGLE_OFFSET,
        fbp::TURN,
        PAD,
        fbp::PAD_THRESHOLD,
        fbp::ENGINE,
        fbp::TOLERANCE,
        fbp::INTERPOLATION,
        DEVICE,
    ],
};

/// Slices at a time: with few, most of the work would be for their neighbours.
const ROWS: usize = 32;

/// The stages that run inside of `recon.n2i`, once for each subset: those between it and what makes or reads the sinograms. It
/// is the one at the end of the range.
pub(in crate::chain) fn inside_n2i(steps: &[Step]) -> Option<Range<usize>> {
    let at = steps.iter().position(|step| step.params.info().id == N2I.id)?;
    let mixes = |step: &&Step| {
        let info = step.params.info();
        (info.input, info.output) == (Domain::Sinogram, Domain::Sinogram)
    };
    Some(at - steps[..at].iter().rev().take_while(mixes).count()..at)
}

#[derive(Clone, Copy)]
pub(in crate::chain) struct N2iFactory;

impl StageFactory for N2iFactory {
    fn info(&self) -> &'static StageInfo {
        &N2I
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        create_n2i(params, &[], setup)
    }
}

/// The stage with those that run inside of it.
pub(in crate::chain) fn create_n2i(params: &Params, inside: &[Step], setup: &Setup) -> Result<Box<dyn Stage>> {
    let network = Network::open(params)?;
    let (views, count) = (setup.shape.views, network.model.subsets);
    check_count(views, count).map_err(|e| e.at(N2I.id))?;
    if setup.geometry.angles_rad.len() != views {
        let message = "an earlier stage changed the number of views but not the angles";
        return Err(Error::unsupported(N2I.id, message).with("views", views));
    }
    let branches = (0..count).map(|k| Branch::new(params, inside, setup, count, k)).collect::<Result<Vec<_>>>()?;
    let after = branches[0].after.clone();
    if branches.iter().any(|branch| branch.after.shape != after.shape) {
        let message = "an earlier stage makes sinograms of different sizes of the subsets";
        return Err(Error::unsupported(N2I.id, message));
    }
    let angles_rad = branches.iter().flat_map(|branch| branch.angles_rad.iter().copied()).collect();
    let geometry = Geometry { angles_rad, ..after.geometry };
    let mut remarks = network.remarks(geometry.pixel_um, Some(params));
    remarks.extend(inside.iter().map(|step| step.params.info().id).map(|id| format!("{id} for each subset by itself")));
    let dims = [views, setup.shape.cols];
    Ok(Box::new(N2iStage { network, branches, dims, after: Setup { geometry, ..after }, remarks }))
}

struct N2iStage {
    network: Network,
    branches: Vec<Branch>,
    /// Views and columns.
    dims: [usize; 2],
    after: Setup,
    remarks: Vec<String>,
}

/// One subset: which views, and what is done with them.
struct Branch {
    index: usize,
    count: usize,
    views: usize,
    /// The last one reconstructs.
    stages: Vec<Box<dyn Stage>>,
    /// Sizes that the reconstruction sees.
    shape: ScanShape,
    angles_rad: Vec<f64>,
    after: Setup,
}

/// What a branch needs.
struct BranchPlan {
    plans: Vec<StagePlan>,
    source: RowMap,
    halo: Halo,
    output: SlabShape,
    bytes: u64,
    cost_per_row: f64,
}

impl Branch {
    fn new(params: &Params, inside: &[Step], setup: &Setup, count: usize, index: usize) -> Result<Branch> {
        let angles_rad: Vec<f64> =
            subset_views(setup.shape.views, count, index).map(|view| setup.geometry.angles_rad[view]).collect();
        let views = angles_rad.len();
        let mut seen = Setup {
            shape: ScanShape { views, ..setup.shape },
            geometry: Geometry { angles_rad, ..setup.geometry.clone() },
            ..setup.clone()
        };
        let mut stages = Vec::with_capacity(inside.len() + 1);
        for step in inside {
            let stage = step.factory.create(&step.params, &seen)?;
            if stage.surveys() {
                let message = "looks at all rows first, which cannot be done for each subset by itself; expected other \
                               stages before recon.n2i";
                return Err(Error::unsupported(stage.info().id, message));
            }
            seen = stage.after(&seen);
            stages.push(stage);
        }
        let (shape, angles_rad) = (seen.shape, seen.geometry.angles_rad.clone());
        let stage = fbp::stage(&FBP, params, &seen)?;
        let after = stage.after(&seen);
        stages.push(stage);
        Ok(Branch { index, count, views, stages, shape, angles_rad, after })
    }
    fn plan(&self, input: SlabShape) -> Result<BranchPlan> {
        let mut shape = SlabShape { dims: [self.views, input.dims[1]], ..input };
        let (mut source, mut halo) = (RowMap::default(), Halo::default());
        let bytes = |shape: &SlabShape| shape.row_bytes() * shape.rows as u64;
        let (mut arrays, mut scratch, mut kept, mut cost_per_row) = (bytes(&shape), 0, 0, 0.0);
        let mut plans = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let mut plan = stage.plan(shape)?;
            halo.below += plan.halo.below * source.step;
            halo.above += plan.halo.above * source.step;
            source = plan.rows.after(source);
            plan.output.rows = shape.rows.saturating_sub(plan.halo.below + plan.halo.above) / plan.rows.step;
            if plan.output != shape {
                arrays += bytes(&plan.output);
            }
            (scratch, kept) = (plan.scratch_bytes.max(scratch), kept + plan.kept_bytes);
            cost_per_row += plan.cost_per_row;
            shape = plan.output;
            plans.push(plan);
        }
        Ok(BranchPlan { plans, source, halo, output: shape, bytes: arrays + scratch + kept, cost_per_row })
    }
    fn workers(&self, input: SlabShape) -> Result<Vec<Box<dyn Worker + '_>>> {
        let plans = self.plan(input)?.plans;
        self.stages.iter().zip(&plans).map(|(stage, plan)| stage.worker(plan)).collect()
    }
    /// The views of the subset.
    fn pick(&self, slab: &Slab, run: &mut Run<'_, '_>) -> Slab {
        let [rows, _, cols] = slab.data.dim().into();
        let mut data = run.array([rows, self.views, cols]);
        data.assign(&slab.data.slice(s![.., self.index..;self.count, ..]));
        Slab { data, references: None, ..*slab }
    }
}

impl Stage for N2iStage {
    fn info(&self) -> &'static StageInfo {
        &N2I
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        let plans = self.branches.iter().map(|branch| branch.plan(input)).collect::<Result<Vec<_>>>()?;
        let BranchPlan { source, halo, output, .. } = plans[0];
        if plans.iter().any(|p| (p.source, p.halo, p.output) != (source, halo, output)) {
            let message = "an earlier stage needs other rows for one subset than for another";
            return Err(Error::unsupported(N2I.id, message));
        }
        let (reach, count) = (self.network.reach(), self.branches.len() as u64);
        let volume = output.row_bytes() * output.rows as u64;
        let branch = plans.iter().map(|plan| plan.bytes).max().unwrap_or(0);
        // While a subset is reconstructed, and while the network sees all of them.
        let scratch =
            ((count - 1) * volume + branch.max(2 * volume)).max(count * volume + self.network.bytes(output.dims));
        let output = SlabShape { rows: output.rows.saturating_sub(2 * reach), ..output };
        Ok(StagePlan {
            halo: Halo { below: halo.below + reach * source.step, above: halo.above + reach * source.step },
            rows: source,
            scratch_bytes: scratch + super::beside(input, output),
            cost_per_row: plans.iter().map(|plan| plan.cost_per_row).sum::<f64>() + self.network.cost(output.dims),
            ..StagePlan::new(output)
        })
    }
    fn preferred_rows(&self) -> usize {
        ROWS
    }
    fn after(&self, _: &Setup) -> Setup {
        self.after.clone()
    }
    fn worker(&self, plan: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        let rows = plan.output.rows * plan.rows.step + plan.halo.below + plan.halo.above;
        let input = SlabShape { domain: Domain::Sinogram, rows, dims: self.dims };
        let workers = self.branches.iter().map(|branch| branch.workers(input)).collect::<Result<_>>()?;
        Ok(Box::new(N2iWorker { stage: self, workers, remarks: Vec::new() }))
    }
}

struct N2iWorker<'a> {
    stage: &'a N2iStage,
    /// Of each branch.
    workers: Vec<Vec<Box<dyn Worker + 'a>>>,
    /// Of the network.
    remarks: Vec<String>,
}

impl N2iWorker<'_> {
    /// A subset up to its slices, those within the volume, and the number of the first of them.
    fn reconstruct(
        &mut self,
        k: usize,
        slab: &Slab,
        costs: &[f64],
        run: &mut Run<'_, '_>,
    ) -> Result<(Array3<f32>, Inside)> {
        let (branch, reach) = (&self.stage.branches[k], self.stage.network.reach());
        let workers = &mut self.workers[k];
        let plan = branch.plan(slab.shape())?;
        run.full_rows = slab.data.dim().0;
        let mut part = branch.pick(slab, run);
        let (before, share) = (run.fraction_before, run.fraction_of_step);
        let all = costs.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let mut inside = None;
        let last = workers.len() - 1;
        for (i, worker) in workers.iter_mut().enumerate() {
            if i == last {
                let found = Inside::of(&part, reach, branch.shape.rows);
                part = within(part, &found);
                inside = Some(found);
            }
            run.progress.phase(branch.stages[i].info().id);
            run.fraction_of_step = share * costs[i] / all;
            run.full_rows = plan.plans[i].output.rows;
            part = worker.process(part, run)?;
            run.fraction_before += run.fraction_of_step;
        }
        (run.fraction_before, run.fraction_of_step) = (before + share, share);
        let inside = inside.ok_or_else(|| Error::internal(N2I.id, "a subset without reconstruction"))?;
        Ok((part.data, inside))
    }
}

/// The rows of a slab that lie within the volume; the halo is what is left of it.
fn within(slab: Slab, inside: &Inside) -> Slab {
    let there = inside.there();
    if there.len() == slab.data.dim().0 {
        return slab;
    }
    let rows = slab.data.dim().0;
    let halo = Halo {
        below: slab.halo.below.saturating_sub(there.start),
        above: slab.halo.above.saturating_sub(rows - there.end),
    };
    let data = slab.data.slice_axis(Axis(0), Slice::from(there)).to_owned();
    Slab { data, halo, ..slab }
}

/// Slices with as many around as the network looks at; beyond the ends of the volume the last one again.
fn with_ends(data: Array3<f32>, inside: &Inside, reach: usize, rows: usize) -> Array3<f32> {
    let first = inside.made.start as isize - reach as isize;
    let wanted = inside.made.len() + 2 * reach;
    if first == inside.first as isize && wanted == data.dim().0 {
        return data;
    }
    let place = |i: usize| (first + i as isize).clamp(0, rows as isize - 1) as usize - inside.first;
    let all: Vec<usize> = (0..wanted).map(place).collect();
    data.select(Axis(0), &all)
}

impl Worker for N2iWorker<'_> {
    fn process(&mut self, slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab> {
        let stage = self.stage;
        let plans = stage.branches.iter().map(|branch| branch.plan(slab.shape())).collect::<Result<Vec<_>>>()?;
        let rows = stage.branches[0].shape.rows;
        let (before, share, full_rows) = (run.fraction_before, run.fraction_of_step, run.full_rows);
        let (network, branches) = (stage.network.cost(plans[0].output.dims), plans.iter().map(|p| p.cost_per_row));
        let all = (branches.sum::<f64>() + network).max(f64::MIN_POSITIVE);
        // Arrays of subsets have sizes that no other stage uses.
        let of_chain = std::mem::take(&mut run.arrays);
        let reach = stage.network.reach();
        let mut volumes = Vec::with_capacity(stage.branches.len());
        let mut place = None;
        for (k, plan) in plans.iter().enumerate() {
            run.fraction_of_step = share * plan.cost_per_row / all;
            let costs: Vec<f64> = plan.plans.iter().map(|p| p.cost_per_row).collect();
            let (data, inside) = self.reconstruct(k, &slab, &costs, run)?;
            run.arrays = Arrays::default();
            volumes.push(with_ends(data, &inside, reach, rows));
            place = Some(inside);
        }
        let inside = place.ok_or_else(|| Error::internal(N2I.id, "no subsets"))?;
        run.arrays = of_chain;
        run.progress.phase(N2I.id);
        run.fraction_of_step = share * network / all;
        run.full_rows = full_rows;
        let [height, width] = plans[0].output.dims;
        let mut data = run.array([inside.rows, height, width]);
        let views: Vec<ArrayView3<f32>> = volumes.iter().map(|volume| volume.view()).collect();
        stage.network.apply(&views, inside.made(&mut data), &mut self.remarks, run)?;
        repeat_ends(&mut data, &inside);
        (run.fraction_before, run.fraction_of_step) = (before, share);
        let source = plans[0].source;
        let first_row = (slab.first_row - source.first) / source.step;
        run.recycle(slab.data);
        Ok(Slab { data, domain: Domain::Volume, first_row, halo: inside.halo, references: None })
    }
    fn remarks(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.stage.remarks.iter().chain(&self.remarks).map(|r| format!("{}: {r}", N2I.id)).collect();
        for (k, workers) in self.workers.iter().enumerate() {
            let of_subset = workers.iter().flat_map(|worker| worker.remarks());
            all.extend(of_subset.map(|remark| format!("subset {k}: {remark}")));
        }
        all
    }
}
