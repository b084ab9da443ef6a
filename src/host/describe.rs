//! Turns the descriptions of a plugin into those of wagiri, and refuses what makes no sense. Errors are sentences; the
//! caller puts the path in front.
//!
//! Descriptions are leaked: a plugin stays loaded, and so do they.

use super::loader::check_size;
use crate::chain::{ParamInfo, ParamKind, ParamValue, StageInfo, parse_param};
use crate::slab::Domain;
use std::ffi::c_char;
use std::sync::Arc;
use wagiri_plugin::abi;

type Outcome<T> = std::result::Result<T, String>;

const MAX_STAGES: u32 = 256;
const MAX_PARAMS: u32 = 64;
const MAX_CHOICES: u32 = 256;
const MAX_NAME: usize = 64;
const MAX_TEXT: usize = 4096;

/// A stage whose description was found good.
pub(super) struct Described {
    pub(super) info: &'static StageInfo,
    pub(super) serial: bool,
    pub(super) create: abi::CreateFn,
    pub(super) process: abi::ProcessFn,
    pub(super) plan: Option<abi::PlanFn>,
    pub(super) worker_new: Option<abi::WorkerNewFn>,
    pub(super) worker_free: Option<abi::FreeFn>,
    pub(super) destroy: Option<abi::FreeFn>,
    pub(super) survey: Option<(abi::SurveyFn, abi::SurveyDoneFn)>,
}

/// A plugin whose stages were found good.
pub(super) struct Plugin {
    pub(super) id: &'static str,
    pub(super) stages: Vec<Arc<Described>>,
}

/// A plugin with all of its stages; none if one of them is wrong.
pub(super) fn plugin(entry: abi::PluginEntry) -> Outcome<Plugin> {
    for (what, raw) in [("version", entry.version), ("vendor", entry.vendor)] {
        text(raw, MAX_TEXT).map_err(|e| format!("{what} of the plugin {e}"))?;
    }
    let id = text(entry.id, MAX_TEXT).map_err(|e| format!("id of the plugin {e}"))?;
    let table = pointers(entry.stages, entry.stage_count, 1, MAX_STAGES).map_err(|e| format!("stages {e}"))?;
    let one = |(i, &raw)| stage(raw).map(Arc::new).map_err(|e| format!("stage {}: {e}", i + 1));
    Ok(Plugin { id, stages: table.iter().enumerate().map(one).collect::<Outcome<_>>()? })
}

fn stage(raw: *const abi::StageDesc) -> Outcome<Described> {
    let desc = structure(raw, "the description", abi::StageDesc::LEAST)?;
    let id = text(desc.id, MAX_NAME).map_err(|e| format!("id {e}"))?;
    let word = |s: &str| s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
    if id.split('.').count() < 2 || id.split('.').any(|part| part.is_empty() || !word(part)) {
        return Err(format!("the id '{id}' is not of the form family.method with a-z, 0-9, _ and -"));
    }
    let named = |e: String| format!("{id}: {e}");
    let summary = text(desc.summary, MAX_TEXT).map_err(|e| named(format!("summary {e}")))?;
    let input = domain(desc.input).ok_or_else(|| named(format!("there is no input domain {}", desc.input)))?;
    let output = domain(desc.output).ok_or_else(|| named(format!("there is no output domain {}", desc.output)))?;
    // Plugins are not given dark and direct-beam images in this version of the interface.
    if (input == Domain::Counts) != (output == Domain::Counts) {
        return Err(named("counts can only become counts in a plugin".into()));
    }
    let serial = match desc.threading {
        abi::PARALLEL => false,
        abi::SERIAL => true,
        other => return Err(named(format!("there is no threading {other}"))),
    };
    let table = pointers(desc.params, desc.param_count, 0, MAX_PARAMS).map_err(|e| named(format!("parameters {e}")))?;
    let mut params: Vec<ParamInfo> = Vec::with_capacity(table.len());
    for (i, &raw) in table.iter().enumerate() {
        let param = param(id, raw).map_err(|e| named(format!("parameter {}: {e}", i + 1)))?;
        if params.iter().any(|p| p.name == param.name) {
            return Err(named(format!("two parameters are named {}", param.name)));
        }
        params.push(param);
    }
    let missing = |what| named(format!("the function {what} is missing"));
    if desc.worker_free.is_some() != desc.worker_new.is_some() {
        return Err(missing(if desc.worker_new.is_some() { "worker_free" } else { "worker_new" }));
    }
    let survey = match (desc.survey, desc.survey_done) {
        (None, None) => None,
        (Some(_), None) => return Err(missing("survey_done")),
        (None, Some(_)) => return Err(missing("survey")),
        (Some(_), Some(_)) if !serial => return Err(named("only a SERIAL stage can survey".into())),
        (Some(_), Some(_)) if desc.worker_new.is_none() => return Err(missing("worker_new")),
        (Some(survey), Some(done)) => Some((survey, done)),
    };
    Ok(Described {
        info: Box::leak(Box::new(StageInfo { id, summary, input, output, params: params.leak() })),
        serial,
        create: desc.create.ok_or_else(|| missing("create"))?,
        process: desc.process.ok_or_else(|| missing("process"))?,
        plan: desc.plan,
        worker_new: desc.worker_new,
        worker_free: desc.worker_free,
        destroy: desc.destroy,
        survey,
    })
}

fn param(stage: &str, raw: *const abi::ParamDesc) -> Outcome<ParamInfo> {
    let desc = structure(raw, "the description", size_of::<abi::ParamDesc>())?;
    let name = text(desc.name, MAX_NAME).map_err(|e| format!("name {e}"))?;
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.bytes().all(letter) {
        return Err(format!("the name '{name}' is not made of a-z, 0-9 and _, beginning with a letter"));
    }
    let named = |e: String| format!("{name}: {e}");
    let field = |what: &str, raw| text(raw, MAX_TEXT).map_err(|e| named(format!("{what} {e}")));
    let (unit, help) = (field("unit", desc.unit)?, field("help", desc.help)?);
    let default_text = field("default_text", desc.default_text)?;
    let auto = desc.allow_auto != 0;
    let kind = match desc.kind {
        abi::INT => ParamKind::Int,
        abi::FLOAT => ParamKind::Float,
        abi::BOOL => ParamKind::Bool,
        abi::TEXT => ParamKind::Text,
        abi::CHOICE => ParamKind::Choice(choices(&desc, auto).map_err(named)?),
        other => return Err(named(format!("there is no kind {other}"))),
    };
    let number = matches!(kind, ParamKind::Int | ParamKind::Float);
    // Written so that NaN is refused too.
    if number && !matches!(desc.min.partial_cmp(&desc.max), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal))
    {
        return Err(named(format!("the range {} to {} is empty", desc.min, desc.max)));
    }
    let open = desc.min == f64::NEG_INFINITY && desc.max == f64::INFINITY;
    let range = (number && !open).then_some((desc.min, desc.max));
    let mut info = ParamInfo { name, kind, unit, default: ParamValue::Auto, range, auto, help };
    // Defaults go the way of what a user writes, so that the same checks hold.
    info.default = parse_param(stage, &info, default_text).map_err(|e| format!("the default is not accepted: {e}"))?;
    Ok(info)
}

fn choices(desc: &abi::ParamDesc, auto: bool) -> Outcome<&'static [&'static str]> {
    let table = pointers(desc.choices, desc.choice_count, 1, MAX_CHOICES).map_err(|e| format!("choices {e}"))?;
    let mut words: Vec<&'static str> = Vec::with_capacity(table.len());
    for &raw in table {
        let word = text(raw, MAX_NAME).map_err(|e| format!("a choice {e}"))?;
        // These would end the word where it stands in a chain.
        if word.is_empty() || word.contains(|c: char| c.is_whitespace() || c.is_control() || "|=".contains(c)) {
            return Err(format!("the choice '{word}' is empty or holds a blank, | or ="));
        }
        if words.contains(&word) || (auto && word.eq_ignore_ascii_case("auto")) {
            return Err(format!("the choice '{word}' is there twice"));
        }
        words.push(word);
    }
    Ok(words.leak())
}

fn domain(raw: i32) -> Option<Domain> {
    match raw {
        abi::COUNTS => Some(Domain::Counts),
        abi::SINOGRAM => Some(Domain::Sinogram),
        abi::VOLUME => Some(Domain::Volume),
        _ => None,
    }
}

/// A struct that begins with its size, once that and the pointer are plausible. It has at least `least` bytes; what an
/// older interface did not have is zero, what a newer one appends is left out.
fn structure<T: Copy>(raw: *const T, what: &str, least: usize) -> Outcome<T> {
    if raw.is_null() || !raw.is_aligned() {
        return Err(format!("{what} is NULL or misaligned"));
    }
    // SAFETY: constant memory of the plugin by the interface. `struct_size` is its first field in both structs.
    let size = unsafe { raw.cast::<u32>().read() };
    check_size(what, size, least)?;
    let mut whole = std::mem::MaybeUninit::<T>::zeroed();
    let bytes = (size as usize).min(size_of::<T>());
    // SAFETY: the plugin says that it is at least that long. All fields of both structs may be zero: numbers, pointers
    // and functions that may be missing.
    Ok(unsafe {
        std::ptr::copy_nonoverlapping(raw.cast::<u8>(), whole.as_mut_ptr().cast(), bytes);
        whole.assume_init()
    })
}

/// A table of `count` pointers.
fn pointers<T>(raw: *const *const T, count: u32, least: u32, most: u32) -> Outcome<&'static [*const T]> {
    if !(least..=most).contains(&count) {
        return Err(format!("are {count} in number; expected {least} to {most}"));
    }
    if count == 0 {
        return Ok(&[]);
    }
    if raw.is_null() || !raw.is_aligned() {
        return Err("are a table that is NULL or misaligned".into());
    }
    // SAFETY: a constant table of the plugin with that many entries, by the interface.
    Ok(unsafe { std::slice::from_raw_parts(raw, count as usize) })
}

fn text(raw: *const c_char, most: usize) -> Outcome<&'static str> {
    if raw.is_null() {
        return Err("is NULL".into());
    }
    // SAFETY: constant text of the plugin that ends with a zero byte; no byte after that is read.
    let len = (0..=most).find(|&i| unsafe { *raw.add(i) } == 0).ok_or(format!("is longer than {most} bytes"))?;
    // SAFETY: as above.
    let bytes: &'static [u8] = unsafe { std::slice::from_raw_parts(raw.cast(), len) };
    std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".into())
}
