//! Layers forwards, on all threads. Must not know the network, only one layer.

use super::isa::Kernels;
use super::kernels::{Finish, Row};
use super::lines::{Activate, Dot, Line, Moments, Pool};
use super::maps::{Maps, Shape};
use super::packed::{Packed, spread};
use super::plan::{Conv, Plan};
use crate::progress::Watch;
use crate::simd::widest;
use ndarray::{ArrayView4, s};
use rayon::prelude::*;

/// Floats that the second nearest cache holds beside other things.
const CACHE: usize = 1 << 16;
/// Of the variance, so that nothing is divided by 0.
const EPSILON: f64 = 1e-5;
/// Part of the running statistics that a step replaces.
const MOMENTUM: f32 = 0.1;

/// What computes, and what may stop it.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub kernels: Kernels,
    pub watch: &'a Watch,
}

impl Run<'_> {
    /// Lines of a job: enough jobs for all threads, not more than the cache holds for what reads a line once more, but so
    /// many that weights are not fetched for few pixels. Results do not depend on it.
    pub fn lines_per_job(self, shape: Shape, weights: usize) -> usize {
        let shares = shape.lines().div_ceil(4 * rayon::current_num_threads());
        shares.min(CACHE.max(weights) / shape.line()).max(1)
    }
    /// Calls `work` with image, row and pixels of each line of `maps`, from the first pixel's channel `first` on.
    pub fn each_line(self, maps: &mut Maps, first: usize, work: impl Fn(usize, usize, &mut [f32]) + Sync) {
        let (shape, jobs) = (maps.shape, self.lines_per_job(maps.shape, 0));
        maps.data[..shape.len()].par_chunks_mut(jobs * shape.line()).enumerate().for_each(|(job, lines)| {
            for (i, line) in lines.chunks_exact_mut(shape.line()).enumerate() {
                if let Some((image, row)) = shape.place(job * jobs + i)
                    && self.watch.wanted()
                {
                    work(image, row, inside(shape, line, first));
                }
            }
        });
    }
}

/// Puts slices, `[sample, channel, y, x]`, into the first channels of `dst`.
pub(super) fn fill(run: Run, inputs: ArrayView4<f32>, dst: &mut Maps) {
    let step = dst.shape.step();
    run.each_line(dst, 0, |image, row, to| {
        for (channel, line) in inputs.slice(s![image, .., row, ..]).outer_iter().enumerate() {
            line.iter().zip(to[channel..].iter_mut().step_by(step)).for_each(|(value, to)| *to = *value);
        }
        // Where other images were before.
        to.chunks_mut(step).for_each(|pixel| pixel[inputs.dim().1..].fill(0.0));
    });
}

/// The pixels of a line without its border, from a channel of the first one on.
fn inside(shape: Shape, line: &mut [f32], first: usize) -> &mut [f32] {
    &mut line[shape.step() + first..shape.line() - shape.step()]
}

/// A convolution of 3 x 3.
#[derive(Clone, Copy)]
struct Convolution<'a> {
    run: Run<'a>,
    src: &'a Maps,
    weights: &'a Packed<'a>,
    finish: Finish<'a>,
}

impl Convolution<'_> {
    /// A set of output channels of a row; `step` is from one output pixel to the next.
    fn row(self, group: usize, [image, row]: [usize; 2], to: &mut [f32], step: usize) {
        let (inputs, wide) = (self.weights.layout.inputs, self.weights.layout.wide());
        let row = Row {
            input: &self.src.data,
            taps: &self.src.shape.neighbours(image, row),
            channels: inputs,
            step_in: self.src.shape.step(),
            weights: self.weights.group(group),
            wide,
            step_out: step,
            cols: self.src.shape.cols,
        };
        self.run.kernels.row(&row, self.finish.from(group * wide), &mut to[group * wide..]);
    }
    /// Jobs of `lines` lines into the first channels of `dst`. `then` gets the item of `with` for a job and each of its lines, as
    /// long as they are in the cache.
    fn jobs<T: Send>(
        self,
        dst: &mut Maps,
        lines: usize,
        with: impl IndexedParallelIterator<Item = T>,
        then: impl Fn(&mut T, usize, &[f32]) + Sync,
    ) {
        let shape = dst.shape;
        let jobs = dst.data[..shape.len()].par_chunks_mut(lines * shape.line()).enumerate().zip(with);
        jobs.for_each(|((job, block), mut with)| {
            let places: Vec<_> = (0..block.len() / shape.line())
                .filter_map(|i| shape.place(job * lines + i).map(|(image, row)| (i, [image, row])))
                .collect();
            // All lines of the job before the next weights.
            for group in 0..self.weights.layout.groups() {
                for &(i, place) in &places {
                    if !self.run.watch.wanted() {
                        return;
                    }
                    let to = inside(shape, &mut block[i * shape.line()..][..shape.line()], 0);
                    self.row(group, place, to, shape.step());
                }
            }
            for (i, _) in places {
                then(&mut with, i, inside(shape, &mut block[i * shape.line()..][..shape.line()], 0));
            }
        });
    }
}

/// Convolution of 3 x 3 into the first channels of `dst`.
pub(super) fn conv(run: Run, src: &Maps, weights: &Packed, finish: Finish, dst: &mut Maps) {
    let lines = run.lines_per_job(dst.shape, weights.layout.len());
    let nothing = rayon::iter::repeat_n((), dst.shape.lines().div_ceil(lines));
    Convolution { run, src, weights, finish }.jobs(dst, lines, nothing, |(), _, _| {});
}

/// Convolution of 3 x 3, and sum and sum of squares of each line and channel.
pub(super) fn conv_with_moments(run: Run, src: &Maps, weights: &Packed, dst: &mut Maps, moments: &mut [f64]) {
    let (shape, len) = (dst.shape, 2 * dst.shape.channels);
    let lines = run.lines_per_job(shape, weights.layout.len());
    let moments = moments[..shape.lines() * len].par_chunks_mut(lines * len);
    let convolution = Convolution { run, src, weights, finish: Finish::Store };
    convolution.jobs(dst, lines, moments, |moments, i, line| {
        let line = Line { data: line, step: shape.step() };
        widest(Moments { line, cols: shape.cols, sums: &mut moments[i * len..][..len] });
    });
}

/// Convolution of 3 x 3 and, of the result, the last layer: `[image][row][col]` without borders. What lies between is not kept.
pub(super) fn conv_and_output(
    run: Run,
    src: &Maps,
    weights: &Packed,
    finish: Finish,
    output: &Output,
    out: &mut [f32],
) {
    let shape = src.shape.with_channels(weights.layout.outputs);
    let lines = run.lines_per_job(shape, 0);
    let convolution = Convolution { run, src, weights, finish };
    out.par_chunks_mut(lines * shape.cols).enumerate().for_each(|(job, out)| {
        let mut scratch = vec![0.0; shape.cols * shape.step()];
        for (i, to) in out.chunks_exact_mut(shape.cols).enumerate() {
            if !run.watch.wanted() {
                return;
            }
            let place = [(job * lines + i) / shape.rows, (job * lines + i) % shape.rows];
            for group in 0..weights.layout.groups() {
                convolution.row(group, place, &mut scratch, shape.step());
            }
            let line = Line { data: &scratch, step: shape.step() };
            widest(Dot { line, weights: &output.weights, bias: output.bias, to });
        }
    });
}

/// Totals of what each line found for `len` sums, in the order of lines.
pub(super) fn total(shape: Shape, len: usize, sums: &[f64]) -> Vec<f64> {
    let mut totals = vec![0.0; len];
    for (line, sums) in sums.chunks_exact(len).take(shape.lines()).enumerate() {
        if shape.place(line).is_some() {
            totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
    }
    totals
}

/// Normalisation of a batch as a factor and an addend for each stored channel, and what it was made of.
#[derive(Default)]
pub(super) struct Affine {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub mean: Vec<f32>,
    /// One over the standard deviation.
    pub inverse: Vec<f32>,
}

impl Affine {
    /// Without normalisation: a bias.
    pub fn bias(conv: &Conv, parameters: &[f32]) -> Affine {
        let stored = conv.outputs.stored();
        let shift = spread(conv.outputs, &parameters[conv.shift..]);
        Affine { scale: vec![1.0; stored], shift, mean: vec![0.0; stored], inverse: vec![1.0; stored] }
    }
    /// Of moments and of factors and addends of the parameters.
    fn of(conv: &Conv, gain: usize, parameters: &[f32], mean: Vec<f32>, inverse: Vec<f32>) -> Affine {
        let gains = spread(conv.outputs, &parameters[gain..]);
        let scale: Vec<f32> = gains.iter().zip(&inverse).map(|(gain, inverse)| gain * inverse).collect();
        let mut shift = spread(conv.outputs, &parameters[conv.shift..]);
        shift.iter_mut().zip(mean.iter().zip(&scale)).for_each(|(shift, (mean, scale))| *shift -= mean * scale);
        Affine { scale, shift, mean, inverse }
    }
    /// Of the moments of a batch, which the running `statistics` follow.
    pub fn of_batch(conv: &Conv, parameters: &[f32], shape: Shape, moments: &[f64], statistics: &mut [f32]) -> Affine {
        let Some(gain) = conv.scale else { return Affine::bias(conv, parameters) };
        let stored = conv.outputs.stored();
        let totals = total(shape, 2 * stored, moments);
        let count = (shape.images * shape.rows * shape.cols) as f64;
        let mean: Vec<f64> = totals[..stored].iter().map(|sum| sum / count).collect();
        let variance = |(sum, mean): (&f64, &f64)| {
            let variance = sum / count - mean * mean;
            // Rounding may make it negative; NaN stays.
            if variance < 0.0 { 0.0 } else { variance }
        };
        let variance: Vec<f64> = totals[stored..].iter().zip(&mean).map(variance).collect();
        let unbiased = count / (count - 1.0).max(1.0);
        for i in 0..conv.outputs.count {
            let slot = conv.outputs.slot(i);
            for (place, value) in [(i, mean[slot]), (conv.outputs.count + i, variance[slot] * unbiased)] {
                let running = &mut statistics[conv.running + place];
                *running = (1.0 - MOMENTUM) * *running + MOMENTUM * value as f32;
            }
        }
        let inverse = variance.iter().map(|variance| (1.0 / (variance + EPSILON).sqrt()) as f32).collect();
        Affine::of(conv, gain, parameters, mean.iter().map(|mean| *mean as f32).collect(), inverse)
    }
    /// Of the running statistics.
    pub fn fixed(conv: &Conv, parameters: &[f32], statistics: &[f32]) -> Affine {
        let Some(gain) = conv.scale else { return Affine::bias(conv, parameters) };
        let mean = spread(conv.outputs, &statistics[conv.running..]);
        let variance = spread(conv.outputs, &statistics[conv.running + conv.outputs.count..]);
        let inverse = variance.iter().map(|variance| (1.0 / (f64::from(*variance) + EPSILON).sqrt()) as f32).collect();
        Affine::of(conv, gain, parameters, mean, inverse)
    }
}

/// Normalisation and ReLU into the channels of `dst` from `first` on.
pub(super) fn activate(run: Run, from: &Maps, affine: &Affine, dst: &mut Maps, first: usize) {
    let to_step = dst.shape.step();
    run.each_line(dst, first, |image, row, to| {
        let from = Line { data: from.row(image, row), step: from.shape.step() };
        widest(Activate { from, scale: &affine.scale, shift: &affine.shift, to, to_step });
    });
}

/// Maximum of 2 x 2 pixels of the first channels of `src`, as many as `dst` has.
pub(super) fn pool(run: Run, src: &Maps, dst: &mut Maps) {
    let (channels, to_step) = (dst.shape.channels, dst.shape.step());
    run.each_line(dst, 0, |image, row, to| {
        let line = |row| Line { data: src.row(image, row), step: src.shape.step() };
        widest(Pool { upper: line(2 * row), lower: line(2 * row + 1), to, to_step, channels });
    });
}

/// Transposed convolution of 2 x 2 into the channels of `dst` from `first` on.
pub(super) fn up(run: Run, src: &Maps, weights: &Packed, bias: &[f32], dst: &mut Maps, first: usize) {
    let (shape, wide) = (src.shape, weights.layout.wide());
    let step = dst.shape.step();
    run.each_line(dst, first, |image, row, to| {
        for group in 0..weights.layout.groups() {
            for right in 0..2 {
                let row = Row {
                    input: &src.data,
                    taps: &[shape.at(image, row / 2, 0)],
                    channels: weights.layout.inputs,
                    step_in: shape.step(),
                    weights: weights.tap(group, row % 2 * 2 + right),
                    wide,
                    step_out: 2 * step,
                    cols: shape.cols,
                };
                let to = &mut to[right * step + group * wide..];
                run.kernels.row(&row, Finish::Bias(bias).from(group * wide), to);
            }
        }
    });
}

/// The last layer: a weight for each channel, and a bias.
pub(super) struct Output {
    pub weights: Vec<f32>,
    pub bias: f32,
}

impl Output {
    pub fn new(plan: &Plan, parameters: &[f32]) -> Output {
        let channels = plan.encoder[0][0].outputs;
        let weights = spread(channels, &parameters[plan.output_weight..]);
        Output { weights, bias: parameters[plan.output_bias] }
    }
}

/// What the last layer makes of `src`: `[image][row][col]` without borders.
pub(super) fn output(run: Run, src: &Maps, output: &Output, out: &mut [f32]) {
    let shape = src.shape;
    out.par_chunks_mut(shape.cols).enumerate().with_min_len(8).for_each(|(line, to)| {
        let line = Line { data: src.row(line / shape.rows, line % shape.rows), step: shape.step() };
        if run.watch.wanted() {
            widest(Dot { line, weights: &output.weights, bias: output.bias, to });
        }
    });
}
