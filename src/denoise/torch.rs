//! Weights of the same network under the names that PyTorch packages give it.

use super::tensors::Weights;
use super::{Architecture, Model, Norm, Role, Scaling};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fmt::Display;

/// How the tensors of a U-Net are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// As [`Architecture::tensors`] calls them.
    Wagiri,
    /// The U-Net of `lightning-bolts` (PyPI), any number of layers.
    Bolts,
    /// `inc.double_conv.0`, `down1.maxpool_conv.1...`, `up1.conv...`, `outc.conv`: the U-Net of milesial/Pytorch-UNet, with
    /// transposed convolutions (`bilinear=False`).
    Milesial,
}

impl Names {
    /// All of them.
    pub const ALL: [Names; 3] = [Names::Wagiri, Names::Bolts, Names::Milesial];

    /// `wagiri`, `bolts` or `milesial`.
    pub fn name(self) -> &'static str {
        match self {
            Names::Wagiri => "wagiri",
            Names::Bolts => "bolts",
            Names::Milesial => "milesial",
        }
    }
    /// What our tensor `ours` is called there, in a network of `depth` levels below the first.
    fn theirs(self, ours: &str, depth: usize) -> String {
        let parts: Vec<&str> = ours.split('.').collect();
        // The convolutions of a pair and what normalises them are numbered through, the ReLU included.
        let inner = |layer: &str, tensor: &str| {
            let index = match layer {
                "conv1" => 0,
                "norm1" => 1,
                "conv2" => 3,
                _ => 4,
            };
            format!("{index}.{tensor}")
        };
        let level = |text: &str| text.parse::<usize>().unwrap_or(0);
        match (self, &parts[..]) {
            (Names::Bolts, ["encoder", "0", layer, tensor]) => format!("layers.0.net.{}", inner(layer, tensor)),
            (Names::Bolts, ["encoder", at, layer, tensor]) => format!("layers.{at}.net.1.net.{}", inner(layer, tensor)),
            (Names::Bolts, ["decoder", at, "up", tensor]) => {
                format!("layers.{}.upsample.{tensor}", 2 * depth - level(at))
            }
            (Names::Bolts, ["decoder", at, layer, tensor]) => {
                format!("layers.{}.conv.net.{}", 2 * depth - level(at), inner(layer, tensor))
            }
            (Names::Bolts, ["output", tensor]) => format!("layers.{}.{tensor}", 2 * depth + 1),
            (Names::Milesial, ["encoder", "0", layer, tensor]) => format!("inc.double_conv.{}", inner(layer, tensor)),
            (Names::Milesial, ["encoder", at, layer, tensor]) => {
                format!("down{at}.maxpool_conv.1.double_conv.{}", inner(layer, tensor))
            }
            (Names::Milesial, ["decoder", at, "up", tensor]) => format!("up{}.up.{tensor}", depth - level(at)),
            (Names::Milesial, ["decoder", at, layer, tensor]) => {
                format!("up{}.conv.double_conv.{}", depth - level(at), inner(layer, tensor))
            }
            (Names::Milesial, ["output", tensor]) => format!("outc.conv.{tensor}"),
            _ => ours.to_owned(),
        }
    }
}

impl std::str::FromStr for Names {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let found = Names::ALL.into_iter().find(|names| names.name() == text);
        found.ok_or_else(|| {
            Error::invalid("names", "expected wagiri, bolts or milesial").with("names", format!("'{text}'"))
        })
    }
}

/// Deepest network that is looked for.
const MAX_DEPTH: usize = 6;

impl Model {
    /// A network that PyTorch trained, from safetensors of its `state_dict`. Which of the [`Names`] it has, and its shape, is seen
    /// from the tensors. A bias in front of a batch normalisation goes into its mean.
    ///
    /// `subsets` and `scaling`: what it was trained with. Errors: not such a network, damaged.
    pub fn from_torch(place: impl Display, bytes: &[u8], subsets: usize, scaling: Scaling) -> Result<Model> {
        let file = Weights::read(&place, bytes)?;
        let found = Names::ALL.into_iter().find_map(|names| Some((names, shape(&file, names)?)));
        let Some((names, architecture)) = found else {
            let message =
                "expected a 2-D U-Net with transposed convolutions under the names of wagiri, bolts or milesial";
            return Err(Error::format(place, message));
        };
        architecture.check().map_err(|e| e.at(&place))?;
        let [trained, running] = architecture.lengths();
        let (mut parameters, mut statistics) = (vec![0.0; trained], vec![0.0; running]);
        for tensor in architecture.tensors() {
            let into = if tensor.role == Role::Trained { &mut parameters } else { &mut statistics };
            let into = &mut into[tensor.offset..tensor.offset + tensor.len()];
            let ours = &tensor.name;
            file.floats(&names.theirs(ours, architecture.depth), &tensor.shape, into)?;
            // What a bias adds, the normalisation takes away again with the mean.
            let bias = ours.replace("norm", "conv").replace("running_mean", "bias");
            let bias = names.theirs(&bias, architecture.depth);
            if ours.ends_with("running_mean") && file.has(&bias) {
                let mut values = vec![0.0; tensor.len()];
                file.floats(&bias, &tensor.shape, &mut values)?;
                into.iter_mut().zip(&values).for_each(|(mean, bias)| *mean -= bias);
            }
        }
        Ok(Model { architecture, subsets, scaling, parameters, statistics, about: BTreeMap::new() })
    }
    /// Safetensors for PyTorch's `load_state_dict(..., strict=False)`; strict where the names are wagiri's. Counts of batches, which
    /// PyTorch keeps beside the statistics and does not need, are left out.
    pub fn to_torch(&self, names: Names) -> Result<Vec<u8>> {
        self.bytes_with(|ours| names.theirs(ours, self.architecture.depth))
    }
}

/// The shape of the network in `file`, if its tensors have these names.
fn shape(file: &Weights, names: Names) -> Option<Architecture> {
    // The last tensor's name tells the depth.
    let at = |depth: usize, ours: &str| file.shape(&names.theirs(ours, depth));
    let fits = |depth: &usize| {
        let up = at(*depth, "decoder.0.up.weight").is_some_and(|shape| shape.len() == 4);
        let deeper = at(*depth, &format!("encoder.{}.conv1.weight", depth + 1)).is_some();
        up && !deeper && at(*depth, &format!("encoder.{depth}.conv1.weight")).is_some()
    };
    let depth = (1..=MAX_DEPTH).rev().find(fits)?;
    let first = at(depth, "encoder.0.conv1.weight")?;
    let &[base_width, channels, 3, 3] = first.as_slice() else { return None };
    let norm = if at(depth, "encoder.0.norm1.running_mean").is_some() { Norm::Batch } else { Norm::None };
    Some(Architecture { channels, base_width, depth, norm })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denoise::{CpuEngine, Engine, State};
    use ndarray::{Array3, Array4};

    const UNSCALED: Scaling = Scaling { mean: 0.0, spread: 1.0 };

    fn file(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/tests/data/torch/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a file of the tests")
    }

    #[test]
    fn a_network_of_pytorch_gives_what_it_gives_there() {
        let model = Model::from_torch("bolts", &file("bolts.safetensors"), 4, UNSCALED).expect("a network");
        assert_eq!(model.architecture, Architecture { channels: 3, base_width: 8, depth: 2, norm: Norm::Batch });
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
        let mut engine = CpuEngine::new(&model.architecture, &pool, 1 << 30).expect("an engine");
        engine.load(&model.state()).expect("weights");
        let mut index = 0;
        let picture = Array4::from_shape_simple_fn((1, 3, 24, 32), || {
            index += 1;
            (f64::from(index - 1) * 0.37).sin() as f32
        });
        let mut out = Array3::zeros((1, 24, 32));
        engine.infer(picture.view(), out.view_mut(), &mut || Ok(())).expect("a picture");
        let expected: Vec<f32> =
            file("bolts.f32").chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let largest = expected.iter().fold(0f32, |max, v| max.max(v.abs()));
        let worst = out.iter().zip(&expected).fold(0f32, |max, (a, b)| max.max((a - b).abs()));
        assert!(largest > 0.1, "{largest}");
        // Sums of some hundred products in another order, seven layers deep.
        assert!(worst < 1e-5 * largest, "{worst} of {largest}");
    }

    #[test]
    fn networks_go_to_pytorch_and_back() {
        for (norm, depth) in [(Norm::Batch, 2), (Norm::None, 1), (Norm::Batch, 4)] {
            let architecture = Architecture { channels: 5, base_width: 8, depth, norm };
            let State { parameters, statistics, .. } = State::new(&architecture, 7);
            let about = BTreeMap::new();
            let model = Model { architecture, subsets: 3, scaling: UNSCALED, parameters, statistics, about };
            for names in Names::ALL {
                let bytes = model.to_torch(names).expect("bytes");
                assert!(
                    Model::from_torch("back", &bytes, 3, UNSCALED).expect("a network") == model,
                    "{names:?} {depth}"
                );
            }
        }
        let bolts = Model::from_torch("bolts", &file("bolts.safetensors"), 4, UNSCALED).expect("a network");
        let back = bolts.to_torch(Names::Bolts).expect("bytes");
        assert!(Model::from_torch("back", &back, 4, UNSCALED).expect("a network") == bolts);
    }

    #[test]
    fn other_networks_are_refused() {
        let bytes = file("bolts.safetensors");
        let refused = |bytes: &[u8]| Model::from_torch("net", bytes, 4, UNSCALED).expect_err("no network").to_string();
        assert!(refused(&bytes[..1000]).contains("damaged or cut off"));
        let name = b"layers.5.weight";
        let at = bytes.windows(name.len()).position(|w| w == name).expect("the last tensor");
        let mut other = bytes.clone();
        other[at..at + 6].copy_from_slice(b"levels");
        assert!(refused(&other).contains("layers.5.weight"));
        let name = b"layers.0.net.0.weight";
        let at = bytes.windows(name.len()).position(|w| w == name).expect("the first tensor");
        let mut other = bytes.clone();
        other[at..at + 6].copy_from_slice(b"levels");
        assert!(refused(&other).contains("expected a 2-D U-Net"));
    }
}
