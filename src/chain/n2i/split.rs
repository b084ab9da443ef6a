//! Subsets of the views, each reconstructed by itself.

use super::super::builtin::is_recon;
use super::super::manifest::Known;
use super::super::prepare::{self, prepare};
use super::super::{Chain, Params, RECORD, RunOptions, WRITE_TIFF, plan, resume};
use super::record::{Record, WORK_FILE};
use super::{Work, part_of, subset_dir};
use crate::context::{Context, free_disk_bytes};
use crate::denoise::split::{check_count, subset_views};
use crate::error::{Error, ErrorKind, Result};
use crate::io::TiffSink;
use crate::progress::Progress;
use crate::scan::{Fingerprint, Scan};
use crate::slab::Domain;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// How to split.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitOptions {
    /// Number of subsets, 2 to 64.
    pub subsets: usize,
    /// Slices to make; all if `None`.
    pub rows: Option<Range<usize>>,
    /// Go on in a work folder of the same scan, chain, subsets and rows; where there is none, begin.
    pub resume: bool,
}

impl Default for SplitOptions {
    /// Four subsets of all slices.
    fn default() -> Self {
        SplitOptions { subsets: 4, rows: None, resume: false }
    }
}

/// The stage that reconstructs, which must be the only one.
pub(super) fn recon_at(chain: &Chain) -> Result<usize> {
    let bad = |message: &str| Err(Error::invalid("n2i", message));
    if chain.input() == Domain::Volume {
        return bad("the chain begins with a finished volume, which has no views; expected counts or sinograms");
    }
    let mut recon = chain.steps.iter().enumerate().filter(|(_, step)| is_recon(step.params.info()));
    let Some((at, step)) = recon.next() else {
        return bad("the chain does not reconstruct; expected recon.fbp or recon.fourier in it");
    };
    if recon.next().is_some() {
        return bad("the chain reconstructs twice; expected one recon.fbp or recon.fourier");
    }
    if step.params.text("pad") == Some("slice") {
        return bad("pad=slice would decide for each subset by itself; expected pad=auto, on or off");
    }
    Ok(at)
}

/// The part of the chain that makes a subset: to the slices, in 32 bits. What stands behind the reconstruction stands behind
/// the network in the end.
fn of_subset(chain: &Chain, recon: usize) -> Chain {
    let mut chain = Chain { write: Params::defaults(&WRITE_TIFF), ..chain.clone() };
    chain.steps.truncate(recon + 1);
    chain
}

/// Deals the views of `scan` into subsets, every n-th into one, and reconstructs each by itself with `chain` up to its
/// reconstruction, into `work`. Axis, black views and whether truncated views are padded are found once, from all views;
/// everything that mixes views, such as ring removal, is done for each subset by itself. Subsets that are finished are not
/// read again.
///
/// Errors: `INVALID` for a number of subsets that leaves one with too few views, for chains that do not reconstruct exactly
/// once, for a folder of other subsets to go on in; `LIMIT` if the disk has too little space; those of [`Chain::run`].
pub fn split(
    ctx: &Context,
    chain: &Chain,
    scan: &Scan,
    work: &Path,
    options: &SplitOptions,
    progress: &mut Progress,
) -> Result<Work> {
    let recon = recon_at(chain)?;
    if chain.steps[recon].params.info().params.iter().any(|param| param.name == "model") {
        return Err(Error::invalid("n2i", "the chain denoises already; expected recon.fbp in place of recon.n2i"));
    }
    let count = options.subsets;
    check_count(scan.shape().views, count)?;
    TiffSink::check_dir(work, &scan.info().folders)?;
    let before = if options.resume { Record::read(work)? } else { None };
    let record = match before {
        Some(record) => {
            compare(&record, ctx, chain, scan, work, options)?;
            record
        }
        None => begin(ctx, chain, scan, work, options, progress)?,
    };
    if record.complete
        && let Ok(work) = Work::open(work)
    {
        return Ok(work);
    }
    let found = of_subset(&Chain::parse(&ctx.registry(), &record.chain)?, recon);
    for index in 0..count {
        let black = |view: usize| record.black_views.binary_search(&view).is_ok();
        let known = Known {
            chain: found.without_data().to_string(),
            edge_over_mean: record.edge_over_mean,
            black_views: subset_views(record.views, count, index).map(black).collect::<Arc<[bool]>>(),
            remarks: Vec::new(),
            collects: false,
        };
        let (subset, dir) = (scan.subset(index, count)?, subset_dir(work, index));
        let mut one = |resume: bool| {
            let rows = Some(record.rows.clone());
            let options = RunOptions { rows, resume, ..RunOptions::default() };
            let mut progress = part_of(progress, index, count);
            resume::run(&found, ctx, &subset, &dir, &options, Some(&known), &mut progress)
        };
        let begun = options.resume && dir.join(RECORD).is_file();
        let done = match if begun { Some(one(true)) } else { None } {
            // It was stopped before there was anything to go on from.
            Some(Err(e)) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Format) => one(false),
            Some(done) => done,
            None => one(false),
        };
        let done = done.map_err(|e| e.at(format_args!("subset {index}")))?;
        done.remarks.iter().for_each(|remark| log::info!("subset {index}: {remark}"));
    }
    Record { complete: true, ..record }.write(work)?;
    Work::open(work)
}

/// Finds what must be the same for all subsets, and notes it.
fn begin(
    ctx: &Context,
    chain: &Chain,
    scan: &Scan,
    work: &Path,
    options: &SplitOptions,
    progress: &mut Progress,
) -> Result<Record> {
    let run = RunOptions { rows: options.rows.clone(), ..RunOptions::default() };
    let recon = recon_at(chain)?;
    // Rows are those of the reconstruction, whatever stands behind it.
    let ready = prepare(&of_subset(chain, recon), ctx, scan, &run, None, progress)?;
    ready.remarks.iter().for_each(|remark| log::info!("{remark}"));
    let cut = &ready.prepared.cut;
    if cut.rows.len() < 2 {
        let message = "a single slice does not suffice to train on; expected two or more, of which one is held out";
        return Err(Error::invalid("rows", message).with("rows", format!("{}..{}", cut.rows.start, cut.rows.end)));
    }
    let [height, width] = cut.slice;
    let all = 4 * (options.subsets * cut.rows.len() * height * width) as u64;
    let needed = all.saturating_sub((0..options.subsets).map(|index| bytes_in(&subset_dir(work, index))).sum());
    if let Some(free) = free_disk_bytes(work).filter(|free| *free < needed) {
        let gb = |bytes: u64| format!("{:.3} GB", bytes as f64 / 1e9);
        let message = "the disk has too little space for the slices of all subsets; free some, choose fewer rows or \
                       another folder";
        return Err(Error::limit(work.display(), message).with("needed", gb(needed)).with("free", gb(free)));
    }
    let black = ready.prepared.black_views.iter().enumerate().filter(|(_, black)| **black);
    let path = &scan.info().path;
    let mut found = Chain { write: chain.write.clone(), ..ready.chain };
    found.steps.extend_from_slice(&chain.steps[recon + 1..]);
    let record = Record {
        asked: chain.without_data().to_string(),
        chain: found.without_data().to_string(),
        scan: std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string(),
        frames: frames(scan)?,
        subsets: options.subsets,
        views: scan.shape().views,
        rows: cut.rows.clone(),
        pixel_um: ready.geometry.pixel_um,
        edge_over_mean: ready.edge_over_mean,
        black_views: black.map(|(view, _)| view).collect(),
        complete: false,
    };
    std::fs::create_dir_all(work).map_err(|e| Error::io(work.display(), "make the work folder", e))?;
    record.write(work)?;
    Ok(record)
}

/// What a folder of earlier slices, which are replaced, holds.
fn bytes_in(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum()
}

/// What is read, in a line.
fn frames(scan: &Scan) -> Result<String> {
    let mut hash = Fingerprint::default();
    let info = scan.info();
    for list in [&info.angles_rad, &info.view_time, &info.flat_time] {
        list.iter().for_each(|v| hash.add_u64(v.to_bits()));
    }
    Ok(format!("{}, angles {hash}", scan.source().identity()?))
}

/// Refuses to go on with other subsets than those in the folder.
pub(super) fn compare(
    record: &Record,
    ctx: &Context,
    chain: &Chain,
    scan: &Scan,
    work: &Path,
    options: &SplitOptions,
) -> Result<()> {
    let text = chain.without_data().to_string();
    let rows =
        plan::check_rows(prepare::slices(&of_subset(chain, recon_at(chain)?), ctx, scan)?, options.rows.clone())?;
    let range = |rows: &Range<usize>| format!("{}..{}", rows.start, rows.end);
    let same_chain = text == record.asked || text == record.chain;
    let list = [
        ("chain", if same_chain { text.clone() } else { record.asked.clone() }, text),
        ("subsets", record.subsets.to_string(), options.subsets.to_string()),
        ("rows", range(&record.rows), range(&rows)),
        ("frames", record.frames.clone(), frames(scan)?),
    ];
    match list.into_iter().find(|(_, was, is)| was != is) {
        None => Ok(()),
        Some((name, was, is)) => {
            let message = format!(
                "the subsets in this folder cannot be continued, because the {name} changed; go without resume to start \
                 over, or use another folder"
            );
            Err(Error::invalid(work.join(WORK_FILE).display(), message).with("was", was).with("is", is))
        }
    }
}
