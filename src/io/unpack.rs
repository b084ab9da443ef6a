//! Sequences of raw frames into files of their own, and a scan folder from its `conv.bat`.
//!
//! Must not know: command lines.

use super::bytes::read_text;
use super::conv_bat::{ConvBat, Made};
use super::folder_names;
use super::images::Image;
use super::raw::{FrameMean, RawFrame, RawFrames, in_whole, read_image, write_frame_tiff, write_img};
use super::sequences::Sequences;
use super::stack::is_tiff;
use crate::error::{Error, Result};
use crate::progress::Progress;
use ndarray::s;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What files of frames are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameFormat {
    /// HiPic `.img`, without a comment.
    Img,
    /// 16-bit TIFF with this Artist tag and the frame's comment as description.
    Tiff(String),
}

/// Writes frames into files: each of `jobs` is a number from 0 and a path, whose folder is made. `crop` is rows and columns to
/// keep. Reports frames as slices.
pub fn unpack(
    frames: &RawFrames,
    jobs: &[(usize, PathBuf)],
    crop: Option<[Range<usize>; 2]>,
    format: &FrameFormat,
    progress: &mut Progress,
) -> Result<()> {
    if let (Some([rows, cols]), [height, width]) = (&crop, frames.size()?)
        && (rows.is_empty() || cols.is_empty() || rows.end > height || cols.end > width)
    {
        let accepted = format!("expected a part of the frame, which has {width} columns and {height} rows");
        return Err(Error::invalid("crop", accepted)
            .with("columns", format!("{}..{}", cols.start, cols.end))
            .with("rows", format!("{}..{}", rows.start, rows.end)));
    }
    let mut made: Option<&Path> = None;
    for (done, (index, path)) in jobs.iter().enumerate() {
        progress.report(done, jobs.len(), done as f64 / jobs.len() as f64)?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| made != Some(folder)) {
            fs::create_dir_all(folder).map_err(|e| Error::io(folder.display(), "make the folder", e))?;
            made = Some(folder);
        }
        let mut frame = frames.read(*index)?;
        if let Some([rows, cols]) = &crop {
            frame.pixels = frame.pixels.slice(s![rows.clone(), cols.clone()]).to_owned();
        }
        write(path, frame, format)?;
    }
    progress.report(jobs.len(), jobs.len(), 1.0)
}

fn write(path: &Path, frame: RawFrame, format: &FrameFormat) -> Result<()> {
    match format {
        FrameFormat::Img => write_img(path, &RawFrame { comment: Vec::new(), ..frame }),
        FrameFormat::Tiff(artist) => {
            write_frame_tiff(path, frame.pixels.view(), &String::from_utf8_lossy(&frame.comment), artist)
        }
    }
}

/// What [`convert`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// Images that were written.
    pub written: usize,
    /// Files that got another name.
    pub renamed: usize,
    /// Images that were there already, and the frames that they are made of not any more.
    pub there: usize,
}

/// Makes the frames of a scan (`dark`, `q0001` ...) in `folder` as its `conv.bat` says.
///
/// The batch file is read as a list of what to unpack, average, copy and rename; nothing is executed. Frames of a `.his` file
/// that have no name in the end are not unpacked. Frames that are files already, `.img` or TIFF, are renamed where the batch
/// file renames them, after everything else is done; so the call can be repeated after it was stopped anywhere. Averages are
/// cut off to whole counts, as `img_ave` does. Reports images as slices.
///
/// Errors: `NOT_FOUND` without `conv.bat` or frames, `UNSUPPORTED` for a line that is something else, `INVALID` for a name
/// outside the folder; then nothing has been written.
pub fn convert(folder: &Path, progress: &mut Progress) -> Result<Converted> {
    let names = folder_names(folder)?;
    let bat = names.iter().find(|n| n.eq_ignore_ascii_case("conv.bat")).map(|n| folder.join(n));
    let bat = bat.ok_or_else(|| Error::not_found(folder.display(), "there is no conv.bat in the folder"))?;
    let conv = ConvBat::parse(&read_text(&bat)?);
    if let Some((line, text)) = conv.ignored.first() {
        let message = "a line is not understood; conv.bat is read, never run, and may unpack (his2img), average (img_ave, \
                       tif_ave), rename (ren, mv) and copy (copy, cp) frames";
        let shown: String = text.chars().take(60).collect();
        return Err(Error::unsupported(bat.display(), message).with("line", line).with("text", format!("'{shown}'")));
    }
    let images = conv.images();
    let outside = |name: &str| name.contains(['/', '\\', ':']) || name.is_empty() || name.starts_with('.');
    if let Some(made) = images.iter().find(|made| outside(&made.name)) {
        let message = "conv.bat names a file outside the folder; a plain file name is expected";
        return Err(Error::invalid(bat.display(), message).with("line", made.line).with("name", &made.name));
    }
    let his = || names.iter().filter(|n| n.to_ascii_lowercase().ends_with(".his"));
    let file = his().next().filter(|_| his().count() == 1).map(|n| folder.join(n));
    let sequences = Sequences::find(&bat, &conv, folder, &names, file.as_deref(), None)?;
    let job = |made: &'_ Made| Job::new(made, folder, &names, &sequences);
    let mut jobs = images.into_iter().map(job).collect::<Result<Vec<Job>>>()?;
    // Frames keep their names until everything that needs them is made.
    jobs.sort_by_key(|job| job.is_renamed);
    let mut done = Converted::default();
    for (i, job) in jobs.iter().enumerate() {
        progress.report(i, jobs.len(), i as f64 / jobs.len() as f64)?;
        match &job.frames {
            None => done.there += 1,
            Some(frames) if job.is_renamed => {
                let from = &frames[0].file.path;
                fs::rename(from, &job.path).map_err(|e| Error::io(from.display(), "rename", e))?;
                done.renamed += 1;
            }
            Some(frames) => {
                job.write(frames)?;
                done.written += 1;
            }
        }
    }
    progress.report(jobs.len(), jobs.len(), 1.0)?;
    Ok(done)
}

/// One image to be made.
struct Job {
    path: PathBuf,
    is_renamed: bool,
    /// `None`: the image is there and its frames are not.
    frames: Option<Vec<Arc<Image>>>,
    format: FrameFormat,
}

impl Job {
    fn new(made: &Made, folder: &Path, names: &[String], sequences: &Sequences) -> Result<Job> {
        let first = &made.sources[0];
        let single = sequences.get(&first.stem).is_some_and(|sequence| sequence.single_files);
        let (base, extension) = match made.name.rsplit_once('.') {
            Some((base, extension)) => (base, extension.to_ascii_lowercase()),
            None => (made.name.as_str(), String::new()),
        };
        let frames = sequences.group(&made.sources);
        // A batch file that was written for .img does for TIFF frames too.
        let tiff = match sequences.get(&first.stem).filter(|sequence| sequence.single_files) {
            Some(sequence) => sequence.tiff,
            None => is_tiff(&made.name) || (extension.is_empty() && names.iter().any(|n| is_tiff(n))),
        };
        let ending = match (tiff, extension.as_str()) {
            (true, "tif" | "tiff") | (false, "img") => extension.as_str(),
            (true, _) => "tif",
            (false, _) => "img",
        };
        let path = folder.join(format!("{base}.{ending}"));
        let frames = match frames {
            Ok(frames) => Some(frames),
            Err(_) if path.is_file() => None,
            Err(e) => return Err(e),
        };
        if frames.iter().flatten().any(|image| image.file.path == path) {
            let message = "conv.bat makes an image of the name of a frame that it is made from";
            return Err(Error::invalid(path.display(), message).with("line", made.line));
        }
        let format = if tiff { FrameFormat::Tiff("tif_f2i_libtiff".into()) } else { FrameFormat::Img };
        Ok(Job { path, is_renamed: made.moved && single, frames, format })
    }
    fn write(&self, frames: &[Arc<Image>]) -> Result<()> {
        if let [one] = frames {
            let from = &one.file.path;
            if from.extension() == self.path.extension() {
                // As it is, with whatever its file says beside.
                return in_whole(&self.path, |aside| {
                    fs::copy(from, aside).map(drop).map_err(|e| Error::io(self.path.display(), "copy", e))
                });
            }
            return write(&self.path, read_image(one)?, &self.format);
        }
        let mut mean = FrameMean::default();
        for image in frames {
            mean.add(read_image(image)?, image.file.path.display())?;
        }
        match mean.mean() {
            Some(frame) => write(&self.path, frame, &self.format),
            None => Err(Error::internal(self.path.display(), "an average of nothing")),
        }
    }
}
