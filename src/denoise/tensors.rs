//! Named tensors of 32-bit floats, and one text, as bytes in the format safetensors.

use crate::error::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::fmt::Display;

/// Name of the text.
const TEXT: &str = "wagiri";

/// Little-endian.
pub fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Name, shape, bytes.
pub type Tensor = (String, Vec<usize>, Vec<u8>);

/// All of it as a file.
pub fn write(tensors: Vec<Tensor>, text: Option<String>) -> Result<Vec<u8>> {
    let internal = |e| Error::internal("safetensors", "the network cannot be written").caused_by(e);
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(internal)?)))
        .collect::<Result<Vec<_>>>()?;
    // One entry: several would come in any order.
    safetensors::serialize(views, text.map(|text| HashMap::from([(TEXT.to_owned(), text)]))).map_err(internal)
}

/// Tensors that are read.
pub struct Weights<'a> {
    place: String,
    tensors: SafeTensors<'a>,
}

impl<'a> Weights<'a> {
    /// `place` names them in errors.
    pub fn read(place: &dyn Display, bytes: &'a [u8]) -> Result<Self> {
        let place = place.to_string();
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| {
            let message = "expected safetensors; the file is another one, damaged or cut off";
            Error::format(&place, message).caused_by(e)
        })?;
        Ok(Weights { place, tensors })
    }
    /// The text, empty if there is none.
    pub fn text(bytes: &[u8]) -> String {
        let metadata = SafeTensors::read_metadata(bytes).ok().and_then(|(_, metadata)| metadata.metadata().clone());
        metadata.and_then(|mut all| all.remove(TEXT)).unwrap_or_default()
    }
    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }
    /// Its axes, if there is such a tensor.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.tensor(name).ok().map(|tensor| tensor.shape().to_vec())
    }
    /// The tensor `name`, which must have this shape and hold numbers.
    pub fn floats(&self, name: &str, shape: &[usize], out: &mut [f32]) -> Result<()> {
        let tensor = self
            .tensors
            .tensor(name)
            .map_err(|e| Error::format(&self.place, format!("the tensor '{name}' is missing")).caused_by(e))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            let message =
                format!("the tensor '{name}' is of another network: expected 32-bit floats of shape {shape:?}");
            return Err(Error::format(&self.place, message).with("shape", format!("{:?}", tensor.shape())));
        }
        for (out, bytes) in out.iter_mut().zip(tensor.data().chunks_exact(4)) {
            *out = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        if out.iter().any(|value| !value.is_finite()) {
            return Err(Error::format(&self.place, format!("the tensor '{name}' holds what is not a finite number")));
        }
        Ok(())
    }
}
