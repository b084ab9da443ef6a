//! A line that changes when the frames of a scan do: names, sizes and times of their files, and which frame is where.
//!
//! Pixels are not read: a file that is changed without changing its length and its time goes unnoticed. Folders do not
//! count, so a scan may be moved or copied with its times. Must not know: formats.

use crate::error::{Error, Result};
use crate::scan::Fingerprint;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Collects what the line is made of.
#[derive(Default)]
pub(super) struct Identity<'a> {
    /// File → its number, in order of first use.
    files: BTreeMap<&'a Path, u64>,
    hash: Fingerprint,
    bytes: u64,
    newest_s: f64,
}

impl<'a> Identity<'a> {
    /// The next frame has the role `role` ("view", "flat 0") and begins at `place` in the file.
    pub(super) fn add(&mut self, role: &str, file: &'a Path, place: u64) -> Result<()> {
        self.hash.add_bytes(role.as_bytes());
        self.hash.add_u64(place);
        let next = self.files.len() as u64;
        let number = *self.files.entry(file).or_insert(next);
        self.hash.add_u64(number);
        if number == next {
            let meta = file.metadata().map_err(|e| Error::io(file.display(), "look at", e))?;
            // Not every file system keeps times; then length and name must do.
            let time = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
            self.hash.add_bytes(file.file_name().unwrap_or_default().as_encoded_bytes());
            self.hash.add_u64(meta.len());
            self.hash.add_u64(time.as_nanos() as u64);
            self.bytes += meta.len();
            self.newest_s = self.newest_s.max(time.as_secs_f64());
        }
        Ok(())
    }
    /// The line.
    pub(super) fn line(&self) -> String {
        let (files, bytes, newest) = (self.files.len(), self.bytes, self.newest_s);
        format!("{files} files of {bytes} bytes, the newest of {newest:.3} s after 1970, fingerprint {}", self.hash)
    }
}
