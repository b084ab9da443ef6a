//! How a scan is cut into slabs: shapes, halos and a memory budget in, a table out. Pure: no files, no threads.

use super::stage::{Stage, StagePlan};
use crate::error::{Error, Result};
use crate::scan::{Grain, ScanShape};
use crate::slab::{Domain, Halo, SlabShape};
use std::ops::Range;

/// Rows computed at a time unless a stage prefers more: few enough that a run that is stopped has written nearly all it
/// computed.
const PART_ROWS: usize = 16;

/// Bytes of one frame that a slab should take at least, where memory allows: opening a file costs about as much.
const BYTES_PER_FRAME: u64 = 64 << 10;

/// What the planner must know of the scan's files, see `scan::FrameSource`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Bytes of a count in memory.
    pub count_bytes: u64,
    /// Rows, and views, that are decoded together.
    pub grain: Grain,
    /// Counts that were read before the run and are kept for it.
    pub kept_bytes: u64,
    /// Threads that read.
    pub threads: usize,
}

/// The cut: which rows, how many at a time, what it takes.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub rows: Range<usize>,
    /// What is left of them, in order: all, or what an earlier run has not finished.
    pub left: Vec<Range<usize>>,
    /// Rows read at a time.
    pub slab_rows: usize,
    /// Slabs in memory: with two, one is filled while the other is taken apart. One suffices where a slab is one part: it
    /// is free again as soon as its counts have been converted.
    pub slabs: usize,
    /// Rows computed and written at a time, a part of a slab.
    pub part_rows: usize,
    /// Finished parts in memory: with two, one is written while the next is reconstructed; with one, writing overlaps only
    /// with the stages before the last change of shape.
    pub volumes: usize,
    /// The stage whose output goes to the writer in memory of its own; `None`: all stages work in place.
    pub last_change: Option<usize>,
    /// Slabs begin at multiples of this.
    pub grain_rows: usize,
    /// Sum of the halos of all stages.
    pub halo: Halo,
    pub memory_bytes: u64,
    pub slice: [usize; 2],
}

impl Cut {
    /// True if it computes as many rows at a time as `other`, and writes beside computing if that one does.
    pub fn is_as_good_as(&self, other: &Cut) -> bool {
        (self.part_rows, self.volumes) >= (other.part_rows, other.volumes)
    }
    /// Bands of own rows that are left, in order.
    pub fn slabs(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (step, grain) = (self.slab_rows, self.grain_rows);
        self.left.clone().into_iter().flat_map(move |run| bands(run, step, grain))
    }
    /// Rows that are not left.
    pub fn finished(&self) -> usize {
        self.rows.len() - self.left.iter().map(ExactSizeIterator::len).sum::<usize>()
    }
    /// Parts of a slab, in order. The last rows of a run go in lower parts, so that less is left to be written when
    /// nothing is left to compute.
    pub fn parts(&self, slab: Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
        let (usual, last) = (self.part_rows, self.left.last().map(|run| run.end));
        let step = move |part: &Range<usize>| if Some(part.end) == last { usual.min(PART_ROWS) } else { usual };
        bands(slab, usual, 1).flat_map(move |part| bands(part.clone(), step(&part), 1))
    }
}

/// Bands of `step` rows; all but the first begin at multiples of `grain` rows of the detector.
fn bands(Range { start, end }: Range<usize>, step: usize, grain: usize) -> impl Iterator<Item = Range<usize>> {
    let first = start / grain * grain;
    (first..end).step_by(step).map(move |a| a.max(start)..(a + step).min(end)).filter(|band| !band.is_empty())
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

/// Heights and numbers of buffers that are weighed against each other.
#[derive(Clone, Copy, Debug)]
struct Buffers {
    part: usize,
    volumes: usize,
    slab: usize,
    slabs: usize,
}

/// What a chain needs for one scan.
struct Needs<'a> {
    stages: &'a [Box<dyn Stage>],
    shape: ScanShape,
    reading: Reading,
}

impl Needs<'_> {
    /// Peak memory of a run. Arrays are used again, so it is the sum of all that is ever in use at a time: counts kept
    /// from the survey; slabs of counts in the type of the file; what the reader decodes from; the part being computed as
    /// `f32`, which stays when a stage changes the shape; the output of that stage and its scratch memory; finished parts.
    fn memory_bytes(&self, buffers: Buffers) -> Result<u64> {
        let Buffers { part, volumes, slab, slabs } = buffers;
        let (shape, Reading { grain, .. }) = (self.shape, self.reading);
        let (plans, halo) = stage_plans(self.stages, shape, part)?;
        let around = halo.below + halo.above;
        let counts = |rows: usize| rows as u64 * (shape.views * shape.cols) as u64;
        let references = |rows: usize| 4 * (rows * shape.cols * (1 + shape.flats)) as u64;
        let slab_bytes = counts(slab + around) * self.reading.count_bytes + references(slab + around);
        // Rows that the next slab needs again are copied.
        let overlap = counts(around) * self.reading.count_bytes;
        let decoding = match grain {
            Grain { views: 1, rows: 1 } => 0,
            Grain { views, rows } => (self.reading.threads * 2 * views * rows * shape.cols) as u64 * 4,
        };
        let first = 4 * counts(part + around);
        let last = plans.last().map_or(first, |p| p.output.row_bytes() * p.output.rows as u64);
        let changed = last_change(self.stages, shape, &plans, part + around);
        let (mut now, mut widest) = (first, 0);
        for (i, plan) in plans.iter().enumerate() {
            let after = plan.output.row_bytes() * plan.output.rows as u64;
            let other = if now == first { 0 } else { now };
            let own = if after == now { 0 } else { after };
            // From the last change of shape on, one of the finished parts is the one in work.
            let waiting = volumes - usize::from(changed.is_none_or(|last| i >= last));
            widest = widest.max(first + other + own + plan.scratch_bytes + waiting as u64 * last);
            now = after;
        }
        let compute = widest.max(first + (volumes - 1) as u64 * last) + references(part + around);
        Ok(self.reading.kept_bytes + slabs as u64 * slab_bytes + overlap + decoding + compute)
    }
}

/// The last stage whose output is not as large as its input; see [`Cut::last_change`].
fn last_change(stages: &[Box<dyn Stage>], shape: ScanShape, plans: &[StagePlan], rows: usize) -> Option<usize> {
    let bytes = |plan: &StagePlan| plan.output.row_bytes() * plan.output.rows as u64;
    let input = |i: usize| match i.checked_sub(1) {
        Some(before) => bytes(&plans[before]),
        None => input_shape(shape, rows).row_bytes() * rows as u64,
    };
    (0..stages.len()).rev().find(|&i| bytes(&plans[i]) != input(i))
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

/// Chooses the cut that is fastest within the budget. In order of weight: parts as high as the stages work best with;
/// writing beside computing; slabs that decode nothing twice and give each frame a read worth its price; reading beside
/// computing. Slabs are not higher than that, so that computing begins early.
pub(super) fn cut(
    stages: &[Box<dyn Stage>],
    shape: ScanShape,
    rows: Range<usize>,
    slab_rows: Option<usize>,
    reading: Reading,
    budget: u64,
) -> Result<Cut> {
    let needs = Needs { stages, shape, reading };
    let fits = |b: Buffers| needs.memory_bytes(b).map(|bytes| bytes <= budget);
    let preferred = stages.iter().map(|s| s.preferred_rows()).max().unwrap_or(1).max(PART_ROWS);
    let tight = |part: usize| Buffers { part, volumes: 1, slab: part, slabs: 1 };
    let mut best = tight(1);
    let given = slab_rows.is_some();
    match slab_rows {
        Some(0) => return Err(Error::invalid("slab_rows", "a slab needs at least 1 row")),
        Some(height) => best.part = preferred.min(height).min(rows.len()),
        None if !fits(best)? => {
            return Err(Error::limit("memory", "the budget does not suffice for a single slice")
                .with("needed", megabytes(needs.memory_bytes(best)?))
                .with("budget", megabytes(budget)));
        }
        None => {
            // Halves of what is preferred: other heights leave SIMD lanes empty.
            best.part = std::iter::successors(Some(preferred), |p| (*p > 1).then_some(p / 2))
                .map(|part| part.min(rows.len()))
                .find_map(|part| fits(tight(part)).map(|fits| fits.then_some(part)).transpose())
                .unwrap_or(Ok(1))?;
        }
    }
    best = tight(best.part);
    if fits(Buffers { volumes: 2, ..best })? {
        best.volumes = 2;
    }
    let grain_rows = reading.grain.rows.max(1);
    let mut candidates = Vec::new();
    match slab_rows {
        Some(height) => candidates.extend([2, 1].map(|slabs| (height.min(rows.len()), slabs))),
        None => {
            let whole = whole_slab(best.part, grain_rows, shape.cols as u64 * reading.count_bytes).min(rows.len());
            if grain_rows == 1 {
                // Opening files more often costs less than to read and compute in turns.
                candidates.extend([(whole, 2), (best.part, 2), (best.part, 1)]);
            } else {
                // What is decoded several times should be so as few times as possible.
                let most = largest(best.part..whole, |slab| fits(Buffers { slab, slabs: 1, ..best }))?;
                let equal = whole.div_ceil(whole.div_ceil(most)).next_multiple_of(best.part).min(most);
                candidates.extend([(whole, 2), (whole, 1), (equal, 2), (equal, 1)]);
            }
        }
    }
    // The last one always fits, or was demanded.
    for (slab, slabs) in candidates {
        best = Buffers { slab, slabs, ..best };
        if fits(best)? {
            break;
        }
    }
    let (plans, halo) = stage_plans(stages, shape, best.part)?;
    let Buffers { part: part_rows, volumes, slab: slab_rows, slabs } = best;
    Ok(Cut {
        left: vec![rows.clone()],
        rows,
        slab_rows,
        slabs,
        part_rows,
        volumes,
        last_change: last_change(stages, shape, &plans, part_rows + halo.below + halo.above),
        grain_rows: if !given && slab_rows.is_multiple_of(grain_rows) { grain_rows } else { 1 },
        halo,
        memory_bytes: needs.memory_bytes(best)?,
        slice: plans.last().map_or([shape.views, shape.cols], |p| p.output.dims),
    })
}

/// A slab height at which each grain is decoded once, few parts are short and each frame gives enough bytes.
fn whole_slab(part: usize, grain: usize, row_bytes: u64) -> usize {
    let least = part.max(BYTES_PER_FRAME.div_ceil(row_bytes.max(1)) as usize);
    // An eighth of the lanes may stay empty; from eight parts on it is less in any case.
    let wasted = |rows: usize| rows.next_multiple_of(part) - rows;
    let mut rows = least.next_multiple_of(grain);
    while 8 * wasted(rows) > rows {
        rows += grain;
    }
    rows
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

    fn reading(shape: ScanShape, grain_rows: usize) -> Reading {
        let grain = Grain { views: 1, rows: grain_rows.min(shape.rows) };
        Reading { count_bytes: 2, grain, kept_bytes: 0, threads: 2 }
    }

    fn smallest(stages: &[Box<dyn Stage>], shape: ScanShape, reading: Reading) -> u64 {
        let needs = Needs { stages, shape, reading };
        needs.memory_bytes(Buffers { part: 1, volumes: 1, slab: 1, slabs: 1 }).unwrap()
    }

    #[test]
    fn slabs_fit_the_budget_and_cover_every_row_once() {
        let shape = ScanShape { views: 180, rows: 100, cols: 256, flats: 2 };
        let stages = stages(shape);
        let reading = reading(shape, 1);
        let one = smallest(&stages, shape, reading);
        for budget in [one, one * 3, one * 10, one * 20, one * 40, u64::MAX] {
            let cut = cut(&stages, shape, 7..93, None, reading, budget).unwrap();
            assert!(cut.memory_bytes <= budget);
            let parts: Vec<_> = cut.slabs().flat_map(|slab| cut.parts(slab)).collect();
            assert!(parts.iter().all(|part| part.len() <= cut.part_rows));
            assert_eq!(parts.into_iter().flatten().collect::<Vec<_>>(), (7..93).collect::<Vec<_>>());
        }
        let e = cut(&stages, shape, 0..100, None, reading, one - 1).unwrap_err();
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

    #[test]
    fn a_wide_detector_works_in_eight_gib() {
        // One sinogram takes 312 MB, one slice 676 MB.
        let shape = ScanShape { views: 6000, rows: 400, cols: 13000, flats: 2 };
        let cut = cut(&stages(shape), shape, 0..400, None, reading(shape, 1), 8 << 30).unwrap();
        assert!(cut.part_rows >= 4 && cut.memory_bytes <= 8 << 30, "{cut:?}");
    }

    #[test]
    fn a_usual_detector_computes_sixteen_rows_beside_writing_in_one_gib() {
        let shape = ScanShape { views: 1800, rows: 64, cols: 2048, flats: 2 };
        let cut = cut(&stages(shape), shape, 0..64, None, reading(shape, 1), 1 << 30).unwrap();
        assert_eq!((cut.part_rows, cut.volumes, cut.slab_rows), (16, 2, 16), "{cut:?}");
    }

    #[test]
    fn compressed_frames_are_decoded_as_few_times_as_the_budget_allows() {
        let shape = ScanShape { views: 900, rows: 512, cols: 1024, flats: 1 };
        let stages = stages(shape);
        // Strips of 24 rows: slabs of whole strips, and hardly any short part.
        let strips = cut(&stages, shape, 30..500, None, reading(shape, 24), 4 << 30).unwrap();
        assert!(strips.slab_rows.is_multiple_of(48) && strips.grain_rows == 24, "{strips:?}");
        assert!(strips.slabs().skip(1).all(|slab| slab.start % 24 == 0));
        // Whole frames: all of the scan at once if it fits, else in as few slabs as possible.
        let whole = cut(&stages, shape, 0..512, None, reading(shape, 512), 4 << 30).unwrap();
        assert_eq!(whole.slabs().count(), 1, "{whole:?}");
        let counts = 2 * (shape.views * shape.rows * shape.cols) as u64;
        let half = cut(&stages, shape, 0..512, None, reading(shape, 512), counts * 6 / 10 + (400 << 20)).unwrap();
        assert!((2..=4).contains(&half.slabs().count()) && half.part_rows == 32, "{half:?}");
    }
}
