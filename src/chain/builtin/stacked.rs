//! The network on volumes of all subsets that are there already, in slices below one another. No chain names this stage.

use super::inside::{Inside, repeat_ends};
use super::network::Network;
use crate::chain::params::Params;
use crate::chain::stage::{Run, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker};
use crate::error::{Error, Result};
use crate::scan::ScanShape;
use crate::slab::{Domain, Halo, Slab, SlabShape};
use ndarray::{ArrayView3, s};
use std::sync::Arc;

/// Slices at a time, see `recon.n2i`.
const ROWS: usize = 32;

/// See the module.
#[derive(Clone)]
pub(in crate::chain) struct Stacked {
    network: Arc<Network>,
    /// Subsets.
    count: usize,
    /// Of a slice of one of them.
    lines: usize,
    /// Of the volume.
    rows: usize,
}

static INFO: StageInfo = StageInfo {
    id: "n2i.apply",
    summary: "The network on slices of all subsets",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[],
};

impl Stacked {
    pub const INFO: &'static StageInfo = &INFO;
    pub fn new(network: Network, count: usize, lines: usize) -> Self {
        Stacked { network: Arc::new(network), count, lines, rows: 0 }
    }
}

impl StageFactory for Stacked {
    fn info(&self) -> &'static StageInfo {
        &INFO
    }
    fn create(&self, _: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        if setup.shape.views != self.count * self.lines {
            return Err(Error::internal(INFO.id, "slices that are not those of all subsets"));
        }
        Ok(Box::new(Stacked { rows: setup.shape.rows, ..self.clone() }))
    }
}

impl Stage for Stacked {
    fn info(&self) -> &'static StageInfo {
        &INFO
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        let reach = self.network.reach();
        let dims = [self.lines, input.dims[1]];
        let output = SlabShape { rows: input.rows.saturating_sub(2 * reach), dims, ..input };
        Ok(StagePlan {
            halo: Halo { below: reach, above: reach },
            scratch_bytes: self.network.bytes(dims),
            cost_per_row: self.network.cost(dims),
            ..StagePlan::new(output)
        })
    }
    fn preferred_rows(&self) -> usize {
        ROWS
    }
    fn after(&self, setup: &Setup) -> Setup {
        Setup { shape: ScanShape { views: self.lines, ..setup.shape }, ..setup.clone() }
    }
    fn worker(&self, _: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(StackedWorker { stage: self, remarks: Vec::new() }))
    }
}

struct StackedWorker<'a> {
    stage: &'a Stacked,
    remarks: Vec<String>,
}

impl Worker for StackedWorker<'_> {
    fn process(&mut self, slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab> {
        let Stacked { network, count, lines, rows } = self.stage;
        let inside = Inside::of(&slab, network.reach(), *rows);
        let mut data = run.array([inside.rows, *lines, slab.data.dim().2]);
        // It is the first stage: rows beyond the ends of the volume are the last one.
        let window = inside.window(network.reach());
        let subset = |k: usize| slab.data.slice(s![window.clone(), k * lines..(k + 1) * lines, ..]);
        let views: Vec<ArrayView3<f32>> = (0..*count).map(subset).collect();
        network.apply(&views, inside.made(&mut data), &mut self.remarks, run)?;
        repeat_ends(&mut data, &inside);
        run.recycle(slab.data);
        Ok(Slab { data, halo: inside.halo, ..slab })
    }
    fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }
}
