//! Models of Noise2Inverse: what is in a file.

use super::error::wagiri_error;
use super::types::{CTexts, Versioned, wagiri_status};
use crate::chain::n2i;
use crate::denoise::{Model, Norm};
use std::ffi::c_char;
use std::path::Path;

/// A trained network and what is known of its training. Owned by the caller; free it with `wagiri_model_free`.
pub struct wagiri_model {
    inner: Model,
    names: CTexts,
    values: CTexts,
}

/// What a model is. Pointers are valid until it is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_model_details {
    /// sizeof(wagiri_model_details), set by the caller.
    pub struct_size: u32,
    /// Subsets of the views that it was trained for.
    pub subsets: u32,
    /// Slices that it sees, odd.
    pub channels: u32,
    /// Channels of the network at full size.
    pub base_width: u32,
    /// Levels below full size.
    pub depth: u32,
    /// What follows a convolution: 1 batch normalisation, 2 a bias.
    pub norm: i32,
    /// Trained numbers.
    pub parameters: u64,
    /// Value that became 0, 1/cm.
    pub mean: f64,
    /// Difference that became 1, 1/cm.
    pub spread: f64,
    /// Entries of the two arrays below.
    pub about_count: u64,
    /// Names, such as "chain", "scan", "epochs". New ones may be added.
    pub about_names: *const *const c_char,
    /// What the model says under each name.
    pub about_values: *const *const c_char,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
unsafe impl Versioned for wagiri_model_details {
    const FIRST_SIZE: usize = 72;
}

/// Reads a model that `wagiri_n2i_train` wrote. On success `*out` is to be freed with `wagiri_model_free`, on error NULL.
/// Thread-safe.
///
/// WAGIRI_FORMAT: the file is no model, truncated, or of another version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_model_open(
    path: *const c_char,
    out: *mut *mut wagiri_model,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, out: handle, path: text => {
        let inner = n2i::read_model(Path::new(path))?;
        let names = CTexts::new(inner.about.keys().map(String::as_str));
        let values = CTexts::new(inner.about.values().map(String::as_str));
        out.give(wagiri_model { inner, names, values });
        Ok(())
    })
}

/// Describes a model. Set `out->struct_size` first. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_model_info(
    model: *const wagiri_model,
    out: *mut wagiri_model_details,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, model: shared, out: fill => {
        let shape = &model.inner.architecture;
        out.set(wagiri_model_details {
            struct_size: 0,
            subsets: model.inner.subsets as u32,
            channels: shape.channels as u32,
            base_width: shape.base_width as u32,
            depth: shape.depth as u32,
            norm: if shape.norm == Norm::Batch { 1 } else { 2 },
            parameters: model.inner.parameters.len() as u64,
            mean: model.inner.scaling.mean,
            spread: model.inner.scaling.spread,
            about_count: model.names.count().into(),
            about_names: model.names.as_ptr(),
            about_values: model.values.as_ptr(),
        });
        Ok(())
    })
}

/// Frees a model; NULL is allowed. No function may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_model_free(model: *mut wagiri_model) {
    free!(model);
}
