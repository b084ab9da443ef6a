//! Filtered back-projection: sinograms to slices, and the way back. Must not know files, stages, C or Java.
//!
//! `filter` turns views into filtered views, `pad` extends truncated ones, `reference` and `direct` spread them over
//! the image; `fourier` does all of it by way of spectra. `project` is the way from slices to sinograms.
//! `docs/theory/fbp.md` has the formulas.

mod direct;
mod filter;
mod fourier;
pub mod pad;
pub mod project;
mod reference;

use crate::error::{Error, Result};
use filter::RampFilter;
use ndarray::{Array2, ArrayView2, ArrayView3, ArrayViewMut3, Axis};
use reference::ExactFilter;
use std::borrow::Cow;
use std::ops::Range;

pub use direct::Isa;
pub use filter::Filter;
pub use project::Projector;

/// Which implementation computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// f32, all threads.
    Direct,
    /// f32, all threads, by gridding of the views' spectra: much faster, with an error that is asked for.
    Fourier,
    /// f64, plain loops: the truth of every test.
    Reference,
}

/// What lies between two columns of a filtered view, for the Fourier engine; the others draw straight lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// What a sinc gives: nothing is damped, neither detail nor noise.
    #[default]
    Sinc,
    /// What straight lines give without what they alias: frequencies times sinc², so the highest are damped to 0.41.
    Linear,
}

/// How to reconstruct.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FbpOptions {
    /// Filter.
    pub filter: Filter,
    /// Engine.
    pub engine: Engine,
    /// Extend truncated views with a cosine taper of half the width before filtering.
    pub pad: bool,
    /// Largest relative L2 error inside the circle that the Fourier engine may make, against direct back-projection of
    /// views interpolated as `interpolation` says: [`FbpOptions::TOLERANCE`]. Other engines take no notice.
    pub tolerance: f64,
    /// For the Fourier engine.
    pub interpolation: Interpolation,
}

impl FbpOptions {
    /// Smallest and largest tolerance: 32-bit numbers hold no less, and images with a larger error are of no use.
    pub const TOLERANCE: (f64, f64) = fourier::TOLERANCE;
    /// A tolerance below the error of any measurement.
    pub const DEFAULT_TOLERANCE: f64 = 2e-4;
}

/// Prepared reconstruction of slices of one size and set of angles: FFT plans, kernel, trigonometric tables.
pub struct Fbp {
    /// Sorted by their slow axis, otherwise in the order of the sinogram.
    views: Vec<View>,
    cols: usize,
    filter: RampFilter,
    exact: ExactFilter,
    engine: Engine,
    /// Only for its engine.
    fourier: Option<Box<fourier::Fourier>>,
    isa: direct::Checked,
}

/// One view: its direction, and what its filtered values count in the sum, 1/cm per unit of absorbance.
#[derive(Clone, Copy, Debug)]
struct View {
    /// Which view of the sinogram.
    index: usize,
    cos: f64,
    sin: f64,
    slow: direct::Slow,
    weight_per_cm: f64,
}

/// Place in error messages.
const PLACE: &str = "recon.fbp";

impl Fbp {
    /// `angles_rad` and `weights_rad` (see `geometry::view_weights`): one per view. `cols`: detector width.
    /// `pixel_um`: detector pixel at the sample.
    ///
    /// Errors: no views or columns, numbers of angles and weights that differ, values that are not finite, a pixel
    /// size that is not positive.
    pub fn new(
        angles_rad: &[f64],
        weights_rad: &[f64],
        cols: usize,
        pixel_um: f64,
        options: &FbpOptions,
    ) -> Result<Self> {
        if angles_rad.is_empty() || angles_rad.len() != weights_rad.len() {
            return Err(Error::invalid(PLACE, "expected one angle and one weight per view, and at least one view")
                .with("angles", angles_rad.len())
                .with("weights", weights_rad.len()));
        }
        if let Some(view) = (0..angles_rad.len()).find(|&m| !(angles_rad[m].is_finite() && weights_rad[m].is_finite()))
        {
            return Err(Error::invalid(PLACE, "angles and weights must be finite").with("view", view));
        }
        // Beyond, an image has more pixels than a slice file can hold, and the FFT length could overflow.
        if !(1..=1 << 20).contains(&cols) {
            return Err(Error::invalid(PLACE, "expected 1 to 1048576 detector columns").with("cols", cols));
        }
        if !(pixel_um.is_finite() && pixel_um > 0.0) {
            return Err(Error::invalid(PLACE, "the pixel size must be greater than 0 µm").with("pixel_um", pixel_um));
        }
        let pixel_cm = 1e-4 * pixel_um;
        let view = |(index, (angle, weight)): (usize, (&f64, &f64))| {
            let (sin, cos) = angle.sin_cos();
            View { index, cos, sin, slow: direct::Slow::of(cos, sin), weight_per_cm: weight / pixel_cm }
        };
        let mut views: Vec<View> = angles_rad.iter().zip(weights_rad).enumerate().map(view).collect();
        views.sort_by_key(|view| view.slow);
        let (low, high) = FbpOptions::TOLERANCE;
        if options.engine == Engine::Fourier && !(low..=high).contains(&options.tolerance) {
            let accepted = format!("expected a tolerance of {low} to {high}: 32-bit numbers hold no less");
            return Err(Error::invalid(PLACE, accepted).with("tolerance", options.tolerance));
        }
        let fourier =
            (options.engine == Engine::Fourier).then(|| Box::new(fourier::Fourier::new(&views, cols, options)));
        let filter = RampFilter::new(options.filter, cols, options.pad);
        let exact = ExactFilter::new(options.filter, cols, options.pad);
        Ok(Fbp { views, cols, filter, exact, engine: options.engine, fourier, isa: direct::Checked::best() })
    }

    /// Makes the 32-bit engines use `isa`, for tests and benchmarks: without, it uses the best.
    ///
    /// Errors: the processor does not have it.
    pub fn with_isa(self, isa: Isa) -> Result<Self> {
        match direct::Checked::new(isa) {
            Some(isa) => Ok(Fbp { isa, ..self }),
            None => Err(Error::invalid(PLACE, "this processor does not have the instruction set")
                .with("isa", format!("{isa:?}"))),
        }
    }

    /// Slices at a time with which the engine works best; fewer cost more each, more cost the same.
    pub fn preferred_rows(&self) -> usize {
        match self.engine {
            Engine::Direct => direct::MAX_LANES,
            Engine::Fourier => fourier::SIDE_BY_SIDE,
            Engine::Reference => 1,
        }
    }

    /// Working memory of [`Fbp::reconstruct`] for `rows` slices on `threads` threads, bytes.
    pub fn scratch_bytes(&self, rows: usize, threads: usize) -> u64 {
        match (self.engine, &self.fourier) {
            (Engine::Reference, _) => reference::scratch_bytes(self),
            (_, Some(fourier)) => fourier.scratch_bytes(rows, threads),
            _ => direct::scratch_bytes(self, rows, threads),
        }
    }

    /// `sinograms` `[row, view, col]` and the axis of each row, px → `out` `[row, y, x]`, 1/cm.
    ///
    /// Row 0 of an image is the top, the axis is its middle. Pixels farther from the axis than the nearer edge of the
    /// detector are exactly 0. The result of a row does not depend on the other rows, nor on the number of threads.
    ///
    /// Threads are those of `pool`. `tick` is called on the calling thread, several times a second, with the finished
    /// part (0 to 1); its error stops the work, and `out` then holds unfinished sums.
    ///
    /// Errors: shapes that do not fit together, an axis outside `0..=cols - 1`, sinogram values that are not finite.
    pub fn reconstruct(
        &self,
        pool: &rayon::ThreadPool,
        sinograms: ArrayView3<f32>,
        center_px: &[f64],
        out: ArrayViewMut3<f32>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        let rows = sinograms.shape()[0];
        self.check_shape("sinograms", sinograms.shape(), [rows, self.views.len(), self.cols])?;
        self.check_shape("out", out.shape(), [rows, self.cols, self.cols])?;
        if center_px.len() != rows {
            return Err(Error::invalid(PLACE, "expected one rotation axis per row")
                .with("rows", rows)
                .with("axes", center_px.len()));
        }
        center_px.iter().enumerate().try_for_each(|(row, &center)| self.check_center(row, center))?;
        match (self.engine, &self.fourier) {
            (Engine::Reference, _) => reference::reconstruct(self, pool, sinograms, center_px, out, tick),
            (_, Some(fourier)) => fourier::reconstruct(self, fourier, pool, sinograms, center_px, out, tick),
            _ => direct::reconstruct(self, pool, sinograms, center_px, out, tick),
        }
    }

    /// Image rows `rows` of one slice `[view, col]` → `[y, x]`, in f64 throughout, on the calling thread, whatever the
    /// engine: the numbers that every other engine is measured against.
    ///
    /// Errors: as [`Fbp::reconstruct`], and rows beyond the image.
    pub fn reference_rows(&self, sinogram: ArrayView2<f32>, center_px: f64, rows: Range<usize>) -> Result<Array2<f64>> {
        self.check_shape("sinogram", sinogram.shape(), [self.views.len(), self.cols])?;
        self.check_center(0, center_px)?;
        if rows.start > rows.end || rows.end > self.cols {
            let message = format!("expected image rows within 0..{}", self.cols);
            return Err(Error::invalid(PLACE, message).with("rows", format!("{rows:?}")));
        }
        let filtered = reference::filtered(self, sinogram, &mut || Ok(()))?;
        let pixel = |(y, x)| reference::pixel(self, &filtered, center_px, rows.start + y, x);
        Ok(Array2::from_shape_fn((rows.len(), self.cols), pixel))
    }

    fn check_shape<const D: usize>(&self, what: &'static str, shape: &[usize], expected: [usize; D]) -> Result<()> {
        if shape == expected {
            return Ok(());
        }
        let message = format!("expected {what} of shape {expected:?}");
        Err(Error::invalid(PLACE, message).with("shape", format!("{shape:?}")))
    }

    fn check_center(&self, row: usize, center_px: f64) -> Result<()> {
        if center_px >= 0.0 && center_px <= self.cols as f64 - 1.0 {
            return Ok(());
        }
        let accepted = format!("the rotation axis must lie on the detector, 0 to {} px", self.cols - 1);
        Err(Error::invalid(PLACE, accepted).with("center_px", center_px).with("row", row))
    }

    /// Filters the view at place `first` of the order of the views and, if there is one, the next into `out`, weights
    /// included; the values are in the real and the imaginary part.
    ///
    /// Refuses what would become infinite or NaN in the image.
    fn filter_pair(
        &self,
        sinogram: ArrayView2<f32>,
        first: usize,
        out: &mut [filter::Complex],
        scratch: &mut filter::Scratch,
    ) -> Result<()> {
        // The last view may be alone; then it is filtered twice.
        let pair = [first, (first + 1).min(self.views.len() - 1)].map(|place| &self.views[place]);
        let values = pair.map(|view| {
            let row = sinogram.index_axis_move(Axis(0), view.index);
            row.to_slice().map_or_else(|| Cow::Owned(row.to_vec()), Cow::Borrowed)
        });
        let weights = pair.map(|view| view.weight_per_cm as f32);
        self.filter.apply([&values[0], &values[1]], weights, out, scratch);
        let limit = f32::MAX / (4 * self.views.len()) as f32;
        // Without a way out in the middle this is vector code.
        if out.iter().fold(true, |fit, z| fit & (z.re.abs() <= limit) & (z.im.abs() <= limit)) {
            return Ok(());
        }
        for (view, values) in pair.into_iter().zip(&values) {
            values.iter().position(|v| !v.is_finite()).map_or(Ok(()), |col| Err(not_finite(view.index, col)))?;
        }
        Err(Error::invalid(PLACE, "the sinogram is too large for a 32-bit image").with("view", pair[0].index))
    }
}

/// The error for a value of a sinogram that is not finite.
fn not_finite(view: usize, col: usize) -> Error {
    let message = "the sinogram holds a value that is not finite; repair or replace such pixels first";
    Error::invalid(PLACE, message).with("view", view).with("column", col)
}

/// Distance of the middle of pixel `i` from the middle of `cols` pixels.
fn offset(cols: usize, i: usize) -> f64 {
    i as f64 - (cols as f64 - 1.0) / 2.0
}

/// Square of the radius that every view sees.
fn radius2(cols: usize, center_px: f64) -> f64 {
    let half = (cols as f64 - 1.0) / 2.0;
    (half - (half - center_px).abs()).powi(2)
}

/// Pixels of image row `y` inside the circle that every view sees.
fn inside(cols: usize, center_px: f64, y: usize) -> Range<usize> {
    let (y2, r2) = (offset(cols, y).powi(2), radius2(cols, center_px));
    let is_inside = |x: usize| offset(cols, x).powi(2) + y2 <= r2;
    let middle = cols.div_ceil(2);
    let mut first = (-offset(cols, 0) - (r2 - y2).max(0.0).sqrt()).max(0.0) as usize;
    while first > 0 && is_inside(first - 1) {
        first -= 1;
    }
    while first < middle && !is_inside(first) {
        first += 1;
    }
    if first < middle { first..cols - first } else { 0..0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circle_rows_are_those_of_the_pixel_by_pixel_test() {
        for cols in 1..40 {
            for center in [0.0, 0.3, 3.0, (cols as f64 - 1.0) / 2.0, cols as f64 - 1.0] {
                if center > cols as f64 - 1.0 {
                    continue;
                }
                for y in 0..cols {
                    let plain: Vec<usize> = (0..cols)
                        .filter(|&x| offset(cols, x).powi(2) + offset(cols, y).powi(2) <= radius2(cols, center))
                        .collect();
                    assert_eq!(inside(cols, center, y).collect::<Vec<_>>(), plain, "{cols} {center} {y}");
                }
            }
        }
    }
}
