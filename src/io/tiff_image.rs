//! One TIFF page: where its rows are, or how to decode the strips and tiles that a band of rows touches.
//!
//! Must not know: scans, roles of frames.

use super::bytes::{Sample, file_len, open_file};
use super::count::Count;
use super::images::{Layout, Pixels};
use crate::error::{Error, Result};
use ndarray::{ArrayViewMut1, ArrayViewMut2, s};
use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::path::Path;
use tiff::ColorType;
use tiff::decoder::{ChunkType, Decoder, DecodingResult, Limits};
use tiff::tags::{ByteOrder, Tag};

/// A decoder with the file open.
pub(crate) type PageDecoder = Decoder<BufReader<File>>;

/// No codec of TIFF packs more than about 2700 bytes into one (LZW); a header that claims more is damaged, and must
/// not make us ask for its memory.
const MAX_RATIO: u64 = 4096;

/// Chunks of a page that is not plain rows.
#[derive(Clone, Debug)]
pub(crate) struct Chunks {
    pub(crate) page: usize,
    chunk_rows: usize,
    chunk_cols: usize,
    white_is_zero: bool,
}

fn damaged(path: &Path, error: tiff::TiffError) -> Error {
    use tiff::TiffError as E;
    let place = path.display();
    match error {
        E::IoError(e) => Error::io(place, "read", e),
        E::UnsupportedError(e) => Error::unsupported(place, format!("this kind of TIFF is not read: {e}")),
        E::LimitsExceeded => Error::limit(place, "a strip or tile of the TIFF is larger than 2 GiB"),
        e => Error::format(place, format!("the TIFF file is damaged: {e}")),
    }
}

/// Opens a file as TIFF. Limits: 2 GiB for a strip or tile, 256 MiB for a tag (strip lists of huge stacks).
pub(crate) fn decoder(path: &Path) -> Result<PageDecoder> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = 2 << 30;
    limits.intermediate_buffer_size = 2 << 30;
    limits.ifd_value_size = 256 << 20;
    let decoder = Decoder::new(BufReader::new(open_file(path)?)).map_err(|e| damaged(path, e))?;
    Ok(decoder.with_limits(limits))
}

/// Layout of the only page of a file; for projections in one file each.
pub(crate) fn single(path: &Path, file: &File) -> Result<Layout> {
    let mut decoder = decoder(path)?;
    let layout = page(&mut decoder, path, file, 0)?;
    if decoder.more_images() || imagej_frames(&mut decoder) > 1 {
        let message = "the file holds several images, but one projection per file is expected in a folder; \
                       a single file with all projections can be opened by its own name";
        return Err(Error::format(path.display(), message));
    }
    Ok(layout)
}

/// Layouts of all pages, or of all frames of an ImageJ stack that has one page for a block of many frames.
pub(crate) fn all(path: &Path, file: &File) -> Result<Vec<Layout>> {
    let mut decoder = decoder(path)?;
    let mut layouts = vec![page(&mut decoder, path, file, 0)?];
    let claimed = imagej_frames(&mut decoder);
    while decoder.more_images() {
        decoder.next_image().map_err(|e| damaged(path, e))?;
        layouts.push(page(&mut decoder, path, file, layouts.len())?);
    }
    if layouts.len() == 1
        && claimed > 1
        && let Pixels::Plain { big_endian, offsets, .. } = &layouts[0].pixels
    {
        let Layout { rows, cols, sample, .. } = layouts[0];
        let (big_endian, first) = (*big_endian, offsets.first().copied().unwrap_or(0));
        let bytes = sample.bytes((rows * cols) as u64);
        let needed = bytes.saturating_mul(claimed).saturating_add(first);
        super::images::check_length(file, path, needed)?;
        layouts = (0..claimed)
            .map(|i| {
                let pixels = block(big_endian, rows, first + i * bytes);
                Layout { rows, cols, sample, pixels }
            })
            .collect();
    }
    Ok(layouts)
}

fn block(big_endian: bool, rows: usize, offset: u64) -> Pixels {
    Pixels::Plain { big_endian, rows_per_strip: rows, offsets: vec![offset] }
}

/// ImageJ writes stacks above 4 GiB as one page followed by the other frames, and says so in the description.
fn imagej_frames(decoder: &mut PageDecoder) -> u64 {
    let Ok(text) = decoder.get_tag_ascii_string(Tag::ImageDescription) else { return 0 };
    if !text.starts_with("ImageJ=") {
        return 0;
    }
    text.lines().find_map(|l| l.strip_prefix("images=")?.trim().parse().ok()).unwrap_or(0)
}

/// Layout of the page at which the decoder stands.
fn page(decoder: &mut PageDecoder, path: &Path, file: &File, page: usize) -> Result<Layout> {
    let place = path.display();
    let (width, height) = decoder.dimensions().map_err(|e| damaged(path, e))?;
    let (rows, cols) = (height as usize, width as usize);
    if rows == 0 || cols == 0 {
        return Err(Error::format(place, "the image has no pixels"));
    }
    let bits = match decoder.colortype().map_err(|e| damaged(path, e))? {
        ColorType::Gray(bits) => bits,
        other => {
            let message = "expected a grey image with one sample per pixel";
            return Err(Error::unsupported(place, message).with("colour", format!("{other:?}")));
        }
    };
    let number = |d: &mut PageDecoder, tag| d.find_tag_unsigned::<u64>(tag).map_err(|e| damaged(path, e));
    let format = number(decoder, Tag::SampleFormat)?.unwrap_or(1);
    let sample = match (bits, format) {
        (8, 1) => Sample::U8,
        (8, 2) => Sample::I8,
        (16, 1) => Sample::U16,
        (16, 2) => Sample::I16,
        (32, 1) => Sample::U32,
        (32, 2) => Sample::I32,
        (32, 3) => Sample::F32,
        (64, 3) => Sample::F64,
        _ => {
            let message = "expected 8, 16 or 32-bit integers or 32 or 64-bit floats";
            return Err(Error::unsupported(place, message).with("bits", bits).with("sample_format", format));
        }
    };
    let length = file_len(file, path)?;
    let plain = number(decoder, Tag::Compression)?.unwrap_or(1) == 1
        && matches!(decoder.get_chunk_type(), ChunkType::Strip)
        && number(decoder, Tag::Predictor)?.unwrap_or(1) == 1;
    if !plain {
        if sample.bytes(rows as u64 * cols as u64) > length.saturating_mul(MAX_RATIO) {
            return Err(Error::format(place, "the TIFF file is damaged or cut off: too short for its image"));
        }
        let white_is_zero = number(decoder, Tag::PhotometricInterpretation)? == Some(0);
        if white_is_zero && !matches!(sample, Sample::U8 | Sample::U16 | Sample::U32) {
            return Err(Error::unsupported(place, "compressed white-is-zero images are read as integers only"));
        }
        let (chunk_cols, chunk_rows) = decoder.chunk_dimensions();
        let (chunk_rows, chunk_cols) = (chunk_rows as usize, chunk_cols as usize);
        if chunk_rows == 0 || chunk_cols == 0 {
            return Err(Error::format(place, "the TIFF file is damaged: strips without rows"));
        }
        let pixels = Pixels::Encoded(Chunks { page, chunk_rows, chunk_cols, white_is_zero });
        return Ok(Layout { rows, cols, sample, pixels });
    }
    let offsets = decoder.get_tag_u64_vec(Tag::StripOffsets).map_err(|e| damaged(path, e))?;
    let rows_per_strip = number(decoder, Tag::RowsPerStrip)?.unwrap_or(height as u64).clamp(1, height as u64) as usize;
    if offsets.len() < rows.div_ceil(rows_per_strip) {
        return Err(Error::format(place, "the TIFF file is damaged: strips are missing")
            .with("strips", offsets.len())
            .with("expected", rows.div_ceil(rows_per_strip)));
    }
    for (i, &offset) in offsets.iter().take(rows.div_ceil(rows_per_strip)).enumerate() {
        let strip_rows = rows_per_strip.min(rows - i * rows_per_strip);
        let needed = offset.saturating_add(sample.bytes(strip_rows as u64 * cols as u64));
        super::images::check_length(file, path, needed)?;
    }
    let big_endian = matches!(decoder.byte_order(), ByteOrder::BigEndian);
    let strip_bytes = sample.bytes(rows_per_strip as u64 * cols as u64);
    if offsets.windows(2).all(|w| w[0].checked_add(strip_bytes) == Some(w[1])) {
        // One block, as most writers leave it: one read for any band, and no list of strips to keep for each frame.
        return Ok(Layout { rows, cols, sample, pixels: block(big_endian, rows, offsets[0]) });
    }
    Ok(Layout { rows, cols, sample, pixels: Pixels::Plain { big_endian, rows_per_strip, offsets } })
}

impl Chunks {
    /// Rows that are decoded together.
    pub(crate) fn rows(&self) -> usize {
        self.chunk_rows
    }

    /// Decodes the strips or tiles that touch `rows`.
    pub(crate) fn read<T: Count>(
        &self,
        decoder: &mut PageDecoder,
        path: &Path,
        layout: &Layout,
        rows: Range<usize>,
        mut out: ArrayViewMut2<T>,
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        decoder.seek_to_image(self.page).map_err(|e| damaged(path, e))?;
        let across = layout.cols.div_ceil(self.chunk_cols);
        for down in rows.start / self.chunk_rows..=(rows.end - 1) / self.chunk_rows {
            for right in 0..across {
                let index = (down * across + right) as u32;
                let (width, height) = decoder.chunk_data_dimensions(index);
                let (width, height) = (width as usize, height as usize);
                let data = decoder.read_chunk(index).map_err(|e| damaged(path, e))?;
                let (top, left) = (down * self.chunk_rows, right * self.chunk_cols);
                let cols = left..(left + width).min(layout.cols);
                for row in top.max(rows.start)..(top + height).min(rows.end) {
                    let at = (row - top) * width;
                    let out = out.slice_mut(s![row - rows.start, cols.clone()]);
                    self.row(&data, at..at + cols.len(), out).ok_or_else(|| {
                        Error::format(path.display(), "the TIFF file is damaged: a strip is too short")
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Decoded pixels `part` of a strip or tile. The decoder inverts white-is-zero images; counts must stay as they were
    /// stored.
    fn row<T: Count>(&self, data: &DecodingResult, part: Range<usize>, mut out: ArrayViewMut1<T>) -> Option<()> {
        macro_rules! copy {
            ($values:expr, $convert:expr) => {
                out.iter_mut().zip($values.get(part)?).for_each(|(o, &v)| *o = $convert(v))
            };
        }
        let inverted = self.white_is_zero;
        match data {
            DecodingResult::U8(v) if inverted => copy!(v, |v: u8| T::from_u8(u8::MAX - v)),
            DecodingResult::U8(v) => copy!(v, T::from_u8),
            DecodingResult::U16(v) if inverted => copy!(v, |v: u16| T::from_u16(u16::MAX - v)),
            DecodingResult::U16(v) => copy!(v, T::from_u16),
            DecodingResult::U32(v) if inverted => copy!(v, |v: u32| T::from_f32((u32::MAX - v) as f32)),
            DecodingResult::U32(v) => copy!(v, |v: u32| T::from_f32(v as f32)),
            DecodingResult::I8(v) => copy!(v, |v: i8| T::from_f32(f32::from(v))),
            DecodingResult::I16(v) => copy!(v, |v: i16| T::from_f32(f32::from(v))),
            DecodingResult::I32(v) => copy!(v, |v: i32| T::from_f32(v as f32)),
            DecodingResult::F32(v) => copy!(v, T::from_f32),
            DecodingResult::F64(v) => copy!(v, |v: f64| T::from_f32(v as f32)),
            _ => return None,
        }
        Some(())
    }
}
