//! Roles of frames by the user's options: which are dark, which direct beam, which projections.
//!
//! For formats that do not say it themselves. Must not know: formats.

use super::angles::beside;
use super::his::ranges;
use super::images::{Group, Image, Parts};
use super::stack::images_of;
use crate::error::{Error, Result};
use crate::scan::{Scan, ScanInfo, ScanOptions};
use std::path::Path;
use std::sync::Arc;

/// Frames by role, and their times in frames.
pub(crate) struct Roles {
    pub views: Vec<Group>,
    pub view_time: Vec<f64>,
    pub flats: Vec<Group>,
    pub flat_time: Vec<f64>,
    pub dark: Group,
}

/// Splits a sequence. `dark` and `flat` are ranges of frames (`A..B`, or several with commas: one direct-beam group
/// each, at its mean frame number), or files or folders beside it, or for dark `none`. The rest are projections.
pub(crate) fn split(frames: &[Arc<Image>], options: &ScanOptions, folder: &Path) -> Result<Roles> {
    let mut taken = vec![false; frames.len()];
    let mut take = |option: &'static str, text: &str| -> Result<Option<Vec<(Group, f64)>>> {
        let Some(ranges) = ranges(text) else { return Ok(None) };
        let mut groups = Vec::new();
        for range in ranges {
            if range.is_empty() || range.end > frames.len() {
                return Err(Error::invalid(option, format!("expected frames A..B within 0..{}", frames.len()))
                    .with(option, text));
            }
            if let Some(i) = range.clone().find(|&i| taken[i]) {
                return Err(Error::invalid(
                    option,
                    "a frame can be dark, direct beam or projection, but only one of them",
                )
                .with("frame", i)
                .with(option, text));
            }
            taken[range.clone()].fill(true);
            let middle = (range.start + range.end - 1) as f64 / 2.0;
            groups.push((frames[range].to_vec(), middle));
        }
        groups.sort_by(|a, b| a.1.total_cmp(&b.1));
        Ok(Some(groups))
    };
    let dark = match options.dark.as_deref() {
        None | Some("none") => Group::new(),
        Some(text) => match take("dark", text)? {
            Some(groups) => groups.into_iter().flat_map(|(group, _)| group).collect(),
            None => images_of(&beside(folder, text))?,
        },
    };
    let flats = match options.flat.as_deref() {
        None => Vec::new(),
        Some(text) => match take("flat", text)? {
            Some(groups) => groups,
            None => vec![(images_of(&beside(folder, text))?, 0.0)],
        },
    };
    let (flats, flat_time) = flats.into_iter().unzip();
    let views: Vec<usize> = (0..frames.len()).filter(|&i| !taken[i]).collect();
    let view_time = views.iter().map(|&i| i as f64).collect();
    let views = views.into_iter().map(|i| vec![frames[i].clone()]).collect();
    Ok(Roles { views, view_time, flats, flat_time, dark })
}

/// Makes the scan.
pub(crate) fn scan(
    views: Vec<Group>,
    flats: Vec<Group>,
    dark: Group,
    mut info: ScanInfo,
    options: &ScanOptions,
) -> Result<Scan> {
    let averaged: usize = flats.iter().map(Vec::len).sum();
    info.details = format!("{}, {} dark and {averaged} direct-beam frames", info.details, dark.len());
    if dark.is_empty() {
        info.notes.push("no dark frame: zero is subtracted".to_owned());
    }
    Parts { views, flats, dark, half_turn: None, half_turn_flat: None }.into_scan(info, options)
}
