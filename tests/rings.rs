//! Stripe removal by sorting: against an independent transcription of the rule, and what it must and must not change.

mod common;

use common::Lcg;
use ndarray::{Array2, Axis};
use wagiri::ErrorKind;
use wagiri::rings;

/// The rule word by word, as slow as it reads.
fn naive(sino: &Array2<f32>, kernel: usize) -> Array2<f32> {
    let (m, n) = sino.dim();
    let k = if kernel > 1 && kernel.is_multiple_of(2) { kernel + 1 } else { kernel };
    if k <= 1 {
        return sino.clone();
    }
    let h = (k / 2) as i64;
    let mut sorted = Array2::<f32>::zeros((m, n));
    let mut perm = Array2::<usize>::zeros((m, n));
    for c in 0..n {
        let mut rows: Vec<usize> = (0..m).collect();
        // `sort_by` is stable.
        rows.sort_by(|&a, &b| sino[[a, c]].partial_cmp(&sino[[b, c]]).unwrap());
        for (rank, &row) in rows.iter().enumerate() {
            sorted[[rank, c]] = sino[[row, c]];
            perm[[rank, c]] = row;
        }
    }
    let mut out = Array2::zeros((m, n));
    for r in 0..m {
        for c in 0..n as i64 {
            let mut window: Vec<f32> = (-h..=h)
                .map(|o| {
                    let p = c + o;
                    let p = if p < 0 {
                        -p
                    } else if p >= n as i64 {
                        2 * n as i64 - 1 - p
                    } else {
                        p
                    };
                    sorted[[r, p as usize]]
                })
                .collect();
            window.sort_by(|a, b| a.partial_cmp(b).unwrap());
            out[[perm[[r, c as usize]], c as usize]] = window[h as usize];
        }
    }
    out
}

fn random(m: usize, n: usize, levels: Option<u32>, seed: u64) -> Array2<f32> {
    let mut random = Lcg(seed);
    Array2::from_shape_simple_fn((m, n), || match levels {
        Some(levels) => (random.unit() * levels as f64).floor() as f32 - 1.0,
        None => random.unit() as f32 * 3.0 - 1.0,
    })
}

#[test]
fn equals_the_rule_bit_by_bit_for_every_kernel_and_width() {
    let mut filtered = 0;
    // Few views are compared, many are sorted digit by digit; narrow windows go through networks, wide ones slide.
    for kernel in (0..=11).chain([16, 25, 26, 51, 101]) {
        for n in (1..=40).chain([51, 64, 97]) {
            for (m, levels) in [(1, None), (2, Some(2)), (17, Some(4)), (29, None), (130, Some(6)), (257, Some(9))] {
                let sino = random(m, n, levels, (1000 * kernel + 10 * n + m) as u64);
                let mut ours = sino.clone();
                let result = rings::sort(ours.view_mut(), kernel);
                if rings::odd_kernel(kernel) > 1 && rings::odd_kernel(kernel) > 2 * n - 1 {
                    assert_eq!(result.unwrap_err().kind(), ErrorKind::Invalid);
                    continue;
                }
                result.unwrap();
                let truth = naive(&sino, kernel);
                assert!(ours.iter().zip(&truth).all(|(a, b)| a.to_bits() == b.to_bits()), "k={kernel} n={n} m={m}");
                filtered += usize::from(ours != sino);
            }
        }
    }
    assert!(filtered > 1000, "the comparison saw only {filtered} changed sinograms");
}

#[test]
fn result_does_not_depend_on_threads_or_memory_layout() {
    let sino = random(200, 37, None, 5);
    let mut expected = sino.clone();
    rings::sort(expected.view_mut(), 7).unwrap();
    for threads in [1, 2, 3, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut ours = sino.clone();
        pool.install(|| rings::sort(ours.view_mut(), 7)).unwrap();
        assert_eq!(ours, expected);
    }
    let mut transposed = sino.t().to_owned();
    rings::sort(transposed.view_mut().reversed_axes(), 7).unwrap();
    assert_eq!(transposed.t(), expected);
}

#[test]
fn leaves_alone_what_has_no_stripes() {
    // Every column holds the same values in another order: at each rank all columns agree.
    let mut sino = Array2::from_shape_fn((60, 25), |(m, n)| ((m * 7 + n * 11) % 60) as f32);
    let before = sino.clone();
    rings::sort(sino.view_mut(), 5).unwrap();
    assert_eq!(sino, before);
}

#[test]
fn lowers_a_planted_stripe_and_keeps_the_order_of_views() {
    let clean = |m: usize, n: usize| (m as f32 * 0.05).sin() + 0.002 * n as f32;
    let mut sino = Array2::from_shape_fn((180, 64), |(m, n)| clean(m, n));
    sino.column_mut(30).mapv_inplace(|v| v + 0.2);
    let before = sino.clone();
    rings::sort(sino.view_mut(), 5).unwrap();
    let worst = (0..180).map(|m| (sino[[m, 30]] - clean(m, 30)).abs()).fold(0.0, f32::max);
    // What remains is the difference to the next column, 0.002, and one rank step of the sine.
    assert!(worst < 0.005, "{worst}");
    for (a, b) in sino.axis_iter(Axis(1)).zip(before.axis_iter(Axis(1))) {
        for i in 0..180 {
            for j in 0..i {
                assert!((b[i] < b[j]) <= (a[i] <= a[j]));
            }
        }
    }
}

#[test]
fn refuses_nan_by_view_and_column_and_a_window_wider_than_the_mirror() {
    for kernel in [0, 5] {
        let mut sino = Array2::<f32>::zeros((6, 9));
        sino[[4, 7]] = f32::NAN;
        let text = rings::sort(sino.view_mut(), kernel).unwrap_err().to_string();
        assert!(text.contains("view = 4") && text.contains("column = 7"), "{text}");
    }
    let mut sino = Array2::<f32>::zeros((6, 9));
    rings::sort(sino.view_mut(), 17).unwrap();
    let text = rings::sort(sino.view_mut(), 18).unwrap_err().to_string();
    assert!(text.contains("at most 17 px") && text.contains("kernel_px = 18"), "{text}");
    rings::sort(Array2::zeros((0, 9)).view_mut(), 5).unwrap();
    rings::sort(Array2::zeros((9, 0)).view_mut(), 5).unwrap();
}

#[test]
fn many_views_and_extreme_values_equal_the_rule_bit_by_bit() {
    let extreme = [f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, 1e-45, -1e-45, f32::MAX, f32::MIN, 1.0, -1.0];
    for (m, n, kernel) in [(1800, 19, 5), (700, 33, 3), (900, 20, 31)] {
        for special in [0, 1, 10] {
            let mut sino = random(m, n, None, m as u64);
            // None, some, and nothing but special values.
            for (i, v) in sino.iter_mut().enumerate().filter(|(i, _)| (i * 7919) % 10 < special) {
                *v = extreme[(i * 31 + i / 7) % extreme.len()];
            }
            // The rule as the test writes it keeps the sign of a zero.
            let truth = naive(&sino.mapv(|v| v + 0.0), kernel);
            rings::sort(sino.view_mut(), kernel).unwrap();
            assert!(sino.iter().zip(&truth).all(|(a, b)| a.to_bits() == b.to_bits()), "{m} x {n}, {kernel}");
        }
    }
}

#[test]
fn rows_are_repaired_like_single_sinograms_and_a_stop_stops() {
    let rows = ndarray::Array3::from_shape_fn((5, 60, 25), |(z, m, n)| ((z * 13 + m * 7 + n * 11) % 59) as f32);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let mut ours = rows.clone();
    let mut seen = Vec::new();
    let mut tick = |part| {
        seen.push(part);
        Ok(())
    };
    rings::rows(&pool, ours.view_mut(), |s| rings::sort(s, 5), |i| i, &mut tick).unwrap();
    assert_eq!(seen, [0.4, 0.8, 1.0]);
    for (row, ours) in rows.outer_iter().zip(ours.outer_iter()) {
        let mut one = row.to_owned();
        rings::sort(one.view_mut(), 5).unwrap();
        assert_eq!(ours, one);
    }
    ours[[3, 1, 2]] = f32::NAN;
    let error = rings::rows(&pool, ours.view_mut(), |s| rings::sort(s, 5), |i| 10 + i, &mut |_| Ok(()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("row = 13") && error.contains("view = 1"), "{error}");
    let stop = |_| Err(wagiri::Error::cancelled("test"));
    let error = rings::rows(&pool, rows.clone().view_mut(), |s| rings::sort(s, 5), |i| i, &mut { stop }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn infinities_sort_and_negative_zero_counts_as_zero() {
    let mut sino = Array2::from_shape_vec((2, 3), vec![f32::INFINITY, -0.0, 1.0, 0.0, 0.0, f32::NEG_INFINITY]).unwrap();
    let truth = naive(&sino, 3);
    rings::sort(sino.view_mut(), 3).unwrap();
    assert_eq!(sino, truth);
}
