//! ct-rec's programs that reconstruct half turns, under their own names: physics on phantoms, and their definitions.

mod common;
mod programs;

use common::Ellipse;
use ndarray::{Array2, Axis};
use programs::*;
use std::fs;
use std::path::Path;

const HALF: Taken = Taken { views: 180, rows: 3, cols: 96, center: 46.5, turn_deg: 180.0, lower: 0 };
/// Sampling of 180 views at 96 columns: the mean of a disc is right to a few thousandths.
const DISC: f64 = 0.01;
/// The same numbers by another way in 32 bits.
const FLOAT: f32 = 2e-5;

/// Discs of 2.0 1/cm at different places of each row.
fn objects(row: usize) -> Vec<Ellipse> {
    vec![Ellipse::disc(12.0 + row as f64, -7.0, 14.0, 2.0), Ellipse::disc(-15.0, 10.0, 9.0, 1.0)]
}

fn work() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn half(folder: &Path) -> ndarray::Array3<u16> {
    scan(&folder.join("raw"), HALF, objects)
}

#[test]
fn hp_tg_reads_its_variables_and_leaves_slices_beyond_the_detector_out() {
    let dir = work();
    half(dir.path());
    ok(dir.path(), &["hp_tg_t_c", "raw", "10", "46.5", "0", "rec"]);
    for z in 0..3 {
        has_disc(&image(&dir.path().join(format!("rec/rec{z:05}.tif"))), &objects(z)[0], DISC);
    }
    // The axis goes on along the line of L1 and L2: at 44.5 in row -4 and 48.5 in row 4, it is 46.5 in row 0.
    let words = ["hp_tg_t_c", "raw", "10", "-4", "44.5", "4", "48.5", "0", "line"];
    ok_with(dir.path(), &[("HPTG_CHUNK_ROWS", "2"), ("OMP_NUM_THREADS", "1"), ("HPTG_READ_THREADS", "3")], &words);
    assert_eq!(names(&dir.path().join("line")), ["rec00000.tif", "rec00001.tif", "rec00002.tif"]);
    assert_eq!(fields(&dir.path().join("line/rec00002.tif"))[1], 47.5);
    let (line, rec) = (dir.path().join("line/rec00000.tif"), dir.path().join("rec/rec00000.tif"));
    assert_eq!(fs::read(line).expect("bytes"), fs::read(rec).expect("bytes"));
    assert!(last_line(dir.path()).ends_with(" line    % kernel_size 5   % chunks 2"), "{}", log_of(dir.path()));
    assert!(fails(dir.path(), &["hp_tg_t_c", "raw", "10", "5", "40", "3", "40", "0", "rec"]).contains("L1 to L2"));
    // Another log, dark and letter.
    let raw = dir.path().join("raw");
    fs::rename(raw.join("output.log"), dir.path().join("other.log")).expect("renamed");
    fs::rename(raw.join("dark.img"), raw.join("black.img")).expect("renamed");
    for name in names(&raw).iter().filter(|name| name.starts_with('q')) {
        fs::rename(raw.join(name), raw.join(name.replace('q', "z"))).expect("renamed");
    }
    let env = [("RHP_O", "other.log"), ("RHP_D", "black.img"), ("RHP_Q", "Z")];
    ok_with(dir.path(), &env, &["hp_tg_t_c", "raw", "10", "46.5", "0", "named"]);
    let (named, rec) = (dir.path().join("named/rec00001.tif"), dir.path().join("rec/rec00001.tif"));
    assert_eq!(fs::read(named).expect("bytes"), fs::read(rec).expect("bytes"));
    // ct_rec does not read them.
    let output = run_with(&raw, &env, &["ct_rec_t_c", "1", "46.5"]);
    assert!(!output.status.success() && said(&output).contains("dark"), "{}", said(&output));
}

#[test]
fn ct_rec_loop_makes_the_slices_of_ct_rec() {
    let dir = work();
    half(dir.path());
    let raw = dir.path().join("raw");
    ok_with(
        dir.path(),
        &[("CT_EXE", "/opt/bin/ct_rec_t_s")],
        &["ct_rec_loop.sh", "raw", "10", "46.5", "0", "rec", "4"],
    );
    let logged = log_of(dir.path());
    assert_eq!(logged.lines().next(), Some("ct_rec_t_s 0 46.5000 10 0    % kernel_size 5"));
    for z in 0..3 {
        let line = ok(&raw, &["ct_rec_t_s", &z.to_string(), "46.5", "10", "0"]);
        let name = format!("rec{z:05}.tif");
        let (looped, single) = (dir.path().join("rec").join(&name), raw.join(&name));
        assert_eq!(fs::read(looped).expect("bytes"), fs::read(single).expect("bytes"));
        assert_eq!(fs::read_to_string(dir.path().join(format!("rec/log/rec{z:05}.log"))).expect("a log"), line);
    }
    ok(dir.path(), &["ct_rec_loop", "raw", "10", "1", "46", "2", "47", "0", "tilt"]);
    assert_eq!(names(&dir.path().join("tilt")), ["log", "rec00001.tif", "rec00002.tif"]);
    let output = run_with(dir.path(), &[("CT_EXE", "hp_tg_t_c")], &["ct_rec_loop", "raw", "10", "46.5", "0", "rec"]);
    assert!(!output.status.success() && said(&output).contains("CT_EXE"), "{}", said(&output));
}

#[test]
fn projections_reconstruct_as_the_scan_they_were_made_from() {
    let dir = work();
    half(dir.path());
    ok(dir.path(), &["ct_prj_f", "raw", "prj"]);
    assert_eq!(names(&dir.path().join("prj")).len(), 180);
    // Without the sorting of ring removal: nearly equal values may change places by the last bit of a logarithm.
    let plain = [("KERNEL_SIZE", "1")];
    ok_with(dir.path(), &plain, &["hp_tg_t_c", "raw", "10", "46.5", "30", "rec"]);
    let radians = (30f64).to_radians().to_string();
    ok_with(dir.path(), &plain, &["p_rec_t_c", "prj", "again", "10", "46.5", &radians]);
    assert!(last_line(dir.path()).ends_with("   % kernel_size 1   % bands 1"), "{}", log_of(dir.path()));
    for z in 0..3 {
        let name = format!("rec{z:05}.tif");
        let (again, rec) = (dir.path().join("again").join(&name), dir.path().join("rec").join(&name));
        // A lost first view would cost a few percent. The beam of the scan does not change, so smoothing it does nothing.
        let worst = worst(&image(&again), &image(&rec));
        assert!(worst < FLOAT, "{z}: {worst}");
        assert_eq!(fields(&again)[..4], fields(&rec)[..4]);
    }
    // L2 is not included; numbers may start anywhere.
    for m in (1..=180).rev() {
        let name = |n: usize| dir.path().join(format!("prj/p{n:05}.tif"));
        fs::rename(name(m), name(m + 6)).expect("renamed");
    }
    ok(dir.path(), &["p_rec_g_c", "prj", "some", "10", "1", "46.5", "3", "46.5", "0"]);
    assert_eq!(names(&dir.path().join("some")), ["rec00001.tif", "rec00002.tif"]);
    has_disc(&image(&dir.path().join("some/rec00002.tif")), &objects(2)[0], DISC);
    fs::remove_file(dir.path().join("prj/p00050.tif")).expect("removed");
    let missing = fails(dir.path(), &["p_rec_t_c", "prj", "none", "10", "46.5", "0"]);
    assert!(missing.contains("p00049.tif and p00051.tif"), "{missing}");
}

#[test]
fn a_sinogram_becomes_a_slice() {
    let dir = work();
    half(dir.path());
    let raw = dir.path().join("raw");
    ok(&raw, &["sinog", "2"]);
    ok(&raw, &["sf_rec_t_c", "s00002.tif", "auto.tif"]);
    // Steps of half a pixel, from a last view that is a degree short of half a turn.
    assert!((fields(&raw.join("auto.tif"))[1] - 46.5).abs() <= 0.5, "{:?}", fields(&raw.join("auto.tif")));
    ok(&raw, &["sf_rec_t_c", "s00002.tif", "one.tif", "10", "46.5", "0.5"]);
    let told = fields(&raw.join("one.tif"));
    assert_eq!((told[0], told[1], told[2], told[3], told.len()), (10.0, 46.5, 180.0, 0.5, 6));
    let (sin, cos) = 0.5f64.sin_cos();
    let disc = objects(2)[0];
    let turned = Ellipse { x: disc.x * cos - disc.y * sin, y: disc.x * sin + disc.y * cos, ..disc };
    has_disc(&image(&raw.join("one.tif")), &turned, DISC);
    assert_eq!(last_line(dir.path()), "sf_rec_t_c s00002.tif one.tif 10 46.5 0.5 ");
    assert!(fails(&raw, &["sf_rec_t_c", "s00002.tif", "s00002.tif"]).contains("is an input"));
    assert!(fails(&raw, &["sf_rec_t_c", "s00002.tif", "no/one.tif"]).contains("one.tif"));
}

#[test]
fn slices_come_back_without_their_ring() {
    let dir = work();
    let (rec, size) = (dir.path().join("rec"), 96);
    fs::create_dir(&rec).expect("a folder");
    let disc = objects(0)[0];
    let make = |ring: f32| {
        Array2::from_shape_fn((size, size), |(row, col)| {
            let (x, y) = common::xy(size, row, col);
            let r = x.hypot(y);
            // A soft edge, which projections and back-projection keep.
            let edge = (0.5 * (1.0 - disc.level(x, y)) * disc.a + 0.5).clamp(0.0, 1.0) as f32;
            2.0 * edge + if (r - 35.0).abs() < 0.6 { ring } else { 0.0 }
        })
    };
    let write = |name: &str, image: &Array2<f32>, text: &str| write_float(&rec.join(name), image, text);
    let text = "10.000000\t46.500000\t300\t0.500000\t0.000000\t2.000000";
    write("rec00003.tif", &make(0.2), text);
    write("rec00004.tif", &make(0.0), text);
    write("rec00005.tif", &Array2::zeros((5, 7)), text);
    write("other.tif", &make(0.0), text);
    let stderr = said(&run_with(dir.path(), &[], &["rec2rec_c", "rec", "out"]));
    assert!(stderr.contains("rec00005.tif skipped"), "{stderr}");
    let out = dir.path().join("out");
    assert_eq!(names(&out), ["rec00003.tif", "rec00004.tif"]);
    assert_eq!(fields(&out.join("rec00003.tif"))[..4], [10.0, 47.5, 300.0, 0.5]);
    let (with, without) = (image(&out.join("rec00003.tif")), image(&out.join("rec00004.tif")));
    has_disc(&with, &disc, DISC);
    has_disc(&without, &disc, DISC);
    let ring = |image: &Array2<f32>| {
        let on = image.indexed_iter().filter(|((row, col), _)| {
            let (x, y) = common::xy(size, *row, *col);
            (x.hypot(y) - 35.0).abs() < 0.6 && disc.level(x, y) > 1.5
        });
        on.map(|(_, v)| *v).sum::<f32>() / image.len() as f32
    };
    assert!(ring(&with) - ring(&without) < (ring(&make(0.2)) - ring(&make(0.0))) / 3.0);
    ok(dir.path(), &["rec2rec_g_r", "rec", "few", "90"]);
    assert_eq!(fields(&dir.path().join("few/rec00004.tif"))[2], 90.0);
    assert_eq!(last_line(dir.path()), "rec2rec_g_r rec few 90 ");
}

#[test]
fn one_slice_and_one_row_are_enough() {
    let dir = work();
    let one = Taken { rows: 1, views: 60, ..HALF };
    scan(&dir.path().join("raw"), one, objects);
    ok(dir.path(), &["hp_tg_t_c", "raw", "10", "46.5", "0", "rec"]);
    ok(dir.path(), &["hp_tg_t_c", "raw", "10", "0", "46.5", "0", "46.5", "0", "same"]);
    ok(dir.path(), &["ct_rec_loop", "raw", "10", "46.5", "0", "loop"]);
    ok(dir.path(), &["rec2rec_c", "rec", "again"]);
    ok(&dir.path().join("raw"), &["ct_rec_t_r", "0"]);
    ok(&dir.path().join("raw"), &["sinog", "0"]);
    for program in ["ct_prj_f", "ict_prj_fc", "ct_prj_fc", "ct_sub_f"] {
        ok(dir.path(), &[program, "raw", program]);
        assert_eq!(image(&dir.path().join(program).join("p00060.tif")).dim(), (1, 96));
    }
    ok(dir.path(), &["p_rec_t_c", "ct_prj_f", "prec", "10", "46.5", "0"]);
    for folder in ["rec", "same", "loop", "again", "prec"] {
        has_disc(&image(&dir.path().join(folder).join("rec00000.tif")), &objects(0)[0], 2.0 * DISC);
    }
}

/// Arguments of each program that would do, with `IN` and `OUT` for what goes wrong; the folder that it runs in.
const CALLS: &[(&str, &str, &str)] = &[
    ("hp_tg_t_c", "IN 10 15.5 0 OUT", "."),
    ("ct_rec_t_c", "1 15.5", "IN"),
    ("ct_rec_loop", "IN 10 15.5 0 OUT", "."),
    ("sinog", "1", "IN"),
    ("ct_prj_f", "IN OUT", "."),
    ("ict_prj_fc", "IN OUT", "."),
    ("ct_prj_fc", "IN OUT", "."),
    ("ct_sub_f", "IN OUT", "."),
    ("p_rec_t_c", "IN OUT 10 15.5 0", "."),
    ("rec2rec_c", "IN OUT", "."),
    ("sf_rec_t_c", "IN/s.tif OUT/s.tif", "."),
    ("hp2DO", "dark.img q0001.img q0002.img dark.img q0001.img q0020.img", "IN"),
];

#[test]
fn whatever_is_wrong_a_sentence_says_so_and_the_input_stays() {
    let dir = work();
    let small = Taken { views: 20, rows: 2, cols: 32, center: 15.5, ..HALF };
    let ready = |name: &str| {
        let folder = dir.path().join(name);
        scan(&folder, small, |_| vec![Ellipse::disc(0.0, 0.0, 8.0, 2.0)]);
        folder
    };
    let run = |program: &str, words: &str, place: &str, input: &str, output: &str| {
        let words = words.replace("IN", input).replace("OUT", output);
        let words: Vec<&str> = [program].into_iter().chain(words.split(' ')).collect();
        let place = dir.path().join(place.replace("IN", input));
        fails(&place, &words)
    };
    ready("good");
    for (program, words, place) in CALLS {
        // Too few and too many arguments.
        for count in [0, 14] {
            let words: Vec<&str> = [*program].into_iter().chain(std::iter::repeat_n("1", count)).collect();
            let text = fails(dir.path(), &words);
            assert!(text.contains(&format!("usage: {program}")), "{text}");
        }
        // No such folder, and an output that is a file.
        if *place == "." {
            let text = run(program, words, ".", "nowhere", "out");
            assert!(text.contains("nowhere"), "{program}: {text}");
            assert!(!dir.path().join("out").exists(), "{program}");
        }
    }
    // A frame that is cut off, of another size, and no image at all: each in the middle of the scan.
    let good = fs::read(dir.path().join("good/q0007.img")).expect("a frame");
    let damages: [(&str, Vec<u8>); 3] = [
        ("cut", good[..good.len() - 40].to_vec()),
        ("size", {
            let mut other = good.clone();
            other[4..6].copy_from_slice(&16u16.to_le_bytes());
            other[6..8].copy_from_slice(&4u16.to_le_bytes());
            other
        }),
        ("text", b"this is no image".to_vec()),
    ];
    for (name, bytes) in damages {
        let folder = ready(name);
        fs::write(folder.join("q0007.img"), &bytes).expect("a frame");
        for (program, words, place) in
            CALLS.iter().filter(|(p, ..)| !["p_rec_t_c", "rec2rec_c", "sf_rec_t_c", "hp2DO"].contains(p))
        {
            let text = run(program, words, place, name, "out");
            assert!(text.contains("q0007.img"), "{program} {name}: {text}");
            assert_eq!(fs::read(folder.join("q0007.img")).expect("a frame"), bytes, "{program}");
        }
    }
    // Images that are none, for those that read TIFF.
    let odd = dir.path().join("odd");
    fs::create_dir(&odd).expect("a folder");
    for name in ["p00001.tif", "p00002.tif", "s.tif"] {
        fs::write(odd.join(name), b"no TIFF").expect("a file");
    }
    run("p_rec_t_c", "IN OUT 10 46.5 0", ".", "odd", "out");
    run("sf_rec_t_c", "IN/s.tif OUT/s.tif", ".", "odd", "odd");
    assert!(run("rec2rec_c", "IN OUT", ".", "odd", "out").contains("rec*.tif"));
    // Projections of two sizes.
    let mixed = dir.path().join("mixed");
    fs::create_dir(&mixed).expect("a folder");
    for (name, rows) in [("p00001.tif", 3), ("p00002.tif", 4), ("p00003.tif", 3)] {
        let image = Array2::<f32>::zeros((rows, 32));
        write_float(&mixed.join(name), &image, "0\t0");
    }
    assert!(run("p_rec_t_c", "IN OUT 10 15.5 0", ".", "mixed", "out").contains("p00002.tif"));
    // The input as output; a file in the way of the output folder.
    fs::write(dir.path().join("file"), b"mine").expect("a file");
    for (program, words, place) in
        CALLS.iter().filter(|(_, words, _)| words.contains("OUT") && !words.contains("s.tif"))
    {
        let input = if *program == "p_rec_t_c" { "mixed" } else { "good" };
        let before = names(&dir.path().join(input));
        assert!(run(program, words, place, input, input).contains("is an input"), "{program}");
        if *program != "rec2rec_c" && *program != "p_rec_t_c" {
            run(program, words, place, input, "file");
        }
        assert_eq!(names(&dir.path().join(input)), before, "{program}");
    }
    assert_eq!(fs::read(dir.path().join("file")).expect("a file"), b"mine");
    // Numbers that are none.
    for words in [
        "hp_tg_t_c good x 15.5 0 out",
        "hp_tg_t_c good 10 nan 0 out",
        "hp_tg_t_c good 10 99 0 out",
        "ct_prj_fc good out -1",
    ] {
        fails(dir.path(), &words.split(' ').collect::<Vec<_>>());
    }
}

#[test]
fn views_are_as_many_as_the_log_says() {
    let dir = work();
    let counts = half(dir.path());
    assert_eq!(counts.len_of(Axis(0)), 181);
    ok(dir.path(), &["hp_tg_t_c", "raw", "10", "46.5", "0", "rec"]);
    assert_eq!(fields(&dir.path().join("rec/rec00000.tif"))[2], 180.0);
}
