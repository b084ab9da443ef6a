//! Every built-in stage, whatever is registered: the same bytes for any slab height, with any of its parameters, alone and
//! between stages that cut rows off and look at neighbours. A new stage is covered without a line here.

mod common;

use ndarray::{Array2, Array3};
use std::f64::consts::PI;
use std::sync::LazyLock;
use tempfile::TempDir;
use wagiri::chain::{ParamInfo, ParamKind, ParamValue, Registry, RunOptions, StageInfo};
use wagiri::geometry::uniform_angles;
use wagiri::io::MemorySink;
use wagiri::scan::{MemoryRows, MemorySource};
use wagiri::{Chain, Context, ContextOptions, Domain, ErrorKind, Progress, Result, Scan};

/// Not a multiple of anything.
const ROWS: usize = 23;
/// Enough for the wavelets.
const VIEWS: usize = 36;
/// Wider than the widest default median.
const COLS: usize = 53;

fn noise(shape: [usize; 3]) -> Array3<f32> {
    let mut random = common::Lcg(17);
    Array3::from_shape_simple_fn(shape, || random.unit() as f32)
}

/// Noise with a spike, a bad pixel and a stripe, so that what repairs has something to do.
fn scan(domain: Domain, turn: f64) -> Scan {
    let angles = uniform_angles(VIEWS, 0.0, turn);
    match domain {
        Domain::Counts => {
            let mut views = noise([VIEWS, ROWS, COLS]).mapv(|v| 4000.0 + 3000.0 * v);
            let mut flats = Array3::from_elem((2, ROWS, COLS), 9000.0);
            views[[5, 11, 20]] = 60_000.0;
            flats[[0, 8, 30]] = 500.0;
            flats[[1, 8, 30]] = 500.0;
            let dark = Array2::from_elem((ROWS, COLS), 100.0);
            MemorySource::new(views, flats, dark).expect("frames").into_scan(angles, Some(1.0)).expect("a scan")
        }
        Domain::Sinogram => {
            let mut sinograms = noise([ROWS, VIEWS, COLS]);
            sinograms[[11, 5, 20]] = -3.0;
            (0..VIEWS).for_each(|m| sinograms[[8, m, 30]] += 2.0);
            MemoryRows::sinograms(sinograms).into_scan(angles, Some(1.0)).expect("a scan")
        }
        Domain::Volume => {
            MemoryRows::volume(noise([ROWS, COLS, COLS])).into_scan(Vec::new(), Some(1.0)).expect("a scan")
        }
    }
}

fn volume(ctx: &Context, chain: &Chain, scan: &Scan, slab_rows: Option<usize>) -> Result<Array3<f32>> {
    let options = RunOptions { slab_rows, ..RunOptions::default() };
    let plan = chain.plan(ctx, scan, &options, &mut Progress::silent())?;
    let mut sink = MemorySink::new(0, chain.slices(ctx, scan)?, plan.slice);
    chain.run_into(ctx, scan, &mut sink, &options, &mut Progress::silent())?;
    Ok(sink.volume)
}

/// Stages that write a file beside the volume, and the parameter that names it.
const WRITERS: [(&str, &str); 5] = [
    ("slice.measure", "file"),
    ("volume.histogram", "path"),
    ("volume.mip", "path"),
    ("volume.surface", "path"),
    ("volume.view", "path"),
];

/// In a folder that goes away.
fn written(dir: &TempDir) -> String {
    dir.path().join("aside").display().to_string()
}

/// A volume in files for a stage that needs another one beside that of the chain.
fn other() -> &'static str {
    static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let scan = MemoryRows::volume(noise([5, 20, 30])).into_scan(Vec::new(), Some(1.0)).expect("a scan");
        let chain = Chain::parse(&Registry::built_in(), "volume | volume.crop").expect("a chain");
        let (ctx, options) = (context(1), RunOptions::default());
        chain.run(&ctx, &scan, folder.path(), &options, &mut Progress::silent()).expect("slices");
        folder
    });
    FOLDER.path().to_str().expect("UTF-8")
}

/// An untrained network for a stage that needs one.
fn model() -> &'static str {
    static FILE: LazyLock<(TempDir, String)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tiny.safetensors").display().to_string();
        std::fs::write(&file, common::tiny_model(2, 3).to_bytes().expect("a model")).expect("a file");
        (folder, file)
    });
    &FILE.1
}

/// Values to try: every word, the other truth, numbers on both sides of the default.
fn values(param: &ParamInfo, dir: &TempDir) -> Vec<String> {
    let fits = |v: &f64| param.range.is_none_or(|(low, high)| (low..=high).contains(v));
    let default = match param.default {
        ParamValue::Int(v) => v as f64,
        ParamValue::Float(v) => v,
        _ => 2.0,
    };
    match param.kind {
        // Only processors give the same bits.
        ParamKind::Choice(_) if param.name == "device" => vec!["cpu".into()],
        ParamKind::Choice(words) => words.iter().map(ToString::to_string).collect(),
        ParamKind::Bool => vec!["true".into(), "false".into()],
        ParamKind::Int => {
            [default + 1.0, default + 2.0, 5.0].iter().filter(|v| fits(v)).map(|v| v.to_string()).collect()
        }
        ParamKind::Float => {
            // Where the default is found, one of them is within the noise.
            let mut values = vec![default * 1.5 + 0.2, default * 0.6];
            values.extend((param.default == ParamValue::Auto).then_some(0.4));
            values.iter().filter(|v| fits(v)).map(|v| v.to_string()).collect()
        }
        ParamKind::Text if WRITERS.iter().any(|(_, name)| *name == param.name) => vec![written(dir)],
        ParamKind::Text if param.name == "volume" => vec![other().to_owned()],
        ParamKind::Text if param.name == "model" => vec![model().to_owned()],
        // Else the only text that shapes a result is an axis: straight, and tilted.
        ParamKind::Text => vec!["24.3".into(), "0:23.2,22:27.9".into()],
    }
}

/// `stage param=value ...` with one parameter after the other away from its default. The axis is not found in noise.
fn calls(info: &StageInfo, dir: &TempDir) -> Vec<(&'static str, String)> {
    let axis = |but: &str| {
        let needed = info.params.iter().any(|p| p.name == "center_px") && but != "center_px";
        let axis = if needed { " center_px=25.5" } else { "" };
        let writer = WRITERS.iter().find(|(id, _)| *id == info.id);
        let file = writer.filter(|(_, name)| *name != but);
        let file = file.map_or(String::new(), |(_, name)| format!(" {name}={}", written(dir)));
        // A surface that is there in noise from 0 to 1, and a picture that takes no time.
        let set = [("level", " level=0.5"), ("size_px", if info.id == "volume.view" { " size_px=64" } else { "" })];
        let here = |name: &str| writer.is_some() && info.params.iter().any(|p| p.name == name) && but != name;
        let set = set.iter().filter(|(name, _)| here(name));
        let pasted = info.params.iter().any(|p| p.name == "volume") && but != "volume";
        let volume = if pasted { format!(" volume={}", other()) } else { String::new() };
        let trained = info.params.iter().any(|p| p.name == "model");
        let with = |name: &str, value: &str| {
            if trained && but != name { format!(" {name}={value}") } else { String::new() }
        };
        let volume = volume + &with("model", model()) + &with("device", "cpu");
        axis.to_owned() + &volume + &file + &set.map(|(_, text)| *text).collect::<String>()
    };
    let mut calls = vec![("", format!("{}{}", info.id, axis("")))];
    for param in info.params {
        let call = |value: String| (param.name, format!("{} {}={value}{}", info.id, param.name, axis(param.name)));
        calls.extend(values(param, dir).into_iter().map(call));
    }
    calls
}

/// The stage alone, and behind a crop in front of a stage that looks at its neighbours.
fn chains(info: &StageInfo, call: &str) -> [String; 2] {
    let (source, before) = match info.input {
        Domain::Counts => ("raw", ""),
        Domain::Sinogram => ("sinograms", " | proj.crop top_px=3 bottom_px=1"),
        Domain::Volume => ("volume", " | volume.crop first_slices=3 last_slices=1"),
    };
    let after = match info.output {
        Domain::Counts => " | normalise",
        Domain::Sinogram => "",
        Domain::Volume => " | filter.median depth_px=3",
    };
    // A short reach: a few rows.
    let paganin = "proj.paganin energy_kev=30 distance_mm=1 delta_beta=10 tolerance=0.05";
    let neighbours = if info.output == Domain::Volume { String::new() } else { format!(" | {paganin}") };
    let end = if info.output == Domain::Counts { after } else { "" };
    [format!("{source} | {call}{end}"), format!("{source}{before} | {call}{after}{neighbours}")]
}

fn context(threads: usize) -> Context {
    Context::new(ContextOptions { threads: Some(threads), ..ContextOptions::default() }).expect("a context")
}

#[test]
fn no_stage_shows_where_slabs_begin() {
    let (ctx, one, dir) = (context(3), context(1), tempfile::tempdir().expect("a folder"));
    for info in Registry::built_in().infos() {
        let mut accepted: Vec<&str> = Vec::new();
        for (param, call) in calls(info, &dir) {
            let turn = if info.id == "offset.stitch" || call.contains("turn=full") { 2.0 * PI } else { PI };
            let scan = scan(info.input, turn);
            let [alone, between] = chains(info, &call);
            let heights: [(String, &[Option<usize>]); 2] =
                [(alone, &[Some(1)]), (between, &[Some(1), Some(3), Some(7), None])];
            for (text, heights) in heights {
                let chain = match Chain::parse(&ctx.registry(), &text) {
                    Ok(chain) => chain,
                    Err(e) => panic!("{text}: {e}"),
                };
                let whole = match volume(&one, &chain, &scan, Some(ROWS)) {
                    Ok(whole) => whole,
                    // A stage may refuse some values, such as an even width; one of a plugin says what it expected.
                    Err(e) if e.kind() == ErrorKind::Invalid && !param.is_empty() => continue,
                    Err(e) if e.to_string().contains("; expected ") && !param.is_empty() => continue,
                    Err(e) => panic!("{text}: {e}"),
                };
                accepted.push(param);
                for &rows in heights {
                    let cut = volume(&ctx, &chain, &scan, rows).unwrap_or_else(|e| panic!("{text}, {rows:?}: {e}"));
                    assert!(cut == whole, "{text}: slabs of {rows:?} rows");
                }
            }
        }
        for param in info.params {
            assert!(accepted.contains(&param.name), "{}: no value of {} was accepted", info.id, param.name);
        }
    }
}
