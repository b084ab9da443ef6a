//! Builds plugins for tests: those of the workspace with cargo, those in C with `cc`.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Builds a plugin of the workspace into a folder of its own, so that this does not wait for other builds.
fn build(arguments: &[&str]) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--offline", "--target-dir"]).arg(&target);
    // A cross-compiling or instrumenting outer build must not change where the library ends up.
    cargo.env_remove("CARGO_BUILD_TARGET");
    assert!(cargo.args(arguments).status().unwrap().success(), "cargo build {arguments:?}");
    target.join("debug")
}

pub fn library(name: &str) -> String {
    format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

pub fn gain() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build(&["-p", "example-gain"]).join(library("example_gain")))
}

pub fn contract() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || build(&["-p", "wagiri-plugin", "--example", "contract"]).join("examples").join(library("contract"));
    BUILT.get_or_init(build)
}

pub fn slice_tools() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || build(&["-p", "slice-tools", "--example", "slice-tools-plugin"]).join("examples");
    BUILT.get_or_init(|| build().join(library("slice_tools_plugin")))
}

/// Compiles a C file with the C compiler that every Unix development machine has beside Rust, which links through it.
pub fn cc(dir: &Path, source: &str, flags: &[&str], output: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = dir.join(output);
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-w", "-I"]).arg(root.join("plugins/sdk")).args(flags);
    let done = cc.arg("-o").arg(&output).arg(root.join(source)).status();
    assert!(done.unwrap().success(), "cc {source} {flags:?}");
    output
}

/// A plugin of one C file, under a name of its own.
pub fn c_plugin(dir: &Path, source: &str, flags: &[&str]) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    cc(dir, source, &[&["-shared", "-fPIC"], flags].concat(), &library(&format!("plugin{n}")))
}
