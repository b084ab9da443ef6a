//! The network used on the subsets that a work folder holds, without the scan.
//!
//! The volumes are read as one, in whose slices those of all subsets lie below one another, so that planning, progress and
//! writing are those of every chain.

use super::super::builtin::{Network, Stacked};
use super::super::source::VOLUME;
use super::super::spec::Step;
use super::super::{Chain, Params, RunOptions, RunSummary, WRITE_TIFF};
use super::{Work, split};
use crate::context::Context;
use crate::denoise::Subsets;
use crate::error::{Error, Result};
use crate::io::TiffSink;
use crate::progress::Progress;
use crate::scan::{Frame, FrameSource, Grain, Made, Scan, ScanInfo, ScanShape};
use ndarray::{ArrayViewMut2, ArrayViewMut3, Axis, s};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

struct Source {
    work: Work,
    lines: usize,
}

impl FrameSource for Source {
    fn shape(&self) -> ScanShape {
        let [rows, lines, cols] = self.work.shape();
        ScanShape { views: self.work.count() * lines, rows, cols, flats: 0 }
    }
    fn read_rows(&self, frame: Frame, rows: Range<usize>, out: ArrayViewMut2<f32>) -> Result<()> {
        let Frame::View(view) = frame else {
            return Err(Error::not_found("subsets", "no such frame").with("frame", format!("{frame:?}")));
        };
        self.read_band(view..view + 1, rows, out.insert_axis(Axis(1)))
    }
    fn read_band(&self, views: Range<usize>, rows: Range<usize>, mut out: ArrayViewMut3<f32>) -> Result<()> {
        for (subset, volume) in self.work.volumes().iter().enumerate() {
            let first = subset * self.lines;
            let here = views.start.max(first)..views.end.min(first + self.lines);
            if !here.is_empty() {
                let part = out.slice_mut(s![.., here.start - views.start..here.end - views.start, ..]);
                volume.source().read_band(here.start - first..here.end - first, rows.clone(), part)?;
            }
        }
        Ok(())
    }
    fn grain(&self) -> Grain {
        self.work.volumes()[0].source().grain()
    }
    fn decoding_bytes(&self) -> u64 {
        self.work.volumes()[0].source().decoding_bytes()
    }
    fn frame_bytes(&self) -> u64 {
        self.work.volumes()[0].source().frame_bytes()
    }
    fn identity(&self) -> Result<String> {
        let all: Result<Vec<String>> = self.work.volumes().iter().map(|volume| volume.source().identity()).collect();
        Ok(all?.join(", "))
    }
}

/// Denoises the volumes of `work` with the network in the file `model` into TIFF slices in `out`, which have the numbers of the
/// subsets' slices. What stands behind the reconstruction in the chain that made the subsets is done, too. Gives the same bits
/// as a chain with `recon.n2i` on the scan.
///
/// Errors: `INVALID` for a network of another number of subsets; those of [`Chain::run`], but there is no record, so that a
/// run that was stopped begins anew.
pub fn apply_work(
    ctx: &Context,
    work: Work,
    model: &Path,
    device: crate::denoise::EngineKind,
    out: &Path,
    progress: &mut Progress,
) -> Result<RunSummary> {
    let folders: Vec<_> = work.volumes().iter().flat_map(|volume| volume.info().folders.clone()).collect();
    TiffSink::check_dir(out, &folders)?;
    let network = Network::read(model, device)?;
    if network.model.subsets != work.count() {
        let message = "the network was trained with another number of subsets than there are in the work folder";
        return Err(Error::invalid(model.display(), message)
            .with("trained_with", network.model.subsets)
            .with("subsets", work.count()));
    }
    // Its slices get the names that the same chain would give them.
    let (mut steps, mut write) = (Vec::new(), Params::defaults(&WRITE_TIFF));
    if let Some(text) = work.chain() {
        let chain = Chain::parse(&ctx.registry(), text)?;
        steps.extend_from_slice(&chain.steps[split::recon_at(&chain)? + 1..]);
        write = chain.write;
    }
    if write.info().id == WRITE_TIFF.id && write.int("first").is_none() {
        write.set_text("first", &work.rows().start.to_string())?;
    }
    let [_, lines, _] = work.shape();
    let first = work.volumes()[0].info();
    let count = work.count();
    let info = ScanInfo {
        path: work.dir().to_owned(),
        pixel_um: work.pixel_um(),
        made: first.made.as_ref().map(|made| Made { views: made.views * count, ..made.clone() }),
        slice_names: Vec::new(),
        folders,
        ..first.clone()
    };
    let remarks = network.remarks(work.pixel_um().unwrap_or(1.0), None);
    let factory = Arc::new(Stacked::new(network, count, lines));
    steps.insert(0, Step { params: Params::defaults(Stacked::INFO), factory });
    let chain = Chain { source: Params::defaults(&VOLUME), steps, write };
    let scan = Scan::new(Box::new(Source { work, lines }), info)?;
    let options = RunOptions { unrecorded: true, ..RunOptions::default() };
    let mut summary = chain.run(ctx, &scan, out, &options, progress)?;
    summary.remarks.splice(0..0, remarks);
    Ok(summary)
}
