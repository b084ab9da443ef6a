//! Files: scan formats in, slices out. The only place with `tiff` and HDF5.
//!
//! Must not know: stages, chains, engines.

mod sink;
mod tiff_sink;

pub use sink::{MemorySink, SliceSink};
pub use tiff_sink::{SampleType, SliceMeta, TiffSink};

use crate::error::{Error, Result};
use crate::scan::{Scan, ScanOptions};
use std::path::Path;

/// Opens a scan of any supported format; looks at the files unless `options.format` names one.
pub fn open(path: &Path, options: &ScanOptions) -> Result<Scan> {
    let _ = options;
    Err(Error::internal(path.display(), "stub"))
}

/// Reads one grey slice, any sample type, as f32 `[y, x]`.
pub fn read_slice(path: &Path) -> Result<ndarray::Array2<f32>> {
    use tiff::decoder::{Decoder, DecodingResult, Limits};
    let place = path.display();
    let failed = |e: tiff::TiffError| match e {
        tiff::TiffError::IoError(e) => Error::io(&place, "read", e),
        e => Error::format(&place, "not a readable TIFF slice").caused_by(e),
    };
    let file = std::fs::File::open(path).map_err(|e| Error::io(&place, "open", e))?;
    let mut decoder = Decoder::new(std::io::BufReader::new(file)).map_err(failed)?.with_limits(Limits::unlimited());
    let (width, height) = decoder.dimensions().map_err(failed)?;
    let data: Vec<f32> = match decoder.read_image().map_err(failed)? {
        DecodingResult::F32(v) => v,
        DecodingResult::U16(v) => v.into_iter().map(f32::from).collect(),
        DecodingResult::U8(v) => v.into_iter().map(f32::from).collect(),
        _ => return Err(Error::unsupported(&place, "expected 8-, 16- or 32-bit float samples")),
    };
    let shape = (height as usize, width as usize);
    ndarray::Array2::from_shape_vec(shape, data)
        .map_err(|e| Error::format(&place, "expected one grey sample per pixel").caused_by(e))
}
/// The ImageDescription of a TIFF file.
pub fn read_description(path: &Path) -> Result<String> {
    let place = path.display();
    let file = std::fs::File::open(path).map_err(|e| Error::io(&place, "open", e))?;
    tiff::decoder::Decoder::new(std::io::BufReader::new(file))
        .and_then(|mut d| d.get_tag_ascii_string(tiff::tags::Tag::ImageDescription))
        .map_err(|e| Error::format(&place, "the file has no readable ImageDescription").caused_by(e))
}
