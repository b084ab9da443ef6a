//! The whole pipeline on files: time on the clock against reading and writing alone and against computing alone, peak memory
//! against budget, scaling with threads and slices. Prints Markdown.
//!
//! `cargo bench --bench pipeline -- [ROWS [COLS [VIEWS]]]`; without numbers 64 slices of 2048 columns and 1800 views, which
//! take 0.5 GB on the disk and another 1.1 GB for the slices. Everything is made below `target/tmp`; the scan stays.

mod measure;
mod scan_maker;

use measure::{peak_memory, processor_seconds};
use ndarray::{Array3, ArrayView2, ArrayViewMut2, ArrayViewMut3, s};
use scan_maker::{Size, make};
use std::f64::consts::PI;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
use wagiri::chain::{RunOptions, SliceSink};
use wagiri::geometry::{Center, uniform_angles};
use wagiri::io::{Levels, SampleType, SliceMeta, TiffSink};
use wagiri::scan::{CountType, Frame, FrameSource, ScanInfo, ScanOptions, ScanShape};
use wagiri::{Chain, Context, ContextOptions, Progress, Result, Scan};

fn main() {
    // Cargo adds words of its own.
    let numbers: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let number = |i: usize, usual: usize| numbers.get(i).copied().unwrap_or(usual);
    let size = Size { rows: number(0, 64), cols: number(1, 2048), views: number(2, 1800) };
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (scan, out) = (place.join("pipeline-scan"), place.join("pipeline-out"));
    make(&scan, size).expect("room for the scan");
    let chain = format!("normalise | ring.sort | recon.fbp center_px={} pixel_um=1", (size.cols as f64 - 1.0) / 2.0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("## Pipeline\n");
    println!(
        "{} slices of {} columns and {} views, from 16-bit `.img` files to 32-bit TIFF.\n",
        size.rows, size.cols, size.views
    );

    println!("| what | threads | slices | s on the clock | core-s per slice |\n| --- | --- | --- | --- | --- |");
    let (all, counts) = (size.rows, counts(size));
    // The first run in a process touches its memory for the first time, which virtual machines make dear.
    compute_alone(&chain, &counts, all, threads);
    let disk =
        row("reading alone", 1, all, || read_alone(&scan)) + row("writing alone", 1, all, || write_alone(&out, size));
    let compute = row("computing alone", threads, all, || compute_alone(&chain, &counts, all, threads));
    let run = row("everything", threads, all, || whole(&chain, &scan, &out, threads));
    for slices in [16, 512] {
        row("computing alone", threads, slices, || compute_alone(&chain, &counts, slices, threads));
    }
    // In turns, so that what else the machine does weighs on both; the shorter of each counts.
    let (mut alone, mut together) = (f64::INFINITY, compute);
    for _ in 0..2 {
        alone = row("computing alone", 1, all, || compute_alone(&chain, &counts, all, 1)).min(alone);
        together = row("computing alone", threads, all, || compute_alone(&chain, &counts, all, threads)).min(together);
    }
    let ratio = run / disk.max(compute);
    println!("\nEverything takes {ratio:.2} x the slower of disk ({disk:.2} s) and computing ({compute:.2} s);");
    println!("{threads} threads compute {:.2} x as fast as one.\n", alone / together);

    println!(
        "| budget, GiB | peak, GiB | peak / budget | s on the clock | same bytes |\n| --- | --- | --- | --- | --- |"
    );
    let mut expected = None;
    for gib in [1u64, 2, 4, 8] {
        let started = Instant::now();
        let peak = peak_of_program(&chain, &scan, &out, (gib << 30) as f64 / 1e9);
        let seconds = started.elapsed().as_secs_f64();
        let sum = fingerprint(&out);
        let same = *expected.get_or_insert(sum) == sum;
        let peak_gib = peak as f64 / (1u64 << 30) as f64;
        println!("| {gib} | {peak_gib:.2} | {:.2} | {seconds:.2} | {same} |", peak_gib / gib as f64);
    }
    let _ = fs::remove_dir_all(&out);
}

/// Prints a line of the table; `work` returns its seconds on the clock.
fn row(what: &str, threads: usize, slices: usize, work: impl FnOnce() -> f64) -> f64 {
    let before = processor_seconds();
    let seconds = work();
    let core = before.zip(processor_seconds()).map_or(f64::NAN, |(before, after)| after - before);
    println!("| {what} | {threads} | {slices} | {seconds:.2} | {:.3} |", core / slices as f64);
    seconds
}

fn clock(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64()
}

fn context(threads: usize) -> Context {
    Context::new(ContextOptions { threads: Some(threads), ..Default::default() }).expect("a context")
}

fn read_alone(path: &Path) -> f64 {
    let scan = wagiri::io::open(path, &ScanOptions::default()).expect("the scan");
    let shape = scan.shape();
    let mut band = Array3::<u16>::zeros((16.min(shape.rows), shape.views, shape.cols));
    clock(|| {
        for first in (0..shape.rows).step_by(16) {
            let rows = first..(first + 16).min(shape.rows);
            let out = band.slice_mut(s![..rows.len(), .., ..]);
            scan.source().read_band_u16(0..shape.views, rows, out).expect("a band");
        }
    })
}

fn write_alone(out: &Path, size: Size) -> f64 {
    let _ = fs::remove_dir_all(out);
    let slice = ndarray::Array2::from_shape_fn((size.cols, size.cols), |(y, x)| (y * 7 + x * 13) as f32);
    let meta = SliceMeta {
        pixel_um: 1.0,
        center: Center::Fixed(0.0),
        views: size.views,
        angle_offset_rad: 0.0,
        artist: "bench".into(),
        names: None,
        levels: None,
        described: true,
    };
    clock(|| {
        let mut sink = TiffSink::new(out, SampleType::F32, Levels::Range(None, None), meta).expect("a folder");
        (0..size.rows).for_each(|z| sink.write(z, slice.view()).expect("a slice"));
        sink.finish(&mut || Ok(())).expect("the end");
    })
}

/// 16 rows of counts in memory, shown again and again: no disk, any number of rows.
struct Shown {
    counts: Arc<Array3<u16>>,
    shape: ScanShape,
}

impl FrameSource for Shown {
    fn shape(&self) -> ScanShape {
        self.shape
    }
    fn read_rows(&self, frame: Frame, rows: Range<usize>, mut out: ArrayViewMut2<f32>) -> Result<()> {
        match frame {
            Frame::View(m) => {
                for (mut out, row) in out.outer_iter_mut().zip(rows) {
                    out.assign(&self.counts.slice(s![row % 16, m, ..]).mapv(f32::from));
                }
            }
            Frame::Dark => out.fill(100.0),
            _ => out.fill(20_000.0),
        }
        Ok(())
    }
    fn count_type(&self) -> CountType {
        CountType::U16
    }
    fn read_band_u16(&self, views: Range<usize>, rows: Range<usize>, mut out: ArrayViewMut3<u16>) -> Result<()> {
        for (mut out, row) in out.outer_iter_mut().zip(rows) {
            out.assign(&self.counts.slice(s![row % 16, views.clone(), ..]));
        }
        Ok(())
    }
    fn frame_bytes(&self) -> u64 {
        0
    }
}

/// Takes slices and forgets them.
struct Nowhere;

impl SliceSink for Nowhere {
    fn write(&mut self, _: usize, _: ArrayView2<f32>) -> Result<()> {
        Ok(())
    }
}

/// `[row, view, col]`: a disc, and some noise.
fn counts(size: Size) -> Arc<Array3<u16>> {
    let line = |n: usize| {
        let d = (n as f64 - size.cols as f64 / 2.0) / size.cols as f64;
        (100.0 + 20_000.0 * (-2.0 * (0.16 - d * d).max(0.0).sqrt()).exp()) as u16
    };
    let line: Vec<u16> = (0..size.cols).map(line).collect();
    Arc::new(Array3::from_shape_fn((16, size.views, size.cols), |(z, m, n)| {
        line[n] + ((m * 31 + n * 17 + z * 7) % 101) as u16
    }))
}

fn compute_alone(chain: &str, counts: &Arc<Array3<u16>>, rows: usize, threads: usize) -> f64 {
    let (_, views, cols) = counts.dim();
    let shape = ScanShape { views, rows, cols, flats: 1 };
    let info = ScanInfo {
        angles_rad: uniform_angles(views, 0.0, PI),
        view_time: (0..views).map(|m| m as f64).collect(),
        flat_time: vec![0.0],
        ..ScanInfo::default()
    };
    let scan = Scan::new(Box::new(Shown { counts: counts.clone(), shape }), info).expect("a scan");
    let ctx = context(threads);
    let chain = Chain::parse(&ctx.registry(), chain).expect("a chain");
    clock(|| {
        let options = RunOptions::default();
        chain.run_into(&ctx, &scan, &mut Nowhere, &options, &mut Progress::silent()).expect("a run");
    })
}

fn whole(chain: &str, scan: &Path, out: &Path, threads: usize) -> f64 {
    let _ = fs::remove_dir_all(out);
    clock(|| {
        let scan = wagiri::io::open(scan, &ScanOptions::default()).expect("the scan");
        let ctx = context(threads);
        let chain = Chain::parse(&ctx.registry(), chain).expect("a chain");
        chain.run(&ctx, &scan, out, &RunOptions::default(), &mut Progress::silent()).expect("a run");
    })
}

/// Peak memory in RAM of the program with a budget, bytes; 0 where the system does not tell it.
fn peak_of_program(chain: &str, scan: &Path, out: &Path, gb: f64) -> u64 {
    let _ = fs::remove_dir_all(out);
    let mut command = Command::new(env!("CARGO_BIN_EXE_wagiri"));
    command.arg("run").arg(scan).arg(out).args(["--chain", chain, "--memory-gb", &gb.to_string()]);
    let (ended, peak) = peak_memory(&mut command);
    assert!(ended.success(), "the program failed with {gb} GB");
    peak
}

/// A number that two volumes share only if all bytes do (FNV-1a).
fn fingerprint(out: &Path) -> u64 {
    let mut files: Vec<PathBuf> = fs::read_dir(out).expect("the slices").map(|e| e.expect("a slice").path()).collect();
    files.sort();
    files.iter().fold(0xcbf2_9ce4_8422_2325, |sum, file| {
        fs::read(file)
            .expect("a slice")
            .iter()
            .fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
    })
}
