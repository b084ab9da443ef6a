//! Stages in which each row comes from a window of rows, by a function on arrays: the adapter that they share.

use crate::chain::stage::{Run, Setup, Stage, StageInfo, StagePlan, Worker};
use crate::error::Result;
use crate::progress::{Watch, watched};
use crate::slab::{Halo, RowMap, Slab, SlabShape};
use ndarray::{ArrayView3, ArrayViewMut2, Axis, Slice};

/// Makes one row from its window: `halo.below` rows, those that `rows` names, `halo.above` rows. Every value is written. Where
/// that may take long it takes a step for each of its lines, and returns early when it is told to. The last number is that of
/// the row that is made.
pub(super) type Apply = Box<dyn Fn(ArrayView3<f32>, ArrayViewMut2<f32>, &Watch, usize) + Send + Sync>;

/// See the module.
pub(super) struct WindowStage {
    pub info: &'static StageInfo,
    pub halo: Halo,
    pub rows: RowMap,
    /// Height and width of an output row for those of an input row.
    pub dims: Box<dyn Fn([usize; 2]) -> [usize; 2] + Send + Sync>,
    pub apply: Apply,
    /// Rows that there are, for a stage that looks at where they end: the rows beyond that a later stage asks for are made as the
    /// last one is, from the same window.
    pub ends: Option<usize>,
    pub after: Box<dyn Fn(&Setup) -> Setup + Send + Sync>,
    /// Working memory of one thread, bytes.
    pub scratch_bytes: u64,
    pub threads: usize,
    /// Nanoseconds per output value.
    pub cost: f64,
}

impl WindowStage {
    /// Keeps the shape and what is known of the scan; each row from itself.
    pub fn new(
        info: &'static StageInfo,
        threads: usize,
        cost: f64,
        apply: impl Fn(ArrayView3<f32>, ArrayViewMut2<f32>, &Watch) + Send + Sync + 'static,
    ) -> Self {
        WindowStage {
            info,
            halo: Halo::default(),
            rows: RowMap::default(),
            dims: Box::new(|dims| dims),
            apply: Box::new(move |window, out, watch, _| apply(window, out, watch)),
            ends: None,
            after: Box::new(Setup::clone),
            scratch_bytes: 0,
            threads,
            cost,
        }
    }
}

impl Stage for WindowStage {
    fn info(&self) -> &'static StageInfo {
        self.info
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        let dims = (self.dims)(input.dims);
        let rows = input.rows.saturating_sub(self.halo.below + self.halo.above) / self.rows.step;
        let output = SlabShape { domain: self.info.output, rows, dims };
        let scratch_bytes = self.scratch_bytes * self.threads.min(rows.max(1)) as u64 + super::beside(input, output);
        let cost_per_row = self.cost * (dims[0] * dims[1]) as f64;
        Ok(StagePlan { halo: self.halo, rows: self.rows, scratch_bytes, cost_per_row, ..StagePlan::new(output) })
    }
    fn after(&self, setup: &Setup) -> Setup {
        (self.after)(setup)
    }
    fn worker(&self, _: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(WindowWorker(self)))
    }
}

struct WindowWorker<'a>(&'a WindowStage);

impl Worker for WindowWorker<'_> {
    fn process(&mut self, slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab> {
        let WindowStage { info, halo: need, rows: map, .. } = self.0;
        let plan = self.0.plan(slab.shape())?;
        let [height, width] = plan.output.dims;
        let mut data = run.array([plan.output.rows, height, width]);
        let window = need.below + map.step + need.above;
        let first_row = (slab.first_row - map.first) / map.step;
        let halo =
            Halo { below: (slab.halo.below - need.below) / map.step, above: (slab.halo.above - need.above) / map.step };
        let one = |(i, out): (usize, ArrayViewMut2<f32>), watch: &Watch| {
            // Rows before the first have no number.
            let last = self.0.ends.map_or(usize::MAX, |rows| rows - 1);
            let row = (first_row + i).saturating_sub(halo.below).min(last);
            let i = if self.0.ends.is_some() { row + halo.below - first_row } else { i };
            let start = i * map.step;
            let window = slab.data.slice_axis(Axis(0), Slice::from(start..start + window));
            (self.0.apply)(window, out, watch, row);
        };
        let (pool, lines) = (run.context.pool(), plan.output.rows * height);
        watched(pool, data.outer_iter_mut().enumerate(), lines, one, &mut |part| run.tick(part))?;
        run.recycle(slab.data);
        Ok(Slab { data, domain: info.output, first_row, halo, references: slab.references })
    }
}
