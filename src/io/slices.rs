//! Finished slices and sinograms: a folder of TIFF images or one file of many pages, each image a row of a slab.
//!
//! Must not know: how pixels are read, what is done with them.

use super::angles::{angle_file, checked, view_angles};
use super::bytes::Sample;
use super::identity::Identity;
use super::images::{Image, Pixels};
use super::stack::{is_tiff, natural, pages_of};
use super::{folder_names, read_description, tiff_image};
use crate::error::{Error, Result};
use crate::geometry::{Center, uniform_angles};
use crate::scan::{CountType, Frame, FrameSource, Grain, Made, Scan, ScanInfo, ScanShape, check_band};
use crate::slab::Domain;
use ndarray::{ArrayViewMut2, ArrayViewMut3, Axis};
use std::f64::consts::PI;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Lines of an image that are worth opening its file for.
const LINES: usize = 256;

struct SliceSource {
    images: Vec<Arc<Image>>,
    shape: ScanShape,
    sample: Sample,
    grain: Grain,
    bytes: u64,
}

/// Opens slices (`domain` volume) or sinograms at `path`: a folder, a file of many pages, or the beginning of the names of a
/// series in a folder that holds several (`rec/rh`). Images are taken in natural order and count from 0.
///
/// `angles` are those of sinograms, see `ScanOptions::angles`; without, `angles.txt` or `theta.txt` beside them, or else even
/// over half a turn, with a remark.
pub fn open_slices(path: &Path, domain: Domain, angles: Option<&str>) -> Result<Scan> {
    let mut notes = Vec::new();
    let (folder, images) = find(path, &mut notes)?;
    let Some(first) = images.first() else { return Err(Error::not_found(path.display(), "no image")) };
    let layout = first.layout()?;
    let shape = ScanShape { views: layout.rows, rows: images.len(), cols: layout.cols, flats: 0 };
    let views = match layout.pixels {
        Pixels::Plain { .. } => LINES.min(layout.rows),
        Pixels::Encoded(_) => layout.rows,
    };
    let mut info = ScanInfo {
        format: "slices",
        domain,
        path: path.to_owned(),
        details: format!("{} TIFF images, {}", images.len(), layout.sample.name()),
        notes,
        ..ScanInfo::default()
    };
    if domain == Domain::Volume {
        let made = read_description(&first.file.path).ok().and_then(|text| parse_description(&text));
        if let Some((pixel_um, made)) = made {
            (info.pixel_um, info.made) = (Some(pixel_um), Some(made));
        }
    } else {
        info.angles_rad = angles_of(angles, &folder, path, shape.views, &mut info.notes)?;
    }
    // Results are never written among the images they are made from.
    info.folders = vec![folder];
    let bytes = (layout.rows * layout.cols) as u64 * layout.sample.count_type().bytes();
    Scan::new(
        Box::new(SliceSource { shape, sample: layout.sample, grain: Grain { views, rows: 1 }, bytes, images }),
        info,
    )
}

pub(super) fn angles_of(
    given: Option<&str>,
    folder: &Path,
    path: &Path,
    views: usize,
    notes: &mut Vec<String>,
) -> Result<Vec<f64>> {
    if let Some(text) = given {
        return checked(path, view_angles(text, folder, views)?);
    }
    for name in ["angles.txt", "theta.txt"] {
        let file = folder.join(name);
        if file.is_file() {
            return checked(&file, angle_file(&file, None, views)?);
        }
    }
    notes.push("angles unknown: even over 180 degrees taken; give others with angles=...".to_owned());
    Ok(uniform_angles(views, 0.0, PI))
}

/// The folder and the images in order; a note if some seem to be missing.
pub(super) fn find(path: &Path, notes: &mut Vec<String>) -> Result<(PathBuf, Vec<Arc<Image>>)> {
    let parent = || path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    if path.is_file() {
        return Ok((parent(), pages_of(path)?));
    }
    let (folder, prefix) = match path.is_dir() {
        true => (path.to_owned(), None),
        false => (parent(), path.file_name().map(|n| n.to_string_lossy().into_owned())),
    };
    if !folder.is_dir() {
        return Err(Error::not_found(path.display(), "no such file or folder"));
    }
    let begins = |name: &String| prefix.as_ref().is_none_or(|p| name.starts_with(p.as_str()));
    let mut names: Vec<String> = folder_names(&folder)?.into_iter().filter(|n| is_tiff(n) && begins(n)).collect();
    if names.is_empty() && prefix.is_some() {
        return Err(Error::not_found(path.display(), "no such file or folder, and no series of files begins so"));
    }
    names.sort_by(|a, b| natural(a, b));
    let mut series: Vec<&str> = names.iter().map(|n| n.trim_end_matches(|c: char| c != '.')).map(stem).collect();
    series.dedup();
    match (names.as_slice(), series.as_slice()) {
        ([], _) => Err(Error::not_found(folder.display(), "the folder has no TIFF image")),
        ([one], _) => Ok((folder.clone(), pages_of(&folder.join(one))?)),
        (_, [_]) => {
            notes.extend(gap(&names));
            let images = names.iter().map(|n| Image::lazy(folder.join(n), tiff_image::single)).collect();
            Ok((folder, images))
        }
        (_, several) => {
            let message = "the folder holds several series of images; name one, such as FOLDER/rec";
            Err(Error::invalid(folder.display(), message).with("series", several.join(", ")))
        }
    }
}

/// The name without number and extension: `rec00012.` is of the series `rec`.
fn stem(name: &str) -> &str {
    name.trim_end_matches('.').trim_end_matches(|c: char| c.is_ascii_digit())
}

/// A remark where a number is left out in a series that otherwise counts by ones.
fn gap(names: &[String]) -> Option<String> {
    let number = |name: &String| -> Option<u64> {
        let name = name.trim_end_matches(|c: char| c != '.');
        name.get(stem(name).len()..)?.trim_end_matches('.').parse().ok()
    };
    let numbers: Vec<u64> = names.iter().map(number).collect::<Option<_>>()?;
    let gaps = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    // Every second slice is a choice, not a gap.
    let at = numbers.windows(2).position(|pair| pair[1] != pair[0] + 1).filter(|_| 2 * gaps < numbers.len())?;
    let (before, after) = (&names[at], &names[at + 1]);
    Some(format!(
        "no image between {before} and {after}: what follows counts on from {}, by its place and not its name",
        at + 1
    ))
}

/// Pixel size in um, axis, views, turn, and what follows, parted by tabs: what this program and ct-rec write.
fn parse_description(text: &str) -> Option<(f64, Made)> {
    let fields: Vec<f64> = text
        .trim_end_matches('\0')
        .split('\t')
        .map(|f| f.trim().parse())
        .collect::<std::result::Result<_, _>>()
        .ok()?;
    let [pixel_um, center_px, views, angle_offset_rad, _, _, ..] = fields.as_slice() else { return None };
    let sane = *pixel_um > 0.0 && pixel_um.is_finite() && center_px.is_finite() && *views >= 0.0;
    sane.then(|| {
        let made =
            Made { center: Center::Fixed(*center_px), views: *views as usize, angle_offset_rad: *angle_offset_rad };
        (*pixel_um, made)
    })
}

impl SliceSource {
    fn image(&self, row: usize) -> Result<&Image> {
        self.images
            .get(row)
            .map(AsRef::as_ref)
            .ok_or_else(|| Error::not_found("slices", "no such image").with("row", row))
    }
    fn size(&self) -> [usize; 2] {
        [self.shape.views, self.shape.cols]
    }
}

impl FrameSource for SliceSource {
    fn shape(&self) -> ScanShape {
        self.shape
    }

    fn read_rows(&self, frame: Frame, rows: Range<usize>, mut out: ArrayViewMut2<f32>) -> Result<()> {
        check_band(self.shape, &rows, &out)?;
        let Frame::View(view) = frame else {
            return Err(Error::not_found("slices", "no such frame").with("frame", format!("{frame:?}")));
        };
        for (row, out) in rows.zip(out.axis_chunks_iter_mut(Axis(0), 1)) {
            self.image(row)?.read(self.size(), None, view..view + 1, out)?;
        }
        Ok(())
    }

    fn read_band(&self, views: Range<usize>, rows: Range<usize>, mut out: ArrayViewMut3<f32>) -> Result<()> {
        for (row, out) in rows.zip(out.outer_iter_mut()) {
            self.image(row)?.read(self.size(), None, views.clone(), out)?;
        }
        Ok(())
    }

    fn count_type(&self) -> CountType {
        self.sample.count_type()
    }

    fn read_band_u16(&self, views: Range<usize>, rows: Range<usize>, mut out: ArrayViewMut3<u16>) -> Result<()> {
        for (row, out) in rows.zip(out.outer_iter_mut()) {
            // All samples are of one type, or 16 bits might not hold them.
            self.image(row)?.read(self.size(), Some(self.sample), views.clone(), out)?;
        }
        Ok(())
    }

    fn grain(&self) -> Grain {
        self.grain
    }

    fn frame_bytes(&self) -> u64 {
        self.bytes
    }

    fn identity(&self) -> Result<String> {
        let mut identity = Identity::default();
        for image in &self.images {
            identity.add("slice", &image.file.path, image.place())?;
        }
        Ok(identity.line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_tells_how_a_slice_was_made() {
        let (pixel, made) = parse_description("5.640000\t49.500000\t180\t0.100000\t-1.5\t20.25").unwrap();
        assert_eq!((pixel, made.views, made.center), (5.64, 180, Center::Fixed(49.5)));
        assert!(parse_description("ImageJ=1.54p").is_none());
        assert!(parse_description("0\t1\t2\t3\t4\t5").is_none());
        assert_eq!(stem("rec00012."), "rec");
    }

    #[test]
    fn a_slice_that_is_missing_is_told() {
        let names = |numbers: &[u32]| numbers.iter().map(|n| format!("rec{n:05}.tif")).collect::<Vec<_>>();
        assert_eq!(gap(&names(&[450, 451, 452])), None);
        assert_eq!(gap(&names(&[0, 10, 20, 30])), None);
        let told = gap(&names(&[7, 8, 9, 11, 12])).unwrap();
        assert!(told.starts_with("no image between rec00009.tif and rec00011.tif"), "{told}");
    }
}
