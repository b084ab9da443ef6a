//! Where the scans of a series are: one sequence of frames that holds all of them, or a folder each.
//!
//! Must not know: what is done with them.

use crate::error::{Error, Result};
use crate::io;
use crate::scan::{Part, Scan, ScanOptions};
use std::path::{Path, PathBuf};

/// Scans of one sample at different heights, in the order in which they were taken.
#[derive(Clone, Debug)]
pub struct Series {
    scans: Vec<(PathBuf, ScanOptions)>,
}

/// Name of scan `index`, from 0: `001`, as SPring-8 counts.
pub(super) fn name(index: usize) -> String {
    format!("{:03}", index + 1)
}

impl Series {
    /// All scans of one sequence of frames; `parts` is any of them, whose number does not matter. `options` hold for each scan
    /// and count its own frames.
    pub fn of_sequence(path: &Path, parts: &Part, options: &ScanOptions) -> Result<Series> {
        if !(1..=999).contains(&parts.of) {
            return Err(Error::invalid("scans", "expected 1 to 999 scans").with("scans", parts.of));
        }
        if options.part.is_some() {
            return Err(Error::invalid("part", "a series is all of its scans; leave out the part"));
        }
        let scan = |index| {
            let part = Some(Part { index, ..parts.clone() });
            (path.to_owned(), ScanOptions { part, ..options.clone() })
        };
        Ok(Series { scans: (0..parts.of).map(scan).collect() })
    }
    /// The folders `001`, `002` ... in `path`, each a scan or with a scan in its folder `raw`; `None` if there is no `001`.
    pub fn of_folders(path: &Path, options: &ScanOptions) -> Option<Series> {
        let folders = (0..999).map(|index| path.join(name(index))).take_while(|folder| folder.is_dir());
        let scans: Vec<_> = folders.map(|folder| (folder, options.clone())).collect();
        (!scans.is_empty()).then_some(Series { scans })
    }
    /// How many scans.
    pub fn len(&self) -> usize {
        self.scans.len()
    }
    /// Never.
    pub fn is_empty(&self) -> bool {
        self.scans.is_empty()
    }
    /// Where scan `index`, from 0, is, and how it is read.
    pub fn place(&self, index: usize) -> (&Path, &ScanOptions) {
        let (path, options) = &self.scans[index];
        (path, options)
    }
    /// Opens all scans; they must have the same numbers of rows and columns.
    pub(super) fn open(&self) -> Result<Vec<Scan>> {
        let mut scans: Vec<Scan> = Vec::with_capacity(self.len());
        for (index, (path, options)) in self.scans.iter().enumerate() {
            let scan = io::open(path, options).map_err(|e| e.at(format_args!("scan {}", name(index))))?;
            let size = |scan: &Scan| (scan.shape().cols, scan.shape().rows);
            if let Some(first) = scans.first().filter(|first| size(first) != size(&scan)) {
                let ((cols, rows), (width, height)) = (size(&scan), size(first));
                let message = format!(
                    "the frames have {cols} x {rows} pixels, those of scan 001 {width} x {height}: all must be alike"
                );
                return Err(Error::format(path.display(), message).at(format_args!("scan {}", name(index))));
            }
            scans.push(scan);
        }
        Ok(scans)
    }
}
