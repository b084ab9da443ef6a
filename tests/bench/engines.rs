//! Speed of ring removal and of the back-projection engines on one core: `make bench` writes it to docs/benchmarks.md.
//!
//! Core-seconds, because they compare across machines with different numbers of cores; on Linux it is processor time, so
//! that other programs on the machine disturb less, elsewhere time on the clock. An update is one view added to one pixel
//! of the reconstructed circle; the engine's time includes filtering. Each figure is the median of its runs.

#[path = "../common/mod.rs"]
mod common;

use common::accuracy::{AccuracyCase, difference};
use ndarray::{Array2, Array3, Axis};
use std::f64::consts::PI;
use std::time::Instant;
use wagiri::geometry::{uniform_angles, view_weights};
use wagiri::recon::{Engine, Fbp, FbpOptions, Filter, Isa};
use wagiri::rings;

const KERNEL_PX: usize = 5;

/// Columns, views, runs. The direct and the Fourier engine get 16 slices at a time, the direct one also one; the reference
/// engine one, and only if small.
const CASES: [(usize, usize, usize); 2] = [(1024, 900, 3), (2048, 1800, 1)];
const SLICES: usize = 16;

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    println!("# Benchmarks\n");
    println!("Written by `make bench`; do not edit. Commit {}, wagiri {}.", commit(), wagiri::VERSION);
    println!("Machine: {}. One thread; others may have used the machine at the same time.\n", processor());
    println!("Filter chesler, no pad, axis in the middle. An update is one view added to one pixel of the circle;");
    println!(
        "the time of an engine includes filtering. Ring removal is `ring.sort` with a kernel of {KERNEL_PX} px.\n"
    );
    println!(
        "The direct engine is measured with each instruction set of the processor; the last column compares it with"
    );
    println!("plain loops over one slice in the same run.\n");
    println!("| columns x views | what | slices | runs | core-s per slice | giga-updates/s | x one plain slice |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (cols, views, runs) in CASES {
        let sino = sinogram(views, cols);
        let sort_s = median(5, || {
            let mut copy = sino.clone();
            seconds(|| rings::sort(copy.view_mut(), KERNEL_PX).expect("ring removal"))
        });
        println!("| {cols} x {views} | ring.sort | 1 | 5 | {sort_s:.3} | | |");
        let angles = uniform_angles(views, 0.0, PI);
        let core_s = |engine, isa, slices| {
            let options =
                FbpOptions { filter: Filter::Chesler, engine, pad: false, tolerance: FbpOptions::DEFAULT_TOLERANCE };
            let fbp = Fbp::new(&angles, &view_weights(&angles), cols, 1.0, &options).expect("engine");
            let fbp = fbp.with_isa(isa).expect("an instruction set of this processor");
            let sinograms = Array3::from_shape_fn((slices, views, cols), |(_, m, n)| sino[[m, n]]);
            let centers = vec![(cols as f64 - 1.0) / 2.0; slices];
            let mut out = Array3::zeros((slices, cols, cols));
            let each = median(runs, || {
                let mut work = || fbp.reconstruct(&pool, sinograms.view(), &centers, out.view_mut(), &mut |_| Ok(()));
                seconds(|| work().expect("reconstruction")) / slices as f64
            });
            let middle = out[[0, cols / 2, cols / 2]];
            assert!((middle - 1e4).abs() < 100.0, "the disc of 1 per px of 1 um came back as {middle} 1/cm");
            each
        };
        let plain = core_s(Engine::Direct, Isa::Portable, 1);
        let row = |name: &str, slices: usize, each: f64| {
            let (rate, ratio) = (updates(cols, views) / each / 1e9, plain / each);
            println!("| {cols} x {views} | {name} | {slices} | {runs} | {each:.3} | {rate:.2} | {ratio:.1} |");
        };
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let name = format!("direct, {isa:?}").to_lowercase();
            row(&name, SLICES, core_s(Engine::Direct, isa, SLICES));
            if isa == Isa::best() {
                row(&name, 1, core_s(Engine::Direct, isa, 1));
            }
        }
        row("direct, portable", 1, plain);
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            row(&format!("fourier, {isa:?}").to_lowercase(), SLICES, core_s(Engine::Fourier, isa, SLICES));
        }
        if cols <= 1024 {
            row("reference", 1, core_s(Engine::Reference, Isa::Portable, 1));
        }
    }
    accuracy(&pool);
}

/// The engines on the object of `tests/physics.rs`.
fn accuracy(pool: &rayon::ThreadPool) {
    println!("\n## Accuracy\n");
    println!(
        "A body of 1 1/cm with three parts of 0.8 to 1.2 1/cm, 1024 columns, 1608 views, filter chesler. *Flat* are the pixels of the body"
    );
    println!("8 px or more from any edge; the difference to the reference is in parts of the largest value.\n");
    println!(
        "The Fourier engine interpolates views by a sinc, not linearly as the others do: images differ where that shows.\n"
    );
    println!("| engine | flat RMSE, 1/cm | flat bias, 1/cm | rms to reference | max to reference |");
    println!("| --- | --- | --- | --- | --- |");
    let case = AccuracyCase::new();
    let weights = view_weights(&case.angles_rad);
    let image = |engine| {
        let options =
            FbpOptions { filter: Filter::Chesler, engine, pad: false, tolerance: FbpOptions::DEFAULT_TOLERANCE };
        let fbp = Fbp::new(&case.angles_rad, &weights, case.cols, case.pixel_um, &options).expect("engine");
        let mut out = Array3::zeros((1, case.cols, case.cols));
        let sinograms = case.sinogram.view().insert_axis(Axis(0));
        fbp.reconstruct(pool, sinograms, &[case.center_px], out.view_mut(), &mut |_| Ok(())).expect("a slice");
        out.index_axis_move(Axis(0), 0)
    };
    let reference = image(Engine::Reference);
    let truth = reference.mapv(f64::from);
    for (name, image) in
        [("direct", image(Engine::Direct)), ("fourier", image(Engine::Fourier)), ("reference", reference)]
    {
        let (flat, (rms, max)) = (case.flat_error(&image), difference(&image, &truth));
        println!("| {name} | {:.2e} | {:+.1e} | {rms:.1e} | {max:.1e} |", flat.rmse, flat.bias);
    }
}

/// A centred disc of 1 per pixel, so that the result can be checked, with stripes, so that ring removal has work.
fn sinogram(views: usize, cols: usize) -> Array2<f32> {
    let (middle, radius) = ((cols as f64 - 1.0) / 2.0, 0.4 * cols as f64);
    Array2::from_shape_fn((views, cols), |(m, n)| {
        let chord = 2.0 * (radius * radius - (n as f64 - middle).powi(2)).max(0.0).sqrt();
        let noise = ((m * 7919 + n * 104_729) % 1009) as f64 / 1009.0 - 0.5;
        (chord * (1.0 + 1e-3 * noise)) as f32
    })
}

fn updates(cols: usize, views: usize) -> f64 {
    let radius = (cols as f64 - 1.0) / 2.0;
    PI * radius * radius * views as f64
}

fn seconds(work: impl FnOnce()) -> f64 {
    let (clock, processor) = (Instant::now(), processor_seconds());
    work();
    match (processor, processor_seconds()) {
        (Some(before), Some(after)) => after - before,
        _ => clock.elapsed().as_secs_f64(),
    }
}

/// Processor time of this program so far, in steps of 10 ms: fields 14 and 15 of /proc/self/stat, hundredths of a second.
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

fn median(runs: usize, mut run: impl FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..runs).map(|_| run()).collect();
    all.sort_by(f64::total_cmp);
    all[runs / 2]
}

fn commit() -> String {
    let git = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let text = git.ok().filter(|o| o.status.success()).and_then(|o| String::from_utf8(o.stdout).ok());
    text.map_or("unknown".into(), |t| t.trim().to_string())
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let name = name.map_or("unknown processor", |(_, name)| name);
    format!("{name} ({}), {cores} cores", std::env::consts::ARCH)
}
