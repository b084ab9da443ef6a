//! One function per command.

use crate::json::Line;
use crate::picture::{self, Panel};
use crate::terminal::{
    complain, counting, human_bytes, human_time, human_times, is_json, json_line, log_level, progress, say,
    show_progress, silent,
};
use crate::{args, compat, job, n2i, zscan};
use clap::ArgMatches;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wagiri::chain::{AxisMethod, AxisOptions, ParamKind, RunOptions, RunSummary, find_axis};
use wagiri::geometry::covered_deg;
use wagiri::io::{self, FileNames, Levels, SampleType, SliceMeta, SliceSink, TiffSink};
use wagiri::scan::Frame;
use wagiri::{Chain, Context, Domain, Error, ErrorKind, Result, Scan};

pub fn run(matches: &ArgMatches) -> Result<()> {
    let innermost = matches.subcommand().map(|(_, m)| m.subcommand().map_or(m, |(_, m)| m));
    if let Some(how) = innermost.and_then(|m| args::text(m, "progress")) {
        show_progress(how)?;
    }
    if let Some(level) = innermost.and_then(|m| args::text(m, "log")) {
        log_level(level)?;
    }
    match matches.subcommand() {
        Some(("info", m)) => info(m),
        Some(("center", m)) => center(m),
        Some(("preview", m)) => preview(m),
        Some(("run", m)) => reconstruct(m),
        Some(("plan", m)) => plan(m),
        Some(("denoise", m)) => n2i::denoise(m),
        Some(("n2i", m)) => n2i::run(m),
        Some(("zscan", m)) => zscan::run(m),
        Some(("conv", m)) => convert(m),
        Some(("check", m)) => check(m),
        Some(("devices", m)) => devices(m),
        Some(("stages", m)) => stages(m),
        Some(("compat", m)) => old_names(m),
        Some(("plugin", m)) => plugin(m),
        _ => Err(Error::internal("wagiri", "a command without code")),
    }
}

fn open(m: &ArgMatches) -> Result<Scan> {
    let path = args::text(m, "scan").unwrap_or_default();
    io::open(Path::new(path), &args::scan_options(m)?)
}

fn info(m: &ArgMatches) -> Result<()> {
    let context = args::context(m)?;
    let scan = match open(m) {
        Ok(scan) => scan,
        // A folder without dark or direct beam may be a finished volume.
        Err(e) => {
            let path = Path::new(args::text(m, "scan").unwrap_or_default());
            return match io::open_volume(path, &io::VolumeOptions::default()) {
                Ok(volume) => volume_info(&volume, &e),
                Err(_) => Err(e),
            };
        }
    };
    let (shape, info) = (scan.shape(), scan.info());
    let line = |name: &str, value: String| say!("{name:<12} {value}");
    line("path", info.path.display().to_string());
    line("format", format!("{}: {}", info.format, info.details));
    line("detector", format!("{} columns x {} rows", shape.cols, shape.rows));
    line("views", shape.views.to_string());
    let degrees = |i: usize| info.angles_rad[i].to_degrees();
    let covered = covered_deg(&info.angles_rad);
    line("angles", format!("{:.4} to {:.4} deg, covering {covered:.2} deg", degrees(0), degrees(shape.views - 1)));
    line("I0 frames", shape.flats.to_string());
    line(
        "half turn",
        if info.half_turn_frame { "one more view at 180 deg, for the axis" } else { "no extra view" }.into(),
    );
    line("pixel size", info.pixel_um.map_or("not in the file: give pixel_um".into(), |um| format!("{um} um")));
    for note in &info.notes {
        line("note", note.clone());
    }
    let raw = scan.source().frame_bytes() * (shape.views + shape.flats + 1) as u64;
    if raw > 0 {
        line("raw data", human_bytes(raw));
    }
    // A plan needs no axis: any will do for memory and disk.
    let mut chain = Chain::parse(&context.registry(), Chain::DEFAULT)?;
    chain.set("recon.fbp", "center_px", &((shape.cols as f64 - 1.0) / 2.0).to_string())?;
    if covered > 190.0 {
        line("turn", "more than half a turn: give --turn full if the axis is near the middle of the detector".into());
        chain.set("recon.fbp", "turn", "full")?;
    }
    match chain.plan(&context, &scan, &RunOptions::default(), &mut silent()) {
        Ok(plan) => {
            let (slabs, height) = (plan.rows.len().div_ceil(plan.slab_rows), plan.slab_rows);
            line("memory", format!("{} in {slabs} slabs of {height} rows", human_bytes(plan.memory_bytes)));
            line("disk", format!("{} as 32-bit slices", human_bytes(plan.disk_bytes)));
        }
        Err(e) => line("plan", e.to_string()),
    }
    Ok(())
}

/// What is known of finished slices, and why they are taken for such.
fn volume_info(volume: &Scan, not_raw: &Error) -> Result<()> {
    let (shape, info) = (volume.shape(), volume.info());
    let line = |name: &str, value: String| say!("{name:<12} {value}");
    line("path", info.path.display().to_string());
    line("format", format!("{}: {}", info.format, info.details));
    line("volume", format!("{} slices of {} x {} pixels", shape.rows, shape.cols, shape.views));
    line("pixel size", info.pixel_um.map_or("not in the files".into(), |um| format!("{um} um")));
    if let Some(made) = &info.made {
        line(
            "made from",
            format!(
                "{} views, axis {} px, turned {:.4} deg",
                made.views,
                made.center,
                made.angle_offset_rad.to_degrees()
            ),
        );
        if let Some((low, high)) = made.levels {
            line("range", format!("{low} to {high} 1/cm"));
        }
    }
    for note in &info.notes {
        line("note", note.clone());
    }
    line("note", format!("taken for finished slices, since as raw data: {not_raw}"));
    Ok(())
}

fn center(m: &ArgMatches) -> Result<()> {
    let (context, scan) = (args::context(m)?, open(m)?);
    let method: AxisMethod = args::text(m, "method").unwrap_or("auto").parse()?;
    let options = AxisOptions { method, rows: args::range(m, "rows")?, ..AxisOptions::default() };
    let found = find_axis(&context, &scan, &options, &mut progress("axis"))?;
    say!("center_px    {}", found.center);
    say!("confidence   {:.2}", found.confidence);
    say!("method       {}", found.method);
    for c in &found.candidates {
        say!("candidate    {:.3} px, confidence {:.2} ({})", c.center_px, c.confidence, c.method);
    }
    Ok(())
}

fn preview(m: &ArgMatches) -> Result<()> {
    let context = args::context(m)?;
    let mut job = job::job(m, &context)?;
    let (out, scan) = (job.out()?, job.open(m)?);
    let chain = job.chain;
    let row: usize = args::number(m, "row")?.unwrap_or(chain.slices(&context, &scan)? / 2);
    let folder = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    TiffSink::check_dir(folder, &scan.info().folders)?;
    let options = RunOptions { rows: Some(row..row.saturating_add(1)), ..RunOptions::default() };
    let mut sink = OneSlice::default();
    let summary = chain.run_into(&context, &scan, &mut sink, &options, &mut progress("preview"))?;
    let slice = sink.0.ok_or_else(|| Error::internal("preview", "the chain gave no slice"))?;
    for remark in &summary.remarks {
        log::info!("{remark}");
    }
    let png = with_suffix(&out, ".png");
    picture::write_png(&png, &picture::grey(slice.view()))?;
    let fbp = chain.params().find(|p| p.info().params.iter().any(|p| p.name == "angle_offset_deg"));
    let meta = SliceMeta {
        pixel_um: summary.pixel_um,
        center: summary.center,
        views: scan.shape().views,
        angle_offset_rad: fbp.and_then(|p| p.float("angle_offset_deg")).unwrap_or(0.0).to_radians(),
        artist: "wagiri".into(),
        names: None,
        levels: None,
        described: true,
    };
    let tif = write_tif(&out, row, slice.view(), meta)?;
    say!("{}\n{}", png.display(), tif.display());
    if m.get_flag("sheet") {
        let path = with_suffix(&out, "-sheet.png");
        sheet(&context, &scan, &chain, row, slice, &path)?;
        say!("{}", path.display());
    }
    Ok(())
}

/// Keeps the slice of a preview.
#[derive(Default)]
struct OneSlice(Option<ndarray::Array2<f32>>);

impl SliceSink for OneSlice {
    fn write(&mut self, _: usize, slice: ndarray::ArrayView2<f32>) -> Result<()> {
        self.0 = Some(slice.to_owned());
        Ok(())
    }
}

fn with_suffix(out: &Path, suffix: &str) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes `OUT.tif` by way of the slice writer, so that a preview carries the same tags as a volume.
fn write_tif(out: &Path, row: usize, slice: ndarray::ArrayView2<f32>, meta: SliceMeta) -> Result<PathBuf> {
    let dir = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = out.file_name().and_then(|n| n.to_str()).unwrap_or("preview");
    let meta = SliceMeta { names: Some(FileNames::numbered(&format!(".{name}-"), 0)), ..meta };
    let mut sink = TiffSink::new(dir, SampleType::F32, Levels::Range(None, None), meta)?;
    sink.write(row, slice)?;
    sink.finish(&mut || Ok(()))?;
    let path = with_suffix(out, ".tif");
    std::fs::rename(sink.path(row), &path).map_err(|e| Error::io(path.display(), "rename", e))?;
    Ok(path)
}

/// A projection, the sinogram before and after ring removal, and the slice, in one picture.
fn sheet(
    context: &Context,
    scan: &Scan,
    chain: &Chain,
    row: usize,
    slice: ndarray::Array2<f32>,
    path: &Path,
) -> Result<()> {
    let shape = scan.shape();
    let sinogram = |ring: bool| {
        let mut part = Chain::parse(&context.registry(), if ring { "normalise | ring.sort" } else { "normalise" })?;
        for params in chain.params() {
            for (info, value) in params.iter() {
                if part.params().any(|p| p.info().id == params.info().id) {
                    part.set(params.info().id, info.name, &value.to_string())?;
                }
            }
        }
        part.preview(context, scan, row, &mut silent())
    };
    let mut projection = ndarray::Array2::zeros((shape.rows, shape.cols));
    scan.source().read_rows(Frame::View(0), 0..shape.rows, projection.view_mut())?;
    let (before, after) = (sinogram(false)?, sinogram(true)?);
    let panels = [
        Panel::new(format!("projection 0, counts ({} x {})", shape.cols, shape.rows), projection.view()),
        Panel::new(format!("sinogram of row {row}, absorbance"), before.view()),
        Panel::new("the same after ring removal".into(), after.view()),
        Panel::new(format!("slice {row}, 1/cm"), slice.view()),
    ];
    picture::write_png(path, &picture::sheet(&panels))
}

fn reconstruct(m: &ArgMatches) -> Result<()> {
    let started = Instant::now();
    let context = args::context(m)?;
    let mut job = job::job(m, &context)?;
    let (out, scan) = (&job.out()?, job.open(m)?);
    let chain = job.chain;
    let unit = if chain.output() == Domain::Volume { "1/cm" } else { "absorbance" };
    let options = args::run_options(m)?;
    let summary = chain.run(&context, &scan, out, &options, &mut progress("run")).inspect_err(|e| {
        if e.kind() == ErrorKind::Cancelled {
            let how = if options.unrecorded { "" } else { "; --resume continues the run" };
            log::info!("finished slices stay in {}{how}", out.display());
        }
    })?;
    finished(&summary, out, unit, started);
    Ok(())
}

/// Tells what a run into a folder did.
pub fn finished(summary: &RunSummary, out: &Path, unit: &str, started: Instant) {
    for remark in &summary.remarks {
        log::info!("{remark}");
    }
    if summary.found == summary.slices {
        log::info!("the run in {} was complete: nothing was left to do", out.display());
    }
    if is_json() {
        let line = Line::event("summary")
            .text("out", &out.display().to_string())
            .number("slices", summary.slices as f64)
            .number("found", summary.found as f64)
            .number("first_row", summary.rows.start as f64)
            .number("end_row", summary.rows.end as f64)
            .number("minimum", f64::from(summary.range.0))
            .number("maximum", f64::from(summary.range.1))
            .text("center_px", &summary.center.to_string())
            .number("pixel_um", summary.pixel_um)
            .text("chain", &summary.chain)
            .texts("remarks", &summary.remarks)
            .number("elapsed_s", (started.elapsed().as_secs_f64() * 1e3).round() / 1e3)
            .times(&summary.times);
        json_line(&line.end());
    }
    say!("chain        {}", summary.chain);
    say!("slices       {} in {}", summary.slices, out.display());
    say!("values       {} to {} {unit}", summary.range.0, summary.range.1);
    say!("time         {} ({})", human_time(started.elapsed().as_secs()), human_times(&summary.times));
}

/// What a run would take.
fn plan(m: &ArgMatches) -> Result<()> {
    let context = args::context(m)?;
    let mut job = job::job(m, &context)?;
    let scan = job.open(m)?;
    let plan = job.chain.plan(&context, &scan, &args::run_options(m)?, &mut progress("plan"))?;
    for remark in &plan.remarks {
        log::info!("{remark}");
    }
    let line = |name: &str, value: String| say!("{name:<12} {value}");
    line("chain", job.chain.to_string());
    line("slices", format!("{} of {} x {} pixels", plan.rows.len(), plan.slice[1], plan.slice[0]));
    let slabs = plan.rows.len().div_ceil(plan.slab_rows);
    let halo = plan.halo.below + plan.halo.above;
    line("slabs", format!("{slabs} of {} slices, {halo} rows around each", plan.slab_rows));
    line("memory", format!("{} of {}", human_bytes(plan.memory_bytes), human_bytes(context.memory_bytes())));
    line("disk", human_bytes(plan.disk_bytes));
    let threads = context.threads();
    line("computing", format!("about {} on {threads} threads of a usual machine", human_time(plan.compute_s as u64)));
    for stage in &plan.stages {
        let [height, width] = stage.dims;
        let halo = match stage.halo.below + stage.halo.above {
            0 => String::new(),
            n => format!(", looks at {n} rows around"),
        };
        let scratch = human_bytes(stage.scratch_bytes);
        line(stage.id, format!("{width} x {height}{halo}, working memory {scratch}, {:.0} core-s", stage.core_s));
    }
    Ok(())
}

/// Parses a chain and says what was understood.
fn check(m: &ArgMatches) -> Result<()> {
    let context = args::context(m)?;
    let chain = job::job(m, &context)?.chain;
    if m.get_flag("toml") {
        say!("{}", chain.to_toml().trim_end());
        return Ok(());
    }
    for params in chain.params() {
        let info = params.info();
        say!("{:<16} {} to {}", info.id, info.input.name(), info.output.name());
        for (param, value) in params.iter() {
            say!("    {:<18} {value} {}", param.name, param.unit);
        }
    }
    say!("the chain is valid: {chain}");
    Ok(())
}

fn devices(m: &ArgMatches) -> Result<()> {
    for device in args::context(m)?.devices() {
        let threads = if device.threads > 0 { format!(", {} threads", device.threads) } else { String::new() };
        let memory = if device.memory_bytes > 0 {
            format!(", {:.0} GB", device.memory_bytes as f64 / 1e9)
        } else {
            String::new()
        };
        say!("{:<5} {}{threads}{memory}", device.kind.name(), device.name);
    }
    Ok(())
}

fn stages(m: &ArgMatches) -> Result<()> {
    let context = args::context(m)?;
    let registry = context.registry();
    let all: Vec<_> = registry.all().collect();
    let Some(id) = args::text(m, "id") else {
        for info in all {
            say!("{:<14} {}", info.id, info.summary);
        }
        return Ok(());
    };
    let info = match all.into_iter().find(|info| info.id == id) {
        Some(info) => info,
        None => registry.find(id)?.info(),
    };
    say!("{}: {}\n{} to {}", info.id, info.summary, info.input.name(), info.output.name());
    for p in info.params {
        let kind = match p.kind {
            ParamKind::Int => "whole number",
            ParamKind::Float => "number",
            ParamKind::Bool => "true or false",
            ParamKind::Choice(_) => "word",
            ParamKind::Text => "text",
        };
        let (auto, unit) = (if p.auto { " or auto" } else { "" }, if p.unit.is_empty() { "" } else { ", " });
        say!("  {} ({kind}{auto}{unit}{})\n      {}", p.name, p.unit, args::describe(p));
    }
    Ok(())
}

fn plugin(m: &ArgMatches) -> Result<()> {
    let Some(("check", m)) = m.subcommand() else {
        return Err(Error::internal("wagiri plugin", "a command without code"));
    };
    let file = args::text(m, "file").unwrap_or_default();
    let mut place = String::new();
    let findings = wagiri::check_plugin(Path::new(file), &mut |finding| {
        // Told before the stage runs for the first time: if it crashes, this is the last line.
        if place != finding.place {
            place.clone_from(&finding.place);
            complain(format_args!("checking {place}"));
        }
        say!("{finding}");
    });
    match findings.iter().filter(|finding| !finding.good).count() {
        0 => Ok(()),
        bad => Err(Error::plugin(file, format!("{bad} of {} checks failed", findings.len()))),
    }
}

fn convert(m: &ArgMatches) -> Result<()> {
    let folder = args::text(m, "dir").unwrap_or_default();
    let done = io::convert(Path::new(folder), &mut counting("conv", "image"))?;
    let there = if done.there > 0 { format!(", {} were there", done.there) } else { String::new() };
    say!("{} images written, {} files renamed{there} in {folder}", done.written, done.renamed);
    Ok(())
}

fn old_names(m: &ArgMatches) -> Result<()> {
    match m.subcommand() {
        Some(("list", m)) if m.get_flag("markdown") => compat::print_markdown(),
        Some(("list", m)) => match args::text(m, "name") {
            None => compat::print_list(),
            Some(name) => {
                let call = compat::find(name, &[]);
                let call =
                    call.ok_or_else(|| Error::not_found(name, "no such program; 'wagiri compat list' has all"))?;
                compat::print_one(&call);
            }
        },
        Some(("install", m)) => {
            let folder = args::text(m, "dir").unwrap_or_default();
            let count = compat::install(Path::new(folder))?;
            say!("{count} names in {folder}; put it into PATH");
        }
        _ => return Err(Error::internal("wagiri compat", "a command without code")),
    }
    Ok(())
}
