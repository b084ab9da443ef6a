//! `wagiri denoise` and `wagiri n2i`: what a person sees of Noise2Inverse.

use crate::commands::finished;
use crate::json::Line;
use crate::n2i_args::{of_training, split_options, train_options};
use crate::terminal::{is_json, json_line, progress, say};
use crate::{args, job, learning};
use clap::ArgMatches;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wagiri::chain::n2i::{
    self, DenoiseOptions, MODEL, TrainJob, TrainSummary, WORK_FILE, Work, apply_chain, apply_work, read_model,
};
use wagiri::denoise::{Ended, EngineKind, Model, Names, Scaling, Subsets};
use wagiri::{Chain, Context, Device, Error, ErrorKind, Result, Scan};

const UNIT: &str = "1/cm";

fn device(m: &ArgMatches) -> Result<EngineKind> {
    args::text(m, "device").map_or(Ok(EngineKind::Auto), str::parse)
}

fn context(m: &ArgMatches) -> Result<Context> {
    args::context_on(m, Device::Auto)
}

pub fn run(m: &ArgMatches) -> Result<()> {
    match m.subcommand() {
        Some(("split", m)) => split(m),
        Some(("train", m)) => train(m),
        Some(("apply", m)) => apply(m),
        Some(("info", m)) => info(m),
        Some(("import", m)) => import(m),
        Some(("export", m)) => export(m),
        _ => Err(Error::internal("wagiri n2i", "a command without code")),
    }
}

/// Everything: subsets, training, volume.
pub fn denoise(m: &ArgMatches) -> Result<()> {
    let started = Instant::now();
    let (context, device) = (context(m)?, device(m)?);
    let mut job = job::job(m, &context)?;
    let (out, scan) = (job.out()?, job.open(m)?);
    if let Some(model) = args::text(m, "model") {
        if let Some(name) = of_training(m) {
            let message = format!("a trained network is used as it is, so that --{name} has no meaning");
            return Err(Error::invalid("--model", message));
        }
        return use_model(m, &context, job.chain, &scan, Path::new(model), &out, started);
    }
    let beside = || {
        let mut name = out.as_os_str().to_owned();
        name.push(".n2i");
        PathBuf::from(name)
    };
    let options = DenoiseOptions {
        split: split_options(m)?,
        train: TrainJob { options: train_options(m)?, resume: false, device },
        work: args::text(m, "work").map_or_else(beside, PathBuf::from),
        slab_rows: args::number(m, "slab-rows")?,
        keep: m.get_flag("keep"),
    };
    let steps = &mut |step: &str| progress(step);
    let done = n2i::denoise(&context, &job.chain, &scan, &out, &options, steps, &mut learning::watch());
    let done = done.inspect_err(|e| stopped(e, &options.work))?;
    if let Some(training) = &done.train {
        told(training, &done.model);
    }
    say!("model        {}", done.model.display());
    finished(&done.run, &out, UNIT, started);
    Ok(())
}

/// What to do after Ctrl-C.
fn stopped(e: &Error, place: &Path) {
    if e.kind() == ErrorKind::Cancelled {
        log::info!("what is finished stays in {}; --resume continues", place.display());
    }
}

fn split(m: &ArgMatches) -> Result<()> {
    let context = args::context(m)?;
    let mut job = job::job(m, &context)?;
    let (work, scan) = (job.out()?, job.open(m)?);
    let done = n2i::split(&context, &job.chain, &scan, &work, &split_options(m)?, &mut progress("split"));
    let done = done.inspect_err(|e| stopped(e, &work))?;
    let [slices, height, width] = done.shape();
    say!("chain        {}", done.chain().unwrap_or_default());
    say!("subsets      {} of {slices} slices of {width} x {height} in {}", done.count(), work.display());
    Ok(())
}

fn train(m: &ArgMatches) -> Result<()> {
    let (context, device) = (context(m)?, device(m)?);
    let dir = Path::new(args::text(m, "work").unwrap_or_default());
    let model = args::text(m, "model").map_or_else(|| dir.join(MODEL), PathBuf::from);
    let job = TrainJob { options: train_options(m)?, resume: m.get_flag("resume"), device };
    let work = Work::open(dir)?;
    let done = n2i::train(&context, &work, &model, &job, &mut learning::watch())?;
    told(&done, &model);
    match &done.ended {
        Ended::Stopped => {
            let stop = Error::cancelled("training");
            stopped(&stop, dir);
            Err(stop)
        }
        Ended::Diverged(why) => {
            Err(Error::limit("training", format!("{why}; {} is the last good one", model.display())))
        }
        Ended::Finished | Ended::NoBetter => Ok(()),
    }
}

/// What a training did.
fn told(done: &TrainSummary, model: &Path) {
    let ended = match done.ended {
        Ended::Finished => "finished",
        Ended::NoBetter => "ended, since the slices held out became no better",
        Ended::Stopped => "stopped",
        Ended::Diverged(_) => "diverged",
    };
    let last = done.history.last();
    if is_json() {
        let line = Line::event("trained")
            .text("model", &model.display().to_string())
            .text("ended", ended)
            .text("device", &done.device)
            .number("epochs", done.history.len() as f64)
            .number("steps", done.steps as f64)
            .number("training_loss", last.map_or(f64::NAN, |last| last.training))
            .number("validation_loss", last.map_or(f64::NAN, |last| last.validation))
            .texts("remarks", &done.remarks);
        json_line(&line.end());
    }
    say!("training     {ended} after {} epochs, {} steps", done.history.len(), done.steps);
    if let Some(last) = last {
        say!("losses       {:.6} training, {:.6} held out", last.training, last.validation);
    }
    say!("device       {}", done.device);
}

fn apply(m: &ArgMatches) -> Result<()> {
    let started = Instant::now();
    let (context, device) = (context(m)?, device(m)?);
    let Some(model) = args::text(m, "model").map(Path::new) else {
        return Err(Error::invalid("--model", "expected the file of a trained network"));
    };
    let words: Vec<&String> = m.get_many::<String>("words").into_iter().flatten().collect();
    // A folder of subsets in place of a scan.
    if let [dir, out] = words[..]
        && (Path::new(dir).join(WORK_FILE).is_file() || Path::new(dir).join("subset0").is_dir())
    {
        if m.get_flag("resume") || args::text(m, "rows").is_some() {
            let message = "not with a work folder, all of whose slices are denoised at once; give the scan instead";
            return Err(Error::invalid(if m.get_flag("resume") { "--resume" } else { "--rows" }, message));
        }
        let out = Path::new(out);
        let work = Work::open(Path::new(dir))?;
        let summary = apply_work(&context, work, model, device, out, &mut progress("denoise"))?;
        finished(&summary, out, UNIT, started);
        return Ok(());
    }
    let mut job = job::job(m, &context)?;
    let (out, scan) = (job.out()?, job.open(m)?);
    use_model(m, &context, job.chain, &scan, model, &out, started)
}

/// Runs the chain with the network in it.
fn use_model(
    m: &ArgMatches,
    context: &Context,
    chain: Chain,
    scan: &Scan,
    model: &Path,
    out: &Path,
    started: Instant,
) -> Result<()> {
    let mut chain = apply_chain(&chain, model)?;
    chain.set("recon.n2i", "device", device(m)?.name())?;
    let summary = chain.run(context, scan, out, &args::run_options(m)?, &mut progress("denoise"));
    let summary = summary.inspect_err(|e| stopped(e, out))?;
    finished(&summary, out, UNIT, started);
    Ok(())
}

/// The files of `import` and `export`: weights, model.
fn files(m: &ArgMatches) -> [&Path; 2] {
    ["weights", "model"].map(|name| Path::new(args::text(m, name).unwrap_or_default()))
}

fn import(m: &ArgMatches) -> Result<()> {
    let [weights, model] = files(m);
    let number = |name, default| Ok::<f64, Error>(args::number(m, name)?.unwrap_or(default));
    let scaling = Scaling { mean: number("mean", 0.0)?, spread: number("spread", 1.0)? };
    describe(&n2i::import(weights, model, args::number(m, "subsets")?.unwrap_or(4), scaling)?);
    Ok(())
}

fn export(m: &ArgMatches) -> Result<()> {
    let [weights, model] = files(m);
    n2i::export(model, weights, args::text(m, "names").map_or(Ok(Names::Wagiri), str::parse)?)
}

fn info(m: &ArgMatches) -> Result<()> {
    describe(&read_model(Path::new(args::text(m, "model").unwrap_or_default()))?);
    Ok(())
}

/// What a model tells.
fn describe(model: &Model) {
    let line = |name: &str, value: String| say!("{name:<16} {value}");
    let a = &model.architecture;
    line(
        "network",
        format!(
            "U-Net of {} slices, base width {}, depth {}, norm {}",
            a.channels,
            a.base_width,
            a.depth,
            a.norm.name()
        ),
    );
    line("weights", model.parameters.len().to_string());
    line("subsets", model.subsets.to_string());
    line("scaling", format!("mean {} {UNIT}, spread {} {UNIT}", model.scaling.mean, model.scaling.spread));
    for (name, value) in &model.about {
        line(name, value.clone());
    }
}
