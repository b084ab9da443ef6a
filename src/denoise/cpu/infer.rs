//! The network forwards with fixed statistics, which keeps no more than the way up needs. Must not know training.

use super::forward::{self, Affine, Output, Run, fill};
use super::kernels::Finish;
use super::maps::{Maps, Shape};
use super::packed::{self, Layout, Packed, spread};
use super::plan::{Conv, Plan, Up};
use crate::memory::zeros;
use ndarray::ArrayView4;

/// A layer: packed weights that hold the factor of the normalisation, and what is added.
struct Layer {
    layout: Layout,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Layer {
    fn of_conv(conv: &Conv, parameters: &[f32], statistics: &[f32]) -> Layer {
        let affine = Affine::fixed(conv, parameters, statistics);
        let layout = Layout::forward(conv);
        let mut weights = zeros(layout.len());
        packed::pack_conv(conv, parameters, Some(&affine.scale), &mut weights);
        Layer { layout, weights, bias: affine.shift }
    }
    fn of_up(up: &Up, parameters: &[f32]) -> Layer {
        let layout = Layout::up(up);
        let mut weights = zeros(layout.len());
        packed::pack_up(up, parameters, &mut weights);
        Layer { layout, weights, bias: spread(up.outputs, &parameters[up.bias..]) }
    }
    fn packed(&self) -> Packed<'_> {
        Packed { layout: self.layout, data: &self.weights }
    }
    fn finish(&self) -> Finish<'_> {
        Finish::Ramp(&self.bias)
    }
}

/// The weights of all layers.
pub(super) struct Weights {
    encoder: Vec<[Layer; 2]>,
    decoder: Vec<[Layer; 2]>,
    ups: Vec<Layer>,
    output: Output,
}

impl Weights {
    pub fn new(plan: &Plan, parameters: &[f32], statistics: &[f32]) -> Weights {
        let pair = |convs: &[Conv; 2]| [0, 1].map(|i| Layer::of_conv(&convs[i], parameters, statistics));
        Weights {
            encoder: plan.encoder.iter().map(pair).collect(),
            decoder: plan.decoder.iter().map(pair).collect(),
            ups: plan.ups.iter().map(|up| Layer::of_up(up, parameters)).collect(),
            output: Output::new(plan, parameters),
        }
    }
}

/// Buffers for one image.
pub(super) struct Work {
    full: Shape,
    /// What a level begins with; the end of a level of the decoder too.
    begin: Maps,
    /// Between two convolutions.
    middle: Maps,
    /// `[from the left, from below]` of each level but the lowest.
    joined: Vec<Maps>,
    /// `[row][col]`.
    pub output: Vec<f32>,
}

/// Shapes of [`Work::begin`] and of [`Work::middle`] in the order in which they come.
fn begins(plan: &Plan, full: Shape) -> Vec<Shape> {
    let (depth, shape) = (plan.depth(), |level| plan.shape(full, level, 1));
    let mut out = vec![plan.input_shape(full)];
    out.extend((0..depth).map(|level| shape(level).below(1)));
    out.extend((1..=depth).map(shape));
    out
}

/// The largest of shapes.
fn largest(shapes: impl IntoIterator<Item = Shape>) -> Shape {
    shapes.into_iter().max_by_key(|shape| shape.len()).expect("there is one")
}

/// The shapes of the buffers of [`Work`], in their order.
fn shapes(plan: &Plan, full: Shape) -> (Shape, Shape, Vec<Shape>) {
    let middle = largest((0..=plan.depth()).map(|level| plan.shape(full, level, 1)));
    (largest(begins(plan, full)), middle, (0..plan.depth()).map(|level| plan.shape(full, level, 2)).collect())
}

/// Memory that inference of an image takes beside weights, input and output, bytes.
pub(super) fn bytes(plan: &Plan, full: Shape) -> u64 {
    let (begin, middle, joined) = shapes(plan, full);
    let output = 4 * (full.rows * full.cols) as u64;
    begin.bytes() + middle.bytes() + joined.iter().map(|shape| shape.bytes()).sum::<u64>() + output
}

impl Work {
    pub fn new(plan: &Plan, full: Shape) -> Work {
        let (begin, middle, joined) = shapes(plan, full);
        Work {
            full,
            begin: Maps::new(begin),
            middle: Maps::new(middle),
            joined: joined.into_iter().map(Maps::new).collect(),
            output: zeros(full.rows * full.cols),
        }
    }
    /// Whether the buffers have room for images of this size.
    pub fn fits(&self, plan: &Plan, full: Shape) -> bool {
        let (begin, middle, joined) = shapes(plan, full);
        let rooms = [(&self.begin, begin), (&self.middle, middle)].into_iter().chain(self.joined.iter().zip(joined));
        rooms.into_iter().all(|(maps, shape)| shape.len() <= maps.data.len())
    }
    /// For images of a size that fits.
    pub fn resize(&mut self, plan: &Plan, full: Shape) {
        self.full = full;
        self.output.resize(full.rows * full.cols, 0.0);
        for (level, joined) in self.joined.iter_mut().enumerate() {
            joined.reshape(plan.shape(full, level, 2));
        }
    }
    #[cfg(test)]
    pub fn bytes(&self) -> u64 {
        let maps = [&self.begin, &self.middle].into_iter().chain(&self.joined);
        4 * (maps.map(|maps| maps.data.len()).sum::<usize>() + self.output.len()) as u64
    }

    /// Into `output` what the network makes of one image.
    pub fn run(&mut self, run: Run, plan: &Plan, weights: &Weights, input: ArrayView4<f32>) {
        let (full, depth) = (self.full, plan.depth());
        let Work { begin, middle, joined, output, .. } = self;
        let shape = |level| plan.shape(full, level, 1);
        begin.reshape(plan.input_shape(full));
        fill(run, input, begin);
        let conv = |layer: &Layer, src: &Maps, dst: &mut Maps| {
            forward::conv(run, src, &layer.packed(), layer.finish(), dst);
        };
        for (level, layers) in weights.encoder.iter().enumerate() {
            middle.reshape(shape(level));
            conv(&layers[0], begin, middle);
            if level == depth {
                begin.reshape(shape(level));
                conv(&layers[1], middle, begin);
            } else {
                conv(&layers[1], middle, &mut joined[level]);
                begin.reshape(shape(level).below(1));
                forward::pool(run, &joined[level], begin);
            }
        }
        for level in (0..depth).rev() {
            let (layers, up) = (&weights.decoder[level], &weights.ups[level]);
            forward::up(run, begin, &up.packed(), &up.bias, &mut joined[level], plan.width(level));
            middle.reshape(shape(level));
            conv(&layers[0], &joined[level], middle);
            if level > 0 {
                begin.reshape(shape(level));
                conv(&layers[1], middle, begin);
            } else {
                let (packed, finish) = (layers[1].packed(), layers[1].finish());
                forward::conv_and_output(run, middle, &packed, finish, &weights.output, output);
            }
        }
    }
}
