//! Calls into a plugin on the compute threads, while the calling thread reports progress and watches for cancellation.
//!
//! Must not know: what is called.

use crate::chain::Run;
use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the listener hears from us.
const TICK: Duration = Duration::from_millis(50);

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The calls for one slab.
#[derive(Default)]
pub(super) struct Calls {
    /// Set once the others are to stop.
    pub(super) stop: AtomicBool,
    /// Of those that failed, the first in order.
    failure: Mutex<Option<(usize, Error)>>,
}

impl Calls {
    /// Makes all calls and waits. The error of the first in order that failed.
    pub(super) fn make<F>(&self, calls: impl ExactSizeIterator<Item = F>, run: &mut Run<'_, '_>) -> Result<()>
    where
        F: FnOnce() -> Result<()> + Send,
    {
        let count = calls.len();
        let pool = run.context.pool();
        let inside = pool.current_thread_index().is_some();
        let (done, finished) = channel();
        let watched = pool.in_place_scope(|scope| {
            for (i, call) in calls.enumerate() {
                let done = done.clone();
                scope.spawn(move |_| {
                    if !self.stop.load(Ordering::Relaxed)
                        && let Err(error) = call()
                    {
                        self.stop.store(true, Ordering::Relaxed);
                        let mut failure = lock(&self.failure);
                        if failure.as_ref().is_none_or(|(first, _)| i < *first) {
                            *failure = Some((i, error));
                        }
                    }
                    // Nobody listens any more only if the scope panics.
                    let _ = done.send(());
                });
            }
            drop(done);
            self.watch(&finished, count, inside, run)
        });
        watched?;
        match lock(&self.failure).take() {
            Some((_, error)) => Err(error),
            None => run.tick(1.0),
        }
    }

    /// Waits for `calls` calls. Tells the listener on this thread, as listeners demand; stops the calls if it says so.
    fn watch(&self, finished: &Receiver<()>, calls: usize, inside: bool, run: &mut Run<'_, '_>) -> Result<()> {
        let mut outcome = Ok(());
        let mut done = 0;
        let mut told = Instant::now();
        while done < calls {
            // On a thread of the pool, waiting would keep the calls from ever running: help instead.
            let message = if inside {
                let idle = rayon::yield_now() != Some(rayon::Yield::Executed);
                match finished.try_recv() {
                    Ok(()) => Ok(()),
                    Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
                    Err(TryRecvError::Empty) => {
                        if idle {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                        Err(RecvTimeoutError::Timeout)
                    }
                }
            } else {
                finished.recv_timeout(TICK)
            };
            match message {
                Ok(()) => done += 1,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break, // a call panicked; the scope passes that on
            }
            if outcome.is_ok() && told.elapsed() >= TICK {
                told = Instant::now();
                outcome = run.tick(done as f64 / calls as f64);
                if outcome.is_err() {
                    self.stop.store(true, Ordering::Relaxed);
                }
            }
        }
        outcome
    }
}
