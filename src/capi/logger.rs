//! Hands log records to the functions that C programs set. The `log` crate knows one logger per process, so this is
//! one list for all contexts; it is the only state of the C ABI outside its handles.

use super::types::c_text;
use crate::error::{Error, Result};
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::ffi::{c_char, c_void};
use std::sync::{OnceLock, RwLock};

/// Level of a log record: the work failed or the result is doubtful.
pub const WAGIRI_LOG_ERROR: i32 = 1;
/// Level of a log record: something was repaired or looks wrong.
pub const WAGIRI_LOG_WARN: i32 = 2;
/// Level of a log record: what was done.
pub const WAGIRI_LOG_INFO: i32 = 3;

/// Receives a log record: a WAGIRI_LOG_ level and one line of UTF-8 without a line end, valid during the call. Called
/// from any thread, several at once. Must not call the library, and must return normally: no C++ exception, no
/// longjmp.
pub type wagiri_log = Option<unsafe extern "C" fn(user: *mut c_void, level: i32, message: *const c_char)>;

/// One listener; `owner` is the address of its context.
struct Listener {
    owner: usize,
    call: unsafe extern "C" fn(*mut c_void, i32, *const c_char),
    user: *mut c_void,
}

// SAFETY: the header demands a function that may be called on any thread with `user`.
unsafe impl Send for Listener {}
// SAFETY: ... and on several at once.
unsafe impl Sync for Listener {}

static LISTENERS: RwLock<Vec<Listener>> = RwLock::new(Vec::new());

struct Bridge;

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata) -> bool {
        // Crates beneath us speak to programmers, not to users.
        metadata.level() <= Level::Info && metadata.target().starts_with("wagiri")
    }
    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => WAGIRI_LOG_ERROR,
            Level::Warn => WAGIRI_LOG_WARN,
            _ => WAGIRI_LOG_INFO,
        };
        let message = c_text(&record.args().to_string());
        for l in LISTENERS.read().unwrap_or_else(|e| e.into_inner()).iter() {
            // SAFETY: `listen` waits for this loop before it forgets a listener, so `user` is still the caller's promise.
            unsafe { (l.call)(l.user, level, message.as_ptr()) };
        }
    }
    fn flush(&self) {}
}

/// Replaces the listener of `owner`. Returns once the former one is in no call any more.
pub(super) fn listen(
    owner: usize,
    call: Option<unsafe extern "C" fn(*mut c_void, i32, *const c_char)>,
    user: *mut c_void,
) -> Result<()> {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    if call.is_some() && !*INSTALLED.get_or_init(|| log::set_logger(&Bridge).is_ok()) {
        return Err(Error::unavailable("logger", "this process has installed another logger for the log crate"));
    }
    let mut listeners = LISTENERS.write().unwrap_or_else(|e| e.into_inner());
    listeners.retain(|l| l.owner != owner);
    listeners.extend(call.map(|call| Listener { owner, call, user }));
    if *INSTALLED.get().unwrap_or(&false) {
        log::set_max_level(if listeners.is_empty() { LevelFilter::Off } else { LevelFilter::Info });
    }
    Ok(())
}
