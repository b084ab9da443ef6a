//! A run into a folder, from the start or from where an earlier run of the same stopped.
//!
//! What must be the same is compared with the record (`manifest`), what was found is used again, and only slices that are
//! not finished are left to the plan. Since no slice depends on how rows are cut, the bytes are those of one run.

use super::builtin::N2I;
use super::manifest::{Earlier, Known, Manifest, RECORD, Record};
use super::prepare::{self, Ready, prepare};
use super::write::Files;
use super::{Chain, RunOptions, RunSummary, WRITE_PROJECTIONS, plan};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::io::{ProjectionSink, SliceMeta, TiffSink, Written};
use crate::progress::Progress;
use crate::recon::Isa;
use crate::scan::{Fingerprint, Scan, ScanOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

/// The chain beside its slices.
pub const CHAIN_FILE: &str = "wagiri-chain.toml";

/// See [`Chain::run`]. `told`: what is known of the scan already, and is not looked for.
pub(super) fn run(
    chain: &Chain,
    ctx: &Context,
    scan: &Scan,
    out_dir: &Path,
    options: &RunOptions,
    told: Option<&Known>,
    progress: &mut Progress,
) -> Result<RunSummary> {
    if options.resume && options.unrecorded {
        return Err(Error::invalid("resume", "a run that leaves no record cannot be continued"));
    }
    if chain.write.info().id == WRITE_PROJECTIONS.id {
        return projections(chain, ctx, scan, out_dir, options, progress);
    }
    // HiPic frames are named by a letter and a number only, and ct-rec's users keep slices beside them.
    let frames_in = if scan.info().format == "hipic" { &[] } else { scan.info().folders.as_slice() };
    TiffSink::check_dir(out_dir, frames_in)?;
    // What cannot be written is refused before work is done for it.
    chain.files(scan.info(), prepare::slices(chain, ctx, scan)?)?;
    // Locked before the survey and the search of the axis, which take long.
    let opened = if options.unrecorded { None } else { Record::open(out_dir, false)? };
    let asked = if options.unrecorded { Vec::new() } else { asked(chain, ctx, scan, options)? };
    if options.resume {
        let (mut record, manifest, files) = continued(out_dir, opened, &asked)?;
        let found = Chain::parse(&ctx.registry(), &manifest.known.chain)?;
        let mut ready = prepare(&found, ctx, scan, options, Some(&manifest.known), progress)?;
        let mut sink = found.sink(out_dir, scan, options, &ready, true)?;
        let state = State::of(&files, &manifest.rows, &sink);
        let waiting = state.waiting.len();
        sink.take_up(manifest.rows.clone(), state.waiting, state.seen);
        ready.prepared.cut.left = state.left;
        record.append()?;
        return recorded(ready, record, sink, (waiting, state.seen), ctx, scan, progress);
    }
    let ready = prepare(chain, ctx, scan, options, told, progress)?;
    if options.unrecorded {
        Record::forget(out_dir)?;
        let mut sink = chain.sink(out_dir, scan, options, &ready, false)?;
        return ready.run(ctx, scan, &mut sink, progress);
    }
    if let Some((_, Earlier::Run(old, files))) = &opened {
        // Slices that were lost and made again are named twice.
        let finished: BTreeSet<usize> = files.iter().filter(|f| !f.waiting).map(|f| f.z).collect();
        if finished.len() < old.rows.len() {
            let all = old.rows.len();
            log::warn!("{}: starting over; an unfinished run of {all} slices was here", out_dir.display());
            // Its slices in 32 bits, which would block this run; after a complete run, what is there is the user's.
            if old.known.collects {
                TiffSink::clear_collected(out_dir, old.rows.clone());
            }
        }
    }
    let sink = chain.sink(out_dir, scan, options, &ready, false)?;
    write_chain(out_dir, &ready.chain, scan)?;
    let mut record = match opened {
        Some((record, _)) => record,
        None => Record::open(out_dir, true)?.ok_or_else(|| Error::internal(RECORD, "the record was not made"))?.0,
    };
    let known = Known {
        chain: ready.chain.without_data().to_string(),
        edge_over_mean: ready.edge_over_mean,
        black_views: ready.prepared.black_views.clone(),
        remarks: ready.remarks.clone(),
        collects: sink.collects(),
    };
    let manifest = Manifest { asked, rows: ready.prepared.cut.rows.clone(), known };
    record.begin(&manifest)?;
    recorded(ready, record, sink, (0, (f32::INFINITY, f32::NEG_INFINITY)), ctx, scan, progress)
}

/// A run that ends with projection images. They are complete with the last row only, so there is nothing to continue.
fn projections(
    chain: &Chain,
    ctx: &Context,
    scan: &Scan,
    out_dir: &Path,
    options: &RunOptions,
    progress: &mut Progress,
) -> Result<RunSummary> {
    if options.resume {
        let message = "projection images are complete with the last row only; run without resume";
        return Err(Error::unsupported(WRITE_PROJECTIONS.id, message));
    }
    TiffSink::check_dir(out_dir, &scan.info().folders)?;
    let ready = prepare(chain, ctx, scan, options, None, progress)?;
    let mut sink = ProjectionSink::new(out_dir, ready.prepared.cut.slice, chain.meta(scan, options, &ready))?;
    write_chain(out_dir, &ready.chain, scan)?;
    ready.run(ctx, scan, &mut sink, progress)
}

/// Writes the chain with every value that was found beside its slices, so that it can be run again.
fn write_chain(dir: &Path, chain: &Chain, scan: &Scan) -> Result<()> {
    let mut chain = chain.clone();
    if chain.path().is_none() && scan.info().format != "memory" {
        chain.locate(Some(&scan.info().path), &ScanOptions::default())?;
    }
    let head =
        format!("# What made the slices in this folder (wagiri {}); run it again with: wagiri run", crate::VERSION);
    let text = format!("{head} {CHAIN_FILE} OUT\n\n{}", chain.to_toml());
    let (path, aside) = (dir.join(CHAIN_FILE), dir.join(format!(".{CHAIN_FILE}.part")));
    std::fs::create_dir_all(dir).map_err(|e| Error::io(dir.display(), "make", e))?;
    let written = std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, &path));
    written.map_err(|e| {
        // Nothing more can be done if it cannot be removed either.
        let _ = std::fs::remove_file(&aside);
        Error::io(path.display(), "write", e)
    })
}

/// Runs what is left and records each finished file. `waiting` slices of an earlier run, whose values are within `seen`, are
/// to be converted.
fn recorded(
    ready: Ready,
    mut record: Record,
    mut sink: TiffSink,
    (waiting, seen): (usize, (f32, f32)),
    ctx: &Context,
    scan: &Scan,
    progress: &mut Progress,
) -> Result<RunSummary> {
    sink.on_written(move |file| record.add(file));
    let before = ready.prepared.cut.finished();
    let mut summary = ready.run(ctx, scan, &mut sink, progress)?;
    summary.found = before - waiting;
    summary.slices += before;
    summary.range = (summary.range.0.min(seen.0), summary.range.1.max(seen.1));
    if before > 0 {
        let all = summary.slices;
        let remark = "what was repaired in them is not in these remarks";
        summary.remarks.push(format!("{before} of {all} slices were made by an earlier run; {remark}"));
    }
    Ok(summary)
}

/// Everything that must be the same for the same bytes, by name.
fn asked(chain: &Chain, ctx: &Context, scan: &Scan, options: &RunOptions) -> Result<Vec<(String, String)>> {
    let (shape, info) = (scan.shape(), scan.info());
    let rows = plan::check_rows(prepare::slices(chain, ctx, scan)?, options.rows.clone())?;
    let mut hash = Fingerprint::default();
    for list in [&info.angles_rad, &info.view_time, &info.flat_time] {
        list.iter().for_each(|v| hash.add_u64(v.to_bits()));
    }
    let pixel = info.pixel_um.map_or(String::new(), |um| format!(", pixel {um} um"));
    let (first, last) = (info.angles_rad.first(), info.angles_rad.last());
    let degrees = |angle: Option<&f64>| angle.copied().unwrap_or(0.0).to_degrees();
    let list = [
        ("version", format!("wagiri {}", crate::VERSION)),
        // Instruction sets differ by rounding.
        ("processor", format!("{} {:?}", std::env::consts::ARCH, Isa::best())),
        ("chain", chain.without_data().to_string()),
        ("rows", format!("{}..{}", rows.start, rows.end)),
        ("artist", options.artist().to_owned()),
        (
            "scan",
            format!(
                "{}, {} views of {} x {} pixels, {} direct-beam images{pixel}",
                info.format, shape.views, shape.cols, shape.rows, shape.flats
            ),
        ),
        ("angles", format!("{:.4} to {:.4} deg, fingerprint {hash}", degrees(first), degrees(last))),
        ("frames", scan.source().identity()?),
    ];
    let mut list: Vec<(String, String)> = list.map(|(name, value)| (name.to_owned(), value)).into();
    let steps = chain.steps.iter().filter(|step| step.params.info().id == N2I.id);
    for file in steps.filter_map(|step| step.params.text("model")) {
        // A network that was trained further makes other slices.
        let mut hash = Fingerprint::default();
        hash.add_bytes(&std::fs::read(file).map_err(|e| Error::io(file, "read the model", e))?);
        list.push(("model".to_owned(), hash.to_string()));
    }
    Ok(list)
}

/// The run that is in the folder, if it can be continued.
fn continued(
    dir: &Path,
    opened: Option<(Record, Earlier)>,
    asked: &[(String, String)],
) -> Result<(Record, Manifest, Vec<Written>)> {
    let path = dir.join(RECORD);
    let (record, manifest, files) = match opened {
        None => {
            let message = format!("no run to continue: the folder has no {RECORD}; run without resume to begin one");
            return Err(Error::not_found(dir.display(), message));
        }
        Some((_, Earlier::None | Earlier::Unreadable)) => {
            let message = "not the record of a run, or damaged, so that the run cannot be continued; run without resume \
                           to start over";
            return Err(Error::format(path.display(), message));
        }
        Some((record, Earlier::Run(manifest, files))) => (record, manifest, files),
    };
    for (name, is) in asked {
        let was = manifest.asked.iter().find(|(n, _)| n == name).map_or("", |(_, was)| was);
        // The chain with the values that were found asks for the same.
        if was == is || name == "chain" && *is == manifest.known.chain {
            continue;
        }
        let (was, is) = if name == "chain" { different_stages(was, is) } else { (was.to_owned(), is.clone()) };
        let message = format!(
            "the run in this folder cannot be continued, because the {name} changed; run without resume to start over, or \
             into another folder"
        );
        return Err(Error::invalid(dir.display(), message).with("was", was).with("is", is));
    }
    Ok((record, manifest, files))
}

/// What two chains do not share, so that the message stays short.
fn different_stages(was: &str, is: &str) -> (String, String) {
    let (old, new): (Vec<&str>, Vec<&str>) = (was.split(" | ").collect(), is.split(" | ").collect());
    if old.len() != new.len() {
        return (was.to_owned(), is.to_owned());
    }
    let differ: Vec<_> = old.into_iter().zip(new).filter(|(a, b)| a != b).collect();
    let join = |side: Vec<&str>| side.join(" | ");
    (join(differ.iter().map(|d| d.0).collect()), join(differ.iter().map(|d| d.1).collect()))
}

/// How far the earlier run came.
#[derive(Debug, PartialEq)]
struct State {
    /// Runs of rows that must be reconstructed.
    left: Vec<Range<usize>>,
    /// Slices that are collected and not converted.
    waiting: Vec<usize>,
    /// Range of all slices that were ever finished; those that are done again give the same.
    seen: (f32, f32),
}

impl State {
    /// Believes the record only where the file is there in its full length.
    fn of(files: &[Written], rows: &Range<usize>, sink: &TiffSink) -> State {
        let mut there: BTreeMap<usize, &Written> = BTreeMap::new();
        let mut seen = (f32::INFINITY, f32::NEG_INFINITY);
        for file in files {
            seen = (seen.0.min(file.range.0), seen.1.max(file.range.1));
            // A converted slice is told after its 32-bit file and stands for it, unless it is lost.
            if rows.contains(&file.z) && sink.holds(file) {
                there.insert(file.z, file);
            }
        }
        let mut left: Vec<Range<usize>> = Vec::new();
        for z in rows.clone().filter(|z| !there.contains_key(z)) {
            match left.last_mut() {
                Some(run) if run.end == z => run.end += 1,
                _ => left.push(z..z + 1),
            }
        }
        let waiting = there.values().filter(|file| file.waiting).map(|file| file.z).collect();
        State { left, waiting, seen }
    }
}

impl Chain {
    /// What the files tell.
    fn meta(&self, scan: &Scan, options: &RunOptions, ready: &Ready) -> SliceMeta {
        let mut meta = SliceMeta {
            pixel_um: ready.geometry.pixel_um,
            center: ready.geometry.center,
            views: ready.geometry.angles_rad.len(),
            angle_offset_rad: ready.angle_offset_rad,
            artist: options.artist().to_owned(),
            names: None,
            levels: None,
            described: self.described(),
        };
        // Slices that were not made anew keep what is known of them.
        if let Some(made) = scan.info().made.as_ref().filter(|_| ready.geometry.angles_rad.is_empty()) {
            (meta.views, meta.angle_offset_rad) = (made.views, made.angle_offset_rad);
            meta.levels = made.levels;
        }
        meta
    }
    /// Where the slices go.
    fn sink(&self, dir: &Path, scan: &Scan, options: &RunOptions, ready: &Ready, continued: bool) -> Result<TiffSink> {
        let Files { sample, levels, names } = self.files(scan.info(), ready.slices)?;
        let meta = SliceMeta { names: Some(names), ..self.meta(scan, options, ready) };
        let make = if continued { TiffSink::continued } else { TiffSink::new };
        make(dir, sample, levels, meta)
    }
}
