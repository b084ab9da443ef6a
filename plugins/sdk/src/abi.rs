//! The structs of `wagiri_plugin.h`, field by field. The header is the contract and documents them; a test of wagiri
//! compares sizes and offsets.
//!
//! Fields only. Plugins in Rust use the safe traits of the crate instead.

#![allow(missing_docs)]

use core::ffi::{c_char, c_void};

pub const ABI: u32 = 0x0001_0001;
/// Name of the exported data symbol.
pub const ENTRY_SYMBOL: &str = "WAGIRI_PLUGIN_ENTRY";

pub const OK: i32 = 0;
pub const FAILED: i32 = 1;
pub const CANCELLED: i32 = 2;

pub const COUNTS: i32 = 0;
pub const SINOGRAM: i32 = 1;
pub const VOLUME: i32 = 2;

pub const PARALLEL: i32 = 0;
pub const SERIAL: i32 = 1;

pub const AUTO: i32 = 0;
pub const INT: i32 = 1;
pub const FLOAT: i32 = 2;
pub const BOOL: i32 = 3;
pub const CHOICE: i32 = 4;
pub const TEXT: i32 = 5;

pub const LOG_ERROR: i32 = 1;
pub const LOG_WARN: i32 = 2;
pub const LOG_INFO: i32 = 3;
pub const LOG_DEBUG: i32 = 4;

#[derive(Clone, Copy)]
#[repr(C)]
pub struct ParamDesc {
    pub struct_size: u32,
    pub kind: i32,
    pub name: *const c_char,
    pub unit: *const c_char,
    pub help: *const c_char,
    pub default_text: *const c_char,
    pub min: f64,
    pub max: f64,
    pub choices: *const *const c_char,
    pub choice_count: u32,
    pub allow_auto: i32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Value {
    pub kind: i32,
    pub reserved: i32,
    pub integer: i64,
    pub number: f64,
    pub text: *const c_char,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Setup {
    pub struct_size: u32,
    pub reserved: u32,
    pub views: u64,
    pub rows: u64,
    pub cols: u64,
    pub flats: u64,
    pub angles_rad: *const f64,
    pub center_px: f64,
    pub center_px_per_row: f64,
    pub pixel_um: f64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct SlabShape {
    pub struct_size: u32,
    pub domain: i32,
    pub rows: u64,
    pub dims: [u64; 2],
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct StagePlan {
    pub struct_size: u32,
    pub halo_below: u32,
    pub halo_above: u32,
    pub reserved: u32,
    pub dims: [u64; 2],
    pub scratch_bytes: u64,
    pub cost_per_row: f64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Slab {
    pub struct_size: u32,
    pub domain: i32,
    pub rows: u64,
    pub dims: [u64; 2],
    pub first_row: i64,
    pub halo_below: u32,
    pub halo_above: u32,
    pub data: *const f32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct SlabOut {
    pub struct_size: u32,
    pub domain: i32,
    pub rows: u64,
    pub dims: [u64; 2],
    pub data: *mut f32,
}

pub type LogFn = unsafe extern "C" fn(*const Host, i32, *const c_char);
pub type CancelledFn = unsafe extern "C" fn(*const Host) -> i32;
pub type ScratchFn = unsafe extern "C" fn(*const Host, u64) -> *mut c_void;
pub type LoopBodyFn = unsafe extern "C" fn(*mut c_void, u32);
pub type ParallelForFn = unsafe extern "C" fn(*const Host, u32, Option<LoopBodyFn>, *mut c_void) -> i32;

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Host {
    pub struct_size: u32,
    pub abi: u32,
    pub ctx: *mut c_void,
    pub log: LogFn,
    pub cancelled: CancelledFn,
    pub scratch: ScratchFn,
    pub parallel_for: ParallelForFn,
}

pub type CreateFn = unsafe extern "C" fn(*const Host, *const Setup, *const Value, *mut c_char, usize) -> *mut c_void;
pub type PlanFn = unsafe extern "C" fn(*const c_void, *const SlabShape, *mut StagePlan, *mut c_char, usize) -> i32;
pub type WorkerNewFn = unsafe extern "C" fn(*const c_void, *const StagePlan, *mut c_char, usize) -> *mut c_void;
pub type ProcessFn =
    unsafe extern "C" fn(*mut c_void, *const Host, *const Slab, *const SlabOut, *mut c_char, usize) -> i32;
pub type SurveyFn = unsafe extern "C" fn(*mut c_void, *const Host, *const Slab, *mut c_char, usize) -> i32;
pub type SurveyDoneFn = unsafe extern "C" fn(*mut c_void, *const Host, *mut c_char, usize) -> i32;
pub type FreeFn = unsafe extern "C" fn(*mut c_void);

#[derive(Clone, Copy)]
#[repr(C)]
pub struct StageDesc {
    pub struct_size: u32,
    pub input: i32,
    pub output: i32,
    pub threading: i32,
    pub id: *const c_char,
    pub summary: *const c_char,
    pub params: *const *const ParamDesc,
    pub param_count: u32,
    pub reserved: u32,
    pub create: Option<CreateFn>,
    pub plan: Option<PlanFn>,
    pub worker_new: Option<WorkerNewFn>,
    pub process: Option<ProcessFn>,
    pub worker_free: Option<FreeFn>,
    pub destroy: Option<FreeFn>,
    /// Since 1.1, like what follows.
    pub survey: Option<SurveyFn>,
    pub survey_done: Option<SurveyDoneFn>,
}

impl StageDesc {
    /// Its size in interface 1.0.
    pub const LEAST: usize = core::mem::offset_of!(StageDesc, survey);
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct PluginEntry {
    pub struct_size: u32,
    pub abi: u32,
    pub id: *const c_char,
    pub version: *const c_char,
    pub vendor: *const c_char,
    pub stages: *const *const StageDesc,
    pub stage_count: u32,
    pub reserved: u32,
}

// SAFETY: the interface demands that text and tables behind these pointers are constant for the life of the process.
unsafe impl Sync for ParamDesc {}
// SAFETY: as above.
unsafe impl Sync for StageDesc {}
// SAFETY: as above.
unsafe impl Sync for PluginEntry {}
