//! Layers backwards: gradients of what went in and of weights, on all threads. Must not know the network, only one layer.
//!
//! Sums over pixels are made for lines, or for bands of lines that do not depend on the number of threads, and added up in order.

use super::forward::{Affine, Output, Run, total};
use super::kernels::{Correlation, Finish, Row};
use super::lines::{Back, BackSums, DotBack, Line, PoolBack, Sums};
use super::maps::{Maps, Shape};
use super::packed::{Layout, Packed};
use crate::simd::widest;
use rayon::prelude::*;

/// Jobs that the gradient of the weights of a layer is cut into, about.
const JOBS: usize = 32;
/// Pixels of lines that are worked on together, about: what the nearest cache holds.
const PIXELS: usize = 128;

/// Channels of images from `first` on.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub maps: &'a Maps,
    pub first: usize,
}

impl<'a> Part<'a> {
    fn line(self, image: usize, row: usize) -> Line<'a> {
        Line { data: &self.maps.row(image, row)[self.first..], step: self.maps.shape.step() }
    }
}

/// Fills `sums` for each line, `len` numbers each, and returns the totals.
fn totals(
    run: Run,
    shape: Shape,
    len: usize,
    sums: &mut [f64],
    work: impl Fn(usize, usize, &mut [f64]) + Sync,
) -> Vec<f64> {
    let sums = &mut sums[..shape.lines() * len];
    sums.par_chunks_mut(len).enumerate().with_min_len(8).for_each(|(line, sums)| {
        if let Some((image, row)) = shape.place(line)
            && run.watch.wanted()
        {
            work(image, row, sums);
        }
    });
    total(shape, len, sums)
}

/// Backwards through activation and normalisation: `y`, what the convolution gave, becomes the gradient of it. Returns the
/// gradients of addends and factors of the stored channels, in that order.
pub(super) fn activate(
    run: Run,
    y: &mut Maps,
    affine: &Affine,
    is_normalised: bool,
    gradient: Part,
    sums: &mut [f64],
) -> Vec<f64> {
    let (shape, step, channels) = (y.shape, y.shape.step(), y.shape.channels);
    let Affine { scale, shift, mean, inverse } = affine;
    let totals = totals(run, shape, 2 * channels, sums, |image, row, sums| {
        let line = Line { data: y.row(image, row), step };
        widest(BackSums { line, gradient: gradient.line(image, row), scale, shift, mean, inverse, sums });
    });
    let (mut slope, mut offset) = (vec![0.0; channels], vec![0.0; channels]);
    if is_normalised {
        // Mean and spread depend on the values: scale (passed - mean of passed - normalised * mean of (passed * normalised)).
        let count = (shape.images * shape.rows * shape.cols) as f64;
        for i in 0..channels {
            let (plain, product) = (totals[i] / count, totals[channels + i] / count);
            let [scale, mean, inverse] = [scale[i], mean[i], inverse[i]].map(f64::from);
            slope[i] = (-scale * inverse * product) as f32;
            offset[i] = (scale * (mean * inverse * product - plain)) as f32;
        }
    }
    let (slope, offset) = (&slope, &offset);
    run.each_line(y, 0, |image, row, line| {
        widest(Back { line, step, gradient: gradient.line(image, row), scale, shift, slope, offset });
    });
    totals
}

/// The gradient of the weights of a layer, packed, in the beginning of `partial`. `places` says for an image, a row of `rows` and
/// a place of the kernel where input and gradient begin.
fn weights(
    run: Run,
    layout: Layout,
    rows: Shape,
    [input, gradient]: [&Maps; 2],
    [input_steps, gradient_steps]: [[usize; 2]; 2],
    places: impl Fn(usize, usize, usize) -> [usize; 2] + Sync,
    partial: &mut [f32],
) {
    let (bands, wide) = (bands(layout, rows), layout.wide());
    let (len, group_len) = (layout.len(), layout.group_len());
    let partial = &mut partial[..bands * len];
    partial.par_chunks_mut(group_len).enumerate().for_each(|(job, sums)| {
        let (band, group) = (job / layout.groups(), job % layout.groups());
        sums.fill(0.0);
        let all = rows.images * rows.rows;
        let (mut from, end) = (all * band / bands, all * (band + 1) / bands);
        while from < end && run.watch.wanted() {
            let (image, row) = (from / rows.rows, from % rows.rows);
            let count = PIXELS.div_ceil(rows.cols).min(rows.rows - row).min(end - from);
            for (tap, sums) in sums.chunks_exact_mut(layout.inputs * wide).enumerate() {
                let [input_at, gradient_at] = places(image, row, tap);
                let of = Correlation {
                    input: &input.data[input_at..],
                    channels: layout.inputs,
                    input_steps,
                    gradient: &gradient.data[gradient_at + group * wide..],
                    wide,
                    gradient_steps,
                    rows: count,
                    cols: rows.cols,
                };
                run.kernels.correlate(&of, sums);
            }
            from += count;
        }
    });
    let (first, others) = partial.split_at_mut(len);
    let others = &*others;
    first.par_chunks_mut(4096).enumerate().for_each(|(chunk, sums)| {
        for other in others.chunks_exact(len) {
            sums.iter_mut().zip(&other[chunk * 4096..]).for_each(|(sum, value)| *sum += value);
        }
    });
}

/// Bands of lines over which the gradient of a layer is summed separately; sets of channels are separate anyway.
fn bands(layout: Layout, rows: Shape) -> usize {
    (JOBS / layout.groups()).clamp(1, rows.images * rows.rows)
}

/// Floats that [`conv_weights`] and [`up_weights`] need for what their jobs find; `rows` are the images whose lines are summed.
pub(super) fn partial_len(layout: Layout, rows: Shape) -> usize {
    bands(layout, rows) * layout.len()
}

/// The gradient of the weights of a convolution of 3 x 3, packed, in the beginning of `partial`.
pub(super) fn conv_weights(run: Run, layout: Layout, src: &Maps, gradient: &Maps, partial: &mut [f32]) {
    let (from, to) = (src.shape, gradient.shape);
    let steps = [from, to].map(|shape| [shape.step(), shape.line()]);
    let places = |image, row, tap: usize| [from.around(image, row, 0, tap / 3, tap % 3), to.at(image, row, 0)];
    weights(run, layout, to, [src, gradient], steps, places, partial);
}

/// The gradient of the weights of a transposed convolution, packed, in the beginning of `partial`.
pub(super) fn up_weights(run: Run, layout: Layout, src: &Maps, gradient: Part, partial: &mut [f32]) {
    let (from, to) = (src.shape, gradient.maps.shape);
    let steps = [[from.step(), from.line()], [2 * to.step(), 2 * to.line()]];
    let places =
        |image, row, tap: usize| [from.at(image, row, 0), to.at(image, 2 * row + tap / 2, tap % 2) + gradient.first];
    weights(run, layout, from, [src, gradient.maps], steps, places, partial);
}

/// Sums of channels from `first` on, `channels` of them.
pub(super) fn channel_sums(run: Run, of: Part, channels: usize, sums: &mut [f64]) -> Vec<f64> {
    totals(run, of.maps.shape, channels, sums, |image, row, sums| widest(Sums { line: of.line(image, row), sums }))
}

/// The gradient of what a transposed convolution came from.
pub(super) fn up(run: Run, gradient: Part, weights: &Packed, dst: &mut Maps) {
    let (from, to) = (gradient.maps.shape, dst.shape);
    let wide = weights.layout.wide();
    run.each_line(dst, 0, |image, row, out| {
        let place = |tap: usize| from.at(image, 2 * row + tap / 2, tap % 2) + gradient.first;
        for group in 0..weights.layout.groups() {
            let row = Row {
                input: &gradient.maps.data,
                taps: &std::array::from_fn::<_, 4, _>(place),
                channels: weights.layout.inputs,
                step_in: 2 * from.step(),
                weights: weights.group(group),
                wide,
                step_out: to.step(),
                cols: to.cols,
            };
            run.kernels.row(&row, Finish::Store, &mut out[group * wide..]);
        }
    });
}

/// Adds the gradient of the maxima of 2 x 2 pixels to that of the first channels of `to`; `src` and `maxima` are what went in and
/// came out.
pub(super) fn pool(run: Run, src: &Maps, maxima: &Maps, gradient: &Maps, to: &mut Maps) {
    let to_step = to.shape.step();
    run.each_line(to, 0, |image, row, to| {
        let of = |maps| Part { maps, first: 0 };
        widest(PoolBack {
            upper: of(src).line(image, row & !1),
            lower: of(src).line(image, row | 1),
            maxima: of(maxima).line(image, row / 2),
            gradient: of(gradient).line(image, row / 2),
            channels: maxima.shape.channels,
            is_lower: row % 2 == 1,
            to,
            to_step,
        });
    });
}

/// Backwards through the last layer: into `to` the gradient of `src`. Returns the gradient of its weights.
pub(super) fn output(
    run: Run,
    src: &Maps,
    output: &Output,
    gradient: &[f32],
    to: &mut Maps,
    sums: &mut [f64],
) -> Vec<f64> {
    let (shape, len, to_step) = (src.shape, output.weights.len(), to.shape.step());
    let jobs = run.lines_per_job(to.shape, 0);
    let sums = &mut sums[..shape.lines() * len];
    let lines = to.data[..to.shape.len()].par_chunks_mut(to.shape.line()).zip(sums.par_chunks_mut(len));
    lines.enumerate().with_min_len(jobs).for_each(|(line, (to, sums))| {
        if let Some((image, row)) = shape.place(line)
            && run.watch.wanted()
        {
            let gradient = &gradient[(image * shape.rows + row) * shape.cols..][..shape.cols];
            let to = &mut to[to_step..];
            let line = Line { data: src.row(image, row), step: shape.step() };
            widest(DotBack { line, weights: &output.weights, gradient, to, to_step, sums });
        }
    });
    total(shape, len, sums)
}
