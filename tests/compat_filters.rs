//! ct-rec's filters of folders (tif_*) and its programs on integer volumes (si_*), through their own command lines.

#[path = "common/programs.rs"]
mod programs;

use ndarray::Array2;
use programs::{Work, compare, fields, golden, names};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use wagiri::io::{GreyTags, SampleType, read_description, read_image, write_image};

#[test]
fn filters_are_those_of_ct_rec() {
    let (work, rec) = (Work::new(), golden("hp_tg_c_k5"));
    work.ok(&["tif_gsf", &rec, "gsf", "1.2"]);
    // Sums in f64 here and there; the last bits of f32.
    compare(&work, "gsf", "tif_gsf", 1e-6);
    work.ok(&["tif_gsf_g", &rec, "gsf_g", "1.2"]);
    assert_eq!(work.pixels("gsf_g/rec00001.tif"), work.pixels("gsf/rec00001.tif"));
    work.ok(&["tif_mdf", &rec, "mdf", "3"]);
    assert_eq!(compare(&work, "mdf", "tif_mdf", 0.0), 0);
    assert!(work.log().ends_with(&format!("tif_mdf {rec} mdf 3 \t   % k 3\n")), "{}", work.log());
    // What is known of the volume is carried on; smallest and largest value are those of what is written.
    let (before, after) = (fields(&Path::new(&rec).join("rec00001.tif")), work.description("mdf/rec00001.tif"));
    assert_eq!(&after[..4], &before[..4]);
    let largest = work.pixels("mdf/rec00001.tif").iter().fold(f32::MIN, |m, v| m.max(*v));
    assert!((after[5] - f64::from(largest)).abs() < 1e-6);
}

#[test]
fn the_bilateral_filter_is_that_of_ct_rec() {
    let (work, rec) = (Work::new(), golden("hp_tg_c_k5"));
    work.ok(&["tif_blf", &rec, "blf", "5", "2", "0.8"]);
    // Exponentials and sums in f32 here and there.
    compare(&work, "blf", "tif_blf", 1e-5);
    assert!(work.log().ends_with("blf 5 2 0.8 \t   % k 5  sigma_s 2  sigma_i 0.8\n"), "{}", work.log());
}

/// Flat volumes with noise, in 32 and 8 bits: less noise comes out, and the same mean.
#[test]
fn every_filter_takes_noise_away_in_any_type() {
    let work = Work::new();
    let mut state = 7u64;
    let mut noise = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let flat: Vec<Array2<f32>> = (0..8).map(|_| Array2::from_shape_fn((25, 26), |_| noise())).collect();
    work.volume("rec", "rec", 0, 8, |z| flat[z].mapv(|v| 3.0 + v));
    work.volume("ro", "ro", 0, 8, |z| flat[z].mapv(|v| (100.0 + 40.0 * v).round()));
    let moments = |folder: &str, middle: f64| {
        let all: Vec<f64> = work
            .names(folder)
            .iter()
            .flat_map(|name| work.pixels(&format!("{folder}/{name}")).into_iter().map(f64::from).collect::<Vec<_>>())
            .collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let square = all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / all.len() as f64;
        (mean / middle, square.sqrt())
    };
    for line in [
        "tif_blf",
        "tif_nlm_g",
        "tif_nlm",
        "tif_adf_g",
        "tif_adf 20 -1 0.1 2",
        "tif_tvd_g",
        "tif_wvd_g 2",
        "tif_bm4d_g",
        "tif_mdf",
    ] {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        for (folder, middle) in [("rec", 3.0), ("ro", 100.0)] {
            let out = format!("{name}-{folder}");
            work.ok(&[vec![name, folder, &out], words.clone().collect()].concat());
            assert_eq!(work.names(&out), work.names(folder), "{line}");
            let (before, after) = (moments(folder, middle), moments(&out, middle));
            // Uniform noise of 40 levels has a standard deviation of 11.5, far above what rounding adds.
            assert!(after.1 < 0.7 * before.1, "{line} {folder}: {} to {}", before.1, after.1);
            assert!((after.0 - before.0).abs() < 0.01, "{line} {folder}: {} to {}", before.0, after.0);
            let sample = read_image(&work.path(&out).join(&work.names(&out)[0])).expect("a slice").sample;
            assert_eq!(sample, if folder == "ro" { SampleType::U8 } else { SampleType::F32 });
        }
    }
    for (args, sentence) in [
        (vec!["tif_adf", "rec", "o", "20", "1", "0.3"], "dt"),
        (vec!["tif_nlm_g", "rec", "o", "6"], "rp: expected 1 to 5"),
        (vec!["tif_wvd_g", "rec", "o", "6"], "levels: expected 1 to 5"),
        (vec!["tif_bm4d_g", "rec", "o", "2", "11"], "rs: expected 1 to 10"),
        (vec!["tif_tvd_g", "rec", "o", "x"], "lambda: expected a number"),
        (vec!["tif_blf", "rec", "o", "4"], "k: expected an odd number"),
    ] {
        let said = work.fails(&args);
        assert!(said.contains(sentence), "{args:?}: {said}");
        assert!(!work.path("o").exists(), "{args:?}");
    }
}

#[test]
fn integer_volumes_are_those_of_ct_rec() {
    let (work, rh) = (Work::new(), golden("f2i16"));
    work.ok(&["si_rar", &rh, "-", "+y", "+z", "+x", "rar"]);
    assert_eq!(compare(&work, "rar", "si_rar", 0.0), 0);
    assert!(read_description(&work.path("rar/000.tif")).is_err());
    work.ok(&["si_sir", &rh, "-", "2", "2", "1", "sir"]);
    assert_eq!(compare(&work, "sir", "si_sir", 0.0), 0);
    work.ok(&["si_gf", &rh, "-", "1.5", "gf"]);
    // ct-rec transforms in f32: where a value lies halfway between two levels (of 45000) it may take the other one.
    let different = compare(&work, "gf", "si_gf", 1.5 / 45000.0);
    assert!(different <= 20, "{different} of 49152 values");
    assert!(work.log().contains(&format!("si_gf {rh} - 1.5 gf \n")));
}

#[test]
fn single_planes_are_those_of_the_whole_volume() {
    let (work, rh) = (Work::new(), golden("f2i16"));
    let plane = |name: &str| read_image(&Path::new(&golden("si_rar")).join(name)).expect("a plane").pixels;
    work.ok(&["si_rar", &rh, "-", "+y", "+z", "+x", "64", "one.tif"]);
    assert_eq!(work.pixels("one.tif"), plane("064.tif"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_wagiri"))
        .args(["si_rar", &rh, "-"])
        .current_dir(work.path("."))
        .stdin(Stdio::piped())
        .spawn()
        .expect("wagiri must start");
    let lines = "+y +z +x 5 a.tif\n\n-y +z -x 5 b.tif\n";
    child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("two lines");
    assert!(child.wait().expect("an end").success());
    assert_eq!(work.pixels("a.tif"), plane("005.tif"));
    // Backwards from the far end.
    let mut mirrored = plane("122.tif");
    mirrored.invert_axis(ndarray::Axis(1));
    assert_eq!(work.pixels("b.tif"), mirrored);
    for (bad, sentence) in [
        (vec!["+y", "+z", "+x", "128", "c.tif"], "sliceNo: expected 0 to 127"),
        (vec!["+y", "+z", "+y", "1", "c.tif"], "axes"),
        (vec!["+y", "+z", "+x", "1", &format!("{rh}/rh00000.tif")], "one of the images that are read"),
    ] {
        let said = work.fails(&[vec!["si_rar", &rh, "-"], bad].concat());
        assert!(said.contains(sentence), "{said}");
    }
}

#[test]
fn blocks_of_integers_are_means_and_sums_as_defined() {
    let work = Work::new();
    work.volume("v", "ro", 8, 3, |z| Array2::from_shape_fn((3, 5), |(y, x)| (100 * z + 10 * y + x) as f32));
    // One image is smaller: zeros are added at the right and the bottom.
    let small = Array2::from_elem((2, 4), 7.0f32);
    write_image(&work.path("v/ro00010.tif"), small.view(), SampleType::U8, &GreyTags::default()).expect("an image");
    let value = |z: usize, y: usize, x: usize| match (z, y, x) {
        (2, 0..2, 0..4) => 7.0,
        (2, ..) => 0.0,
        _ => (100 * z + 10 * y + x).min(255) as f64,
    };
    let block = |bz: usize, by: usize, bx: usize, size: [usize; 3]| -> Vec<f64> {
        let range = |b: usize, size: usize, all: usize| b * size..((b + 1) * size).min(all);
        let mut values = Vec::new();
        for z in range(bz, size[0], 3) {
            for y in range(by, size[1], 3) {
                values.extend(range(bx, size[2], 5).map(|x| value(z, y, x)));
            }
        }
        values
    };
    let mean = |v: Vec<f64>| (v.iter().sum::<f64>() / v.len() as f64 + 0.5).floor() as f32;
    work.ok(&["si_sir", "v", "-", "2", "sir"]);
    assert_eq!(work.names("sir"), ["0.tif", "1.tif"]);
    for (z, name) in ["sir/0.tif", "sir/1.tif"].into_iter().enumerate() {
        let expected = Array2::from_shape_fn((2, 3), |(y, x)| mean(block(z, y, x, [2, 2, 2])));
        assert_eq!(work.pixels(name), expected, "{name}");
    }
    work.ok(&["si_sir_a", "v", "--n", "2", "3", "1", "a"]);
    assert_eq!(work.names("a"), ["a1.tif", "a2.tif", "a3.tif"]);
    let expected = Array2::from_shape_fn((1, 3), |(y, x)| mean(block(1, y, x, [1, 3, 2])));
    assert_eq!(work.pixels("a/a2.tif"), expected);
    work.ok(&["si_sir_a6", "v", "-ro00009.tif ro00008.tif", "3", "a6"]);
    assert_eq!(work.names("a6"), ["a000001.tif"]);
    work.ok(&["si_sir_s", "v", "-", "2", "s"]);
    assert_eq!(work.pixels("s/a1.tif")[[0, 0]], block(0, 0, 0, [2, 2, 2]).iter().sum::<f64>() as f32);
    // Sums do not begin at 0 again.
    work.volume("w", "rh", 0, 2, |_| Array2::from_elem((2, 2), 60000.0));
    let output = work.run(&["si_sir_s", "w", "-", "2", "t"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 sums exceed 65535"));
    assert_eq!(work.pixels("t/a1.tif")[[0, 0]], 65535.0);
    assert!(work.fails(&["si_sir", &golden("hp_tg_c_k5"), "-", "2", "u"]).contains("8 or 16 bits"));
}

#[test]
fn a_bias_is_what_lies_beyond_an_integer_volume() {
    let work = Work::new();
    work.volume("v", "rh", 0, 3, |_| Array2::from_elem((5, 6), 500.0));
    work.ok(&["si_gf", "v", "-", "2", "500", "w"]);
    assert_eq!(work.names("w"), work.names("v"));
    assert_eq!(work.pixels("w/rh00000.tif"), Array2::from_elem((5, 6), 500.0));
    assert_eq!(work.description("w/rh00001.tif"), [2.0, 11.0, 180.0, 0.5, 500.0, 500.0]);
    work.ok(&["si_gf", "v", "-", "2", "dark"]);
    assert!(work.pixels("dark/rh00000.tif")[[0, 0]] < 250.0);
}

/// What every program that takes a folder must refuse, in a sentence, and leave its input as it was.
#[test]
fn bad_folders_are_refused_in_a_sentence() {
    // `I` is the input, `O` the output.
    let integer = [
        "si_rar I - +y +z +x O",
        "si_sir I - 2 O",
        "si_sir_a I - 2 O",
        "si_sir_a6 I - 2 O",
        "si_sir_s I - 2 O",
        "si_gf I - 1 O",
    ];
    let float = ["tif_f2i 8 I O", "rec_crop I O", "rec_gf I 1 O", "rec_sir I O 2"];
    let names_of_filters = ["gsf", "mdf", "blf", "nlm", "adf", "tvd", "wvd", "bm4d"];
    let filters = names_of_filters.map(|name| format!("tif_{name}_g I O"));
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    let with = |line: &str, input: &str, out: &str| -> Vec<String> {
        line.split(' ')
            .map(|w| {
                if w == "I" {
                    input
                } else if w == "O" {
                    out
                } else {
                    w
                }
                .to_owned()
            })
            .collect()
    };
    for (lines, prefix) in [(&integer[..], "rh"), (&float[..], "rec"), (&filters[..], "rec")] {
        let work = Work::new();
        let flat = |size: (usize, usize)| move |z: usize| Array2::from_shape_fn(size, |(y, x)| (z + y + x) as f32);
        work.volume("one", prefix, 0, 1, flat((4, 4)));
        work.volume("good", prefix, 0, 3, flat((4, 4)));
        std::fs::create_dir(work.path("empty")).expect("a folder");
        std::fs::write(work.path("file"), "text").expect("a file");
        work.volume("text", prefix, 0, 2, flat((4, 4)));
        std::fs::write(work.path("text").join(format!("{prefix}00001.tif")), "no image").expect("a file");
        work.volume("cut", prefix, 0, 2, flat((40, 40)));
        let cut = work.path("cut").join(format!("{prefix}00001.tif"));
        let half = std::fs::read(&cut).expect("a slice");
        std::fs::write(&cut, &half[..600]).expect("half a slice");
        work.volume("types", prefix, 0, 2, flat((4, 4)));
        let other = work.path("types").join(format!("{prefix}00001.tif"));
        write_image(&other, Array2::ones((4, 4)).view(), SampleType::U8, &GreyTags::default()).expect("an image");
        for line in lines {
            let run = |input: &str, out: &str| {
                let words = with(line, input, out);
                work.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
            };
            for input in ["none", "empty", "file", "text", "cut", "types"] {
                let before = work.path(input).is_dir().then(|| names(&work.path(input)));
                let output = run(input, "out");
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.code().is_some_and(|code| code != 0), "{line} {input}");
                // The sentence, after at most two remarks.
                let sentences = said.lines().all(|line| line.starts_with("wagiri: "));
                assert!(sentences && (1..=3).contains(&said.lines().count()), "{line} {input}: {said}");
                assert_eq!(before, work.path(input).is_dir().then(|| names(&work.path(input))), "{line} {input}");
                let left = if work.path("out").exists() { work.names("out") } else { Vec::new() };
                assert!(left.iter().all(|name| name.ends_with(".tif")), "{line} {input}: {left:?}");
            }
            let output = run("good", "good");
            assert!(!output.status.success(), "{line} into its input");
            assert_eq!(work.names("good").len(), 3, "{line} into its input");
            let output = run("good", "file/out");
            assert!(!output.status.success(), "{line} into a file");
            // One slice is a volume.
            let out = format!("{}-one", line.split(' ').next().unwrap_or_default());
            let single = run("one", &out);
            let small = line.starts_with("rec_sir");
            assert_eq!(single.status.success(), !small, "{line}: {}", String::from_utf8_lossy(&single.stderr));
            assert!(small || !work.names(&out).is_empty(), "{line}");
            // Too few words: how it is used.
            let name = line.split(' ').next().unwrap_or_default();
            let said = work.fails(&[name, "good"]);
            assert!(said.contains(&format!("usage: {name} ")), "{said}");
        }
    }
}

#[test]
fn sizes_that_differ_and_wrong_numbers_are_told() {
    let work = Work::new();
    work.volume("v", "rec", 0, 2, |z| Array2::from_elem((4 + z, 6), 1.0 + z as f32));
    for args in [vec!["rec_gf", "v", "1", "o"], vec!["rec_sir", "v", "o", "2"], vec!["tif_mdf", "v", "o"]] {
        let said = work.fails(&args);
        assert!(said.contains("6 x 4") && said.contains("6 x 5"), "{args:?}: {said}");
    }
    // tif_f2i and rec_crop take the smallest.
    work.ok(&["rec_crop", "v", "c"]);
    assert_eq!(work.pixels("c/rec00001.tif").dim(), (4, 6));
    work.ok(&["tif_f2i", "8", "v", "f", "0", "2"]);
    assert_eq!(work.pixels("f/ro00001.tif"), Array2::from_elem((4, 6), 255.0));
    for (args, sentence) in [
        (vec!["rec_gf", "v", "-1", "o"], "radius: expected 0 to 10000"),
        (vec!["rec_gf", "v", "x", "o"], "radius: expected a number"),
        (vec!["rec_sir", "v", "o", "0"], "B: expected a whole number"),
        (vec!["tif_mdf", "v", "o", "4"], "k: expected an odd number"),
        (vec!["tif_mdf", "v", "o", "23"], "k: expected 3 to 21"),
        (vec!["tif_gsf", "v", "o", "0"], "sigma: expected"),
    ] {
        let said = work.fails(&args);
        assert!(said.contains(sentence), "{args:?}: {said}");
    }
}
