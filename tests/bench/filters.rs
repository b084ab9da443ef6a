//! Filters of volumes, ranked: what each leaves of the noise of a low-dose foam, what it costs. Prints Markdown; `make bench`
//! writes it to docs/benchmarks.md.
//!
//! `cargo bench --bench filters -- [SEED] [STAGES ...]`: another foam, and chains of stages to rank beside the usual ones, such
//! as 'filter.tv iterations=300'.

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "memory is measured by another benchmark")]
mod measure;

use common::foam::Foam;
use common::low_dose::{Dose, LowDose};
use common::score::Region;
use measure::processor_seconds;
use ndarray::Array3;
use std::f64::consts::PI;
use wagiri::chain::{Registry, RunOptions};
use wagiri::geometry::{uniform_angles, view_weights};
use wagiri::io::MemorySink;
use wagiri::post::NoiseEstimator;
use wagiri::recon::{Engine, Fbp, FbpOptions, Filter, Interpolation};
use wagiri::scan::MemoryRows;
use wagiri::{Chain, Context, ContextOptions, Progress};

const SIZE: usize = 128;
const VIEWS: usize = 256;
const RADIUS_PX: f64 = 60.0;
/// Photons of the direct beam in a pixel of a view, and the part of them that the foam absorbs on the way.
const PHOTONS: f64 = 30.0;
const ABSORBED: f64 = 0.5;
/// Where results are looked at: parts of the height, of the radius.
const SLICES: std::ops::Range<usize> = SIZE / 4..3 * SIZE / 4;
const INSIDE: f64 = 0.95;

/// The foam and its reconstruction, both in parts of the material's value.
fn volumes(seed: u64) -> (Array3<f32>, Array3<f32>) {
    let half_height = 0.5 * SIZE as f64 / RADIUS_PX;
    let foam = Foam::new(seed, 40_000, half_height + 0.05);
    let dose = Dose { size: SIZE, views: VIEWS, radius_px: RADIUS_PX, photons: PHOTONS, absorbed: ABSORBED };
    let low_dose = LowDose::new(&foam, dose, 1000 + seed);
    let options = FbpOptions {
        filter: Filter::Ramp,
        engine: Engine::Direct,
        pad: false,
        tolerance: FbpOptions::DEFAULT_TOLERANCE,
        interpolation: Interpolation::default(),
    };
    let angles = uniform_angles(VIEWS, 0.0, PI);
    let fbp = Fbp::new(&angles, &view_weights(&angles), SIZE, low_dose.pixel_um(), &options).expect("engine");
    let pool = rayon::ThreadPoolBuilder::new().build().expect("threads");
    let mut volume = Array3::zeros((SIZE, SIZE, SIZE));
    let centers = vec![(SIZE as f64 - 1.0) / 2.0; SIZE];
    let sinograms = low_dose.sinograms();
    fbp.reconstruct(&pool, sinograms.view(), &centers, volume.view_mut(), &mut |_| Ok(())).expect("slices");
    (low_dose.truth, volume)
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    // Not the foam on which default parameters were chosen, 1.
    let seed = words.iter().find_map(|word| word.parse().ok()).unwrap_or(11);
    let (truth, noisy) = volumes(seed);
    let region = Region { slices: SLICES, radius_px: INSIDE * RADIUS_PX, range: 1.0 };
    let (psnr, ssim) = (|a: &_, b: &_| region.psnr(a, b), |a: &_, b: &_| region.ssim(a, b));
    let mut estimator = NoiseEstimator::new();
    estimator.add_slab(noisy.view());
    let noise = estimator.sigma();
    let scan = MemoryRows::volume(noisy.clone()).into_scan(Vec::new(), Some(1.0)).expect("a scan");
    let ctx = Context::new(ContextOptions { threads: Some(1), ..ContextOptions::default() }).expect("a context");
    let rank = |stages: &str| -> (f64, f64, f64) {
        let chain = Chain::parse(&ctx.registry(), &format!("volume | {stages}")).expect("a chain");
        let mut sink = MemorySink::new(0, SIZE, [SIZE, SIZE]);
        let before = processor_seconds();
        chain.run_into(&ctx, &scan, &mut sink, &RunOptions::default(), &mut Progress::silent()).expect("a volume");
        let seconds = before.zip(processor_seconds()).map_or(f64::NAN, |(a, b)| b - a);
        (psnr(&truth, &sink.volume), ssim(&truth, &sink.volume), seconds)
    };
    let mut lines = vec![("none".to_string(), (psnr(&truth, &noisy), ssim(&truth, &noisy), 0.0))];
    let ids =
        Registry::built_in().infos().map(|info| info.id).filter(|id| id.starts_with("filter.")).collect::<Vec<_>>();
    lines.extend(ids.iter().map(|id| (format!("`{id}`"), rank(id))));
    let best = |texts: Vec<String>| {
        let ranked = texts.into_iter().map(|text| (format!("`{text}`, best of a grid"), rank(&text)));
        ranked.max_by(|a, b| a.1.0.total_cmp(&b.1.0)).expect("a grid")
    };
    let sigmas = [0.6, 0.7, 0.8, 1.0, 1.2, 1.5];
    lines.push(best(sigmas.map(|sigma| format!("filter.gaussian sigma_px={sigma}")).into()));
    lines.push(best(sigmas.map(|sigma| format!("filter.gaussian sigma_px={sigma} sigma_z_px={sigma}")).into()));
    lines.push(best([3, 5].map(|size| format!("filter.median size_px={size} depth_px={size}")).into()));
    let weights = [0.7, 1.0, 1.4, 2.0, 2.5, 3.0].map(|part| part / noise);
    lines.push(best(weights.map(|lambda| format!("filter.tv lambda={lambda:.3}")).into()));
    lines.push(best(
        [0.7, 1.0, 1.5, 2.0, 3.0].map(|part| format!("filter.diffusion iterations=10 k={:.3}", part * noise)).into(),
    ));
    lines.push(best([0.5, 0.7, 1.0, 1.5].map(|scale| format!("filter.wavelet scale={scale} shifts=8")).into()));
    lines.extend(words.iter().filter(|word| word.contains('.')).map(|word| (format!("`{word}`"), rank(word))));
    println!("## Denoising filters\n");
    println!(
        "Foam of our own (seed {seed}), {SIZE}³, {VIEWS} views of {PHOTONS} photons of which {ABSORBED} are absorbed, ramp filter; \
         material has the value 1, the noise found is {noise:.2}. PSNR and SSIM (7 x 7 pixels within slices) against the foam itself, \
         middle half of the slices, inside {INSIDE} of the radius. Default parameters unless given. Core-seconds of one thread, \
         reading and writing within memory included; those of 512³ are 64 times as many.\n"
    );
    println!("| filter | PSNR, dB | SSIM | core-s, {SIZE}³ | core-s, 512³ |\n| --- | --- | --- | --- | --- |");
    lines[1..].sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    for (name, (psnr, ssim, seconds)) in lines {
        println!("| {name} | {psnr:.2} | {ssim:.3} | {seconds:.2} | {:.0} |", 64.0 * seconds);
    }
    println!();
}
