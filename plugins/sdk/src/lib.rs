//! Write stages for wagiri in Rust: a safe trait over the C plugin interface (`wagiri_plugin.h`).
//!
//! Implement [`Stage`], name it in [`export!`], build a `cdylib`. `docs/plugin-guide.md` of wagiri goes through a
//! complete plugin.
//!
//! A panic does not leave the plugin: it becomes an error of the stage, with the panic's message.
//!
//! Must not know: wagiri itself. No dependencies, so that a plugin binds nobody to versions.

#![warn(missing_docs)]
#![warn(clippy::undocumented_unsafe_blocks)]

pub mod abi;
mod export;
mod host;

pub use export::{Describe, c_text_array};
pub use host::{Host, LogLevel};

use std::ffi::{CStr, c_char};

/// Why a stage failed: one sentence for the user, or that it stopped because [`Host::cancelled`] said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// What is wrong and what would be accepted.
    Message(String),
    /// The run is to stop.
    Cancelled,
}

impl<T: std::fmt::Display> From<T> for Failure {
    fn from(message: T) -> Self {
        Failure::Message(message.to_string())
    }
}

/// Result of the functions of a stage.
pub type Result<T> = std::result::Result<T, Failure>;

/// What the numbers of a slab mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// `[row, view, col]`, detector counts.
    Counts,
    /// `[row, view, col]`, absorbance ln(I0/I), no unit.
    Sinogram,
    /// `[z, y, x]`, linear attenuation, 1/cm.
    Volume,
}

/// How wagiri calls [`Stage::process`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threading {
    /// Once for each output row, on many threads, with one worker per thread.
    Parallel,
    /// Once for a whole slab; the stage may use [`Host::parallel_for`].
    Serial,
}

/// Description of one parameter.
#[repr(transparent)]
pub struct Param(abi::ParamDesc);

impl Param {
    const fn new(kind: i32, name: &'static CStr, default: &'static CStr) -> Self {
        Param(abi::ParamDesc {
            struct_size: size_of::<abi::ParamDesc>() as u32,
            kind,
            name: name.as_ptr(),
            unit: c"".as_ptr(),
            help: c"".as_ptr(),
            default_text: default.as_ptr(),
            min: f64::NEG_INFINITY,
            max: f64::INFINITY,
            choices: std::ptr::null(),
            choice_count: 0,
            allow_auto: 0,
        })
    }
    /// A number. The name ends with its unit (`radius_px`); `default` is written as a user would write it.
    pub const fn float(name: &'static CStr, default: &'static CStr) -> Self {
        Self::new(abi::FLOAT, name, default)
    }
    /// A whole number.
    pub const fn int(name: &'static CStr, default: &'static CStr) -> Self {
        Self::new(abi::INT, name, default)
    }
    /// `true` or `false`.
    pub const fn bool(name: &'static CStr, default: &'static CStr) -> Self {
        Self::new(abi::BOOL, name, default)
    }
    /// Free text.
    pub const fn text(name: &'static CStr, default: &'static CStr) -> Self {
        Self::new(abi::TEXT, name, default)
    }
    /// One of `words`, which [`c_text_array`] makes.
    pub const fn choice(name: &'static CStr, default: &'static CStr, words: &'static [Text]) -> Self {
        let mut param = Self::new(abi::CHOICE, name, default);
        param.0.choices = words.as_ptr().cast();
        param.0.choice_count = words.len() as u32;
        param
    }
    /// Unit: `px`, `um`, `deg`, ...
    pub const fn unit(mut self, unit: &'static CStr) -> Self {
        self.0.unit = unit.as_ptr();
        self
    }
    /// Accepted range of a number, both ends included.
    pub const fn range(mut self, min: f64, max: f64) -> Self {
        self.0.min = min;
        self.0.max = max;
        self
    }
    /// Accepts the word `auto` too.
    pub const fn or_auto(mut self) -> Self {
        self.0.allow_auto = 1;
        self
    }
    /// One sentence for the user.
    pub const fn help(mut self, help: &'static CStr) -> Self {
        self.0.help = help.as_ptr();
        self
    }
}

/// A constant text in a table; see [`c_text_array`].
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Text(pub(crate) *const c_char);
// SAFETY: made from `&'static CStr` only.
unsafe impl Sync for Text {}

/// Value of one parameter, in the order of [`Stage::PARAMS`]: checked and defaulted by wagiri.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The user said `auto`; only where [`Param::or_auto`].
    Auto,
    /// Whole number.
    Int(i64),
    /// Number.
    Float(f64),
    /// Flag.
    Bool(bool),
    /// Word or text.
    Text(String),
}

impl Value {
    /// The number, or `None` for `auto` and for values that are no numbers.
    pub fn float(&self) -> Option<f64> {
        match self {
            Value::Float(v) => Some(*v),
            Value::Int(v) => Some(*v as f64),
            _ => None,
        }
    }
    /// The whole number, or `None`.
    pub fn int(&self) -> Option<i64> {
        if let Value::Int(v) = self { Some(*v) } else { None }
    }
    /// The word or text, or `None`.
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(v) = self { Some(v) } else { None }
    }
}

/// The scan that a stage is made for.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Projections.
    pub views: usize,
    /// Detector rows.
    pub rows: usize,
    /// Detector columns.
    pub cols: usize,
    /// Direct-beam images.
    pub flats: usize,
    /// One per view; positive turns the object counter-clockwise on screen.
    pub angles_rad: Vec<f64>,
    /// Rotation axis at detector row 0; pixel centres are at integers.
    pub center_px: f64,
    /// Tilt of the axis: its column changes by this from row to row.
    pub center_px_per_row: f64,
    /// Detector pixel at the sample.
    pub pixel_um: f64,
}

/// Shape of a slab: `rows` × `dims[0]` × `dims[1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlabShape {
    /// Rows, halo included.
    pub rows: usize,
    /// view × col, or y × x.
    pub dims: [usize; 2],
}

/// What a stage makes of a slab.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Extra input rows with smaller numbers for each output row; the same for every slab height.
    pub halo_below: u32,
    /// Extra input rows with larger numbers.
    pub halo_above: u32,
    /// Inner dims of the output; its rows are the input's without halo.
    pub dims: [usize; 2],
    /// Most memory that one call of `process` has in use, from [`Host::scratch`] or of its own.
    pub scratch_bytes: u64,
    /// Work per row relative to other stages (1: a few operations per pixel); for estimates.
    pub cost_per_row: f64,
}

impl Plan {
    /// No halo, the dims of the input, no scratch, cost 1.
    pub fn same(input: SlabShape) -> Self {
        Plan { halo_below: 0, halo_above: 0, dims: input.dims, scratch_bytes: 0, cost_per_row: 1.0 }
    }
}

/// Rows that a stage reads.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Of `data`, halo included.
    pub shape: SlabShape,
    /// Detector row of the first output row, which is row `halo_below` of `data`; outside the detector where a later
    /// stage needs rows around its own.
    pub first_row: i64,
    /// As planned; at the ends of the detector the last row is repeated.
    pub halo_below: usize,
    /// As planned.
    pub halo_above: usize,
    /// Finite pixels in C order.
    pub data: &'a [f32],
}

/// Rows that a stage writes.
#[derive(Debug)]
pub struct Output<'a> {
    /// Rows of the input without halo, dims as planned.
    pub shape: SlabShape,
    /// Every pixel must become a finite number; NaN before.
    pub data: &'a mut [f32],
}

/// One stage. The value itself is immutable and shared by all threads; what a thread changes is in its `Worker`.
pub trait Stage: Send + Sync + Sized + 'static {
    /// `family.method`; never changes once published.
    const ID: &'static CStr;
    /// One line.
    const SUMMARY: &'static CStr;
    /// What it takes.
    const INPUT: Domain;
    /// What it makes. Counts go with counts only.
    const OUTPUT: Domain;
    /// How it is called.
    const THREADING: Threading = Threading::Parallel;
    /// The stage must see all rows before the first can leave: wagiri goes through the rows once more and calls
    /// [`Stage::survey`] on the way. For serial stages only.
    const SURVEYS: bool = false;
    /// Parameters, in the order of dialogs.
    const PARAMS: &'static [&'static Param] = &[];
    /// Mutable state of one thread: FFT plans, buffers. `()` if there is none.
    type Worker: Send + 'static;

    /// Makes the stage from checked parameters, in the order of [`Stage::PARAMS`].
    fn create(host: &Host, setup: &Setup, values: &[Value]) -> Result<Self>;
    /// Output shape, halo and memory for input slabs of shape `input`.
    fn plan(&self, input: SlabShape) -> Result<Plan> {
        Ok(Plan::same(input))
    }
    /// State for one thread.
    fn worker(&self, plan: &Plan) -> Result<Self::Worker>;
    /// If [`Stage::SURVEYS`]: looks at a slab without halo, before any is processed by this worker. Slabs come in order,
    /// each row once: all that `process` will be given, but for those before the first and behind the last row that there
    /// is, for which these stand. What is found may not depend on the height of the slabs.
    fn survey(&self, _worker: &mut Self::Worker, _host: &Host, _input: Input) -> Result<()> {
        Ok(())
    }
    /// All rows have been surveyed.
    fn survey_done(&self, _worker: &mut Self::Worker, _host: &Host) -> Result<()> {
        Ok(())
    }
    /// Reads `input`, fills `output`.
    fn process(&self, worker: &mut Self::Worker, host: &Host, input: Input, output: Output) -> Result<()>;
}
