//! The arithmetic of the network in tensor operations, the same for training and for use.

use crate::{Network, Piece};
use burn_tensor::Tensor;
use burn_tensor::activation::relu;
use burn_tensor::backend::Backend;
use burn_tensor::module::{conv_transpose2d, conv2d, max_pool2d};
use burn_tensor::ops::{ConvOptions, ConvTransposeOptions};

const EPSILON: f64 = 1e-5;

/// One pass through the network.
pub(crate) struct Pass<'a, B: Backend> {
    network: &'a Network,
    /// Tensors in the order of [`Network::tensors`]: the trained ones, and the running ones unless `seen` takes them.
    trained: std::vec::IntoIter<Tensor<B, 1>>,
    running: Option<std::vec::IntoIter<Tensor<B, 1>>>,
    /// Mean and unbiased variance of the batch at each normalisation, in the order of the running ones.
    seen: Vec<Tensor<B, 1>>,
}

impl<'a, B: Backend> Pass<'a, B> {
    /// Normalises by the batch's own statistics.
    pub fn training(network: &'a Network, trained: Vec<Tensor<B, 1>>) -> Self {
        Pass { network, trained: trained.into_iter(), running: None, seen: Vec::new() }
    }
    /// Normalises by the running statistics.
    pub fn fixed(network: &'a Network, trained: Vec<Tensor<B, 1>>, running: Vec<Tensor<B, 1>>) -> Self {
        Pass { network, trained: trained.into_iter(), running: Some(running.into_iter()), seen: Vec::new() }
    }

    /// `[sample, channel, y, x]` to `[sample, y, x]`, and the statistics of the batch.
    pub fn run(mut self, x: Tensor<B, 4>) -> (Tensor<B, 3>, Vec<Tensor<B, 1>>) {
        let depth = self.network.depth;
        let (mut x, mut left) = (x, Vec::with_capacity(depth));
        for level in 0..=depth {
            if level > 0 {
                left.push(x.clone());
                x = max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false);
            }
            x = self.pair(x, self.network.base_width << level);
        }
        for level in (0..depth).rev() {
            let width = self.network.base_width << level;
            let kernel = self.kernel([2 * width, width, 2, 2]);
            let bias = Some(self.vector());
            let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
            let below = conv_transpose2d(x, kernel, bias, options);
            x = match left.pop() {
                Some(left) => Tensor::cat(vec![left, below], 1),
                None => below, // one is pushed for each level
            };
            x = self.pair(x, width);
        }
        let kernel = self.kernel([1, self.network.base_width, 1, 1]);
        let bias = Some(self.vector());
        let out = conv2d(x, kernel, bias, ConvOptions::new([1, 1], [0, 0], [1, 1], 1));
        let [samples, _, rows, cols] = out.dims();
        (out.reshape([samples, rows, cols]), self.seen)
    }
    fn pair(&mut self, x: Tensor<B, 4>, width: usize) -> Tensor<B, 4> {
        let x = self.convolution(x, width);
        self.convolution(x, width)
    }
    fn convolution(&mut self, x: Tensor<B, 4>, width: usize) -> Tensor<B, 4> {
        let same = || ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let kernel = self.kernel([width, x.dims()[1], 3, 3]);
        if !self.network.normalised {
            return relu(conv2d(x, kernel, Some(self.vector()), same()));
        }
        let (weight, bias) = (self.vector(), self.vector());
        let wide = |vector: Tensor<B, 1>| vector.reshape([1, width, 1, 1]);
        relu(if let Some(running) = &mut self.running {
            let (mean, variance) = (next(running), next(running));
            let scale = weight / (variance + EPSILON).sqrt();
            let shift = bias - mean * scale.clone();
            conv2d(x, kernel * scale.reshape([width, 1, 1, 1]), Some(shift), same())
        } else {
            let y = conv2d(x, kernel, None, same());
            let [samples, _, rows, cols] = y.dims();
            let count = (samples * rows * cols) as f64;
            let mean = over_pixels(y.clone());
            let centred = y - mean.clone();
            let variance = over_pixels(centred.clone() * centred.clone());
            self.seen.push(mean.reshape([width]));
            self.seen.push(variance.clone().reshape([width]) * (count / (count - 1.0).max(1.0)));
            let scale = wide(weight) / (variance + EPSILON).sqrt();
            centred * scale + wide(bias)
        })
    }
    fn vector(&mut self) -> Tensor<B, 1> {
        next(&mut self.trained)
    }
    fn kernel(&mut self, shape: [usize; 4]) -> Tensor<B, 4> {
        self.vector().reshape(shape)
    }
}

fn next<B: Backend>(tensors: &mut std::vec::IntoIter<Tensor<B, 1>>) -> Tensor<B, 1> {
    tensors.next().expect("as many tensors as the network names")
}

/// Mean of each channel. Axis by axis: it is the mean of means of as many, sums stay short, and the first has much to do at once.
fn over_pixels<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    x.mean_dim(3).mean_dim(2).mean_dim(0)
}

/// The trained tensors, or the others, cut out of the vector that holds all of them.
pub(crate) fn cut<B: Backend>(tensors: &[Piece], trained: bool, all: &Tensor<B, 1>) -> Vec<Tensor<B, 1>> {
    let of_kind = tensors.iter().filter(|piece| piece.trained == trained);
    of_kind.map(|piece| all.clone().narrow(0, piece.offset, piece.len)).collect()
}
