//! How often a run reads what: every row of every view once where the budget allows it, else no more often than planned;
//! and the same slices in any case.

use ndarray::{Array3, ArrayViewMut2, ArrayViewMut3, s};
use std::f64::consts::PI;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use wagiri::chain::RunOptions;
use wagiri::geometry::uniform_angles;
use wagiri::io::MemorySink;
use wagiri::scan::{CountType, Frame, FrameSource, Grain, ScanInfo, ScanShape};
use wagiri::{Chain, Context, ContextOptions, Progress, Result, Scan};

const VIEWS: usize = 24;
const ROWS: usize = 150;
const COLS: usize = 29;
const CHAIN: &str = "normalise | recon.fbp center_px=14.2 pixel_um=2 pad=on";

/// Counts how often each row of each view is read. All rows of a grain count, for all of them have to be decoded.
struct Counting {
    /// `[view, row, col]`.
    frames: Array3<u16>,
    kind: CountType,
    grain: Grain,
    reads: Arc<Vec<AtomicU32>>,
}

impl Counting {
    fn count(&self, view: usize, rows: &Range<usize>) {
        let grain = self.grain.rows;
        for row in rows.start / grain * grain..rows.end.next_multiple_of(grain).min(ROWS) {
            self.reads[view * ROWS + row].fetch_add(1, Relaxed);
        }
    }
}

impl FrameSource for Counting {
    fn shape(&self) -> ScanShape {
        ScanShape { views: VIEWS, rows: ROWS, cols: COLS, flats: 1 }
    }
    fn read_rows(&self, frame: Frame, rows: Range<usize>, mut out: ArrayViewMut2<f32>) -> Result<()> {
        match frame {
            Frame::View(view) => {
                self.count(view, &rows);
                out.assign(&self.frames.slice(s![view, rows, ..]).mapv(f32::from));
            }
            Frame::Dark => out.fill(100.0),
            _ => out.fill(5000.0),
        }
        Ok(())
    }
    fn count_type(&self) -> CountType {
        self.kind
    }
    fn read_band_u16(&self, views: Range<usize>, rows: Range<usize>, mut out: ArrayViewMut3<u16>) -> Result<()> {
        for (k, view) in views.enumerate() {
            self.count(view, &rows);
            out.slice_mut(s![.., k, ..]).assign(&self.frames.slice(s![view, rows.clone(), ..]));
        }
        Ok(())
    }
    fn grain(&self) -> Grain {
        self.grain
    }
    fn frame_bytes(&self) -> u64 {
        0
    }
}

struct Outcome {
    volume: Array3<f32>,
    /// Reads of each row, `[view][row]`, rows of the run only.
    reads: Vec<u32>,
    slabs: usize,
}

fn run(kind: CountType, grain_rows: usize, rows: Range<usize>, memory_bytes: u64, threads: usize) -> Outcome {
    let mut state = 1u32;
    let frames = Array3::from_shape_simple_fn((VIEWS, ROWS, COLS), || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        1000 + (state >> 20) as u16
    });
    let reads: Arc<Vec<AtomicU32>> = Arc::new((0..VIEWS * ROWS).map(|_| AtomicU32::new(0)).collect());
    let grain = Grain { views: 1, rows: grain_rows };
    let source = Counting { frames, kind, grain, reads: reads.clone() };
    let info = ScanInfo {
        angles_rad: uniform_angles(VIEWS, 0.0, PI),
        view_time: (0..VIEWS).map(|m| m as f64).collect(),
        flat_time: vec![0.0],
        ..ScanInfo::default()
    };
    let scan = Scan::new(Box::new(source), info).expect("a scan");
    let options = ContextOptions { threads: Some(threads), memory_bytes: Some(memory_bytes), ..Default::default() };
    let ctx = Context::new(options).expect("a context");
    let chain = Chain::parse(&ctx.registry(), CHAIN).expect("a chain");
    let mut sink = MemorySink::new(rows.start, rows.len(), [COLS, COLS]);
    let options = RunOptions { rows: Some(rows.clone()), ..RunOptions::default() };
    let summary = chain.run_into(&ctx, &scan, &mut sink, &options, &mut Progress::silent()).expect("a run");
    let of_run = (0..VIEWS).flat_map(|view| rows.clone().map(move |row| view * ROWS + row));
    let reads = of_run.map(|i| reads[i].load(Relaxed)).collect();
    Outcome { volume: sink.volume, reads, slabs: rows.len().div_ceil(summary.slab_rows) }
}

/// More than enough for everything.
const AMPLE: u64 = 1 << 30;

#[test]
fn with_an_ample_budget_each_row_of_each_view_is_read_once() {
    // Plain rows, strips, strips that do not divide the detector, whole frames.
    for grain in [1, 8, 23, ROWS] {
        for (kind, threads) in [(CountType::U16, 1), (CountType::U16, 3), (CountType::F32, 2)] {
            let outcome = run(kind, grain, 0..ROWS, AMPLE, threads);
            assert!(outcome.reads.iter().all(|n| *n == 1), "grain {grain}, {kind:?}: {:?}", &outcome.reads[..ROWS]);
        }
    }
}

#[test]
fn a_tight_budget_reads_as_often_as_planned_and_gives_the_same_slices() {
    let expected = run(CountType::F32, 1, 0..ROWS, AMPLE, 1).volume;
    for (budget, grain) in [(80_000, 1), (300_000, 1), (80_000, 8), (160_000, ROWS), (300_000, ROWS)] {
        let outcome = run(CountType::U16, grain, 0..ROWS, budget, 2);
        assert!(outcome.volume == expected, "budget {budget}, grain {grain}");
        // Once by the survey, and by each slab that touches the grain.
        let planned = 1 + if grain == ROWS { outcome.slabs as u32 } else { 2 };
        let most = *outcome.reads.iter().max().expect("reads");
        assert!(most <= planned, "budget {budget}, grain {grain}: read {most} times, {planned} planned");
        if grain == 1 {
            // 32 of 150 rows are looked at by the survey; none is read a third time.
            let twice = outcome.reads.iter().filter(|n| **n == 2).count();
            assert!(most <= 2 && twice <= VIEWS * 32, "{twice} rows read twice");
        }
    }
}

#[test]
fn rows_that_are_not_wanted_are_not_kept() {
    let all = run(CountType::U16, 1, 0..ROWS, AMPLE, 2).volume;
    let some = run(CountType::U16, 8, 61..90, AMPLE, 2);
    assert!(some.reads.iter().all(|n| *n <= 2));
    assert!(some.volume == all.slice(s![61..90, .., ..]));
}
