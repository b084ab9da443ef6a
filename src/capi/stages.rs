//! The stages that chains are made of, as they describe themselves, and plugins that add to them.

use super::context::wagiri_context;
use super::error::wagiri_error;
use super::types::{CTexts, Versioned, c_text, wagiri_status};
use crate::chain::{ParamInfo, ParamKind, Registry, SOURCES, StageInfo, WRITE_TIFF};
use crate::error::{Error, Result};
use crate::host::check_plugin;
use crate::slab::Domain;
use std::ffi::{CString, c_char, c_void};
use std::path::Path;

/// Pixels are [row, view, col], detector counts.
pub const WAGIRI_PIXELS_COUNTS: i32 = 1;
/// Pixels are [row, view, col], absorbance ln(I0/I).
pub const WAGIRI_PIXELS_SINOGRAM: i32 = 2;
/// Pixels are [z, y, x], linear attenuation in 1/cm.
pub const WAGIRI_PIXELS_VOLUME: i32 = 3;

/// Place in a chain: anywhere its neighbours let it.
pub const WAGIRI_PLACE_BETWEEN: u64 = 0;
/// Place in a chain: at the start, where it tells what the data are.
pub const WAGIRI_PLACE_START: u64 = 1;
/// Place in a chain: at the end, where it tells what is written.
pub const WAGIRI_PLACE_END: u64 = 2;

/// Type of a parameter: whole number.
pub const WAGIRI_PARAM_INT: i32 = 1;
/// Type of a parameter: number.
pub const WAGIRI_PARAM_FLOAT: i32 = 2;
/// Type of a parameter: "true" or "false".
pub const WAGIRI_PARAM_BOOL: i32 = 3;
/// Type of a parameter: one of `choices`.
pub const WAGIRI_PARAM_CHOICE: i32 = 4;
/// Type of a parameter: free text.
pub const WAGIRI_PARAM_TEXT: i32 = 5;

/// A stage. Its texts are UTF-8 and valid until the context is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_stage {
    /// sizeof(wagiri_stage), set by the caller.
    pub struct_size: u32,
    /// What it takes, WAGIRI_PIXELS_.
    pub input: i32,
    /// What it makes, WAGIRI_PIXELS_.
    pub output: i32,
    /// Number of parameters, see `wagiri_stage_param`.
    pub param_count: u32,
    /// `family.method`, as in the text of a chain.
    pub id: *const c_char,
    /// One line.
    pub summary: *const c_char,
    /// WAGIRI_PLACE_.
    pub place: u64,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
unsafe impl Versioned for wagiri_stage {
    const FIRST_SIZE: usize = 32;
}

/// A parameter of a stage. Its texts are UTF-8 and valid until the context is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_param {
    /// sizeof(wagiri_param), set by the caller.
    pub struct_size: u32,
    /// WAGIRI_PARAM_.
    pub kind: i32,
    /// 1 if the word "auto" is accepted too, else 0.
    pub accepts_auto: i32,
    /// Number of `choices`; 0 unless `kind` is WAGIRI_PARAM_CHOICE.
    pub choice_count: u32,
    /// Name with its unit, as in the text of a chain.
    pub name: *const c_char,
    /// "px", "um", "deg", ... or "".
    pub unit: *const c_char,
    /// One sentence.
    pub help: *const c_char,
    /// The value that is used where nothing is said, as text.
    pub default_text: *const c_char,
    /// The accepted words.
    pub choices: *const *const c_char,
    /// Smallest accepted number; -infinity if there is none.
    pub minimum: f64,
    /// Largest accepted number; infinity if there is none.
    pub maximum: f64,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
unsafe impl Versioned for wagiri_param {
    const FIRST_SIZE: usize = 72;
}

/// The description of a stage in texts for C, kept by the context.
pub(super) struct StageTexts {
    info: &'static StageInfo,
    id: CString,
    summary: CString,
    params: Vec<ParamTexts>,
}

struct ParamTexts {
    info: &'static ParamInfo,
    name: CString,
    unit: CString,
    help: CString,
    default: CString,
    choices: CTexts,
}

impl StageTexts {
    pub(super) fn new(info: &'static StageInfo) -> Self {
        let params = info.params.iter().map(ParamTexts::new).collect();
        StageTexts { info, id: c_text(info.id), summary: c_text(info.summary), params }
    }
}

impl ParamTexts {
    fn new(info: &'static ParamInfo) -> Self {
        let choices = if let ParamKind::Choice(words) = info.kind { words } else { &[] };
        ParamTexts {
            info,
            name: c_text(info.name),
            unit: c_text(info.unit),
            help: c_text(info.help),
            default: c_text(&info.default.to_string()),
            choices: CTexts::new(choices.iter().copied()),
        }
    }
}

/// Sources, the end, stages: plugins come last, so that the index of a stage never changes.
pub(super) fn in_order(registry: &Registry) -> impl Iterator<Item = &'static StageInfo> {
    SOURCES.into_iter().chain([&WRITE_TIFF]).chain(registry.infos())
}

fn place(info: &StageInfo) -> u64 {
    if SOURCES.iter().any(|source| source.id == info.id) {
        WAGIRI_PLACE_START
    } else if info.id == WRITE_TIFF.id {
        WAGIRI_PLACE_END
    } else {
        WAGIRI_PLACE_BETWEEN
    }
}

pub(super) fn pixels(domain: Domain) -> i32 {
    match domain {
        Domain::Counts => WAGIRI_PIXELS_COUNTS,
        Domain::Sinogram => WAGIRI_PIXELS_SINOGRAM,
        Domain::Volume => WAGIRI_PIXELS_VOLUME,
    }
}

fn stage(ctx: &wagiri_context, index: u32) -> Result<&StageTexts> {
    ctx.stages
        .get(index as usize)
        .ok_or_else(|| Error::not_found("stage", "no such stage").with("index", index).with("stages", ctx.stages.len()))
}

/// Writes the number of stages: what a chain may start from and end with, and plugins, included. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_stage_count(
    ctx: *const wagiri_context,
    count: *mut u32,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, count: value => {
        count.set(ctx.stages.len() as u32);
        Ok(())
    })
}

/// Describes stage `index`, from 0. Set `out->struct_size` first. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_stage_info(
    ctx: *const wagiri_context,
    index: u32,
    out: *mut wagiri_stage,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, out: fill => {
        let stage = stage(ctx, index)?;
        out.set(wagiri_stage {
            struct_size: 0,
            input: pixels(stage.info.input),
            output: pixels(stage.info.output),
            param_count: stage.params.len() as u32,
            id: stage.id.as_ptr(),
            summary: stage.summary.as_ptr(),
            place: place(stage.info),
        });
        Ok(())
    })
}

/// Describes parameter `param` of stage `index`, both from 0. Set `out->struct_size` first. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_stage_param(
    ctx: *const wagiri_context,
    index: u32,
    param: u32,
    out: *mut wagiri_param,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, out: fill => {
        let stage = stage(ctx, index)?;
        let texts = stage.params.get(param as usize).ok_or_else(|| {
            let count = stage.params.len();
            Error::not_found(stage.info.id, "no such parameter").with("index", param).with("parameters", count)
        })?;
        let (minimum, maximum) = texts.info.range.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        out.set(wagiri_param {
            struct_size: 0,
            kind: match texts.info.kind {
                ParamKind::Int => WAGIRI_PARAM_INT,
                ParamKind::Float => WAGIRI_PARAM_FLOAT,
                ParamKind::Bool => WAGIRI_PARAM_BOOL,
                ParamKind::Choice(_) => WAGIRI_PARAM_CHOICE,
                ParamKind::Text => WAGIRI_PARAM_TEXT,
            },
            accepts_auto: texts.info.auto.into(),
            choice_count: texts.choices.count(),
            name: texts.name.as_ptr(),
            unit: texts.unit.as_ptr(),
            help: texts.help.as_ptr(),
            default_text: texts.default.as_ptr(),
            choices: texts.choices.as_ptr(),
            minimum,
            maximum,
        });
        Ok(())
    })
}

/// Loads the plugin library `path` and adds its stages at the end. Loading runs code of that file with all rights of
/// the process: load only what the user trusts. It stays loaded until the process ends. Chains parsed before do not
/// change.
///
/// WAGIRI_PLUGIN: not a plugin, made for another ABI, or its stages have names that exist already; then nothing is
/// added.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_plugin_load(
    ctx: *mut wagiri_context,
    path: *const c_char,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: exclusive, path: text => {
        ctx.inner.load_plugin(Path::new(path))?;
        ctx.describe_stages();
        Ok(())
    })
}

/// Hears one outcome of `wagiri_plugin_check` as soon as it is there: `good` is 1 or 0, `place` the file or a stage,
/// `text` what was checked, or what is wrong. The texts are valid during the call. Called on the thread that called. Must
/// return normally: no C++ exception, no longjmp.
pub type wagiri_finding =
    Option<unsafe extern "C" fn(user: *mut c_void, good: i32, place: *const c_char, text: *const c_char)>;

/// Loads the plugin library `path` and tries each of its stages on small slabs: descriptions, slab heights, threads,
/// cancelling. `finding` may be NULL. What `wagiri_plugin_load` says of trust holds here too; a plugin that crashes ends
/// the process, and the last finding then names the stage. Thread-safe.
///
/// WAGIRI_PLUGIN: the library cannot be loaded, or a stage breaks the contract.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_plugin_check(
    path: *const c_char,
    finding: wagiri_finding,
    user: *mut c_void,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, path: text => {
        let findings = check_plugin(Path::new(path), &mut |found| {
            let Some(call) = finding else { return };
            let (place, text) = (c_text(&found.place), c_text(&found.text));
            // SAFETY: by the header `call` takes the `user` of the same call and two texts, and returns normally.
            unsafe { call(user, found.good.into(), place.as_ptr(), text.as_ptr()) };
        });
        match findings.iter().filter(|found| !found.good).count() {
            0 => Ok(()),
            bad => Err(Error::plugin(path, format!("{bad} of {} checks failed", findings.len()))),
        }
    })
}
