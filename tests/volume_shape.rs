//! Stages that give a volume another shape, in chains: ct-rec's own results, and what they are by definition.

mod common;

use common::chains::{chain, context, same_for_all_heights, volume};
use ndarray::{Array2, Array3, Axis, s};
use std::f64::consts::PI;
use std::fs::File;
use std::path::{Path, PathBuf};
use wagiri::chain::RunOptions;
use wagiri::io::read_slice;
use wagiri::scan::MemoryRows;
use wagiri::{Progress, Scan};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ct-rec-100/rec").join(name)
}

fn run(text: &str, out: &Path) {
    let chain = chain(text);
    let scan = chain.open().unwrap_or_else(|e| panic!("{text}: {e}"));
    chain
        .run(&context(), &scan, out, &RunOptions::default(), &mut Progress::silent())
        .unwrap_or_else(|e| panic!("{text}: {e}"));
}

fn memory(data: &Array3<f32>) -> Scan {
    MemoryRows::volume(data.clone()).into_scan(Vec::new(), Some(2.0)).expect("a volume")
}

fn noise(shape: [usize; 3]) -> Array3<f32> {
    let mut random = common::Lcg(5);
    Array3::from_shape_simple_fn(shape, || random.unit() as f32 - 0.3)
}

/// Slices of a folder, sorted by name, `[z, y, x]`.
fn slices(folder: &Path) -> (Vec<String>, Vec<Array2<f32>>) {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path());
    let mut paths: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "tif")).collect();
    paths.sort();
    let name = |p: &PathBuf| p.file_name().expect("a name").to_string_lossy().into_owned();
    (paths.iter().map(name).collect(), paths.iter().map(|p| read_slice(p).expect("a slice")).collect())
}

#[test]
fn ct_recs_binning_and_cropping_come_out_as_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    // Whole numbers: exactly.
    let out = folder.path().join("si_sir");
    run(
        &format!(
            "volume path={} names=- | volume.bin bin=2 bin_z=1 partial=keep | write.tiff type=same names=%0*d.tif description=none",
            golden("f2i16").display()
        ),
        &out,
    );
    assert!(slices(&out) == slices(&golden("si_sir")));
    let file = File::open(out.join("0.tif")).expect("a file");
    let colour = tiff::decoder::Decoder::new(file).and_then(|mut d| d.colortype()).expect("a TIFF");
    assert_eq!(colour, tiff::ColorType::Gray(16));
    // Means in f64 and stored in f32, as here: the order of the sum is the only freedom.
    let source = golden("hp_tg_c_k5");
    let out = folder.path().join("sir");
    run(&format!("volume path={} | volume.bin bin=3", source.display()), &out);
    let (ours, theirs) = (slices(&out), slices(&golden("sir")));
    assert_eq!(ours.0, theirs.0);
    for (a, b) in ours.1.iter().zip(&theirs.1) {
        assert!(a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 4e-7 * b.abs().max(1.0)));
    }
    // Columns 10 to 99 and lines 20 to 109: an odd number loses its last.
    let out = folder.path().join("crop");
    run(&format!("volume path={} | volume.crop left_px=10 right_px=28 top_px=20 bottom_px=18", source.display()), &out);
    assert!(slices(&out) == slices(&golden("crop")));
}

#[test]
fn sums_and_boxes_that_are_cut_off_are_what_they_are_by_definition() {
    let data = noise([7, 11, 13]).mapv(|v| (v * 100.0).round());
    let scan = memory(&data);
    for (x, y, z) in [(2, 3, 4), (5, 1, 2), (13, 11, 7), (1, 1, 3)] {
        for mode in ["mean", "sum"] {
            for partial in ["keep", "drop"] {
                let text = format!("volume | volume.bin bin_x={x} bin_y={y} bin_z={z} mode={mode} partial={partial}");
                let found = same_for_all_heights(&scan, &text);
                let size = |n: usize, b: usize| if partial == "keep" { n.div_ceil(b) } else { n / b };
                assert_eq!(found.dim(), (size(7, z), size(11, y), size(13, x)), "{text}");
                for ((k, j, i), value) in found.indexed_iter() {
                    let part = |at: usize, b: usize, n: usize| at * b..((at + 1) * b).min(n);
                    let part = data.slice(s![part(k, z, 7), part(j, y, 11), part(i, x, 13)]);
                    let sum: f64 = part.iter().map(|v| f64::from(*v)).sum();
                    let expected = if mode == "sum" { sum } else { sum / part.len() as f64 };
                    // Whole numbers: the sum is exact, a mean is rounded once.
                    assert_eq!(*value, expected as f32, "{text} at {k} {j} {i}");
                }
            }
        }
    }
}

#[test]
fn a_frame_can_be_put_around_a_volume_and_taken_away() {
    let data = noise([6, 9, 8]);
    let scan = memory(&data);
    let padded = "volume | volume.pad left_px=2 right_px=3 top_px=1 first_slices=4 last_slices=25 value=-7";
    let framed = same_for_all_heights(&scan, padded);
    assert_eq!(framed.dim(), (35, 10, 13));
    let mut expected = Array3::from_elem((35, 10, 13), -7.0);
    expected.slice_mut(s![4..10, 1..10, 2..10]).assign(&data);
    assert!(framed == expected);
    // Neighbours of a slice beside the frame are those of the frame.
    let smooth = same_for_all_heights(&scan, &format!("{padded} | filter.median depth_px=3"));
    assert!(smooth == volume(&memory(&expected), "volume | filter.median depth_px=3", None));
    let back = format!("{padded} | volume.crop left_px=2 right_px=3 top_px=1 first_slices=4 last_slices=25");
    assert!(same_for_all_heights(&scan, &back) == data);
    // Rows far behind the volume, alone.
    let folder = tempfile::tempdir().expect("a folder");
    let options = RunOptions { rows: Some(31..34), ..RunOptions::default() };
    chain(padded).run(&context(), &scan, folder.path(), &options, &mut Progress::silent()).expect("a frame");
    assert!(slices(folder.path()).1.iter().all(|slice| slice.iter().all(|v| *v == -7.0)));
}

#[test]
fn one_volume_is_pasted_into_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, patch) = (noise([8, 9, 10]), noise([4, 5, 6]).mapv(|v| v + 10.0));
    chain("volume | volume.crop")
        .run(&context(), &memory(&patch), folder.path(), &RunOptions::default(), &mut Progress::silent())
        .expect("slices");
    for (x, y, z) in [(2, 1, 3), (-2, 6, 6), (7, -3, -2), (20, 0, 0), (0, 0, 8)] {
        let text = format!("volume | volume.paste volume={} x_px={x} y_px={y} z_px={z}", folder.path().display());
        let found = same_for_all_heights(&memory(&data), &text);
        for ((k, j, i), value) in found.indexed_iter() {
            let at = [k as isize - z, j as isize - y, i as isize - x];
            let inside = at.iter().zip(patch.shape()).all(|(at, n)| (0..*n as isize).contains(at));
            let expected = if inside { patch[at.map(|at| at as usize)] } else { data[[k, j, i]] };
            assert_eq!(*value, expected, "{text} at {k} {j} {i}");
        }
    }
    for (text, said) in [
        ("volume.paste", "volume: expected a folder"),
        ("volume.paste volume=nowhere/at/all", "no such file or folder"),
        ("volume.crop first_slices=8", "nothing of the volume would be left"),
        ("volume.bin bin_z=9", "nothing of the volume would be left"),
        ("volume.unwrap inner_px=30", "greater than the inner one"),
    ] {
        let e = chain(&format!("volume | {text}")).slices(&context(), &memory(&data)).expect_err(text).to_string();
        assert!(e.contains(said) && e.lines().count() == 1, "{text}: {e}");
    }
}

#[test]
fn masks_turns_and_unrolling_know_the_middle_of_a_slice() {
    let (size, radius) = (121, 41.5);
    // A tube around the middle whose density rises counter-clockwise from the right.
    let tube = Array3::from_shape_fn((3, size, size), |(z, y, x)| {
        let (x, y) = common::xy(size, y, x);
        let turn = y.atan2(x).rem_euclid(2.0 * PI);
        if (x.hypot(y) - radius).abs() < 3.0 { (1.0 + z as f64 + turn) as f32 } else { 0.0 }
    });
    let scan = memory(&tube);
    let text = "volume | volume.unwrap inner_px=30 outer_px=50 radial_step_px=0.5 arc_step_px=1";
    let flat = same_for_all_heights(&scan, text);
    assert_eq!(flat.dim(), (3, 41, 314));
    let wall = flat.slice(s![1, 23, ..]);
    for (j, value) in wall.iter().enumerate().skip(2).take(310) {
        let expected = 2.0 + 2.0 * PI * j as f64 / 314.0;
        // A ramp in the angle: what linear interpolation adds is its curvature, below 1/r² per px².
        assert!((f64::from(*value) - expected).abs() < 2e-3, "{j}: {value} {expected}");
    }
    let summary = chain(text).plan(&context(), &scan, &RunOptions::default(), &mut Progress::silent()).expect("a plan");
    assert_eq!((summary.slice, summary.pixel_um), ([41, 314], 1.0));
    // A quarter turn adds a quarter to the angle.
    let turned = same_for_all_heights(&scan, "volume | volume.rotate | volume.unwrap inner_px=41 outer_px=42");
    let still = volume(&scan, "volume | volume.unwrap inner_px=41 outer_px=42 start_deg=-90", None);
    let off = turned.iter().zip(&still).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-5, "{off}");
    assert!(volume(&scan, "volume | volume.rotate | volume.rotate quarters=-1", None) == tube);
    let masked = same_for_all_heights(&scan, "volume | volume.mask radius_px=41 value=-1");
    for ((_, y, x), value) in masked.indexed_iter() {
        let (x, y) = common::xy(size, y, x);
        assert_eq!(*value == -1.0, x.hypot(y) > 41.0 + 1e-9, "{x} {y}");
    }
    let half = volume(&scan, "volume | volume.mask fraction=0.5 value=9", None);
    let inside = half.index_axis(Axis(0), 0).iter().filter(|v| **v != 9.0).count() as f64;
    let area = PI * (size as f64 / 4.0).powi(2);
    assert!((inside - area).abs() < 0.02 * area, "{inside} {area}");
}
