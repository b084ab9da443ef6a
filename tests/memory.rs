//! The whole program keeps the memory budget that it is given, and the budget does not change a byte of the result (Linux).

#![cfg(target_os = "linux")]

#[path = "bench/measure.rs"]
mod measure;
#[path = "bench/scan_maker.rs"]
mod scan_maker;

use measure::peak_memory;
use scan_maker::{Size, make};
use std::path::Path;
use std::process::Command;

/// Runs wagiri and returns the most memory it had in RAM, bytes.
fn peak_of(args: &[&str], scan: &Path, out: &Path) -> u64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wagiri"));
    let (ended, peak) = peak_memory(command.arg("run").arg(scan).arg(out).args(args));
    assert!(ended.success(), "{args:?}");
    peak
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
