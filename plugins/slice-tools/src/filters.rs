//! `slice.erode`, `slice.dilate`, `slice.threshold`. At the edges of a slice the outermost voxels are repeated, as wagiri
//! repeats the outermost slices.

use crate::{HIGH, LOW, Range};
use std::ffi::CStr;
use wagiri_plugin::{
    Domain, Failure, Host, Input, Output, Param, Plan, Result, Setup, SlabShape, Stage, Text, Value, c_text_array,
};

const RADIUS: Param =
    Param::float(c"radius_px", c"1.0").unit(c"px").range(0.0, 30.0).help(c"Of the disc or ball around each voxel");
const SPACES: &[Text] = &c_text_array([c"2d", c"3d"]);
const SPACE: Param = Param::choice(c"space", c"3d", SPACES).help(c"A disc in each slice, or a ball over slices");

/// The voxels around one voxel: steps in z and y, and how far they reach to either side in x.
struct Ball {
    lines: Vec<[isize; 3]>,
    halo: usize,
}

impl Ball {
    /// From the values of [`RADIUS`] and [`SPACE`].
    fn of(values: &[Value]) -> Result<Ball> {
        let radius = values.first().and_then(Value::float).ok_or("radius_px is not a number")?;
        let reach = radius as isize;
        let halo = if values.get(1).and_then(Value::text) == Some("3d") { reach } else { 0 };
        let mut lines = Vec::new();
        for (z, y) in (-halo..=halo).flat_map(|z| (-reach..=reach).map(move |y| (z, y))) {
            let rest = radius * radius - (z * z + y * y) as f64;
            if rest >= 0.0 {
                lines.push([z, y, rest.sqrt() as isize]);
            }
        }
        Ok(Ball { lines, halo: halo as usize })
    }
    fn plan(&self, input: SlabShape) -> Plan {
        let halo = self.halo as u32;
        let voxels: isize = self.lines.iter().map(|[_, _, reach]| 2 * reach + 1).sum();
        Plan { halo_below: halo, halo_above: halo, cost_per_row: voxels as f64, ..Plan::same(input) }
    }
    /// One slice; `choose` takes the better of two values, whatever their order.
    fn apply(&self, choose: impl Fn(f32, f32) -> f32, host: &Host, input: Input, output: Output) -> Result<()> {
        let [rows, cols] = output.shape.dims;
        for (y, out) in output.data.chunks_mut(cols).enumerate() {
            if host.cancelled() {
                return Err(Failure::Cancelled);
            }
            out.copy_from_slice(&input.data[(self.halo * rows + y) * cols..][..cols]);
            for [dz, dy, reach] in &self.lines {
                let z = (self.halo as isize + dz) as usize;
                let y = (y as isize + dy).clamp(0, rows as isize - 1) as usize;
                let line = &input.data[(z * rows + y) * cols..][..cols];
                for dx in 0..=*reach as usize {
                    // Beyond an end of the line its last voxel is meant.
                    let dx = dx.min(cols - 1);
                    let (left, right) = (line[0], line[cols - 1]);
                    out[..dx].iter_mut().for_each(|out| *out = choose(*out, left));
                    out[cols - dx..].iter_mut().for_each(|out| *out = choose(*out, right));
                    out[dx..].iter_mut().zip(line).for_each(|(out, v)| *out = choose(*out, *v));
                    out.iter_mut().zip(&line[dx..]).for_each(|(out, v)| *out = choose(*out, *v));
                }
            }
        }
        Ok(())
    }
}

macro_rules! morphology {
    ($(#[$doc:meta])* $name:ident, $id:literal, $summary:literal, $choose:expr) => {
        $(#[$doc])*
        pub struct $name(Ball);

        impl Stage for $name {
            const ID: &'static CStr = $id;
            const SUMMARY: &'static CStr = $summary;
            const INPUT: Domain = Domain::Volume;
            const OUTPUT: Domain = Domain::Volume;
            const PARAMS: &'static [&'static Param] = &[&RADIUS, &SPACE];
            type Worker = ();

            fn create(_: &Host, _: &Setup, values: &[Value]) -> Result<Self> {
                Ok($name(Ball::of(values)?))
            }
            fn plan(&self, input: SlabShape) -> Result<Plan> {
                Ok(self.0.plan(input))
            }
            fn worker(&self, _: &Plan) -> Result<()> {
                Ok(())
            }
            fn process(&self, _: &mut (), host: &Host, input: Input, output: Output) -> Result<()> {
                self.0.apply($choose, host, input, output)
            }
        }
    };
}

morphology!(
    /// Smallest value of a ball.
    Erode,
    c"slice.erode",
    c"Smallest value within a disc or ball: objects shrink, thin ones go",
    |a, b| if b < a { b } else { a }
);
morphology!(
    /// Largest value of a ball.
    Dilate,
    c"slice.dilate",
    c"Largest value within a disc or ball: objects grow, gaps close",
    |a, b| if b > a { b } else { a }
);

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
