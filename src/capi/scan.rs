//! Scans: opened from files or made from arrays; frames and sinograms out of them.

use super::context::wagiri_context;
use super::error::wagiri_error;
use super::types::{
    CTexts, Versioned, c_text, expect_shape, range, wagiri_progress, wagiri_status, wagiri_view, wagiri_view_mut,
};
use crate::chain::read::read_sinograms;
use crate::error::{Error, Result};
use crate::geometry::covered_deg;
use crate::scan::{Frame, MemoryRows, MemorySource, Scan, ScanOptions};
use ndarray::Axis;
use std::ffi::{CString, c_char, c_void};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The raw frames of a scan and what is known about them. Immutable; pixels are read when they are asked for. Owned by
/// the caller; free it with `wagiri_scan_free`.
pub struct wagiri_scan {
    pub(super) inner: Scan,
    format: CString,
    details: CString,
    path: CString,
    notes: CTexts,
    /// See `wagiri_scan_read_sinogram`; found out once, for each row would read the whole scan again.
    black_views: OnceLock<Arc<[bool]>>,
}

/// How to open a scan where its files leave something open. Set `struct_size` to sizeof; every other field may be 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_scan_options {
    /// sizeof(wagiri_scan_options).
    pub struct_size: u32,
    /// "hipic", "his", "tiff" or "hdf5"; NULL looks at the files.
    pub format: *const c_char,
    /// Dark frames, averaged: a file or folder of images, a range of frames such as "0..30" (from 0, 30 not included)
    /// where one file holds all frames (.his, multi-page TIFF, HDF5), an HDF5 dataset, or "none" to subtract nothing;
    /// NULL looks at their usual place.
    pub dark: *const c_char,
    /// Direct-beam frames (I0), as `dark` but not "none". Several ranges such as "0..10,90..100" are as many images at
    /// different times.
    pub flat: *const c_char,
    /// View angles: "180" is even over so many degrees, without the end point; "-88.2..91.8" even, both ends included; a
    /// text file with one angle in degrees per line, or "FILE:A..B" for its entries A to B - 1, counted from 0. Relative
    /// paths here, in `dark` and in `flat` are looked up in the folder of the scan, then as they stand.
    pub angles: *const c_char,
    /// HDF5 dataset of the projections, where it is not at its standard place.
    pub dataset: *const c_char,
    /// First view to use.
    pub view_start: u64,
    /// View after the last one to use; 0 is all.
    pub view_end: u64,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
unsafe impl Versioned for wagiri_scan_options {
    const FIRST_SIZE: usize = 64;
}

/// What is known of a scan. Pointers are valid until the scan is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_scan_details {
    /// sizeof(wagiri_scan_details), set by the caller.
    pub struct_size: u32,
    /// 1 if there is a frame WAGIRI_FRAME_HALF_TURN, else 0.
    pub half_turn_frame: i32,
    /// Number of `notes`.
    pub note_count: u32,
    /// Projections that take part in a reconstruction.
    pub views: u64,
    /// Detector rows (slices).
    pub rows: u64,
    /// Detector columns.
    pub cols: u64,
    /// Direct-beam images.
    pub flats: u64,
    /// Detector pixel at the sample, um; 0 if unknown.
    pub pixel_um: f64,
    /// Turned range that the views cover, degrees.
    pub covered_deg: f64,
    /// `views` angles, radians.
    pub angles_rad: *const f64,
    /// "hipic", "his", "tiff", "hdf5", "slices" or "memory".
    pub format: *const c_char,
    /// One line: sample format, compression, layout.
    pub details: *const c_char,
    /// Where it was opened.
    pub path: *const c_char,
    /// `note_count` remarks that a user should see once.
    pub notes: *const *const c_char,
    /// WAGIRI_PIXELS_: what it holds. `views`, `rows` and `cols` of a volume are its y, z and x, and it has no angles.
    pub pixels: i64,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
unsafe impl Versioned for wagiri_scan_details {
    const FIRST_SIZE: usize = 104;
}

/// Frame: projection `index`.
pub const WAGIRI_FRAME_VIEW: i32 = 0;
/// Frame: direct-beam image `index`, in order of time.
pub const WAGIRI_FRAME_FLAT: i32 = 1;
/// Frame: the image without beam; `index` is 0.
pub const WAGIRI_FRAME_DARK: i32 = 2;
/// Frame: the image half a turn after view 0; `index` is 0.
pub const WAGIRI_FRAME_HALF_TURN: i32 = 3;
/// Frame: the direct-beam image that belongs to it; `index` is 0.
pub const WAGIRI_FRAME_HALF_TURN_FLAT: i32 = 4;

impl wagiri_scan {
    pub(super) fn new(inner: Scan) -> Self {
        let info = inner.info();
        let (format, details) = (c_text(info.format), c_text(&info.details));
        let path = c_text(&info.path.to_string_lossy());
        let notes = CTexts::new(info.notes.iter().map(String::as_str));
        wagiri_scan { format, details, path, notes, black_views: OnceLock::new(), inner }
    }
}

fn frame(kind: i32, index: u64) -> Result<Frame> {
    let single = match kind {
        WAGIRI_FRAME_VIEW => return Ok(Frame::View(index as usize)),
        WAGIRI_FRAME_FLAT => return Ok(Frame::Flat(index as usize)),
        WAGIRI_FRAME_DARK => Frame::Dark,
        WAGIRI_FRAME_HALF_TURN => Frame::HalfTurn,
        WAGIRI_FRAME_HALF_TURN_FLAT => Frame::HalfTurnFlat,
        other => return Err(Error::invalid("frame", "expected a WAGIRI_FRAME_ value").with("frame", other)),
    };
    if index == 0 { Ok(single) } else { Err(Error::not_found("frame", "there is only one").with("index", index)) }
}

/// Opens a scan: a folder, or a file of several frames. `options` may be NULL. On success `*out` is a new scan to be
/// freed with `wagiri_scan_free`, on error NULL. Frames are read later, from the same files. Thread-safe.
///
/// WAGIRI_NOT_FOUND, WAGIRI_FORMAT, WAGIRI_UNSUPPORTED and WAGIRI_IO tell what is wrong with the files.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_scan_open(
    path: *const c_char,
    options: *const wagiri_scan_options,
    out: *mut *mut wagiri_scan,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, out: handle, path: text, options: options => {
        // SAFETY: by the header every field is NULL or a text.
        let options = unsafe { scan_options(&options) }?;
        out.give(wagiri_scan::new(crate::io::open(Path::new(path), &options)?));
        Ok(())
    })
}

/// As the library takes them.
///
/// # Safety
/// Each field is NULL or a text.
pub(super) unsafe fn scan_options(options: &wagiri_scan_options) -> Result<ScanOptions> {
    // SAFETY: as for this function.
    let field = |ptr, name| unsafe { super::macros::optional_text(ptr, name) }.map(|t| t.map(str::to_owned));
    Ok(ScanOptions {
        format: field(options.format, "format")?,
        dark: field(options.dark, "dark")?,
        flat: field(options.flat, "flat")?,
        angles: field(options.angles, "angles")?,
        dataset: field(options.dataset, "dataset")?,
        views: range("views", options.view_start, options.view_end)?,
        // In a chain: raw part=K/N.
        part: None,
    })
}

/// Makes a scan of arrays in counts: `views` [view, row, col], `flats` [flat, row, col], `dark` [1, row, col], and one
/// angle per view in `angles_rad`. The flats count as taken evenly from the first to the last view. `pixel_um` 0 is
/// unknown. Everything is copied: the arrays may go when the function returns. On success `*out` is a new scan to be
/// freed with `wagiri_scan_free`, on error NULL. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_scan_from_arrays(
    views: wagiri_view,
    flats: wagiri_view,
    dark: wagiri_view,
    angles_rad: *const f64,
    pixel_um: f64,
    out: *mut *mut wagiri_scan,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, out: handle, views: pixels, flats: pixels, dark: pixels, angles_rad: shared => {
        // SAFETY: not NULL; by the header one angle per view.
        let angles = unsafe { std::slice::from_raw_parts(angles_rad, views.shape()[0]) }.to_vec();
        expect_shape("dark", dark.shape(), [1, views.shape()[1], views.shape()[2]], "[1, rows, cols] of the views")?;
        let dark = dark.index_axis_move(Axis(0), 0).to_owned();
        let source = MemorySource::new(views.to_owned(), flats.to_owned(), dark)?;
        let scan = source.into_scan(angles, (pixel_um != 0.0).then_some(pixel_um))?;
        out.give(wagiri_scan::new(scan));
        Ok(())
    })
}

/// Makes a scan of pixels that are not raw any more, `rows` [row, view, col] or [z, y, x]: sinograms in absorbance with one
/// angle per view in `angles_rad`, or a volume, whose `angles_rad` is NULL. `pixels` tells which, WAGIRI_PIXELS_SINOGRAM or
/// WAGIRI_PIXELS_VOLUME. `pixel_um` 0 is unknown. Everything is copied: the arrays may go when the function returns. Chains
/// that start with sinograms or volume run on it; to open files of that kind see `wagiri_chain_open`. On success `*out` is a
/// new scan to be freed with `wagiri_scan_free`, on error NULL. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_scan_from_rows(
    rows: wagiri_view,
    pixels: i32,
    angles_rad: *const f64,
    pixel_um: f64,
    out: *mut *mut wagiri_scan,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, out: handle, rows: pixels => {
        let (source, angles) = match pixels {
            super::stages::WAGIRI_PIXELS_VOLUME => (MemoryRows::volume(rows.to_owned()), Vec::new()),
            super::stages::WAGIRI_PIXELS_SINOGRAM if angles_rad.is_null() => {
                return Err(Error::invalid("angles_rad", "must not be NULL: sinograms need one angle per view"));
            }
            super::stages::WAGIRI_PIXELS_SINOGRAM => {
                // SAFETY: not NULL; by the header one angle per view.
                let angles = unsafe { std::slice::from_raw_parts(angles_rad, rows.shape()[1]) }.to_vec();
                (MemoryRows::sinograms(rows.to_owned()), angles)
            }
            other => {
                let accepted = "expected WAGIRI_PIXELS_SINOGRAM or WAGIRI_PIXELS_VOLUME";
                return Err(Error::invalid("pixels", accepted).with("pixels", other));
            }
        };
        out.give(wagiri_scan::new(source.into_scan(angles, (pixel_um != 0.0).then_some(pixel_um))?));
        Ok(())
    })
}

/// Describes a scan. Set `out->struct_size` first. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_scan_info(
    scan: *const wagiri_scan,
    out: *mut wagiri_scan_details,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, scan: shared, out: fill => {
        let (shape, info) = (scan.inner.shape(), scan.inner.info());
        out.set(wagiri_scan_details {
            struct_size: 0,
            half_turn_frame: info.half_turn_frame.into(),
            views: shape.views as u64,
            rows: shape.rows as u64,
            cols: shape.cols as u64,
            flats: shape.flats as u64,
            pixel_um: info.pixel_um.unwrap_or(0.0),
            covered_deg: covered_deg(&info.angles_rad),
            angles_rad: info.angles_rad.as_ptr(),
            format: scan.format.as_ptr(),
            details: scan.details.as_ptr(),
            path: scan.path.as_ptr(),
            notes: scan.notes.as_ptr(),
            note_count: scan.notes.count(),
            pixels: super::stages::pixels(info.domain).into(),
        });
        Ok(())
    })
}

/// Reads one image, or a band of it, in counts: `out` is [1, rows, cols] and takes the detector rows from `first_row`
/// on. `frame` is a WAGIRI_FRAME_ value. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_scan_read_frame(
    scan: *const wagiri_scan,
    frame: i32,
    index: u64,
    first_row: u64,
    out: wagiri_view_mut,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, scan: shared, out: pixels_mut => {
        let (shape, rows) = (scan.inner.shape(), out.shape()[1]);
        expect_shape("out", out.shape(), [1, rows, shape.cols], "[1, rows, cols]")?;
        let band = detector_rows(first_row, rows, shape.rows)?;
        scan.inner.source().read_rows(self::frame(frame, index)?, band, out.index_axis_move(Axis(0), 0))
    })
}

pub(super) fn detector_rows(first: u64, count: usize, rows: usize) -> Result<std::ops::Range<usize>> {
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    match first.checked_add(count) {
        Some(end) if end <= rows => Ok(first..end),
        _ => Err(Error::invalid("first_row", "the rows reach beyond the detector")
            .with("first_row", first)
            .with("rows", count)
            .with("detector_rows", rows)),
    }
}

/// Reads detector rows from `first_row` on as sinograms `out` [row, view, col] in absorbance, normalised with the
/// defaults of the stage normalise; black views get the mean of the others. Finished sinograms come as they are. The first call for a scan looks at up to 32
/// rows of every view to find them.
/// `progress` may be NULL. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_scan_read_sinogram(
    ctx: *const wagiri_context,
    scan: *const wagiri_scan,
    first_row: u64,
    out: wagiri_view_mut,
    progress: wagiri_progress,
    user: *mut c_void,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, scan: shared, out: pixels_mut, progress: report => {
        let (shape, rows) = (scan.inner.shape(), out.shape()[0]);
        expect_shape("out", out.shape(), [rows, shape.views, shape.cols], "[row, view, col]")?;
        let band = detector_rows(first_row, rows, shape.rows)?;
        let sinograms = read_sinograms(&ctx.inner, &scan.inner, band, &scan.black_views, &mut progress(user))?;
        let mut out = out;
        out.assign(&sinograms);
        Ok(())
    })
}

/// Frees a scan; NULL is allowed. No function may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_scan_free(scan: *mut wagiri_scan) {
    free!(scan);
}
