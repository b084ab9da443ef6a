//! Files: scan formats in, slices out. The only place with `tiff` and HDF5.
//!
//! Every format reads bands of rows, never whole scans. Must not know: stages, chains, engines.

mod angles;
mod bytes;
mod conv_bat;
mod count;
mod hamamatsu;
mod hdf5;
mod hipic;
mod his;
mod identity;
mod images;
mod nexus;
mod roles;
mod sequences;
mod shot_log;
mod stack;
mod tiff_image;

pub use hipic::{HipicOptions, open_hipic};
pub use shot_log::{Shot, ShotLog};

mod aside;
mod axes;
mod grey;
mod names;
mod pages;
mod png_image;
mod projection_sink;
mod projections;
mod raw;
mod series;
mod sink;
mod slices;
mod stl;
mod tiff_sink;
mod unpack;
mod zstack;

pub use crate::scan::SampleType;
pub use aside::Aside;
pub use grey::{GreyImage, GreyTags, image_size, read_descriptions, read_image, write_image};
pub use names::FileNames;
pub use pages::write_pages;
pub use png_image::{png_bytes, png_bytes_16, write_png};
pub use projection_sink::ProjectionSink;
pub use projections::open_projections;
pub use raw::{FrameMean, RawFrame, RawFrames, write_frame_tiff, write_img};
pub use sink::{MemorySink, SliceSink};
pub use slices::{VolumeOptions, open_slices, open_volume};
pub use stl::StlWriter;
pub use tiff_sink::{Levels, SliceMeta, TiffSink, Written};
pub use unpack::{Converted, FrameFormat, convert, unpack};
pub use zstack::{Shift, StackOptions, open_stack};

use crate::error::{Error, Result};
use crate::scan::{Scan, ScanOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What the scan formats are called in [`ScanOptions::format`].
pub const FORMATS: &[&str] = &["hipic", "his", "tiff", "hdf5"];

/// Opens a scan of any supported format; looks at the files unless `options.format` names one.
///
/// `path` is a folder, or the one file that holds the scan. A folder with a subfolder `raw` that is a HiPic scan, as
/// SPring-8 lays them out, opens that one. Only headers are read. Relative paths in the options are looked up in the
/// scan's folder first, then as they stand.
///
/// Errors: `NOT_FOUND` if there is nothing at `path`, or a part of the scan is missing; `FORMAT` if files are damaged
/// or contradict each other; `UNSUPPORTED`; `INVALID` for options that do not fit.
pub fn open(path: &Path, options: &ScanOptions) -> Result<Scan> {
    if !path.exists() {
        return Err(Error::not_found(path.display(), "no such file or folder"));
    }
    let (format, path) = match options.format.as_deref() {
        None => detect(path)?,
        Some(name) => {
            let known = FORMATS.iter().find(|f| **f == name).ok_or_else(|| {
                let accepted = format!("expected one of {}", FORMATS.join(", "));
                Error::invalid("format", accepted).with("format", format!("'{name}'"))
            })?;
            (*known, path.to_owned())
        }
    };
    if options.dataset.is_some() && format != "hdf5" {
        let message = "only HDF5 files have datasets, but this scan is of another format";
        return Err(Error::invalid("dataset", message).with("format", format));
    }
    if options.part.is_some() && format != "his" {
        let message = "only a .his file, or numbered frames with conv.bat and output.log, hold several scans";
        return Err(Error::invalid("part", message).with("format", format));
    }
    match format {
        "hipic" => open_hipic(&path, &HipicOptions::default(), options),
        "his" => his::open(&path, options),
        "tiff" => stack::open(&path, options),
        _ => hdf5::open(&path, options),
    }
}

/// Format, and the file or folder that holds the scan.
fn detect(path: &Path) -> Result<(&'static str, PathBuf)> {
    let unknown = |what: &str| {
        let message = format!(
            "{what}; expected a HiPic folder (output.log, dark, q0001.img ...), a .his file, TIFF projections, or HDF5"
        );
        Error::not_found(path.display(), message)
    };
    if !path.is_dir() {
        let kind = file_kind(path)?;
        return match kind {
            Some("img") => {
                Err(Error::invalid(path.display(), "this is one frame; open the folder of the scan instead"))
            }
            Some(format) => Ok((format, path.to_owned())),
            None if path.file_name().is_some_and(|n| n.eq_ignore_ascii_case("output.log")) => {
                let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                detect(folder)
            }
            None => Err(unknown("the file is not a scan")),
        };
    }
    let names = folder_names(path)?;
    if hipic::is_folder(&names) {
        return Ok(("hipic", path.to_owned()));
    }
    let has = |name: &str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
    let ends = |with: &str| names.iter().any(|n| n.to_ascii_lowercase().ends_with(with));
    // Frames are named by conv.bat, whether they are in a .his file or not.
    let named = has("conv.bat") && has("output.log") && (ends(".img") || ends(".tif") || ends(".tiff"));
    if ends(".his") || named {
        return Ok(("his", path.to_owned()));
    }
    if let Some(raw) = names.iter().find(|n| n.eq_ignore_ascii_case("raw")).map(|n| path.join(n))
        && raw.is_dir()
        && let Ok((format @ ("hipic" | "his"), inner)) = detect(&raw)
    {
        return Ok((format, inner));
    }
    let hdf5: Vec<&String> = names.iter().filter(|n| hdf5::is_named(n)).collect();
    match hdf5.as_slice() {
        [] if stack::is_folder(path, &names) => Ok(("tiff", path.to_owned())),
        [] => Err(unknown("the folder is not a scan")),
        [one] => Ok(("hdf5", path.join(one))),
        _ => Err(Error::invalid(path.display(), "the folder has several HDF5 files; open one of them by its own name")),
    }
}

/// Looks at the first bytes of a file.
fn file_kind(path: &Path) -> Result<Option<&'static str>> {
    let mut head = Vec::new();
    let file = bytes::open_file(path)?;
    file.take(2056).read_to_end(&mut head).map_err(|e| Error::io(path.display(), "read", e))?;
    // HDF5 allows a block of the user's own bytes before its signature.
    let hdf5 = |at: usize| head.get(at..).is_some_and(|h| h.starts_with(b"\x89HDF\r\n\x1a\n"));
    let named = |extension: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
    let tiff = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
    Ok(if [0, 512, 1024, 2048].into_iter().any(hdf5) {
        Some("hdf5")
    } else if tiff.iter().any(|magic| head.starts_with(*magic)) {
        Some("tiff")
    } else if named("his") || (hamamatsu::Header::is_one(&head) && !named("img")) {
        Some("his")
    } else if named("img") {
        Some("img")
    } else if path.file_name().is_some_and(|n| hdf5::is_named(&n.to_string_lossy())) {
        Some("hdf5")
    } else if path.file_name().is_some_and(|n| stack::is_tiff(&n.to_string_lossy())) {
        Some("tiff")
    } else {
        None
    })
}

/// Names in a folder, sorted; hidden files are left out.
pub(crate) fn folder_names(path: &Path) -> Result<Vec<String>> {
    let fail = |e| Error::io(path.display(), "list", e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)? {
        // A name that is not Unicode cannot be one of ours: they are found by name.
        if let Ok(name) = entry.map_err(fail)?.file_name().into_string()
            && !name.starts_with('.')
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
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
