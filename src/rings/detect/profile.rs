//! One line of numbers, a value for each detector column: which columns stand out, and by how much. Must not know views.
//!
//! A line is a smooth curve plus offsets of single columns or of runs of columns. The fourth difference takes the curve
//! away; on what is left, offsets are found by least squares.

/// The fourth difference, scaled so that a single column keeps its height: a column minus the cubic through its four
/// neighbours.
const DIFFERENCE: [f64; 5] = [1.0 / 6.0, -4.0 / 6.0, 1.0, -4.0 / 6.0, 1.0 / 6.0];
/// Columns at either end of the detector that are not judged, for want of neighbours.
pub(super) const MARGIN: usize = 3;
/// Columns to either side that tell what scatter is usual.
const HALF_WINDOW: usize = 48;
/// The usual scatter is found anew for each so many columns.
const STEP: usize = 8;
/// From the median of absolute values to the standard deviation of a normal distribution.
const FROM_MEDIAN: f64 = 1.4826;
/// Least scatter, as part of that of the whole line: in air without noise there is none at all.
const LEAST_SCATTER: f64 = 0.3;

/// Part of its height by which a stripe stands out from either side, at least.
const STANDS_OUT: f64 = 0.5;
/// Part of the squares around a stripe that its correction may leave: of columns with heights of their own, and of a run.
const NARROW_REST: f64 = 0.8;
const WIDE_REST: f64 = 0.2;

/// The line without its smooth part; 0 for the two outermost columns.
pub(super) fn high_pass(line: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; line.len()];
    for (out, five) in out.iter_mut().skip(2).zip(line.windows(5)) {
        *out = DIFFERENCE.iter().zip(five).map(|(d, v)| d * v).sum();
    }
    out
}

/// What [`high_pass`] makes of a run of columns of height 1, and how to find it.
pub(super) struct Run {
    pub width: usize,
    /// From two columns before the run to two behind it.
    shape: Vec<f64>,
    /// Sum of squares.
    power: f64,
}

impl Run {
    pub fn new(width: usize) -> Self {
        let mut line = vec![0.0; width + 8];
        line[4..4 + width].fill(1.0);
        let shape = high_pass(&line)[2..width + 6].to_vec();
        let power = shape.iter().map(|v| v * v).sum();
        Run { width, shape, power }
    }
    /// Height of such a run that begins at column `first` of a high-passed line, by least squares.
    pub fn height(&self, high: &[f64], first: usize) -> f64 {
        let around = &high[first - 2..(first + self.width + 2).min(high.len())];
        self.shape.iter().zip(around).map(|(a, b)| a * b).sum::<f64>() / self.power
    }
    /// Columns at which a run may begin.
    pub fn places(&self, cols: usize) -> std::ops::Range<usize> {
        MARGIN..(cols + 1).saturating_sub(MARGIN + self.width).max(MARGIN)
    }
}

/// Usual size of a number around each column.
pub(super) struct Scatter(Vec<f64>);

impl Scatter {
    /// From `lines`, in which the outermost [`MARGIN`] columns count for nothing.
    pub fn of(lines: &[Vec<f64>]) -> Self {
        let cols = lines[0].len();
        let judged = MARGIN..cols.saturating_sub(MARGIN).max(MARGIN);
        let mut sizes = Vec::new();
        let mut median = |from: usize, to: usize| {
            sizes.clear();
            let within = from.max(judged.start)..to.min(judged.end).max(from.max(judged.start));
            lines.iter().for_each(|line| sizes.extend(line[within.clone()].iter().map(|v| v.abs())));
            FROM_MEDIAN * median_of(&mut sizes)
        };
        let least = LEAST_SCATTER * median(0, cols);
        let middle = |i: usize| i * STEP + STEP / 2;
        let around = |i: usize| (middle(i).saturating_sub(HALF_WINDOW), (middle(i) + HALF_WINDOW + 1).min(cols));
        Scatter((0..cols.div_ceil(STEP)).map(|i| median(around(i).0, around(i).1).max(least)).collect())
    }
    pub fn at(&self, col: usize) -> f64 {
        self.0[col / STEP]
    }
}

/// Median (the larger of the middle two); 0 of nothing. Reorders.
pub(super) fn median_of(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Most columns that are looked for near one another.
const MOST_NEAR: usize = 6;

/// A run that may be a part of what explains a line.
pub(super) struct Term<'a> {
    pub run: &'a Run,
    pub first: usize,
    /// Height from which on it is believed.
    pub least: f64,
}

impl Term<'_> {
    /// Squares that it must explain.
    fn price(&self) -> f64 {
        self.least * self.least * self.run.power
    }
    fn product(&self, other: &Term) -> f64 {
        let (a, b) = if self.first <= other.first { (self, other) } else { (other, self) };
        a.run.shape.iter().skip(b.first - a.first).zip(&b.run.shape).map(|(a, b)| a * b).sum()
    }
}

/// Explains the high-passed line by few of `terms`, the first `always` of them included: those whose prices and what they leave
/// are least together. Terms are added one by one, the best first, and taken away again, the least missed first; the best of
/// all these sets is returned, as numbers of terms with their heights, and what it costs more than no term at all.
pub(super) fn explain(high: &[f64], terms: &[Term], always: usize) -> (f64, Vec<(usize, f64)>) {
    let moments: Vec<f64> = terms.iter().map(|t| t.run.height(high, t.first) * t.run.power).collect();
    let solve = |set: &[usize]| -> Option<(f64, Vec<f64>)> {
        let products = |i: &usize| set.iter().map(|j| terms[*i].product(&terms[*j])).collect();
        let inverse = inverse(set.iter().map(products).collect())?;
        let height = |row: &Vec<f64>| row.iter().zip(set).map(|(a, i)| a * moments[*i]).sum();
        let heights: Vec<f64> = inverse.iter().map(height).collect();
        let explained: f64 = heights.iter().zip(set).map(|(h, i)| h * moments[*i]).sum();
        Some((set.iter().map(|i| terms[*i].price()).sum::<f64>() - explained, heights))
    };
    let cost = |set: &[usize]| solve(set).map_or(f64::MAX, |(cost, _)| cost);
    let cheapest = |sets: Vec<Vec<usize>>| sets.into_iter().map(|s| (cost(&s), s)).min_by(|a, b| a.0.total_cmp(&b.0));
    let mut set: Vec<usize> = (0..always).collect();
    let mut best = (cost(&set), set.clone());
    let grow = (terms.len() - always).min(MOST_NEAR);
    for step in 0..(2 * grow).saturating_sub(1) {
        let sets = if step < grow {
            (always..terms.len()).filter(|i| !set.contains(i)).map(|i| [set.as_slice(), &[i]].concat()).collect()
        } else {
            let without = |i: &usize| set.iter().copied().filter(|other| other != i).collect();
            set[always..].iter().map(without).collect()
        };
        let Some((cost, next)) = cheapest(sets) else { break };
        if cost < best.0 {
            best = (cost, next.clone());
        }
        set = next;
    }
    let heights = solve(&best.1).map_or_else(Vec::new, |(_, heights)| heights);
    (best.0, best.1.into_iter().zip(heights).collect())
}

/// Inverse of a small symmetric positive matrix, by Gauss and Jordan.
fn inverse(mut a: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let n = a.len();
    for (i, row) in a.iter_mut().enumerate() {
        row.extend((0..n).map(|j| f64::from(u8::from(i == j))));
    }
    for i in 0..n {
        let pivot = a[i][i];
        if pivot < 1e-12 {
            return None;
        }
        a[i].iter_mut().for_each(|v| *v /= pivot);
        let line = a[i].clone();
        for (_, row) in a.iter_mut().enumerate().filter(|(j, _)| *j != i) {
            let factor = row[i];
            row.iter_mut().zip(&line).for_each(|(v, l)| *v -= factor * l);
        }
    }
    Some(a.into_iter().map(|row| row[n..].to_vec()).collect())
}

/// A proposed correction of the columns `from..to` of a line.
pub(super) struct Proposal<'a> {
    /// The line without any correction of these columns.
    pub line: &'a [f64],
    /// Its high-passed form with the correction that holds now.
    pub high_now: &'a [f64],
    /// Heights to be taken away, from column `from` on.
    pub heights: &'a [f64],
    pub from: usize,
}

impl Proposal<'_> {
    /// Sum of squares that would be left around the columns, if the proposal is believable: nothing as high as the
    /// correction may be left, and the line must become clearly smoother.
    fn rest(&self, share: f64) -> Option<f64> {
        let (from, to) = (self.from, self.from + self.heights.len());
        let seen = from.saturating_sub(4).max(2)..(to + 4).min(self.line.len() - 2);
        // The fourth difference of these needs two more on either side.
        let mut line = self.line[seen.start - 2..seen.end + 2].to_vec();
        line[from + 2 - seen.start..][..self.heights.len()].iter_mut().zip(self.heights).for_each(|(v, h)| *v -= h);
        let left = high_pass(&line);
        let left = &left[2..left.len() - 2];
        let highest = self.highest();
        let square = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>();
        let rest = square(left);
        let fits = left.iter().all(|v| v.abs() <= highest) && rest < share * square(&self.high_now[seen]);
        fits.then_some(rest)
    }
    fn highest(&self) -> f64 {
        self.heights.iter().fold(0.0f64, |a, v| a.max(v.abs()))
    }
    /// Judges columns with heights of their own. The sample's own edge, standing still in all views, makes the line bend: each
    /// group of neighbours to be lowered or raised must stand out on both sides, by more than the two sides, drawn on as straight
    /// lines, disagree.
    pub fn judge_columns(&self) -> Option<f64> {
        let (from, to) = (self.from, self.from + self.heights.len());
        let before = high_pass(&self.line[from - 2..to + 2]);
        let strongest = before[2..before.len() - 2].iter().fold(0.0f64, |a, v| a.max(v.abs()));
        if self.highest() > 2.5 * strongest {
            return None;
        }
        let mut first = 0;
        for group in self.heights.chunk_by(|a, b| a.signum() == b.signum() && *a != 0.0 && *b != 0.0) {
            let (start, end) = (first, first + group.len());
            first = end;
            if group[0] == 0.0 {
                continue;
            }
            // With the other groups corrected.
            let mut line = self.line[from - 2..to + 2].to_vec();
            for (i, height) in self.heights.iter().enumerate().filter(|(i, _)| !(start..end).contains(i)) {
                line[i + 2] -= height;
            }
            let at = start + 2..end + 2;
            let left = |steps: usize| line[at.start - 1] + steps as f64 * (line[at.start - 1] - line[at.start - 2]);
            let right = |steps: usize| line[at.end] + steps as f64 * (line[at.end] - line[at.end + 1]);
            let out_left = (line[at.start] - left(1)) / group[0];
            let out_right = (line[at.end - 1] - right(1)) / group[group.len() - 1];
            let bends = |i: usize| (left(i + 1) - right(group.len() - i)).abs() > group[i].abs();
            if out_left.min(out_right) < STANDS_OUT || (0..group.len()).any(bends) {
                return None;
            }
        }
        self.rest(NARROW_REST)
    }
    /// Judges a run of one height: it must begin and end in a jump, seen from inside as from outside.
    pub fn judge_run(&self) -> Option<f64> {
        let (p, from, last) = (self.line, self.from, self.from + self.heights.len() - 1);
        let jump = |at: usize, by: usize, then: usize| p[at] - 2.0 * p[by] + p[then];
        let jumps = [
            jump(from, from - 1, from - 2),
            -jump(from - 1, from, from + 1),
            jump(last, last + 1, last + 2),
            -jump(last + 1, last, last - 1),
        ];
        let as_high = |jump: &f64| (0.5..=2.0).contains(&(jump / self.heights[0]));
        if jumps.iter().all(as_high) { self.rest(WIDE_REST) } else { None }
    }
}

/// Whether the columns `from..to` stand out by a good part of `height` from straight lines through both neighbours on either
/// side: on a slope or at an edge, one side fits.
pub(super) fn stands_out(line: &[f64], from: usize, to: usize, height: f64) -> bool {
    let left = line[from] - (2.0 * line[from - 1] - line[from - 2]);
    let right = line[to - 1] - (2.0 * line[to] - line[to + 1]);
    (left / height).min(right / height) >= STANDS_OUT
}
