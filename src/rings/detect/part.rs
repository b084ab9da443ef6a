//! Stripes that go through a part of the views only.

use super::blocks::{Blocks, uncertainty2};
use super::profile::{Proposal, Run, Scatter, high_pass, median_of, stands_out};
use ndarray::ArrayView2;
use std::ops::Range;

const ROUNDS: usize = 4;
/// Widest run looked for.
const WIDEST: usize = 3;
/// Shortest part of the views, as one over it.
const SHORTEST: usize = 8;
/// A part needs so much more certainty than a whole stripe: there are thousands of parts where chance may make one.
const CERTAINTY: f64 = 1.8;

/// What stands still in all views is an edge of the sample: outside its part a column must show less than this of the height.
const ELSEWHERE: f64 = 0.5;

/// Columns that are off by a constant in some consecutive views.
pub(super) struct Part {
    pub views: Range<usize>,
    pub first: usize,
    pub width: usize,
    pub height: f64,
    blocks: Range<usize>,
}

/// Finds such parts and takes them from the blocks.
pub(super) fn find(blocks: &mut Blocks, snr: f64) -> Vec<Part> {
    let mut found = Vec::new();
    if blocks.count() < 2 {
        return found;
    }
    for _ in 0..ROUNDS {
        let new = round(blocks, snr);
        if new.is_empty() {
            break;
        }
        let heights: Vec<Vec<f64>> = new.iter().map(|part| vec![part.height; part.width]).collect();
        let runs = new.iter().zip(&heights);
        blocks.subtract(runs.map(|(part, heights)| (part.blocks.clone(), part.first, heights.as_slice())));
        found.extend(new);
    }
    found
}

fn round(blocks: &Blocks, snr: f64) -> Vec<Part> {
    let (cols, count) = (blocks.cols(), blocks.count());
    let mut candidates = Vec::new();
    for run in (1..=WIDEST).map(Run::new) {
        let columns: Vec<Vec<f64>> = (0..cols)
            .map(|c| if run.places(cols).contains(&c) { blocks.heights(&run, c) } else { vec![0.0; count] })
            .collect();
        let scatters = Scatters::new(&columns, count);
        for first in run.places(cols) {
            let usual = scatters.at(first);
            if let Some((certainty, blocks)) = best_part(&columns[first], &usual, CERTAINTY * snr) {
                let height = columns[first][blocks.clone()].iter().sum::<f64>() / blocks.len() as f64;
                if elsewhere(&columns[first], &blocks) / height > ELSEWHERE {
                    continue;
                }
                candidates.push((certainty, Part { views: 0..0, first, width: run.width, height, blocks }));
            }
        }
    }
    candidates.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.first.cmp(&y.first)));
    let mut taken = vec![vec![false; cols]; count];
    let mut found = Vec::new();
    for (_, mut part) in candidates {
        let around = part.first.saturating_sub(4)..(part.first + part.width + 4).min(cols);
        if taken[part.blocks.clone()].iter().any(|line| line[around.clone()].contains(&true)) {
            continue;
        }
        let line = blocks.mean_line(part.blocks.clone());
        let (high, heights) = (high_pass(&line), vec![part.height; part.width]);
        let proposal = Proposal { line: &line, high_now: &high, heights: &heights, from: part.first };
        if stands_out(&line, part.first, part.first + part.width, part.height) && proposal.judge_columns().is_some() {
            taken[part.blocks.clone()].iter_mut().for_each(|line| line[around.clone()].fill(true));
            part.views = blocks.views(part.blocks.clone());
            found.push(part);
        }
    }
    found
}

/// Usual height of a column outside some blocks.
fn elsewhere(heights: &[f64], blocks: &Range<usize>) -> f64 {
    median_of(&mut [&heights[..blocks.start], &heights[blocks.end..]].concat())
}

/// What mean height is usual for so many blocks in a row: measured for 1/1, 1/2, 1/4, ... of all.
struct Scatters(Vec<(usize, Scatter)>);

impl Scatters {
    fn new(columns: &[Vec<f64>], count: usize) -> Self {
        let lengths = std::iter::successors(Some(count), |len| Some(len / 2)).take_while(|len| *len > 0);
        let means = |len: usize| -> Vec<Vec<f64>> {
            let mean = |from: usize| move |c: &Vec<f64>| c[from..from + len].iter().sum::<f64>() / len as f64;
            (0..count / len).map(|i| columns.iter().map(mean(i * len)).collect()).collect()
        };
        Scatters(lengths.map(|len| (len, Scatter::of(&means(len)))).collect())
    }
    /// For 0, 1, ... all blocks, between those measured as a power of the number.
    fn at(&self, col: usize) -> Vec<f64> {
        let mut usual = vec![f64::INFINITY; self.0[0].0 + 1];
        for pair in self.0.windows(2) {
            let ((many, of_many), (few, of_few)) = (&pair[0], &pair[1]);
            let (of_many, of_few) = (of_many.at(col).max(1e-300), of_few.at(col).max(1e-300));
            let slope = (of_many / of_few).ln() / (*many as f64 / *few as f64).ln();
            for (len, usual) in usual.iter_mut().enumerate().take(many + 1).skip(*few) {
                *usual = of_few * (len as f64 / *few as f64).powf(slope);
            }
        }
        usual
    }
}

/// The most certain of the parts of a column that are `needed` times as high as usual.
fn best_part(heights: &[f64], usual: &[f64], needed: f64) -> Option<(f64, Range<usize>)> {
    let count = heights.len();
    let shortest = (count / SHORTEST).max(4.min(count));
    let mut sums = vec![(0.0, 0.0)];
    heights.iter().for_each(|h| sums.push((sums[sums.len() - 1].0 + h, sums[sums.len() - 1].1 + h * h)));
    let ends = || sums.iter().map(|s| s.0);
    // No part has a sum larger than this, and shorter parts need less.
    if ends().fold(f64::MIN, f64::max) - ends().fold(f64::MAX, f64::min) < needed * usual[shortest] * shortest as f64 {
        return None;
    }
    let mut best = (needed * needed, 0..0);
    for from in 0..=count - shortest {
        // What is left out must be long enough to show that it is different.
        for to in from + shortest..=count.min(from + count - shortest) {
            let len = (to - from) as f64;
            let (sum, sum2) = (sums[to].0 - sums[from].0, sums[to].1 - sums[from].1);
            let certainty2 = (sum / len).powi(2) / usual[to - from].powi(2).max(uncertainty2(len, sum, sum2));
            if certainty2 > best.0 {
                best = (certainty2, from..to);
            }
        }
    }
    (!best.1.is_empty()).then(|| (best.0.sqrt(), best.1))
}

impl Part {
    /// Finds the first and the last view to the view; so far they are known to the block.
    pub fn sharpen(&mut self, sino: ArrayView2<f32>, blocks: &Blocks) {
        let (run, count) = (Run::new(self.width), blocks.count());
        let Range { start, end } = self.blocks;
        let views = self.views.clone();
        if start > 0 {
            let before = blocks.views(start - 1..start).start;
            self.views.start = self.jump(sino, &run, before..blocks.views(start..start + 1).end, self.height);
        }
        if end < count {
            let after = blocks.views(end..end + 1).end;
            self.views.end = self.jump(sino, &run, blocks.views(end - 1..end).start..after, -self.height);
        }
        if self.views.is_empty() {
            self.views = views;
        }
    }
    /// The view among `views` from which on the columns are higher by `by`, by least squares.
    fn jump(&self, sino: ArrayView2<f32>, run: &Run, views: Range<usize>, by: f64) -> usize {
        let from = self.first - 3;
        let around = from..(self.first + self.width + 3).min(sino.ncols());
        let heights: Vec<f64> = views
            .clone()
            .map(|view| {
                let line: Vec<f64> = around.clone().map(|col| f64::from(sino[[view, col]])).collect();
                run.height(&high_pass(&line), self.first - from)
            })
            .collect();
        let len = heights.len() as f64;
        let mean = heights.iter().sum::<f64>() / len;
        // Sum of squares of heights minus step about their mean, without what is the same for all steps.
        let mut behind = heights.iter().map(|h| h - mean).sum::<f64>();
        let mut best = (f64::MAX, views.start);
        for (i, height) in heights.iter().enumerate() {
            let share = (len - i as f64) / len;
            let rest = by * by * len * share * (1.0 - share) - 2.0 * by * behind;
            if rest < best.0 {
                best = (rest, views.start + i);
            }
            behind -= height - mean;
        }
        best.1
    }
}
