//! `wagiri zscan` up to the slices of each scan: where the frames may be, axes that are corrected, what is refused.

mod common;

use common::series::*;
use std::fs;
use std::time::Duration;
use wagiri::io::read_slice;

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
    let cases: [(&[&str], &str); 14] = [
        (&["zscan", "a.his", "out"], "--scans N"),
        (&["zscan", "none.his", "out", "--scans", "2"], "no such file or folder"),
        (&["zscan", "a.his", "out", "--scans", "3"], "part=1/3x84"),
        (&["zscan", "a.his", "out", "--scans", "2", "--frames", "128"], "fewer than 2 scans of 128"),
        (&["zscan", "a.his", "out", "--scans", "2", "--order", "up"], "sequential or interleaved"),
        (&["zscan", "a.his", "out", "--scans", "2", "--cut", "xy"], "zx or yz"),
        (&["zscan", "a.his", "out", "--scans", "2", "--resume"], "no series to continue"),
        (&["zscan", "a.his", "out", "--scans", "2", "--overlap", "half"], "--overlap: expected a number of slices"),
        (&["zscan", "a.his", "out", "--scans", "2", "--stack", "blend=no"], "blend: expected one of linear, cut"),
        (&["zscan", "a.his", "out", "--scans", "2", "--then", "volume.bin bim=2"], "did you mean 'bin'"),
        (&["zscan", "a.his", "out", "--scans", "2", "--stop-after", "lunch"], "expected axes, scans or whole"),
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
