//! Errors as C sees them.

use super::types::{WAGIRI_OK, c_text, wagiri_status};
use crate::error::Error;
use std::ffi::{CString, c_char};

/// What went wrong in one call. Owned by the caller; free it with `wagiri_error_free`.
pub struct wagiri_error {
    status: wagiri_status,
    message: CString,
}

impl wagiri_error {
    pub(super) fn new(error: &Error) -> Self {
        wagiri_error { status: error.kind().status(), message: c_text(&error.to_string()) }
    }
}

/// Status of an error, the same that the function returned; WAGIRI_OK for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_error_status(error: *const wagiri_error) -> wagiri_status {
    // SAFETY: by the header NULL, or an error of this library that was not freed.
    unsafe { error.as_ref() }.map_or(WAGIRI_OK, |e| e.status)
}

/// One sentence for people in UTF-8: where, what, and what would be accepted; "" for NULL. Valid until the error is
/// freed. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_error_message(error: *const wagiri_error) -> *const c_char {
    // SAFETY: by the header NULL, or an error of this library that was not freed.
    unsafe { error.as_ref() }.map_or(c"".as_ptr(), |e| e.message.as_ptr())
}

/// Frees an error; NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_error_free(error: *mut wagiri_error) {
    free!(error);
}
