//! The published filters against algotom, which its authors know and use: the same sinogram, the same parameters. The
//! sinograms are in `tests/data/rings`.

use ndarray::Array2;
use wagiri::rings::{
    AllOptions, DeadOptions, FilterOptions, LargeOptions, Method, RegularizeOptions, WaveletFftOptions,
};

const LARGER: (usize, usize) = (181, 128);
const SMALLER: (usize, usize) = (101, 65);

fn sinogram(name: &str, (views, cols): (usize, usize)) -> Array2<f32> {
    let path = format!("{}/tests/data/rings/{name}-{views}x{cols}.f32", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    Array2::from_shape_vec((views, cols), values).unwrap()
}

/// Largest difference, and largest change that the filter makes. Column 0 to `skip` are left out.
fn compare(name: &str, size: (usize, usize), method: &Method, skip: usize) -> (f32, f32) {
    let input = sinogram("input", size);
    let theirs = sinogram(name, size);
    let mut ours = input.clone();
    method.apply(ours.view_mut()).unwrap();
    let worst = |a: &Array2<f32>, b: &Array2<f32>| {
        let inside = |((_, col), (a, b)): ((usize, usize), (&f32, &f32))| (col >= skip).then(|| (a - b).abs());
        a.indexed_iter().zip(b).map(|((at, a), b)| (at, (a, b))).filter_map(inside).fold(0.0, f32::max)
    };
    (worst(&ours, &theirs), worst(&ours, &input))
}

/// Sinograms here reach 2, where one rounding to f32 is 1.2e-7; both sides round a few times. algotom's regularization is the
/// least exact, with 1.1e-6; all others are within two roundings.
const ROUNDING: f32 = 2e-6;

#[test]
fn published_filters_agree_with_algotom() {
    let all = |snr, large_px, small_px, drop_ratio| Method::All(AllOptions { snr, large_px, small_px, drop_ratio });
    let large =
        |snr, kernel_px, drop_ratio, normalise| Method::Large(LargeOptions { snr, kernel_px, drop_ratio, normalise });
    let dead =
        |snr, kernel_px, smooth_views, residual| Method::Dead(DeadOptions { snr, kernel_px, smooth_views, residual });
    let filter = |sigma_bins, kernel_px| Method::Filter(FilterOptions { sigma_bins, kernel_px });
    let wavelet_fft = |level, sigma_bins, wavelet| Method::WaveletFft(WaveletFftOptions { level, sigma_bins, wavelet });
    let regularize = |alpha, chunks| Method::Regularize(RegularizeOptions { alpha, chunks });
    for (name, size, method) in [
        ("filter-3-21", LARGER, filter(3.0, 21)),
        ("filter-9-5", SMALLER, filter(9.0, 5)),
        ("large-3-51", LARGER, large(3.0, 51, 0.1, true)),
        ("large-2-21", SMALLER, large(2.0, 21, 0.3, false)),
        ("dead-3-51", LARGER, dead(3.0, 51, 10, true)),
        ("dead-2-21", SMALLER, dead(2.0, 21, 7, false)),
        ("all-3-51-21", LARGER, all(3.0, 51, 21, 0.1)),
        ("all-2-31-5", SMALLER, all(2.0, 31, 5, 0.2)),
        ("wavelet-fft-5-1-db9", LARGER, wavelet_fft(5, 1.0, "db9")),
        ("wavelet-fft-2-3-db5", SMALLER, wavelet_fft(2, 3.0, "db5")),
        ("regularize-0.0005-1", LARGER, regularize(0.0005, 1)),
        ("regularize-0.05-3", SMALLER, regularize(0.05, 3)),
    ] {
        let (worst, change) = compare(name, size, &method, 0);
        assert!(worst < ROUNDING, "{name}: {worst}");
        assert!(change > 0.02, "{name} changed nothing: {change}");
    }
}

/// `ring.sort` keeps the mirror of existing SPring-8 volumes, which does not repeat the left edge column; algotom's does. So
/// the columns within half a window of that edge differ, and the others must not.
#[test]
fn sorting_agrees_with_algotom_away_from_the_left_edge() {
    for (name, size, kernel_px) in [("sort-21", LARGER, 21), ("sort-5", SMALLER, 5)] {
        let (worst, change) = compare(name, size, &Method::Sort { kernel_px }, kernel_px / 2);
        assert!(worst < ROUNDING, "{name}: {worst}");
        assert!(change > 0.02, "{name}: {change}");
        assert!(compare(name, size, &Method::Sort { kernel_px }, 0).0 > ROUNDING, "{name}: no difference at the edge");
    }
}
