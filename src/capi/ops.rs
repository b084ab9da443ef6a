//! Array functions on the caller's memory.

use super::context::wagiri_context;
use super::error::wagiri_error;
use super::types::{Versioned, expect_shape, wagiri_progress, wagiri_status, wagiri_view, wagiri_view_mut};
use crate::error::{Error, Result};
use crate::geometry::view_weights;
use crate::recon::{Engine, Fbp, FbpOptions, Filter};
use ndarray::Axis;
use std::ffi::c_void;

/// Filter: the one that the stage recon.fbp has as its default, chesler.
pub const WAGIRI_FILTER_DEFAULT: i32 = 0;
/// Filter: |f|, no window (Ramachandran and Lakshminarayanan); sharpest and noisiest.
pub const WAGIRI_FILTER_RAMP: i32 = 1;
/// Filter: |f| sinc(f) (Shepp and Logan).
pub const WAGIRI_FILTER_SHEPP_LOGAN: i32 = 2;
/// Filter: |f| (1 + cos 2 pi f) / 2 (Chesler), the Hann window.
pub const WAGIRI_FILTER_CHESLER: i32 = 3;

/// Engine: f32, all threads.
pub const WAGIRI_ENGINE_DIRECT: i32 = 0;
/// Engine: f64, plain and slow, to check others against.
pub const WAGIRI_ENGINE_REFERENCE: i32 = 1;

/// Where the rays are. Set `struct_size` to sizeof.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_geometry {
    /// sizeof(wagiri_geometry).
    pub struct_size: u32,
    /// Number of `angles_rad`.
    pub views: u64,
    /// One angle per view, radians; positive turns the object counter-clockwise on screen. Read during the call only.
    pub angles_rad: *const f64,
    /// Detector pixel at the sample, um; greater than 0.
    pub pixel_um: f64,
    /// Rotation axis in the first row of the sinograms, px; the centre of the first column is 0.
    pub center_px: f64,
    /// Change of the axis from one row to the next, px; 0 for an upright axis.
    pub center_px_per_row: f64,
}

unsafe impl Versioned for wagiri_geometry {
    const FIRST_SIZE: usize = 48;
}

/// How to reconstruct. Set `struct_size` to sizeof; every other field may be 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_fbp_options {
    /// sizeof(wagiri_fbp_options).
    pub struct_size: u32,
    /// WAGIRI_FILTER_.
    pub filter: i32,
    /// WAGIRI_ENGINE_.
    pub engine: i32,
    /// Not 0: extend views that are cut off at the edge of the detector by a cosine taper of half the width.
    pub pad: i32,
}

unsafe impl Versioned for wagiri_fbp_options {
    const FIRST_SIZE: usize = 16;
}

fn fbp_options(options: &wagiri_fbp_options) -> Result<FbpOptions> {
    let filter = match options.filter {
        WAGIRI_FILTER_DEFAULT | WAGIRI_FILTER_CHESLER => Filter::Chesler,
        WAGIRI_FILTER_RAMP => Filter::Ramp,
        WAGIRI_FILTER_SHEPP_LOGAN => Filter::SheppLogan,
        other => return Err(Error::invalid("filter", "expected a WAGIRI_FILTER_ value").with("filter", other)),
    };
    let engine = match options.engine {
        WAGIRI_ENGINE_DIRECT => Engine::Direct,
        WAGIRI_ENGINE_REFERENCE => Engine::Reference,
        other => return Err(Error::invalid("engine", "expected a WAGIRI_ENGINE_ value").with("engine", other)),
    };
    Ok(FbpOptions { filter, engine, pad: options.pad != 0 })
}

/// Removes rings from sinograms `sino` [row, view, col] in place by sorting each column and taking the median across
/// `kernel_px` columns (Vo et al. 2018, algorithm 3, doi:10.1364/OE.26.028396). 0 and 1 change nothing, even widths
/// grow by 1. `progress` may be NULL. Thread-safe in `ctx`.
///
/// WAGIRI_INVALID: NaN in a sinogram, or a window wider than the detector allows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_remove_rings(
    ctx: *const wagiri_context,
    sino: wagiri_view_mut,
    kernel_px: u32,
    progress: wagiri_progress,
    user: *mut c_void,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, sino: pixels_mut, progress: report => {
        let mut progress = progress(user);
        let rows = sino.shape()[0];
        let mut sino = sino;
        for (i, row) in sino.axis_iter_mut(Axis(0)).enumerate() {
            progress.report(i, rows, i as f64 / rows as f64)?;
            let removed = ctx.inner.pool().install(|| crate::rings::sort(row, kernel_px as usize));
            removed.map_err(|e| e.with("row", i))?;
        }
        progress.report(rows, rows, 1.0)
    })
}

/// Filtered back-projection of sinograms `sino` [row, view, col], absorbance, into slices `out` [row, col, col] in
/// 1/cm (x to the right, y down). The views are those of a half turn, or of a full one with the axis near the middle.
/// `options` and `progress` may be NULL. Thread-safe in `ctx`.
///
/// WAGIRI_INVALID: shapes that do not fit, an axis outside the detector, a value that is not a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_reconstruct(
    ctx: *const wagiri_context,
    geometry: *const wagiri_geometry,
    options: *const wagiri_fbp_options,
    sino: wagiri_view,
    progress: wagiri_progress,
    user: *mut c_void,
    out: wagiri_view_mut,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, geometry: required_options, options: options, sino: pixels, progress: report,
           out: pixels_mut => {
        let [rows, views, cols] = [sino.shape()[0], sino.shape()[1], sino.shape()[2]];
        if geometry.angles_rad.is_null() {
            return Err(Error::invalid("geometry", "angles_rad must not be NULL"));
        }
        if geometry.views != views as u64 {
            let message = "as many angles as views in the sinogram are needed";
            return Err(Error::invalid("geometry", message).with("angles", geometry.views).with("views", views));
        }
        expect_shape("out", out.shape(), [rows, cols, cols], "[row, col, col] of the sinogram")?;
        let angles = unsafe { std::slice::from_raw_parts(geometry.angles_rad, views) };
        let axis = |row: usize| geometry.center_px + geometry.center_px_per_row * row as f64;
        let centers: Vec<f64> = (0..rows).map(axis).collect();
        let fbp = Fbp::new(angles, &view_weights(angles), cols, geometry.pixel_um, &fbp_options(&options)?)?;
        let mut progress = progress(user);
        let tick = &mut |part: f64| progress.report((part * rows as f64) as usize, rows, part);
        fbp.reconstruct(ctx.inner.pool(), sino, &centers, out, tick)
    })
}
