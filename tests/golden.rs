//! ct-rec's own outputs, reproduced through its own command lines.
//!
//! The tolerance of 2e-5 of the image maximum covers f32 arithmetic against ct-rec's f64 engine; ct-rec's fixed-point
//! engine quantises to 11 bits and is off by 1.5e-3 itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use wagiri::io::{read_description, read_slice};

const FLOAT: f32 = 2e-5;
const FIXED_POINT: f32 = 1.5e-3;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ct-rec-100")
}

/// Runs a program in `folder` with nothing of ct-rec's variables but those given.
fn run(folder: &Path, env: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wagiri"));
    let own = ["KERNEL_SIZE", "PAD_THRESH", "CBP_THREADS", "RHP_O", "RHP_D", "RHP_Q"];
    let theirs = |name: &str| own.contains(&name) || name.starts_with("HPTG_") || name.starts_with("CT_REC_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(theirs)) {
        command.env_remove(name);
    }
    command.current_dir(folder).envs(env.iter().copied()).args(args).output().expect("wagiri must start")
}

fn hp_tg(filter: &str, env: &[(&str, &str)], scan: &str, args: &[&str], expected: &str, tolerance: f32) {
    let out = tempfile::tempdir().expect("a temporary folder");
    let (program, rec) = (format!("hp_tg_t_{filter}"), out.path().join("rec"));
    let scan = golden().join(scan);
    let mut all = vec![program.as_str(), scan.to_str().expect("UTF-8")];
    all.extend(args);
    all.push("rec");
    let output = run(out.path(), env, &all);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    compare(&rec, &golden().join("rec").join(expected), tolerance);
    let log = std::fs::read_to_string(out.path().join("cmd-hst.log")).expect("the command log");
    let kernel = env.iter().find(|(k, _)| *k == "KERNEL_SIZE").map_or("5", |(_, v)| v);
    assert!(log.starts_with(&(all.join(" ") + " ")), "{log}");
    assert!(log.contains(&format!("   % kernel_size {kernel}   % chunks ")), "{log}");
}

/// Same files, same size, same first fields of the description, values within `tolerance` of the largest.
fn compare(got: &Path, expected: &Path, tolerance: f32) {
    let names = |dir: &Path| {
        let entries = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        let mut names: Vec<_> = entries.map(|e| e.expect("an entry").file_name()).collect();
        names.retain(|n| Path::new(n).extension().is_some_and(|e| e == "tif"));
        names.sort();
        names
    };
    assert_eq!(names(got), names(expected));
    for name in names(expected) {
        let (a, b) = (read_slice(&got.join(&name)).expect("ours"), read_slice(&expected.join(&name)).expect("theirs"));
        assert_eq!(a.dim(), b.dim());
        let largest = b.iter().fold(0f32, |m, v| m.max(v.abs()));
        let worst = a.iter().zip(&b).fold(0f32, |m, (x, y)| m.max((x - y).abs()));
        println!("{name:?}: {:.2e} of the maximum", worst / largest);
        assert!(worst <= tolerance * largest, "{name:?}: {} of the maximum", worst / largest);
        let fields = |dir: &Path| {
            let text = read_description(&dir.join(&name)).expect("a description");
            text.split('\t').map(|f| f.trim().parse().expect("a number")).collect::<Vec<f64>>()
        };
        let (a, b) = (fields(got), fields(expected));
        assert_eq!(a.len(), 6);
        for i in 0..4 {
            assert!((a[i] - b[i]).abs() < 2e-6, "{name:?}: field {i}: {} and {}", a[i], b[i]);
        }
        for i in 4..6 {
            assert!((a[i] - b[i]).abs() <= f64::from(tolerance * largest) + 2e-6, "{name:?}: field {i}");
        }
    }
}

#[test]
fn every_filter_with_and_without_ring_removal() {
    for filter in ["c", "s", "r"] {
        for kernel in ["1", "5"] {
            let env = [("KERNEL_SIZE", kernel), ("PAD_THRESH", "0")];
            hp_tg(filter, &env, "s180", &["10", "60.7", "0"], &format!("hp_tg_{filter}_k{kernel}"), FLOAT);
        }
    }
}

#[test]
fn wide_kernel_and_angle_offset_within_the_error_of_the_fixed_point_engine() {
    hp_tg("c", &[("KERNEL_SIZE", "11")], "s180", &["10", "60.7", "30"], "hp_tg_c_k11_int", FIXED_POINT);
}

#[test]
fn tilted_axis() {
    hp_tg("c", &[("KERNEL_SIZE", "5")], "s180", &["10", "0", "60.2", "2", "61.2", "0"], "hp_tg_tilt", FLOAT);
}

#[test]
fn truncated_sample_with_and_without_padding() {
    hp_tg("c", &[], "pad", &["10", "63.5", "0"], "hp_tg_pad", FLOAT);
    hp_tg("c", &[("PAD_THRESH", "0")], "pad", &["10", "63.5", "0"], "hp_tg_nopad", FLOAT);
}

#[test]
fn opaque_core_stays_finite() {
    hp_tg("c", &[], "dense", &["10", "63.5", "0"], "hp_tg_dense", FLOAT);
}

#[test]
fn tiff_frames() {
    hp_tg("c", &[], "tif180", &["5", "49.3", "0"], "hp_tg_tif", FLOAT);
}

#[test]
fn single_slice_with_searched_axis() {
    let work = tempfile::tempdir().expect("a temporary folder");
    let raw = work.path().join("raw");
    std::fs::create_dir(&raw).expect("a folder");
    for entry in std::fs::read_dir(golden().join("tif180")).expect("the scan") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, raw.join(path.file_name().expect("a name"))).expect("a copy");
    }
    let output = run(&raw, &[], &["ct_rec_t_c", "1"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8_lossy(&output.stdout);
    let fields: Vec<&str> = stdout.trim_end().split('\t').collect();
    assert_eq!((fields[0], fields[2], fields.len()), ("rec00001.tif", "49.500000", 7), "{stdout}");
    let expected = golden().join("rec/ct_rec_auto");
    let only = work.path().join("only");
    std::fs::create_dir(&only).expect("a folder");
    std::fs::rename(raw.join("rec00001.tif"), only.join("rec00001.tif")).expect("the slice");
    compare(&only, &expected, FLOAT);
    let log = std::fs::read_to_string(work.path().join("cmd-hst.log")).expect("the log one folder up");
    assert_eq!(log.trim_end(), "ct_rec_t_c 1    % kernel_size 5");
}
