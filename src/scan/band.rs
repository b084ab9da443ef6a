//! Counts of some rows of many views, kept in the type of the file: half the memory of `f32` for most detectors.
//!
//! Must not know: files, chains.

use super::source::FrameSource;
use crate::error::{Error, Result};
use ndarray::{Array3, ArrayView3, ArrayViewMut3, Axis, Slice, Zip, s};
use std::ops::Range;

/// A type that holds every count of a scan exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountType {
    /// Whole numbers from 0 to 65535.
    U16,
    /// Anything else.
    F32,
}

impl CountType {
    /// Bytes of one count.
    pub fn bytes(self) -> u64 {
        match self {
            CountType::U16 => 2,
            CountType::F32 => 4,
        }
    }
}

/// Counts `[row, view, col]`.
#[derive(Clone, Debug)]
pub enum Band {
    /// See [`CountType::U16`].
    U16(Array3<u16>),
    /// See [`CountType::F32`].
    F32(Array3<f32>),
}

/// A part of a [`Band`] to be filled.
#[derive(Debug)]
pub enum BandMut<'a> {
    /// See [`CountType::U16`].
    U16(ArrayViewMut3<'a, u16>),
    /// See [`CountType::F32`].
    F32(ArrayViewMut3<'a, f32>),
}

impl Band {
    /// All zero.
    pub fn zeros(kind: CountType, shape: [usize; 3]) -> Self {
        fn zeros<T: Clone + Default>(shape: [usize; 3]) -> Array3<T> {
            // The length is the product of the shape.
            let memory = crate::memory::zeros(shape.iter().product());
            Array3::from_shape_vec(shape, memory).unwrap_or_default()
        }
        match kind {
            CountType::U16 => Band::U16(zeros(shape)),
            CountType::F32 => Band::F32(zeros(shape)),
        }
    }
    /// `[rows, views, cols]`, in memory that is used again if it has the right type and enough room.
    pub(crate) fn reuse(old: Option<Band>, kind: CountType, shape: [usize; 3]) -> Self {
        fn fit<T: Clone + Default>(old: Array3<T>, shape: [usize; 3]) -> Option<Array3<T>> {
            let (mut memory, len) = (old.into_raw_vec_and_offset().0, shape.iter().product());
            if memory.capacity() < len {
                return None;
            }
            memory.resize(len, T::default());
            Array3::from_shape_vec(shape, memory).ok()
        }
        let fitted = match (old, kind) {
            (Some(Band::U16(old)), CountType::U16) => fit(old, shape).map(Band::U16),
            (Some(Band::F32(old)), CountType::F32) => fit(old, shape).map(Band::F32),
            _ => None,
        };
        fitted.unwrap_or_else(|| Band::zeros(kind, shape))
    }
    /// Rows, views, columns.
    pub fn shape(&self) -> [usize; 3] {
        match self {
            Band::U16(data) => data.dim().into(),
            Band::F32(data) => data.dim().into(),
        }
    }
    /// Its type.
    pub fn count_type(&self) -> CountType {
        match self {
            Band::U16(_) => CountType::U16,
            Band::F32(_) => CountType::F32,
        }
    }
    /// All of it, to be filled.
    pub fn view_mut(&mut self) -> BandMut<'_> {
        match self {
            Band::U16(data) => BandMut::U16(data.view_mut()),
            Band::F32(data) => BandMut::F32(data.view_mut()),
        }
    }
    /// Copies rows of some views into `out` of the same shape.
    pub(crate) fn copy_to(&self, rows: Range<usize>, views: Range<usize>, out: &mut BandMut<'_>) {
        fn part<T>(data: &Array3<T>, rows: Range<usize>, views: Range<usize>) -> ArrayView3<'_, T> {
            let rows = data.slice_axis(Axis(0), Slice::from(rows));
            rows.split_at(Axis(1), views.end).0.split_at(Axis(1), views.start).1
        }
        match (self, out) {
            (Band::U16(from), BandMut::U16(to)) => to.assign(&part(from, rows, views)),
            (Band::F32(from), BandMut::F32(to)) => to.assign(&part(from, rows, views)),
            (Band::U16(from), BandMut::F32(to)) => {
                Zip::from(to).and(part(from, rows, views)).for_each(|to, &from| *to = f32::from(from));
            }
            // Nobody asks for whole numbers where there are none.
            (Band::F32(from), BandMut::U16(to)) => {
                Zip::from(to).and(part(from, rows, views)).for_each(|to, &from| *to = from as u16);
            }
        }
    }
    /// Copies one row of one view.
    pub(crate) fn line(&self, row: usize, view: usize, out: &mut [f32]) {
        match self {
            Band::U16(data) => out.iter_mut().zip(data.slice(s![row, view, ..])).for_each(|(o, v)| *o = f32::from(*v)),
            Band::F32(data) => out.iter_mut().zip(data.slice(s![row, view, ..])).for_each(|(o, v)| *o = *v),
        }
    }
    /// Repeats row `from` in row `to`.
    pub(crate) fn repeat_row(&mut self, from: usize, to: usize) {
        fn repeat<T: Clone>(data: &mut Array3<T>, from: usize, to: usize) {
            let row = data.index_axis(Axis(0), from).to_owned();
            data.index_axis_mut(Axis(0), to).assign(&row);
        }
        match self {
            Band::U16(data) => repeat(data, from, to),
            Band::F32(data) => repeat(data, from, to),
        }
    }
}

impl<'a> BandMut<'a> {
    /// Rows, views, columns.
    pub fn shape(&self) -> [usize; 3] {
        match self {
            BandMut::U16(data) => data.dim().into(),
            BandMut::F32(data) => data.dim().into(),
        }
    }
    /// Parts of `views` views each, in order; the last one may be smaller.
    pub(crate) fn into_groups(self, views: usize) -> Vec<BandMut<'a>> {
        fn cut<T>(mut rest: ArrayViewMut3<'_, T>, views: usize) -> Vec<ArrayViewMut3<'_, T>> {
            let mut groups = Vec::with_capacity(rest.len_of(Axis(1)).div_ceil(views));
            while rest.len_of(Axis(1)) > 0 {
                let count = views.min(rest.len_of(Axis(1)));
                let (group, others) = rest.split_at(Axis(1), count);
                groups.push(group);
                rest = others;
            }
            groups
        }
        match self {
            BandMut::U16(data) => cut(data, views).into_iter().map(BandMut::U16).collect(),
            BandMut::F32(data) => cut(data, views).into_iter().map(BandMut::F32).collect(),
        }
    }
    /// Some of its rows.
    pub(crate) fn rows(&mut self, rows: Range<usize>) -> BandMut<'_> {
        match self {
            BandMut::U16(data) => BandMut::U16(data.slice_axis_mut(Axis(0), Slice::from(rows))),
            BandMut::F32(data) => BandMut::F32(data.slice_axis_mut(Axis(0), Slice::from(rows))),
        }
    }
    /// Fills it with rows of views of `source`.
    pub(crate) fn read(self, source: &dyn FrameSource, views: Range<usize>, rows: Range<usize>) -> Result<()> {
        match self {
            BandMut::U16(out) => source.read_band_u16(views, rows, out),
            BandMut::F32(out) => source.read_band(views, rows, out),
        }
    }
}

/// What a source answers that has no whole numbers and was asked for them all the same.
pub(super) fn not_whole() -> Error {
    Error::internal("scan", "16-bit counts were asked of a source that does not promise them")
}
