//! What computes the network: a narrow door, so that processors and graphics cards are behind the same trainer.

use super::Architecture;
use crate::error::{Error, Result};
use ndarray::{Array3, Array4, ArrayView4, ArrayViewMut3};

/// Inputs and targets of one step, normalised.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[sample, channel, y, x]`; both sizes multiples of [`Architecture::multiple_px`].
    pub inputs: Array4<f32>,
    /// `[sample, y, x]`.
    pub targets: Array3<f32>,
}

/// How a step changes the weights: Adam (Kingma, Ba 2015, arXiv:1412.6980) with beta 0.9 and 0.999, epsilon 1e-8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// Length of the step.
    pub learning_rate: f64,
    /// Gradients whose L2 norm over all weights is larger are scaled to it; infinite: never.
    pub clip_norm: f64,
    /// The averaged weights and statistics become `average * old + (1 - average) * new`; 0: they are the new ones.
    pub average: f64,
}

/// What a step found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepDone {
    /// Mean squared error of the batch before the step, in units of the normalised values.
    pub loss: f64,
    /// L2 norm of the gradient before clipping.
    pub grad_norm: f64,
}

/// Everything that training changes. Tensors lie one after the other in the order of [`Architecture::tensors`], each in
/// PyTorch's order of axes: `parameters` those that are trained, `statistics` the running ones.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Trained numbers.
    pub parameters: Vec<f32>,
    /// Running mean and variance of each normalisation.
    pub statistics: Vec<f32>,
    /// Average of the parameters over the last steps: what inference uses.
    pub averaged_parameters: Vec<f32>,
    /// The same of the statistics.
    pub averaged_statistics: Vec<f32>,
    /// First moments of Adam, as `parameters`.
    pub moment1: Vec<f32>,
    /// Second moments of Adam, as `parameters`.
    pub moment2: Vec<f32>,
    /// Steps done.
    pub steps: u64,
}

impl State {
    /// Before the first step, with random weights that depend on `seed` only.
    pub fn new(architecture: &Architecture, seed: u64) -> State {
        let (parameters, statistics) = architecture.initial(seed);
        State::of_weights(parameters, statistics)
    }
    /// Of weights that were trained elsewhere, with an optimiser that starts anew.
    pub fn of_weights(parameters: Vec<f32>, statistics: Vec<f32>) -> State {
        let zeros = vec![0.0; parameters.len()];
        State {
            averaged_parameters: parameters.clone(),
            averaged_statistics: statistics.clone(),
            moment1: zeros.clone(),
            moment2: zeros,
            parameters,
            statistics,
            steps: 0,
        }
    }
    /// Refuses a state that belongs to another network.
    pub fn check(&self, architecture: &Architecture) -> Result<()> {
        let [trained, running] = architecture.lengths();
        let lengths = [
            (self.parameters.len(), trained),
            (self.averaged_parameters.len(), trained),
            (self.moment1.len(), trained),
            (self.moment2.len(), trained),
            (self.statistics.len(), running),
            (self.averaged_statistics.len(), running),
        ];
        match lengths.iter().find(|(has, needs)| has != needs) {
            None => Ok(()),
            Some((has, needs)) => {
                let message = "the weights belong to another network";
                Err(Error::invalid("network", message).with("numbers", has).with("expected", needs))
            }
        }
    }
}

/// Called on the calling thread several times a second; its error stops what is being computed and is returned.
pub type Tick<'a> = &'a mut dyn FnMut() -> Result<()>;

/// Computes a network. What it holds is the state that was loaded last, and what steps made of it.
pub trait Engine {
    /// What it runs on, for people.
    fn device(&self) -> String;
    /// Takes the place of all it holds. Errors: of another network.
    fn load(&mut self, state: &State) -> Result<()>;
    /// All it holds.
    fn state(&mut self) -> Result<State>;
    /// One step of training. An error leaves the state as it was; `LIMIT` says that the device has too little memory for a
    /// batch of this size.
    fn step(&mut self, batch: &Batch, update: &Update, tick: Tick) -> Result<StepDone>;
    /// What the averaged weights make of `inputs`, `[sample, channel, y, x]`, sizes as in [`Batch`]. `LIMIT` as for a step.
    fn infer(&mut self, inputs: ArrayView4<f32>, outputs: ArrayViewMut3<f32>, tick: Tick) -> Result<()>;
    /// Memory that inference of one sample of `rows` times `cols` pixels takes beside weights, input and output, bytes.
    fn infer_bytes(&self, rows: usize, cols: usize) -> u64;
    /// Memory that a step takes beside the batch, bytes.
    fn step_bytes(&self, samples: usize, rows: usize, cols: usize) -> u64;
    /// Memory that all of this may take, bytes: of the device, or the budget.
    fn memory_bytes(&self) -> u64;
}
