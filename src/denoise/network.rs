//! The network: a U-Net with slices as channels. Here is its shape, not its arithmetic.
//!
//! Level 0 has `base_width` channels, each level below twice as many at half the size. A level is two 3 x 3 convolutions, each
//! with normalisation and ReLU; maximum of 2 x 2 pixels on the way down, transposed 2 x 2 convolution on the way up, behind which
//! `[from the left, from below]` are joined; at last a 1 x 1 convolution. Outside of the image is 0.

use crate::error::{Error, Result};

/// What follows a convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Norm {
    /// Batch normalisation (Ioffe, Szegedy 2015, arXiv:1502.03167), momentum 0.1, epsilon 1e-5. In use its statistics are
    /// fixed, so that what comes out of a pixel does not depend on the tile around it.
    #[default]
    Batch,
    /// A bias.
    None,
}

impl Norm {
    /// `batch` or `none`.
    pub fn name(self) -> &'static str {
        match self {
            Norm::Batch => "batch",
            Norm::None => "none",
        }
    }
}

impl std::str::FromStr for Norm {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "batch" => Ok(Norm::Batch),
            "none" => Ok(Norm::None),
            _ => Err(Error::invalid("norm", "expected batch or none").with("norm", format!("'{text}'"))),
        }
    }
}

/// Shape of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// Slices that it sees, an odd number: the slice and as many below as above. 1 is plain 2D.
    pub channels: usize,
    /// Channels of the level with full size, a multiple of 8.
    pub base_width: usize,
    /// Levels below it.
    pub depth: usize,
    /// What follows its convolutions.
    pub norm: Norm,
}

/// What a tensor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Trained.
    Trained,
    /// A running statistic of a normalisation.
    Running,
}

/// One tensor of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Such as `encoder.0.conv1.weight`.
    pub name: String,
    /// Axes in PyTorch's order: out, in, y, x of a convolution; in, out, y, x of a transposed one.
    pub shape: Vec<usize>,
    /// In which of the two vectors of [`super::State`] it lies.
    pub role: Role,
    /// Where it begins there.
    pub offset: usize,
}

impl TensorInfo {
    /// How many numbers.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
    /// Never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Architecture {
    /// Trains on a processor: 484 thousand numbers.
    pub const SMALL: Architecture = Architecture { channels: 11, base_width: 16, depth: 3, norm: Norm::Batch };
    /// For graphics cards: 31 million numbers.
    pub const LARGE: Architecture = Architecture { channels: 11, base_width: 64, depth: 4, norm: Norm::Batch };

    /// Refuses what cannot be built.
    pub fn check(&self) -> Result<()> {
        let bad = |message: &str, name, value: usize| Err(Error::invalid("network", message).with(name, value));
        if self.channels.is_multiple_of(2) || self.channels > 63 {
            return bad("expected an odd number of slices, 1 to 63", "channels", self.channels);
        }
        if !self.base_width.is_multiple_of(8) || !(8..=256).contains(&self.base_width) {
            return bad("expected a base width that is a multiple of 8, 8 to 256", "base_width", self.base_width);
        }
        if !(1..=6).contains(&self.depth) {
            return bad("expected a depth of 1 to 6", "depth", self.depth);
        }
        Ok(())
    }
    /// Slices above the middle one, and as many below, that it looks at.
    pub fn reach_slices(&self) -> usize {
        self.channels / 2
    }
    /// Sizes of images must be multiples of this.
    pub fn multiple_px(&self) -> usize {
        1 << self.depth
    }
    /// What is further than this from a pixel cannot change what comes out there, in lines and in columns; a multiple of
    /// [`Self::multiple_px`]. Two convolutions reach 2 pixels of their level; there are two pairs in all levels but the
    /// lowest, and a pixel of the level below stands for a block of pixels, up to one less than its size away.
    pub fn reach_px(&self) -> usize {
        let convolutions = (0..self.depth).map(|level| 4usize << level).sum::<usize>() + (2 << self.depth);
        (convolutions + self.multiple_px() - 1).next_multiple_of(self.multiple_px())
    }
    /// Channels of a level; 0 has full size.
    pub fn width(&self, level: usize) -> usize {
        self.base_width << level
    }
    /// All tensors, in the order in which data meets them.
    pub fn tensors(&self) -> Vec<TensorInfo> {
        let (mut out, mut offsets) = (Vec::new(), [0, 0]);
        let mut add = |name: String, shape: &[usize], role: Role| {
            let offset = &mut offsets[usize::from(role == Role::Running)];
            let info = TensorInfo { name, shape: shape.to_vec(), role, offset: *offset };
            *offset += info.len();
            out.push(info);
        };
        let pair = |place: &str, channels: usize, width: usize, add: &mut dyn FnMut(String, &[usize], Role)| {
            for (index, channels) in [(1, channels), (2, width)] {
                add(format!("{place}.conv{index}.weight"), &[width, channels, 3, 3], Role::Trained);
                if self.norm == Norm::None {
                    add(format!("{place}.conv{index}.bias"), &[width], Role::Trained);
                    continue;
                }
                for (name, role) in [
                    ("weight", Role::Trained),
                    ("bias", Role::Trained),
                    ("running_mean", Role::Running),
                    ("running_var", Role::Running),
                ] {
                    add(format!("{place}.norm{index}.{name}"), &[width], role);
                }
            }
        };
        for level in 0..=self.depth {
            let channels = if level == 0 { self.channels } else { self.width(level - 1) };
            pair(&format!("encoder.{level}"), channels, self.width(level), &mut add);
        }
        for level in (0..self.depth).rev() {
            let (place, width) = (format!("decoder.{level}"), self.width(level));
            add(format!("{place}.up.weight"), &[2 * width, width, 2, 2], Role::Trained);
            add(format!("{place}.up.bias"), &[width], Role::Trained);
            pair(&place, 2 * width, width, &mut add);
        }
        add("output.weight".into(), &[1, self.base_width, 1, 1], Role::Trained);
        add("output.bias".into(), &[1], Role::Trained);
        out
    }
    /// How many numbers are trained, and how many are running statistics.
    pub fn lengths(&self) -> [usize; 2] {
        [Role::Trained, Role::Running]
            .map(|role| self.tensors().iter().filter(|t| t.role == role).map(TensorInfo::len).sum())
    }
    /// Random weights and the statistics before the first step. Weights and biases of convolutions are uniform within
    /// one over the square root of the inputs of an output, as PyTorch draws them.
    pub(super) fn initial(&self, seed: u64) -> (Vec<f32>, Vec<f32>) {
        let [trained, running] = self.lengths();
        let (mut parameters, mut statistics) = (vec![0.0; trained], vec![0.0; running]);
        let mut random = super::random::Random::new(seed);
        let mut bound = 0.0;
        for tensor in self.tensors() {
            let range = tensor.offset..tensor.offset + tensor.len();
            if tensor.role == Role::Running {
                statistics[range].fill(if tensor.name.ends_with("var") { 1.0 } else { 0.0 });
            } else if tensor.name.contains("norm") {
                parameters[range].fill(if tensor.name.ends_with("weight") { 1.0 } else { 0.0 });
            } else {
                if tensor.shape.len() == 4 {
                    // The bias of a convolution comes right behind its weights.
                    bound = 1.0 / ((tensor.len() / tensor.shape[0]) as f64).sqrt();
                }
                parameters[range].iter_mut().for_each(|v| *v = (bound * (2.0 * random.unit() - 1.0)) as f32);
            }
        }
        (parameters, statistics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_networks_in_the_literature() {
        // The classic U-Net with 64 to 1024 channels has 31.0 million weights.
        let [large, _] = Architecture::LARGE.lengths();
        assert!((31_000_000..31_100_000).contains(&large), "{large}");
        assert_eq!(Architecture::SMALL.lengths()[0], 483_889);
    }

    #[test]
    fn tensors_lie_without_gaps_and_have_names_of_their_own() {
        for norm in [Norm::Batch, Norm::None] {
            let architecture = Architecture { channels: 3, base_width: 8, depth: 2, norm };
            let tensors = architecture.tensors();
            let mut ends = [0, 0];
            for tensor in &tensors {
                let end = &mut ends[usize::from(tensor.role == Role::Running)];
                assert_eq!(tensor.offset, *end, "{}", tensor.name);
                *end += tensor.len();
                assert_eq!(tensors.iter().filter(|other| other.name == tensor.name).count(), 1);
            }
            assert_eq!(ends, architecture.lengths());
            assert_eq!(ends[1] == 0, norm == Norm::None);
        }
    }

    #[test]
    fn shapes_that_cannot_be_built_are_refused() {
        assert!(Architecture::SMALL.check().is_ok() && Architecture::LARGE.check().is_ok());
        let bad = |change: fn(&mut Architecture)| {
            let mut architecture = Architecture::SMALL;
            change(&mut architecture);
            architecture.check().is_err()
        };
        assert!(bad(|a| a.channels = 4) && bad(|a| a.channels = 0) && bad(|a| a.channels = 65));
        assert!(bad(|a| a.base_width = 12) && bad(|a| a.base_width = 0) && bad(|a| a.base_width = 512));
        assert!(bad(|a| a.depth = 0) && bad(|a| a.depth = 7));
    }
}
