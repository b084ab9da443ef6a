//! One step of training: the whole network forwards and backwards. Must not know how weights are changed.

use super::super::Batch;
use super::backward::Part;
use super::forward::{Affine, Run, fill};
use super::maps::{Maps, Shape};
use super::pass::{Pass, Scratch, Unit, scratch_bytes};
use super::plan::{Conv, Plan};

/// What the two convolutions of a level keep.
struct Pair {
    units: [Unit; 2],
    /// Between the two.
    middle: Maps,
}

impl Pair {
    fn forward(&mut self, pass: &mut Pass, convs: &[Conv; 2], src: &Maps, dst: &mut Maps) {
        let Pair { units: [first, second], middle } = self;
        pass.conv(&convs[0], src, first, middle);
        pass.conv(&convs[1], middle, second, dst);
    }
    /// Back to the first convolution. `end` is the gradient of what came out; without it, it is in `back`. That takes the gradient
    /// of what is between the two in any case.
    fn backward(&mut self, pass: &mut Pass, convs: &[Conv; 2], src: &Maps, end: Option<&Maps>, back: &mut Maps) {
        let Pair { units: [first, second], middle } = self;
        pass.conv_back(&convs[1], middle, second, Part { maps: end.unwrap_or(back), first: 0 });
        pass.conv_input_back(&convs[1], second, back);
        pass.conv_back(&convs[0], src, first, Part { maps: back, first: 0 });
    }
    /// After [`Pair::backward`]: the gradient of what went in.
    fn input_back(&self, pass: &mut Pass, convs: &[Conv; 2], dst: &mut Maps) {
        pass.conv_input_back(&convs[0], &self.units[0], dst);
    }
}

/// A level but the lowest.
struct Level {
    encoder: Pair,
    decoder: Pair,
    /// `[from the left, from below]`, and the gradient.
    joined: Maps,
    joined_back: Maps,
    /// What goes down, and the gradient.
    pooled: Maps,
    pooled_back: Maps,
    /// What the decoder ends with.
    end: Maps,
    /// Gradient of the end, and of what is between two convolutions.
    back: Maps,
}

/// All buffers of a step, kept from step to step.
pub(super) struct Work {
    full: Shape,
    input: Maps,
    levels: Vec<Level>,
    /// The lowest level: its convolutions, what they end with, and the gradient as above.
    lowest: Pair,
    bottom: Maps,
    back: Maps,
    pub scratch: Scratch,
}

/// Calls `image` with the shape of each stack of images of a step.
fn each_shape(plan: &Plan, full: Shape, mut image: impl FnMut(Shape)) {
    image(plan.input_shape(full));
    for level in 0..plan.depth() {
        let (one, two) = (plan.shape(full, level, 1), plan.shape(full, level, 2));
        // Three of each pair, end and gradient; two joined; two that go down.
        (0..8).for_each(|_| image(one));
        (0..2).for_each(|_| image(two));
        (0..2).for_each(|_| image(one.below(1)));
    }
    (0..5).for_each(|_| image(plan.shape(full, plan.depth(), 1)));
}

/// Memory that a step takes beside batch and state, bytes.
pub(super) fn bytes(plan: &Plan, full: Shape) -> u64 {
    let mut bytes = scratch_bytes(plan, full);
    each_shape(plan, full, |shape| bytes += shape.bytes());
    bytes
}

impl Work {
    pub fn new(plan: &Plan, full: Shape) -> Work {
        let maps = |level, sets| Maps::new(plan.shape(full, level, sets));
        let unit = |level| Unit { y: maps(level, 1), affine: Affine::default() };
        let pair = |level| Pair { units: [unit(level), unit(level)], middle: maps(level, 1) };
        let pooled = |level| Maps::new(plan.shape(full, level, 1).below(1));
        let level = |level| Level {
            encoder: pair(level),
            decoder: pair(level),
            joined: maps(level, 2),
            joined_back: maps(level, 2),
            pooled: pooled(level),
            pooled_back: pooled(level),
            end: maps(level, 1),
            back: maps(level, 1),
        };
        Work {
            full,
            input: Maps::new(plan.input_shape(full)),
            levels: (0..plan.depth()).map(level).collect(),
            lowest: pair(plan.depth()),
            bottom: maps(plan.depth(), 1),
            back: maps(plan.depth(), 1),
            scratch: Scratch::new(plan, full),
        }
    }
    /// Whether the buffers are of this size.
    pub fn fits(&self, full: Shape) -> bool {
        self.full == full
    }

    #[cfg(test)]
    pub fn bytes(&self) -> u64 {
        let of_pair = |pair: &Pair| [&pair.units[0].y, &pair.units[1].y, &pair.middle].map(|maps| maps.data.len());
        let of_level = |level: &Level| {
            let Level { encoder, decoder, joined, joined_back, pooled, pooled_back, end, back } = level;
            let images = [joined, joined_back, pooled, pooled_back, end, back].map(|maps| maps.data.len());
            [of_pair(encoder), of_pair(decoder)].concat().into_iter().chain(images).sum::<usize>()
        };
        let rest = [&self.input, &self.bottom, &self.back].map(|maps| maps.data.len());
        let floats = self.levels.iter().map(of_level).chain(of_pair(&self.lowest)).chain(rest).sum::<usize>();
        4 * floats as u64 + self.scratch.bytes()
    }

    /// Mean squared error of the batch, and into `scratch` the gradient and the running statistics after the step. If nobody
    /// wants it any more, what is there means nothing.
    pub fn run(&mut self, run: Run, plan: &Plan, batch: &Batch, parameters: &[f32], statistics: &[f32]) -> f64 {
        self.scratch.statistics.copy_from_slice(statistics);
        fill(run, batch.inputs.view(), &mut self.input);
        let Work { input, levels, lowest, bottom, back, scratch, .. } = self;
        let mut pass = Pass { run, plan, parameters, scratch };
        forward(&mut pass, input, levels, lowest, bottom);
        let Level { end, back: end_back, .. } = &mut levels[0];
        let loss = pass.output(end, batch, end_back);
        backward(&mut pass, input, levels, lowest, bottom, back);
        loss
    }
}

fn forward(pass: &mut Pass, input: &Maps, levels: &mut [Level], lowest: &mut Pair, bottom: &mut Maps) {
    let plan = pass.plan;
    let mut src = input;
    for (level, convs) in levels.iter_mut().zip(&plan.encoder) {
        level.encoder.forward(pass, convs, src, &mut level.joined);
        super::forward::pool(pass.run, &level.joined, &mut level.pooled);
        src = &level.pooled;
    }
    lowest.forward(pass, &plan.encoder[plan.depth()], src, bottom);
    let mut below = &*bottom;
    for (i, level) in levels.iter_mut().enumerate().rev() {
        pass.up(&plan.ups[i], below, &mut level.joined);
        level.decoder.forward(pass, &plan.decoder[i], &level.joined, &mut level.end);
        below = &level.end;
    }
}

fn backward(
    pass: &mut Pass,
    input: &Maps,
    levels: &mut [Level],
    lowest: &mut Pair,
    bottom: &Maps,
    lowest_back: &mut Maps,
) {
    let (plan, depth) = (pass.plan, pass.plan.depth());
    for i in 0..depth {
        let (upper, lower) = levels.split_at_mut(i + 1);
        let level = &mut upper[i];
        let convs = &plan.decoder[i];
        level.decoder.backward(pass, convs, &level.joined, None, &mut level.back);
        level.decoder.input_back(pass, convs, &mut level.joined_back);
        let (src, to) = match lower.first_mut() {
            Some(below) => (&below.end, &mut below.back),
            None => (bottom, &mut *lowest_back),
        };
        pass.up_back(&plan.ups[i], src, &level.joined_back, to);
    }
    let deepest = &mut levels[depth - 1];
    lowest.backward(pass, &plan.encoder[depth], &deepest.pooled, None, lowest_back);
    lowest.input_back(pass, &plan.encoder[depth], &mut deepest.pooled_back);
    for i in (0..depth).rev() {
        let (upper, lower) = levels.split_at_mut(i);
        let (convs, level) = (&plan.encoder[i], &mut lower[0]);
        super::backward::pool(pass.run, &level.joined, &level.pooled, &level.pooled_back, &mut level.joined_back);
        let src = upper.last().map_or(input, |above| &above.pooled);
        level.encoder.backward(pass, convs, src, Some(&level.joined_back), &mut level.back);
        if let Some(above) = upper.last_mut() {
            level.encoder.input_back(pass, convs, &mut above.pooled_back);
        }
    }
}
