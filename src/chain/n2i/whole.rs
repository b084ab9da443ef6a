//! From the scan to the denoised volume: subsets, training, network, each continued where it was stopped.

use super::super::{Chain, RECORD, RunOptions, RunSummary};
use super::observe::Watch;
use super::record::Record;
use super::split::compare;
use super::train::{ENDED, TrainJob, TrainSummary, read_checkpoint, read_model, train};
use super::work::SUBSETS_OF;
use super::{CHECKPOINT, SplitOptions, apply_chain, split, subset_dir};
use crate::context::Context;
use crate::denoise::Ended;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::scan::Scan;
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the network in its work folder.
pub const MODEL: &str = "model.safetensors";

/// How to denoise a scan.
#[derive(Clone, Debug)]
pub struct DenoiseOptions {
    /// How its views are split; its `rows` are those of the volume, its `resume` is that of all steps.
    pub split: SplitOptions,
    /// How the network is trained; its `resume` is not looked at.
    pub train: TrainJob,
    /// Folder of subsets and training.
    pub work: PathBuf,
    /// Slab height of the last step; from the memory budget if `None`.
    pub slab_rows: Option<usize>,
    /// The subsets stay when the volume is complete; they take `subsets` times its space.
    pub keep: bool,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct DenoiseSummary {
    /// The training; `None` if it was complete.
    pub train: Option<TrainSummary>,
    /// The last step, which made the volume.
    pub run: RunSummary,
    /// The network.
    pub model: PathBuf,
}

/// Makes the progress of a step, given what the step is called.
pub type Steps<'a> = &'a mut dyn FnMut(&str) -> Progress<'static>;

/// Splits `scan`, trains a network on it and runs `chain` with `recon.n2i` in place of its reconstruction into `out`. With
/// `options.split.resume` finished steps are not done again; a step that was not begun begins.
///
/// Errors: those of [`split`], [`train`] and [`Chain::run`]; `CANCELLED` if `watch` or a progress wished so, with everything
/// saved; `LIMIT` if the training diverged.
pub fn denoise(
    ctx: &Context,
    chain: &Chain,
    scan: &Scan,
    out: &Path,
    options: &DenoiseOptions,
    steps: Steps<'_>,
    watch: Watch<'_>,
) -> Result<DenoiseSummary> {
    let resume = options.split.resume;
    let (dir, model) = (&options.work, options.work.join(MODEL));
    let rows = options.split.rows.clone();
    // What cannot be written is refused before the work is done for it.
    crate::io::TiffSink::check_dir(out, &scan.info().folders)?;
    if resume && let Some(record) = Record::read(dir)? {
        compare(&record, ctx, chain, scan, dir, &options.split)?;
    }
    let mut summary = None;
    if !(resume && is_trained(dir, &model, options)) {
        let work = split(ctx, chain, scan, dir, &options.split, &mut steps("split"))?;
        let job = TrainJob { resume, ..options.train.clone() };
        let done = train(ctx, &work, &model, &job, watch)?;
        match &done.ended {
            Ended::Stopped => return Err(Error::cancelled("training")),
            Ended::Diverged(why) => {
                let message = format!("{why}; the last good network is in {}", model.display());
                return Err(Error::limit("training", message));
            }
            Ended::Finished | Ended::NoBetter => summary = Some(done),
        }
    }
    // The axis that was found is used again.
    let record = Record::read(dir)?.ok_or_else(|| Error::internal(dir.display(), "the subsets have no record"))?;
    let mut found = Chain::parse(&ctx.registry(), &record.chain)?;
    found.source = chain.source.clone();
    let mut found = apply_chain(&found, &model)?;
    found.set("recon.n2i", "device", options.train.device.name())?;
    let mut one = |resume: bool| {
        let options = RunOptions { rows: rows.clone(), slab_rows: options.slab_rows, resume, ..RunOptions::default() };
        found.run(ctx, scan, out, &options, &mut steps("denoise"))
    };
    // Slices of an earlier network are made anew.
    let begun = summary.is_none() && out.join(RECORD).is_file();
    let run = match if begun { Some(one(true)) } else { None } {
        Some(Err(e)) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Format) => one(false)?,
        Some(run) => run?,
        None => one(false)?,
    };
    if !options.keep {
        for subset in 0..record.subsets {
            let folder = subset_dir(dir, subset);
            match fs::remove_dir_all(&folder) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    log::warn!("{}: cannot be removed: {e}", folder.display());
                }
                _ => {}
            }
        }
    }
    Ok(DenoiseSummary { train: summary, run, model })
}

/// True if the network in the folder is the end of the training that is wished.
fn is_trained(dir: &Path, model: &Path, options: &DenoiseOptions) -> bool {
    let Ok(Some(record)) = Record::read(dir) else { return false };
    let (Ok(model), Ok(checkpoint)) = (read_model(model), read_checkpoint(&dir.join(CHECKPOINT))) else { return false };
    let ended = model.about.get(ENDED).map(String::as_str);
    let same = model.about.get(SUBSETS_OF) == Some(&record.fingerprint())
        && checkpoint.about.get(SUBSETS_OF) == Some(&record.fingerprint())
        && checkpoint.options == options.train.options
        && record.subsets == options.split.subsets;
    same && matches!(ended, Some("finished" | "no better"))
}
