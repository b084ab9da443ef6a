//! Whole raw frames of 8 to 16 bits, one at a time: in from `.his`, `.img` and TIFF files, out as `.img` or TIFF.
//!
//! A file under its final name is whole: it is written aside and renamed. Must not know: scans, roles of frames.

use super::bytes::{open_file, read_at};
use super::hamamatsu::{self, HEADER};
use super::his;
use super::images::{Group, Image, Pixels};
use super::stack::pages_of;
use crate::error::{Error, Result};
use crate::scan::CountType;
use ndarray::{Array2, ArrayView2};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tiff::encoder::{TiffEncoder, colortype::Gray16};
use tiff::tags::Tag;

/// One frame in counts.
#[derive(Clone, Debug, PartialEq)]
pub struct RawFrame {
    /// `[row, col]`; 8 and 12 bits as they are, not scaled.
    pub pixels: Array2<u16>,
    /// What its file says beside: the comment of a Hamamatsu frame, the ImageDescription of a TIFF image.
    pub comment: Vec<u8>,
    /// First column and row on the detector, as a Hamamatsu header has it.
    pub offset_px: [u16; 2],
}

/// The frames of one file.
pub struct RawFrames {
    path: PathBuf,
    images: Group,
    declared: Option<usize>,
    notes: Vec<String>,
    hamamatsu: bool,
}

impl RawFrames {
    /// Opens a `.his` or `.img` file, or a TIFF file with any number of pages (other endings count as TIFF). Only headers are
    /// read. A frame at the end of a `.his` file that is cut off is left out, with a remark.
    ///
    /// Errors: `NOT_FOUND`, `FORMAT` for what is no such file or damaged, `UNSUPPORTED` for other kinds of pixels.
    pub fn open(path: &Path) -> Result<Self> {
        let named = |extension: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
        let (images, declared, notes) = if named("his") {
            let index = his::index(path)?;
            let notes = index.notes(path);
            (index.frames, Some(index.declared as usize), notes)
        } else if named("img") {
            let image = Image::lazy(path.to_owned(), hamamatsu::img);
            image.layout()?;
            (vec![image], None, Vec::new())
        } else {
            (pages_of(path)?, None, Vec::new())
        };
        Ok(RawFrames { path: path.to_owned(), images, declared, notes, hamamatsu: named("his") || named("img") })
    }
    /// Complete frames in the file.
    pub fn len(&self) -> usize {
        self.images.len()
    }
    /// Never: a file without a frame is not opened.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }
    /// Frames that the header of a `.his` file promises, which need not be true.
    pub fn declared(&self) -> Option<usize> {
        self.declared
    }
    /// What a user should know of the file.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
    /// Rows and columns of the first frame; in a `.his` file all have them.
    pub fn size(&self) -> Result<[usize; 2]> {
        let layout = self.image(0)?.layout()?;
        Ok([layout.rows, layout.cols])
    }
    fn image(&self, index: usize) -> Result<&Image> {
        self.images.get(index).map(AsRef::as_ref).ok_or_else(|| {
            let message = format!("the file has no such frame; it has {}, counted from 1", self.images.len());
            Error::not_found(self.path.display(), message).with("frame", index + 1)
        })
    }
    /// Frame `index`, from 0.
    pub fn read(&self, index: usize) -> Result<RawFrame> {
        let image = self.image(index)?;
        let mut frame = read_image(image)?;
        if self.hamamatsu {
            let file = open_file(&self.path)?;
            let end = |image: &Image| -> Result<u64> {
                let layout = image.layout()?;
                Ok(first_byte(image)? + layout.sample.bytes((layout.rows * layout.cols) as u64))
            };
            let start = index.checked_sub(1).map_or(Ok(0), |before| end(self.image(before)?))?;
            let pixels = first_byte(image)?;
            let mut head = vec![0; pixels.saturating_sub(start) as usize];
            read_at(&file, &self.path, start, &mut head)?;
            let u16_at = |i: usize| u16::from_le_bytes([head[i], head[i + 1]]);
            if head.len() >= HEADER as usize {
                frame.offset_px = [u16_at(8), u16_at(10)];
                frame.comment = head.split_off(HEADER as usize);
            }
        } else if index == 0 {
            // Most TIFF files have one.
            frame.comment = super::read_description(&self.path).unwrap_or_default().into_bytes();
        }
        Ok(frame)
    }
}

fn first_byte(image: &Image) -> Result<u64> {
    match &image.layout()?.pixels {
        Pixels::Plain { offsets, .. } => Ok(offsets.first().copied().unwrap_or(0)),
        Pixels::Encoded(_) => Err(Error::internal(image.file.path.display(), "a Hamamatsu frame in strips")),
    }
}

/// The pixels of an image of at most 16 bits, without a comment.
pub(super) fn read_image(image: &Image) -> Result<RawFrame> {
    let layout = image.layout()?;
    if layout.sample.count_type() != CountType::U16 {
        let message = format!("expected counts of 8, 12 or 16 bits, but the image is {}", layout.sample.name());
        return Err(Error::unsupported(image.file.path.display(), message));
    }
    let size = [layout.rows, layout.cols];
    let mut pixels = Array2::<u16>::zeros(size);
    image.read(size, Some(layout.sample), 0..layout.rows, pixels.view_mut())?;
    Ok(RawFrame { pixels, comment: Vec::new(), offset_px: [0, 0] })
}

/// Mean of frames, cut off to whole counts as ct-rec does, with the comment and offset of the last.
#[derive(Default)]
pub struct FrameMean {
    sum: Array2<u64>,
    count: u64,
    last: Option<([u16; 2], Vec<u8>)>,
}

impl FrameMean {
    /// Adds a frame, which must have the size of the others; `place` names it in the error.
    pub fn add(&mut self, frame: RawFrame, place: impl std::fmt::Display) -> Result<()> {
        if self.count == 0 {
            self.sum = Array2::zeros(frame.pixels.raw_dim());
        }
        if self.sum.dim() != frame.pixels.dim() {
            let size = |(rows, cols): (usize, usize)| format!("{cols} x {rows}");
            let message = "the frame has another size than those before it: all must be alike";
            return Err(Error::format(place, message)
                .with("size", size(frame.pixels.dim()))
                .with("others", size(self.sum.dim())));
        }
        self.sum.zip_mut_with(&frame.pixels, |sum, v| *sum += u64::from(*v));
        self.count += 1;
        self.last = Some((frame.offset_px, frame.comment));
        Ok(())
    }
    /// The mean; `None` without a frame.
    pub fn mean(self) -> Option<RawFrame> {
        let (offset_px, comment) = self.last?;
        let count = self.count;
        // A mean of 16-bit numbers is one.
        Some(RawFrame { pixels: self.sum.mapv(|sum| (sum / count) as u16), comment, offset_px })
    }
}

/// Where a file is written before it gets its name.
pub(super) fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Writes aside and renames; what was begun is removed on an error.
pub(super) fn in_whole(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let aside = part(path);
    let renamed = |()| fs::rename(&aside, path).map_err(|e| Error::io(path.display(), "rename", e));
    write(&aside).and_then(renamed).inspect_err(|_| drop(fs::remove_file(&aside)))
}

/// Writes a HiPic `.img` file of 16 bits. The comment is cut off at 65535 bytes.
///
/// Errors: `LIMIT` for more than 65535 rows or columns, which the header cannot hold.
pub fn write_img(path: &Path, frame: &RawFrame) -> Result<()> {
    let (rows, cols) = frame.pixels.dim();
    let (Ok(rows), Ok(cols)) = (u16::try_from(rows), u16::try_from(cols)) else {
        let message = "an .img file holds at most 65535 x 65535 pixels";
        return Err(Error::limit(path.display(), message).with("cols", cols).with("rows", rows));
    };
    let comment = &frame.comment[..frame.comment.len().min(usize::from(u16::MAX))];
    let mut head = [0u8; HEADER as usize];
    head[..2].copy_from_slice(b"IM");
    let fields = [comment.len() as u16, cols, rows, frame.offset_px[0], frame.offset_px[1], 2];
    for (at, field) in head[2..].chunks_exact_mut(2).zip(fields) {
        at.copy_from_slice(&field.to_le_bytes());
    }
    in_whole(path, |aside| {
        let write = || -> std::io::Result<()> {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(aside)?);
            file.write_all(&head)?;
            file.write_all(comment)?;
            let bytes: Vec<u8> = frame.pixels.iter().flat_map(|v| v.to_le_bytes()).collect();
            file.write_all(&bytes)?;
            file.into_inner().map(drop).map_err(std::io::IntoInnerError::into_error)
        };
        write().map_err(|e| Error::io(path.display(), "write", e))
    })
}

/// Writes a 16-bit grey TIFF file. Characters of `description` that TIFF does not allow become `?`; an empty one is left out.
pub fn write_frame_tiff(path: &Path, pixels: ArrayView2<u16>, description: &str, artist: &str) -> Result<()> {
    let place = path.display();
    let failed = |e: tiff::TiffError| match e {
        tiff::TiffError::IoError(e) => Error::io(&place, "write", e),
        e => Error::internal(&place, "cannot encode TIFF").caused_by(e),
    };
    let text: String = description.chars().map(|c| if c.is_ascii() && c != '\0' { c } else { '?' }).collect();
    in_whole(path, |aside| {
        let file = File::create(aside).map_err(|e| Error::io(&place, "create", e))?;
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        let mut encoder = TiffEncoder::new(&mut writer).map_err(failed)?;
        let mut image = encoder.new_image::<Gray16>(pixels.ncols() as u32, pixels.nrows() as u32).map_err(failed)?;
        if !text.is_empty() {
            image.encoder().write_tag(Tag::ImageDescription, text.as_str()).map_err(failed)?;
        }
        image.encoder().write_tag(Tag::Artist, artist).map_err(failed)?;
        let pixels = pixels.as_standard_layout();
        image.write_data(pixels.as_slice().unwrap_or_default()).map_err(failed)?;
        writer.into_inner().map(drop).map_err(|e| Error::io(&place, "write", e.into_error()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn frames_come_back_as_they_were_written() {
        let dir = tempfile::tempdir().expect("a folder");
        for comment in [0, 1, 70000] {
            let comment: Vec<u8> = (0..comment).map(|i| b'a' + (i % 26) as u8).collect();
            let frame = RawFrame { pixels: array![[0, 1, 65535], [7, 256, 3]], comment, offset_px: [12, 345] };
            let path = dir.path().join("a.img");
            write_img(&path, &frame).expect("a file");
            let back = RawFrames::open(&path).expect("it").read(0).expect("a frame");
            assert_eq!((&back.pixels, back.offset_px), (&frame.pixels, frame.offset_px));
            assert_eq!(back.comment, frame.comment[..frame.comment.len().min(65535)]);
        }
        let path = dir.path().join("a.tif");
        write_frame_tiff(&path, array![[1u16, 65535]].view(), "one µm", "me").expect("a file");
        let back = RawFrames::open(&path).expect("it").read(0).expect("a frame");
        assert_eq!((back.pixels, back.comment), (array![[1u16, 65535]], b"one ?m".to_vec()));
        assert_eq!(fs::read_dir(dir.path()).expect("files").count(), 2);
    }

    #[test]
    fn the_mean_is_cut_off_and_sizes_must_agree() {
        let frame = |pixels| RawFrame { pixels, comment: b"c".to_vec(), offset_px: [1, 2] };
        let mut mean = FrameMean::default();
        mean.add(frame(array![[1, 65535]]), "a").expect("the first");
        mean.add(frame(array![[2, 65535]]), "b").expect("the second");
        let error = mean.add(frame(array![[2], [3]]), "c").expect_err("another size").to_string();
        assert!(error.starts_with("c: the frame has another size"), "{error}");
        assert_eq!(mean.mean(), Some(frame(array![[1, 65535]])));
        assert_eq!(FrameMean::default().mean(), None);
    }
}
