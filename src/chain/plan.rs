//! How a scan is cut into slabs: shapes, halos and a memory budget in, a table out. Pure: no files, no threads.

use super::stage::{Stage, StagePlan};
use crate::error::{Error, Result};
use crate::scan::{Grain, ScanShape};
use crate::slab::{Domain, Halo, RowMap, SlabShape};
use std::ops::Range;

/// Rows computed at a time unless a stage prefers more: few enough that a run that is stopped has written nearly all it
/// computed.
const PART_ROWS: usize = 16;

/// Bytes of one frame that a slab should take at least, where memory allows: opening a file costs about as much.
const BYTES_PER_FRAME: u64 = 64 << 10;

/// What the planner must know of the scan and its files, see `scan::FrameSource`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub shape: ScanShape,
    pub domain: Domain,
    /// Bytes of a count in memory.
    pub count_bytes: u64,
    /// Rows, and views, that are decoded together.
    pub grain: Grain,
    /// What each thread decodes from.
    pub decoding_bytes: u64,
    /// Counts that were read before the run and are kept for it.
    pub kept_bytes: u64,
    /// Threads that read.
    pub threads: usize,
}

/// The cut: which slices, how many at a time, what it takes. A row is a slice here; `source` tells which rows of the scan it
/// is made from.
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
    /// Rows of the scan that a slice is made from, and those around them that the stages need, all together.
    pub source: RowMap,
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

/// Plans of all stages for slabs of a given height, and what they need of the scan together.
pub(super) struct Plans {
    pub stages: Vec<StagePlan>,
    /// Of the scan.
    pub source: RowMap,
    /// Of the scan.
    pub halo: Halo,
    /// What the first stage gets.
    pub input: SlabShape,
}

/// Plans for slabs of `rows` own rows at the end of the chain.
pub(super) fn stage_plans(stages: &[Box<dyn Stage>], reading: &Reading, rows: usize) -> Result<Plans> {
    let ScanShape { views, cols, .. } = reading.shape;
    let slab = |rows: usize| SlabShape { domain: reading.domain, rows, dims: [views, cols] };
    // Halo and map of a stage may not depend on slab height, so one look tells the height that the reader must give.
    let (mut source, mut halo, mut input) = (RowMap::default(), Halo::default(), slab(1));
    for stage in stages {
        let plan = stage.plan(input)?;
        halo.below += plan.halo.below * source.step;
        halo.above += plan.halo.above * source.step;
        source = plan.rows.after(source);
        input = SlabShape { rows: 1, ..plan.output };
    }
    let first = slab(rows * source.step + halo.below + halo.above);
    let mut input = first;
    let mut plans = Vec::with_capacity(stages.len());
    for stage in stages {
        let mut plan = stage.plan(input)?;
        plan.output.rows = (input.rows - plan.halo.below - plan.halo.above) / plan.rows.step;
        input = plan.output;
        plans.push(plan);
    }
    Ok(Plans { stages: plans, source, halo, input: first })
}

/// The rows that stage `k` works on for the output rows `rows` of the chain, those around them included; they may reach
/// beyond the end of what there is.
pub(super) fn rows_at(plans: &[StagePlan], k: usize, rows: Range<usize>) -> Range<usize> {
    plans[k..].iter().rev().fold(rows, |rows, plan| {
        let rows = plan.rows.input(rows);
        rows.start.saturating_sub(plan.halo.below)..rows.end + plan.halo.above
    })
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
    reading: Reading,
}

impl Needs<'_> {
    /// Peak memory of a run. Arrays are used again, so it is the sum of all that is ever in use at a time: counts kept
    /// from the survey; slabs of counts in the type of the file; what the reader decodes from; an array for each size that a
    /// part has on its way; scratch memory; finished parts.
    fn memory_bytes(&self, buffers: Buffers) -> Result<u64> {
        let Buffers { part, volumes, slab, slabs } = buffers;
        let shape = self.reading.shape;
        let Plans { stages: plans, source, halo, input } = stage_plans(self.stages, &self.reading, part)?;
        let around = halo.below + halo.above;
        let counts = |rows: usize| rows as u64 * (shape.views * shape.cols) as u64;
        let references = |rows: usize| match self.reading.domain {
            Domain::Counts => 4 * (rows * shape.cols * (1 + shape.flats)) as u64,
            _ => 0,
        };
        let slab_rows = slab * source.step + around;
        let slab_bytes = counts(slab_rows) * self.reading.count_bytes + references(slab_rows);
        // Rows that the next slab needs again are copied.
        let overlap = counts(around) * self.reading.count_bytes;
        let decoding = self.reading.threads as u64 * self.reading.decoding_bytes;
        let first = bytes(&input);
        let mut sizes: Vec<u64> = std::iter::once(first).chain(plans.iter().map(|p| bytes(&p.output))).collect();
        let last = sizes[plans.len()];
        // Before the last change of shape all finished parts may be waiting; from there on one of them is the one in work.
        let beside = last_change(&plans, &input).is_some_and(|k| sizes[..=k].contains(&last));
        let finished = (volumes + usize::from(beside)) as u64 * last;
        sizes.sort_unstable();
        sizes.dedup();
        let others: u64 = sizes.iter().filter(|size| **size != last).sum();
        // One stage works at a time; what each holds meanwhile adds up.
        let scratch =
            plans.iter().map(|p| p.scratch_bytes).max().unwrap_or(0) + plans.iter().map(|p| p.kept_bytes).sum::<u64>();
        let compute = others + finished + scratch + references(input.rows);
        Ok(self.reading.kept_bytes + slabs as u64 * slab_bytes + overlap + decoding + compute)
    }
}

fn bytes(shape: &SlabShape) -> u64 {
    shape.row_bytes() * shape.rows as u64
}

/// The last stage whose output is not as large as its input; see [`Cut::last_change`].
fn last_change(plans: &[StagePlan], input: &SlabShape) -> Option<usize> {
    let before = |i: usize| i.checked_sub(1).map_or(input, |before| &plans[before].output);
    (0..plans.len()).rev().find(|&i| bytes(&plans[i].output) != bytes(before(i)))
}

/// The slices to make, all by default; refuses those that the chain does not give.
pub(super) fn check_rows(all: usize, rows: Option<Range<usize>>) -> Result<Range<usize>> {
    let rows = rows.unwrap_or(0..all);
    if rows.start >= rows.end || rows.end > all {
        let accepted = format!("there are rows 0..{all} (the end is not included)");
        return Err(Error::invalid("rows", accepted).with("rows", format!("{}..{}", rows.start, rows.end)));
    }
    Ok(rows)
}

/// Chooses the cut that is fastest within the budget. In order of weight: parts as high as the stages work best with;
/// writing beside computing; slabs that decode nothing twice and give each frame a read worth its price; reading beside
/// computing. Slabs are not higher than that, so that computing begins early.
pub(super) fn cut(
    stages: &[Box<dyn Stage>],
    rows: Range<usize>,
    slab_rows: Option<usize>,
    reading: Reading,
    budget: u64,
) -> Result<Cut> {
    let needs = Needs { stages, reading };
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
    let source = stage_plans(stages, &reading, best.part)?.source;
    let grain_rows = if source.first == 0 { (reading.grain.rows / source.step).max(1) } else { 1 };
    let row_bytes = (reading.shape.cols * source.step) as u64 * reading.count_bytes;
    let mut candidates = Vec::new();
    match slab_rows {
        Some(height) => candidates.extend([2, 1].map(|slabs| (height.min(rows.len()), slabs))),
        None => {
            let whole = whole_slab(best.part, grain_rows, row_bytes).min(rows.len());
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
    let Plans { stages: plans, source, halo, input } = stage_plans(stages, &reading, best.part)?;
    let Buffers { part: part_rows, volumes, slab: slab_rows, slabs } = best;
    Ok(Cut {
        left: vec![rows.clone()],
        rows,
        slab_rows,
        slabs,
        part_rows,
        volumes,
        last_change: last_change(&plans, &input),
        grain_rows: if !given && slab_rows.is_multiple_of(grain_rows) { grain_rows } else { 1 },
        source,
        halo,
        memory_bytes: needs.memory_bytes(best)?,
        slice: plans.last().map_or(input.dims, |p| p.output.dims),
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
        let decoding_bytes = if grain_rows == 1 { 0 } else { (8 * grain.rows * shape.cols) as u64 };
        Reading { shape, domain: Domain::Counts, count_bytes: 2, grain, decoding_bytes, kept_bytes: 0, threads: 2 }
    }

    fn smallest(stages: &[Box<dyn Stage>], reading: Reading) -> u64 {
        let needs = Needs { stages, reading };
        needs.memory_bytes(Buffers { part: 1, volumes: 1, slab: 1, slabs: 1 }).unwrap()
    }

    #[test]
    fn slabs_fit_the_budget_and_cover_every_row_once() {
        let shape = ScanShape { views: 180, rows: 100, cols: 256, flats: 2 };
        let stages = stages(shape);
        let reading = reading(shape, 1);
        let one = smallest(&stages, reading);
        for budget in [one, one * 3, one * 10, one * 20, one * 40, u64::MAX] {
            let cut = cut(&stages, 7..93, None, reading, budget).unwrap();
            assert!(cut.memory_bytes <= budget);
            let parts: Vec<_> = cut.slabs().flat_map(|slab| cut.parts(slab)).collect();
            assert!(parts.iter().all(|part| part.len() <= cut.part_rows));
            assert_eq!(parts.into_iter().flatten().collect::<Vec<_>>(), (7..93).collect::<Vec<_>>());
        }
        let e = cut(&stages, 0..100, None, reading, one - 1).unwrap_err();
        assert_eq!(e.kind(), crate::ErrorKind::Limit);
        assert!(e.to_string().contains("single slice (needed = "), "{e}");
    }

    #[test]
    fn rows_outside_the_detector_are_refused() {
        let shape = ScanShape { views: 4, rows: 10, cols: 16, flats: 1 };
        for rows in [5..5, 9..11, 10..12] {
            let e = check_rows(shape.rows, Some(rows)).unwrap_err().to_string();
            assert!(e.contains("there are rows 0..10"), "{e}");
        }
    }

    #[test]
    fn a_wide_detector_works_in_eight_gib() {
        // One sinogram takes 312 MB, one slice 676 MB.
        let shape = ScanShape { views: 6000, rows: 400, cols: 13000, flats: 2 };
        let cut = cut(&stages(shape), 0..400, None, reading(shape, 1), 8 << 30).unwrap();
        assert!(cut.part_rows >= 4 && cut.memory_bytes <= 8 << 30, "{cut:?}");
    }

    #[test]
    fn a_usual_detector_computes_sixteen_rows_beside_writing_in_one_gib() {
        let shape = ScanShape { views: 1800, rows: 64, cols: 2048, flats: 2 };
        let cut = cut(&stages(shape), 0..64, None, reading(shape, 1), 1 << 30).unwrap();
        assert_eq!((cut.part_rows, cut.volumes, cut.slab_rows), (16, 2, 16), "{cut:?}");
    }

    #[test]
    fn compressed_frames_are_decoded_as_few_times_as_the_budget_allows() {
        let shape = ScanShape { views: 900, rows: 512, cols: 1024, flats: 1 };
        let stages = stages(shape);
        // Strips of 24 rows: slabs of whole strips, and hardly any short part.
        let strips = cut(&stages, 30..500, None, reading(shape, 24), 4 << 30).unwrap();
        assert!(strips.slab_rows.is_multiple_of(48) && strips.grain_rows == 24, "{strips:?}");
        assert!(strips.slabs().skip(1).all(|slab| slab.start % 24 == 0));
        // Whole frames: all of the scan at once if it fits, else in as few slabs as possible.
        let whole = cut(&stages, 0..512, None, reading(shape, 512), 4 << 30).unwrap();
        assert_eq!(whole.slabs().count(), 1, "{whole:?}");
        let counts = 2 * (shape.views * shape.rows * shape.cols) as u64;
        let half = cut(&stages, 0..512, None, reading(shape, 512), counts * 6 / 10 + (400 << 20)).unwrap();
        assert!((2..=4).contains(&half.slabs().count()) && half.part_rows == 32, "{half:?}");
    }
}
