//! A run that is stopped in any way, `kill -9` included, and continued: the same bytes as if nothing had happened, and no
//! finished slice is made again. Runs that must not be continued are refused with the difference.

mod common;

use common::{Ellipse, Lcg, sinogram};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use wagiri::chain::{CHAIN_FILE, RECORD};
use wagiri::geometry::uniform_angles;

const ROWS: usize = 128;
const COLS: usize = 48;
const VIEWS: usize = 30;

/// A scan of a few discs with noise in TIFF files: small slices, so that a run writes many files.
fn scan(folder: &Path) -> PathBuf {
    let scan = folder.join("scan");
    fs::create_dir(&scan).expect("a folder");
    let angles = uniform_angles(VIEWS, 0.0, std::f64::consts::PI);
    let discs = [(6.0, -4.0, 8.0), (-9.0, 8.0, 4.0), (4.0, 12.0, 3.0), (-6.0, -11.0, 5.0)];
    let discs = discs.map(|(x, y, radius)| Ellipse::disc(x, y, radius, 40.0));
    let lines = sinogram(&discs, &angles, COLS, 24.3, 10.0);
    let mut noise = Lcg(1);
    let mut pages = |name: &str, pages: usize, value: &dyn Fn(usize, usize) -> f64| {
        let mut file = tiff::encoder::TiffEncoder::new(File::create(scan.join(name)).expect("a file")).expect("TIFF");
        for page in 0..pages {
            let pixel = |i: usize| (value(page, i % COLS) + 20.0 * noise.unit()) as u16;
            let pixels: Vec<u16> = (0..ROWS * COLS).map(pixel).collect();
            file.write_image::<tiff::encoder::colortype::Gray16>(COLS as u32, ROWS as u32, &pixels).expect("a page");
        }
    };
    pages("frames.tif", VIEWS, &|view, col| 100.0 + 20000.0 * (-f64::from(lines[[view, col]])).exp());
    pages("flat.tif", 1, &|_, _| 20100.0);
    pages("dark.tif", 1, &|_, _| 100.0);
    scan
}

/// The slow engine on one thread: a run takes long enough to be stopped anywhere.
const SLOW: &[&str] =
    &["--angles", "180", "--pixel-um", "10", "--center", "24.3", "--engine", "reference", "--threads", "1"];

fn wagiri(scan: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wagiri"));
    command.arg("run").args([scan, out]).args(SLOW).args(more);
    command
}

fn ok(scan: &Path, out: &Path, more: &[&str]) -> String {
    let output = wagiri(scan, out, more).output().expect("it must start");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{more:?}: {stderr}");
    format!("{}{stderr}", String::from_utf8_lossy(&output.stdout))
}

/// The line of the result that tells the range.
fn values(said: &str) -> &str {
    said.lines().find(|l| l.starts_with("values ")).expect("a range")
}

fn fails(scan: &Path, out: &Path, more: &[&str]) -> (i32, String) {
    let output: Output = wagiri(scan, out, more).output().expect("it must start");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{more:?} must fail");
    assert!(!stderr.contains("panicked") && stderr.lines().count() == 1, "one sentence: {stderr}");
    (output.status.code().expect("an exit code"), stderr)
}

/// Everything below a folder but the record and the chain.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|n| n.to_str()).expect("UTF-8").to_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else if ![RECORD, CHAIN_FILE].contains(&name.as_str()) {
            found.insert(name, fs::read(&path).expect("a file"));
        }
    }
    found
}

/// Lines of the record that name a finished file.
fn entries(out: &Path) -> Vec<String> {
    let record = fs::read_to_string(out.join(RECORD)).unwrap_or_default();
    let whole = record.rfind('\n').map_or("", |end| &record[..end]);
    let is_entry = |l: &&str| l.starts_with("slice ") || l.starts_with("waiting ");
    whole.lines().filter(is_entry).map(str::to_owned).collect()
}

/// Finished slices by the record, with what changes if a file is written again.
#[cfg(unix)]
fn stamps(out: &Path, prefix: &str) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    use std::os::unix::fs::MetadataExt;
    let mut found = BTreeMap::new();
    for line in entries(out) {
        let mut words = line.split(' ');
        let (word, z) = (words.next().expect("a word"), words.next().and_then(|z| z.parse::<usize>().ok()).expect("z"));
        let waiting = out.join(format!("float32/rec{z:05}.tif"));
        let path = if word == "slice" { out.join(format!("{prefix}{z:05}.tif")) } else { waiting };
        if let Ok(meta) = fs::metadata(&path) {
            found.insert(path, (meta.ino(), meta.mtime(), meta.mtime_nsec()));
        }
    }
    found
}

/// Stops a run once its record has `entries` lines and a moment more; the time alone would depend on the machine's load.
#[cfg(unix)]
fn kill_after(mut child: Child, out: &Path, lines: usize, more: Duration) {
    while child.try_wait().expect("a state").is_none() && entries(out).len() < lines {
        std::thread::sleep(Duration::from_micros(300));
    }
    std::thread::sleep(more);
    child.kill().expect("SIGKILL");
    child.wait().expect("its end");
}

#[cfg(unix)]
fn killed_and_continued(kind: &[&str], prefix: &str, total_entries: usize, kills: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let scan = scan(folder.path());
    let whole = folder.path().join("whole");
    ok(&scan, &whole, kind);
    let expected = files(&whole);
    assert_eq!(expected.len(), ROWS);
    let seed = u64::from(std::process::id());
    let mut random = Lcg(seed);
    for trial in 0..kills {
        let out = folder.path().join(format!("killed {trial}"));
        let lines = (random.unit() * (total_entries + 1) as f64) as usize;
        // Some slices get their names together, so entries come in groups some tens of milliseconds apart.
        let more = Duration::from_secs_f64(random.unit() * 0.08);
        let child =
            wagiri(&scan, &out, kind).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("it must start");
        kill_after(child, &out, lines, more);
        let place = format!("seed {seed}, trial {trial}, killed after {lines} entries and {more:?}");
        if !out.join(RECORD).exists() {
            // Before the first slice there is nothing to continue, and the sentence says so.
            assert!(fails(&scan, &out, &[kind, &["--resume"]].concat()).1.contains("no run to continue"), "{place}");
            ok(&scan, &out, kind);
        }
        let before = stamps(&out, prefix);
        let found = entries(&out).len();
        println!("{place}: {found} of {total_entries} entries");
        if fs::read_to_string(out.join(RECORD)).is_ok_and(|t| t.contains("\ncheck = ")) {
            let said = ok(&scan, &out, &[kind, &["--resume"]].concat());
            assert!(found == 0 || said.contains("were made by an earlier run"), "{place}: {said}");
        } else {
            // Killed while the head of the record was being written.
            assert!(fails(&scan, &out, &[kind, &["--resume"]].concat()).1.contains("cannot be continued"), "{place}");
            ok(&scan, &out, kind);
        }
        assert!(files(&out) == expected, "{place}: {:?}", files(&out).keys());
        let after = stamps(&out, prefix);
        for (path, stamp) in before {
            // A slice in 32 bits goes away when it is converted; until then it is not written again.
            assert!(path.starts_with(out.join("float32")) || after[&path] == stamp, "{place}: {}", path.display());
        }
        fs::remove_dir_all(&out).expect("removed");
    }
}

#[cfg(unix)]
#[test]
fn a_killed_run_is_continued_to_the_same_bytes_and_no_finished_slice_is_made_again() {
    killed_and_continued(&[], "rec", ROWS, 20);
}

#[cfg(unix)]
#[test]
fn a_killed_run_with_an_open_range_is_continued_in_both_its_phases() {
    // Each slice is recorded when it is collected and when it is converted.
    killed_and_continued(&["--type", "u16"], "rh", 2 * ROWS, 10);
}

/// A run that was stopped after some slices, and its scan.
fn stopped(folder: &Path, kind: &[&str]) -> (PathBuf, PathBuf) {
    let (scan, out) = (scan(folder), folder.join("rec"));
    ok(&scan, &out, kind);
    cut(&out, 10);
    (scan, out)
}

/// Makes a finished run look as if it had been killed after `keep` entries of its record.
fn cut(out: &Path, keep: usize) {
    let record = fs::read_to_string(out.join(RECORD)).expect("a record");
    let head = record.find("\ncheck = ").expect("a head") + 1;
    let head = head + record[head..].find('\n').expect("its end") + 1;
    let kept: String = record[head..].split_inclusive('\n').take(keep).collect();
    fs::write(out.join(RECORD), format!("{}{kept}", &record[..head])).expect("a file");
}

#[cfg(unix)]
#[test]
fn a_cancelled_run_is_continued_and_a_complete_one_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let scan = scan(folder.path());
    let (whole, out) = (folder.path().join("whole"), folder.path().join("rec"));
    let expected = ok(&scan, &whole, &[]);
    let mut child = wagiri(&scan, &out, &[]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a start");
    while child.try_wait().expect("a state").is_none() && entries(&out).is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("a signal");
    let ended = child.wait_with_output().expect("its end");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    // A fast machine may have finished before the signal came.
    assert!(ended.status.success() || stderr.contains("--resume continues the run"), "{stderr}");
    let said = ok(&scan, &out, &["--resume"]);
    assert_eq!(values(&said), values(&expected), "the range is that of the whole volume");
    assert!(files(&out) == files(&whole));
    let before = (stamps(&out, "rec"), fs::read(out.join(RECORD)).expect("the record"));
    let said = ok(&scan, &out, &["--resume"]);
    assert!(said.contains("was complete: nothing was left to do"), "{said}");
    assert_eq!(values(&said), values(&expected));
    assert_eq!(before, (stamps(&out, "rec"), fs::read(out.join(RECORD)).expect("the record")));
}

#[test]
fn another_chain_rows_or_frames_are_refused_with_what_differs() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scan, out) = stopped(folder.path(), &[]);
    let refused = |more: &[&str], parts: &[&str]| {
        let (code, sentence) = fails(&scan, &out, &[&["--resume"], more].concat());
        assert_eq!(code, 2, "{sentence}");
        for part in [&["cannot be continued", "run without resume to start over"], parts].concat() {
            assert!(sentence.contains(part), "{part} in {sentence}");
        }
    };
    refused(&["--filter", "ramp"], &["the chain changed", "was = recon.fbp center_px", "is = recon.fbp filter=ramp"]);
    refused(&["--type", "u16"], &["the chain changed", "is = write.tiff type=u16"]);
    refused(&["--rows", "0..20"], &["the rows changed", "was = 0..128, is = 0..20"]);
    refused(&["--views", "0..20"], &["the scan changed", "30 views", "20 views"]);
    // One byte in a frame, with the time that comes with it.
    let frames = scan.join("frames.tif");
    let mut bytes = fs::read(&frames).expect("frames");
    bytes[5000] ^= 1;
    fs::write(&frames, &bytes).expect("frames");
    refused(&[], &["the frames changed", "was = 3 files of "]);
    // Without resume the run starts over, and says so.
    assert!(ok(&scan, &out, &[]).contains("starting over; an unfinished run of 128 slices was here"));
    assert_eq!(entries(&out).len(), ROWS);
}

#[test]
fn the_axis_that_was_found_is_used_again_and_may_be_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scan, out) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ct-rec-100/s180"), folder.path().join("rec"));
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wagiri"));
        let output = command.arg("run").args([&scan, &out]).args(more).output().expect("it must start");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{stderr}");
        stderr
    };
    let first = run(&[]);
    let remark = first.lines().find(|l| l.contains("rotation axis found at")).expect("a search").to_owned();
    let expected = files(&out);
    cut(&out, 1);
    assert!(run(&["--resume"]).contains(&remark), "the remark of the first run is kept");
    let record = fs::read_to_string(out.join(RECORD)).expect("the record");
    let axis = record.split("\nfound = ").nth(1).and_then(|t| t.split("center_px=").nth(1)).expect("an axis");
    let axis = axis.split(' ').next().expect("a word").to_owned();
    let pixel = record.split("\nfound = ").nth(1).and_then(|t| t.split("pixel_um=").nth(1)).expect("a size");
    let pixel = pixel.split_whitespace().next().expect("a word").to_owned();
    // Giving the values that were found is asking for the same.
    cut(&out, 2);
    run(&["--resume", "--center", &axis, "--pixel-um", &pixel]);
    assert!(files(&out) == expected);
}

#[test]
fn slices_that_are_missing_or_short_are_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    for kind in [&[][..], &["--type", "u8"]] {
        let (scan, out) = (folder.path().join("scan"), folder.path().join(format!("rec{}", kind.len())));
        if !scan.exists() {
            self::scan(folder.path());
        }
        ok(&scan, &out, kind);
        let expected = files(&out);
        let name = |z: usize| out.join(format!("{}{z:05}.tif", if kind.is_empty() { "rec" } else { "ro" }));
        fs::remove_file(name(3)).expect("a slice");
        fs::write(name(20), b"short").expect("a slice");
        fs::write(name(21).with_extension("tif.part"), b"being written").expect("a leftover");
        let said = ok(&scan, &out, &[kind, &["--resume"]].concat());
        assert!(said.contains("126 of 128 slices were made by an earlier run"), "{said}");
        assert!(files(&out) == expected, "{:?}", files(&out).keys());
    }
}

#[test]
fn old_slices_of_the_same_name_do_not_count_as_finished() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scan, out) = stopped(folder.path(), &["--filter", "ramp"]);
    let whole = folder.path().join("whole");
    ok(&scan, &whole, &[]);
    // A new run with other parameters is stopped when it has made 10 slices; the others are those of the first run.
    ok(&scan, &out, &[]);
    cut(&out, 10);
    let old = folder.path().join("old");
    ok(&scan, &old, &["--filter", "ramp"]);
    for z in 10..ROWS {
        fs::copy(old.join(format!("rec{z:05}.tif")), out.join(format!("rec{z:05}.tif"))).expect("a copy");
    }
    ok(&scan, &out, &["--resume"]);
    assert!(files(&out) == files(&whole));
}

#[test]
fn a_stopped_run_with_an_open_range_does_not_block_the_next_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scan, out) = stopped(folder.path(), &["--type", "u16"]);
    let expected = files(&out);
    // Killed while it collected: some slices in 32 bits, one of them not in the record yet, one half-written.
    let floats = out.join("float32");
    fs::create_dir(&floats).expect("a folder");
    fs::write(floats.join("rec00010.tif"), b"whole but not recorded").expect("a slice");
    fs::write(floats.join("rec00011.tif.part"), b"half").expect("a slice");
    ok(&scan, &out, &["--type", "u16"]);
    assert!(files(&out) == expected, "{:?}", files(&out).keys());
    // Something else there is the user's.
    fs::create_dir(&floats).expect("a folder");
    fs::write(floats.join("mine.tif"), b"mine").expect("a file");
    assert!(fails(&scan, &out, &["--type", "u16"]).1.contains("holds slices already"));
    assert!(floats.join("mine.tif").exists());
}

#[test]
fn folders_without_a_record_or_with_a_damaged_one_get_a_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scan, out) = stopped(folder.path(), &[]);
    let record = fs::read(out.join(RECORD)).expect("the record");
    for damaged in [&b""[..], b"\0\0\0\0", b"my notes\n", &record[..record.len() / 8], &record[1..]] {
        fs::write(out.join(RECORD), damaged).expect("a file");
        let (code, sentence) = fails(&scan, &out, &["--resume"]);
        assert!(sentence.contains("cannot be continued; run without resume to start over"), "{sentence}");
        assert_eq!(code, 5);
    }
    let foreign = folder.path().join("foreign");
    let missing = foreign.join("missing");
    fs::create_dir(&foreign).expect("a folder");
    fs::write(foreign.join("rec00000.tif"), b"mine").expect("a file");
    for place in [&foreign, &missing] {
        let (code, sentence) = fails(&scan, place, &["--resume"]);
        assert_eq!(code, 3);
        assert!(sentence.contains("no run to continue: the folder has no wagiri-run.txt"), "{sentence}");
    }
    assert!(!missing.exists());
    assert_eq!(files(&foreign).len(), 1);
    // A damaged record is no obstacle to a new run.
    ok(&scan, &out, &[]);
    assert_eq!(entries(&out).len(), ROWS);
}

#[test]
fn two_runs_do_not_write_to_one_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scan, out) = stopped(folder.path(), &[]);
    let held = File::options().read(true).write(true).open(out.join(RECORD)).expect("the record");
    held.lock().expect("a lock");
    for more in [&[][..], &["--resume"]] {
        assert!(fails(&scan, &out, more).1.contains("another run is writing to this folder"));
    }
    // The system drops the lock with the file.
    drop(held);
    ok(&scan, &out, &["--resume"]);
}

#[test]
fn runs_without_record_share_a_folder_and_leave_nothing_that_claims_their_slices() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scan, out) = stopped(folder.path(), &[]);
    let held = File::options().read(true).write(true).open(out.join(RECORD)).expect("the record");
    held.lock().expect("a lock");
    assert!(fails(&scan, &out, &["--no-record", "--rows", "0..3"]).1.contains("another run is writing to this folder"));
    drop(held);
    let expected = files(&out);
    for rows in ["0..20", "20..128"] {
        ok(&scan, &out, &["--no-record", "--rows", rows]);
        assert!(!out.join(RECORD).exists());
    }
    assert!(files(&out) == expected);
    assert!(fails(&scan, &out, &["--resume"]).1.contains("no run to continue"));
}
