//! Scans over a full turn whose axis is near an edge of the detector, so that it sees nearly twice its own width: which
//! views belong together, where the axis is, and rows of a half turn that are as wide as the sample.
//!
//! `docs/theory/offset.md` has the formulas. Must not know: files, scans, stages.

mod search;
mod shift;
mod stitch;

use crate::error::{Error, Result};
use crate::geometry::covered_deg;
use std::f64::consts::PI;

pub use search::{Overlap, OverlapSearch, find_axis};
pub use shift::{FrameShift, ShiftSearch, smooth};
pub use stitch::{Layout, stitch_rows, stitched};

/// Place named in the errors of this module.
const PLACE: &str = "offset";

/// A view and the one that looks from the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// View of the first half turn; its angle is the one of the pair.
    pub first: usize,
    /// The view half a turn later.
    pub second: usize,
}

/// The views of the first half turn, each with the one nearest to half a turn later, in the order of the scan.
///
/// `angles_rad`: one per view, any order, rising or falling. Views beyond half a turn from the smallest angle become the
/// second of a pair or are left out, so M views that cover a full turn evenly give M / 2 pairs. If M is odd, partners are half a
/// step off, which blurs the outermost part of one half of the sample by r times half a step.
///
/// Errors: fewer than 4 views, angles that are not finite, and views whose opposite is missing by more than a step.
pub fn opposite_views(angles_rad: &[f64]) -> Result<Vec<Pair>> {
    let n = angles_rad.len();
    if n < 4 || angles_rad.iter().any(|a| !a.is_finite()) {
        let accepted = "expected at least 4 views with finite angles over a full turn";
        return Err(Error::invalid(PLACE, accepted).with("views", n));
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| angles_rad[a].total_cmp(&angles_rad[b]));
    let sorted: Vec<f64> = order.iter().map(|&view| angles_rad[view]).collect();
    let mut steps: Vec<f64> = sorted.windows(2).map(|w| w[1] - w[0]).collect();
    steps.sort_by(f64::total_cmp);
    let step = steps[steps.len() / 2].max(1e-9);
    // A quarter of a step: angles in files are rounded, and the half turn itself must not count as its beginning.
    let end = sorted[0] + PI - 0.25 * step;
    let pair = |first: usize| {
        let target = angles_rad[first] + PI;
        let above = sorted.partition_point(|a| *a < target);
        let near = [above.checked_sub(1), (above < n).then_some(above)];
        let miss = |k: &usize| (sorted[*k] - target).abs();
        let nearest = near.into_iter().flatten().min_by(|a, b| miss(a).total_cmp(&miss(b)));
        match nearest.filter(|k| miss(k) <= 1.01 * step) {
            Some(k) => Ok(Pair { first, second: order[k] }),
            None => Err(Error::invalid(PLACE, "expected a full turn: a view has no other half a turn later")
                .with("view", first)
                .with("angle_deg", format!("{:.3}", angles_rad[first].to_degrees()))
                .with("covered_deg", format!("{:.1}", covered_deg(angles_rad)))),
        }
    };
    (0..n).filter(|&view| angles_rad[view] < end).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::uniform_angles;

    #[test]
    fn every_view_of_a_half_turn_finds_its_opposite() {
        let pairs = |angles: &[f64]| opposite_views(angles).unwrap();
        let even = pairs(&uniform_angles(400, 0.3, 2.0 * PI));
        assert!(even.len() == 200 && even.iter().enumerate().all(|(m, p)| *p == Pair { first: m, second: m + 200 }));
        // The end point doubles the first view and is left out.
        let closed: Vec<f64> = (0..=400).map(|m| PI * m as f64 / 200.0).collect();
        assert_eq!(pairs(&closed), even);
        // Falling angles: the half turn with the smaller angles comes last.
        let falling = pairs(&uniform_angles(400, 0.0, -2.0 * PI));
        assert!(falling.len() == 200 && falling[0] == Pair { first: 200, second: 0 });
        // An odd number over the turn: half a step off.
        let odd = pairs(&uniform_angles(401, 0.0, 2.0 * PI));
        assert!(odd.len() == 201 && odd.iter().all(|p| [200, 201].contains(&(p.second - p.first))));
    }

    #[test]
    fn half_turns_and_holes_are_refused() {
        let hole: Vec<f64> =
            uniform_angles(400, 0.0, 2.0 * PI).into_iter().filter(|a| !(4.0..4.1).contains(a)).collect();
        for angles in [uniform_angles(400, 0.0, PI), hole, vec![0.0; 3], vec![f64::NAN; 8]] {
            let message = opposite_views(&angles).unwrap_err().to_string();
            assert!(message.contains("full turn"), "{message}");
        }
    }
}
