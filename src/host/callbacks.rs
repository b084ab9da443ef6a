//! What a plugin may ask of wagiri while one of its functions runs.

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use wagiri_plugin::abi;

/// One call into a plugin. The `wagiri_host` that the plugin sees points here.
pub(super) struct Call<'a> {
    /// Stage id, for the log.
    id: &'static str,
    /// Set once the run is to stop.
    stop: &'a AtomicBool,
    /// `parallel_for` may use the pool that runs this call.
    spread: bool,
    scratch: Mutex<Scratch>,
}

struct Scratch {
    /// Planned and not yet handed out.
    left: u64,
    blocks: Vec<Vec<Line>>,
}

/// 64 bytes: the widest vector register and the usual cache line.
#[derive(Clone)]
#[repr(align(64))]
#[allow(dead_code)] // only its size and alignment matter
struct Line([u8; 64]);

impl<'a> Call<'a> {
    /// A call that may use `scratch_bytes`, and all threads of the current pool if `spread`.
    pub(super) fn new(id: &'static str, stop: &'a AtomicBool, scratch_bytes: u64, spread: bool) -> Self {
        Call { id, stop, spread, scratch: Mutex::new(Scratch { left: scratch_bytes, blocks: Vec::new() }) }
    }
    /// The table of functions for the plugin; valid as long as `self` stays where it is.
    pub(super) fn host(&self) -> abi::Host {
        abi::Host {
            struct_size: size_of::<abi::Host>() as u32,
            abi: abi::ABI,
            ctx: (&raw const *self).cast_mut().cast(),
            log,
            cancelled,
            scratch,
            parallel_for,
        }
    }
    fn log(&self, level: i32, message: &str) {
        let level = match level {
            abi::LOG_ERROR => log::Level::Error,
            abi::LOG_WARN => log::Level::Warn,
            abi::LOG_DEBUG => log::Level::Debug,
            _ => log::Level::Info,
        };
        log::log!(target: "wagiri::plugin", level, "{}: {message}", self.id);
    }
    fn scratch(&self, bytes: u64) -> *mut c_void {
        let mut scratch = self.scratch.lock().unwrap_or_else(|e| e.into_inner());
        if bytes > scratch.left {
            self.log(
                abi::LOG_WARN,
                &format!("asked for {bytes} bytes of scratch with {} planned and left", scratch.left),
            );
            return std::ptr::null_mut();
        }
        let mut block: Vec<Line> = Vec::new();
        // At least one line, so that the address is one of its own.
        let lines = usize::try_from(bytes.div_ceil(64).max(1)).ok();
        let Some(lines) = lines.filter(|&n| block.try_reserve_exact(n).is_ok()) else { return std::ptr::null_mut() };
        block.resize(lines, Line([0; 64]));
        let start = block.as_mut_ptr().cast();
        scratch.left -= bytes;
        scratch.blocks.push(block); // moves the owner, not the memory
        start
    }
    fn parallel_for(&self, n: u32, body: abi::LoopBodyFn, arg: *mut c_void) -> i32 {
        let arg = Argument(arg);
        let step = |index: u32| {
            let arg = &arg;
            if self.stop.load(Ordering::Relaxed) {
                return Err(());
            }
            // SAFETY: by the interface `body` may be called with `arg` from any thread, and does not unwind.
            unsafe { body(arg.0, index) };
            Ok(())
        };
        let done = if self.spread { (0..n).into_par_iter().try_for_each(step) } else { (0..n).try_for_each(step) };
        if done.is_ok() { abi::OK } else { abi::CANCELLED }
    }
}

struct Argument(*mut c_void);
// SAFETY: the plugin allows it by calling `parallel_for`.
unsafe impl Sync for Argument {}

/// # Safety
/// `host` must be null or the one of a running call.
unsafe fn call<'a>(host: *const abi::Host) -> Option<&'a Call<'a>> {
    // SAFETY: `ctx` is set by `Call::host`, and the call outlives what the plugin does in it.
    unsafe { host.as_ref().and_then(|host| host.ctx.cast::<Call>().as_ref()) }
}

/// A panic of ours (a logger's, say) must not run into the plugin.
fn guard<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

unsafe extern "C" fn log(host: *const abi::Host, level: i32, message: *const c_char) {
    // SAFETY: by the interface.
    let Some(call) = (unsafe { call(host) }) else { return };
    if !message.is_null() {
        // SAFETY: a text that ends with a zero byte, by the interface.
        let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
        guard((), || call.log(level, &message));
    }
}

unsafe extern "C" fn cancelled(host: *const abi::Host) -> i32 {
    // SAFETY: by the interface.
    unsafe { call(host) }.map_or(0, |call| call.stop.load(Ordering::Relaxed).into())
}

unsafe extern "C" fn scratch(host: *const abi::Host, bytes: u64) -> *mut c_void {
    // SAFETY: by the interface.
    let Some(call) = (unsafe { call(host) }) else { return std::ptr::null_mut() };
    guard(std::ptr::null_mut(), || call.scratch(bytes))
}

unsafe extern "C" fn parallel_for(
    host: *const abi::Host,
    n: u32,
    body: Option<abi::LoopBodyFn>,
    arg: *mut c_void,
) -> i32 {
    // SAFETY: by the interface.
    let (Some(call), Some(body)) = (unsafe { call(host) }, body) else { return abi::FAILED };
    guard(abi::FAILED, || call.parallel_for(n, body, arg))
}
