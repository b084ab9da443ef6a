//! Single grey images: one TIFF file read whole, and written aside and renamed, with the description that it is given.
//!
//! Must not know: scans, stages, what the pixels are.

use super::SampleType;
use super::bytes::Sample;
use super::images::Image;
use super::tiff_image;
use crate::error::{Error, Result};
use crate::post::finite_range;
use ndarray::{Array2, ArrayView2};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;
use tiff::encoder::colortype::{ColorType, Gray8, Gray16, Gray32Float};
use tiff::encoder::{Rational, TiffEncoder, TiffValue};
use tiff::tags::{ResolutionUnit, Tag};

/// An image as it was read.
#[derive(Clone, Debug)]
pub struct GreyImage {
    /// `[y, x]`, whatever the samples are in the file.
    pub pixels: Array2<f32>,
    /// What they are in the file.
    pub sample: SampleType,
    /// ImageDescription, if the file has one that can be read.
    pub description: Option<String>,
}

/// What the tags of a written image tell beside its size.
#[derive(Clone, Copy, Debug, Default)]
pub struct GreyTags<'a> {
    /// ImageDescription; characters beyond ASCII become `?`.
    pub description: Option<&'a str>,
    /// The program that made the file.
    pub artist: &'a str,
    /// Pixel size, µm, for ImageJ's calibration.
    pub pixel_um: Option<f64>,
}

/// Height and width of an image of 8, 16 or 32-bit (float) samples, and what these are; reads the header only.
///
/// Errors: `IO`; `FORMAT` for a file that is no TIFF, is cut off, or holds several images; `UNSUPPORTED` for other samples.
pub fn image_size(path: &Path) -> Result<([usize; 2], SampleType)> {
    let image = Image::lazy(path.to_owned(), tiff_image::single);
    let layout = image.layout()?;
    let sample = match layout.sample {
        Sample::U8 => SampleType::U8,
        Sample::U16 => SampleType::U16,
        Sample::F32 => SampleType::F32,
        other => {
            let message = "expected 8-bit, 16-bit or 32-bit float samples";
            return Err(Error::unsupported(path.display(), message).with("samples", other.name()));
        }
    };
    Ok(([layout.rows, layout.cols], sample))
}

/// Reads an image of 8, 16 or 32-bit (float) samples; any compression that volumes are read with.
///
/// Errors: those of [`image_size`]; `FORMAT` for NaN or infinity, with its place.
pub fn read_image(path: &Path) -> Result<GreyImage> {
    let (size, sample) = image_size(path)?;
    let mut pixels = Array2::zeros(size);
    Image::lazy(path.to_owned(), tiff_image::single).read(size, None, 0..size[0], pixels.view_mut())?;
    if finite_range(pixels.as_slice().unwrap_or_default()).is_none() {
        let found = pixels.indexed_iter().find(|(_, v)| !v.is_finite());
        let (y, x) = found.map_or((0, 0), |(place, _)| place);
        return Err(Error::format(path.display(), "expected finite values").with("y", y).with("x", x));
    }
    Ok(GreyImage { pixels, sample, description: super::read_description(path).ok() })
}

/// The ImageDescription of each image in a TIFF file, or `None` where it has none that can be read.
pub fn read_descriptions(path: &Path) -> Result<Vec<Option<String>>> {
    let mut decoder = tiff_image::decoder(path)?;
    let mut all = vec![decoder.get_tag_ascii_string(Tag::ImageDescription).ok()];
    while decoder.more_images() {
        decoder.next_image().map_err(|e| Error::format(path.display(), format!("the TIFF file is damaged: {e}")))?;
        all.push(decoder.get_tag_ascii_string(Tag::ImageDescription).ok());
    }
    Ok(all)
}

/// Writes an image: aside, and under its name once its bytes are on the disk. Values for 8 and 16 bits are rounded to the
/// nearest and cut off at the ends.
///
/// Errors: `IO`; the file that was there is then untouched, and nothing is left beside it.
pub fn write_image(path: &Path, pixels: ArrayView2<f32>, sample: SampleType, tags: &GreyTags) -> Result<()> {
    let whole = |v: f32, white: f32| (v + 0.5).floor().clamp(0.0, white);
    let size = (pixels.ncols(), pixels.nrows());
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    let aside = Path::new(&aside);
    let written = match sample {
        SampleType::U8 => {
            let data: Vec<u8> = pixels.iter().map(|v| whole(*v, 255.0) as u8).collect();
            encode::<Gray8>(aside, path, size, tags, &data)
        }
        SampleType::U16 => {
            let data: Vec<u16> = pixels.iter().map(|v| whole(*v, 65535.0) as u16).collect();
            encode::<Gray16>(aside, path, size, tags, &data)
        }
        _ => {
            let pixels = pixels.as_standard_layout();
            encode::<Gray32Float>(aside, path, size, tags, pixels.as_slice().unwrap_or_default())
        }
    };
    let named = written.and_then(|file| {
        // Some file systems report a full disk only now.
        file.sync_data().map_err(|e| Error::io(path.display(), "write", e))?;
        drop(file);
        fs::rename(aside, path).map_err(|e| Error::io(path.display(), "rename", e))
    });
    // Best effort: the error being reported is the one that matters.
    named.inspect_err(|_| drop(fs::remove_file(aside)))
}

fn encode<C: ColorType>(
    aside: &Path,
    path: &Path,
    (width, height): (usize, usize),
    tags: &GreyTags,
    data: &[C::Inner],
) -> Result<File>
where
    [C::Inner]: TiffValue,
{
    let place = path.display();
    let failed = |e: tiff::TiffError| match e {
        tiff::TiffError::IoError(e) => Error::io(&place, "write", e),
        e => Error::internal(&place, "cannot encode TIFF").caused_by(e),
    };
    let file = File::create(aside).map_err(|e| Error::io(&place, "create", e))?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    let mut encoder = TiffEncoder::new(&mut writer).map_err(failed)?;
    let mut image = encoder.new_image::<C>(width as u32, height as u32).map_err(failed)?;
    image
        .rows_per_strip(((2 << 20) / (width * size_of::<C::Inner>()).max(1)).clamp(1, height) as u32)
        .map_err(failed)?;
    // ImageJ turns pixels per cm into µm.
    if let Some(um) = tags.pixel_um.filter(|um| *um > 0.0) {
        let unit = [1e9, 1e6, 1e3].into_iter().find(|n| um * n / 1e4 < 4e9).unwrap_or(1.0);
        let per_cm = Rational { n: unit as u32, d: (um * unit / 1e4).round().clamp(1.0, 4e9) as u32 };
        image.resolution(ResolutionUnit::Centimeter, per_cm);
    }
    let encoder = image.encoder();
    if let Some(text) = tags.description {
        let text: String = text.chars().map(|c| if c.is_ascii() && c != '\0' { c } else { '?' }).collect();
        encoder.write_tag(Tag::ImageDescription, text.as_str()).map_err(failed)?;
    }
    encoder.write_tag(Tag::PlanarConfiguration, 1u16).map_err(failed)?;
    encoder.write_tag(Tag::Artist, tags.artist).map_err(failed)?;
    encoder.write_tag(Tag::Software, concat!("wagiri ", env!("CARGO_PKG_VERSION"))).map_err(failed)?;
    image.write_data(data).map_err(failed)?;
    writer.into_inner().map_err(|e| Error::io(&place, "write", e.into_error()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn images_come_back_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tif");
        let pixels = array![[0.0, 1.4, 254.5], [-3.0, 300.0, 70000.0f32]];
        let tags = GreyTags { description: Some("1\tä"), artist: "a", pixel_um: Some(2.0) };
        for (sample, expected) in [
            (SampleType::U8, array![[0.0, 1.0, 255.0], [0.0, 255.0, 255.0f32]]),
            (SampleType::U16, array![[0.0, 1.0, 255.0], [0.0, 300.0, 65535.0f32]]),
            (SampleType::F32, pixels.clone()),
        ] {
            write_image(&path, pixels.view(), sample, &tags).unwrap();
            let image = read_image(&path).unwrap();
            assert_eq!((image.pixels, image.sample), (expected, sample));
            assert_eq!(image.description.as_deref(), Some("1\t?"));
        }
        write_image(&path, array![[1.0, f32::NAN]].view(), SampleType::F32, &GreyTags::default()).unwrap();
        assert!(read_image(&path).unwrap_err().to_string().contains("x = 1"));
        assert_eq!(read_descriptions(&path).unwrap(), [None]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
