//! Two scans of one object at two heights, in one `.his` file: `wagiri zscan` and the old chain of programs make the same
//! volume of it, and a stopped command goes on where it was.

mod common;
mod scans;

use common::{Ellipse, sinogram};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};
use wagiri::io::read_slice;

const COLS: usize = 96;
const ROWS: usize = 40;
const VIEWS: usize = 120;
/// Rows that both scans see.
const OVERLAP: usize = 10;
/// 2 darks, 2 direct beams, the views, one at 180 degrees, 2 direct beams.
const FRAMES: usize = 2 + 2 + VIEWS + 1 + 2;
const PIXEL_UM: f64 = 100.0;
const AXES: [f64; 2] = [47.0, 48.0];
const DARK: u16 = 20;

/// x, y, z of the middle (z is 0 at the first row of the first scan), radius, px; 1/cm.
const BALLS: [[f64; 5]; 6] = [
    [0.0, 0.0, 35.0, 31.0, 2.0],
    [12.0, -8.0, 22.0, 8.0, 1.5],
    [-15.0, 10.0, 44.0, 9.0, 1.0],
    [5.0, 14.0, 35.0, 6.0, -1.0],
    [-8.0, -12.0, 33.0, 5.0, 2.0],
    [16.0, 6.0, 38.0, 4.0, 1.0],
];

/// The discs that the plane `z` cuts out of the balls.
fn discs(z: f64) -> Vec<Ellipse> {
    let cut = |&[x, y, at, radius, mu]: &[f64; 5]| {
        let square = radius * radius - (z - at) * (z - at);
        (square > 0.0).then(|| Ellipse::disc(x, y, square.sqrt(), mu))
    };
    BALLS.iter().filter_map(cut).collect()
}

/// Counts of all frames of scan `scan`, `[frame][row * COLS + col]`, in the order in which they are taken.
fn counts(scan: usize, beam: u16) -> Vec<Vec<u16>> {
    let mut angles: Vec<f64> = (0..VIEWS).map(|m| std::f64::consts::PI * m as f64 / VIEWS as f64).collect();
    angles.push(std::f64::consts::PI);
    let flat = |value: u16| vec![value; ROWS * COLS];
    let mut frames = vec![flat(DARK), flat(DARK), flat(beam), flat(beam)];
    let mut views = vec![vec![0u16; ROWS * COLS]; VIEWS + 1];
    for row in 0..ROWS {
        let z = (scan * (ROWS - OVERLAP) + row) as f64;
        let absorbance = sinogram(&discs(z), &angles, COLS, AXES[scan], PIXEL_UM);
        for ((m, col), p) in absorbance.indexed_iter() {
            let light = f64::from(beam - DARK) * (-f64::from(*p)).exp();
            views[m][row * COLS + col] = DARK + light.round() as u16;
        }
    }
    frames.extend(views);
    frames.extend([flat(beam), flat(beam)]);
    frames
}

/// One Hamamatsu frame of pixel type `code`.
fn hamamatsu(pixels: &[u16], code: u16, declared: usize) -> Vec<u8> {
    let mut bytes = vec![0u8; 64];
    bytes[..2].copy_from_slice(b"IM");
    bytes[4..6].copy_from_slice(&(COLS as u16).to_le_bytes());
    bytes[6..8].copy_from_slice(&(ROWS as u16).to_le_bytes());
    bytes[12..14].copy_from_slice(&code.to_le_bytes());
    bytes[14..18].copy_from_slice(&(declared as u32).to_le_bytes());
    match code {
        0 => bytes.extend(pixels.iter().map(|v| *v as u8)),
        2 => bytes.extend(pixels.iter().flat_map(|v| v.to_le_bytes())),
        _ => bytes.extend(
            pixels.chunks(2).flat_map(|p| [(p[0] >> 4) as u8, ((p[0] & 15) << 4 | p[1] >> 8) as u8, p[1] as u8]),
        ),
    }
    bytes
}

fn conv_bat() -> String {
    let mut bat = "@echo off\r\nhis2img a.his\r\nimg_ave a001.img a002.img dark.img\r\n\
                   img_ave a003.img a004.img q001.img\r\n"
        .to_owned();
    for m in 0..VIEWS {
        write!(bat, "ren a{:03}.img q{:03}.img\r\n", m + 5, m + 2).unwrap();
    }
    let (after, turned) = (VIEWS + 2, VIEWS + 5);
    write!(bat, "img_ave a{FRAMES:03}.img a{:03}.img q{after:03}.img\r\n", FRAMES - 1).unwrap();
    write!(bat, "copy q{after:03}.img q{:03}.img\r\n", after + 1).unwrap();
    write!(bat, "copy a{turned:03}.img q{:03}.img\r\n", after + 2).unwrap();
    bat
}

/// `a.his`, `conv.bat` and `output.log` of both scans in `folder`.
fn series(folder: &Path, code: u16, interleaved: bool) {
    // Nearly all that the type holds.
    let beam = match code {
        0 => 240,
        6 => 4000,
        _ => 60000,
    };
    fs::create_dir_all(folder).unwrap();
    let scans = [counts(0, beam), counts(1, beam)];
    let mut bytes = Vec::new();
    for i in 0..2 * FRAMES {
        let (scan, frame) = if interleaved { (i % 2, i / 2) } else { (i / FRAMES, i % FRAMES) };
        bytes.extend(hamamatsu(&scans[scan][frame], code, 2 * FRAMES));
    }
    fs::write(folder.join("a.his"), bytes).unwrap();
    fs::write(folder.join("conv.bat"), conv_bat()).unwrap();
    fs::write(folder.join("output.log"), scans::log(VIEWS, "\r\n")).unwrap();
}

fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wagiri"));
    for name in ["KERNEL_SIZE", "PAD_THRESH", "CBP_THREADS", "HPTG_MEM_LIMIT_MB", "HPTG_CHUNK_ROWS"] {
        command.env_remove(name);
    }
    command.current_dir(folder).args(words);
    command
}

fn run(folder: &Path, words: &[&str]) -> Output {
    command(folder, words).output().expect("wagiri must start")
}

fn ok(folder: &Path, words: &[&str]) -> String {
    let output = run(folder, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn fails(folder: &Path, words: &[&str]) -> String {
    let output = run(folder, words);
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!output.status.success() && !text.contains("panicked"), "{words:?}: {text}");
    text
}

/// What hp_tg computes, in stages.
const HP_TG: &str = "normalise | ring.sort kernel_px=5 | recon.fbp pad=slice filter=chesler engine=direct";
/// The axis of the middle row, as ct_rec searches it.
const ONE_COMMAND: [&str; 10] =
    ["zscan", "a.his", "out", "--scans", "2", "--chain", HP_TG, "--pixel-um", "100", "--method=rmsd"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ONE_COMMAND.iter().chain(more).copied().collect()
}

/// TIFF files of a folder: name, pixels.
fn slices(folder: &Path) -> BTreeMap<String, ndarray::Array2<f32>> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "tif"));
    let read = |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), read_slice(&path).unwrap());
    paths.map(read).collect()
}

/// All files of a folder and those in it but records of runs, with their bytes.
fn bytes(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for path in fs::read_dir(next).unwrap().map(|e| e.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|e| e != "txt" && e != "toml") {
                all.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(path).unwrap());
            }
        }
    }
    all
}

/// Same names, same pixels.
fn same(a: &BTreeMap<String, ndarray::Array2<f32>>, b: &BTreeMap<String, ndarray::Array2<f32>>) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, slice) in a {
        assert!(*slice == b[name], "{name} differs");
    }
}

fn when(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).modified().unwrap()
}

#[test]
fn one_command_and_the_old_sequence_give_the_same_volume() {
    for code in [0, 6, 2] {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path();
        series(folder, code, false);
        // The old way: split, look at a slice of each, reconstruct with its axis, stack by rows that are chosen, 8 bits.
        ok(folder, &["spl", &FRAMES.to_string(), "2"]);
        let said = ok(folder, &["chk-rc", "2", &(ROWS / 2).to_string()]);
        assert!(said.contains("\t47.000000\t120\t") && said.contains("\t48.000000\t120\t"), "{said}");
        assert!(folder.join("rc-check/002.tif").is_file());
        let script = ok(folder, &["set-rc", "--print", "100"]);
        assert!(script.contains("cd 002\nhp_tg_g_c raw 100 48.000000 0.0 rec\n"), "{script}");
        ok(folder, &["set-rc", "100"]);
        // The new way.
        let range = ["--type", "u8", "--min", "-0.5", "--max", "5", "--overlap", "10", "--stack", "blend=cut"];
        ok(folder, &with(&range));
        // Nothing is rounded between: the darks and direct beams that are averaged are alike, so that their means, which
        // img_ave cuts off and zscan does not, are whole numbers. So all pixels are the same.
        for scan in ["001", "002"] {
            same(&slices(&folder.join("out").join(scan).join("rec")), &slices(&folder.join(scan).join("rec")));
        }
        // Half of the overlap of each scan is left out, as the cut in its middle does.
        ok(folder, &["rec_stk", "2", "5", "34"]);
        ok(folder, &["tif_f2i", "8", "whole/rec", "whole/ro", "-0.5", "5"]);
        let old = slices(&folder.join("whole/ro"));
        assert_eq!(old.len(), 2 * ROWS - 2 * OVERLAP);
        let mut new = slices(&folder.join("out/whole/ro"));
        assert_eq!(new.len(), 2 * ROWS - OVERLAP);
        new.retain(|name, _| old.contains_key(name));
        same(&new, &old);
    }
}

#[test]
fn the_whole_volume_is_the_object() {
    let top = tempfile::tempdir().unwrap();
    series(top.path(), 2, false);
    // Axes and overlap are searched.
    let said = run(
        top.path(),
        &["zscan", "a.his", "out", "--scans", "2", "--pixel-um", "100", "--cut", "zx,yz", "--memory-gb", "1"],
    );
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{stderr}");
    let whole = slices(&top.path().join("out/whole/rec"));
    assert_eq!(whole.len(), 2 * ROWS - OVERLAP, "{stderr}");
    let middle = (COLS as f64 - 1.0) / 2.0;
    for (z, slice) in whole.values().enumerate() {
        let discs = discs(z as f64);
        // Points well inside or outside every disc.
        for (x, y) in [(0.0, 0.0), (12.0, -8.0), (-15.0, 10.0), (5.0, 14.0), (-8.0, -12.0), (-20.0, -2.0), (0.0, 38.0)]
        {
            if discs.iter().all(|d| d.edge_distance_at_least(x, y) > 3.0) {
                let inside = discs.iter().filter(|d| d.level(x, y) < 1.0);
                let expected: f64 = inside.map(|d| d.mu_per_cm).sum();
                let (row, col) = ((middle - y).round() as usize, (middle + x).round() as usize);
                let mean = f64::from(slice.slice(ndarray::s![row - 1..=row + 1, col - 1..=col + 1]).mean().unwrap());
                // 120 views of 96 columns, edges of 4 px: a few percent of the largest step, 2 /cm.
                assert!((mean - expected).abs() < 0.12, "z {z}, ({x}, {y}): {mean} instead of {expected}");
            }
        }
    }
    // The same voxels in other directions: across x and down z, at every y.
    let (zx, yz) = (slices(&top.path().join("out/whole/rec_zx")), slices(&top.path().join("out/whole/rec_yz")));
    assert_eq!((zx.len(), yz.len()), (COLS, COLS));
    for (z, slice) in whole.values().enumerate().step_by(9) {
        for (n, (cut, other)) in zx.values().zip(yz.values()).enumerate().step_by(7) {
            assert_eq!(cut.row(z), slice.row(n));
            assert_eq!(other.row(z), slice.column(n));
        }
    }
    let sheet = image_size(&top.path().join("out/axes.png"));
    assert!(sheet.0 > 2 * COLS && sheet.1 > COLS, "{sheet:?}");
}

fn image_size(path: &Path) -> (usize, usize) {
    let file = std::io::BufReader::new(fs::File::open(path).unwrap());
    let mut png = png::Decoder::new(file);
    let info = png.read_header_info().unwrap();
    (info.width as usize, info.height as usize)
}

#[test]
fn the_scans_are_the_same_wherever_their_frames_are() {
    let top = tempfile::tempdir().unwrap();
    let [one, turns, tiff, folders] = ["one", "turns", "tiff", "folders"].map(|name| top.path().join(name));
    series(&one, 6, false);
    ok(&one, &with(&["--stop-after", "scans"]));
    let expected = [1, 2].map(|scan| slices(&one.join(format!("out/{scan:03}/rec"))));
    assert_eq!(expected[0].len(), ROWS);
    series(&turns, 6, true);
    ok(&turns, &with(&["--stop-after", "scans", "--order", "interleaved"]));
    series(&tiff, 6, false);
    ok(&tiff, &["his2tif6", "a.his"]);
    fs::remove_file(tiff.join("a.his")).unwrap();
    let (chain, pixel, method) = (["--chain", HP_TG], ["--pixel-um", "100"], "--method=rmsd");
    let also = |words: &[&'static str]| -> Vec<&str> {
        words.iter().chain(&chain).chain(&pixel).copied().chain([method, "--stop-after", "scans"]).collect()
    };
    ok(&tiff, &also(&["zscan", ".", "out", "--scans", "2", "--frames", "127"]));
    series(&folders, 6, false);
    ok(&folders, &["spl", &FRAMES.to_string(), "2"]);
    fs::remove_file(folders.join("a.his")).unwrap();
    ok(&folders, &also(&["zscan", ".", "out"]));
    for folder in [&turns, &tiff, &folders] {
        for (scan, expected) in (1..).zip(&expected) {
            same(&slices(&folder.join(format!("out/{scan:03}/rec"))), expected);
        }
    }
    // One scan by the usual command.
    ok(&one, &["run", "a.his", "second", "--part", "2/2", "--chain", HP_TG, "--pixel-um", "100", "--center", "48"]);
    same(&slices(&one.join("second")), &expected[1]);
    // What it leaves beside its slices makes them again.
    ok(&one, &["run", "second/wagiri-chain.toml", "again"]);
    same(&slices(&one.join("again")), &expected[1]);
}

#[test]
fn a_killed_command_goes_on_to_the_same_bytes() {
    let top = tempfile::tempdir().unwrap();
    let (whole, killed) = (top.path().join("whole"), top.path().join("killed"));
    let more = ["--overlap", "10", "--cut", "zx", "--type", "u8", "--threads", "1", "--memory-gb", "0.01"];
    series(&whole, 2, false);
    ok(&whole, &with(&more));
    let expected = bytes(&whole.join("out"));
    assert!(expected.len() > 2 * ROWS);
    series(&killed, 2, false);
    let (begin, go_on) = (with(&more), with(&[more.as_slice(), &["--resume"]].concat()));
    let mut complete = false;
    // Times at which it is killed grow, so that it comes to its end on machines of any speed.
    for attempt in 0..200u64 {
        let begun = killed.join("out/wagiri-zscan.txt").is_file();
        let words = if begun { &go_on } else { &begin };
        let mut child = command(&killed, words).stdout(std::process::Stdio::null()).spawn().unwrap();
        let patience = Duration::from_millis(30 + 17 * attempt);
        let until = std::time::Instant::now() + patience;
        while std::time::Instant::now() < until && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "attempt {attempt}");
            complete = true;
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(complete, "it never came to its end");
    let got = bytes(&killed.join("out"));
    assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, bytes) in &expected {
        assert!(got[name] == *bytes, "{} differs", name.display());
    }
    // A complete series is left as it is, even without the slices that it was made from.
    let one = killed.join("out/whole/ro/ro00020.tif");
    let before = when(&one);
    fs::remove_dir_all(killed.join("out/001")).unwrap();
    let said = ok(&killed, &go_on);
    assert!(said.contains("whole        complete"), "{said}");
    assert!(when(&one) == before && !killed.join("out/001").exists());
}

#[test]
fn a_corrected_axis_makes_its_scan_again_and_no_other() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path();
    series(folder, 2, false);
    ok(folder, &with(&["--stop-after", "scans"]));
    let axes = folder.join("out/axes.txt");
    let found = fs::read_to_string(&axes).unwrap();
    assert!(found.contains("\n001 47 ") && found.contains("\n002 48 "), "{found}");
    let (first, second) = (folder.join("out/001/rec/rec00020.tif"), folder.join("out/002/rec/rec00020.tif"));
    let (before, slice, sheet) = (when(&first), read_slice(&second).unwrap(), when(&folder.join("out/axes.png")));
    std::thread::sleep(Duration::from_millis(20));
    fs::write(&axes, found.replace("\n002 48 ", "\n002 49.5 ")).unwrap();
    ok(folder, &with(&["--stop-after", "scans", "--resume"]));
    assert_eq!(when(&first), before);
    assert!(when(&folder.join("out/axes.png")) > sheet, "the picture shows the corrected axis");
    assert!(read_slice(&second).unwrap() != slice);
    let description = wagiri::io::read_description(&second).unwrap();
    assert!(description.contains("\t49.500000\t"), "{description}");
    // An axis that is not known stops before the slices, and says where to write it.
    fs::write(&axes, "1 47\n2 ? \n").unwrap();
    let text = fails(folder, &with(&["--resume"]));
    assert!(text.contains("axes.txt: the axis of scan 002 is not known"), "{text}");
    // A file of axes goes before what was found.
    fs::write(folder.join("mine.txt"), "# mine\n1 47\n2 48\n").unwrap();
    let words = with(&["--stop-after", "scans", "--resume", "--axes", "mine.txt"]);
    ok(folder, &words);
    assert_eq!((when(&first), read_slice(&second).unwrap()), (before, slice));
}

#[test]
fn what_cannot_be_done_is_said() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path();
    series(folder, 2, false);
    let cases: [(&[&str], &str); 10] = [
        (&["zscan", "a.his", "out"], "--scans N"),
        (&["zscan", "none.his", "out", "--scans", "2"], "no such file or folder"),
        (&["zscan", "a.his", "out", "--scans", "3"], "part=1/3x84"),
        (&["zscan", "a.his", "out", "--scans", "2", "--frames", "128"], "fewer than 2 scans of 128"),
        (&["zscan", "a.his", "out", "--scans", "2", "--order", "up"], "sequential or interleaved"),
        (&["zscan", "a.his", "out", "--scans", "2", "--cut", "xy"], "zx or yz"),
        (&["zscan", "a.his", "out", "--scans", "2", "--resume"], "no series to continue"),
        (&["zscan", "a.his", "out", "--scans", "2", "--axes", "conv.bat"], "expected the axis of scan 1"),
        (&["zscan", "a.his", "out", "--scans", "2", "--chain", "normalise"], "raw projections to slices"),
        (&["run", "a.his", "out", "--part", "3/2"], "expected K/N"),
    ];
    for (words, what) in cases {
        let text = fails(folder, words);
        assert!(text.contains(what), "{words:?}: {text}");
        assert!(!folder.join("out/001").exists(), "{words:?}");
    }
    // An axis that cannot be found: nothing in the beam.
    let empty = folder.join("empty");
    series(&empty, 2, false);
    let frame = hamamatsu(&vec![60000; ROWS * COLS], 2, 2 * FRAMES);
    let dark = hamamatsu(&vec![DARK; ROWS * COLS], 2, 2 * FRAMES);
    let frames = |i: usize| if i % FRAMES < 2 { &dark } else { &frame };
    fs::write(empty.join("a.his"), (0..2 * FRAMES).flat_map(|i| frames(i).clone()).collect::<Vec<u8>>()).unwrap();
    let text = fails(&empty, &["zscan", "a.his", "out", "--scans", "2", "--pixel-um", "100"]);
    assert!(text.contains("the axis of scan 001 is not known"), "{text}");
    assert!(empty.join("out/axes.png").is_file(), "there is a picture to look at");
    assert!(fs::read_to_string(empty.join("out/axes.txt")).unwrap().contains("\n001 ? "));
}
