//! Files: scan formats in, slices out. The only place with `tiff` and HDF5.
//!
//! Must not know: stages, chains, engines.

use crate::error::{Error, Result};
use crate::scan::{Scan, ScanOptions};
use std::path::Path;

/// Opens a scan of any supported format; looks at the files unless `options.format` names one.
pub fn open(path: &Path, options: &ScanOptions) -> Result<Scan> {
    let _ = options;
    Err(Error::internal(path.display(), "stub"))
}
