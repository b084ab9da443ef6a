//! `slice.erode`, `slice.dilate`, and one after the other `slice.open`, `slice.close`. At the edges of a slice the outermost
//! voxels are repeated, as wagiri repeats the outermost slices.

use std::ffi::CStr;
use std::sync::Mutex;
use wagiri_plugin::{
    Domain, Failure, Host, Input, Output, Param, Plan, Result, Setup, SlabShape, Stage, Text, Threading, Value,
    c_text_array,
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
    /// One slice out of those around it; `choose` takes the better of two values, whatever their order.
    fn apply(
        &self,
        choose: impl Fn(f32, f32) -> f32,
        host: &Host,
        input: &[f32],
        [rows, cols]: [usize; 2],
        output: &mut [f32],
    ) -> Result<()> {
        for (y, out) in output.chunks_mut(cols).enumerate() {
            if host.cancelled() {
                return Err(Failure::Cancelled);
            }
            out.copy_from_slice(&input[(self.halo * rows + y) * cols..][..cols]);
            for [dz, dy, reach] in &self.lines {
                let z = (self.halo as isize + dz) as usize;
                let y = (y as isize + dy).clamp(0, rows as isize - 1) as usize;
                let line = &input[(z * rows + y) * cols..][..cols];
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
                self.0.apply($choose, host, input.data, output.shape.dims, output.data)
            }
        }
    };
}

fn smaller(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

morphology!(
    /// Smallest value of a ball.
    Erode,
    c"slice.erode",
    c"Smallest value within a disc or ball: objects shrink, thin ones go",
    smaller
);
morphology!(
    /// Largest value of a ball.
    Dilate,
    c"slice.dilate",
    c"Largest value within a disc or ball: objects grow, gaps close",
    larger
);

/// Two passes over a slab: the first one makes the slices that the second one needs around its own.
fn twice(
    ball: &Ball,
    host: &Host,
    input: Input,
    output: Output,
    first: impl Fn(f32, f32) -> f32 + Sync,
    second: impl Fn(f32, f32) -> f32 + Sync,
) -> Result<()> {
    let dims = output.shape.dims;
    let slice = dims[0] * dims[1];
    let around = 2 * ball.halo + 1;
    let between = host.scratch((output.shape.rows + 2 * ball.halo) * slice)?;
    let pass = |from: &[f32], to: &mut [f32], choose: &(dyn Fn(f32, f32) -> f32 + Sync)| -> Result<()> {
        let slices: Vec<_> = to.chunks_mut(slice).map(|out| Mutex::new((out, Ok(())))).collect();
        host.parallel_for(slices.len() as u32, |z| {
            let mut slice_of = slices[z as usize].lock().unwrap_or_else(|e| e.into_inner());
            let (out, outcome) = &mut *slice_of;
            *outcome = ball.apply(choose, host, &from[z as usize * slice..][..around * slice], dims, out);
        })?;
        slices.into_iter().try_for_each(|slice| slice.into_inner().unwrap_or_else(|e| e.into_inner()).1)
    };
    pass(input.data, between, &first)?;
    pass(between, output.data, &second)
}

macro_rules! in_turn {
    ($(#[$doc:meta])* $name:ident, $id:literal, $summary:literal, $first:ident, $second:ident) => {
        $(#[$doc])*
        pub struct $name(Ball);

        impl Stage for $name {
            const ID: &'static CStr = $id;
            const SUMMARY: &'static CStr = $summary;
            const INPUT: Domain = Domain::Volume;
            const OUTPUT: Domain = Domain::Volume;
            const THREADING: Threading = Threading::Serial;
            const PARAMS: &'static [&'static Param] = &[&RADIUS, &SPACE];
            type Worker = ();

            fn create(_: &Host, _: &Setup, values: &[Value]) -> Result<Self> {
                Ok($name(Ball::of(values)?))
            }
            fn plan(&self, input: SlabShape) -> Result<Plan> {
                let one = self.0.plan(input);
                let halo = 2 * one.halo_below;
                let rows = input.rows.saturating_sub(one.halo_below as usize * 2);
                Ok(Plan {
                    halo_below: halo,
                    halo_above: halo,
                    scratch_bytes: (4 * rows * input.dims[0] * input.dims[1]) as u64,
                    cost_per_row: 2.0 * one.cost_per_row,
                    ..one
                })
            }
            fn worker(&self, _: &Plan) -> Result<()> {
                Ok(())
            }
            fn process(&self, _: &mut (), host: &Host, input: Input, output: Output) -> Result<()> {
                twice(&self.0, host, input, output, $first, $second)
            }
        }
    };
}

in_turn!(
    /// Erosion, then dilation.
    Open,
    c"slice.open",
    c"Erosion, then dilation by the same disc or ball: what is thinner goes, the rest keeps its size",
    smaller,
    larger
);
in_turn!(
    /// Dilation, then erosion.
    Close,
    c"slice.close",
    c"Dilation, then erosion by the same disc or ball: gaps that are narrower close, the rest keeps its size",
    larger,
    smaller
);
