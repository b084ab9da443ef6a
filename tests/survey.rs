//! Stages that look at all rows before the first leaves: they see each row once and in order, however the scan is cut,
//! and the slices are the same bits.

use ndarray::{Array2, Array3, Axis, s};
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex};
use wagiri::chain::{Params, Registry, Run, RunOptions, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker};
use wagiri::geometry::uniform_angles;
use wagiri::io::MemorySink;
use wagiri::scan::MemorySource;
use wagiri::{Chain, Context, ContextOptions, Domain, ErrorKind, Halo, Progress, Result, Scan, Slab, SlabShape};

const ROWS: usize = 21;
/// Rows that the stages below need around each of theirs.
const HALO: Halo = Halo { below: 2, above: 1 };

/// What the surveys of one run saw: stage, detector row.
type Seen = Arc<Mutex<Vec<(&'static str, usize)>>>;

/// Divides by the largest value of all rows, and looks around itself: row z becomes the sum of the rows z - 2 to z + 1.
struct Level(&'static StageInfo, Seen, bool);

static FIRST: StageInfo =
    StageInfo { id: "test.first", summary: "", input: Domain::Sinogram, output: Domain::Sinogram, params: &[] };
static SECOND: StageInfo = StageInfo { id: "test.second", ..FIRST };
static AROUND: StageInfo = StageInfo { id: "test.around", ..FIRST };

impl StageFactory for Level {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn create(&self, _: &Params, _: &Setup) -> Result<Box<dyn Stage>> {
        Ok(Box::new(Level(self.0, self.1.clone(), self.2)))
    }
}

impl Stage for Level {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        Ok(StagePlan { halo: HALO, cost_per_row: 1.0, ..StagePlan::new(input) })
    }
    fn surveys(&self) -> bool {
        self.2
    }
    fn worker(&self, _: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(Work { stage: self, largest: 0.0, done: !self.2, processed: 0 }))
    }
}

struct Work<'s> {
    stage: &'s Level,
    largest: f32,
    done: bool,
    processed: usize,
}

impl Worker for Work<'_> {
    fn survey(&mut self, slab: &Slab, _: &mut Run<'_, '_>) -> Result<()> {
        assert!(!self.done && slab.halo == Halo::default());
        self.stage.1.lock().unwrap().extend(slab.own_rows().map(|row| (self.stage.0.id, row)));
        self.largest = slab.data.fold(self.largest, |a, b| a.max(*b));
        Ok(())
    }
    fn survey_done(&mut self, _: &mut Run<'_, '_>) -> Result<()> {
        self.done = true;
        Ok(())
    }
    fn process(&mut self, slab: Slab, _: &mut Run<'_, '_>) -> Result<Slab> {
        assert!(self.done, "{} before its survey", self.stage.0.id);
        self.processed += slab.data.len_of(Axis(0));
        let rows = slab.data.len_of(Axis(0)) - 3;
        let mut data = slab.data.slice(s![..rows, .., ..]).to_owned();
        for k in 1..4 {
            data += &slab.data.slice(s![k..rows + k, .., ..]);
        }
        if self.stage.2 {
            data /= self.largest;
        }
        let halo = Halo { below: slab.halo.below - HALO.below, above: slab.halo.above - HALO.above };
        Ok(Slab { data, halo, ..slab })
    }
    fn remarks(&self) -> Vec<String> {
        vec![format!("{}: {} rows processed", self.stage.0.id, self.processed)]
    }
}

fn scan() -> Scan {
    let mut state = 99u32;
    let mut next = move || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        800.0 + (state >> 20) as f32
    };
    let frames = Array3::from_shape_simple_fn((6, ROWS, 10), &mut next);
    let flats = Array3::from_elem((1, ROWS, 10), 9000.0);
    let source = MemorySource::new(frames, flats, Array2::zeros((ROWS, 10))).expect("a scan");
    source.into_scan(uniform_angles(6, 0.0, std::f64::consts::PI), None).expect("a scan")
}

fn context() -> Context {
    Context::new(ContextOptions { threads: Some(2), ..ContextOptions::default() }).expect("a context")
}

fn chain(text: &str) -> (Chain, Seen) {
    let seen = Seen::default();
    let mut registry = Registry::built_in();
    let stage = |info, surveys| Arc::new(Level(info, seen.clone(), surveys)) as Arc<dyn StageFactory>;
    registry.add_all(vec![stage(&FIRST, true), stage(&SECOND, true), stage(&AROUND, false)]).expect("new stages");
    (Chain::parse(&registry, text).expect("a chain"), seen)
}

struct Ran {
    volume: Array3<f32>,
    seen: Vec<(&'static str, usize)>,
    remarks: Vec<String>,
}

fn run(text: &str, rows: Range<usize>, slab_rows: usize) -> Ran {
    let (chain, seen) = chain(text);
    let mut sink = MemorySink::new(rows.start, rows.len(), [6, 10]);
    let options = RunOptions { rows: Some(rows), slab_rows: Some(slab_rows), ..RunOptions::default() };
    let mut last = 0.0;
    let mut progress = Progress::new(|report| {
        assert!(report.fraction >= last, "{} after {last}", report.fraction);
        last = report.fraction;
        ControlFlow::Continue(())
    });
    let summary = chain.run_into(&context(), &scan(), &mut sink, &options, &mut progress).expect("a run");
    drop(progress);
    assert!((last - 1.0).abs() < 1e-9, "the end is at {last}");
    let seen = seen.lock().unwrap().clone();
    Ran { volume: sink.volume, seen, remarks: summary.remarks }
}

fn each_once(id: &'static str, rows: Range<usize>) -> Vec<(&'static str, usize)> {
    rows.map(|row| (id, row)).collect()
}

#[test]
fn every_row_is_seen_once_and_the_cut_does_not_show() {
    for text in ["normalise | test.first", "normalise | test.around | test.first | test.around"] {
        let whole = run(text, 0..ROWS, ROWS);
        assert_eq!(whole.seen, each_once("test.first", 0..ROWS));
        for slab_rows in [1, 3, 7, 16] {
            let cut = run(text, 0..ROWS, slab_rows);
            assert_eq!((cut.volume, cut.seen), (whole.volume.clone(), whole.seen.clone()), "{text}, {slab_rows}");
        }
    }
}

#[test]
fn several_look_in_the_order_of_the_chain_and_remarks_are_of_one_pass() {
    let text = "normalise | test.around | test.first | test.second";
    let whole = run(text, 0..ROWS, ROWS);
    assert_eq!(whole.seen, [each_once("test.first", 0..ROWS), each_once("test.second", 0..ROWS)].concat());
    let remark = "test.first, test.second look at all rows first: the scan is gone through 3 times";
    assert!(whole.remarks.iter().any(|r| r == remark), "{:?}", whole.remarks);
    // In the pass that is written only: two parts, each with 3 rows around it for each of the three stages.
    let counted = format!("test.around: {} rows processed", ROWS + 2 * 9);
    assert!(whole.remarks.contains(&counted), "{:?}", whole.remarks);
    assert_eq!(run(text, 0..ROWS, 3).volume, whole.volume);
}

#[test]
fn some_rows_are_seen_with_those_that_later_stages_need_around_them() {
    // Its own rows around, and those of the stage after it.
    let some = run("normalise | test.first | test.around", 8..12, 2);
    assert_eq!(some.seen, each_once("test.first", 4..14));
    // As far as the detector goes.
    let low = run("normalise | test.first", 0..2, 2);
    assert_eq!(low.seen, each_once("test.first", 0..3));
}

#[test]
fn the_plan_tells_and_a_chain_without_survey_is_read_once() {
    let plan = |text: &str| {
        let (chain, _) = chain(text);
        chain.plan(&context(), &scan(), &RunOptions::default(), &mut Progress::silent()).expect("a plan").remarks
    };
    let remark = "test.first looks at all rows first: the scan is gone through 2 times";
    assert!(plan("normalise | test.first").contains(&remark.to_owned()));
    assert!(plan("normalise | test.around").iter().all(|r| !r.contains("gone through")));
    assert!(run("normalise | test.around", 0..ROWS, 4).seen.is_empty());
}

#[test]
fn a_survey_can_be_stopped() {
    let (chain, seen) = chain("normalise | test.first");
    let mut sink = MemorySink::new(0, ROWS, [6, 10]);
    let options = RunOptions { slab_rows: Some(1), ..RunOptions::default() };
    let stop = || if seen.lock().unwrap().len() >= 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let mut progress = Progress::new(|_| stop());
    let error = chain.run_into(&context(), &scan(), &mut sink, &options, &mut progress).expect_err("stopped");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(seen.lock().unwrap().len(), 3);
}
