//! The network on processors: our own loops over images whose channels lie side by side.
//!
//! Layers: `plan` says where the numbers of each lie, `packed` puts weights into the order of the inner loops (`kernels`, over
//! the registers of `vector`, chosen by `isa`), `forward` and `backward` are one layer on all threads (`lines` is all of it that
//! is no convolution), `pass` and `train` a step, `infer` the way forwards alone, `adam` what a step changes. Must not know
//! subsets, files, or how training goes on.

mod adam;
mod backward;
mod forward;
mod infer;
#[allow(unsafe_code)]
mod isa;
#[allow(unsafe_code)]
mod kernels;
mod lines;
mod maps;
mod packed;
mod pass;
mod plan;
mod train;
#[allow(unsafe_code)]
mod vector;

use super::{Architecture, Batch, Engine, State, StepDone, Tick, Update};
use crate::error::{Error, Result};
use crate::progress::watched;
use crate::simd::Isa;
use forward::Run;
use isa::Kernels;
use maps::Shape;
use ndarray::{ArrayView4, ArrayViewMut3, Axis};
use plan::Plan;
use rayon::ThreadPool;

/// Where errors come from.
const PLACE: &str = "network";

/// Computes on the threads of a pool, in f32 with sums of fixed order: the same bits for any number of threads, and for a pixel
/// wherever in an image it lies, if it is [`Architecture::reach_px`] from the edges. Two instruction sets differ by rounding.
///
/// Buffers of a step stay until something else is computed. Only multiples of 16 channels are computed, so that a base width of
/// 8 takes as long as one of 16.
pub struct CpuEngine<'a> {
    plan: Plan,
    kernels: Kernels,
    pool: &'a ThreadPool,
    memory_bytes: u64,
    state: State,
    /// Of the averaged weights, made when they are needed.
    weights: Option<infer::Weights>,
    training: Option<train::Work>,
    inference: Option<infer::Work>,
}

impl<'a> CpuEngine<'a> {
    /// With random weights of seed 0, and `memory_bytes` for all that it holds beside images of its callers. Errors: of an
    /// architecture that cannot be built.
    pub fn new(architecture: &Architecture, pool: &'a ThreadPool, memory_bytes: u64) -> Result<Self> {
        architecture.check()?;
        let state = State::new(architecture, 0);
        let (plan, kernels) = (Plan::new(architecture), Kernels::best());
        Ok(CpuEngine { plan, kernels, pool, memory_bytes, state, weights: None, training: None, inference: None })
    }
    /// With another instruction set, for tests and benchmarks. Errors: one that the processor does not have.
    pub fn with_isa(mut self, isa: Isa) -> Result<Self> {
        let error = || Error::unavailable(PLACE, "the processor does not have the instructions");
        self.kernels = Kernels::new(isa).ok_or_else(|| error().with("isa", format!("{isa:?}")))?;
        Ok(self)
    }
    /// Shape of a stack of `[sample, channel, y, x]`.
    fn shape(&self, sizes: &[usize]) -> Result<Shape> {
        let &[images, channels, rows, cols] = sizes else { return Err(Error::internal(PLACE, "expected four axes")) };
        let (expected, multiple) = (self.plan.architecture.channels, self.plan.architecture.multiple_px());
        if channels != expected {
            let error = Error::invalid(PLACE, "expected as many slices as the network sees");
            return Err(error.with("slices", channels).with("expected", expected));
        }
        let fits = |size: usize| size > 0 && size.is_multiple_of(multiple);
        if images == 0 || !fits(rows) || !fits(cols) {
            let error = Error::invalid(PLACE, format!("expected images whose sizes are multiples of {multiple}"));
            return Err(error.with("images", images).with("rows", rows).with("columns", cols));
        }
        Ok(Shape { images, rows, cols, channels })
    }
    /// Refuses what takes more memory than there is.
    fn afford(&self, bytes: u64, what: &str) -> Result<()> {
        let available = self.memory_bytes();
        if bytes <= available {
            return Ok(());
        }
        let message = format!(
            "{what} needs more memory than there is; smaller images, fewer at a time or a larger budget would do"
        );
        Err(Error::limit(PLACE, message).with("needed_bytes", bytes).with("available_bytes", available))
    }
}

/// Refuses numbers that are not finite; `what` they are.
fn check_finite<'v>(values: impl IntoIterator<Item = &'v f32>, what: &str) -> Result<()> {
    match values.into_iter().enumerate().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((index, value)) => {
            let error = Error::invalid(PLACE, format!("expected {what} without infinite numbers and NaN"));
            Err(error.with("value", value).with("index", index))
        }
    }
}

impl Engine for CpuEngine<'_> {
    fn device(&self) -> String {
        format!("processor, {} threads, {:?}", self.pool.current_num_threads(), self.kernels.isa())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        state.check(&self.plan.architecture)?;
        let State { parameters, statistics, averaged_parameters, averaged_statistics, moment1, moment2, steps: _ } =
            state;
        for values in [parameters, statistics, averaged_parameters, averaged_statistics, moment1, moment2] {
            check_finite(values, "weights")?;
        }
        self.state.clone_from(state);
        self.weights = None;
        Ok(())
    }

    fn state(&mut self) -> Result<State> {
        Ok(self.state.clone())
    }

    /// A loss or a gradient that is not finite is returned, and changes nothing.
    fn step(&mut self, batch: &Batch, update: &Update, tick: Tick) -> Result<StepDone> {
        let full = self.shape(batch.inputs.shape())?;
        if batch.targets.shape() != [full.images, full.rows, full.cols] {
            return Err(Error::invalid(PLACE, "expected a target of the size of each input"));
        }
        self.afford(train::bytes(&self.plan, full), "a step of training")?;
        check_finite(&batch.inputs, "inputs")?;
        check_finite(&batch.targets, "targets")?;
        (self.inference, self.weights) = (None, None);
        if !self.training.as_ref().is_some_and(|work| work.fits(full)) {
            // The old buffers go before new ones come.
            self.training = None;
        }
        let (plan, state, kernels) = (&self.plan, &mut self.state, self.kernels);
        let work = self.training.get_or_insert_with(|| train::Work::new(plan, full));
        let mut loss = 0.0;
        let current = &*state;
        watched(
            self.pool,
            [(&mut *work, &mut loss)],
            1,
            |(work, loss), watch| {
                let run = Run { kernels, watch };
                *loss = work.run(run, plan, batch, &current.parameters, &current.statistics);
            },
            &mut |_| tick(),
        )?;
        let (gradient, statistics) = (&work.scratch.gradient, &work.scratch.statistics);
        let grad_norm = self.pool.install(|| adam::norm(gradient));
        if loss.is_finite() && grad_norm.is_finite() {
            self.pool.install(|| adam::step(state, gradient, grad_norm, statistics, update));
        }
        Ok(StepDone { loss, grad_norm })
    }

    fn infer(&mut self, inputs: ArrayView4<f32>, mut outputs: ArrayViewMut3<f32>, tick: Tick) -> Result<()> {
        let full = self.shape(inputs.shape())?;
        if outputs.shape() != [full.images, full.rows, full.cols] {
            return Err(Error::invalid(PLACE, "expected an output of the size of each input"));
        }
        let one = Shape { images: 1, ..full };
        self.afford(infer::bytes(&self.plan, one), "applying the network")?;
        check_finite(inputs, "inputs")?;
        self.training = None;
        // Tiles of an image differ in size.
        if !self.inference.as_ref().is_some_and(|work| work.fits(&self.plan, one)) {
            self.inference = None;
        }
        let (plan, state, pool, kernels) = (&self.plan, &self.state, self.pool, self.kernels);
        let packed = || infer::Weights::new(plan, &state.averaged_parameters, &state.averaged_statistics);
        let weights = &*self.weights.get_or_insert_with(|| pool.install(packed));
        let work = self.inference.get_or_insert_with(|| infer::Work::new(plan, one));
        work.resize(plan, one);
        for (input, mut output) in inputs.axis_chunks_iter(Axis(0), 1).zip(outputs.axis_iter_mut(Axis(0))) {
            let compute = |work: &mut infer::Work, watch: &_| work.run(Run { kernels, watch }, plan, weights, input);
            watched(pool, [&mut *work], 1, compute, &mut |_| tick())?;
            check_finite(&work.output, "weights that give outputs")?;
            output.iter_mut().zip(&work.output).for_each(|(to, value)| *to = *value);
        }
        Ok(())
    }

    fn infer_bytes(&self, rows: usize, cols: usize) -> u64 {
        infer::bytes(&self.plan, Shape { images: 1, rows, cols, channels: 0 })
    }

    fn step_bytes(&self, samples: usize, rows: usize, cols: usize) -> u64 {
        train::bytes(&self.plan, Shape { images: samples, rows, cols, channels: 0 })
    }

    /// What the state and the weights that inference uses leave of the budget.
    fn memory_bytes(&self) -> u64 {
        let [trained, running] = self.plan.lengths;
        self.memory_bytes.saturating_sub(4 * (5 * trained + 2 * running) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Norm;
    use super::*;

    #[test]
    fn memory_is_what_buffers_take() {
        let wide = Architecture { channels: 5, base_width: 72, depth: 2, norm: Norm::Batch };
        let flat = Architecture { channels: 1, base_width: 8, depth: 1, norm: Norm::None };
        for (architecture, rows, cols) in [(wide, 24, 16), (flat, 6, 50), (Architecture::SMALL, 64, 64)] {
            let plan = Plan::new(&architecture);
            let full = |images| Shape { images, rows, cols, channels: 0 };
            let expected = |images| train::bytes(&plan, full(images));
            for images in [1, 3] {
                assert_eq!(train::Work::new(&plan, full(images)).bytes(), expected(images));
            }
            assert_eq!(infer::Work::new(&plan, full(1)).bytes(), infer::bytes(&plan, full(1)));
        }
    }
}
