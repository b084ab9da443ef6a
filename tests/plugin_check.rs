//! `wagiri plugin check`, as the author of a plugin meets it: a line for each check, a clear sentence for what is wrong, and
//! the name of the stage that ran where nothing can be caught any more.
#![cfg(unix)]

#[path = "common/plugins.rs"]
mod plugins;

use plugins::{c_plugin, contract, gain, slice_tools};
use std::path::Path;
use std::process::{Command, Output};
use wagiri::{Finding, check_plugin};

fn wagiri(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wagiri")).args(args).output().expect("wagiri must start")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn check(path: &Path) -> Vec<Finding> {
    let mut told = Vec::new();
    let findings = check_plugin(path, &mut |finding| told.push(finding.to_string()));
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert_eq!(told, lines);
    assert!(lines.iter().all(|line| line.lines().count() == 1), "{lines:#?}");
    findings
}

fn bad(findings: &[Finding]) -> Vec<String> {
    findings.iter().filter(|f| !f.good).map(|f| format!("{}: {}", f.place, f.text)).collect()
}

#[test]
fn the_plugins_of_the_tree_pass() {
    let dir = tempfile::tempdir().expect("a folder");
    let c = ["gain", "level"].map(|name| c_plugin(dir.path(), &format!("plugins/example-c/{name}.c"), &["-Wall"]));
    for path in [gain(), slice_tools(), &c[0], &c[1]] {
        let findings = check(path);
        assert_eq!(bad(&findings), [""; 0], "{}", path.display());
        assert!(findings.len() > 7, "{findings:#?}");
    }
    let said = wagiri(&["plugin", "check", text(gain())]);
    assert!(said.status.success());
    let lines = String::from_utf8(said.stdout).expect("UTF-8");
    for line in [
        "interface 1.1, stages example.gain\n",
        "ok   example.gain: 1 parameter; NaN and what is out of range are kept away from it\n",
        "ok   example.gain: runs with its defaults, every pixel of 12 x 16 x 24 is a number\n",
        "ok   example.gain: slabs of 1, 3, 7 and all rows processed: the same bits\n",
        "ok   example.gain: one and several threads, two runs at a time: the same bits\n",
        "ok   example.gain: runs with zeros and with 5 x 9 x 7 and 1 x 1 x 1\n",
        "ok   example.gain: runs with 2 values at the ends of its parameters\n",
        "ok   example.gain: stops when it is asked to\n",
    ] {
        assert!(lines.contains(line), "{line}in\n{lines}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 2);
}

#[test]
fn the_c_examples_build_by_their_makefile_and_run_in_a_chain() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["Makefile", "gain.c", "level.c"] {
        std::fs::copy(root.join("plugins/example-c").join(name), dir.path().join(name)).expect("a copy");
    }
    // The makefile names the header's folder relative to its own.
    let include = format!("CFLAGS=-I{}", root.join("plugins/sdk").display());
    let make = Command::new("make").current_dir(dir.path()).args(["-s", "CC=cc -Werror $(CFLAGS)", &include]).status();
    assert!(make.expect("make").success());
    let suffix = std::env::consts::DLL_SUFFIX;
    let [gain, level] = ["gain", "level"].map(|name| dir.path().join(format!("lib{name}{suffix}")));
    let scan = root.join("tests/data/ct-rec-100/s180");
    let run = |out: &str, tail: &str, slab: &str| {
        let (out, chain) = (dir.path().join(out), format!("normalise | recon.fbp pixel_um=10{tail}"));
        let said = wagiri(&[
            "run",
            text(&scan),
            text(&out),
            "--chain",
            &chain,
            "--slab-rows",
            slab,
            "--plugin",
            text(&gain),
            "--plugin",
            text(&level),
        ]);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        (0..3)
            .map(|z| wagiri::io::read_slice(&out.join(format!("rec{z:05}.tif"))).expect("a slice"))
            .collect::<Vec<_>>()
    };
    let plain = run("plain", "", "3");
    let gained = run("gain", " | example.gain factor=2", "3");
    assert_eq!(gained, plain.iter().map(|slice| slice.mapv(|v| 2.0 * v)).collect::<Vec<_>>());
    // In voxel order, as the plugin adds up.
    let (mut sum, mut count) = (0.0, 0.0);
    plain.iter().flatten().for_each(|v| (sum, count) = (sum + f64::from(*v), count + 1.0));
    let mean = (sum / count) as f32;
    for slab in ["1", "2", "3"] {
        let level = run(&format!("level{slab}"), " | example.level", slab);
        assert_eq!(level, plain.iter().map(|slice| slice.mapv(|v| v - mean)).collect::<Vec<_>>(), "slabs of {slab}");
    }
}

#[test]
fn a_plugin_of_interface_1_0_goes_on_working() {
    let dir = tempfile::tempdir().expect("a folder");
    let old = c_plugin(dir.path(), "tests/abi/plugins/old.c", &["-Wall", "-Wextra", "-Werror"]);
    let findings = check(&old);
    assert_eq!(bad(&findings), [""; 0]);
    assert!(findings[0].text.contains("interface 1.0, stages test.old"), "{findings:#?}");
    // It is not asked to survey, whatever lies behind its description.
    assert!(findings.iter().any(|f| f.text.contains("all rows processed")), "{findings:#?}");
}

#[test]
fn files_that_are_no_plugins_get_a_sentence_and_exit_code_9() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    };
    let entry = |flag: &str| c_plugin(dir.path(), "tests/abi/plugins/bad_entry.c", &[flag]);
    let cases = [
        (dir.path().join("missing.so"), "there is no such file"),
        (file("text.so", b"hello"), "the file is not a shared library"),
        (c_plugin(dir.path(), "tests/abi/plugins/no_entry.c", &[]), "does not export WAGIRI_PLUGIN_ENTRY"),
        (entry("-DABI=0x00090000u"), "the plugin uses plugin interface 9.0; this wagiri accepts 1.x"),
        (entry("-DSTAGE_SIZE=7"), "stage 1: the description has struct_size 7; expected 96 to 4096"),
        (entry("-DPARAMS=NULL"), "test.good: parameters are a table that is NULL or misaligned"),
    ];
    for (path, sentence) in cases {
        let said = wagiri(&["plugin", "check", text(&path)]);
        assert_eq!(said.status.code(), Some(9), "{}", path.display());
        let lines = String::from_utf8(said.stdout).expect("UTF-8");
        assert!(lines.starts_with("FAIL ") && lines.contains(sentence), "{sentence}: {lines}");
        assert_eq!(lines.lines().count(), 1, "{lines}");
        assert!(String::from_utf8_lossy(&said.stderr).contains("1 of 1 checks failed"));
    }
    assert_eq!(wagiri(&["plugin", "check"]).status.code(), Some(2));
}

#[test]
fn what_a_stage_does_wrong_is_found() {
    let dir = tempfile::tempdir().expect("a folder");
    let wrong = |way: &str| {
        let flag = format!("-D{way}");
        let found = bad(&check(&c_plugin(dir.path(), "tests/abi/plugins/wrong.c", &[&flag, "-lm"])));
        assert!(!found.is_empty(), "{way} was not found");
        found.join("\n")
    };
    let right = c_plugin(dir.path(), "tests/abi/plugins/wrong.c", &["-lm"]);
    assert_eq!(bad(&check(&right)), [""; 0]);
    // Each of these is the one difference to the library above.
    assert!(
        wrong("SEES_THE_SLAB").contains("slabs of 1 rows give other pixels than all rows at once, first at (0, 0, 0)")
    );
    assert!(wrong("REMEMBERS").contains("it gives other pixels, first at"));
    assert!(wrong("DIVIDES").contains("with zeros: the plugin wrote NaN or infinity, or did not write this pixel"));
    assert!(wrong("FORGETS").contains("did not write this pixel"));
    assert!(wrong("NO_REASON").contains("the plugin failed and gave no reason"));
    assert!(wrong("NO_END").contains("the plugin did not end this text with a zero byte"));
    assert!(wrong("REFUSES").contains("create fails with the defaults: no, not these"));
    assert!(wrong("BREAKS_AT_THE_END").contains("with size_px=9: the plugin wrote NaN"));
    assert!(wrong("SEES_THE_SURVEY").contains("slabs of 1 rows give other pixels"));
    assert!(wrong("GROWS").contains("the halo changes with the height of the slab"));

    let findings = check(contract());
    let of_broken: Vec<&Finding> = findings.iter().filter(|f| f.place == "test.broken" && !f.good).collect();
    assert_eq!(of_broken.len(), 1);
    assert!(of_broken[0].text.contains("the sample is too hot"), "{of_broken:#?}");
}

/// What the program wrote before it was ended by a signal.
fn crashes(args: &[&str]) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    let output = wagiri(args);
    assert!(output.status.signal().is_some(), "{args:?}: {output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn a_crash_is_named_by_the_last_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let crash = |at: &str| c_plugin(dir.path(), "tests/abi/plugins/crash.c", &[&format!("-DCRASH_IN=\"{at}\"")]);
    let scan = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ct-rec-100/s180");
    let last = |said: &str| said.lines().last().unwrap_or_default().to_owned();
    for function in ["create", "process"] {
        let path = crash(function);
        let said = crashes(&["plugin", "check", text(&path)]);
        assert!(last(&said).contains("test.crash"), "{said}");
        let said = crashes(&["plugin", "check", text(&path), "--log", "debug"]);
        assert!(last(&said).contains(&format!("test.crash: {function} of the plugin runs")), "{said}");
        let chain = "normalise | test.fine | test.crash | test.fine";
        let out = dir.path().join("out");
        let run = ["run", text(&scan), text(&out), "--chain", chain, "--plugin", text(&path), "--log", "debug"];
        let said = crashes(&run);
        assert!(last(&said).contains(&format!("test.crash: {function} of the plugin runs")), "{said}");
    }
}
