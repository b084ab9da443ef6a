//! Where the numbers of each layer lie in a `State`, and how many channels it has. Must not know arithmetic.

use super::super::{Architecture, Norm, TensorInfo};
use super::maps::{BLOCK, Shape};

/// Channels of images, some of which are only there to fill registers and stay 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Channels {
    /// Those of the network.
    pub count: usize,
    /// Sets of them that lie side by side, each filled up.
    sets: usize,
    /// Each set is filled up to a multiple of this.
    block: usize,
}

impl Channels {
    /// Of slices. Gradients of weights are computed for at least 4 channels at a time.
    fn of_input(count: usize) -> Self {
        Channels { count, sets: 1, block: 4 }
    }
    fn of_layer(count: usize) -> Self {
        Channels { count, sets: 1, block: BLOCK }
    }
    fn joined(count: usize) -> Self {
        Channels { count: 2 * count, sets: 2, block: BLOCK }
    }
    /// With those that fill up.
    pub fn stored(self) -> usize {
        self.sets * (self.count / self.sets).next_multiple_of(self.block)
    }
    /// Where channel `i` of the network is.
    pub fn slot(self, i: usize) -> usize {
        let set = self.count / self.sets;
        i / set * set.next_multiple_of(self.block) + i % set
    }
    /// Of all of them.
    pub fn slots(self) -> Vec<usize> {
        (0..self.count).map(|i| self.slot(i)).collect()
    }
}

/// A convolution of 3 x 3 pixels with what follows. Numbers are places in the parameters, `running` in the statistics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conv {
    pub inputs: Channels,
    pub outputs: Channels,
    pub weight: usize,
    /// Factor and addend of the normalisation; without it only an addend.
    pub scale: Option<usize>,
    pub shift: usize,
    /// Mean; the variance comes behind it.
    pub running: usize,
}

/// A transposed convolution of 2 x 2 pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Up {
    pub inputs: Channels,
    pub outputs: Channels,
    pub weight: usize,
    pub bias: usize,
}

/// All layers.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub architecture: Architecture,
    /// From full size down, the lowest level too.
    pub encoder: Vec<[Conv; 2]>,
    /// From full size down, without the lowest level.
    pub decoder: Vec<[Conv; 2]>,
    /// From the level below each.
    pub ups: Vec<Up>,
    /// A weight for each channel of full size, and a bias.
    pub output_weight: usize,
    pub output_bias: usize,
    /// How many numbers are trained, and how many are running statistics.
    pub lengths: [usize; 2],
}

impl Plan {
    pub fn new(architecture: &Architecture) -> Plan {
        let tensors = architecture.tensors();
        let find = |name: &str| tensors.iter().find(|t| t.name == name).map(|t: &TensorInfo| t.offset);
        let get = |name: &str| find(name).expect("the network has its layers");
        let pair = |place: &str, inputs: Channels, width: usize| {
            [(1, inputs), (2, Channels::of_layer(width))].map(|(i, inputs)| {
                let outputs = Channels::of_layer(width);
                let weight = get(&format!("{place}.conv{i}.weight"));
                match architecture.norm {
                    Norm::None => {
                        let shift = get(&format!("{place}.conv{i}.bias"));
                        Conv { inputs, outputs, weight, scale: None, shift, running: 0 }
                    }
                    Norm::Batch => Conv {
                        inputs,
                        outputs,
                        weight,
                        scale: find(&format!("{place}.norm{i}.weight")),
                        shift: get(&format!("{place}.norm{i}.bias")),
                        running: get(&format!("{place}.norm{i}.running_mean")),
                    },
                }
            })
        };
        let (depth, width) = (architecture.depth, |level| architecture.width(level));
        let inputs = |level: usize| match level {
            0 => Channels::of_input(architecture.channels),
            _ => Channels::of_layer(width(level - 1)),
        };
        let up = |level: usize| Up {
            inputs: Channels::of_layer(width(level + 1)),
            outputs: Channels::of_layer(width(level)),
            weight: get(&format!("decoder.{level}.up.weight")),
            bias: get(&format!("decoder.{level}.up.bias")),
        };
        let decoder = |level| pair(&format!("decoder.{level}"), Channels::joined(width(level)), width(level));
        Plan {
            architecture: *architecture,
            encoder: (0..=depth).map(|l| pair(&format!("encoder.{l}"), inputs(l), width(l))).collect(),
            decoder: (0..depth).map(decoder).collect(),
            ups: (0..depth).map(up).collect(),
            output_weight: get("output.weight"),
            output_bias: get("output.bias"),
            lengths: architecture.lengths(),
        }
    }
    /// Levels below full size.
    pub fn depth(&self) -> usize {
        self.architecture.depth
    }
    /// Stored channels of a level.
    pub fn width(&self, level: usize) -> usize {
        self.encoder[level][0].outputs.stored()
    }
    /// Images of a level with `sets` times its channels.
    pub fn shape(&self, full: Shape, level: usize, sets: usize) -> Shape {
        full.below(level).with_channels(sets * self.width(level))
    }
    /// Images with the slices that the network sees.
    pub fn input_shape(&self, full: Shape) -> Shape {
        full.with_channels(self.encoder[0][0].inputs.stored())
    }
}
