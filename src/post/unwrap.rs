//! A hollow cylinder unrolled into a plane: each slice becomes an image of radius down and angle across.

use crate::error::{Error, Result};
use ndarray::{ArrayView2, ArrayViewMut2};

/// What is unrolled, in pixels of the slice.
#[derive(Clone, Debug, PartialEq)]
pub struct UnwrapOptions {
    /// Axis of the cylinder: column and line.
    pub center: [f64; 2],
    /// Radius of the first line.
    pub inner_px: f64,
    /// Radius up to which lines go.
    pub outer_px: f64,
    /// Between lines.
    pub radial_step_px: f64,
    /// Between columns, along the outer radius.
    pub arc_step_px: f64,
    /// Angle of the first column; 0 is to the right, counter-clockwise on screen.
    pub start_rad: f64,
    /// Angle that the columns cover, its end not included; negative runs clockwise.
    pub span_rad: f64,
    /// Between pixels: linear, or the nearest one.
    pub linear: bool,
    /// Where there is no pixel.
    pub outside: f32,
}

/// Unrolls slices.
pub struct Unwrap {
    options: UnwrapOptions,
    radii: Vec<f64>,
    /// Cosine and sine of each column.
    rays: Vec<[f64; 2]>,
}

impl Unwrap {
    /// Refuses radii and steps that leave no image, or one that no computer holds.
    pub fn new(options: UnwrapOptions) -> Result<Self> {
        let UnwrapOptions { inner_px, outer_px, radial_step_px, arc_step_px, start_rad, span_rad, .. } = options;
        if !(inner_px >= 0.0 && outer_px > inner_px && outer_px.is_finite()) {
            let accepted = "expected an outer radius greater than the inner one";
            return Err(Error::invalid("outer_px", accepted).with("inner_px", inner_px).with("outer_px", outer_px));
        }
        // A radius that is a whole number of steps away is reached in spite of rounding.
        let lines = ((outer_px - inner_px) / radial_step_px + 1e-9).floor() + 1.0;
        let columns = (outer_px * span_rad.abs() / arc_step_px).round().max(1.0);
        if !(lines <= 1e6 && columns <= 1e6) {
            let accepted = "the steps are so small that the image would have more than a million lines or columns";
            return Err(Error::invalid("arc_step_px", accepted).with("lines", lines).with("columns", columns));
        }
        let radii = (0..lines as usize).map(|i| inner_px + i as f64 * radial_step_px).collect();
        let angle = |j: usize| start_rad + span_rad * j as f64 / columns;
        let rays = (0..columns as usize).map(|j| [angle(j).cos(), angle(j).sin()]).collect();
        Ok(Unwrap { options, radii, rays })
    }
    /// Lines and columns of the images.
    pub fn size(&self) -> [usize; 2] {
        [self.radii.len(), self.rays.len()]
    }
    /// Unrolls a slice into an image of [`Unwrap::size`].
    pub fn unwrap(&self, slice: ArrayView2<f32>, mut out: ArrayViewMut2<f32>) {
        let ([cx, cy], outside) = (self.options.center, self.options.outside);
        let (width, height) = (slice.ncols(), slice.nrows());
        let slice = slice.as_standard_layout();
        let pixels = slice.as_slice().unwrap_or_default();
        let inside = |x: f64, y: f64| x >= 0.0 && y >= 0.0 && x <= (width - 1) as f64 && y <= (height - 1) as f64;
        for (mut line, radius) in out.outer_iter_mut().zip(&self.radii) {
            for (out, [cos, sin]) in line.iter_mut().zip(&self.rays) {
                // Columns run to the right and lines down, angles up.
                let (x, y) = (cx + radius * cos, cy - radius * sin);
                *out = if !self.options.linear {
                    let (x, y) = (x.round(), y.round());
                    if inside(x, y) { pixels[y as usize * width + x as usize] } else { outside }
                } else if inside(x, y) {
                    let (x0, y0) = (x as usize, y as usize);
                    let (x1, y1) = ((x0 + 1).min(width - 1), (y0 + 1).min(height - 1));
                    let at = |x: usize, y: usize| f64::from(pixels[y * width + x]);
                    let (fx, fy) = (x - x0 as f64, y - y0 as f64);
                    let along = |y: usize| at(x0, y) + fx * (at(x1, y) - at(x0, y));
                    (along(y0) + fy * (along(y1) - along(y0))) as f32
                } else {
                    outside
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use std::f64::consts::PI;

    fn options() -> UnwrapOptions {
        UnwrapOptions {
            center: [50.5, 44.0],
            inner_px: 10.0,
            outer_px: 40.0,
            radial_step_px: 0.5,
            arc_step_px: 1.0,
            start_rad: 0.0,
            span_rad: 2.0 * PI,
            linear: true,
            outside: -5.0,
        }
    }

    #[test]
    fn rings_become_lines_and_rays_columns() {
        let unwrap = Unwrap::new(options()).unwrap();
        let [lines, columns] = unwrap.size();
        assert_eq!([lines, columns], [61, 251]);
        let polar = |y: usize, x: usize| {
            let (x, y) = (x as f64 - 50.5, 44.0 - y as f64);
            (x.hypot(y), y.atan2(x))
        };
        let radius = Array2::from_shape_fn((95, 110), |(y, x)| polar(y, x).0 as f32);
        let turn = Array2::from_shape_fn((95, 110), |(y, x)| (polar(y, x).1 * 2.0).sin() as f32);
        let (mut r, mut t) = (Array2::zeros((lines, columns)), Array2::zeros((lines, columns)));
        unwrap.unwrap(radius.view(), r.view_mut());
        unwrap.unwrap(turn.view(), t.view_mut());
        for ((i, j), value) in r.indexed_iter() {
            let (at, angle) = (10.0 + 0.5 * i as f64, 2.0 * PI * j as f64 / columns as f64);
            // Linear interpolation is off by at most an eighth of the second derivative along each axis: 1/r of a cone, and up
            // to about 8/r² of the sine of the double angle.
            assert!((f64::from(*value) - at).abs() < 0.25 / at, "{at}: {value}");
            let expected = (2.0 * angle).sin();
            assert!((f64::from(t[[i, j]]) - expected).abs() < 2.0 / (at * at) + 1e-6, "{at} {angle}: {}", t[[i, j]]);
        }
        // The other way round, from below.
        let back =
            Unwrap::new(UnwrapOptions { start_rad: -PI / 2.0, span_rad: -PI, linear: false, ..options() }).unwrap();
        let mut half = Array2::zeros(back.size());
        back.unwrap(turn.view(), half.view_mut());
        assert!(half[[40, 10]] > 0.0 && half[[40, 100]] < 0.0, "the lower left, then the upper left");
    }

    #[test]
    fn what_lies_beside_the_slice_is_said() {
        let wide = Unwrap::new(UnwrapOptions { outer_px: 80.0, ..options() }).unwrap();
        let mut out = Array2::zeros(wide.size());
        wide.unwrap(Array2::ones((95, 110)).view(), out.view_mut());
        assert!(out.iter().all(|v| *v == 1.0 || *v == -5.0) && out[[140, 0]] == -5.0 && out[[0, 0]] == 1.0);
        let e = Unwrap::new(UnwrapOptions { inner_px: 40.0, ..options() }).err().unwrap().to_string();
        assert!(e.contains("greater than the inner one"), "{e}");
        let e = Unwrap::new(UnwrapOptions { arc_step_px: 1e-6, ..options() }).err().unwrap().to_string();
        assert!(e.contains("more than a million"), "{e}");
    }
}
