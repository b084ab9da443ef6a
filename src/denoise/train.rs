//! Training: steps, epochs, checks by slices held out, and when to end.
//!
//! Everything that happens depends on the options and the number of samples seen, never on the clock, so that a training
//! that was stopped and goes on from a checkpoint takes the same way as one that was not.

use super::sample::{Sampler, Scaling};
use super::{Batch, Checkpoint, Engine, State, Subsets, TrainOptions, Update};
use crate::error::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

/// Mean squared errors of one epoch, in units of the normalised values. They hold the noise of the targets, so that they
/// never reach 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochLoss {
    /// From 1.
    pub epoch: usize,
    /// Steps done until its end.
    pub steps: u64,
    /// Mean over its steps.
    pub training: f64,
    /// In the slices held out, with the averaged weights, at its end.
    pub validation: f64,
    /// Length of its last step.
    pub learning_rate: f64,
    /// Time spent on training until its end, stops not counted.
    pub seconds: f64,
}

/// How a training stands, after each step and after each epoch.
#[derive(Clone, Copy, Debug)]
pub struct TrainReport<'a> {
    /// The epoch that runs or has just ended, from 1.
    pub epoch: usize,
    /// Epochs of the whole training.
    pub epochs: usize,
    /// Steps done.
    pub step: u64,
    /// Steps of the whole training.
    pub steps: u64,
    /// Mean squared error of the last step.
    pub loss: f64,
    /// Its length.
    pub learning_rate: f64,
    /// Epochs that have ended.
    pub history: &'a [EpochLoss],
    /// The epoch has ended; the last entry of `history` is its.
    pub epoch_done: bool,
    /// Time spent on training, stops not counted.
    pub elapsed: Duration,
    /// Time to the end.
    pub eta: Option<Duration>,
}

/// Who follows a training.
pub trait Observer {
    /// After each step and each epoch, on the calling thread. An error of kind `CANCELLED` ends the training, which is saved.
    fn step(&mut self, report: &TrainReport) -> Result<()>;
    /// Called several times a second on the calling thread, within steps too. The same error stops at once; the step is lost.
    fn tick(&mut self) -> Result<()>;
    /// Keep it such that an earlier one survives if this fails. An error ends the training.
    fn save(&mut self, checkpoint: &Checkpoint) -> Result<()>;
    /// Something that a user should know.
    fn note(&mut self, text: &str);
}

/// Why a training ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// All epochs are done.
    Finished,
    /// The slices held out have not become better for [`TrainOptions::patience`] epochs.
    NoBetter,
    /// The observer wished so.
    Stopped,
    /// The losses grew or were no numbers, as the text says.
    Diverged(String),
}

/// What came out of a training.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Of its end; where it diverged, the last one that was saved.
    pub checkpoint: Checkpoint,
    /// Why it ended.
    pub ended: Ended,
}

/// A loss that is so many times the smallest one is that of a training that has gone astray.
const ASTRAY: f64 = 100.0;

/// Trains a network on noisy volumes. `from`: go on from there; its options must be the same but for the number of epochs, the
/// patience and the time between checkpoints. `about`: what is known of the scan, for the model.
///
/// Errors: of options, of volumes that are too small, constant or hold what is not a number; of a checkpoint with other options;
/// of the observer's [`Observer::save`].
pub fn train(
    subsets: &dyn Subsets,
    options: &TrainOptions,
    about: &BTreeMap<String, String>,
    engine: &mut dyn Engine,
    from: Option<Checkpoint>,
    observer: &mut dyn Observer,
) -> Result<Trained> {
    options.check()?;
    if subsets.count() < 2 {
        let message = "one subset is too few: each is predicted from the others";
        return Err(Error::invalid("training", message).with("subsets", subsets.count()));
    }
    let checkpoint = match from {
        Some(from) => from.go_on(options, subsets.count())?,
        None => Checkpoint {
            options: options.clone(),
            subsets: subsets.count(),
            scaling: Scaling::of(subsets)?,
            state: State::new(&options.architecture, options.seed),
            history: Vec::new(),
            samples: 0,
            epoch_loss: 0.0,
            seconds: 0.0,
            best: None,
            about: about.clone(),
        },
    };
    let architecture = &options.architecture;
    let sampler =
        Sampler::new(subsets, checkpoint.scaling, architecture, options.patch_px, options.held_out, options.seed)?;
    engine.load(&checkpoint.state)?;
    let now = Instant::now();
    let training = Training {
        options,
        engine,
        observer,
        sampler: &sampler,
        before: checkpoint.seconds,
        began: now,
        saved: now,
        samples_before: checkpoint.samples,
        last_good: checkpoint.clone(),
        checkpoint,
        loss: f64::NAN,
        smallest: f64::INFINITY,
    };
    training.run()
}

struct Training<'a> {
    options: &'a TrainOptions,
    engine: &'a mut dyn Engine,
    observer: &'a mut dyn Observer,
    sampler: &'a Sampler<'a>,
    /// As it is now, but for the state, which the engine holds.
    checkpoint: Checkpoint,
    last_good: Checkpoint,
    /// Seconds, samples and time when it began this time.
    before: f64,
    samples_before: u64,
    began: Instant,
    saved: Instant,
    /// Of the last step.
    loss: f64,
    smallest: f64,
}

/// Why the steps with one size of batch have ended.
enum Pause {
    End(Ended),
    TooLarge(Error),
}

impl Training<'_> {
    fn run(mut self) -> Result<Trained> {
        let mut batch = self.options.batch;
        let ended = loop {
            match self.steps(batch)? {
                Pause::End(ended) => break ended,
                Pause::TooLarge(e) if batch == 1 => {
                    let message = "not even one patch fits into the memory; take a smaller patch_px or base width";
                    return Err(Error::limit("training", message).caused_by(e));
                }
                Pause::TooLarge(e) => {
                    batch = batch.div_ceil(2);
                    self.observer.note(&format!("{e}; going on with batches of {batch}"));
                }
            }
        };
        if let Ended::Diverged(_) = &ended {
            return Ok(Trained { checkpoint: self.last_good, ended });
        }
        self.save()?;
        Ok(Trained { checkpoint: self.last_good, ended })
    }

    /// Steps with batches of this size, up to the end or until they prove too large.
    fn steps(&mut self, size: usize) -> Result<Pause> {
        let (sampler, first, epoch, total) =
            (self.sampler, self.checkpoint.samples, self.options.slices_per_epoch as u64, self.options.samples());
        // Batches are drawn while the engine computes.
        std::thread::scope(|scope| {
            let (sender, batches) = sync_channel(2);
            scope.spawn(move || {
                let mut sample = first;
                while sample < total {
                    // A batch never goes on into the next epoch.
                    let count = (epoch - sample % epoch).min(size as u64) as usize;
                    let batch = sampler.training(sample, count);
                    if sender.send(batch).is_err() {
                        return;
                    }
                    sample += count as u64;
                }
            });
            let pause = self.steps_of(&batches);
            drop(batches);
            match pause {
                // What has been done is kept: a step that was not finished has changed nothing.
                Err(e) if e.kind() == ErrorKind::Cancelled => Ok(Pause::End(Ended::Stopped)),
                pause => pause,
            }
        })
    }

    fn steps_of(&mut self, batches: &Receiver<Result<Batch>>) -> Result<Pause> {
        let epoch = self.options.slices_per_epoch as u64;
        // Stopped while the epoch was looked at.
        if self.checkpoint.samples > epoch * self.checkpoint.history.len() as u64 + epoch - 1
            && let Some(ended) = self.end_epoch()?
        {
            return Ok(Pause::End(ended));
        }
        while self.checkpoint.samples < self.options.samples() {
            let Ok(batch) = batches.recv() else {
                return Err(Error::internal("training", "the thread that draws samples has ended"));
            };
            let batch = batch?;
            let count = batch.targets.dim().0 as u64;
            let update = self.update();
            let done = match self.engine.step(&batch, &update, &mut || self.observer.tick()) {
                Ok(done) => done,
                Err(e) if e.kind() == ErrorKind::Limit => return Ok(Pause::TooLarge(e)),
                Err(e) => return Err(e),
            };
            self.loss = done.loss;
            if !(done.loss.is_finite() && done.grad_norm.is_finite()) {
                return Ok(self.diverged("a loss or gradient is not a finite number"));
            }
            if done.loss > ASTRAY * self.smallest {
                return Ok(self.diverged("the loss has become a hundred times as large as it was"));
            }
            self.smallest = self.smallest.min(done.loss);
            self.checkpoint.samples += count;
            self.checkpoint.epoch_loss += count as f64 * done.loss;
            let whole = self.checkpoint.samples.is_multiple_of(epoch);
            let wish = if whole { self.end_epoch()? } else { None };
            self.report(whole, update.learning_rate)?;
            if let Some(ended) = wish {
                return Ok(Pause::End(ended));
            }
            if whole || self.saved.elapsed().as_secs_f64() >= self.options.checkpoint_s {
                self.save()?;
            }
        }
        Ok(Pause::End(Ended::Finished))
    }

    fn update(&self) -> Update {
        let clip_norm = if self.options.clip_norm > 0.0 { self.options.clip_norm } else { f64::INFINITY };
        Update {
            learning_rate: self.options.step_length(self.checkpoint.samples),
            clip_norm,
            average: self.options.average,
        }
    }

    fn diverged(&self, why: &str) -> Pause {
        let epoch = self.checkpoint.samples / self.options.slices_per_epoch as u64 + 1;
        Pause::End(Ended::Diverged(format!("{why} in epoch {epoch}; a smaller learning_rate may help")))
    }

    fn seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }

    /// The loss in the slices held out.
    fn validate(&mut self) -> Result<f64> {
        let mut sum = 0.0;
        for index in 0..self.sampler.validations() {
            let batch = self.sampler.validation(index)?;
            let mut output = batch.targets.clone();
            self.engine.infer(batch.inputs.view(), output.view_mut(), &mut || self.observer.tick())?;
            let error = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
            sum += output.iter().zip(&batch.targets).map(error).sum::<f64>() / output.len() as f64;
        }
        Ok(sum / self.sampler.validations() as f64)
    }

    /// The epoch is over: its losses, and whether there is any use in another.
    fn end_epoch(&mut self) -> Result<Option<Ended>> {
        let validation = self.validate()?;
        let state = self.engine.state()?;
        let epoch = self.options.slices_per_epoch as u64;
        let last_step = (epoch - 1) % self.options.batch as u64 + 1;
        let losses = EpochLoss {
            epoch: (self.checkpoint.samples / epoch) as usize,
            steps: state.steps,
            training: self.checkpoint.epoch_loss / epoch as f64,
            validation,
            learning_rate: self.options.step_length(self.checkpoint.samples - last_step),
            seconds: self.seconds(),
        };
        self.checkpoint.history.push(losses);
        self.checkpoint.epoch_loss = 0.0;
        if self.options.patience == 0 {
            return Ok(None);
        }
        if self.checkpoint.best.as_ref().is_none_or(|best| validation < best.validation) {
            self.checkpoint.best = Some(super::store::Best {
                validation,
                epoch: losses.epoch,
                parameters: state.averaged_parameters,
                statistics: state.averaged_statistics,
            });
        }
        let since = self.checkpoint.best.as_ref().map_or(0, |best| losses.epoch - best.epoch);
        Ok((since >= self.options.patience).then_some(Ended::NoBetter))
    }

    fn report(&mut self, epoch_done: bool, learning_rate: f64) -> Result<()> {
        let (samples, total) = (self.checkpoint.samples, self.options.samples());
        let epoch = self.options.slices_per_epoch as u64;
        let per_sample = self.began.elapsed().as_secs_f64() / (samples - self.samples_before).max(1) as f64;
        let steps = |samples: u64| {
            let batch = self.options.batch as u64;
            samples / epoch * epoch.div_ceil(batch) + (samples % epoch).div_ceil(batch)
        };
        let report = TrainReport {
            epoch: (samples.div_ceil(epoch) as usize).max(1),
            epochs: self.options.epochs,
            step: steps(samples),
            steps: steps(total),
            loss: self.loss,
            learning_rate,
            history: &self.checkpoint.history,
            epoch_done,
            elapsed: Duration::from_secs_f64(self.seconds()),
            eta: Some(Duration::from_secs_f64(per_sample * (total - samples) as f64)),
        };
        self.observer.step(&report)
    }

    fn save(&mut self) -> Result<()> {
        self.checkpoint.state = self.engine.state()?;
        self.checkpoint.seconds = self.seconds();
        self.observer.save(&self.checkpoint)?;
        self.last_good = self.checkpoint.clone();
        self.saved = Instant::now();
        Ok(())
    }
}
