//! Training and use of the network on one device. All numbers of a kind lie in one tensor, so that Adam is a dozen operations.

use crate::net::{Pass, cut};
use crate::session::{Compute, Pixels};
use crate::{Network, State, StepDone, Update};
use burn_tensor::backend::{AutodiffBackend, Backend};
use burn_tensor::{Tensor, TensorData};

type Answer<T> = Result<T, String>;

/// A [`State`] on the device.
#[derive(Clone)]
struct Held<B: Backend> {
    parameters: Tensor<B, 1>,
    averaged_parameters: Tensor<B, 1>,
    moment1: Tensor<B, 1>,
    moment2: Tensor<B, 1>,
    /// The running ones and their average; a network may have none.
    statistics: Option<[Tensor<B, 1>; 2]>,
    steps: u64,
}

/// Computes on a device of `B`.
pub(crate) struct Learner<B: AutodiffBackend> {
    network: Network,
    device: B::Device,
    held: Held<B::InnerBackend>,
    /// What the last step made of it.
    next: Option<Held<B::InnerBackend>>,
}

impl<B: AutodiffBackend> Learner<B> {
    /// All zero; refuses a device that gives wrong answers.
    pub fn new(network: Network, device: B::Device) -> Answer<Self> {
        let two = upload::<B::InnerBackend, 1>(Pixels { shape: [2], values: vec![1.0, 2.0] }, &device);
        let sum = numbers(two.clone() + two)?;
        if sum != [2.0, 4.0] {
            return Err(format!("it computed {sum:?} where [2, 4] is right"));
        }
        let length = |trained| network.tensors.iter().filter(|p| p.trained == trained).map(|p| p.len).sum();
        let [parameters, statistics]: [Vec<f32>; 2] = [true, false].map(|trained| vec![0.0; length(trained)]);
        let state = State {
            averaged_parameters: parameters.clone(),
            averaged_statistics: statistics.clone(),
            moment1: parameters.clone(),
            moment2: parameters.clone(),
            parameters,
            statistics,
            steps: 0,
        };
        let held = Held::new(state, &device);
        Ok(Learner { network, device, held, next: None })
    }
    /// Errors that the device has not told yet.
    fn settle(&self) -> Answer<()> {
        B::sync(&self.device).map_err(|e| e.to_string())
    }
}

impl<B: AutodiffBackend> Compute for Learner<B> {
    fn load(&mut self, state: State) -> Answer<()> {
        let held = Held::new(state, &self.device);
        self.settle()?;
        (self.held, self.next) = (held, None);
        Ok(())
    }
    fn state(&mut self) -> Answer<State> {
        let held = self.held.clone();
        let (statistics, averaged_statistics) = match held.statistics {
            Some([now, averaged]) => (numbers(now)?, numbers(averaged)?),
            None => (Vec::new(), Vec::new()),
        };
        let state = State {
            parameters: numbers(held.parameters)?,
            statistics,
            averaged_parameters: numbers(held.averaged_parameters)?,
            averaged_statistics,
            moment1: numbers(held.moment1)?,
            moment2: numbers(held.moment2)?,
            steps: held.steps,
        };
        self.settle()?;
        Ok(state)
    }
    fn step(&mut self, inputs: Pixels<4>, targets: Pixels<3>, update: Update) -> Answer<StepDone> {
        self.next = None;
        let trained = cut(&self.network.tensors, true, &self.held.parameters);
        let leaves: Vec<Tensor<B, 1>> = trained.into_iter().map(|t| Tensor::from_inner(t).require_grad()).collect();
        let (outputs, seen) = Pass::training(&self.network, leaves.clone()).run(upload(inputs, &self.device));
        let difference = outputs - upload(targets, &self.device);
        let loss = (difference.clone() * difference).mean();
        let mut gradients = loss.backward();
        let gradient = leaves.iter().map(|leaf| leaf.grad_remove(&mut gradients)).collect::<Option<Vec<_>>>();
        let gradient = Tensor::cat(gradient.ok_or("a tensor has no gradient")?, 0);
        drop(gradients);
        let norm = (gradient.clone() * gradient.clone()).sum().sqrt();
        let gradient = if update.clip_norm.is_finite() {
            // Not below what would make the quotient infinite.
            let scale = norm.clone().clamp_min(1e-30).recip() * update.clip_norm;
            gradient * scale.clamp_max(1.0)
        } else {
            gradient
        };
        let seen = seen.into_iter().map(Tensor::inner).collect::<Vec<_>>();
        let next = self.held.after(gradient, seen, &update);
        // One number of each result: what could not be computed cannot be read.
        let mut read = vec![loss.inner(), norm];
        read.extend(next.tensors().map(|tensor| tensor.clone().narrow(0, 0, 1)));
        let read = numbers(Tensor::cat(read, 0))?;
        self.settle()?;
        self.next = Some(next);
        Ok(StepDone { loss: f64::from(read[0]), grad_norm: f64::from(read[1]) })
    }
    fn keep(&mut self, keep: bool) {
        if let Some(next) = self.next.take().filter(|_| keep) {
            self.held = next;
        }
    }
    fn infer(&mut self, inputs: Pixels<4>) -> Answer<Vec<f32>> {
        let trained = cut(&self.network.tensors, true, &self.held.averaged_parameters);
        let running = match &self.held.statistics {
            Some([_, averaged]) => cut(&self.network.tensors, false, averaged),
            None => Vec::new(),
        };
        let (outputs, _) = Pass::fixed(&self.network, trained, running).run(upload(inputs, &self.device));
        let outputs = outputs.try_into_data().map_err(|e| e.to_string())?;
        self.settle()?;
        outputs.into_vec().map_err(|e| format!("{e:?}"))
    }
    fn recover(&mut self) {
        self.next = None;
        B::memory_cleanup(&self.device);
        // Errors that belong to what has failed are told here, not by what comes next.
        let _ = self.settle();
    }
}

impl<B: Backend> Held<B> {
    fn new(state: State, device: &B::Device) -> Self {
        let put = |values: Vec<f32>| upload(Pixels { shape: [values.len()], values }, device);
        Held {
            parameters: put(state.parameters),
            averaged_parameters: put(state.averaged_parameters),
            moment1: put(state.moment1),
            moment2: put(state.moment2),
            statistics: (!state.statistics.is_empty()).then(|| [state.statistics, state.averaged_statistics].map(put)),
            steps: state.steps,
        }
    }
    fn tensors(&self) -> impl Iterator<Item = &Tensor<B, 1>> {
        [&self.parameters, &self.averaged_parameters, &self.moment1, &self.moment2]
            .into_iter()
            .chain(self.statistics.iter().flatten())
    }
    /// One step of Adam with a gradient that is clipped already, and the statistics of the batch.
    fn after(&self, gradient: Tensor<B, 1>, seen: Vec<Tensor<B, 1>>, update: &Update) -> Self {
        const BETA: [f64; 2] = [0.9, 0.999];
        const EPSILON: f64 = 1e-8;
        const MOMENTUM: f64 = 0.1;
        let steps = self.steps + 1;
        let left = BETA.map(|beta| 1.0 - beta.powf(steps as f64));
        let moment1 = mix(&self.moment1, gradient.clone(), BETA[0]);
        let moment2 = mix(&self.moment2, gradient.clone() * gradient, BETA[1]);
        let spread = moment2.clone().sqrt() / left[1].sqrt() + EPSILON;
        let parameters = self.parameters.clone() - moment1.clone() * (update.learning_rate / left[0]) / spread;
        let statistics = self.statistics.as_ref().map(|[now, averaged]| {
            let now = mix(now, Tensor::cat(seen, 0), 1.0 - MOMENTUM);
            let averaged = mix(averaged, now.clone(), update.average);
            [now, averaged]
        });
        Held {
            averaged_parameters: mix(&self.averaged_parameters, parameters.clone(), update.average),
            parameters,
            moment1,
            moment2,
            statistics,
            steps,
        }
    }
}

/// `share * old + (1 - share) * new`.
fn mix<B: Backend>(old: &Tensor<B, 1>, new: Tensor<B, 1>, share: f64) -> Tensor<B, 1> {
    if share == 0.0 { new } else { old.clone() * share + new * (1.0 - share) }
}

fn upload<B: Backend, const D: usize>(pixels: Pixels<D>, device: &B::Device) -> Tensor<B, D> {
    Tensor::from_data(TensorData::new(pixels.values, pixels.shape), device)
}

fn numbers<B: Backend>(tensor: Tensor<B, 1>) -> Answer<Vec<f32>> {
    let data = tensor.try_into_data().map_err(|e| e.to_string())?;
    data.into_vec().map_err(|e| format!("{e:?}"))
}
