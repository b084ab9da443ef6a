//! The built-in stages: one thin adapter per algorithm, by family.

mod aside;
mod denoise;
mod fbp;
mod inside;
mod looks;
mod n2i;
mod network;
mod normalise;
mod offset;
mod paste;
mod projection;
mod repair;
mod rings;
mod rows;
mod shape;
mod similar;
mod smooth;
mod stacked;
mod surfaces;
mod threshold;
mod whole;
mod window;

pub(super) use fbp::{FBP, is_recon};
pub(super) use n2i::{N2I, N2iFactory, create_n2i, inside_n2i};
pub(super) use network::Network;
pub(super) use normalise::{NORMALISE, normalise_options};
pub(super) use offset::{PROJECT, STITCH};
pub(super) use repair::PAGANIN;
pub(super) use stacked::Stacked;

use super::stage::StageFactory;
use crate::slab::SlabShape;
use std::sync::Arc;

pub(super) fn factories() -> Vec<Arc<dyn StageFactory>> {
    fn each<T: StageFactory + 'static, const N: usize>(stages: [T; N]) -> Vec<Arc<dyn StageFactory>> {
        stages.into_iter().map(|stage| Arc::new(stage) as Arc<dyn StageFactory>).collect()
    }
    let mut all = each([normalise::NormaliseFactory]);
    all.extend(each(repair::STAGES));
    all.extend(each(projection::STAGES));
    all.extend(rings::factories());
    all.extend(each(offset::STAGES));
    all.extend(each(fbp::STAGES));
    all.extend(each([n2i::N2iFactory]));
    all.extend(each(smooth::STAGES));
    all.extend(each(denoise::STAGES));
    all.extend(each(similar::STAGES));
    all.extend(each(shape::STAGES));
    all.extend(each([paste::PasteFactory]));
    all.extend(each(looks::STAGES));
    all.extend(each(surfaces::STAGES));
    all.extend(each([threshold::ThresholdFactory]));
    all
}

/// Memory of an output that does not replace its input: the planner takes a stage that keeps the size for one that works in
/// place, and counts other outputs itself.
fn beside(input: SlabShape, output: SlabShape) -> u64 {
    let bytes = |shape: SlabShape| shape.row_bytes() * shape.rows as u64;
    if bytes(input) == bytes(output) { bytes(output) } else { 0 }
}

/// Cost of a row of a stage that spends `ns` nanoseconds on a value.
fn cost(input: SlabShape, ns: f64) -> f64 {
    ns * input.dims[0] as f64 * input.dims[1] as f64
}
