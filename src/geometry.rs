//! Where the rays are: view angles, their weights, the rotation axis, the pixel size.
//!
//! Must not know: files, stages, arrays of pixels.

use crate::error::{Error, Result};
use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

/// The rotation axis on the detector, in pixels; pixel centres are at integers, the first is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Center {
    /// The same column for every detector row.
    Fixed(f64),
    /// A tilted axis: column `px0` at row `row0`, `px1` at `row1`, straight between and beyond.
    Line {
        /// First row.
        row0: f64,
        /// Axis at `row0`, px.
        px0: f64,
        /// Second row, different from `row0`.
        row1: f64,
        /// Axis at `row1`, px.
        px1: f64,
    },
}

impl Center {
    /// Axis position in pixels at a detector row (0-based, of the whole detector).
    pub fn at(&self, row: usize) -> f64 {
        match *self {
            Center::Fixed(px) => px,
            Center::Line { row0, px0, row1, px1 } => px0 + (row as f64 - row0) * (px1 - px0) / (row1 - row0),
        }
    }
    /// The same axis in other columns and rows: `col` and `row` tell where an old position is now. Both must be straight lines.
    pub fn moved(&self, col: impl Fn(f64) -> f64, row: impl Fn(f64) -> f64) -> Center {
        match *self {
            Center::Fixed(px) => Center::Fixed(col(px)),
            Center::Line { row0, px0, row1, px1 } => {
                Center::Line { row0: row(row0), px0: col(px0), row1: row(row1), px1: col(px1) }
            }
        }
    }
    /// Refuses an axis that lies outside a detector of `cols` columns anywhere in `rows`.
    pub fn check(&self, rows: std::ops::Range<usize>, cols: usize) -> Result<()> {
        for row in [rows.start, rows.end.saturating_sub(1)] {
            let px = self.at(row);
            if !(px >= 0.0 && px <= cols as f64 - 1.0) {
                let accepted = format!("the rotation axis must lie on the detector, 0 to {} px", cols - 1);
                return Err(Error::invalid("center_px", accepted).with("center_px", px).with("row", row));
            }
        }
        Ok(())
    }
}

/// `1023.5`, or `row:px,row:px` for a tilted axis.
impl FromStr for Center {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            let accepted = "expected a column such as 1023.5, or two points row:px,row:px such as 0:1023.5,899:1025";
            Error::invalid("center_px", accepted).with("center_px", format!("'{text}'"))
        };
        let number = |s: &str| s.trim().parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(bad);
        let Some((a, b)) = text.split_once(',') else { return Ok(Center::Fixed(number(text)?)) };
        let point = |s: &str| {
            let (row, px) = s.split_once(':').ok_or_else(bad)?;
            Ok::<_, Error>((number(row)?, number(px)?))
        };
        let ((row0, px0), (row1, px1)) = (point(a)?, point(b)?);
        if row0 == row1 {
            return Err(Error::invalid("center_px", "the two rows of a tilted axis must differ").with("row", row0));
        }
        Ok(Center::Line { row0, px0, row1, px1 })
    }
}

impl fmt::Display for Center {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Center::Fixed(px) => write!(f, "{px}"),
            Center::Line { row0, px0, row1, px1 } => write!(f, "{row0}:{px0},{row1}:{px1}"),
        }
    }
}

/// Everything the back-projection must know of a scan.
#[derive(Clone, Debug)]
pub struct Geometry {
    /// One angle per view, radians; positive turns the object counter-clockwise on screen.
    pub angles_rad: Vec<f64>,
    /// Rotation axis.
    pub center: Center,
    /// Detector pixel at the sample, µm.
    pub pixel_um: f64,
}

/// `views` angles from `start_rad`, evenly over `span_rad`, without the end point.
pub fn uniform_angles(views: usize, start_rad: f64, span_rad: f64) -> Vec<f64> {
    (0..views).map(|m| start_rad + span_rad * m as f64 / views as f64).collect()
}

/// Turned range that the views cover, in degrees: last minus first plus one mean step (180 for a half turn).
pub fn covered_deg(angles_rad: &[f64]) -> f64 {
    let n = angles_rad.len();
    if n < 2 {
        return 0.0;
    }
    let (lo, hi) = angles_rad.iter().fold((f64::MAX, f64::MIN), |(lo, hi), &a| (lo.min(a), hi.max(a)));
    ((hi - lo) * n as f64 / (n - 1) as f64).to_degrees()
}

/// Angles written to a file carry rounding. If every one lies within `tolerance` of a step from an exactly even half
/// turn (or full turn), the exact angles are returned; else the angles as given.
pub fn snap_to_even(angles_rad: Vec<f64>, tolerance: f64) -> Vec<f64> {
    let n = angles_rad.len();
    if n < 2 {
        return angles_rad;
    }
    let sign = if angles_rad[n - 1] < angles_rad[0] { -1.0 } else { 1.0 };
    for span in [PI, 2.0 * PI] {
        let even = uniform_angles(n, angles_rad[0], sign * span);
        let step = span / n as f64;
        if even.iter().zip(&angles_rad).all(|(e, a)| (e - a).abs() <= tolerance * step) {
            return even;
        }
    }
    angles_rad
}

/// Quadrature weight of each view, radians: the part of the half circle of directions that it stands for.
///
/// A line measured from both sides is the same line, so angles count modulo π. Each view gets half the gap to either
/// neighbour; even views over a half or full turn get exactly π / views. Where the scan covers less than a half turn, the
/// missing wedge beyond its first and last view is not filled: it counts as the wider of the two gaps beside it.
pub fn view_weights(angles_rad: &[f64]) -> Vec<f64> {
    let n = angles_rad.len();
    let even = |span: f64| {
        let step = (span / n as f64).abs();
        angles_rad.windows(2).all(|w| ((w[1] - w[0]).abs() - step).abs() < 1e-9)
    };
    if n < 3 || even(PI) || even(2.0 * PI) {
        return vec![PI / n.max(1) as f64; n];
    }
    let mut order: Vec<usize> = (0..n).collect();
    let folded: Vec<f64> = angles_rad.iter().map(|a| a.rem_euclid(PI)).collect();
    order.sort_by(|&a, &b| folded[a].total_cmp(&folded[b]));
    let gap = |k: usize| {
        let (a, b) = (folded[order[k]], folded[order[(k + 1) % n]]);
        if k + 1 == n { b + PI - a } else { b - a }
    };
    let mut gaps: Vec<f64> = (0..n).map(gap).collect();
    let by_angle = |a: &usize, b: &usize| angles_rad[*a].total_cmp(&angles_rad[*b]);
    let (first, last) = ((0..n).min_by(by_angle).unwrap_or(0), (0..n).max_by(by_angle).unwrap_or(0));
    if let Some(wedge) = (0..n).find(|&k| order[k] == last && order[(k + 1) % n] == first)
        && angles_rad[last] - angles_rad[first] < PI
    {
        let beside = gaps[(wedge + n - 1) % n].max(gaps[(wedge + 1) % n]);
        // A little wider than its neighbours is the end of a half turn, not a wedge.
        if gaps[wedge] > 2.5 * beside {
            gaps[wedge] = beside;
        }
    }
    let mut weights = vec![0.0; n];
    for k in 0..n {
        weights[order[k]] = 0.5 * (gaps[k] + gaps[(k + n - 1) % n]);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn center_reads_both_forms_and_prints_them_again() {
        for text in ["1023.5", "0:10,99:12.5"] {
            assert_eq!(text.parse::<Center>().unwrap().to_string(), text);
        }
        assert_eq!("0:10,100:12".parse::<Center>().unwrap().at(50), 11.0);
        for bad in ["", "x", "1,2", "0:1,0:2", "nan", "0:1,5:inf"] {
            assert!(bad.parse::<Center>().is_err(), "{bad}");
        }
    }

    #[test]
    fn weights_cover_the_half_circle_once() {
        let cases = [
            uniform_angles(90, 0.3, PI),
            uniform_angles(90, 0.0, 2.0 * PI),
            uniform_angles(91, 0.0, 2.0 * PI),
            (0..91).map(|m| (-88.2 + 2.0 * m as f64).to_radians()).collect(),
        ];
        for angles in cases {
            let sum: f64 = view_weights(&angles).iter().sum();
            assert!((sum - PI).abs() < 1e-9, "{sum}");
        }
    }

    #[test]
    fn uneven_steps_and_gaps_inside_are_filled_but_a_missing_wedge_is_not() {
        let degrees = |list: Vec<f64>| list.into_iter().map(f64::to_radians).collect::<Vec<_>>();
        let uneven = degrees((0..90).map(f64::from).chain((0..30).map(|m| 90.0 + 3.0 * f64::from(m))).collect());
        let hole = degrees((0..120).filter(|m| !(50..60).contains(m)).map(|m| 1.5 * f64::from(m)).collect());
        for angles in [uneven, hole] {
            let sum: f64 = view_weights(&angles).iter().sum();
            assert!((sum - PI).abs() < 1e-9, "{sum}");
        }
        // 0 to 119 degrees, wherever it begins, stands for 120.
        for start in [0.0, -30.0, 100.0] {
            let wedge = degrees((0..120).map(|m| start + f64::from(m)).collect());
            let sum: f64 = view_weights(&wedge).iter().sum();
            assert!((sum - 120f64.to_radians()).abs() < 1e-9, "{sum}");
        }
    }

    #[test]
    fn both_ends_of_a_closed_half_turn_share_one_weight() {
        let angles: Vec<f64> = (0..91).map(|m| (2.0 * m as f64).to_radians()).collect();
        let w = view_weights(&angles);
        assert!((w[0] + w[90] - w[45]).abs() < 1e-9);
    }

    #[test]
    fn rounded_log_angles_become_even_again() {
        let rounded: Vec<f64> = (0..1800).map(|m| (m as f64 * 0.1 + 0.0004).to_radians()).collect();
        let exact = snap_to_even(rounded.clone(), 0.02);
        assert!((exact[900] - exact[0] - PI / 2.0).abs() < 1e-12);
        let uneven: Vec<f64> = rounded.iter().map(|a| a * 0.9).collect();
        assert_eq!(snap_to_even(uneven.clone(), 0.02), uneven);
    }
}
