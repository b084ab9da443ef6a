//! The start of a chain: where the data comes from.

use super::params::Params;
use super::stage::{ParamInfo, ParamKind, ParamValue, StageInfo};
use crate::error::{Error, Result};
use crate::io::{self, Shift, StackOptions, VolumeOptions};
use crate::scan::{Scan, ScanOptions};
use crate::slab::Domain;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

const fn text(name: &'static str, help: &'static str) -> ParamInfo {
    ParamInfo::new(name, ParamKind::Text, "", ParamValue::Auto, help).or_auto()
}

const PATH: ParamInfo = text("path", "Folder or file; auto is what the run is given beside the chain");
const ANGLES: ParamInfo = text(
    "angles",
    "View angles in degrees: FILE, FILE:A..B (entries), a span such as 180, or A..B with both ends; auto looks beside the data",
);

/// Describes `raw`.
pub static RAW: StageInfo = StageInfo {
    id: "raw",
    summary: "Start: raw projections with dark and direct-beam frames (HiPic, .his, TIFF, HDF5)",
    input: Domain::Counts,
    output: Domain::Counts,
    params: &[
        PATH,
        text("format", "hipic, his, tiff or hdf5 instead of looking at the files"),
        text("dark", "Dark frames: a file, a folder, frames A..B of one file, an HDF5 dataset, or none"),
        text("flat", "Direct-beam frames (I0): a file, a folder, ranges A..B,C..D of one file, or an HDF5 dataset"),
        ANGLES,
        text("dataset", "HDF5 dataset of the projections"),
        text("views", "Only these projections, A..B with B not included"),
        text(
            "part",
            "Only scan K of a series of N in one sequence of frames: K/N, K/N:interleaved, K/Nx961 (frames of a scan)",
        ),
    ],
};

/// Describes `sinograms`.
pub static SINOGRAMS: StageInfo = StageInfo {
    id: "sinograms",
    summary: "Start: finished sinograms in absorbance, one TIFF image per detector row, views from top to bottom",
    input: Domain::Sinogram,
    output: Domain::Sinogram,
    params: &[PATH, ANGLES],
};

/// Describes `projections`.
pub static PROJECTIONS: StageInfo = StageInfo {
    id: "projections",
    summary: "Start: finished projections in absorbance, one TIFF image per view, as write.projections makes them",
    input: Domain::Sinogram,
    output: Domain::Sinogram,
    params: &[PATH, ANGLES],
};

/// Describes `volume`.
pub static VOLUME: StageInfo = StageInfo {
    id: "volume",
    summary: "Start: a finished volume, a folder of TIFF slices or one TIFF file of many pages",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        PATH,
        text(
            "names",
            "Files and their order: - by bytes, --r backwards, --n by number, --rn, '-a.tif b.tif', or a file with a name a line; auto counts a2 before a10",
        ),
        ParamInfo::choice(
            "pad",
            &["off", "zero"],
            "off",
            "zero: slices smaller than the largest get zeros at the right and at the bottom; off refuses them",
        ),
        ParamInfo::new(
            "axes",
            ParamKind::Text,
            "",
            ParamValue::Text(Cow::Borrowed("+x +y +z")),
            "Axes of the images that run to the right, down and across the slices, - backwards: '+y +z +x' re-slices, '-y +x +z' turns",
        ),
    ],
};

/// Describes `stack`.
pub static STACK: StageInfo = StageInfo {
    id: "stack",
    summary: "Start: finished volumes of a z-scan, one on top of the other, with the slices that they share",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        text(
            "paths",
            "Folders of TIFF slices in the order of slices, parted by spaces, or by ; where names have spaces",
        ),
        text(
            "overlap",
            "Slices that each volume shares with the next: one number, or one for each joint with commas; auto finds them",
        ),
        ParamInfo::choice(
            "shift",
            &["off", "auto", "subpixel"],
            "off",
            "Shifts within slices: auto finds them and takes them back by whole pixels, subpixel by interpolation",
        ),
        ParamInfo::choice(
            "blend",
            &["linear", "cut"],
            "linear",
            "In the overlap one volume fades into the next, or the next begins in its middle",
        ),
    ],
};

/// The words that a chain may start with.
pub const SOURCES: [&StageInfo; 5] = [&RAW, &PROJECTIONS, &SINOGRAMS, &VOLUME, &STACK];

/// The parameter of a source that names its data.
fn data(source: &Params) -> &'static str {
    if source.info().id == STACK.id { "paths" } else { "path" }
}

/// The data that a source names, if it does.
pub(super) fn path(source: &Params) -> Option<&Path> {
    source.text(data(source)).map(Path::new)
}

/// The folders of a stack.
fn folders(text: &str) -> Vec<PathBuf> {
    let words: Vec<&str> =
        if text.contains(';') { text.split(';').collect() } else { text.split_whitespace().collect() };
    words.into_iter().map(str::trim).filter(|word| !word.is_empty()).map(PathBuf::from).collect()
}

fn open_stack(source: &Params, paths: &str) -> Result<Scan> {
    let overlap = |word: &str| {
        word.trim().parse().map_err(|_| {
            let accepted = "overlap: expected a number of slices, or one for each joint, such as 40 or 40,38";
            Error::invalid(STACK.id, accepted).with("value", format!("'{word}'"))
        })
    };
    let overlaps = source.text("overlap").map_or(Ok(Vec::new()), |text| text.split(',').map(overlap).collect())?;
    let shift = match source.text("shift") {
        Some("auto") => Shift::Whole,
        Some("subpixel") => Shift::Fraction,
        _ => Shift::Off,
    };
    let cut = source.text("blend") == Some("cut");
    io::open_stack(&folders(paths), &StackOptions { overlaps, shift, cut })
}

/// The description of the source with data of `domain`.
pub(super) fn of_domain(domain: Domain) -> &'static StageInfo {
    match domain {
        Domain::Counts => &RAW,
        Domain::Sinogram => &SINOGRAMS,
        Domain::Volume => &VOLUME,
    }
}

/// Sets what was given beside the chain. Paths become absolute, so that the chain can be run from anywhere.
pub(super) fn locate(source: &mut Params, path: Option<&Path>, options: &ScanOptions) -> Result<()> {
    let text =
        |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned();
    let views = options.views.as_ref().map(|views| format!("{}..{}", views.start, views.end));
    let absolute = |path: &Path| {
        let several = source.info().id == STACK.id;
        let all = if several { folders(&path.to_string_lossy()) } else { vec![path.to_owned()] };
        all.iter().map(|path| text(path)).collect::<Vec<_>>().join(";")
    };
    let given = [
        (data(source), path.map(absolute)),
        ("format", options.format.clone()),
        ("dark", options.dark.clone()),
        ("flat", options.flat.clone()),
        ("angles", options.angles.clone()),
        ("dataset", options.dataset.clone()),
        ("views", views),
        ("part", options.part.as_ref().map(ToString::to_string)),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            source.set_text(name, &value)?;
        }
    }
    Ok(())
}

/// Opens what `source` names.
pub(super) fn open(source: &Params) -> Result<Scan> {
    let id = source.info().id;
    let Some(path) = path(source) else {
        let message = format!("no data given: expected {id} {}=FOLDER, or the folder beside the chain", data(source));
        return Err(Error::invalid(id, message));
    };
    let angles = |source: &Params| source.text("angles").map(str::to_owned);
    if id == STACK.id {
        return open_stack(source, &path.to_string_lossy());
    }
    let domain = source.info().output;
    match domain {
        Domain::Volume => {
            let options = VolumeOptions {
                names: source.text("names").map(str::to_owned),
                pad: source.text("pad") == Some("zero"),
                axes: source.text("axes").map(str::to_owned),
            };
            return io::open_volume(path, &options);
        }
        Domain::Sinogram if id == PROJECTIONS.id => return io::open_projections(path, angles(source).as_deref()),
        Domain::Sinogram => return io::open_slices(path, domain, angles(source).as_deref()),
        Domain::Counts => {}
    }
    let param = |name| source.text(name).map(str::to_owned);
    let views = param("views").map(|text| {
        let ends = text.split_once("..").and_then(|(a, b)| Some(a.trim().parse().ok()?..b.trim().parse().ok()?));
        ends.filter(|range: &std::ops::Range<usize>| range.start < range.end).ok_or_else(|| {
            Error::invalid(id, "views: expected A..B with A less than B").with("value", format!("'{text}'"))
        })
    });
    let options = ScanOptions {
        format: param("format"),
        dark: param("dark"),
        flat: param("flat"),
        angles: angles(source),
        dataset: param("dataset"),
        views: views.transpose()?,
        part: source.text("part").map(str::parse).transpose()?,
    };
    io::open(path, &options)
}
