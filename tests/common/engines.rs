//! Two engines do the same: the check that every device must pass.

use super::denoise::{Architecture, Batch, Engine, Norm, State, Update};
use ndarray::{Array, Array3, Dimension, ShapeBuilder};

/// Small networks of either kind, deep enough for a middle level.
pub const NETWORKS: [Architecture; 2] = [
    Architecture { channels: 3, base_width: 8, depth: 2, norm: Norm::Batch },
    Architecture { channels: 5, base_width: 8, depth: 1, norm: Norm::None },
];

/// Noise of unit spread that depends on `seed` only.
pub fn noise<D: Dimension, S: ShapeBuilder<Dim = D>>(shape: S, seed: u64) -> Array<f32, D> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut uniform = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    Array::from_shape_simple_fn(shape, || (0..12).map(|_| uniform()).sum())
}

/// A batch whose targets can be learnt from its inputs.
pub fn batch(architecture: &Architecture, [samples, rows, cols]: [usize; 3], seed: u64) -> Batch {
    let inputs = noise([samples, architecture.channels, rows, cols], seed);
    let middle = inputs.index_axis(ndarray::Axis(1), architecture.reach_slices());
    let targets = &middle * 0.7 + noise([samples, rows, cols], seed + 1) * 0.2 + 0.3;
    Batch { inputs, targets }
}

/// What `engine` makes of noise.
pub fn inferred(engine: &mut (dyn Engine + '_), architecture: &Architecture, shape: [usize; 3]) -> Array3<f32> {
    let inputs = batch(architecture, shape, 77).inputs;
    let mut outputs = Array3::zeros(shape);
    engine.infer(inputs.view(), outputs.view_mut(), &mut || Ok(())).unwrap();
    outputs
}

/// The largest difference, in units of the largest value.
pub fn difference(expected: &[f32], got: &[f32]) -> f32 {
    assert_eq!(expected.len(), got.len());
    let largest = expected.iter().fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    let differences = expected.iter().zip(got).map(|(a, b)| if b.is_finite() { (a - b).abs() } else { f32::INFINITY });
    differences.fold(0.0, f32::max) / largest
}

/// Use, one step with clipping, and ten more steps. `close` is what one pass may differ by, in units of the largest value.
pub fn agree<'e>(
    architecture: &Architecture,
    expected: &mut (dyn Engine + 'e),
    got: &mut (dyn Engine + 'e),
    close: f32,
) {
    let what = format!("{} and {}, {architecture:?}", expected.device(), got.device());
    let check = |name: &str, a: &[f32], b: &[f32], close: f32| {
        let difference = difference(a, b);
        println!("{name}: {difference:.1e} of the largest");
        assert!(difference <= close, "{name} of {what} differ by {difference} of the largest");
    };
    let start = State::new(architecture, 5);
    expected.load(&start).unwrap();
    got.load(&start).unwrap();
    assert_eq!(got.state().unwrap(), start, "what is loaded comes back, bit by bit");

    let shape = [2, 16, 24];
    let [a, b] =
        [&mut *expected, &mut *got].map(|engine| inferred(engine, architecture, shape).into_raw_vec_and_offset().0);
    check("outputs", &a, &b, close);

    // Clipping is seen in the moments only: Adam does not feel the length of its first gradient.
    let step = |engine: &mut (dyn Engine + 'e), seed, clip_norm| {
        let update = Update { learning_rate: 1e-3, clip_norm, average: 0.5 };
        engine.step(&batch(architecture, shape, seed), &update, &mut || Ok(())).unwrap()
    };
    let [a, b] = [&mut *expected, &mut *got].map(|engine| step(engine, 100, 0.01));
    assert!(a.grad_norm > 0.01, "the gradient was to be clipped: {a:?}");
    check("loss and gradient", &[a.loss as f32, a.grad_norm as f32], &[b.loss as f32, b.grad_norm as f32], close);
    let [a, b] = [&mut *expected, &mut *got].map(|engine| engine.state().unwrap());
    assert_eq!((a.steps, b.steps), (1, 1));
    check("first moments", &a.moment1, &b.moment1, close);
    check("second moments", &a.moment2, &b.moment2, 2.0 * close);
    if !a.statistics.is_empty() {
        check("statistics", &a.statistics, &b.statistics, close);
        check("averaged statistics", &a.averaged_statistics, &b.averaged_statistics, close);
    }
    // The first step is as long as the learning rate for each weight, whatever its gradient: where that is little more than
    // rounding, its sign is too. The others must have moved alike.
    let largest = a.moment1.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let sure = |values: &[f32]| -> Vec<f32> {
        let pairs = values.iter().zip(&a.moment1);
        pairs.filter(|(_, m)| m.abs() > 10.0 * close * largest).map(|(v, _)| *v).collect()
    };
    println!("{} of {} weights have a gradient of sure sign", sure(&a.parameters).len(), a.parameters.len());
    assert!(sure(&a.parameters).len() > 100);
    check("weights", &sure(&a.parameters), &sure(&b.parameters), close.max(1e-5));
    check("averaged weights", &sure(&a.averaged_parameters), &sure(&b.averaged_parameters), close.max(1e-5));

    // From here on rounding grows by what the network makes of it, and by the weights without a sure sign.
    let losses: [Vec<f32>; 2] = [&mut *expected, &mut *got]
        .map(|engine| (0..10).map(|i| step(engine, 200 + i % 2, f64::INFINITY).loss as f32).collect());
    println!("{losses:?}");
    assert!(losses[0][9] < losses[0][0], "it learns: {losses:?}");
    check("losses of ten steps", &losses[0], &losses[1], 100.0 * close);
    let [a, b] =
        [&mut *expected, &mut *got].map(|engine| inferred(engine, architecture, shape).into_raw_vec_and_offset().0);
    check("outputs after ten steps", &a, &b, 300.0 * close);
}
