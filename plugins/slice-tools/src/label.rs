//! `slice.label`: gives each object a number.

use crate::objects::{CONNECTIVITY, Finder, MIN_VOXELS, Objects, Rules, Size};
use crate::runs::{most_bytes, of_slab};
use crate::{HIGH, LOW, Range};
use std::ffi::CStr;
use std::sync::Mutex;
use wagiri_plugin::{
    Domain, Host, Input, LogLevel, Output, Param, Plan, Result, Setup, SlabShape, Stage, Threading, Value,
};

/// Larger numbers are not all whole numbers of 32-bit floating point.
const MOST_OBJECTS: usize = 1 << 24;

pub struct Label {
    range: Range,
    rules: Rules,
}

/// First looks, then paints.
pub enum Work {
    Looks(Option<Finder<Size>>),
    Paints(Objects<Size>),
}

impl Stage for Label {
    const ID: &'static CStr = c"slice.label";
    const SUMMARY: &'static CStr =
        c"Numbers the objects of a volume 1, 2, ... in the order of their first voxels; 0 outside";
    const INPUT: Domain = Domain::Volume;
    const OUTPUT: Domain = Domain::Volume;
    const THREADING: Threading = Threading::Serial;
    const SURVEYS: bool = true;
    const PARAMS: &'static [&'static Param] = &[&LOW, &HIGH, &CONNECTIVITY, &MIN_VOXELS];
    type Worker = Work;

    fn create(_: &Host, _: &Setup, values: &[Value]) -> Result<Self> {
        Ok(Label { range: Range::of(values)?, rules: Rules::of(&values[2..])? })
    }
    fn plan(&self, input: SlabShape) -> Result<Plan> {
        Ok(Plan { scratch_bytes: most_bytes(input.rows, input.dims), cost_per_row: 4.0, ..Plan::same(input) })
    }
    fn worker(&self, _: &Plan) -> Result<Work> {
        Ok(Work::Looks(None))
    }
    fn survey(&self, work: &mut Work, host: &Host, input: Input) -> Result<()> {
        let Work::Looks(finder) = work else { return Err("rows came after the last one".into()) };
        let [rows, cols] = input.shape.dims;
        let finder = finder.get_or_insert_with(|| Finder::new(self.rules, cols, true));
        let slices = of_slab(host, &input, self.range)?.into_iter().zip(input.data.chunks(rows * cols));
        for (z, (runs, slice)) in (input.first_row..).zip(slices) {
            finder.add(z, slice, runs)?;
        }
        Ok(())
    }
    fn survey_done(&self, work: &mut Work, host: &Host) -> Result<()> {
        let Work::Looks(finder) = work else { return Ok(()) };
        let found = finder.take().ok_or("there are no rows")?.finish();
        let count = found.objects.len();
        if count > MOST_OBJECTS {
            return Err(
                format!("there are {count} objects, at most {MOST_OBJECTS} can be numbered; raise min_voxels").into()
            );
        }
        host.log(LogLevel::Info, &format!("objects: {count}, slices: {}", found.slices()));
        *work = Work::Paints(found);
        Ok(())
    }
    fn process(&self, work: &mut Work, host: &Host, input: Input, output: Output) -> Result<()> {
        let Work::Paints(objects) = work else { return Err("the volume was not looked at first".into()) };
        let [rows, cols] = input.shape.dims;
        let runs = of_slab(host, &input, self.range)?;
        let slices: Vec<_> = output.data.chunks_mut(rows * cols).map(|out| Mutex::new((out, Ok(())))).collect();
        host.parallel_for(slices.len() as u32, |i| {
            let mut slice = slices[i as usize].lock().unwrap_or_else(|e| e.into_inner());
            let (out, outcome) = &mut *slice;
            *outcome = objects.paint(input.first_row + i64::from(i), &runs[i as usize], cols, out);
        })?;
        slices.into_iter().try_for_each(|slice| slice.into_inner().unwrap_or_else(|e| e.into_inner()).1)
    }
}
