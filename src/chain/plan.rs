//! How a scan is cut into slabs: shapes, halos and a memory budget in, a table out. Pure: no files, no threads.

use super::stage::{Stage, StagePlan};
use crate::error::{Error, Result};
use crate::scan::ScanShape;
use crate::slab::{Domain, Halo, SlabShape};
use std::ops::Range;

/// Slabs that wait between reader and compute, and between compute and writer.
pub(super) const QUEUE: usize = 1;

/// The cut: which rows, how many at a time, what it takes.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub rows: Range<usize>,
    pub slab_rows: usize,
    /// Sum of the halos of all stages.
    pub halo: Halo,
    pub memory_bytes: u64,
    pub slice: [usize; 2],
}

impl Cut {
    /// Bands of own rows, in order.
    pub fn slabs(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let Range { start, end } = self.rows;
        let step = self.slab_rows;
        (start..end).step_by(step).map(move |a| a..(a + step).min(end))
    }
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

/// Peak memory of a run in slabs of `rows`: the reader fills one slab while one waits and one is computed, and the
/// writer empties one while one waits; the widest stage holds its input, its output and its scratch memory.
fn memory_bytes(stages: &[Box<dyn Stage>], shape: ScanShape, rows: usize) -> Result<(u64, [usize; 2])> {
    let (plans, halo) = stage_plans(stages, shape, rows)?;
    let rows_in = (rows + halo.below + halo.above) as u64;
    let input = input_shape(shape, rows_in as usize);
    let references = 4 * (shape.cols * (1 + shape.flats)) as u64;
    let read = rows_in * (input.row_bytes() + references);
    let (mut before, mut widest) = (read, read);
    for plan in &plans {
        let after = plan.output.row_bytes() * plan.output.rows as u64;
        // A stage that keeps the shape works in place.
        let both = if after == before { after } else { before + after };
        widest = widest.max(both + plan.scratch_bytes);
        before = after;
    }
    let slice = plans.last().map_or(input.dims, |p| p.output.dims);
    let queued = QUEUE as u64;
    Ok((read * (1 + queued) + widest + before * (1 + queued), slice))
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
    let (one, slice) = memory_bytes(stages, shape, 1)?;
    if one > budget && slab_rows.is_none() {
        return Err(Error::limit("memory", "the budget does not suffice for a single slice")
            .with("needed", megabytes(one))
            .with("budget", megabytes(budget)));
    }
    let slab_rows = match slab_rows {
        Some(0) => return Err(Error::invalid("slab_rows", "a slab needs at least 1 row")),
        Some(h) => h.min(rows.len()),
        None => {
            let (mut fits, mut too_tall) = (1, rows.len() + 1);
            while too_tall - fits > 1 {
                let middle = (fits + too_tall) / 2;
                if memory_bytes(stages, shape, middle)?.0 <= budget { fits = middle } else { too_tall = middle }
            }
            // Equal slabs instead of a short last one.
            rows.len().div_ceil(rows.len().div_ceil(fits))
        }
    };
    let halo = stage_plans(stages, shape, slab_rows)?.1;
    Ok(Cut { rows, slab_rows, halo, memory_bytes: memory_bytes(stages, shape, slab_rows)?.0, slice })
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
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
        let (one, _) = memory_bytes(&stages, shape, 1).unwrap();
        for budget in [one, one * 3, one * 10, u64::MAX] {
            let cut = cut(&stages, shape, 7..93, None, budget).unwrap();
            assert!(cut.memory_bytes <= budget);
            assert_eq!(cut.slabs().flatten().collect::<Vec<_>>(), (7..93).collect::<Vec<_>>());
            let slabs = cut.slabs().count();
            let fewer = 86usize.div_ceil((slabs - 1).max(1));
            assert!(slabs == 1 || memory_bytes(&stages, shape, fewer).unwrap().0 > budget);
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
