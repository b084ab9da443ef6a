//! Single images: a frame in, a TIFF image out, for work that goes file by file.
//!
//! Must not know: scans, stages.

use super::images::Image;
use super::stack::is_tiff;
use super::tiff_sink::{SliceMeta, encode};
use super::{hamamatsu, tiff_image};
use crate::error::{Error, Result};
use crate::geometry::Center;
use ndarray::{Array2, ArrayView2};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use tiff::encoder::TiffValue;
use tiff::encoder::colortype::{ColorType, Gray16, Gray32Float};

/// Reads one image `[row, col]`: a TIFF of any grey sample type by its ending, else a HiPic `.img` frame.
///
/// Errors: a file that is not there, is no such image, is cut off, or holds several images.
pub fn read_image(path: &Path) -> Result<Array2<f32>> {
    let tiff = path.file_name().is_some_and(|name| is_tiff(&name.to_string_lossy()));
    let image = Image::lazy(path.to_owned(), if tiff { tiff_image::single } else { hamamatsu::img });
    let layout = image.layout()?;
    let size = [layout.rows, layout.cols];
    let mut out = Array2::zeros(size);
    image.read(size, None, 0..size[0], out.view_mut())?;
    Ok(out)
}

/// Writes a 32-bit image under its name once all of it is written. `text` is its description, `artist` the program.
pub fn write_float(path: &Path, image: ArrayView2<f32>, text: &str, artist: &str) -> Result<()> {
    write::<Gray32Float>(path, image, text, &unknown(artist))
}

/// As [`write_float`], 16 bits.
pub fn write_u16(path: &Path, image: ArrayView2<u16>, text: &str, artist: &str) -> Result<()> {
    write::<Gray16>(path, image, text, &unknown(artist))
}

/// Writes a single slice with the description of ct-rec's slices; `z` is its row, for the axis.
pub fn write_slice(path: &Path, slice: ArrayView2<f32>, z: usize, meta: &SliceMeta) -> Result<()> {
    let fold = |(lo, hi): (f64, f64), v: &f32| (lo.min((*v).into()), hi.max((*v).into()));
    let range = slice.iter().fold((f64::INFINITY, f64::NEG_INFINITY), fold);
    write::<Gray32Float>(path, slice, &meta.describe(z, range), meta)
}

/// Nothing is known of the pixel.
fn unknown(artist: &str) -> SliceMeta {
    let (center, artist) = (Center::Fixed(0.0), artist.to_owned());
    SliceMeta {
        pixel_um: 0.0,
        center,
        views: 0,
        angle_offset_rad: 0.0,
        artist,
        names: None,
        levels: None,
        described: true,
    }
}

fn write<C: ColorType>(path: &Path, image: ArrayView2<C::Inner>, text: &str, meta: &SliceMeta) -> Result<()>
where
    [C::Inner]: TiffValue,
    C::Inner: Clone,
{
    if image.is_empty() {
        return Err(Error::invalid(path.display(), "the image to be written has no pixels"));
    }
    let image = image.as_standard_layout();
    let (size, data) = ((image.ncols(), image.nrows()), image.as_slice().unwrap_or_default());
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    let aside = PathBuf::from(aside);
    let written = encode::<C>(&aside, path, size, text, meta, data).and_then(|file: File| {
        drop(file);
        fs::rename(&aside, path).map_err(|e| Error::io(path.display(), "name", e))
    });
    // Best effort: the error being reported is the one that matters.
    written.inspect_err(|_| drop(fs::remove_file(&aside)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::read_description;
    use ndarray::array;

    #[test]
    fn images_come_back_with_their_description_and_nothing_is_left_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p00001.tif");
        let image = array![[1.5f32, -2.0, 0.25], [3.0, 4.0, 1e-9]];
        write_float(&path, image.view(), "-2.000000\t4.000000", "ct_prj").unwrap();
        assert_eq!(
            (read_image(&path).unwrap(), read_description(&path).unwrap()),
            (image, "-2.000000\t4.000000".into())
        );
        let counts = array![[0u16, 65535], [7, 5000], [1, 2]];
        write_u16(&path, counts.t(), "0\t65535", "x").unwrap();
        assert_eq!(read_image(&path).unwrap(), counts.t().mapv(f32::from));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write_float(&folder.path().join("no/p.tif"), array![[1f32]].view(), "", "x").is_err());
        assert!(read_image(&folder.path().join("none.img")).is_err());
    }
}
