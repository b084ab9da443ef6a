//! Finished projection images: a folder with one TIFF image of absorbance per view.
//!
//! Must not know: how pixels are read, what is done with them.

use super::images::Parts;
use super::series::{Series, find};
use super::slices::angles_of;
use crate::error::{Error, Result};
use crate::scan::{Scan, ScanInfo, ScanOptions};
use crate::slab::Domain;
use std::path::Path;

/// Opens projection images in absorbance at `path`, one per view, `[row, col]` each: a folder, a file of many pages, or the
/// beginning of the names of a series in a folder that holds several (`prj/p`). Views are in natural order of their names.
///
/// `angles` as `ScanOptions::angles`; without, `angles.txt` or `theta.txt` beside the images, or else even over half a turn,
/// with a remark. Unless angles come from a file, a number that is left out in the series is an error: the angles behind it
/// would be wrong.
pub fn open_projections(path: &Path, angles: Option<&str>) -> Result<Scan> {
    let Series { folder, images, note, .. } = find(path)?;
    let mut notes: Vec<String> = note.into_iter().collect();
    if let Some(gap) = notes.first().filter(|_| angles.is_none_or(|text| text.parse::<f64>().is_ok())) {
        let gap = gap.split(':').next().unwrap_or_default();
        return Err(Error::format(
            path.display(),
            format!("{gap}: a view is missing; give the angles of those there are"),
        ));
    }
    let angles_rad = angles_of(angles, &folder, path, images.len(), &mut notes)?;
    let details = format!("{} projection images in absorbance", images.len());
    let views = images.into_iter().map(|image| vec![image]).collect();
    // Results are never written among the images they are made from.
    let folders = vec![folder];
    let (format, domain, path) = ("projections", Domain::Sinogram, path.to_owned());
    let info = ScanInfo { format, domain, path, angles_rad, details, folders, notes, ..ScanInfo::default() };
    let parts = Parts { views, flats: Vec::new(), dark: Vec::new(), half_turn: None, half_turn_flat: None };
    parts.into_scan(info, &ScanOptions::default())
}
