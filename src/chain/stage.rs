//! What a stage is. Built-in stages and plugins look the same through these traits.

use super::params::Params;
use crate::context::Context;
use crate::error::Result;
use crate::geometry::Geometry;
use crate::progress::Progress;
use crate::scan::ScanShape;
use crate::slab::{Domain, Halo, RowMap, Slab, SlabShape};
use ndarray::Array3;

/// Type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParamKind {
    /// Whole number.
    Int,
    /// Number.
    Float,
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Free text; the stage says what it accepts.
    Text,
}

/// Value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamValue {
    /// wagiri finds the value; only where [`ParamInfo::auto`].
    Auto,
    /// Whole number.
    Int(i64),
    /// Number.
    Float(f64),
    /// Flag.
    Bool(bool),
    /// Word or free text.
    Text(std::borrow::Cow<'static, str>),
}

/// Describes one parameter; help, checks, dialogs and documents come from this.
#[derive(Clone, Debug)]
pub struct ParamInfo {
    /// Name with its unit: `pixel_um`. Never changes once published.
    pub name: &'static str,
    /// Type.
    pub kind: ParamKind,
    /// `px`, `um`, `deg`, ... or empty.
    pub unit: &'static str,
    /// Used where the user says nothing.
    pub default: ParamValue,
    /// Accepted range of a number, both ends included.
    pub range: Option<(f64, f64)>,
    /// The word `auto` is accepted too.
    pub auto: bool,
    /// One sentence.
    pub help: &'static str,
}

impl ParamInfo {
    /// A parameter without range that does not take `auto`.
    pub const fn new(
        name: &'static str,
        kind: ParamKind,
        unit: &'static str,
        default: ParamValue,
        help: &'static str,
    ) -> Self {
        ParamInfo { name, kind, unit, default, range: None, auto: false, help }
    }
    /// A whole number. Says its range with [`ParamInfo::range`].
    pub const fn int(name: &'static str, unit: &'static str, default: i64, help: &'static str) -> Self {
        ParamInfo::new(name, ParamKind::Int, unit, ParamValue::Int(default), help)
    }
    /// A number. Says its range with [`ParamInfo::range`].
    pub const fn float(name: &'static str, unit: &'static str, default: f64, help: &'static str) -> Self {
        ParamInfo::new(name, ParamKind::Float, unit, ParamValue::Float(default), help)
    }
    /// A parameter that is one of `words`.
    pub const fn choice(
        name: &'static str,
        words: &'static [&'static str],
        default: &'static str,
        help: &'static str,
    ) -> Self {
        let default = ParamValue::Text(std::borrow::Cow::Borrowed(default));
        ParamInfo::new(name, ParamKind::Choice(words), "", default, help)
    }
    /// Accepts numbers from `low` to `high` only.
    pub const fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }
    /// Accepts `auto` too.
    pub const fn or_auto(mut self) -> Self {
        self.auto = true;
        self
    }
}

/// Describes one stage.
#[derive(Clone, Debug)]
pub struct StageInfo {
    /// `family.method`.
    pub id: &'static str,
    /// One line.
    pub summary: &'static str,
    /// What it takes.
    pub input: Domain,
    /// What it makes.
    pub output: Domain,
    /// In the order of dialogs.
    pub params: &'static [ParamInfo],
}

/// Everything of what comes in that a stage may need to prepare itself: the scan as earlier stages left it.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Sizes: rows, views and columns of counts and sinograms; z, y and x of a volume.
    pub shape: ScanShape,
    /// Angles, axis and pixel size; the axis is already found if it was `auto`.
    pub geometry: Geometry,
    /// Mean |absorbance| of the two edge columns over that of all columns, for the whole volume; large where the sample
    /// is wider than the detector.
    pub edge_over_mean: f64,
    /// Compute threads, for stages that need scratch memory per thread.
    pub threads: usize,
}

/// Makes a stage from checked parameters. One per registered stage.
pub trait StageFactory: Send + Sync {
    /// Description.
    fn info(&self) -> &'static StageInfo;
    /// Builds the stage; refuses combinations that make no sense.
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>>;
}

/// What a stage will do with slabs of a given shape.
#[derive(Clone, Copy, Debug)]
pub struct StagePlan {
    /// Shape of one output slab.
    pub output: SlabShape,
    /// Rows needed around the rows that an output row is made from.
    pub halo: Halo,
    /// The rows that an output row is made from.
    pub rows: RowMap,
    /// Working memory beside input and output, bytes, at this slab height, while it works.
    pub scratch_bytes: u64,
    /// Memory that its worker holds from slab to slab, bytes.
    pub kept_bytes: u64,
    /// Processor time per output row, nanoseconds on a usual machine (3 GHz, 512-bit vectors); for estimates only.
    pub cost_per_row: f64,
}

impl StagePlan {
    /// Each row by itself into `output`, without working memory, at no cost to speak of.
    pub fn new(output: SlabShape) -> Self {
        StagePlan {
            output,
            halo: Halo::default(),
            rows: RowMap::default(),
            scratch_bytes: 0,
            kept_bytes: 0,
            cost_per_row: 0.0,
        }
    }
}

/// A prepared stage: immutable, shared by its workers.
pub trait Stage: Send + Sync {
    /// Description.
    fn info(&self) -> &'static StageInfo;
    /// Shape, halo and memory for input slabs of shape `input` (halo included).
    fn plan(&self, input: SlabShape) -> Result<StagePlan>;
    /// Rows at a time with which the stage works best, a power of two; more than 16 only if it gains by them.
    fn preferred_rows(&self) -> usize {
        1
    }
    /// What the stages after this one see of a scan of which this one sees `setup`: other angles, columns or pixel size.
    fn after(&self, setup: &Setup) -> Setup {
        setup.clone()
    }
    /// True if its worker must see all rows before the first can leave: a run then goes through the rows once more, and
    /// calls [`Worker::survey`] on the way.
    fn surveys(&self) -> bool {
        false
    }
    /// True if it surveys and otherwise gives on each slab as it is: then the stage behind it, if that surveys too, looks in the
    /// same pass.
    fn only_looks(&self) -> bool {
        false
    }
    /// Mutable state for one thread of slabs: FFT plans, scratch.
    fn worker(&self, plan: &StagePlan) -> Result<Box<dyn Worker + '_>>;
}

/// Does the work on one slab after another.
pub trait Worker: Send {
    /// Consumes the slab and returns the result; may reuse the memory.
    fn process(&mut self, slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab>;
    /// If [`Stage::surveys`]: looks at a slab without halo, before any is processed. Slabs come in order, each row once: all
    /// that `process` will be given, but for those before the first and behind the last row that there is, for which these
    /// stand. What is found may not depend on the height of the slabs.
    fn survey(&mut self, _slab: &Slab, _run: &mut Run<'_, '_>) -> Result<()> {
        Ok(())
    }
    /// All rows have been surveyed.
    fn survey_done(&mut self, _run: &mut Run<'_, '_>) -> Result<()> {
        Ok(())
    }
    /// What was repaired or noticed over the whole run, in words, for the log; asked once at the end.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What a worker may use while it works: threads, progress, cancellation.
pub struct Run<'c, 'p> {
    /// Threads and budget.
    pub context: &'c Context,
    pub(super) progress: &'c mut Progress<'p>,
    pub(super) done: usize,
    pub(super) total: usize,
    pub(super) fraction_before: f64,
    pub(super) fraction_of_step: f64,
    /// Where the fractions above begin in the whole run, and how much of it they are.
    pub(super) span: (f64, f64),
    pub(super) arrays: Arrays,
    /// Rows of the arrays that are taken now when a part is as high as planned.
    pub(super) full_rows: usize,
}

impl<'c, 'p> Run<'c, 'p> {
    /// A run of a single step, outside a chain: array functions, tests.
    pub fn single(context: &'c Context, progress: &'c mut Progress<'p>, total: usize) -> Self {
        let (span, arrays) = ((0.0, 1.0), Arrays::default());
        Run {
            context,
            progress,
            done: 0,
            total,
            fraction_before: 0.0,
            fraction_of_step: 1.0,
            span,
            arrays,
            full_rows: 0,
        }
    }
    /// A run of a chain, of whose slices an earlier run has finished `done`.
    pub(super) fn of_cut(context: &'c Context, progress: &'c mut Progress<'p>, done: usize, total: usize) -> Self {
        progress.begin(done, total);
        let fraction_before = done as f64 / total as f64;
        Run { done, fraction_before, fraction_of_step: 0.0, ..Self::single(context, progress, total) }
    }
    /// An array for the output of a stage that does not work in place. It holds anything: every element must be written.
    /// In a run it is memory that was used before, which saves the system the work of clearing it.
    pub fn array(&mut self, shape: [usize; 3]) -> Array3<f32> {
        self.arrays.take(shape, self.full_rows)
    }
    /// Gives back an array that is no longer needed, such as the input of that stage.
    pub fn recycle(&mut self, array: Array3<f32>) {
        self.arrays.give(array);
    }
    /// Tells that `fraction` (0 to 1) of this worker's work on this slab is done; an error if the run was cancelled.
    /// Call it on the thread that called `process`, several times a second.
    pub fn tick(&mut self, fraction: f64) -> Result<()> {
        let overall = self.fraction_before + self.fraction_of_step * fraction;
        self.progress.report(self.done, self.total, self.span.0 + self.span.1 * overall)
    }
    /// The reader has delivered everything up to `fraction` of this pass.
    pub(super) fn arrived(&mut self, fraction: f64) {
        self.progress.arrived(self.span.0 + self.span.1 * fraction);
    }
}

/// Arrays that wait to be used again. Each serves arrays of its own size only, lower parts included, so that a chain with
/// several shapes never holds more of any than it needs: the plan counts on it.
#[derive(Default)]
pub(super) struct Arrays(Vec<Vec<f32>>);

impl Arrays {
    /// `full_rows`: rows of an array that belongs to a part of full height, which is what is taken.
    fn take(&mut self, shape: [usize; 3], full_rows: usize) -> Array3<f32> {
        let len: usize = shape.iter().product();
        let full = len.max(full_rows * shape[1] * shape[2]);
        let mut memory = match self.0.iter().position(|memory| memory.capacity() == full) {
            Some(at) => self.0.swap_remove(at),
            // Fresh memory costs nothing until it is written to.
            None => crate::memory::zeros(full),
        };
        memory.resize(len, 0.0);
        // The length is the product of the shape.
        Array3::from_shape_vec(shape, memory).unwrap_or_else(|_| Array3::zeros(shape))
    }
    pub(super) fn give(&mut self, array: Array3<f32>) {
        let (memory, offset) = array.into_raw_vec_and_offset();
        // A cut-off array begins somewhere inside its memory; no stage makes one.
        if offset.is_none_or(|offset| offset == 0) {
            self.0.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_of_several_heights_do_not_take_the_place_of_one_another() {
        let mut arrays = Arrays::default();
        // Parts of 16 rows, and 4 at the end, through stages with halos: 24, 20 and 16 rows; then 16 of another shape with as
        // many values in a row.
        for own in [16, 16, 16, 4] {
            let mut before = arrays.take([own + 8, 6, 4], 24);
            for (shape, full) in [([own + 4, 6, 4], 20), ([own, 6, 4], 16), ([own, 3, 8], 16)] {
                let after = arrays.take(shape, full);
                assert_eq!(after.shape(), shape);
                arrays.give(std::mem::replace(&mut before, after));
            }
            arrays.give(before);
        }
        let mut sizes: Vec<usize> = arrays.0.iter().map(|memory| memory.capacity() / 24).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [16, 16, 20, 24]);
    }
}
