//! HDF5 scans: reading bands of rows out of three-dimensional datasets.
//!
//! Where the datasets are and what their frames mean is found by `nexus`. Must not know: layouts of groups.

use super::identity::Identity;
use super::images::check_views;
use super::nexus::{self, Plan};
use crate::error::{Error, Result};
use crate::scan::{CountType, Frame, FrameSource, Grain, Scan, ScanInfo, ScanOptions, ScanShape, check_band};
use hdf5_reader::error::Error as Hdf5Error;
use hdf5_reader::{Dataset, Datatype, FilesystemExternalLinkResolver, Hdf5File};
use hdf5_reader::{OpenOptions, SliceInfo, SliceInfoElem};
use ndarray::{Array2, Array3, ArrayD, ArrayView2, ArrayViewMut2, ArrayViewMut3, Axis, Ix3, Zip};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Memory for one read of several views, bytes: long enough that a disk streams, small beside a slab.
const BATCH_BYTES: usize = 8 << 20;
/// Decoded chunks that the HDF5 library keeps. Bands are read in whole chunks, so hardly any is asked for twice.
const CACHE_BYTES: usize = 8 << 20;

/// Beyond any scan and any detector.
const MAX_FRAMES: usize = 1 << 24;
const MAX_SIDE: usize = 1 << 20;

/// True for the usual file names.
pub(crate) fn is_named(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".h5", ".hdf5", ".hdf", ".nxs", ".nx"].iter().any(|e| name.ends_with(e))
}

/// Turns an error of the reader into a sentence.
pub(crate) fn explain(path: &Path, what: &str, error: Hdf5Error) -> Error {
    let place = if what.is_empty() { path.display().to_string() } else { format!("{}: {what}", path.display()) };
    let mut inner = &error;
    while let Hdf5Error::Context { source, .. } = inner {
        inner = source;
    }
    match inner {
        Hdf5Error::Io(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => {
            Error::io(place, "read", std::io::Error::from(e.kind()))
        }
        Hdf5Error::InvalidMagic => Error::format(place, "not an HDF5 file"),
        Hdf5Error::Io(_) | Hdf5Error::UnexpectedEof { .. } | Hdf5Error::OffsetOutOfBounds(_) => {
            Error::format(place, "the HDF5 file is cut off or damaged: it refers to bytes that it does not have")
        }
        Hdf5Error::UnsupportedFilter(filter) => {
            let message = format!(
                "the dataset is compressed with a filter that is not read ({filter}); rewrite it with \
                 h5repack -f GZIP=1, or uncompressed"
            );
            Error::unsupported(place, message)
        }
        Hdf5Error::UnsupportedLayoutClass(_) | Hdf5Error::UnsupportedLayoutVersion(_) => {
            let message = "the dataset is virtual (its pixels are in other files), which is not read; copy it into \
                           one file with h5repack";
            Error::unsupported(place, message)
        }
        Hdf5Error::DatasetNotFound(_) | Hdf5Error::GroupNotFound(_) => {
            Error::not_found(place, "there is no such dataset")
        }
        Hdf5Error::ResourceLimit(e) => Error::limit(place, format!("the HDF5 file asks for too much memory: {e}")),
        other => Error::format(place, format!("the HDF5 file is damaged or of an unknown kind: {other}")),
    }
}

/// Opens the file; links to other files are followed inside its folder.
pub(crate) fn open_file(path: &Path) -> Result<Hdf5File> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let links = Arc::new(FilesystemExternalLinkResolver::new(folder));
    let options = OpenOptions::default().with_external_link_resolver(links).with_chunk_cache_bytes(CACHE_BYTES);
    Hdf5File::open_with_options(path, options).map_err(|e| explain(path, "", e))
}

/// A dataset of frames: `[frame, row, col]`, or one frame `[row, col]`.
#[derive(Clone)]
pub(crate) struct Stack {
    pub data: Dataset,
    pub name: String,
    pub frames: usize,
    pub rows: usize,
    pub cols: usize,
}

/// The sample types that are read.
pub(crate) fn type_name(dtype: &Datatype) -> Option<&'static str> {
    Some(match dtype {
        Datatype::FixedPoint { size: 1, signed: false, .. } => "8-bit",
        Datatype::FixedPoint { size: 1, signed: true, .. } => "8-bit signed",
        Datatype::FixedPoint { size: 2, signed: false, .. } => "16-bit",
        Datatype::FixedPoint { size: 2, signed: true, .. } => "16-bit signed",
        Datatype::FixedPoint { size: 4, signed: false, .. } => "32-bit integer",
        Datatype::FixedPoint { size: 4, signed: true, .. } => "32-bit signed integer",
        Datatype::FloatingPoint { size: 4, .. } => "32-bit float",
        Datatype::FloatingPoint { size: 8, .. } => "64-bit float",
        _ => return None,
    })
}

/// Types in which numbers leave a dataset.
trait Number: Clone {
    const ZERO: Self;
    /// Reads part of a dataset, converting where the file has another type.
    fn numbers(data: &Dataset, selection: &SliceInfo) -> std::result::Result<ArrayD<Self>, Hdf5Error>;
}

macro_rules! number {
    ($target:ident) => {
        impl Number for $target {
            const ZERO: $target = 0 as $target;
            fn numbers(data: &Dataset, selection: &SliceInfo) -> std::result::Result<ArrayD<$target>, Hdf5Error> {
                macro_rules! from {
                    ($stored:ident) => {{
                        // Most files have the type that is wanted: no copy then.
                        if stringify!($stored) == stringify!($target) {
                            return data.read_slice::<$target>(selection);
                        }
                        data.read_slice::<$stored>(selection)?.mapv(|v| v as $target)
                    }};
                }
                Ok(match data.dtype() {
                    Datatype::FixedPoint { size: 1, signed: false, .. } => from!(u8),
                    Datatype::FixedPoint { size: 1, signed: true, .. } => from!(i8),
                    Datatype::FixedPoint { size: 2, signed: false, .. } => from!(u16),
                    Datatype::FixedPoint { size: 2, signed: true, .. } => from!(i16),
                    Datatype::FixedPoint { size: 4, signed: false, .. } => from!(u32),
                    Datatype::FixedPoint { size: 4, signed: true, .. } => from!(i32),
                    Datatype::FixedPoint { size: 8, signed: false, .. } => from!(u64),
                    Datatype::FixedPoint { size: 8, signed: true, .. } => from!(i64),
                    Datatype::FloatingPoint { size: 4, .. } => from!(f32),
                    _ => from!(f64),
                })
            }
        }
    };
}

number!(u16);
number!(f32);
number!(f64);

/// All numbers of a small dataset, such as angles; at most 16 million.
pub(crate) fn numbers(path: &Path, name: &str, data: &Dataset) -> Result<Vec<f64>> {
    let count = data.num_elements().map_err(|e| explain(path, name, e))?;
    if count > 16 << 20 {
        return Err(Error::format(path.display(), format!("{name} has more values than any scan has frames")));
    }
    let all = SliceInfo::all(data.ndim());
    let values = f64::numbers(data, &all).map_err(|e| explain(path, name, e))?;
    Ok(values.into_iter().collect())
}

impl Stack {
    pub(crate) fn new(path: &Path, name: &str, data: Dataset) -> Result<Self> {
        let dims: Option<Vec<usize>> = data.shape().iter().map(|&d| usize::try_from(d).ok()).collect();
        let (frames, rows, cols) = match dims.as_deref() {
            Some(&[frames, rows, cols]) => (frames, rows, cols),
            Some(&[rows, cols]) => (1, rows, cols),
            _ => {
                let message = "expected a dataset of three dimensions: frame, row, column";
                let shape = format!("{:?}", data.shape());
                return Err(Error::format(format!("{}: {name}", path.display()), message).with("shape", shape));
            }
        };
        // A damaged header must not make us ask for its memory; sparse chunks take no room in the file.
        if frames > MAX_FRAMES || rows > MAX_SIDE || cols > MAX_SIDE {
            let message = format!("expected at most {MAX_FRAMES} frames of at most {MAX_SIDE} x {MAX_SIDE} pixels");
            let shape = format!("{:?}", data.shape());
            return Err(Error::limit(format!("{}: {name}", path.display()), message).with("shape", shape));
        }
        if type_name(data.dtype()).is_none() {
            let message = "expected 8, 16 or 32-bit integers or 32 or 64-bit floats";
            return Err(Error::unsupported(format!("{}: {name}", path.display()), message));
        }
        Ok(Stack { data, name: name.to_owned(), frames, rows, cols })
    }

    fn count_type(&self) -> CountType {
        match self.data.dtype() {
            Datatype::FixedPoint { size: 1 | 2, signed: false, .. } => CountType::U16,
            _ => CountType::F32,
        }
    }

    /// Rows of neighbouring frames, `[frame, row, col]`.
    fn read<T: Number>(&self, path: &Path, frames: Range<usize>, rows: Range<usize>) -> Result<Array3<T>> {
        let part = |r: &Range<usize>| SliceInfoElem::Slice { start: r.start as u64, end: r.end as u64, step: 1 };
        let shape = [frames.len(), rows.len(), self.cols];
        if shape.contains(&0) {
            return Ok(Array3::from_elem(shape, T::ZERO));
        }
        let mut selections = vec![part(&rows), part(&(0..self.cols))];
        if self.data.ndim() == 3 {
            selections.insert(0, part(&frames));
        }
        let values = T::numbers(&self.data, &SliceInfo { selections }).map_err(|e| explain(path, &self.name, e))?;
        let values = if values.ndim() == 2 { values.insert_axis(Axis(0)) } else { values };
        match values.into_dimensionality::<Ix3>() {
            Ok(v) if v.shape() == shape => Ok(v),
            _ => Err(Error::format(path.display(), "the HDF5 file is damaged: a dataset gave other sizes than it has")),
        }
    }

    /// Frames and rows in a chunk.
    fn grain(&self) -> Grain {
        match self.data.chunks().as_deref() {
            Some(&[frames, rows, _]) => Grain { views: (frames as usize).max(1), rows: (rows as usize).max(1) },
            Some(&[rows, _]) => Grain { views: 1, rows: (rows as usize).max(1) },
            _ => Grain { views: 1, rows: 1 },
        }
    }

    /// Hands out the same rows of many frames, in order, with their place in `frames`. Runs of neighbouring frames are
    /// read at once, in whole chunks where the dataset is chunked, so that no chunk is decoded twice.
    fn each<T: Number>(
        &self,
        path: &Path,
        frames: &[usize],
        rows: Range<usize>,
        mut visit: impl FnMut(usize, ArrayView2<T>),
    ) -> Result<()> {
        let chunk = self.grain().views;
        let band_bytes = (rows.len() * self.cols * 4).max(1);
        let batch = (BATCH_BYTES / band_bytes / chunk).max(1) * chunk;
        let mut done = 0;
        while done < frames.len() {
            let start = frames[done];
            let limit = (start / batch + 1) * batch - start;
            let run = frames[done..].iter().enumerate().take(limit).take_while(|(k, f)| **f == start + k).count();
            let block = self.read(path, start..start + run, rows.clone())?;
            for k in 0..run {
                visit(done + k, block.index_axis(Axis(0), k));
            }
            done += run;
        }
        Ok(())
    }
}

/// Frames of one dataset whose mean is one frame of the scan.
#[derive(Clone)]
pub(crate) struct Group {
    pub stack: Stack,
    pub frames: Vec<usize>,
}

struct Hdf5Source {
    path: PathBuf,
    plan: Plan,
    shape: ScanShape,
}

/// Opens an HDF5 scan in DataExchange or NXtomo layout, or with the dataset of the projections given.
pub(crate) fn open(path: &Path, options: &ScanOptions) -> Result<Scan> {
    let file = open_file(path)?;
    let length = std::fs::metadata(path).map_err(|e| Error::io(path.display(), "read", e))?.len();
    let promised = file.superblock().eof_address;
    if length < promised {
        return Err(Error::format(path.display(), "the HDF5 file is cut off: it says that it is longer")
            .with("promised_bytes", promised)
            .with("bytes", length));
    }
    let mut info = ScanInfo { format: "hdf5", path: path.to_owned(), ..ScanInfo::default() };
    let mut plan = nexus::plan(path, &file, options, &mut info)?;
    if let Some(range) = &options.views {
        check_views(range, plan.views.len())?;
        plan.views = plan.views[range.clone()].to_vec();
        info.angles_rad = info.angles_rad[range.clone()].to_vec();
        info.view_time = info.view_time[range.clone()].to_vec();
    }
    let (rows, cols) = (plan.data.rows, plan.data.cols);
    for other in plan.flats.iter().chain(&plan.dark).map(|g| &g.stack) {
        if (other.rows, other.cols) != (rows, cols) {
            let message = format!(
                "{} has frames of {} x {} pixels (columns x rows), but the projections have {cols} x {rows}",
                other.name, other.cols, other.rows
            );
            return Err(Error::format(path.display(), message));
        }
    }
    let shape = ScanShape { views: plan.views.len(), rows, cols, flats: plan.flats.len() };
    if let Some(&first) = plan.views.first() {
        // One row tells whether the filters of the dataset can be undone.
        plan.data.read::<f32>(path, first..first + 1, 0..rows.min(1))?;
    }
    Scan::new(Box::new(Hdf5Source { path: path.to_owned(), plan, shape }), info)
}

impl Hdf5Source {
    fn mean(&self, group: &Group, rows: Range<usize>, mut out: ArrayViewMut2<f32>) -> Result<()> {
        let mut sum = Array2::<f64>::zeros(out.raw_dim());
        group.stack.each(&self.path, &group.frames, rows, |_, image: ArrayView2<f32>| {
            Zip::from(&mut sum).and(image).for_each(|s, &v| *s += v as f64);
        })?;
        let count = group.frames.len().max(1) as f64;
        Zip::from(&mut out).and(&sum).for_each(|o, s| *o = (s / count) as f32);
        Ok(())
    }

    fn band<T: Number>(&self, views: Range<usize>, rows: Range<usize>, mut out: ArrayViewMut3<T>) -> Result<()> {
        let wanted = self.plan.views.get(views.clone()).unwrap_or_default();
        if wanted.len() != views.len() || out.shape() != [rows.len(), views.len(), self.shape.cols] {
            return Err(Error::invalid("views", "views outside the scan, or a buffer of the wrong size")
                .with("views", format!("{views:?}"))
                .with("buffer", format!("{:?}", out.shape())));
        }
        self.plan.data.each(&self.path, wanted, rows, |k, image| out.index_axis_mut(Axis(1), k).assign(&image))
    }
}

impl FrameSource for Hdf5Source {
    fn shape(&self) -> ScanShape {
        self.shape
    }

    fn read_rows(&self, frame: Frame, rows: Range<usize>, mut out: ArrayViewMut2<f32>) -> Result<()> {
        check_band(self.shape, &rows, &out)?;
        let none = || Error::not_found("scan", "no such frame").with("frame", format!("{frame:?}"));
        match frame {
            Frame::View(i) => {
                let at = *self.plan.views.get(i).ok_or_else(none)?;
                out.assign(&self.plan.data.read(&self.path, at..at + 1, rows)?.index_axis(Axis(0), 0));
                Ok(())
            }
            Frame::Flat(i) => self.mean(self.plan.flats.get(i).ok_or_else(none)?, rows, out),
            Frame::Dark => match &self.plan.dark {
                Some(group) => self.mean(group, rows, out),
                None => {
                    out.fill(0.0);
                    Ok(())
                }
            },
            Frame::HalfTurn | Frame::HalfTurnFlat => Err(none()),
        }
    }

    fn read_band(&self, views: Range<usize>, rows: Range<usize>, out: ArrayViewMut3<f32>) -> Result<()> {
        self.band(views, rows, out)
    }

    fn count_type(&self) -> CountType {
        self.plan.data.count_type()
    }

    fn read_band_u16(&self, views: Range<usize>, rows: Range<usize>, out: ArrayViewMut3<u16>) -> Result<()> {
        self.band(views, rows, out)
    }

    fn grain(&self) -> Grain {
        let Grain { views, rows } = self.plan.data.grain();
        Grain { views: views.min(self.shape.views), rows: rows.min(self.shape.rows) }
    }

    fn frame_bytes(&self) -> u64 {
        let bytes = self.plan.data.data.raw_element_size().unwrap_or(4) as u64;
        bytes.saturating_mul(self.shape.rows as u64 * self.shape.cols as u64)
    }

    fn identity(&self) -> Result<String> {
        let mut identity = Identity::default();
        let dark = self.plan.dark.iter().map(|g| ("dark", &g.stack.name, &g.frames));
        let flats = self.plan.flats.iter().map(|g| ("flat", &g.stack.name, &g.frames));
        let views = std::iter::once(("views", &self.plan.data.name, &self.plan.views));
        for (role, dataset, frames) in dark.chain(flats).chain(views) {
            // The role of the first frame begins the group.
            identity.add(&format!("{role} of {dataset}: {}", frames.len()), &self.path, 0)?;
            for frame in frames {
                identity.add("", &self.path, *frame as u64)?;
            }
        }
        Ok(identity.line())
    }
}
