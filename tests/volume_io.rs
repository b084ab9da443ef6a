//! Finished volumes from files into files: chosen, padded, turned and re-sliced while they are read; written as they came, under
//! names of one's choice. Against ct-rec's own `si_rar`, and against the definition in memory.

mod common;

use common::chains::{chain, context, same_for_all_heights};
use ndarray::{Array2, Array3, ArrayView2, Axis, s};
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use tiff::encoder::colortype::{Gray8, Gray16, Gray32Float};
use tiff::encoder::{Compression, TiffEncoder};
use wagiri::chain::{RECORD, RunOptions, RunSummary};
use wagiri::io::{read_description, read_slice};
use wagiri::{Chain, Error, Progress, Result};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ct-rec-100/rec")
}

fn run_with(text: &str, out: &Path, options: &RunOptions, progress: &mut Progress) -> Result<RunSummary> {
    let chain = Chain::parse(&context().registry(), text)?;
    chain.run(&context(), &chain.open()?, out, options, progress)
}

fn run(text: &str, out: &Path) -> RunSummary {
    run_with(text, out, &RunOptions::default(), &mut Progress::silent()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn refused(text: &str, out: &Path) -> String {
    let e: Error = run_with(text, out, &RunOptions::default(), &mut Progress::silent()).expect_err(text);
    e.to_string()
}

/// Names of the images in a folder, sorted.
fn images(folder: &Path) -> Vec<String> {
    let names =
        fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8"));
    let mut names: Vec<String> = names.filter(|n| n.ends_with(".tif") || n.ends_with(".tiff")).collect();
    names.sort();
    names
}

/// The bits of a sample in a file, and its pixels.
fn stored(path: &Path) -> (u8, Array2<f32>) {
    let file = File::open(path).expect("a file");
    let bits = match tiff::decoder::Decoder::new(file).and_then(|mut d| d.colortype()).expect("a TIFF") {
        tiff::ColorType::Gray(bits) => bits,
        other => panic!("{other:?}"),
    };
    (bits, read_slice(path).expect("a slice"))
}

#[derive(Clone, Copy)]
enum Kind {
    U8,
    U16,
    F32,
}

fn write(path: &Path, slice: ArrayView2<f32>, kind: Kind, compression: Compression) {
    let mut encoder =
        TiffEncoder::new(File::create(path).expect("a file")).expect("TIFF").with_compression(compression);
    let (height, width) = slice.dim();
    let (width, height) = (width as u32, height as u32);
    match kind {
        Kind::U8 => {
            let data: Vec<u8> = slice.iter().map(|v| *v as u8).collect();
            encoder.write_image::<Gray8>(width, height, &data).expect("an image");
        }
        Kind::U16 => {
            let data: Vec<u16> = slice.iter().map(|v| *v as u16).collect();
            encoder.write_image::<Gray16>(width, height, &data).expect("an image");
        }
        Kind::F32 => {
            let data: Vec<f32> = slice.iter().copied().collect();
            encoder.write_image::<Gray32Float>(width, height, &data).expect("an image");
        }
    }
}

fn write_all(folder: &Path, volume: &Array3<f32>, kind: Kind, compression: Compression) {
    fs::create_dir_all(folder).expect("a folder");
    for (z, slice) in volume.outer_iter().enumerate() {
        write(&folder.join(format!("s{z:02}.tif")), slice, kind, compression);
    }
}

/// Another value in each voxel, below 256 in every third.
fn numbered(shape: [usize; 3]) -> Array3<f32> {
    Array3::from_shape_fn(shape, |(z, y, x)| (((z * 71 + y) * 83 + x) % 65_521) as f32)
}

/// What the axes `+x -z +y` and so on are by definition: h, v and d of a voxel of the slices are indices along those.
fn turned(volume: &Array3<f32>, axes: &str) -> Array3<f32> {
    let word: Vec<&str> = axes.split(' ').collect();
    let axis = |word: &str| "zyx".find(&word[1..]).expect("an axis");
    let mut out = volume.view().permuted_axes([axis(word[2]), axis(word[1]), axis(word[0])]);
    for (k, word) in [word[2], word[1], word[0]].into_iter().enumerate() {
        if word.starts_with('-') {
            out.invert_axis(Axis(k));
        }
    }
    out.as_standard_layout().to_owned()
}

#[test]
fn ct_recs_re_slicing_comes_out_exactly() {
    let out = tempfile::tempdir().expect("a folder");
    let source = golden().join("f2i16");
    let text = format!(
        "volume path={} names=- axes='+y +z +x' | write.tiff type=same names=%0*d.tif description=none",
        source.display()
    );
    run(&text, out.path());
    let expected = golden().join("si_rar");
    assert_eq!(images(out.path()), images(&expected));
    for name in images(&expected) {
        assert_eq!(stored(&out.path().join(&name)), stored(&expected.join(&name)), "{name}");
        assert!(read_description(&out.path().join(&name)).is_err(), "{name}: no description");
    }
}

#[test]
fn volumes_are_turned_while_they_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    // More lines and columns than are turned at a time, more images than become columns together.
    let volume = numbered([19, 70, 66]);
    for (name, kind, compression) in [
        ("plain16", Kind::U16, Compression::Uncompressed),
        ("packed16", Kind::U16, Compression::Lzw),
        ("float", Kind::F32, Compression::Uncompressed),
    ] {
        let dir = folder.path().join(name);
        write_all(&dir, &volume, kind, compression);
        for axes in
            ["+x +y +z", "+x -y -z", "-y +x +z", "+x +z -y", "-x +z +y", "+y -z +x", "+z +x -y", "-z +y +x", "+z -y +x"]
        {
            let scan = chain(&format!("volume path={} axes='{axes}'", dir.display())).open().expect("a volume");
            let found = same_for_all_heights(&scan, "volume | volume.crop");
            assert!(found == turned(&volume, axes), "{name}, {axes}");
        }
    }
    // The rows of a run are those of the slices that are made.
    let out = folder.path().join("out");
    let options = RunOptions { rows: Some(20..23), ..RunOptions::default() };
    let text =
        format!("volume path={} axes='+x +z -y' | write.tiff type=same", folder.path().join("plain16").display());
    run_with(&text, &out, &options, &mut Progress::silent()).expect("a run");
    assert_eq!(images(&out), ["rh00020.tif", "rh00021.tif", "rh00022.tif"]);
    let expected = turned(&volume, "+x +z -y");
    assert!(stored(&out.join("rh00021.tif")).1 == expected.index_axis(Axis(0), 21));
}

#[test]
fn a_run_that_re_slices_is_continued() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, out) = (folder.path().join("in"), folder.path().join("out"));
    let volume = numbered([9, 40, 31]);
    write_all(&source, &volume, Kind::U16, Compression::Uncompressed);
    let text = |axes: &str| {
        format!("volume path={} axes='{axes}' | write.tiff type=same names=n%d.tif first=7", source.display())
    };
    let stopped = {
        let mut progress =
            Progress::new(|report| if report.done > 9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        let options = RunOptions { slab_rows: Some(2), ..RunOptions::default() };
        run_with(&text("+y +z +x"), &out, &options, &mut progress)
    };
    assert!(stopped.is_err());
    let there = images(&out).len();
    assert!((1..31).contains(&there), "{there}");
    let resume = RunOptions { resume: true, ..RunOptions::default() };
    // Other axes are another run, as other names are.
    for other in [text("+y -z +x"), text("+y +z +x").replace("first=7", "first=8")] {
        let e = run_with(&other, &out, &resume, &mut Progress::silent()).unwrap_err().to_string();
        assert!(e.contains("cannot be continued"), "{e}");
    }
    let summary = run_with(&text("+y +z +x"), &out, &resume, &mut Progress::silent()).expect("the rest");
    assert!(summary.found > 0 && summary.slices == 31, "{summary:?}");
    let expected = turned(&volume, "+y +z +x");
    for z in 0..31 {
        let (bits, slice) = stored(&out.join(format!("n{}.tif", z + 7)));
        assert!(bits == 16 && slice == expected.index_axis(Axis(0), z), "{z}");
    }
    assert!(out.join(RECORD).is_file());
}

#[test]
fn values_stay_as_they_are_and_are_rounded_where_a_filter_changed_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let volume = Array3::from_shape_fn((4, 6, 8), |(z, y, x)| ((z * 50 + y * 31 + x * 17) % 256) as f32);
    for (name, kind, bits) in [("u8", Kind::U8, 8), ("u16", Kind::U16, 16), ("f32", Kind::F32, 32)] {
        let (source, out) = (folder.path().join(name), folder.path().join(format!("{name}-out")));
        write_all(&source, &volume, kind, Compression::Uncompressed);
        run(&format!("volume path={} | write.tiff type=same names=keep", source.display()), &out);
        assert_eq!(images(&out), images(&source));
        for (z, name) in images(&source).iter().enumerate() {
            assert_eq!(stored(&out.join(name)), (bits, volume.index_axis(Axis(0), z).to_owned()), "{name}");
        }
        let binned = folder.path().join(format!("{name}-binned"));
        run(&format!("volume path={} | volume.bin | write.tiff type=same", source.display()), &binned);
        let (name, mean) = (&images(&binned)[0], volume.slice(s![0..2, 0..2, 0..2]).mean().expect("a mean"));
        let expected = if bits == 32 { mean } else { (mean + 0.5).floor() };
        assert_eq!(stored(&binned.join(name)).1[[0, 0]], expected, "{name}");
    }
}

#[test]
fn slices_of_several_sizes_are_padded_where_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, out) = (folder.path().join("in"), folder.path().join("out"));
    fs::create_dir(&source).expect("a folder");
    let sizes = [(5, 7), (8, 4), (3, 9)];
    for (z, (height, width)) in sizes.into_iter().enumerate() {
        let slice = Array2::from_elem((height, width), (z + 1) as f32);
        write(&source.join(format!("s{z}.tif")), slice.view(), Kind::U8, Compression::Uncompressed);
    }
    let e = refused(&format!("volume path={}", source.display()), &out);
    assert!(e.contains("s1.tif") && e.contains("4 x 8"), "{e}");
    let expected =
        Array3::from_shape_fn(
            (3, 8, 9),
            |(z, y, x)| {
                if y < sizes[z].0 && x < sizes[z].1 { (z + 1) as f32 } else { 0.0 }
            },
        );
    for axes in ["+x +y +z", "+y +z +x", "-z +y +x"] {
        let text = format!("volume path={} pad=zero axes='{axes}'", source.display());
        let found = same_for_all_heights(&chain(&text).open().expect("a volume"), "volume | volume.crop");
        assert!(found == turned(&expected, axes), "{axes}");
    }
    // One of another type is refused, whether sizes may differ or not.
    write(&source.join("s1.tif"), Array2::zeros((5, 7)).view(), Kind::U16, Compression::Uncompressed);
    write(&source.join("s2.tif"), Array2::zeros((5, 7)).view(), Kind::U8, Compression::Uncompressed);
    for pad in ["off", "zero"] {
        let e = refused(&format!("volume path={} pad={pad}", source.display()), &out);
        assert!(e.contains("s1.tif") && e.contains("16-bit") && e.contains("8-bit") && e.contains("alike"), "{e}");
    }
}

#[test]
fn what_descriptions_tell_is_carried_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = golden().join("hp_tg_c_k5");
    let fields = |path: &Path| -> Vec<f64> {
        let text = read_description(path).expect("a description");
        text.split('\t').map(|f| f.parse().expect("a number")).collect()
    };
    let before = fields(&source.join("rec00000.tif"));
    // As rec_sir: D B, (RC - (B - 1) / 2) / B, views and turn kept, smallest and largest value new.
    let binned = folder.path().join("binned");
    run(&format!("volume path={} | volume.bin bin=3", source.display()), &binned);
    let after = fields(&binned.join("rec00000.tif"));
    let expected = [3.0 * before[0], (before[1] - 1.0) / 3.0, before[2], before[3]];
    after.iter().zip(expected).for_each(|(a, e)| assert!((a - e).abs() < 1e-6, "{after:?}"));
    let slice = read_slice(&binned.join("rec00000.tif")).expect("a slice");
    let (low, high) = slice.iter().fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    assert!((after[4] - f64::from(low)).abs() < 1e-6 && (after[5] - f64::from(high)).abs() < 1e-6);
    // A tilted axis has another column in each slice; converted slices tell what their levels are in 1/cm.
    let tilted = golden().join("hp_tg_tilt");
    let (bytes, cut) = (folder.path().join("bytes"), folder.path().join("cut"));
    run(&format!("volume path={} | write.tiff type=u8 min=-1 max=9", tilted.display()), &bytes);
    run(
        &format!("volume path={} | volume.crop first_slices=1 left_px=5 | write.tiff type=same", bytes.display()),
        &cut,
    );
    for z in 1..3 {
        let [was, kept] =
            [bytes.join(format!("ro{z:05}.tif")), cut.join(format!("ro{:05}.tif", z - 1))].map(|p| fields(&p));
        let rec = fields(&tilted.join(format!("rec{z:05}.tif")));
        assert!(
            (kept[1] - rec[1]).abs() < 1e-5 && kept[..4] == was[..4] && kept[6..] == [-1.0, 9.0],
            "{kept:?} {rec:?}"
        );
        // Levels are 10/255 apart, and conversion rounds down; values beyond the ends are cut off.
        let (low, high) = (rec[4].max(-1.0), rec[5].min(9.0));
        assert!(kept[4] >= low - 0.04 && kept[5] <= high + 1e-6 && kept[4] < kept[5], "{kept:?} {rec:?}");
    }
}

#[test]
fn what_cannot_be_written_is_said_in_a_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, out) = (folder.path().join("in"), folder.path().join("out"));
    write_all(&source, &numbered([4, 6, 6]), Kind::U16, Compression::Uncompressed);
    let volume = format!("volume path={}", source.display());
    let twice = format!("{volume} names='-s01.tif s02.tif s01.tif'");
    for (text, said) in [
        (
            format!("{volume} | volume.bin | write.tiff names=keep"),
            "names=keep: the chain changes the number of slices",
        ),
        (format!("{volume} axes='+x +z +y' | write.tiff names=keep"), "no file names to keep"),
        (format!("{twice} | write.tiff names=keep"), "s01.tif occurs twice"),
        (format!("{volume} | write.tiff names=keep first=3"), "names=keep takes no first"),
        (format!("{volume} | write.tiff names=slice.tif"), "no place for the number"),
        (format!("{volume} | write.tiff type=same min=3"), "takes no min and max"),
        (format!("{volume} | project | write.tiff type=same"), "keeps the type of a volume that is read"),
        (format!("{volume} axes='+x +x +z'"), "each of x, y and z once"),
        (format!("{volume} names=nothing.txt"), "a name in each line"),
    ] {
        let e = refused(&text, &out);
        assert!(e.contains(said) && e.lines().count() == 1, "{text}: {e}");
    }
    assert!(!out.exists(), "nothing was made");
    // Reversed slices keep their own names.
    run(&format!("{volume} axes='+x +y -z' | write.tiff type=same names=keep"), &out);
    let (a, b) = (stored(&out.join("s03.tif")), stored(&source.join("s03.tif")));
    assert!(a == b && images(&out).len() == 4);
}
