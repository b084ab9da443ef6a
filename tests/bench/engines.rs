//! Speed and accuracy of the engines and of what surrounds them, on one core. Prints Markdown; `make bench` writes it to
//! docs/benchmarks.md.
//!
//! Core-seconds, because they compare across machines with different numbers of cores; on Linux it is processor time, so
//! that other programs on the machine disturb less, elsewhere time on the clock. Each figure is the best of its runs, since
//! other programs only ever make it worse.

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "memory is measured by the other benchmark")]
mod measure;

use common::accuracy::{AccuracyCase, difference};
use measure::processor_seconds;
use ndarray::{Array1, Array2, Array3, Axis};
use std::f64::consts::PI;
use std::hint::black_box;
use std::time::Instant;
use wagiri::geometry::{uniform_angles, view_weights};
use wagiri::preprocess::{NormaliseOptions, normalise_row};
use wagiri::recon::{Engine, Fbp, FbpOptions, Filter, Interpolation, Isa};
use wagiri::rings;

const KERNEL_PX: usize = 5;
/// As many as lie side by side at most.
const SLICES: usize = 32;
/// Sinograms at a time where one takes not much longer than a step of the clock.
const SHORT: usize = 16;

/// A detector and its views.
struct Case {
    cols: usize,
    views: usize,
    /// Views that the direct engine is measured with, to save time: its cost is the same for every view.
    measured: usize,
    /// Slices at a time: few where one is large.
    slices: usize,
    runs: usize,
}

const CASES: [Case; 4] = [
    Case { cols: 1024, views: 900, measured: 900, slices: SLICES, runs: 5 },
    Case { cols: 2048, views: 1800, measured: 1800, slices: SLICES, runs: 2 },
    Case { cols: 4432, views: 3600, measured: 512, slices: SLICES, runs: 1 },
    Case { cols: 13000, views: 6000, measured: 128, slices: 4, runs: 1 },
];

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    println!("# Benchmarks\n");
    println!("Written by `make bench`; do not edit. Commit {}, wagiri {}.", commit(), wagiri::VERSION);
    println!("Machine: {}. Others may have used it at the same time.\n", processor());
    println!("## Engines, one core\n");
    println!(
        "Filter chesler, no pad, axis in the middle, filtering included. An update is one view added to one pixel of the \
         circle; for the Fourier engine it is what the direct one would have had to do. The last column compares with plain \
         loops over one slice of filtered views, without filtering, in the same run. A part of the views: measured with \
         so many of them, times the rest.\n"
    );
    println!("| columns x views | engine | slices | views | core-s per slice | giga-updates/s | x plain loops |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for case in &CASES {
        engines(&pool, case);
    }
    around(&pool);
    accuracy(&pool);
}

fn fbp(views: usize, cols: usize, engine: Engine, isa: Isa) -> Fbp {
    let angles = uniform_angles(views, 0.0, PI);
    let fbp = Fbp::new(&angles, &view_weights(&angles), cols, 1.0, &options(engine)).expect("engine");
    fbp.with_isa(isa).expect("an instruction set of this processor")
}

fn options(engine: Engine) -> FbpOptions {
    let interpolation = Interpolation::Sinc;
    FbpOptions { filter: Filter::Chesler, engine, pad: false, tolerance: FbpOptions::DEFAULT_TOLERANCE, interpolation }
}

/// Core-seconds of a slice.
fn core_s(pool: &rayon::ThreadPool, fbp: &Fbp, sino: &Array2<f32>, slices: usize, runs: usize) -> f64 {
    let (views, cols) = sino.dim();
    let sinograms = sino.broadcast((slices, views, cols)).expect("more of the same").to_owned();
    let centers = vec![(cols as f64 - 1.0) / 2.0; slices];
    // Written to beforehand, as in a run, where it has been used before.
    let mut out = Array3::from_elem((slices, cols, cols), 1.0);
    let each = best(runs, || {
        let mut work = || fbp.reconstruct(pool, sinograms.view(), &centers, out.view_mut(), &mut |_| Ok(()));
        seconds(|| work().expect("reconstruction")) / slices as f64
    });
    let middle = out[[slices - 1, cols / 2, cols / 2]];
    // Few views of a wide detector leave noise.
    assert!((middle - 1e4).abs() < 500.0, "the disc of 1 per px of 1 um came back as {middle} 1/cm");
    each
}

fn engines(pool: &rayon::ThreadPool, case: &Case) {
    let Case { cols, views, measured, slices, runs } = *case;
    let plain = plain_rate(cols);
    let print = |name: &str, slices: usize, used: usize, each: f64| {
        let rate = updates(cols, views) / each / 1e9;
        println!("| {cols} x {views} | {name} | {slices} | {used} | {each:.3} | {rate:.2} | {:.1} |", rate / plain);
    };
    let name = |engine: &str, isa: Isa| format!("{engine}, {isa:?}").to_lowercase();
    let large = cols > 2048;
    let isas = || Isa::ALL.into_iter().filter(|isa| isa.is_available()).take(if large { 1 } else { 4 });
    let sino = sinogram(measured, cols);
    let share = views as f64 / measured as f64;
    for isa in isas() {
        let each = core_s(pool, &fbp(measured, cols, Engine::Direct, isa), &sino, slices, runs);
        print(&name("direct", isa), slices, measured, share * each);
    }
    if !large {
        for slices in [16, 8, 1] {
            let each = core_s(pool, &fbp(measured, cols, Engine::Direct, Isa::best()), &sino, slices, 1);
            print(&name("direct", Isa::best()), slices, measured, share * each);
        }
    }
    if cols <= 1024 {
        print("reference", 1, views, core_s(pool, &fbp(views, cols, Engine::Reference, Isa::best()), &sino, 1, 1));
    }
    drop(sino);
    let sino = sinogram(views, cols);
    for isa in isas() {
        let slices = slices.min(8);
        let each = core_s(pool, &fbp(views, cols, Engine::Fourier, isa), &sino, slices, runs);
        print(&name("fourier", isa), slices, views, each);
    }
}

/// Giga-updates per second of the loops that everybody writes first: one slice, one pixel after the other.
fn plain_rate(cols: usize) -> f64 {
    let angles = uniform_angles(8, 0.1, PI);
    let views = Array2::from_shape_fn((angles.len(), cols + 1), |(m, n)| ((m * 31 + n * 17) % 101) as f32);
    let mut image = Array2::<f32>::zeros((cols, cols));
    let middle = (cols as f32 - 1.0) / 2.0;
    let each = best(3, || {
        seconds(|| {
            for (view, angle) in views.outer_iter().zip(&angles) {
                let (sin, cos) = (angle.sin() as f32, angle.cos() as f32);
                let view = view.to_slice().expect("a row");
                for (y, mut row) in image.outer_iter_mut().enumerate() {
                    let y = middle - y as f32;
                    let half = (middle * middle - y * y).max(0.0).sqrt();
                    for x in (middle - half).ceil() as usize..=(middle + half) as usize {
                        let r = (x as f32 - middle) * cos + y * sin + middle;
                        let n = r as usize;
                        row[x] += view[n] + (view[n + 1] - view[n]) * (r - n as f32);
                    }
                }
            }
        })
    });
    black_box(&image);
    updates(cols, angles.len()) / each / 1e9
}

/// What is done to a sinogram beside back-projection.
fn around(pool: &rayon::ThreadPool) {
    println!("\n## Around the engines, one core\n");
    println!(
        "Core-seconds of one sinogram. `ring.sort` with a kernel of {KERNEL_PX} px; filtering for {SLICES} slices side by \
         side, chesler, no pad; normalising from counts with two direct-beam images.\n"
    );
    println!("| columns x views | normalise | ring.sort | filter |");
    println!("| --- | --- | --- | --- |");
    for (cols, views) in [(1024, 900), (2048, 1800), (4432, 3600)] {
        let sino = sinogram(views, cols);
        let sort_s = best(5, || {
            let mut copies = vec![sino.clone(); SHORT];
            let mut all =
                || copies.iter_mut().for_each(|s| rings::sort(s.view_mut(), KERNEL_PX).expect("ring removal"));
            pool.install(|| seconds(&mut all)) / SHORT as f64
        });
        let (dark, flats) = (Array1::from_elem(cols, 100.0), Array2::from_elem((2, cols), 30_000.0));
        let weights: Vec<(usize, f64)> = (0..views).map(|m| (0, m as f64 / views as f64)).collect();
        let counts = sino.mapv(|p| (100.0 + 30_000.0 * (-p / cols as f32).exp()).round());
        let (black, options) = (vec![false; views], NormaliseOptions::default());
        let normalise_s = best(5, || {
            let mut copies = vec![counts.clone(); SHORT];
            let mut all = || {
                for counts in &mut copies {
                    normalise_row(counts.view_mut(), dark.view(), flats.view(), &weights, &black, &options, 0)
                        .expect("absorbance");
                }
            };
            seconds(&mut all) / SHORT as f64
        });
        // With the axis at the edge of the detector the circle is empty, and nothing but the filter is left to do.
        let few = views.min(1800);
        let fbp = fbp(few, cols, Engine::Direct, Isa::best());
        let sinograms = sino.slice(ndarray::s![..few, ..]).broadcast((SLICES, few, cols)).expect("the same").to_owned();
        let mut out = Array3::zeros((SLICES, cols, cols));
        let filter_s = best(3, || {
            let mut work = || fbp.reconstruct(pool, sinograms.view(), &[0.0; SLICES], out.view_mut(), &mut |_| Ok(()));
            seconds(|| work().expect("filtered views")) / SLICES as f64 * views as f64 / few as f64
        });
        println!("| {cols} x {views} | {normalise_s:.3} | {sort_s:.3} | {filter_s:.3} |");
    }
}

/// The engines on the objects of `tests/physics.rs`.
fn accuracy(pool: &rayon::ThreadPool) {
    println!("\n## Accuracy\n");
    println!(
        "1024 columns, 1608 views, filter chesler. *Body*: 1 1/cm with three parts of 0.8 to 1.2 1/cm; *four*: four \
         ellipses apart, 0.9 to 1.1 1/cm. *Flat* are the pixels of the object 8 px or more from any edge, *air* those outside \
         as far from it, *circle* all. The difference to the reference is in parts of its largest value: the Fourier engine \
         interpolates views by a sinc, or damps high frequencies as linear interpolation does but without its aliases, and its \
         images differ from the others' where that shows.\n"
    );
    println!(
        "| object | engine | flat RMSE, 1/cm | flat bias, 1/cm | air RMSE | circle RMSE | rms to reference | max to reference |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (object, case) in [("body", AccuracyCase::new()), ("four", AccuracyCase::four())] {
        let weights = view_weights(&case.angles_rad);
        let image = |options: FbpOptions| {
            let fbp = Fbp::new(&case.angles_rad, &weights, case.cols, case.pixel_um, &options).expect("engine");
            let mut out = Array3::zeros((1, case.cols, case.cols));
            let sinograms = case.sinogram.view().insert_axis(Axis(0));
            fbp.reconstruct(pool, sinograms, &[case.center_px], out.view_mut(), &mut |_| Ok(())).expect("a slice");
            out.index_axis_move(Axis(0), 0)
        };
        let reference = image(options(Engine::Reference));
        let fourier = options(Engine::Fourier);
        let truth = reference.mapv(f64::from);
        let engines = [
            ("direct", image(options(Engine::Direct))),
            ("fourier, sinc", image(fourier)),
            ("fourier, linear", image(FbpOptions { interpolation: Interpolation::Linear, ..fourier })),
            ("reference", reference),
        ];
        for (name, image) in engines {
            let (flat, (rms, max)) = (case.flat_error(&image), difference(&image, &truth));
            let (air, circle) = (case.air_rmse(&image), case.circle_rmse(&image));
            let (rmse, bias) = (flat.rmse, flat.bias);
            println!(
                "| {object} | {name} | {rmse:.2e} | {bias:+.1e} | {air:.2e} | {circle:.2e} | {rms:.1e} | {max:.1e} |"
            );
        }
    }
    println!();
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

fn best(runs: usize, run: impl FnMut() -> f64) -> f64 {
    std::iter::repeat_with(run).take(runs).fold(f64::MAX, f64::min)
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
