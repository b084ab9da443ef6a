//! Finds the connected objects of a volume that comes slice by slice, with memory for its runs and not its voxels.
//!
//! Each run takes the label of the runs that it touches in the line before and in the slice before; where it touches
//! several, their labels are united (union-find; Rosenfeld and Pfaltz, 1966, doi:10.1145/321356.321357). The label of the
//! first voxel of an object always wins, so that objects are numbered in the order of their first voxels.

use crate::runs::{SliceRuns, Stretch};
use wagiri_plugin::{Failure, Param, Result, Text, Value, c_text_array};

const CONNECTIVITIES: &[Text] = &c_text_array([c"26", c"6"]);
pub const CONNECTIVITY: Param = Param::choice(c"connectivity", c"26", CONNECTIVITIES)
    .help(c"Voxels touch by faces, edges and corners (26) or by faces only (6)");
pub const MIN_VOXELS: Param =
    Param::int(c"min_voxels", c"1").range(1.0, 9e15).help(c"Objects with fewer voxels are left out");

/// How voxels touch, and from which size on objects count.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Edges and corners touch too.
    pub corners: bool,
    pub min_voxels: u64,
}

impl Rules {
    /// From the values of [`CONNECTIVITY`] and [`MIN_VOXELS`].
    pub fn of(values: &[Value]) -> Result<Rules> {
        let corners = values.first().and_then(Value::text).ok_or("connectivity is not a word")? == "26";
        let min_voxels = values.get(1).and_then(Value::int).ok_or("min_voxels is not a number")?;
        Ok(Rules { corners, min_voxels: min_voxels as u64 })
    }
}

/// What is counted of each object.
pub trait Tally: Default {
    /// The voxels of a run in line `y` of slice `z`.
    fn add(&mut self, voxels: &[f32], run: Stretch, y: usize, z: i64);
    /// `count` times, a voxel of this object and another voxel are neighbours; both of them are told. `class` is 0 across
    /// faces, 1 across edges, 2 across corners. Neighbours within a run are not told.
    fn neighbours(&mut self, _class: usize, _count: u64) {}
    fn unite(&mut self, other: Self);
    fn voxels(&self) -> u64;
}

/// Counts voxels and nothing else.
#[derive(Clone, Debug, Default)]
pub struct Size(u64);

impl Tally for Size {
    fn add(&mut self, _: &[f32], run: Stretch, _: usize, _: i64) {
        self.0 += run.len();
    }
    fn unite(&mut self, other: Self) {
        self.0 += other.0;
    }
    fn voxels(&self) -> u64 {
        self.0
    }
}

/// Takes slices in order.
#[derive(Debug)]
pub struct Finder<T> {
    rules: Rules,
    /// Columns of a line.
    cols: usize,
    /// Number of the first slice, once there was one.
    first: Option<i64>,
    /// For each slice, where its runs begin in `of_runs`; one more for the end.
    slices: Vec<usize>,
    /// The label of each run; only those of the last slice unless all are kept.
    of_runs: Vec<u32>,
    keep_all: bool,
    before: SliceRuns,
    /// Those of the first slice.
    outermost: SliceRuns,
    labels: Labels<T>,
}

/// A line that has been seen, beside the one in work.
struct Line<'a> {
    runs: &'a [Stretch],
    /// Where the labels of its runs begin in `of_runs`.
    first: usize,
    /// Steps in y and z to get there.
    steps: usize,
}

/// The objects of a volume.
#[derive(Debug)]
pub struct Objects<T> {
    /// Those that are large enough, number 1 first.
    pub objects: Vec<T>,
    /// Number of the object of each label; 0 for one that is too small.
    numbers: Vec<u32>,
    first: i64,
    slices: Vec<usize>,
    of_runs: Vec<u32>,
    /// The runs of the first and of the last slice.
    ends: [SliceRuns; 2],
}

impl<T: Tally> Finder<T> {
    /// For slices with `cols` columns. `keep_all` keeps the label of every run, for [`Objects::paint`].
    pub fn new(rules: Rules, cols: usize, keep_all: bool) -> Self {
        Finder {
            rules,
            cols,
            first: None,
            slices: vec![0],
            of_runs: Vec::new(),
            keep_all,
            before: SliceRuns::default(),
            outermost: SliceRuns::default(),
            labels: Labels { parent: Vec::new(), tallies: Vec::new() },
        }
    }

    /// The next slice, `slice` with the runs `runs`; its number `z` must be that of the last one and 1.
    pub fn add(&mut self, z: i64, slice: &[f32], runs: SliceRuns) -> Result<()> {
        let first = *self.first.get_or_insert(z);
        if z != first + self.slices.len() as i64 - 1 {
            return Err(format!("slice {z} came out of order").into());
        }
        // Labels of the slice before lie right before those of this one.
        let mut old = self.of_runs.len() - self.before.runs.len();
        if !self.keep_all {
            self.of_runs.drain(..old);
            old = 0;
        }
        let new = self.of_runs.len();
        let mut touching = Vec::new();
        for y in 0..runs.lines.len() - 1 {
            let mut lines = Vec::with_capacity(4);
            if !self.before.lines.is_empty() {
                for there in y.saturating_sub(1)..(y + 2).min(self.before.lines.len() - 1) {
                    let (line, steps) = (self.before.line(there), 1 + there.abs_diff(y));
                    lines.push(Line { first: old + line.start, runs: &self.before.runs[line], steps });
                }
            }
            if y > 0 {
                let line = runs.line(y - 1);
                lines.push(Line { first: new + line.start, runs: &runs.runs[line], steps: 1 });
            }
            let mut at = [0; 4];
            for i in runs.line(y) {
                let run = runs.runs[i];
                touching.clear();
                for (at, line) in at.iter_mut().zip(&lines) {
                    // Runs that end before this one begins, corners included, touch none of the later ones.
                    while line.runs.get(*at).is_some_and(|other| other.end < run.start) {
                        *at += 1;
                    }
                    let others = line.runs[*at..].iter().zip(line.first + *at..);
                    let others = others.take_while(|(other, _)| other.start <= run.end);
                    touching.extend(others.map(|(other, number)| (*other, self.of_runs[number], line.steps)));
                }
                let mut label = None;
                for (other, theirs, steps) in &touching {
                    if self.rules.corners || (*steps == 1 && overlap(run, *other, 0) > 0) {
                        label = Some(label.map_or(*theirs, |mine| self.labels.unite(mine, *theirs)));
                    }
                }
                let label = match label {
                    Some(label) => self.labels.root(label),
                    None => self.labels.new_one()?,
                };
                self.of_runs.push(label);
                let voxels = &slice[y * self.cols..][run.start as usize..run.end as usize];
                self.labels.tallies[label as usize].add(voxels, run, y, z);
                for (other, theirs, steps) in &touching {
                    for dx in -1..=1i64 {
                        let (class, count) = (steps + dx.unsigned_abs() as usize - 1, overlap(run, *other, dx));
                        if count > 0 {
                            self.labels.tallies[label as usize].neighbours(class, count);
                            let theirs = self.labels.root(*theirs);
                            self.labels.tallies[theirs as usize].neighbours(class, count);
                        }
                    }
                }
            }
        }
        if self.slices.len() == 1 {
            self.outermost = runs.clone();
        }
        self.slices.push(new + runs.runs.len());
        self.before = runs;
        Ok(())
    }

    /// No more slices come.
    pub fn finish(self) -> Objects<T> {
        let Labels { parent, tallies } = self.labels;
        let (mut numbers, mut objects) = (Vec::with_capacity(parent.len()), Vec::new());
        for (label, (parent, tally)) in parent.into_iter().zip(tallies).enumerate() {
            // A parent is not larger than its label, so its number is known.
            let number = if parent as usize != label {
                numbers[parent as usize]
            } else if tally.voxels() >= self.rules.min_voxels {
                objects.push(tally);
                objects.len() as u32
            } else {
                0
            };
            numbers.push(number);
        }
        let (first, ends) = (self.first.unwrap_or(0), [self.outermost, self.before]);
        Objects { objects, numbers, first, slices: self.slices, of_runs: self.of_runs, ends }
    }
}

impl<T> Objects<T> {
    /// How many slices there were.
    pub fn slices(&self) -> usize {
        self.slices.len() - 1
    }
    /// Writes the numbers of the objects of slice `z`, which has the runs `runs`, into `out`; 0 elsewhere. The first slice
    /// stands for those before it, the last for those behind it.
    pub fn paint(&self, z: i64, runs: &SliceRuns, cols: usize, out: &mut [f32]) -> Result<()> {
        let at = (z - self.first).clamp(0, self.slices() as i64 - 1);
        let runs = match z - self.first {
            beyond if beyond < at => &self.ends[0],
            beyond if beyond > at => &self.ends[1],
            _ => runs,
        };
        let at = at as usize;
        let labels = &self.of_runs[self.slices[at]..self.slices[at + 1]];
        if labels.len() != runs.runs.len() {
            return Err(format!("slice {z} is not the one that was looked at before").into());
        }
        for (y, line) in out.chunks_mut(cols).enumerate() {
            line.fill(0.0);
            for i in runs.line(y) {
                let run = runs.runs[i];
                line[run.start as usize..run.end as usize].fill(self.numbers[labels[i] as usize] as f32);
            }
        }
        Ok(())
    }
}

/// How many voxels of `a` have a neighbour in `b` when a step of `dx` is taken.
fn overlap(a: Stretch, b: Stretch, dx: i64) -> u64 {
    let end = i64::from(a.end).min(i64::from(b.end) - dx);
    let start = i64::from(a.start).max(i64::from(b.start) - dx);
    (end - start).max(0) as u64
}

/// Labels and which of them are one object.
#[derive(Debug)]
struct Labels<T> {
    /// For each label one that is united with it and not larger.
    parent: Vec<u32>,
    /// What was counted of each; of united ones with the smallest.
    tallies: Vec<T>,
}

impl<T: Tally> Labels<T> {
    fn new_one(&mut self) -> Result<u32> {
        let label = u32::try_from(self.parent.len());
        let label = label.map_err(|_| Failure::from("there are more than 4294967295 pieces of objects; raise low"))?;
        self.parent.push(label);
        self.tallies.push(T::default());
        Ok(label)
    }
    /// The smallest label that is united with `label`.
    fn root(&mut self, mut label: u32) -> u32 {
        while self.parent[label as usize] != label {
            // Halves the way for the next time.
            self.parent[label as usize] = self.parent[self.parent[label as usize] as usize];
            label = self.parent[label as usize];
        }
        label
    }
    /// The label of both from now on.
    fn unite(&mut self, a: u32, b: u32) -> u32 {
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        if low != high {
            self.parent[high as usize] = low;
            let other = std::mem::take(&mut self.tallies[high as usize]);
            self.tallies[low as usize].unite(other);
        }
        low
    }
}
