//! The words of the command line. Options of a run are the parameters that the stages declare.

use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ops::Range;
use wagiri::chain::{ParamInfo, ParamKind, RAW, Registry, RunOptions};
use wagiri::scan::ScanOptions;
use wagiri::{Chain, Context, ContextOptions, Device, Error, Result};

/// Short and accustomed names beside the declared ones.
const ALIASES: &[(&str, &str)] = &[("center-px", "center"), ("kernel-px", "rings"), ("angle-offset-deg", "angle")];

/// The whole command line.
pub fn command() -> Command {
    let scan = || Arg::new("scan").required(true).value_name("SCAN").help("Scan folder or file");
    let row = || option("row", "N", "Detector row (slice number); default the middle");
    Command::new("wagiri")
        .version(wagiri::VERSION)
        .about("Synchrotron CT: from raw frames to a volume in 1/cm")
        .after_help("ct-rec's programs run under their own names: wagiri hp_tg_t_c raw 5.64 1023.5 0 rec")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            with_scan_options(Command::new("info").about("Print what was understood of a scan").arg(scan()))
                .args(machine_args()),
        )
        .subcommand(
            with_scan_options(Command::new("center").about("Find the rotation axis").arg(scan()))
                .arg(
                    option("method", "NAME", "auto, rmsd, line, registration, moment or overlap (offset scans)")
                        .default_value("auto"),
                )
                .arg(option("rows", "A..B", "Detector rows to look at"))
                .arg(progress_arg())
                .args(machine_args()),
        )
        .subcommand(with_chain_options(
            with_scan_options(Command::new("preview").about("Reconstruct one slice to PNG and TIFF"))
                .arg(words("OUT.png and OUT.tif are written"))
                .arg(row())
                .arg(
                    Arg::new("sheet").long("sheet").action(ArgAction::SetTrue).help(
                        "Also OUT-sheet.png: a projection, the sinogram before and after ring removal, the slice",
                    ),
                ),
        ))
        .subcommand(with_chain_options(
            with_scan_options(Command::new("run").about("Run a chain: by default reconstruct a scan to TIFF slices"))
                .arg(words("the folder OUT is made if it does not exist"))
                .args(rows_args())
                .arg(
                    Arg::new("resume")
                        .long("resume")
                        .action(ArgAction::SetTrue)
                        .help("Continue the run that was stopped in OUT; give everything else as it was"),
                )
                .arg(
                    Arg::new("no-record")
                        .long("no-record")
                        .action(ArgAction::SetTrue)
                        .conflicts_with("resume")
                        .help("Leave no wagiri-run.txt: for several runs of different rows into one folder at a time"),
                ),
        ))
        .subcommand(with_chain_options(
            with_scan_options(
                Command::new("plan").about("Tell what a run would take: slabs, halos, memory, disk, time"),
            )
            .arg(words("nothing is written"))
            .args(rows_args()),
        ))
        .subcommand(with_chain_options(
            with_scan_options(
                Command::new("zscan").about("Several scans at different heights: axes, slices, one stacked volume"),
            )
            .mut_arg("part", |part| part.hide(true))
            .args(zscan_args()),
        ))
        .subcommand(crate::n2i_args::denoise())
        .subcommand(crate::n2i_args::n2i())
        .subcommand(
            Command::new("conv")
                .visible_alias("conv.bat")
                .about("Make the frames of a scan folder as its conv.bat says, without running it")
                .arg(
                    Arg::new("dir")
                        .value_name("DIR")
                        .default_value(".")
                        .help("The folder with conv.bat and its frames"),
                )
                .args([progress_arg(), log_arg("info")]),
        )
        .subcommand(
            Command::new("check")
                .about("Check a chain without any data")
                .arg(Arg::new("words").required(true).value_name("CHAIN").help("A line of stages, or a .toml file"))
                .arg(option("set", "STAGE.PARAM=VALUE", "Set a parameter of a stage").action(ArgAction::Append))
                .arg(Arg::new("toml").long("toml").action(ArgAction::SetTrue).help("Print the chain as a chain file"))
                .arg(plugin_arg()),
        )
        .subcommand(
            Command::new("devices")
                .about("List the devices: the processor, and graphics processors for networks")
                .args(machine_args()),
        )
        .subcommand(
            Command::new("stages")
                .about("List the stages, or describe one with its parameters")
                .arg(Arg::new("id").value_name("ID"))
                .args([plugin_arg(), log_arg("info")]),
        )
        .subcommand(
            Command::new("compat")
                .about(
                    "The programs of ct-rec and slice that wagiri answers to: wagiri NAME ARGS, or a link of that name",
                )
                .subcommand_required(true)
                .subcommand(
                    Command::new("list")
                        .about("List them, or describe one")
                        .arg(Arg::new("name").value_name("NAME"))
                        .arg(Arg::new("markdown").long("markdown").action(ArgAction::SetTrue).help("As tables")),
                )
                .subcommand(
                    Command::new("install")
                        .about("Make links of all their names")
                        .arg(Arg::new("dir").required(true).value_name("DIR").help("The folder, to be put into PATH")),
                ),
        )
        .subcommand(
            Command::new("plugin").about("For authors of plugins").subcommand_required(true).subcommand(
                Command::new("check")
                    .about("Load a plugin library and try each of its stages; runs its code")
                    .arg(Arg::new("file").required(true).value_name("FILE").help("The shared library"))
                    .arg(log_arg("warn")),
            ),
        )
}

pub fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help).allow_hyphen_values(true)
}

/// `SCAN [OUT]` or `CHAIN [SCAN] [OUT]`.
pub fn words(what: &'static str) -> Arg {
    Arg::new("words").num_args(1..=3).required(true).value_names(["SCAN or CHAIN", "SCAN", "OUT"]).help(format!(
        "The scan and where to: SCAN OUT. Or a chain, a line such as 'normalise | recon.fbp' or a .toml file, and what it \
         does not name itself: CHAIN [SCAN] [OUT]; {what}"
    ))
}

pub fn rows_args() -> [Arg; 2] {
    [
        option("rows", "A..B", "Slices to make, the end not included"),
        option("slab-rows", "N", "Slab height instead of the one that fits the memory"),
    ]
}

fn zscan_args() -> [Arg; 15] {
    let series =
        "The series: a .his file, a folder of numbered frames with conv.bat and output.log, or of scans 001, 002 ...";
    [
        Arg::new("series").required(true).value_name("SERIES").help(series),
        Arg::new("out").required(true).value_name("OUT").help("The folder of all results; made if it does not exist"),
        option("scans", "N", "How many scans one sequence of frames holds; not for folders 001, 002 ..."),
        option("frames", "N", "Frames of a scan, darks and all, if there are others behind the last scan"),
        option("order", "HOW", "sequential, or interleaved: a frame of each scan in turn").default_value("sequential"),
        option("method", "NAME", "How axes are searched, as for center").default_value("auto"),
        option("axes", "FILE", "Axes instead of a search: a line 'NUMBER AXIS' for each scan, as in OUT/axes.txt"),
        option("row", "N", "Slice of each scan in OUT/axes.png; default the middle"),
        option("stop-after", "STEP", "axes, scans or whole; --resume goes on"),
        option("overlap", "ROWS", "Slices that neighbours share, or a list of as many numbers as gaps; auto looks")
            .default_value("auto"),
        option("stack", "PARAM=VALUE", "Further parameters of the source 'stack'").action(ArgAction::Append),
        option("then", "CHAIN", "Stages between stacking and writing, such as 'volume.bin bin=2'"),
        Arg::new("reverse").long("reverse").action(ArgAction::SetTrue).help("The last scan comes first in the volume"),
        option("cut", "zx,yz", "Also cut the volume in these directions, into OUT/whole/ro_zx ..."),
        Arg::new("resume")
            .long("resume")
            .action(ArgAction::SetTrue)
            .help("Continue; finished steps are not done again"),
    ]
}

fn plugin_arg() -> Arg {
    option("plugin", "FILE", "Load stages from a plugin library").action(ArgAction::Append)
}

pub fn log_arg(default: &'static str) -> Arg {
    option("log", "LEVEL", "error, warn, info or debug (tells each call of a plugin)").default_value(default)
}

pub fn progress_arg() -> Arg {
    let help = "auto (a bar if standard error is a terminal), none, or json (an object per line on standard error)";
    option("progress", "HOW", help).default_value("auto")
}

pub fn machine_args() -> [Arg; 5] {
    [
        option("threads", "N", "Compute threads; default all cores"),
        option("memory-gb", "GB", "Memory budget; default half of what is free"),
        option("device", "NAME", "auto, cpu, gpu, cuda or wgpu; what is no network is computed by the processor"),
        plugin_arg(),
        log_arg("info"),
    ]
}

pub fn with_scan_options(command: Command) -> Command {
    command
        .arg(option("format", "NAME", "hipic, his, tiff or hdf5 instead of looking at the files"))
        .arg(option(
            "dark",
            "WHAT",
            "Dark frames: a file, a folder, frames A..B of one file or dataset, an HDF5 dataset, or none",
        ))
        .arg(option(
            "flat",
            "WHAT",
            "Direct-beam frames (I0): a file, a folder, ranges A..B,C..D of one file or dataset, or an HDF5 dataset",
        ))
        .arg(option(
            "angles",
            "WHAT",
            "View angles in degrees: FILE, FILE:A..B (entries), a span such as 180, or A..B with both ends",
        ))
        .arg(option("dataset", "PATH", "HDF5 dataset of the projections"))
        .arg(option("views", "A..B", "Only these projections"))
        .arg(option(
            "part",
            "K/N",
            "Only scan K of a series of N in one .his file or one numbered series of files; K/N:interleaved if the scans' \
             frames take turns, K/Nx961 if a scan has 961 frames",
        ))
}

pub fn with_chain_options(command: Command) -> Command {
    let declared = declared_options().into_iter().map(|(info, name)| {
        let mut arg = Arg::new(name.clone()).long(name.clone()).help(describe(info)).allow_hyphen_values(true);
        arg = arg.value_name(if info.unit.is_empty() { "VALUE" } else { info.unit });
        match ALIASES.iter().find(|(of, _)| *of == name) {
            Some((_, alias)) => arg.visible_alias(*alias),
            None => arg,
        }
    });
    command
        .arg(option("chain", "TEXT", "Another chain than the default reconstruction"))
        .arg(option("set", "STAGE.PARAM=VALUE", "Set a parameter of a stage").action(ArgAction::Append))
        .args(declared)
        .arg(progress_arg())
        .args(machine_args())
}

/// Parameters of the default chain with the option that sets them.
fn declared_options() -> Vec<(&'static ParamInfo, String)> {
    let chain = Chain::parse(&Registry::built_in(), Chain::DEFAULT);
    let params = chain.iter().flat_map(Chain::params).flat_map(|p| p.info().params);
    // Where the data are and where slices go is said by the words without option.
    let source = RAW.params.iter().map(|p| p.name).collect::<Vec<_>>();
    params
        .filter(|info| !source.contains(&info.name) && info.name != "dir")
        .map(|info| (info, info.name.replace('_', "-")))
        .collect()
}

/// Help, type, range and default of a parameter in one line.
pub fn describe(info: &ParamInfo) -> String {
    let mut text = info.help.to_owned();
    if let ParamKind::Choice(words) = info.kind {
        text += &format!(" [{}]", words.join(", "));
    }
    if let Some((lo, hi)) = info.range {
        text += &format!(" [{lo} to {hi}]");
    }
    let default = info.default.to_string();
    text + &format!(" (default {})", if default.is_empty() { "empty" } else { &default })
}

/// Threads, memory, device, plugins.
pub fn context(m: &ArgMatches) -> Result<Context> {
    context_on(m, text(m, "device").map_or(Ok(Default::default()), |d| d.parse())?)
}

/// The same for commands with another idea of devices.
pub fn context_on(m: &ArgMatches, device: Device) -> Result<Context> {
    let memory_gb: Option<f64> = number(m, "memory-gb")?;
    if let Some(gb) = memory_gb.filter(|gb| !(*gb > 0.0 && *gb < 1e6)) {
        return Err(Error::invalid("--memory-gb", "expected a number of gigabytes greater than 0").with("value", gb));
    }
    let options =
        ContextOptions { threads: number(m, "threads")?, memory_bytes: memory_gb.map(|gb| (gb * 1e9) as u64), device };
    let context = Context::new(options)?;
    for plugin in m.get_many::<String>("plugin").into_iter().flatten() {
        context.load_plugin(plugin.as_ref())?;
    }
    Ok(context)
}

/// Options that help to understand the files.
pub fn scan_options(m: &ArgMatches) -> Result<ScanOptions> {
    let own = |name| text(m, name).map(str::to_owned);
    Ok(ScanOptions {
        format: own("format"),
        dark: own("dark"),
        flat: own("flat"),
        angles: own("angles"),
        dataset: own("dataset"),
        views: range(m, "views")?,
        part: text(m, "part").map(str::parse).transpose()?,
    })
}

/// Applies the options that set parameters.
pub fn set_params(m: &ArgMatches, chain: &mut Chain) -> Result<()> {
    let stages: Vec<_> = chain.params().map(|p| p.info()).collect();
    for (info, name) in declared_options() {
        let Some(mut value) = text(m, &name) else { continue };
        if name == "kernel-px" && value == "off" {
            value = "0";
        }
        let stage = stages.iter().find(|s| s.params.iter().any(|p| p.name == info.name));
        let stage = stage.ok_or_else(|| Error::invalid(format!("--{name}"), "no stage of this chain takes it"))?;
        chain.set(stage.id, info.name, value)?;
    }
    for assignment in m.get_many::<String>("set").into_iter().flatten() {
        let parts = assignment.split_once('=').and_then(|(path, value)| Some((path.rsplit_once('.')?, value)));
        let ((stage, param), value) = parts.ok_or_else(|| {
            Error::invalid("--set", "expected STAGE.PARAM=VALUE").with("text", format!("'{assignment}'"))
        })?;
        chain.set(stage, param, value)?;
    }
    Ok(())
}

/// Rows, slab height, and how to deal with an earlier run.
pub fn run_options(m: &ArgMatches) -> Result<RunOptions> {
    // A plan takes rows only.
    let flag = |name: &str| m.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false);
    Ok(RunOptions {
        rows: range(m, "rows")?,
        slab_rows: number(m, "slab-rows")?,
        resume: flag("resume"),
        unrecorded: flag("no-record"),
        ..RunOptions::default()
    })
}

/// Text of an option, if it was given.
pub fn text<'a>(m: &'a ArgMatches, name: &str) -> Option<&'a str> {
    m.try_get_one::<String>(name).ok().flatten().map(String::as_str)
}

/// Number of an option, if it was given.
pub fn number<T: std::str::FromStr>(m: &ArgMatches, name: &'static str) -> Result<Option<T>> {
    let parse = |t: &str| {
        let bad = || Error::invalid(format!("--{name}"), "expected a number").with("value", format!("'{t}'"));
        t.parse().map_err(|_| bad())
    };
    text(m, name).map(parse).transpose()
}

/// `A..B` of an option, if it was given.
pub fn range(m: &ArgMatches, name: &'static str) -> Result<Option<Range<usize>>> {
    let parse = |t: &str| {
        let ends = t.split_once("..").and_then(|(a, b)| Some(a.trim().parse().ok()?..b.trim().parse().ok()?));
        let bad = || Error::invalid(format!("--{name}"), "expected A..B with A less than B");
        ends.filter(|r: &Range<usize>| r.start < r.end).ok_or_else(|| bad().with("value", format!("'{t}'")))
    };
    text(m, name).map(parse).transpose()
}
