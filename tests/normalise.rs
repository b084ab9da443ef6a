//! Counts to absorbance: the numbers of ct-rec, repairs, black views, refusals; and the survey of a scan.

use ndarray::{Array1, Array2, Array3, ArrayViewMut2, arr1, arr2, s};
use std::sync::{Arc, OnceLock};
use wagiri::chain::read::{read_counts, read_references, read_sinograms};
use wagiri::chain::survey::{check_half_turn, survey};
use wagiri::geometry::uniform_angles;
use wagiri::preprocess::*;
use wagiri::scan::{MemorySource, ScanOptions};
use wagiri::{Context, ContextOptions, ErrorKind, Halo, Progress, References, Result, Scan};

/// Deterministic numbers in 0..1.
fn random(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*seed >> 11) as f64 / (1u64 << 53) as f64
}

/// Counts of a plausible detector: integers, some below the dark level so that the floor is used.
fn counts(views: usize, cols: usize, seed: u64) -> (Array2<f32>, Array1<f32>, Array2<f32>) {
    let mut s = seed;
    let dark = Array1::from_shape_fn(cols, |_| (100.0 + 20.0 * random(&mut s)).floor() as f32);
    let flats = Array2::from_shape_fn((3, cols), |_| (20000.0 + 30000.0 * random(&mut s)).floor() as f32);
    let data = Array2::from_shape_fn((views, cols), |_| {
        let p = 9.0 * random(&mut s);
        (110.0 - 15.0 * random(&mut s) + 40000.0 * (-p).exp()).floor() as f32
    });
    (data, dark, flats)
}

fn context(threads: usize) -> Context {
    Context::new(ContextOptions { threads: Some(threads), ..ContextOptions::default() }).unwrap()
}

fn run(
    data: ArrayViewMut2<f32>,
    dark: &Array1<f32>,
    flats: &Array2<f32>,
    w: &[(usize, f64)],
    o: &NormaliseOptions,
) -> Result<RowReport> {
    let black = vec![false; data.nrows()];
    normalise_row(data, dark.view(), flats.view(), w, &black, o, 7)
}

/// The text of the specification, written down a second time as naively as possible.
fn hp_tg(t: f32, d: f32, i1: f32, i2: f32, time: f64, t1: f64, t2: f64) -> f32 {
    let (t, d, i1, i2) = (t as f64, d as f64, i1 as f64, i2 as f64);
    let r2 = (time - t1) / (t2 - t1);
    let r1 = 1.0 - r2;
    let mut td = t - d;
    if td.is_nan() || td < 2.0 {
        td = 2.0;
    }
    let mut id = r1 * i1 + r2 * i2 - d;
    if id.is_nan() || id < 2.0 {
        id = 2.0;
    }
    let tr = (td / id) as f32;
    if tr > 0.0 { (-(tr as f64).ln()) as f32 } else { 0.0 }
}

#[test]
fn hp_tg_numbers_to_the_last_bit() {
    let (views, cols) = (40, 97);
    let (raw, dark, flats) = counts(views, cols, 1);
    let view_time: Vec<f64> = (0..views).map(|m| 0.3 + 0.1 * m as f64).collect();
    let flat_time = [0.1, 2.2, 4.0];
    let mut out = raw.clone();
    let w = flat_weights(&view_time, &flat_time);
    let report = run(out.view_mut(), &dark, &flats, &w, &NormaliseOptions::default()).unwrap();
    let mut clipped = 0;
    for m in 0..views {
        // The second pair from its first time on, the first pair before.
        let i = if view_time[m] >= flat_time[1] { 1 } else { 0 };
        for x in 0..cols {
            let want = hp_tg(
                raw[[m, x]],
                dark[x],
                flats[[i, x]],
                flats[[i + 1, x]],
                view_time[m],
                flat_time[i],
                flat_time[i + 1],
            );
            assert_eq!(out[[m, x]].to_bits(), want.to_bits(), "view {m} column {x}");
            clipped += u64::from(raw[[m, x]] - dark[x] < 2.0);
        }
    }
    assert!(clipped > 20, "the test must use the floor");
    assert_eq!(report.clipped, clipped);
}

#[test]
fn ct_rec_numbers_with_the_air_baseline() {
    let (views, cols) = (30, 64);
    let (raw, dark, flats) = counts(views, cols, 2);
    let flats = flats.slice(s![..2, ..]).to_owned();
    let (t1, t2) = (0.0f64, 31.0f64);
    let view_time: Vec<f64> = (0..views).map(|m| (m + 1) as f64).collect();
    let mut out = raw.clone();
    let options = NormaliseOptions { air: Air::Edges, black: BlackRule::Row, ..NormaliseOptions::default() };
    run(out.view_mut(), &dark, &flats, &flat_weights(&view_time, &[t1, t2]), &options).unwrap();
    for m in 0..views {
        let t = view_time[m];
        let p: Vec<f64> = (0..cols)
            .map(|x| {
                let (i1, i2) = ((flats[[0, x]] - dark[x]) as f64, (flats[[1, x]] - dark[x]) as f64);
                let (a, b) = ((i2 - i1) / (t2 - t1), (i1 * t2 - i2 * t1) / (t2 - t1));
                ((a * t + b) / ((raw[[m, x]] - dark[x]) as f64).max(2.0)).ln()
            })
            .collect();
        let air = ((0..10).map(|x| p[x]).sum::<f64>() + (0..10).map(|x| p[cols - 1 - x]).sum::<f64>()) / 20.0;
        for x in 0..cols {
            // I0 as a t + b instead of r1 I1 + r2 I2: the same up to f64 rounding, which rarely moves the last f32 bit.
            assert!((out[[m, x]] as f64 - (p[x] - air)).abs() <= 1e-6, "view {m} column {x}");
        }
    }
}

#[test]
fn weights_of_the_direct_beam() {
    // Between, before and after; at most one interval beyond.
    let w = flat_weights(&[-5.0, 0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 99.0, -99.0], &[0.0, 10.0, 20.0]);
    let want = [(0, -0.5), (0, 0.0), (0, 0.5), (1, 0.0), (1, 0.5), (1, 1.0), (1, 2.0), (1, 2.0), (0, -1.0)];
    assert_eq!(w, want);
    // One image is constant, equal stamps are the mean of both.
    assert_eq!(flat_weights(&[-1.0, 3.0], &[2.0]), [(0, 0.0), (0, 0.0)]);
    assert_eq!(flat_weights(&[-1.0, 2.0, 3.0], &[2.0, 2.0]), [(0, 0.5), (0, 0.5), (0, 0.5)]);
    assert_eq!(flat_weights(&[1.0, 5.0], &[0.0, 5.0, 5.0]), [(0, 0.2), (1, 0.5)]);
}

#[test]
fn one_direct_beam_image_stands_for_all_times() {
    let (raw, dark, flats) = counts(5, 20, 3);
    let flats = flats.slice(s![..1, ..]).to_owned();
    let mut out = raw.clone();
    run(out.view_mut(), &dark, &flats, &flat_weights(&[0.0; 5], &[3.0]), &NormaliseOptions::default()).unwrap();
    for ((m, x), p) in out.indexed_iter() {
        assert_eq!(*p, hp_tg(raw[[m, x]], dark[x], flats[[0, x]], flats[[0, x]], 0.0, -1.0, 1.0));
    }
}

#[test]
fn black_views_become_the_mean_of_the_others() {
    let dark = Array1::from_elem(30, 100.0);
    let flats = Array2::from_elem((1, 30), 1100.0);
    let mut raw = Array2::from_shape_fn((4, 30), |(m, _)| [600.0, 99.0, 350.0, 100.0][m]);
    // A view that is half clipped (15 of 30 columns) is not black: more than half is needed.
    raw.slice_mut(s![3, 15..]).fill(600.0);
    let w = flat_weights(&[0.0; 4], &[0.0]);
    let rows = NormaliseOptions { black: BlackRule::Row, ..NormaliseOptions::default() };
    let mut out = raw.clone();
    let report = run(out.view_mut(), &dark, &flats, &w, &rows).unwrap();
    assert_eq!((report.black, report.clipped, report.pixels), (1, 15, 90));
    for x in 0..30 {
        let mean = (out[[0, x]] as f64 + out[[2, x]] as f64 + out[[3, x]] as f64) / 3.0;
        assert_eq!(out[[1, x]], mean as f32);
    }
    // As a frame: what was judged beforehand counts, not the row.
    let frame = NormaliseOptions::default();
    let mut out = raw.clone();
    let black = [false, false, true, false];
    let report = normalise_row(out.view_mut(), dark.view(), flats.view(), &w, &black, &frame, 0).unwrap();
    assert_eq!(report.black, 1);
    assert_eq!(out[[1, 4]], 500f64.ln() as f32, "floor of 2 counts under a beam of 1000");
    assert_eq!(report.remarks()[0], "1 black projection(s) replaced by the mean of the others");
}

#[test]
fn every_view_black_is_an_error() {
    let (dark, flats) = (Array1::from_elem(8, 100.0), Array2::from_elem((1, 8), 1100.0));
    let w = flat_weights(&[0.0; 3], &[0.0]);
    for black in [BlackRule::Row, BlackRule::Frame] {
        let options = NormaliseOptions { black, ..NormaliseOptions::default() };
        let mut out = Array2::from_elem((3, 8), 100.0);
        let e = normalise_row(out.view_mut(), dark.view(), flats.view(), &w, &[true; 3], &options, 7).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Format);
        assert!(e.to_string().starts_with("normalise: every projection is black"), "{e}");
        assert!(e.to_string().contains("row = 7"), "{e}");
    }
}

#[test]
fn dead_and_hot_pixels_are_filled_in_from_the_row() {
    let dark = arr1(&[10.0, 100.0, 10.0, 10.0, 900.0, 10.0, 10.0]);
    // Column 0 is dead, 3 and 4 are dead and hot.
    let flats = arr2(&[[10.0, 1100.0, 1010.0, 11.0, 900.0, 1010.0, 1010.0f32]]);
    let w = flat_weights(&[0.0; 2], &[0.0]);
    let raw = Array2::from_shape_fn((2, 7), |(_, x)| dark[x] + [0.0, 500.0, 500.0, 0.0, 0.0, 250.0, 1000.0][x]);
    let mut out = raw.clone();
    let report = run(out.view_mut(), &dark, &flats, &w, &NormaliseOptions::default()).unwrap();
    assert_eq!((report.repaired_cols, report.clipped, report.pixels), (3, 0, 8));
    let ln2 = std::f64::consts::LN_2;
    let want = [ln2, ln2, ln2, ln2 * 4.0 / 3.0, ln2 * 5.0 / 3.0, 2.0 * ln2, 0.0];
    for (x, p) in want.iter().enumerate() {
        // f32 transmission: relative rounding 6e-8.
        assert!((out[[1, x]] as f64 - p).abs() < 2e-7, "column {x}: {} instead of {p}", out[[1, x]]);
    }
    let off = NormaliseOptions { repair: false, ..NormaliseOptions::default() };
    let mut out = raw.clone();
    let report = run(out.view_mut(), &dark, &flats, &w, &off).unwrap();
    assert_eq!((report.repaired_cols, report.clipped), (0, 6));
    assert_eq!(out[[0, 3]], 0.0, "both floors: no absorbance");
}

#[test]
fn a_row_without_beam_becomes_zero() {
    let (dark, flats) = (Array1::from_elem(6, 10.0), Array2::from_elem((2, 6), 10.0));
    let mut out = Array2::from_elem((3, 6), 12.0);
    let w = flat_weights(&[0.0; 3], &[0.0, 1.0]);
    let report = run(out.view_mut(), &dark, &flats, &w, &NormaliseOptions::default()).unwrap();
    assert_eq!((report.dark_rows, report.repaired_cols, report.black), (1, 0, 0));
    assert!(out.iter().all(|p| *p == 0.0));
    assert_eq!(report.remarks(), ["1 detector row(s) without direct beam set to zero"]);
}

#[test]
fn values_that_are_not_numbers_are_refused_with_their_place() {
    let (raw, dark, flats) = counts(4, 9, 5);
    let w = flat_weights(&[0.0; 4], &[0.0, 1.0, 2.0]);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut data = raw.clone();
        data[[2, 5]] = bad;
        let e = run(data.view_mut(), &dark, &flats, &w, &NormaliseOptions::default()).unwrap_err().to_string();
        assert!(e.contains("(row = 7, view = 2, column = 5)"), "{e}");
        let mut d = dark.clone();
        d[3] = bad;
        let e = run(raw.clone().view_mut(), &d, &flats, &w, &NormaliseOptions::default()).unwrap_err().to_string();
        assert!(e.contains("dark image") && e.contains("(row = 7, column = 3)"), "{e}");
        let mut f = flats.clone();
        f[[1, 8]] = bad;
        let e = run(raw.clone().view_mut(), &dark, &f, &w, &NormaliseOptions::default()).unwrap_err().to_string();
        assert!(e.contains("direct-beam (I0) 1 image") && e.contains("(row = 7, column = 8)"), "{e}");
    }
}

#[test]
fn absurd_counts_still_give_finite_absorbance() {
    let dark = arr1(&[0.0, -3e38, 3e38, 0.0]);
    let flats = arr2(&[[3e38f32, 3e38, 3e38, 0.5]]);
    let mut out = arr2(&[[1e-38f32, 3e38, -3e38, 3e38]]);
    let options = NormaliseOptions { floor_counts: 1e-30, repair: false, ..NormaliseOptions::default() };
    run(out.view_mut(), &dark, &flats, &[(0, 0.0)], &options).unwrap();
    assert!(out.iter().all(|p| p.is_finite()), "{out}");
}

#[test]
fn options_and_shapes_are_checked() {
    let (mut raw, dark, flats) = counts(4, 9, 5);
    let w = flat_weights(&[0.0; 4], &[0.0, 1.0, 2.0]);
    for options in [
        NormaliseOptions { floor_counts: 0.0, ..NormaliseOptions::default() },
        NormaliseOptions { floor_counts: f64::NAN, ..NormaliseOptions::default() },
        NormaliseOptions { black_fraction: 0.0, ..NormaliseOptions::default() },
        NormaliseOptions { black_fraction: 1.5, ..NormaliseOptions::default() },
    ] {
        assert_eq!(run(raw.view_mut(), &dark, &flats, &w, &options).unwrap_err().kind(), ErrorKind::Invalid);
    }
    let e = run(raw.view_mut(), &dark, &flats, &w[..3], &NormaliseOptions::default()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
}

#[test]
fn rows_are_the_same_for_any_number_of_threads() {
    let (rows, views, cols) = (13, 6, 40);
    let mut s = 9;
    let data = Array3::from_shape_fn((rows, views, cols), |_| (50000.0 * random(&mut s)).floor() as f32);
    let references = References {
        dark: Array2::from_shape_fn((rows, cols), |_| (200.0 * random(&mut s)).floor() as f32),
        flats: Array3::from_shape_fn((2, rows, cols), |_| (60000.0 * random(&mut s)).floor() as f32),
        flat_time: vec![0.0, 5.0],
        view_time: (0..views).map(|m| m as f64).collect(),
        black_views: vec![false, true, false, false, false, false].into(),
    };
    let make = |threads| {
        let mut out = data.clone();
        let mut last = 0.0;
        let mut tick = |f: f64| {
            last = f;
            Ok(())
        };
        let o = NormaliseOptions::default();
        let reports = normalise_rows(context(threads).pool(), out.view_mut(), &references, &o, 0, &mut tick).unwrap();
        assert_eq!(last, 1.0);
        (out, reports)
    };
    let one = make(1);
    for threads in [2, 3, 7] {
        let other = make(threads);
        assert!(one.0.iter().zip(&other.0).all(|(a, b)| a.to_bits() == b.to_bits()) && one.1 == other.1);
    }
    let mut sum = RowReport::default();
    one.1.iter().for_each(|r| sum.merge(r));
    assert_eq!((sum.rows, sum.black, sum.black_most), (13, 13, 1));
}

/// Scan of rows whose absorbance is constant `mu` in the columns `sample`, beam 1000 above dark 100.
fn scan(rows: usize, views: usize, cols: usize, sample: std::ops::Range<usize>, mu: f64) -> (Array3<f32>, Scan) {
    let data = Array3::from_shape_fn((views, rows, cols), |(_, _, x)| {
        (100.0 + 1000.0 * if sample.contains(&x) { (-mu).exp() } else { 1.0 }) as f32
    });
    (data.clone(), to_scan(data))
}

fn to_scan(data: Array3<f32>) -> Scan {
    let (views, rows, cols) = data.dim();
    let flats = Array3::from_elem((2, rows, cols), 1100.0);
    let source = MemorySource::new(data, flats, Array2::from_elem((rows, cols), 100.0)).unwrap();
    source.into_scan(uniform_angles(views, 0.0, std::f64::consts::PI), None).unwrap()
}

#[test]
fn survey_tells_truncated_from_complete_views() {
    let ctx = context(2);
    let o = NormaliseOptions::default();
    let (_, inside) = scan(40, 9, 50, 10..40, 1.0);
    let found = survey(&ctx, &inside, &o, &mut Progress::silent()).unwrap();
    assert!(found.edge_over_mean.abs() < 1e-6, "{}", found.edge_over_mean);
    assert_eq!(found.rows.len(), 32);
    let (_, filled) = scan(40, 9, 50, 0..50, 1.0);
    let found = survey(&ctx, &filled, &o, &mut Progress::silent()).unwrap();
    assert!((found.edge_over_mean - 1.0).abs() < 1e-6);
}

#[test]
fn survey_finds_black_views_on_the_whole_frame_and_ignores_threads() {
    let (mut data, _) = scan(40, 20, 50, 10..40, 1.0);
    data.slice_mut(s![3, .., ..]).fill(100.0);
    // Half of the rows dark, and a single dark row: not black frames.
    data.slice_mut(s![5, ..20, ..]).fill(100.0);
    data.slice_mut(s![6, 7, ..]).fill(100.0);
    let scan = to_scan(data);
    let all: Vec<_> = [1, 2, 3, 7]
        .into_iter()
        .map(|t| survey(&context(t), &scan, &NormaliseOptions::default(), &mut Progress::silent()).unwrap())
        .collect();
    let black: Vec<usize> = (0..20).filter(|&m| all[0].black_views[m]).collect();
    assert_eq!(black, [3]);
    assert!(all.iter().all(|s| s.edge_over_mean.to_bits() == all[0].edge_over_mean.to_bits()));
}

#[test]
fn survey_refuses_black_scans_dark_beams_and_cancels() {
    let ctx = context(2);
    let o = NormaliseOptions::default();
    let (data, good) = scan(4, 5, 30, 10..20, 1.0);
    let e = survey(&ctx, &to_scan(Array3::from_elem(data.raw_dim(), 101.0)), &o, &mut Progress::silent()).unwrap_err();
    assert!(e.to_string().contains("every projection is black"), "{e}");
    let dark = Array2::from_elem((4, 30), 100.0);
    let mut flats = Array3::from_elem((3, 4, 30), 1100.0);
    flats.slice_mut(s![1, .., ..]).fill(100.0);
    let angles = || uniform_angles(5, 0.0, 3.0);
    let bad = MemorySource::new(data.clone(), flats, dark.clone()).unwrap().into_scan(angles(), None).unwrap();
    let e = survey(&ctx, &bad, &o, &mut Progress::silent()).unwrap_err();
    assert!(e.to_string().contains("shutter closed?") && e.to_string().contains("image = 1"), "{e}");
    let flats = Array3::from_elem((1, 4, 30), 100.0);
    let bad = MemorySource::new(data.clone(), flats, dark).unwrap().into_scan(angles(), None).unwrap();
    let e = survey(&ctx, &bad, &o, &mut Progress::silent()).unwrap_err();
    assert!(e.to_string().contains("no direct-beam (I0) image is brighter than the dark image"), "{e}");
    let mut nan = data;
    nan[[4, 2, 9]] = f32::NAN;
    let e = survey(&ctx, &to_scan(nan), &o, &mut Progress::silent()).unwrap_err();
    assert!(e.to_string().contains("(row = 2, view = 4, column = 9)"), "{e}");
    let mut stop = Progress::silent();
    stop.flag().cancel();
    assert_eq!(survey(&ctx, &good, &o, &mut stop).unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn counts_are_read_by_row_with_replicated_ends() {
    let (views, rows, cols) = (37, 6, 5);
    let data = Array3::from_shape_fn((views, rows, cols), |(m, y, x)| (1000 * m + 10 * y + x) as f32);
    let dark = Array2::from_shape_fn((rows, cols), |(y, _)| y as f32);
    let flats = Array3::from_shape_fn((2, rows, cols), |(i, y, _)| (1000 * i + y) as f32);
    let scan = MemorySource::new(data, flats, dark).unwrap();
    let scan = scan.into_scan(uniform_angles(views, 0.0, 3.0), None).unwrap();
    let black: Arc<[bool]> = vec![false; views].into();
    for (range, below, above, want) in
        [(1..3, 0, 0, vec![1, 2]), (1..3, 1, 2, vec![0, 1, 2, 3, 4]), (0..6, 2, 1, vec![0, 0, 0, 1, 2, 3, 4, 5, 5])]
    {
        for threads in [1, 3] {
            let halo = Halo { below, above };
            let slab = read_counts(&context(threads), &scan, range.clone(), halo, &black, &mut |_| Ok(())).unwrap();
            assert_eq!(slab.own_rows(), range);
            let references = slab.references.as_ref().unwrap();
            assert_eq!(slab.data.dim(), (want.len(), views, cols));
            for (k, &y) in want.iter().enumerate() {
                assert_eq!(references.dark[[k, 0]], y as f32);
                assert_eq!(references.flats[[1, k, 0]], (1000 + y) as f32);
                for m in 0..views {
                    assert_eq!(slab.data[[k, m, 4]], (1000 * m + 10 * y + 4) as f32);
                }
            }
        }
    }
    assert_eq!(read_references(&scan, 2..5, &black).unwrap().dark.nrows(), 3);
    let e = read_counts(&context(1), &scan, 3..7, Halo::default(), &black, &mut |_| Ok(())).unwrap_err();
    assert!(e.to_string().contains("detector rows = 6"), "{e}");
}

#[test]
fn a_full_turn_is_refused_where_half_a_turn_is_meant() {
    let deg = |views: usize, span: f64| uniform_angles(views, -1.0, span.to_radians());
    assert!(check_half_turn(&deg(100, 180.0), false).unwrap().is_none());
    let e = check_half_turn(&deg(720, 360.0), false).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert!(e.to_string().contains("covers 360.0 degrees") && e.to_string().contains("--turn full"), "{e}");
    assert!(check_half_turn(&deg(720, 360.0), true).unwrap().is_none());
    assert!(check_half_turn(&deg(720, 200.0), false).is_err());
    // Closed half turns, with many and with few views.
    for views in [7, 91] {
        let closed: Vec<f64> = (0..views).map(|m| (m as f64 * 180.0 / (views - 1) as f64).to_radians()).collect();
        assert!(check_half_turn(&closed, false).unwrap().is_none(), "{views}");
    }
    assert!(check_half_turn(&deg(100, 120.0), false).unwrap().unwrap().contains("only 120.0 of 180 degrees"));
    assert!(check_half_turn(&[0.5], false).unwrap().is_some());
}

#[test]
fn a_real_scan_with_a_dead_pixel_becomes_finite_absorbance() {
    let ctx = context(2);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/savu");
    let options = ScanOptions {
        dark: Some("dark_00001.tiff".into()),
        flat: Some("flat_00001.tiff".into()),
        angles: Some("angles.txt:10..101".into()),
        ..ScanOptions::default()
    };
    let scan = wagiri::io::open(&folder, &options).unwrap();
    assert!(check_half_turn(&scan.info().angles_rad, false).unwrap().is_none());
    let o = NormaliseOptions::default();
    let found = survey(&ctx, &scan, &o, &mut Progress::silent()).unwrap();
    // The sample is cut off at one side.
    assert!(found.edge_over_mean > 0.3 && found.black_views.iter().all(|b| !b), "{}", found.edge_over_mean);
    let mut slab = read_counts(&ctx, &scan, 0..20, Halo::default(), &found.black_views, &mut |_| Ok(())).unwrap();
    let references = slab.references.take().unwrap();
    let reports = normalise_rows(ctx.pool(), slab.data.view_mut(), &references, &o, 0, &mut |_| Ok(())).unwrap();
    assert!(slab.data.iter().all(|p| p.is_finite() && p.abs() < 10.0));
    // Pixel (0, 0) is dead and takes the value beside it, in every view.
    assert_eq!(reports[0].repaired_cols, 1);
    assert!((0..91).all(|m| slab.data[[0, m, 0]] == slab.data[[0, m, 1]]));
    assert!(reports[1..].iter().all(|r| r.repaired_cols == 0));
    // Two rows at a time, black views found out by the first call: the same bits.
    let black = OnceLock::new();
    for rows in [0..2, 2..4] {
        let some = read_sinograms(&ctx, &scan, rows.clone(), &black, &mut Progress::silent()).unwrap();
        assert_eq!(some, slab.data.slice(s![rows, .., ..]));
    }
    assert_eq!(black.get().map(|b| b.len()), Some(91));
}
