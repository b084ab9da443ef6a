//! Two scans of one object at two heights, in one `.his` file: `wagiri zscan` and the old chain of programs make the same
//! volume of it, and a stopped command goes on where it was.

mod common;

use common::series::*;
use std::fs;
use std::path::Path;
use std::time::Duration;

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
        let patience = Duration::from_millis(30 + 40 * attempt);
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
fn batch_drivers_take_their_layer_pixel_size_and_range_as_arguments() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path();
    series(folder, 6, false);
    let text = fails(folder, &["rc-check", &FRAMES.to_string(), "2"]);
    assert!(text.contains("expected a layer from 0 to 39"), "layer 120 is the default: {text}");
    ok(folder, &["rc-check", &FRAMES.to_string(), "2", "20"]);
    let list = fs::read_to_string(folder.join("center.log")).unwrap();
    let axes: Vec<&str> = list.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(axes, ["47.000000", "48.000000"]);
    ok(folder, &["gen-all", "center.log", "100", "-0.5", "5"]);
    for scan in ["001", "002"] {
        let (rec, ro) = (slices(&folder.join(scan).join("rec")), slices(&folder.join(scan).join("ro")));
        assert_eq!((rec.len(), ro.len()), (ROWS, ROWS));
        for (slice, grey) in rec.values().zip(ro.values()) {
            for (value, level) in slice.iter().zip(grey) {
                // ct-rec's rule, in double precision.
                let expected = (255.0 / 5.5 * (f64::from(*value) + 0.5)).trunc().clamp(0.0, 255.0);
                assert_eq!(f64::from(*level), expected, "{value}");
            }
        }
    }
}

/// Asks politely, as Ctrl-C does.
#[cfg(unix)]
#[test]
fn an_interrupted_command_says_how_to_go_on() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path();
    series(folder, 2, false);
    let more = ["--overlap", "10", "--threads", "1", "--progress", "json"];
    let mut child = command(folder, &with(&more)).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // From the first axis on there is somebody to hear it.
    while !folder.join("out/axes.txt").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    // A machine that is so fast that the command was complete has nothing to interrupt.
    if killed.success() && !output.status.success() {
        assert_eq!(output.status.code(), Some(130), "{text}");
        assert!(text.contains("--resume continues") && text.contains(r#""kind":"CANCELLED""#), "{text}");
    }
    let output = run(folder, &with(&[more.as_slice(), &["--resume"]].concat()));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains(r#""event":"summary""#), "{text}");
    // Each line is an object.
    assert!(text.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{text}");
    assert_eq!(slices(&folder.join("out/whole/rec")).len(), 2 * ROWS - OVERLAP);
}
