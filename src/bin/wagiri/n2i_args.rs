//! The words of `wagiri denoise` and `wagiri n2i`.

use crate::args::{
    self, log_arg, machine_args, number, option, progress_arg, rows_args, text, with_chain_options, with_scan_options,
    words,
};
use clap::{Arg, ArgAction, ArgMatches, Command};
use wagiri::Result;
use wagiri::chain::n2i::{MODEL, SplitOptions};
use wagiri::denoise::TrainOptions;

/// `wagiri denoise`.
pub fn denoise() -> Command {
    let about = "Noise2Inverse: train a network on the scan itself, and write the denoised volume (docs/denoise.md)";
    let command = with_scan_options(Command::new("denoise").about(about))
        .arg(words("the folder OUT is made if it does not exist"))
        .args(rows_args())
        .arg(model_arg("Use this trained network: no subsets are written, nothing is trained"))
        .arg(option("work", "DIR", "Folder of the subsets and of the training (default OUT.n2i)"))
        .arg(subsets_arg())
        .arg(resume_arg("Continue what was stopped, in whatever step; give everything else as it was"))
        .arg(Arg::new("keep").long("keep").action(ArgAction::SetTrue).help(
            "Keep the subsets when the volume is complete; they take as many times its space as there are subsets",
        ))
        .args(train_args());
    with_device(with_chain_options(command))
}

/// `wagiri n2i split|train|apply|info|import|export`.
pub fn n2i() -> Command {
    let work = || Arg::new("work").required(true).value_name("WORK").help("Folder with subset0, subset1 ...");
    let split = with_scan_options(
        Command::new("split").about("Deal the views of a scan into subsets and reconstruct each by itself"),
    )
    .arg(words("OUT is the work folder, which is made"))
    .arg(option("rows", "A..B", "Slices to make, the end not included"))
    .arg(subsets_arg())
    .arg(resume_arg("Continue the split that was stopped in this folder"));
    let train = Command::new("train")
        .about("Train a network on the subsets in a work folder")
        .arg(work())
        .arg(Arg::new("model").value_name("MODEL").help(format!("File of the network (default WORK/{MODEL})")))
        .arg(resume_arg("Go on from WORK/checkpoint.safetensors, along the same curve"))
        .args(train_args())
        .arg(progress_arg())
        .args(machine_args());
    let apply = with_scan_options(
        Command::new("apply").about("Denoise a scan, or the subsets in a work folder, with a trained network"),
    )
    .arg(words("in place of a scan, a work folder will do"))
    .args(rows_args())
    .arg(model_arg("The trained network"))
    .arg(resume_arg("Continue the run that was stopped in OUT; not with a work folder"));
    let info = Command::new("info")
        .about("Tell what is known of a trained network")
        .arg(Arg::new("model").required(true).value_name("MODEL").help("The file"))
        .arg(log_arg("info"));
    let weights = |help: &'static str| Arg::new("weights").required(true).value_name("WEIGHTS").help(help);
    let model = |help: &'static str| Arg::new("model").required(true).value_name("MODEL").help(help);
    let import = Command::new("import")
        .about("Make a network of weights that PyTorch trained: safetensors of a U-Net (docs/denoise.md)")
        .arg(weights("The state_dict, as safetensors.torch.save_file writes it"))
        .arg(model("File of the network"))
        .arg(option("subsets", "K", "Subsets of the views that it was trained with, 2 to 64 (default 4)"))
        .arg(option("mean", "1/cm", "What was subtracted from the values").default_value("0"))
        .arg(option("spread", "1/cm", "What they were divided by then").default_value("1"))
        .arg(log_arg("info"));
    let export = Command::new("export")
        .about("Write the weights of a network for PyTorch: safetensors for load_state_dict")
        .arg(model("The network"))
        .arg(weights("The file to be written"))
        .arg(
            option("names", "NAMES", "Of the tensors: wagiri, bolts (lightning-bolts) or milesial (Pytorch-UNet)")
                .default_value("wagiri"),
        )
        .arg(log_arg("info"));
    Command::new("n2i")
        .about("Noise2Inverse in single steps: split, train, apply; networks from and for PyTorch")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_chain_options(split))
        .subcommand(with_device(train))
        .subcommand(with_device(with_chain_options(apply)))
        .subcommand(info)
        .subcommand(import)
        .subcommand(export)
}

fn with_device(command: Command) -> Command {
    let help = "What computes the network: auto (the first of cuda, wgpu and cpu that is there), cpu, cuda or wgpu";
    command.mut_arg("device", |device| device.help(help))
}

fn model_arg(help: &'static str) -> Arg {
    option("model", "FILE", help)
}

fn subsets_arg() -> Arg {
    option("subsets", "K", "Subsets of the views, 2 to 64; each needs 8 views or more (default 4)")
}

fn resume_arg(help: &'static str) -> Arg {
    Arg::new("resume").long("resume").action(ArgAction::SetTrue).help(help)
}

/// How the views are split.
pub fn split_options(m: &ArgMatches) -> Result<SplitOptions> {
    let subsets = number(m, "subsets")?.unwrap_or(SplitOptions::default().subsets);
    Ok(SplitOptions { subsets, rows: args::range(m, "rows")?, resume: m.get_flag("resume") })
}

/// Sets a field from text.
type Set = fn(&mut TrainOptions, &ArgMatches) -> Result<()>;
/// Option, unit, help with range, value in a preset, and how it is set.
type Entry = (&'static str, &'static str, &'static str, fn(&TrainOptions) -> String, Set);

macro_rules! set {
    ($name:literal, $($field:ident).+) => {
        |options, m| {
            if let Some(value) = number(m, $name)? {
                options.$($field).+ = value;
            }
            Ok(())
        }
    };
    (word $name:literal, $($field:ident).+) => {
        |options, m| {
            if let Some(value) = text(m, $name) {
                options.$($field).+ = value.parse()?;
            }
            Ok(())
        }
    };
}

/// Every field of [`TrainOptions`].
static TRAINING: &[Entry] = &[
    (
        "channels",
        "N",
        "Slices that the network sees, the neighbours included: odd, 1 to 63; 1 is plain 2D",
        |o| o.architecture.channels.to_string(),
        set!("channels", architecture.channels),
    ),
    (
        "base-width",
        "N",
        "Channels of its first level, a multiple of 8 from 8 to 256",
        |o| o.architecture.base_width.to_string(),
        set!("base-width", architecture.base_width),
    ),
    (
        "depth",
        "N",
        "Levels below the first, 1 to 6",
        |o| o.architecture.depth.to_string(),
        set!("depth", architecture.depth),
    ),
    (
        "norm",
        "NAME",
        "What follows a convolution: batch (normalisation) or none",
        |o| o.architecture.norm.name().to_owned(),
        set!(word "norm", architecture.norm),
    ),
    (
        "patch-px",
        "px",
        "Side of the patches it learns from, 8 to 32768",
        |o| o.patch_px.to_string(),
        set!("patch-px", patch_px),
    ),
    ("batch", "N", "Patches of a step, 1 to 4096", |o| o.batch.to_string(), set!("batch", batch)),
    (
        "slices-per-epoch",
        "N",
        "Patches of an epoch, each of a slice drawn by chance, 1 or more",
        |o| o.slices_per_epoch.to_string(),
        set!("slices-per-epoch", slices_per_epoch),
    ),
    ("epochs", "N", "Epochs of the training, 1 or more", |o| o.epochs.to_string(), set!("epochs", epochs)),
    (
        "learning-rate",
        "VALUE",
        "Length of the steps, up to 1",
        |o| o.learning_rate.to_string(),
        set!("learning-rate", learning_rate),
    ),
    (
        "warmup-steps",
        "N",
        "Steps over which their length rises to that, 0 or more",
        |o| o.warmup_steps.to_string(),
        set!("warmup-steps", warmup_steps),
    ),
    (
        "decay",
        "NAME",
        "How their length goes on: cosine (to 0 at the end) or constant",
        |o| o.decay.name().to_owned(),
        set!(word "decay", decay),
    ),
    (
        "clip-norm",
        "VALUE",
        "Longer gradients are scaled down to this L2 norm; 0: never",
        |o| o.clip_norm.to_string(),
        set!("clip-norm", clip_norm),
    ),
    (
        "average",
        "VALUE",
        "Weight of the past in the average of the weights, which is used in the end, 0 to 0.999999",
        |o| o.average.to_string(),
        set!("average", average),
    ),
    (
        "held-out",
        "N",
        "Slices that are not learned from but tell how well it does, 1 to 32768",
        |o| o.held_out.to_string(),
        set!("held-out", held_out),
    ),
    (
        "patience",
        "epochs",
        "End after so many epochs without a smaller loss in those; 0: never",
        |o| o.patience.to_string(),
        set!("patience", patience),
    ),
    ("seed", "N", "Decides first weights and patches", |o| o.seed.to_string(), set!("seed", seed)),
    (
        "checkpoint-s",
        "s",
        "Save the training at least so often, 1 or more; after each epoch in any case",
        |o| o.checkpoint_s.to_string(),
        set!("checkpoint-s", checkpoint_s),
    ),
];

fn train_args() -> Vec<Arg> {
    let (small, large) = (TrainOptions::small(), TrainOptions::large());
    let preset =
        option("preset", "NAME", "small: for processors; large: for graphics cards; single options go before it");
    let mut all = vec![preset.default_value("small")];
    for (name, unit, help, value, _) in TRAINING {
        let (small, large) = (value(&small), value(&large));
        let default = if small == large { small } else { format!("{small}, large {large}") };
        all.push(Arg::new(*name).long(*name).value_name(*unit).help(format!("{help} (default {default})")));
    }
    all
}

/// How to train.
pub fn train_options(m: &ArgMatches) -> Result<TrainOptions> {
    let mut options = TrainOptions::preset(text(m, "preset").unwrap_or("small"))?;
    for (.., set) in TRAINING {
        set(&mut options, m)?;
    }
    options.check()?;
    Ok(options)
}

/// The first option of a training that was given.
pub fn of_training(m: &ArgMatches) -> Option<&'static str> {
    TRAINING.iter().map(|entry| entry.0).chain(["work", "subsets"]).find(|name| m.contains_id(name) && given(m, name))
}

fn given(m: &ArgMatches, name: &str) -> bool {
    m.value_source(name) == Some(clap::parser::ValueSource::CommandLine)
}
