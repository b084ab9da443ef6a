//! The network once more, slowly, in f64 and as it is written down: what engines are compared with.

use std::collections::HashMap;
use wagiri::denoise::{Architecture, Norm, Role};

/// `[channel][y][x]` of one image.
pub type Image = Vec<Vec<Vec<f64>>>;

/// Numbers of each tensor by name.
pub struct Reference {
    architecture: Architecture,
    tensors: HashMap<String, Vec<f64>>,
    /// Mean and biased variance of each normalisation of the last batch.
    pub seen: HashMap<String, [Vec<f64>; 2]>,
}

fn image(channels: usize, rows: usize, cols: usize) -> Image {
    vec![vec![vec![0.0; cols]; rows]; channels]
}

impl Reference {
    pub fn new(architecture: &Architecture, parameters: &[f64], statistics: &[f64]) -> Self {
        let numbers = |role| if role == Role::Trained { parameters } else { statistics };
        let tensors = architecture.tensors();
        let tensors = tensors.iter().map(|t| (t.name.clone(), numbers(t.role)[t.offset..t.offset + t.len()].to_vec()));
        Reference { architecture: *architecture, tensors: tensors.collect(), seen: HashMap::new() }
    }
    fn get(&self, name: &str) -> &[f64] {
        &self.tensors[name]
    }
    fn conv(&self, name: &str, images: &[Image]) -> Vec<Image> {
        let weights = self.get(&format!("{name}.weight"));
        let bias = self.tensors.get(&format!("{name}.bias"));
        let inputs = images[0].len();
        let outputs = weights.len() / inputs / 9;
        let (rows, cols) = (images[0][0].len(), images[0][0][0].len());
        let one = |from: &Image| {
            let mut to = image(outputs, rows, cols);
            for (o, to) in to.iter_mut().enumerate() {
                for (y, line) in to.iter_mut().enumerate() {
                    for (x, to) in line.iter_mut().enumerate() {
                        *to = bias.map_or(0.0, |bias| bias[o]);
                        for (i, from) in from.iter().enumerate() {
                            for tap in 0..9 {
                                let (v, u) = ((y + tap / 3).wrapping_sub(1), (x + tap % 3).wrapping_sub(1));
                                if let Some(value) = from.get(v).and_then(|line| line.get(u)) {
                                    *to += value * weights[(o * inputs + i) * 9 + tap];
                                }
                            }
                        }
                    }
                }
            }
            to
        };
        images.iter().map(one).collect()
    }
    fn norm(&mut self, name: &str, images: &mut [Image], train: bool) {
        let number = |suffix: &str, c: usize| self.tensors[&format!("{name}.{suffix}")][c];
        let channels = images[0].len();
        let mut seen = [vec![0.0; channels], vec![0.0; channels]];
        for c in 0..channels {
            let values = || images.iter().flat_map(|image| image[c].iter().flatten());
            let count = values().count() as f64;
            let mean = values().sum::<f64>() / count;
            let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
            (seen[0][c], seen[1][c]) = (mean, variance);
            let (mean, variance) =
                if train { (mean, variance) } else { (number("running_mean", c), number("running_var", c)) };
            let (gain, shift) = (number("weight", c), number("bias", c));
            for value in images.iter_mut().flat_map(|image| image[c].iter_mut().flatten()) {
                *value = (*value - mean) / (variance + 1e-5).sqrt() * gain + shift;
            }
        }
        self.seen.insert(name.into(), seen);
    }
    fn pair(&mut self, place: &str, mut images: Vec<Image>, train: bool) -> Vec<Image> {
        for i in [1, 2] {
            images = self.conv(&format!("{place}.conv{i}"), &images);
            if self.architecture.norm == Norm::Batch {
                self.norm(&format!("{place}.norm{i}"), &mut images, train);
            }
            images.iter_mut().flatten().flatten().flatten().for_each(|v| *v = v.max(0.0));
        }
        images
    }
    fn pool(images: &[Image]) -> Vec<Image> {
        let two = |lines: &[Vec<f64>], x: usize| {
            lines.iter().flat_map(|l| &l[2 * x..2 * x + 2]).fold(f64::MIN, |a, b| a.max(*b))
        };
        let channel = |channel: &Vec<Vec<f64>>| {
            channel.chunks(2).map(|lines| (0..lines[0].len() / 2).map(|x| two(lines, x)).collect()).collect()
        };
        images.iter().map(|image| image.iter().map(channel).collect()).collect()
    }
    fn up(&self, place: &str, images: &[Image]) -> Vec<Image> {
        let (weights, bias) = (self.get(&format!("{place}.up.weight")), self.get(&format!("{place}.up.bias")));
        let outputs = bias.len();
        let one = |from: &Image| {
            let (rows, cols) = (2 * from[0].len(), 2 * from[0][0].len());
            let mut to = image(outputs, rows, cols);
            for (o, to) in to.iter_mut().enumerate() {
                for (y, line) in to.iter_mut().enumerate() {
                    for (x, to) in line.iter_mut().enumerate() {
                        let weight = |i: usize| weights[(i * outputs + o) * 4 + y % 2 * 2 + x % 2];
                        *to = bias[o] + from.iter().enumerate().map(|(i, c)| c[y / 2][x / 2] * weight(i)).sum::<f64>();
                    }
                }
            }
            to
        };
        images.iter().map(one).collect()
    }
    /// `[sample][y][x]`; `train`: normalised by the batch.
    pub fn output(&mut self, images: &[Image], train: bool) -> Vec<Vec<Vec<f64>>> {
        let (mut images, mut left, depth) = (images.to_vec(), Vec::new(), self.architecture.depth);
        for level in 0..=depth {
            images = self.pair(&format!("encoder.{level}"), images, train);
            if level < depth {
                left.push(images.clone());
                images = Self::pool(&images);
            }
        }
        for level in (0..depth).rev() {
            let place = format!("decoder.{level}");
            let below = self.up(&place, &images);
            let joined = left[level].iter().zip(below).map(|(left, below)| [left.clone(), below].concat()).collect();
            images = self.pair(&place, joined, train);
        }
        let (weights, bias) = (self.get("output.weight"), self.get("output.bias")[0]);
        let pixel = |image: &Image, y: usize, x: usize| {
            bias + image.iter().zip(weights).map(|(channel, weight)| channel[y][x] * weight).sum::<f64>()
        };
        let line = |image: &Image, y: usize| (0..image[0][0].len()).map(|x| pixel(image, y, x)).collect();
        images.iter().map(|image| (0..image[0].len()).map(|y| line(image, y)).collect()).collect()
    }
}
