//! `slice.threshold`: classes of values, by limits that are given or found.

use super::whole::WholeStage;
use crate::chain::params::Params;
use crate::chain::stage::{
    ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker,
};
use crate::error::{Error, Result};
use crate::post::{BinWidth, Histogram, otsu_thresholds};
use crate::slab::{Domain, Slab, SlabShape};
use ndarray::{ArrayViewMut2, Axis, Slice};
use rayon::prelude::*;

static THRESHOLD: StageInfo = StageInfo {
    id: "slice.threshold",
    summary: "1 where a voxel is from low to high, 0 elsewhere; or classes 0, 1, ... between thresholds that it finds",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        ParamInfo::float("low", "1/cm", 1.0, "Smallest value that becomes 1, with method=fixed").range(-1e9, 1e9),
        ParamInfo::new(
            "high",
            ParamKind::Float,
            "1/cm",
            ParamValue::Auto,
            "Largest value that becomes 1, with method=fixed; auto: there is none",
        )
        .or_auto()
        .range(-1e9, 1e9),
        ParamInfo::choice(
            "method",
            &["fixed", "otsu", "multi-otsu"],
            "fixed",
            "fixed: low and high; otsu: one threshold from all voxels, 1 above it; multi-otsu: thresholds between several classes",
        ),
        ParamInfo::int("classes", "", 3, "Classes of multi-otsu").range(2.0, 5.0),
    ],
};

/// Bins in which thresholds are sought: values of 8 and 16 bits have bins of their own.
const BINS: usize = 1 << 16;

pub(super) struct ThresholdFactory;

impl StageFactory for ThresholdFactory {
    fn info(&self) -> &'static StageInfo {
        &THRESHOLD
    }
    fn create(&self, params: &Params, _: &Setup) -> Result<Box<dyn Stage>> {
        let classes = match params.text("method") {
            Some("otsu") => 2,
            Some("multi-otsu") => params.int("classes").unwrap_or(3) as usize,
            _ => {
                let low = params.float("low").unwrap_or(1.0);
                let high = params.float("high").unwrap_or(f64::INFINITY);
                if low > high {
                    let message = "expected low to be at most high";
                    return Err(Error::invalid(THRESHOLD.id, message).with("low", low).with("high", high));
                }
                let process = move |slab: Slab, run: &mut Run<'_, '_>| {
                    Ok(replaced(slab, run, |v| f32::from((low..=high).contains(&v))))
                };
                return Ok(Box::new(WholeStage::in_place(&THRESHOLD, 1.0, Box::new(process))));
            }
        };
        Ok(Box::new(Otsu { classes }))
    }
}

/// The slab with each value replaced.
fn replaced(mut slab: Slab, run: &mut Run<'_, '_>, of: impl Fn(f64) -> f32 + Sync) -> Slab {
    run.context.pool().install(|| {
        let slices: Vec<ArrayViewMut2<f32>> = slab.data.outer_iter_mut().collect();
        slices.into_par_iter().for_each(|mut slice| slice.mapv_inplace(|v| of(f64::from(v))));
    });
    slab
}

struct Otsu {
    classes: usize,
}

impl Stage for Otsu {
    fn info(&self) -> &'static StageInfo {
        &THRESHOLD
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        // The histogram, and what its search needs.
        Ok(StagePlan {
            scratch_bytes: 128 * BINS as u64,
            cost_per_row: super::cost(input, 3.0),
            ..StagePlan::new(input)
        })
    }
    fn surveys(&self) -> bool {
        true
    }
    fn worker(&self, _: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        let histogram = Histogram::new(BinWidth::Finest(BINS), f64::NEG_INFINITY, f64::INFINITY)?;
        Ok(Box::new(OtsuWorker { classes: self.classes, histogram, thresholds: Vec::new() }))
    }
}

struct OtsuWorker {
    classes: usize,
    histogram: Histogram,
    /// Once they are known.
    thresholds: Vec<f64>,
}

impl Worker for OtsuWorker {
    fn process(&mut self, slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab> {
        let thresholds = &self.thresholds;
        Ok(replaced(slab, run, |v| thresholds.iter().filter(|t| v >= **t).count() as f32))
    }
    fn survey(&mut self, slab: &Slab, run: &mut Run<'_, '_>) -> Result<()> {
        let own = slab.halo.below..slab.halo.below + slab.own_rows().len();
        let slices = slab.data.slice_axis(Axis(0), Slice::from(own));
        let pool = run.context.pool();
        self.histogram.add(pool, slices, &mut |part| run.tick(part)).map_err(|e| e.at(THRESHOLD.id))
    }
    fn survey_done(&mut self, _: &mut Run<'_, '_>) -> Result<()> {
        self.thresholds = otsu_thresholds(&self.histogram, self.classes).map_err(|e| e.at(THRESHOLD.id))?;
        Ok(())
    }
    fn remarks(&self) -> Vec<String> {
        let list: Vec<String> = self.thresholds.iter().map(f64::to_string).collect();
        vec![format!("{}: classes begin at {}", THRESHOLD.id, list.join(", "))]
    }
}
