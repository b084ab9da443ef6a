//! Numbered TIFF slices: written aside and renamed, so that a file under its final name is always whole.
//!
//! A file gets its name only after its bytes are on the disk, so this holds after a power cut too; a slice that has no name
//! then is lost. Waiting for the disk file by file would take several times as long as writing (measured: 56 to 113
//! instead of 450 MB/s), so some files wait together.

use super::names::FileNames;
use super::sink::SliceSink;
use crate::error::{Error, Result};
use crate::geometry::Center;
use crate::post::{Quantiser, finite_range};
use crate::scan::SampleType;
use ndarray::{ArrayView1, ArrayView2};
use std::fs::{self, File};
use std::io::BufWriter;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tiff::encoder::colortype::{ColorType, Gray8, Gray16, Gray32Float};
use tiff::encoder::{Rational, TiffEncoder, TiffValue};
use tiff::tags::{ResolutionUnit, Tag};

/// How 8- and 16-bit files get their whole numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Levels {
    /// Over a range, 1/cm; an end that is not given is that of the volume.
    Range(Option<f64>, Option<f64>),
    /// The values as they are, rounded to the nearest and cut off at the ends.
    AsTheyAre,
}

/// What the description of each file tells: six tab-separated fields (pixel size in µm, axis in px, views, angle offset
/// in radians, smallest and largest value), two more (the range) for 8 and 16 bits.
#[derive(Clone, Debug)]
pub struct SliceMeta {
    /// Voxel size, µm.
    pub pixel_um: f64,
    /// Rotation axis.
    pub center: Center,
    /// Number of views.
    pub views: usize,
    /// Angle offset, radians.
    pub angle_offset_rad: f64,
    /// Artist tag: the program that made the file.
    pub artist: String,
    /// File names, or `None` for `rec`, `rh`, `ro` by sample type and five digits.
    pub names: Option<FileNames>,
    /// What 0 and the largest whole number already stand for in 1/cm, with [`Levels::AsTheyAre`].
    pub levels: Option<(f64, f64)>,
    /// Files get a description.
    pub described: bool,
}

impl SliceMeta {
    /// The description of slice `z`, whose smallest and largest value are `range`.
    pub fn describe(&self, z: usize, range: (f64, f64)) -> String {
        let (px, ra0) = (self.center.at(z), self.angle_offset_rad);
        format!("{:.6}\t{px:.6}\t{}\t{ra0:.6}\t{:.6}\t{:.6}", self.pixel_um, self.views, range.0, range.1)
    }
}

/// Writes `rec%05d.tif`, `rh%05d.tif` or `ro%05d.tif` into a folder.
///
/// 16- or 8-bit output with an open range first collects 32-bit slices in the sub-folder `float32`, which
/// [`SliceSink::finish`] converts and removes.
pub struct TiffSink {
    dir: PathBuf,
    sample: SampleType,
    levels: Levels,
    names: FileNames,
    meta: SliceMeta,
    waiting: Vec<usize>,
    seen: (f32, f32),
    unnamed: Vec<Unnamed>,
    unnamed_bytes: u64,
    told: Option<Listener>,
}

type Listener = Box<dyn FnMut(&Written) -> Result<()> + Send>;

/// A file that is whole under its final name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Written {
    /// Slice number.
    pub z: usize,
    /// Length of the file.
    pub bytes: u64,
    /// Smallest and largest value of the slice, 1/cm.
    pub range: (f32, f32),
    /// A 32-bit slice in the sub-folder `float32` that waits for its conversion.
    pub waiting: bool,
}

/// Files that wait together for the disk, at most; and bytes in them.
const MOST_UNNAMED: usize = 16;
const MOST_UNNAMED_BYTES: u64 = 128 << 20;

/// A written file that has not got its name.
struct Unnamed {
    file: File,
    aside: PathBuf,
    path: PathBuf,
    /// Slice number, and its smallest and largest value.
    z: usize,
    range: (f32, f32),
    /// It goes to `float32`.
    waiting: bool,
}

impl TiffSink {
    /// Refuses a folder that cannot be one, or holds the frames of the scan, before any work is done for it.
    pub fn check_dir(dir: &Path, frames_in: &[PathBuf]) -> Result<()> {
        if dir.as_os_str().is_empty() {
            return Err(Error::invalid("output", "the name of the output folder is empty"));
        }
        let same =
            |folder: &PathBuf| fs::canonicalize(folder).is_ok_and(|f| fs::canonicalize(dir).is_ok_and(|d| d == f));
        if frames_in.iter().any(same) {
            let message = "this folder holds what is read; choose another one for the slices";
            return Err(Error::invalid(dir.display(), message));
        }
        let nearest = dir.ancestors().find(|d| d.as_os_str().is_empty() || d.exists());
        if nearest.is_some_and(|d| !d.as_os_str().is_empty() && !d.is_dir()) {
            let not_a_folder = std::io::Error::from(std::io::ErrorKind::NotADirectory);
            return Err(Error::io(dir.display(), "make the output folder", not_a_folder));
        }
        if dir.is_dir() { probe(dir) } else { Ok(()) }
    }
    /// Makes the folder if needed and proves that it can be written to. Refuses a sub-folder `float32` that holds files
    /// already, where it would collect slices.
    pub fn new(dir: &Path, sample: SampleType, levels: Levels, meta: SliceMeta) -> Result<Self> {
        let sink = Self::continued(dir, sample, levels, meta)?;
        let floats = sink.float_dir();
        if sink.collects() && fs::read_dir(&floats).is_ok_and(|mut entries| entries.next().is_some()) {
            let message = "this folder holds slices already, perhaps of a run that was stopped; move or remove it, or \
                           give the range of 16- or 8-bit output (min and max)";
            return Err(Error::invalid(floats.display(), message));
        }
        Ok(sink)
    }
    /// As [`TiffSink::new`] for a folder in which a run of the same parameters was stopped; see [`TiffSink::take_up`].
    pub fn continued(dir: &Path, sample: SampleType, levels: Levels, meta: SliceMeta) -> Result<Self> {
        if let (SampleType::U16 | SampleType::U8, Levels::Range(Some(min), Some(max))) = (sample, levels) {
            Quantiser::new(min, max, sample.white())?;
        }
        fs::create_dir_all(dir).map_err(|e| Error::io(dir.display(), "make the output folder", e))?;
        probe(dir)?;
        let sink = TiffSink {
            dir: dir.to_owned(),
            sample,
            levels,
            names: meta.names.clone().unwrap_or_else(|| FileNames::numbered(sample.prefix(), 0)),
            meta,
            waiting: Vec::new(),
            seen: (f32::INFINITY, f32::NEG_INFINITY),
            unnamed: Vec::new(),
            unnamed_bytes: 0,
            told: None,
        };
        if sink.collects() {
            let floats = sink.float_dir();
            fs::create_dir_all(&floats).map_err(|e| Error::io(floats.display(), "make the folder", e))?;
        }
        Ok(sink)
    }
    /// True if slices are collected in 32 bits, because the range of the volume is not known before its last slice.
    pub fn collects(&self) -> bool {
        let open = matches!(self.levels, Levels::Range(None, _) | Levels::Range(_, None));
        self.sample != SampleType::F32 && open
    }
    /// Goes on where another run stopped: `waiting`, ascending, are the slices that it collected and did not convert,
    /// `seen` is the range of all that it finished. Whatever else it left of `rows` in other places is removed.
    pub fn take_up(&mut self, rows: Range<usize>, waiting: Vec<usize>, seen: (f32, f32)) {
        for path in rows.clone().flat_map(|z| [self.path(z), self.float_path(z)]) {
            // Nearly always there is none.
            let _ = fs::remove_file(aside(&path));
        }
        if self.collects() {
            // Converted already, or not finished.
            for z in rows.filter(|z| waiting.binary_search(z).is_err()) {
                let _ = fs::remove_file(self.float_path(z));
            }
        }
        (self.waiting, self.seen) = (waiting, seen);
    }
    /// Removes the 32-bit slices of `rows` that a run which collected them left in `dir`, whole or not.
    pub fn clear_collected(dir: &Path, rows: Range<usize>) {
        for path in rows.map(|z| dir.join("float32").join(format!("rec{z:05}.tif"))) {
            // What cannot be removed makes `new` refuse the folder.
            let _ = fs::remove_file(aside(&path));
            let _ = fs::remove_file(path);
        }
    }
    /// Calls `listener` after each file that is whole under its final name, on the thread that calls this sink. A 32-bit
    /// slice that was converted is removed only after its conversion was told.
    pub fn on_written(&mut self, listener: impl FnMut(&Written) -> Result<()> + Send + 'static) {
        self.told = Some(Box::new(listener));
    }
    fn place(&self, z: usize, waiting: bool) -> PathBuf {
        if waiting { self.float_path(z) } else { self.path(z) }
    }
    /// Whether the file is still there, at its full length.
    pub fn holds(&self, file: &Written) -> bool {
        fs::metadata(self.place(file.z, file.waiting)).is_ok_and(|m| m.is_file() && m.len() == file.bytes)
    }
    /// Path of slice `z` under its final name, which it has after [`SliceSink::finish`] or [`SliceSink::abandon`].
    pub fn path(&self, z: usize) -> PathBuf {
        self.dir.join(self.names.name(z))
    }
    fn float_dir(&self) -> PathBuf {
        self.dir.join("float32")
    }
    fn float_path(&self, z: usize) -> PathBuf {
        self.float_dir().join(format!("rec{z:05}.tif"))
    }
    fn write_scaled(&mut self, z: usize, slice: ArrayView2<f32>, min: f64, max: f64) -> Result<()> {
        let q = Quantiser::new(min, max, self.sample.white())?;
        let range = min_max(&slice);
        let text = format!("{}\t{min:.6}\t{max:.6}", self.meta.describe(z, (range.0.into(), range.1.into())));
        self.write_int((z, range), slice, &text, |v| q.level(v))
    }
    fn write_as_they_are(&mut self, z: usize, slice: ArrayView2<f32>) -> Result<()> {
        let (range, white) = (min_max(&slice), f32::from(self.sample.white()));
        let level = |v: f32| v.round().clamp(0.0, white);
        let (low, high) = (f64::from(level(range.0)), f64::from(level(range.1)));
        let text = match self.meta.levels {
            // What they were made from has another unit.
            Some((min, max)) => {
                let value = |level: f64| min + level * (max - min) / f64::from(white);
                format!("{}\t{min:.6}\t{max:.6}", self.meta.describe(z, (value(low), value(high))))
            }
            None => self.meta.describe(z, (low, high)),
        };
        self.write_int((z, range), slice, &text, |v| level(v) as u16)
    }
    fn write_int(
        &mut self,
        (z, range): (usize, (f32, f32)),
        slice: ArrayView2<f32>,
        text: &str,
        level: impl Fn(f32) -> u16,
    ) -> Result<()> {
        let size = (slice.ncols(), slice.nrows());
        let slice_of = (z, range, false);
        if self.sample == SampleType::U16 {
            let data: Vec<u16> = slice.iter().map(|&v| level(v)).collect();
            self.write_file::<Gray16>(slice_of, size, text, &data)
        } else {
            let data: Vec<u8> = slice.iter().map(|&v| level(v) as u8).collect();
            self.write_file::<Gray8>(slice_of, size, text, &data)
        }
    }
    fn write_float(&mut self, z: usize, slice: ArrayView2<f32>, range: (f32, f32), waiting: bool) -> Result<()> {
        let size = (slice.ncols(), slice.nrows());
        let slice = slice.as_standard_layout();
        let data = slice.as_slice().unwrap_or_default();
        let text = self.meta.describe(z, (range.0.into(), range.1.into()));
        self.write_file::<Gray32Float>((z, range, waiting), size, &text, data)
    }
    fn write_file<C: ColorType>(
        &mut self,
        (z, range, waiting): (usize, (f32, f32), bool),
        size: (usize, usize),
        text: &str,
        data: &[C::Inner],
    ) -> Result<()>
    where
        [C::Inner]: TiffValue,
    {
        let path = self.place(z, waiting);
        let aside = aside(&path);
        match encode::<C>(&aside, &path, size, text, &self.meta, data) {
            Ok(file) => {
                self.unnamed.push(Unnamed { file, aside, path, z, range, waiting });
                self.unnamed_bytes += size_of_val(data) as u64;
            }
            Err(error) => {
                // Best effort: the error being reported is the one that matters.
                let _ = fs::remove_file(&aside);
                return Err(error);
            }
        }
        if self.unnamed.len() >= MOST_UNNAMED || self.unnamed_bytes >= MOST_UNNAMED_BYTES {
            self.name_all()?;
        }
        Ok(())
    }
    /// Waits until all written files are on the disk and gives them their names. A file that cannot be written to its end is
    /// removed; the first error is returned after the others have been tried.
    fn name_all(&mut self) -> Result<()> {
        self.unnamed_bytes = 0;
        let mut result = Ok(());
        for Unnamed { file, aside, path, z, range, waiting } in std::mem::take(&mut self.unnamed) {
            // Some file systems report a full disk only now.
            let on_disk = file.sync_data().and_then(|()| file.metadata()).map(|m| m.len());
            let on_disk = on_disk.map_err(|e| Error::io(path.display(), "write", e));
            drop(file);
            let named = on_disk
                .and_then(|bytes| {
                    let renamed = fs::rename(&aside, &path).map_err(|e| Error::io(path.display(), "rename", e));
                    renamed.map(|()| Written { z, bytes, range, waiting })
                })
                .inspect_err(|_| drop(fs::remove_file(&aside)));
            let named = named.and_then(|written| {
                if let Some(listener) = &mut self.told {
                    listener(&written)?;
                }
                if waiting || !self.collects() {
                    return Ok(());
                }
                let from = self.float_path(z);
                fs::remove_file(&from).map_err(|e| Error::io(from.display(), "remove", e))?;
                self.waiting.retain(|waiting| *waiting != z);
                Ok(())
            });
            result = result.and(named);
        }
        result
    }
}

impl SliceSink for TiffSink {
    fn write(&mut self, z: usize, slice: ArrayView2<f32>) -> Result<()> {
        let range = min_max(&slice);
        if self.collects() {
            self.write_float(z, slice, range, true)?;
            self.waiting.push(z);
            self.seen = (self.seen.0.min(range.0), self.seen.1.max(range.1));
            return Ok(());
        }
        match (self.sample, self.levels) {
            (SampleType::U16 | SampleType::U8, Levels::Range(Some(min), Some(max))) => {
                self.write_scaled(z, slice, min, max)
            }
            (SampleType::U16 | SampleType::U8, Levels::AsTheyAre) => self.write_as_they_are(z, slice),
            _ => self.write_float(z, slice, range, false),
        }
    }
    fn finish(&mut self, go_on: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.name_all()?;
        let (true, Levels::Range(first, last)) = (self.collects(), self.levels) else { return Ok(()) };
        let (lowest, highest) = (f64::from(self.seen.0), f64::from(self.seen.1));
        // A volume of one value, or beyond the end that was given, has no range of its own: it becomes all 0, or all white.
        let (min, max) = match (first, last) {
            (Some(min), _) => (min, if highest > min { highest } else { min + 1.0 }),
            (None, Some(max)) => (if lowest < max { lowest } else { max - 1.0 }, max),
            (None, None) => (lowest, if highest > lowest { highest } else { lowest + 1.0 }),
        };
        // Which zero is the smallest depends on the order of slices; 0 is never written as -0.
        let (min, max) = (min + 0.0, max + 0.0);
        for z in self.waiting.clone() {
            go_on()?;
            let slice = super::read_slice(&self.float_path(z))?;
            self.write_scaled(z, slice.view(), min, max)?;
        }
        self.name_all()?;
        // Fails if the user keeps something else there, which is then theirs.
        let _ = fs::remove_dir(self.float_dir());
        Ok(())
    }
    fn abandon(&mut self) -> Option<String> {
        if let Err(error) = self.name_all() {
            return Some(error.to_string());
        }
        if !self.collects() {
            return None;
        }
        let _ = fs::remove_dir(self.float_dir());
        (!self.waiting.is_empty()).then(|| {
            let dir = self.float_dir();
            format!("finished slices that are not converted yet are in {} as 32-bit", dir.display())
        })
    }
}

/// Where a file is written before it gets its name.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Proves that files can be made in `dir`.
fn probe(dir: &Path) -> Result<()> {
    let file = dir.join(".wagiri-probe");
    File::create(&file)
        .and_then(|_| fs::remove_file(&file))
        .map_err(|e| Error::io(dir.display(), "write to the output folder", e))
}

pub(super) fn encode<C: ColorType>(
    aside: &Path,
    path: &Path,
    size: (usize, usize),
    text: &str,
    meta: &SliceMeta,
    data: &[C::Inner],
) -> Result<File>
where
    [C::Inner]: TiffValue,
{
    let place = path.display();
    let file = File::create(aside).map_err(|e| Error::io(&place, "create", e))?;
    let failed = |e: tiff::TiffError| match e {
        tiff::TiffError::IoError(e) => Error::io(&place, "write", e),
        e => Error::internal(&place, "cannot encode TIFF").caused_by(e),
    };
    let (width, height) = size;
    // Strips of about 2 MB: large enough for the disk, small enough for readers that decode strip by strip.
    let rows_per_strip = ((2 << 20) / (width * size_of::<C::Inner>())).clamp(1, height) as u32;
    // ImageJ turns pixels per cm into µm. 1 cm is 10⁴ µm; the larger the numbers of the ratio, the more digits it keeps.
    let unit = [1e9, 1e6, 1e3].into_iter().find(|n| meta.pixel_um * n / 1e4 < 4e9).unwrap_or(1.0);
    let per_cm = Rational { n: unit as u32, d: (meta.pixel_um * unit / 1e4).round().clamp(1.0, 4e9) as u32 };
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    let mut encoder = TiffEncoder::new(&mut writer).map_err(failed)?;
    let mut image = encoder.new_image::<C>(width as u32, height as u32).map_err(failed)?;
    image.rows_per_strip(rows_per_strip).map_err(failed)?;
    image.resolution(ResolutionUnit::Centimeter, per_cm);
    let tags = image.encoder();
    if meta.described {
        tags.write_tag(Tag::ImageDescription, text).map_err(failed)?;
    }
    tags.write_tag(Tag::PlanarConfiguration, 1u16).map_err(failed)?;
    tags.write_tag(Tag::Artist, meta.artist.as_str()).map_err(failed)?;
    tags.write_tag(Tag::Software, concat!("wagiri ", env!("CARGO_PKG_VERSION"))).map_err(failed)?;
    image.write_data(data).map_err(failed)?;
    writer.into_inner().map_err(|e| Error::io(&place, "write", e.into_error()))
}

fn min_max(slice: &ArrayView2<f32>) -> (f32, f32) {
    let row_by_row = |(lo, hi): (f32, f32), row: ArrayView1<f32>| {
        let (l, h) = finite_range(row.as_slice()?)?;
        Some((lo.min(l), hi.max(h)))
    };
    let nothing = (f32::INFINITY, f32::NEG_INFINITY);
    let quick = slice.outer_iter().try_fold(nothing, row_by_row);
    // Strange strides, or values that are not numbers and are passed over.
    quick.unwrap_or_else(|| slice.iter().fold(nothing, |(lo, hi), &v| (lo.min(v), hi.max(v))))
}
