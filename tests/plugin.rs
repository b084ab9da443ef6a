//! Plugins as a user meets them: loaded by path, run like any stage, and refused with one clear sentence.

use ndarray::{Array2, Array3};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use wagiri::chain::{Params, Run, Setup};
use wagiri::geometry::{Center, Geometry};
use wagiri::scan::ScanShape;
use wagiri::{Context, ContextOptions, Domain, Error, ErrorKind, Halo, Progress, References, Result, Slab, SlabShape};

#[path = "common/plugins.rs"]
mod plugins;

use plugins::{contract, gain};

fn context(threads: usize) -> Context {
    Context::new(ContextOptions { threads: Some(threads), ..Default::default() }).unwrap()
}

fn setup() -> Setup {
    Setup {
        shape: ScanShape { views: 4, rows: 50, cols: 6, flats: 2 },
        geometry: Geometry {
            angles_rad: vec![0.0, 0.5, 1.0, 1.5],
            center: Center::Line { row0: 10.0, px0: 3.0, row1: 20.0, px1: 4.0 },
            pixel_um: 0.5,
        },
        edge_over_mean: 0.0,
        threads: 2,
    }
}

/// Seven rows of 4 x 6 that differ everywhere; the own rows begin at detector row 20.
fn slab(domain: Domain, halo: Halo) -> Slab {
    let data = Array3::from_shape_fn((7, 4, 6), |(z, y, x)| (100 * z + 10 * y + x) as f32 * 0.37);
    let references = References {
        dark: Array2::from_shape_fn((7, 6), |(row, _)| row as f32),
        flats: Array3::from_shape_fn((2, 7, 6), |(_, row, _)| 10.0 + row as f32),
        flat_time: vec![0.0, 1.0],
        view_time: vec![0.0; 4],
        black_views: Arc::new([false; 4]),
    };
    let references = (domain == Domain::Counts).then(|| Arc::new(references));
    Slab { data, domain, first_row: 20, halo, references }
}

fn run(ctx: &Context, id: &str, params: &[(&str, &str)], slab: Slab) -> Result<Slab> {
    run_with(ctx, id, params, slab, &mut Progress::silent())
}

fn run_with(ctx: &Context, id: &str, params: &[(&str, &str)], slab: Slab, progress: &mut Progress) -> Result<Slab> {
    let registry = ctx.registry();
    let factory = registry.find(id)?;
    let mut values = Params::defaults(factory.info());
    for (name, text) in params {
        values.set_text(name, text)?;
    }
    let stage = factory.create(&values, &setup())?;
    let plan = stage.plan(slab.shape())?;
    let mut worker = stage.worker(&plan)?;
    let out = worker.process(slab, &mut Run::single(ctx, progress, 7))?;
    assert_eq!(out.shape(), plan.output);
    Ok(out)
}

fn load_error(path: &Path) -> String {
    let error = context(1).load_plugin(path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin, "{error}");
    let text = error.to_string();
    let message = text.strip_prefix(&format!("{}: ", path.display()));
    message.unwrap_or_else(|| panic!("no path in front: {text}")).to_owned()
}

fn plugin_error(result: Result<Slab>) -> String {
    let error: Error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin, "{error}");
    error.to_string()
}

fn check_gain(path: &Path) {
    let ctx = context(2);
    ctx.load_plugin(path).unwrap();
    let registry = ctx.registry();
    let info = registry.find("example.gain").unwrap().info();
    assert_eq!((info.params.len(), info.params[0].name, info.params[0].range), (1, "factor", Some((-1e6, 1e6))));
    let input = slab(Domain::Volume, Halo::default());
    let same = run(&ctx, "example.gain", &[], input.clone()).unwrap();
    assert_eq!(same.data, input.data);
    let half = run(&ctx, "example.gain", &[("factor", "-0.5")], input.clone()).unwrap();
    assert_eq!(half.data, input.data.mapv(|v| v * -0.5));
    assert_eq!((half.domain, half.own_rows()), (Domain::Volume, 20..27));
    let message = run(&ctx, "example.gain", &[("factor", "1e7")], input).unwrap_err().to_string();
    assert_eq!(message, "example.gain: factor: expected a number from -1000000 to 1000000 (value = '1e7')");
    let again = ctx.load_plugin(path).unwrap_err().to_string();
    assert_eq!(again, "example.gain: a stage with this id exists already");
}

#[test]
fn a_rust_plugin_is_a_stage_like_any_other() {
    check_gain(gain());
}

#[test]
fn everything_a_stage_is_told_arrives() {
    let ctx = context(1);
    ctx.load_plugin(contract()).unwrap();
    let sino = || slab(Domain::Sinogram, Halo::default());
    let defaults = run(&ctx, "test.echo", &[], sino()).unwrap();
    assert_eq!((defaults.domain, defaults.data.shape()), (Domain::Volume, &[7, 1, 13][..]));
    // The axis runs through column 3 at row 10 with 0.1 px per row, so through 2 at row 0; the angles add up to 3.
    let scan = [4.0, 50.0, 6.0, 2.0, 3.0, 2.0, 0.1, 0.5];
    let row = |params: [f32; 5]| [&params[..], &scan[..]].concat();
    assert_eq!(defaults.data.as_slice().unwrap()[..13], row([3.0, -1.0, 1.0, 4.0, 0.0]));
    let said = [("radius_px", "9"), ("level", "2.5"), ("on", "false"), ("mode", "fast"), ("name", "輪切り")];
    let said = run(&ctx, "test.echo", &said, sino()).unwrap();
    assert_eq!(said.data.as_slice().unwrap()[6 * 13..], row([9.0, 2.5, 0.0, 4.0, 9.0]));
}

#[test]
fn rows_on_many_threads_and_whole_slabs_give_the_same_pixels() {
    let halo = Halo { below: 2, above: 2 };
    let input = slab(Domain::Counts, halo);
    let expected =
        Array3::from_shape_fn((4, 4, 6), |(z, y, x)| (0..4).map(|k| input.data[[z + k, y, x]]).sum::<f32>() / 4.0);
    for threads in [1, 2, 3, 7] {
        let ctx = context(threads);
        ctx.load_plugin(contract()).unwrap();
        for id in ["test.mean-parallel", "test.mean-serial"] {
            let out = run(&ctx, id, &[], input.clone()).unwrap();
            assert_eq!(out.data, expected, "{id}, {threads} threads");
            // One row below was not used up, none above; the references follow the rows.
            assert_eq!((out.halo, out.own_rows()), (Halo { below: 1, above: 0 }, 20..23));
            let references = out.references.unwrap();
            assert_eq!((references.dark[[0, 0]], references.dark.shape()[0]), (1.0, 4));
            assert_eq!((references.flats[[1, 0, 0]], references.flats.shape()[1]), (11.0, 4));
            // On a thread of the pool itself, too: nothing may wait for itself.
            let inside = ctx.pool().install(|| run(&ctx, id, &[], input.clone()).unwrap());
            assert_eq!(inside.data, expected);
        }
    }
}

#[test]
fn failures_and_panics_of_a_plugin_become_errors() {
    let ctx = context(2);
    ctx.load_plugin(contract()).unwrap();
    let fail = |way| plugin_error(run(&ctx, "test.broken", &[("way", way)], slab(Domain::Volume, Halo::default())));
    assert_eq!(fail("create"), "test.broken: create failed");
    assert_eq!(fail("create-panic"), "test.broken: panicked: in create");
    assert_eq!(fail("plan"), "test.broken: plan failed");
    assert_eq!(fail("worker"), "test.broken: worker failed");
    assert_eq!(fail("fail"), "test.broken: the sample is too hot (row = 20)");
    assert_eq!(fail("panic"), "test.broken: panicked: in row 7 (row = 20)");
    assert_eq!(fail("loop-panic"), "test.broken: panicked: in a loop (row = 20)");
    assert!(fail("halo").starts_with("test.broken: the plan makes no sense: the halo changes with the height"));
    let dims = "test.broken: the output has other dimensions than were planned (planned = [4, 6], now = [5, 6])";
    assert_eq!(fail("dims"), dims);
}

#[test]
fn a_plugin_hears_that_the_run_is_cancelled() {
    let ctx = context(2);
    ctx.load_plugin(contract()).unwrap();
    let slab = slab(Domain::Volume, Halo::default());
    // The listener runs while the plugin waits; without it this test would not end.
    let here = std::thread::current().id();
    let mut progress = Progress::new(|_| {
        assert_eq!(std::thread::current().id(), here);
        std::ops::ControlFlow::Break(())
    });
    let error = run_with(&ctx, "test.broken", &[("way", "wait")], slab, &mut progress).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
}

#[test]
fn a_plan_before_the_halo_is_known_is_no_error() {
    let ctx = context(1);
    ctx.load_plugin(contract()).unwrap();
    let registry = ctx.registry();
    let factory = registry.find("test.mean-serial").unwrap();
    let stage = factory.create(&Params::defaults(factory.info()), &setup()).unwrap();
    let plan = stage.plan(SlabShape { domain: Domain::Counts, rows: 1, dims: [4, 6] }).unwrap();
    assert_eq!((plan.output.rows, plan.halo), (0, Halo { below: 1, above: 2 }));
}

#[test]
fn the_output_of_a_plugin_is_in_the_plan() {
    // It never works in place, though it keeps the size.
    let ctx = context(1);
    ctx.load_plugin(gain()).unwrap();
    let registry = ctx.registry();
    let factory = registry.find("example.gain").unwrap();
    let stage = factory.create(&Params::defaults(factory.info()), &setup()).unwrap();
    let plan = stage.plan(SlabShape { domain: Domain::Volume, rows: 7, dims: [4, 6] }).unwrap();
    assert_eq!(plan.scratch_bytes, 7 * 4 * 6 * 4);
}

#[test]
fn stages_behind_a_plugin_see_the_shape_that_it_makes() {
    let ctx = context(1);
    ctx.load_plugin(contract()).unwrap();
    // test.echo makes slices of 1 x 13.
    let chain = "sinograms | test.echo | volume.crop left_px=9";
    let chain = wagiri::Chain::parse(&ctx.registry(), chain).unwrap();
    let rows = wagiri::scan::MemoryRows::sinograms(Array3::zeros((5, 4, 6)));
    let scan = rows.into_scan(vec![0.0, 0.5, 1.0, 1.5], None).unwrap();
    let slice = chain.preview(&ctx, &scan, 2, &mut Progress::silent()).unwrap();
    assert_eq!(slice.shape(), [1, 4]);
}

#[test]
fn files_that_are_no_library_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    assert_eq!(load_error(&dir.path().join("no such.so")), "there is no such file");
    assert_eq!(load_error(dir.path()), "this is not a file; expected a shared library");
    assert_eq!(load_error(&file("empty.so", b"")), "the file is empty; expected a shared library");
    assert_eq!(load_error(&file("text.so", b"just text")), "the file is not a shared library");
    let start = std::fs::read(gain()).unwrap();
    assert!(load_error(&file("start.so", &start[..60])).contains("trunca"));
}

#[test]
fn the_guide_shows_the_plugins_that_are_tested() {
    let guide = include_str!("../docs/plugin-guide.md");
    assert!(guide.contains(include_str!("../plugins/example-gain/src/lib.rs")), "the Rust plugin changed");
    assert!(guide.contains(include_str!("../plugins/example-c/gain.c")), "the C plugin changed");
    assert!(guide.contains(include_str!("../plugins/example-c/level.c")), "the C plugin that surveys changed");
}

/// With the C compiler that every Unix development machine has beside Rust, which links through it.
#[cfg(unix)]
mod c {
    use super::plugins::{c_plugin as plugin, cc};
    use super::*;
    use wagiri_plugin::abi;

    #[cfg(target_os = "macos")]
    const UNRESOLVED: &[&str] = &["-DUNRESOLVED", "-Wl,-undefined,dynamic_lookup"];
    #[cfg(not(target_os = "macos"))]
    const UNRESOLVED: &[&str] = &["-DUNRESOLVED"];

    macro_rules! layout {
        ($text:ident, $name:literal, $type:ty: $($field:ident),+) => {
            $text += &format!("{} {}\n", $name, size_of::<$type>());
            $($text += &format!("{}.{} {}\n", $name, stringify!($field), std::mem::offset_of!($type, $field));)+
        };
    }

    #[test]
    fn the_rust_mirror_has_the_layout_of_the_header() {
        let dir = tempfile::tempdir().unwrap();
        let program =
            cc(dir.path(), "tests/abi/plugins/layout.c", &["-Wall", "-Wextra", "-Wpedantic", "-Werror"], "layout");
        let printed = String::from_utf8(Command::new(program).output().unwrap().stdout).unwrap();
        let mut text = String::new();
        layout!(text, "wagiri_param_desc", abi::ParamDesc: struct_size, kind, name, unit, help, default_text,
            min, max, choices, choice_count, allow_auto);
        layout!(text, "wagiri_value", abi::Value: kind, reserved, integer, number, text);
        layout!(text, "wagiri_setup", abi::Setup: struct_size, reserved, views, rows, cols, flats, angles_rad,
            center_px, center_px_per_row, pixel_um);
        layout!(text, "wagiri_slab_shape", abi::SlabShape: struct_size, domain, rows, dims);
        layout!(text, "wagiri_stage_plan", abi::StagePlan: struct_size, halo_below, halo_above, reserved, dims,
            scratch_bytes, cost_per_row);
        layout!(text, "wagiri_slab", abi::Slab: struct_size, domain, rows, dims, first_row, halo_below,
            halo_above, data);
        layout!(text, "wagiri_slab_out", abi::SlabOut: struct_size, domain, rows, dims, data);
        layout!(text, "wagiri_host", abi::Host: struct_size, abi, ctx, log, cancelled, scratch, parallel_for);
        layout!(text, "wagiri_stage_desc", abi::StageDesc: struct_size, input, output, threading, id, summary,
            params, param_count, reserved, create, plan, worker_new, process, worker_free, destroy,
            survey, survey_done);
        layout!(text, "wagiri_plugin_entry", abi::PluginEntry: struct_size, abi, id, version, vendor, stages,
            stage_count, reserved);
        macro_rules! constants {
            ($($name:ident)+) => { $(text += &format!("{} {}\n", stringify!($name), abi::$name);)+ };
        }
        constants!(ABI OK FAILED CANCELLED COUNTS SINOGRAM VOLUME PARALLEL SERIAL AUTO INT FLOAT BOOL CHOICE TEXT);
        constants!(LOG_ERROR LOG_WARN LOG_INFO LOG_DEBUG);
        assert_eq!(printed, text);
    }

    #[test]
    fn a_c_plugin_is_a_stage_like_any_other() {
        let dir = tempfile::tempdir().unwrap();
        check_gain(&plugin(dir.path(), "plugins/example-c/gain.c", &["-Wall", "-Wextra", "-Wpedantic", "-Werror"]));
    }

    #[test]
    fn a_library_that_is_no_plugin_or_cannot_be_linked_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = plugin(dir.path(), "tests/abi/plugins/no_entry.c", &[]);
        let message = "the library is not a wagiri plugin: it does not export WAGIRI_PLUGIN_ENTRY";
        assert_eq!(load_error(&path), message);
        let unlinked = plugin(dir.path(), "tests/abi/plugins/no_entry.c", UNRESOLVED);
        let message = load_error(&unlinked);
        // The system's own words follow; they name the symbol.
        assert!(message.starts_with("the library cannot be loaded: "), "{message}");
        assert!(message.contains("nowhere_to_be_found"), "{message}");
    }

    /// Truncated anywhere, a library must be refused or, where only symbols for debuggers are lost, work: it must never
    /// take the process with it.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_truncated_or_foreign_library_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let good = std::fs::read(plugin(dir.path(), "plugins/example-c/gain.c", &[])).unwrap();
        let path = dir.path().join("cut.so");
        for percent in [1, 5, 25, 50, 75] {
            std::fs::write(&path, &good[..good.len() * percent / 100]).unwrap();
            let message = load_error(&path);
            assert!(message.starts_with("the library is truncated"), "{percent} %: {message}");
        }
        // The two bytes at 18 of an ELF file name the machine.
        let (other, number) = if cfg!(target_arch = "x86_64") { ("aarch64", 183) } else { ("x86_64", 62) };
        let mut foreign = good.clone();
        foreign[18..20].copy_from_slice(&[number, 0]);
        std::fs::write(&path, &foreign).unwrap();
        let here = std::env::consts::ARCH;
        assert_eq!(load_error(&path), format!("the library is built for {other}, this program is {here}"));
    }

    #[test]
    fn nonsense_in_descriptions_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let bad = |flags: &[&str]| load_error(&plugin(dir.path(), "tests/abi/plugins/bad_entry.c", flags));
        // Unchanged it is accepted, so each refusal below is due to its one change.
        context(1).load_plugin(&plugin(dir.path(), "tests/abi/plugins/bad_entry.c", &[])).unwrap();
        // Without what came after 1.0, and of a later minor version, it is accepted, too.
        context(1).load_plugin(&plugin(dir.path(), "tests/abi/plugins/bad_entry.c", &["-DSTAGE_SIZE=96"])).unwrap();
        let minor = plugin(dir.path(), "tests/abi/plugins/bad_entry.c", &["-DABI=0x00010007u"]);
        context(1).load_plugin(&minor).unwrap();
        let long = format!("-DSUMMARY=\"{}\"", "x".repeat(5000));
        for (flag, message) in [
            ("-DABI=0x00020003u", "the plugin uses plugin interface 2.3; this wagiri accepts 1.x"),
            ("-DENTRY_SIZE=8", "the plugin entry has struct_size 8; expected 48 to 4096"),
            ("-DSTAGES=NULL", "stages are a table that is NULL or misaligned"),
            ("-DSTAGE_COUNT=0", "stages are 0 in number; expected 1 to 256"),
            ("-DSTAGE_COUNT=1000000", "stages are 1000000 in number; expected 1 to 256"),
            ("-DSTAGE=NULL", "stage 1: the description is NULL or misaligned"),
            ("-DSTAGE=(void*)((char*)&stage+1)", "stage 1: the description is NULL or misaligned"),
            ("-DSTAGE_SIZE=16", "stage 1: the description has struct_size 16; expected 96 to 4096"),
            ("-DSTAGE_SIZE=0x7fffffff", "stage 1: the description has struct_size 2147483647; expected 96 to 4096"),
            ("-DID=NULL", "stage 1: id is NULL"),
            ("-DID=\"test.\\xff\"", "stage 1: id is not UTF-8"),
            ("-DID=\"plain\"", "stage 1: the id 'plain' is not of the form family.method with a-z, 0-9, _ and -"),
            (long.as_str(), "stage 1: test.good: summary is longer than 4096 bytes"),
            ("-DINPUT=9", "stage 1: test.good: there is no input domain 9"),
            ("-DINPUT=0", "stage 1: test.good: counts can only become counts in a plugin"),
            ("-DTHREADING=7", "stage 1: test.good: there is no threading 7"),
            ("-DPARAMS=NULL", "stage 1: test.good: parameters are a table that is NULL or misaligned"),
            ("-DPARAM_COUNT=65", "stage 1: test.good: parameters are 65 in number; expected 0 to 64"),
            ("-DPARAM_COUNT=3", "stage 1: test.good: parameter 3: the description is NULL or misaligned"),
            (
                "-DPARAM_SIZE=0",
                "stage 1: test.good: parameter 1: the description has struct_size 0; expected 72 to 4096",
            ),
            ("-DNAME=NULL", "stage 1: test.good: parameter 1: name is NULL"),
            ("-DNAME=\"mode\"", "stage 1: test.good: two parameters are named mode"),
            ("-DKIND=9", "stage 1: test.good: parameter 1: size_px: there is no kind 9"),
            ("-DMIN=NAN", "stage 1: test.good: parameter 1: size_px: the range NaN to 9 is empty"),
            ("-DWORD=\"fast\"", "stage 1: test.good: parameter 2: mode: the choice 'fast' is there twice"),
            ("-DCREATE=NULL", "stage 1: test.good: the function create is missing"),
            ("-DFREE=release", "stage 1: test.good: the function worker_new is missing"),
            ("-DSURVEY=survey", "stage 1: test.good: the function survey_done is missing"),
            ("-DDONE=done", "stage 1: test.good: the function survey is missing"),
            ("-DSURVEYS", "stage 1: test.good: only a SERIAL stage can survey"),
            ("-DSURVEYS_SERIAL", "stage 1: test.good: the function worker_new is missing"),
        ] {
            assert_eq!(bad(&[flag]), message, "{}", &flag[..flag.len().min(40)]);
        }
        let message = "stage 1: test.good: parameter 1: the default is not accepted: \
            test.good: size_px: expected a whole number from 0 to 9 (value = '10')";
        assert_eq!(bad(&["-DDEFAULT=\"10\""]), message);
        let name = "stage 1: test.good: parameter 1: the name 'Size px' is not made of a-z, 0-9 and _, beginning with a letter";
        assert_eq!(bad(&["-DNAME=\"Size px\""]), name);
    }

    #[test]
    fn bad_pixels_and_codes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = plugin(dir.path(), "tests/abi/plugins/bad_pixels.c", &[]);
        let ctx = context(3);
        ctx.load_plugin(&path).unwrap();
        let go = |way| run(&ctx, "test.pixels", &[("way", way)], slab(Domain::Volume, Halo::default()));
        assert_eq!(go("none").unwrap().data, slab(Domain::Volume, Halo::default()).data);
        let message = "test.pixels: the plugin wrote NaN or infinity, or did not write this pixel";
        assert_eq!(plugin_error(go("nan")), format!("{message} (z = 21, y = 1, x = 2)"));
        assert_eq!(plugin_error(go("infinity")), format!("{message} (z = 21, y = 1, x = 2)"));
        assert_eq!(plugin_error(go("unwritten")), format!("{message} (z = 21, y = 0, x = 0)"));
        for way in ["silent", "strange"] {
            assert!(plugin_error(go(way)).starts_with("test.pixels: the plugin failed and gave no reason (row = 2"));
        }
        assert!(plugin_error(go("long")).starts_with("test.pixels: \u{fffd}"));
        let cancelled = plugin_error(go("cancelled"));
        assert!(
            cancelled.starts_with("test.pixels: the plugin stopped as if cancelled, but nobody asked"),
            "{cancelled}"
        );
    }
}
