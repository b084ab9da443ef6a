//! Scans over a full turn with the axis near an edge of the detector: the axis is found, and things are where they are.

mod common;

use common::engine::{CHESLER, fbp, pool, slice};
use common::{Ellipse, Lcg, sinogram, xy};
use ndarray::{Array2, Array3, Axis, s, stack};
use std::f64::consts::PI;
use std::path::Path;
use wagiri::geometry::uniform_angles;
use wagiri::io::read_slice;
use wagiri::preprocess::offset::{Layout, Overlap, find_axis, opposite_views, stitch_rows, stitched};
use wagiri::preprocess::{NormaliseOptions, flat_weights, normalise_row};
use wagiri::rings::sort;

const COLS: usize = 256;
const VIEWS: usize = 720;
const PIXEL_UM: f64 = 10.0;

/// Axes near both edges, on pixels, between them, and anywhere.
const AXES: [f64; 9] = [220.0, 200.5, 231.25, 241.13, 190.87, 36.0, 20.5, 17.3, 60.62];

/// A body that leaves the detector on the side of the axis, with five discs that turn with it.
fn object(reach: f64) -> Vec<Ellipse> {
    let body = Ellipse { x: 3.0, y: -5.0, a: 0.9 * reach, b: 0.8 * reach, turn_rad: 0.4, mu_per_cm: 1.0 };
    let disc = |k: usize| {
        let (r, angle) = ([0.0, 0.25, 0.4, 0.55, 0.68][k] * reach, 1.3 * k as f64 + 0.2);
        Ellipse::disc(r * angle.cos(), r * angle.sin(), 6.0, 3.0)
    };
    [body].into_iter().chain((0..5).map(disc)).collect()
}

fn scan(objects: &[Ellipse], center_px: f64, views: usize) -> Array2<f32> {
    sinogram(objects, &uniform_angles(views, 0.0, 2.0 * PI), COLS, center_px, PIXEL_UM)
}

fn reach(center_px: f64) -> f64 {
    center_px.max(COLS as f64 - 1.0 - center_px)
}

fn axis_of(sinos: &Array3<f32>, pairs: usize) -> Overlap {
    let views = opposite_views(&uniform_angles(sinos.dim().1, 0.0, 2.0 * PI)).unwrap();
    let some: Vec<_> = (0..pairs).map(|k| views[k * views.len() / pairs]).collect();
    find_axis(sinos.view(), &some, None).unwrap().expect("an axis")
}

#[test]
fn axis_is_found_within_a_fifth_of_a_pixel_near_both_edges() {
    for center in AXES.into_iter().chain([127.5, 128.0, 150.2, 245.5, 9.5]) {
        let sino = scan(&object(reach(center)), center, VIEWS).insert_axis(Axis(0));
        let found = axis_of(&sino, 8);
        println!("{center}: {:.3} score {:.4} confidence {:.2}", found.center_px, found.score, found.confidence);
        // The goal; what is left is that a parabola is not quite the shape of the difference.
        assert!((found.center_px - center).abs() < 0.2, "{center}: {}", found.center_px);
        assert!(found.confidence > 0.3, "{center}: {}", found.confidence);
    }
}

#[test]
fn axis_is_found_in_noise_among_air_and_stripes() {
    // A thin sample far off: most columns see only air, and a plain mean difference is smallest where air meets air.
    for (center, body) in [(220.0, 60.0), (30.3, 60.0), (231.3, 200.0)] {
        let mut random = Lcg(5);
        let angles = uniform_angles(VIEWS, 0.0, 2.0 * PI);
        let rows: Vec<Array2<f32>> = (0..24)
            .map(|row| {
                let mut sino = sinogram(&object(body - 0.3 * row as f64), &angles, COLS, center, PIXEL_UM);
                let gain: Vec<f32> = (0..COLS).map(|_| 0.02 * (random.unit() as f32 - 0.5)).collect();
                // The largest value is about 0.5; noise is uniform with a deviation of 0.03.
                for mut view in sino.rows_mut() {
                    view.iter_mut().zip(&gain).for_each(|(v, g)| *v += g + 0.1 * (random.unit() as f32 - 0.5));
                }
                sino
            })
            .collect();
        let views: Vec<_> = rows.iter().map(|r| r.view()).collect();
        let found = axis_of(&stack(Axis(0), &views).unwrap(), 8);
        println!("{center}: {:.3} ± {:.3} confidence {:.2}", found.center_px, found.error_px, found.confidence);
        let error = (found.center_px - center).abs();
        assert!(error < 0.2 && error < 3.0 * found.error_px, "{center}: {} ± {}", found.center_px, found.error_px);
        assert!(found.confidence > 0.6, "{center}: {}", found.confidence);
    }
}

#[test]
fn a_body_without_features_is_found_without_noise_and_not_trusted_with_it() {
    for center in [220.0, 241.4, 14.3, 30.3] {
        let r = reach(center);
        // In the overlap there is but the gentle slope of the middle of a large body.
        for (a, b) in [(0.9, 0.9), (0.9, 0.8), (3.0, 2.0)] {
            let body = Ellipse { x: 3.0, y: -5.0, a: a * r, b: b * r, turn_rad: 0.4, mu_per_cm: 1.0 };
            let clean = scan(&[body], center, VIEWS).insert_axis(Axis(0));
            let found = axis_of(&clean, 8);
            assert!((found.center_px - center).abs() < 0.2, "{center}: {}", found.center_px);
            // One row whose noise is larger than all differences within the overlap.
            let mut random = Lcg(9);
            let found = axis_of(&clean.mapv(|v| v + 0.02 * (random.unit() as f32 - 0.5)), 8);
            let wrong = (found.center_px - center).abs() > 0.5;
            assert!(!wrong || found.confidence < 0.3, "{center}: {} {}", found.center_px, found.confidence);
        }
    }
}

#[test]
fn an_empty_scan_has_no_axis_and_an_excluded_one_no_confidence() {
    let angles = uniform_angles(40, 0.0, 2.0 * PI);
    let pairs = opposite_views(&angles).unwrap();
    assert_eq!(find_axis(Array3::zeros((2, 40, COLS)).view(), &pairs, None).unwrap(), None);
    let sino = scan(&object(220.0), 220.0, 40).insert_axis(Axis(0));
    let wrong = find_axis(sino.view(), &pairs, Some(&(10.0..60.0))).unwrap().unwrap();
    assert!(wrong.confidence < 0.6 && wrong.score < 0.5, "{wrong:?}");
    assert_eq!(find_axis(sino.view(), &pairs, Some(&(3.0..3.1))).unwrap(), None);
}

fn stitch(sinos: &Array3<f32>, center_px: &[f64], layout: &Layout, threads: usize) -> Array3<f32> {
    let pairs = opposite_views(&uniform_angles(sinos.dim().1, 0.0, 2.0 * PI)).unwrap();
    let mut out = Array3::from_elem((sinos.dim().0, pairs.len(), layout.width()), f32::NAN);
    stitch_rows(&pool(threads), sinos.view(), &pairs, layout, center_px, out.view_mut(), &mut |_| Ok(())).unwrap();
    out
}

#[test]
fn stitched_rows_are_those_of_a_wide_detector() {
    for center in AXES {
        let objects = object(reach(center));
        let (width, middle) = stitched(COLS, center).unwrap();
        let layout = Layout::new(COLS, [center; 2]).unwrap();
        let got = stitch(&scan(&objects, center, VIEWS).insert_axis(Axis(0)), &[center], &layout, 2);
        let wide = sinogram(&objects, &uniform_angles(VIEWS / 2, 0.0, PI), width, middle, PIXEL_UM);
        let top = wide.fold(0f32, |m, v| m.max(*v));
        let mut worst = 0f32;
        let mut sum2 = 0.0;
        for (a, b) in got.iter().zip(&wide) {
            worst = worst.max((a - b).abs());
            sum2 += f64::from(a - b).powi(2);
        }
        let rms = (sum2 / wide.len() as f64).sqrt() / f64::from(top);
        println!("{center} -> {width} {middle}: worst {:.1e} rms {rms:.1e} of the maximum", worst / top);
        // Where twice the axis is an integer nothing is interpolated, only blended and rounded. Elsewhere the slope of a
        // disc's edge is infinite, and what is between two samples there cannot be known.
        let whole = (2.0 * center).fract() == 0.0;
        assert!(worst < if whole { 1e-6 } else { 0.06 } * top && rms < 2e-3, "{center}: {worst} {rms}");
        assert!((middle - (width as f64 - 1.0) / 2.0).abs() < 0.5, "{center}: the axis is near the middle");
    }
}

#[test]
fn discs_come_back_where_they_are() {
    let angles = uniform_angles(VIEWS / 2, 0.0, PI);
    let mut worst = 0f64;
    for center in AXES {
        let objects = object(reach(center));
        let layout = Layout::new(COLS, [center; 2]).unwrap();
        let sino = stitch(&scan(&objects, center, VIEWS).insert_axis(Axis(0)), &[center], &layout, 2);
        let image = slice(
            &fbp(&angles, layout.width(), PIXEL_UM, CHESLER),
            &sino.index_axis_move(Axis(0), 0),
            layout.center_px(center),
        );
        for disc in &objects[1..] {
            let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
            for ((row, col), value) in image.indexed_iter() {
                let (px, py) = xy(layout.width(), row, col);
                if (px - disc.x).hypot(py - disc.y) < 10.0 {
                    // The body around the disc is 1 1/cm.
                    let v = f64::from(*value) - 1.0;
                    (sum, x, y) = (sum + v, x + v * (px - disc.x), y + v * (py - disc.y));
                }
            }
            let (x, y) = (x / sum, y / sum);
            worst = worst.max(x.abs()).max(y.abs());
            assert!(
                x.abs() < 0.1 && y.abs() < 0.1,
                "{center}: disc at {}, {} is off by {x:.3}, {y:.3}",
                disc.x,
                disc.y
            );
            // 3 1/cm over the area of the disc; the edge of a disc of 6 px is resolved to a few percent.
            let mass = sum / (PI * disc.a * disc.a * disc.mu_per_cm);
            assert!((mass - 1.0).abs() < 0.03, "{center}: {mass}");
        }
    }
    println!("worst displacement {worst:.3} px");
}

#[test]
fn tilted_axes_share_a_width_and_rows_do_not_depend_on_each_other() {
    let centers: Vec<f64> = (0..5).map(|row| 219.6 + 0.4 * row as f64).collect();
    let rows: Vec<_> = centers.iter().map(|c| scan(&object(200.0), *c, 80)).collect();
    let views: Vec<_> = rows.iter().map(|r| r.view()).collect();
    let sinos = stack(Axis(0), &views).unwrap();
    let layout = Layout::new(COLS, [219.6, 221.2]).unwrap();
    assert_eq!((layout.width(), layout.center_px(220.0)), (443, 220.0));
    let all = stitch(&sinos, &centers, &layout, 1);
    for row in 0..5 {
        let one = stitch(&sinos.slice(s![row..row + 1, .., ..]).to_owned(), &centers[row..row + 1], &layout, 3);
        assert_eq!(one.index_axis(Axis(0), 0), all.index_axis(Axis(0), row));
    }
}

#[test]
fn contradictions_are_refused() {
    assert!(stitched(COLS, -0.5).is_err() && stitched(COLS, f64::NAN).is_err() && stitched(COLS, 255.5).is_err());
    assert!(Layout::ct_rec(COLS, 0).is_err() && Layout::ct_rec(COLS, COLS).is_err());
    let layout = Layout::new(COLS, [200.0; 2]).unwrap();
    let pairs = opposite_views(&uniform_angles(8, 0.0, 2.0 * PI)).unwrap();
    let mut out = Array3::zeros((1, 4, layout.width()));
    let mut run = |views, axis| {
        let sinos = Array3::zeros((1, views, COLS));
        stitch_rows(&pool(1), sinos.view(), &pairs, &layout, &[axis], out.view_mut(), &mut |_| Ok(()))
    };
    assert!(run(8, 200.0).is_ok());
    assert!(run(7, 200.0).unwrap_err().to_string().contains("pair names a view"));
    assert!(run(8, 256.0).unwrap_err().to_string().contains("must lie on the detector"));
}

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ct-rec-100")
}

/// Pixels `[row, col]` of a 16-bit `.img` frame.
fn read_img(name: &str) -> Array2<f32> {
    let bytes = std::fs::read(golden().join("off360").join(name)).unwrap();
    let u16_at = |i: usize| usize::from(u16::from_le_bytes([bytes[i], bytes[i + 1]]));
    let (comment, cols, rows) = (u16_at(2), u16_at(4), u16_at(6));
    Array2::from_shape_fn((rows, cols), |(y, x)| u16_at(64 + comment + 2 * (y * cols + x)) as f32)
}

#[test]
fn ct_recs_own_numbers_with_its_rule() {
    // ofct_srec_t_c off360 110.0 0 - 10 0. The log says frame, time, angle, and 0 for I0; after it the frames for the axis.
    let log = std::fs::read_to_string(golden().join("off360/output.log")).unwrap();
    let shots: Vec<[f64; 4]> = log
        .lines()
        .map_while(|line| {
            let fields: Vec<f64> = line.split_whitespace().map_while(|f| f.parse().ok()).collect();
            fields.try_into().ok()
        })
        .collect();
    let (flat_shots, view_shots): (Vec<[f64; 4]>, Vec<[f64; 4]>) = shots.iter().partition(|shot| shot[3] == 0.0);
    let frame = |shot: &[f64; 4]| read_img(&format!("q{:04}.img", shot[0]));
    let frames: Vec<Array2<f32>> = view_shots.iter().map(frame).collect();
    let flats: Vec<Array2<f32>> = flat_shots.iter().map(frame).collect();
    let time = |shots: &[[f64; 4]]| shots.iter().map(|shot| shot[1]).collect::<Vec<f64>>();
    let dark = read_img("dark.img");
    let ((rows, cols), views, rc) = (dark.dim(), frames.len(), 110);
    assert_eq!((views, flats.len()), (400, 3));
    let weights = flat_weights(&time(&view_shots), &time(&flat_shots));
    let layout = Layout::ct_rec(cols, rc).unwrap();
    assert_eq!((layout.width(), layout.center_px(f64::NAN)), (220, 110.5));
    let mut sinos = Array3::from_shape_fn((rows, views, cols), |(z, m, n)| frames[m][[z, n]]);
    for z in 0..rows {
        let beam = stack(Axis(0), &flats.iter().map(|f| f.row(z)).collect::<Vec<_>>()).unwrap();
        let sino = sinos.index_axis_mut(Axis(0), z);
        let black = vec![false; views];
        normalise_row(sino, dark.row(z), beam.view(), &weights, &black, &NormaliseOptions::default(), z).unwrap();
    }
    // The scan was made with its axis at 110; ct-rec was given 110 where its own convention would have been 110.5.
    let found = axis_of(&sinos, 8);
    println!("axis {:.3} ± {:.3} confidence {:.2}", found.center_px, found.error_px, found.confidence);
    assert!(
        (found.center_px - 110.0).abs() < 0.2 && found.confidence > 0.6,
        "{} ± {}",
        found.center_px,
        found.error_px
    );
    let stitched = stitch(&sinos, &vec![0.0; rows], &layout, 2);
    for z in 0..rows {
        let mut sino = stitched.index_axis(Axis(0), z).to_owned();
        sort(sino.view_mut(), 5).unwrap();
        let angles = uniform_angles(views / 2, 0.0, PI);
        let image = slice(&fbp(&angles, layout.width(), 10.0, CHESLER), &sino, layout.center_px(0.0));
        let expected = read_slice(&golden().join(format!("rec/ofct_srec/rec{z:05}.tif"))).unwrap();
        let largest = expected.fold(0f32, |m, v| m.max(v.abs()));
        let worst = image.iter().zip(&expected).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        println!("row {z}: {:.1e} of the maximum", worst / largest);
        // f32 arithmetic against ct-rec's f64 engine, whose transmission is f64 while ours is f32.
        assert!(worst < 1e-5 * largest, "row {z}: {}", worst / largest);
    }
}
