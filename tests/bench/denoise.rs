//! What the network costs on the processor. One measurement a run, so that its peak memory is its own; `compare_torch.py` runs
//! them beside PyTorch's.
//!
//! `cargo bench --bench denoise -- step|infer CHANNELS BASE_WIDTH DEPTH SAMPLES SIZE THREADS REPEATS [ISA]` prints seconds of wall
//! clock and of the processor of the best of REPEATS, peak memory before the first and at the end, and what the engine says that
//! it takes, bytes. Linux.

#[allow(dead_code, reason = "another benchmark runs programs")]
mod measure;

use measure::processor_seconds;
use ndarray::{Array3, Array4};
use std::time::Instant;
use wagiri::denoise::{Architecture, Batch, CpuEngine, Engine, Norm, Update};
use wagiri::recon::Isa;

/// High-water mark of this process, bytes.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    1024 * line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    // Without arguments, as among all benchmarks: the small network.
    let usual = || "step 11 16 3 4 128 1 5".split(' ').map(String::from).collect();
    let args: Vec<String> = if args.is_empty() { usual() } else { args };
    let number = |i: usize| args[i].parse::<usize>().expect("a number");
    let [channels, base_width, depth, samples, size, threads, repeats] = [1, 2, 3, 4, 5, 6, 7].map(number);
    let isa = args.get(8).map(|name| Isa::ALL.into_iter().find(|isa| format!("{isa:?}") == *name).expect("an Isa"));
    let architecture = Architecture { channels, base_width, depth, norm: Norm::Batch };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let mut engine = CpuEngine::new(&architecture, &pool, u64::MAX).expect("an engine");
    if let Some(isa) = isa {
        engine = engine.with_isa(isa).expect("a processor with it");
    }
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let inputs = Array4::from_shape_simple_fn((samples, channels, size, size), &mut random);
    let mut batch = Batch { inputs, targets: Array3::zeros((samples, size, size)) };
    let update = Update { learning_rate: 1e-3, clip_norm: 1.0, average: 0.99 };
    let before = peak_bytes();
    let mut best = [f64::INFINITY; 2];
    for _ in 0..repeats {
        let (wall, cpu) = (Instant::now(), processor_seconds().unwrap_or(0.0));
        if args[0] == "step" {
            engine.step(&batch, &update, &mut || Ok(())).expect("a step");
        } else {
            engine.infer(batch.inputs.view(), batch.targets.view_mut(), &mut || Ok(())).expect("an image");
        }
        let spent = [wall.elapsed().as_secs_f64(), processor_seconds().unwrap_or(0.0) - cpu];
        best = [0, 1].map(|i| best[i].min(spent[i]));
    }
    let says = if args[0] == "step" { engine.step_bytes(samples, size, size) } else { engine.infer_bytes(size, size) };
    println!("{:.4} {:.3} {before} {} {says}", best[0], best[1], peak_bytes());
}
