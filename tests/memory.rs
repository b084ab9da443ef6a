//! The whole program keeps the memory budget that it is given, and the budget does not change a byte of the result (Linux).

#![cfg(target_os = "linux")]

#[path = "bench/scan_maker.rs"]
mod scan_maker;

use scan_maker::{Size, make};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Runs wagiri and returns the most memory it had in RAM, bytes: the high-water mark that the kernel keeps, looked at every
/// millisecond until the program ends.
fn peak_of(args: &[&str], scan: &Path, out: &Path) -> u64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wagiri"));
    command.arg("run").arg(scan).arg(out).args(args).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("wagiri must start");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let ended = child.try_wait().expect("a child");
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(1024 * kib.unwrap_or(0));
        if let Some(ended) = ended {
            assert!(ended.success(), "{args:?}");
            return peak;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn peak_memory_follows_the_budget_and_the_bytes_do_not() {
    let place = tempfile::tempdir().expect("a folder");
    let scan = place.path().join("scan");
    make(&scan, Size { views: 240, rows: 48, cols: 384 }).expect("a scan");
    let base = ["--center", "191.5", "--pixel-um", "1", "--threads", "2"];
    let run = |name: &str, more: &[&str]| {
        let out = place.path().join(name);
        (peak_of(&[&base[..], more].concat(), &scan, &out), out)
    };
    // What the program takes by itself: one row of a few kB needs no slab worth the name.
    let (alone, _) = run("alone", &["--rows", "0..1", "--memory-gb", "0.016"]);
    let mut expected = None;
    for megabytes in [16, 32, 64] {
        let budget = megabytes as u64 * 1_000_000;
        let (peak, out) = run(&megabytes.to_string(), &["--memory-gb", &(megabytes as f64 / 1e3).to_string()]);
        // A tenth, as for any budget, and what the allocator keeps for the threads of the reader and the writer.
        let allowed = alone + budget + budget / 10 + 4_000_000;
        assert!(peak <= allowed, "{megabytes} MB: peak {peak}, {alone} of it without slabs");
        let slices: Vec<Vec<u8>> =
            (0..48).map(|z| std::fs::read(out.join(format!("rec{z:05}.tif"))).expect("a slice")).collect();
        assert!(expected.get_or_insert_with(|| slices.clone()) == &slices, "{megabytes} MB: other bytes");
    }
}
