//! Stages that pass the volume on and write a file about it, which they know when they have seen all rows: the adapter that they
//! share.

use crate::chain::params::Params;
use crate::chain::stage::{ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageInfo, StagePlan, Worker};
use crate::error::{Error, Result};
use crate::io::Aside;
use crate::slab::{Slab, SlabShape};
use ndarray::{ArrayView3, Axis, Slice};
use std::borrow::Cow;
use std::path::PathBuf;

/// What looks at the rows.
pub(super) trait Look: Send {
    /// The next slices, in order; the first one has the number `first`.
    fn slices(&mut self, first: usize, slices: ArrayView3<f32>, run: &mut Run<'_, '_>) -> Result<()>;
    /// There are no more. Writes the file, unless it is not `wanted`. What the user should know comes back.
    fn finish(self: Box<Self>, wanted: bool, run: &mut Run<'_, '_>) -> Result<Vec<String>>;
}

/// Begins a look at slices of the given size.
pub(super) type Begin = Box<dyn Fn([usize; 2]) -> Result<Box<dyn Look>> + Send + Sync>;

/// See the module.
pub(super) struct AsideStage {
    pub info: &'static StageInfo,
    /// Slices of the whole volume.
    pub slices: usize,
    pub begin: Begin,
    /// Memory that it holds for slices of this shape, bytes.
    pub kept_bytes: Box<dyn Fn(SlabShape) -> u64 + Send + Sync>,
    /// Nanoseconds per value.
    pub cost: f64,
}

impl AsideStage {
    pub fn new(info: &'static StageInfo, setup: &Setup, cost: f64, begin: Begin) -> Self {
        AsideStage { info, slices: setup.shape.rows, begin, kept_bytes: Box::new(|_| 0), cost }
    }
}

/// The parameter [`path`] reads.
pub(super) const fn file(help: &'static str) -> ParamInfo {
    ParamInfo::new("path", ParamKind::Text, "", ParamValue::Text(Cow::Borrowed("")), help)
}

/// The file that the parameter `path` names, if it can be one: told now and not after hours.
pub(super) fn path(params: &Params) -> Result<PathBuf> {
    let id = params.info().id;
    let Some(text) = params.text("path").filter(|text| !text.is_empty()) else {
        return Err(Error::invalid(id, "path: expected the file to write"));
    };
    let path = PathBuf::from(text);
    Aside::check(&path).map_err(|e| e.at(format!("{id}: path")))?;
    Ok(path)
}

impl Stage for AsideStage {
    fn info(&self) -> &'static StageInfo {
        self.info
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        let cost_per_row = super::cost(input, self.cost);
        Ok(StagePlan { kept_bytes: (self.kept_bytes)(input), cost_per_row, ..StagePlan::new(input) })
    }
    fn surveys(&self) -> bool {
        true
    }
    fn only_looks(&self) -> bool {
        true
    }
    fn worker(&self, _: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(AsideWorker { stage: self, look: None, slices: 0, remarks: Vec::new() }))
    }
}

struct AsideWorker<'a> {
    stage: &'a AsideStage,
    look: Option<Box<dyn Look>>,
    /// Seen so far.
    slices: usize,
    remarks: Vec<String>,
}

impl Worker for AsideWorker<'_> {
    fn process(&mut self, slab: Slab, _: &mut Run<'_, '_>) -> Result<Slab> {
        Ok(slab)
    }
    fn survey(&mut self, slab: &Slab, run: &mut Run<'_, '_>) -> Result<()> {
        let rows = slab.own_rows();
        let own = slab.data.slice_axis(Axis(0), Slice::from(slab.halo.below..slab.halo.below + rows.len()));
        if self.look.is_none() {
            self.look = Some((self.stage.begin)([own.shape()[1], own.shape()[2]])?);
        }
        self.slices += rows.len();
        self.look.as_mut().map_or(Ok(()), |look| look.slices(rows.start, own, run))
    }
    fn survey_done(&mut self, run: &mut Run<'_, '_>) -> Result<()> {
        let id = self.stage.info.id;
        let look = self.look.take().ok_or_else(|| Error::internal(id, "there are no rows"))?;
        // A preview must not replace the file of the volume.
        let wanted = self.slices > 1 || self.stage.slices == 1;
        self.remarks = look.finish(wanted, run)?;
        if !wanted {
            self.remarks.push("nothing is written for a single slice of a volume".into());
        }
        self.remarks.iter_mut().for_each(|remark| *remark = format!("{id}: {remark}"));
        Ok(())
    }
    fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }
}
