//! TIFF scans: a folder with one file per projection, or one file with many pages, and dark and direct-beam frames
//! and angles beside them.
//!
//! Must not know: how pixels are read.

use super::angles::{angle_file, checked, view_angles};
use super::bytes::open_file;
use super::images::{Group, Image, ImageFile};
use super::roles::{self, Roles};
use super::{folder_names, hamamatsu, his, tiff_image};
use crate::error::{Error, Result};
use crate::scan::{Scan, ScanInfo, ScanOptions};
use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Beginnings of names of dark frames.
const DARK: &[&str] = &["dark"];
/// Of direct-beam frames.
const FLAT: &[&str] = &["flat", "white", "bg"];
/// Of folders with projections.
const VIEWS: &[&str] = &["proj", "tomo", "raw"];
/// Names of angle files.
const ANGLES: &[&str] = &["angles.txt", "theta.txt"];

fn extension(name: &str) -> String {
    name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default()
}

pub(crate) fn is_tiff(name: &str) -> bool {
    matches!(extension(name).as_str(), "tif" | "tiff" | "btf" | "tf8")
}

fn begins(name: &str, with: &[&str]) -> bool {
    let name = name.to_ascii_lowercase();
    with.iter().any(|w| name.starts_with(w))
}

/// Order in which people count: `a2` before `a10`.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let digits = |s: &str| s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
    let (mut x, mut y) = (a, b);
    while let (Some(p), Some(q)) = (x.chars().next(), y.chars().next()) {
        let order = if p.is_ascii_digit() && q.is_ascii_digit() {
            let (m, n) = (digits(x), digits(y));
            let (i, j) = (x[..m].trim_start_matches('0'), y[..n].trim_start_matches('0'));
            (x, y) = (&x[m..], &y[n..]);
            i.len().cmp(&j.len()).then_with(|| i.cmp(j))
        } else {
            (x, y) = (&x[p.len_utf8()..], &y[q.len_utf8()..]);
            p.cmp(&q)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    x.len().cmp(&y.len()).then_with(|| a.cmp(b))
}

/// All images in a file (TIFF with any number of pages, `.img`, `.his`) or in the files of a folder.
pub(crate) fn images_of(path: &Path) -> Result<Group> {
    if path.is_dir() {
        let readable = |n: &String| is_tiff(n) || matches!(extension(n).as_str(), "img" | "his");
        let mut names: Vec<String> = folder_names(path)?.into_iter().filter(readable).collect();
        names.sort_by(|a, b| natural(a, b));
        if names.is_empty() {
            return Err(Error::not_found(path.display(), "the folder has no .tif, .img or .his file"));
        }
        let groups: Result<Vec<Group>> = names.iter().map(|n| images_of(&path.join(n))).collect();
        return Ok(groups?.concat());
    }
    match extension(&path.to_string_lossy()).as_str() {
        "img" => {
            let image = Image::lazy(path.to_owned(), hamamatsu::img);
            image.layout()?;
            Ok(vec![image])
        }
        "his" => Ok(his::index(path)?.frames),
        _ => pages_of(path),
    }
}

/// The pages of a TIFF file.
pub(super) fn pages_of(path: &Path) -> Result<Group> {
    let layouts = tiff_image::all(path, &open_file(path)?)?;
    let file = match layouts.len() {
        1 => ImageFile::closed(path.to_owned()),
        _ => ImageFile::kept_open(path.to_owned(), open_file(path)?),
    };
    Ok(layouts.into_iter().map(|layout| Image::known(file.clone(), layout)).collect())
}

/// Files and folders of a scan.
struct Found {
    folder: PathBuf,
    views: Vec<Arc<Image>>,
    dark: Vec<PathBuf>,
    flat: Vec<PathBuf>,
    angles: Option<PathBuf>,
}

/// True if a folder may hold a TIFF scan.
pub(crate) fn is_folder(path: &Path, names: &[String]) -> bool {
    names.iter().any(|n| is_tiff(n))
        || names.iter().any(|n| {
            begins(n, VIEWS) && folder_names(&path.join(n)).is_ok_and(|inner| inner.iter().any(|n| is_tiff(n)))
        })
}

fn find(path: &Path) -> Result<Found> {
    let (folder, single) = if path.is_dir() {
        (path.to_owned(), None)
    } else {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        (parent.to_owned(), Some(path))
    };
    let mut names = folder_names(&folder)?;
    names.sort_by(|a, b| natural(a, b));
    let entries = |with: &[&str]| -> Vec<PathBuf> {
        let frames = |n: &&String| begins(n, with) && (is_tiff(n) || folder.join(n.as_str()).is_dir());
        names.iter().filter(frames).map(|n| folder.join(n)).filter(|p| Some(p.as_path()) != single).collect()
    };
    let (dark, flat) = (entries(DARK), entries(FLAT));
    let angles = names.iter().find(|n| ANGLES.iter().any(|a| n.eq_ignore_ascii_case(a))).map(|n| folder.join(n));
    let views = match single {
        Some(file) => pages_of(file)?,
        None => {
            let inner: Vec<PathBuf> = names
                .iter()
                .filter(|n| begins(n, VIEWS))
                .map(|n| folder.join(n))
                .filter(|p| p.is_dir() && folder_names(p).is_ok_and(|inner| inner.iter().any(|n| is_tiff(n))))
                .collect();
            let place = match inner.as_slice() {
                [] => folder.clone(),
                [one] => one.clone(),
                several => {
                    let names: Vec<_> =
                        several.iter().map(|p| p.file_name().unwrap_or_default().to_string_lossy()).collect();
                    let message = "several folders may hold the projections; open one of them by its own name";
                    return Err(Error::invalid(folder.display(), message).with("folders", names.join(", ")));
                }
            };
            let mut files: Vec<String> = folder_names(&place)?
                .into_iter()
                .filter(|n| is_tiff(n) && !begins(n, DARK) && !begins(n, FLAT))
                .collect();
            files.sort_by(|a, b| natural(a, b));
            match files.as_slice() {
                [] => return Err(Error::not_found(place.display(), "the folder has no TIFF projection")),
                [one] => pages_of(&place.join(one))?,
                many => many.iter().map(|n| Image::lazy(place.join(n), tiff_image::single)).collect(),
            }
        }
    };
    Ok(Found { folder, views, dark, flat, angles })
}

/// Opens a folder of TIFF projections or one TIFF file with all of them.
///
/// Without options, dark frames are the files and folders named `dark*`, direct-beam frames those named `flat*`,
/// `white*` or `bg*` (all averaged), projections the files in a folder `proj*`, `tomo*` or `raw*`, or else the other
/// files, in natural order; angles are in `angles.txt` or `theta.txt`.
pub(crate) fn open(path: &Path, options: &ScanOptions) -> Result<Scan> {
    let found = find(path)?;
    let Roles { views, view_time, mut flats, mut flat_time, mut dark } =
        roles::split(&found.views, options, &found.folder)?;
    let collect = |paths: &[PathBuf]| -> Result<Group> {
        let groups: Result<Vec<Group>> = paths.iter().map(|p| images_of(p)).collect();
        Ok(groups?.concat())
    };
    if options.dark.is_none() {
        dark = collect(&found.dark)?;
        if dark.is_empty() {
            let message = "there is no dark frame: expected a file or folder named dark*, or the option dark=FILE, \
                           FOLDER or A..B (dark=none to go without)";
            return Err(Error::not_found(path.display(), message));
        }
    }
    if options.flat.is_none() {
        let group = collect(&found.flat)?;
        if group.is_empty() {
            let message = "there is no direct-beam frame (I0): expected a file or folder named flat*, white* or bg*, \
                           or the option flat=FILE, FOLDER or A..B";
            return Err(Error::not_found(path.display(), message));
        }
        (flats, flat_time) = (vec![group], vec![0.0]);
    }
    let (place, angles) = match (&options.angles, &found.angles) {
        (Some(text), _) => (path, view_angles(text, &found.folder, views.len())?),
        (None, Some(file)) => (file.as_path(), angle_file(file, None, views.len())?),
        (None, None) => {
            let message = "the angles are not known: expected angles.txt or theta.txt beside the projections, or the \
                           option angles=FILE or a span in degrees such as angles=180";
            return Err(Error::not_found(path.display(), message));
        }
    };
    let angles_rad = checked(place, angles)?;
    let details = match found.views.first() {
        Some(image) => {
            let files =
                if found.views.iter().all(|v| Arc::ptr_eq(&v.file, &image.file)) { "one file" } else { "files" };
            let layout = image.layout()?;
            let how = match layout.pixels {
                super::images::Pixels::Plain { .. } => "uncompressed",
                super::images::Pixels::Encoded(_) => "compressed or tiled",
            };
            format!("TIFF {files}, {}, {how}", layout.sample.name())
        }
        None => "TIFF".to_owned(),
    };
    let info = ScanInfo {
        format: "tiff",
        path: path.to_owned(),
        details,
        angles_rad,
        view_time,
        flat_time,
        ..ScanInfo::default()
    };
    roles::scan(views, flats, dark, info, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_people_count() {
        let mut names = ["a10.tif", "a9.tif", "a010.tif", "b1.tif", "a.tif", "走査2.tif", "走査11.tif"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a.tif", "a9.tif", "a010.tif", "a10.tif", "b1.tif", "走査2.tif", "走査11.tif"]);
    }
}
