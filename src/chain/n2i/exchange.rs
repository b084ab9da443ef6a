//! Networks from and for PyTorch.

use super::observe::write_whole;
use super::read_model;
use crate::denoise::split::check_count;
use crate::denoise::{Model, Names, Scaling};
use crate::error::{Error, Result};
use std::path::Path;

/// Makes the model file `to` of weights that PyTorch trained, safetensors of a U-Net under one of the [`Names`]. `subsets` and
/// `scaling`: what it was trained with.
pub fn import(from: &Path, to: &Path, subsets: usize, scaling: Scaling) -> Result<Model> {
    check_count(usize::MAX, subsets)?;
    if !(scaling.mean.is_finite() && scaling.spread.is_finite() && scaling.spread > 0.0) {
        let message = "expected a mean, and a spread greater than 0, that the values were normalised by";
        return Err(Error::invalid("scaling", message).with("mean", scaling.mean).with("spread", scaling.spread));
    }
    let bytes = std::fs::read(from).map_err(|e| Error::io(from.display(), "read the weights", e))?;
    let model = Model::from_torch(from.display(), &bytes, subsets, scaling)?;
    write_whole(to, &model.to_bytes()?)?;
    Ok(model)
}

/// Writes the weights of the model file `from` for PyTorch.
pub fn export(from: &Path, to: &Path, names: Names) -> Result<()> {
    write_whole(to, &read_model(from)?.to_torch(names)?)
}
