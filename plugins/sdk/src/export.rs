//! From the trait to the C functions, and the macro that exports them.

use crate::abi;
use crate::host::Host;
use crate::{Domain, Failure, Input, Output, Plan, Result, Setup, SlabShape, Stage, Text, Threading, Value};
use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The C description of every [`Stage`]; used by [`export!`](crate::export).
pub trait Describe {
    /// Constant for the life of the process.
    const DESC: &'static abi::StageDesc;
}

impl<S: Stage> Describe for S {
    const DESC: &'static abi::StageDesc = &abi::StageDesc {
        struct_size: size_of::<abi::StageDesc>() as u32,
        input: domain(S::INPUT),
        output: domain(S::OUTPUT),
        threading: match S::THREADING {
            Threading::Parallel => abi::PARALLEL,
            Threading::Serial => abi::SERIAL,
        },
        id: S::ID.as_ptr(),
        summary: S::SUMMARY.as_ptr(),
        // `&Param` and a pointer to its only field are the same.
        params: S::PARAMS.as_ptr().cast(),
        param_count: S::PARAMS.len() as u32,
        reserved: 0,
        create: Some(create::<S>),
        plan: Some(plan::<S>),
        worker_new: Some(worker_new::<S>),
        process: Some(process::<S>),
        worker_free: Some(worker_free::<S>),
        destroy: Some(destroy::<S>),
        survey: if S::SURVEYS { Some(survey::<S>) } else { None },
        survey_done: if S::SURVEYS { Some(survey_done::<S>) } else { None },
    };
}

const fn domain(domain: Domain) -> i32 {
    match domain {
        Domain::Counts => abi::COUNTS,
        Domain::Sinogram => abi::SINOGRAM,
        Domain::Volume => abi::VOLUME,
    }
}

/// Words for [`Param::choice`](crate::Param::choice): `const WORDS: &[Text] = &c_text_array([c"fast", c"good"]);`.
pub const fn c_text_array<const N: usize>(words: [&'static CStr; N]) -> [Text; N] {
    let mut texts = [Text(std::ptr::null()); N];
    let mut i = 0;
    while i < N {
        texts[i] = Text(words[i].as_ptr());
        i += 1;
    }
    texts
}

/// Exports the plugin: `export! { id: c"org.example.filters", vendor: c"A. Person", stages: [Gain] }`.
///
/// The version is that of the package. Once per library. `export!(PLUGIN)` exports what [`entry!`](crate::entry) made.
#[macro_export]
macro_rules! export {
    ($entry:path) => {
        /// What wagiri looks for.
        #[unsafe(no_mangle)]
        pub static WAGIRI_PLUGIN_ENTRY: $crate::abi::PluginEntry = $entry;
    };
    (id: $id:expr, vendor: $vendor:expr, stages: [$($stage:ty),+ $(,)?] $(,)?) => {
        /// What wagiri looks for.
        #[unsafe(no_mangle)]
        pub static WAGIRI_PLUGIN_ENTRY: $crate::abi::PluginEntry =
            $crate::entry! { id: $id, vendor: $vendor, stages: [$($stage),+] };
    };
}

/// The description of a plugin as a constant of Rust, without a symbol that other languages see:
/// `pub const PLUGIN: wagiri_plugin::abi::PluginEntry = wagiri_plugin::entry! { id: ..., vendor: ..., stages: [...] };`
///
/// For a library that is built into a program: it exports nothing there. Takes what [`export!`](crate::export) takes.
#[macro_export]
macro_rules! entry {
    (id: $id:expr, vendor: $vendor:expr, stages: [$($stage:ty),+ $(,)?] $(,)?) => {{
        const STAGES: &[&'static $crate::abi::StageDesc] = &[$(<$stage as $crate::Describe>::DESC),+];
        const ID: &'static ::core::ffi::CStr = $id;
        const VENDOR: &'static ::core::ffi::CStr = $vendor;
        $crate::abi::PluginEntry {
            struct_size: ::core::mem::size_of::<$crate::abi::PluginEntry>() as u32,
            abi: $crate::abi::ABI,
            id: ID.as_ptr(),
            version: concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr() as *const _,
            vendor: VENDOR.as_ptr(),
            stages: STAGES.as_ptr() as *const *const $crate::abi::StageDesc,
            stage_count: STAGES.len() as u32,
            reserved: 0,
        }
    }};
}

/// Runs `body`; a failure or a panic goes as text into `msg`.
fn guard<T>(msg: *mut c_char, cap: usize, body: impl FnOnce() -> Result<T>) -> std::result::Result<T, i32> {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|s| s.to_string());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Failure::Message(format!("panicked: {text}"))
        }
    };
    match failure {
        Failure::Cancelled => Err(abi::CANCELLED),
        Failure::Message(text) => {
            if !msg.is_null() && cap > 0 {
                let mut len = text.len().min(cap - 1);
                while !text.is_char_boundary(len) {
                    len -= 1;
                }
                // SAFETY: `msg` has `cap` bytes by the interface, and `len < cap`.
                unsafe {
                    std::ptr::copy_nonoverlapping(text.as_ptr().cast(), msg, len);
                    *msg.add(len) = 0;
                }
            }
            Err(abi::FAILED)
        }
    }
}

fn size(value: u64) -> Result<usize> {
    usize::try_from(value).map_err(|_| Failure::from("a size does not fit into the memory of this machine"))
}

fn shape(rows: u64, dims: [u64; 2]) -> Result<SlabShape> {
    Ok(SlabShape { rows: size(rows)?, dims: [size(dims[0])?, size(dims[1])?] })
}

/// # Safety
/// `raw` must be null or a text of the interface.
unsafe fn text(raw: *const c_char) -> String {
    if raw.is_null() {
        return String::new();
    }
    // SAFETY: ends with a zero byte by the interface.
    unsafe { CStr::from_ptr(raw) }.to_string_lossy().into_owned()
}

unsafe extern "C" fn create<S: Stage>(
    host: *const abi::Host,
    setup: *const abi::Setup,
    values: *const abi::Value,
    msg: *mut c_char,
    cap: usize,
) -> *mut c_void {
    let made = guard(msg, cap, || {
        // SAFETY: by the interface all three are valid until this function returns, `values` as many as `PARAMS`, and
        // `angles_rad` as many as `views`.
        let (host, raw, values) = unsafe {
            let values = if S::PARAMS.is_empty() { &[] } else { std::slice::from_raw_parts(values, S::PARAMS.len()) };
            (Host::new(host), &*setup, values)
        };
        if S::SURVEYS && host.abi() & 0xffff < 1 {
            return Err("this stage looks at all rows first, which this wagiri is too old for".into());
        }
        let views = size(raw.views)?;
        let setup = Setup {
            views,
            rows: size(raw.rows)?,
            cols: size(raw.cols)?,
            flats: size(raw.flats)?,
            // SAFETY: see above.
            angles_rad: unsafe { std::slice::from_raw_parts(raw.angles_rad, views) }.to_vec(),
            center_px: raw.center_px,
            center_px_per_row: raw.center_px_per_row,
            pixel_um: raw.pixel_um,
        };
        let value = |v: &abi::Value| match v.kind {
            abi::INT => Value::Int(v.integer),
            abi::FLOAT => Value::Float(v.number),
            abi::BOOL => Value::Bool(v.integer != 0),
            // SAFETY: a text of the interface, alive until this function returns.
            abi::CHOICE | abi::TEXT => Value::Text(unsafe { text(v.text) }),
            _ => Value::Auto,
        };
        let values: Vec<Value> = values.iter().map(value).collect();
        S::create(&host, &setup, &values)
    });
    made.map_or(std::ptr::null_mut(), |stage| Box::into_raw(Box::new(stage)).cast())
}

unsafe extern "C" fn plan<S: Stage>(
    stage: *const c_void,
    input: *const abi::SlabShape,
    out: *mut abi::StagePlan,
    msg: *mut c_char,
    cap: usize,
) -> i32 {
    let done = guard(msg, cap, || {
        // SAFETY: `stage` is from `create::<S>`, the others are valid by the interface.
        let (stage, input, out) = unsafe { (&*stage.cast::<S>(), &*input, &mut *out) };
        let plan = stage.plan(shape(input.rows, input.dims)?)?;
        out.halo_below = plan.halo_below;
        out.halo_above = plan.halo_above;
        out.dims = plan.dims.map(|d| d as u64);
        out.scratch_bytes = plan.scratch_bytes;
        out.cost_per_row = plan.cost_per_row;
        Ok(())
    });
    done.err().unwrap_or(abi::OK)
}

/// A worker and the stage that it belongs to, which the host destroys after all workers.
struct Bound<S: Stage> {
    stage: *const S,
    worker: S::Worker,
}

unsafe extern "C" fn worker_new<S: Stage>(
    stage: *const c_void,
    plan: *const abi::StagePlan,
    msg: *mut c_char,
    cap: usize,
) -> *mut c_void {
    let made = guard(msg, cap, || {
        let stage = stage.cast::<S>();
        // SAFETY: `stage` is from `create::<S>`, `plan` valid by the interface.
        let (this, raw) = unsafe { (&*stage, &*plan) };
        let plan = Plan {
            halo_below: raw.halo_below,
            halo_above: raw.halo_above,
            dims: [size(raw.dims[0])?, size(raw.dims[1])?],
            scratch_bytes: raw.scratch_bytes,
            cost_per_row: raw.cost_per_row,
        };
        Ok(Bound { stage, worker: this.worker(&plan)? })
    });
    made.map_or(std::ptr::null_mut(), |bound| Box::into_raw(Box::new(bound)).cast())
}

fn len(s: SlabShape) -> usize {
    s.rows * s.dims[0] * s.dims[1]
}

/// # Safety
/// `raw` must be a slab of the interface, and `'a` no longer than the call that it was given to.
unsafe fn input_of<'a>(raw: &abi::Slab) -> Result<Input<'a>> {
    let shape = shape(raw.rows, raw.dims)?;
    // SAFETY: by the interface the data have this length; the host allocated them, so the product fits.
    let data = unsafe { std::slice::from_raw_parts(raw.data, len(shape)) };
    let (halo_below, halo_above) = (raw.halo_below as usize, raw.halo_above as usize);
    Ok(Input { shape, first_row: raw.first_row, halo_below, halo_above, data })
}

unsafe extern "C" fn survey<S: Stage>(
    worker: *mut c_void,
    host: *const abi::Host,
    input: *const abi::Slab,
    msg: *mut c_char,
    cap: usize,
) -> i32 {
    let done = guard(msg, cap, || {
        // SAFETY: `worker` is from `worker_new::<S>` and used by one thread at a time; its stage is alive; the others
        // are valid by the interface until this function returns.
        let (bound, host, input) = unsafe { (&mut *worker.cast::<Bound<S>>(), Host::new(host), input_of(&*input)?) };
        // SAFETY: the host destroys it after all workers.
        unsafe { &*bound.stage }.survey(&mut bound.worker, &host, input)
    });
    done.err().unwrap_or(abi::OK)
}

unsafe extern "C" fn survey_done<S: Stage>(
    worker: *mut c_void,
    host: *const abi::Host,
    msg: *mut c_char,
    cap: usize,
) -> i32 {
    let done = guard(msg, cap, || {
        // SAFETY: as in `survey`.
        let (bound, host) = unsafe { (&mut *worker.cast::<Bound<S>>(), Host::new(host)) };
        // SAFETY: as in `survey`.
        unsafe { &*bound.stage }.survey_done(&mut bound.worker, &host)
    });
    done.err().unwrap_or(abi::OK)
}

unsafe extern "C" fn process<S: Stage>(
    worker: *mut c_void,
    host: *const abi::Host,
    input: *const abi::Slab,
    output: *const abi::SlabOut,
    msg: *mut c_char,
    cap: usize,
) -> i32 {
    let done = guard(msg, cap, || {
        // SAFETY: `worker` is from `worker_new::<S>` and used by one thread at a time; its stage is alive; the others
        // are valid by the interface until this function returns.
        let (bound, host, raw, out) = unsafe { (&mut *worker.cast::<Bound<S>>(), Host::new(host), &*input, &*output) };
        let to = shape(out.rows, out.dims)?;
        // SAFETY: by the interface the data have this length and do not overlap the input; the host allocated them, so
        // the product fits.
        let (stage, out_data) = unsafe { (&*bound.stage, std::slice::from_raw_parts_mut(out.data, len(to))) };
        // SAFETY: valid by the interface until this function returns.
        let input = unsafe { input_of(raw) }?;
        stage.process(&mut bound.worker, &host, input, Output { shape: to, data: out_data })
    });
    done.err().unwrap_or(abi::OK)
}

unsafe extern "C" fn worker_free<S: Stage>(worker: *mut c_void) {
    // SAFETY: from `worker_new::<S>`, freed once. A panic in a destructor must not leave; there is nobody to tell.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(worker.cast::<Bound<S>>()) })));
}

unsafe extern "C" fn destroy<S: Stage>(stage: *mut c_void) {
    // SAFETY: from `create::<S>`, freed once, after all workers.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(stage.cast::<S>()) })));
}
