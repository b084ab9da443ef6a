//! A thread that computes, while the calling thread looks after the user.

use crate::{Failure, State, StepDone, Update, quiet};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the thread can do. A failure is a reason in words, or a panic.
pub(crate) trait Compute {
    fn load(&mut self, state: State) -> Result<(), String>;
    fn state(&mut self) -> Result<State, String>;
    /// Computes a step, but keeps the old state until [`Self::keep`].
    fn step(&mut self, inputs: Pixels<4>, targets: Pixels<3>, update: Update) -> Result<StepDone, String>;
    /// Takes the state of the last step, or drops it.
    fn keep(&mut self, keep: bool);
    fn infer(&mut self, inputs: Pixels<4>) -> Result<Vec<f32>, String>;
    /// After a failure: frees what it left behind.
    fn recover(&mut self);
}

/// An array in C order.
pub struct Pixels<const D: usize> {
    /// Its sizes.
    pub shape: [usize; D],
    /// As many numbers.
    pub values: Vec<f32>,
}

/// Called at once and several times a second; `false` stops the work, whose result is dropped.
pub type Tick<'a> = &'a mut dyn FnMut() -> bool;

type Job = Box<dyn FnOnce(&mut dyn Compute) + Send>;

/// A network on a device.
pub struct Session {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Session {
    /// Starts the thread; `make` runs on it.
    pub(crate) fn start<C: Compute>(
        make: impl FnOnce() -> Result<C, String> + Send + 'static,
    ) -> Result<Self, Failure> {
        quiet::install();
        let (jobs, todo) = channel::<Job>();
        let (started, ready) = channel();
        let run = move || match quiet::caught(make) {
            Err(failure) => drop(started.send(Err(failure))),
            Ok(mut compute) => {
                let _ = started.send(Ok(()));
                todo.into_iter().for_each(|job| job(&mut compute));
                // Tensors on a device that has failed may complain once more.
                let _ = quiet::caught(move || {
                    drop(compute);
                    Ok(())
                });
            }
        };
        let thread = std::thread::Builder::new().name(quiet::THREAD.into()).spawn(run);
        let thread = thread.map_err(|e| Failure::Device(format!("cannot start a thread: {e}")))?;
        ready.recv().unwrap_or_else(|_| Err(lost()))?;
        Ok(Session { jobs: Some(jobs), thread: Some(thread) })
    }
    /// Takes the place of all it holds; lengths must be those of the network.
    pub fn load(&self, state: State) -> Result<(), Failure> {
        self.run(&mut || true, |compute| compute.load(state))
    }
    /// All it holds.
    pub fn state(&self) -> Result<State, Failure> {
        self.run(&mut || true, |compute| compute.state())
    }
    /// One step on `[sample, channel, y, x]` and `[sample, y, x]`. After a failure the state is as it was.
    pub fn step(&self, inputs: Pixels<4>, targets: Pixels<3>, update: Update, tick: Tick) -> Result<StepDone, Failure> {
        let done = self.run(tick, move |compute| compute.step(inputs, targets, update));
        let keep = done.is_ok();
        // Before any later job, as jobs wait in line.
        self.send(Box::new(move |compute| compute.keep(keep)))?;
        done
    }
    /// What the averaged weights make of `[sample, channel, y, x]`: `[sample, y, x]`.
    pub fn infer(&self, inputs: Pixels<4>, tick: Tick) -> Result<Vec<f32>, Failure> {
        self.run(tick, move |compute| compute.infer(inputs))
    }
    /// What `job` returns, or `Stopped` once it has ended.
    pub(crate) fn run<R: Send + 'static>(
        &self,
        tick: Tick,
        job: impl FnOnce(&mut dyn Compute) -> Result<R, String> + Send + 'static,
    ) -> Result<R, Failure> {
        if !tick() {
            return Err(Failure::Stopped);
        }
        let (answer, result) = channel();
        self.send(Box::new(move |compute| {
            let result = quiet::caught(|| job(compute));
            if result.is_err() {
                let _ = quiet::caught(|| {
                    compute.recover();
                    Ok(())
                });
            }
            let _ = answer.send(result);
        }))?;
        let mut stopped = false;
        loop {
            match result.recv_timeout(Duration::from_millis(100)) {
                Ok(_) if stopped => return Err(Failure::Stopped),
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return Err(lost()),
                Err(RecvTimeoutError::Timeout) => stopped = stopped || !tick(),
            }
        }
    }
    fn send(&self, job: Job) -> Result<(), Failure> {
        let sent = self.jobs.as_ref().map(|jobs| jobs.send(job).is_ok());
        if sent == Some(true) { Ok(()) } else { Err(lost()) }
    }
}

fn lost() -> Failure {
    Failure::Device("the thread that computes has ended".into())
}

impl Drop for Session {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It catches its panics; there is nothing to hear.
            let _ = thread.join();
        }
    }
}
