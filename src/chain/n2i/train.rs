//! A network trained on the subsets of a work folder.

use super::Work;
use super::observe::{Driver, Watch, checkpoint_path, write_whole};
use crate::context::Context;
use crate::denoise::{self, Checkpoint, Ended, EngineKind, EpochLoss, Model, Subsets, TrainOptions, open_engine};
use crate::error::{Error, Result};
use crate::io::Aside;
use std::fs;
use std::path::Path;

/// What to train, and on what.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainJob {
    /// Network and training.
    pub options: TrainOptions,
    /// Go on from the checkpoint in the work folder; where there is none, begin.
    pub resume: bool,
    /// What computes.
    pub device: EngineKind,
}

/// What a training did.
#[derive(Clone, Debug)]
pub struct TrainSummary {
    /// Why it ended. The model is written in any case.
    pub ended: Ended,
    /// Losses of all epochs, those before it was continued included.
    pub history: Vec<EpochLoss>,
    /// What computed.
    pub device: String,
    /// What a user should know, each once.
    pub remarks: Vec<String>,
    /// Steps, those before it was continued included.
    pub steps: u64,
}

/// Reads a trained network. Errors name the file.
pub fn read_model(path: &Path) -> Result<Model> {
    let bytes = fs::read(path).map_err(|e| Error::io(path.display(), "read the model", e))?;
    Model::from_bytes(path.display(), &bytes)
}

/// Reads a training that was stopped. Errors name the file.
pub fn read_checkpoint(path: &Path) -> Result<Checkpoint> {
    let bytes = fs::read(path).map_err(|e| Error::io(path.display(), "read the checkpoint", e))?;
    Checkpoint::from_bytes(path.display(), &bytes)
}

/// Trains a network on the subsets in `work` and writes it to `model`.
///
/// After each epoch, and every [`TrainOptions::checkpoint_s`], the training is saved in the work folder in a way that an
/// earlier checkpoint survives a full disk or a power cut, together with a table of losses and a picture. `watch` is called
/// after each step, several times a second and after each epoch, when its files are there; when it breaks, the training is
/// saved and the model written as it is then, and the summary says [`Ended::Stopped`]. With `job.resume` it goes on in the
/// same way as if it had not been stopped.
///
/// Errors: those of [`denoise::train`]; a checkpoint of other volumes or other options; of the files.
pub fn train(ctx: &Context, work: &Work, model: &Path, job: &TrainJob, watch: Watch<'_>) -> Result<TrainSummary> {
    Aside::check(model)?;
    job.options.check()?;
    let (path, about) = (checkpoint_path(work), work.about()?);
    let from = if job.resume && path.exists() { Some(read_checkpoint(&path)?) } else { None };
    if let Some(from) = &from
        && from.about.get(super::work::SUBSETS_OF) != about.get(super::work::SUBSETS_OF)
    {
        let message = "this training was begun with other subsets than those in the folder; train without resume";
        return Err(Error::invalid(path.display(), message));
    }
    // A quarter of the memory for slices, the rest for the network on a processor.
    let for_slices = work.bytes().min(ctx.memory_bytes() / 4);
    let cached = work.again()?.with_cache(for_slices);
    let memory = ctx.memory_bytes() - for_slices;
    let (mut engine, remarks) = open_engine(job.device, &job.options.architecture, ctx.pool(), memory)?;
    let device = engine.device();
    let mut driver = Driver::new(&cached, ctx.pool(), job.device, memory, watch);
    for remark in &remarks {
        denoise::Observer::note(&mut driver, remark);
    }
    let trained = denoise::train(&cached as &dyn Subsets, &job.options, &about, engine.as_mut(), from, &mut driver)?;
    let mut network = trained.checkpoint.model();
    network.about.insert(ENDED.to_owned(), word(&trained.ended).to_owned());
    write_whole(model, &network.to_bytes()?)?;
    let Checkpoint { history, state, .. } = trained.checkpoint;
    Ok(TrainSummary { ended: trained.ended, history, device, remarks: driver.remarks, steps: state.steps })
}

/// Why the training of a model ended, in what it tells.
pub(super) const ENDED: &str = "ended";

fn word(ended: &Ended) -> &'static str {
    match ended {
        Ended::Finished => "finished",
        Ended::NoBetter => "no better",
        Ended::Stopped => "stopped",
        Ended::Diverged(_) => "diverged",
    }
}
