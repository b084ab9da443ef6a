//! Filters of volumes, against ct-rec's outputs and against SciPy and scikit-image.

mod common;

use common::chains::{same_for_all_heights, volume};
use ndarray::{Array3, Axis, s};
use std::path::Path;
use wagiri::chain::RunOptions;
use wagiri::io::{MemorySink, read_slice};
use wagiri::scan::MemoryRows;
use wagiri::{ErrorKind, Progress, Scan};

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
    let middle = all.slice(s![3..7, .., ..]).to_owned();
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

const EVEN: (usize, usize, usize) = (12, 20, 28);
const ODD: (usize, usize, usize) = (11, 19, 27);
/// Noise that `tests/data/filters/make_b.py` adds.
const NOISE: f64 = 0.3;

/// A volume of `tests/data/filters`.
fn reference(name: &str, size: (usize, usize, usize)) -> Array3<f32> {
    let file = format!("b-{name}-{}x{}x{}.f32", size.0, size.1, size.2);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/filters").join(file);
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    Array3::from_shape_vec(size, values).unwrap()
}

#[test]
fn gaussian_and_median_are_those_of_scipy() {
    let scan = scan(reference("input", EVEN));
    for (boundary, theirs) in
        [("nearest", "nearest"), ("reflect", "reflect"), ("mirror", "mirror"), ("zero", "constant")]
    {
        let text = format!("volume | filter.gaussian sigma_px=1.5 sigma_z_px=0.75 boundary={boundary}");
        // One rounding to 32 bits of numbers up to 2.
        assert!(worst(&volume(&scan, &text, None), &reference(&format!("gaussian-{theirs}"), EVEN)) < 3e-7, "{text}");
    }
    for boundary in ["nearest", "reflect", "mirror"] {
        let text = format!("volume | filter.median size_px=5 depth_px=3 boundary={boundary}");
        assert!(volume(&scan, &text, None) == reference(&format!("median-{boundary}"), EVEN), "{text}");
    }
}

#[test]
fn total_variation_is_that_of_scikit_image() {
    let input = reference("input", EVEN);
    for weight in [0.2, 0.5] {
        let text = format!("volume | filter.tv lambda={} iterations=2000", 1.0 / weight);
        let (ours, theirs) = (volume(&scan(input.clone()), &text, None), reference(&format!("tv-{weight}"), EVEN));
        // Two algorithms on the way to the same minimum, where the energy is flat: after so many iterations they are closer to
        // each other than a hundredth of the noise that they take out.
        let rms =
            (ours.iter().zip(&theirs).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / ours.len() as f64).sqrt();
        assert!(rms < 0.01 * NOISE, "{weight}: {rms}");
    }
}

#[test]
fn wavelets_are_those_of_scikit_image() {
    let even = scan(reference("input", EVEN));
    for levels in [1, 2] {
        let text = format!("volume | filter.wavelet levels={levels} sigma={NOISE} shifts=1");
        // Some roundings of numbers up to 3.
        let worst = worst(&volume(&even, &text, None), &reference(&format!("haar-{levels}"), EVEN));
        assert!(worst < 2e-6, "{levels}: {worst}");
    }
    let odd = volume(&scan(reference("input", ODD)), "volume | filter.wavelet levels=2 sigma=0.3 shifts=1", None);
    assert!(worst(&odd, &reference("haar-2", ODD)) < 2e-6);
    let auto = volume(&even, "volume | filter.wavelet levels=2 shifts=1 noise=finest", None);
    // The median is that of bins 0.2 % wide, and thresholds go with its square.
    let change = worst(&reference("input", EVEN), &reference("haar-auto-2", EVEN));
    assert!(worst(&auto, &reference("haar-auto-2", EVEN)) < 0.01 * change);
}

/// Noise on a ball, whatever the unit: 8 bits, 16 bits, 1/cm.
#[test]
fn what_is_found_by_itself_suits_any_unit() {
    let mut random = common::Lcg(5);
    let clean = Array3::from_shape_fn((20, 40, 40), |(z, y, x)| {
        let r2 = (z as f64 - 9.5).powi(2) + (y as f64 - 19.5).powi(2) + (x as f64 - 19.5).powi(2);
        if r2 < 80.0 { 150.0f32 } else { 60.0 }
    });
    let noisy = clean.mapv(|v| (v + common::stripes::normal(&mut random, 15.0)).round().clamp(0.0, 255.0));
    let error = |a: &Array3<f32>, unit: f32| {
        let sum: f64 = a.iter().zip(&clean).map(|(a, b)| f64::from(a / unit - b).powi(2)).sum();
        (sum / a.len() as f64).sqrt()
    };
    let before = error(&noisy, 1.0);
    for filter in ["filter.tv", "filter.diffusion", "filter.wavelet"] {
        let errors = [1.0f32, 257.0, 1e-3].map(|unit| {
            let found = volume(&scan(&noisy * unit), &format!("volume | {filter}"), None);
            error(&found, unit)
        });
        // A third of the noise in the flat parts and some of the edges are left.
        assert!(errors[0] < 0.5 * before, "{filter}: {} of {before}", errors[0]);
        // Only whole numbers are known to be rounded, which changes the noise found by a percent.
        assert!(errors.iter().all(|e| (e / errors[0] - 1.0).abs() < 0.05), "{filter}: {errors:?}");
    }
}

#[test]
fn single_slices_flat_volumes_and_broken_values() {
    let slice = scan(reference("input", EVEN).slice(s![3..4, .., ..]).to_owned());
    let flat = scan(Array3::from_elem((5, 9, 8), 0.7f32));
    for filter in ["filter.tv", "filter.diffusion", "filter.wavelet", "filter.median boundary=skip depth_px=3"] {
        let text = format!("volume | {filter}");
        assert!(volume(&slice, &text, None).iter().all(|v| v.is_finite()), "{filter}");
        assert!(volume(&flat, &text, None) == Array3::from_elem((5, 9, 8), 0.7f32), "{filter}");
        let mut broken = reference("input", EVEN);
        broken[[5, 6, 7]] = f32::NAN;
        let (ctx, chain) = (common::chains::context(), common::chains::chain(&text));
        let mut sink = MemorySink::new(0, EVEN.0, [EVEN.1, EVEN.2]);
        let options = RunOptions::default();
        let error = chain.run_into(&ctx, &scan(broken), &mut sink, &options, &mut Progress::silent()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format, "{filter}: {error}");
        assert!(error.to_string().contains("not a finite number"), "{error}");
    }
    let params = ["filter.tv lambda=0", "filter.diffusion dt=0.2", "filter.wavelet levels=6", "filter.tv iterations=0"];
    for text in params {
        let error =
            wagiri::Chain::parse(&common::chains::context().registry(), &format!("volume | {text}")).err().expect(text);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
    }
}

/// Many iterations reach far, and what does not fit is refused in a sentence.
#[test]
fn iterations_need_memory() {
    let scan = scan(Array3::zeros((64, 128, 128)));
    let few = wagiri::ContextOptions { memory_bytes: Some(40 << 20), ..wagiri::ContextOptions::default() };
    let ctx = wagiri::Context::new(few).unwrap();
    let plan = |iterations: usize| {
        let chain = common::chains::chain(&format!("volume | filter.tv lambda=1 iterations={iterations}"));
        chain.plan(&ctx, &scan, &RunOptions::default(), &mut Progress::silent()).map(|_| ())
    };
    assert!(plan(10).is_ok());
    let error = plan(200).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.to_string().contains("does not suffice for a single slice"), "{error}");
}
