//! How a scan is cut into slabs: shapes, halos and a memory budget in, a table out. Pure: no files, no threads.

use super::stage::{Stage, StagePlan};
use crate::error::{Error, Result};
use crate::scan::ScanShape;
use crate::slab::{Domain, Halo, SlabShape};
use std::ops::Range;

/// Slabs that wait between reader and compute, and between compute and writer.
pub(super) const QUEUE: usize = 1;

/// Rows computed at a time: as many slices as lie side by side in the widest SIMD lanes, and few enough that a run that
/// is stopped has written nearly all it computed.
const PART_ROWS: usize = 16;

/// The cut: which rows, how many at a time, what it takes.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub rows: Range<usize>,
    /// What is left of them, in order: all, or what an earlier run has not finished.
    pub left: Vec<Range<usize>>,
    /// Rows read at a time: tall, since every slab opens each projection file once.
    pub slab_rows: usize,
    /// Rows computed and written at a time, a part of a slab.
    pub part_rows: usize,
    /// Sum of the halos of all stages.
    pub halo: Halo,
    pub memory_bytes: u64,
    pub slice: [usize; 2],
}

impl Cut {
    /// Bands of own rows that are left, in order.
    pub fn slabs(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let slab_rows = self.slab_rows;
        self.left.clone().into_iter().flat_map(move |run| bands(run, slab_rows))
    }
    /// Rows that are not left.
    pub fn finished(&self) -> usize {
        self.rows.len() - self.left.iter().map(ExactSizeIterator::len).sum::<usize>()
    }
    /// Parts of a slab, in order.
    pub fn parts(&self, slab: Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
        bands(slab, self.part_rows)
    }
}

fn bands(Range { start, end }: Range<usize>, step: usize) -> impl Iterator<Item = Range<usize>> {
    (start..end).step_by(step).map(move |a| a..(a + step).min(end))
}

/// Plans of all stages for slabs of `rows` own rows.
pub(super) fn stage_plans(stages: &[Box<dyn Stage>], shape: ScanShape, rows: usize) -> Result<(Vec<StagePlan>, Halo)> {
    // The halo of a stage may not depend on slab height, so one look tells the height that the reader must give.
    let halo = stages.iter().try_fold((Halo::default(), input_shape(shape, 1)), |(sum, input), stage| {
        let plan = stage.plan(input)?;
        let halo = Halo { below: sum.below + plan.halo.below, above: sum.above + plan.halo.above };
        Ok::<_, Error>((halo, SlabShape { rows: 1, ..plan.output }))
    })?;
    let halo = halo.0;
    let mut input = input_shape(shape, rows + halo.below + halo.above);
    let mut plans = Vec::with_capacity(stages.len());
    for stage in stages {
        let plan = stage.plan(input)?;
        input = SlabShape { rows: input.rows - plan.halo.below - plan.halo.above, ..plan.output };
        plans.push(plan);
    }
    Ok((plans, halo))
}

fn input_shape(shape: ScanShape, rows: usize) -> SlabShape {
    SlabShape { domain: Domain::Counts, rows, dims: [shape.views, shape.cols] }
}

/// Peak memory of a run that reads `slab` rows and computes `part` rows at a time: the reader fills one slab while one
/// waits and one is taken apart; the widest stage holds its input, its output and its scratch memory; the writer empties
/// one part while one waits.
fn memory_bytes(stages: &[Box<dyn Stage>], shape: ScanShape, slab: usize, part: usize) -> Result<(u64, [usize; 2])> {
    let (plans, halo) = stage_plans(stages, shape, part)?;
    let references = 4 * (shape.cols * (1 + shape.flats)) as u64;
    let counts = |rows: usize| {
        let rows = rows + halo.below + halo.above;
        rows as u64 * (input_shape(shape, rows).row_bytes() + references)
    };
    let (mut before, mut widest) = (counts(part), counts(part));
    for plan in &plans {
        let after = plan.output.row_bytes() * plan.output.rows as u64;
        // A stage that keeps the shape works in place.
        let both = if after == before { after } else { before + after };
        widest = widest.max(both + plan.scratch_bytes);
        before = after;
    }
    let slice = plans.last().map_or([shape.views, shape.cols], |p| p.output.dims);
    let queued = QUEUE as u64;
    Ok((counts(slab) * (2 + queued) + widest + before * (1 + queued), slice))
}

/// The rows to reconstruct, all by default; refuses rows outside the detector.
pub(super) fn check_rows(shape: ScanShape, rows: Option<Range<usize>>) -> Result<Range<usize>> {
    let rows = rows.unwrap_or(0..shape.rows);
    if rows.start >= rows.end || rows.end > shape.rows {
        let accepted = format!("the detector has rows 0..{} (the end is not included)", shape.rows);
        return Err(Error::invalid("rows", accepted).with("rows", format!("{}..{}", rows.start, rows.end)));
    }
    Ok(rows)
}

/// The tallest slabs that fit the budget: every slab reads all projection files once, so fewer are faster.
pub(super) fn cut(
    stages: &[Box<dyn Stage>],
    shape: ScanShape,
    rows: Range<usize>,
    slab_rows: Option<usize>,
    budget: u64,
) -> Result<Cut> {
    let needed = |slab: usize, part: usize| memory_bytes(stages, shape, slab, part).map(|m| m.0);
    let (one, slice) = memory_bytes(stages, shape, 1, 1)?;
    let (slab_rows, part_rows) = match slab_rows {
        Some(0) => return Err(Error::invalid("slab_rows", "a slab needs at least 1 row")),
        Some(rows_at_once) => (rows_at_once.min(rows.len()), PART_ROWS.min(rows_at_once).min(rows.len())),
        None if one > budget => {
            return Err(Error::limit("memory", "the budget does not suffice for a single slice")
                .with("needed", megabytes(one))
                .with("budget", megabytes(budget)));
        }
        None => {
            let part = largest(1..PART_ROWS.min(rows.len()), |part| Ok(needed(part, part)? <= budget))?;
            let slab = largest(part..rows.len(), |slab| Ok(needed(slab, part)? <= budget))?;
            // Whole parts, and equal slabs instead of a short last one.
            let slab = if slab < rows.len() { slab / part * part } else { slab };
            let equal = rows.len().div_ceil(rows.len().div_ceil(slab));
            (equal.next_multiple_of(part).min(slab), part)
        }
    };
    let halo = stage_plans(stages, shape, part_rows)?.1;
    let (left, memory_bytes) = (vec![rows.clone()], needed(slab_rows, part_rows)?);
    Ok(Cut { rows, left, slab_rows, part_rows, halo, memory_bytes, slice })
}

/// The largest number from `range.start`, which fits, to `range.end` included, that fits.
fn largest(range: Range<usize>, fits: impl Fn(usize) -> Result<bool>) -> Result<usize> {
    let (mut good, mut bad) = (range.start, range.end + 1);
    while bad - good > 1 {
        let middle = (good + bad) / 2;
        if fits(middle)? { good = middle } else { bad = middle }
    }
    Ok(good)
}

fn megabytes(bytes: u64) -> String {
    if bytes < 10_000_000 {
        format!("{} kB", bytes.div_ceil(1000))
    } else {
        format!("{} MB", bytes.div_ceil(1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::super::params::Params;
    use super::super::registry::Registry;
    use super::super::stage::Setup;
    use super::*;
    use crate::geometry::{Center, Geometry, uniform_angles};

    fn stages(shape: ScanShape) -> Vec<Box<dyn Stage>> {
        let angles_rad = uniform_angles(shape.views, 0.0, std::f64::consts::PI);
        let geometry = Geometry { angles_rad, center: Center::Fixed(10.0), pixel_um: 1.0 };
        let setup = Setup { shape, geometry, edge_over_mean: 0.0, threads: 2 };
        let make = |id: &str| {
            let factory = Registry::built_in().find(id).unwrap();
            factory.create(&Params::defaults(factory.info()), &setup).unwrap()
        };
        ["normalise", "ring.sort", "recon.fbp"].map(make).into()
    }

    #[test]
    fn slabs_fit_the_budget_cover_every_row_once_and_are_as_tall_as_possible() {
        let shape = ScanShape { views: 180, rows: 100, cols: 256, flats: 2 };
        let stages = stages(shape);
        let (one, _) = memory_bytes(&stages, shape, 1, 1).unwrap();
        for budget in [one, one * 3, one * 10, one * 20, one * 40, u64::MAX] {
            let cut = cut(&stages, shape, 7..93, None, budget).unwrap();
            assert!(cut.memory_bytes <= budget);
            let parts: Vec<_> = cut.slabs().flat_map(|slab| cut.parts(slab)).collect();
            assert!(parts.iter().all(|part| part.len() <= PART_ROWS));
            assert_eq!(parts.into_iter().flatten().collect::<Vec<_>>(), (7..93).collect::<Vec<_>>());
            // One slab fewer would not fit.
            let slabs = cut.slabs().count();
            let taller = 86usize.div_ceil((slabs - 1).max(1)).next_multiple_of(cut.part_rows);
            assert!(slabs == 1 || memory_bytes(&stages, shape, taller, cut.part_rows).unwrap().0 > budget);
        }
        let e = cut(&stages, shape, 0..100, None, one - 1).unwrap_err();
        assert_eq!(e.kind(), crate::ErrorKind::Limit);
        assert!(e.to_string().contains("single slice (needed = "), "{e}");
    }

    #[test]
    fn rows_outside_the_detector_are_refused() {
        let shape = ScanShape { views: 4, rows: 10, cols: 16, flats: 1 };
        for rows in [5..5, 9..11, 10..12] {
            let e = check_rows(shape, Some(rows)).unwrap_err().to_string();
            assert!(e.contains("the detector has rows 0..10"), "{e}");
        }
    }
}
