//! Stages that make volumes of another shape, each row from rows that a map names and by its number: the adapter that they share.

use crate::chain::stage::{Run, Setup, Stage, StageInfo, StagePlan, Worker};
use crate::error::Result;
use crate::progress::watched;
use crate::scan::ScanShape;
use crate::slab::{Halo, RowMap, Slab, SlabShape};
use ndarray::{ArrayView3, ArrayViewMut2, Axis, Slice};

/// Makes row `n` from its window: `before` rows, then those that the map names. Every value is written. Windows of rows that
/// later stages ask for beyond the end of the volume repeat the last row or go on with rows that were cut off.
pub(super) type Make = Box<dyn Fn(usize, ArrayView3<f32>, ArrayViewMut2<f32>) + Send + Sync>;

/// See the module.
pub(super) struct RowStage {
    pub info: &'static StageInfo,
    pub rows: RowMap,
    /// Rows before them that a row looks at.
    pub before: usize,
    /// Sizes of the volume that is made.
    pub shape: ScanShape,
    pub make: Make,
    /// What else changes for stages behind.
    pub after: Box<dyn Fn(&mut Setup) + Send + Sync>,
    /// Nanoseconds per value that is made.
    pub cost: f64,
}

impl RowStage {
    /// Keeps everything, each row from itself.
    pub fn new(
        info: &'static StageInfo,
        setup: &Setup,
        cost: f64,
        make: impl Fn(usize, ArrayView3<f32>, ArrayViewMut2<f32>) + Send + Sync + 'static,
    ) -> Self {
        RowStage {
            info,
            rows: RowMap::default(),
            before: 0,
            shape: setup.shape,
            make: Box::new(make),
            after: Box::new(|_| {}),
            cost,
        }
    }
}

impl Stage for RowStage {
    fn info(&self) -> &'static StageInfo {
        self.info
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        let dims = [self.shape.views, self.shape.cols];
        let rows = input.rows.saturating_sub(self.before) / self.rows.step;
        let output = SlabShape { domain: self.info.output, rows, dims };
        Ok(StagePlan {
            halo: Halo { below: self.before, above: 0 },
            rows: self.rows,
            scratch_bytes: super::beside(input, output),
            cost_per_row: self.cost * (dims[0] * dims[1]) as f64,
            ..StagePlan::new(output)
        })
    }
    fn after(&self, setup: &Setup) -> Setup {
        let mut after = Setup { shape: self.shape, ..setup.clone() };
        (self.after)(&mut after);
        after
    }
    fn worker(&self, _: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(RowWorker(self)))
    }
}

struct RowWorker<'a>(&'a RowStage);

impl Worker for RowWorker<'_> {
    fn process(&mut self, slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab> {
        let RowStage { info, rows: map, before, make, .. } = self.0;
        let SlabShape { rows, dims: [height, width], .. } = self.0.plan(slab.shape())?.output;
        let mut data = run.array([rows, height, width]);
        let halo = Halo { below: (slab.halo.below - before) / map.step, above: slab.halo.above / map.step };
        let first_row = (slab.first_row - map.first) / map.step;
        let one = |(i, out): (usize, ArrayViewMut2<f32>), _: &_| {
            let start = i * map.step;
            let window = slab.data.slice_axis(Axis(0), Slice::from(start..start + before + map.step));
            // Rows of the halo before the first repeat it.
            make((first_row + i).saturating_sub(halo.below), window, out);
        };
        watched(run.context.pool(), data.outer_iter_mut().enumerate(), rows, one, &mut |part| run.tick(part))?;
        run.recycle(slab.data);
        Ok(Slab { data, domain: info.output, first_row, halo, references: slab.references })
    }
}
