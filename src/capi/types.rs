//! What crosses the border: status codes, versioned structs, views over the caller's pixels, callbacks.

use crate::error::{ERROR_TABLE, Error, Result};
use crate::geometry::Center;
use crate::progress::Progress;
use ndarray::{ArrayView3, ArrayViewMut3, Axis, Ix3, ShapeBuilder, StrideShape};
use std::ffi::{CString, c_char, c_void};
use std::ops::{ControlFlow, Range};

/// Result of a function: WAGIRI_OK or one of the codes below it. New codes may be added; treat an unknown one like
/// WAGIRI_INTERNAL.
pub type wagiri_status = i32;

/// Success.
pub const WAGIRI_OK: wagiri_status = 0;
/// An argument, option or parameter is outside what is accepted.
pub const WAGIRI_INVALID: wagiri_status = 1;
/// A file, folder, frame, stage or parameter that was named does not exist.
pub const WAGIRI_NOT_FOUND: wagiri_status = 2;
/// The input is valid, but of a kind that this version does not handle.
pub const WAGIRI_UNSUPPORTED: wagiri_status = 3;
/// A file is malformed or truncated, or its parts contradict each other.
pub const WAGIRI_FORMAT: wagiri_status = 4;
/// The operating system refused to read or write.
pub const WAGIRI_IO: wagiri_status = 5;
/// A memory budget, disk space or size limit does not suffice.
pub const WAGIRI_LIMIT: wagiri_status = 6;
/// A device, driver or optional component is not there.
pub const WAGIRI_UNAVAILABLE: wagiri_status = 7;
/// A callback asked to stop.
pub const WAGIRI_CANCELLED: wagiri_status = 8;
/// A plugin could not be loaded, broke its contract, or failed.
pub const WAGIRI_PLUGIN: wagiri_status = 9;
/// A defect of wagiri itself; please report it.
pub const WAGIRI_INTERNAL: wagiri_status = 10;

// cbindgen wants literals, so the compiler checks that they are those of the one table.
const _: () = {
    let codes = [
        WAGIRI_INVALID,
        WAGIRI_NOT_FOUND,
        WAGIRI_UNSUPPORTED,
        WAGIRI_FORMAT,
        WAGIRI_IO,
        WAGIRI_LIMIT,
        WAGIRI_UNAVAILABLE,
        WAGIRI_CANCELLED,
        WAGIRI_PLUGIN,
        WAGIRI_INTERNAL,
    ];
    assert!(codes.len() == ERROR_TABLE.len());
    let mut i = 0;
    while i < codes.len() {
        assert!(codes[i] == ERROR_TABLE[i].1);
        i += 1;
    }
};

/// Called during long work, always on the thread that called the long function, several times a second. `done` of
/// `total` slices are finished; inside a slice the same numbers may come again. 0 continues, anything else cancels:
/// the long function then returns WAGIRI_CANCELLED. May call any function of the library with `const` handles. Must
/// return normally: no C++ exception, no longjmp.
pub type wagiri_progress = Option<unsafe extern "C" fn(user: *mut c_void, done: u64, total: u64) -> i32>;

/// Wraps the callback; NULL reports to nobody.
pub(super) fn report<'a>(call: wagiri_progress, _name: &'static str) -> Result<impl Fn(*mut c_void) -> Progress<'a>> {
    Ok(move |user: *mut c_void| match call {
        None => Progress::silent(),
        Some(call) => Progress::new(move |r| {
            // SAFETY: by the header `call` takes the `user` of the same call, on the caller's thread, and returns normally.
            match unsafe { call(user, r.done as u64, r.total as u64) } {
                0 => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        }),
    })
}

/// Pixels of the caller that are read: `shape` counts and `stride` distances in elements (not bytes) of the three
/// dimensions named by the function. All strides 0 means that the pixels lie without gaps, last dimension fastest.
/// Strides may be negative. The memory stays the caller's and must not change during the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_view {
    pub data: *const f32,
    pub shape: [u64; 3],
    pub stride: [i64; 3],
}

/// Pixels of the caller that are written; as `wagiri_view`. No two indices may share an element, and nobody else may
/// use the memory during the call. After an error its contents are undefined.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_view_mut {
    pub data: *mut f32,
    pub shape: [u64; 3],
    pub stride: [i64; 3],
}

struct Layout {
    shape: StrideShape<Ix3>,
    /// Elements from `data` to the element with the smallest address.
    lowest: isize,
    reversed: [bool; 3],
}

fn layout(name: &'static str, data: *const f32, shape: [u64; 3], stride: [i64; 3], shared: bool) -> Result<Layout> {
    let bad = |message: &str| {
        Error::invalid(name, message).with("shape", format!("{shape:?}")).with("stride", format!("{stride:?}"))
    };
    if data.is_null() {
        return Err(Error::invalid(name, "data must not be NULL"));
    }
    if !data.is_aligned() {
        return Err(Error::invalid(name, "data must be aligned for float"));
    }
    if shape.contains(&0) {
        return Err(bad("no dimension may be 0"));
    }
    // Everything that is addressed must lie within isize::MAX bytes, so that no pointer arithmetic overflows.
    let limit = isize::MAX as u128 / 4;
    if shape.iter().try_fold(1u128, |n, &s| n.checked_mul(s.into())).is_none_or(|n| n > limit) {
        return Err(bad("more pixels than memory can hold"));
    }
    let [_, b, c] = shape.map(|n| n as i64);
    let stride = if stride == [0; 3] { [b * c, c, 1] } else { stride };
    let reach = |axis: usize| u128::from(stride[axis].unsigned_abs()) * u128::from(shape[axis] - 1);
    if (0..3).map(reach).sum::<u128>() > limit {
        return Err(bad("the strides reach beyond memory"));
    }
    if !shared {
        // Sufficient for distinct elements: in order of stride, each step leaves everything before it behind.
        let mut axes: Vec<usize> = (0..3).filter(|&a| shape[a] > 1).collect();
        axes.sort_by_key(|&a| stride[a].unsigned_abs());
        let mut behind = 0u128;
        for a in axes {
            if u128::from(stride[a].unsigned_abs()) <= behind {
                return Err(bad("the strides let two indices share an element"));
            }
            behind += reach(a);
        }
    }
    let mut lowest = 0isize;
    let mut reversed = [false; 3];
    let mut steps = [0usize; 3];
    for a in 0..3 {
        // A dimension of one element is never stepped along; its stride may be anything.
        let step = if shape[a] == 1 { 0 } else { stride[a] };
        if step < 0 {
            reversed[a] = true;
            lowest -= reach(a) as isize;
        }
        steps[a] = step.unsigned_abs() as usize;
    }
    let dims = Ix3(shape[0] as usize, shape[1] as usize, shape[2] as usize);
    Ok(Layout { shape: dims.strides(Ix3(steps[0], steps[1], steps[2])), lowest, reversed })
}

/// Checks a view and makes it an array.
pub(super) unsafe fn pixels<'a>(view: wagiri_view, name: &'static str) -> Result<ArrayView3<'a, f32>> {
    let layout = layout(name, view.data, view.shape, view.stride, true)?;
    // SAFETY: `layout` checked pointer, alignment and extent; by the header the elements are the caller's, and nobody
    // writes them during the call.
    let mut array = unsafe { ArrayView3::from_shape_ptr(layout.shape, view.data.offset(layout.lowest)) };
    (0..3).filter(|&a| layout.reversed[a]).for_each(|a| array.invert_axis(Axis(a)));
    Ok(array)
}

/// Checks a view and makes it an array.
pub(super) unsafe fn pixels_mut<'a>(view: wagiri_view_mut, name: &'static str) -> Result<ArrayViewMut3<'a, f32>> {
    let layout = layout(name, view.data, view.shape, view.stride, false)?;
    // SAFETY: as in `pixels`; `layout` refuses elements that two indices share, and by the header nobody else uses them.
    let mut array = unsafe { ArrayViewMut3::from_shape_ptr(layout.shape, view.data.offset(layout.lowest)) };
    (0..3).filter(|&a| layout.reversed[a]).for_each(|a| array.invert_axis(Axis(a)));
    Ok(array)
}

/// Refuses a buffer that has not the shape that is needed.
pub(super) fn expect_shape(name: &'static str, given: &[usize], needed: [usize; 3], meaning: &str) -> Result<()> {
    if given == needed {
        return Ok(());
    }
    Err(Error::invalid(name, format!("expected {meaning} = {needed:?}")).with("shape", format!("{given:?}")))
}

/// A struct that begins with `struct_size`, is valid when all bytes are 0, and only ever grows at its end.
///
/// # Safety
/// `repr(C)`, `u32` first, no field for which 0 bytes are invalid, no padding at the end (a field that is appended later
/// must change `sizeof`, or it could not be told whether a caller has set it).
pub(super) unsafe trait Versioned: Copy {
    /// `sizeof` when the struct was first published.
    const FIRST_SIZE: usize;
}

fn checked_size<T: Versioned>(size: u32, name: &'static str) -> Result<usize> {
    // The upper bound catches a struct that was never initialised before it makes us read far beyond it.
    if (T::FIRST_SIZE..=4096).contains(&(size as usize)) {
        return Ok(size as usize);
    }
    let message = format!("struct_size must be set to sizeof the struct, {} bytes", size_of::<T>());
    Err(Error::invalid(name, message).with("struct_size", size))
}

/// A copy of an options struct of any version; NULL is all defaults.
pub(super) unsafe fn options<T: Versioned>(ptr: *const T, name: &'static str) -> Result<T> {
    // SAFETY: `Versioned`: 0 bytes are valid.
    let mut value = unsafe { std::mem::zeroed::<T>() };
    if ptr.is_null() {
        return Ok(value);
    }
    // SAFETY: not NULL, so by the header a struct that begins with its `u32` size.
    let size = checked_size::<T>(unsafe { ptr.cast::<u32>().read() }, name)?;
    let bytes = ptr.cast::<u8>();
    // SAFETY: `size` bytes are the caller's by the header, `size_of::<T>()` are ours, for which any field is valid.
    unsafe { std::ptr::copy_nonoverlapping(bytes, (&raw mut value).cast::<u8>(), size.min(size_of::<T>())) };
    // A newer program may ask for something that this library cannot know of.
    // SAFETY: below `size`, see above.
    if (size_of::<T>()..size).any(|i| unsafe { bytes.add(i).read() } != 0) {
        let message = "sets a field that this version of the library does not know";
        return Err(Error::unsupported(name, message).with("struct_size", size));
    }
    Ok(value)
}

/// As [`options`] for a struct that has no default.
pub(super) unsafe fn required_options<T: Versioned>(ptr: *const T, name: &'static str) -> Result<T> {
    if ptr.is_null() {
        return Err(Error::invalid(name, "must not be NULL"));
    }
    // SAFETY: as for this function.
    unsafe { options(ptr, name) }
}

/// A struct to fill, of any version: fields beyond the caller's `struct_size` are left out.
pub(super) struct Fill<T> {
    ptr: *mut T,
    size: usize,
}

/// A struct to fill that is needed.
pub(super) unsafe fn fill<T: Versioned>(ptr: *mut T, name: &'static str) -> Result<Fill<T>> {
    // SAFETY: as for this function.
    unsafe { optional_fill(ptr, name) }?.ok_or_else(|| Error::invalid(name, "must not be NULL"))
}

/// A struct to fill that may be NULL.
pub(super) unsafe fn optional_fill<T: Versioned>(ptr: *mut T, name: &'static str) -> Result<Option<Fill<T>>> {
    if ptr.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, so by the header a struct that begins with its `u32` size.
    let size = checked_size::<T>(unsafe { ptr.cast::<u32>().read() }, name)?;
    Ok(Some(Fill { ptr, size }))
}

impl<T: Versioned> Fill<T> {
    /// Writes all fields but `struct_size`.
    pub(super) fn set(&self, value: T) {
        const HEAD: usize = size_of::<u32>();
        let known = self.size.min(size_of::<T>());
        let source = (&raw const value).cast::<u8>();
        // SAFETY: within both structs: `known` is at most the size of either, and at least FIRST_SIZE, which is above HEAD.
        unsafe { std::ptr::copy_nonoverlapping(source.add(HEAD), self.ptr.cast::<u8>().add(HEAD), known - HEAD) };
    }
}

/// Text for C; ends at a NUL inside, which only a hostile file or plugin could have put there.
pub(super) fn c_text(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

/// Texts for C as an array of pointers, which live as long as this.
pub(super) struct CTexts {
    _texts: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl CTexts {
    pub(super) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let texts: Vec<CString> = texts.into_iter().map(c_text).collect();
        let pointers = texts.iter().map(|t| t.as_ptr()).collect();
        CTexts { _texts: texts, pointers }
    }
    pub(super) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
    pub(super) fn count(&self) -> u32 {
        self.pointers.len() as u32
    }
}

/// The axis as C sees it: position at detector row 0 and change per row, px.
pub(super) fn axis_line(center: Center) -> (f64, f64) {
    match center {
        Center::Fixed(px) => (px, 0.0),
        Center::Line { row0, px0, row1, px1 } => (center.at(0), (px1 - px0) / (row1 - row0)),
    }
}

/// `start..end`, or `None` if both are 0.
pub(super) fn range(name: &'static str, start: u64, end: u64) -> Result<Option<Range<usize>>> {
    match (start, end) {
        (0, 0) => Ok(None),
        _ if start < end => Ok(Some(start as usize..end as usize)),
        _ => Err(Error::invalid(name, "the end must be greater than the start, or both 0")
            .with("start", start)
            .with("end", end)),
    }
}
