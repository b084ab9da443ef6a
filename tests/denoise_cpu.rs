//! The network on processors: against itself in f64, against Adam's formula, and the same bits however the work is cut.

#[path = "common/unet.rs"]
mod unet;

use ndarray::{Array3, Array4};
use rayon::{ThreadPool, ThreadPoolBuilder};
use unet::{Image, Reference};
use wagiri::denoise::{Architecture, Batch, CpuEngine, Engine, Norm, Role, State, Update};
use wagiri::recon::Isa;

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
            let mut random = noise(5);
            for tensor in architecture.tensors().iter().filter(|t| t.role == Role::Trained) {
                let range = tensor.offset..tensor.offset + tensor.len();
                let direction: Vec<f64> = range.clone().map(|_| f64::from(random())).collect();
                let length = direction.iter().map(|d| d * d).sum::<f64>().sqrt();
                let moved = |by: f64| {
                    let mut parameters = parameters.clone();
                    let along = direction.iter().map(|d| by * d / length);
                    parameters[range.clone()].iter_mut().zip(along).for_each(|(p, d)| *p += d);
                    reference_loss(&architecture, &parameters, &batch)
                };
                // So short that few of the kinks of ReLU and maximum lie in between.
                let h = 1e-6;
                let numeric = (moved(h) - moved(-h)) / (2.0 * h);
                let found = gradient[range.clone()].iter().zip(&direction).map(|(g, d)| g * d / length).sum::<f64>();
                // Rounding of f32, relative to the largest gradients of all.
                assert!(
                    (numeric - found).abs() < 2e-5 * norm,
                    "{architecture:?} {isa:?} {}: {numeric} {found} of {norm}",
                    tensor.name
                );
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
