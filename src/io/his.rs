//! `.his` files: a sequence of frames, each with its own header and comment.
//!
//! The roles of the frames come from `conv.bat` and `output.log` beside the file, or from the options.
//! Must not know: how pixels are read.

use super::angles::{checked, parse_range, view_angles};
use super::bytes::{file_len, open_file, read_text};
use super::conv_bat::{ConvBat, Source};
use super::folder_names;
use super::hamamatsu::{HEADER, Header};
use super::hipic::{ShotLog, assemble};
use super::images::{Group, Image, ImageFile, Layout};
use super::roles::{self, Roles};
use super::sequences::Sequences;
use crate::error::{Error, Result};
use crate::scan::{Scan, ScanInfo, ScanOptions};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// The frames of one file.
pub(crate) struct Index {
    /// Frames that are there in full.
    pub frames: Vec<Arc<Image>>,
    /// How many the file says it has.
    pub declared: u32,
    /// Why the last frame is not there in full, if it is not.
    pub cut_off: Option<String>,
    pub details: String,
}

/// Walks a file frame by frame. The declared number of frames is often wrong and only compared; a frame that is cut
/// off is left out and remembered, so that it is an error only where it is needed.
pub(crate) fn index(path: &Path) -> Result<Index> {
    let handle = open_file(path)?;
    let length = file_len(&handle, path)?;
    let shared = ImageFile::kept_open(path.to_owned(), open_file(path)?);
    let mut result = Index { frames: Vec::new(), declared: 0, cut_off: None, details: String::new() };
    let mut first: Option<Header> = None;
    let mut at = 0;
    while at < length {
        let number = result.frames.len();
        if length - at < HEADER {
            result.cut_off = Some(format!("the header of frame {number} is cut off"));
            break;
        }
        let Some(header) = Header::read(&handle, path, at)? else {
            if number > 0 && number as u64 >= result.declared as u64 {
                result.cut_off = Some(format!("after frame {} there are {} other bytes", number - 1, length - at));
                break;
            }
            let message = if number == 0 {
                "not a Hamamatsu sequence: the file does not begin with the letters IM"
            } else {
                "no frame header where one is expected (the file is damaged)"
            };
            return Err(Error::format(path.display(), message).with("frame", number).with("offset", at));
        };
        let pixels = at + HEADER + header.comment;
        let end = pixels + header.pixel_bytes();
        if number == 0 {
            result.declared = header.frames;
        }
        if end > length {
            if number == 0 && pixels > length {
                let message = "the comment of the first frame reaches beyond the end of the file";
                return Err(Error::format(path.display(), message).with("comment_bytes", header.comment));
            }
            result.cut_off = Some(format!("frame {number} is cut off: {} bytes are missing", end - length));
            break;
        }
        let alike = |f: &Header| (f.rows, f.cols, f.sample) == (header.rows, header.cols, header.sample);
        if !first.as_ref().is_none_or(alike) {
            let message = "the frame differs in size or pixel type from the first: all frames must be alike";
            return Err(Error::format(path.display(), message)
                .with("frame", number)
                .with("size", format!("{} x {}", header.cols, header.rows)));
        }
        let layout = Layout::block(header.rows, header.cols, header.sample, pixels);
        result.frames.push(Image::known(shared.clone(), layout));
        first.get_or_insert(header);
        at = end;
    }
    if let (true, Some(what)) = (result.frames.is_empty(), &result.cut_off) {
        return Err(Error::format(path.display(), format!("the file has no complete frame: {what}")));
    }
    let Some(first) = first else {
        return Err(Error::format(path.display(), "the file is empty"));
    };
    result.details = format!("Hamamatsu .his, {}, {} frames", first.sample.name(), result.frames.len());
    Ok(result)
}

impl Index {
    /// What differs between the header and the file.
    pub(crate) fn notes(&self, path: &Path) -> Vec<String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut notes = Vec::new();
        if let Some(what) = &self.cut_off {
            notes.push(format!("{name}: {what}; not used"));
        }
        let there = self.frames.len();
        if self.declared as usize != there {
            notes.push(format!("{name}: the header says {} frames, the file has {there} complete ones", self.declared));
        }
        notes
    }
}

/// Opens a `.his` file, or a folder with one.
pub(crate) fn open(path: &Path, options: &ScanOptions) -> Result<Scan> {
    let (folder, file) = if path.is_dir() {
        let his = |n: &String| n.to_ascii_lowercase().ends_with(".his");
        let files: Vec<String> = folder_names(path)?.into_iter().filter(his).collect();
        let file = match files.as_slice() {
            [one] => Some(path.join(one)),
            _ => None,
        };
        (path.to_owned(), file)
    } else {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        (parent.to_owned(), Some(path.to_owned()))
    };
    let by_options = options.flat.is_some() || options.dark.as_deref().is_some_and(|d| d != "none");
    if !by_options && let Some(scan) = open_converted(path, &folder, file.as_deref(), options)? {
        return Ok(scan);
    }
    let Some(file) = file else {
        let message = "expected a folder with exactly one .his file, or with conv.bat and output.log";
        return Err(Error::not_found(folder.display(), message));
    };
    let mut index = index(&file)?;
    if options.flat.is_none() || options.dark.is_none() || options.angles.is_none() {
        let message = "which frames are dark, direct beam and projections is not known: put conv.bat and output.log \
                       beside the file, or give dark=A..B, flat=A..B[,C..D] (frames from 0) and angles=SPAN or FILE";
        return Err(Error::invalid(file.display(), message).with("frames", index.frames.len()));
    }
    if let Some(part) = &options.part {
        let numbers = part.of_frames(index.frames.len()).map_err(|e| e.at(file.display()))?;
        index.frames = numbers.into_iter().map(|i| index.frames[i].clone()).collect();
        // A frame that is cut off is beyond all scans of the series.
        index.cut_off = None;
    }
    let Roles { views, view_time, flats, flat_time, dark } = roles::split(&index.frames, options, &folder)?;
    if let Some(what) = &index.cut_off {
        // The cut-off frame would be the last projection, unless the user has chosen others.
        if options.views.as_ref().is_none_or(|r| r.end > views.len()) {
            let message = format!("{what}; to use the frames before it, choose views=0..{}", views.len());
            return Err(Error::format(file.display(), message));
        }
    }
    let angles = view_angles(options.angles.as_deref().unwrap_or_default(), &folder, views.len())?;
    let info = ScanInfo {
        format: "his",
        path: path.to_owned(),
        details: format!("{}, roles by options", index.details),
        angles_rad: checked(&file, angles)?,
        view_time,
        flat_time,
        notes: index.notes(&file),
        ..ScanInfo::default()
    };
    roles::scan(views, flats, dark, info, options)
}

/// Roles from `conv.bat` and `output.log`; `None` if one of them is not there.
fn open_converted(path: &Path, folder: &Path, file: Option<&Path>, options: &ScanOptions) -> Result<Option<Scan>> {
    let names = folder_names(folder)?;
    let find = |wanted: &str| names.iter().find(|n| n.eq_ignore_ascii_case(wanted)).map(|n| folder.join(n));
    let (Some(bat), Some(log_file)) = (find("conv.bat"), find("output.log")) else { return Ok(None) };
    let conv = ConvBat::parse(&read_text(&bat)?);
    let log = ShotLog::parse(&read_text(&log_file)?, log_file.display())?;
    let sequences = Sequences::find(&bat, &conv, folder, &names, file, options.part.as_ref())?;
    let resolve = |sources: &[Source]| sequences.group(sources);
    let dark = match (options.dark.as_deref(), conv.named("dark")) {
        (Some("none"), _) => Group::new(),
        (_, Some(sources)) => resolve(sources)?,
        (_, None) => {
            let message = "conv.bat makes no dark frame; give dark=A..B (frames from 0), or dark=none";
            return Err(Error::not_found(bat.display(), message));
        }
    };
    let mut groups = HashMap::new();
    let needed = log.shots.iter().map(|s| (s, true));
    for (shot, needed) in needed.chain(log.after_blank.iter().map(|s| (s, false))) {
        let Some(sources) = conv.numbered('q', shot.frame) else { continue };
        match resolve(sources) {
            Ok(group) => drop(groups.insert(shot.frame, group)),
            // Frames after the blank lines help to find the axis; a scan that was cut off there is still one.
            Err(e) if needed => return Err(e),
            Err(_) => {}
        }
    }
    let mut info = ScanInfo { format: "his", path: path.to_owned(), ..ScanInfo::default() };
    let mut details: Vec<String> = Vec::new();
    for sequence in conv.stems().iter().filter_map(|stem| sequences.get(stem)) {
        details.push(sequence.details.clone());
        info.notes.extend(sequence.notes.iter().cloned());
    }
    info.details = format!("{}, roles from conv.bat", details.join(" + "));
    if !conv.ignored.is_empty() {
        let count = conv.ignored.len();
        info.notes.push(format!("{count} lines of conv.bat are not understood and were left out"));
    }
    let missing = |number: u32| format!("conv.bat makes no q{number}.img");
    assemble(&log, |n| groups.get(&n).cloned(), missing, dark, false, info, options).map(Some)
}

/// Frames such as `0..30`; one group per range.
pub(crate) fn ranges(text: &str) -> Option<Vec<std::ops::Range<usize>>> {
    text.split(',').map(parse_range).collect()
}
