//! Filters of volumes, against ct-rec's outputs and against SciPy and scikit-image.

mod common;

use common::chains::{same_for_all_heights, volume};
use ndarray::{Array3, Axis};
use std::path::Path;
use wagiri::Scan;
use wagiri::io::read_slice;
use wagiri::scan::MemoryRows;

fn scan(values: Array3<f32>) -> Scan {
    MemoryRows::volume(values).into_scan(Vec::new(), Some(1.0)).expect("a scan")
}

fn golden(name: &str) -> Array3<f32> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ct-rec-100/rec").join(name);
    let slice = |z: usize| read_slice(&folder.join(format!("rec{z:05}.tif"))).expect("a slice");
    let slices: Vec<_> = (0..3).map(slice).collect();
    let views: Vec<_> = slices.iter().map(|slice| slice.view()).collect();
    ndarray::stack(Axis(0), &views).expect("slices of one size")
}

fn worst(a: &Array3<f32>, b: &Array3<f32>) -> f32 {
    a.iter().zip(b).fold(0.0, |worst, (a, b)| f32::max(worst, (a - b).abs()))
}

fn largest(of: &Array3<f32>) -> f32 {
    of.iter().fold(0.0, |most, v| f32::max(most, v.abs()))
}

#[test]
fn gaussian_and_median_are_those_of_ct_rec() {
    let scan = scan(golden("hp_tg_c_k5"));
    let text = "volume | filter.gaussian sigma_px=1.2 sigma_z_px=1.2 truncate=3 boundary=zero";
    let (ours, theirs) = (same_for_all_heights(&scan, text), golden("tif_gsf"));
    // Both round to 32 bits once.
    assert!(worst(&ours, &theirs) <= 2e-7 * largest(&theirs), "{}", worst(&ours, &theirs) / largest(&theirs));
    let ours = same_for_all_heights(&scan, "volume | filter.median size_px=3 depth_px=3 boundary=skip");
    assert!(ours == golden("tif_mdf"));
}

#[test]
fn what_lies_beyond_the_ends_of_a_cut_volume_does_not_count() {
    let all = Array3::from_shape_fn((9, 12, 13), |(z, y, x)| ((z * 37 + y * 11 + x * 5) % 17) as f32);
    let middle = all.slice(ndarray::s![3..7, .., ..]).to_owned();
    let (all, middle) = (scan(all), scan(middle));
    for filter in [
        "filter.gaussian sigma_z_px=1 boundary=zero",
        "filter.gaussian sigma_z_px=1 boundary=reflect",
        "filter.median depth_px=5 boundary=mirror",
        "filter.median depth_px=3 boundary=skip",
    ] {
        let cut = same_for_all_heights(&all, &format!("volume | volume.crop first_slices=3 last_slices=2 | {filter}"));
        assert!(cut == volume(&middle, &format!("volume | {filter}"), None), "{filter}");
    }
}
