//! Networks and stopped trainings as bytes, in the format safetensors: tensors by name with PyTorch's axes, and a text.
//!
//! Must not know: files. Who has written the bytes to a disk renames them into place.

use super::sample::Scaling;
use super::tensors::{Tensor, Weights, bytes_of, write};
use super::{Architecture, EpochLoss, Role, State, TrainOptions};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fmt::Display;

/// Version of what is written; larger ones are refused.
const VERSION: u32 = 1;
const MODEL: &str = "wagiri-n2i-model";
const CHECKPOINT: &str = "wagiri-n2i-checkpoint";
/// Before the names of what is told of the scan.
const ABOUT: &str = "about.";

/// A trained network and what must be known to use it.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Shape of the network.
    pub architecture: Architecture,
    /// Subsets of views that it was trained with, K.
    pub subsets: usize,
    /// Of the values that it was trained with.
    pub scaling: Scaling,
    /// As in [`State`].
    pub parameters: Vec<f32>,
    /// As in [`State`].
    pub statistics: Vec<f32>,
    /// The scan and the training, for people and for checks: `chain`, `views`, `pixel_um`, `epochs`, ...
    pub about: BTreeMap<String, String>,
}

impl Model {
    /// For an engine.
    pub fn state(&self) -> State {
        State::of_weights(self.parameters.clone(), self.statistics.clone())
    }
    /// The file: `parameters` and `statistics` as tensors with the names of [`Architecture::tensors`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut text = Text::new(MODEL);
        text.network(&self.architecture, self.subsets, &self.scaling);
        text.about(&self.about);
        write(self.tensors(|ours| ours.to_owned()), Some(text.0))
    }
    /// Tensors only, under other names.
    pub(super) fn bytes_with(&self, name: impl Fn(&str) -> String) -> Result<Vec<u8>> {
        write(self.tensors(name), None)
    }
    fn tensors(&self, name: impl Fn(&str) -> String) -> Vec<Tensor> {
        let tensors = self.architecture.tensors().into_iter().map(|tensor| {
            let from = if tensor.role == Role::Trained { &self.parameters } else { &self.statistics };
            let values = bytes_of(&from[tensor.offset..tensor.offset + tensor.len()]);
            (name(&tensor.name), tensor.shape, values)
        });
        tensors.collect()
    }
    /// Reads what [`Model::to_bytes`] wrote. `place` names it in errors: not a model, damaged, of a later version.
    pub fn from_bytes(place: impl Display, bytes: &[u8]) -> Result<Model> {
        let file = File::read(&place, bytes, MODEL)?;
        let architecture = file.architecture()?;
        let [trained, running] = architecture.lengths();
        let (mut parameters, mut statistics) = (vec![0.0; trained], vec![0.0; running]);
        for tensor in architecture.tensors() {
            let into = if tensor.role == Role::Trained { &mut parameters } else { &mut statistics };
            file.weights.floats(&tensor.name, &tensor.shape, &mut into[tensor.offset..tensor.offset + tensor.len()])?;
        }
        Ok(Model {
            architecture,
            subsets: file.parse("subsets")?,
            scaling: file.scaling()?,
            parameters,
            statistics,
            about: file.about(),
        })
    }
}

/// The best network of a training so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// Its loss in the slices held out.
    pub validation: f64,
    /// The epoch at whose end it was found.
    pub epoch: usize,
    /// Averaged parameters.
    pub parameters: Vec<f32>,
    /// Averaged statistics.
    pub statistics: Vec<f32>,
}

/// A training that can go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// As it was begun.
    pub options: TrainOptions,
    /// Subsets of views, K.
    pub subsets: usize,
    /// Of the volume.
    pub scaling: Scaling,
    /// Weights and optimiser.
    pub state: State,
    /// Epochs that have ended.
    pub history: Vec<EpochLoss>,
    /// Samples seen. Which come next follows from it: there is no other random state.
    pub samples: u64,
    /// Sum of the losses of the samples of the epoch that runs.
    pub epoch_loss: f64,
    /// Time spent.
    pub seconds: f64,
    /// Kept where a patience is given.
    pub best: Option<Best>,
    /// See [`Model::about`].
    pub about: BTreeMap<String, String>,
}

impl Checkpoint {
    /// The network as it would be used now: the best one where a patience is given, else the averaged one.
    pub fn model(&self) -> Model {
        let mut about = self.about.clone();
        if let Some(last) = self.history.last() {
            about.insert("epochs".into(), last.epoch.to_string());
            about.insert("training_loss".into(), format!("{:.6}", last.training));
            about.insert("validation_loss".into(), format!("{:.6}", last.validation));
        }
        let (parameters, statistics) = match &self.best {
            Some(best) => {
                about.insert("best_epoch".into(), best.epoch.to_string());
                (best.parameters.clone(), best.statistics.clone())
            }
            None => (self.state.averaged_parameters.clone(), self.state.averaged_statistics.clone()),
        };
        Model {
            architecture: self.options.architecture,
            subsets: self.subsets,
            scaling: self.scaling,
            parameters,
            statistics,
            about,
        }
    }
    /// The same training with options of which those may differ that do not change what has been done.
    pub(super) fn go_on(mut self, options: &TrainOptions, subsets: usize) -> Result<Checkpoint> {
        let free =
            |options: &TrainOptions| TrainOptions { epochs: 0, patience: 0, checkpoint_s: 0.0, ..options.clone() };
        let (was, is) = (Text::of_options(&free(&self.options)), Text::of_options(&free(options)));
        if let Some((was, is)) = was.0.lines().zip(is.0.lines()).find(|(was, is)| was != is) {
            let message = format!("the training was begun with {was}, not {is}");
            return Err(Error::invalid("resume", message));
        }
        if self.subsets != subsets {
            let message = "the training was begun with another number of subsets";
            return Err(Error::invalid("resume", message).with("subsets", subsets).with("begun_with", self.subsets));
        }
        if self.samples > options.samples() {
            let message = "the training has gone on for more epochs than are wished now";
            return Err(Error::invalid("resume", message)
                .with("epochs", options.epochs)
                .with("done", self.samples / options.slices_per_epoch as u64));
        }
        self.options = options.clone();
        Ok(self)
    }
    /// The file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut text = Text::new(CHECKPOINT);
        text.network(&self.options.architecture, self.subsets, &self.scaling);
        text.options(&self.options);
        text.line("steps", self.state.steps);
        text.line("samples", self.samples);
        text.line("epoch_loss", self.epoch_loss);
        text.line("seconds", self.seconds);
        text.line("history", self.history.len());
        for epoch in &self.history {
            let EpochLoss { epoch, steps, training, validation, learning_rate, seconds } = epoch;
            text.line(&format!("epoch.{epoch}"), format!("{steps} {training} {validation} {learning_rate} {seconds}"));
        }
        if let Some(best) = &self.best {
            text.line("best_epoch", best.epoch);
            text.line("best_validation", best.validation);
        }
        text.about(&self.about);
        let best =
            self.best.iter().flat_map(|b| [("best.parameters", &b.parameters), ("best.statistics", &b.statistics)]);
        let all = self.vectors().into_iter().chain(best);
        write(all.map(|(name, values)| (name.to_owned(), vec![values.len()], bytes_of(values))).collect(), Some(text.0))
    }
    fn vectors(&self) -> [(&'static str, &Vec<f32>); 6] {
        let State { parameters, statistics, averaged_parameters, averaged_statistics, moment1, moment2, .. } =
            &self.state;
        [
            ("parameters", parameters),
            ("statistics", statistics),
            ("averaged.parameters", averaged_parameters),
            ("averaged.statistics", averaged_statistics),
            ("moment1", moment1),
            ("moment2", moment2),
        ]
    }
    /// Reads what [`Checkpoint::to_bytes`] wrote.
    pub fn from_bytes(place: impl Display, bytes: &[u8]) -> Result<Checkpoint> {
        let file = File::read(&place, bytes, CHECKPOINT)?;
        let architecture = file.architecture()?;
        let [trained, running] = architecture.lengths();
        let vector = |name: &str, len: usize| {
            let mut values = vec![0.0; len];
            file.weights.floats(name, &[len], &mut values).map(|()| values)
        };
        let state = State {
            parameters: vector("parameters", trained)?,
            statistics: vector("statistics", running)?,
            averaged_parameters: vector("averaged.parameters", trained)?,
            averaged_statistics: vector("averaged.statistics", running)?,
            moment1: vector("moment1", trained)?,
            moment2: vector("moment2", trained)?,
            steps: file.parse("steps")?,
        };
        let history = (1..=file.parse::<usize>("history")?).map(|epoch| file.epoch(epoch)).collect::<Result<_>>()?;
        let best = match file.text.contains_key("best_epoch") {
            false => None,
            true => Some(Best {
                validation: file.parse("best_validation")?,
                epoch: file.parse("best_epoch")?,
                parameters: vector("best.parameters", trained)?,
                statistics: vector("best.statistics", running)?,
            }),
        };
        Ok(Checkpoint {
            options: file.options(architecture)?,
            subsets: file.parse("subsets")?,
            scaling: file.scaling()?,
            state,
            history,
            samples: file.parse("samples")?,
            epoch_loss: file.parse("epoch_loss")?,
            seconds: file.parse("seconds")?,
            best,
            about: file.about(),
        })
    }
}

/// Facts, a line each. Numbers are written such that they are read as the same bits.
struct Text(String);

impl Text {
    fn new(format: &str) -> Self {
        let mut text = Text(String::new());
        text.line("format", format);
        text.line("version", VERSION);
        text
    }
    fn of_options(options: &TrainOptions) -> Self {
        let mut text = Text(String::new());
        text.network_shape(&options.architecture);
        text.options(options);
        text
    }
    fn line(&mut self, name: &str, value: impl Display) {
        let value = value.to_string().replace('\\', "\\\\").replace('\n', "\\n");
        self.0 += &format!("{name} = {value}\n");
    }
    fn network_shape(&mut self, architecture: &Architecture) {
        let Architecture { channels, base_width, depth, norm } = architecture;
        self.line("channels", channels);
        self.line("base_width", base_width);
        self.line("depth", depth);
        self.line("norm", norm.name());
    }
    fn network(&mut self, architecture: &Architecture, subsets: usize, scaling: &Scaling) {
        self.network_shape(architecture);
        self.line("subsets", subsets);
        self.line("mean", scaling.mean);
        self.line("spread", scaling.spread);
    }
    fn options(&mut self, options: &TrainOptions) {
        self.line("patch_px", options.patch_px);
        self.line("batch", options.batch);
        self.line("slices_per_epoch", options.slices_per_epoch);
        self.line("epochs", options.epochs);
        self.line("learning_rate", options.learning_rate);
        self.line("warmup_steps", options.warmup_steps);
        self.line("decay", options.decay.name());
        self.line("clip_norm", options.clip_norm);
        self.line("average", options.average);
        self.line("held_out", options.held_out);
        self.line("patience", options.patience);
        self.line("seed", options.seed);
        self.line("checkpoint_s", options.checkpoint_s);
    }
    fn about(&mut self, about: &BTreeMap<String, String>) {
        for (name, value) in about {
            self.line(&format!("{ABOUT}{name}"), value);
        }
    }
}

/// A file that is read.
struct File<'a> {
    place: String,
    weights: Weights<'a>,
    text: BTreeMap<String, String>,
}

impl<'a> File<'a> {
    fn read(place: &dyn Display, bytes: &'a [u8], format: &str) -> Result<Self> {
        let what = if format == MODEL { "a network of wagiri" } else { "a checkpoint of wagiri" };
        let weights = Weights::read(place, bytes).map_err(|e| e.at(format_args!("looking for {what}")))?;
        let place = place.to_string();
        let text = Weights::text(bytes);
        let plain =
            |value: &str| value.split("\\\\").map(|part| part.replace("\\n", "\n")).collect::<Vec<_>>().join("\\");
        let text: BTreeMap<String, String> = text
            .lines()
            .filter_map(|line| line.split_once(" = "))
            .map(|(name, value)| (name.to_owned(), plain(value)))
            .collect();
        let file = File { place, weights, text };
        let found = file.text.get("format").map_or("", String::as_str);
        if found != format {
            let found = match found {
                "" => "safetensors without wagiri's metadata",
                MODEL => "a network",
                CHECKPOINT => "a checkpoint",
                other => other,
            };
            let message = format!("expected {what}, but this is {found}");
            return Err(Error::format(&file.place, message));
        }
        let version: u32 = file.parse("version")?;
        if version != VERSION {
            let message = format!("this version of wagiri reads version {VERSION} of the format");
            return Err(Error::unsupported(&file.place, message).with("version", version));
        }
        Ok(file)
    }
    fn parse<T: std::str::FromStr>(&self, name: &str) -> Result<T> {
        let value = self.text.get(name).map_or("", String::as_str);
        value.parse().map_err(|_| {
            Error::format(&self.place, format!("'{name}' is missing in the file, or wrong"))
                .with("value", format!("'{value}'"))
        })
    }
    fn architecture(&self) -> Result<Architecture> {
        let architecture = Architecture {
            channels: self.parse("channels")?,
            base_width: self.parse("base_width")?,
            depth: self.parse("depth")?,
            norm: self.parse("norm")?,
        };
        architecture.check().map_err(|e| e.at(&self.place))?;
        Ok(architecture)
    }
    fn scaling(&self) -> Result<Scaling> {
        let scaling = Scaling { mean: self.parse("mean")?, spread: self.parse("spread")? };
        if scaling.mean.is_finite() && scaling.spread.is_finite() && scaling.spread > 0.0 {
            return Ok(scaling);
        }
        let message = "mean and spread of the values in the file are not numbers to normalise by";
        Err(Error::format(&self.place, message).with("mean", scaling.mean).with("spread", scaling.spread))
    }
    fn options(&self, architecture: Architecture) -> Result<TrainOptions> {
        let options = TrainOptions {
            architecture,
            patch_px: self.parse("patch_px")?,
            batch: self.parse("batch")?,
            slices_per_epoch: self.parse("slices_per_epoch")?,
            epochs: self.parse("epochs")?,
            learning_rate: self.parse("learning_rate")?,
            warmup_steps: self.parse("warmup_steps")?,
            decay: self.parse("decay")?,
            clip_norm: self.parse("clip_norm")?,
            average: self.parse("average")?,
            held_out: self.parse("held_out")?,
            patience: self.parse("patience")?,
            seed: self.parse("seed")?,
            checkpoint_s: self.parse("checkpoint_s")?,
        };
        options.check().map_err(|e| e.at(&self.place))?;
        Ok(options)
    }
    fn epoch(&self, epoch: usize) -> Result<EpochLoss> {
        let name = format!("epoch.{epoch}");
        let line: String = self.parse(&name)?;
        let bad = || Error::format(&self.place, format!("'{name}' is missing in the file, or wrong"));
        let (steps, rest) = line.split_once(' ').ok_or_else(bad)?;
        let numbers: Vec<f64> = rest.split(' ').map_while(|word| word.parse().ok()).collect();
        let [training, validation, learning_rate, seconds] = numbers[..] else { return Err(bad()) };
        Ok(EpochLoss { epoch, steps: steps.parse().map_err(|_| bad())?, training, validation, learning_rate, seconds })
    }
    fn about(&self) -> BTreeMap<String, String> {
        let about =
            self.text.iter().filter_map(|(name, value)| Some((name.strip_prefix(ABOUT)?.to_owned(), value.clone())));
        about.collect()
    }
}
