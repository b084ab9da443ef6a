//! Networks on the graphics processors of this machine do what the processor does. Where there is none, the tests say so and
//! pass; `cargo test --test denoise_gpu -- --nocapture` shows what was tested. A driver that only pretends (Mesa's lavapipe) takes
//! minutes to choose its kernels, and is tested if `WAGIRI_TEST_SOFTWARE` is set.

use std::sync::Mutex;
use wagiri::ErrorKind;
use wagiri::denoise::{self, Architecture, Engine, EngineKind, State, gpus, open_engine};

#[path = "common/engines.rs"]
mod engines;

/// A device has one memory.
static ONE: Mutex<()> = Mutex::new(());

fn pool() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap()
}

/// The engine asked for by name, or none and the reason printed.
fn open<'a>(kind: EngineKind, network: &Architecture, pool: &'a rayon::ThreadPool) -> Option<Box<dyn Engine + 'a>> {
    let (engine, remarks) = open_engine(kind, network, pool, 4 << 30).unwrap();
    if !engine.device().ends_with(&format!("({})", kind.name())) {
        println!("{} skipped, {} computes: {remarks:?}", kind.name(), engine.device());
        return None;
    }
    let software = gpus().iter().any(|gpu| gpu.software && engine.device().starts_with(&gpu.name));
    if software && std::env::var_os("WAGIRI_TEST_SOFTWARE").is_none() {
        println!(
            "{} skipped, {} is no graphics processor; WAGIRI_TEST_SOFTWARE=1 tests it",
            kind.name(),
            engine.device()
        );
        return None;
    }
    println!("{}", engine.device());
    assert!(remarks.is_empty(), "{remarks:?}");
    Some(engine)
}

fn agrees(kind: EngineKind, close: f32) {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let pool = pool();
    for network in engines::NETWORKS {
        let Some(mut engine) = open(kind, &network, &pool) else { return };
        let (mut expected, _) = open_engine(EngineKind::Cpu, &network, &pool, 1 << 30).unwrap();
        engines::agree(&network, expected.as_mut(), engine.as_mut(), close);
    }
}

/// f32 in another order of sums.
#[test]
fn wgpu_agrees_with_the_processor() {
    agrees(EngineKind::Wgpu, 1e-5);
}

/// Tensor cores round products to the 10 bits of TF32, 5e-4, and a sum of many to less than that.
#[test]
fn cuda_agrees_with_the_processor() {
    agrees(EngineKind::Cuda, 2e-3);
}

#[test]
fn what_is_not_there_is_said_in_one_sentence_and_the_next_computes() {
    let (pool, network) = (pool(), engines::NETWORKS[0]);
    let (engine, remarks) = open_engine(EngineKind::Cpu, &network, &pool, 1 << 30).unwrap();
    assert!(remarks.is_empty() && !engine.device().contains("gpu"), "{remarks:?}");
    drop(engine);
    let found = gpus();
    println!("{found:#?}");
    for kind in [EngineKind::Auto, EngineKind::Cuda, EngineKind::Wgpu] {
        let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
        let (engine, remarks) = open_engine(kind, &network, &pool, 1 << 30).unwrap();
        println!("{}: {} {remarks:?}", kind.name(), engine.device());
        let cuda = found.iter().any(|gpu| gpu.kind == EngineKind::Cuda);
        if !cuda && kind != EngineKind::Wgpu {
            assert!(remarks[0].starts_with("cuda: ") && remarks[0].ends_with(": wgpu is tried"), "{remarks:?}");
        }
        let wgpu = found.iter().any(|gpu| gpu.kind == EngineKind::Wgpu && (!gpu.software || kind == EngineKind::Wgpu));
        if !cuda && !wgpu {
            let last = remarks.last().unwrap();
            assert!(last.starts_with("wgpu: ") && last.ends_with(": the processor computes"), "{remarks:?}");
        }
    }
}

#[test]
fn too_large_a_batch_is_a_limit_and_the_engine_goes_on() {
    let pool = pool();
    let network = Architecture { channels: 1, ..engines::NETWORKS[0] };
    for kind in [EngineKind::Cuda, EngineKind::Wgpu] {
        let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
        let Some(mut engine) = open(kind, &network, &pool) else { continue };
        engine.load(&State::new(&network, 1)).unwrap();
        let before = engines::inferred(engine.as_mut(), &network, [1, 16, 16]);
        // 16 channels of 16384 x 16384 pixels are 17 GB, more than one tensor may have; the input is 1.1 GB.
        let inputs = ndarray::Array4::from_elem((1, 1, 16384, 16384), 0.5f32);
        let mut outputs = ndarray::Array3::zeros((1, 16384, 16384));
        let error = engine.infer(inputs.view(), outputs.view_mut(), &mut || Ok(())).unwrap_err();
        println!("{error}");
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
        assert_eq!(engines::inferred(engine.as_mut(), &network, [1, 16, 16]), before);
    }
}
