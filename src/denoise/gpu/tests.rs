use super::GpuEngine;
use crate::denoise;
use crate::denoise::{Architecture, CpuEngine, Engine, State, Update};
use crate::error::{Error, ErrorKind};

#[path = "../../../tests/common/engines.rs"]
mod engines;

/// The code of the graphics processors, computed by burn on the processor.
fn flex(architecture: &Architecture) -> GpuEngine {
    GpuEngine::open("flex", &wagiri_burn::flex(), architecture, 1 << 30).unwrap()
}

#[test]
fn it_does_what_the_engine_of_processors_does() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    for architecture in engines::NETWORKS {
        let mut expected = CpuEngine::new(&architecture, &pool, 1 << 30).unwrap();
        // Sums of up to 2 x 16 x 24 products in another order: a few of f32's 6e-8 of the largest.
        engines::agree(&architecture, &mut expected, &mut flex(&architecture), 1e-5);
    }
}

#[test]
fn images_of_other_networks_and_beyond_the_device_are_refused() {
    let architecture = engines::NETWORKS[0];
    let mut engine = flex(&architecture);
    let mut infer = |shape: [usize; 4], out: [usize; 3]| {
        let inputs = ndarray::Array4::zeros(shape);
        let mut outputs = ndarray::Array3::zeros(out);
        engine.infer(inputs.view(), outputs.view_mut(), &mut || Ok(())).map_err(|e| (e.kind(), e.to_string()))
    };
    assert_eq!(infer([1, 3, 8, 8], [1, 8, 8]), Ok(()));
    for (shape, out) in [([1, 5, 8, 8], [1, 8, 8]), ([1, 3, 8, 6], [1, 8, 6]), ([1, 3, 8, 8], [1, 8, 4])] {
        let error = infer(shape, out).unwrap_err();
        assert_eq!(error.0, ErrorKind::Invalid, "{error:?}");
    }
    // 16 channels of 2048 x 2052 pixels are just above 2^28 bytes.
    let error = infer([1, 3, 2048, 2052], [1, 2048, 2052]).unwrap_err();
    assert_eq!(error.0, ErrorKind::Limit, "{error:?}");
    let other = State::new(&engines::NETWORKS[1], 0);
    assert_eq!(engine.load(&other).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn what_was_stopped_leaves_the_state_as_it_was() {
    let architecture = engines::NETWORKS[0];
    let mut engine = flex(&architecture);
    let state = State::new(&architecture, 3);
    engine.load(&state).unwrap();
    let update = Update { learning_rate: 1e-3, clip_norm: 1.0, average: 0.0 };
    let batch = engines::batch(&architecture, [1, 16, 16], 1);
    let stop = || Err(Error::new(ErrorKind::Cancelled, "test", "stopped"));
    let error = engine.step(&batch, &update, &mut || stop()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(engine.state().unwrap(), state);
    engine.step(&batch, &update, &mut || Ok(())).unwrap();
    let after = engine.state().unwrap();
    assert_eq!(after.steps, 1);
    // Without averaging the averaged weights are the weights.
    assert_eq!(after.parameters, after.averaged_parameters);
    assert_eq!(after.statistics, after.averaged_statistics);
}
