//! Noise2Inverse from subsets to volume: the stage with the network, training that is stopped and goes on, broken files.

mod common;

use common::chains::{chain, context, volume};
use common::{Ellipse, Lcg, sinogram, tiny_model};
use ndarray::{Array2, Array3, ArrayView3, Axis};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use wagiri::chain::n2i::{
    CHECKPOINT, LOSSES, PREVIEW, SplitOptions, TrainJob, TrainSummary, Work, apply_chain, read_model, split, train,
};
use wagiri::denoise::{Architecture, CpuEngine, Denoiser, Ended, EngineKind, Norm, TrainOptions, TrainReport};
use wagiri::geometry::uniform_angles;
use wagiri::scan::MemorySource;
use wagiri::{ErrorKind, Progress, Result, Scan};

const ROWS: usize = 12;
const VIEWS: usize = 48;
const COLS: usize = 40;
const FBP: &str = "recon.fbp filter=ramp center_px=19.5 pixel_um=100 pad=off";

/// Discs that change from row to row, as counts with noise and a stripe.
fn scan_of(rows: usize, seed: u64) -> Scan {
    let angles = uniform_angles(VIEWS, 0.0, std::f64::consts::PI);
    let mut noise = Lcg(seed);
    let mut frames = Array3::zeros((VIEWS, rows, COLS));
    for row in 0..rows {
        let at = row as f64 / 3.0;
        let discs = [Ellipse::disc(0.0, 0.0, 16.0, 0.8), Ellipse::disc(5.0 - at, 4.0, 4.0 + 0.2 * at, 2.0)];
        for ((view, col), p) in sinogram(&discs, &angles, COLS, 19.5, 100.0).indexed_iter() {
            let answer = if col == 13 { 0.9 } else { 1.0 };
            frames[[view, row, col]] =
                (50.0 + answer * 1000.0 * (-p).exp() * (0.95 + 0.1 * noise.unit() as f32)).round();
        }
    }
    let source =
        MemorySource::new(frames, Array3::from_elem((1, rows, COLS), 1050.0), Array2::from_elem((rows, COLS), 50.0));
    source.expect("frames").into_scan(angles, Some(100.0)).expect("a scan")
}

fn scan() -> Scan {
    scan_of(ROWS, 5)
}

fn write_model(dir: &Path, subsets: usize, channels: usize) -> PathBuf {
    let file = dir.join("tiny.safetensors");
    fs::write(&file, tiny_model(subsets, channels).to_bytes().expect("a model")).expect("a file");
    file
}

/// What the network makes of volumes of the subsets, done by hand.
fn denoised(volumes: &[Array3<f32>], channels: usize) -> Array3<f32> {
    let (ctx, model) = (context(), tiny_model(volumes.len(), channels));
    let (rows, height, width) = volumes[0].dim();
    let reach = channels / 2;
    let numbers: Vec<usize> = (0..rows + 2 * reach).map(|i| i.saturating_sub(reach).min(rows - 1)).collect();
    let with_ends: Vec<Array3<f32>> = volumes.iter().map(|volume| volume.select(Axis(0), &numbers)).collect();
    let views: Vec<ArrayView3<f32>> = with_ends.iter().map(|volume| volume.view()).collect();
    let mut out = Array3::zeros((rows, height, width));
    let mut engine = CpuEngine::new(&model.architecture, ctx.pool(), 1 << 30).expect("an engine");
    let mut denoiser = Denoiser::new(&model, &mut engine).expect("a network");
    denoiser.apply(&views, out.view_mut(), &mut |_| Ok(())).expect("slices");
    for (at, value) in out.indexed_iter_mut() {
        // Outside of the circle.
        *value = if volumes.iter().all(|volume| volume[at] == 0.0) { 0.0 } else { *value };
    }
    out
}

#[test]
fn everything_that_mixes_views_is_done_for_each_subset_by_itself() {
    let dir = tempfile::tempdir().expect("a folder");
    let (scan, model) = (scan(), write_model(dir.path(), 3, 5));
    // A stage without and one with neighbouring rows.
    for before in ["ring.sort", "proj.spikes | ring.sort", "proj.paganin energy_kev=30 distance_mm=50 tolerance=0.01"] {
        let subsets: Vec<Array3<f32>> = (0..3)
            .map(|k| volume(&scan.subset(k, 3).expect("a subset"), &format!("normalise | {before} | {FBP}"), None))
            .collect();
        let expected = denoised(&subsets, 5);
        let text = apply_chain(&chain(&format!("normalise | {before} | {FBP}")), &model).expect("a chain").to_string();
        assert!(text.contains("recon.n2i model=") && text.contains("filter=ramp"), "{text}");
        for rows in [None, Some(1), Some(5)] {
            assert!(volume(&scan, &text, rows) == expected, "{before}, slabs of {rows:?}");
        }
    }
}

#[test]
fn a_model_that_does_not_fit_gets_a_sentence() {
    let dir = tempfile::tempdir().expect("a folder");
    let (ctx, scan) = (context(), scan());
    let refused = |model: &str| {
        let chain = chain(&format!("normalise | recon.n2i center_px=19.5 pixel_um=100 {model}"));
        chain.preview(&ctx, &scan, 3, &mut Progress::silent()).expect_err("refused").to_string()
    };
    assert!(refused("").contains("expected the file of a trained network"));
    assert!(refused("model=nowhere.safetensors").contains("nowhere.safetensors: cannot read the model: no such file"));
    let file = write_model(dir.path(), 7, 3);
    let with = format!("model={}", file.display());
    assert!(refused(&with).contains("too few views: each of the 7 subsets needs at least 8"), "{}", refused(&with));
    let bytes = fs::read(&file).expect("bytes");
    for cut in [0, 7, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&file, &bytes[..cut]).expect("a file");
        assert!(refused(&with).contains("tiny.safetensors"), "{cut}: {}", refused(&with));
    }
}

fn options() -> TrainOptions {
    TrainOptions {
        architecture: Architecture { channels: 3, base_width: 8, depth: 1, norm: Norm::Batch },
        patch_px: 16,
        batch: 2,
        slices_per_epoch: 8,
        epochs: 4,
        warmup_steps: 2,
        held_out: 2,
        ..TrainOptions::small()
    }
}

fn subsets(dir: &Path, seed: u64) -> Work {
    let options = SplitOptions { subsets: 3, ..SplitOptions::default() };
    let text = format!("normalise | ring.sort | {FBP}");
    split(&context(), &chain(&text), &scan_of(ROWS, seed), dir, &options, &mut Progress::silent()).expect("subsets")
}

fn trained(
    work: &Work,
    model: &Path,
    resume: bool,
    watch: &mut dyn FnMut(&TrainReport) -> ControlFlow<()>,
) -> Result<TrainSummary> {
    let job = TrainJob { options: options(), resume, device: EngineKind::Cpu };
    train(&context(), work, model, &job, watch)
}

fn go_on(_: &TrainReport) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn a_training_that_is_stopped_anywhere_goes_on_along_the_same_curve() {
    let dir = tempfile::tempdir().expect("a folder");
    let (work, model) = (subsets(&dir.path().join("work"), 5), dir.path().join("model.safetensors"));
    let mut epochs = Vec::new();
    let whole = trained(&work, &model, false, &mut |report| {
        if report.epoch_done {
            // Its files are there when it is told.
            let table = fs::read_to_string(work.dir().join(LOSSES)).expect("losses");
            assert_eq!(table.lines().count(), 1 + report.history.len());
            assert!(work.dir().join(PREVIEW).is_file());
            epochs.push(report.history.len());
        }
        ControlFlow::Continue(())
    });
    let whole = whole.expect("a training");
    assert_eq!((&whole.ended, epochs, whole.steps), (&Ended::Finished, vec![1, 2, 3, 4], 16));
    assert!(whole.history.iter().all(|epoch| epoch.training.is_finite() && epoch.validation.is_finite()));
    let expected = read_model(&model).expect("a model");
    assert_eq!(expected.about.get("ended").map(String::as_str), Some("finished"));
    assert_eq!(expected.about.get("columns").map(String::as_str), Some("40"));
    assert!(expected.about["chain"].contains("ring.sort") && expected.about["chain"].contains("center_px=19.5"));
    // After each of these steps, at the end of an epoch too.
    for (first, stop) in [(true, 1), (false, 4), (false, 6), (false, 7), (false, 12), (false, 15)] {
        let stopped = trained(&work, &model, !first, &mut |report| match report.step >= stop {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        assert_eq!(stopped.expect("it is saved").ended, Ended::Stopped);
        assert_eq!(read_model(&model).expect("a model").about.get("ended").map(String::as_str), Some("stopped"));
    }
    let again = trained(&work, &model, true, &mut go_on).expect("a training");
    for (a, b) in again.history.iter().zip(&whole.history) {
        assert_eq!((a.epoch, a.steps, a.training, a.validation), (b.epoch, b.steps, b.training, b.validation));
    }
    assert_eq!(again.history.len(), 4);
    assert_eq!(read_model(&model).expect("a model").parameters, expected.parameters);
}

#[test]
fn broken_checkpoints_and_full_disks_leave_the_earlier_training() {
    let dir = tempfile::tempdir().expect("a folder");
    let (work, model) = (subsets(&dir.path().join("work"), 5), dir.path().join("model.safetensors"));
    let stop = |at: u64| {
        move |report: &TrainReport| if report.step >= at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    trained(&work, &model, false, &mut stop(5)).expect("it is saved");
    let path = work.dir().join(CHECKPOINT);
    let good = fs::read(&path).expect("a checkpoint");
    for cut in [0, 9, good.len() / 2, good.len() - 1] {
        fs::write(&path, &good[..cut]).expect("a file");
        let refused = trained(&work, &model, true, &mut go_on).expect_err("refused").to_string();
        assert!(refused.contains(CHECKPOINT), "{cut}: {refused}");
    }
    fs::write(&path, &good).expect("a file");
    // A folder in the way of the new checkpoint stands in for a disk that takes nothing more.
    let part = work.dir().join(format!(".{CHECKPOINT}.part"));
    fs::create_dir(&part).expect("a folder");
    let failed = trained(&work, &model, true, &mut stop(7)).expect_err("nowhere to save").to_string();
    assert!(failed.contains(CHECKPOINT), "{failed}");
    assert!(fs::read(&path).expect("it is still there") == good);
    fs::remove_dir(&part).expect("it is empty");
    let nowhere = trained(&work, &dir.path().join("no/model"), true, &mut go_on).expect_err("no folder").to_string();
    assert!(nowhere.contains("not a file in a folder that exists"), "{nowhere}");
    // Other volumes, other options.
    let other = subsets(&dir.path().join("other"), 6);
    fs::copy(&path, other.dir().join(CHECKPOINT)).expect("a copy");
    let refused = trained(&other, &model, true, &mut go_on).expect_err("refused").to_string();
    assert!(refused.contains("begun with other subsets"), "{refused}");
    let job = TrainJob { options: TrainOptions { seed: 9, ..options() }, resume: true, device: EngineKind::Cpu };
    let refused = train(&context(), &work, &model, &job, &mut go_on).expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("begun with seed"), "{refused}");
    assert_eq!(trained(&work, &model, true, &mut go_on).expect("a training").ended, Ended::Finished);
}
