//! Finished slices and sinograms: a folder of TIFF images or one file of many pages, each image a row of a slab, or, re-sliced,
//! a plane across them.
//!
//! Must not know: how pixels are read, what is done with them.

use super::angles::{angle_file, checked, view_angles};
use super::axes::Axes;
use super::bytes::Sample;
use super::count::Count;
use super::identity::Identity;
use super::images::{Image, Pixels};
use super::read_description;
use super::series::{self, Series};
use crate::error::{Error, Result};
use crate::geometry::{Center, uniform_angles};
use crate::scan::{CountType, Frame, FrameSource, Grain, Made, SampleType, Scan, ScanInfo, ScanShape, check_band};
use crate::slab::Domain;
use ndarray::{Array3, ArrayViewMut2, ArrayViewMut3, Axis, Slice, s};
use std::f64::consts::PI;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Lines of an image that are worth opening its file for.
const LINES: usize = 256;
/// Lines that are turned at a time.
const TURNED_LINES: usize = 64;
/// Images that are turned at a time where they become columns: a line of cache holds as many values.
const TURNED_IMAGES: usize = 16;
/// Bytes of them, at most.
const TURNED_BYTES: usize = 64 << 20;

/// How a volume is read.
#[derive(Clone, Debug, Default)]
pub struct VolumeOptions {
    /// Files of the folder and their order: `-` all in the order of bytes, `--r` backwards, `--n` by the first number in the
    /// name, `--rn` that backwards, `-a.tif b.tif` these, or a text file with a name in each line. Without, one series in the
    /// order in which people count.
    pub names: Option<String>,
    /// Images smaller than the largest get zeros at the right and at the bottom, instead of being refused.
    pub pad: bool,
    /// Axes of the images that run to the right, down and across the slices: `+x +y +z` if `None`; `-` runs backwards.
    pub axes: Option<String>,
}

pub(super) struct SliceSource {
    images: Vec<Arc<Image>>,
    /// Lines and columns of an image.
    size: [usize; 2],
    sample: Sample,
    axes: Axes,
    pad: bool,
    /// Images and lines that are turned at a time.
    turned: [usize; 2],
    grain: Grain,
    decoding_bytes: u64,
    bytes: u64,
}

/// Opens slices (`domain` volume) or sinograms at `path`: a folder, a file of many pages, or the beginning of the names of a
/// series in a folder that holds several (`rec/rh`). Images are taken in natural order and count from 0.
///
/// `angles` are those of sinograms, see `ScanOptions::angles`; without, `angles.txt` or `theta.txt` beside them, or else even
/// over half a turn, with a remark.
pub fn open_slices(path: &Path, domain: Domain, angles: Option<&str>) -> Result<Scan> {
    if domain == Domain::Volume {
        return open_volume(path, &VolumeOptions::default());
    }
    let found = series::find(path)?;
    let mut notes: Vec<String> = found.note.iter().cloned().collect();
    let folder = found.folder.clone();
    let source = SliceSource::new(path, found.images, Axes::default(), false)?;
    let angles_rad = angles_of(angles, &folder, path, source.size[0], &mut notes)?;
    let info = ScanInfo { domain, angles_rad, notes, folders: vec![folder], ..source.info(path) };
    Scan::new(Box::new(source), info)
}

/// Opens a volume at `path`, as [`open_slices`], with a choice of files, sizes and axes.
///
/// Only the header of one image is read, or with `pad` those of all. Errors: `NOT_FOUND`, `INVALID` for options that do not
/// fit; where images differ in size or sample type `FORMAT`, when the first such image is read.
pub fn open_volume(path: &Path, options: &VolumeOptions) -> Result<Scan> {
    let axes: Axes = options.axes.as_deref().map_or(Ok(Axes::default()), str::parse)?;
    let Series { folder, images, mut names, note } = match &options.names {
        Some(text) => series::named(path, text)?,
        None => series::find(path)?,
    };
    let source = SliceSource::new(path, images, axes, options.pad)?;
    let mut info = source.info(path);
    if let Some(made) = source.made() {
        (info.pixel_um, info.made) = (Some(made.0), Some(made.1));
    }
    if axes.keeps_images() {
        if axes.is_back(0) {
            names.reverse();
        }
        info.first_number = names.first().and_then(|name| series::number(name));
        info.slice_names = names;
    }
    info.sample = source.sample_type();
    // Results are never written among the images they are made from.
    let info = ScanInfo { domain: Domain::Volume, notes: note.into_iter().collect(), folders: vec![folder], ..info };
    Scan::new(Box::new(source), info)
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

/// Pixel size in um, axis, views, turn, and what follows, parted by tabs: what this program and ct-rec write.
fn parse_description(text: &str) -> Option<(f64, Made)> {
    let fields: Vec<f64> = text
        .trim_end_matches('\0')
        .split('\t')
        .map(|f| f.trim().parse())
        .collect::<std::result::Result<_, _>>()
        .ok()?;
    let [pixel_um, center_px, views, angle_offset_rad, _, _, levels @ ..] = fields.as_slice() else { return None };
    let sane = *pixel_um > 0.0 && pixel_um.is_finite() && center_px.is_finite() && *views >= 0.0;
    let levels = match levels {
        [min, max] if min.is_finite() && max.is_finite() && min < max => Some((*min, *max)),
        _ => None,
    };
    sane.then(|| {
        let center = Center::Fixed(*center_px);
        (*pixel_um, Made { center, views: *views as usize, angle_offset_rad: *angle_offset_rad, levels })
    })
}

impl SliceSource {
    /// Looks at one image, or with `pad` at all of them.
    pub(super) fn new(path: &Path, images: Vec<Arc<Image>>, axes: Axes, pad: bool) -> Result<Self> {
        let Some(first) = images.first() else { return Err(Error::not_found(path.display(), "no image")) };
        let layout = first.layout()?;
        let (sample, mut size) = (layout.sample, [layout.rows, layout.cols]);
        // Lines that are decoded together.
        let together = match &layout.pixels {
            Pixels::Plain { .. } => 1,
            Pixels::Encoded(chunks) => chunks.rows().min(layout.rows),
        };
        for image in images.iter().filter(|_| pad) {
            let layout = image.layout()?;
            size = [size[0].max(layout.rows), size[1].max(layout.cols)];
        }
        let [lines, cols] = size;
        let value_bytes = sample.count_type().bytes();
        let bytes = (lines * cols) as u64 * value_bytes;
        let mut source = SliceSource {
            images,
            size,
            sample,
            axes,
            pad,
            turned: [1, TURNED_LINES.max(together).min(lines)],
            grain: Grain { views: 1, rows: 1 },
            decoding_bytes: 0,
            bytes,
        };
        // Columns of images cannot be read by themselves: what lies along them is best taken all at once. Where nothing must
        // be decoded, parts of them can go to several threads, for images that were read are read again in no time.
        let part = |all: usize| if together == 1 { all.div_ceil(4) } else { all };
        source.grain = match [0, 1, 2].map(|axis| axes.place(axis)) {
            [0, 1, 2] if together == 1 => Grain { views: LINES.min(lines), rows: 1 },
            [0, 1, 2] => Grain { views: lines, rows: 1 },
            [0, ..] => Grain { views: part(cols), rows: 1 },
            [1, 0, _] => Grain { views: 1, rows: together },
            [1, ..] => Grain { views: 1, rows: cols },
            [_, 0, _] => Grain { views: part(cols), rows: together },
            _ => Grain { views: LINES.next_multiple_of(together).min(lines), rows: cols },
        };
        if !axes.keeps_lines() {
            let line_bytes = (source.turned[1] * cols) as u64 * value_bytes;
            if axes.place(0) == 2 {
                source.turned[0] = (TURNED_BYTES as u64 / line_bytes.max(1)).clamp(1, TURNED_IMAGES as u64) as usize;
            }
            let decoder = if together == 1 { 0 } else { (8 * together * cols) as u64 };
            source.decoding_bytes = source.turned[0] as u64 * line_bytes + decoder;
        } else if together > 1 {
            source.decoding_bytes = (8 * together * cols) as u64;
        }
        Ok(source)
    }
    pub(super) fn info(&self, path: &Path) -> ScanInfo {
        let turned = if self.axes == Axes::default() { String::new() } else { format!(", axes {}", self.axes) };
        ScanInfo {
            format: "slices",
            path: path.to_owned(),
            details: format!("{} TIFF images, {}{turned}", self.images.len(), self.sample.name()),
            ..ScanInfo::default()
        }
    }
    /// Pixel size and what else the descriptions tell; a tilted axis from the first and the last.
    pub(super) fn made(&self) -> Option<(f64, Made)> {
        let told = |image: &Image| read_description(&image.file.path).ok().and_then(|text| parse_description(&text));
        let (pixel_um, mut made) = told(self.images.first()?)?;
        let last = self.images.len() - 1;
        if self.axes.keeps_images()
            && let (Center::Fixed(px0), Some((_, Made { center: Center::Fixed(px1), .. }))) =
                (made.center, told(self.images.last()?))
            && px0 != px1
        {
            let (row0, row1) = if self.axes.is_back(0) { (last as f64, 0.0) } else { (0.0, last as f64) };
            made.center = Center::Line { row0, px0, row1, px1 };
        }
        Some((pixel_um, made))
    }
    /// Lines and columns of an image.
    pub(super) fn size(&self) -> [usize; 2] {
        self.size
    }
    /// Slices that there are.
    pub(super) fn rows(&self) -> usize {
        self.shape().rows
    }
    pub(super) fn sample(&self) -> Sample {
        self.sample
    }
    /// The sample type, if it is one that can be written.
    pub(super) fn sample_type(&self) -> Option<SampleType> {
        match self.sample {
            Sample::U8 => Some(SampleType::U8),
            Sample::U16 => Some(SampleType::U16),
            Sample::F32 => Some(SampleType::F32),
            _ => None,
        }
    }
    fn image(&self, number: usize) -> Result<&Image> {
        self.images
            .get(number)
            .map(AsRef::as_ref)
            .ok_or_else(|| Error::not_found("slices", "no such image").with("image", number))
    }
    /// Lines of an image; beyond its own edges zeros. All samples are of one type, or numbers would not mean the same.
    fn lines<T: Count>(&self, number: usize, lines: Range<usize>, mut out: ArrayViewMut2<T>) -> Result<()> {
        let image = self.image(number)?;
        if !self.pad {
            return image.read(self.size, Some(self.sample), lines, out);
        }
        let layout = image.layout()?;
        let (rows, cols) = (layout.rows, layout.cols);
        let there = lines.start.min(rows)..lines.end.min(rows);
        if there.len() < lines.len() || cols < self.size[1] {
            out.fill(T::from_u8(0));
        }
        image.read([rows, cols], Some(self.sample), there.clone(), out.slice_mut(s![..there.len(), ..cols]))
    }
    /// The part of the slices in `out`: `asked` along slices, lines and columns.
    pub(super) fn fill<T: Count>(
        &self,
        views: Range<usize>,
        rows: Range<usize>,
        mut out: ArrayViewMut3<T>,
    ) -> Result<()> {
        let axes = self.axes;
        let asked = [rows, views, 0..out.len_of(Axis(2))];
        let [images, lines, cols] = {
            let all = [self.images.len(), self.size[0], self.size[1]];
            [0, 1, 2].map(|axis| axes.range(axis, all[axis], &asked))
        };
        if axes.keeps_lines() {
            for number in images.clone() {
                let at = axes.within(0, &images, &(number..number + 1)).start;
                self.lines(number, lines.clone(), out.index_axis_mut(Axis(axes.place(0)), at))?;
            }
            return Ok(());
        }
        let [most_images, most_lines] = self.turned;
        let most = [most_images.min(images.len()), most_lines.min(lines.len())];
        let mut block = Array3::from_elem((most[0], most[1], self.size[1]), T::from_u8(0));
        for numbers in parts(&images, most_images) {
            let along = Slice::from(axes.within(0, &images, &numbers));
            let mut out = out.slice_axis_mut(Axis(axes.place(0)), along);
            for some in parts(&lines, most_lines) {
                for (number, out) in numbers.clone().zip(block.outer_iter_mut()) {
                    let out = out.split_at(Axis(0), some.len()).0;
                    self.lines(number, some.clone(), out)?;
                }
                let along = Slice::from(axes.within(1, &lines, &some));
                let out = out.slice_axis_mut(Axis(axes.place(1)), along);
                axes.copy(block.slice(s![..numbers.len(), ..some.len(), cols.clone()]), out);
            }
        }
        Ok(())
    }
}

/// A range in parts of at most `step`.
fn parts(all: &Range<usize>, step: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let end = all.end;
    all.clone().step_by(step.max(1)).map(move |start| start..(start + step).min(end))
}

impl FrameSource for SliceSource {
    fn shape(&self) -> ScanShape {
        let [rows, views, cols] = self.axes.sizes([self.images.len(), self.size[0], self.size[1]]);
        ScanShape { views, rows, cols, flats: 0 }
    }

    fn read_rows(&self, frame: Frame, rows: Range<usize>, out: ArrayViewMut2<f32>) -> Result<()> {
        check_band(self.shape(), &rows, &out)?;
        let Frame::View(view) = frame else {
            return Err(Error::not_found("slices", "no such frame").with("frame", format!("{frame:?}")));
        };
        self.fill(view..view + 1, rows, out.insert_axis(Axis(1)))
    }

    fn read_band(&self, views: Range<usize>, rows: Range<usize>, out: ArrayViewMut3<f32>) -> Result<()> {
        self.fill(views, rows, out)
    }

    fn count_type(&self) -> CountType {
        self.sample.count_type()
    }

    fn read_band_u16(&self, views: Range<usize>, rows: Range<usize>, out: ArrayViewMut3<u16>) -> Result<()> {
        self.fill(views, rows, out)
    }

    fn grain(&self) -> Grain {
        self.grain
    }

    fn decoding_bytes(&self) -> u64 {
        self.decoding_bytes
    }

    fn frame_bytes(&self) -> u64 {
        self.bytes
    }

    fn identity(&self) -> Result<String> {
        let mut identity = Identity::default();
        // What is read of the same files.
        let how = if self.axes == Axes::default() { String::new() } else { format!(" {}", self.axes) };
        let role = format!("slice{how}{}", if self.pad { " padded" } else { "" });
        for image in &self.images {
            identity.add(&role, &image.file.path, image.place())?;
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
        assert_eq!((pixel, made.views, made.center, made.levels), (5.64, 180, Center::Fixed(49.5), None));
        let (_, made) = parse_description("5.64\t49.5\t180\t0.1\t-1.5\t20.25\t-2\t21.5").unwrap();
        assert_eq!(made.levels, Some((-2.0, 21.5)));
        assert!(parse_description("ImageJ=1.54p").is_none());
        assert!(parse_description("0\t1\t2\t3\t4\t5").is_none());
    }
}
