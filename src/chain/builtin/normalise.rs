//! `normalise`: counts to absorbance.

use super::cost;
use crate::chain::params::Params;
use crate::chain::stage::{
    ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker,
};
use crate::error::{Error, Result};
use crate::preprocess::normalise::{Air, BlackRule, NormaliseOptions, RowReport, normalise_rows};
use crate::slab::{Domain, Slab, SlabShape};

/// `normalise`, and the parameters that the survey of a scan must know before the first slab is read.
pub(in crate::chain) static NORMALISE: StageInfo = StageInfo {
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

pub(in crate::chain) fn normalise_options(p: &Params) -> NormaliseOptions {
    NormaliseOptions {
        floor_counts: p.float("floor_counts").unwrap_or(2.0),
        black_fraction: p.float("black_fraction").unwrap_or(0.5),
        black: if p.text("black") == Some("row") { BlackRule::Row } else { BlackRule::Frame },
        air: if p.text("air") == Some("edges") { Air::Edges } else { Air::Off },
        repair: p.bool("repair"),
    }
}

pub(super) struct NormaliseFactory;
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
        Ok(StagePlan { cost_per_row: cost(input, 6.0), ..StagePlan::new(output) })
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
