//! The trainer with an engine of two numbers, which can be made to fail.

use super::sample::tests::Arrays;
use super::*;
use crate::error::{Error, ErrorKind};
use ndarray::{Array3, ArrayView4, ArrayViewMut3, Axis};
use std::collections::BTreeMap;

const NETWORK: Architecture = Architecture { channels: 3, base_width: 8, depth: 1, norm: Norm::None };

/// Output = gain * middle slice + offset, by gradient descent.
struct Line {
    state: State,
    /// Largest batch that it has memory for.
    room: usize,
    /// Step in which it finds what is not a number.
    nan_at: Option<u64>,
}

impl Line {
    fn new() -> Line {
        Line { state: State::new(&NETWORK, 0), room: 100, nan_at: None }
    }
}

impl Engine for Line {
    fn device(&self) -> String {
        "two numbers".into()
    }
    fn load(&mut self, state: &State) -> Result<()> {
        state.check(&NETWORK)?;
        self.state = state.clone();
        Ok(())
    }
    fn state(&mut self) -> Result<State> {
        Ok(self.state.clone())
    }
    fn step(&mut self, batch: &Batch, update: &Update, tick: Tick) -> Result<StepDone> {
        tick()?;
        if batch.targets.dim().0 > self.room {
            return Err(Error::limit("line", "too many patches"));
        }
        let middle = batch.inputs.index_axis(Axis(1), 1);
        let [gain, offset] = [self.state.parameters[0], self.state.parameters[1]];
        let errors = middle.mapv(|v| gain * v + offset) - &batch.targets;
        let n = errors.len() as f32;
        let slopes = [2.0 * (&errors * &middle).sum() / n, 2.0 * errors.sum() / n];
        for (parameter, slope) in self.state.parameters.iter_mut().zip(slopes) {
            *parameter -= update.learning_rate as f32 * slope;
        }
        let keep = update.average as f32;
        for (average, new) in self.state.averaged_parameters.iter_mut().zip(&self.state.parameters) {
            *average = keep * *average + (1.0 - keep) * new;
        }
        self.state.steps += 1;
        let loss =
            if self.nan_at == Some(self.state.steps) { f64::NAN } else { f64::from((&errors * &errors).sum() / n) };
        Ok(StepDone { loss, grad_norm: f64::from(slopes[0].hypot(slopes[1])) })
    }
    fn infer(&mut self, inputs: ArrayView4<f32>, mut outputs: ArrayViewMut3<f32>, tick: Tick) -> Result<()> {
        tick()?;
        let [gain, offset] = [self.state.averaged_parameters[0], self.state.averaged_parameters[1]];
        outputs.assign(&inputs.index_axis(Axis(1), 1).mapv(|v| gain * v + offset));
        Ok(())
    }
    fn infer_bytes(&self, rows: usize, cols: usize) -> u64 {
        (rows * cols) as u64
    }
    fn step_bytes(&self, samples: usize, rows: usize, cols: usize) -> u64 {
        (samples * rows * cols) as u64
    }
    fn memory_bytes(&self) -> u64 {
        1000
    }
}

#[derive(Default)]
struct Follower {
    /// Calls of `tick` until it wishes to stop.
    ticks_left: Option<usize>,
    ticks: usize,
    saved: Vec<Checkpoint>,
    notes: Vec<String>,
    steps: Vec<u64>,
    /// Saving fails from then on.
    full_after: Option<usize>,
}

impl Observer for Follower {
    fn step(&mut self, report: &TrainReport) -> Result<()> {
        self.steps.push(report.step);
        assert_eq!(report.epoch_done, report.history.len() == report.epoch);
        Ok(())
    }
    fn tick(&mut self) -> Result<()> {
        self.ticks += 1;
        if self.ticks_left == Some(self.ticks) { Err(Error::cancelled("training")) } else { Ok(()) }
    }
    fn save(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        if self.full_after == Some(self.saved.len()) {
            return Err(Error::limit("checkpoint", "the disk is full"));
        }
        self.saved.push(Checkpoint::from_bytes("here", &checkpoint.to_bytes()?)?);
        Ok(())
    }
    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }
}

/// Object and noise, different in each subset.
fn volume() -> Arrays {
    let value = |k: usize, (z, y, x): (usize, usize, usize)| {
        let object = if (y / 4 + x / 4 + z / 3).is_multiple_of(2) { 2.0 } else { 0.5 };
        object + 0.2 * (((z * 37 + y * 101 + x * 59 + k * 23) % 17) as f32 / 8.0 - 1.0)
    };
    Arrays((0..3).map(|k| Array3::from_shape_fn((12, 16, 20), |at| value(k, at))).collect())
}

fn options() -> TrainOptions {
    TrainOptions {
        architecture: NETWORK,
        patch_px: 8,
        batch: 3,
        slices_per_epoch: 10,
        epochs: 6,
        learning_rate: 0.1,
        warmup_steps: 2,
        average: 0.5,
        held_out: 3,
        checkpoint_s: 1e9,
        ..TrainOptions::small()
    }
}

fn run(
    options: &TrainOptions,
    engine: &mut Line,
    from: Option<Checkpoint>,
    follower: &mut Follower,
) -> Result<Trained> {
    train(&volume(), options, &BTreeMap::from([("views".into(), "90".into())]), engine, from, follower)
}

/// All but the time.
fn timeless(mut checkpoint: Checkpoint) -> Checkpoint {
    checkpoint.seconds = 0.0;
    checkpoint.history.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
    checkpoint
}

#[test]
fn losses_fall_and_every_epoch_is_saved() {
    let mut follower = Follower::default();
    let trained = run(&options(), &mut Line::new(), None, &mut follower).expect("a training");
    assert_eq!(trained.ended, Ended::Finished);
    let history = &trained.checkpoint.history;
    assert_eq!(history.len(), 6);
    assert!(history[5].validation < 0.5 * history[0].validation && history[5].training < history[0].training);
    // 10 samples in batches of 3: 4 steps each.
    assert_eq!(history.iter().map(|e| e.steps).collect::<Vec<_>>(), [4, 8, 12, 16, 20, 24]);
    assert_eq!(follower.steps, (1..=24).collect::<Vec<u64>>());
    assert_eq!(follower.saved.len(), 7, "six epochs and the end");
    assert_eq!(follower.saved[6], trained.checkpoint, "a checkpoint is read as it was written");
}

#[test]
fn a_training_that_was_stopped_anywhere_goes_the_same_way() {
    let whole = run(&options(), &mut Line::new(), None, &mut Follower::default()).expect("a training").checkpoint;
    let mut follower = Follower::default();
    run(&options(), &mut Line::new(), None, &mut follower).expect("a training");
    for stop in 1..=follower.ticks {
        let mut follower = Follower { ticks_left: Some(stop), ..Follower::default() };
        let stopped = run(&options(), &mut Line::new(), None, &mut follower).expect("a stop is no error");
        assert_eq!(stopped.ended, Ended::Stopped);
        let from = follower.saved.pop().expect("a checkpoint");
        let end = run(&options(), &mut Line::new(), Some(from), &mut Follower::default()).expect("the rest");
        assert_eq!(timeless(end.checkpoint), timeless(whole.clone()), "stopped at tick {stop}");
    }
    // Killed: what was saved last is what there is.
    for from in follower.saved {
        let end = run(&options(), &mut Line::new(), Some(from), &mut Follower::default()).expect("the rest");
        assert_eq!(timeless(end.checkpoint), timeless(whole.clone()));
    }
}

#[test]
fn more_epochs_can_be_added_but_nothing_else_changed() {
    let done = run(&options(), &mut Line::new(), None, &mut Follower::default()).expect("a training").checkpoint;
    let longer = TrainOptions { epochs: 8, ..options() };
    let more = run(&longer, &mut Line::new(), Some(done.clone()), &mut Follower::default()).expect("more");
    assert_eq!(more.checkpoint.history.len(), 8);
    let message = |options: &TrainOptions| {
        let error =
            run(options, &mut Line::new(), Some(done.clone()), &mut Follower::default()).expect_err("other options");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        error.to_string()
    };
    let text = message(&TrainOptions { learning_rate: 0.2, ..options() });
    assert!(text.contains("learning_rate = 0.1, not learning_rate = 0.2"), "{text}");
    assert!(message(&TrainOptions { epochs: 2, ..options() }).contains("more epochs"));
    let other = TrainOptions { architecture: Architecture { channels: 5, ..NETWORK }, ..options() };
    assert!(message(&other).contains("channels = 3, not channels = 5"));
}

#[test]
fn what_is_not_a_number_ends_a_training_at_the_last_good_checkpoint() {
    let mut engine = Line { nan_at: Some(10), ..Line::new() };
    let trained = run(&options(), &mut engine, None, &mut Follower::default()).expect("an end");
    assert!(matches!(&trained.ended, Ended::Diverged(why) if why.contains("epoch 3")), "{:?}", trained.ended);
    assert_eq!((trained.checkpoint.history.len(), trained.checkpoint.samples), (2, 20));
    let wild = TrainOptions { learning_rate: 1.0, warmup_steps: 0, decay: Decay::Constant, epochs: 50, ..options() };
    let trained = run(&wild, &mut Line::new(), None, &mut Follower::default()).expect("an end");
    assert!(matches!(trained.ended, Ended::Diverged(_)), "{:?}", trained.ended);
    assert!(trained.checkpoint.state.parameters.iter().all(|v| v.is_finite()));
}

#[test]
fn a_batch_that_does_not_fit_is_made_smaller_and_said() {
    let mut follower = Follower::default();
    let trained = run(&options(), &mut Line { room: 1, ..Line::new() }, None, &mut follower).expect("a training");
    assert_eq!(trained.ended, Ended::Finished);
    assert_eq!(trained.checkpoint.samples, 60);
    assert_eq!(follower.notes.len(), 2, "{:?}", follower.notes);
    assert!(follower.notes[1].contains("going on with batches of 1"));
    let error =
        run(&options(), &mut Line { room: 0, ..Line::new() }, None, &mut Follower::default()).expect_err("no room");
    assert_eq!(error.kind(), ErrorKind::Limit);
}

#[test]
fn a_full_disk_ends_a_training_and_leaves_what_was_saved() {
    let mut follower = Follower { full_after: Some(3), ..Follower::default() };
    let error = run(&options(), &mut Line::new(), None, &mut follower).expect_err("full");
    assert_eq!((error.kind(), follower.saved.len()), (ErrorKind::Limit, 3));
}

#[test]
fn without_progress_it_ends_and_the_best_is_what_counts() {
    // Steps that are too long: the loss goes up and down.
    let options =
        TrainOptions { learning_rate: 0.9, patience: 2, epochs: 40, average: 0.0, decay: Decay::Constant, ..options() };
    let trained = run(&options, &mut Line::new(), None, &mut Follower::default()).expect("a training");
    assert_eq!(trained.ended, Ended::NoBetter);
    let history = &trained.checkpoint.history;
    let best = history.iter().min_by(|a, b| a.validation.total_cmp(&b.validation)).expect("epochs");
    assert_eq!(history.len(), best.epoch + 2);
    let model = trained.checkpoint.model();
    assert_eq!(model.about["best_epoch"], best.epoch.to_string());
    assert_ne!(model.parameters, trained.checkpoint.state.averaged_parameters);
}

#[test]
fn networks_are_read_as_they_were_written_and_nothing_else_is() {
    let trained = run(&options(), &mut Line::new(), None, &mut Follower::default()).expect("a training");
    let mut model = trained.checkpoint.model();
    model.about.insert("chain".into(), "raw | normalise\n \\n | recon.fbp".into());
    let bytes = model.to_bytes().expect("bytes");
    assert_eq!(bytes, model.to_bytes().expect("bytes"), "the same bytes each time");
    assert!(Model::from_bytes("m", &bytes).expect("a network") == model);
    let refused = |bytes: &[u8]| Model::from_bytes("m.safetensors", bytes).expect_err("no network").to_string();
    for cut in [0, 4, 7, 8, 100, 1000, bytes.len() - 1] {
        assert!(refused(&bytes[..cut]).contains("damaged or cut off"));
    }
    assert!(refused(&trained.checkpoint.to_bytes().expect("bytes")).contains("but this is a checkpoint"));
    assert!(Checkpoint::from_bytes("c", &bytes).expect_err("a network").to_string().contains("but this is a network"));
    let replaced = |from: &str, to: &str| {
        let text = bytes.windows(from.len()).position(|w| w == from.as_bytes()).expect("the text");
        let mut changed = bytes.clone();
        changed[text..text + from.len()].copy_from_slice(to.as_bytes());
        refused(&changed)
    };
    assert!(replaced("version = 1", "version = 7").contains("version = 7"));
    assert!(replaced("channels = 3", "channels = 5").contains("encoder.0.conv1.weight"));
    assert!(replaced("channels = 3", "channels = 4").contains("odd number"));
    let mut broken = model.clone();
    broken.parameters[5] = f32::NAN;
    assert!(refused(&broken.to_bytes().expect("bytes")).contains("not a finite number"));
}

#[test]
fn the_mean_over_all_subsets_left_out_is_the_mean_of_the_subsets_for_a_network_that_copies() {
    let Arrays(volumes) = volume();
    let [trained, _] = NETWORK.lengths();
    let mut parameters = vec![0.0; trained];
    parameters[0] = 1.0;
    let scaling = Scaling { mean: 1.0, spread: 0.5 };
    let model = Model {
        architecture: NETWORK,
        subsets: 3,
        scaling,
        parameters,
        statistics: Vec::new(),
        about: BTreeMap::new(),
    };
    // The engine has room for 1000 pixels; a slice of 60 x 48 needs several tiles.
    let volumes: Vec<Array3<f32>> = volumes
        .iter()
        .map(|v| Array3::from_shape_fn((6, 59, 45), |(z, y, x)| v[[z, y % 16, x % 20]] + (y * x) as f32 / 1000.0))
        .collect();
    let views: Vec<_> = volumes.iter().map(|v| v.view()).collect();
    let (mut engine, mut out) = (Line::new(), Array3::zeros((4, 59, 45)));
    let mut denoiser = Denoiser::new(&model, &mut engine).expect("a denoiser");
    let mut last = 0.0;
    denoiser
        .apply(&views, out.view_mut(), &mut |part| {
            assert!(part >= last && part <= 1.0);
            last = part;
            Ok(())
        })
        .expect("slices");
    assert_eq!(last, 1.0);
    for ((z, y, x), value) in out.indexed_iter() {
        let mean = volumes.iter().map(|v| v[[z + 1, y, x]]).sum::<f32>() / 3.0;
        // A few roundings of numbers up to 8.
        assert!((value - mean).abs() < 1e-5, "{z} {y} {x}: {value} {mean}");
    }
    let error = denoiser.apply(&views[..2], out.view_mut(), &mut |_| Ok(())).expect_err("two subsets");
    assert!(error.to_string().contains("another number of subsets"));
}
