//! `volume.paste`: another volume from files, put into the one that comes along.

use super::whole::WholeStage;
use crate::chain::params::Params;
use crate::chain::stage::{ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo, StagePlan};
use crate::error::{Error, Result};
use crate::io;
use crate::post::shape;
use crate::scan::{Scan, ScanShape};
use crate::slab::{Domain, Slab, SlabShape};
use ndarray::{Array3, ArrayViewMut2, Axis};
use rayon::prelude::*;
use std::path::Path;
use std::sync::Arc;

const fn offset(name: &'static str, help: &'static str) -> ParamInfo {
    ParamInfo::int(name, "px", 0, help).range(-1e6, 1e6)
}

static PASTE: StageInfo = StageInfo {
    id: "volume.paste",
    summary: "Puts another volume into this one; what sticks out is left out",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        ParamInfo::new(
            "volume",
            ParamKind::Text,
            "",
            ParamValue::Auto,
            "The other volume: a folder of TIFF slices, or one file",
        )
        .or_auto(),
        offset("x_px", "Column of its first column"),
        offset("y_px", "Line of its first line"),
        offset("z_px", "Slice of its first slice"),
    ],
};

#[derive(Clone, Copy)]
pub(super) struct PasteFactory;

impl StageFactory for PasteFactory {
    fn info(&self) -> &'static StageInfo {
        &PASTE
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let Some(path) = params.text("volume") else {
            return Err(Error::invalid(PASTE.id, "volume: expected a folder of TIFF slices, or one file"));
        };
        let other = io::open_slices(Path::new(path), Domain::Volume, None).map_err(|e| e.at(PASTE.id))?;
        let other = Arc::new(other);
        let [x, y, z] = ["x_px", "y_px", "z_px"].map(|name| params.int(name).unwrap_or(0) as isize);
        let (rows, threads) = (setup.shape.rows, setup.threads as u64);
        let ScanShape { views, cols, .. } = other.shape();
        let scratch_bytes = threads * ((4 * views * cols) as u64 + other.source().decoding_bytes());
        let process = move |mut slab: Slab, run: &mut Run<'_, '_>| {
            let numbers: Vec<isize> =
                (0..slab.data.shape()[0]).map(|i| slab.detector_row(i, rows) as isize - z).collect();
            let slices: Vec<ArrayViewMut2<f32>> = slab.data.outer_iter_mut().collect();
            let pasted = run.context.pool().install(|| {
                let jobs = slices.into_par_iter().zip(numbers);
                jobs.map(|(slice, number)| paste(&other, number, [y, x], slice)).collect::<Vec<_>>()
            });
            pasted.into_iter().collect::<Result<()>>()?;
            run.tick(1.0)?;
            Ok(slab)
        };
        let plan = move |input: SlabShape| StagePlan {
            scratch_bytes,
            cost_per_row: super::cost(input, 1.0),
            ..StagePlan::new(input)
        };
        let stage = WholeStage::in_place(&PASTE, 1.0, Box::new(process));
        Ok(Box::new(WholeStage { plan: Box::new(plan), ..stage }))
    }
}

/// Puts slice `number` of `other`, if there is one, into `slice`.
fn paste(other: &Scan, number: isize, at: [isize; 2], slice: ArrayViewMut2<f32>) -> Result<()> {
    let ScanShape { views, rows, cols, .. } = other.shape();
    let Some(row) = usize::try_from(number).ok().filter(|row| *row < rows) else { return Ok(()) };
    let mut patch = Array3::zeros((1, views, cols));
    other.source().read_band(0..views, row..row + 1, patch.view_mut()).map_err(|e| e.at(PASTE.id))?;
    if let Some(((_, y, x), value)) = patch.indexed_iter().find(|(_, v)| !v.is_finite()) {
        let message = "the slice to be pasted holds a value that is not a finite number; replace such values first";
        return Err(Error::format(PASTE.id, message)
            .with("slice", row)
            .with("row", y)
            .with("column", x)
            .with("value", value));
    }
    shape::place(patch.index_axis(Axis(0), 0), at, slice);
    Ok(())
}
