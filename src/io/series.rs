//! Which files a series of images is, and their order.
//!
//! Must not know: what is in the images.

use super::bytes::read_text;
use super::folder_names;
use super::images::Image;
use super::stack::{is_tiff, natural, pages_of};
use super::tiff_image;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Images in order.
pub(super) struct Series {
    pub folder: PathBuf,
    pub images: Vec<Arc<Image>>,
    /// File name of each image; none if one file holds them all.
    pub names: Vec<String>,
    /// A remark if some seem to be missing.
    pub note: Option<String>,
}

fn parent(path: &Path) -> PathBuf {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// A folder, a file of many pages, or the beginning of the names of a series in a folder that holds several. In natural order.
pub(super) fn find(path: &Path) -> Result<Series> {
    let pages =
        |folder: PathBuf, file: &Path| Ok(Series { folder, images: pages_of(file)?, names: Vec::new(), note: None });
    if path.is_file() {
        return pages(parent(path), path);
    }
    let (folder, prefix) = match path.is_dir() {
        true => (path.to_owned(), None),
        false => (parent(path), path.file_name().map(|n| n.to_string_lossy().into_owned())),
    };
    if !folder.is_dir() {
        return Err(Error::not_found(path.display(), "no such file or folder"));
    }
    let begins = |name: &String| prefix.as_ref().is_none_or(|p| name.starts_with(p.as_str()));
    let mut names: Vec<String> = folder_names(&folder)?.into_iter().filter(|n| is_tiff(n) && begins(n)).collect();
    if names.is_empty() && prefix.is_some() {
        return Err(Error::not_found(path.display(), "no such file or folder, and no series of files begins so"));
    }
    names.sort_by(|a, b| natural(a, b));
    let mut series: Vec<&str> = names.iter().map(|n| n.trim_end_matches(|c: char| c != '.')).map(stem).collect();
    series.dedup();
    match (names.as_slice(), series.as_slice()) {
        ([], _) => Err(Error::not_found(folder.display(), "the folder has no TIFF image")),
        ([one], _) => {
            let found = pages(folder.clone(), &folder.join(one))?;
            let names = if found.images.len() == 1 { names } else { Vec::new() };
            Ok(Series { names, ..found })
        }
        (_, [_]) => {
            let note = gap(&names);
            Ok(Series { note, ..listed(folder, names) })
        }
        (_, several) => {
            let message = "the folder holds several series of images; name one, such as FOLDER/rec";
            Err(Error::invalid(folder.display(), message).with("series", several.join(", ")))
        }
    }
}

/// Images of a folder as `text` says: `-` all in the order of bytes, `--r` backwards, `--n` by the first number in the name,
/// `--rn` that backwards, `-a.tif b.tif` these, or a text file with a name in each line.
pub(super) fn named(folder: &Path, text: &str) -> Result<Series> {
    if !folder.exists() {
        return Err(Error::not_found(folder.display(), "no such folder"));
    }
    if !folder.is_dir() {
        let message = "names chooses files of a folder, but this is none";
        return Err(Error::invalid(folder.display(), message));
    }
    let bytewise = || -> Result<Vec<String>> {
        // `folder_names` sorts them so.
        Ok(folder_names(folder)?.into_iter().filter(|n| is_tiff(n)).collect())
    };
    let numbered = || -> Result<Vec<String>> {
        let mut names = bytewise()?;
        names.sort_by_key(|name| first_number(name));
        Ok(names)
    };
    let reversed = |names: Vec<String>| names.into_iter().rev().collect();
    let names: Vec<String> = match text {
        "-" => bytewise()?,
        "--r" => reversed(bytewise()?),
        "--n" => numbered()?,
        "--rn" | "--nr" => reversed(numbered()?),
        _ => match text.strip_prefix('-') {
            Some(list) => list.split_whitespace().map(str::to_owned).collect(),
            None => {
                let beside = folder.join(text);
                let file = if beside.is_file() { &beside } else { Path::new(text) };
                if !file.is_file() {
                    let accepted =
                        "expected -, --r, --n, --rn, -NAME NAME ..., or a text file with a name in each line";
                    return Err(Error::not_found("names", accepted).with("names", format!("'{text}'")));
                }
                read_text(file)?.lines().filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect()
            }
        },
    };
    if names.is_empty() {
        return Err(
            Error::not_found(folder.display(), "names chooses no TIFF image").with("names", format!("'{text}'"))
        );
    }
    if let Some(missing) = names.iter().find(|name| !folder.join(name).is_file()) {
        return Err(Error::not_found(folder.join(missing).display(), "no such file, but names chooses it"));
    }
    Ok(listed(folder.to_owned(), names))
}

fn listed(folder: PathBuf, names: Vec<String>) -> Series {
    let images = names.iter().map(|n| Image::lazy(folder.join(n), tiff_image::single)).collect();
    Series { folder, images, names, note: None }
}

/// The name without number and extension: `rec00012.` is of the series `rec`.
fn stem(name: &str) -> &str {
    name.trim_end_matches('.').trim_end_matches(|c: char| c.is_ascii_digit())
}

/// The number before the extension.
pub(super) fn number(name: &str) -> Option<usize> {
    let name = name.trim_end_matches(|c: char| c != '.');
    name.get(stem(name).len()..)?.trim_end_matches('.').parse().ok()
}

/// The first number in a name; names without come first.
fn first_number(name: &str) -> u64 {
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

/// A remark where a number is left out in a series that otherwise counts by ones.
fn gap(names: &[String]) -> Option<String> {
    let numbers: Vec<usize> = names.iter().map(|name| number(name)).collect::<Option<_>>()?;
    let gaps = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    // Every second slice is a choice, not a gap.
    let at = numbers.windows(2).position(|pair| pair[1] != pair[0] + 1).filter(|_| 2 * gaps < numbers.len())?;
    let (before, after) = (&names[at], &names[at + 1]);
    Some(format!(
        "no image between {before} and {after}: what follows counts on from {}, by its place and not its name",
        at + 1
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_that_is_missing_is_told() {
        let names = |numbers: &[u32]| numbers.iter().map(|n| format!("rec{n:05}.tif")).collect::<Vec<_>>();
        assert_eq!(gap(&names(&[450, 451, 452])), None);
        assert_eq!(gap(&names(&[0, 10, 20, 30])), None);
        let told = gap(&names(&[7, 8, 9, 11, 12])).unwrap();
        assert!(told.starts_with("no image between rec00009.tif and rec00011.tif"), "{told}");
        assert_eq!((stem("rec00012."), number("rec00012.tif"), number("rec.tif")), ("rec", Some(12), None));
    }

    #[test]
    fn names_choose_files_and_their_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a10.tif", "a9.tif", "B1.tif", "notes.txt", "a9x2.tiff"] {
            std::fs::write(dir.path().join(name), "a9.tif rest\n\nB1.tif\n").unwrap();
        }
        let names = |text: &str| named(dir.path(), text).map(|series| series.names.join(" "));
        assert_eq!(names("-").unwrap(), "B1.tif a10.tif a9.tif a9x2.tiff");
        assert_eq!(names("--r").unwrap(), "a9x2.tiff a9.tif a10.tif B1.tif");
        assert_eq!(names("--n").unwrap(), "B1.tif a9.tif a9x2.tiff a10.tif");
        assert_eq!(names("--rn").unwrap(), "a10.tif a9x2.tiff a9.tif B1.tif");
        assert_eq!(names("-a9.tif  a10.tif").unwrap(), "a9.tif a10.tif");
        assert_eq!(names("notes.txt").unwrap(), "a9.tif B1.tif");
        for (bad, said) in
            [("-a9.tif c.tif", "c.tif: no such file"), ("none.txt", "a name in each line"), ("- ", "no TIFF")]
        {
            let e = names(bad).unwrap_err().to_string();
            assert!(e.contains(said), "{e}");
        }
    }
}
