//! Reading bytes at a place in a file, and turning stored samples into `f32`.
//!
//! Must not know: formats.

use crate::error::{Error, Result};
use ndarray::ArrayViewMut1;
use std::fs::File;
use std::path::Path;

/// Opens a file for reading; the error names it.
pub(crate) fn open_file(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| Error::io(path.display(), "open", e))
}

/// Length of an open file.
pub(crate) fn file_len(file: &File, path: &Path) -> Result<u64> {
    Ok(file.metadata().map_err(|e| Error::io(path.display(), "read", e))?.len())
}

/// Reads a whole small text file; bytes that are not UTF-8 are replaced.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    /// Logs and angle lists have some tens of bytes per view; more is a mistaken path.
    const LIMIT: u64 = 256 << 20;
    if file_len(&open_file(path)?, path)? > LIMIT {
        return Err(Error::format(path.display(), "not a text file: it has more than 256 MiB"));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io(path.display(), "read", e))?;
    Ok(String::from_utf8_lossy(&bytes).trim_start_matches('\u{feff}').to_owned())
}

/// Fills `buffer` from byte `offset` without moving a shared file position, so that threads can share the file.
pub(crate) fn read_at(file: &File, path: &Path, offset: u64, buffer: &mut [u8]) -> Result<()> {
    fill(file, offset, buffer).map_err(|e| Error::io(path.display(), "read", e))
}

#[cfg(unix)]
fn fill(file: &File, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn fill(file: &File, mut offset: u64, mut buffer: &mut [u8]) -> std::io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset) {
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                buffer = &mut buffer[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// How one pixel is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    U8,
    I8,
    /// Two pixels in three bytes, high nibbles first (Hamamatsu).
    Packed12,
    U16,
    I16,
    U32,
    I32,
    F32,
    F64,
}

impl Sample {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Sample::U8 => "8-bit",
            Sample::I8 => "8-bit signed",
            Sample::Packed12 => "12-bit packed",
            Sample::U16 => "16-bit",
            Sample::I16 => "16-bit signed",
            Sample::U32 => "32-bit integer",
            Sample::I32 => "32-bit signed integer",
            Sample::F32 => "32-bit float",
            Sample::F64 => "64-bit float",
        }
    }
    /// Bytes of `pixels` pixels that follow each other.
    pub(crate) fn bytes(self, pixels: u64) -> u64 {
        match self {
            Sample::U8 | Sample::I8 => pixels,
            Sample::Packed12 => pixels.saturating_mul(3).div_ceil(2),
            Sample::U16 | Sample::I16 => pixels.saturating_mul(2),
            Sample::U32 | Sample::I32 | Sample::F32 => pixels.saturating_mul(4),
            Sample::F64 => pixels.saturating_mul(8),
        }
    }
    /// Bytes to read for pixels `first..first + count` of an image: where they begin, and how many.
    pub(crate) fn span(self, first: u64, count: u64) -> (u64, u64) {
        match self {
            // A pair of pixels shares a byte: begin at a pair.
            Sample::Packed12 => (first / 2 * 3, self.bytes(first % 2 + count)),
            _ => (self.bytes(first), self.bytes(count)),
        }
    }
}

/// Decodes pixels into one row. `bytes` begins where [`Sample::span`] said; `first` is the pixel number of the row's
/// first pixel (only 12-bit packing depends on it).
pub(crate) fn decode(bytes: &[u8], sample: Sample, big_endian: bool, first: u64, mut out: ArrayViewMut1<f32>) {
    macro_rules! numbers {
        ($t:ty) => {{
            if big_endian {
                each(bytes, out, |raw| <$t>::from_be_bytes(raw) as f32)
            } else {
                each(bytes, out, |raw| <$t>::from_le_bytes(raw) as f32)
            }
        }};
    }
    match sample {
        Sample::U8 => numbers!(u8),
        Sample::I8 => numbers!(i8),
        Sample::U16 => numbers!(u16),
        Sample::I16 => numbers!(i16),
        Sample::U32 => numbers!(u32),
        Sample::I32 => numbers!(i32),
        Sample::F32 => numbers!(f32),
        Sample::F64 => numbers!(f64),
        Sample::Packed12 => {
            let at = |i: usize| bytes.get(i).copied().unwrap_or(0) as u16;
            for (k, o) in out.iter_mut().enumerate() {
                let p = (first % 2) as usize + k;
                let triple = p / 2 * 3;
                *o = match p % 2 {
                    0 => 16 * at(triple) + (at(triple + 1) >> 4),
                    _ => 256 * (at(triple + 1) & 15) + at(triple + 2),
                } as f32;
            }
        }
    }
}

/// Converts pixels of `N` bytes; into a row without gaps by vector instructions.
fn each<const N: usize>(bytes: &[u8], mut out: ArrayViewMut1<f32>, convert: impl Fn([u8; N]) -> f32) {
    let pixels = bytes.as_chunks::<N>().0;
    match out.as_slice_mut() {
        Some(row) => row.iter_mut().zip(pixels).for_each(|(o, raw)| *o = convert(*raw)),
        None => out.iter_mut().zip(pixels).for_each(|(o, raw)| *o = convert(*raw)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, s};

    #[test]
    fn twelve_bit_pixels_come_out_of_any_row_of_an_odd_width() {
        // Pixels 0x123, 0x456, 0x789, 0xabc, 0xdef, 0x012 (two rows of three) in pairs of three bytes.
        let bytes = [0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12];
        let all = [0x123, 0x456, 0x789, 0xabc, 0xdef, 0x012].map(|v| v as f32);
        for first in 0..6u64 {
            for count in 1..=6 - first {
                let (at, len) = Sample::Packed12.span(first, count);
                let mut out = Array1::zeros(count as usize);
                let part = &bytes[at as usize..(at + len) as usize];
                decode(part, Sample::Packed12, false, first, out.view_mut());
                assert_eq!(out.to_vec(), all[first as usize..(first + count) as usize]);
            }
        }
    }

    #[test]
    fn byte_orders_and_signs() {
        let mut out = Array1::zeros(2);
        decode(&[1, 0, 0, 128], Sample::U16, false, 0, out.view_mut());
        assert_eq!(out.to_vec(), [1.0, 32768.0]);
        decode(&[1, 0, 0xff, 0xfe], Sample::I16, true, 0, out.view_mut());
        assert_eq!(out.to_vec(), [256.0, -2.0]);
        // Every count, in either order, into a row and into every third place of one.
        let counts: Vec<f32> = (0..=u16::MAX).map(f32::from).collect();
        for big_endian in [false, true] {
            let order = if big_endian { u16::to_be_bytes } else { u16::to_le_bytes };
            let bytes: Vec<u8> = (0..=u16::MAX).flat_map(order).collect();
            let mut spread = Array1::from_elem(3 * counts.len(), -1.0);
            decode(&bytes, Sample::U16, big_endian, 0, spread.slice_mut(s![..;3]));
            let mut row = Array1::zeros(counts.len());
            decode(&bytes, Sample::U16, big_endian, 0, row.view_mut());
            assert!(row.to_vec() == counts && spread.slice(s![..;3]) == row && spread[1] == -1.0);
        }
    }
}
