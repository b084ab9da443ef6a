//! ct-rec's programs that make images of frames, and hp2DO, under their own names: against their formulas.

mod common;
mod programs;

use common::Ellipse;
use ndarray::Array2;
use programs::*;
use std::fs;
use std::path::Path;

const HALF: Taken = Taken { views: 180, rows: 3, cols: 96, center: 46.5, turn_deg: 180.0, lower: 0 };

fn work() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn hp2do_prints_the_axis_of_each_row_and_a_line() {
    let dir = work();
    let (rows, cols) = (40, 128);
    let axis = |y: usize| 66.0 - y as f64 / 20.0;
    let counts = |back: bool| {
        Array2::from_shape_fn((rows, cols), |(y, x)| {
            let s = if back { axis(y) - x as f64 } else { x as f64 - axis(y) };
            let p = 2.0 * (-(s - 9.0).powi(2) / 60.0).exp() + (-(s + 20.0).powi(2) / 200.0).exp();
            (100.0 + 60_000.0 * (-p).exp()).round() as u16
        })
    };
    let write = |name: &str, image: Array2<u16>| img(&dir.path().join(name), &image);
    write("dark.img", Array2::from_elem((rows, cols), 100));
    write("q001.img", Array2::from_elem((rows, cols), 60_100));
    write("q002.img", counts(false));
    write("q004.img", counts(true));
    let frames = ["dark.img", "q001.img", "q002.img", "dark.img", "q001.img", "q004.img"];
    for name in ["hp2DO", "hp2do", "tf2DO"] {
        let words: Vec<&str> = [name].into_iter().chain(frames).chain(["4", "35", "map.tif", "15"]).collect();
        let text = ok(dir.path(), &words);
        let lines: Vec<Vec<f64>> =
            text.lines().map(|l| l.split('\t').map(|f| f.parse().expect("a number")).collect()).collect();
        assert_eq!(lines.len(), rows + 1);
        for (y, line) in lines[..rows].iter().enumerate() {
            // R0 is the negative axis, in steps of half a pixel.
            assert!(
                line[0] == y as f64 && (line[1] + axis(y)).abs() <= 0.26 && line[2] < 0.1 && line[3] > 5.0,
                "{line:?}"
            );
        }
        let last = &lines[rows];
        assert!((last[0] - 0.05).abs() < 0.005 && (last[1] + 66.0).abs() < 0.1 && last[2] < 0.25, "{last:?}");
        assert_eq!(last[3..], [4.0, 35.0]);
    }
    // 15 % of 128 columns to either side.
    assert_eq!(image(&dir.path().join("map.tif")).dim(), (rows, 2 * 19 + 1));
    let words: Vec<&str> = ["hp2DO"].into_iter().chain(frames).chain(["30"]).collect();
    assert_eq!(ok(dir.path(), &words).lines().last().expect("a line").split('\t').count(), 3);
    let words: Vec<&str> = ["hp2DO"].into_iter().chain(frames).chain(["q002.img"]).collect();
    assert!(fails(dir.path(), &words).contains("is an input"));
    for bad in [["4", "400"].as_slice(), &["5", "4"], &["101"], &["a", "b"]] {
        let words: Vec<&str> = ["hp2DO"].into_iter().chain(frames).chain(bad.iter().copied()).collect();
        fails(dir.path(), &words);
    }
    write("q004.img", Array2::zeros((rows, 64)));
    let words: Vec<&str> = ["hp2DO"].into_iter().chain(frames).collect();
    assert!(fails(dir.path(), &words).contains("same size") || fails(dir.path(), &words).contains("alike"));
}

/// Absorbance of a pixel by the formula of ct-rec.
fn formula(signal: f64, beam: f64) -> f64 {
    (beam.max(2.0) / signal.max(2.0)).ln()
}

#[test]
fn sinograms_follow_the_formula() {
    let dir = work();
    let disc = |row| vec![Ellipse::disc(12.0 + row as f64, -7.0, 14.0, 2.0), Ellipse::disc(-15.0, 10.0, 9.0, 1.0)];
    let counts = scan(&dir.path().join("raw"), HALF, disc);
    let raw = dir.path().join("raw");
    let line = ok(&raw, &["sinog", "1", "3"]);
    let sinogram = image(&raw.join("s00001.tif"));
    assert_eq!(sinogram.dim(), (60, 96));
    let p = |m: usize, x: usize| formula(f64::from(counts[[m, 1, x]]) - 100.0, 60_000.0);
    for ((m, x), value) in sinogram.indexed_iter() {
        // f32 absorbance of less than 1.
        assert!((f64::from(*value) - p(3 * m, x)).abs() < 1e-6, "{m} {x}");
    }
    let told = fields(&raw.join("s00001.tif"));
    let largest = sinogram.iter().fold(f32::MIN, |m, v| m.max(*v));
    assert!(told.len() == 2 && (told[1] - f64::from(largest)).abs() < 1e-6, "{told:?}");
    let tmp = fs::read_to_string(raw.join("sino.tmp")).expect("sino.tmp");
    assert_eq!(format!("s00001.tif\t{tmp}"), line);
    let values: Vec<f64> = tmp.trim_end().split('\t').map(|f| f.parse().expect("a number")).collect();
    // The phantom's axis is on the grid of half pixels, and its frame of half a turn is exact.
    assert_eq!(values[..4], [96.0, 60.0, 1.0, 46.5]);
    let sums: Vec<f64> = (0..180).map(|m| (0..96).map(|x| p(m, x)).sum()).collect();
    let mean = sums.iter().sum::<f64>() / 180.0;
    let sd = (sums.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 180.0).sqrt();
    // Sums of 96 values of f32.
    assert!((values[4] - mean).abs() < 1e-4 && (values[5] - sd).abs() < 1e-4, "{values:?} {mean} {sd}");
    assert_eq!(last_line(dir.path()), "sinog 1 3 ");
    fails(&raw, &["sinog", "3"]);
    fails(&raw, &["sinog", "1", "0"]);
}

/// A scan of a few views with a beam that changes and is not flat, so that every part of the formulas counts.
fn uneven(folder: &Path) -> (Array2<u16>, Vec<Array2<u16>>, Vec<Array2<u16>>) {
    let shape = (4, 40);
    let dark = Array2::from_shape_fn(shape, |(y, x)| (90 + 3 * y + x % 5) as u16);
    let beam = |k: usize| Array2::from_shape_fn(shape, |(y, x)| (20_000 + 4_000 * k + 100 * y + 37 * (x % 7)) as u16);
    let beams = vec![beam(0), beam(1)];
    let view = |m: usize| {
        Array2::from_shape_fn(shape, |(y, x)| {
            let p = if (12..28).contains(&x) { 0.3 + 0.1 * m as f64 + 0.05 * y as f64 } else { 0.0 };
            (f64::from(dark[[y, x]]) + (22_000.0 + 10.0 * x as f64) * (-p).exp()) as u16
        })
    };
    let mut views: Vec<Array2<u16>> = (0..5).map(view).collect();
    // A dead pixel in one view, and one of few counts in another.
    views[3][[2, 20]] = 0;
    views[4][[1, 15]] = dark[[1, 15]] + 7;
    fs::create_dir_all(folder).expect("a folder");
    img(&folder.join("dark.img"), &dark);
    let mut log = String::from("1 0 0 0\n");
    for (m, view) in views.iter().enumerate() {
        img(&folder.join(format!("q{:03}.img", m + 2)), view);
        log += &format!("{} {} {} 1\n", m + 2, m + 1, 36 * m);
    }
    img(&folder.join("q001.img"), &beams[0]);
    img(&folder.join("q007.img"), &beams[1]);
    fs::write(folder.join("output.log"), log + "7 6 0 0\n").expect("a log");
    (dark, beams, views)
}

#[test]
fn projection_images_follow_their_formulas() {
    let dir = work();
    let (dark, beams, views) = uneven(&dir.path().join("raw"));
    let d = |y: usize, x: usize| f64::from(dark[[y, x]]);
    // Linear in time: view m is at m + 1, the beams at 0 and 6.
    let between = |m: usize, a: f64, b: f64| a + (b - a) * (m + 1) as f64 / 6.0;
    let beam =
        |m: usize, y: usize, x: usize| between(m, f64::from(beams[0][[y, x]]), f64::from(beams[1][[y, x]])) - d(y, x);
    let smooth = |k: usize, y: usize, x: usize| {
        let v = |x: usize| f64::from(beams[k][[y, x]]);
        if !(2..38).contains(&x) {
            return v(x);
        }
        // Tenths by whole numbers: no rounding.
        ((v(x - 2) + 2.0 * v(x - 1) + 4.0 * v(x) + 2.0 * v(x + 1) + v(x + 2)) / 10.0).floor()
    };
    let signal = |m: usize, y: usize, x: usize| f64::from(views[m][[y, x]]) - d(y, x);
    let check = |folder: &str, expected: &dyn Fn(usize, usize, usize) -> f64, tolerance: f64| {
        for m in 0..5 {
            let path = dir.path().join(format!("{folder}/p{:05}.tif", m + 1));
            let image = image(&path);
            for ((y, x), value) in image.indexed_iter() {
                let expected = expected(m, y, x);
                assert!((f64::from(*value) - expected).abs() <= tolerance, "{folder} {m} {y} {x}: {value} {expected}");
            }
            let told = fields(&path);
            let low = image.iter().fold(f32::MAX, |m, v| m.min(*v));
            assert!(told.len() == 2 && (told[0] - f64::from(low)).abs() < 1e-5, "{told:?}");
        }
    };
    ok(dir.path(), &["ct_prj_f", "raw", "f"]);
    // f32 values up to 10.
    check("f", &|m, y, x| formula(signal(m, y, x), between(m, smooth(0, y, x), smooth(1, y, x)) - d(y, x)), 1e-6);
    ok(dir.path(), &["ct_prj_fc", "raw", "fc"]);
    let sum = |m: usize, f: &dyn Fn(usize, usize, usize) -> f64| -> f64 {
        (0..4).flat_map(|y| (0..40).map(move |x| (y, x))).map(|(y, x)| f(m, y, x)).sum()
    };
    let scaled = |m: usize, factor: f64, y: usize, x: usize| {
        if signal(m, y, x) <= 10.0 { 0.0 } else { (factor * beam(m, y, x) / signal(m, y, x)).ln() }
    };
    check("fc", &|m, y, x| scaled(m, sum(m, &signal) / sum(m, &beam), y, x), 1e-6);
    ok(dir.path(), &["ct_prj_fc", "raw", "cor", "0.5"]);
    check("cor", &|m, y, x| scaled(m, 0.5, y, x), 1e-6);
    assert_eq!(last_line(dir.path()), "ct_prj_fc raw cor 0.5 ");
    ok(dir.path(), &["ct_sub_f", "raw", "sub"]);
    check("sub", &|m, y, x| (signal(m, y, x) - beam(m, y, x) + 5000.0).round().clamp(0.0, 65535.0), 0.0);
    let said = said(&run_with(dir.path(), &[], &["ict_prj_fc", "raw", "ict"]));
    assert!(said.contains("1 views with a pixel below"), "{said}");
    let mean = |y: usize, x: usize| (0..5).map(|m| signal(m, y, x)).sum::<f64>() / 5.0;
    let own = |m: usize, y: usize, x: usize| (mean(y, x) / signal(m, y, x)).ln();
    let edges = |m: usize, y: usize| (0..10).flat_map(|x| [x, 39 - x]).map(|x| own(m, y, x)).sum::<f64>() / 20.0;
    check("ict", &|m, y, x| if m == 3 { 0.0 } else { own(m, y, x) - edges(m, y) }, 1e-6);
    let kept = image(&dir.path().join("ict-I0.tif"));
    // f32 of 20000 counts.
    assert!(kept.indexed_iter().all(|((y, x), v)| (f64::from(*v) - mean(y, x)).abs() < 2e-3));
}
