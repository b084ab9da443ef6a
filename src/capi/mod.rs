//! The C ABI: thin functions over `Context`, `Scan`, `Chain` and the array functions. `wagiri.h` beside this file is
//! generated from it and checked in.
//!
//! Holds no algorithm and must not know the command line or JNI. The comments of the items here are the comments of
//! the header, so they speak C.

#![allow(non_camel_case_types, clippy::missing_safety_doc, clippy::too_many_arguments)]

#[macro_use]
mod macros;
mod chain;
mod context;
mod denoise;
mod error;
mod inspect;
mod logger;
mod model;
mod ops;
mod report;
mod scan;
mod stages;
mod train;
mod types;

use error::wagiri_error;
use std::ffi::c_char;
use types::wagiri_status;

/// ABI of this header: major << 16 | minor. A program built with major m needs a library of the same major m and at
/// least the same minor; compare with `wagiri_abi_version()`.
pub const WAGIRI_ABI_VERSION: u32 = 0x10004;

/// Bit of `wagiri_features()`: plugins can be loaded.
pub const WAGIRI_FEATURE_PLUGINS: u64 = 1;

/// ABI of the loaded library: major << 16 | minor. Thread-safe, cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn wagiri_abi_version() -> u32 {
    WAGIRI_ABI_VERSION
}

/// Version of the loaded library, such as "0.1.0". Static: never free it. Thread-safe, cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn wagiri_version() -> *const c_char {
    const { concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast() }
}

/// What the loaded library was built with: a set of WAGIRI_FEATURE_ bits. Unknown bits are to be ignored.
/// Thread-safe, cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn wagiri_features() -> u64 {
    WAGIRI_FEATURE_PLUGINS
}

/// Panics inside the library on purpose and always returns WAGIRI_INTERNAL, so that a host can test its error path:
/// a defect of wagiri comes back as an error like any other and never ends the process. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_self_test_panic(err: *mut *mut wagiri_error) -> wagiri_status {
    entry!(err, => { panic!("self test") })
}

#[cfg(test)]
mod tests;
