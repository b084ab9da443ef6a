//! ct-rec's programs on raw frames, run as users run them: frames of known numbers in, files out.
//!
//! All comparisons are exact: these programs move whole counts.

mod scans;

use scans::{COLS, ROWS, hamamatsu, his, value};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use wagiri::io::{RawFrames, read_description};

fn run(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wagiri"));
    command.env_remove("ACT_SPL_JOBS").current_dir(folder).args(words).output().expect("wagiri must start")
}

fn ok(folder: &Path, words: &[&str]) -> String {
    let output = run(folder, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The sentence of a program that must refuse.
fn fails(folder: &Path, words: &[&str]) -> String {
    let output = run(folder, words);
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!output.status.success() && output.status.code().is_some_and(|code| code != 101), "{words:?}: {text}");
    assert!(!text.trim().is_empty() && !text.contains("panicked"), "{words:?}: {text}");
    text
}

fn pixels(path: &Path) -> Vec<u16> {
    let frames = RawFrames::open(path).unwrap_or_else(|e| panic!("{e}"));
    frames.read(0).unwrap_or_else(|e| panic!("{e}")).pixels.into_iter().collect()
}

/// Frame `number`, as type `code` holds it.
fn frame(number: usize, code: u16) -> Vec<u16> {
    let mask = if code < 2 { 255 } else { u16::MAX };
    scans::pixels(number).into_iter().map(|v| v & mask).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// `top/work`, so that logs one folder up stay in the temporary folder.
fn work() -> (tempfile::TempDir, PathBuf) {
    let top = tempfile::tempdir().unwrap();
    let work = top.path().join("work");
    fs::create_dir(&work).unwrap();
    (top, work)
}

#[test]
fn his_files_are_unpacked_whatever_their_type_and_count() {
    for code in [0, 1, 2, 6] {
        // What the header says, and the digits that names get.
        for (declared, digits) in [(12, 2), (0, 2), (5, 2), (100, 3)] {
            let (_top, work) = work();
            his(&work.join("a.his"), 12, code, declared);
            ok(&work, &["his2img", "a.his"]);
            for i in 0..12 {
                let path = work.join(format!("a{:0digits$}.img", i + 1));
                assert_eq!(pixels(&path), frame(i, code), "type {code}, declared {declared}");
                assert_eq!(fs::metadata(&path).unwrap().len() as usize, 64 + 2 * ROWS * COLS, "no comment");
            }
            assert_eq!(names(&work).len(), 14, "frames, a.his, cmd-hst.log");
            assert_eq!(fs::read_to_string(work.join("cmd-hst.log")).unwrap(), "his2img a.his \n");
        }
    }
}

#[test]
fn a_part_of_each_frame_with_both_ends() {
    let (_top, work) = work();
    his(&work.join("a.his"), 3, 6, 3);
    ok(&work, &["his2img", "a.his", "2", "5", "1", "3"]);
    let expected: Vec<u16> = (1..=3).flat_map(|row| (2..=5).map(move |col| value(1, row, col))).collect();
    assert_eq!(pixels(&work.join("a2.img")), expected);
    for bad in [["5", "2", "1", "3"], ["0", "7", "0", "3"], ["0", "3", "0", "5"], ["-1", "3", "0", "3"]] {
        fails(&work, &["his2img", "a.his", bad[0], bad[1], bad[2], bad[3]]);
    }
}

#[test]
fn his2tif6_reads_to_the_end_and_says_which_frame_it_is() {
    let (_top, work) = work();
    his(&work.join("b.his"), 11, 2, 4);
    ok(&work, &["his2tif6", "b.his"]);
    for i in 0..11 {
        let path = work.join(format!("b{:06}.tif", i + 1));
        assert_eq!(pixels(&path), frame(i, 2));
        assert_eq!(read_description(&path).unwrap(), format!("his2tif6 {} / 11", i + 1));
    }
}

#[test]
fn a_cut_off_file_gives_its_complete_frames() {
    let (_top, work) = work();
    his(&work.join("a.his"), 4, 2, 4);
    let bytes = fs::read(work.join("a.his")).unwrap();
    fs::write(work.join("a.his"), &bytes[..bytes.len() - 1]).unwrap();
    let output = run(&work, &["his2img", "a.his"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("frame 3 is cut off"));
    assert_eq!(names(&work), ["a.his", "a1.img", "a2.img", "a3.img", "cmd-hst.log"]);
}

#[test]
fn series_are_split_in_each_order() {
    for code in [0, 2, 6] {
        for program in ["his_spl_E", "his_spl_K", "his_spl_tif"] {
            let (_top, work) = work();
            his(&work.join("a.his"), 6, code, 6);
            ok(&work, &[program, "a.his", "3", "2"]);
            for (scan, j) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
                let index = if program == "his_spl_K" { 2 * j + scan } else { 3 * scan + j };
                let ending = if program == "his_spl_tif" { "tif" } else { "img" };
                let path = work.join(format!("{:03}/raw/a{:03}.{ending}", scan + 1, j + 1));
                assert_eq!(pixels(&path), frame(index, code), "{program}");
                if ending == "tif" && index % 4 > 0 {
                    // The comments that the frames were written with.
                    assert_eq!(read_description(&path).unwrap(), "x".repeat(index % 4 * 5));
                }
            }
            assert_eq!(names(&work.join("002/raw")).len(), 3);
        }
    }
    // One more frame is left alone where scans follow each other, and has no place where they take turns.
    let (_top, work) = work();
    his(&work.join("a.his"), 7, 2, 7);
    ok(&work, &["his_spl_E", "a.his", "3", "2"]);
    assert!(fails(&work, &["his_spl_K", "a.his", "3", "2"]).contains("need exactly 6 frames, but the file has 7"));
    assert!(fails(&work, &["his_spl_E", "a.his", "4", "2"]).contains("need at least 8 frames"));
}

#[test]
fn later_scans_without_darks() {
    // 102 frames a scan: with the 100 frames in the file, and without.
    for (frames, second) in [(204, 202), (104, 102)] {
        let (_top, work) = work();
        let bytes: Vec<u8> = (0..frames).flat_map(|i| hamamatsu(i % 19, 2, 0, frames as u32)).collect();
        fs::write(work.join("a.his"), bytes).unwrap();
        ok(&work, &["his_spl_e_nd", "a.his", "102", "2"]);
        assert_eq!(names(&work.join("001/raw")).len(), 102);
        assert_eq!(names(&work.join("002/raw")), ["a101.img", "a102.img"]);
        assert_eq!(pixels(&work.join("002/raw/a101.img")), frame(second % 19, 2));
    }
}

#[test]
fn averages_are_cut_off_to_whole_counts() {
    let (top, work) = work();
    his(&work.join("a.his"), 4, 2, 4);
    // Frames 0 to 3 are 200 counts apart: their mean is that of the middle two; of 0, 1 and 3 it is 266.67 above frame 0.
    ok(&work, &["his_ave", "a.his", "all.tif"]);
    ok(&work, &["his_ave", "a.his", "some.tif", "2", "3"]);
    let above = |count: u16| scans::pixels(0).into_iter().map(|v| v + count).collect::<Vec<_>>();
    assert_eq!((pixels(&work.join("all.tif")), pixels(&work.join("some.tif"))), (above(300), above(300)));
    for (i, number) in [0, 1, 3].into_iter().enumerate() {
        fs::write(work.join(format!("q{:03}.img", i + 7)), hamamatsu(number, 2, number, 0)).unwrap();
        fs::write(work.join(format!("q{:04}.img", i + 7)), hamamatsu(number, 2, number, 0)).unwrap();
    }
    for (program, first) in [("q3_ave", "7"), ("q4_ave", "7")] {
        ok(&work, &[program, first, "9", "out.img"]);
        assert_eq!(pixels(&work.join("out.img")), above(266));
        fs::remove_file(work.join("out.img")).unwrap();
    }
    ok(&work, &["img_ave", "q007.img", "q008", "q009.img", "out"]);
    let out = RawFrames::open(&work.join("out.img")).unwrap().read(0).unwrap();
    assert_eq!((out.pixels.into_iter().collect::<Vec<_>>(), out.comment), (above(266), b"xxx".to_vec()));
    ok(&work, &["tif_ave", "all.tif", "some.tif", "mean.tif"]);
    assert_eq!(pixels(&work.join("mean.tif")), above(300));
    let log = fs::read_to_string(top.path().join("cmd-hst.log")).unwrap();
    assert_eq!(log.lines().count(), 4, "{log}");
    assert!(log.contains("img_ave q007.img q008 q009.img out \n"), "{log}");
}

#[test]
fn tiff_becomes_img_with_its_description() {
    let (_top, work) = work();
    his(&work.join("a.his"), 3, 2, 3);
    ok(&work, &["his2tif6", "a.his"]);
    ok(&work, &["tif2img", "a000002.tif", "b.img"]);
    let frame_1 = RawFrames::open(&work.join("b.img")).unwrap().read(0).unwrap();
    assert_eq!(frame_1.comment, b"his2tif6 2 / 3");
    assert_eq!(frame_1.pixels.into_iter().collect::<Vec<_>>(), frame(1, 2));
    assert_eq!(fs::read(work.join("b.img")).unwrap()[14..64], [0; 50], "reserved bytes are 0");
}

/// One dark, one frame before, two projections, one frame after; the batch file of the beamline in short.
const BAT: &str = "his2img a.his\r\nimg_ave a001.img a002.img dark.img\r\nimg_ave a003.img a004.img q001.img\r\n\
                   ren a005.img q002.img\r\nren a006.img q003.img\r\nimg_ave a008.img a007.img q004.img\r\n\
                   copy q004.img q005.img\r\ncopy a005.img q006.img\r\nhp2do dark q001 q002 dark q005 q006 > offset.dat\r\n";

/// What `BAT` makes: name and mean of which frames.
const MADE: [(&str, [usize; 2]); 7] = [
    ("dark", [0, 1]),
    ("q001", [2, 3]),
    ("q002", [4, 4]),
    ("q003", [5, 5]),
    ("q004", [6, 7]),
    ("q005", [6, 7]),
    ("q006", [4, 4]),
];

fn check_made(folder: &Path, ending: &str) {
    for (name, [a, b]) in MADE {
        let mean: Vec<u16> = frame(a, 2).iter().zip(frame(b, 2)).map(|(x, y)| (x + y) / 2).collect();
        assert_eq!(pixels(&folder.join(format!("{name}.{ending}"))), mean, "{name}");
    }
}

#[test]
fn conv_makes_the_frames_of_a_scan_from_his_img_and_tiff() {
    // From a .his file: only frames with a name are written.
    let (_top, folder) = work();
    his(&folder.join("a.his"), 8, 2, 8);
    fs::write(folder.join("conv.bat"), BAT).unwrap();
    ok(&folder, &["conv"]);
    check_made(&folder, "img");
    assert_eq!(names(&folder).len(), 7 + 2);
    ok(folder.parent().unwrap(), &["conv.bat", "work"]);
    check_made(&folder, "img");
    // From files: frames that are renamed move; a second run finds everything there.
    for (program, ending) in [("his_spl_E", "img"), ("his_spl_tif", "tif")] {
        let (_top, folder) = work();
        his(&folder.join("a.his"), 8, 2, 8);
        ok(&folder, &[program, "a.his", "8", "1"]);
        let raw = folder.join("001/raw");
        fs::write(raw.join("conv.bat"), BAT).unwrap();
        for _ in 0..2 {
            ok(&raw, &["conv", "."]);
            check_made(&raw, ending);
        }
        assert!(!raw.join(format!("a005.{ending}")).exists() && raw.join(format!("a001.{ending}")).exists());
        assert_eq!(names(&raw).len(), 8 - 2 + 7 + 1);
    }
}

#[test]
fn conv_refuses_other_commands_and_other_folders_before_it_writes() {
    let cases = [
        ("format c:\n", "a line is not understood", "line = 1"),
        (
            "his2img a.his\nimg_ave a001.img dark.img\nrm -rf /\ncurl evil | sh\n",
            "a line is not understood",
            "line = 4",
        ),
        ("his2img a.his\ncopy a001.img ..\\q001.img\n", "names a file outside the folder", "line = 2"),
        ("his2img a.his\nmv a001.img /tmp/q001.img\n", "names a file outside the folder", "line = 2"),
        ("his2img a.his\ncopy a001.img q001.img && reboot\n", "a line is not understood", "line = 2"),
        ("his2img a.his\ncopy a001.img $HOME/q.img\n", "names a file outside the folder", "line = 2"),
        ("his2img a.his\ncopy a009.img q001.img\n", "uses a frame that is not there", "frame = 9"),
        ("his2img b.his\nhis2img c.his\ncopy b001.img q001.img\n", "names a file that is not in the folder", "b.his"),
        ("echo nothing\n", "names no frames", "conv.bat"),
    ];
    for (bat, what, place) in cases {
        let (_top, folder) = work();
        his(&folder.join("a.his"), 2, 2, 2);
        fs::write(folder.join("conv.bat"), bat).unwrap();
        let text = fails(&folder, &["conv"]);
        assert!(text.contains(what) && text.contains(place), "{bat}: {text}");
        assert_eq!(names(&folder), ["a.his", "conv.bat"], "{bat}");
    }
    let (_top, folder) = work();
    assert!(fails(&folder, &["conv"]).contains("no conv.bat"));
}

#[test]
fn act_spl_moves_numbered_files_into_their_scans() {
    let (_top, work) = work();
    his(&work.join("a.his"), 16, 2, 16);
    ok(&work, &["his2tif6", "a.his"]);
    fs::write(work.join("conv.bat"), BAT).unwrap();
    fs::write(work.join("output.log"), "log").unwrap();
    let script = ok(&work, &["act_spl", "--print", "8", "2"]);
    assert!(script.contains("mkdir 002") && script.contains("a000016.tif 002/raw/a008.tif"), "{script}");
    assert!(!work.join("001").exists(), "--print does nothing else");
    assert!(fails(&work, &["act_spl", "9", "2"]).contains("a000017.tif"));
    // Repeated, as after it was stopped.
    fs::create_dir_all(work.join("001/raw")).unwrap();
    fs::rename(work.join("a000001.tif"), work.join("001/raw/a001.tif")).unwrap();
    ok(&work, &["act_spl", "8", "2"]);
    assert_eq!(fs::read_to_string(work.join("conv.bat")).unwrap(), BAT, "the input stays as it is");
    let adapted = fs::read_to_string(work.join("002/raw/conv.bat")).unwrap();
    assert!(adapted.contains("his2tif a.his\ntif_ave a001.tif a002.tif dark.tif\n"), "{adapted}");
    if cfg!(unix) {
        assert!(adapted.contains("mv a005.tif q002.tif\n") && adapted.contains("cp q004.tif q005.tif\n"), "{adapted}");
    }
    assert_eq!(pixels(&work.join("002/raw/a003.tif")), frame(10, 2));
    ok(&work, &["conv", "001/raw"]);
    check_made(&work.join("001/raw"), "tif");
}

#[test]
fn spl_makes_folders_and_stop_watch_tells_the_time() {
    let (_top, work) = work();
    his(&work.join("a.his"), 16, 2, 16);
    let script = ok(&work, &["spl", "--print", "8", "2"]);
    assert!(script.ends_with("his_spl_E a.his 8 2\n") && script.contains("mkdir 001"), "{script}");
    assert!(fails(&work, &["spl", "8", "2"]).contains("conv.bat"), "before anything is written");
    assert_eq!(names(&work), ["a.his"]);
    fs::write(work.join("conv.bat"), BAT).unwrap();
    fs::write(work.join("output.log"), "log").unwrap();
    ok(&work, &["spl", "8", "2"]);
    assert_eq!(names(&work.join("002/raw")).len(), 10);
    assert_eq!(pixels(&work.join("002/raw/a003.img")), frame(10, 2));
    let said = ok(&work, &["stop_watch", "his_ave", "a.his", "mean.tif"]);
    assert!(said.trim_end().ends_with(" s") && work.join("mean.tif").exists(), "{said}");
    assert!(fails(&work, &["stop_watch", "his_ave", "a.his"]).contains("the command failed (exit_code = 2)"));
    fails(&work, &["stop_watch", "no-such-program"]);
}

#[test]
fn every_program_refuses_bad_input_with_a_sentence_and_leaves_it_alone() {
    let (_top, folder) = work();
    his(&folder.join("a.his"), 4, 2, 4);
    fs::write(folder.join("text.tif"), "no image").unwrap();
    fs::write(folder.join("text.img"), "no image").unwrap();
    fs::write(folder.join("text.his"), "no image").unwrap();
    fs::write(folder.join("one.img"), hamamatsu(1, 2, 0, 0)).unwrap();
    let mut other = hamamatsu(2, 2, 0, 0);
    other[4..6].copy_from_slice(&3u16.to_le_bytes());
    fs::write(folder.join("other.img"), other).unwrap();
    fs::write(folder.join("center.log"), "text\n").unwrap();
    let before = names(&folder);
    let usage: &[&[&str]] = &[
        &["his2img"],
        &["his2img", "a.his", "1"],
        &["his2tif6"],
        &["his_spl_E", "a.his", "2"],
        &["his_spl_K", "a.his"],
        &["his_spl_e_nd"],
        &["his_spl_tif", "a.his", "1", "2", "3"],
        &["his_ave", "a.his"],
        &["his_ave", "a.his", "o.tif", "1"],
        &["img_ave", "one.img"],
        &["tif_ave"],
        &["q3_ave", "1", "2"],
        &["q4_ave"],
        &["tif2img", "text.tif"],
        &["spl", "2"],
        &["act_spl", "2"],
        &["act_spl2", "1", "2", "3", "4", "5"],
        &["chk-rc", "2"],
        &["set-rc"],
        &["rc-check", "4"],
        &["gen-all"],
        &["stop_watch"],
    ];
    for words in usage {
        let text = fails(&folder, words);
        assert!(text.contains("usage: ") && text.contains(words[0]), "{words:?}: {text}");
    }
    let bad: &[&[&str]] = &[
        &["his2img", "none.his"],
        &["his2img", "text.his"],
        &["his2tif6", "text.his"],
        &["his_spl_E", "a.his", "x", "2"],
        &["his_spl_E", "a.his", "0", "2"],
        &["his_spl_K", "a.his", "3", "2"],
        &["his_spl_tif", "text.his", "2", "2"],
        &["his_spl_e_nd", "a.his", "200", "2"],
        &["his_ave", "a.his", "a.his"],
        &["his_ave", "a.his", "o.tif", "3", "5"],
        &["his_ave", "a.his", "nowhere/o.tif"],
        &["img_ave", "one.img", "other.img", "o.img"],
        &["img_ave", "one.img", "text.img", "o.img"],
        &["img_ave", "one.img", "one.img"],
        &["tif_ave", "text.tif", "o.tif"],
        &["q3_ave", "1", "2", "o.img"],
        &["q3_ave", "2", "1", "o.img"],
        &["tif2img", "text.tif", "o.img"],
        &["tif2img", "none.tif", "o.img"],
        &["spl", "4", "1"],
        &["spl", "4", "1000"],
        &["act_spl", "4", "1"],
        &["act_spl2", "4", "1"],
        &["chk-rc", "1", "0"],
        &["set-rc", "5"],
        &["set-rc", "x"],
        &["rc-check", "4", "1"],
        &["gen-all", "none.log"],
        &["gen-all", "center.log"],
    ];
    for words in bad {
        fails(&folder, words);
        assert_eq!(names(&folder), before, "{words:?} left something");
    }
}

#[test]
fn act_spl_smooths_frames_by_the_programs_that_do_it() {
    for (program, extra, direct) in [("act_spl", vec!["0.8"], "gf_sd"), ("act_spl2", vec!["3", "0.7"], "tif_mgf")] {
        let (_top, work) = work();
        his(&work.join("a.his"), 4, 2, 4);
        ok(&work, &["his2tif6", "a.his"]);
        fs::write(work.join("conv.bat"), BAT).unwrap();
        fs::write(work.join("output.log"), "log").unwrap();
        let mut words = vec![program, "2", "2"];
        words.extend(&extra);
        ok(&work, &words);
        let mut words = vec![direct, "a000003.tif"];
        if direct == "gf_sd" {
            words.extend([extra[0], "direct.tif"]);
        } else {
            words.push("direct.tif");
            words.extend(&extra);
        }
        ok(&work, &words);
        assert_eq!(pixels(&work.join("002/raw/a001.tif")), pixels(&work.join("direct.tif")), "{program}");
        assert!(work.join("a000003.tif").exists() && work.join("001/raw/a002.tif").exists());
        assert!(fails(&work, &["act_spl", "2", "2", "x"]).contains("radius: expected a number"));
    }
}
