//! Progress reports and cancellation. One type for every long function.
//!
//! The listener is called on the thread that called the long function, never on another one.

use crate::error::{Error, Result};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
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

/// How often the calling thread looks at long jobs.
const LOOK: Duration = Duration::from_millis(50);

/// What long jobs tell the thread that waits for them, and ask it.
#[derive(Default)]
pub struct Watch {
    steps: AtomicUsize,
    stopped: AtomicBool,
}

impl Watch {
    /// One of the steps of a job is done. False: the result is no longer wanted, and the job may leave it as it is.
    pub fn step(&self) -> bool {
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.wanted()
    }
    /// The same without a step.
    pub fn wanted(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed)
    }
}

/// Does `jobs` on the threads of `pool`. For jobs that take long: `tick` is called on the calling thread several times a second
/// with the part (0 to 1) of `steps`, those of all jobs together, that is done; its error stops the jobs at their next
/// [`Watch::step`], and is returned.
pub fn watched<J: Send>(
    pool: &rayon::ThreadPool,
    jobs: impl IntoIterator<Item = J>,
    steps: usize,
    work: impl Fn(J, &Watch) + Sync,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<()> {
    let (watch, work) = (&Watch::default(), &work);
    let (running, all_done) = channel::<()>();
    pool.in_place_scope(|scope| {
        for job in jobs {
            let running = running.clone();
            scope.spawn(move |_| {
                if watch.wanted() {
                    work(job, watch);
                }
                drop(running);
            });
        }
        drop(running);
        let mut ticked = Ok(());
        // Each job hangs up at its end.
        while all_done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            if ticked.is_ok() {
                ticked = tick((watch.steps.load(Ordering::Relaxed) as f64 / steps.max(1) as f64).min(1.0));
                watch.stopped.store(ticked.is_err(), Ordering::Relaxed);
            }
            // A caller that is one of the threads itself must not wait for what nobody else would do.
            pool.yield_now();
        }
        ticked
    })?;
    tick(1.0)
}

/// One report: how far, how fast, how long it will take, and where the time goes.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Slices finished, by earlier runs too if this one continues them.
    pub done: usize,
    /// Slices in all.
    pub total: usize,
    /// Finished part of the work, 0 to 1; moves inside a slice too.
    pub fraction: f64,
    /// Time since the run began.
    pub elapsed: Duration,
    /// Estimated time left, once there is something to estimate from.
    pub eta: Option<Duration>,
    /// Slices per second of late, waiting included; 0 while there is nothing to measure.
    pub rate: f64,
    /// What the time was spent on so far, each once, in order of first use. See [`PhaseTime`].
    pub times: Vec<PhaseTime>,
}

/// Wall time of one part of a run. The parts of a run never overlap, so they add up to its time.
///
/// `prepare` is the survey and the search of the axis, `read` is waiting for the reader, the id of a stage is its work,
/// `write` is waiting for the writer and, for 16- or 8-bit files with an open range, the conversion at the end. The largest
/// is what limits the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhaseTime {
    /// `prepare`, `read`, a stage id or `write`.
    pub id: &'static str,
    /// Spent so far.
    pub time: Duration,
}

type Listener<'a> = Box<dyn FnMut(&Report) -> ControlFlow<()> + 'a>;

/// Carries reports out of and the wish to stop into a long function.
pub struct Progress<'a> {
    listener: Option<Listener<'a>>,
    flag: CancelFlag,
    started: Instant,
    last: Report,
    pace: Pace,
    /// The part of `last.times` that runs now, and since when.
    clock: Option<(usize, Instant)>,
}

impl<'a> Progress<'a> {
    /// Reports to nobody; can still be cancelled through [`Progress::flag`].
    pub fn silent() -> Self {
        let (last, pace) = (Report::default(), Pace::new(0.0, 0.0, 1.0));
        Progress { listener: None, flag: CancelFlag::default(), started: Instant::now(), last, pace, clock: None }
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
        (self.last.done, self.last.total) = (done, total);
        self.last.fraction = fraction.clamp(0.0, 1.0);
        self.poll()
    }
    /// Like [`Progress::report`] with the numbers of the last report.
    pub fn poll(&mut self) -> Result<()> {
        self.refresh();
        if let Some(listener) = &mut self.listener
            && listener(&self.last).is_break()
        {
            self.flag.cancel();
        }
        if self.flag.is_cancelled() { Err(Error::cancelled("run")) } else { Ok(()) }
    }
    /// What the time was spent on until now.
    pub fn times(&mut self) -> Vec<PhaseTime> {
        self.refresh();
        self.last.times.clone()
    }
    /// The slabs begin, `done` of `total` slices being finished before: time spent until now says nothing of their rate.
    pub(crate) fn begin(&mut self, done: usize, total: usize) {
        let part = done as f64 / total.max(1) as f64;
        (self.last.done, self.last.total, self.last.fraction) = (done, total, part);
        self.pace = Pace::new(self.started.elapsed().as_secs_f64(), part, part);
    }
    /// From now on the time goes to `id`; see [`PhaseTime`].
    pub(crate) fn phase(&mut self, id: &'static str) {
        self.refresh();
        let times = &mut self.last.times;
        let index = times.iter().position(|t| t.id == id).unwrap_or_else(|| {
            times.push(PhaseTime { id, time: Duration::ZERO });
            times.len() - 1
        });
        self.clock = Some((index, Instant::now()));
        self.pace.waiting = id == READ;
    }
    /// The reader has delivered everything up to the finished part `fraction`.
    pub(crate) fn arrived(&mut self, fraction: f64) {
        self.refresh();
        self.pace.arrived(fraction);
    }
    /// Brings times, rate and estimate up to now.
    fn refresh(&mut self) {
        if let Some((index, since)) = &mut self.clock {
            let now = Instant::now();
            self.last.times[*index].time += now - *since;
            *since = now;
        }
        self.last.elapsed = self.started.elapsed();
        self.pace.advance(self.last.elapsed.as_secs_f64(), self.last.fraction);
        self.last.eta = self.pace.seconds_left().and_then(|s| Duration::try_from_secs_f64(s).ok());
        self.last.rate = self.pace.all.part_per_second() * self.last.total as f64;
    }
}

/// Id of the time spent waiting for the reader.
pub(crate) const READ: &str = "read";
/// Id of the time spent on the writer.
pub(crate) const WRITE: &str = "write";
/// Id of the time before the first slab.
pub(crate) const PREPARE: &str = "prepare";

/// Work over time, where what is long ago counts less.
#[derive(Clone, Copy, Default)]
struct Smoothed {
    part: f64,
    seconds: f64,
}

impl Smoothed {
    fn add(&mut self, part: f64, seconds: f64, memory_s: f64) {
        let keep = (-seconds / memory_s).exp();
        self.part = self.part * keep + part;
        self.seconds = self.seconds * keep + seconds;
    }
    fn part_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.part / self.seconds } else { 0.0 }
    }
}

/// The estimate of the time left. Parts are fractions of the whole run, times are seconds since it began.
///
/// Slabs are read in bursts: while the reader is the slower side, a slab is computed quickly and then nothing moves until the
/// next one is there. So two things are measured: how fast slabs arrive, and how fast they are computed while there is one.
/// The run ends when the last slab has arrived and is computed, and when all is computed: at the later of the two.
struct Pace {
    start: f64,
    begun_with: f64,
    now: f64,
    fraction: f64,
    /// The time goes by without work.
    waiting: bool,
    /// All time.
    all: Smoothed,
    /// Without waiting for the reader.
    work: Smoothed,
    arrivals: Smoothed,
    /// When the last slab arrived, up to where, and its size.
    last_arrival: (f64, f64, f64),
}

impl Pace {
    fn new(start: f64, begun_with: f64, arrived: f64) -> Self {
        let none = Smoothed::default();
        let last_arrival = (start, arrived, 0.0);
        let (now, fraction) = (start, begun_with);
        Pace { start, begun_with, now, fraction, waiting: false, all: none, work: none, arrivals: none, last_arrival }
    }
    /// The last half of the run counts most, and at least half a minute, so that one slow file does not show.
    fn memory_s(&self) -> f64 {
        (0.5 * (self.now - self.start)).max(30.0)
    }
    fn advance(&mut self, now: f64, fraction: f64) {
        let (part, seconds) = ((fraction - self.fraction).max(0.0), (now - self.now).max(0.0));
        (self.now, self.fraction) = (now, fraction);
        self.all.add(part, seconds, self.memory_s());
        if !self.waiting {
            self.work.add(part, seconds, self.memory_s());
        }
    }
    fn arrived(&mut self, fraction: f64) {
        let (at, before, _) = self.last_arrival;
        let part = (fraction - before).max(0.0);
        self.arrivals.add(part, self.now - at, self.memory_s());
        self.last_arrival = (self.now, fraction, part);
    }
    fn seconds_left(&self) -> Option<f64> {
        let left = 1.0 - self.fraction;
        // Below half a percent or half a second an estimate is noise.
        let enough = self.fraction - self.begun_with > 0.005 * (1.0 - self.begun_with);
        let speed = self.work.part_per_second();
        if !enough || self.now - self.start < 0.5 || speed <= 0.0 {
            return None;
        }
        let compute = left / speed;
        let (at, there, size) = self.last_arrival;
        let arriving = self.arrivals.part_per_second();
        if there >= 1.0 - 1e-9 || arriving <= 0.0 {
            return Some(compute);
        }
        let read = (at + (1.0 - there) / arriving - self.now).max(0.0);
        Some(compute.max(read + size.min(1.0 - there) / speed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of `slabs` slabs that takes `read_s` to read and `compute_s` to compute each, the reader one slab ahead, after
    /// `before` of the work was done by an earlier run. Returns the estimate's error relative to the whole time, from the
    /// end of the first slab on, and the last rate (parts per second).
    fn simulate(slabs: usize, read_s: f64, compute_s: f64, before: f64) -> (f64, f64) {
        let part = (1.0 - before) / slabs as f64;
        let arrivals: Vec<f64> = (0..slabs).fold(Vec::new(), |mut at, k| {
            // A slab is read once the one before it is there, and once the queue has room.
            let previous = at.last().copied().unwrap_or(0.0);
            let room = if k >= 2 { at[k - 2] + compute_s } else { 0.0 };
            at.push(f64::max(previous, room) + read_s);
            at
        });
        let (mut now, mut estimates) = (100.0, Vec::new());
        let mut pace = Pace::new(now, before, before);
        for (k, arrival) in arrivals.iter().enumerate() {
            pace.waiting = true;
            while now < 100.0 + arrival {
                now = (now + 0.1).min(100.0 + arrival);
                pace.advance(now, before + k as f64 * part);
                estimates.push((k, now, pace.seconds_left()));
            }
            pace.arrived(before + (k + 1) as f64 * part);
            pace.waiting = false;
            for step in 1..=20 {
                now += compute_s / 20.0;
                pace.advance(now, before + (k as f64 + f64::from(step) / 20.0) * part);
                estimates.push((k, now, pace.seconds_left()));
            }
        }
        let error = |(_, at, left): &(usize, f64, Option<f64>)| (left.unwrap() - (now - at)).abs() / (now - 100.0);
        let worst = estimates.iter().filter(|(k, ..)| *k > 0).map(error).fold(0.0, f64::max);
        (worst, pace.all.part_per_second())
    }

    #[test]
    fn the_estimate_holds_while_slabs_come_in_bursts() {
        // From the second slab on everything needed is known: the rest is the first slab's reading, which nothing overlapped.
        for (read_s, compute_s) in [(10.0, 1.0), (1.0, 10.0), (5.0, 5.0), (60.0, 3.0)] {
            let (worst, _) = simulate(12, read_s, compute_s, 0.0);
            assert!(worst < 0.12, "read {read_s} s, compute {compute_s} s: {worst}");
        }
    }

    #[test]
    fn what_an_earlier_run_finished_counts_neither_as_speed_nor_as_work_left() {
        let (worst, rate) = simulate(12, 1.0, 10.0, 0.9);
        assert!(worst < 0.12, "{worst}");
        // A tenth of the run in about 121 s.
        assert!((rate * 121.0 / 0.1 - 1.0).abs() < 0.1, "{rate}");
    }

    #[test]
    fn long_jobs_are_watched_and_stopped_by_the_calling_thread() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let me = std::thread::current().id();
        // Jobs that end only when they are told to.
        let endless = |_: usize, watch: &Watch| while watch.step() {};
        let mut ticks = 0;
        let error = watched(&pool, 0..5, usize::MAX, endless, &mut |_| {
            assert_eq!(std::thread::current().id(), me);
            ticks += 1;
            if ticks < 3 { Ok(()) } else { Err(Error::cancelled("test")) }
        });
        assert_eq!((error.unwrap_err().kind(), ticks), (crate::ErrorKind::Cancelled, 3));
        // Called on one of the threads, and without jobs.
        let mut last = 0.0;
        let tick = &mut |part| {
            last = part;
            Ok(())
        };
        pool.install(|| watched(&pool, 0..5, 5, |_, watch| assert!(watch.step()), &mut |_| Ok(()))).unwrap();
        watched(&pool, 0..0, 0, |_: usize, _| {}, tick).unwrap();
        assert!((last - 1.0f64).abs() < 1e-12);
    }

    #[test]
    fn the_parts_of_the_time_do_not_overlap() {
        let mut progress = Progress::silent();
        for id in [PREPARE, READ, "recon.fbp", READ, "recon.fbp", WRITE] {
            progress.phase(id);
            std::thread::sleep(Duration::from_millis(2));
        }
        let times = progress.times();
        assert_eq!(times.iter().map(|t| t.id).collect::<Vec<_>>(), [PREPARE, READ, "recon.fbp", WRITE]);
        let sum: Duration = times.iter().map(|t| t.time).sum();
        assert!(sum >= Duration::from_millis(12) && sum <= progress.started.elapsed());
    }
}
