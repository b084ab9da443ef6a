//! ct-rec's programs on volumes and slices, through their own command lines: against what they made of a small volume, and
//! against their definitions on data made here.

#[path = "common/programs.rs"]
mod programs;

use ndarray::Array2;
use programs::{Work, compare, fields, golden, save};
use std::path::Path;
use wagiri::io::{GreyTags, SampleType, read_description, write_image};

#[test]
fn eight_and_sixteen_bits_are_those_of_ct_rec() {
    let (work, rec) = (Work::new(), golden("hp_tg_c_k5"));
    work.ok(&["tif_f2i", "8", &rec, "deep/er/a-long-name-of-a-folder", "-1", "12"]);
    compare(&work, "deep/er/a-long-name-of-a-folder", "f2i8", 0.0);
    assert_eq!(work.log(), format!("tif_f2i 8 {rec} deep/er/a-long-name-of-a-folder -1 12 \n"));
    work.ok(&["tif_f2i", "16", &rec, "rh"]);
    compare(&work, "rh", "f2i16", 0.0);
    let (before, after) = (fields(&Path::new(&rec).join("rec00001.tif")), work.description("rh/rh00001.tif"));
    assert_eq!(&after[..4], &before[..4]);
    assert_eq!(&after[6..], &[-1.249537, 40.771942]);
    // Bit 0 tells the numbers and the range, and writes nothing.
    assert_eq!(work.ok(&["tif_f2i", "0", &rec, "none"]), "0\t2\t0\t-1.249537\t40.771942\n");
    assert!(!work.path("none").exists());
}

#[test]
fn all_forms_of_tif_f2i_cut_and_number_as_defined() {
    let work = Work::new();
    // 1 / 255 a level; slices 4, 5 and 7: a number may be missing.
    work.volume("rec", "rec", 4, 4, |z| Array2::from_shape_fn((5, 7), |(y, x)| (10 * z + y + x) as f32 / 255.0));
    std::fs::remove_file(work.path("rec/rec00006.tif")).expect("a slice");
    work.ok(&["tif_f2i", "8", "rec", "a", "0", "1"]);
    assert_eq!(work.names("a"), ["ro00004.tif", "ro00005.tif", "ro00007.tif"]);
    // Odd sizes lose the last row and column. f32 thirds of a level may fall below their whole number: half a level more.
    work.ok(&["tif_f2i", "8", "rec", "b", "-0.002", "0.998", "5", "6"]);
    assert_eq!(work.names("b"), ["ro00005.tif"]);
    let expected = Array2::from_shape_fn((4, 6), |(y, x)| (10 + y + x) as f32);
    assert_eq!(work.pixels("b/ro00005.tif"), expected);
    work.ok(&["tif_f2i", "16", "rec", "c", "-0.002", "0.998", "1", "1", "4", "3"]);
    let part = work.pixels("c/rh00004.tif");
    assert_eq!(part.dim(), (2, 4));
    let level = |v: f64| ((v / 255.0 + 0.002) * 65535.0).floor() as f32;
    assert_eq!([part[[0, 0]], part[[1, 3]]], [level(2.0), level(6.0)]);
    // Field 5 and 6 are those of what was written.
    let text = work.description("c/rh00004.tif");
    assert_eq!(&text[..4], &[2.0, 10.0, 180.0, 0.5]);
    assert!((text[4] - 2.0 / 255.0).abs() < 1e-6 && (text[5] - 6.0 / 255.0).abs() < 1e-6, "{text:?}");
    // Descriptions that are not true any more are noticed.
    write_image(
        &work.path("rec/rec00004.tif"),
        Array2::from_elem((5, 7), 9.0).view(),
        SampleType::F32,
        &GreyTags { description: Some("2\t10\t180\t0\t0\t1"), ..GreyTags::default() },
    )
    .expect("a slice");
    let output = work.run(&["tif_f2i", "8", "rec", "d"]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("24 values lie beyond"), "{said}");
    for (bad, sentence) in [
        (vec!["tif_f2i", "12", "rec", "x"], "expected 0, 8 or 16"),
        (vec!["tif_f2i", "8", "rec", "x", "2", "1"], "LACmin less than LACmax"),
        (vec!["tif_f2i", "8", "rec", "x", "0", "1", "8", "9"], "no slice from start to end"),
        (vec!["tif_f2i", "8", "rec", "x", "0", "1", "3", "0", "7", "1"], "x2 < 7"),
        (vec!["tif_f2i", "8", "rec", "x", "0", "1", "3", "0", "3", "1"], "at least 2 x 2"),
    ] {
        let said = work.fails(&bad);
        assert!(said.contains(sentence), "{bad:?}: {said}");
        assert!(!work.path("x").exists(), "{bad:?}");
    }
}

#[test]
fn crop_and_bin_are_those_of_ct_rec() {
    let (work, rec) = (Work::new(), golden("hp_tg_c_k5"));
    work.ok(&["rec_crop", &rec, "crop", "10", "20", "99", "110"]);
    assert_eq!(compare(&work, "crop", "crop", 0.0), 0);
    let part = work.pixels("crop/rec00002.tif");
    let text = work.description("crop/rec00002.tif");
    let largest = part.iter().fold(f32::MIN, |m, v| m.max(*v));
    // Six digits behind the point.
    assert!((text[5] - f64::from(largest)).abs() < 1e-6 && text.len() == 6, "{text:?}");
    work.ok(&["rec_sir", &rec, "sir", "3"]);
    // Means in f64 here and there; the last bit of f32.
    compare(&work, "sir", "sir", 1e-6);
    let (ours, theirs) =
        (work.description("sir/rec00000.tif"), fields(&Path::new(&golden("sir")).join("rec00000.tif")));
    assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 3e-6), "{ours:?} {theirs:?}");
    assert!(work.log().ends_with("sir 3 \t   % binning 3  128x128x3 -> 42x42x1\n"), "{}", work.log());
    // Numbers go on from the first; the axis of a block is the mean of its slices'.
    work.volume("v", "rec", 30, 5, |z| Array2::from_elem((5, 4), z as f32));
    work.ok(&["rec_sir", "v", "w", "2"]);
    assert_eq!(work.names("w"), ["rec00030.tif", "rec00031.tif"]);
    assert_eq!(work.pixels("w/rec00031.tif"), Array2::from_elem((2, 2), 2.5));
    assert_eq!(work.description("w/rec00031.tif"), [4.0, 6.0, 180.0, 0.5, 2.5, 2.5]);
}

#[test]
fn gaussians_are_those_of_ct_rec_and_of_long_volumes_as_defined() {
    let (work, rec) = (Work::new(), golden("hp_tg_c_k5"));
    work.ok(&["rec_gf", &rec, "1.5", "gf"]);
    // ct-rec transforms in f32.
    compare(&work, "gf", "rec_gf", 1e-6);
    // A volume longer than the window: z is summed slice by slice. A plane in its middle becomes exp(-z^2 / R^2) / (R sqrt(pi)),
    // and one at the end, where 128 slices are a whole period, reaches around.
    for at in [60, 127] {
        let folder = format!("in{at}");
        work.volume(&folder, "rec", 0, 128, |z| Array2::from_elem((4, 4), if z == at { 1000.0 } else { 0.0 }));
        work.ok(&["rec_gf", &folder, "3", "long"]);
        for d in [0usize, 1, 4, 9] {
            let z = (at + d) % 128;
            let expected = 1000.0 * (-((d * d) as f64) / 9.0).exp() / (3.0 * std::f64::consts::PI.sqrt());
            let got = work.pixels(&format!("long/rec{z:05}.tif"));
            // The kernel is cut off where it has lost 1e-6 of its sum.
            assert!(got.iter().all(|v| (f64::from(*v) - expected).abs() < 2e-3), "{at} {d}: {expected} {got}");
        }
        assert_eq!(work.description("long/rec00000.tif")[..4], [2.0, 10.0, 180.0, 0.5]);
    }
}

#[test]
fn single_images_are_smoothed_as_defined() {
    let work = Work::new();
    let mut image = Array2::from_elem((32, 40), 100.0f32);
    image[[16, 20]] = 40100.0;
    save(&work.path("a.tif"), image.view(), SampleType::U16, 0);
    let at = |pixels: &Array2<f32>, dy: usize, dx: usize| pixels[[16 + dy, 20 + dx]];
    for (program, log) in [("gf_sd", "gf_sd a.tif 2 100 gf_sd.tif "), ("gf_fd", "gf_fd a.tif 2 100 gf_fd.tif ")] {
        let out = format!("{program}.tif");
        work.ok(&[program, "a.tif", "2", "100", &out]);
        let pixels = work.pixels(&out);
        for (dy, dx) in [(0, 0), (1, 0), (2, 1), (3, 3)] {
            let r2 = (dy * dy + dx * dx) as f64;
            let expected = 100.0 + 40000.0 * (-r2 / 4.0).exp() / (4.0 * std::f64::consts::PI);
            // Rounded to a whole number; sampling at R = 2 changes the sum by less than 1e-4 of it.
            assert!((f64::from(at(&pixels, dy, dx)) - expected).abs() < 1.0, "{program} {dy} {dx}");
        }
        // The bias is what lies outside.
        assert_eq!(pixels[[0, 0]], 100.0);
        assert!(read_description(&work.path(&out)).is_err() && work.log().contains(log));
    }
    work.ok(&["tif_mgf", "a.tif", "m.tif", "3", "0"]);
    assert!(work.pixels("m.tif").iter().all(|v| *v == 100.0));
    work.ok(&["tif_mgf_g", "a.tif", "n.tif"]);
    let w = 1.0 / (1.0 + 2.0 * ((-2f64).exp() + (-8f64).exp()));
    assert_eq!(at(&work.pixels("n.tif"), 0, 0), (100.0 + 40000.0 * w * w).round() as f32);
    assert!(work.fails(&["tif_mgf", "a.tif", "b.tif", "26"]).contains("0 to 25"));
    assert!(work.fails(&["tif_mgf", "a.tif", "./a.tif"]).contains("the output is the input"));
}

#[test]
fn descriptions_and_histograms_are_printed() {
    let work = Work::new();
    let file = format!("{}/rec00000.tif", golden("hp_tg_c_k5"));
    let pid = std::fs::read_to_string(golden("pid.txt")).expect("ct-rec's line");
    assert_eq!(work.ok(&["pid", &file]), pid);
    assert_eq!(work.ok(&["pid", &file, &file]), pid.repeat(2));
    // One slice, from 0.001 on in steps of half a bin, a little beyond the edges.
    let value = |i: usize| if i == 0 { 0.001 } else { 0.0012 + i as f32 * 0.005 };
    work.volume("rec", "rec", 3, 1, |_| Array2::from_shape_fn((2, 4), |(y, x)| value(4 * y + x)));
    assert_eq!(work.ok(&["tif2hst", "rec"]), "    0.01, 2\n    0.02, 2\n    0.03, 2\n    0.04, 2\n");
    assert_eq!(
        work.ok(&["tif2hst", "rec", "0", "0", "1", "0"]),
        "    0.01, 2\n    0.02, 0\n    0.03, 0\n    0.04, 0\n"
    );
}

#[test]
fn scans_are_stacked_all_or_none() {
    let work = Work::new();
    for scan in 0..3 {
        let slice = |z: usize| Array2::from_elem((2, 2), (10 * scan + z) as f32);
        work.volume(&format!("{:03}/rec", scan + 1), "rec", 0, 4, slice);
    }
    let printed = work.ok(&["rec_stk", "--print", "3", "1", "2"]);
    assert_eq!(printed.lines().count(), 6);
    assert!(printed.ends_with("mv 003/rec/rec00002.tif whole/rec/rec00006.tif\n"), "{printed}");
    assert!(work.fails(&["rec_stk", "3", "1", "4"]).contains("001/rec/rec00004.tif: no such slice; nothing was moved"));
    assert!(!work.path("whole").exists());
    work.ok(&["rec_stk", "3", "1", "2"]);
    let expected: Vec<String> = (1..=6).map(|z| format!("rec{z:05}.tif")).collect();
    assert_eq!(work.names("whole/rec"), expected);
    assert_eq!(work.pixels("whole/rec/rec00004.tif")[[0, 0]], 12.0);
    assert_eq!(work.names("002/rec"), ["rec00000.tif", "rec00003.tif"]);
    std::fs::copy(work.path("whole/rec/rec00001.tif"), work.path("001/rec/rec00001.tif")).expect("a copy");
    assert!(work.fails(&["rec_stk", "1", "1", "1"]).contains("there already"));
}
