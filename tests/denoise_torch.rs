//! The network on processors does what PyTorch does: forwards, gradients, running statistics and ten clipped steps of Adam.
//!
//! `tests/data/unet.json` is what `tests/bench/unet.py` wrote; weights and images come from the same integers here and there.

use ndarray::{Array3, Array4};
use serde_json::Value;
use wagiri::denoise::{Architecture, Batch, CpuEngine, Engine, Norm, Role, State, Update};

/// Numbers from -1 to 1, as `noise` of unet.py.
fn noise(count: usize, seed: u64) -> Vec<f32> {
    let one = |k: u64| {
        let mut k = k;
        for _ in 0..2 {
            k = ((k >> 16) ^ k).wrapping_mul(0x45d9f3b) & 0xffff_ffff;
        }
        k = (k >> 16) ^ k;
        (k >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count as u64).map(|k| one(k + seed * 1_000_003)).collect()
}

/// As `numbered` of unet.py.
fn state(architecture: &Architecture) -> State {
    let [trained, running] = architecture.lengths();
    let (mut parameters, mut statistics) = (noise(trained, 1), noise(running, 4));
    for tensor in architecture.tensors() {
        let numbers = if tensor.role == Role::Trained { &mut parameters } else { &mut statistics };
        let is_one = tensor.name.contains("norm") && (tensor.name.ends_with("weight") || tensor.name.ends_with("var"));
        for value in &mut numbers[tensor.offset..tensor.offset + tensor.len()] {
            *value = f32::from(u8::from(is_one)) + 0.25 * *value;
        }
    }
    State::of_weights(parameters, statistics)
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
}

/// Largest difference of every so-manieth number, relative to the largest number.
fn difference(found: &[f32], expected: &Value, stride: usize) -> f64 {
    let (found, expected): (Vec<f32>, _) = (found.iter().copied().step_by(stride).collect(), floats(expected));
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1e-30, |a: f64, b| a.max(b.abs()));
    found.iter().zip(&expected).fold(0.0, |worst: f64, (a, b)| worst.max((f64::from(*a) - b).abs())) / largest
}

#[test]
fn the_network_is_that_of_pytorch() {
    let file: Value = serde_json::from_str(include_str!("data/unet.json")).unwrap();
    let (stride, clip_norm) = (file["stride"].as_u64().unwrap() as usize, file["clip"].as_f64().unwrap());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    for case in file["cases"].as_array().unwrap() {
        let sizes = |name: &str| floats(&case[name]).iter().map(|v| *v as usize).collect::<Vec<_>>();
        let (network, images) = (sizes("network"), sizes("images"));
        let norm: Norm = case["norm"].as_str().unwrap().parse().unwrap();
        let architecture = Architecture { channels: network[0], base_width: network[1], depth: network[2], norm };
        let [samples, rows, cols] = [0, 1, 2].map(|i| images[i]);
        let shape = (samples, architecture.channels, rows, cols);
        let inputs = noise(samples * architecture.channels * rows * cols, 50);
        let batch = Batch {
            inputs: Array4::from_shape_vec(shape, inputs).unwrap(),
            targets: Array3::from_shape_vec((samples, rows, cols), noise(samples * rows * cols, 60)).unwrap(),
        };
        let mut engine = CpuEngine::new(&architecture, &pool, 1 << 30).unwrap();
        engine.load(&state(&architecture)).unwrap();
        let infer = |engine: &mut CpuEngine| {
            let mut out = batch.targets.clone();
            engine.infer(batch.inputs.view(), out.view_mut(), &mut || Ok(())).unwrap();
            out.into_raw_vec_and_offset().0
        };
        // Rounding of f32 in both programs, through a dozen layers.
        let close = |found: &[f32], name: &str, tolerance: f64| {
            let difference = difference(found, &case[name], stride);
            assert!(difference < tolerance, "{name}: {difference}");
        };
        close(&infer(&mut engine), "before", 1e-5);
        let update = Update { learning_rate: 1e-3, clip_norm, average: 0.0 };
        let (losses, norms) = (floats(&case["losses"]), floats(&case["norms"]));
        for (step, (loss, norm)) in losses.iter().zip(&norms).enumerate() {
            let done = engine.step(&batch, &update, &mut || Ok(())).unwrap();
            assert!((done.loss / loss - 1.0).abs() < 1e-5, "loss {step}: {} {loss}", done.loss);
            assert!((done.grad_norm / norm - 1.0).abs() < 1e-4, "norm {step}: {} {norm}", done.grad_norm);
            if step == 0 {
                let gradient: Vec<f32> = engine.state().unwrap().moment1.iter().map(|m| 10.0 * m).collect();
                close(&gradient, "gradient", 1e-5);
            }
        }
        let state = engine.state().unwrap();
        close(&state.parameters, "parameters", 1e-5);
        if norm == Norm::Batch {
            close(&state.statistics, "statistics", 1e-5);
        }
        close(&infer(&mut engine), "after", 1e-4);
    }
}
