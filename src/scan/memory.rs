//! Frames held in arrays: for tests, Fiji stacks and callers of the C ABI.

use super::source::{Fingerprint, check_band};
use super::{Frame, FrameSource, Scan, ScanInfo, ScanShape};
use crate::error::{Error, Result};
use crate::slab::Domain;
use ndarray::{Array2, Array3, ArrayViewMut2, Axis, s};
use std::ops::Range;

/// A whole scan in memory.
pub struct MemorySource {
    views: Array3<f32>,
    flats: Array3<f32>,
    dark: Array2<f32>,
}

impl MemorySource {
    /// `views` is `[view, row, col]`, `flats` `[flat, row, col]`, `dark` `[row, col]`; all in counts.
    pub fn new(views: Array3<f32>, flats: Array3<f32>, dark: Array2<f32>) -> Result<Self> {
        let frame = &views.shape()[1..];
        if flats.shape()[1..] != *frame || dark.shape() != frame {
            return Err(Error::invalid("scan", "projections, flats and dark must have the same rows and columns")
                .with("projections", format!("{:?}", views.shape()))
                .with("flats", format!("{:?}", flats.shape()))
                .with("dark", format!("{:?}", dark.shape())));
        }
        Ok(MemorySource { views, flats, dark })
    }
    /// Makes a scan: flats are spread evenly in time from the first to the last view. `pixel_um` must be greater than 0.
    pub fn into_scan(self, angles_rad: Vec<f64>, pixel_um: Option<f64>) -> Result<Scan> {
        if let Some(size) = pixel_um.filter(|size| !(size.is_finite() && *size > 0.0)) {
            let accepted = "expected a size in um greater than 0, or none if it is unknown";
            return Err(Error::invalid("pixel_um", accepted).with("pixel_um", size));
        }
        let shape = self.shape();
        let step = shape.views.saturating_sub(1) as f64 / shape.flats.saturating_sub(1).max(1) as f64;
        let info = ScanInfo {
            format: "memory",
            path: "memory".into(),
            angles_rad,
            view_time: (0..shape.views).map(|m| m as f64).collect(),
            flat_time: (0..shape.flats).map(|i| i as f64 * step).collect(),
            pixel_um,
            ..ScanInfo::default()
        };
        Scan::new(Box::new(self), info)
    }
}

impl FrameSource for MemorySource {
    fn shape(&self) -> ScanShape {
        let s = self.views.shape();
        ScanShape { views: s[0], rows: s[1], cols: s[2], flats: self.flats.shape()[0] }
    }
    fn read_rows(&self, frame: Frame, rows: Range<usize>, mut out: ArrayViewMut2<f32>) -> Result<()> {
        check_band(self.shape(), &rows, &out)?;
        let image = match frame {
            Frame::View(i) if i < self.views.shape()[0] => self.views.index_axis(Axis(0), i),
            Frame::Flat(i) if i < self.flats.shape()[0] => self.flats.index_axis(Axis(0), i),
            Frame::Dark => self.dark.view(),
            _ => return Err(Error::not_found("scan", "no such frame").with("frame", format!("{frame:?}"))),
        };
        out.assign(&image.slice(s![rows, ..]));
        Ok(())
    }
    fn frame_bytes(&self) -> u64 {
        0
    }
    fn identity(&self) -> Result<String> {
        let mut hash = Fingerprint::default();
        let pixels = self.dark.iter().chain(&self.flats).chain(&self.views);
        pixels.for_each(|v| hash.add_u64(u64::from(v.to_bits())));
        Ok(format!("pixels {hash}"))
    }
}

/// Sinograms or a volume in memory, in the order of a slab.
pub struct MemoryRows {
    data: Array3<f32>,
    domain: Domain,
}

impl MemoryRows {
    /// A finished volume `[z, y, x]`.
    pub fn volume(data: Array3<f32>) -> Self {
        MemoryRows { data, domain: Domain::Volume }
    }
    /// Absorbance `[row, view, col]`.
    pub fn sinograms(data: Array3<f32>) -> Self {
        MemoryRows { data, domain: Domain::Sinogram }
    }
    /// A scan to run chains on. `angles_rad`: one per view of sinograms, none for a volume.
    pub fn into_scan(self, angles_rad: Vec<f64>, pixel_um: Option<f64>) -> Result<Scan> {
        if let Some(size) = pixel_um.filter(|size| !(size.is_finite() && *size > 0.0)) {
            let accepted = "expected a size in um greater than 0, or none if it is unknown";
            return Err(Error::invalid("pixel_um", accepted).with("pixel_um", size));
        }
        let (path, domain) = ("memory".into(), self.domain);
        let sample = (domain == Domain::Volume).then_some(super::SampleType::F32);
        let info = ScanInfo { format: "memory", domain, path, angles_rad, pixel_um, sample, ..ScanInfo::default() };
        Scan::new(Box::new(self), info)
    }
}

impl FrameSource for MemoryRows {
    fn shape(&self) -> ScanShape {
        let [rows, views, cols] = self.data.dim().into();
        ScanShape { views, rows, cols, flats: 0 }
    }
    fn read_rows(&self, frame: Frame, rows: Range<usize>, mut out: ArrayViewMut2<f32>) -> Result<()> {
        check_band(self.shape(), &rows, &out)?;
        match frame {
            Frame::View(view) if view < self.data.shape()[1] => out.assign(&self.data.slice(s![rows, view, ..])),
            _ => return Err(Error::not_found("memory", "no such frame").with("frame", format!("{frame:?}"))),
        }
        Ok(())
    }
    fn frame_bytes(&self) -> u64 {
        0
    }
    fn identity(&self) -> Result<String> {
        let mut hash = Fingerprint::default();
        self.data.iter().for_each(|v| hash.add_u64(u64::from(v.to_bits())));
        Ok(format!("pixels {hash}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_size_is_positive_or_unknown() {
        let image = || Array3::ones((1, 2, 3));
        let scan = |size| MemorySource::new(image(), image(), Array2::zeros((2, 3)))?.into_scan(vec![0.0], size);
        assert!(scan(None).is_ok() && scan(Some(0.5)).is_ok());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(scan(Some(bad)).is_err_and(|e| e.to_string().contains("pixel_um")), "{bad}");
        }
    }
}
