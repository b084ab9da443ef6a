//! Noise2Inverse on a foam with few photons: how well the network denoises after how much training. Prints Markdown; `make bench`
//! writes it to docs/benchmarks.md.
//!
//! * `cargo bench --bench n2i`: the table, with the small preset in 2.5D and in 2D.
//! * `cargo bench --bench n2i -- train CHANNELS EPOCHS [SEED]`: one line of it.
//! * `cargo bench --bench n2i -- scan DIR`: the scan as files, for the command line.
//! * `cargo bench --bench n2i -- sheet DIR OUT.png`: slices in DIR beside the truth, the noise and the best Gaussian.

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "memory is measured by another benchmark")]
mod measure;

use common::foam::Foam;
use common::low_dose::{Dose, LowDose};
use common::score::Region;
use measure::processor_seconds;
use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis, s};
use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::ops::Range;
use std::path::Path;
use wagiri::chain::RunOptions;
use wagiri::denoise::split::subset_views;
use wagiri::denoise::{
    Checkpoint, CpuEngine, Denoiser, EpochLoss, Observer, Subsets, TrainOptions, TrainReport, train,
};
use wagiri::geometry::{uniform_angles, view_weights};
use wagiri::io::MemorySink;
use wagiri::post::draw_text;
use wagiri::recon::{Engine, Fbp, FbpOptions, Filter, Interpolation};
use wagiri::scan::MemoryRows;
use wagiri::{Chain, Context, ContextOptions, Progress, Result};

const SIZE: usize = 128;
const DOSE: Dose = Dose { size: SIZE, views: 256, radius_px: 0.5 * SIZE as f64, photons: 30.0, absorbed: 0.5 };
const HOLES: usize = 1100;
const SUBSETS: usize = 4;
const SEED: u64 = 1;
/// What a detector counts for a photon, in the files.
const GAIN: f32 = 100.0;
const MEMORY: u64 = 8 << 30;

fn region() -> Region {
    Region { slices: SIZE / 4..3 * SIZE / 4, radius_px: 0.95 * DOSE.radius_px, range: 1.0 }
}

fn foam() -> LowDose {
    LowDose::new(&Foam::sparse(SEED, HOLES), DOSE, 1000 + SEED)
}

/// Slices from every `step`-th view beginning with `first`, ramp filter; the material has the value 1.
fn slices(low_dose: &LowDose, step: usize, first: usize) -> Array3<f32> {
    let all = uniform_angles(DOSE.views, 0.0, PI);
    let views: Vec<usize> = subset_views(DOSE.views, step, first).collect();
    let angles: Vec<f64> = views.iter().map(|&view| all[view]).collect();
    let sinograms = low_dose.sinograms().select(Axis(1), &views);
    let options = FbpOptions {
        filter: Filter::Ramp,
        engine: Engine::Direct,
        pad: false,
        tolerance: FbpOptions::DEFAULT_TOLERANCE,
        interpolation: Interpolation::default(),
    };
    let fbp = Fbp::new(&angles, &view_weights(&angles), SIZE, low_dose.pixel_um(), &options).expect("engine");
    let pool = rayon::ThreadPoolBuilder::new().build().expect("threads");
    let mut volume = Array3::zeros((SIZE, SIZE, SIZE));
    let centers = vec![(SIZE as f64 - 1.0) / 2.0; SIZE];
    fbp.reconstruct(&pool, sinograms.view(), &centers, volume.view_mut(), &mut |_| Ok(())).expect("slices");
    volume
}

struct Arrays(Vec<Array3<f32>>);

impl Subsets for Arrays {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn shape(&self) -> [usize; 3] {
        self.0[0].dim().into()
    }
    fn read(
        &self,
        k: usize,
        z: usize,
        rows: Range<usize>,
        cols: Range<usize>,
        mut out: ArrayViewMut2<f32>,
    ) -> Result<()> {
        out.assign(&self.0[k].slice(s![z, rows, cols]));
        Ok(())
    }
}

/// What `checkpoint` makes of the subsets.
fn denoised(subsets: &Arrays, checkpoint: &Checkpoint, pool: &rayon::ThreadPool) -> Array3<f32> {
    let model = checkpoint.model();
    let mut engine = CpuEngine::new(&model.architecture, pool, MEMORY).expect("an engine");
    let mut denoiser = Denoiser::new(&model, &mut engine).expect("a denoiser");
    let around = model.architecture.reach_slices();
    let index: Vec<usize> = (0..SIZE + 2 * around).map(|z| z.saturating_sub(around).min(SIZE - 1)).collect();
    let padded: Vec<Array3<f32>> = subsets.0.iter().map(|subset| subset.select(Axis(0), &index)).collect();
    let views: Vec<_> = padded.iter().map(|subset| subset.view()).collect();
    let mut out = Array3::zeros((SIZE, SIZE, SIZE));
    denoiser.apply(&views, out.view_mut(), &mut |_| Ok(())).expect("slices");
    out
}

/// Scores the network at some epochs, and keeps the time.
struct Curve<'a> {
    subsets: &'a Arrays,
    truth: &'a Array3<f32>,
    pool: &'a rayon::ThreadPool,
    epochs: &'a [usize],
    /// Processor seconds when training began, and those spent on scores.
    began: f64,
    aside: f64,
    lines: Vec<String>,
    name: String,
}

impl Observer for Curve<'_> {
    fn step(&mut self, report: &TrainReport) -> Result<()> {
        if report.epoch_done && report.epoch.is_multiple_of(10) {
            eprintln!(
                "{} epoch {} validation {:.5}",
                self.name,
                report.epoch,
                report.history[report.epoch - 1].validation
            );
        }
        Ok(())
    }
    fn tick(&mut self) -> Result<()> {
        Ok(())
    }
    fn save(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let Some(EpochLoss { epoch, steps, training, validation, .. }) = checkpoint.history.last() else {
            return Ok(());
        };
        if !self.epochs.contains(epoch) || self.lines.len() == self.epochs.len() {
            return Ok(());
        }
        let now = processor_seconds().unwrap_or(f64::NAN);
        let found = denoised(self.subsets, checkpoint, self.pool);
        let (psnr, ssim) = (region().psnr(self.truth, &found), region().ssim(self.truth, &found));
        let (name, spent) = (&self.name, now - self.began - self.aside);
        self.lines.push(format!(
            "| {name} | {epoch} | {steps} | {spent:.0} | {training:.4} | {validation:.4} | {psnr:.2} | {ssim:.3} |"
        ));
        eprintln!("{}", self.lines[self.lines.len() - 1]);
        self.aside += processor_seconds().unwrap_or(f64::NAN) - now;
        Ok(())
    }
    fn note(&mut self, text: &str) {
        eprintln!("{text}");
    }
}

/// Lines of the table for one training, and the volume at its end.
fn curve(subsets: &Arrays, truth: &Array3<f32>, name: &str, options: &TrainOptions) -> (Vec<String>, Array3<f32>) {
    let pool = rayon::ThreadPoolBuilder::new().build().expect("threads");
    let parts = [options.epochs / 12, options.epochs / 4, options.epochs / 2, options.epochs];
    let began = processor_seconds().unwrap_or(f64::NAN);
    let (lines, name) = (Vec::new(), name.to_owned());
    let mut observer = Curve { subsets, truth, pool: &pool, epochs: &parts, began, aside: 0.0, lines, name };
    let mut engine = CpuEngine::new(&options.architecture, &pool, MEMORY).expect("an engine");
    let trained = train(subsets, options, &BTreeMap::new(), &mut engine, None, &mut observer).expect("a training");
    (observer.lines, denoised(subsets, &trained.checkpoint, &pool))
}

/// The best of several widths, in slices only or in all directions: name, volume.
fn best_gaussian(truth: &Array3<f32>, noisy: &Array3<f32>, in_3d: bool) -> (String, Array3<f32>) {
    let ctx = Context::new(ContextOptions::default()).expect("a context");
    let scan = MemoryRows::volume(noisy.clone()).into_scan(Vec::new(), Some(1.0)).expect("a scan");
    let filtered = [0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.3].map(|sigma| {
        let across = if in_3d { format!(" sigma_z_px={sigma}") } else { String::new() };
        let text = format!("volume | filter.gaussian sigma_px={sigma}{across}");
        let chain = Chain::parse(&ctx.registry(), &text).expect("a chain");
        let mut sink = MemorySink::new(0, SIZE, [SIZE, SIZE]);
        chain.run_into(&ctx, &scan, &mut sink, &RunOptions::default(), &mut Progress::silent()).expect("a volume");
        (format!("best {}-D Gaussian, sigma {sigma} px", if in_3d { 3 } else { 2 }), sink.volume)
    });
    let score = |volume: &Array3<f32>| region().psnr(truth, volume);
    filtered.into_iter().max_by(|a, b| score(&a.1).total_cmp(&score(&b.1))).expect("widths")
}

fn preset(channels: usize, epochs: usize) -> TrainOptions {
    let mut options = TrainOptions { epochs, ..TrainOptions::small() };
    options.architecture.channels = channels;
    options
}

fn table() {
    let low_dose = foam();
    let truth = &low_dose.truth;
    let subsets = Arrays((0..SUBSETS).map(|first| slices(&low_dose, SUBSETS, first)).collect());
    let noisy = slices(&low_dose, 1, 0);
    let Dose { views, photons, absorbed, .. } = DOSE;
    println!("## Noise2Inverse\n");
    println!(
        "Foam of our own (seed {SEED}), {SIZE}³, {views} views of {photons} photons of which {absorbed} are absorbed, ramp filter, \
         {SUBSETS} subsets. PSNR and SSIM (7 x 7 pixels within slices) against the foam itself, middle half of the slices, inside \
         0.95 of the radius, the range of the truth being 1. Losses in units of the spread of the noisy volume. Small preset but for \
         the number of slices that the network sees; core-seconds of training and validation on {} threads, instruction set as found.\n",
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    println!("| what | epochs | steps | core-s | training loss | validation loss | PSNR, dB | SSIM |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let score = |volume: &Array3<f32>| (region().psnr(truth, volume), region().ssim(truth, volume));
    let plain = |name: &str, volume: &Array3<f32>| {
        let (psnr, ssim) = score(volume);
        println!("| {name} | | | | | | {psnr:.2} | {ssim:.3} |");
    };
    plain("noisy", &noisy);
    for in_3d in [false, true] {
        let (name, volume) = best_gaussian(truth, &noisy, in_3d);
        plain(&name, &volume);
    }
    let small = TrainOptions::small();
    for (name, channels) in [("2D, 1 slice", 1), ("2.5D, 11 slices", small.architecture.channels)] {
        let (lines, _) = curve(&subsets, truth, name, &preset(channels, small.epochs));
        println!("{}", lines.join("\n"));
    }
    println!();
}

/// The scan as files: counts of `GAIN` for a photon, one TIFF file for each view, dark and direct beam.
fn write_scan(dir: &Path) {
    let low_dose = foam();
    std::fs::create_dir_all(dir).expect("a folder");
    let frame = |name: String, counts: Array2<u16>| {
        let mut file =
            tiff::encoder::TiffEncoder::new(std::fs::File::create(dir.join(name)).expect("a file")).expect("TIFF");
        let (rows, cols) = counts.dim();
        let data: Vec<u16> = counts.into_iter().collect();
        file.write_image::<tiff::encoder::colortype::Gray16>(cols as u32, rows as u32, &data).expect("a frame");
    };
    let even = |value: f32| Array2::from_elem((SIZE, SIZE), value as u16);
    frame("dark_00000.tif".into(), even(0.0));
    frame("flat_00000.tif".into(), even(GAIN * DOSE.photons as f32));
    for (view, counts) in low_dose.counts.axis_iter(Axis(1)).enumerate() {
        frame(format!("proj_{view:05}.tif"), counts.mapv(|photons| (GAIN * photons) as u16));
    }
    println!("{:.6}", low_dose.pixel_um());
}

/// Slice in the middle, several times as large, over its caption.
fn panel(page: &mut Array2<u8>, left: usize, volume: &Array3<f32>, captions: [&str; 2]) {
    let draw = |page: &mut Array2<u8>, slice: ArrayView2<f32>| {
        for ((row, col), value) in slice.indexed_iter() {
            let grey = (255.0 * (value + 0.25) / 1.5).clamp(0.0, 255.0) as u8;
            page.slice_mut(s![TOP + ZOOM * row..TOP + ZOOM * (row + 1), left + ZOOM * col..left + ZOOM * (col + 1)])
                .fill(grey);
        }
    };
    draw(page, volume.index_axis(Axis(0), SIZE / 2));
    draw_text(page, captions[0], [12, left], 2, 0);
    draw_text(page, captions[1], [TOP + ZOOM * SIZE + 10, left], 2, 0);
}
const ZOOM: usize = 3;
const TOP: usize = 40;
const GAP: usize = 16;

/// Noisy, Gaussian, denoised slices of `dir`, and the truth, side by side.
fn sheet(dir: &Path, out: &Path) {
    let low_dose = foam();
    let noisy = slices(&low_dose, 1, 0);
    let (gaussian, smooth) = best_gaussian(&low_dose.truth, &noisy, true);
    let mut found = Array3::zeros((SIZE, SIZE, SIZE));
    for (z, mut slice) in found.outer_iter_mut().enumerate() {
        slice.assign(&wagiri::io::read_slice(&dir.join(format!("rec{z:05}.tif"))).expect("a slice"));
    }
    let score = |volume: &Array3<f32>| {
        format!("{:.1} dB, SSIM {:.2}", region().psnr(&low_dose.truth, volume), region().ssim(&low_dose.truth, volume))
    };
    let panels = [
        ("all views, FBP", score(&noisy), &noisy),
        (gaussian.trim_start_matches("best "), score(&smooth), &smooth),
        ("wagiri denoise", score(&found), &found),
        ("truth", String::new(), &low_dose.truth),
    ];
    let cell = ZOOM * SIZE + GAP;
    let mut page = Array2::from_elem((TOP + ZOOM * SIZE + 40, panels.len() * cell + GAP), 255u8);
    for (i, (name, score, volume)) in panels.iter().enumerate() {
        panel(&mut page, GAP + i * cell, volume, [name, score]);
        println!("{name}: {score}");
    }
    let file = std::io::BufWriter::new(std::fs::File::create(out).expect("a file"));
    let mut encoder = png::Encoder::new(file, page.ncols() as u32, page.nrows() as u32);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().expect("a picture");
    writer.write_image_data(page.as_slice().expect("one block")).expect("a picture");
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => table(),
        ["scan", dir] => write_scan(Path::new(dir)),
        ["sheet", dir, out] => sheet(Path::new(dir), Path::new(out)),
        ["train", channels, epochs, ..] => {
            let mut options = preset(channels.parse().expect("a number"), epochs.parse().expect("a number"));
            options.seed = words.get(3).map_or(options.seed, |seed| seed.parse().expect("a number"));
            let low_dose = foam();
            let subsets = Arrays((0..SUBSETS).map(|first| slices(&low_dose, SUBSETS, first)).collect());
            curve(&subsets, &low_dose.truth, &format!("{channels} slices"), &options);
        }
        _ => panic!("expected nothing, scan DIR, sheet DIR OUT.png or train CHANNELS EPOCHS [SEED]"),
    }
}
