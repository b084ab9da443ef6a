//! Paganin phase retrieval: known objects return their thickness, and no seam shows where slabs meet.

mod common;

use common::Lcg;
use common::engine::pool;
use ndarray::{Array2, Array3, Axis};
use wagiri::Halo;
use wagiri::preprocess::phase::{Phase, PhaseOptions};

/// An experiment whose filter has the strength `a` in px².
fn experiment(a: f64) -> PhaseOptions {
    let one = PhaseOptions { energy_kev: 20.0, distance_mm: 1.0, pixel_um: 1.0, delta_beta: 1000.0, tolerance: 1e-3 };
    PhaseOptions { distance_mm: a / one.strength_px2(), ..one }
}

/// Rows `first..first + rows` of a detector `[row, view, col]`, with its last rows repeated as halo, retrieved.
fn retrieve(phase: &Phase, detector: &Array3<f32>, first: usize, rows: usize, threads: usize) -> Array3<f32> {
    let (height, views, cols) = detector.dim();
    let halo = phase.halo_rows();
    let slab = Array3::from_shape_fn((rows + 2 * halo, views, cols), |(r, m, n)| {
        detector[[(first + r).saturating_sub(halo).min(height - 1), m, n]]
    });
    let mut out = Array3::from_elem((rows, views, cols), f32::NAN);
    let halo = Halo { below: halo, above: halo };
    phase.retrieve(&pool(threads), slab.view(), (first as isize, halo), out.view_mut(), &mut |_| Ok(())).unwrap();
    out
}

#[test]
fn strength_is_that_of_the_physical_formula() {
    // 12.398 keV is a wavelength of 1 Å; 100 mm × 1 Å × 1000 / 4π = 0.7958e-9 m², in pixels of 2 µm 198.9.
    let options = PhaseOptions {
        energy_kev: 12.398_419_84,
        distance_mm: 100.0,
        pixel_um: 2.0,
        delta_beta: 1000.0,
        tolerance: 1e-3,
    };
    assert!((options.strength_px2() - 198.943_679).abs() < 1e-5, "{}", options.strength_px2());
    // A root of a is 14.1 px: ln 1000 times that, and a quarter more.
    assert_eq!(Phase::new(&options, 64).unwrap().halo_rows(), 98 + 25 - 1);
}

/// Intensity of a homogeneous sphere on square pixels after free flight: (1 - a ∇²) exp(-µT), averaged over each pixel. The
/// average of the Laplacian is the flow of the gradient through the sides of the pixel, summed over 400 points each.
fn sphere(size: usize, radius: f64, mu: f64, a: f64) -> (Array2<f64>, Array2<f32>) {
    let middle = (size as f64 - 1.0) / 2.0 + 0.13;
    let thickness = |x: f64, y: f64| 2.0 * (radius * radius - x * x - y * y).max(0.0).sqrt();
    let slope = |x: f64, y: f64| {
        // Of exp(-µT) along x.
        let t = thickness(x, y);
        if t > 0.0 { mu * 4.0 * x / t * (-mu * t).exp() } else { 0.0 }
    };
    let points = 400;
    let along = |f: &dyn Fn(f64) -> f64, from: f64| {
        (0..points).map(|i| f(from + (i as f64 + 0.5) / points as f64)).sum::<f64>() / points as f64
    };
    let truth = Array2::from_shape_fn((size, size), |(y, x)| thickness(x as f64 - middle, y as f64 - middle));
    let image = Array2::from_shape_fn((size, size), |(y, x)| {
        let (left, low) = (x as f64 - middle - 0.5, y as f64 - middle - 0.5);
        let through_x = |x: f64| along(&|y| slope(x, y), low);
        let through_y = |y: f64| along(&|x| slope(y, x), left);
        let flow = through_x(left + 1.0) - through_x(left) + through_y(low + 1.0) - through_y(low);
        let fine = 16;
        let mut mean = 0.0;
        for i in 0..fine * fine {
            let at = |k: usize| (k as f64 + 0.5) / fine as f64;
            mean += (-mu * thickness(left + at(i % fine), low + at(i / fine))).exp();
        }
        -((mean / (fine * fine) as f64 - a * flow).ln()) as f32
    });
    (truth, image)
}

#[test]
fn sphere_returns_its_thickness() {
    let (size, radius, a) = (96, 36.0, 4.0);
    let mu = 0.2 / (2.0 * radius);
    let (truth, image) = sphere(size, radius, mu, a);
    let fringe = image.fold(0f32, |m, v| m.min(*v));
    assert!(fringe < -0.1, "the rim must be bright: {fringe}");
    let phase = Phase::new(&experiment(a), size).unwrap();
    let got = retrieve(&phase, &image.insert_axis(Axis(1)), 0, size, 2);
    // Largest error by distance from the rim, px: at the rim itself a pixel holds many thicknesses.
    let mut worst = [0f64; 50];
    for ((y, x), expected) in truth.indexed_iter() {
        let from_rim = ((x as f64 - 47.63).hypot(y as f64 - 47.63) - radius).abs();
        let error = (f64::from(got[[y, 0, x]]) / mu - expected).abs() / (2.0 * radius);
        worst[from_rim as usize] = worst[from_rim as usize].max(error);
    }
    println!("largest errors by px from the rim, of the thickness: {:.4?}", &worst[..12]);
    // The goal, from twice the width of the filter on. What is left there is that the step at the rim, sharper than a pixel,
    // has another Laplacian in pixels.
    let far = worst[4..].iter().fold(0f64, |m, v| m.max(*v));
    assert!(far < 0.01, "{far}");
}

#[test]
fn lens_returns_its_thickness_after_long_flight() {
    // T = 60 px (1 - r²/R²)³, smooth at its rim, so that a may be large; the Laplacian of exp(-µT) in closed form.
    let (size, rim, top, mu, a) = (160usize, 60.0, 60.0, 0.01, 120.0);
    let middle = (size as f64 - 1.0) / 2.0;
    let thickness = |r2: f64| top * (1.0 - r2 / (rim * rim)).max(0.0).powi(3);
    let image = Array3::from_shape_fn((size, 2, size), |(y, _, x)| {
        let r2 = (x as f64 - middle).powi(2) + (y as f64 - middle).powi(2);
        let part = (1.0 - r2 / (rim * rim)).max(0.0);
        let first = -3.0 * top / (rim * rim) * part.powi(2);
        let second = 6.0 * top / rim.powi(4) * part;
        // ∇²T = 4 T' + 4 r² T'' with T' and T'' by r²; |∇T|² = 4 r² T'².
        let laplacian = (mu * mu * 4.0 * r2 * first * first) - mu * (4.0 * first + 4.0 * r2 * second);
        -(((-mu * thickness(r2)).exp() * (1.0 - a * laplacian)).ln()) as f32
    });
    let phase = Phase::new(&experiment(a), size).unwrap();
    let got = retrieve(&phase, &image, 0, size, 2);
    let mut worst = 0f64;
    let mut before = 0f64;
    for ((y, view, x), value) in got.indexed_iter() {
        let expected = thickness((x as f64 - middle).powi(2) + (y as f64 - middle).powi(2));
        worst = worst.max((f64::from(*value) / mu - expected).abs());
        before = before.max((f64::from(image[[y, view, x]]) / mu - expected).abs());
    }
    println!("largest error {:.2e} of the thickness, before {:.2e}", worst / top, before / top);
    assert!(before > 0.2 * top && worst < 0.01 * top, "{before} {worst} of {top}");
}

#[test]
fn waves_are_damped_as_the_formula_says() {
    let (a, cols, rows) = (9.0, 192, 160);
    let options = PhaseOptions { tolerance: 1e-9, ..experiment(a) };
    let phase = Phase::new(&options, cols).unwrap();
    for (u, v) in [(0.3, 0.0), (0.0, 0.5), (0.9, -0.4), (2.5, 2.0)] {
        let wave = |y: usize, x: usize| (u * x as f64 + v * y as f64 + 0.3f64).cos();
        let image = Array3::from_shape_fn((rows, 1, cols), |(y, _, x)| -(1.0 + 0.3 * wave(y, x)).ln() as f32);
        let got = retrieve(&phase, &image, 60, 40, 1);
        let damped = 0.3 / (1.0 + a * (4.0 - 2.0 * f64::cos(u) - 2.0 * f64::cos(v)));
        for ((y, _, x), value) in got.indexed_iter().filter(|((_, _, x), _)| (70..122).contains(x)) {
            let expected = -(1.0 + damped * wave(60 + y, x)).ln();
            // The ends of the rows are some 23 times the width of the filter away; f32 in and out.
            assert!((f64::from(*value) - expected).abs() < 5e-7, "{u} {v} at {y} {x}: {value} {expected}");
        }
    }
}

#[test]
fn no_seam_shows_whatever_the_height_of_the_slabs() {
    let (rows, views, cols) = (41, 3, 50);
    let mut random = Lcg(3);
    let detector = Array3::from_shape_simple_fn((rows, views, cols), || random.unit() as f32);
    let phase = Phase::new(&experiment(4.0), cols).unwrap();
    let all = retrieve(&phase, &detector, 0, rows, 1);
    for height in [1, 3, 7, 20] {
        for first in (0..rows).step_by(height) {
            let height = height.min(rows - first);
            let part = retrieve(&phase, &detector, first, height, 1 + first % 3);
            for (r, row) in part.outer_iter().enumerate() {
                assert_eq!(row, all.index_axis(Axis(0), first + r), "{height} {first} {r}");
            }
        }
    }
    // A view is the same alone and beside another one, to rounding.
    let alone = retrieve(&phase, &detector.slice(ndarray::s![.., 1..2, ..]).to_owned(), 0, rows, 1);
    let beside = all.slice(ndarray::s![.., 1..2, ..]);
    assert!(alone.iter().zip(beside).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn cut_off_response_is_within_its_tolerance() {
    let (rows, cols) = (300, 40);
    let mut random = Lcg(8);
    // Rows differ by up to 1 in transmission over long distances.
    let level: Vec<f32> = (0..rows / 20).map(|_| random.unit() as f32).collect();
    let detector = Array3::from_shape_fn((rows, 1, cols), |(y, _, _)| -(0.1 + 0.9 * level[y / 20]).ln());
    let run = |tolerance| {
        let phase = Phase::new(&PhaseOptions { tolerance, ..experiment(50.0) }, cols).unwrap();
        retrieve(&phase, &detector, 0, rows, 1)
    };
    let exact = run(1e-9);
    for tolerance in [1e-2, 1e-3, 1e-4] {
        let got = run(tolerance);
        let worst = got.iter().zip(&exact).fold(0f32, |m, (a, b)| m.max(((-a).exp() - (-b).exp()).abs()));
        println!("{tolerance}: {worst:.1e}");
        assert!(f64::from(worst) < tolerance, "{tolerance}: {worst}");
    }
}

#[test]
fn a_flat_field_stays_and_the_opaque_is_finite() {
    let phase = Phase::new(&experiment(30.0), 30).unwrap();
    let flat = retrieve(&phase, &Array3::from_elem((5, 1, 30), 0.7), 0, 5, 1);
    assert!(flat.iter().all(|v| (v - 0.7).abs() < 1e-6));
    let mut opaque = Array3::from_elem((5, 2, 30), 900.0);
    opaque[[2, 0, 3]] = 0.0;
    let got = retrieve(&phase, &opaque, 0, 5, 1);
    assert!(got.iter().all(|v| v.is_finite() && *v < 34.6));
}

#[test]
fn nonsense_is_refused_with_a_reason() {
    let good = experiment(4.0);
    for (options, reason) in [
        (PhaseOptions { energy_kev: 0.0, ..good }, "0 keV"),
        (PhaseOptions { distance_mm: f64::NAN, ..good }, "0 mm"),
        (PhaseOptions { pixel_um: -1.0, ..good }, "0 µm"),
        (PhaseOptions { delta_beta: f64::INFINITY, ..good }, "delta over beta"),
        (PhaseOptions { tolerance: 0.5, ..good }, "1e-9 to 0.1"),
        (PhaseOptions { pixel_um: 1e-4, ..good }, "check the units"),
    ] {
        let message = Phase::new(&options, 10).err().expect("an error").to_string();
        assert!(message.contains(reason), "{message}");
    }
    let phase = Phase::new(&good, 10).unwrap();
    let rows = phase.halo_rows();
    let halo = Halo { below: rows, above: rows };
    let mut out = Array3::zeros((1, 1, 10));
    let mut run = |slab: &Array3<f32>, halo| {
        phase.retrieve(&pool(1), slab.view(), (7, halo), out.view_mut(), &mut |_| Ok(())).unwrap_err().to_string()
    };
    let mut slab = Array3::zeros((2 * rows + 1, 1, 10));
    assert!(run(&slab, Halo { below: rows - 1, above: rows + 1 }).contains("rows of halo"));
    assert!(run(&slab, Halo::default()).contains("same views and columns"));
    slab[[rows + 2, 0, 4]] = f32::NAN;
    let message = run(&slab, halo);
    assert!(message.contains("row = 9, view = 0, column = 4"), "{message}");
    slab[[rows + 2, 0, 4]] = -20.0;
    assert!(run(&slab, halo).contains("finite absorbance above -13.8"));
}
