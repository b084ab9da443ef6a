//! Volumes of a z-scan on top of each other: where they share slices, one goes over into the other.
//!
//! Must not know: how slices are read, how shared slices are found.

use super::axes::Axes;
use super::series;
use super::slices::SliceSource;
use crate::error::{Error, Result};
use crate::post::register::{self, Joint, Search};
use crate::post::shape::{Binning, bin, place};
use crate::scan::{Frame, FrameSource, Grain, Scan, ScanInfo, ScanShape, check_band};
use crate::slab::Domain;
use ndarray::{Array2, Array3, ArrayViewMut2, ArrayViewMut3, Axis, s};
use std::ops::Range;
use std::path::PathBuf;

/// Fewest slices that may be found to overlap.
const LEAST: usize = 3;
/// Columns and lines of the strips in which the overlap is looked for first.
const STRIP: [usize; 2] = [12, 192];
/// Shift that is looked for there, pixels of the strips.
const STRIP_SHIFT: usize = 2;
/// Slices that are compared pixel by pixel.
const COMPARED: usize = 24;
/// Below, an overlap is not believed.
const BELIEVED: f64 = 0.3;

/// How shifts within slices are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shift {
    /// There are none.
    #[default]
    Off,
    /// Found and taken back by whole pixels, so that values stay as they are.
    Whole,
    /// Found and taken back by fractions, with linear interpolation.
    Fraction,
}

/// How volumes are stacked.
#[derive(Clone, Debug, Default)]
pub struct StackOptions {
    /// Slices that each volume shares with the next, one number for all or one for each joint; found if empty.
    pub overlaps: Vec<usize>,
    /// Shifts within slices.
    pub shift: Shift,
    /// The upper volume ends and the lower begins in the middle of the overlap; else one fades into the other.
    pub cut: bool,
}

/// A volume and where it is.
struct Part {
    source: SliceSource,
    rows: Range<usize>,
    /// A pixel of the stack is at its place plus this in the volume: lines, columns.
    shift: [f64; 2],
}

struct StackSource {
    parts: Vec<Part>,
    cut: bool,
}

/// Opens the volumes at `paths`, each as a [`super::open_volume`], from the first slices on, as one.
///
/// Where overlaps or shifts are looked for, a band of lines through the middle of the slices that may overlap is read: up to two
/// thirds of the lower of two volumes. What was found is a remark.
///
/// Errors: `INVALID` if sizes, types or pixel sizes differ, or overlaps do not fit; `UNSUPPORTED` if no overlap is found.
pub fn open_stack(paths: &[PathBuf], options: &StackOptions) -> Result<Scan> {
    let invalid = |message: &str| Error::invalid("stack", message);
    let mut sources = Vec::new();
    let (mut folders, mut notes) = (Vec::new(), Vec::new());
    for path in paths {
        let found = series::find(path)?;
        notes.extend(found.note);
        folders.push(found.folder);
        sources.push(SliceSource::new(path, found.images, Axes::default(), false)?);
    }
    let (Some(first), Some(path)) = (sources.first(), paths.first()) else {
        return Err(invalid("expected two or more folders of slices"));
    };
    let made = first.made();
    for (source, path) in sources.iter().zip(paths).skip(1) {
        let alike = source.size() == first.size() && source.sample() == first.sample();
        let pixel = source.made().map(|(pixel_um, _)| pixel_um);
        if !alike || pixel != made.as_ref().map(|(pixel_um, _)| *pixel_um) {
            let message = "the volumes of a stack must have the same width and height, sample type and pixel size";
            return Err(Error::invalid(path.display(), message).with("others", paths[0].display()));
        }
    }
    let joints = sources.len() - 1;
    let given = match options.overlaps.as_slice() {
        [] => None,
        [one] => Some(vec![*one; joints]),
        many if many.len() == joints => Some(many.to_vec()),
        _ => return Err(invalid("expected one overlap for all volumes, or one for each joint").with("joints", joints)),
    };
    let (mut overlaps, mut shifts) = (Vec::new(), vec![[0.0; 2]]);
    for (k, pair) in sources.windows(2).enumerate() {
        let (upper, lower) = (paths[k].display(), paths[k + 1].display());
        let known = given.as_ref().map(|given| given[k]);
        let rows = pair[0].rows().min(pair[1].rows());
        if known.is_some_and(|overlap| overlap >= rows) {
            let message = "the overlap must be smaller than the volumes";
            return Err(Error::invalid(&lower, message).with("overlap", known.unwrap_or(0)).with("slices", rows));
        }
        let mut joint = Joint { overlap: known.unwrap_or(0), shift: [0.0; 2], correlation: 0.0, confidence: 1.0 };
        if known.is_none() || (options.shift != Shift::Off && known != Some(0)) {
            joint = find(&pair[0], &pair[1], known, options.shift != Shift::Off)?
                .filter(|joint| known.is_some() || joint.confidence >= BELIEVED)
                .ok_or_else(|| {
                    let message = "no overlap was found between these volumes; give overlap=SLICES, and see that they follow \
                                   each other from the first slices on";
                    Error::unsupported(format!("{upper}, {lower}"), message)
                })?;
            let Joint { overlap, shift: [dy, dx], correlation, confidence } = joint;
            let moved = if options.shift == Shift::Off {
                String::new()
            } else {
                format!(", shifted by {dx:.2}, {dy:.2} px (x, y)")
            };
            notes.push(format!(
                "{upper} and {lower}: {overlap} slices overlap{moved} (correlation {correlation:.2}, confidence {confidence:.2})"
            ));
        }
        let step = if options.shift == Shift::Whole { joint.shift.map(f64::round) } else { joint.shift };
        let before = shifts[k];
        shifts.push([before[0] + step[0], before[1] + step[1]]);
        overlaps.push(joint.overlap);
    }
    // Never more than two volumes at a height.
    if let Some(k) = (1..joints).find(|k| overlaps[k - 1] + overlaps[*k] > sources[*k].rows()) {
        return Err(Error::invalid(paths[k].display(), "the volume overlaps with both neighbours in the same slices"));
    }
    let mut info = ScanInfo { path: path.clone(), folders, notes, domain: Domain::Volume, ..first.info(path) };
    info.details = format!("{} volumes, {}", sources.len(), info.details);
    info.sample = first.sample_type();
    info.first_number = series::find(path)?.names.first().and_then(|name| series::number(name));
    if let Some((pixel_um, made)) = made {
        (info.pixel_um, info.made) = (Some(pixel_um), Some(made));
    }
    let (mut parts, mut start): (Vec<Part>, usize) = (Vec::new(), 0);
    for (k, (source, shift)) in sources.into_iter().zip(shifts).enumerate() {
        let rows = start..start + source.rows();
        start = rows.end - overlaps.get(k).copied().unwrap_or(0);
        parts.push(Part { source, rows, shift });
    }
    Scan::new(Box::new(StackSource { parts, cut: options.cut }), info)
}

/// A band through the middle of slices, as it is and binned.
struct Strips {
    lines: Range<usize>,
    cols: Range<usize>,
    bin: usize,
}

impl Strips {
    fn of(source: &SliceSource) -> Self {
        let [height, width] = source.size();
        // Away from the edge of the field of view, which is the same in all slices.
        let middle = |size: usize, part: usize| (size - part.clamp(1, size)) / 2..(size + part.clamp(1, size)) / 2;
        let wide = (width * 7 / 10).max(width.min(16));
        let bin = wide.div_ceil(STRIP[1]);
        Strips { lines: middle(height, (STRIP[0] * bin).max(64).min(height * 7 / 10)), cols: middle(width, wide), bin }
    }
    fn read(&self, source: &SliceSource, rows: Range<usize>, mut each: impl FnMut(usize, Array2<f32>)) -> Result<()> {
        let mut band = Array3::zeros((1, self.lines.len(), source.size()[1]));
        for (i, row) in rows.enumerate() {
            source.fill(self.lines.clone(), row..row + 1, band.view_mut())?;
            each(i, band.slice(s![0, .., self.cols.clone()]).to_owned());
        }
        Ok(())
    }
    /// Binned slices, and the mean of all as they are.
    fn coarse(&self, source: &SliceSource, rows: Range<usize>) -> Result<(Array3<f32>, Array2<f64>)> {
        let (height, width) = (self.lines.len(), self.cols.len());
        let mut mean = Array2::<f64>::zeros((height, width));
        let mut coarse = Array3::zeros((rows.len(), (height / self.bin).max(1), (width / self.bin).max(1)));
        let count = rows.len() as f64;
        self.read(source, rows, |i, slice| {
            mean.zip_mut_with(&slice, |m, v| *m += f64::from(*v) / count);
            let window = slice.view().insert_axis(Axis(0));
            bin(window, [self.bin; 2], Binning::Mean, coarse.index_axis_mut(Axis(0), i));
        })?;
        Ok((coarse, mean))
    }
    fn fine(&self, source: &SliceSource, rows: Range<usize>, mean: &Array2<f64>) -> Result<Array3<f32>> {
        let mut fine = Array3::zeros((rows.len(), self.lines.len(), self.cols.len()));
        self.read(source, rows, |i, slice| fine.index_axis_mut(Axis(0), i).assign(&slice))?;
        register::details(&mut fine, mean.view());
        Ok(fine)
    }
}

/// Looks for the overlap unless it is `known`, and for the shift if asked to.
fn find(upper: &SliceSource, lower: &SliceSource, known: Option<usize>, shifts: bool) -> Result<Option<Joint>> {
    let strips = Strips::of(upper);
    let rows = upper.rows();
    let most = known.unwrap_or(upper.rows().min(lower.rows()) * 2 / 3);
    let least = known.unwrap_or(LEAST);
    if most < least.max(1) {
        return Ok(None);
    }
    let (mut above, above_mean) = strips.coarse(upper, rows - most..rows)?;
    let (mut below, below_mean) = strips.coarse(lower, 0..most)?;
    let mean = register::mean(above.view());
    register::details(&mut above, mean.view());
    let mean = register::mean(below.view());
    register::details(&mut below, mean.view());
    let search = Search { least, most, shift: if shifts { STRIP_SHIFT } else { 0 } };
    let Some(found) = register::search(above.view(), below.view(), &search) else { return Ok(None) };
    // The same, pixel by pixel, for some slices in the middle of the overlap.
    let count = found.overlap.min(COMPARED);
    let from = (found.overlap - count) / 2;
    let around = if known.is_some() { 0 } else { strips.bin };
    let at = rows - found.overlap + from;
    let begin = at.saturating_sub(around);
    let above = strips.fine(upper, begin..(at + count + around).min(rows), &above_mean)?;
    let below = strips.fine(lower, from..from + count, &below_mean)?;
    let guess = found.shift.map(|d| d as isize * strips.bin as isize);
    let (first, shift, correlation) =
        register::refine(above.view(), below.view(), (at - begin, guess), strips.bin, shifts);
    // Slice `from` of the lower volume is slice `begin + first` of the upper one.
    let overlap = (rows + from).saturating_sub(begin + first);
    Ok((overlap < lower.rows()).then_some(Joint { overlap, shift, correlation, ..found }))
}

impl StackSource {
    /// The volume that a slice is made from; in the overlap the lower one too, and its part.
    fn at(&self, row: usize) -> Option<(&Part, Option<(&Part, f64)>)> {
        let mut here = self.parts.iter().filter(|part| part.rows.contains(&row));
        let upper = here.next()?;
        let Some(lower) = here.next() else { return Some((upper, None)) };
        let (overlap, i) = (upper.rows.end - lower.rows.start, row - lower.rows.start);
        Some(match self.cut {
            true if 2 * i < overlap => (upper, None),
            true => (lower, None),
            false => (upper, Some((lower, (i + 1) as f64 / (overlap + 1) as f64))),
        })
    }
    fn fill(&self, views: Range<usize>, rows: Range<usize>, mut out: ArrayViewMut3<f32>) -> Result<()> {
        for (row, mut out) in rows.zip(out.outer_iter_mut()) {
            let (part, other) =
                self.at(row).ok_or_else(|| Error::not_found("stack", "no such slice").with("slice", row))?;
            part.read(row, views.clone(), out.view_mut())?;
            if let Some((lower, share)) = other {
                let mut other = Array2::zeros(out.raw_dim());
                lower.read(row, views.clone(), other.view_mut())?;
                // So that equal values stay what they are.
                out.zip_mut_with(&other, |o, v| *o = (f64::from(*o) + share * (f64::from(*v) - f64::from(*o))) as f32);
            }
        }
        Ok(())
    }
}

impl Part {
    /// Lines of a slice of the stack; beyond the edges of the volume zeros.
    fn read(&self, row: usize, views: Range<usize>, mut out: ArrayViewMut2<f32>) -> Result<()> {
        let row = row - self.rows.start;
        let [height, width] = self.source.size().map(|n| n as isize);
        if self.shift == [0.0; 2] {
            return self.source.fill(views, row..row + 1, out.insert_axis(Axis(0)));
        }
        let [whole_y, whole_x] = self.shift.map(|d| d.floor() as isize);
        let [fy, fx] = [self.shift[0] - whole_y as f64, self.shift[1] - whole_x as f64];
        // One more line, for interpolation.
        let asked = views.start as isize + whole_y..views.end as isize + whole_y + 1;
        let there = asked.start.clamp(0, height)..asked.end.clamp(0, height);
        let mut band = Array3::<f32>::zeros((1, there.len(), width as usize));
        self.source.fill(there.start as usize..there.end as usize, row..row + 1, band.view_mut())?;
        if fy == 0.0 && fx == 0.0 {
            out.fill(0.0);
            place(band.index_axis(Axis(0), 0), [there.start - asked.start, -whole_x], out);
            return Ok(());
        }
        let at = |y: isize, x: isize| {
            let inside = there.contains(&y) && (0..width).contains(&x);
            if inside { f64::from(band[[0, (y - there.start) as usize, x as usize]]) } else { 0.0 }
        };
        for (y, mut line) in out.outer_iter_mut().enumerate() {
            let y = asked.start + y as isize;
            for (x, out) in line.iter_mut().enumerate() {
                let x = x as isize + whole_x;
                let along = |y: isize| (1.0 - fx) * at(y, x) + fx * at(y, x + 1);
                *out = ((1.0 - fy) * along(y) + fy * along(y + 1)) as f32;
            }
        }
        Ok(())
    }
}

impl FrameSource for StackSource {
    fn shape(&self) -> ScanShape {
        let [views, cols] = self.parts[0].source.size();
        ScanShape { views, rows: self.parts.last().map_or(0, |part| part.rows.end), cols, flats: 0 }
    }
    fn read_rows(&self, frame: Frame, rows: Range<usize>, out: ArrayViewMut2<f32>) -> Result<()> {
        check_band(self.shape(), &rows, &out)?;
        let Frame::View(view) = frame else {
            return Err(Error::not_found("stack", "no such frame").with("frame", format!("{frame:?}")));
        };
        self.fill(view..view + 1, rows, out.insert_axis(Axis(1)))
    }
    fn read_band(&self, views: Range<usize>, rows: Range<usize>, out: ArrayViewMut3<f32>) -> Result<()> {
        self.fill(views, rows, out)
    }
    fn grain(&self) -> Grain {
        self.parts[0].source.grain()
    }
    fn decoding_bytes(&self) -> u64 {
        // A slice of the other volume, and one that is moved.
        let ScanShape { views, cols, .. } = self.shape();
        self.parts[0].source.decoding_bytes() + (8 * views * cols) as u64
    }
    fn frame_bytes(&self) -> u64 {
        self.parts[0].source.frame_bytes()
    }
    fn identity(&self) -> Result<String> {
        let mut lines = Vec::new();
        for Part { source, rows, shift } in &self.parts {
            lines.push(format!("slices {}..{} shifted by {shift:?}: {}", rows.start, rows.end, source.identity()?));
        }
        Ok(format!("{}{}", lines.join("; "), if self.cut { ", cut" } else { "" }))
    }
}
