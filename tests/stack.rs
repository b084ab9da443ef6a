//! Volumes of a z-scan, written to files and stacked again: the body that they were cut from.

mod common;

use common::Lcg;
use common::chains::{chain, context, same_for_all_heights};
use ndarray::{Array3, Axis, s};
use std::path::Path;
use wagiri::chain::RunOptions;
use wagiri::scan::MemoryRows;
use wagiri::{Chain, Progress};

/// A body of balls, brighter the larger the number; `[z, y, x]`.
fn body(rows: usize) -> Array3<f32> {
    const SIZE: usize = 96;
    let mut volume = Array3::zeros((rows, SIZE, SIZE));
    let mut random = Lcg(11);
    for _ in 0..rows * 4 {
        let [z, y, x] = [rows, SIZE, SIZE].map(|n| random.unit() * n as f64);
        let (radius, value) = (2.0 + 4.0 * random.unit(), (0.5 + random.unit()) as f32);
        let part = |at: f64, n: usize| ((at - radius).max(0.0) as usize)..((at + radius) as usize + 1).min(n);
        for k in part(z, rows) {
            for j in part(y, SIZE) {
                for i in part(x, SIZE) {
                    if (k as f64 - z).hypot(j as f64 - y).hypot(i as f64 - x) <= radius {
                        volume[[k, j, i]] = value;
                    }
                }
            }
        }
    }
    volume
}

/// Writes slices as `kind` (the type of write.tiff).
fn write(folder: &Path, slices: Array3<f32>, kind: &str) {
    let scan = MemoryRows::volume(slices).into_scan(Vec::new(), Some(3.0)).expect("a volume");
    let chain = chain(&format!("volume | volume.crop | write.tiff type={kind}"));
    chain.run(&context(), &scan, folder, &RunOptions::default(), &mut Progress::silent()).expect("slices");
}

/// Each shift moves the body within the slices, to the bottom and to the right.
fn moved(slices: Array3<f32>, [dy, dx]: [isize; 2]) -> Array3<f32> {
    let (_, height, width) = slices.dim();
    Array3::from_shape_fn(slices.dim(), |(z, y, x)| {
        let (y, x) = (y as isize - dy, x as isize - dx);
        let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
        if inside { slices[[z, y as usize, x as usize]] } else { 0.0 }
    })
}

fn remarks(chain: &Chain) -> Vec<String> {
    chain.open().expect("a stack").info().notes.clone()
}

#[test]
fn a_body_in_three_volumes_is_put_together_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let whole = body(100);
    let starts = [0..40, 28..70, 61..100];
    for (k, rows) in starts.iter().cloned().enumerate() {
        write(&dir.path().join(k.to_string()), whole.slice(s![rows, .., ..]).to_owned(), "f32");
    }
    let paths = (0..3).map(|k| dir.path().join(k.to_string()).display().to_string()).collect::<Vec<_>>().join(" ");
    for how in ["", "overlap=12,9", "blend=cut", "shift=auto", "overlap=12,9 shift=subpixel blend=cut"] {
        let stack = chain(&format!("stack paths=\"{paths}\" {how} | volume.crop"));
        let found = same_for_all_heights(&stack.open().expect("a stack"), "volume | volume.crop");
        let told = remarks(&stack);
        let sure = told.iter().all(|r| r.contains("12 slices overlap") || r.contains("9 slices overlap"));
        assert!(sure && told.len() == if how == "overlap=12,9" { 0 } else { 2 }, "{how}: {told:?}");
        assert_eq!(found.dim(), whole.dim(), "{how}");
        // A shift that is found is nothing but rounding, which interpolation makes of it.
        let off = found.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off <= if how.contains("subpixel") { 0.1 } else { 0.0 }, "{how}: {off}");
    }
}

#[test]
fn overlap_and_shift_are_found_in_noise_and_in_whole_numbers() {
    let dir = tempfile::tempdir().expect("a folder");
    let whole = body(90);
    let mut random = Lcg(3);
    let mut noisy = |rows: std::ops::Range<usize>, shift, kind: &str, name: &str| {
        let mut slices = moved(whole.slice(s![rows, .., ..]).to_owned(), shift);
        // As much noise as the balls are bright, and rings of the detector.
        slices.indexed_iter_mut().for_each(|((_, y, x), v)| {
            let ring = 0.5 * (2.0 * (x as f64 - 47.5).hypot(y as f64 - 47.5)).sin();
            *v = (f64::from(*v) + ring + 2.0 * random.unit() - 1.0) as f32;
        });
        write(&dir.path().join(name), slices, kind);
    };
    for (kind, shift) in [("f32", [0, 0]), ("u16", [3, -4]), ("u8", [-2, 5])] {
        let range = if kind == "f32" { String::new() } else { " min=-3 max=5".to_owned() };
        noisy(0..50, [0, 0], &format!("{kind}{range}"), &format!("{kind}-a"));
        noisy(33..90, shift, &format!("{kind}{range}"), &format!("{kind}-b"));
        let paths = ["a", "b"].map(|n| dir.path().join(format!("{kind}-{n}")).display().to_string()).join("; ");
        let stack = chain(&format!("stack paths=\"{paths}\" shift=auto | write.tiff type=same"));
        let scan = stack.open().expect("a stack");
        assert_eq!((scan.shape().rows, scan.info().pixel_um), (90, Some(3.0)), "{kind}: {:?}", scan.info().notes);
        let out = dir.path().join(format!("{kind}-out"));
        let summary =
            stack.run(&context(), &scan, &out, &RunOptions::default(), &mut Progress::silent()).expect("slices");
        let said = summary.remarks.join(" ");
        let expected = format!("17 slices overlap, shifted by {}", shift[1]);
        // Found to a fraction of a pixel, so the number begins with what it should be or lies just below.
        assert!(said.contains("17 slices overlap") && said.contains("confidence"), "{kind}: {said} ({expected})");
        // The lower part lies where the body is: the balls of slice 80 at their places.
        let chain = chain(&format!("volume path={} | volume.crop", out.display()));
        let volume = same_for_all_heights(&chain.open().expect("a volume"), "volume | volume.crop");
        let (found, truth) = (volume.slice(s![60..90, 10..86, 10..86]), whole.slice(s![60..90, 10..86, 10..86]));
        let correlation = |dy: usize, dx: usize| -> f64 {
            let moved = volume.slice(s![60..90, 8 + dy..84 + dy, 8 + dx..84 + dx]);
            moved.iter().zip(&truth).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        assert_eq!(found.dim(), truth.dim());
        let best =
            (0..25).map(|n| (n / 5, n % 5)).max_by(|a, b| correlation(a.0, a.1).total_cmp(&correlation(b.0, b.1)));
        assert_eq!(best, Some((2, 2)), "{kind}: the lower volume is not where it belongs");
    }
}

#[test]
fn what_does_not_fit_together_is_said() {
    let dir = tempfile::tempdir().expect("a folder");
    let whole = body(60);
    write(&dir.path().join("a"), whole.slice(s![0..25, .., ..]).to_owned(), "f32");
    write(&dir.path().join("b"), whole.slice(s![35..60, .., ..]).to_owned(), "f32");
    write(&dir.path().join("small"), whole.slice(s![20..60, ..50, ..50]).to_owned(), "f32");
    write(&dir.path().join("bytes"), whole.slice(s![20..60, .., ..]).to_owned(), "u8");
    write(&dir.path().join("flat"), Array3::from_elem((12, 96, 96), 2.0), "f32");
    for (names, more, said) in [
        (["a", "b"], "", "no overlap was found"),
        (["flat", "flat"], "", "no overlap was found"),
        (["a", "small"], "", "same width and height"),
        (["a", "bytes"], "", "sample type"),
        (["a", "b"], "overlap=25", "must be smaller than the volumes"),
        (["a", "b"], "overlap=2,3", "one for each joint"),
        (["a", "b"], "overlap=two", "expected a number of slices"),
        (["a", "none"], "", "no such file or folder"),
    ] {
        let paths = names.map(|n| dir.path().join(n).display().to_string()).join(" ");
        let e = match chain(&format!("stack paths=\"{paths}\" {more} | volume.crop")).open() {
            Ok(scan) => panic!("{names:?} {more}: {:?}", scan.info().notes),
            Err(e) => e.to_string(),
        };
        assert!(e.contains(said) && e.lines().count() == 1, "{names:?} {more}: {e}");
    }
    let e = chain("stack | volume.crop").open().map(|_| ()).expect_err("no data").to_string();
    assert!(e.contains("stack paths=FOLDER"), "{e}");
    // Without overlap they stand on each other.
    let paths = ["a", "b"].map(|n| dir.path().join(n).display().to_string()).join(" ");
    let scan = chain(&format!("stack paths=\"{paths}\" overlap=0 | volume.crop")).open().expect("a stack");
    let found = same_for_all_heights(&scan, "volume | volume.crop");
    assert!(found.index_axis(Axis(0), 25) == whole.index_axis(Axis(0), 35) && found.dim().0 == 50);
}
