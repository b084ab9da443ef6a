//! Progress reports and cancellation. One type for every long function.
//!
//! The listener is called on the thread that called the long function, never on another one.

use crate::error::{Error, Result};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Set from any thread to stop a run at the next check.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Asks the run to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
    /// True once somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One report: how far, and how long it will take.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Slices finished.
    pub done: usize,
    /// Slices in all.
    pub total: usize,
    /// Finished part of the work, 0 to 1; moves inside a slice too.
    pub fraction: f64,
    /// Time since the run began.
    pub elapsed: Duration,
    /// Estimated time left, once there is something to estimate from.
    pub eta: Option<Duration>,
}

type Listener<'a> = Box<dyn FnMut(&Report) -> ControlFlow<()> + 'a>;

/// Carries reports out of and the wish to stop into a long function.
pub struct Progress<'a> {
    listener: Option<Listener<'a>>,
    flag: CancelFlag,
    started: Instant,
    last: Report,
}

impl<'a> Progress<'a> {
    /// Reports to nobody; can still be cancelled through [`Progress::flag`].
    pub fn silent() -> Self {
        let last = Report { done: 0, total: 0, fraction: 0.0, elapsed: Duration::ZERO, eta: None };
        Progress { listener: None, flag: CancelFlag::default(), started: Instant::now(), last }
    }
    /// Reports to `listener`; `ControlFlow::Break` cancels.
    pub fn new(listener: impl FnMut(&Report) -> ControlFlow<()> + 'a) -> Self {
        Progress { listener: Some(Box::new(listener)), ..Self::silent() }
    }
    /// Uses a flag that others hold, for example a signal handler.
    pub fn with_flag(mut self, flag: CancelFlag) -> Self {
        self.flag = flag;
        self
    }
    /// A handle that cancels this run from any thread.
    pub fn flag(&self) -> CancelFlag {
        self.flag.clone()
    }
    /// Reports, then returns an error if somebody asked to stop. Call at least a few times a second.
    pub fn report(&mut self, done: usize, total: usize, fraction: f64) -> Result<()> {
        let elapsed = self.started.elapsed();
        let fraction = fraction.clamp(0.0, 1.0);
        // Below half a percent or half a second an estimate is noise.
        let eta =
            (fraction > 0.005 && elapsed.as_secs_f64() > 0.5).then(|| elapsed.mul_f64((1.0 - fraction) / fraction));
        self.last = Report { done, total, fraction, elapsed, eta };
        self.poll()
    }
    /// Like [`Progress::report`] with the numbers of the last report.
    pub fn poll(&mut self) -> Result<()> {
        if let Some(listener) = &mut self.listener
            && listener(&self.last).is_break()
        {
            self.flag.cancel();
        }
        if self.flag.is_cancelled() { Err(Error::cancelled("run")) } else { Ok(()) }
    }
}
