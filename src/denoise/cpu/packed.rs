//! Weights in the order in which the inner loops read them. Must not know images.

use super::plan::{Channels, Conv, Up};
use rayon::prelude::*;

/// Sizes of packed weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Places of the kernel.
    pub taps: usize,
    /// Stored channels.
    pub inputs: usize,
    pub outputs: usize,
}

impl Layout {
    /// Output channels that lie side by side: as many as the inner loops take.
    pub fn wide(self) -> usize {
        if self.outputs.is_multiple_of(32) { 32 } else { 16 }
    }
    /// Sets of output channels.
    pub fn groups(self) -> usize {
        self.outputs / self.wide()
    }
    /// Floats of a set, `[tap][input][output]`.
    pub fn group_len(self) -> usize {
        self.taps * self.inputs * self.wide()
    }
    /// Floats.
    pub fn len(self) -> usize {
        self.taps * self.inputs * self.outputs
    }
    pub fn at(self, output: usize, input: usize, tap: usize) -> usize {
        let wide = self.wide();
        ((output / wide * self.taps + tap) * self.inputs + input) * wide + output % wide
    }
    pub fn forward(conv: &Conv) -> Layout {
        Layout { taps: 9, inputs: conv.inputs.stored(), outputs: conv.outputs.stored() }
    }
    /// For the gradient of the input: outputs become inputs.
    pub fn backward(conv: &Conv) -> Layout {
        Layout { taps: 9, inputs: conv.outputs.stored(), outputs: conv.inputs.stored() }
    }
    pub fn up(up: &Up) -> Layout {
        Layout { taps: 4, inputs: up.inputs.stored(), outputs: up.outputs.stored() }
    }
    pub fn up_backward(up: &Up) -> Layout {
        Layout { taps: 4, inputs: up.outputs.stored(), outputs: up.inputs.stored() }
    }
}

/// Packed weights; channels that fill up have weights of 0.
pub(super) struct Packed<'a> {
    pub layout: Layout,
    pub data: &'a [f32],
}

impl<'a> Packed<'a> {
    /// The weights of a set of output channels.
    pub fn group(&self, group: usize) -> &'a [f32] {
        &self.data[group * self.layout.group_len()..][..self.layout.group_len()]
    }
    /// Those of one place of the kernel.
    pub fn tap(&self, group: usize, tap: usize) -> &'a [f32] {
        let len = self.layout.inputs * self.layout.wide();
        &self.group(group)[tap * len..][..len]
    }
}

/// Writes weights to the beginning of `to`. `value`: of output channel, input channel and place.
fn pack(
    layout: Layout,
    [outputs, inputs]: [Channels; 2],
    value: impl Fn(usize, usize, usize) -> f32 + Sync,
    to: &mut [f32],
) -> Packed<'_> {
    let (wide, from) = (layout.wide(), inputs.slots());
    let to = &mut to[..layout.len()];
    to.par_chunks_mut(layout.group_len()).enumerate().for_each(|(group, to)| {
        to.fill(0.0);
        for (o, slot) in outputs.slots().into_iter().enumerate().filter(|(_, slot)| slot / wide == group) {
            for (i, from) in from.iter().enumerate() {
                let at = from * wide + slot % wide;
                for tap in 0..layout.taps {
                    to[tap * layout.inputs * wide + at] = value(o, i, tap);
                }
            }
        }
    });
    Packed { layout, data: to }
}

/// `[out][in][9]` of the parameters, each output times its `scale`, if there are any.
pub(super) fn pack_conv<'a>(conv: &Conv, parameters: &[f32], scale: Option<&[f32]>, to: &'a mut [f32]) -> Packed<'a> {
    let (weights, inputs, slots) = (&parameters[conv.weight..], conv.inputs.count, conv.outputs.slots());
    let value = |o: usize, i: usize, tap: usize| {
        let weight = weights[(o * inputs + i) * 9 + tap];
        scale.map_or(weight, |scale| weight * scale[slots[o]])
    };
    pack(Layout::forward(conv), [conv.outputs, conv.inputs], value, to)
}

/// For the gradient of the input: mirrored, with outputs as inputs.
pub(super) fn pack_conv_back<'a>(conv: &Conv, parameters: &[f32], to: &'a mut [f32]) -> Packed<'a> {
    let (weights, inputs) = (&parameters[conv.weight..], conv.inputs.count);
    let value = |i: usize, o: usize, tap: usize| weights[(o * inputs + i) * 9 + 8 - tap];
    pack(Layout::backward(conv), [conv.inputs, conv.outputs], value, to)
}

/// `[in][out][4]` of the parameters.
pub(super) fn pack_up<'a>(up: &Up, parameters: &[f32], to: &'a mut [f32]) -> Packed<'a> {
    let (weights, outputs) = (&parameters[up.weight..], up.outputs.count);
    let value = |o: usize, i: usize, tap: usize| weights[(i * outputs + o) * 4 + tap];
    pack(Layout::up(up), [up.outputs, up.inputs], value, to)
}

/// For the gradient of the input.
pub(super) fn pack_up_back<'a>(up: &Up, parameters: &[f32], to: &'a mut [f32]) -> Packed<'a> {
    let (weights, outputs) = (&parameters[up.weight..], up.outputs.count);
    let value = |i: usize, o: usize, tap: usize| weights[(i * outputs + o) * 4 + tap];
    pack(Layout::up_backward(up), [up.inputs, up.outputs], value, to)
}

/// The gradient of a convolution's weights from packed into the parameters' order.
pub(super) fn unpack_conv(conv: &Conv, packed: &[f32], gradient: &mut [f32]) {
    let (layout, inputs) = (Layout::forward(conv), conv.inputs.count);
    let slots = conv.inputs.slots();
    let to = &mut gradient[conv.weight..][..conv.outputs.count * inputs * 9];
    to.par_chunks_mut(9 * inputs).enumerate().for_each(|(o, to)| {
        let output = conv.outputs.slot(o);
        for (to, input) in to.chunks_exact_mut(9).zip(&slots) {
            for (tap, to) in to.iter_mut().enumerate() {
                *to = packed[layout.at(output, *input, tap)];
            }
        }
    });
}

/// The same of a transposed convolution.
pub(super) fn unpack_up(up: &Up, packed: &[f32], gradient: &mut [f32]) {
    let (layout, outputs) = (Layout::up(up), up.outputs.count);
    let slots = up.outputs.slots();
    let to = &mut gradient[up.weight..][..up.inputs.count * outputs * 4];
    to.par_chunks_mut(4 * outputs).enumerate().for_each(|(i, to)| {
        let input = up.inputs.slot(i);
        for (to, output) in to.chunks_exact_mut(4).zip(&slots) {
            for (tap, to) in to.iter_mut().enumerate() {
                *to = packed[layout.at(*output, input, tap)];
            }
        }
    });
}

/// A number for each channel, in its slot; 0 for those that fill up.
pub(super) fn spread(channels: Channels, values: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; channels.stored()];
    (0..channels.count).for_each(|i| out[channels.slot(i)] = values[i]);
    out
}
