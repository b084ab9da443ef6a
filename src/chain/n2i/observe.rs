//! What happens on disk while a network is trained: checkpoint, list of losses, a picture of how far it is.

use super::Work;
use crate::denoise::{Checkpoint, Denoiser, EngineKind, EpochLoss, Observer, Subsets, TrainReport, open_engine};
use crate::error::{Error, Result};
use crate::io::{Aside, write_pages};
use ndarray::{Array2, Array3, ArrayView3, Axis, s};
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the training that can go on.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// Name of the losses, a line for each epoch.
pub const LOSSES: &str = "losses.csv";
/// Name of the picture of the last epoch: two pages, the middle of the middle slice as the mean of all subsets, and denoised.
pub const PREVIEW: &str = "preview.tif";
/// Its sides, at most.
const PREVIEW_PX: usize = 384;
/// How often the watcher is asked within a step.
const PATIENCE: Duration = Duration::from_millis(100);

/// Follows a training: see [`super::train`].
pub(super) type Watch<'a> = &'a mut dyn FnMut(&TrainReport) -> ControlFlow<()>;

pub(super) struct Driver<'a> {
    pub work: &'a Work,
    pub pool: &'a rayon::ThreadPool,
    pub device: EngineKind,
    pub memory_bytes: u64,
    pub watch: Watch<'a>,
    pub remarks: Vec<String>,
    last: Option<Last>,
    /// An epoch has ended of which the watcher has not been told: first its files are written.
    epoch_done: bool,
    stop: bool,
    previews: bool,
}

/// A report that outlives its step.
struct Last {
    epoch: usize,
    epochs: usize,
    step: u64,
    steps: u64,
    loss: f64,
    learning_rate: f64,
    history: Vec<EpochLoss>,
    elapsed: Duration,
    eta: Option<Duration>,
    told: Instant,
}

impl Last {
    fn report<'a>(&'a self, history: &'a [EpochLoss], epoch_done: bool) -> TrainReport<'a> {
        let Last { epoch, epochs, step, steps, loss, learning_rate, elapsed, eta, .. } = *self;
        TrainReport { epoch, epochs, step, steps, loss, learning_rate, history, epoch_done, elapsed, eta }
    }
}

impl<'a> Driver<'a> {
    pub fn new(
        work: &'a Work,
        pool: &'a rayon::ThreadPool,
        device: EngineKind,
        memory_bytes: u64,
        watch: Watch<'a>,
    ) -> Self {
        let (remarks, last) = (Vec::new(), None);
        Driver {
            work,
            pool,
            device,
            memory_bytes,
            watch,
            remarks,
            last,
            epoch_done: false,
            stop: false,
            previews: true,
        }
    }
    fn tell(&mut self, report: &TrainReport) -> Result<()> {
        self.stop |= (self.watch)(report).is_break();
        if self.stop { Err(Error::cancelled("training")) } else { Ok(()) }
    }
    /// Both pages; a device without memory for it gives no picture, which is no reason to stop.
    fn preview(&mut self, checkpoint: &Checkpoint) {
        if !self.previews {
            return;
        }
        let drawn = self.pages(checkpoint).and_then(|pages| {
            let pages: Vec<_> = pages.iter().map(|page| page.view()).collect();
            write_pages(&self.work.dir().join(PREVIEW), &pages)
        });
        if let Err(e) = drawn {
            self.previews = false;
            self.note(&format!("no picture of the epochs is made: {e}"));
        }
    }
    fn pages(&self, checkpoint: &Checkpoint) -> Result<[Array2<f32>; 2]> {
        let model = checkpoint.model();
        let (mut engine, _) = open_engine(self.device, &model.architecture, self.pool, self.memory_bytes)?;
        let [slices, height, width] = self.work.shape();
        let middle = |size: usize| {
            let part = size.min(PREVIEW_PX);
            (size - part) / 2..(size - part) / 2 + part
        };
        let (rows, cols) = (middle(height), middle(width));
        let subsets =
            neighbours(self.work, model.architecture.reach_slices(), slices / 2..slices / 2 + 1, &rows, &cols)?;
        let at = model.architecture.reach_slices();
        let mut noisy = Array2::<f32>::zeros((rows.len(), cols.len()));
        subsets.iter().for_each(|subset| noisy += &subset.index_axis(Axis(0), at));
        noisy /= subsets.len() as f32;
        let mut out = Array3::zeros((1, rows.len(), cols.len()));
        let views: Vec<ArrayView3<f32>> = subsets.iter().map(|subset| subset.view()).collect();
        Denoiser::new(&model, engine.as_mut())?.apply(&views, out.view_mut(), &mut |_| Ok(()))?;
        Ok([noisy, out.index_axis_move(Axis(0), 0)])
    }
}

/// A part of the slices `z` of all subsets with `reach` slices around, at the ends of the volume the last one again.
fn neighbours(
    work: &Work,
    reach: usize,
    z: Range<usize>,
    rows: &Range<usize>,
    cols: &Range<usize>,
) -> Result<Vec<Array3<f32>>> {
    let [slices, ..] = work.shape();
    let of_subset = |subset: usize| {
        let mut all = Array3::zeros((z.len() + 2 * reach, rows.len(), cols.len()));
        for (k, slice) in all.outer_iter_mut().enumerate() {
            let number = (z.start + k).saturating_sub(reach).min(slices - 1);
            work.read(subset, number, rows.clone(), cols.clone(), slice.slice_move(s![.., ..]))?;
        }
        Ok(all)
    };
    (0..work.count()).map(of_subset).collect()
}

impl Observer for Driver<'_> {
    fn step(&mut self, report: &TrainReport) -> Result<()> {
        let TrainReport { epoch, epochs, step, steps, loss, learning_rate, history, elapsed, eta, .. } = *report;
        let mut last = Last {
            epoch,
            epochs,
            step,
            steps,
            loss,
            learning_rate,
            history: self.last.take().map(|last| last.history).unwrap_or_default(),
            elapsed,
            eta,
            told: Instant::now(),
        };
        if last.history.len() != history.len() {
            last.history = history.to_vec();
        }
        self.last = Some(last);
        if report.epoch_done {
            self.epoch_done = true;
            return if self.stop { Err(Error::cancelled("training")) } else { Ok(()) };
        }
        self.tell(report)
    }
    fn tick(&mut self) -> Result<()> {
        if self.stop {
            return Err(Error::cancelled("training"));
        }
        let Some(mut last) = self.last.take() else { return Ok(()) };
        let mut told = Ok(());
        if last.told.elapsed() >= PATIENCE {
            last.told = Instant::now();
            told = self.tell(&last.report(&last.history, false));
        }
        self.last = Some(last);
        told
    }
    fn save(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        write_whole(&self.work.dir().join(CHECKPOINT), &checkpoint.to_bytes()?)?;
        if std::mem::take(&mut self.epoch_done) {
            write_whole(&self.work.dir().join(LOSSES), losses(&checkpoint.history).as_bytes())?;
            self.preview(checkpoint);
            if let Some(last) = self.last.take() {
                // Whoever wants to stop now is heard at the next step.
                let _ = self.tell(&last.report(&checkpoint.history, true));
                self.last = Some(last);
            }
        }
        Ok(())
    }
    fn note(&mut self, text: &str) {
        log::warn!("{text}");
        if !self.remarks.iter().any(|remark| remark == text) {
            self.remarks.push(text.to_owned());
        }
    }
}

/// Written aside and renamed when it is on the disk, so that an earlier file survives whatever happens.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = Aside::create(path)?;
    file.write(bytes)?;
    file.finish()
}

/// A table, a line for each epoch.
pub(super) fn losses(history: &[EpochLoss]) -> String {
    let mut text = String::from("epoch,steps,training,validation,learning_rate,seconds\n");
    for EpochLoss { epoch, steps, training, validation, learning_rate, seconds } in history {
        text += &format!("{epoch},{steps},{training},{validation},{learning_rate},{seconds:.3}\n");
    }
    text
}

/// Where the training of a work folder can go on.
pub(super) fn checkpoint_path(work: &Work) -> PathBuf {
    work.dir().join(CHECKPOINT)
}
