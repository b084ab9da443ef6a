//! Filters of volumes, ranked: what each leaves of the noise of a low-dose foam, what it costs. Prints Markdown; `make bench`
//! writes it to docs/benchmarks.md.
//!
//! `cargo bench --bench filters -- [SEED] [STAGES ...]`: another foam, and chains of stages to rank beside the usual ones, such
//! as 'filter.tv iterations=300'.

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "memory is measured by another benchmark")]
mod measure;

use common::Lcg;
use common::foam::Foam;
use measure::processor_seconds;
use ndarray::{Array3, ArrayView2, s};
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

/// Number of photons that arrive when `mean` are expected.
fn poisson(random: &mut Lcg, mean: f64) -> f64 {
    let (mut left, mut count) = (random.unit(), 0.0);
    let mut part = (-mean).exp();
    while left > part && count < 1000.0 {
        left -= part;
        count += 1.0;
        part *= mean / count;
    }
    count
}

/// The foam and its reconstruction, both in parts of the material's value.
fn volumes(seed: u64) -> (Array3<f32>, Array3<f32>) {
    let angles = uniform_angles(VIEWS, 0.0, PI);
    let half_height = 0.5 * SIZE as f64 / RADIUS_PX;
    let foam = Foam::new(seed, 40_000, half_height + 0.05);
    let plane = |z: usize| (z as f64 - (SIZE as f64 - 1.0) / 2.0) / RADIUS_PX;
    let clean: Vec<_> = (0..SIZE).map(|z| foam.sinogram(plane(z), &angles, SIZE, RADIUS_PX)).collect();
    // Absorbance of a radius of material with which the wanted part of the light is absorbed.
    let absorbed = |a: f32| {
        let rays = clean.iter().flatten().filter(|length| **length > 0.0);
        let (sum, count) =
            rays.fold((0.0, 0.0), |(sum, count), l| (sum + 1.0 - f64::from((-a * l).exp()), count + 1.0));
        sum / count
    };
    let (mut low, mut high) = (0f32, 20f32);
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        if absorbed(middle) < ABSORBED { low = middle } else { high = middle }
    }
    let mut random = Lcg(1000 + seed);
    let mut sinograms = Array3::zeros((SIZE, VIEWS, SIZE));
    for (mut noisy, clean) in sinograms.outer_iter_mut().zip(&clean) {
        noisy.zip_mut_with(clean, |noisy, length| {
            let photons = poisson(&mut random, PHOTONS * (-f64::from(low * length)).exp());
            *noisy = (PHOTONS / photons.max(1.0)).ln() as f32;
        });
    }
    let options = FbpOptions {
        filter: Filter::Ramp,
        engine: Engine::Direct,
        pad: false,
        tolerance: FbpOptions::DEFAULT_TOLERANCE,
        interpolation: Interpolation::default(),
    };
    // With a pixel of this size the material has the value 1.
    let pixel_um = f64::from(low) / RADIUS_PX * 1e4;
    let fbp = Fbp::new(&angles, &view_weights(&angles), SIZE, pixel_um, &options).expect("engine");
    let pool = rayon::ThreadPoolBuilder::new().build().expect("threads");
    let mut volume = Array3::zeros((SIZE, SIZE, SIZE));
    let centers = vec![(SIZE as f64 - 1.0) / 2.0; SIZE];
    fbp.reconstruct(&pool, sinograms.view(), &centers, volume.view_mut(), &mut |_| Ok(())).expect("slices");
    let mut truth = Array3::zeros((SIZE, SIZE, SIZE));
    truth.outer_iter_mut().enumerate().for_each(|(z, mut slice)| slice.assign(&foam.slice(plane(z), SIZE, RADIUS_PX)));
    (truth, volume)
}

fn is_inside(row: usize, col: usize) -> bool {
    let (x, y) = common::xy(SIZE, row, col);
    x.hypot(y) < INSIDE * RADIUS_PX
}

/// Peak signal-to-noise ratio, dB, of a range of values of 1.
fn psnr(truth: &Array3<f32>, found: &Array3<f32>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for z in SLICES {
        for ((row, col), v) in found.slice(s![z, .., ..]).indexed_iter().filter(|((row, col), _)| is_inside(*row, *col))
        {
            sum += f64::from(v - truth[[z, row, col]]).powi(2);
            count += 1.0;
        }
    }
    -10.0 * (sum / count).log10()
}

/// Structural similarity (Wang et al. 2004, doi:10.1109/TIP.2003.819861) within slices, over 7 x 7 pixels of equal weight.
fn ssim(truth: &Array3<f32>, found: &Array3<f32>) -> f64 {
    const HALF: usize = 3;
    let of_slice = |a: ArrayView2<f32>, b: ArrayView2<f32>| {
        let (mut sum, mut count) = (0.0, 0.0);
        for row in HALF..SIZE - HALF {
            for col in (HALF..SIZE - HALF).filter(|col| is_inside(row, *col)) {
                let around = s![row - HALF..=row + HALF, col - HALF..=col + HALF];
                let (mut m, mut squares) = ([0.0; 2], [0.0; 3]);
                for (a, b) in a.slice(around).iter().zip(b.slice(around)) {
                    let (a, b) = (f64::from(*a), f64::from(*b));
                    m = [m[0] + a, m[1] + b];
                    squares = [squares[0] + a * a, squares[1] + b * b, squares[2] + a * b];
                }
                let n = 49.0;
                let m = m.map(|sum| sum / n);
                let within = |squares: f64, product: f64| (squares / n - product) * n / (n - 1.0);
                let [va, vb] = [within(squares[0], m[0] * m[0]), within(squares[1], m[1] * m[1])];
                let both = within(squares[2], m[0] * m[1]);
                let (c1, c2) = (1e-4, 9e-4);
                sum +=
                    (2.0 * m[0] * m[1] + c1) * (2.0 * both + c2) / ((m[0] * m[0] + m[1] * m[1] + c1) * (va + vb + c2));
                count += 1.0;
            }
        }
        (sum, count)
    };
    let sums = SLICES.map(|z| of_slice(truth.slice(s![z, .., ..]), found.slice(s![z, .., ..])));
    let (sum, count) = sums.fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
    sum / count
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    // Not the foam on which default parameters were chosen, 1.
    let seed = words.iter().find_map(|word| word.parse().ok()).unwrap_or(11);
    let (truth, noisy) = volumes(seed);
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
