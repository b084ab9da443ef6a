//! A scan: frames that can be read by row band, and what is known of how they were taken.
//!
//! Must not know: stages, chains, engines. File formats are in `io`.

mod band;
mod memory;
mod part;
mod source;
mod subset;

pub use band::{Band, BandMut, CountType};
pub use memory::{MemoryRows, MemorySource};
pub use part::Part;
pub(crate) use source::{Fingerprint, check_band};
pub use source::{Frame, FrameSource, Grain, ScanShape};

use crate::error::{Error, Result};
use crate::geometry::Center;
use crate::slab::Domain;
use std::path::PathBuf;
use std::sync::Arc;

/// How the user helps where a format leaves something open. Everything is optional.
#[derive(Clone, Debug, Default)]
pub struct ScanOptions {
    /// Format by name instead of by looking: `hipic`, `his`, `tiff`, `hdf5`.
    pub format: Option<String>,
    /// Dark frames, averaged: a file or folder of images, a range of frames `A..B` (from 0, B not included) where one
    /// file holds all frames, an HDF5 dataset, or `none` to subtract nothing.
    pub dark: Option<String>,
    /// Direct-beam frames (I0), as `dark` but not `none`. Several ranges `A..B,C..D` are as many images at different times.
    pub flat: Option<String>,
    /// View angles. `180`: even over so many degrees, without the end point. `-88.2..91.8`: even, both ends included.
    /// `FILE`: a text file with one angle in degrees per line. `FILE:A..B`: its entries A to B - 1, counted from 0.
    ///
    /// Relative paths here, in `dark` and in `flat` are looked up in the folder of the scan, then as they stand.
    pub angles: Option<String>,
    /// HDF5 dataset of the projections, where it is not at its standard place.
    pub dataset: Option<String>,
    /// Only these views, `start..end`.
    pub views: Option<std::ops::Range<usize>>,
    /// Only this scan of a series in one sequence of frames (`.his`, numbered TIFF or `.img` files with `conv.bat`): `dark`,
    /// `flat`, `views` and `conv.bat` then count its own frames.
    pub part: Option<Part>,
}

/// Sample type of slices in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleType {
    /// 32-bit float, 1/cm.
    F32,
    /// 16-bit unsigned.
    U16,
    /// 8-bit unsigned.
    U8,
}

impl SampleType {
    /// Bytes of one sample.
    pub fn bytes(self) -> u64 {
        match self {
            SampleType::F32 => 4,
            SampleType::U16 => 2,
            SampleType::U8 => 1,
        }
    }
    /// Beginning of the names of slices: ct-rec's.
    pub fn prefix(self) -> &'static str {
        match self {
            SampleType::F32 => "rec",
            SampleType::U16 => "rh",
            SampleType::U8 => "ro",
        }
    }
    /// The largest value of whole numbers.
    pub fn white(self) -> u16 {
        if self == SampleType::U8 { 255 } else { 65535 }
    }
}

/// How a slice was reconstructed, as its file tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Rotation axis, px.
    pub center: Center,
    /// Views that it was made from.
    pub views: usize,
    /// Turn of the slice.
    pub angle_offset_rad: f64,
    /// What 0 and the largest whole number stand for in 1/cm, where the slice was converted to 8 or 16 bits.
    pub levels: Option<(f64, f64)>,
}

/// What a scan file format could tell, apart from the pixels.
#[derive(Clone, Debug, Default)]
pub struct ScanInfo {
    /// `hipic`, `his`, `tiff`, `hdf5`, `memory`, `slices`.
    pub format: &'static str,
    /// What the numbers are. Sinograms and volumes come as they lie in a slab: `rows`, `views` and `cols` of [`ScanShape`]
    /// are z, y and x of a volume, [`Frame::View`] is a plane across its slices, and there are neither dark nor flats.
    pub domain: Domain,
    /// One line for people: sample format, compression, layout.
    pub details: String,
    /// Where it was opened.
    pub path: PathBuf,
    /// One per view, radians, in the order of the views; none for a volume.
    pub angles_rad: Vec<f64>,
    /// Time of each view and each flat, in the same unit; used to interpolate I0.
    pub view_time: Vec<f64>,
    /// See `view_time`.
    pub flat_time: Vec<f64>,
    /// Detector pixel at the sample, µm, if the file says so.
    pub pixel_um: Option<f64>,
    /// How a volume was reconstructed, if its files say so.
    pub made: Option<Made>,
    /// Sample type of a volume, if it is one that can be written.
    pub sample: Option<SampleType>,
    /// File name of each slice of a volume; none if they have no files of their own.
    pub slice_names: Vec<String>,
    /// Number in the name of the first slice of a volume, if it has one.
    pub first_number: Option<usize>,
    /// A further frame taken half a turn after view 0, if the scan has one, for the search of the axis.
    pub half_turn_frame: bool,
    /// Folders that hold the frames; slices are not written there, since names could meet.
    pub folders: Vec<PathBuf>,
    /// Remarks that a user should see once.
    pub notes: Vec<String>,
}

/// Frames plus everything that is known about them.
pub struct Scan {
    source: Arc<dyn FrameSource>,
    info: ScanInfo,
}

impl Scan {
    /// Checks that the parts agree: one angle and one time per view, at least one view, dark and flat.
    pub fn new(source: Box<dyn FrameSource>, info: ScanInfo) -> Result<Self> {
        let shape = source.shape();
        let place = info.path.display().to_string();
        if info.domain == Domain::Volume {
            if shape.rows == 0 || shape.views == 0 || shape.cols == 0 {
                return Err(Error::format(place, "the volume has no voxel"));
            }
            return Ok(Scan { source: source.into(), info });
        }
        if shape.views == 0 {
            return Err(Error::format(place, "the scan has no projection"));
        }
        if shape.rows == 0 || shape.cols < 2 {
            let accepted = "the detector needs at least 1 row and 2 columns";
            return Err(Error::format(place, accepted).with("rows", shape.rows).with("cols", shape.cols));
        }
        if shape.flats == 0 && info.domain == Domain::Counts {
            return Err(Error::format(place, "the scan has no direct-beam frame (I0, flat)"));
        }
        if info.angles_rad.len() != shape.views {
            let message = "as many angles as projections are needed";
            let (angles, views) = (info.angles_rad.len(), shape.views);
            return Err(Error::format(place, message).with("angles", angles).with("projections", views));
        }
        let counts = info.domain == Domain::Counts;
        if counts && (info.view_time.len() != shape.views || info.flat_time.len() != shape.flats) {
            return Err(Error::internal(place, "one time per view and per flat is needed"));
        }
        if let Some(i) = info.angles_rad.iter().position(|a| !a.is_finite()) {
            return Err(Error::format(place, "an angle is not a number").with("view", i));
        }
        Ok(Scan { source: source.into(), info })
    }
    /// Views, rows, columns, flats.
    pub fn shape(&self) -> ScanShape {
        self.source.shape()
    }
    /// Angles, times, pixel size, remarks.
    pub fn info(&self) -> &ScanInfo {
        &self.info
    }
    /// The frames.
    pub fn source(&self) -> &dyn FrameSource {
        self.source.as_ref()
    }
}
