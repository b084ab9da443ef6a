//! The built-in stages: one thin adapter per algorithm, by family.

mod fbp;
mod normalise;
mod rings;

pub(super) use fbp::FBP;
pub(super) use normalise::{NORMALISE, normalise_options};

use super::stage::StageFactory;
use crate::slab::SlabShape;
use std::sync::Arc;

pub(super) fn factories() -> Vec<Arc<dyn StageFactory>> {
    let mut all: Vec<Arc<dyn StageFactory>> = vec![Arc::new(normalise::NormaliseFactory)];
    all.extend(rings::factories());
    all.push(Arc::new(fbp::FbpFactory));
    all
}

/// Operations per value as a share of the 36 per voxel and view of back-projection; only for the time estimate.
fn in_place_cost(input: SlabShape, per_value: f64) -> f64 {
    per_value * input.dims[0] as f64 * input.dims[1] as f64
}
