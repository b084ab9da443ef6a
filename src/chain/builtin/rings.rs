//! `ring.*`: ring removal on sinograms.

use super::cost;
use crate::chain::params::Params;
use crate::chain::stage::{
    ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker,
};
use crate::error::{Error, Result};
use crate::rings;
use crate::slab::{Domain, Slab, SlabShape};
use ndarray::Axis;

static RING_SORT: StageInfo = StageInfo {
    id: "ring.sort",
    summary: "Ring removal by sorting each detector column and taking the median across columns (Vo 2018, algorithm 3)",
    input: Domain::Sinogram,
    output: Domain::Sinogram,
    params: &[ParamInfo::new("kernel_px", ParamKind::Int, "px", ParamValue::Int(5), "Width of the median across columns; 0 or 1 is off, even widths grow by 1; wider removes wider rings and more of the sample").range(0.0, 1001.0)],
};

pub(super) struct RingSortFactory;
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
            scratch_bytes: one * self.threads.min(input.rows) as u64,
            cost_per_row: cost(input, 7.5),
            ..StagePlan::new(input)
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
