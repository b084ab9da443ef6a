//! HiPic folders: one `.img` or 16-bit `.tif` file per frame, a dark, and `output.log`.
//!
//! Must not know: `.his` files (which use [`assemble`] with frames from elsewhere).

pub use super::shot_log::{Shot, ShotLog};

use super::angles::{beside, snapped, view_angles};
use super::bytes::read_text;
use super::hamamatsu;
use super::images::{Group, Image, Parts};
use super::stack::images_of;
use super::{folder_names, tiff_image};
use crate::error::{Error, Result};
use crate::geometry::{covered_deg, uniform_angles};
use crate::scan::{Scan, ScanInfo, ScanOptions};
use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::path::{Path, PathBuf};

/// What the ct-rec command lines let a user choose beyond [`ScanOptions`].
#[derive(Clone, Debug)]
pub struct HipicOptions {
    /// Path of the log (`RHP_O`); default `output.log` in the folder.
    pub log: Option<PathBuf>,
    /// A log that has been parsed already, for example from standard input; goes before `log`.
    pub shots: Option<ShotLog>,
    /// File name of the dark inside the folder (`RHP_D`); `.tif` and `.tiff` select TIFF frames, others `.img`.
    pub dark_name: Option<String>,
    /// First letter of the frame names (`RHP_Q`), upper or lower case; default `q`.
    pub letter: char,
    /// Use the angles of the log for sorting only; view m of M is then exactly at π·m/M, as ct-rec assumes.
    pub even_angles: bool,
}

impl Default for HipicOptions {
    fn default() -> Self {
        HipicOptions { log: None, shots: None, dark_name: None, letter: 'q', even_angles: false }
    }
}

/// File names of frames: letter, number, extension.
struct Frames {
    by_number: BTreeMap<u32, PathBuf>,
    tiff: bool,
}

/// Number of a frame file such as `q0012.img`; names have more than five characters and the right extension.
fn frame_number(name: &str, letter: char, tiff: bool) -> Option<u32> {
    let (stem, extension) = name.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    if name.chars().count() <= 5 || if tiff { extension != "tif" && extension != "tiff" } else { extension != "img" } {
        return None;
    }
    let rest = stem.strip_prefix([letter.to_ascii_lowercase(), letter.to_ascii_uppercase()])?;
    let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
    digits.parse().ok()
}

impl Frames {
    fn list(folder: &Path, names: &[String], letter: char, tiff: bool) -> Result<Self> {
        let mut by_number = BTreeMap::new();
        for name in names {
            let Some(number) = frame_number(name, letter, tiff) else { continue };
            if let Some(other) = by_number.insert(number, folder.join(name)) {
                return Err(Error::format(folder.display(), "two frame files have the same number")
                    .with("files", format!("{} and {name}", other.file_name().unwrap_or_default().to_string_lossy()))
                    .with("number", number));
            }
        }
        Ok(Frames { by_number, tiff })
    }
}

/// True if the folder looks like a HiPic scan: a log, or frames with a number.
pub(crate) fn is_folder(names: &[String]) -> bool {
    let has = |name: &str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
    let frame = |tiff| names.iter().any(|n| frame_number(n, 'q', tiff).is_some());
    let dark_tiff = has("dark.tif") || has("dark.tiff");
    has("dark.img")
        || frame(false)
        || (frame(true) && (has("output.log") || dark_tiff))
        || (has("output.log") && (dark_tiff || !has("conv.bat")))
}

fn find<'a>(names: &'a [String], wanted: &str) -> Option<&'a String> {
    names.iter().find(|n| *n == wanted).or_else(|| names.iter().find(|n| n.eq_ignore_ascii_case(wanted)))
}

/// Opens a HiPic folder. The frames are `.img` if there is a `dark.img`, else `.tif` if there is a `dark.tif`.
///
/// Names are matched in any case; a frame name is the letter and a number of any length. Projections are ordered by
/// angle, direct-beam frames by time. Every frame's header, size and length is checked when it is first read.
pub fn open_hipic(path: &Path, hipic: &HipicOptions, options: &ScanOptions) -> Result<Scan> {
    if options.flat.is_some() {
        return Err(Error::invalid("flat", "the direct-beam frames of a HiPic folder are named by its output.log"));
    }
    let place = path.display();
    let names = folder_names(path)?;
    let is_tiff = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.ends_with(".tif") || name.ends_with(".tiff")
    };
    let dark_file = match &hipic.dark_name {
        Some(wanted) => Some(find(&names, wanted).ok_or_else(|| {
            Error::not_found(place.to_string(), "no such dark file in the folder").with("dark", format!("'{wanted}'"))
        })?),
        None => ["dark.img", "dark.tif", "dark.tiff"].iter().find_map(|n| find(&names, n)),
    };
    let tiff = match dark_file {
        Some(name) => is_tiff(name),
        None => !names.iter().any(|n| frame_number(n, hipic.letter, false).is_some()),
    };
    let probe = if tiff { tiff_image::single } else { hamamatsu::img };
    let dark: Group = match (options.dark.as_deref(), dark_file) {
        (Some("none"), _) => Group::new(),
        (Some(given), _) => images_of(&beside(path, given))?,
        (None, Some(name)) => vec![Image::lazy(path.join(name), probe)],
        (None, None) => {
            let message = "there is no dark frame: expected dark.img or dark.tif in the folder, or the option \
                           dark=FILE (dark=none to go without)";
            return Err(Error::not_found(place, message));
        }
    };
    let log = match (&hipic.shots, &hipic.log) {
        (Some(log), _) => log.clone(),
        (None, Some(file)) => ShotLog::parse(&read_text(file)?, file.display())?,
        (None, None) => {
            let name = find(&names, "output.log").ok_or_else(|| {
                let message = "there is no output.log in the folder: it lists the frames with their times and angles";
                Error::not_found(place.to_string(), message)
            })?;
            let file = path.join(name);
            ShotLog::parse(&read_text(&file)?, file.display())?
        }
    };
    let frames = Frames::list(path, &names, hipic.letter, tiff)?;
    let kind = if frames.tiff { "HiPic folder with TIFF frames" } else { "HiPic folder with .img frames" };
    let info = ScanInfo { format: "hipic", path: path.to_owned(), details: kind.to_owned(), ..ScanInfo::default() };
    let lookup = |number: u32| frames.by_number.get(&number).map(|file| vec![Image::lazy(file.clone(), probe)]);
    let missing = |number: u32| {
        let extension = if tiff { "tif" } else { "img" };
        format!("the folder has no file {}{number}.{extension} (with any number of leading zeros)", hipic.letter)
    };
    assemble(&log, lookup, missing, dark, hipic.even_angles, info, options)
}

/// Makes a scan from a log and frames by number. `missing` says what was looked for when a frame is not there.
pub(crate) fn assemble(
    log: &ShotLog,
    lookup: impl Fn(u32) -> Option<Group>,
    missing: impl Fn(u32) -> String,
    dark: Group,
    even_angles: bool,
    mut info: ScanInfo,
    options: &ScanOptions,
) -> Result<Scan> {
    let place = info.path.display().to_string();
    let (projections, flats) = (log.projections(), log.flats());
    let groups = |shots: &[Shot]| -> Result<Vec<Group>> {
        let group = |shot: &Shot| {
            let message = || format!("output.log names a frame that does not exist: {}", missing(shot.frame));
            lookup(shot.frame)
                .ok_or_else(|| Error::not_found(&place, message()).with("frame", shot.frame).with("line", shot.line))
        };
        shots.iter().map(group).collect()
    };
    let (views, flat_groups) = (groups(&projections)?, groups(&flats)?);
    info.angles_rad = match &options.angles {
        Some(text) => {
            let folder =
                if info.path.is_dir() { info.path.as_path() } else { info.path.parent().unwrap_or(Path::new("")) };
            snapped(view_angles(text, folder, views.len())?)
        }
        None if even_angles => {
            // ct-rec would take any log for a half turn and make a wrong image of a full one.
            let covered = covered_deg(&projections.iter().map(|s| s.angle_deg.to_radians()).collect::<Vec<_>>());
            if covered > 190.0 {
                let message = format!(
                    "the angles of output.log cover {covered:.1} degrees, but this program reconstructs half a turn; \
                     with the axis near the middle of the detector use wagiri run --turn full, and if the angles of the \
                     log are wrong wagiri run --angles 180"
                );
                return Err(Error::unsupported(place, message));
            }
            uniform_angles(views.len(), 0.0, PI)
        }
        None => {
            if let Some(pair) = projections.windows(2).find(|w| w[0].angle_deg == w[1].angle_deg) {
                let message = "two projections are at the same angle; correct output.log, or give the angles with \
                               the option angles (a span such as 180)";
                return Err(Error::format(place, message)
                    .with("frames", format!("{} and {}", pair[0].frame, pair[1].frame))
                    .with("angle_deg", pair[0].angle_deg));
            }
            snapped(projections.iter().map(|s| s.angle_deg.to_radians()).collect())
        }
    };
    info.view_time = projections.iter().map(|s| s.time).collect();
    info.flat_time = flats.iter().map(|s| s.time).collect();
    if log.from_pulses {
        info.notes.push("the angles of output.log were motor pulses; divided by 500".to_owned());
    }
    let mut parts = Parts { views, flats: flat_groups, dark, half_turn: None, half_turn_flat: None };
    let extra = log.after_blank.iter().find(|s| s.projection);
    if let (Some(extra), Some(first)) = (extra, projections.first()) {
        let turned = extra.angle_deg - first.angle_deg;
        // Half a degree: the frame is used to find the axis to a tenth of a pixel only.
        let half = (turned.abs() - 180.0).abs() < 0.5;
        match lookup(extra.frame) {
            Some(image) if half => {
                parts.half_turn = Some(image);
                let flat = log.after_blank.iter().find(|s| !s.projection).and_then(|s| lookup(s.frame));
                parts.half_turn_flat = flat.or_else(|| parts.flats.last().cloned());
            }
            Some(_) => {
                let note = format!(
                    "the frame after the blank lines of output.log is {turned} degrees from the first \
                                    projection, not half a turn: not used"
                );
                info.notes.push(note);
            }
            None => info.notes.push(format!("the half-turn frame of output.log is not used: {}", missing(extra.frame))),
        }
    }
    if parts.dark.is_empty() {
        info.notes.push("no dark frame: zero is subtracted".to_owned());
    }
    let (m, i) = (parts.views.len(), parts.flats.len());
    info.details = format!("{}, output.log with {m} projections and {i} direct-beam frames", info.details);
    parts.into_scan(info, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_names_are_free_in_case_and_digits() {
        assert_eq!(frame_number("q1.img", 'q', false), Some(1));
        assert_eq!(frame_number("Q00012.IMG", 'q', false), Some(12));
        assert_eq!(frame_number("q0012.tiff", 'q', true), Some(12));
        assert_eq!(frame_number("p0012.img", 'P', false), Some(12));
        for other in ["q.img", "dark.img", "q0012.tif", "qx12.img", "q12", "a012.img", "ｑ0012.img"] {
            assert_eq!(frame_number(other, 'q', false), None, "{other}");
        }
    }
}
