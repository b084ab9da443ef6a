//! What each method of ring removal leaves and what it damages, on foam. Prints Markdown; `make bench` writes it to
//! docs/benchmarks.md.
//!
//! `cargo bench --bench rings -- [FIRST_SEED [SEEDS]]`; foams and stripes are made from the seeds 1 to 5 without numbers.

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "memory is measured by another benchmark")]
mod measure;

use common::foam::Foam;
use common::stripes::Stripes;
use measure::processor_seconds;
use ndarray::{Array3, ArrayView2};
use std::f64::consts::PI;
use wagiri::geometry::{uniform_angles, view_weights};
use wagiri::recon::{Engine, Fbp, FbpOptions, Filter};
use wagiri::rings::{
    AllOptions, DeadOptions, DetectOptions, FilterOptions, LargeOptions, Method, RegularizeOptions, WaveletFftOptions,
};

const VIEWS: usize = 1024;
const COLS: usize = 768;
const RADIUS_PX: f64 = 256.0;
/// Absorbance of one radius of material.
const ABSORBANCE: f32 = 2.76;
const KINDS: [Stripes; 4] = [Stripes::Clean, Stripes::Full, Stripes::Partial, Stripes::Mixed];
/// Columns over which the mean over half a ring is smoothed to be subtracted.
const SMOOTH_PX: usize = 25;

fn methods() -> Vec<(&'static str, Option<Method>)> {
    let large = |snr| LargeOptions { snr, ..LargeOptions::default() };
    vec![
        ("none", None),
        ("`ring.sort` kernel_px=5", Some(Method::Sort { kernel_px: 5 })),
        ("`ring.sort` kernel_px=21", Some(Method::Sort { kernel_px: 21 })),
        ("`ring.filter`", Some(Method::Filter(FilterOptions::default()))),
        ("`ring.large`", Some(Method::Large(large(3.0)))),
        ("`ring.dead`", Some(Method::Dead(DeadOptions::default()))),
        ("`ring.dead` residual=false", Some(Method::Dead(DeadOptions { residual: false, ..DeadOptions::default() }))),
        ("`ring.all`", Some(Method::All(AllOptions::default()))),
        ("`ring.wavelet-fft`", Some(Method::WaveletFft(WaveletFftOptions::default()))),
        ("`ring.regularize`", Some(Method::Regularize(RegularizeOptions::default()))),
        ("**`ring.detect`**", Some(Method::Detect(DetectOptions::default()))),
    ]
}

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let (first, count) = (numbers.first().copied().unwrap_or(1), numbers.get(1).copied().unwrap_or(5));
    let angles = uniform_angles(VIEWS, 0.0, PI);
    let options = FbpOptions {
        filter: Filter::Ramp,
        engine: Engine::Direct,
        pad: false,
        tolerance: FbpOptions::DEFAULT_TOLERANCE,
        interpolation: Default::default(),
    };
    let fbp = Fbp::new(&angles, &view_weights(&angles), COLS, 1.0, &options).expect("engine");
    let pool = rayon::ThreadPoolBuilder::new().build().expect("threads");
    let methods = methods();
    // [method][kind] -> (ring, total) of each seed; seconds of each method.
    let mut found = vec![vec![Vec::new(); KINDS.len()]; methods.len()];
    let mut seconds = vec![0.0; methods.len()];
    for seed in first..first + count {
        let clean = Foam::new(seed, 40_000, 0.25).sinogram(0.0, &angles, COLS, RADIUS_PX) * ABSORBANCE;
        for (m, (_, method)) in methods.iter().enumerate() {
            let mut left = Array3::zeros((KINDS.len(), VIEWS, COLS));
            for (mut left, kind) in left.outer_iter_mut().zip(KINDS) {
                let mut sino = clean.clone();
                kind.put_on(&mut sino, 1000 + seed);
                let before = processor_seconds();
                if let Some(method) = method {
                    method.apply(sino.view_mut()).expect("ring removal");
                }
                seconds[m] += before.zip(processor_seconds()).map_or(f64::NAN, |(a, b)| b - a);
                // Reconstruction is linear: the difference of slices is the slice of the difference.
                left.assign(&(&sino - &clean));
            }
            let mut slices = Array3::zeros((KINDS.len(), COLS, COLS));
            let centers = vec![(COLS as f64 - 1.0) / 2.0; KINDS.len()];
            fbp.reconstruct(&pool, left.view(), &centers, slices.view_mut(), &mut |_| Ok(())).expect("slices");
            for (slice, found) in slices.outer_iter().zip(&mut found[m]) {
                found.push((ring(slice, &angles), total(slice)));
            }
        }
    }
    println!("## Rings\n");
    println!(
        "Foam of our own, one slice of {VIEWS} views and {COLS} columns, absorbance up to 2. *Full*: 60 columns with an \
         offset of 0.03 rms; *partial*: 25 columns of 0.06 rms over 300 views; *mixed*: both, three wide stripes (0.03 rms), \
         three dead columns and three that fluctuate (0.3 rms). Ring / total in % of the value of the material: *ring* is the \
         rms of the mean over each half ring of slice minus stripe-free slice, less its running mean over {SMOOTH_PX} px; \
         *total* the rms of the difference. On clean data it is damage. Means over {count} foams and stripes (seeds {first} to \
         {}); core-seconds of one sinogram.\n",
        first + count - 1
    );
    println!("| method | clean | full | partial | mixed | core-s |\n| --- | --- | --- | --- | --- | --- |");
    let mean = |of: &[(f64, f64)]| -> (f64, f64) {
        let sums = of.iter().fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        (sums.0 / of.len() as f64, sums.1 / of.len() as f64)
    };
    let cells = |of: Vec<(f64, f64)>| -> String {
        of.iter().map(|(ring, total)| format!(" {ring:.2} / {total:.2} |")).collect()
    };
    for (((name, _), found), seconds) in methods.iter().zip(&found).zip(&seconds) {
        let cells = cells(found.iter().map(|kind| mean(kind)).collect());
        println!("| {name} |{cells} {:.3} |", seconds / (count as usize * KINDS.len()) as f64);
    }
    println!("\n`ring.detect` on each foam:\n");
    println!("| seed | clean | full | partial | mixed |\n| --- | --- | --- | --- | --- |");
    for (i, seed) in (first..first + count).enumerate() {
        let (of, none) = (found.last().expect("methods"), &found[0]);
        println!("| {seed}, none |{}", cells(none.iter().map(|kind| kind[i]).collect()));
        println!("| {seed} |{}", cells(of.iter().map(|kind| kind[i]).collect()));
    }
    println!();
}

/// Of the material in a slice, 1/cm: pixels are 1 µm.
fn material() -> f64 {
    f64::from(ABSORBANCE) / RADIUS_PX * 1e4
}

/// rms of the mean over half rings, less the running mean over neighbouring rings, % of the material.
fn ring(slice: ArrayView2<f32>, angles: &[f64]) -> f64 {
    let middle = (COLS as f64 - 1.0) / 2.0;
    let places: Vec<f64> = (0..2 * RADIUS_PX as usize - 3).map(|i| i as f64 - RADIUS_PX + 2.0).collect();
    let mut mean = vec![0.0; places.len()];
    for (sin, cos) in angles.iter().map(|a| a.sin_cos()) {
        for (mean, place) in mean.iter_mut().zip(&places) {
            let (x, y) = (middle + place * cos, middle - place * sin);
            let (col, row) = (x as usize, y as usize);
            let (fx, fy) = (x - col as f64, y - row as f64);
            let at = |dy: usize, dx: usize| f64::from(slice[[row + dy, col + dx]]);
            let upper = at(0, 0) * (1.0 - fx) + at(0, 1) * fx;
            *mean += (upper * (1.0 - fy) + (at(1, 0) * (1.0 - fx) + at(1, 1) * fx) * fy) / angles.len() as f64;
        }
    }
    let half = SMOOTH_PX / 2;
    let inside = half..mean.len() - half;
    let high = inside.clone().map(|i| mean[i] - mean[i - half..=i + half].iter().sum::<f64>() / SMOOTH_PX as f64);
    100.0 * (high.map(|v| v * v).sum::<f64>() / inside.len() as f64).sqrt() / material()
}

/// rms over the cylinder, % of the material.
fn total(slice: ArrayView2<f32>) -> f64 {
    let inside = |row: usize, col: usize| {
        let (x, y) = common::xy(COLS, row, col);
        x.hypot(y) < RADIUS_PX - 1.0
    };
    let squares = slice.indexed_iter().filter(|((row, col), _)| inside(*row, *col)).map(|(_, v)| f64::from(*v).powi(2));
    let (sum, count) = squares.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    100.0 * (sum / count).sqrt() / material()
}
