//! Several 32-bit images in one TIFF file.

use super::Aside;
use crate::error::{Error, Result};
use ndarray::ArrayView2;
use std::io::Cursor;
use std::path::Path;
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::Gray32Float;

/// Writes `images` as the pages of one file, aside at first, so that it is whole when it has its name. For small images: the
/// file is made in memory.
pub fn write_pages(path: &Path, images: &[ArrayView2<f32>]) -> Result<()> {
    let failed = |e: tiff::TiffError| Error::internal(path.display(), format!("the images cannot be encoded: {e}"));
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).map_err(failed)?;
    for image in images {
        let pixels: Vec<f32> = image.iter().copied().collect();
        let (height, width) = image.dim();
        encoder.write_image::<Gray32Float>(width as u32, height as u32, &pixels).map_err(failed)?;
    }
    let mut file = Aside::create(path)?;
    file.write(bytes.get_ref())?;
    file.finish()
}
