//! The network on processors: against itself in f64, against Adam's formula, and the same bits however the work is cut.

#[path = "common/unet.rs"]
mod unet;

use ndarray::{Array3, Array4, ArrayView4, s};
use rayon::{ThreadPool, ThreadPoolBuilder};
use unet::{Image, Reference};
use wagiri::denoise::{Architecture, Batch, CpuEngine, Engine, Norm, Role, State, TensorInfo, Update};
use wagiri::recon::Isa;
use wagiri::{Error, ErrorKind};

const MEMORY: u64 = 1 << 30;
const UPDATE: Update = Update { learning_rate: 1e-3, clip_norm: f64::INFINITY, average: 0.9 };

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

fn network(channels: usize, base_width: usize, depth: usize, norm: Norm) -> Architecture {
    Architecture { channels, base_width, depth, norm }
}

/// Numbers from -1 to 1 without a pattern.
fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

fn batch(architecture: &Architecture, samples: usize, rows: usize, cols: usize) -> Batch {
    let mut random = noise(7);
    let inputs = Array4::from_shape_simple_fn((samples, architecture.channels, rows, cols), &mut random);
    Batch { inputs, targets: Array3::from_shape_simple_fn((samples, rows, cols), random) }
}

/// A state with statistics and normalisations that are not those of the start.
fn state(architecture: &Architecture) -> State {
    let mut state = State::new(architecture, 3);
    let mut random = noise(11);
    for tensor in architecture.tensors() {
        let range = tensor.offset..tensor.offset + tensor.len();
        if tensor.name.contains("norm") {
            let centre = if tensor.name.ends_with("weight") || tensor.name.ends_with("var") { 1.0 } else { 0.0 };
            let numbers = if tensor.role == Role::Trained { &mut state.parameters } else { &mut state.statistics };
            numbers[range].iter_mut().for_each(|v| *v = centre + 0.3 * random());
        }
    }
    State::of_weights(state.parameters, state.statistics)
}

fn images(inputs: &Array4<f32>) -> Vec<Image> {
    let line = |line: ndarray::ArrayView1<f32>| line.iter().map(|v| f64::from(*v)).collect();
    let channel = |channel: ndarray::ArrayView2<f32>| channel.outer_iter().map(line).collect();
    inputs.outer_iter().map(|image| image.outer_iter().map(channel).collect()).collect()
}

fn doubles(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

fn reference_loss(architecture: &Architecture, parameters: &[f64], batch: &Batch) -> f64 {
    let statistics = vec![0.0; architecture.lengths()[1]];
    let out = Reference::new(architecture, parameters, &statistics).output(&images(&batch.inputs), true);
    let pixels = out.iter().flatten().flatten().zip(&batch.targets);
    pixels.map(|(v, t)| (v - f64::from(*t)).powi(2)).sum::<f64>() / batch.targets.len() as f64
}

/// Small networks of every kind: odd widths of registers, one channel and several, images of one block of the lowest level, and
/// images that no tile divides.
fn cases() -> Vec<(Architecture, [usize; 3])> {
    vec![
        (network(3, 8, 2, Norm::Batch), [2, 12, 20]),
        (network(1, 16, 1, Norm::Batch), [1, 14, 26]),
        (network(5, 24, 1, Norm::None), [1, 6, 10]),
        (network(1, 8, 3, Norm::None), [2, 8, 16]),
    ]
}

fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

#[test]
fn loss_and_gradients_are_those_of_the_network_in_double_precision() {
    let pool = pool(2);
    for (architecture, [samples, rows, cols]) in cases() {
        let (state, batch) = (state(&architecture), batch(&architecture, samples, rows, cols));
        let parameters = doubles(&state.parameters);
        let expected = reference_loss(&architecture, &parameters, &batch);
        // Along a direction in each tensor.
        let mut random = noise(5);
        let mut slope = |tensor: &TensorInfo| {
            let range = tensor.offset..tensor.offset + tensor.len();
            let direction: Vec<f64> = range.clone().map(|_| f64::from(random())).collect();
            let length = direction.iter().map(|d| d * d).sum::<f64>().sqrt();
            let direction: Vec<f64> = direction.iter().map(|d| d / length).collect();
            let moved = |by: f64| {
                let mut parameters = parameters.clone();
                parameters[range.clone()].iter_mut().zip(&direction).for_each(|(p, d)| *p += by * d);
                reference_loss(&architecture, &parameters, &batch)
            };
            // So short that few of the kinks of ReLU and maximum lie in between.
            let h = 1e-6;
            let numeric = (moved(h) - moved(-h)) / (2.0 * h);
            (tensor.name.clone(), range, direction, numeric)
        };
        let trained = architecture.tensors().into_iter().filter(|t| t.role == Role::Trained);
        let slopes: Vec<_> = trained.map(|tensor| slope(&tensor)).collect();
        for isa in isas() {
            let mut engine = CpuEngine::new(&architecture, &pool, MEMORY).unwrap().with_isa(isa).unwrap();
            engine.load(&state).unwrap();
            let done = engine.step(&batch, &UPDATE, &mut || Ok(())).unwrap();
            // Rounding of f32 in some thousand sums, in the loss as a mean of squares.
            assert!((done.loss / expected - 1.0).abs() < 1e-5, "{architecture:?} {isa:?}: {} {expected}", done.loss);
            // The first moment is a tenth of the gradient now.
            let gradient: Vec<f64> = engine.state().unwrap().moment1.iter().map(|m| f64::from(*m) / 0.1).collect();
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            assert!((done.grad_norm / norm - 1.0).abs() < 1e-5);
            for (name, range, direction, numeric) in &slopes {
                let found = gradient[range.clone()].iter().zip(direction).map(|(g, d)| g * d).sum::<f64>();
                // Rounding of f32, relative to the largest gradients of all.
                let difference = (numeric - found).abs();
                assert!(difference < 2e-5 * norm, "{architecture:?} {isa:?} {name}: {numeric} {found} of {norm}");
            }
        }
    }
}

#[test]
fn inference_is_the_network_with_averaged_weights_and_running_statistics() {
    let pool = pool(2);
    for (architecture, [samples, rows, cols]) in cases() {
        let (mut state, batch) = (state(&architecture), batch(&architecture, samples, rows, cols));
        let averaged = [doubles(&state.parameters), doubles(&state.statistics)];
        // Not used.
        state.parameters.fill(1.0);
        state.statistics.fill(1.0);
        let out = Reference::new(&architecture, &averaged[0], &averaged[1]).output(&images(&batch.inputs), false);
        let expected: Vec<f64> = out.into_iter().flatten().flatten().collect();
        let largest = expected.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        for isa in isas() {
            let mut engine = CpuEngine::new(&architecture, &pool, MEMORY).unwrap().with_isa(isa).unwrap();
            engine.load(&state).unwrap();
            let mut found = batch.targets.clone();
            engine.infer(batch.inputs.view(), found.view_mut(), &mut || Ok(())).unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                // A dozen layers round by 6e-8 of their values each, some of which cancel.
                assert!((f64::from(*found) - expected).abs() < 5e-6 * largest, "{architecture:?} {isa:?}");
            }
        }
    }
}

fn engine<'a>(architecture: &Architecture, pool: &'a ThreadPool) -> CpuEngine<'a> {
    let mut engine = CpuEngine::new(architecture, pool, MEMORY).unwrap();
    engine.load(&state(architecture)).unwrap();
    engine
}

fn inferred(engine: &mut CpuEngine, inputs: ArrayView4<f32>) -> Array3<f32> {
    let (samples, _, rows, cols) = inputs.dim();
    let mut out = Array3::zeros((samples, rows, cols));
    engine.infer(inputs, out.view_mut(), &mut || Ok(())).unwrap();
    out
}

#[test]
fn steps_are_those_of_adam() {
    let (architecture, pool) = (network(1, 8, 1, Norm::Batch), pool(2));
    let batch = batch(&architecture, 2, 8, 8);
    let mut engine = engine(&architecture, &pool);
    let mut expected = engine.state().unwrap();
    let update = Update { learning_rate: 0.01, clip_norm: 0.05, average: 0.75 };
    for step in 1..=5 {
        let before = engine.state().unwrap();
        let done = engine.step(&batch, &update, &mut || Ok(())).unwrap();
        assert!(done.grad_norm > 0.05, "nothing was clipped");
        let found = engine.state().unwrap();
        // The gradient of the step follows from the first moments around it; it is clipped to its length.
        let gradient = |i: usize| (f64::from(found.moment1[i]) - 0.9 * f64::from(before.moment1[i])) / 0.1;
        let norm = (0..found.moment1.len()).map(|i| gradient(i).powi(2)).sum::<f64>().sqrt();
        assert!((norm / 0.05 - 1.0).abs() < 1e-5, "{norm}");
        let mut worst = 0.0f64;
        for i in 0..expected.parameters.len() {
            let g = gradient(i);
            let m = 0.9 * f64::from(expected.moment1[i]) + 0.1 * g;
            let v = 0.999 * f64::from(expected.moment2[i]) + 0.001 * g * g;
            let (m_hat, v_hat) = (m / (1.0 - 0.9f64.powi(step)), v / (1.0 - 0.999f64.powi(step)));
            let p = f64::from(expected.parameters[i]) - 0.01 * m_hat / (v_hat.sqrt() + 1e-8);
            let a = 0.75 * f64::from(expected.averaged_parameters[i]) + 0.25 * p;
            (expected.moment1[i], expected.moment2[i]) = (m as f32, v as f32);
            (expected.parameters[i], expected.averaged_parameters[i]) = (p as f32, a as f32);
            worst = worst.max((f64::from(found.parameters[i]) - p).abs());
            worst = worst.max((f64::from(found.averaged_parameters[i]) - a).abs());
        }
        // Gradients near 0 are known to few digits from the moments, and Adam makes whole steps of any of them: a thousandth
        // of one.
        assert!(worst < 1e-5, "{worst}");
        assert_eq!(found.steps, step as u64);
        // Averages of the statistics, from those found.
        for ((average, old), new) in
            found.averaged_statistics.iter().zip(&before.averaged_statistics).zip(&found.statistics)
        {
            assert!((average - (0.75 * old + 0.25 * new)).abs() < 1e-6);
        }
        expected = found;
    }
    // An average of 0 is the new value, whatever was there.
    engine.step(&batch, &Update { average: 0.0, ..update }, &mut || Ok(())).unwrap();
    let state = engine.state().unwrap();
    assert_eq!((state.parameters, state.statistics), (state.averaged_parameters, state.averaged_statistics));
}

#[test]
fn running_statistics_follow_the_batch() {
    let (architecture, pool) = (network(3, 8, 2, Norm::Batch), pool(2));
    let (batch, before) = (batch(&architecture, 2, 12, 20), state(&architecture));
    let mut reference = Reference::new(&architecture, &doubles(&before.parameters), &doubles(&before.statistics));
    reference.output(&images(&batch.inputs), true);
    let mut engine = engine(&architecture, &pool);
    engine.step(&batch, &UPDATE, &mut || Ok(())).unwrap();
    let after = engine.state().unwrap().statistics;
    for tensor in architecture.tensors().iter().filter(|t| t.role == Role::Running) {
        let (name, kind) = tensor.name.rsplit_once('.').unwrap();
        let level = name.split('.').nth(1).unwrap().parse::<u32>().unwrap();
        let count = f64::from(2 * 12 * 20 / 4u32.pow(level));
        let [mean, variance] = &reference.seen[name];
        for i in 0..tensor.len() {
            // Of the whole population as the sample lets expect it, not of the sample.
            let new = if kind == "running_var" { variance[i] * count / (count - 1.0) } else { mean[i] };
            let expected = 0.9 * f64::from(before.statistics[tensor.offset + i]) + 0.1 * new;
            let found = f64::from(after[tensor.offset + i]);
            // f32 through up to nine layers.
            assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{} {found} {expected}", tensor.name);
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads_and_instruction_sets_agree() {
    for (architecture, [samples, rows, cols]) in cases().into_iter().chain([(Architecture::SMALL, [2, 64, 48])]) {
        let batch = batch(&architecture, samples, rows, cols);
        let mut results: Vec<(Isa, State, Array3<f32>)> = Vec::new();
        for isa in isas() {
            for threads in [1, 2, 3, 7] {
                let pool = pool(threads);
                let mut engine = engine(&architecture, &pool).with_isa(isa).unwrap();
                // Long enough that the buffers of a step are used again.
                for _ in 0..2 {
                    engine.step(&batch, &UPDATE, &mut || Ok(())).unwrap();
                }
                let found = (isa, engine.state().unwrap(), inferred(&mut engine, batch.inputs.view()));
                match results.iter().find(|(other, ..)| *other == isa) {
                    Some(expected) => assert!(found == *expected, "{isa:?} with {threads} threads"),
                    None => results.push(found),
                }
            }
        }
        let (_, best, output) = &results[0];
        for (isa, state, other) in &results[1..] {
            let size = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
            let distance = |a: &[f32], b: &[f32]| {
                size(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>()) / size(a).max(1e-30)
            };
            // The sets differ in the rounding of products and in the order of nothing: 6e-8 of each of some thousand terms
            // of a sum, of either sign. Moments hold the gradients of the second step, whose weights went half a step of
            // Adam elsewhere where the gradient was as good as 0.
            assert!(distance(&best.moment1, &state.moment1) < 1e-3, "{isa:?}");
            assert!(distance(&best.statistics, &state.statistics) < 1e-5, "{isa:?}");
            let (a, b) = (output.as_slice().unwrap(), other.as_slice().unwrap());
            assert!(distance(a, b) < 1e-3, "{isa:?}: {}", distance(a, b));
        }
        // The way forwards alone, with the same weights.
        let pool = pool(2);
        let outputs: Vec<_> = isas()
            .map(|isa| inferred(&mut engine(&architecture, &pool).with_isa(isa).unwrap(), batch.inputs.view()))
            .collect();
        let largest = outputs[0].iter().fold(0f32, |a, b| a.max(b.abs()));
        for other in &outputs[1..] {
            let worst = outputs[0].iter().zip(other).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
            // A dozen layers, each with the rounding of a sum, most of which cancels.
            assert!(worst < 1e-5 * largest, "{worst} of {largest}");
        }
    }
}

#[test]
fn tiles_are_bit_by_bit_the_whole_image() {
    let pool = pool(2);
    for architecture in [network(3, 8, 2, Norm::Batch), network(1, 16, 1, Norm::None)] {
        let (multiple, reach) = (architecture.multiple_px(), architecture.reach_px());
        let [rows, cols] = [3, 4].map(|n| n * (reach + multiple));
        let inputs = batch(&architecture, 2, rows, cols).inputs;
        let mut engine = engine(&architecture, &pool);
        let whole = inferred(&mut engine, inputs.view());
        let sizes = [[rows, multiple], [multiple, cols], [3 * multiple, 5 * multiple]];
        for (size, at) in sizes.into_iter().zip([[0, 2], [3, 0], [2, 4]]) {
            let ranges = [0, 1].map(|axis| {
                let (len, from) = ([rows, cols][axis], at[axis] * multiple);
                let to = (from + size[axis]).min(len);
                (from..to, from.saturating_sub(reach)..(to + reach).min(len))
            });
            let [(y, y_area), (x, x_area)] = &ranges;
            let tile = inferred(&mut engine, inputs.slice(s![.., .., y_area.clone(), x_area.clone()]));
            let inside =
                s![.., y.start - y_area.start..y.end - y_area.start, x.start - x_area.start..x.end - x_area.start];
            assert!(tile.slice(inside) == whole.slice(s![.., y.clone(), x.clone()]), "{architecture:?} {ranges:?}");
        }
    }
}

#[test]
fn the_caller_is_asked_and_can_stop_without_a_trace() {
    let (architecture, pool) = (Architecture::SMALL, pool(2));
    let batch = batch(&architecture, 2, 128, 128);
    let mut engine = engine(&architecture, &pool);
    let (before, me) = (engine.state().unwrap(), std::thread::current().id());
    let mut calls = 0;
    let mut stop = || {
        assert_eq!(std::thread::current().id(), me);
        calls += 1;
        Err(Error::cancelled("test"))
    };
    let stopped = engine.step(&batch, &UPDATE, &mut stop);
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
    let mut out = batch.targets.clone();
    assert_eq!(engine.infer(batch.inputs.view(), out.view_mut(), &mut stop).unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(calls >= 2);
    assert!(engine.state().unwrap() == before);
    // And nothing of it is left in buffers.
    let mut fresh = self::engine(&architecture, &pool);
    for engine in [&mut engine, &mut fresh] {
        engine.step(&batch, &UPDATE, &mut || Ok(())).unwrap();
    }
    assert!(engine.state().unwrap() == fresh.state().unwrap());
    assert!(inferred(&mut engine, batch.inputs.view()) == inferred(&mut fresh, batch.inputs.view()));
}

#[test]
fn training_learns_a_simple_picture() {
    // Target: the middle slice, which is easy to copy; the loss of noise of variance 1/3 must nearly vanish.
    let (architecture, pool) = (network(3, 8, 2, Norm::Batch), pool(2));
    let mut batch = batch(&architecture, 2, 16, 16);
    batch.targets = batch.inputs.slice(s![.., 1, .., ..]).to_owned();
    let mut engine = CpuEngine::new(&architecture, &pool, MEMORY).unwrap();
    let update = Update { learning_rate: 3e-3, clip_norm: 1.0, average: 0.9 };
    let losses: Vec<f64> = (0..150).map(|_| engine.step(&batch, &update, &mut || Ok(())).unwrap().loss).collect();
    assert!(losses[149] < 0.05 * losses[0], "{} {}", losses[0], losses[149]);
    let error = (inferred(&mut engine, batch.inputs.view()) - &batch.targets).mapv(|d| d * d).mean().unwrap();
    // Running statistics lag behind, so it is not the same as the loss.
    assert!(error < 0.1 * losses[0] as f32, "{error}");
}

#[test]
fn what_cannot_be_computed_is_said_in_a_sentence() {
    let (architecture, pool) = (network(3, 8, 2, Norm::Batch), pool(1));
    let good = batch(&architecture, 1, 8, 12);
    let mut small = CpuEngine::new(&architecture, &pool, 200_000).unwrap();
    let mut out = Array3::zeros((1, 64, 64));
    let large = batch(&architecture, 1, 64, 64);
    let step = small.step(&large, &UPDATE, &mut || Ok(())).unwrap_err();
    let infer = small.infer(large.inputs.view(), out.view_mut(), &mut || Ok(())).unwrap_err();
    for error in [step, infer] {
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert!(error.to_string().contains("needed_bytes"), "{error}");
    }

    let mut engine = engine(&architecture, &pool);
    let before = engine.state().unwrap();
    let mut refused = |batch: &Batch, hint: &str| {
        let error = engine.step(batch, &UPDATE, &mut || Ok(())).unwrap_err();
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains(hint), "{error}");
        let (samples, _, rows, cols) = batch.inputs.dim();
        let mut out = Array3::zeros((samples, rows, cols));
        let inferred = engine.infer(batch.inputs.view(), out.view_mut(), &mut || Ok(()));
        assert_eq!(inferred.is_err(), !hint.contains("target"));
    };
    let other = network(5, 8, 2, Norm::Batch);
    refused(&batch(&other, 1, 8, 8), "slices");
    refused(&batch(&architecture, 1, 8, 10), "multiples of 4");
    refused(&Batch { targets: Array3::zeros((1, 8, 8)), ..good.clone() }, "target");
    for value in [f32::NAN, f32::INFINITY] {
        let mut bad = good.clone();
        bad.inputs[[0, 1, 2, 3]] = value;
        refused(&bad, "inputs");
        let mut bad = good.clone();
        bad.targets[[0, 2, 3]] = value;
        refused(&bad, "targets");
    }
    for value in [f32::NAN, f32::INFINITY] {
        let mut bad = before.clone();
        bad.moment2[5] = value;
        assert!(engine.load(&bad).unwrap_err().to_string().contains("weights"));
    }
    assert!(engine.load(&State::new(&other, 0)).is_err());
    assert!(engine.state().unwrap() == before);
}

#[test]
fn numbers_that_overflow_are_seen_and_change_nothing() {
    let pool = pool(2);
    for norm in [Norm::Batch, Norm::None] {
        let architecture = network(1, 8, 1, norm);
        let mut engine = engine(&architecture, &pool);
        let mut state = engine.state().unwrap();
        state.parameters.iter_mut().for_each(|v| *v *= 1e30);
        state.averaged_parameters.clone_from(&state.parameters);
        engine.load(&state).unwrap();
        let batch = batch(&architecture, 1, 8, 8);
        let done = engine.step(&batch, &UPDATE, &mut || Ok(())).unwrap();
        assert!(!done.loss.is_finite(), "{norm:?}: {done:?}");
        assert!(engine.state().unwrap() == state);
        let mut out = batch.targets.clone();
        let error = engine.infer(batch.inputs.view(), out.view_mut(), &mut || Ok(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
}
