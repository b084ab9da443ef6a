//! `wagiri zscan`: the steps of a series in order, and what a person sees of them.

use crate::json::Line;
use crate::picture::write_png;
use crate::terminal::{human_time, is_json, json_line, progress, say};
use crate::{args, contact, job};
use clap::ArgMatches;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wagiri::chain::RunSummary;
use wagiri::chain::zscan::{AXES, Series, Zscan, ZscanOptions, read_axes};
use wagiri::scan::Part;
use wagiri::{Error, ErrorKind, Result};

/// Where to stop before the end.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Step {
    Axes,
    Scans,
    Whole,
    Cuts,
}

fn last_step(m: &ArgMatches) -> Result<Step> {
    match args::text(m, "stop-after") {
        None => Ok(Step::Cuts),
        Some("axes") => Ok(Step::Axes),
        Some("scans") => Ok(Step::Scans),
        Some("whole") => Ok(Step::Whole),
        Some(word) => {
            Err(Error::invalid("--stop-after", "expected axes, scans or whole").with("value", format!("'{word}'")))
        }
    }
}

/// Where the scans are.
fn series(m: &ArgMatches) -> Result<Series> {
    let path = Path::new(args::text(m, "series").unwrap_or_default());
    let options = args::scan_options(m)?;
    let interleaved = match args::text(m, "order") {
        Some("interleaved") => true,
        Some("sequential") | None => false,
        Some(word) => {
            let message = "expected sequential or interleaved";
            return Err(Error::invalid("--order", message).with("value", format!("'{word}'")));
        }
    };
    if !path.exists() {
        return Err(Error::not_found(path.display(), "no such file or folder"));
    }
    match args::number(m, "scans")? {
        Some(of) => {
            let parts = Part { index: 0, of, frames: args::number(m, "frames")?, interleaved };
            Series::of_sequence(path, &parts, &options)
        }
        None => Series::of_folders(path, &options).ok_or_else(|| {
            let message =
                "expected a folder with scans in 001, 002 ..., or --scans N for a sequence of frames of N scans";
            Error::invalid(path.display(), message)
        }),
    }
}

fn options(m: &ArgMatches, context: &wagiri::Context) -> Result<ZscanOptions> {
    let word = |name| args::text(m, name).unwrap_or_default().to_owned();
    let mut stack = vec![("overlap".to_owned(), word("overlap"))];
    for assignment in m.get_many::<String>("stack").into_iter().flatten() {
        let bad = || Error::invalid("--stack", "expected PARAM=VALUE").with("value", format!("'{assignment}'"));
        let (param, value) = assignment.split_once('=').ok_or_else(bad)?;
        stack.push((param.trim().to_owned(), value.to_owned()));
    }
    let cuts = word("cut").split(',').map(str::trim).filter(|cut| !cut.is_empty()).map(str::to_owned).collect();
    Ok(ZscanOptions {
        chain: job::chain(m, context, args::text(m, "chain"))?,
        method: word("method").parse()?,
        axes: args::text(m, "axes").map(|file| read_axes(Path::new(file))).transpose()?,
        row: args::number(m, "row")?,
        stack,
        then: word("then"),
        reversed: m.get_flag("reverse"),
        cuts,
        resume: m.get_flag("resume"),
    })
}

pub fn run(m: &ArgMatches) -> Result<()> {
    let started = Instant::now();
    let context = args::context(m)?;
    let last = last_step(m)?;
    let out = PathBuf::from(args::text(m, "out").unwrap_or_default());
    let mut zscan = Zscan::new(series(m)?, &out, options(m, &context)?)?;
    let steps = &mut |step: &str| progress(step);
    let result = work(&mut zscan, &context, &out, last, steps);
    if result.as_ref().is_err_and(|e| e.kind() == ErrorKind::Cancelled) {
        log::info!("what is finished stays in {}; --resume continues", out.display());
    }
    let whole = result?;
    if is_json() {
        let line = Line::event("summary").text("out", &out.display().to_string());
        let line = match &whole {
            Some(whole) => line.number("slices", whole.slices as f64).number("found", whole.found as f64),
            None => line,
        };
        json_line(&line.number("elapsed_s", (started.elapsed().as_secs_f64() * 1e3).round() / 1e3).end());
    }
    say!("time         {}", human_time(started.elapsed().as_secs()));
    Ok(())
}

type Steps<'a> = &'a mut dyn FnMut(&str) -> wagiri::Progress<'static>;

/// All steps up to `last`; the summary of the whole volume, if something was left to do for it.
fn work(
    zscan: &mut Zscan,
    context: &wagiri::Context,
    out: &Path,
    last: Step,
    steps: Steps,
) -> Result<Option<RunSummary>> {
    for (index, axis) in zscan.axes(context, steps)?.iter().enumerate() {
        let center = axis.center.map_or("not found:".to_owned(), |center| format!("{center} px"));
        say!("axis {:03}     {center} {}", index + 1, axis.note);
    }
    for doubt in zscan.doubts() {
        log::warn!("{doubt}");
    }
    let picture = out.join("axes.png");
    let looked = zscan.look(context, steps)?;
    if let Some(slices) = looked {
        write_png(&picture, &contact::sheet(&slices))?;
        zscan.shown()?;
    }
    say!("look         {} (axes: {})", picture.display(), out.join(AXES).display());
    if last == Step::Axes {
        return Ok(None);
    }
    for (index, summary) in zscan.reconstruct(context, steps)?.iter().enumerate() {
        told(&format!("scan {:03}", index + 1), summary, &zscan.scan_dir(index));
    }
    if last == Step::Scans {
        return Ok(None);
    }
    let whole = zscan.stack(context, steps)?;
    match &whole {
        Some(summary) => told("whole", summary, &zscan.whole_dir()),
        None => say!("whole        complete in {}", zscan.whole_dir().display()),
    }
    if last == Step::Whole {
        return Ok(whole);
    }
    for (dir, summary) in zscan.cut(context, steps)? {
        told("cut", &summary, &dir);
    }
    Ok(whole)
}

fn told(step: &str, summary: &RunSummary, dir: &Path) {
    if summary.found == summary.slices {
        say!("{step:<12} complete in {}", dir.display());
        return;
    }
    for remark in &summary.remarks {
        log::info!("{step}: {remark}");
    }
    say!("{step:<12} {} slices in {}", summary.slices, dir.display());
}
