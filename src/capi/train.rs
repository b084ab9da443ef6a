//! Noise2Inverse: training.

use super::context::wagiri_context;
use super::denoise::flag;
use super::error::wagiri_error;
use super::types::{Versioned, wagiri_status};
use crate::chain::n2i::{self, TrainJob, TrainSummary, Work};
use crate::denoise::{Decay, Ended, EngineKind, EpochLoss, Norm, TrainOptions, TrainReport};
use crate::error::{Error, Result};
use std::ffi::{c_char, c_void};
use std::ops::ControlFlow;
use std::path::Path;

/// Preset: trains on a processor.
pub const WAGIRI_N2I_SMALL: i32 = 0;
/// Preset: for graphics cards.
pub const WAGIRI_N2I_LARGE: i32 = 1;

/// Device of the network: the fastest that is there.
pub const WAGIRI_N2I_AUTO: i32 = 0;
/// Device of the network: the processor.
pub const WAGIRI_N2I_CPU: i32 = 1;
/// Device of the network: an NVIDIA card.
pub const WAGIRI_N2I_CUDA: i32 = 2;
/// Device of the network: a card with Vulkan, Metal or Direct3D 12.
pub const WAGIRI_N2I_WGPU: i32 = 3;

/// How a network is trained. Set `struct_size` to sizeof; a 0 anywhere else is what the preset says. The sizes of the two
/// presets and the range of each field are in the user's guide of Noise2Inverse.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_n2i_options {
    /// sizeof(wagiri_n2i_options).
    pub struct_size: u32,
    /// WAGIRI_N2I_SMALL or WAGIRI_N2I_LARGE.
    pub preset: i32,
    /// WAGIRI_N2I_AUTO, _CPU, _CUDA or _WGPU.
    pub device: i32,
    /// 1 continues the training that was stopped in the work folder; every other field as it was.
    pub resume: u32,
    /// Slices that the network sees, odd: the slice and as many below as above; 1 is plain 2D.
    pub channels: u32,
    /// Channels of the network at full size, a multiple of 8.
    pub base_width: u32,
    /// Levels below full size.
    pub depth: u32,
    /// What follows a convolution: 1 batch normalisation, 2 a bias.
    pub norm: i32,
    /// Edge of the square patches, px.
    pub patch_px: u64,
    /// Patches in a step.
    pub batch: u64,
    /// Patches in an epoch.
    pub slices_per_epoch: u64,
    /// Epochs.
    pub epochs: u64,
    /// Largest step size of Adam.
    pub learning_rate: f64,
    /// Steps over which the step size grows to it; -1 for none.
    pub warmup_steps: i64,
    /// Gradients with a larger norm are scaled to it; negative for never.
    pub clip_norm: f64,
    /// Weight of the old in the running average of the weights, below 1; negative for no average.
    pub average: f64,
    /// Slices that are kept out of the training, for the validation loss; a quarter of them at most.
    pub held_out: u64,
    /// Epochs without a better validation loss after which the training ends; -1 for never.
    pub patience: i64,
    /// Where random numbers start.
    pub seed: u64,
    /// Seconds after which a checkpoint is written also within an epoch.
    pub checkpoint_s: f64,
    /// How the step size falls: 1 as a cosine to 0, 2 not at all.
    pub decay: i32,
    /// Not used; 0.
    pub reserved: i32,
}

// SAFETY: repr(C), `u32` first, numbers only, no padding at the end.
unsafe impl Versioned for wagiri_n2i_options {
    const FIRST_SIZE: usize = 136;
}

/// 0: of the preset; -1: nothing.
fn count(name: &'static str, value: i64, preset: usize) -> Result<usize> {
    match value {
        0 => Ok(preset),
        -1 => Ok(0),
        1.. => Ok(value as usize),
        _ => Err(Error::invalid(name, "expected a positive number, 0 for that of the preset, or -1 for none")
            .with("value", value)),
    }
}

fn train_job(o: &wagiri_n2i_options) -> Result<TrainJob> {
    let bad = |name: &'static str, expected: &str, value: i64| Err(Error::invalid(name, expected).with("value", value));
    let mut t = match o.preset {
        WAGIRI_N2I_SMALL => TrainOptions::small(),
        WAGIRI_N2I_LARGE => TrainOptions::large(),
        other => return bad("preset", "expected WAGIRI_N2I_SMALL or WAGIRI_N2I_LARGE", other.into()),
    };
    let device = match o.device {
        WAGIRI_N2I_AUTO => EngineKind::Auto,
        WAGIRI_N2I_CPU => EngineKind::Cpu,
        WAGIRI_N2I_CUDA => EngineKind::Cuda,
        WAGIRI_N2I_WGPU => EngineKind::Wgpu,
        other => return bad("device", "expected WAGIRI_N2I_AUTO, _CPU, _CUDA or _WGPU", other.into()),
    };
    let shape = &mut t.architecture;
    for (field, value) in
        [(&mut shape.channels, o.channels), (&mut shape.base_width, o.base_width), (&mut shape.depth, o.depth)]
    {
        if value > 0 {
            *field = value as usize;
        }
    }
    match o.norm {
        0 => {}
        1 => shape.norm = Norm::Batch,
        2 => shape.norm = Norm::None,
        other => return bad("norm", "expected 1 for batch normalisation or 2 for a bias", other.into()),
    }
    match o.decay {
        0 => {}
        1 => t.decay = Decay::Cosine,
        2 => t.decay = Decay::Constant,
        other => return bad("decay", "expected 1 for a cosine or 2 for a constant rate", other.into()),
    }
    for (field, value) in [
        (&mut t.patch_px, o.patch_px),
        (&mut t.batch, o.batch),
        (&mut t.slices_per_epoch, o.slices_per_epoch),
        (&mut t.epochs, o.epochs),
        (&mut t.held_out, o.held_out),
    ] {
        if value > 0 {
            *field = value as usize;
        }
    }
    for (field, value) in [
        (&mut t.learning_rate, o.learning_rate),
        (&mut t.clip_norm, o.clip_norm),
        (&mut t.average, o.average),
        (&mut t.checkpoint_s, o.checkpoint_s),
    ] {
        if value != 0.0 {
            *field = value;
        }
    }
    for (field, value) in [(&mut t.clip_norm, o.clip_norm), (&mut t.average, o.average)] {
        if value < 0.0 {
            *field = 0.0;
        }
    }
    t.warmup_steps = count("warmup_steps", o.warmup_steps, t.warmup_steps)?;
    t.patience = count("patience", o.patience, t.patience)?;
    if o.seed > 0 {
        t.seed = o.seed;
    }
    if o.reserved != 0 {
        return bad("reserved", "expected 0", o.reserved.into());
    }
    Ok(TrainJob { options: t, resume: flag("resume", o.resume.into())?, device })
}

/// Losses of a finished epoch: mean squared errors of the normalised values. This struct never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_n2i_epoch {
    /// From 1.
    pub epoch: u64,
    /// Steps done at its end.
    pub steps: u64,
    /// Mean over its steps.
    pub training: f64,
    /// On the slices that are kept out.
    pub validation: f64,
    /// Step size at its end.
    pub learning_rate: f64,
    /// Seconds of training until its end, stops not counted.
    pub seconds: f64,
}

impl wagiri_n2i_epoch {
    fn new(loss: &EpochLoss) -> Self {
        wagiri_n2i_epoch {
            epoch: loss.epoch as u64,
            steps: loss.steps,
            training: loss.training,
            validation: loss.validation,
            learning_rate: loss.learning_rate,
            seconds: loss.seconds,
        }
    }
}

/// Negative where there is no number.
fn known(value: Option<f64>) -> f64 {
    value.filter(|v| v.is_finite()).unwrap_or(-1.0)
}

/// How far a training is. Everything in it is valid during the callback only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_n2i_report {
    /// sizeof(wagiri_n2i_report) of the loaded library.
    pub struct_size: u32,
    /// 1 if an epoch has just ended: its losses are the last of `history`.
    pub epoch_done: u32,
    /// Epoch under way, from 1.
    pub epoch: u64,
    /// Epochs in all.
    pub epochs: u64,
    /// Steps done, by an earlier run too if this one continues it.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Loss of the last step, the mean squared error of the normalised values.
    pub loss: f64,
    /// Mean loss of the last epoch; negative before its end.
    pub training: f64,
    /// Loss on the slices that are kept out; negative before there is one.
    pub validation: f64,
    /// Step size.
    pub learning_rate: f64,
    /// Seconds of training, stops not counted.
    pub elapsed_s: f64,
    /// Estimated seconds left; negative while there is nothing to estimate from.
    pub eta_s: f64,
    /// All finished epochs, those of an earlier run too.
    pub history: *const wagiri_n2i_epoch,
    /// Their number.
    pub history_count: u64,
}

/// Called after each step of a training, within long ones again, on the thread that called `wagiri_n2i_train`. 0 continues, anything else stops:
/// the training is saved and WAGIRI_CANCELLED returned. Must return normally: no C++ exception, no longjmp.
pub type wagiri_n2i_progress = Option<unsafe extern "C" fn(user: *mut c_void, report: *const wagiri_n2i_report) -> i32>;

fn tell(call: wagiri_n2i_progress, user: *mut c_void, r: &TrainReport) -> ControlFlow<()> {
    let Some(call) = call else { return ControlFlow::Continue(()) };
    let history: Vec<wagiri_n2i_epoch> = r.history.iter().map(wagiri_n2i_epoch::new).collect();
    let report = wagiri_n2i_report {
        struct_size: size_of::<wagiri_n2i_report>() as u32,
        epoch_done: r.epoch_done.into(),
        epoch: r.epoch as u64,
        epochs: r.epochs as u64,
        step: r.step,
        steps: r.steps,
        loss: r.loss,
        training: known(r.history.last().map(|e| e.training)),
        validation: known(r.history.last().map(|e| e.validation)),
        learning_rate: r.learning_rate,
        elapsed_s: r.elapsed.as_secs_f64(),
        eta_s: r.eta.map_or(-1.0, |eta| eta.as_secs_f64()),
        history: history.as_ptr(),
        history_count: history.len() as u64,
    };
    // SAFETY: by the header `call` takes the `user` of the same call and a report that is valid during the call, runs on
    // the caller's thread, and returns normally.
    match unsafe { call(user, &report) } {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

/// The training is done.
pub const WAGIRI_N2I_FINISHED: i32 = 0;
/// The validation loss got no better for `patience` epochs.
pub const WAGIRI_N2I_NO_BETTER: i32 = 1;
/// The callback asked to stop.
pub const WAGIRI_N2I_STOPPED: i32 = 2;
/// The loss grew without end; the model is that of the last good checkpoint, and the log tells more.
pub const WAGIRI_N2I_DIVERGED: i32 = 3;

/// What a training did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_n2i_summary {
    /// sizeof(wagiri_n2i_summary), set by the caller.
    pub struct_size: u32,
    /// Why it ended, WAGIRI_N2I_FINISHED to WAGIRI_N2I_DIVERGED.
    pub ended: i32,
    /// Finished epochs, those of an earlier run too.
    pub epochs: u64,
    /// Steps at the end of the last of them.
    pub steps: u64,
    /// Its mean loss; negative if there is none.
    pub training: f64,
    /// Its loss on the slices that are kept out; negative if there is none.
    pub validation: f64,
}

// SAFETY: repr(C), `u32` first, numbers only, no padding at the end.
unsafe impl Versioned for wagiri_n2i_summary {
    const FIRST_SIZE: usize = 40;
}

impl wagiri_n2i_summary {
    fn new(done: &TrainSummary) -> Self {
        for remark in &done.remarks {
            log::warn!("{remark}");
        }
        let ended = match &done.ended {
            Ended::Finished => WAGIRI_N2I_FINISHED,
            Ended::NoBetter => WAGIRI_N2I_NO_BETTER,
            Ended::Stopped => WAGIRI_N2I_STOPPED,
            Ended::Diverged(reason) => {
                log::warn!("{reason}");
                WAGIRI_N2I_DIVERGED
            }
        };
        let last = done.history.last();
        wagiri_n2i_summary {
            struct_size: 0,
            ended,
            epochs: last.map_or(0, |e| e.epoch as u64),
            steps: last.map_or(0, |e| e.steps),
            training: known(last.map(|e| e.training)),
            validation: known(last.map(|e| e.validation)),
        }
    }
}

/// Trains a network on the subsets in `work_dir` and writes it to the file `model_path`. A checkpoint is kept in the folder, by
/// which `options->resume` goes on after an end of any kind. `options`, `progress` and `summary` may be NULL; else set
/// `summary->struct_size` first. Thread-safe, but two calls cannot share a folder.
///
/// WAGIRI_CANCELLED: the callback asked to stop; checkpoint, model and `summary` are written. WAGIRI_UNAVAILABLE: the device
/// is not there. WAGIRI_LIMIT: too little memory, or the disk is full; the checkpoint before is kept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_n2i_train(
    ctx: *const wagiri_context,
    work_dir: *const c_char,
    model_path: *const c_char,
    options: *const wagiri_n2i_options,
    progress: wagiri_n2i_progress,
    user: *mut c_void,
    summary: *mut wagiri_n2i_summary,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, work_dir: text, model_path: text, options: options, summary: optional_fill => {
        let job = train_job(&options)?;
        let work = Work::open(Path::new(work_dir))?;
        let mut watch = |report: &TrainReport| tell(progress, user, report);
        let done = n2i::train(&ctx.inner, &work, Path::new(model_path), &job, &mut watch)?;
        summary.iter().for_each(|s| s.set(wagiri_n2i_summary::new(&done)));
        if done.ended == Ended::Stopped { Err(Error::cancelled("training")) } else { Ok(()) }
    })
}
