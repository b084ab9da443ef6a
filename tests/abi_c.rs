//! The C programs of `tests/abi` against the shared library of this build: plain, under valgrind, as C++, through
//! pkg-config; and the example of `docs/c-api.md`.
//!
//! Where a tool is missing the test says so and passes, except in CI.

use std::f64::consts::PI;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CI: &str = "CI";
const LIBRARY: &str = if cfg!(target_os = "macos") { "libwagiri.dylib" } else { "libwagiri.so" };
const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// True if `tool` runs; a missing one is an error in CI, where the set-up script installs all of them.
fn have(tool: &str) -> bool {
    if !cfg!(unix) {
        eprintln!("skipped: written for the compilers of Unix");
        return false;
    }
    let there = Command::new(tool).arg("--version").output().is_ok_and(|o| o.status.success());
    assert!(there || std::env::var(CI).as_deref() != Ok("true"), "{tool} is missing");
    if !there {
        eprintln!("skipped: {tool} is missing");
    }
    there
}

/// The folder of the shared library that cargo made together with the Rust library that this test is linked with.
fn library_folder() -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let age = |name: &str| fs::metadata(folder.join(name)).and_then(|m| m.modified());
    let (shared, rust) =
        (age(LIBRARY).expect("cargo builds the cdylib beside the tests"), age("libwagiri.rlib").unwrap());
    // One compiler run writes both, within seconds.
    assert!(shared + std::time::Duration::from_secs(300) > rust, "{LIBRARY} is older than the library under test");
    folder
}

fn run(command: &mut Command) -> String {
    // cargo points the loader at target/debug too, where a library of an earlier build may lie.
    command.env_remove("LD_LIBRARY_PATH").env_remove("DYLD_FALLBACK_LIBRARY_PATH");
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    text
}

/// Compiles `source` with `compiler` against this build and returns the program.
fn build(compiler: &[&str], source: &Path, dir: &Path) -> PathBuf {
    let program = dir.join(format!("{}-{}", source.file_stem().unwrap().display(), compiler[0]));
    let library = library_folder();
    let rpath = format!("-Wl,-rpath,{}", library.display());
    let mut command = Command::new(compiler[0]);
    command.args(&compiler[1..]).args(WARNINGS).args(["-g", "-I"]).arg(root().join("src/capi"));
    command.arg("-I").arg(root().join("plugins/sdk"));
    command.arg("-I").arg(root().join("tests/abi")).arg(source).arg("-o").arg(&program);
    run(command.arg("-L").arg(&library).args(["-x", "none", "-lwagiri", "-lm", &rpath]));
    program
}

/// With a stage of `plugins/example-c`; the range is that of the volume, so it takes all slices.
const CHAIN_FILE: &str = r#"
[[stage]]
id = "raw"

[[stage]]
id = "normalise"

[[stage]]
id = "ring.sort"

[[stage]]
id = "recon.fbp"
center_px = "30.25"
pixel_um = 100

[[stage]]
id = "example.gain"
factor = 0.5

[[stage]]
id = "filter.median"
depth_px = 3

[[stage]]
id = "write.tiff"
type = "u16"
"#;

const COLS: usize = 64;
const ROWS: usize = 3;
const VIEWS: usize = 60;

fn img(path: &Path, pixel: impl Fn(usize) -> f64) {
    let mut bytes = vec![0u8; 64];
    bytes[..2].copy_from_slice(b"IM");
    for (at, value) in [(4, COLS), (6, ROWS), (12, 2)] {
        bytes[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
    }
    for _ in 0..ROWS {
        bytes.extend((0..COLS).flat_map(|x| (pixel(x).round() as u16).to_le_bytes()));
    }
    fs::write(path, bytes).unwrap();
}

/// A HiPic scan over `span_deg` of the disc that `tests/abi/smoke.c` describes: dark 100, direct beam 40000 above it.
fn write_scan(dir: &Path, span_deg: f64) {
    let (axis, radius, x0, y0, mu_per_px) = (30.25, 20.0, 5.0, 3.0, 2.0 * 100e-4);
    fs::create_dir(dir).unwrap();
    let frame = |n: usize| dir.join(format!("q{n:04}.img"));
    let mut log = String::new();
    let mut record = |n: usize, angle: f64, flag: usize| {
        log += &format!("{n:05}       {:011.5}    {angle:08.4}       {flag}\n", n as f64 * 0.1);
    };
    img(&dir.join("dark.img"), |_| 100.0);
    img(&frame(1), |_| 40100.0);
    record(1, 0.0, 0);
    for view in 0..VIEWS {
        let angle = span_deg * view as f64 / VIEWS as f64;
        let (sin, cos) = (angle * PI / 180.0).sin_cos();
        // A view at this angle sees a point (x to the right, y up) at column axis + x cos + y sin.
        let middle = axis + x0 * cos + y0 * sin;
        img(&frame(view + 2), |x| {
            let chord_px = 2.0 * (radius * radius - (x as f64 - middle).powi(2)).max(0.0).sqrt();
            100.0 + 40000.0 * (-mu_per_px * chord_px).exp()
        });
        record(view + 2, angle, 1);
    }
    img(&frame(VIEWS + 2), |_| 40100.0);
    record(VIEWS + 2, span_deg, 0);
    fs::write(dir.join("output.log"), log).unwrap();
}

/// The inputs that the C programs describe; the paths of a plugin and of a library that is none.
fn inputs(dir: &Path) -> (PathBuf, PathBuf) {
    write_scan(&dir.join("scan"), 180.0);
    write_scan(&dir.join("scan360"), 360.0);
    write_scan(&dir.join("truncated"), 180.0);
    let frame = dir.join("truncated/q0009.img");
    let bytes = fs::read(&frame).unwrap();
    fs::write(&frame, &bytes[..bytes.len() - 100]).unwrap();
    fs::write(dir.join("file.txt"), "not a plugin").unwrap();
    fs::write(dir.join("library.c"), "int answer(void); int answer(void) { return 42; }\n").unwrap();
    let (plugin, library) = (dir.join("plugin.so"), dir.join("library.so"));
    let shared = |source: PathBuf, out: &Path| {
        let mut cc = Command::new("cc");
        run(cc.args(["-shared", "-fPIC", "-I"]).arg(root().join("plugins/sdk")).arg(source).arg("-o").arg(out));
    };
    shared(root().join("plugins/example-c/gain.c"), &plugin);
    shared(dir.join("library.c"), &library);
    (plugin, library)
}

/// Runs both programs, each started by `wrapper` if there is one.
fn run_programs(compiler: &[&str], wrapper: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let (plugin, library) = inputs(dir.path());
    for (name, extra) in [("smoke", &plugin), ("errors", &library), ("n2i", &library)] {
        let program = build(compiler, &root().join(format!("tests/abi/{name}.c")), dir.path());
        let mut command = Command::new(wrapper.first().map_or(program.as_os_str(), |w| w.as_ref()));
        if let Some(rest) = wrapper.get(1..) {
            command.args(rest).arg(&program);
        }
        let text = run(command.arg(dir.path()).arg(extra));
        assert!(text.contains(&format!("{name}: 0 failed")), "{text}");
    }
}

#[test]
fn c_programs_pass() {
    if have("cc") {
        run_programs(&["cc", "-std=c99"], &[]);
    }
}

#[test]
fn the_same_programs_pass_as_cpp() {
    if have("c++") {
        run_programs(&["c++", "-x", "c++"], &[]);
    }
}

/// No invalid access and nothing lost. What is still reachable at the end belongs to plugins, which stay loaded.
#[test]
fn c_programs_are_clean_under_valgrind() {
    if cfg!(target_os = "linux") && have("cc") && have("valgrind") {
        let leaks = [
            "--leak-check=full",
            "--errors-for-leak-kinds=definite,indirect",
            "--show-leak-kinds=definite,indirect",
            "--error-exitcode=99",
            "--quiet",
        ];
        // Drivers of graphics processors stay out: what they read and lose is not ours.
        let without_drivers = ["env", "VK_DRIVER_FILES=/dev/null", "VK_LOADER_LAYERS_DISABLE=~all~", "valgrind"];
        let wrapper: Vec<&str> = without_drivers.into_iter().chain(leaks).collect();
        run_programs(&["cc", "-std=c99"], &wrapper);
    }
}

#[test]
fn pkg_config_gives_what_a_compiler_needs() {
    if !(have("cc") && have("pkg-config")) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let prefix = dir.path().join("prefix").display().to_string();
    let (include, lib) = (format!("{prefix}/include"), format!("{prefix}/lib"));
    fs::create_dir_all(&include).unwrap();
    fs::create_dir_all(format!("{lib}/pkgconfig")).unwrap();
    fs::copy(root().join("src/capi/wagiri.h"), format!("{include}/wagiri.h")).unwrap();
    fs::copy(library_folder().join(LIBRARY), format!("{lib}/{LIBRARY}")).unwrap();
    let template = fs::read_to_string(root().join("src/capi/wagiri.pc.in")).unwrap();
    let values = [("@PREFIX@", prefix.as_str()), ("@LIBDIR@", &lib), ("@VERSION@", env!("CARGO_PKG_VERSION"))];
    let filled = values.iter().fold(template, |text, (name, value)| text.replace(name, value));
    assert!(!filled.contains('@'), "{filled}");
    fs::write(format!("{lib}/pkgconfig/wagiri.pc"), filled).unwrap();

    let pkg_config = |args: &[&str]| {
        run(Command::new("pkg-config").args(args).arg("wagiri").env("PKG_CONFIG_PATH", format!("{lib}/pkgconfig")))
    };
    assert_eq!(pkg_config(&["--modversion"]).trim(), env!("CARGO_PKG_VERSION"));
    let flags = pkg_config(&["--cflags", "--libs"]);
    let program = dir.path().join("smoke");
    let mut cc = Command::new("cc");
    cc.arg("-std=c99")
        .arg("-I")
        .arg(root().join("plugins/sdk"))
        .arg(root().join("tests/abi/smoke.c"))
        .args(flags.split_whitespace())
        .arg("-lm");
    run(cc.arg(format!("-Wl,-rpath,{lib}")).arg("-o").arg(&program));
    let (plugin, _) = inputs(dir.path());
    assert!(run(Command::new(program).arg(dir.path()).arg(plugin)).contains("smoke: 0 failed"));
}

/// A chain file with a plugin in the middle: the bytes of the command line, for any slab height.
#[test]
fn a_chain_gives_the_bytes_of_the_command_line() {
    if !have("cc") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (plugin, _) = inputs(dir.path());
    let (scan, chain, line) = (dir.path().join("scan"), dir.path().join("chain.toml"), dir.path().join("line"));
    fs::write(&chain, CHAIN_FILE).unwrap();
    let mut wagiri = Command::new(env!("CARGO_BIN_EXE_wagiri"));
    run(wagiri.arg("run").args([&chain, &scan, &line]).arg("--plugin").arg(&plugin));
    let source = root().join("tests/abi/chain.c");
    let c = build(&["cc", "-std=c99"], &source, dir.path());
    let cpp = if have("c++") { build(&["c++", "-x", "c++"], &source, dir.path()) } else { c.clone() };
    for (program, slab_rows) in [(&c, "0"), (&c, "1"), (&cpp, "3")] {
        let out = dir.path().join(slab_rows);
        let text = run(Command::new(program).args([&chain, &plugin, &scan, &out]).arg(slab_rows));
        assert!(text.contains("chain: 0 failed"), "{text}");
        for z in 0..ROWS {
            let name = format!("rh{z:05}.tif");
            assert!(fs::read(out.join(&name)).unwrap() == fs::read(line.join(&name)).unwrap(), "{name} differs");
        }
    }
}

/// The example of the guide compiles as it stands there, and runs.
#[test]
fn the_example_of_the_guide_runs() {
    if !have("cc") {
        return;
    }
    let guide = fs::read_to_string(root().join("docs/c-api.md")).unwrap();
    let example = guide.split("```c\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example in C");
    let dir = tempfile::tempdir().unwrap();
    inputs(dir.path());
    let source = dir.path().join("example.c");
    fs::write(&source, example).unwrap();
    let program = build(&["cc", "-std=c99"], &source, dir.path());
    let out = dir.path().join("out");
    let text = run(Command::new(&program).arg(dir.path().join("scan")).arg(&out));
    assert!(text.contains("3 slices"), "{text}");
    // The command line writes the same bytes.
    let line = dir.path().join("line");
    let mut wagiri = Command::new(env!("CARGO_BIN_EXE_wagiri"));
    run(wagiri.arg("run").arg(dir.path().join("scan")).arg(&line).args(["--center", "30.25", "--pixel-um", "100"]));
    for z in 0..ROWS {
        let name = format!("rec{z:05}.tif");
        assert!(fs::read(out.join(&name)).unwrap() == fs::read(line.join(&name)).unwrap(), "{name} differs");
    }
    let failed =
        Command::new(&program).env_remove("LD_LIBRARY_PATH").arg(dir.path().join("nobody")).arg(&out).output().unwrap();
    assert!(!failed.status.success());
    assert!(String::from_utf8_lossy(&failed.stderr).contains("nobody: "), "the example prints the error");
}
