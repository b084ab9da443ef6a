//! The trained network of a stage: its file, what it needs, and its use on slices of all subsets.

use crate::chain::Chain;
use crate::chain::n2i::read_model;
use crate::chain::params::Params;
use crate::chain::stage::Run;
use crate::denoise::{Architecture, Denoiser, EngineKind, Model, open_engine};
use crate::error::{Error, Result};
use ndarray::{ArrayView3, ArrayViewMut3, Axis, Zip};
use std::path::Path;

/// Memory for the network on a processor where whole slices would take more: tiles then.
const MOST_BYTES: u64 = 1 << 30;
/// Nanoseconds of a processor for a multiplication and addition.
const COST_PER_MAC: f64 = 0.03;

pub(in crate::chain) struct Network {
    pub model: Model,
    device: EngineKind,
}

impl Network {
    /// The file that `model` names.
    pub fn open(params: &Params) -> Result<Network> {
        let id = params.info().id;
        let path = params.text("model").unwrap_or_default();
        if path.is_empty() {
            let message =
                "model: expected the file of a trained network, as wagiri n2i train or wagiri denoise writes it";
            return Err(Error::invalid(id, message));
        }
        let device = params.text("device").map_or(Ok(EngineKind::Auto), str::parse)?;
        Network::read(Path::new(path), device).map_err(|e| e.at(id))
    }
    /// The file.
    pub fn read(path: &Path, device: EngineKind) -> Result<Network> {
        Ok(Network { model: read_model(path)?, device })
    }
    /// Slices above, and as many below, that it looks at.
    pub fn reach(&self) -> usize {
        self.model.architecture.reach_slices()
    }
    /// About what an engine takes for a pixel, bytes.
    fn pixel_bytes(&self) -> u64 {
        let Architecture { channels, base_width, .. } = self.model.architecture;
        4 * (channels + 8 * base_width) as u64
    }
    /// Memory that the engine may take for slices of this size.
    fn engine_bytes(&self, [height, width]: [usize; 2]) -> u64 {
        let per_pixel = self.pixel_bytes();
        let multiple = self.model.architecture.multiple_px();
        let side = |size: usize| size.next_multiple_of(multiple) as u64;
        // The smallest tile is nearly all overlap.
        let tile = (2 * self.model.architecture.reach_px() + 2 * multiple) as u64;
        let least = (per_pixel * tile * tile).max(64 << 20);
        (per_pixel * side(height) * side(width)).clamp(least, MOST_BYTES.max(least))
    }
    /// Memory that it takes beside slices, bytes.
    pub fn bytes(&self, dims: [usize; 2]) -> u64 {
        let engine = self.engine_bytes(dims);
        // Input and output of a tile; an engine may need less for a pixel, and then takes larger tiles.
        let tile = ((dims[0] * dims[1]) as u64).min(4 * engine / self.pixel_bytes());
        let inputs = 4 * tile * (self.model.architecture.channels + 2) as u64;
        let weights = 8 * 4 * self.model.parameters.len() as u64;
        engine + inputs + weights
    }
    /// Processor time for a slice of this size, nanoseconds.
    pub fn cost(&self, [height, width]: [usize; 2]) -> f64 {
        // Each level has a quarter of the pixels of the one above.
        let share = |name: &str| {
            let level: u32 = name.split('.').nth(1).map_or(0, |n| n.parse().unwrap_or(0));
            1.0 / (1u64 << (2 * level)) as f64
        };
        let of_tensor = |tensor: crate::denoise::TensorInfo| {
            // A transposed convolution uses a quarter of its weights for each pixel.
            let used = if tensor.name.contains(".up.") { 0.25 } else { 1.0 };
            let convolves = tensor.shape.len() == 4;
            if convolves { used * tensor.len() as f64 * share(&tensor.name) } else { 0.0 }
        };
        let macs: f64 = self.model.architecture.tensors().into_iter().map(of_tensor).sum();
        COST_PER_MAC * macs * (height * width * self.model.subsets) as f64
    }
    /// What is different from the scan that the network was trained with.
    pub fn remarks(&self, pixel_um: f64, params: Option<&Params>) -> Vec<String> {
        let mut remarks = Vec::new();
        let about = |name: &str| self.model.about.get(name).map(String::as_str);
        if let Some(was) = about("pixel_um").and_then(|text| text.parse::<f64>().ok())
            && (was / pixel_um - 1.0).abs() > 0.01
        {
            remarks.push(format!("the network was trained with pixels of {was} um, here they are {pixel_um} um"));
        }
        let registry = crate::chain::Registry::built_in();
        let trained = about("chain").and_then(|text| Chain::parse(&registry, text).ok());
        let filter = trained.as_ref().and_then(|chain| {
            let recon = chain.params().find(|p| p.info().params.iter().any(|info| info.name == "filter"))?;
            recon.text("filter").map(str::to_owned)
        });
        if let (Some(was), Some(is)) = (filter, params.and_then(|params| params.text("filter")))
            && was != is
        {
            remarks.push(format!("the network was trained with filter={was}, here it is {is}: the noise differs"));
        }
        remarks
    }
    /// Denoises slices, see [`Denoiser::apply`]. What is exactly 0 in all subsets, outside of the circle that was reconstructed,
    /// stays so.
    pub fn apply(
        &self,
        subsets: &[ArrayView3<f32>],
        mut out: ArrayViewMut3<f32>,
        remarks: &mut Vec<String>,
        run: &mut Run<'_, '_>,
    ) -> Result<()> {
        let (_, height, width) = out.dim();
        let memory = self.engine_bytes([height, width]);
        let (mut engine, told) = open_engine(self.device, &self.model.architecture, run.context.pool(), memory)?;
        for remark in told {
            if !remarks.contains(&remark) {
                remarks.push(remark);
            }
        }
        let mut denoiser = Denoiser::new(&self.model, engine.as_mut())?;
        denoiser.apply(subsets, out.view_mut(), &mut |fraction| run.tick(fraction))?;
        let reach = self.reach();
        for (z, mut slice) in out.outer_iter_mut().enumerate() {
            let here: Vec<_> = subsets.iter().map(|subset| subset.index_axis_move(Axis(0), z + reach)).collect();
            let Some((first, others)) = here.split_first() else { continue };
            Zip::indexed(&mut slice).and(first).for_each(|at, out, first| {
                if *first == 0.0 && others.iter().all(|other| other[at] == 0.0) {
                    *out = 0.0;
                }
            });
        }
        Ok(())
    }
}
