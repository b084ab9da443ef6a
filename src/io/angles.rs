//! View angles as the user gives them, and ranges `A..B`.
//!
//! Must not know: formats.

use super::bytes::read_text;
use crate::error::{Error, Result};
use crate::geometry::{snap_to_even, uniform_angles};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Angles in files carry rounding (and encoders some jitter); within this part of a step from even they are taken as
/// even. A twentieth of a step moves nothing by more than a twentieth of the sampling distance at the rim.
const SNAP_STEPS: f64 = 0.05;

/// `A..B` with A <= B, whole numbers.
pub(crate) fn parse_range(text: &str) -> Option<Range<usize>> {
    let (a, b) = text.trim().split_once("..")?;
    let (a, b) = (a.trim().parse().ok()?, b.trim().parse().ok()?);
    (a <= b).then_some(a..b)
}

/// A path that the user gave: inside the scan folder if it exists there, else as it stands.
pub(crate) fn beside(folder: &Path, given: &str) -> PathBuf {
    let inside = folder.join(given);
    if inside.exists() { inside } else { PathBuf::from(given) }
}

/// Angles of `views` views in radians from the option `angles`:
/// * `180`: even over so many degrees from 0, without the end point (view m is at `180 m / views`);
/// * `-88.2..91.8`: even from the first to the last number, both included;
/// * `FILE`, `FILE:A..B`: a text file with one number of degrees per line, or its entries A (from 0) to B (exclusive).
pub(crate) fn view_angles(text: &str, folder: &Path, views: usize) -> Result<Vec<f64>> {
    let number = |s: &str| s.trim().parse::<f64>().ok().filter(|v| v.is_finite());
    if let Some(span) = number(text) {
        if span == 0.0 {
            return Err(Error::invalid("angles", "a span of 0 degrees leaves every view at one angle"));
        }
        return Ok(uniform_angles(views, 0.0, span.to_radians()));
    }
    if let Some((a, b)) = text.split_once("..")
        && let (Some(a), Some(b)) = (number(a), number(b))
    {
        if a == b {
            return Err(Error::invalid("angles", "a span of 0 degrees leaves every view at one angle"));
        }
        let steps = views.saturating_sub(1).max(1) as f64;
        return Ok((0..views).map(|m| (a + (b - a) * m as f64 / steps).to_radians()).collect());
    }
    let (file, range) = match text.rsplit_once(':') {
        Some((file, tail)) if parse_range(tail).is_some() => (file, parse_range(tail)),
        _ => (text, None),
    };
    angle_file(&beside(folder, file), range, views)
}

/// Angles from a text file, checked against the number of views.
pub(crate) fn angle_file(path: &Path, range: Option<Range<usize>>, views: usize) -> Result<Vec<f64>> {
    let mut angles = Vec::new();
    for (i, line) in read_text(path)?.lines().enumerate() {
        let content = line.split('#').next().unwrap_or_default().trim().trim_end_matches([',', ';']);
        if content.is_empty() {
            continue;
        }
        let Some(angle) = content.parse::<f64>().ok().filter(|v| v.is_finite()) else {
            return Err(Error::format(path.display(), "expected one angle in degrees per line")
                .with("line", i + 1)
                .with("text", format!("'{}'", content.chars().take(40).collect::<String>())));
        };
        angles.push(angle);
    }
    let total = angles.len();
    if let Some(range) = &range {
        if range.end > total {
            return Err(Error::invalid(path.display(), format!("the file holds {total} angles"))
                .with("angles", format!("{}..{}", range.start, range.end)));
        }
        angles = angles[range.clone()].to_vec();
    }
    if angles.len() != views {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let message = match range {
            Some(_) => format!("the chosen part has {} angles, but there are {views} projections", angles.len()),
            None => format!(
                "the file holds {total} angles, but there are {views} projections; choose the part that belongs to \
                 them with angles={name}:A..B (entries A to B-1, counted from 0)"
            ),
        };
        return Err(Error::format(path.display(), message));
    }
    Ok(angles.into_iter().map(f64::to_radians).collect())
}

/// Refuses angles that stand still or turn back, then removes their rounding.
pub(crate) fn checked(place: &Path, angles_rad: Vec<f64>) -> Result<Vec<f64>> {
    let forward = angles_rad.first() <= angles_rad.last();
    for (i, pair) in angles_rad.windows(2).enumerate() {
        if !pair[0].is_finite() || !pair[1].is_finite() {
            return Err(Error::format(place.display(), "an angle is not a number").with("view", i));
        }
        if pair[0] == pair[1] || (pair[0] < pair[1]) != forward {
            let message = "the angles must go one way from view to view, but here they stand still or turn back; \
                           give others with the option angles (a file, or a span such as 180)";
            return Err(Error::format(place.display(), message)
                .with("view", i + 1)
                .with("angle_deg", pair[1].to_degrees())
                .with("view_before_deg", pair[0].to_degrees()));
        }
    }
    Ok(snapped(angles_rad))
}

/// Removes rounding from nearly even angles.
pub(crate) fn snapped(angles_rad: Vec<f64>) -> Vec<f64> {
    snap_to_even(angles_rad, SNAP_STEPS)
}
