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

/// Axes of the rows: a fixed one, a tilted one, a steep one, and one in steps.
fn axes(rows: usize) -> [Vec<f64>; 4] {
    let axes = |axis: fn(f64) -> f64| (0..rows).map(|row| axis(row as f64)).collect();
    [
        axes(|_| 44.1),
        axes(|row| 43.9 + 0.05 * row),
        axes(|row| 20.3 + 2.3 * row),
        axes(|row| 44.0 + (row / 6.0).floor()),
    ]
}

#[test]
fn bits_do_not_depend_on_threads_or_slab_height() {
    let sinos = noises(23, 163, 90);
    for isa in isas() {
        let fbp = with(isa, 163, 90);
        for centers in axes(23) {
            let whole = volume(&fbp, &pool(2), &sinos, &centers).unwrap();
            for threads in [1, 3, 7] {
                assert_eq!(
                    volume(&fbp, &pool(threads), &sinos, &centers).unwrap(),
                    whole,
                    "{isa:?}, {threads} threads"
                );
            }
            for height in [1, 3, 7] {
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
    for (views, cols) in [(301, 90), (33, 131)] {
        // 16 + 7 rows: slices 16 and 8 at a time; 3 and 1: 4 and 1.
        for rows in [23, 3, 1] {
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
