//! The 64-byte frame header that Hamamatsu `.img` and `.his` files share.
//!
//! Must not know: scans, logs.

use super::bytes::{Sample, file_len, read_at};
use super::images::{Layout, check_length};
use crate::error::{Error, Result};
use std::fs::File;
use std::path::Path;

/// Bytes of a header without its comment.
pub(crate) const HEADER: u64 = 64;

/// What a header says.
pub(crate) struct Header {
    pub comment: u64,
    pub rows: usize,
    pub cols: usize,
    pub sample: Sample,
    /// Frames in the file; of `.his` only.
    pub frames: u32,
}

impl Header {
    /// True if the bytes begin with the magic letters.
    pub(crate) fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(b"IM")
    }
    /// Reads the header at `offset`; the caller has checked that the file is long enough for it.
    pub(crate) fn read(file: &File, path: &Path, offset: u64) -> Result<Option<Self>> {
        let mut b = [0u8; HEADER as usize];
        read_at(file, path, offset, &mut b)?;
        if !Self::is_one(&b) {
            return Ok(None);
        }
        let u16_at = |i: usize| u16::from_le_bytes([b[i], b[i + 1]]);
        let (cols, rows) = (u16_at(4) as usize, u16_at(6) as usize);
        // Hamamatsu's own code for 8 bit is 0; Bio-Formats knows 1.
        let sample = match u16_at(12) {
            0 | 1 => Sample::U8,
            2 => Sample::U16,
            6 => Sample::Packed12,
            code => {
                let message = "pixel type not read: expected 0 or 1 (8-bit), 2 (16-bit) or 6 (12-bit packed)";
                return Err(Error::unsupported(path.display(), message).with("type", code));
            }
        };
        if rows == 0 || cols == 0 {
            return Err(Error::format(path.display(), "the frame header says that the image has no pixels"));
        }
        let frames = u32::from_le_bytes([b[14], b[15], b[16], b[17]]);
        Ok(Some(Header { comment: u16_at(2) as u64, rows, cols, sample, frames }))
    }
    /// Bytes of the pixels.
    pub(crate) fn pixel_bytes(&self) -> u64 {
        self.sample.bytes((self.rows * self.cols) as u64)
    }
}

/// Layout of an `.img` file, with every length checked.
pub(crate) fn img(path: &Path, file: &File) -> Result<Layout> {
    check_length(file, path, HEADER)?;
    let header = Header::read(file, path, 0)?.ok_or_else(|| {
        Error::format(path.display(), "not a HiPic image: the file does not begin with the letters IM")
    })?;
    if HEADER + header.comment > file_len(file, path)? {
        return Err(Error::format(path.display(), "the comment of the frame reaches beyond the end of the file")
            .with("comment_bytes", header.comment));
    }
    check_length(file, path, HEADER + header.comment + header.pixel_bytes())?;
    Ok(Layout::block(header.rows, header.cols, header.sample, HEADER + header.comment))
}
