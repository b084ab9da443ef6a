//! The trait behind every scan format.

use super::band::{CountType, not_whole};
use crate::error::{Error, Result};
use ndarray::{Array2, ArrayViewMut2, ArrayViewMut3, Axis};
use std::ops::Range;

/// Sizes of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanShape {
    /// Projections that take part in the reconstruction.
    pub views: usize,
    /// Detector rows (slices).
    pub rows: usize,
    /// Detector columns.
    pub cols: usize,
    /// Direct-beam images, each possibly the mean of several frames taken together.
    pub flats: usize,
}

/// Names one image of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Projection, in the order of `ScanInfo::angles_rad`.
    View(usize),
    /// Direct-beam image, in order of time.
    Flat(usize),
    /// The image without beam (mean of all dark frames; zeros if the user said that there is none).
    Dark,
    /// The image taken half a turn after view 0, if `ScanInfo::half_turn_frame`.
    HalfTurn,
    /// The direct-beam image that belongs to `HalfTurn`.
    HalfTurnFlat,
}

/// What comes at the price of one: the smallest part of the views that a file lets us read. Frames that lie plainly on
/// disk have a grain of one row of one view; a compressed one has to be decoded in strips, tiles or chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grain {
    /// Neighbouring views that are decoded together.
    pub views: usize,
    /// Neighbouring rows that are decoded together; bands begin at multiples of it.
    pub rows: usize,
}

/// Frames that can be read by row band. Implementations are called from several threads at once.
pub trait FrameSource: Send + Sync {
    /// Sizes; constant.
    fn shape(&self) -> ScanShape;

    /// Reads detector rows `rows` of one frame as counts into `out` (`rows.len()` × `cols`).
    fn read_rows(&self, frame: Frame, rows: Range<usize>, out: ArrayViewMut2<f32>) -> Result<()>;

    /// Reads `rows` of the views `views` into `out`, `[row, view, col]`. This is the only transposition in wagiri.
    ///
    /// Formats in which neighbouring views lie together on disk override this.
    fn read_band(&self, views: Range<usize>, rows: Range<usize>, mut out: ArrayViewMut3<f32>) -> Result<()> {
        for (k, view) in views.enumerate() {
            self.read_rows(Frame::View(view), rows.clone(), out.index_axis_mut(Axis(1), k))?;
        }
        Ok(())
    }

    /// The type that holds every count of every view exactly.
    fn count_type(&self) -> CountType {
        CountType::F32
    }

    /// [`FrameSource::read_band`] without conversion. Only called where [`FrameSource::count_type`] is 16 bits.
    fn read_band_u16(&self, _views: Range<usize>, _rows: Range<usize>, _out: ArrayViewMut3<u16>) -> Result<()> {
        Err(not_whole())
    }

    /// How the views should be cut into bands: results do not depend on it, but times do.
    fn grain(&self) -> Grain {
        Grain { views: 1, rows: 1 }
    }

    /// Memory that each thread needs to decode, bytes, beside what it fills.
    fn decoding_bytes(&self) -> u64 {
        match self.grain() {
            Grain { views: 1, rows: 1 } => 0,
            Grain { views, rows } => (2 * views * rows * self.shape().cols) as u64 * 4,
        }
    }

    /// Bytes on disk of one frame, for estimates; 0 if the frames are in memory.
    fn frame_bytes(&self) -> u64;

    /// A line that changes when the frames do, so that a run is not continued over other frames. Cheap: names, sizes and
    /// times of files rather than pixels. By default the pixels of the dark, the flats and up to 16 views.
    fn identity(&self) -> Result<String> {
        let shape = self.shape();
        let step = shape.views.div_ceil(16).max(1);
        let views = (0..shape.views).step_by(step).map(Frame::View);
        let frames = std::iter::once(Frame::Dark).chain((0..shape.flats).map(Frame::Flat)).chain(views);
        let mut hash = Fingerprint::default();
        let mut image = Array2::zeros((shape.rows, shape.cols));
        for frame in frames {
            self.read_rows(frame, 0..shape.rows, image.view_mut())?;
            image.iter().for_each(|v| hash.add_u64(u64::from(v.to_bits())));
        }
        Ok(format!("pixels {hash}"))
    }
}

/// A 64-bit hash that is the same on every machine. It tells changes, it does not withstand forgery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Fingerprint(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    pub(crate) fn add_u64(&mut self, value: u64) {
        // Multiplying moves bits up only; the rotation brings them back to where they matter.
        self.0 = (self.0.rotate_left(29) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) {
        self.add_u64(bytes.len() as u64);
        bytes.iter().for_each(|b| self.add_u64(u64::from(*b)));
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Refuses a band outside the detector or an output of the wrong shape; for implementations of [`FrameSource`].
pub(crate) fn check_band<T>(shape: ScanShape, rows: &Range<usize>, out: &ArrayViewMut2<T>) -> Result<()> {
    if rows.start > rows.end || rows.end > shape.rows || out.shape() != [rows.len(), shape.cols] {
        return Err(Error::invalid("rows", "rows outside the detector, or a buffer of the wrong size")
            .with("rows", format!("{rows:?}"))
            .with("detector", format!("{} x {}", shape.rows, shape.cols))
            .with("buffer", format!("{:?}", out.shape())));
    }
    Ok(())
}
