//! Noise2Inverse from scan to volume: views dealt into subsets, each reconstructed into a work folder; a network trained on
//! them; the network used by the stage `recon.n2i`.
//!
//! A work folder holds `n2i.toml` ([`WORK_FILE`], what it was made from), `subset0`, `subset1` ... (32-bit slices, each the run
//! of a chain with its record), and of the training `checkpoint.safetensors`, `losses.csv` and `preview.tif`. Every step is
//! continued where it was stopped, however it was stopped. Must not know: terminals.

mod exchange;
mod observe;
mod record;
mod split;
mod stacked;
mod train;
mod whole;
mod work;

pub use exchange::{export, import};
pub use observe::{CHECKPOINT, LOSSES, PREVIEW};
pub use record::WORK_FILE;
pub use split::{SplitOptions, split};
pub use stacked::apply_work;
pub use train::{TrainJob, TrainSummary, read_checkpoint, read_model, train};
pub use whole::{DenoiseOptions, DenoiseSummary, MODEL, Steps, denoise};
pub use work::Work;

use super::builtin::{N2I, N2iFactory};
use super::spec::Step;
use super::{Chain, Params};
use crate::error::Result;
use crate::progress::Progress;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folder of the slices of a subset.
pub(super) fn subset_dir(work: &Path, subset: usize) -> PathBuf {
    work.join(format!("subset{subset}"))
}

/// The progress of part `index` of `of` parts of the same size.
fn part_of<'p>(progress: &'p mut Progress<'_>, index: usize, of: usize) -> Progress<'p> {
    let flag = progress.flag();
    let part = move |report: &crate::progress::Report| {
        let (done, total) = (index * report.total + report.done, of * report.total);
        let fraction = (index as f64 + report.fraction) / of as f64;
        if progress.report(done, total, fraction).is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    Progress::new(part).with_flag(flag)
}

/// `chain` with `recon.n2i` and the network in the file `model` in place of its reconstruction, of which it keeps the
/// parameters. The file need not exist yet.
pub fn apply_chain(chain: &Chain, model: &Path) -> Result<Chain> {
    let at = split::recon_at(chain)?;
    let mut params = Params::defaults(&N2I);
    let before = &chain.steps[at].params;
    for (info, value) in before.changed() {
        params.set(info.name, value.clone())?;
    }
    if before.info().id == "recon.fourier" {
        params.set_text("engine", "fourier")?;
    }
    params.set_text("model", &model.to_string_lossy())?;
    let mut chain = chain.clone();
    chain.steps[at] = Step { factory: Arc::new(N2iFactory), params };
    Ok(chain)
}
