//! What wagiri does for a plugin, made safe.

use crate::{Failure, Result, abi};
use std::any::Any;
use std::cell::Cell;
use std::ffi::{CString, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

/// Importance of a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// The result may not be what the user expects.
    Warn,
    /// Worth knowing once.
    Info,
    /// For the author of the plugin.
    Debug,
}

/// wagiri, as a plugin sees it during one call.
pub struct Host<'a> {
    raw: *const abi::Host,
    call: PhantomData<Cell<&'a ()>>,
}

// SAFETY: by the interface `log`, `cancelled` and `scratch` may be called on any thread during the call, and
// `parallel_for` too.
unsafe impl Sync for Host<'_> {}

impl<'a> Host<'a> {
    /// # Safety
    /// `raw` must be what wagiri gave to the function that is running, and `'a` no longer than that call.
    pub(crate) unsafe fn new(raw: *const abi::Host) -> Self {
        Host { raw, call: PhantomData }
    }
    fn raw(&self) -> &abi::Host {
        // SAFETY: see `new`.
        unsafe { &*self.raw }
    }
    /// Version of the interface that wagiri speaks, `(major << 16) | minor`.
    pub fn abi(&self) -> u32 {
        self.raw().abi
    }
    /// Adds a line to wagiri's log, under the id of the stage.
    pub fn log(&self, level: LogLevel, message: &str) {
        let level = match level {
            LogLevel::Error => abi::LOG_ERROR,
            LogLevel::Warn => abi::LOG_WARN,
            LogLevel::Info => abi::LOG_INFO,
            LogLevel::Debug => abi::LOG_DEBUG,
        };
        let text = CString::new(message.replace('\0', " ")).unwrap_or_default();
        // SAFETY: the host outlives `self`, the text ends with a zero byte.
        unsafe { (self.raw().log)(self.raw, level, text.as_ptr()) }
    }
    /// True once the run is to stop; then return [`Failure::Cancelled`] soon.
    pub fn cancelled(&self) -> bool {
        // SAFETY: the host outlives `self`.
        unsafe { (self.raw().cancelled)(self.raw) != 0 }
    }
    /// `len` zeros until `process` returns; an error beyond the planned `scratch_bytes` and in `create`.
    ///
    /// The lifetime is that of the call, so that several buffers can be held at once.
    #[allow(clippy::mut_from_ref)] // every call returns other memory
    pub fn scratch(&self, len: usize) -> Result<&'a mut [f32]> {
        let too_large = || format!("no memory is large enough for {len} numbers");
        let bytes = len.checked_mul(4).filter(|bytes| isize::try_from(*bytes).is_ok()).ok_or_else(too_large)?;
        // SAFETY: the host outlives `self`.
        let start = unsafe { (self.raw().scratch)(self.raw, bytes as u64) };
        if start.is_null() {
            return Err(format!("wagiri gave no scratch memory for {len} numbers; was it planned?").into());
        }
        // SAFETY: fresh, zeroed, aligned to 64 bytes, `bytes` long, alive until the call ends; no longer
        // than isize::MAX bytes.
        Ok(unsafe { std::slice::from_raw_parts_mut(start.cast(), len) })
    }
    /// Calls `body(0)` ... `body(n - 1)` and waits: on all compute threads in a serial stage, one after the other in a
    /// parallel one. [`Failure::Cancelled`] if the run is to stop; the rest is skipped then. A panic in `body` goes on
    /// in the caller.
    pub fn parallel_for(&self, n: u32, body: impl Fn(u32) + Sync) -> Result<()> {
        let job = Job { body, panic: Mutex::new(None) };
        let arg = (&raw const job).cast_mut().cast::<c_void>();
        // SAFETY: the host calls `run` with `arg` before it returns; `job` lives until then and is shared read-only.
        let code = unsafe { (self.raw().parallel_for)(self.raw, n, Some(run_of(&job)), arg) };
        if let Some(panic) = job.panic.into_inner().unwrap_or_else(|e| e.into_inner()) {
            resume_unwind(panic);
        }
        match code {
            abi::OK => Ok(()),
            abi::CANCELLED => Err(Failure::Cancelled),
            _ => Err("wagiri could not run the parallel loop".into()),
        }
    }
}

struct Job<F> {
    body: F,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

fn run_of<F: Fn(u32) + Sync>(_: &Job<F>) -> abi::LoopBodyFn {
    run::<F>
}

unsafe extern "C" fn run<F: Fn(u32) + Sync>(arg: *mut c_void, index: u32) {
    // SAFETY: `arg` is the `Job<F>` of `parallel_for`.
    let job = unsafe { &*arg.cast::<Job<F>>() };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (job.body)(index))) {
        *job.panic.lock().unwrap_or_else(|e| e.into_inner()) = Some(panic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::c_char;

    unsafe extern "C" fn log(_: *const abi::Host, _: i32, _: *const c_char) {}
    unsafe extern "C" fn cancelled(_: *const abi::Host) -> i32 {
        0
    }
    unsafe extern "C" fn parallel_for(_: *const abi::Host, _: u32, _: Option<abi::LoopBodyFn>, _: *mut c_void) -> i32 {
        abi::OK
    }
    /// 64 bytes at `ctx` and no more, whatever was asked for.
    unsafe extern "C" fn scratch(host: *const abi::Host, _: u64) -> *mut c_void {
        // SAFETY: the host of the test, alive during the call.
        unsafe { (*host).ctx }
    }

    #[test]
    fn scratch_beyond_the_address_space_is_refused_before_wagiri_is_asked() {
        let mut memory = [0f32; 16];
        let raw = abi::Host {
            struct_size: size_of::<abi::Host>() as u32,
            abi: 1,
            ctx: (&raw mut memory).cast(),
            log,
            cancelled,
            scratch,
            parallel_for,
        };
        // SAFETY: `raw` outlives the host.
        let host = unsafe { Host::new(&raw) };
        assert_eq!(host.scratch(16).ok().map(|m| m.len()), Some(16));
        // Times 4 bytes: wraps to 4, wraps to 0, is one more than a slice may have.
        for len in [usize::MAX / 4 + 2, usize::MAX / 4 + 1, isize::MAX as usize / 4 + 1] {
            let Err(Failure::Message(text)) = host.scratch(len) else { panic!("{len} were given") };
            assert!(text.contains(&len.to_string()), "{text}");
        }
    }
}
