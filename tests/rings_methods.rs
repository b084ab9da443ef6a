//! What holds for every method of ring removal.

mod common;

use common::Lcg;
use common::stripes::normal;
use ndarray::{Array2, Array3};
use std::f64::consts::PI;
use wagiri::chain::{Params, Run, Setup};
use wagiri::geometry::{Center, Geometry, uniform_angles};
use wagiri::rings::{
    self, AllOptions, DeadOptions, DetectOptions, FilterOptions, LargeOptions, Method, RegularizeOptions,
    WaveletFftOptions,
};
use wagiri::scan::ScanShape;
use wagiri::{Context, ContextOptions, Domain, ErrorKind, Halo, Progress, Slab, SlabShape};

fn methods() -> [(&'static str, Method); 8] {
    [
        ("ring.sort", Method::Sort { kernel_px: 5 }),
        ("ring.filter", Method::Filter(FilterOptions::default())),
        ("ring.large", Method::Large(LargeOptions::default())),
        ("ring.dead", Method::Dead(DeadOptions::default())),
        ("ring.all", Method::All(AllOptions::default())),
        ("ring.wavelet-fft", Method::WaveletFft(WaveletFftOptions::default())),
        ("ring.regularize", Method::Regularize(RegularizeOptions::default())),
        ("ring.detect", Method::Detect(DetectOptions::default())),
    ]
}

/// A smooth hill with noise and a few stripes.
fn sinogram(views: usize, cols: usize, seed: u64) -> Array2<f32> {
    let mut random = Lcg(seed);
    Array2::from_shape_fn((views, cols), |(m, n)| {
        let hill = 1.0 + (PI * n as f64 / cols as f64).sin() + 0.2 * (0.02 * m as f64).cos();
        let stripe = if n % 23 == 7 { 0.1 } else { 0.0 };
        (hill + stripe) as f32 + normal(&mut random, 0.005)
    })
}

#[test]
fn each_lowers_stripes_and_does_not_depend_on_threads_or_memory_layout() {
    let (views, cols) = (150, 101);
    let rows: Vec<Array2<f32>> = (0..5).map(|seed| sinogram(views, cols, seed)).collect();
    let stripes = |sino: &Array2<f32>| -> f32 {
        let mean = sino.mean_axis(ndarray::Axis(0)).unwrap();
        (7..cols - 7).filter(|n| n % 23 == 7).map(|n| (mean[n] - 0.5 * (mean[n - 1] + mean[n + 1])).abs()).sum()
    };
    for (id, method) in methods() {
        let expected: Vec<Array2<f32>> = rows
            .iter()
            .map(|row| {
                let mut sino = row.clone();
                method.apply(sino.view_mut()).unwrap();
                sino
            })
            .collect();
        // Dead columns are another matter, but its second step finds these too.
        assert!(stripes(&expected[0]) < 0.5 * stripes(&rows[0]), "{id}: {}", stripes(&expected[0]));
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut all = Array3::from_shape_fn((5, views, cols), |(z, m, n)| rows[z][[m, n]]);
            rings::rows(&pool, all.view_mut(), |s| method.apply(s), |z| z, &mut |_| Ok(())).unwrap();
            assert!(all.outer_iter().zip(&expected).all(|(a, b)| a == b), "{id}, {threads} threads");
        }
        let mut transposed = rows[0].t().to_owned();
        method.apply(transposed.view_mut().reversed_axes()).unwrap();
        assert_eq!(transposed.t(), expected[0], "{id}");
    }
}

/// As a stage: its parameters make the same method, whether they are left to their defaults or written out.
#[test]
fn each_is_a_stage_that_gives_the_same_bytes() {
    let context = Context::new(ContextOptions { threads: Some(2), ..Default::default() }).unwrap();
    let (rows, views, cols) = (2, 64, 60);
    for (id, method) in methods() {
        let registry = context.registry();
        let factory = registry.find(id).unwrap();
        let shape = ScanShape { views, rows, cols, flats: 1 };
        let geometry =
            Geometry { angles_rad: uniform_angles(views, 0.0, PI), center: Center::Fixed(29.5), pixel_um: 1.0 };
        let setup = Setup { shape, geometry, edge_over_mean: 0.0, threads: 2 };
        let mut params = Params::defaults(factory.info());
        let defaults: Vec<_> = params.iter().map(|(info, value)| (info.name, value.to_string())).collect();
        defaults.iter().for_each(|(name, text)| params.set_text(name, text).unwrap());
        let stage = factory.create(&params, &setup).unwrap();
        let input = SlabShape { domain: Domain::Sinogram, rows, dims: [views, cols] };
        let plan = stage.plan(input).unwrap();
        assert_eq!(plan.scratch_bytes, 2 * method.scratch_bytes(views, cols), "{id}");
        let sinos = [sinogram(views, cols, 1), sinogram(views, cols, 2)];
        let data = Array3::from_shape_fn((rows, views, cols), |(z, m, n)| sinos[z][[m, n]]);
        let slab = Slab { data, domain: Domain::Sinogram, first_row: 0, halo: Halo::default(), references: None };
        let mut progress = Progress::silent();
        let mut run = Run::single(&context, &mut progress, 1);
        let out = stage.worker(&plan).unwrap().process(slab, &mut run).unwrap();
        for (mut sino, out) in sinos.into_iter().zip(out.data.outer_iter()) {
            method.apply(sino.view_mut()).unwrap();
            assert_eq!(out, sino, "{id}");
        }
    }
}

#[test]
fn each_refuses_nan_by_its_own_name_and_place() {
    for (id, method) in methods() {
        let mut sino = sinogram(64, 60, 1);
        sino[[4, 7]] = f32::NAN;
        let text = method.apply(sino.view_mut()).unwrap_err().to_string();
        assert!(text.contains(id) && text.contains("view = 4") && text.contains("column = 7"), "{text}");
    }
}

#[test]
fn any_size_is_filtered_or_refused_and_nothing_becomes_nan() {
    for (views, cols) in
        [(0, 0), (0, 5), (5, 0), (1, 1), (2, 3), (3, 2), (16, 16), (31, 33), (40, 7), (7, 40), (33, 32)]
    {
        for fill in [None, Some(0.0), Some(1.0)] {
            for (id, method) in methods() {
                let mut sino = sinogram(views, cols, 3);
                fill.iter().for_each(|v| sino.fill(*v));
                match method.apply(sino.view_mut()) {
                    Ok(()) => assert!(sino.iter().all(|v| v.is_finite()), "{id} {views} x {cols}"),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "{id}: {error}"),
                }
            }
        }
    }
}

#[test]
fn numbers_without_sense_are_refused() {
    let wavelet_fft = |level, sigma_bins, wavelet| Method::WaveletFft(WaveletFftOptions { level, sigma_bins, wavelet });
    let large = LargeOptions::default;
    for (method, word) in [
        (Method::Filter(FilterOptions { sigma_bins: 0.0, kernel_px: 5 }), "sigma_bins"),
        (Method::Filter(FilterOptions { sigma_bins: 3.0, kernel_px: 120 }), "at most 119 px"),
        (Method::Large(LargeOptions { snr: f64::NAN, ..large() }), "snr"),
        (Method::Large(LargeOptions { drop_ratio: 0.9, ..large() }), "drop_ratio"),
        (Method::Large(LargeOptions { kernel_px: 1000, ..large() }), "at most 119 px"),
        (Method::Dead(DeadOptions { smooth_views: 0, ..DeadOptions::default() }), "smooth_views"),
        (wavelet_fft(0, 1.0, "db5"), "level"),
        (wavelet_fft(1, -1.0, "db5"), "sigma_bins"),
        (wavelet_fft(1, 1.0, "haar"), "db1, db2"),
        (Method::Regularize(RegularizeOptions { alpha: 0.0, chunks: 1 }), "alpha"),
        (Method::Regularize(RegularizeOptions { alpha: 1.0, chunks: 65 }), "chunks"),
    ] {
        let text = method.apply(sinogram(64, 60, 2).view_mut()).unwrap_err().to_string();
        assert!(text.contains(word), "{text}");
    }
}

/// The analytical formula stays a formula for many columns, where its cosh would overflow.
#[test]
fn regularization_stays_finite_for_wide_detectors() {
    for alpha in [1e-9, 1.0, 1e5] {
        let mut sino = sinogram(3, 5000, 4);
        Method::Regularize(RegularizeOptions { alpha, chunks: 1 }).apply(sino.view_mut()).unwrap();
        assert!(sino.iter().all(|v| v.is_finite() && v.abs() < 10.0), "alpha {alpha}");
    }
}
