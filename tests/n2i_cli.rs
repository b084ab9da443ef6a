//! `wagiri denoise` and `wagiri n2i` as a person uses them.

mod common;

use common::{Ellipse, Lcg, sinogram};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use wagiri::chain::n2i::{CHECKPOINT, LOSSES, MODEL, PREVIEW, WORK_FILE};
use wagiri::geometry::uniform_angles;
use wagiri::io::read_slice;

const ROWS: usize = 10;
const COLS: usize = 40;
const VIEWS: usize = 36;

/// A scan of discs in TIFF files.
fn scan(folder: &Path) -> PathBuf {
    let scan = folder.join("scan");
    fs::create_dir(&scan).expect("a folder");
    let angles = uniform_angles(VIEWS, 0.0, std::f64::consts::PI);
    let discs = [Ellipse::disc(0.0, 0.0, 15.0, 40.0), Ellipse::disc(5.0, 4.0, 4.0, 60.0)];
    let lines = sinogram(&discs, &angles, COLS, 19.5, 10.0);
    let mut noise = Lcg(1);
    let mut pages = |name: &str, pages: usize, value: &dyn Fn(usize, usize) -> f64| {
        let mut file = tiff::encoder::TiffEncoder::new(File::create(scan.join(name)).expect("a file")).expect("TIFF");
        for page in 0..pages {
            let pixel = |i: usize| (value(page, i % COLS) + 900.0 * noise.unit()) as u16;
            let pixels: Vec<u16> = (0..ROWS * COLS).map(pixel).collect();
            file.write_image::<tiff::encoder::colortype::Gray16>(COLS as u32, ROWS as u32, &pixels).expect("a page");
        }
    };
    pages("frames.tif", VIEWS, &|view, col| 100.0 + 20000.0 * (-f64::from(lines[[view, col]])).exp());
    pages("flat.tif", 1, &|_, _| 20100.0);
    pages("dark.tif", 1, &|_, _| 100.0);
    scan
}

const CHAIN: &[&str] =
    &["--angles", "180", "--pixel-um", "10", "--center", "19.5", "--threads", "2", "--device", "cpu"];
/// Seconds of training.
const TINY: &[&str] = &[
    "--channels",
    "3",
    "--base-width",
    "8",
    "--depth",
    "1",
    "--patch-px",
    "16",
    "--batch",
    "2",
    "--slices-per-epoch",
    "8",
    "--epochs",
    "3",
    "--held-out",
    "2",
];

fn wagiri(words: &[&str], more: &[&[&str]]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wagiri"));
    command.args(words).args(more.iter().copied().flatten());
    command.output().expect("it must start")
}

fn ok(words: &[&str], more: &[&[&str]]) -> String {
    let output = wagiri(words, more);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {stderr}");
    format!("{}{stderr}", String::from_utf8_lossy(&output.stdout))
}

fn fails(words: &[&str], more: &[&[&str]]) -> (Option<i32>, String) {
    let output = wagiri(words, more);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Names and bytes of the slices.
fn slices(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).expect("the folder").map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.extension().is_some_and(|e| e == "tif"));
    files
        .map(|path| (text(&path).rsplit('/').next().expect("a name").to_owned(), fs::read(&path).expect("bytes")))
        .collect()
}

#[test]
fn a_scan_is_denoised_in_one_command_and_in_single_steps() {
    let dir = tempfile::tempdir().expect("a folder");
    let (scan, out, at_once) = (scan(dir.path()), dir.path().join("clean"), dir.path().join("clean.n2i"));
    let said = ok(&["denoise", text(&scan), text(&out), "--subsets", "3"], &[CHAIN, TINY]);
    for line in [
        "epoch 1/3: training loss",
        "epoch 3/3",
        "training     finished after 3 epochs, 12 steps",
        "slices       10 in",
    ] {
        assert!(said.contains(line), "{line} in\n{said}");
    }
    for file in [WORK_FILE, CHECKPOINT, LOSSES, PREVIEW, MODEL] {
        assert!(at_once.join(file).is_file(), "{file}");
    }
    assert!(!at_once.join("subset0").exists(), "the subsets are removed");
    let denoised = slices(&out);
    assert_eq!(denoised.len(), ROWS);
    let slice = read_slice(&out.join("rec00004.tif")).expect("a slice");
    assert!(slice.iter().all(|v| v.is_finite()) && slice[[0, 0]] == 0.0 && slice[[20, 20]] != 0.0);
    // Complete: nothing is done, though the subsets are gone.
    let again = ok(&["denoise", text(&scan), text(&out), "--subsets", "3", "--resume"], &[CHAIN, TINY]);
    assert!(again.contains("nothing was left to do") && !again.contains("epoch 1/3"), "{again}");
    let (code, refused) =
        fails(&["denoise", text(&scan), text(&out), "--subsets", "3", "--resume", "--rings", "9"], &[CHAIN, TINY]);
    assert!(code == Some(2) && refused.contains("the chain changed"), "{refused}");

    let (work, model) = (dir.path().join("work"), dir.path().join("own.safetensors"));
    ok(&["n2i", "split", text(&scan), text(&work), "--subsets", "3"], &[&CHAIN[..8]]);
    let trained = ok(&["n2i", "train", text(&work), text(&model), "--progress", "json", "--threads", "2"], &[TINY]);
    assert_eq!(trained.matches("\"event\":\"epoch\"").count(), 3, "{trained}");
    assert!(trained.contains("\"event\":\"trained\"") && trained.contains("\"validation_loss\":"), "{trained}");
    let by_scan = dir.path().join("by_scan");
    ok(&["n2i", "apply", text(&scan), text(&by_scan), "--model", text(&model)], &[CHAIN]);
    assert!(slices(&by_scan) == denoised, "one command gives the same bytes as single steps");
    let by_work = dir.path().join("by_work");
    ok(&["n2i", "apply", text(&work), text(&by_work), "--model", text(&model), "--device", "cpu"], &[]);
    for name in denoised.keys() {
        let read = |dir: &Path| read_slice(&dir.join(name)).expect("a slice");
        assert!(read(&by_work) == read(&out), "{name} from the subsets");
    }
    let third = dir.path().join("third");
    ok(&["denoise", text(&scan), text(&third), "--model", text(&model), "--rows", "2..4"], &[CHAIN]);
    assert!(slices(&third).iter().all(|(name, bytes)| denoised[name] == *bytes) && slices(&third).len() == 2);
    let info = ok(&["n2i", "info", text(&model)], &[]);
    for line in
        ["U-Net of 3 slices, base width 8", "subsets          3", "center_px=19.5", "pixel_um         10", "epochs"]
    {
        assert!(info.contains(line), "{line} in\n{info}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused_with_a_sentence() {
    let dir = tempfile::tempdir().expect("a folder");
    let (scan, out) = (scan(dir.path()), dir.path().join("clean"));
    let refused = |more: &[&str]| fails(&["denoise", text(&scan), text(&out)], &[CHAIN, more]);
    for (more, sentence) in [
        (&["--subsets", "5"][..], "too few views: each of the 5 subsets needs at least 8"),
        (&["--subsets", "x"], "--subsets: expected a number"),
        (&["--epochs", "0"], "epochs: expected"),
        (&["--learning-rate", "-1"], "learning_rate: expected"),
        (&["--preset", "huge"], "preset: expected small or large"),
        (&["--norm", "group"], "norm: expected batch or none"),
        (&["--model", "m.safetensors", "--epochs", "3"], "--epochs has no meaning"),
        (&["--rows", "3..4"], "a single slice"),
    ] {
        let (code, said) = refused(more);
        assert!(said.contains(sentence) && code == Some(2), "{more:?}, {code:?}: {said}");
    }
    let (code, said) = refused(&["--model", "nowhere.safetensors"]);
    assert!(code == Some(3) && said.contains("nowhere.safetensors: cannot read the model: no such file"), "{said}");
    let (code, said) = fails(&["n2i", "train", text(&out)], &[TINY]);
    assert!(code == Some(3) && said.contains("expected a work folder"), "{said}");
    let (code, _) = refused(&["--banana"]);
    assert_eq!(code, Some(2));
}

/// Ctrl-C in the training, then on along the same curve.
#[cfg(unix)]
#[test]
fn ctrl_c_stops_and_saves_and_resume_goes_on() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let dir = tempfile::tempdir().expect("a folder");
    let (scan, whole, out) = (scan(dir.path()), dir.path().join("whole"), dir.path().join("stopped"));
    let command = |out: &Path, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wagiri"));
        let words = ["denoise", text(&scan), text(out), "--subsets", "2", "--progress", "json"];
        command.args(words).args(CHAIN).args(TINY).args(more);
        command
    };
    let all = command(&whole, &[]).output().expect("it must start");
    assert!(all.status.success(), "{}", String::from_utf8_lossy(&all.stderr));
    let mut child = command(&out, &[]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it must start");
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut told = false;
    for line in lines {
        if line.expect("text").contains("\"event\":\"epoch\"") && !told {
            told = true;
            let done = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
            assert!(done.success());
        }
    }
    let code = child.wait().expect("it ends").code();
    // It may have been done before it heard.
    assert!(told && (code == Some(130) || code == Some(0)), "{code:?}");
    let rest = command(&out, &["--resume"]).output().expect("it must start");
    assert!(rest.status.success(), "{}", String::from_utf8_lossy(&rest.stderr));
    assert!(slices(&out) == slices(&whole));
    let curve = |out: &Path| {
        let table = fs::read_to_string(out.with_extension("n2i").join(LOSSES)).expect("losses");
        table.lines().map(|line| line.rsplit_once(',').expect("seconds").0.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(curve(&out), curve(&whole));
}
