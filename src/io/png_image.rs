//! Grey PNG pictures.

use super::aside::Aside;
use crate::error::{Error, Result};
use ndarray::Array2;
use std::path::Path;

/// Writes an 8-bit picture, aside and renamed.
pub fn write_png(path: &Path, picture: &Array2<u8>) -> Result<()> {
    let mut file = Aside::create(path)?;
    file.write(&png_bytes(picture)?)?;
    file.finish()
}

/// An 8-bit picture as a PNG file.
pub fn png_bytes(picture: &Array2<u8>) -> Result<Vec<u8>> {
    encode(picture.dim(), png::BitDepth::Eight, &picture.iter().copied().collect::<Vec<u8>>())
}

/// A 16-bit picture as a PNG file.
pub fn png_bytes_16(picture: &Array2<u16>) -> Result<Vec<u8>> {
    encode(picture.dim(), png::BitDepth::Sixteen, &picture.iter().flat_map(|v| v.to_be_bytes()).collect::<Vec<u8>>())
}

fn encode((height, width): (usize, usize), depth: png::BitDepth, data: &[u8]) -> Result<Vec<u8>> {
    let too_large = || Error::limit("picture", "a PNG picture has at most 2147483647 pixels in each direction");
    let [width, height] = [width, height].map(|n| u32::try_from(n).map_err(|_| too_large()));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width?, height?);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(depth);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(data)?;
        writer.finish()
    });
    written.map_err(|e| Error::internal("picture", "cannot encode PNG").caused_by(e))?;
    Ok(bytes)
}
