//! Full and read-only disks, in a mount namespace of their own (Linux).

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Output};

/// Runs `script` where `$DISK` is a fresh tmpfs mounted with `options`. As root a mount namespace suffices; others need a
/// user namespace, which some systems forbid: the reason is printed then, and CI insists.
fn on_tmpfs(options: &str, script: &str) -> Option<Output> {
    let place = tempfile::tempdir().expect("a folder");
    let scan = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tooth/tooth.h5");
    let mount = format!("mount -t tmpfs -o {options} tmpfs \"$DISK\" || exit 99; {script}");
    for unshare in [&["-m"][..], &["-rm"]] {
        let output = Command::new("unshare")
            .args(unshare)
            .args(["sh", "-c", &mount])
            .env("DISK", place.path())
            .env("SCAN", &scan)
            .env("WAGIRI", env!("CARGO_BIN_EXE_wagiri"))
            .output();
        match output {
            Ok(output) if output.status.code() != Some(99) && !output.stderr.starts_with(b"unshare:") => {
                return Some(output);
            }
            _ => {}
        }
    }
    assert!(std::env::var_os("CI").is_none(), "CI must be able to mount a tmpfs in a namespace");
    println!("skipped: this user may not mount a tmpfs");
    None
}

#[test]
fn a_full_disk_leaves_finished_slices_and_nothing_half_written() {
    // Each slice of the tooth scan is 640 x 640 x 4 = 1.64 MB: one fits, two do not.
    let script = "\"$WAGIRI\" run \"$SCAN\" \"$DISK/rec\" --center 295.8 --pixel-um 1 --slab-rows 1; \
                  code=$?; ls -A \"$DISK/rec\"; exit $code";
    let Some(output) = on_tmpfs("size=2500k", script) else { return };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("rec00001.tif: cannot write: the disk is full"), "{stderr}");
    assert_eq!(output.status.code(), Some(7), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "rec00000.tif\n", "{stderr}");
}

#[test]
fn a_read_only_output_folder_gets_a_sentence() {
    let script = "mkdir \"$DISK/rec\" && mount -o remount,ro \"$DISK\" || exit 99; \
                  \"$WAGIRI\" run \"$SCAN\" \"$DISK/rec\" --center 295.8 --pixel-um 1";
    let Some(output) = on_tmpfs("size=1m", script) else { return };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("cannot write to the output folder: the file system is read-only"), "{stderr}");
    assert_eq!(output.status.code(), Some(6), "{stderr}");
}
