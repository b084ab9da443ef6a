//! A layer of training with its numbers: forwards with packed weights, backwards into the gradient of the parameters. Must not
//! know in which order layers come.

use super::super::Batch;
use super::backward::{self, Part, partial_len};
use super::forward::{self, Affine, Output, Run};
use super::kernels::Finish;
use super::maps::{Maps, Shape};
use super::packed::{self, Layout, spread};
use super::plan::{Conv, Plan, Up};
use crate::memory::zeros;
use rayon::prelude::*;

/// Buffers that are no images, used by one layer after the other.
pub(super) struct Scratch {
    /// Output, then its gradient, `[image][row][col]`.
    output: Vec<f32>,
    /// Weights of a layer.
    packed: Vec<f32>,
    /// Gradients of the weights of a layer.
    partial: Vec<f32>,
    /// Sums of lines.
    sums: Vec<f64>,
    /// Of the parameters, in their order.
    pub gradient: Vec<f32>,
    /// Running statistics after the step.
    pub statistics: Vec<f32>,
}

/// Lengths of the buffers: output, packed, partial and sums.
fn lengths(plan: &Plan, full: Shape) -> [usize; 4] {
    let [mut packed, mut partial, mut sums] = [0; 3];
    let mut layer = |layout: Layout, rows: Shape, channels: usize| {
        packed = packed.max(layout.len());
        partial = partial.max(partial_len(layout, rows));
        sums = sums.max(2 * channels * rows.lines());
    };
    for level in 0..=plan.depth() {
        let shape = plan.shape(full, level, 1);
        for conv in [plan.encoder.get(level), plan.decoder.get(level)].into_iter().flatten().flatten() {
            layer(Layout::forward(conv), shape, plan.width(level));
        }
        if let Some(up) = plan.ups.get(level) {
            layer(Layout::up(up), shape.below(1), 0);
        }
    }
    [full.images * full.rows * full.cols, packed, partial, sums]
}

/// Memory of the buffers, bytes.
pub(super) fn scratch_bytes(plan: &Plan, full: Shape) -> u64 {
    let [output, packed, partial, sums] = lengths(plan, full);
    4 * (output + packed + partial + plan.lengths[0] + plan.lengths[1]) as u64 + 8 * sums as u64
}

impl Scratch {
    pub fn new(plan: &Plan, full: Shape) -> Scratch {
        let [output, packed, partial, sums] = lengths(plan, full);
        Scratch {
            output: zeros(output),
            packed: zeros(packed),
            partial: zeros(partial),
            sums: zeros(sums),
            gradient: zeros(plan.lengths[0]),
            statistics: zeros(plan.lengths[1]),
        }
    }
    #[cfg(test)]
    pub fn bytes(&self) -> u64 {
        let floats = [&self.output, &self.packed, &self.partial, &self.gradient, &self.statistics];
        floats.iter().map(|buffer| 4 * buffer.len() as u64).sum::<u64>() + 8 * self.sums.len() as u64
    }
}

/// What the forward pass keeps of a convolution.
pub(super) struct Unit {
    /// What the convolution gave; on the way back, the gradient of it.
    pub y: Maps,
    pub affine: Affine,
}

/// One pass through the network.
pub(super) struct Pass<'a> {
    pub run: Run<'a>,
    pub plan: &'a Plan,
    pub parameters: &'a [f32],
    pub scratch: &'a mut Scratch,
}

impl Pass<'_> {
    /// Convolution, normalisation of the batch and ReLU, into the channels of `dst` from the first on.
    pub fn conv(&mut self, conv: &Conv, src: &Maps, unit: &mut Unit, dst: &mut Maps) {
        let (scratch, parameters) = (&mut *self.scratch, self.parameters);
        let weights = packed::pack_conv(conv, parameters, None, &mut scratch.packed);
        let shape = unit.y.shape;
        forward::conv_with_moments(self.run, src, &weights, &mut unit.y, &mut scratch.sums);
        unit.affine = Affine::of_batch(conv, parameters, shape, &scratch.sums, &mut scratch.statistics);
        forward::activate(self.run, &unit.y, &unit.affine, dst, 0);
    }
    /// From the gradient of what [`Pass::conv`] gave, that of its weights.
    pub fn conv_back(&mut self, conv: &Conv, src: &Maps, unit: &mut Unit, gradient: Part) {
        let Scratch { sums, partial, gradient: parameters, .. } = &mut *self.scratch;
        let has_scale = conv.scale.is_some();
        let found = backward::activate(self.run, &mut unit.y, &unit.affine, has_scale, gradient, sums);
        let (shifts, scales) = found.split_at(conv.outputs.stored());
        for i in 0..conv.outputs.count {
            parameters[conv.shift + i] = shifts[conv.outputs.slot(i)] as f32;
            if let Some(scale) = conv.scale {
                parameters[scale + i] = scales[conv.outputs.slot(i)] as f32;
            }
        }
        backward::conv_weights(self.run, Layout::forward(conv), src, &unit.y, partial);
        packed::unpack_conv(conv, partial, parameters);
    }
    /// After [`Pass::conv_back`], the gradient of what went in.
    pub fn conv_input_back(&mut self, conv: &Conv, unit: &Unit, dst: &mut Maps) {
        let weights = packed::pack_conv_back(conv, self.parameters, &mut self.scratch.packed);
        forward::conv(self.run, &unit.y, &weights, Finish::Store, dst);
    }
    /// Transposed convolution into the second half of the channels of `dst`.
    pub fn up(&mut self, up: &Up, src: &Maps, dst: &mut Maps) {
        let bias = spread(up.outputs, &self.parameters[up.bias..]);
        let weights = packed::pack_up(up, self.parameters, &mut self.scratch.packed);
        forward::up(self.run, src, &weights, &bias, dst, up.outputs.stored());
    }
    /// From the gradient of what [`Pass::up`] gave, those of its weights and of what went in.
    pub fn up_back(&mut self, up: &Up, src: &Maps, gradient: &Maps, dst: &mut Maps) {
        let Scratch { sums, partial, gradient: parameters, packed, .. } = &mut *self.scratch;
        let gradient = Part { maps: gradient, first: up.outputs.stored() };
        let found = backward::channel_sums(self.run, gradient, up.outputs.stored(), sums);
        for i in 0..up.outputs.count {
            parameters[up.bias + i] = found[up.outputs.slot(i)] as f32;
        }
        backward::up_weights(self.run, Layout::up(up), src, gradient, partial);
        packed::unpack_up(up, partial, parameters);
        let weights = packed::pack_up_back(up, self.parameters, packed);
        backward::up(self.run, gradient, &weights, dst);
    }
    /// The last layer, and its way back: into `back` the gradient of what went in. Returns the mean squared error.
    pub fn output(&mut self, src: &Maps, batch: &Batch, back: &mut Maps) -> f64 {
        let (plan, output) = (self.plan, Output::new(self.plan, self.parameters));
        let Scratch { sums, output: pixels, gradient, .. } = &mut *self.scratch;
        forward::output(self.run, src, &output, pixels);
        let targets = batch.targets.as_standard_layout();
        let (loss, bias) = loss(pixels, targets.as_slice().expect("standard layout"), src.shape.cols);
        gradient[plan.output_bias] = bias as f32;
        let found = backward::output(self.run, src, &output, pixels, back, sums);
        let channels = plan.encoder[0][0].outputs;
        for i in 0..channels.count {
            gradient[plan.output_weight + i] = found[channels.slot(i)] as f32;
        }
        loss
    }
}

/// Mean squared error of pixels, which become the gradient of it, and the sum of that.
fn loss(pixels: &mut [f32], targets: &[f32], cols: usize) -> (f64, f64) {
    let count = pixels.len() as f64;
    let factor = (2.0 / count) as f32;
    let line = |(pixels, targets): (&mut [f32], &[f32])| {
        let mut sums = [0.0; 2];
        for (pixel, target) in pixels.iter_mut().zip(targets) {
            let difference = *pixel - target;
            *pixel = difference * factor;
            sums[0] += f64::from(difference) * f64::from(difference);
            sums[1] += f64::from(*pixel);
        }
        sums
    };
    let lines = pixels.par_chunks_mut(cols).zip(targets.par_chunks(cols)).with_min_len(8).map(line);
    let lines: Vec<[f64; 2]> = lines.collect();
    let sum = |i: usize| lines.iter().map(|line| line[i]).sum::<f64>();
    (sum(0) / count, sum(1))
}
