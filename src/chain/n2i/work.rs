//! A work folder: the noisy volumes of the subsets on disk, read as training asks for them.

use super::record::{Record, WORK_FILE};
use super::subset_dir;
use crate::denoise::Subsets;
use crate::error::{Error, Result};
use crate::io::{FileNames, VolumeOptions, open_volume};
use crate::scan::{SampleType, Scan};
use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis, s};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What changes when the volumes do, in what a model tells.
pub(super) const SUBSETS_OF: &str = "subsets_of";

/// Volumes of the subsets in a folder. Slices are kept in memory as far as a budget goes, the first that are asked for; the
/// others are read again, only the lines that are needed. What comes out does not depend on it.
pub struct Work {
    dir: PathBuf,
    record: Option<Record>,
    volumes: Vec<Scan>,
    shape: [usize; 3],
    budget: u64,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    slices: HashMap<(usize, usize), Arc<Array2<f32>>>,
    bytes: u64,
}

impl Work {
    /// Opens a work folder that [`super::split`] has filled, or any folder with volumes `subset0`, `subset1` ... of TIFF slices
    /// in 1/cm, made by whatever program.
    ///
    /// Errors: `NOT_FOUND` for a folder without subsets; `INVALID` if they are not complete, for fewer than two of them or a
    /// single slice, from which nothing can be learned; `FORMAT` for volumes of different sizes.
    pub fn open(dir: &Path) -> Result<Work> {
        if !dir.is_dir() {
            return Err(Error::not_found(
                dir.display(),
                "no such folder; expected a work folder, as n2i split makes it",
            ));
        }
        let record = Record::read(dir)?;
        let count = match &record {
            Some(record) if !record.complete => {
                let message = "the subsets are not complete; go on with n2i split --resume";
                return Err(Error::invalid(dir.join(WORK_FILE).display(), message));
            }
            Some(record) => record.subsets,
            None => (0..).take_while(|&index| subset_dir(dir, index).is_dir()).count(),
        };
        if count < 2 {
            let message = format!(
                "expected two or more folders subset0, subset1 ... with the slices of a subset each, as n2i split makes \
                 them; found {count}"
            );
            return Err(Error::not_found(dir.display(), message));
        }
        let names = record.as_ref().map(|record| {
            let names = FileNames::numbered(SampleType::F32.prefix(), 0);
            let all: Vec<String> = record.rows.clone().map(|row| names.name(row)).collect();
            format!("-{}", all.join(" "))
        });
        let open =
            |index| open_volume(&subset_dir(dir, index), &VolumeOptions { names: names.clone(), ..Default::default() });
        let volumes = (0..count).map(open).collect::<Result<Vec<Scan>>>()?;
        let size = |scan: &Scan| [scan.shape().rows, scan.shape().views, scan.shape().cols];
        let shape = size(&volumes[0]);
        if let Some(index) = volumes.iter().position(|volume| size(volume) != shape) {
            let text = |[z, y, x]: [usize; 3]| format!("{z} slices of {x} x {y}");
            let message = format!("subset{index} has another size than subset0; expected volumes of one object");
            return Err(Error::format(dir.display(), message)
                .with("subset0", text(shape))
                .with("other", text(size(&volumes[index]))));
        }
        if shape[0] < 2 {
            let message = "the subsets have a single slice each; expected two or more, of which one is held out";
            return Err(Error::invalid(dir.display(), message));
        }
        Ok(Work { dir: dir.to_owned(), record, volumes, shape, budget: 0, cache: Mutex::default() })
    }
    /// Keeps slices in memory up to so many bytes; 0 at first.
    pub fn with_cache(self, bytes: u64) -> Work {
        Work { budget: bytes, cache: Mutex::default(), ..self }
    }
    /// The same folder with a memory of its own.
    pub(super) fn again(&self) -> Result<Work> {
        Work::open(&self.dir)
    }
    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// Bytes of all slices.
    pub fn bytes(&self) -> u64 {
        4 * (self.volumes.len() * self.shape.iter().product::<usize>()) as u64
    }
    /// The chain that made the subsets, with every value that was found; `None` if another program did.
    pub fn chain(&self) -> Option<&str> {
        self.record.as_ref().map(|record| record.chain.as_str())
    }
    /// Numbers of the slices, as files are named.
    pub fn rows(&self) -> Range<usize> {
        match &self.record {
            Some(record) => record.rows.clone(),
            None => {
                let first = self.volumes[0].info().first_number.unwrap_or(0);
                first..first + self.shape[0]
            }
        }
    }
    /// Pixel size, µm, if it is known.
    pub fn pixel_um(&self) -> Option<f64> {
        self.record.as_ref().map(|record| record.pixel_um).or(self.volumes[0].info().pixel_um)
    }
    /// The volumes.
    pub(super) fn volumes(&self) -> &[Scan] {
        &self.volumes
    }
    /// What a model should tell of them.
    pub fn about(&self) -> Result<BTreeMap<String, String>> {
        let [slices, lines, columns] = self.shape;
        let mut about: BTreeMap<String, String> = BTreeMap::new();
        let mut tell = |name: &str, value: String| about.insert(name.to_owned(), value);
        tell("wagiri", crate::VERSION.to_owned());
        tell("slices", slices.to_string());
        tell("lines", lines.to_string());
        tell("columns", columns.to_string());
        if let Some(size) = self.pixel_um() {
            tell("pixel_um", size.to_string());
        }
        match &self.record {
            Some(record) => {
                tell("chain", record.chain.clone());
                tell("scan", record.scan.clone());
                tell("views", record.views.to_string());
                tell("rows", format!("{}..{}", record.rows.start, record.rows.end));
            }
            None => {
                tell("chain", String::new());
                tell("scan", self.dir.display().to_string());
            }
        }
        tell(SUBSETS_OF, self.fingerprint()?);
        Ok(about)
    }
    /// Changes when the volumes do.
    fn fingerprint(&self) -> Result<String> {
        match &self.record {
            Some(record) => Ok(record.fingerprint()),
            None => {
                let all: Result<Vec<String>> = self.volumes.iter().map(|volume| volume.source().identity()).collect();
                Ok(all?.join(", "))
            }
        }
    }
    /// Whole lines of a slice, all of them finite.
    fn lines(&self, subset: usize, z: usize, rows: Range<usize>) -> Result<Array2<f32>> {
        let mut band = Array3::zeros((1, rows.len(), self.shape[2]));
        self.volumes[subset].source().read_band(rows.clone(), z..z + 1, band.view_mut())?;
        let lines = band.index_axis_move(Axis(0), 0);
        check_finite(lines.view()).map_err(|(line, col, value)| {
            let message = "a value is not a finite number; make this subset again";
            Error::format(subset_dir(&self.dir, subset).display(), message)
                .with("slice", self.rows().start + z)
                .with("row", rows.start + line)
                .with("column", col)
                .with("value", value)
        })?;
        Ok(lines)
    }
    /// The slice, if it is in memory or has room there.
    fn kept(&self, subset: usize, z: usize) -> Result<Option<Arc<Array2<f32>>>> {
        let cache = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slice) = cache().slices.get(&(subset, z)) {
            return Ok(Some(slice.clone()));
        }
        let bytes = 4 * (self.shape[1] * self.shape[2]) as u64;
        let has_room = {
            let mut cache = cache();
            let has_room = cache.bytes + bytes <= self.budget;
            cache.bytes += if has_room { bytes } else { 0 };
            has_room
        };
        if !has_room {
            return Ok(None);
        }
        let slice = Arc::new(self.lines(subset, z, 0..self.shape[1])?);
        let mut cache = cache();
        if cache.slices.insert((subset, z), slice.clone()).is_some() {
            // Another thread was here too.
            cache.bytes -= bytes;
        }
        Ok(Some(slice))
    }
}

fn check_finite(lines: ArrayView2<f32>) -> std::result::Result<(), (usize, usize, f32)> {
    match lines.indexed_iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some(((line, col), value)) => Err((line, col, *value)),
    }
}

impl Subsets for Work {
    fn count(&self) -> usize {
        self.volumes.len()
    }
    fn shape(&self) -> [usize; 3] {
        self.shape
    }
    fn read(
        &self,
        subset: usize,
        z: usize,
        rows: Range<usize>,
        cols: Range<usize>,
        mut out: ArrayViewMut2<f32>,
    ) -> Result<()> {
        let [slices, height, width] = self.shape;
        let inside = subset < self.volumes.len() && z < slices && rows.end <= height && cols.end <= width;
        if !inside || out.dim() != (rows.len(), cols.len()) {
            let message = "a part outside of the volumes, or a buffer of the wrong size";
            return Err(Error::internal("subsets", message).with("slice", z).with("subset", subset));
        }
        match self.kept(subset, z)? {
            Some(slice) => out.assign(&slice.slice(s![rows, cols])),
            None => out.assign(&self.lines(subset, z, rows)?.slice(s![.., cols])),
        }
        Ok(())
    }
}
