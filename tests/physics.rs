//! Reconstruction against physics: known objects in, known numbers out; and the engines against one another.

mod common;

use common::accuracy::{AccuracyCase, difference};
use common::engine::*;
use common::{Ellipse, sinogram, xy};
use ndarray::{Array2, ArrayView2, Axis, s, stack};
use std::f64::consts::PI;
use wagiri::geometry::uniform_angles;
use wagiri::recon::{Engine, Fbp, FbpOptions, Filter};

const FILTERS: [Filter; 3] = [Filter::Ramp, Filter::SheppLogan, Filter::Chesler];
/// The whole slice in f64.
fn reference(fbp: &Fbp, sino: ArrayView2<f32>, center: f64) -> Array2<f64> {
    fbp.reference_rows(sino, center, 0..sino.ncols()).unwrap()
}

/// The formulas word by word: extended view, convolution sum, linear interpolation, sum over the views.
fn plain(sino: &Array2<f32>, filter: Filter, pad: bool, center: f64, start: f64, pixel_cm: f64) -> Array2<f64> {
    let (m, n) = sino.dim();
    let h = |i: i64| {
        let d = i as f64;
        match (filter, i.abs()) {
            (Filter::Ramp, 0) => 0.25,
            (Filter::SheppLogan, _) => 2.0 / (PI * PI * (1.0 - 4.0 * d * d)),
            (Filter::Chesler, 0) => 0.125 - 1.0 / (2.0 * PI * PI),
            (Filter::Chesler, 1) => 0.0625 - 1.0 / (2.0 * PI * PI),
            (Filter::Ramp, i) if i % 2 == 1 => -1.0 / (PI * PI * d * d),
            (Filter::Ramp, _) => 0.0,
            (Filter::Chesler, i) if i % 2 == 1 => -1.0 / (2.0 * PI * PI * d * d),
            (Filter::Chesler, _) => -(d * d + 1.0) / (2.0 * PI * PI * (d * d - 1.0).powi(2)),
        }
    };
    let w = if pad { n as i64 / 2 } else { 0 };
    let last = n as i64 - 1;
    let extended = |view: usize, k: i64| {
        let beyond = (-k).max(k - last).max(0);
        let taper = if beyond == 0 { 1.0 } else { (1.0 + (PI * beyond as f64 / w as f64).cos()) / 2.0 };
        f64::from(sino[[view, k.clamp(0, last) as usize]]) * taper
    };
    let q = Array2::from_shape_fn((m, n), |(view, i)| {
        (-w..=last + w).map(|k| extended(view, k) * h(i as i64 - k)).sum::<f64>()
    });
    let half = (n as f64 - 1.0) / 2.0;
    let radius = half - (half - center).abs();
    Array2::from_shape_fn((n, n), |(row, col)| {
        let (x, y) = (col as f64 - half, half - row as f64);
        if x * x + y * y > radius * radius {
            return 0.0;
        }
        let views = (0..m).map(|view| {
            let theta = start + PI * view as f64 / m as f64;
            let r = x * theta.cos() + y * theta.sin() + center;
            let i = r.floor() as i64;
            let at = |i: i64| if (0..=last).contains(&i) { q[[view, i as usize]] } else { 0.0 };
            at(i) + (at(i + 1) - at(i)) * (r - i as f64)
        });
        PI / (m as f64 * pixel_cm) * views.sum::<f64>()
    })
}

#[test]
fn reference_engine_computes_the_written_formulas() {
    let mut cases = 0;
    for filter in FILTERS {
        for pad in [false, true] {
            for (n, m, center) in [
                (1, 3, 0.0),
                (2, 1, 0.5),
                (16, 1, 7.5),
                (33, 2, 16.0),
                (40, 31, 14.3),
                (41, 24, 0.0),
                (37, 25, 36.0),
                (64, 45, 33.7),
            ] {
                let sino = noise(m, n, (n * m) as u64);
                let angles = uniform_angles(m, 0.37, PI);
                let fbp = fbp(&angles, n, 12.5, FbpOptions { filter, engine: Engine::Reference, pad, ..CHESLER });
                let ours = reference(&fbp, sino.view(), center);
                let truth = plain(&sino, filter, pad, center, 0.37, 12.5e-4);
                let top = truth.iter().fold(0.0f64, |a, b| a.max(b.abs()));
                let worst = ours.iter().zip(&truth).fold(0.0f64, |a, (x, y)| a.max((x - y).abs()));
                // Two ways to sum some 1e3 to 1e4 terms in f64 differ by some 1e-14.
                assert!(worst <= 1e-12 * top, "{filter:?} pad={pad} n={n} m={m}: {:e}", worst / top);
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 48);
}

/// Four ellipses of about 1 1/cm side by side within a circle of `radius` px.
fn four_ellipses(radius: f64) -> Vec<Ellipse> {
    let e = |x: f64, y: f64, a: f64, b: f64, turn_deg: f64, mu_per_cm: f64| Ellipse {
        x: x * radius,
        y: y * radius,
        a: a * radius,
        b: b * radius,
        turn_rad: f64::to_radians(turn_deg),
        mu_per_cm,
    };
    vec![
        e(-0.38, 0.34, 0.36, 0.22, 25.0, 1.0),
        e(0.42, 0.30, 0.20, 0.32, -15.0, 0.9),
        e(-0.25, -0.45, 0.30, 0.18, -40.0, 1.1),
        e(0.38, -0.42, 0.24, 0.24, 0.0, 1.0),
    ]
}

#[test]
fn direct_engine_agrees_with_the_reference() {
    let uneven: Vec<f64> = (0..301).map(|m| 0.2 + PI * (m as f64 + 0.3 * (m as f64).sin()) / 301.0).collect();
    for (cols, center, angles, filter, pad) in [
        (256, 127.5, uniform_angles(402, 0.0, PI), Filter::Chesler, false),
        (257, 131.3, uniform_angles(301, 0.1, PI), Filter::Ramp, true),
        (251, 101.77, uneven, Filter::SheppLogan, false),
        (190, 94.1, uniform_angles(129, 3.0, -PI), Filter::Chesler, true),
        (64, 61.0, uniform_angles(33, 0.0, 2.0 * PI), Filter::Ramp, false),
        (7, 2.9, uniform_angles(1, 0.4, PI), Filter::Chesler, true),
        (1, 0.0, uniform_angles(2, 0.4, PI), Filter::Chesler, true),
    ] {
        let radius = (cols as f64 - 1.0) / 2.0 - ((cols as f64 - 1.0) / 2.0 - center).abs();
        let mut sino = sinogram(&four_ellipses(radius.max(3.0)), &angles, cols, center, 6.5);
        sino += 0.01;
        let fbp = fbp(&angles, cols, 6.5, FbpOptions { filter, engine: Engine::Direct, pad, ..CHESLER });
        let ours = slice(&fbp, &sino, center);
        let truth = reference(&fbp, sino.view(), center);
        let (rms, max) = difference(&ours, &truth);
        // Filtered values are rounded to 24 bits and summed in blocks of 32 views: some 1e-7 each, random in sign.
        assert!(rms <= 1e-6 && max <= 5e-6, "cols={cols} {filter:?}: rms {rms:e}, max {max:e}");
        // Outside the circle both are exactly 0.
        assert!(ours.iter().zip(&truth).all(|(a, b)| *b != 0.0 || *a == 0.0));
    }
}

#[test]
fn reference_engine_fills_a_volume_like_its_slices() {
    let angles = uniform_angles(20, 0.0, PI);
    let fbp =
        fbp(&angles, 24, 1.0, FbpOptions { filter: Filter::Ramp, engine: Engine::Reference, pad: true, ..CHESLER });
    let sinos = stack![Axis(0), noise(20, 24, 1), noise(20, 24, 2)];
    let centers = [11.5, 10.2];
    let out = volume(&fbp, &pool(3), &sinos, &centers).unwrap();
    for (i, center) in centers.into_iter().enumerate() {
        let slice = reference(&fbp, sinos.index_axis(Axis(0), i), center);
        assert_eq!(out.index_axis(Axis(0), i), slice.mapv(|v| v as f32));
    }
}

/// Mean over the pixels within `radius` px of (x, y).
fn mean_near(image: ArrayView2<f32>, x: f64, y: f64, radius: f64) -> f64 {
    let size = image.nrows();
    let near = image.indexed_iter().filter(|((row, col), _)| {
        let (px, py) = xy(size, *row, *col);
        (px - x).hypot(py - y) <= radius
    });
    let (sum, count) = near.fold((0.0, 0.0), |(sum, count), (_, v)| (sum + f64::from(*v), count + 1.0));
    sum / count
}

#[test]
fn slices_with_axes_of_their_own_agree_with_the_reference() {
    let angles = uniform_angles(150, 0.0, PI);
    let centers: Vec<f64> = (0..16).map(|row| 45.9 - 0.21 * row as f64).collect();
    let sinos = centers.iter().map(|c| sinogram(&four_ellipses(40.0), &angles, 93, *c, 6.5).insert_axis(Axis(0)));
    let sinos = sinos.reduce(|a, b| ndarray::concatenate![Axis(0), a, b]).unwrap();
    let fbp = fbp(&angles, 93, 6.5, CHESLER);
    let out = volume(&fbp, &pool(2), &sinos, &centers).unwrap();
    for (row, center) in centers.into_iter().enumerate() {
        let truth = reference(&fbp, sinos.index_axis(Axis(0), row), center);
        let (rms, max) = difference(out.index_axis(Axis(0), row), &truth);
        // As for one slice.
        assert!(rms <= 1e-6 && max <= 5e-6, "row {row}: rms {rms:e}, max {max:e}");
    }
}

/// Centre of mass of what exceeds half of `top`.
fn centroid(image: ArrayView2<f32>, top: f32) -> (f64, f64) {
    let size = image.nrows();
    let bright = image.indexed_iter().filter(|(_, v)| **v > 0.5 * top);
    let (x, y, n) = bright.fold((0.0, 0.0, 0.0), |(x, y, n), ((row, col), _)| {
        let (px, py) = xy(size, row, col);
        (x + px, y + py, n + 1.0)
    });
    (x / n, y / n)
}

#[test]
fn a_disc_comes_back_with_its_value_in_its_place() {
    for (cols, center, pixel_um) in [(128, 63.5, 10.0), (129, 64.0, 0.5), (128, 60.2, 10.0)] {
        let angles = uniform_angles(200, 0.0, PI);
        let disc = Ellipse::disc(21.0, 17.0, 14.0, 2.0);
        let sino = sinogram(&[disc], &angles, cols, center, pixel_um);
        for filter in FILTERS {
            let fbp = fbp(&angles, cols, pixel_um, FbpOptions { filter, ..CHESLER });
            let image = slice(&fbp, &sino, center);
            // Views are sampled at points, so a circle of radius 14 px is seen with an area known to about 0.1 %, and
            // 200 views over a 14 px disc leave streaks of the same order; the ramp without window has the strongest.
            let mean = mean_near(image.view(), 21.0, 17.0, 9.0);
            assert!((mean - 2.0).abs() < 0.006, "{filter:?}: {mean}");
            // Some 600 pixels, those on the edge counted or not: 0.05 px.
            let (x, y) = centroid(image.view(), 2.0);
            assert!((x - 21.0).abs() < 0.05 && (y - 17.0).abs() < 0.05, "{filter:?}: {x} {y}");
            assert!(mean_near(image.view(), -21.0, 17.0, 9.0).abs() < 0.006);
        }
    }
}

#[test]
fn a_positive_angle_turns_the_object_counter_clockwise() {
    let taken = uniform_angles(180, 0.0, PI);
    let sino = sinogram(&[Ellipse::disc(40.0, 0.0, 6.0, 2.0)], &taken, 128, 63.5, 10.0);
    let turned = uniform_angles(180, f64::to_radians(30.0), PI);
    let image = slice(&fbp(&turned, 128, 10.0, CHESLER), &sino, 63.5);
    let (x, y) = centroid(image.view(), 2.0);
    assert!((x - 34.64).abs() < 0.05 && (y - 20.0).abs() < 0.05, "{x} {y}");
}

#[test]
fn full_and_closed_turns_give_the_same_values_as_a_half_turn() {
    let objects = [Ellipse::disc(18.0, -12.0, 15.0, 2.0), Ellipse::disc(-20.0, 10.0, 11.0, 1.0)];
    let closed: Vec<f64> = (0..=180).map(|m| f64::to_radians(m as f64)).collect();
    let closed_full: Vec<f64> = (0..=360).map(|m| f64::to_radians(m as f64)).collect();
    for angles in [
        uniform_angles(180, 0.0, PI),
        uniform_angles(180, 0.0, -PI),
        uniform_angles(360, 0.0, 2.0 * PI),
        uniform_angles(361, 0.0, 2.0 * PI),
        closed,
        closed_full,
    ] {
        let sino = sinogram(&objects, &angles, 101, 48.6, 5.0);
        let image = slice(&fbp(&angles, 101, 5.0, CHESLER), &sino, 48.6);
        // As for the single disc.
        for (x, y, mu) in [(18.0, -12.0, 2.0), (-20.0, 10.0, 1.0)] {
            let mean = mean_near(image.view(), x, y, 7.0);
            assert!((mean - mu).abs() < 0.006, "{} views: {mean}", angles.len());
        }
    }
}

#[test]
fn padding_takes_the_rim_off_a_sample_wider_than_the_detector() {
    let angles = uniform_angles(180, 0.0, PI);
    let sino = sinogram(&[Ellipse::disc(0.0, 0.0, 80.0, 1.0)], &angles, 128, 63.5, 10.0);
    let rim = |pad| {
        let image = slice(&fbp(&angles, 128, 10.0, FbpOptions { pad, ..CHESLER }), &sino, 63.5);
        mean_near(image.view(), 60.0, 0.0, 3.0) - mean_near(image.view(), 0.0, 0.0, 10.0)
    };
    let (without, with) = (rim(false), rim(true));
    assert!(without > 0.3 && with.abs() < 0.3 * without, "{without} {with}");
}

#[test]
fn accuracy_on_four_ellipses_of_1024_px() {
    let case = AccuracyCase::new();
    let fbp = fbp(&case.angles_rad, case.cols, case.pixel_um, CHESLER);
    let image = slice(&fbp, &case.sinogram, case.center_px);
    let flat = case.flat_error(&image);
    // The bounds are what ct-rec's double-precision engine reached with this filter on four ellipses of about 1 1/cm (not
    // these); this object gives 3.0e-4 with either engine here, and what is left is the linear interpolation.
    assert!(flat.pixels > 200_000 && flat.rmse <= 7.9e-4 && flat.bias.abs() <= 1e-5, "{flat:?}");
    // The reference is slow; a band of rows that cuts three ellipses speaks for the slice.
    let truth = fbp.reference_rows(case.sinogram.view(), case.center_px, 400..440).unwrap();
    let (rms, max) = difference(image.slice(s![400..440, ..]), &truth);
    assert!(rms <= 1e-6 && max <= 5e-6, "rms {rms:e}, max {max:e}");
}

#[test]
fn wide_images_keep_their_precision() {
    // Beyond 5793 px 32-bit fixed point overflows, and f32 positions are off by 2e-4 px.
    let (cols, center) = (6001, 3011.3);
    let angles = uniform_angles(5, 0.3, PI);
    let fbp = fbp(&angles, cols, 1.0, CHESLER);
    let sino = noise(5, cols, 9);
    let image = slice(&fbp, &sino, center);
    for rows in [40..42, 2999..3001, 5900..5902] {
        let truth = fbp.reference_rows(sino.view(), center, rows.clone()).unwrap();
        let (rms, max) = difference(image.slice(s![rows, ..]), &truth);
        assert!(rms <= 1e-6 && max <= 5e-6, "rms {rms:e}, max {max:e}");
    }
}
