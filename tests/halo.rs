//! Stages that need neighbouring rows, before and after reconstruction: the result does not depend on how the scan is
//! cut, and at the ends of the detector the outermost row is repeated.

use ndarray::{Array2, Array3, Axis, s};
use std::sync::Arc;
use wagiri::chain::{Params, Registry, Run, RunOptions, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker};
use wagiri::geometry::uniform_angles;
use wagiri::io::MemorySink;
use wagiri::scan::MemorySource;
use wagiri::{Chain, Context, ContextOptions, Domain, Halo, Progress, Result, Scan, Slab, SlabShape};

const HALO: Halo = Halo { below: 2, above: 1 };

/// Row z becomes the sum of the rows z - 2 to z + 1.
struct Sum(&'static StageInfo);

static SUM_OF_SINOGRAMS: StageInfo =
    StageInfo { id: "test.sum-sinogram", summary: "", input: Domain::Sinogram, output: Domain::Sinogram, params: &[] };
static SUM_OF_SLICES: StageInfo =
    StageInfo { id: "test.sum-volume", input: Domain::Volume, output: Domain::Volume, ..SUM_OF_SINOGRAMS };

impl StageFactory for Sum {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn create(&self, _: &Params, _: &Setup) -> Result<Box<dyn Stage>> {
        Ok(Box::new(Sum(self.0)))
    }
}

impl Stage for Sum {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        Ok(StagePlan { halo: HALO, cost_per_row: 1.0, ..StagePlan::new(input) })
    }
    fn worker(&self, _: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(Sum(self.0)))
    }
}

impl Worker for Sum {
    fn process(&mut self, slab: Slab, _: &mut Run<'_, '_>) -> Result<Slab> {
        let halo = Halo { below: slab.halo.below - HALO.below, above: slab.halo.above - HALO.above };
        Ok(Slab { data: sums(&slab.data), halo, ..slab })
    }
}

/// Sums of four neighbouring rows; three fewer rows than before.
fn sums(data: &Array3<f32>) -> Array3<f32> {
    let rows = data.len_of(Axis(0)) - 3;
    let mut out = data.slice(s![..rows, .., ..]).to_owned();
    for k in 1..4 {
        out += &data.slice(s![k..rows + k, .., ..]);
    }
    out
}

/// `sums` with the outermost rows repeated.
fn sums_of_all(data: &Array3<f32>) -> Array3<f32> {
    let last = data.len_of(Axis(0)) - 1;
    let rows: Vec<usize> = (0..last + 4).map(|i| i.saturating_sub(HALO.below).min(last)).collect();
    sums(&data.select(Axis(0), &rows))
}

const ROWS: usize = 21;

fn scan() -> Scan {
    let mut state = 99u32;
    let mut next = move || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        800.0 + (state >> 20) as f32
    };
    let frames = Array3::from_shape_simple_fn((12, ROWS, 24), &mut next);
    let flats = Array3::from_elem((1, ROWS, 24), 9000.0);
    let source = MemorySource::new(frames, flats, Array2::zeros((ROWS, 24))).expect("a scan");
    source.into_scan(uniform_angles(12, 0.0, std::f64::consts::PI), None).expect("a scan")
}

fn run(text: &str, slab_rows: usize) -> Array3<f32> {
    let mut registry = Registry::built_in();
    registry.add_all(vec![Arc::new(Sum(&SUM_OF_SINOGRAMS)), Arc::new(Sum(&SUM_OF_SLICES))]).expect("new stages");
    let chain = Chain::parse(&registry, text).expect("a chain");
    let ctx = Context::new(ContextOptions { threads: Some(2), ..ContextOptions::default() }).expect("a context");
    let shape = if text.contains("recon") { [24, 24] } else { [12, 24] };
    let mut sink = MemorySink::new(0, ROWS, shape);
    let options = RunOptions { slab_rows: Some(slab_rows), ..RunOptions::default() };
    chain.run_into(&ctx, &scan(), &mut sink, &options, &mut Progress::silent()).expect("a run");
    sink.volume
}

#[test]
fn neighbours_of_sinograms_and_slices_with_a_straight_and_a_tilted_axis() {
    let sinograms = sums_of_all(&run("normalise", ROWS));
    assert_eq!(run("normalise | test.sum-sinogram", ROWS), sinograms);
    for axis in ["11.2", "0:9,20:13"] {
        let fbp = format!("recon.fbp center_px={axis} pad=off");
        let slices = sums_of_all(&run(&format!("normalise | {fbp}"), ROWS));
        for slab_rows in [1, 3, 16, ROWS] {
            assert_eq!(run("normalise | test.sum-sinogram", slab_rows), sinograms, "slabs of {slab_rows}");
            let after = run(&format!("normalise | {fbp} | test.sum-volume"), slab_rows);
            assert_eq!(after, slices, "axis {axis}, slabs of {slab_rows}");
        }
        // Two halos add up.
        let both = format!("normalise | test.sum-sinogram | {fbp} | test.sum-volume");
        let whole = run(&both, ROWS);
        for slab_rows in [1, 5, 16] {
            assert_eq!(run(&both, slab_rows), whole, "axis {axis}, slabs of {slab_rows}");
        }
    }
}

#[test]
fn an_axis_that_leaves_the_detector_in_the_halo_is_refused_at_once() {
    let mut registry = Registry::built_in();
    registry.add_all(vec![Arc::new(Sum(&SUM_OF_SLICES))]).expect("a new stage");
    let text = "normalise | recon.fbp center_px=0:20,10:24 | test.sum-volume";
    let chain = Chain::parse(&registry, text).expect("a chain");
    let ctx = Context::new(ContextOptions::default()).expect("a context");
    let plan = |end: usize| {
        let options = RunOptions { rows: Some(0..end), ..RunOptions::default() };
        chain.plan(&ctx, &scan(), &options, &mut Progress::silent())
    };
    assert!(plan(7).is_ok());
    assert!(plan(8).expect_err("row 8 is at 23.2 px").to_string().contains("0 to 23 px"));
}
