//! The built-in stages: one thin adapter per algorithm, by family.

mod fbp;
mod normalise;
mod projection;
mod rings;
mod volume;
mod window;

pub(super) use fbp::FBP;
pub(super) use normalise::{NORMALISE, normalise_options};

use super::stage::StageFactory;
use crate::slab::SlabShape;
use std::sync::Arc;

pub(super) fn factories() -> Vec<Arc<dyn StageFactory>> {
    let mut all: Vec<Arc<dyn StageFactory>> = vec![Arc::new(normalise::NormaliseFactory)];
    all.extend(projection::STAGES.map(|stage| Arc::new(stage) as Arc<dyn StageFactory>));
    all.push(Arc::new(rings::RingSortFactory));
    all.push(Arc::new(fbp::FbpFactory));
    all.extend(volume::STAGES.map(|stage| Arc::new(stage) as Arc<dyn StageFactory>));
    all
}

/// Cost of a row of a stage that spends `ns` nanoseconds on a value.
fn cost(input: SlabShape, ns: f64) -> f64 {
    ns * input.dims[0] as f64 * input.dims[1] as f64
}
