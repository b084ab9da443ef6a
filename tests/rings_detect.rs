//! `ring.detect`: what has no stripes keeps every bit, and planted stripes of each kind are found where they are.

mod common;

use common::foam::Foam;
use common::stripes::{Stripes, normal};
use common::{Ellipse, Lcg, sinogram};
use ndarray::{Array2, s};
use std::f64::consts::PI;
use wagiri::ErrorKind;
use wagiri::geometry::uniform_angles;
use wagiri::rings::{DetectOptions, Detected, detect};

const VIEWS: usize = 384;
const COLS: usize = 288;

/// A foam without noise: its edges are the hardest neighbours that a stripe can have.
fn foam(seed: u64) -> Array2<f32> {
    Foam::new(seed, 3000, 0.1).sinogram(0.0, &uniform_angles(VIEWS, 0.0, PI), COLS, 96.0) * 2.76
}

/// Discs around the axis and beside it, with noise of 0.01.
fn discs(seed: u64) -> Array2<f32> {
    let discs = [
        Ellipse::disc(0.0, 0.0, 120.0, 1.0),
        Ellipse::disc(40.0, 30.0, 25.0, 0.5),
        Ellipse::disc(-60.0, 10.0, 12.0, -0.6),
    ];
    let mut sino = sinogram(&discs, &uniform_angles(VIEWS, 0.0, PI), COLS, (COLS as f64 - 1.0) / 2.0, 100.0);
    let mut random = Lcg(seed);
    sino.mapv_inplace(|v| v + normal(&mut random, 0.01));
    sino
}

fn found(sino: &mut Array2<f32>) -> Detected {
    detect(sino.view_mut(), &DetectOptions::default()).unwrap()
}

#[test]
fn what_has_no_stripes_keeps_every_bit() {
    for seed in 1..=4 {
        for clean in [foam(seed), discs(seed)] {
            let mut sino = clean.clone();
            assert_eq!(found(&mut sino), Detected::default(), "seed {seed}");
            assert_eq!(sino, clean);
        }
    }
}

#[test]
fn full_stripes_are_found_and_what_is_left_of_them_is_small() {
    let (mut before, mut after, mut damage) = (0.0, 0.0, 0.0f64);
    for seed in 1..=4 {
        for clean in [foam(seed), discs(seed)] {
            let mut sino = clean.clone();
            Stripes::Full.put_on(&mut sino, seed);
            let power = |sino: &Array2<f32>, striped: &dyn Fn(usize) -> bool| -> f64 {
                let offset = |col: usize| f64::from((&sino.column(col) - &clean.column(col)).mean().unwrap());
                (0..COLS).filter(|col| striped(*col)).map(|col| offset(col).powi(2)).sum()
            };
            let had: Vec<bool> = (0..COLS).map(|col| sino[[0, col]] != clean[[0, col]]).collect();
            before += power(&sino, &|_| true);
            let found = found(&mut sino);
            assert!(found.replaced.is_empty() && found.offset.len() > 2, "{found:?}");
            after += power(&sino, &|_| true);
            damage += power(&sino, &|col| !had[col]);
        }
    }
    // Those that are as low as the scatter of their neighbours stay, as do some at the edge of the sample: in so small a
    // foam without noise a quarter of the power, in the discs nearly nothing.
    assert!(after < 0.3 * before, "{after} of {before} is left");
    assert!(damage < 0.03 * before, "{damage} of {before} was put where nothing had been");
}

#[test]
fn a_partial_stripe_is_found_in_its_views() {
    for (clean, height) in [(foam(5), 0.2), (discs(5), -0.05)] {
        let mut sino = clean.clone();
        sino.slice_mut(s![100..220, 90]).mapv_inplace(|v| v + height);
        let found = found(&mut sino);
        assert!(found.offset.is_empty() && found.replaced.is_empty(), "{found:?}");
        let [(cols, views, offset)] = found.partial.as_slice() else { panic!("{found:?}") };
        assert_eq!(*cols, 90..91);
        // Its ends are known to a block of 8 views or better.
        assert!(views.start.abs_diff(100) <= 8 && views.end.abs_diff(220) <= 8, "{views:?}");
        assert!((offset - f64::from(height)).abs() < 0.2 * f64::from(height.abs()), "{offset}");
    }
}

#[test]
fn a_wide_stripe_is_one_offset() {
    let clean = discs(6);
    let mut sino = clean.clone();
    sino.slice_mut(s![.., 200..211]).mapv_inplace(|v| v + 0.05);
    let found = found(&mut sino);
    assert_eq!(found.offset.iter().map(|(col, _)| *col).collect::<Vec<_>>(), (200..211).collect::<Vec<_>>());
    // The scatter of a mean over 384 views of 0.01 is 0.0005, and the curve of the disc is known from both sides only.
    assert!(found.offset.iter().all(|(_, offset)| (offset - 0.05).abs() < 0.005), "{found:?}");
    // Too wide for what was asked.
    let mut sino = clean.clone();
    sino.slice_mut(s![.., 200..211]).mapv_inplace(|v| v + 0.05);
    let options = DetectOptions { widest_px: 5, ..DetectOptions::default() };
    assert!(detect(sino.view_mut(), &options).unwrap().offset.is_empty());
}

/// Narrow stripes in a wide one and beside it hide its jumps.
#[test]
fn a_wide_stripe_with_narrow_ones_is_found() {
    let offsets = [(160..168, -0.086), (162..163, -0.037), (163..164, 0.046), (200..207, 0.052), (208..209, 0.018)];
    let clean = discs(6);
    let mut sino = clean.clone();
    for (cols, offset) in &offsets {
        sino.slice_mut(s![.., cols.clone()]).mapv_inplace(|v| v + offset);
    }
    let found = found(&mut sino);
    assert!(found.replaced.is_empty() && found.partial.is_empty(), "{found:?}");
    for col in 150..220 {
        let left = (&sino.column(col) - &clean.column(col)).mean().unwrap();
        // A tenth of the wide stripes; the curve of the discs is known from both sides only.
        assert!(left.abs() < 0.008, "{left} is left in column {col}: {found:?}");
    }
}

#[test]
fn dead_and_fluctuating_columns_are_replaced_and_no_others() {
    for (seed, clean) in [(1, foam(7)), (2, discs(7))] {
        let mut sino = clean.clone();
        let mean = sino.column(70).mean().unwrap();
        sino.column_mut(70).fill(mean);
        sino.slice_mut(s![.., 150..152]).fill(0.3);
        let mut random = Lcg(seed);
        sino.column_mut(210).mapv_inplace(|v| v + normal(&mut random, 0.3));
        let mut kept = sino.clone();
        assert_eq!(found(&mut sino).replaced, [70, 150, 151, 210]);
        for row in sino.rows() {
            // On the line between its neighbours, unless an offset was found there.
            assert!((row[70] - 0.5 * (row[69] + row[71])).abs() < 0.2);
        }
        let options = DetectOptions { dead: false, ..DetectOptions::default() };
        assert!(detect(kept.view_mut(), &options).unwrap().replaced.is_empty());
    }
}

/// A pixel whose gain is wrong is off by more where the sample is darker: no offset describes it.
#[test]
fn a_column_that_answers_by_half_is_replaced() {
    let mut random = Lcg(9);
    let disc = [Ellipse::disc(70.0, 0.0, 50.0, 1.0)];
    let mut sino = sinogram(&disc, &uniform_angles(VIEWS, 0.0, PI), COLS, (COLS as f64 - 1.0) / 2.0, 100.0);
    sino.mapv_inplace(|v| v + normal(&mut random, 0.01));
    let column = sino.column(170).mapv(|v| 0.5 * v);
    sino.column_mut(170).assign(&column);
    assert_eq!(found(&mut sino).replaced, [170]);
}

#[test]
fn nonsense_is_refused_and_small_sinograms_stay() {
    let options = DetectOptions::default();
    for bad in [f32::NAN, f32::INFINITY] {
        let mut sino = discs(8);
        sino[[4, 7]] = bad;
        let text = detect(sino.view_mut(), &options).unwrap_err().to_string();
        assert!(text.contains("ring.detect") && text.contains("view = 4") && text.contains("column = 7"), "{text}");
    }
    for snr in [0.5, f64::NAN] {
        let error = detect(discs(8).view_mut(), &DetectOptions { snr, ..options.clone() }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    for (views, cols) in [(0, 0), (1, 1), (15, 40), (40, 15), (16, 16), (17, 16), (16, 33), (64, 7)] {
        for constant in [true, false] {
            let mut random = Lcg(1);
            let mut sino =
                Array2::from_shape_simple_fn((views, cols), || if constant { 1.0 } else { normal(&mut random, 1.0) });
            let before = sino.clone();
            let found = detect(sino.view_mut(), &options).unwrap();
            assert!(found != Detected::default() || sino == before, "{views} x {cols}");
        }
    }
}
