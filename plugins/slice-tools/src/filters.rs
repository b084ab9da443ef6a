//! `slice.median`, `slice.gaussian`, `slice.threshold`: filters of slices and volumes. At the edges of a slice the outermost
//! voxels are repeated, as wagiri repeats the outermost slices.

use crate::{HIGH, LOW, Range};
use std::ffi::CStr;
use wagiri_plugin::{
    Domain, Host, Input, Output, Param, Plan, Result, Setup, SlabShape, Stage, Text, Value, c_text_array,
};

const SPACES: &[Text] = &c_text_array([c"2d", c"3d"]);
const SPACE: Param = Param::choice(c"space", c"2d", SPACES).help(c"Within each slice, or over neighbouring slices too");

/// How many slices on either side are needed for `radius`.
fn halo(values: &[Value], radius: usize) -> u32 {
    if values.get(1).and_then(Value::text) == Some("3d") { radius as u32 } else { 0 }
}

/// Median over a square or cube.
pub struct Median {
    radius: usize,
    halo: u32,
}

impl Stage for Median {
    const ID: &'static CStr = c"slice.median";
    const SUMMARY: &'static CStr = c"Median over a square or cube of voxels";
    const INPUT: Domain = Domain::Volume;
    const OUTPUT: Domain = Domain::Volume;
    const PARAMS: &'static [&'static Param] =
        &[&Param::int(c"size_px", c"3").unit(c"px").range(1.0, 31.0).help(c"Edge of the square or cube, odd"), &SPACE];
    /// The voxels around one voxel.
    type Worker = Vec<f32>;

    fn create(_: &Host, _: &Setup, values: &[Value]) -> Result<Self> {
        let size = values.first().and_then(Value::int).ok_or("size_px is not a number")?;
        if size % 2 == 0 {
            return Err(format!("size_px = {size} is even; expected an odd number such as 3 or 5").into());
        }
        let radius = size as usize / 2;
        Ok(Median { radius, halo: halo(values, radius) })
    }
    fn plan(&self, input: SlabShape) -> Result<Plan> {
        let (halo_below, halo_above, side) = (self.halo, self.halo, 2 * self.radius + 1);
        let count = side * side * (2 * self.halo as usize + 1);
        let cost_per_row = count as f64;
        Ok(Plan { halo_below, halo_above, scratch_bytes: 4 * count as u64, cost_per_row, ..Plan::same(input) })
    }
    fn worker(&self, _: &Plan) -> Result<Vec<f32>> {
        Ok(Vec::new())
    }
    fn process(&self, around: &mut Vec<f32>, host: &Host, input: Input, output: Output) -> Result<()> {
        let [rows, cols] = output.shape.dims;
        let r = self.radius;
        for (y, line) in output.data.chunks_mut(cols).enumerate() {
            if host.cancelled() {
                return Err(wagiri_plugin::Failure::Cancelled);
            }
            for (x, out) in line.iter_mut().enumerate() {
                around.clear();
                for slice in input.data.chunks(rows * cols) {
                    for v in y as isize - r as isize..=(y + r) as isize {
                        let line = &slice[v.clamp(0, rows as isize - 1) as usize * cols..][..cols];
                        if x >= r && x + r < cols {
                            around.extend_from_slice(&line[x - r..=x + r]);
                        } else {
                            let columns = x as isize - r as isize..=(x + r) as isize;
                            around.extend(columns.map(|u| line[u.clamp(0, cols as isize - 1) as usize]));
                        }
                    }
                }
                let middle = around.len() / 2;
                *out = *around.select_nth_unstable_by(middle, f32::total_cmp).1;
            }
        }
        Ok(())
    }
}

/// Gaussian smoothing.
pub struct Gaussian {
    /// Weights from the middle outwards; the sum over both sides is 1.
    weights: Vec<f32>,
    halo: u32,
}

impl Gaussian {
    fn radius(&self) -> usize {
        self.weights.len() - 1
    }
}

/// `out = sum of weight times line`, lines given by their distance from the middle.
fn weigh<'a>(out: &mut [f32], weights: &[f32], line: impl Fn(isize) -> &'a [f32]) {
    out.iter_mut().zip(line(0)).for_each(|(out, v)| *out = weights[0] * v);
    for (d, weight) in (1isize..).zip(&weights[1..]) {
        for ((out, a), b) in out.iter_mut().zip(line(-d)).zip(line(d)) {
            *out += weight * (a + b);
        }
    }
}

impl Stage for Gaussian {
    const ID: &'static CStr = c"slice.gaussian";
    const SUMMARY: &'static CStr = c"Gaussian smoothing within slices or over the volume";
    const INPUT: Domain = Domain::Volume;
    const OUTPUT: Domain = Domain::Volume;
    const PARAMS: &'static [&'static Param] = &[
        &Param::float(c"sigma_px", c"1.0")
            .unit(c"px")
            .range(0.0, 50.0)
            .help(c"Standard deviation; weights beyond four times that are left out"),
        &SPACE,
    ];
    /// The slice after smoothing along z, and along y.
    type Worker = [Vec<f32>; 2];

    fn create(_: &Host, _: &Setup, values: &[Value]) -> Result<Self> {
        let sigma = values.first().and_then(Value::float).ok_or("sigma_px is not a number")?;
        let radius = (4.0 * sigma).ceil() as usize;
        let weight = |d: usize| if d == 0 { 1.0 } else { (-0.5 * (d as f64 / sigma).powi(2)).exp() };
        let sum: f64 = 2.0 * (1..=radius).map(weight).sum::<f64>() + 1.0;
        Ok(Gaussian { weights: (0..=radius).map(|d| (weight(d) / sum) as f32).collect(), halo: halo(values, radius) })
    }
    fn plan(&self, input: SlabShape) -> Result<Plan> {
        let scratch_bytes = 8 * (input.dims[0] * input.dims[1]) as u64;
        let cost_per_row = (2 * self.radius() + self.halo as usize + 3) as f64;
        Ok(Plan { halo_below: self.halo, halo_above: self.halo, scratch_bytes, cost_per_row, ..Plan::same(input) })
    }
    fn worker(&self, _: &Plan) -> Result<[Vec<f32>; 2]> {
        Ok([Vec::new(), Vec::new()])
    }
    fn process(&self, [first, second]: &mut [Vec<f32>; 2], host: &Host, input: Input, output: Output) -> Result<()> {
        let [rows, cols] = output.shape.dims;
        first.resize(rows * cols, 0.0);
        second.resize(rows * cols, 0.0);
        let slice = |z: isize| &input.data[z as usize * rows * cols..][..rows * cols];
        match self.halo as isize {
            0 => first.copy_from_slice(slice(0)),
            middle => weigh(first, &self.weights, |d| slice(middle + d)),
        }
        if host.cancelled() {
            return Err(wagiri_plugin::Failure::Cancelled);
        }
        for (y, out) in second.chunks_mut(cols).enumerate() {
            let line = |d: isize| &first[(y as isize + d).clamp(0, rows as isize - 1) as usize * cols..][..cols];
            weigh(out, &self.weights, line);
        }
        let radius = self.radius();
        // A line with its ends repeated, so that each step along x is a shifted look at it.
        let mut wide = vec![0.0; cols + 2 * radius];
        for (out, line) in output.data.chunks_mut(cols).zip(second.chunks(cols)) {
            wide[..radius].fill(line[0]);
            wide[radius..radius + cols].copy_from_slice(line);
            wide[radius + cols..].fill(line[cols - 1]);
            weigh(out, &self.weights, |d| &wide[(radius as isize + d) as usize..][..cols]);
        }
        Ok(())
    }
}

/// 1 inside a range, 0 outside.
pub struct Threshold(Range);

impl Stage for Threshold {
    const ID: &'static CStr = c"slice.threshold";
    const SUMMARY: &'static CStr = c"1 where a voxel is from low to high, 0 elsewhere";
    const INPUT: Domain = Domain::Volume;
    const OUTPUT: Domain = Domain::Volume;
    const PARAMS: &'static [&'static Param] = &[&LOW, &HIGH];
    type Worker = ();

    fn create(_: &Host, _: &Setup, values: &[Value]) -> Result<Self> {
        Ok(Threshold(Range::of(values)?))
    }
    fn worker(&self, _: &Plan) -> Result<()> {
        Ok(())
    }
    fn process(&self, _: &mut (), _: &Host, input: Input, output: Output) -> Result<()> {
        for (out, value) in output.data.iter_mut().zip(input.data) {
            *out = f32::from(self.0.holds(*value));
        }
        Ok(())
    }
}
