//! The command line as a person uses it: real scans in, files and sentences out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use wagiri::io::{read_description, read_slice};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn wagiri(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wagiri")).args(args).output().expect("wagiri must start")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn ok(args: &[&str]) -> String {
    let output = wagiri(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Exit code and the sentence.
fn fails(args: &[&str]) -> (i32, String) {
    let output = wagiri(args);
    assert!(!output.status.success(), "{args:?} must fail");
    (output.status.code().expect("an exit code"), String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn info_tells_what_was_understood() {
    let tooth = ok(&["info", text(&data("tooth/tooth.h5"))]);
    for line in ["640 columns x 2 rows", "views        181", "covering 180.00 deg", "memory", "disk         3.3 MB"] {
        assert!(tooth.contains(line), "{line} in\n{tooth}");
    }
    let hipic = ok(&["info", text(&data("ct-rec-100/s180"))]);
    for line in ["hipic", "128 columns x 3 rows", "views        200", "I0 frames    3", "one more view at 180 deg"] {
        assert!(hipic.contains(line), "{line} in\n{hipic}");
    }
}

#[test]
fn tooth_is_reconstructed_from_raw_counts() {
    let out = tempfile::tempdir().expect("a folder");
    let rec = out.path().join("rec");
    let said = ok(&["run", text(&data("tooth/tooth.h5")), text(&rec), "--pixel-um", "1", "--slab-rows", "1"]);
    assert!(said.contains("slices       2"), "{said}");
    for z in 0..2 {
        let path = rec.join(format!("rec{z:05}.tif"));
        let slice = read_slice(&path).expect("a slice");
        assert_eq!(slice.dim(), (640, 640));
        let description = read_description(&path).expect("a description");
        let center: f64 = description.split('\t').nth(1).and_then(|f| f.parse().ok()).expect("the axis");
        // The published axis of this scan is column 296, and 295.5 to 296 from its first and last view.
        assert!((295.0..=296.5).contains(&center), "{center}");
        // A tooth absorbs: its middle is denser than the air in the corner of the circle.
        let mean = |y: usize, x: usize| slice.slice(ndarray::s![y..y + 20, x..x + 20]).mean().expect("a mean");
        assert!(mean(310, 310) > 5.0 * mean(310, 60).abs(), "{} {}", mean(310, 310), mean(310, 60));
    }
}

#[test]
fn savu_with_its_dead_pixel_gives_a_finite_volume() {
    let out = tempfile::tempdir().expect("a folder");
    let rec = out.path().join("rec");
    let scan = data("savu");
    let said = wagiri(&["run", text(&scan), text(&rec), "--angles", "angles.txt:10..101", "--pixel-um", "5"]);
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{stderr}");
    assert!(stderr.contains("repaired") || stderr.contains("filled"), "the dead pixel is reported: {stderr}");
    for z in [0, 67, 134] {
        let slice = read_slice(&rec.join(format!("rec{z:05}.tif"))).expect("a slice");
        assert!(slice.iter().all(|v| v.is_finite()));
    }
    let center = ok(&["center", text(&scan), "--angles", "angles.txt:10..101"]);
    let first = center.lines().next().and_then(|l| l.split_whitespace().nth(1)).expect("center_px");
    let center: wagiri::geometry::Center = first.parse().expect("an axis");
    assert!((center.at(67) - 86.0).abs() <= 1.0, "{center}");
}

#[test]
fn preview_writes_png_tiff_and_a_sheet() {
    let out = tempfile::tempdir().expect("a folder");
    let stem = out.path().join("look");
    let scan = data("tooth/tooth.h5");
    ok(&["preview", text(&scan), text(&stem), "--row", "1", "--center", "295.8", "--pixel-um", "2", "--sheet"]);
    let mut names: Vec<_> =
        std::fs::read_dir(out.path()).expect("files").map(|e| e.expect("one").file_name()).collect();
    names.sort();
    assert_eq!(names, ["look-sheet.png", "look.png", "look.tif"]);
    assert!(read_description(&out.path().join("look.tif")).expect("text").starts_with("2.000000\t295.800000\t181\t"));
    let mut png =
        png::Decoder::new(std::io::BufReader::new(std::fs::File::open(out.path().join("look.png")).expect("it")));
    let info = png.read_header_info().expect("a PNG");
    assert_eq!((info.width, info.height), (640, 640));
}

/// A copy of a HiPic scan whose log claims twice the angles.
fn full_turn_scan(folder: &Path) -> PathBuf {
    let scan = folder.join("full turn");
    std::fs::create_dir(&scan).expect("a folder");
    for entry in std::fs::read_dir(data("ct-rec-100/s180")).expect("the scan") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, scan.join(path.file_name().expect("a name"))).expect("a copy");
    }
    let log = std::fs::read_to_string(scan.join("output.log")).expect("the log");
    let doubled = log.lines().map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [frame, time, angle, flag] => {
            format!("{frame} {time} {} {flag}\n", 2.0 * angle.parse::<f64>().expect("an angle"))
        }
        _ => "\n".to_owned(),
    });
    std::fs::write(scan.join("output.log"), doubled.collect::<String>()).expect("the log");
    scan
}

#[test]
fn a_full_turn_is_refused_with_the_option_that_helps() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scan, rec) = (full_turn_scan(folder.path()), folder.path().join("rec"));
    let (code, sentence) = fails(&["run", text(&scan), text(&rec)]);
    assert_eq!(code, 4, "{sentence}");
    assert!(sentence.contains("covers 360.0 degrees") && sentence.contains("--turn full"), "{sentence}");
    let (code, sentence) = fails(&["hp_tg_t_c", text(&scan), "10", "60.7", "0", text(&rec)]);
    assert_eq!(code, 4, "{sentence}");
    assert!(sentence.contains("cover 360.0 degrees") && sentence.contains("--turn full"), "{sentence}");
    assert!(!rec.exists());
    ok(&["run", text(&scan), text(&rec), "--turn", "full", "--center", "60.7"]);
}

#[test]
fn wrong_words_get_a_sentence_and_an_exit_code() {
    let tooth = data("tooth/tooth.h5");
    let run = |more: &[&str]| {
        let mut args = vec!["run", text(&tooth), "unused-folder"];
        args.extend(more);
        fails(&args)
    };
    assert!(run(&["--filter", "hann"]).1.contains("expected one of chesler, shepp-logan, ramp"));
    assert!(run(&["--rows", "5..2"]).1.contains("expected A..B"));
    assert!(run(&["--rows", "0..9"]).1.contains("there are rows 0..2"));
    assert!(run(&["--pixel-um", "-1", "--center", "290"]).1.contains("pixel_um: expected a number from"));
    assert!(run(&["--center", "700"]).1.contains("must lie on the detector, 0 to 639 px"));
    assert!(run(&["--threads", "0"]).1.contains("expected 1 to 4096"));
    assert!(run(&["--set", "ring.sort"]).1.contains("expected STAGE.PARAM=VALUE"));
    assert!(run(&["--chain", "normalise | recon.fpb"]).1.contains("did you mean 'recon.fbp'?"));
    assert_eq!(run(&["--device", "gpu"]).0, 8);
    assert_eq!(run(&["--memory-gb", "0.001", "--center", "290"]).0, 7);
    assert_eq!(run(&["--fliter", "ramp"]).0, 2);
    assert_eq!(fails(&["info", "no/such/scan"]).0, 3);
    assert!(fails(&["stages", "ring.sorted"]).1.contains("did you mean 'ring.sort'?"));
    assert!(!Path::new("unused-folder").exists());
}

#[test]
fn stages_describe_themselves() {
    let list = ok(&["stages"]);
    for id in ["normalise", "ring.sort", "recon.fbp", "write.tiff"] {
        assert!(list.contains(id), "{list}");
    }
    let one = ok(&["stages", "ring.sort"]);
    assert!(one.contains("kernel_px (whole number, px)") && one.contains("(default 5)"), "{one}");
}

#[cfg(unix)]
#[test]
fn a_link_named_like_a_ct_rec_program_behaves_like_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("hp_tg_t_c");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wagiri"), &link).expect("a link");
    let output = Command::new(&link).output().expect("it must start");
    let sentence = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(sentence.contains("hp_tg_t_c: usage: hp_tg_t_c raw Dr RC RA0 rec, or"), "{sentence}");
    let (code, sentence) = fails(&["hp_tg_g_c", "no such folder", "1", "2", "0", "rec"]);
    assert_eq!(code, 3);
    assert!(sentence.contains("no GPU engine: computed on the CPU"), "{sentence}");
    assert!(sentence.contains("no such folder"), "{sentence}");
}

#[test]
fn slices_are_not_written_among_the_frames() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scan, frames) = (folder.path().join("savu"), folder.path().join("savu/projections"));
    std::fs::create_dir_all(&frames).expect("a folder");
    for (from, to) in [("savu", &scan), ("savu/projections", &frames)] {
        for entry in std::fs::read_dir(data(from)).expect("the scan") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
            }
        }
    }
    let angles = ["--angles", "angles.txt:10..101", "--center", "86"];
    let before = std::fs::read_dir(&frames).expect("frames").count();
    for out in [scan.clone(), frames.clone(), scan.join("../savu/projections")] {
        let (code, sentence) = fails(&[&["run", text(&scan), text(&out)], &angles[..]].concat());
        assert_eq!(code, 2);
        assert!(sentence.contains("this folder holds what is read"), "{sentence}");
    }
    let (_, sentence) = fails(&[&["preview", text(&scan), text(&frames.join("raw_00000"))], &angles[..]].concat());
    assert!(sentence.contains("this folder holds what is read"), "{sentence}");
    assert_eq!(std::fs::read_dir(&frames).expect("frames").count(), before);
    ok(&[&["run", text(&scan), text(&scan.join("rec")), "--rows", "3..5"], &angles[..]].concat());
    let (_, sentence) = fails(&[&["run", text(&scan), ""], &angles[..]].concat());
    assert!(sentence.contains("the name of the output folder is empty"), "{sentence}");
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_nobody_can_read_neither_panics_nor_hides_the_exit_code() {
    let run = |script: &str| {
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", script]).env("WAGIRI", env!("CARGO_BIN_EXE_wagiri"));
        shell.env("SCAN", data("tooth/tooth.h5")).output().expect("a shell")
    };
    assert_eq!(run("\"$WAGIRI\" info /no/such/scan 2>/dev/full").status.code(), Some(3));
    assert_eq!(run("\"$WAGIRI\" stages | head -c 0; true").status.code(), Some(0));
    let lost = run("\"$WAGIRI\" info \"$SCAN\" >/dev/full");
    assert_eq!(lost.status.code(), Some(6));
    assert_eq!(String::from_utf8_lossy(&lost.stderr).lines().count(), 1);
}

#[test]
fn progress_as_json_is_an_object_per_line_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    // Characters that JSON must escape come back in the summary.
    let rec = folder.path().join("a \"quoted\" \\ 再構成");
    let scan = data("ct-rec-100/s180");
    let lines = |output: &Output| -> Vec<serde_json::Value> {
        let stderr = std::str::from_utf8(&output.stderr).expect("UTF-8");
        stderr.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
    };
    let output = wagiri(&["run", text(&scan), text(&rec), "--progress", "json"]);
    assert!(output.status.success());
    let all = lines(&output);
    assert_eq!(all[0]["event"], "start");
    assert!(all.iter().any(|l| l["event"] == "message" && l["level"] == "info"));
    let done = all.iter().rfind(|l| l["event"] == "progress").expect("progress");
    assert_eq!(
        (done["done"].as_u64(), done["total"].as_u64(), done["fraction"].as_f64()),
        (Some(3), Some(3), Some(1.0))
    );
    let summary = all.last().expect("a line");
    assert_eq!((summary["event"].as_str(), summary["out"].as_str()), (Some("summary"), Some(text(&rec))));
    assert_eq!((summary["slices"].as_u64(), summary["found"].as_u64()), (Some(3), Some(0)));
    let times = summary["times_s"].as_object().expect("times");
    let sum: f64 = times.values().map(|t| t.as_f64().expect("seconds")).sum();
    // Rounded to a millisecond each.
    assert!(
        times.contains_key("recon.fbp") && sum <= summary["elapsed_s"].as_f64().expect("seconds") + 0.01,
        "{summary}"
    );
    assert!(summary["chain"].as_str().is_some_and(|c| c.contains("center_px=")), "{summary}");

    let output = wagiri(&["run", text(&scan), text(&rec), "--progress", "json", "--rows", "0..9"]);
    assert_eq!(output.status.code(), Some(2));
    let all = lines(&output);
    let error = all.last().expect("a line");
    assert_eq!((error["event"].as_str(), error["kind"].as_str()), (Some("error"), Some("INVALID")));
    assert_eq!(error["exit_code"].as_u64(), Some(2));
    assert!(error["text"].as_str().is_some_and(|t| t.contains("there are rows 0..3")), "{error}");
    assert!(fails(&["run", text(&scan), text(&rec), "--progress", "xml"]).1.contains("expected auto, none or json"));
}

#[test]
fn a_chain_is_run_from_the_command_line_as_a_line_or_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| text(&folder.path().join(name)).to_owned();
    let scan = data("ct-rec-100/s180");
    let steps = "normalise | ring.sort kernel_px=3 | recon.fbp center_px=62.25 pixel_um=5.64 | filter.median";
    let whole = format!("raw path={} | {steps} | write.tiff dir={}", text(&scan), at("a"));
    ok(&["run", &whole]);
    ok(&["run", steps, text(&scan), &at("b")]);
    let file = folder.path().join("my.toml");
    std::fs::write(&file, ok(&["check", steps, "--toml"])).expect("a file");
    ok(&["run", text(&file), text(&scan), &at("c")]);
    ok(&["run", text(&scan), &at("d"), "--chain", text(&file), "--set", "filter.median.size_px=3"]);
    let bytes = |name: &str| std::fs::read(folder.path().join(name).join("rec00001.tif")).expect("a slice");
    for name in ["b", "c", "d"] {
        assert!(bytes(name) == bytes("a"), "{name}");
    }
    // What ran lies beside the result and runs again.
    ok(&["run", &at("b/wagiri-chain.toml"), text(&scan), &at("e")]);
    assert!(bytes("e") == bytes("a"));

    let plan = ok(&["plan", steps, text(&scan)]);
    for word in ["slices       3 of 128 x 128 pixels", "memory", "disk", "computing", "filter.median 128 x 128"] {
        assert!(plan.contains(word), "{word} in\n{plan}");
    }
    let said = ok(&["check", steps]);
    assert!(said.contains("the chain is valid: raw | normalise | ring.sort kernel_px=3"), "{said}");
    let (code, e) = fails(&["check", "normalise | filter.median"]);
    assert!(code == 2 && e.contains("takes a volume, but here it gets sinogram"), "{code} {e}");
    let (_, e) = fails(&["run", steps, text(&scan)]);
    assert!(e.contains("no output named"), "{e}");
    let (_, e) = fails(&["run", steps]);
    assert!(e.contains("no output named") || e.contains("no data given"), "{e}");
    std::fs::write(&file, "[[stage]]\nid = \"normalize\"\n").expect("a file");
    let (_, e) = fails(&["check", text(&file)]);
    assert!(e.contains("my.toml: chain file, line 1: ") && e.contains("'normalise'"), "{e}");
}
