//! ct-rec's programs for offset scans, under their own names.

mod common;
mod programs;

use common::{Ellipse, sinogram};
use programs::*;
use std::f64::consts::PI;
use std::fs;
use std::path::Path;
use wagiri::geometry::uniform_angles;

const FULL: Taken = Taken { views: 360, rows: 3, cols: 96, center: 80.0, turn_deg: 360.0, lower: 0 };
/// Rc that belongs to the axis of [`FULL`]: half a pixel more.
const RC: &str = "80.5";
/// Sampling of 180 views at 160 columns.
const DISC: f64 = 0.01;

/// Discs of 2.0 1/cm around the axis and far off, in a body that no view sees all of.
fn discs(row: usize) -> Vec<Ellipse> {
    vec![
        Ellipse::disc(8.0, -3.0 + row as f64, 9.0, 2.0),
        Ellipse::disc(-20.0, 40.0, 11.0, 2.0),
        Ellipse::disc(35.0, -38.0, 8.0, 2.0),
    ]
}

fn has_discs(path: &Path, row: usize) {
    let slice = image(path);
    discs(row).iter().for_each(|disc| has_disc(&slice, disc, DISC));
}

fn full(folder: &Path, taken: Taken) {
    scan(&folder.join("raw"), taken, discs);
}

#[test]
fn ct_recs_own_volume_with_its_rule() {
    let dir = tempfile::tempdir().expect("a folder");
    let raw = golden("off360").display().to_string();
    ok(dir.path(), &["ofct_srec_t_c", "--ct-rec-compat", &raw, "110.0", "0", "-", "10", "0", "rec"]);
    for z in 0..2 {
        let name = format!("rec{z:05}.tif");
        let (ours, theirs) = (dir.path().join("rec").join(&name), golden("rec/ofct_srec").join(&name));
        // f32 against ct-rec's f64 engine.
        let worst = worst(&image(&ours), &image(&theirs));
        assert!(worst < 2e-5, "{z}: {worst}");
        let (a, b) = (fields(&ours), fields(&theirs));
        assert!(a.len() == 6 && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 2e-5 * b.abs().max(10.0)), "{a:?} {b:?}");
    }
    assert!(last_line(dir.path()).ends_with(" rec    % kernel_size 5   % bands 1"), "{}", log_of(dir.path()));
    assert!(last_line(dir.path()).starts_with("ofct_srec_t_c --ct-rec-compat "));
    // The true axis of this scan is 110.0: ofct_DO says half a pixel more, rounded.
    let output = run_with(dir.path(), &[("OFCT_DO_SMOOTH", "2")], &["ofct_DO", &raw, "4"]);
    let (rc, told) = (String::from_utf8_lossy(&output.stdout).into_owned(), said(&output));
    assert!(rc.trim() == "110" || rc.trim() == "111", "{rc} {told}");
    assert!(told.contains(&format!("try: ofct_srec_g_c raw {} 0 - 1.0 0.0 rec", rc.trim())), "{told}");
}

#[test]
fn discs_of_offset_scans_are_where_they_are() {
    let dir = tempfile::tempdir().expect("a folder");
    // Axis right and left, on a pixel and between two.
    for (center, rc) in [(80.0, "80.5"), (79.5, "80"), (15.0, "15.5"), (78.3, "78.8")] {
        let _ = fs::remove_dir_all(dir.path().join("raw"));
        full(dir.path(), Taken { center, ..FULL });
        let sizes = ok(dir.path(), &["ofct_srec_t_c", "raw", rc, "0"]);
        let sizes: Vec<f64> = sizes.trim().split('\t').map(|f| f.parse().expect("a number")).collect();
        let last: f64 = 95.0;
        let width = 96.0 + (2.0 * center - last).abs().floor();
        assert_eq!(sizes[..3], [width, 3.0, 180.0], "{center}");
        ok(dir.path(), &["ofct_srec_t_c", "raw", rc, "0", "0,2-", "10", "0", rc]);
        let rec = dir.path().join(rc);
        assert_eq!(names(&rec), ["rec00000.tif", "rec00002.tif"]);
        has_discs(&rec.join("rec00000.tif"), 0);
        has_discs(&rec.join("rec00002.tif"), 2);
        let told = fields(&rec.join("rec00002.tif"));
        assert_eq!((told[0], told[2]), (10.0, 180.0));
        // The axis of the stitching, near the middle of the slice.
        assert!((told[1] - (width - 1.0) / 2.0).abs() <= 0.5, "{told:?}");
    }
    // RA0 is in radians.
    ok(dir.path(), &["ofct_srec_g_s", "raw", "78.8", "0", "1", "10", "0.5", "turned"]);
    let (sin, cos) = 0.5f64.sin_cos();
    let turned = |d: &Ellipse| Ellipse { x: d.x * cos - d.y * sin, y: d.x * sin + d.y * cos, ..*d };
    let slice = image(&dir.path().join("turned/rec00001.tif"));
    discs(1).iter().for_each(|disc| has_disc(&slice, &turned(disc), DISC));
    for bad in ["3", "2-1", "x", "0-3"] {
        assert!(fails(dir.path(), &["ofct_srec_t_c", "raw", "78.8", "0", bad, "10", "0", "bad"]).contains("rangeList"));
    }
}

#[test]
fn halves_at_different_heights_belong_together_by_oy() {
    let dir = tempfile::tempdir().expect("a folder");
    for (oy, lower) in [("2", 2), ("-2", -2)] {
        let _ = fs::remove_dir_all(dir.path().join("raw"));
        full(dir.path(), Taken { rows: 6, lower, ..FULL });
        ok(dir.path(), &["ofct_srec_t_c", "raw", RC, oy, "-", "10", "0", oy]);
        assert_eq!(names(&dir.path().join(oy)).len(), 4);
        // The row of the half turn in which the sample stands higher is z, and shows what the other does two rows further down.
        (0..4).for_each(|z| has_discs(&dir.path().join(format!("{oy}/rec{z:05}.tif")), z + 2));
    }
    assert!(fails(dir.path(), &["ofct_srec_t_c", "raw", RC, "6"]).contains("Oy"));
}

#[test]
fn axis_and_height_are_found() {
    let dir = tempfile::tempdir().expect("a folder");
    // Structure along the axis, or there is no height to find; the sample goes on beyond the edge near the axis.
    let objects = |row: usize| {
        let step = |k: usize| 1.0 + (row as f64 / 5.0 + k as f64).sin();
        let body = Ellipse { x: 2.0, y: -3.0, a: 72.0, b: 66.0, turn_rad: 0.3, mu_per_cm: 1.0 };
        let mut all = vec![body];
        all.extend((0..9).map(|k| {
            let (r, turn) = (6.0 * k as f64, 2.1 * k as f64);
            Ellipse::disc(r * turn.cos(), r * turn.sin(), 4.0, 3.0 * step(k))
        }));
        all
    };
    for (center, lower, rc, oy) in [(80.5, 0, "81", "0"), (79.5, 3, "80", "3"), (15.5, -3, "16", "-3")] {
        let _ = fs::remove_dir_all(dir.path().join("raw"));
        scan(&dir.path().join("raw"), Taken { views: 120, rows: 32, center, lower, ..FULL }, objects);
        for (program, env) in [("ofct_DO", "2.0"), ("ofct_DO_g", "0")] {
            let output = run_with(dir.path(), &[("OFCT_DO_SMOOTH", env)], &[program, "raw", "3"]);
            let told = said(&output);
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), rc, "{center} {program}: {told}");
            assert!(
                told.contains(&format!("try: ofct_srec_g_c raw {rc} {oy} - 1.0 0.0 rec")),
                "{center} {program}: {told}"
            );
            let log = last_line(dir.path());
            let smooth: f64 = env.parse().expect("a number");
            assert_eq!(log, format!("{program} raw 3    % center {rc} Oy {oy} smooth {smooth:.2}"));
        }
    }
}

#[test]
fn single_slices_sinograms_and_rows_of_axes_agree() {
    let dir = tempfile::tempdir().expect("a folder");
    full(dir.path(), FULL);
    let raw = dir.path().join("raw");
    let line = ok(&raw, &["ofct_rec_t_c", "1", RC, "10", "0"]);
    assert!(line.starts_with("rec00001.tif\t10.000000\t80.000000\t180\t"), "{line}");
    has_discs(&raw.join("rec00001.tif"), 1);
    assert_eq!(last_line(dir.path()), format!("ofct_rec_t_c 1 {RC} 10 0    % kernel_size 5"));
    // A detector that sees all of the sample.
    ok(&raw, &["of_sinog", "1", RC, "4"]);
    let got = image(&raw.join("s00001.tif"));
    let wide = sinogram(&discs(1), &uniform_angles(180, 0.0, PI), 161, 80.0, PIXEL_UM);
    assert_eq!(got.dim(), (45, 161));
    for ((m, x), value) in got.indexed_iter() {
        // Counts of 60000 are rounded, and views mixed.
        assert!((value - wide[[4 * m, x]]).abs() < 1e-3, "{m} {x}: {value} {}", wide[[4 * m, x]]);
    }
    let tmp = fs::read_to_string(raw.join("sino.tmp")).expect("sino.tmp");
    assert!(tmp.starts_with("161\t45\t1\t80.000000\t"), "{tmp}");
    // Every integer axis is a slice.
    ok(dir.path(), &["ofsfa", "1", "81", "79"]);
    assert_eq!(names(&dir.path().join("ofsfa")), ["00079.tif", "00080.tif", "00081.tif"]);
    ok(dir.path(), &["ofct_srec_t_c", "raw", "80", "0", "1", "1.0", "0.0", "rec"]);
    let (one, other) = (dir.path().join("ofsfa/00080.tif"), dir.path().join("rec/rec00001.tif"));
    assert!(image(&one) == image(&other));
    assert_eq!(fields(&one), fields(&other));
    let script = ok(dir.path(), &["ofsfa", "--print", "1", "79", "80"]);
    assert_eq!(script.lines().next(), Some("ofct_srec_t_c raw 79 0 1 1.0 0.0 ofsfa"));
    assert_eq!(script.lines().count(), 4);
}

#[test]
fn whatever_is_wrong_a_sentence_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let small = Taken { views: 24, rows: 2, cols: 32, center: 25.0, ..FULL };
    full(dir.path(), small);
    let raw = dir.path().join("raw");
    let calls: [(&str, &str, &Path); 5] = [
        ("ofct_DO", "raw", dir.path()),
        ("ofct_srec_t_c", "raw 25.5 0 - 10 0 out", dir.path()),
        ("ofct_rec_t_c", "1 25.5", &raw),
        ("of_sinog", "1 25.5", &raw),
        ("ofsfa", "1 25 26", dir.path()),
    ];
    let words =
        |program: &'static str, text: &'static str| [program].into_iter().chain(text.split(' ')).collect::<Vec<_>>();
    for (program, _, place) in calls {
        for count in [0, 12] {
            let words: Vec<&str> = [program].into_iter().chain(std::iter::repeat_n("1", count)).collect();
            assert!(fails(place, &words).contains(&format!("usage: {program}")), "{program} {count}");
        }
    }
    assert!(fails(dir.path(), &["ofct_srec_t_c", "nowhere", "25.5", "0"]).contains("nowhere"));
    assert!(fails(dir.path(), &["ofct_DO", "nowhere"]).contains("nowhere"));
    assert!(fails(dir.path(), &["ofct_srec_t_c", "raw", "25.5", "0", "-", "10", "0", "raw"]).contains("is an input"));
    assert!(fails(dir.path(), &["ofct_srec_t_c", "raw", "99", "0", "-", "10", "0", "out"]).contains("axis"));
    assert!(
        fails(dir.path(), &["ofct_srec_t_c", "--ct-rec-compat", "raw", "0", "0", "-", "10", "0", "out"]).contains("Rc")
    );
    fs::write(dir.path().join("file"), b"mine").expect("a file");
    fails(dir.path(), &["ofct_srec_t_c", "raw", "25.5", "0", "-", "10", "0", "file"]);
    assert_eq!(fs::read(dir.path().join("file")).expect("a file"), b"mine");
    // A frame that is none.
    let good = fs::read(raw.join("q0009.img")).expect("a frame");
    fs::write(raw.join("q0009.img"), &good[..100]).expect("a frame");
    for (program, text, place) in calls {
        let told = fails(place, &words(program, text));
        assert!(told.contains("q0009.img"), "{program}: {told}");
    }
    // A half turn; the frame is whole again.
    fs::write(raw.join("q0009.img"), good).expect("a frame");
    let log = fs::read_to_string(raw.join("output.log")).expect("a log");
    let half: String = log
        .lines()
        .map(|line| {
            let f: Vec<&str> = line.split_whitespace().collect();
            match f.as_slice() {
                [frame, time, angle, flag] => {
                    format!("{frame} {time} {} {flag}\n", angle.parse::<f64>().expect("an angle") / 2.0)
                }
                _ => "\n".to_owned(),
            }
        })
        .collect();
    fs::write(raw.join("output.log"), half).expect("a log");
    for (program, text, place) in calls {
        let told = fails(place, &words(program, text));
        assert!(told.contains("full turn"), "{program}: {told}");
    }
}

#[test]
fn an_odd_view_and_a_single_row_are_no_obstacle() {
    let dir = tempfile::tempdir().expect("a folder");
    full(dir.path(), Taken { rows: 1, ..FULL });
    let raw = dir.path().join("raw");
    // The view at the end of the turn is among the others.
    let log = fs::read_to_string(raw.join("output.log")).expect("a log");
    let closed = log.replacen("\n00362", "\n00364 360.5 360.0 1\n00362", 1);
    assert_ne!(log, closed);
    fs::write(raw.join("output.log"), closed.split("\n\n").next().expect("a part")).expect("a log");
    let told = said(&run_with(dir.path(), &[], &["ofct_srec_t_c", "raw", RC, "0", "-", "10", "0", "rec"]));
    assert!(told.contains("361 views"), "{told}");
    has_discs(&dir.path().join("rec/rec00000.tif"), 0);
    assert_eq!(names(&dir.path().join("rec")), ["rec00000.tif"]);
    ok(dir.path(), &["ofct_DO_g", "raw"]);
}
