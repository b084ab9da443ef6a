//! Two scans of one object at two heights as a detector writes them, and `wagiri` run on them.

use super::{Ellipse, sinogram};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;
use wagiri::io::read_slice;

pub const COLS: usize = 96;
pub const ROWS: usize = 40;
pub const VIEWS: usize = 120;
/// Rows that both scans see.
pub const OVERLAP: usize = 10;
/// 2 darks, 2 direct beams, the views, one at 180 degrees, 2 direct beams.
pub const FRAMES: usize = 2 + 2 + VIEWS + 1 + 2;
pub const PIXEL_UM: f64 = 100.0;
pub const AXES: [f64; 2] = [47.0, 48.0];
pub const DARK: u16 = 20;

/// x, y, z of the middle (z is 0 at the first row of the first scan), radius, px; 1/cm.
pub const BALLS: [[f64; 5]; 6] = [
    [0.0, 0.0, 35.0, 31.0, 2.0],
    [12.0, -8.0, 22.0, 8.0, 1.5],
    [-15.0, 10.0, 44.0, 9.0, 1.0],
    [5.0, 14.0, 35.0, 6.0, -1.0],
    [-8.0, -12.0, 33.0, 5.0, 2.0],
    [16.0, 6.0, 38.0, 4.0, 1.0],
];

/// The discs that the plane `z` cuts out of the balls.
pub fn discs(z: f64) -> Vec<Ellipse> {
    let cut = |&[x, y, at, radius, mu]: &[f64; 5]| {
        let square = radius * radius - (z - at) * (z - at);
        (square > 0.0).then(|| Ellipse::disc(x, y, square.sqrt(), mu))
    };
    BALLS.iter().filter_map(cut).collect()
}

/// Counts of all frames of scan `scan`, `[frame][row * COLS + col]`, in the order in which they are taken.
pub fn counts(scan: usize, beam: u16) -> Vec<Vec<u16>> {
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
pub fn hamamatsu(pixels: &[u16], code: u16, declared: usize) -> Vec<u8> {
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

/// A record for each projection over half a turn, direct beams before and after, and the view half a turn after the first.
fn log() -> String {
    let mut text = String::from("00001 0.0 0.0 0\r\n");
    for m in 0..VIEWS {
        write!(text, "{:05} {m}.5 {:.4} 1\r\n", m + 2, 180.0 * m as f64 / VIEWS as f64).unwrap();
    }
    let last = VIEWS + 2;
    write!(text, "{last} {VIEWS} 0.0 0\r\n\r\n\r\n\r\n{} {VIEWS}.1 0.0 0\r\n", last + 1).unwrap();
    write!(text, "{} {VIEWS}.2 180.0 1\r\n", last + 2).unwrap();
    text
}

pub fn conv_bat() -> String {
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
pub fn series(folder: &Path, code: u16, interleaved: bool) {
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
    fs::write(folder.join("output.log"), log()).unwrap();
}

pub fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wagiri"));
    for name in ["KERNEL_SIZE", "PAD_THRESH", "CBP_THREADS", "HPTG_MEM_LIMIT_MB", "HPTG_CHUNK_ROWS"] {
        command.env_remove(name);
    }
    command.current_dir(folder).args(words);
    command
}

pub fn run(folder: &Path, words: &[&str]) -> Output {
    command(folder, words).output().expect("wagiri must start")
}

pub fn ok(folder: &Path, words: &[&str]) -> String {
    let output = run(folder, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

pub fn fails(folder: &Path, words: &[&str]) -> String {
    let output = run(folder, words);
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!output.status.success() && !text.contains("panicked"), "{words:?}: {text}");
    text
}

/// What hp_tg computes, in stages.
pub const HP_TG: &str = "normalise | ring.sort kernel_px=5 | recon.fbp pad=slice filter=chesler engine=direct";
/// The axis of the middle row, as ct_rec searches it.
pub const ONE_COMMAND: [&str; 10] =
    ["zscan", "a.his", "out", "--scans", "2", "--chain", HP_TG, "--pixel-um", "100", "--method=rmsd"];

pub fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ONE_COMMAND.iter().chain(more).copied().collect()
}

/// TIFF files of a folder: name, pixels.
pub fn slices(folder: &Path) -> BTreeMap<String, ndarray::Array2<f32>> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "tif"));
    let read = |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), read_slice(&path).unwrap());
    paths.map(read).collect()
}

/// All files of a folder and those in it but records of runs, with their bytes.
pub fn bytes(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
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
pub fn same(a: &BTreeMap<String, ndarray::Array2<f32>>, b: &BTreeMap<String, ndarray::Array2<f32>>) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, slice) in a {
        assert!(*slice == b[name], "{name} differs");
    }
}

pub fn when(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).modified().unwrap()
}
