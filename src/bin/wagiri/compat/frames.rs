//! Programs on raw frames: splitting .his files, averages, conversions.

use super::{Call, Program, Variants};
use crate::terminal::counting;
use std::path::{Path, PathBuf};
use wagiri::io::{FrameFormat, FrameMean, RawFrame, RawFrames, unpack, write_frame_tiff, write_img};
use wagiri::{Error, Result};

const KINDS: &str =
    "8-bit (types 0 and 1), 12-bit packed and 16-bit frames, comments of any length, wrong frame counts";

pub const PROGRAMS: &[Program] = &[
    Program {
        stem: "his2img",
        variants: Variants::Plain,
        usage: &["a.his {x1 x2 y1 y2}"],
        does: "unpacks a .his file into a001.img ..., or the given part of each frame, ends included",
        same_as: "wagiri run a.his OUT",
        differs: "reads to the end of the file, whatever its header promises; files are written aside and renamed",
        checked: KINDS,
        run: his2img,
    },
    Program {
        stem: "his2tif6",
        variants: Variants::Plain,
        usage: &["a.his"],
        does: "unpacks a .his file into a000001.tif ...",
        same_as: "wagiri run a.his OUT",
        differs: "8-bit files too; success is reported as success, and logged",
        checked: KINDS,
        run: his2tif6,
    },
    Program {
        stem: "his_spl_E",
        variants: Variants::Plain,
        usage: &["a.his PN NL"],
        does: "splits a .his file of NL scans of PN frames, one scan after the other, into 001/raw/a001.img ...",
        same_as: "wagiri run a.his OUT --part K/NLxPN",
        differs: "the folders are made",
        checked: "every frame of two scans of 8, 12 and 16 bits",
        run: his_spl,
    },
    Program {
        stem: "his_spl_K",
        variants: Variants::Plain,
        usage: &["a.his PN NL"],
        does: "the same for scans whose frames take turns",
        same_as: "wagiri run a.his OUT --part K/NL:interleaved",
        differs: "the folders are made; 8-bit files too",
        checked: "every frame of two scans",
        run: his_spl,
    },
    Program {
        stem: "his_spl_e_nd",
        variants: Variants::Plain,
        usage: &["a.his PN NL"],
        does: "as his_spl_E, but scans after the first get no frames 1 to 100",
        same_as: "wagiri run a.his OUT --part K/NLxPN",
        differs: "the folders are made; a file that does not hold those 100 frames is split as well",
        checked: "the numbers of the frames, for both kinds of file",
        run: his_spl,
    },
    Program {
        stem: "his_spl_tif",
        variants: Variants::Plain,
        usage: &["a.his PN NL"],
        does: "as his_spl_E into TIFF files, with the comments of the frames as descriptions",
        same_as: "wagiri run a.his OUT --part K/NLxPN",
        differs: "the folders are made; characters that TIFF does not allow in a description become ?",
        checked: "every frame and comment of two scans",
        run: his_spl,
    },
    Program {
        stem: "his_ave",
        variants: Variants::Plain,
        usage: &["a.his out.tif {from to}"],
        does: "mean of the frames of a .his file, or of frames from to to (from 1), cut off to whole counts",
        same_as: "wagiri run a.his OUT --dark A..B --flat A..B --angles 180",
        differs: "8-bit files too",
        checked: "values",
        run: his_ave,
    },
    Program {
        stem: "img_ave",
        variants: Variants::Plain,
        usage: &["in.img ... out.img"],
        does: "mean of .img files, cut off to whole counts, with header and comment of the last",
        same_as: "wagiri conv DIR",
        differs: "an output that is one of the inputs is refused",
        checked: "values, comment",
        run: average,
    },
    Program {
        stem: "tif_ave",
        variants: Variants::Plain,
        usage: &["in.tif ... out.tif"],
        does: "the same for TIFF files of 8 or 16 bits, into 16 bits",
        same_as: "wagiri conv DIR",
        differs: "an output that is one of the inputs is refused",
        checked: "values",
        run: average,
    },
    Program {
        stem: "q3_ave",
        variants: Variants::Plain,
        usage: &["start end out.img"],
        does: "mean of q000.img ... (three digits), cut off to whole counts",
        same_as: "wagiri conv DIR",
        differs: "",
        checked: "values",
        run: average_numbered,
    },
    Program {
        stem: "q4_ave",
        variants: Variants::Plain,
        usage: &["start end out.img"],
        does: "the same for names of four digits",
        same_as: "wagiri conv DIR",
        differs: "",
        checked: "values",
        run: average_numbered,
    },
    Program {
        stem: "tif2img",
        variants: Variants::Plain,
        usage: &["in.tif out.img"],
        does: "turns a TIFF image of 8 or 16 bits into a HiPic .img file, its description into the comment",
        same_as: "wagiri run SCAN OUT",
        differs: "",
        checked: "values, comment",
        run: tif2img,
    },
];

fn notes(call: &Call, frames: &RawFrames) {
    frames.notes().iter().for_each(|note| call.remark(note));
}

fn here(call: &Call) {
    call.log_command(Path::new("."), "");
}

/// Where most programs on frames log: they are called inside `raw`.
fn one_up(call: &Call) {
    call.log_command(Path::new(".."), "");
}

/// The file without its ending, to be followed by a number.
fn stem(file: &Path) -> String {
    file.with_extension("").to_string_lossy().into_owned()
}

pub fn refuse_same(call: &Call, input: &Path, output: &Path) -> Result<()> {
    let same = std::fs::canonicalize(output).is_ok_and(|out| std::fs::canonicalize(input).is_ok_and(|i| i == out));
    if !same {
        return Ok(());
    }
    let message = format!("the output '{}' is an input; give it another name", output.display());
    Err(Error::invalid(&call.name, message))
}

fn his2img(call: &Call) -> Result<()> {
    if ![1, 5].contains(&call.args.len()) {
        return Err(call.usage());
    }
    let file = Path::new(call.arg(0)?);
    let crop = match call.args.len() {
        1 => None,
        _ => {
            let names = ["x1", "x2", "y1", "y2"];
            let mut ends = [0usize; 4];
            for (i, end) in ends.iter_mut().enumerate() {
                *end = call.whole(names[i], i + 1, 0)? as usize;
            }
            let [x1, x2, y1, y2] = ends;
            Some([y1..y2.saturating_add(1), x1..x2.saturating_add(1)])
        }
    };
    let frames = RawFrames::open(file)?;
    notes(call, &frames);
    // Names follow the header, as conv.bat expects, unless it promises less than there is.
    let digits = frames.declared().unwrap_or(0).max(frames.len()).to_string().len();
    let stem = stem(file);
    let jobs: Vec<_> = (0..frames.len()).map(|i| (i, PathBuf::from(format!("{stem}{:0digits$}.img", i + 1)))).collect();
    unpack(&frames, &jobs, crop, &FrameFormat::Img, &mut counting(&call.name, "frame"))?;
    here(call);
    Ok(())
}

fn his2tif6(call: &Call) -> Result<()> {
    let [file] = call.args.as_slice() else { return Err(call.usage()) };
    let file = Path::new(file);
    let frames = RawFrames::open(file)?;
    notes(call, &frames);
    let (stem, n) = (stem(file), frames.len());
    let mut progress = counting(&call.name, "frame");
    for i in 0..n {
        progress.report(i, n, i as f64 / n as f64)?;
        let path = PathBuf::from(format!("{stem}{:06}.tif", i + 1));
        write_frame_tiff(&path, frames.read(i)?.pixels.view(), &format!("his2tif6 {} / {n}", i + 1), "his2tif6")?;
    }
    progress.report(n, n, 1.0)?;
    here(call);
    Ok(())
}

/// Digits of the names of `frames` frames of a scan.
pub fn digits(frames: usize) -> usize {
    match frames {
        0..1000 => 3,
        1000..10000 => 4,
        _ => 5,
    }
}

fn his_spl(call: &Call) -> Result<()> {
    let [file, ..] = call.args.as_slice() else { return Err(call.usage()) };
    if call.args.len() != 3 {
        return Err(call.usage());
    }
    let (shots, scans) = (call.whole("PN", 1, 1)? as usize, call.whole("NL", 2, 1)? as usize);
    split(call, Path::new(file), shots, scans, call.program.stem)?;
    here(call);
    Ok(())
}

/// Frames that scans after the first of a file without darks do not have.
const NO_DARK: usize = 100;

/// Splits a `.his` file of `scans` scans of `shots` frames into `001/raw` ... of the current folder, as the program `how` does.
pub fn split(call: &Call, file: &Path, shots: usize, scans: usize, how: &str) -> Result<()> {
    let frames = RawFrames::open(file)?;
    notes(call, &frames);
    let all = frames.len();
    let needed = shots.saturating_mul(scans);
    let interleaved = how == "his_spl_K";
    let no_dark = how == "his_spl_e_nd";
    let short = needed.saturating_sub((scans - 1) * NO_DARK.min(shots));
    let without = no_dark && all < needed && all >= short;
    if !without && (all < needed || interleaved && all != needed) {
        let rule = if interleaved { "exactly" } else { "at least" };
        let message = format!("{scans} scans of {shots} frames need {rule} {needed} frames, but the file has {all}");
        return Err(Error::invalid(&call.name, message));
    }
    let (ending, format) = match how {
        "his_spl_tif" => ("tif", FrameFormat::Tiff("his2tif".into())),
        _ => ("img", FrameFormat::Img),
    };
    let digits = digits(shots);
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let mut jobs = Vec::with_capacity(needed);
    for scan in 0..scans {
        let first = if no_dark && scan > 0 { NO_DARK.min(shots) } else { 0 };
        let start = if without { shots * scan - NO_DARK.min(shots) * scan } else { shots * scan };
        for j in first..shots {
            let index = if interleaved { j * scans + scan } else { start + j };
            jobs.push((index, PathBuf::from(format!("{:03}/raw/{name}{:0digits$}.{ending}", scan + 1, j + 1))));
        }
    }
    // In the order of the file, so that the disk reads it from end to end.
    jobs.sort_by_key(|job| job.0);
    unpack(&frames, &jobs, None, &format, &mut counting(&call.name, "frame"))
}

fn his_ave(call: &Call) -> Result<()> {
    let (file, out, range) = match call.args.as_slice() {
        [file, out] => (file, out, None),
        [file, out, _, _] => (file, out, Some((call.whole("from", 2, 1)? as usize, call.whole("to", 3, 1)? as usize))),
        _ => return Err(call.usage()),
    };
    refuse_same(call, Path::new(file), Path::new(out))?;
    let frames = RawFrames::open(Path::new(file))?;
    notes(call, &frames);
    let (from, to) = range.unwrap_or((1, frames.len()));
    if from > to || to > frames.len() {
        let accepted = format!("expected frames from to to within 1 to {}", frames.len());
        return Err(Error::invalid(&call.name, accepted).with("from", from).with("to", to));
    }
    let mut mean = FrameMean::default();
    let mut progress = counting(&call.name, "frame");
    for (done, i) in (from - 1..to).enumerate() {
        progress.report(done, to + 1 - from, done as f64 / (to + 1 - from) as f64)?;
        mean.add(frames.read(i)?, file)?;
    }
    progress.report(to + 1 - from, to + 1 - from, 1.0)?;
    let mean = whole(call, mean)?;
    write_frame_tiff(Path::new(out), mean.pixels.view(), "", "his_ave")?;
    here(call);
    Ok(())
}

fn whole(call: &Call, mean: FrameMean) -> Result<RawFrame> {
    mean.mean().ok_or_else(|| Error::invalid(&call.name, "no frame to average"))
}

/// The mean of single-frame files, into `.img` or TIFF by `tiff`.
fn mean_of(call: &Call, files: &[PathBuf], out: &Path, tiff: bool) -> Result<()> {
    let mut mean = FrameMean::default();
    let mut progress = counting(&call.name, "frame");
    for (done, file) in files.iter().enumerate() {
        progress.report(done, files.len(), done as f64 / files.len() as f64)?;
        refuse_same(call, file, out)?;
        let frames = RawFrames::open(file)?;
        if frames.len() != 1 {
            let message = "one image in each file is expected";
            return Err(Error::format(file.display(), message).with("images", frames.len()));
        }
        mean.add(frames.read(0)?, file.display())?;
    }
    progress.report(files.len(), files.len(), 1.0)?;
    let mean = whole(call, mean)?;
    if tiff {
        return write_frame_tiff(out, mean.pixels.view(), &String::from_utf8_lossy(&mean.comment), "tif_f2i_libtiff");
    }
    write_img(out, &mean)
}

fn average(call: &Call) -> Result<()> {
    let tiff = call.program.stem == "tif_ave";
    // conv.bat files leave out the ending sometimes.
    let named = |name: &String| {
        let path = PathBuf::from(name);
        if path.extension().is_some() { path } else { path.with_extension(if tiff { "tif" } else { "img" }) }
    };
    let [files @ .., out] = call.args.as_slice() else { return Err(call.usage()) };
    if files.is_empty() {
        return Err(call.usage());
    }
    let files: Vec<PathBuf> = files.iter().map(named).collect();
    mean_of(call, &files, &named(out), tiff)?;
    one_up(call);
    Ok(())
}

fn average_numbered(call: &Call) -> Result<()> {
    let [_, _, out] = call.args.as_slice() else { return Err(call.usage()) };
    let (start, end) = (call.whole("start", 0, 0)?, call.whole("end", 1, 0)?);
    if start > end {
        return Err(Error::invalid(&call.name, "start must not be greater than end")
            .with("start", start)
            .with("end", end));
    }
    let digits = if call.program.stem == "q3_ave" { 3 } else { 4 };
    let files: Vec<PathBuf> = (start..=end).map(|i| PathBuf::from(format!("q{i:0digits$}.img"))).collect();
    mean_of(call, &files, Path::new(out), false)?;
    one_up(call);
    Ok(())
}

fn tif2img(call: &Call) -> Result<()> {
    let [file, out] = call.args.as_slice() else { return Err(call.usage()) };
    refuse_same(call, Path::new(file), Path::new(out))?;
    let frames = RawFrames::open(Path::new(file))?;
    if frames.len() > 1 {
        call.remark(format_args!("{file} has {} images; the first one is taken", frames.len()));
    }
    let mut frame = frames.read(0)?;
    while frame.comment.last() == Some(&0) {
        frame.comment.pop();
    }
    write_img(Path::new(out), &frame)?;
    here(call);
    Ok(())
}
