//! HiPic scans of phantoms on disk, and ct-rec's programs run on them.
#![allow(dead_code)]

use crate::common::{Ellipse, sinogram, xy};
use ndarray::{Array2, Array3};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use wagiri::geometry::uniform_angles;
use wagiri::io::{GreyTags, SampleType, read_description, read_slice, write_image};

pub const DARK: u16 = 100;
pub const BEAM: u16 = 60_100;
pub const PIXEL_UM: f64 = 10.0;

/// How a scan is taken.
#[derive(Clone, Copy)]
pub struct Taken {
    pub views: usize,
    pub rows: usize,
    pub cols: usize,
    pub center: f64,
    pub turn_deg: f64,
    /// Rows by which the sample stands lower in the first half of the views; higher if negative.
    pub lower: isize,
}

/// A HiPic frame.
pub fn img(path: &Path, pixels: &Array2<u16>) {
    let mut bytes = vec![0u8; 64];
    bytes[..2].copy_from_slice(b"IM");
    bytes[4..6].copy_from_slice(&(pixels.ncols() as u16).to_le_bytes());
    bytes[6..8].copy_from_slice(&(pixels.nrows() as u16).to_le_bytes());
    bytes[12] = 2;
    bytes.extend(pixels.iter().flat_map(|v| v.to_le_bytes()));
    fs::write(path, bytes).expect("a frame");
}

/// A scan with the objects of each row, as counts `[view, row, col]` too: direct beam before and after, and, as ct-rec wants
/// it, direct beam and a view at the end of the turn behind blank lines.
pub fn scan(folder: &Path, taken: Taken, objects: impl Fn(usize) -> Vec<Ellipse>) -> Array3<u16> {
    let Taken { views, rows, cols, center, turn_deg, lower } = taken;
    fs::create_dir_all(folder).expect("a folder");
    let mut angles = uniform_angles(views, 0.0, turn_deg.to_radians());
    angles.push(turn_deg.to_radians());
    let sinos: Vec<Array2<f32>> =
        (0..rows + lower.unsigned_abs()).map(|row| sinogram(&objects(row), &angles, cols, center, PIXEL_UM)).collect();
    let counts = Array3::from_shape_fn((views + 1, rows, cols), |(m, y, x)| {
        let row = y + if m < views / 2 { -lower } else { lower }.max(0) as usize;
        let p = f64::from(sinos[row][[m, x]]);
        (f64::from(DARK) + f64::from(BEAM - DARK) * (-p).exp()).round() as u16
    });
    let flat = |value| Array2::from_elem((rows, cols), value);
    img(&folder.join("dark.img"), &flat(DARK));
    let mut log = String::from("00001 0.0 0.0 0\n");
    let name = |frame: usize| folder.join(format!("q{frame:04}.img"));
    [1, views + 2, views + 3].iter().for_each(|frame| img(&name(*frame), &flat(BEAM)));
    for m in 0..views {
        img(&name(m + 2), &counts.index_axis(ndarray::Axis(0), m).to_owned());
        writeln!(log, "{:05} {}.5 {:.4} 1", m + 2, m, turn_deg * m as f64 / views as f64).expect("a line");
    }
    img(&name(views + 4), &counts.index_axis(ndarray::Axis(0), views).to_owned());
    writeln!(log, "{:05} {views}.5 0.0 0\n\n\n", views + 2).expect("a line");
    writeln!(log, "{:05} {}.5 0.0 0", views + 3, views + 1).expect("a line");
    writeln!(log, "{:05} {}.5 {turn_deg} 1", views + 4, views + 2).expect("a line");
    fs::write(folder.join("output.log"), log).expect("a log");
    counts
}

/// Runs a program in `folder` with no other of ct-rec's variables than those given.
pub fn run_with(folder: &Path, env: &[(&str, &str)], words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wagiri"));
    let own = ["KERNEL_SIZE", "PAD_THRESH", "CBP_THREADS", "OMP_NUM_THREADS", "OFCT_DO_SMOOTH", "CT_EXE", "THREADS"];
    let theirs = |n: &str| own.contains(&n) || ["HPTG_", "CT_REC_", "RHP_"].iter().any(|start| n.starts_with(start));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(theirs)) {
        command.env_remove(name);
    }
    command.current_dir(folder).envs(env.iter().copied()).args(words).output().expect("wagiri must start")
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a run without error prints.
pub fn ok_with(folder: &Path, env: &[(&str, &str)], words: &[&str]) -> String {
    let output = run_with(folder, env, words);
    assert!(output.status.success(), "{words:?}: {}", said(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

pub fn ok(folder: &Path, words: &[&str]) -> String {
    ok_with(folder, &[], words)
}

/// What a run that must fail complains of; never a panic.
pub fn fails(folder: &Path, words: &[&str]) -> String {
    let output = run_with(folder, &[], words);
    let text = said(&output);
    assert!(!output.status.success(), "{words:?} must fail: {text}");
    assert!(output.status.code().is_some_and(|code| code != 101) && !text.contains("panicked"), "{words:?}: {text}");
    assert!(!text.trim().is_empty(), "{words:?}: no sentence");
    text
}

pub fn image(path: &Path) -> Array2<f32> {
    read_slice(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn write_float(path: &Path, image: &Array2<f32>, text: &str) {
    let tags = GreyTags { description: Some(text), artist: "test", pixel_um: None };
    write_image(path, image.view(), SampleType::F32, &tags).expect("an image");
}

pub fn fields(path: &Path) -> Vec<f64> {
    let text = read_description(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.trim_end_matches('\0').split('\t').map(|f| f.trim().parse().expect("a number")).collect()
}

pub fn log_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("cmd-hst.log")).expect("a log")
}

/// The last line of a log without its newline: trailing spaces belong to it.
pub fn last_line(folder: &Path) -> String {
    log_of(folder).trim_end_matches('\n').rsplit('\n').next().unwrap_or_default().to_owned()
}

/// Names in a folder.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut names: Vec<String> =
        entries.map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// A disc must be there with its value in 1/cm: the mean over its inner part, and the centroid of what is above half of it.
pub fn has_disc(slice: &Array2<f32>, disc: &Ellipse, tolerance: f64) {
    let size = slice.nrows();
    let (mut sum, mut count, mut mass, mut x, mut y) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for ((row, col), value) in slice.indexed_iter() {
        let (px, py) = xy(size, row, col);
        let (dx, dy, v) = (px - disc.x, py - disc.y, f64::from(*value));
        let r = dx.hypot(dy);
        if r < disc.a - 3.0 {
            (sum, count) = (sum + v, count + 1.0);
        }
        if r < disc.a + 3.0 {
            (mass, x, y) = (mass + v, x + v * dx, y + v * dy);
        }
    }
    let mean: f64 = sum / count;
    assert!((mean - disc.mu_per_cm).abs() < tolerance * disc.mu_per_cm, "{disc:?}: {mean}");
    // A disc that is a pixel off, or doubled a pixel apart, is seen; what is around it pulls by less.
    assert!((x / mass).abs() < 0.15 && (y / mass).abs() < 0.15, "{disc:?}: off by {}, {}", x / mass, y / mass);
}

pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ct-rec-100").join(name)
}

/// Largest difference over the largest value.
pub fn worst(a: &Array2<f32>, b: &Array2<f32>) -> f32 {
    assert_eq!(a.dim(), b.dim());
    let largest = b.iter().fold(0f32, |m, v| m.max(v.abs()));
    a.iter().zip(b).fold(0f32, |m, (x, y)| m.max((x - y).abs())) / largest
}
