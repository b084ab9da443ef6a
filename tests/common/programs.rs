//! ct-rec's programs run in a temporary folder, on golden data and on volumes made there.

// Each test file uses its own part.
#![allow(dead_code)]

use ndarray::{Array2, ArrayView2};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use wagiri::io::{GreyTags, SampleType, read_description, read_image, write_image};

/// A folder to work in.
pub struct Work(tempfile::TempDir);

impl Work {
    pub fn new() -> Self {
        Work(tempfile::tempdir().expect("a temporary folder"))
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    /// Runs a program there, with nothing of ct-rec's variables.
    pub fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wagiri"));
        for name in ["OMP_NUM_THREADS", "CBP_THREADS", "THREADS", "HPTG_MEM_LIMIT_MB", "HPTG_MEM_FRACTION"] {
            command.env_remove(name);
        }
        command.current_dir(self.0.path()).args(args).output().expect("wagiri must start")
    }
    /// What it prints.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }
    /// What it complains of.
    pub fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.code().is_some_and(|code| code != 0), "{args:?} must fail");
        String::from_utf8(output.stderr).expect("UTF-8")
    }
    pub fn names(&self, folder: &str) -> Vec<String> {
        names(&self.path(folder))
    }
    pub fn pixels(&self, file: &str) -> Array2<f32> {
        read_image(&self.path(file)).expect(file).pixels
    }
    pub fn description(&self, file: &str) -> Vec<f64> {
        fields(&self.path(file))
    }
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("cmd-hst.log")).expect("the command log")
    }
    /// Writes `count` slices `PREFIX%05d.tif` from `first` on, with descriptions as those of hp_tg.
    pub fn volume(&self, folder: &str, prefix: &str, first: usize, count: usize, slice: impl Fn(usize) -> Array2<f32>) {
        std::fs::create_dir_all(self.path(folder)).expect("a folder");
        let sample = match prefix {
            "rec" => SampleType::F32,
            "ro" => SampleType::U8,
            _ => SampleType::U16,
        };
        for z in 0..count {
            let path = self.path(folder).join(format!("{prefix}{:05}.tif", first + z));
            save(&path, slice(z).view(), sample, z);
        }
    }
}

pub fn save(path: &Path, pixels: ArrayView2<f32>, sample: SampleType, z: usize) {
    let (low, high) = pixels.iter().fold((f32::MAX, f32::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
    let text = format!("2.000000\t{:.6}\t180\t0.500000\t{low:.6}\t{high:.6}", 10.0 + z as f64);
    write_image(path, pixels, sample, &GreyTags { description: Some(&text), artist: "hp_tg", pixel_um: Some(2.0) })
        .expect("a slice");
}

pub fn golden(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ct-rec-100/rec").join(name);
    path.to_str().expect("UTF-8").to_owned()
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut names: Vec<String> =
        entries.map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

pub fn fields(file: &Path) -> Vec<f64> {
    let text = read_description(file).expect("a description");
    text.split('\t').map(|f| f.trim().parse().expect("a number")).collect()
}

/// Same files, sizes and types; values within `tolerance` of the largest. Returns how many values differ.
pub fn compare(work: &Work, got: &str, expected: &str, tolerance: f32) -> usize {
    let expected = PathBuf::from(golden(expected));
    assert_eq!(work.names(got), names(&expected));
    let mut different = 0;
    for name in names(&expected) {
        let ours = read_image(&work.path(got).join(&name)).expect("ours");
        let theirs = read_image(&expected.join(&name)).expect("theirs");
        assert_eq!((ours.pixels.dim(), ours.sample), (theirs.pixels.dim(), theirs.sample), "{name}");
        let largest = theirs.pixels.iter().fold(0f32, |m, v| m.max(v.abs()));
        let pairs = ours.pixels.iter().zip(&theirs.pixels);
        let worst = pairs.clone().fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        different += pairs.filter(|(a, b)| a != b).count();
        println!("{got}/{name}: {:.2e} of the maximum", worst / largest);
        assert!(worst <= tolerance * largest, "{got}/{name}: {} of the maximum", worst / largest);
    }
    different
}
