//! How a network is trained.

use super::Architecture;
use crate::error::{Error, Result};
use std::f64::consts::PI;

/// How the length of the steps goes on after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decay {
    /// Down to 0 at the end, as half a period of a cosine (Loshchilov, Hutter 2017, arXiv:1608.03983).
    #[default]
    Cosine,
    /// As it is.
    Constant,
}

impl Decay {
    /// `cosine` or `constant`.
    pub fn name(self) -> &'static str {
        match self {
            Decay::Cosine => "cosine",
            Decay::Constant => "constant",
        }
    }
}

impl std::str::FromStr for Decay {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "cosine" => Ok(Decay::Cosine),
            "constant" => Ok(Decay::Constant),
            _ => Err(Error::invalid("decay", "expected cosine or constant").with("decay", format!("'{text}'"))),
        }
    }
}

/// Options of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainOptions {
    /// The network.
    pub architecture: Architecture,
    /// Side of the square patches; smaller where the slices are.
    pub patch_px: usize,
    /// Patches of a step.
    pub batch: usize,
    /// Patches of an epoch, each of a slice drawn by chance.
    pub slices_per_epoch: usize,
    /// Epochs of the whole training.
    pub epochs: usize,
    /// Length of the steps after the warm-up.
    pub learning_rate: f64,
    /// Steps over which their length rises to that.
    pub warmup_steps: usize,
    /// How it goes on.
    pub decay: Decay,
    /// Gradients whose L2 norm is larger are scaled down to it; 0: never.
    pub clip_norm: f64,
    /// Weight of the past in the moving average of the weights, which is what is used in the end; 0: the last weights are.
    pub average: f64,
    /// Slices that are not learned from; the loss in them tells how well the network does. A quarter of the slices at most.
    pub held_out: usize,
    /// Training ends after so many epochs without a smaller loss in the slices held out; 0: it does not.
    pub patience: usize,
    /// Decides weights at the beginning and samples.
    pub seed: u64,
    /// A checkpoint is saved at least so often, seconds, and after each epoch.
    pub checkpoint_s: f64,
}

impl TrainOptions {
    /// For a processor: some minutes to a quarter of an hour on two cores.
    pub fn small() -> Self {
        TrainOptions {
            architecture: Architecture::SMALL,
            patch_px: 128,
            batch: 4,
            slices_per_epoch: 200,
            epochs: 60,
            learning_rate: 2e-3,
            warmup_steps: 50,
            decay: Decay::Cosine,
            clip_norm: 1.0,
            average: 0.99,
            held_out: 8,
            patience: 0,
            seed: 1,
            checkpoint_s: 300.0,
        }
    }
    /// For a graphics card.
    pub fn large() -> Self {
        TrainOptions {
            architecture: Architecture::LARGE,
            patch_px: 512,
            batch: 4,
            epochs: 100,
            learning_rate: 1e-3,
            ..TrainOptions::small()
        }
    }
    /// `small` or `large`.
    pub fn preset(name: &str) -> Result<Self> {
        match name {
            "small" => Ok(TrainOptions::small()),
            "large" => Ok(TrainOptions::large()),
            _ => Err(Error::invalid("preset", "expected small or large").with("preset", format!("'{name}'"))),
        }
    }
    /// Refuses options with which nothing can be trained.
    pub fn check(&self) -> Result<()> {
        self.architecture.check()?;
        let whole = [
            ("patch_px", self.patch_px, 8, 1 << 15),
            ("batch", self.batch, 1, 1 << 12),
            ("slices_per_epoch", self.slices_per_epoch, 1, 1 << 30),
            ("epochs", self.epochs, 1, 1 << 30),
            ("warmup_steps", self.warmup_steps, 0, 1 << 30),
            ("held_out", self.held_out, 1, 1 << 15),
            ("patience", self.patience, 0, 1 << 30),
        ];
        for (name, value, low, high) in whole {
            if !(low..=high).contains(&value) {
                return Err(Error::invalid(name, format!("expected {low} to {high}")).with("value", value));
            }
        }
        let numbers = [
            ("learning_rate", self.learning_rate, 1e-9, 1.0),
            ("clip_norm", self.clip_norm, 0.0, f64::MAX),
            ("average", self.average, 0.0, 0.999_999),
            ("checkpoint_s", self.checkpoint_s, 1.0, f64::MAX),
        ];
        for (name, value, low, high) in numbers {
            if !(low..=high).contains(&value) {
                let message = if high == f64::MAX {
                    format!("expected {low} or more")
                } else {
                    format!("expected {low} to {high}")
                };
                return Err(Error::invalid(name, message).with("value", value));
            }
        }
        if self.patch_px < self.architecture.multiple_px() {
            let message =
                format!("a network of this depth needs patches of {} px or more", self.architecture.multiple_px());
            return Err(Error::invalid("patch_px", message).with("value", self.patch_px));
        }
        Ok(())
    }
    /// Samples of the whole training.
    pub fn samples(&self) -> u64 {
        self.epochs as u64 * self.slices_per_epoch as u64
    }
    /// Length of the step that begins after so many samples.
    pub(super) fn step_length(&self, sample: u64) -> f64 {
        let step = sample as f64 / self.batch as f64;
        let warm = ((step + 1.0) / self.warmup_steps.max(1) as f64).min(1.0);
        let decay = match self.decay {
            Decay::Cosine => 0.5 * (1.0 + (PI * sample as f64 / self.samples() as f64).cos()),
            Decay::Constant => 1.0,
        };
        self.learning_rate * warm * decay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_pass_and_nonsense_does_not() {
        assert!(TrainOptions::small().check().is_ok() && TrainOptions::large().check().is_ok());
        let bad = |change: fn(&mut TrainOptions)| {
            let mut options = TrainOptions::small();
            change(&mut options);
            options.check().is_err()
        };
        assert!(
            bad(|o| o.patch_px = 4) && bad(|o| o.batch = 0) && bad(|o| o.epochs = 0) && bad(|o| o.slices_per_epoch = 0)
        );
        assert!(bad(|o| o.learning_rate = f64::NAN) && bad(|o| o.learning_rate = 0.0) && bad(|o| o.average = 1.0));
        assert!(bad(|o| o.clip_norm = -1.0) && bad(|o| o.held_out = 0) && bad(|o| o.checkpoint_s = 0.0));
        assert!(bad(|o| o.architecture.channels = 2));
        assert!(bad(|o| {
            o.architecture.depth = 5;
            o.patch_px = 16;
        }));
    }

    #[test]
    fn steps_grow_to_full_length_and_shrink_to_nothing() {
        let options =
            TrainOptions { batch: 2, slices_per_epoch: 100, epochs: 10, warmup_steps: 50, ..TrainOptions::small() };
        assert!((options.step_length(0) - options.learning_rate / 50.0).abs() < 1e-12);
        assert!(options.step_length(98) > 0.97 * options.learning_rate);
        assert!((options.step_length(500) - 0.5 * options.learning_rate).abs() < 1e-12);
        assert!(options.step_length(998) < 1e-4 * options.learning_rate);
        let constant = TrainOptions { decay: Decay::Constant, warmup_steps: 0, ..options };
        assert_eq!(constant.step_length(0), constant.learning_rate);
        assert_eq!(constant.step_length(999), constant.learning_rate);
    }
}
