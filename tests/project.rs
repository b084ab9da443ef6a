//! Forward projection: line integrals of known objects, and slices that come back when they are reconstructed.

mod common;

use common::engine::{CHESLER, fbp, pool, slice};
use common::{Ellipse, Lcg, sinogram, xy};
use ndarray::{Array2, Array3, Axis};
use std::f64::consts::PI;
use wagiri::geometry::uniform_angles;
use wagiri::recon::Projector;
use wagiri::rings;

fn project(projector: &Projector, slices: &Array3<f32>, views: usize, cols: usize, threads: usize) -> Array3<f32> {
    let mut out = Array3::from_elem((slices.dim().0, views, cols), f32::NAN);
    projector.project(&pool(threads), slices.view(), out.view_mut(), &mut |_| Ok(())).unwrap();
    out
}

fn project_one(angles: &[f64], image: &Array2<f32>, cols: usize, center: f64, pixel_um: f64) -> Array2<f32> {
    let projector = Projector::new(angles, image.nrows(), cols, center, pixel_um).unwrap();
    project(&projector, &image.clone().insert_axis(Axis(0)), angles.len(), cols, 2).index_axis_move(Axis(0), 0)
}

/// The method in its plainest form, in f64: one step per row or column, linear between two pixels.
fn plain(image: &Array2<f32>, angle: f64, ray: f64, pixel_um: f64) -> f64 {
    let (size, middle) = (image.nrows() as i64, (image.nrows() as f64 - 1.0) / 2.0);
    let (sin, cos) = angle.sin_cos();
    let by_rows = cos.abs() >= sin.abs();
    let at = |k: i64, m: i64| {
        let (row, col) = if by_rows { (k, m) } else { (m, k) };
        if (0..size).contains(&m) { f64::from(image[[row as usize, col as usize]]) } else { 0.0 }
    };
    let mut sum = 0.0;
    for k in 0..size {
        let along = k as f64 - middle;
        // X cos + Y sin = ray, Y up.
        let m = if by_rows { (ray + along * sin) / cos + middle } else { middle - (ray - along * cos) / sin };
        let (floor, part) = (m.floor() as i64, m - m.floor());
        sum += at(k, floor) + part * (at(k, floor + 1) - at(k, floor));
    }
    sum * pixel_um * 1e-4 / cos.abs().max(sin.abs())
}

#[test]
fn numbers_are_those_of_the_plain_method() {
    let mut random = Lcg(4);
    let mut angles: Vec<f64> = (0..37).map(|_| 7.0 * random.unit() - 3.5).collect();
    angles.extend([0.0, PI / 2.0, PI, -PI / 4.0, PI / 4.0, 3.0 * PI / 4.0, 1e-9, PI / 2.0 + 1e-9]);
    for (size, cols, center) in [(1, 1, 0.0), (5, 9, 3.3), (64, 64, 31.5), (131, 150, 90.2), (200, 90, 20.0)] {
        let image = Array2::from_shape_simple_fn((size, size), || random.unit() as f32 - 0.3);
        let got = project_one(&angles, &image, cols, center, 2.0);
        for ((view, n), value) in got.indexed_iter() {
            let expected = plain(&image, angles[view], n as f64 - center, 2.0);
            // Up to 200 terms of up to 0.7 in f32, and positions to 2^-24.
            let tolerance = 2e-6 * size as f64 * 2e-4 + 1e-9;
            assert!((f64::from(*value) - expected).abs() < tolerance, "{size} {view} {n}: {value} {expected}");
        }
    }
}

#[test]
fn smooth_blobs_have_the_line_integrals_of_the_formula() {
    let (size, cols, center, pixel_um) = (256, 300, 170.4, 10.0);
    let blobs = [(40.0, -25.0, 6.0, 2.0), (-60.0, 50.0, 15.0, 1.0), (0.0, 0.0, 3.0, 5.0)];
    let image = Array2::from_shape_fn((size, size), |(row, col)| {
        let (x, y) = xy(size, row, col);
        let one = |b: &(f64, f64, f64, f64)| b.3 * (-((x - b.0).powi(2) + (y - b.1).powi(2)) / (2.0 * b.2 * b.2)).exp();
        blobs.iter().map(one).sum::<f64>() as f32
    });
    let angles = uniform_angles(90, 0.1, 2.0 * PI);
    let got = project_one(&angles, &image, cols, center, pixel_um);
    let (mut worst, mut top) = (0f64, 0f64);
    for ((view, n), value) in got.indexed_iter() {
        let (sin, cos) = angles[view].sin_cos();
        let one = |b: &(f64, f64, f64, f64)| {
            let s = n as f64 - center - b.0 * cos - b.1 * sin;
            b.3 * b.2 * (2.0 * PI).sqrt() * (-s * s / (2.0 * b.2 * b.2)).exp()
        };
        let expected = blobs.iter().map(one).sum::<f64>() * pixel_um * 1e-4;
        top = top.max(expected);
        worst = worst.max((f64::from(*value) - expected).abs());
    }
    println!("largest error {:.1e} of the maximum", worst / top);
    // Straight lines between pixels lower a blob of σ = 3 px by up to 1 / (8 σ²) = 1.4 % at its top, half of it on average;
    // it is a part of the whole.
    assert!(worst < 0.01 * top, "{worst} of {top}");
}

/// The part of each pixel that lies inside, from 8 x 8 points.
fn raster(objects: &[Ellipse], size: usize) -> Array2<f32> {
    Array2::from_shape_fn((size, size), |(row, col)| {
        let (x, y) = xy(size, row, col);
        let sub = |i: usize| (i as f64 - 3.5) / 8.0;
        let inside = |e: &Ellipse| (0..64).filter(|i| e.level(x + sub(i % 8), y + sub(i / 8)) < 1.0).count() as f64;
        objects.iter().map(|e| e.mu_per_cm * inside(e) / 64.0).sum::<f64>() as f32
    })
}

fn discs() -> Vec<Ellipse> {
    let disc = Ellipse::disc;
    vec![
        disc(4.0, -6.0, 100.0, 1.0),
        disc(40.0, 30.0, 12.0, 2.0),
        disc(-50.0, 10.0, 20.0, -0.5),
        disc(0.0, -70.0, 8.0, 1.0),
    ]
}

#[test]
fn discs_have_their_chords() {
    let (size, center, pixel_um) = (256, 127.5, 5.0);
    let angles = uniform_angles(60, 0.0, PI);
    let got = project_one(&angles, &raster(&discs(), size), size, center, pixel_um);
    let expected = sinogram(&discs(), &angles, size, center, pixel_um);
    let top = f64::from(expected.fold(0f32, |m, v| m.max(*v)));
    let squares: f64 = got.iter().zip(&expected).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let rms = (squares / got.len() as f64).sqrt() / top;
    let mass = |s: &Array2<f32>, view: usize| s.row(view).iter().map(|v| f64::from(*v)).sum::<f64>();
    println!("rms {rms:.1e} of the maximum");
    // What differs is the edge: a chord has an infinite slope there, pixels do not.
    assert!(rms < 5e-3, "{rms}");
    for view in 0..angles.len() {
        // What a view adds up to is the area of the discs, to the error of the 64 points.
        assert!((mass(&got, view) / mass(&expected, view) - 1.0).abs() < 2e-3, "{view}");
    }
}

#[test]
fn slices_come_back_from_their_projections() {
    let (size, pixel_um) = (256, 5.0);
    let image = raster(&discs(), size);
    for center in [127.5, 131.3] {
        let angles = uniform_angles(402, 0.2, PI);
        let sino = project_one(&angles, &image, size, center, pixel_um);
        let engine = fbp(&angles, size, pixel_um, CHESLER);
        let again = slice(&engine, &sino, center);
        // As reprocessing of a reconstructed volume does: sinograms, ring removal, slices.
        let mut repaired = sino.clone();
        rings::sort(repaired.view_mut(), 5).unwrap();
        let repaired = slice(&engine, &repaired, center);
        let (mut flat, mut cleaned, mut pixels) = (0f64, 0f64, 0.0);
        for ((row, col), value) in image.indexed_iter() {
            let (x, y) = xy(size, row, col);
            if discs().iter().all(|d| d.edge_distance_at_least(x, y) > 4.0) && x.hypot(y) < 115.0 {
                flat += f64::from(again[[row, col]] - value).powi(2);
                cleaned += f64::from(repaired[[row, col]] - value).powi(2);
                pixels += 1.0;
            }
        }
        let (flat, cleaned) = ((flat / pixels).sqrt(), (cleaned / pixels).sqrt());
        println!("{center}: rms {flat:.1e}, with ring removal {cleaned:.1e} 1/cm");
        // Values are 0.5 to 3 1/cm; a scan of the discs themselves gives 2e-3 with as many views. Ring removal costs more.
        assert!(flat < 4e-3 && cleaned < 0.03, "{center}: {flat} {cleaned}");
    }
}

#[test]
fn results_do_not_depend_on_neighbours_or_threads() {
    let mut random = Lcg(6);
    let (size, cols, views) = (150, 140, 70);
    let angles = uniform_angles(views, 0.3, PI);
    let projector = Projector::new(&angles, size, cols, 66.6, 1.0).unwrap();
    let slices = Array3::from_shape_simple_fn((21, size, size), || random.unit() as f32);
    let all = project(&projector, &slices, views, cols, 1);
    assert_eq!(all, project(&projector, &slices, views, cols, 3));
    for (first, rows) in [(0, 1), (3, 3), (16, 5), (7, 7)] {
        let part = slices.slice(ndarray::s![first..first + rows, .., ..]).to_owned();
        let part = project(&projector, &part, views, cols, 2);
        assert_eq!(part, all.slice(ndarray::s![first..first + rows, .., ..]));
    }
}

#[test]
fn nonsense_is_refused() {
    let new = |angles: &[f64], size, cols, center, um| Projector::new(angles, size, cols, center, um).err().is_some();
    assert!(new(&[], 4, 4, 1.0, 1.0) && new(&[f64::NAN], 4, 4, 1.0, 1.0) && new(&[0.0], 0, 4, 1.0, 1.0));
    assert!(new(&[0.0], 4, 4, 3.5, 1.0) && new(&[0.0], 4, 4, f64::NAN, 1.0) && new(&[0.0], 4, 4, 1.0, 0.0));
    let projector = Projector::new(&[0.0, 1.0], 4, 6, 2.0, 1.0).unwrap();
    let run = |slices: Array3<f32>, out: [usize; 3]| {
        let mut out = Array3::zeros(out);
        projector.project(&pool(1), slices.view(), out.view_mut(), &mut |_| Ok(())).unwrap_err().to_string()
    };
    assert!(run(Array3::zeros((1, 4, 5)), [1, 2, 6]).contains("must fit the projector"));
    assert!(run(Array3::zeros((1, 4, 4)), [1, 3, 6]).contains("must fit the projector"));
    for bad in [f32::NAN, f32::INFINITY, -1e38] {
        let mut slices = Array3::zeros((2, 4, 4));
        slices[[1, 2, 3]] = bad;
        assert!(run(slices, [2, 2, 6]).contains("slice = 1, y = 2, x = 3"));
    }
}
