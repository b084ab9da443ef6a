//! Many iterations over a volume that is held only in part.
//!
//! An iteration of a filter looks one slice up and down, so a slice can be done once its neighbours have been. The iterations
//! follow each other through the volume like a wave, each one slice behind the one before it: when slice t comes in, slice
//! t - 1 gets its first iteration, t - 2 its second, and so on. What is held are as many slices as there are iterations, every
//! slice gets each iteration once, and the result is that of iterations over the whole volume, to the bit.
//!
//! Must not know: stages, and what the iterations do.

use crate::progress::Watch;
use ndarray::{Array2, ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis};
use rayon::prelude::*;
use std::collections::VecDeque;

/// What is done to a slice. Its state is [`Iteration::FIELDS`] images, one after the other.
pub trait Iteration: Send + Sync {
    /// Images that make up the state of a slice.
    const FIELDS: usize;
    /// Fills the state of a new slice, which holds anything.
    fn begin(&self, input: ArrayView2<f32>, fields: &mut [f32]);
    /// Does iteration `k` (0 first) to a band of lines of a slice: `here` holds the lines of each field.
    fn step(&self, k: usize, around: &Around<'_>, here: &mut [&mut [f32]]);
    /// The result.
    fn end(&self, fields: &[f32], out: ArrayViewMut2<f32>);
}

/// What surrounds a band of lines.
pub struct Around<'a> {
    /// The slice before, after iteration k; none before the first one.
    before: Option<&'a [f32]>,
    /// The slice after, before iteration k; none behind the last one.
    after: Option<&'a [f32]>,
    /// The lines next to the band, before iteration k, of each field; none beyond the slice.
    above: Option<Vec<f32>>,
    below: Option<Vec<f32>>,
    /// Number of the band's first line.
    pub first: usize,
    /// Size of a slice.
    pub size: [usize; 2],
}

impl Around<'_> {
    fn line<'a>(&self, slice: Option<&'a [f32]>, field: usize, y: usize) -> Option<&'a [f32]> {
        let [height, width] = self.size;
        slice.map(|slice| &slice[(field * height + y) * width..][..width])
    }
    /// Line `y` of the slice before; see the fields.
    pub fn before(&self, field: usize, y: usize) -> Option<&[f32]> {
        self.line(self.before, field, y)
    }
    /// Line `y` of the slice after.
    pub fn after(&self, field: usize, y: usize) -> Option<&[f32]> {
        self.line(self.after, field, y)
    }
    /// The line above the band.
    pub fn above(&self, field: usize) -> Option<&[f32]> {
        self.above.as_deref().map(|lines| &lines[field * self.size[1]..][..self.size[1]])
    }
    /// The line below the band.
    pub fn below(&self, field: usize) -> Option<&[f32]> {
        self.below.as_deref().map(|lines| &lines[field * self.size[1]..][..self.size[1]])
    }
}

/// Lines below which a band is not worth a thread.
const FEWEST_LINES: usize = 16;

/// See the module.
pub struct Wave<I> {
    iteration: I,
    iterations: usize,
    size: [usize; 2],
    /// Slices of the volume.
    slices: usize,
    /// States, the first of slice `first`.
    held: VecDeque<Vec<f32>>,
    first: usize,
    /// The slice at which the wave began.
    begin: usize,
    /// The slice that comes in next; beyond the last one nothing comes any more.
    next: usize,
    spare: Vec<Vec<f32>>,
    /// The last results, for whoever asks for them again.
    results: VecDeque<(usize, Array2<f32>)>,
}

/// Results that are kept.
const KEPT: usize = 8;

impl<I: Iteration> Wave<I> {
    /// Of `iterations` (at least 1) through a volume of `slices` of `size`.
    pub fn new(iteration: I, iterations: usize, slices: usize, size: [usize; 2]) -> Self {
        let (held, spare, results) = (VecDeque::new(), Vec::new(), VecDeque::new());
        Wave {
            iteration,
            iterations: iterations.max(1),
            size,
            slices,
            held,
            first: 0,
            begin: 0,
            next: 0,
            spare,
            results,
        }
    }
    /// Memory of a wave, bytes.
    pub fn bytes(iterations: usize, slices: usize, [height, width]: [usize; 2]) -> u64 {
        4 * ((I::FIELDS * (iterations + 3).min(slices + 1) + KEPT.min(slices)) * height * width) as u64
    }
    /// Makes slices from number `made` on. `input` begins with slice `first` and holds those that are made and as many before and
    /// after as there are iterations, as far as there are any. Slices in order are made without doing anything twice; for others
    /// the wave begins anew. Takes a step of `watch` for each slice, and returns early when it is told to. Works on the threads of
    /// the pool that it is called in.
    pub fn make(
        &mut self,
        input: ArrayView3<f32>,
        first: usize,
        mut out: ArrayViewMut3<f32>,
        made: usize,
        watch: &Watch,
    ) {
        for (slice, mut out) in (made..).zip(out.outer_iter_mut()) {
            if let Some((_, known)) = self.results.iter().find(|(z, _)| *z == slice) {
                out.assign(known);
            } else {
                self.aim(slice);
                while self.next <= slice + self.iterations {
                    let come = (self.next < self.slices).then(|| input.index_axis(Axis(0), self.next - first));
                    if !self.advance(come, watch) {
                        return;
                    }
                }
                self.iteration.end(&self.held[slice - self.first], out.view_mut());
                let oldest = if self.results.len() < KEPT { None } else { self.results.pop_front() };
                let mut copy = oldest.map_or_else(|| Array2::zeros(self.size), |(_, copy)| copy);
                copy.assign(&out);
                self.results.push_back((slice, copy));
            }
            watch.step();
        }
    }
    /// Begins anew unless `slice` comes out next. What is before the beginning is missed by one slice more in each iteration.
    fn aim(&mut self, slice: usize) {
        let is_next = self.next == slice + self.iterations && !self.held.is_empty();
        if !is_next || self.begin > 0 && slice < self.begin + self.iterations {
            self.spare.extend(self.held.drain(..));
            self.begin = slice.saturating_sub(self.iterations);
            (self.first, self.next) = (self.begin, self.begin);
        }
    }
    /// Takes the next slice, if there is one, and does one iteration to each that is due.
    fn advance(&mut self, input: Option<ArrayView2<f32>>, watch: &Watch) -> bool {
        let [height, width] = self.size;
        let now = self.next;
        if let Some(input) = input {
            let fresh = || vec![0.0; I::FIELDS * height * width];
            let mut fields = self.spare.pop().unwrap_or_else(fresh);
            self.iteration.begin(input, &mut fields);
            self.held.push_back(fields);
        }
        for k in 0..self.iterations.min(now - self.begin) {
            let slice = now - 1 - k;
            if slice < self.slices {
                self.step(k, slice - self.first);
            }
            if !watch.wanted() {
                return false;
            }
        }
        self.next += 1;
        // The last one that is done is still looked at.
        while self.first + self.iterations < now && self.held.len() > 1 {
            self.spare.extend(self.held.pop_front());
            self.first += 1;
        }
        true
    }
    fn step(&mut self, k: usize, at: usize) {
        let [height, width] = self.size;
        let mut here = std::mem::take(&mut self.held[at]);
        let before = at.checked_sub(1).map(|at| &self.held[at][..]);
        let after = self.held.get(at + 1).map(|slice| &slice[..]);
        let bands = rayon::current_num_threads().min(height / FEWEST_LINES).max(1);
        let lines = height.div_ceil(bands);
        let copy = |y: usize| -> Vec<f32> {
            let line = |field: usize| &here[(field * height + y) * width..][..width];
            (0..I::FIELDS).flat_map(line).copied().collect()
        };
        let around = |first: usize| Around {
            before,
            after,
            above: (first > 0).then(|| copy(first - 1)),
            below: (first + lines < height).then(|| copy(first + lines)),
            first,
            size: self.size,
        };
        let mut jobs: Vec<(Around<'_>, Vec<&mut [f32]>)> =
            (0..height).step_by(lines).map(|first| (around(first), Vec::with_capacity(I::FIELDS))).collect();
        for field in here.chunks_exact_mut(height * width) {
            for (job, band) in jobs.iter_mut().zip(field.chunks_mut(lines * width)) {
                job.1.push(band);
            }
        }
        match &mut jobs[..] {
            [(around, here)] => self.iteration.step(k, around, here),
            jobs => jobs.par_iter_mut().for_each(|(around, here)| self.iteration.step(k, around, here)),
        }
        self.held[at] = here;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use ndarray::Array3;

    /// All slices of a volume, with `threads`, made in parts of `rows`.
    pub fn all<I: Iteration>(
        iteration: I,
        iterations: usize,
        volume: &Array3<f32>,
        threads: usize,
        rows: usize,
    ) -> Array3<f32> {
        let (slices, height, width) = volume.dim();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut wave = Wave::new(iteration, iterations, slices, [height, width]);
        let mut out = Array3::zeros(volume.dim());
        pool.install(|| {
            for (i, part) in out.axis_chunks_iter_mut(Axis(0), rows).enumerate() {
                wave.make(volume.view(), 0, part, i * rows, &Watch::default());
            }
        });
        out
    }

    /// Sums of all 7 voxels around, wrong in a slice if anything of its neighbourhood is.
    struct Sums;

    impl Iteration for Sums {
        const FIELDS: usize = 2;
        fn begin(&self, input: ArrayView2<f32>, fields: &mut [f32]) {
            fields
                .chunks_exact_mut(input.len())
                .for_each(|field| field.iter_mut().zip(input).for_each(|(f, v)| *f = *v));
        }
        fn step(&self, _: usize, around: &Around<'_>, here: &mut [&mut [f32]]) {
            // The second image is the first before the iteration.
            let [_, width] = around.size;
            let [now, old] = here else { return };
            old.copy_from_slice(now);
            for i in 0..now.len() {
                let (y, x) = (i / width, i % width);
                let line = |line: Option<&[f32]>| line.map_or(0.0, |line| line[x]);
                let mut sum =
                    old[i] + line(around.before(1, around.first + y)) + line(around.after(0, around.first + y));
                sum += i.checked_sub(width).map_or_else(|| line(around.above(0)), |up| old[up]);
                sum += old.get(i + width).copied().unwrap_or_else(|| line(around.below(0)));
                sum += if x > 0 { old[i - 1] } else { 0.0 } + if x + 1 < width { old[i + 1] } else { 0.0 };
                now[i] = sum % 1009.0;
            }
        }
        fn end(&self, fields: &[f32], mut out: ArrayViewMut2<f32>) {
            out.iter_mut().zip(fields).for_each(|(o, v)| *o = *v);
        }
    }

    #[test]
    fn a_wave_does_what_iterations_over_the_whole_volume_do() {
        let volume = Array3::from_shape_fn((9, 70, 5), |(z, y, x)| ((z * 31 + y * 17 + x * 7) % 23) as f32);
        let mut whole = volume.clone();
        for n in 1..=12 {
            let old = whole.clone();
            for ((z, y, x), v) in whole.indexed_iter_mut() {
                let at = |dz: isize, dy: isize, dx: isize| -> f32 {
                    let place = [z, y, x].map(|i| i as isize);
                    let [z, y, x] =
                        [place[0] + dz, place[1] + dy, place[2] + dx].map(|i| usize::try_from(i).unwrap_or(99));
                    old.get((z, y, x)).copied().unwrap_or(0.0)
                };
                let sum = at(-1, 0, 0) + at(1, 0, 0) + at(0, -1, 0) + at(0, 1, 0) + at(0, 0, -1) + at(0, 0, 1);
                *v = (at(0, 0, 0) + sum) % 1009.0;
            }
            // Whole numbers below 2^24: no rounding.
            if [1, 3, 12].contains(&n) {
                for (threads, rows) in [(1, 9), (3, 9), (2, 4)] {
                    assert!(all(Sums, n, &volume, threads, rows) == whole, "{n} iterations, {threads} threads");
                }
            }
        }
    }

    #[test]
    fn a_wave_that_begins_anew_finds_the_same() {
        let volume = Array3::from_shape_fn((30, 6, 5), |(z, y, x)| ((z * 31 + y * 17 + x * 7) % 23) as f32);
        let whole = all(Sums, 4, &volume, 1, 30);
        let mut wave = Wave::new(Sums, 4, 30, [6, 5]);
        for made in [12..14usize, 14..20, 19..22, 3..4, 0..2, 28..30, 17..18] {
            let (first, end) = (made.start.saturating_sub(4), (made.end + 4).min(30));
            let mut out = Array3::zeros((made.len(), 6, 5));
            let input = volume.slice(ndarray::s![first..end, .., ..]);
            wave.make(input, first, out.view_mut(), made.start, &Watch::default());
            assert!(out == whole.slice(ndarray::s![made.clone(), .., ..]), "{made:?}");
        }
    }
}
