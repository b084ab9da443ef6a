//! Full and read-only disks, in a mount namespace of their own (Linux).

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Output};

/// Runs `script` where `$DISK` is a fresh tmpfs mounted with `options`. As root a mount namespace suffices; others need a
/// user namespace. `None`, with the reason printed, where the system allows neither (some containers).
fn on_tmpfs(options: &str, script: &str) -> Option<Output> {
    let place = tempfile::tempdir().expect("a folder");
    let mount =
        format!("mount -t tmpfs -o {options} tmpfs \"$DISK\" || exit 99; trap 'umount \"$DISK\"' EXIT; {script}");
    // The last one is for a changed root, whose propagation cannot be set.
    for unshare in [&["-m"][..], &["-rm"], &["-m", "--propagation", "unchanged"]] {
        let output = shell(Command::new("unshare").args(unshare).args(["sh", "-c", &mount]), place.path());
        if output.status.code() != Some(99) && !output.stderr.starts_with(b"unshare:") {
            return Some(output);
        }
    }
    println!("skipped: this system does not let this user mount a tmpfs");
    None
}

fn shell(command: &mut Command, disk: &Path) -> Output {
    let scan = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tooth/tooth.h5");
    let command = command.env("DISK", disk).env("SCAN", &scan).env("WAGIRI", env!("CARGO_BIN_EXE_wagiri"));
    command.output().expect("a shell")
}

#[test]
fn a_full_disk_leaves_finished_slices_and_nothing_half_written() {
    // Each slice of the tooth scan is 640 x 640 x 4 = 1.64 MB: one fits, two do not.
    let script = "\"$WAGIRI\" run \"$SCAN\" \"$DISK/rec\" --center 295.8 --pixel-um 1 --slab-rows 1; \
                  code=$?; rm \"$DISK/rec/\"wagiri-*; ls -A \"$DISK/rec\"; exit $code";
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

#[test]
fn a_run_is_not_continued_in_a_folder_that_became_read_only() {
    let run = "\"$WAGIRI\" run \"$SCAN\" \"$DISK/rec\" --center 295.8 --pixel-um 1";
    let script = format!("{run} || exit 98; mount -o remount,ro \"$DISK\" || exit 99; {run} --resume");
    let Some(output) = on_tmpfs("size=8m", &script) else { return };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("cannot write to the output folder: the file system is read-only"), "{stderr}");
    assert_eq!(output.status.code(), Some(6), "{stderr}");
}

/// A limit on the size of files stands in for a full disk where nothing can be mounted.
#[test]
fn a_file_that_cannot_be_written_to_its_end_is_not_left_behind() {
    let place = tempfile::tempdir().expect("a folder");
    // 1000 blocks of 512 bytes are less than a slice; without the trap the signal would end the program.
    let script = "trap '' XFSZ; ulimit -f 1000; \"$WAGIRI\" run \"$SCAN\" \"$DISK/rec\" --center 295.8 --pixel-um 1";
    let output = shell(Command::new("sh").args(["-c", script]), place.path());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("rec00000.tif: cannot write: "), "{stderr}");
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    let left =
        std::fs::read_dir(place.path().join("rec")).expect("the folder").map(|e| e.expect("an entry").file_name());
    let mut left: Vec<_> = left.collect();
    left.sort();
    assert_eq!(left, [wagiri::chain::CHAIN_FILE, wagiri::chain::RECORD]);
}
