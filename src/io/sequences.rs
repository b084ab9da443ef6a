//! The sequences of frames that a `conv.bat` speaks of: `.his` files, or files with numbers.
//!
//! Must not know: what the frames are for.

use super::conv_bat::{ConvBat, Source};
use super::hamamatsu;
use super::his::{self, Index};
use super::images::{Group, Image};
use super::stack::is_tiff;
use super::tiff_image;
use crate::error::{Error, Result};
use crate::scan::Part;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The frames of one sequence by number, from 1.
pub(crate) struct Sequence {
    /// The `.his` file, or the folder of files.
    pub place: PathBuf,
    /// Each frame is a file of its own.
    pub single_files: bool,
    /// They are TIFF files.
    pub tiff: bool,
    pub details: String,
    pub notes: Vec<String>,
    frames: BTreeMap<u32, Arc<Image>>,
    cut_off: Option<String>,
}

impl Sequence {
    fn of_his(path: PathBuf, part: Option<&Part>) -> Result<Self> {
        let index = his::index(&path)?;
        let notes = index.notes(&path);
        let Index { frames, cut_off, details, .. } = index;
        let frames = pick(frames, part).map_err(|e| e.at(path.display()))?;
        Ok(Sequence { place: path, single_files: false, tiff: false, details, notes, frames, cut_off })
    }
    /// Files `stem`, digits, `.tif` or `.img`; `None` if there is none.
    fn of_files(folder: &Path, names: &[String], stem: &str, part: Option<&Part>) -> Result<Option<Self>> {
        let mut files: BTreeMap<u32, &String> = BTreeMap::new();
        for name in names {
            let Some((base, extension)) = name.rsplit_once('.') else { continue };
            let number = base.to_ascii_lowercase().strip_prefix(stem).and_then(|rest| rest.parse::<u32>().ok());
            let Some(number) = number.filter(|_| is_tiff(name) || extension.eq_ignore_ascii_case("img")) else {
                continue;
            };
            if let Some(other) = files.insert(number, name) {
                return Err(Error::format(folder.display(), "two frame files have the same number")
                    .with("files", format!("{other} and {name}")));
            }
        }
        if files.is_empty() {
            return Ok(None);
        }
        let image = |name: &String| {
            Image::lazy(folder.join(name), if is_tiff(name) { tiff_image::single } else { hamamatsu::img })
        };
        let frames = match part {
            None => files.iter().map(|(number, name)| (*number, image(name))).collect(),
            Some(_) => {
                pick(files.values().map(|name| image(name)).collect(), part).map_err(|e| e.at(folder.display()))?
            }
        };
        let details = format!("{} files {stem}*", files.len());
        let place = folder.to_owned();
        let tiff = files.values().next().is_some_and(|name| is_tiff(name));
        Ok(Some(Sequence { place, single_files: true, tiff, details, notes: Vec::new(), frames, cut_off: None }))
    }
}

/// Frames of one scan of a series, or all, numbered from 1.
fn pick(frames: Vec<Arc<Image>>, part: Option<&Part>) -> Result<BTreeMap<u32, Arc<Image>>> {
    let frames: Vec<Arc<Image>> = match part {
        None => frames,
        Some(part) => part.of_frames(frames.len())?.into_iter().map(|i| frames[i].clone()).collect(),
    };
    Ok((1..).zip(frames).collect())
}

/// All sequences of a `conv.bat`, by stem.
pub(crate) struct Sequences {
    bat: PathBuf,
    by_stem: HashMap<String, Sequence>,
}

impl Sequences {
    /// Finds the files in `folder`, which has the files `names`. `file` stands for a `.his` file that is not there under its
    /// name, and is the only one.
    pub(crate) fn find(
        bat: &Path,
        conv: &ConvBat,
        folder: &Path,
        names: &[String],
        file: Option<&Path>,
        part: Option<&Part>,
    ) -> Result<Self> {
        let stems = conv.stems();
        if stems.is_empty() {
            let message = "conv.bat names no frames (a line such as: his2img a.his)";
            return Err(Error::format(bat.display(), message));
        }
        let find = |wanted: &str| names.iter().find(|n| n.eq_ignore_ascii_case(wanted)).map(|n| folder.join(n));
        let mut by_stem = HashMap::new();
        for stem in &stems {
            let his = conv.sequences.iter().find(|(s, _)| s == stem).map(|(_, name)| name.as_str());
            let sequence = match his.and_then(find) {
                Some(path) => Sequence::of_his(path, part)?,
                None => match (Sequence::of_files(folder, names, stem, part)?, file) {
                    (Some(sequence), _) => sequence,
                    // The file may have been renamed after the measurement; with one sequence there is no doubt.
                    (None, Some(file)) if his.is_some() && conv.sequences.len() == 1 => {
                        Sequence::of_his(file.to_owned(), part)?
                    }
                    (None, _) if his.is_none() => continue,
                    (None, _) => {
                        let message = "conv.bat names a file that is not in the folder";
                        let name = his.unwrap_or_default();
                        return Err(Error::not_found(bat.display(), message).with("file", format!("'{name}'")));
                    }
                },
            };
            by_stem.insert(stem.clone(), sequence);
        }
        Ok(Sequences { bat: bat.to_owned(), by_stem })
    }
    pub(crate) fn get(&self, stem: &str) -> Option<&Sequence> {
        self.by_stem.get(stem)
    }
    /// The image of one frame.
    pub(crate) fn image(&self, source: &Source) -> Result<Arc<Image>> {
        let sequence = self.get(&source.stem).ok_or_else(|| {
            let message = "conv.bat uses frames of a sequence that is not there";
            Error::format(self.bat.display(), message).with("name", format!("{}{}", source.stem, source.number))
        })?;
        sequence.frames.get(&source.number).cloned().ok_or_else(|| {
            let why = match &sequence.cut_off {
                Some(why) => why,
                None if sequence.single_files => "there is no file with its number",
                None => "the file has fewer frames",
            };
            let message = format!("conv.bat uses a frame that is not there in full: {why}");
            Error::format(sequence.place.display(), message)
                .with("frame", source.number)
                .with("complete_frames", sequence.frames.len())
        })
    }
    /// The images whose mean is wanted.
    pub(crate) fn group(&self, sources: &[Source]) -> Result<Group> {
        sources.iter().map(|source| self.image(source)).collect()
    }
}
