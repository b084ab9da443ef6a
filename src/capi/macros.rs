//! The one way into the library: checks arguments, catches panics, turns `Result` into a status.

use super::error::wagiri_error;
use super::types::wagiri_status;
use crate::error::{Error, Result};
use std::any::Any;
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Body of a fallible C function: `entry!(err, argument: check, ... => { body })`.
///
/// Each argument is replaced by its checked form; the checks are the functions below and in `types`. An output
/// comes first in the list, so that it is cleared even if another argument is refused. The arguments are used under
/// the contract of the header; that is why the `unsafe` is here and not in every function.
macro_rules! entry {
    ($err:ident, $($arg:ident: $check:ident),* => $body:block) => {
        $crate::capi::macros::guard($err, || {
            $(
                // SAFETY: by the header the argument is NULL or what its type says, during this call.
                #[allow(unused_unsafe)]
                let $arg = unsafe { $crate::capi::macros::$check($arg, stringify!($arg)) }?;
            )*
            $body
        })
    };
}

/// Body of a `wagiri_*_free` function: drops the handle, does nothing for NULL.
macro_rules! free {
    ($handle:ident) => {
        // A panic while dropping must not cross the border; there is nobody to tell.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if !$handle.is_null() {
                // SAFETY: the caller gives back what `Out::give` handed out, once.
                drop(unsafe { Box::from_raw($handle) });
            }
        }));
    };
}

pub(super) use super::types::{fill, optional_fill, options, pixels, pixels_mut, report, required_options};

pub(super) fn guard(err: *mut *mut wagiri_error, body: impl FnOnce() -> Result<()>) -> wagiri_status {
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
    let (status, error) = match result {
        Ok(()) => (super::types::WAGIRI_OK, std::ptr::null_mut()),
        Err(e) if err.is_null() => (e.kind().status(), std::ptr::null_mut()),
        Err(e) => (e.kind().status(), Box::into_raw(Box::new(wagiri_error::new(&e)))),
    };
    if !err.is_null() {
        // SAFETY: not NULL, so by the header a pointer that can be written.
        unsafe { err.write(error) };
    }
    status
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no message");
    Error::internal("wagiri", format!("the library panicked: {text}; this is a defect, please report it"))
}

fn null(name: &'static str) -> Error {
    Error::invalid(name, "must not be NULL")
}

/// A handle that others may use at the same time.
pub(super) unsafe fn shared<'a, T>(ptr: *const T, name: &'static str) -> Result<&'a T> {
    // SAFETY: by the header NULL, or a handle of this library that was not freed.
    unsafe { ptr.as_ref() }.ok_or_else(|| null(name))
}

/// A handle that nobody else uses during the call.
pub(super) unsafe fn exclusive<'a, T>(ptr: *mut T, name: &'static str) -> Result<&'a mut T> {
    // SAFETY: as in `shared`; by the header nobody else uses it during the call.
    unsafe { ptr.as_mut() }.ok_or_else(|| null(name))
}

/// A text that is needed.
pub(super) unsafe fn text<'a>(ptr: *const c_char, name: &'static str) -> Result<&'a str> {
    // SAFETY: as for this function.
    unsafe { optional_text(ptr, name) }?.ok_or_else(|| null(name))
}

/// A text that may be NULL.
pub(super) unsafe fn optional_text<'a>(ptr: *const c_char, name: &'static str) -> Result<Option<&'a str>> {
    if ptr.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, so by the header a text that ends with a zero byte.
    let bytes = unsafe { CStr::from_ptr(ptr) };
    match bytes.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(e) => Err(Error::invalid(name, "must be UTF-8").with("valid_bytes", e.valid_up_to())),
    }
}

/// Where a result goes; the memory behind it need not be initialised.
pub(super) struct Out<T>(*mut T);

impl<T> Out<T> {
    pub(super) fn set(&self, value: T) {
        // SAFETY: `value` and `handle` refuse NULL; by the header anything else can be written.
        unsafe { self.0.write(value) };
    }
}

/// A plain output that is needed.
pub(super) unsafe fn value<T>(ptr: *mut T, name: &'static str) -> Result<Out<T>> {
    if ptr.is_null() { Err(null(name)) } else { Ok(Out(ptr)) }
}

/// A new handle; NULL until it is given.
pub(super) unsafe fn handle<T>(ptr: *mut *mut T, name: &'static str) -> Result<Out<*mut T>> {
    // SAFETY: as for this function.
    let out = unsafe { value(ptr, name) }?;
    out.set(std::ptr::null_mut());
    Ok(out)
}

impl<T> Out<*mut T> {
    pub(super) fn give(&self, handle: T) {
        self.set(Box::into_raw(Box::new(handle)));
    }
}
