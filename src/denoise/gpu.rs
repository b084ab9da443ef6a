//! The engine on graphics processors: a door to `wagiri-burn`, which knows nothing of us.

use super::{Architecture, Batch, Engine, Role, State, StepDone, Tick, Update};
use crate::error::{Error, Result};
use ndarray::{ArrayView, ArrayView4, ArrayViewMut3, Dimension};
use wagiri_burn::{Failure, Found, Network, Piece, Pixels, Session};

/// What a card of its own is taken to have if its driver does not tell.
const GUESS: u64 = 4 << 30;

/// Computes by burn.
pub(super) struct GpuEngine {
    architecture: Architecture,
    /// `cuda` or `wgpu`, for messages.
    place: &'static str,
    name: String,
    memory_bytes: u64,
    largest_bytes: u64,
    session: Session,
}

impl GpuEngine {
    /// `memory_bytes` is what may be used of the machine's memory, where the device computes in it. `UNAVAILABLE` if the device
    /// does not compute, `LIMIT` if it has too little memory for the network.
    pub fn open(place: &'static str, found: &Found, architecture: &Architecture, memory_bytes: u64) -> Result<Self> {
        architecture.check()?;
        let of = |t: super::TensorInfo| Piece { trained: t.role == Role::Trained, offset: t.offset, len: t.len() };
        let network = Network {
            channels: architecture.channels,
            base_width: architecture.base_width,
            depth: architecture.depth,
            normalised: architecture.norm == super::Norm::Batch,
            tensors: architecture.tensors().into_iter().map(of).collect(),
        };
        let session = wagiri_burn::open(found, &network).map_err(|failure| error_of(place, failure))?;
        let memory_bytes = match found.memory_bytes {
            _ if found.shares_memory => memory_bytes,
            0 => GUESS,
            // The rest is for the driver, the screen and what pools leave over.
            bytes => bytes / 10 * 9,
        };
        let (architecture, name, largest_bytes) = (*architecture, found.name.clone(), found.largest_bytes);
        Ok(GpuEngine { architecture, place, name, memory_bytes, largest_bytes, session })
    }
    /// Refuses images of another network, and tensors that the device cannot hold however much memory it has.
    fn check(&self, [samples, channels, rows, cols]: [usize; 4]) -> Result<()> {
        let multiple = self.architecture.multiple_px();
        let fits = |n: usize| n > 0 && n.is_multiple_of(multiple);
        if samples == 0 || channels != self.architecture.channels || !fits(rows) || !fits(cols) {
            let shape = format!("[{samples}, {channels}, {rows}, {cols}]");
            let message = "the images do not belong to this network";
            return Err(Error::invalid(self.place, message).with("shape", shape).with("multiple_px", multiple));
        }
        // Two tensors of full size are joined in the last level.
        let widest = channels.max(2 * self.architecture.base_width);
        let largest = [rows, cols, widest, 4].iter().fold(samples as u64, |bytes, &n| bytes.saturating_mul(n as u64));
        if largest > self.largest_bytes {
            let message =
                "one tensor is larger than this graphics processor allows; smaller batches or tiles take less";
            let error = Error::limit(self.place, message);
            return Err(error.with("bytes", largest).with("at_most", self.largest_bytes));
        }
        Ok(())
    }
    /// Bytes of the results of all 3 x 3 convolutions, and of the widest tensor.
    fn activations(&self, samples: usize, rows: usize, cols: usize) -> [u64; 2] {
        let (a, full) = (&self.architecture, rows as u64 * cols as u64);
        let of = |level: usize| samples as u64 * 4 * a.width(level) as u64 * (full >> (2 * level));
        let pairs = (0..a.depth).map(|level| 4 * of(level)).sum::<u64>() + 2 * of(a.depth);
        [pairs, 2 * of(0)]
    }
    fn shape_is(&self, what: &str, has: &[usize], expected: [usize; 3]) -> Result<()> {
        if has == expected {
            return Ok(());
        }
        let error = Error::invalid(self.place, format!("{what} are not as many and as large as inputs"));
        Err(error.with("shape", format!("{has:?}")).with("expected", format!("{expected:?}")))
    }
    fn told<T>(&self, result: std::result::Result<T, Failure>) -> Result<T> {
        result.map_err(|failure| error_of(self.place, failure))
    }
    /// What `compute` returns, or the error of `tick` that stopped it.
    fn ticking<T>(
        &self,
        tick: Tick,
        compute: impl FnOnce(&Session, &mut dyn FnMut() -> bool) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        let mut stopped = None;
        let result = compute(&self.session, &mut || {
            stopped = tick().err();
            stopped.is_none()
        });
        match stopped {
            Some(error) => Err(error),
            None => self.told(result),
        }
    }
}

impl Engine for GpuEngine {
    fn device(&self) -> String {
        format!("{} ({})", self.name, self.place)
    }
    fn load(&mut self, state: &State) -> Result<()> {
        state.check(&self.architecture)?;
        let state = state.clone();
        self.told(self.session.load(wagiri_burn::State {
            parameters: state.parameters,
            statistics: state.statistics,
            averaged_parameters: state.averaged_parameters,
            averaged_statistics: state.averaged_statistics,
            moment1: state.moment1,
            moment2: state.moment2,
            steps: state.steps,
        }))
    }
    fn state(&mut self) -> Result<State> {
        let state = self.told(self.session.state())?;
        Ok(State {
            parameters: state.parameters,
            statistics: state.statistics,
            averaged_parameters: state.averaged_parameters,
            averaged_statistics: state.averaged_statistics,
            moment1: state.moment1,
            moment2: state.moment2,
            steps: state.steps,
        })
    }
    fn step(&mut self, batch: &Batch, update: &Update, tick: Tick) -> Result<StepDone> {
        let (inputs, targets) = (pixels(batch.inputs.view()), pixels(batch.targets.view()));
        self.check(inputs.shape)?;
        let [samples, _, rows, cols] = inputs.shape;
        self.shape_is("targets", &targets.shape, [samples, rows, cols])?;
        let update = wagiri_burn::Update {
            learning_rate: update.learning_rate,
            clip_norm: update.clip_norm,
            average: update.average,
        };
        let done = self.ticking(tick, |session, tick| session.step(inputs, targets, update, tick))?;
        Ok(StepDone { loss: done.loss, grad_norm: done.grad_norm })
    }
    fn infer(&mut self, inputs: ArrayView4<f32>, mut outputs: ArrayViewMut3<f32>, tick: Tick) -> Result<()> {
        let inputs = pixels(inputs);
        self.check(inputs.shape)?;
        let [samples, _, rows, cols] = inputs.shape;
        self.shape_is("outputs", outputs.shape(), [samples, rows, cols])?;
        let values = self.ticking(tick, |session, tick| session.infer(inputs, tick))?;
        outputs.iter_mut().zip(values).for_each(|(out, value)| *out = value);
        Ok(())
    }
    fn infer_bytes(&self, rows: usize, cols: usize) -> u64 {
        // What waits on the left, and the input, the result and a rearranged copy of the widest convolution.
        let [all, widest] = self.activations(1, rows, cols);
        all / 4 + 3 * widest
    }
    fn step_bytes(&self, samples: usize, rows: usize, cols: usize) -> u64 {
        // Kept for the way back: what a convolution gave, centred and scaled, and what came out of ReLU. On the way back
        // gradients of the widest level lie beside them. Old and new state, gradients and their parts are 16 numbers a weight.
        let [all, widest] = self.activations(samples, rows, cols);
        3 * all + 6 * widest + 16 * 4 * self.architecture.lengths()[0] as u64
    }
    fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }
}

fn error_of(place: &'static str, failure: Failure) -> Error {
    match failure {
        Failure::Memory(why) => {
            let message = "the graphics processor has too little memory for this; smaller batches or tiles take less";
            Error::limit(place, message).with("reason", why)
        }
        Failure::Device(why) => {
            Error::unavailable(place, "the graphics processor does not compute").with("reason", why)
        }
        Failure::Stopped => Error::internal(place, "stopped by nobody"),
    }
}

fn pixels<D: Dimension, const N: usize>(array: ArrayView<f32, D>) -> Pixels<N> {
    let mut shape = [0; N];
    shape.copy_from_slice(array.shape());
    Pixels { shape, values: array.iter().copied().collect() }
}

#[cfg(test)]
#[path = "gpu/tests.rs"]
mod tests;
