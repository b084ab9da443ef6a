//! Array functions on the caller's memory.

use super::context::wagiri_context;
use super::error::wagiri_error;
use super::scan::wagiri_scan;
use super::types::{
    Versioned, axis_line, expect_shape, range, wagiri_progress, wagiri_status, wagiri_view, wagiri_view_mut,
};
use crate::chain::survey::log_repairs;
use crate::chain::{AxisMethod, AxisOptions, find_axis};
use crate::error::{Error, Result};
use crate::geometry::view_weights;
use crate::preprocess::{Air, BlackRule, NormaliseOptions, normalise_rows};
use crate::recon::{Engine, Fbp, FbpOptions, Filter, Interpolation};
use crate::slab::References;
use ndarray::Axis;
use std::ffi::{c_char, c_void};

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
/// Engine: f32, all threads, much faster, with an error below `tolerance`.
pub const WAGIRI_ENGINE_FOURIER: i32 = 2;

/// Between the columns of a view, Fourier engine: a sinc, all detail and noise is kept.
pub const WAGIRI_INTERPOLATION_SINC: i32 = 0;
/// Between the columns of a view, Fourier engine: the highest frequencies are damped as straight lines do, without their
/// aliases.
pub const WAGIRI_INTERPOLATION_LINEAR: i32 = 1;

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

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
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
    /// Largest relative L2 error of the Fourier engine, 1e-6 to 1e-2; 0 means 2e-4. Other engines take no notice.
    pub tolerance: f64,
    /// WAGIRI_INTERPOLATION_ for the Fourier engine. Other engines draw straight lines.
    pub interpolation: i32,
    /// Must be 0.
    pub reserved: i32,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
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
        WAGIRI_ENGINE_FOURIER => Engine::Fourier,
        other => return Err(Error::invalid("engine", "expected a WAGIRI_ENGINE_ value").with("engine", other)),
    };
    let tolerance = if options.tolerance == 0.0 { FbpOptions::DEFAULT_TOLERANCE } else { options.tolerance };
    let interpolation = match options.interpolation {
        WAGIRI_INTERPOLATION_SINC => Interpolation::Sinc,
        WAGIRI_INTERPOLATION_LINEAR => Interpolation::Linear,
        other => {
            let message = "expected a WAGIRI_INTERPOLATION_ value";
            return Err(Error::invalid("interpolation", message).with("interpolation", other));
        }
    };
    if options.reserved != 0 {
        return Err(Error::invalid("reserved", "expected 0").with("reserved", options.reserved));
    }
    Ok(FbpOptions { filter, engine, pad: options.pad != 0, tolerance, interpolation })
}

/// How to turn counts into absorbance. Set `struct_size` to sizeof; every other field may be 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_normalise_options {
    /// sizeof(wagiri_normalise_options).
    pub struct_size: u32,
    /// Not 0: subtract from each row of each view the mean of its 10 outermost columns on either side, which must show
    /// air.
    pub air_edges: i32,
    /// Not 0: leave dead and hot pixels as they are instead of filling them from their neighbours.
    pub keep_bad_pixels: i32,
    /// Smallest signal above dark, counts; anything below is raised to it. 0 is 2.
    pub floor_counts: f64,
    /// A row of a view with more than this part of its pixels below the floor is black and is replaced by the mean of
    /// the others. 0 is 0.5.
    pub black_fraction: f64,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
unsafe impl Versioned for wagiri_normalise_options {
    const FIRST_SIZE: usize = 32;
}

/// How to search the rotation axis. Set `struct_size` to sizeof; every other field may be 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_center_options {
    /// sizeof(wagiri_center_options).
    pub struct_size: u32,
    /// "auto" (several methods that must agree), "rmsd", "line", "registration" or "moment"; NULL is "auto".
    pub method: *const c_char,
    /// First detector row to look at.
    pub row_start: u64,
    /// Row after the last one; 0 is all.
    pub row_end: u64,
    /// Axes to consider, px: from here ...
    pub search_start_px: f64,
    /// ... to here; 0 is the middle half of the detector.
    pub search_end_px: f64,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
unsafe impl Versioned for wagiri_center_options {
    const FIRST_SIZE: usize = 48;
}

/// A rotation axis that was found.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_center {
    /// sizeof(wagiri_center), set by the caller.
    pub struct_size: u32,
    /// Axis at detector row 0, px; the centre of the first column is 0.
    pub center_px: f64,
    /// Change of the axis from one row to the next, px; 0 unless a tilt was found.
    pub center_px_per_row: f64,
    /// From 0 (worthless) to 1.
    pub score: f64,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
unsafe impl Versioned for wagiri_center {
    const FIRST_SIZE: usize = 32;
}

fn or_default(value: f64, default: f64) -> f64 {
    if value == 0.0 { default } else { value }
}

/// From `counts` [row, view, col] to absorbance `out`, of the same shape, with direct-beam images `flats`
/// [flat, row, col] and the image without beam `dark` [1, row, col]. The flats count as taken evenly from the first to
/// the last view. `options` and `progress` may be NULL. Thread-safe.
///
/// WAGIRI_INVALID: shapes that do not fit. WAGIRI_FORMAT: a count that is not a finite number, or every view is black.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_normalise(
    ctx: *const wagiri_context,
    counts: wagiri_view,
    flats: wagiri_view,
    dark: wagiri_view,
    options: *const wagiri_normalise_options,
    progress: wagiri_progress,
    user: *mut c_void,
    out: wagiri_view_mut,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, counts: pixels, flats: pixels, dark: pixels, options: options, progress: report,
           out: pixels_mut => {
        let [rows, views, cols] = [counts.shape()[0], counts.shape()[1], counts.shape()[2]];
        let images = flats.shape()[0];
        expect_shape("flats", flats.shape(), [images, rows, cols], "[flat, row, col] of the counts")?;
        expect_shape("dark", dark.shape(), [1, rows, cols], "[1, row, col] of the counts")?;
        expect_shape("out", out.shape(), [rows, views, cols], "[row, view, col] of the counts")?;
        let defaults = NormaliseOptions::default();
        let options = NormaliseOptions {
            floor_counts: or_default(options.floor_counts, defaults.floor_counts),
            black_fraction: or_default(options.black_fraction, defaults.black_fraction),
            // The rows at hand need not be the whole frame.
            black: BlackRule::Row,
            air: if options.air_edges == 0 { Air::Off } else { Air::Edges },
            repair: options.keep_bad_pixels == 0,
        };
        let references = References {
            dark: dark.index_axis_move(Axis(0), 0).to_owned(),
            flats: flats.to_owned(),
            flat_time: even_times(images, views),
            view_time: (0..views).map(|m| m as f64).collect(),
            black_views: vec![false; views].into(),
        };
        let mut out = out;
        out.assign(&counts);
        let mut progress = progress(user);
        let tick = &mut |part: f64| progress.report((part * rows as f64) as usize, rows, part);
        let reports = normalise_rows(ctx.inner.pool(), out, &references, &options, 0, tick)?;
        log_repairs(&reports);
        Ok(())
    })
}

/// Times of flats taken evenly from the first to the last view.
fn even_times(flats: usize, views: usize) -> Vec<f64> {
    let step = views.saturating_sub(1) as f64 / flats.saturating_sub(1).max(1) as f64;
    (0..flats).map(|i| i as f64 * step).collect()
}

/// Finds the rotation axis of a scan. `options` and `progress` may be NULL. Set `out->struct_size` first. Thread-safe.
///
/// WAGIRI_UNSUPPORTED: the methods do not agree and nothing is guessed; the text names what they found.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_find_center(
    ctx: *const wagiri_context,
    scan: *const wagiri_scan,
    options: *const wagiri_center_options,
    progress: wagiri_progress,
    user: *mut c_void,
    out: *mut wagiri_center,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, scan: shared, options: options, progress: report, out: fill => {
        // SAFETY: by the header NULL or a text.
        let method = unsafe { super::macros::optional_text(options.method, "method") }?;
        let search = options.search_start_px..options.search_end_px;
        let options = AxisOptions {
            method: method.map_or(Ok(AxisMethod::Auto), str::parse)?,
            rows: range("rows", options.row_start, options.row_end)?,
            search_px: (search != (0.0..0.0)).then_some(search),
            ..AxisOptions::default()
        };
        let found = find_axis(&ctx.inner, &scan.inner, &options, &mut progress(user))?;
        let (center_px, center_px_per_row) = axis_line(found.center);
        out.set(wagiri_center { struct_size: 0, center_px, center_px_per_row, score: found.confidence });
        Ok(())
    })
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
        progress.report(0, rows, 0.0)?;
        let tick = &mut |part: f64| progress.report((part * rows as f64).round() as usize, rows, part);
        let sort = |sino: ndarray::ArrayViewMut2<f32>| crate::rings::sort(sino, kernel_px as usize);
        crate::rings::rows(ctx.inner.pool(), sino, sort, |i| i, tick).map(|_| ())
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
        // SAFETY: not NULL; by the header `views` angles, and `geometry.views` is the number of views.
        let angles = unsafe { std::slice::from_raw_parts(geometry.angles_rad, views) };
        let axis = |row: usize| geometry.center_px + geometry.center_px_per_row * row as f64;
        let centers: Vec<f64> = (0..rows).map(axis).collect();
        let fbp = Fbp::new(angles, &view_weights(angles), cols, geometry.pixel_um, &fbp_options(&options)?)?;
        let mut progress = progress(user);
        let tick = &mut |part: f64| progress.report((part * rows as f64) as usize, rows, part);
        fbp.reconstruct(ctx.inner.pool(), sino, &centers, out, tick)
    })
}
