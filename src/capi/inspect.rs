//! What a chain says, and the data that it runs on.

use super::chain::wagiri_chain;
use super::context::wagiri_context;
use super::error::wagiri_error;
use super::scan::{scan_options, wagiri_scan, wagiri_scan_options};
use super::stages::pixels;
use super::types::{Versioned, c_text, wagiri_status};
use std::ffi::{CString, c_char};
use std::path::Path;

/// What `wagiri_chain_info` points to.
pub(super) struct ChainTexts {
    line: CString,
    toml: CString,
    path: Option<CString>,
    out_dir: Option<CString>,
}

impl wagiri_chain {
    fn texts(&self) -> &ChainTexts {
        let text = |path: &Path| c_text(&path.to_string_lossy());
        self.texts.get_or_init(|| ChainTexts {
            line: c_text(&self.inner.to_string()),
            toml: c_text(&self.inner.to_toml()),
            path: self.inner.path().map(text),
            out_dir: self.inner.out_dir().map(text),
        })
    }
}

/// What a chain says. Pointers are valid until the chain is changed or freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_chain_details {
    /// sizeof(wagiri_chain_details), set by the caller.
    pub struct_size: u32,
    /// What it starts from, WAGIRI_PIXELS_.
    pub input: i32,
    /// What it makes, WAGIRI_PIXELS_.
    pub output: i32,
    /// Stages, with the first word and write.tiff.
    pub stage_count: u32,
    /// The data that it names; NULL if it names none.
    pub path: *const c_char,
    /// The folder that its write.tiff names; NULL if it names none.
    pub out_dir: *const c_char,
    /// The chain in one line, with every parameter that is not at its default.
    pub line: *const c_char,
    /// The same as the text of a chain file.
    pub toml: *const c_char,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
unsafe impl Versioned for wagiri_chain_details {
    const FIRST_SIZE: usize = 48;
}

/// Describes a chain. Set `out->struct_size` first. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_chain_info(
    chain: *const wagiri_chain,
    out: *mut wagiri_chain_details,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, chain: shared, out: fill => {
        let texts = chain.texts();
        let pointer = |text: &Option<CString>| text.as_ref().map_or(std::ptr::null(), |t| t.as_ptr());
        out.set(wagiri_chain_details {
            struct_size: 0,
            input: pixels(chain.inner.input()),
            output: pixels(chain.inner.output()),
            stage_count: chain.inner.params().count() as u32,
            path: pointer(&texts.path),
            out_dir: pointer(&texts.out_dir),
            line: texts.line.as_ptr(),
            toml: texts.toml.as_ptr(),
        });
        Ok(())
    })
}

/// Opens data of the kind that the chain starts from: raw frames, or images of sinograms or slices. `path` and `options` go
/// before what stands in the chain; both may be NULL. The chain does not change. On success `*out` is a new scan to be freed
/// with `wagiri_scan_free`, on error NULL. Thread-safe.
///
/// WAGIRI_INVALID: neither the chain nor `path` says where the data are. WAGIRI_NOT_FOUND: an option that this kind of data
/// does not have. Otherwise as `wagiri_scan_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_chain_open(
    chain: *const wagiri_chain,
    path: *const c_char,
    options: *const wagiri_scan_options,
    out: *mut *mut wagiri_scan,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, out: handle, chain: shared, path: optional_text, options: options => {
        // SAFETY: by the header every field is NULL or a text.
        let options = unsafe { scan_options(&options) }?;
        let mut located = chain.inner.clone();
        located.locate(path.map(Path::new), &options)?;
        out.give(wagiri_scan::new(located.open()?));
        Ok(())
    })
}

/// Writes the number of slices (files) that the chain makes of all of `scan`, without reading it. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_chain_slices(
    ctx: *const wagiri_context,
    chain: *const wagiri_chain,
    scan: *const wagiri_scan,
    slices: *mut u64,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, chain: shared, scan: shared, slices: value => {
        slices.set(chain.inner.slices(&ctx.inner, &scan.inner)? as u64);
        Ok(())
    })
}
