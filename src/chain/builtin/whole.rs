//! Stages that work on a whole slab at a time, by a function on arrays that uses the threads itself: the adapter that they
//! share.

use crate::chain::stage::{Run, Setup, Stage, StageInfo, StagePlan, Worker};
use crate::error::Result;
use crate::slab::{Slab, SlabShape};

/// Makes the output slab.
pub(super) type Process = Box<dyn Fn(Slab, &mut Run<'_, '_>) -> Result<Slab> + Send + Sync>;

/// See the module.
pub(super) struct WholeStage {
    pub info: &'static StageInfo,
    pub plan: Box<dyn Fn(SlabShape) -> StagePlan + Send + Sync>,
    pub process: Process,
    pub after: Box<dyn Fn(&Setup) -> Setup + Send + Sync>,
    pub preferred_rows: usize,
    /// Asked once at the end of a run.
    pub remarks: Box<dyn Fn() -> Vec<String> + Send + Sync>,
}

impl WholeStage {
    /// Keeps the shape and what is known of the scan, `ns` nanoseconds for a value.
    pub fn in_place(info: &'static StageInfo, ns: f64, process: Process) -> Self {
        WholeStage {
            info,
            plan: Box::new(move |input| StagePlan { cost_per_row: super::cost(input, ns), ..StagePlan::new(input) }),
            process,
            after: Box::new(Setup::clone),
            preferred_rows: 1,
            remarks: Box::new(Vec::new),
        }
    }
}

impl Stage for WholeStage {
    fn info(&self) -> &'static StageInfo {
        self.info
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        Ok((self.plan)(input))
    }
    fn preferred_rows(&self) -> usize {
        self.preferred_rows
    }
    fn after(&self, setup: &Setup) -> Setup {
        (self.after)(setup)
    }
    fn worker(&self, _: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(WholeWorker(self)))
    }
}

struct WholeWorker<'a>(&'a WholeStage);

impl Worker for WholeWorker<'_> {
    fn process(&mut self, slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab> {
        (self.0.process)(slab, run)
    }
    fn remarks(&self) -> Vec<String> {
        (self.0.remarks)()
    }
}
