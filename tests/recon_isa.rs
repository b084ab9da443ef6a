//! The direct engine gives the same bits however the work is cut, and nearly the same with every instruction set.

mod common;

use common::accuracy::difference;
use common::engine::*;
use ndarray::{Array3, Axis, s};
use std::f64::consts::PI;
use wagiri::geometry::uniform_angles;
use wagiri::recon::{Fbp, Isa};

/// Those that this processor has.
fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

fn with(isa: Isa, views: usize, cols: usize) -> Fbp {
    fbp(&uniform_angles(views, 0.1, PI), cols, 3.0, CHESLER).with_isa(isa).unwrap()
}

fn noises(rows: usize, views: usize, cols: usize) -> Array3<f32> {
    let sinos: Vec<_> = (0..rows).map(|row| noise(views, cols, row as u64)).collect();
    ndarray::stack(Axis(0), &sinos.iter().map(|a| a.view()).collect::<Vec<_>>()).unwrap()
}

/// Axes of the rows: a fixed one, a tilted one, a steep one, and one in steps. Up to 39 rows of 70 columns or more.
fn axes(rows: usize) -> [Vec<f64>; 4] {
    let axes = |axis: fn(f64) -> f64| (0..rows).map(|row| axis(row as f64)).collect();
    [axes(|_| 44.1), axes(|row| 43.9 + 0.05 * row), axes(|row| 5.3 + 1.9 * row), axes(|row| 44.0 + (row / 6.0).floor())]
}

#[test]
fn bits_do_not_depend_on_threads_or_slab_height() {
    // 32 and 7 slices side by side, and with slabs of 17 rows 17 in room for 32, and 5 in room for 8.
    let sinos = noises(39, 163, 90);
    for isa in isas() {
        let fbp = with(isa, 163, 90);
        for centers in axes(39) {
            let whole = volume(&fbp, &pool(2), &sinos, &centers).unwrap();
            for threads in [1, 3, 7] {
                assert_eq!(
                    volume(&fbp, &pool(threads), &sinos, &centers).unwrap(),
                    whole,
                    "{isa:?}, {threads} threads"
                );
            }
            for height in [1, 3, 7, 16, 17] {
                for (i, centers) in centers.chunks(height).enumerate() {
                    let rows = s![i * height..i * height + centers.len(), .., ..];
                    let part = volume(&fbp, &pool(2), &sinos.slice(rows).to_owned(), centers).unwrap();
                    assert_eq!(part, whole.slice(rows), "{isa:?}, slabs of {height}");
                }
            }
        }
    }
}

#[test]
fn instruction_sets_agree() {
    // More views than a panel holds, and sizes that no tile divides.
    for (views, cols) in [(603, 70), (33, 131)] {
        // Room for 32, 16, 8 and 1 slices.
        for rows in [30, 11, 3, 1] {
            let sinos = noises(rows, views, cols);
            for centers in axes(rows) {
                let plain = volume(&with(Isa::Portable, views, cols), &pool(2), &sinos, &centers).unwrap();
                let truth = plain.mapv(f64::from);
                for isa in isas() {
                    let ours = volume(&with(isa, views, cols), &pool(2), &sinos, &centers).unwrap();
                    // Fused multiply-add leaves out one rounding of 24 bits, 6e-8, in each view.
                    let (_, max) = difference(&ours, &truth);
                    assert!(max <= 1e-6, "{isa:?}, {views} x {cols}, {rows} rows: {max:e}");
                }
            }
        }
    }
}

#[test]
fn an_instruction_set_that_is_missing_is_refused() {
    assert!(Isa::best().is_available() && Isa::Portable.is_available());
    // No processor has both.
    assert!(!(Isa::Neon.is_available() && Isa::Avx2.is_available()));
    for isa in Isa::ALL {
        let fbp = fbp(&uniform_angles(4, 0.0, PI), 8, 1.0, CHESLER).with_isa(isa);
        assert_eq!(fbp.is_ok(), isa.is_available());
        if let Err(error) = fbp {
            assert!(error.to_string().contains(&format!("{isa:?}")), "{error}");
        }
    }
}

#[test]
fn views_in_any_order_give_the_same_image() {
    // Angles that jump from one slow axis to the other with every view, over a turn and a half.
    let angles: Vec<f64> = (0..150).map(|m| 2.399_963 * f64::from(m) % (3.0 * PI)).collect();
    let mut sorted: Vec<usize> = (0..150).collect();
    sorted.sort_by(|a, b| angles[*a].total_cmp(&angles[*b]));
    let sino = noise(150, 60, 5);
    let in_order = sino.select(Axis(0), &sorted);
    let weights = vec![PI / 150.0; 150];
    for isa in isas() {
        let image = |angles: &[f64], sino: &ndarray::Array2<f32>| {
            let fbp = Fbp::new(angles, &weights, 60, 1.0, &CHESLER).unwrap().with_isa(isa).unwrap();
            let image = volume(&fbp, &pool(1), &sino.clone().insert_axis(Axis(0)), &[29.2]).unwrap();
            let truth = fbp.reference_rows(sino.view(), 29.2, 0..60).unwrap();
            let (_, max) = difference(&image.index_axis(Axis(0), 0).to_owned(), &truth);
            // 24-bit sums of 150 views.
            assert!(max <= 1e-6, "{isa:?}: {max:e}");
            truth
        };
        let one = image(&angles, &sino);
        let other = image(&sorted.iter().map(|m| angles[*m]).collect::<Vec<_>>(), &in_order);
        // Double precision, added in another order.
        assert!(
            one.iter().zip(&other).all(|(a, b)| (a - b).abs() <= 1e-10 * one.iter().fold(0.0f64, |m, v| m.max(*v)))
        );
    }
}
