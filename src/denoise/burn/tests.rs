use super::session::{Compute, Pixels, Session};
use super::{Failure, State, StepDone, Update};
use std::time::Duration;

/// Fails as devices do.
struct Failing {
    kept: Vec<bool>,
}

impl Compute for Failing {
    fn load(&mut self, _: State) -> Result<(), String> {
        // On a thread of burn's: its panic is seen by nobody who waits for it.
        let thread = std::thread::Builder::new().name("DSU-9-9".into());
        let _ =
            thread.spawn(|| panic!("called `unwrap` on: can't allocate buffer of size: 7\n  0: stack")).unwrap().join();
        Ok(())
    }
    fn state(&mut self) -> Result<State, String> {
        panic!("device lost")
    }
    fn step(&mut self, _: Pixels<4>, _: Pixels<3>, _: Update) -> Result<StepDone, String> {
        std::thread::sleep(Duration::from_millis(350));
        Ok(StepDone { loss: self.kept.len() as f64, grad_norm: f64::from(u8::from(self.kept == [false])) })
    }
    fn keep(&mut self, keep: bool) {
        self.kept.push(keep);
    }
    fn infer(&mut self, _: Pixels<4>) -> Result<Vec<f32>, String> {
        Err("Out of Memory".into())
    }
    fn recover(&mut self) {
        panic!("once more")
    }
}

#[test]
fn panics_become_failures_and_waiting_calls_the_user() {
    let session = Session::start(|| Ok(Failing { kept: Vec::new() })).unwrap();
    let nothing = State {
        parameters: vec![],
        statistics: vec![],
        averaged_parameters: vec![],
        averaged_statistics: vec![],
        moment1: vec![],
        moment2: vec![],
        steps: 0,
    };
    let Err(Failure::Memory(text)) = session.load(nothing) else { panic!("not about memory") };
    assert!(text.contains("buffer of size: 7") && !text.contains("stack"), "{text}");
    assert_eq!(session.state(), Err(Failure::Device("device lost".into())));
    let empty = || Pixels { shape: [0; 4], values: Vec::new() };
    let infer = session.infer(empty(), &mut || true);
    assert_eq!(infer, Err(Failure::Memory("Out of Memory".into())));

    // 350 ms in pieces of 100 ms: at the beginning, and at least once while it computes, however busy the machine is.
    let step = |tick: &mut dyn FnMut() -> bool| {
        let update = Update { learning_rate: 0.0, clip_norm: 1.0, average: 0.0 };
        session.step(empty(), Pixels { shape: [0; 3], values: Vec::new() }, update, tick)
    };
    let mut ticks = 0;
    let stopped = step(&mut || {
        ticks += 1;
        ticks < 2
    });
    assert_eq!(stopped.unwrap_err(), Failure::Stopped);
    assert_eq!(ticks, 2, "after its answer it is not called again");
    assert_eq!(step(&mut || true).unwrap().grad_norm, 1.0, "what was stopped is dropped before the next step");
    let failure = Session::start(|| -> Result<Failing, String> { panic!("nothing there") }).err().unwrap();
    assert_eq!(failure, Failure::Device("nothing there".into()));
}

/// A tensor beyond the limits of the device, asked for without looking at them: burn's thread panics, the result is never
/// there. lavapipe is asked too, as the work that would take it minutes is not done.
#[cfg(feature = "wgpu")]
#[test]
fn what_cannot_be_allocated_is_about_memory_and_the_session_goes_on() {
    use super::{Network, Piece, open};
    let Some(found) = super::wgpu().into_iter().find(|found| found.largest_bytes <= 1 << 31) else {
        return println!("skipped: no driver for Vulkan or Metal, or none with a low limit");
    };
    // One level below: two convolutions of 8 channels, two of 16, transposed, two, one; biases instead of normalisation.
    let lengths = [72, 8, 576, 8, 1152, 16, 2304, 16, 512, 8, 1152, 8, 576, 8, 8, 1];
    let mut offset = 0;
    let piece = |len: usize| {
        offset += len;
        Piece { trained: true, offset: offset - len, len }
    };
    let tensors: Vec<Piece> = lengths.map(piece).into();
    let network = Network { channels: 1, base_width: 8, depth: 1, normalised: false, tensors };
    let session = open(&found, &network).unwrap();
    let infer = |side: usize| {
        let inputs = Pixels { shape: [1, 1, side, side], values: vec![1.0; side * side] };
        session.infer(inputs, &mut || true)
    };
    assert_eq!(infer(16).unwrap(), [0.0; 256]);
    // The input fits, its 8 channels do not.
    let side = ((found.largest_bytes / 32) as f64).sqrt() as usize / 2 * 2 + 64;
    let failure = infer(side).unwrap_err();
    println!("{}: {failure:?}", found.name);
    assert!(matches!(failure, Failure::Memory(_)), "{failure:?}");
    assert_eq!(infer(16).unwrap(), [0.0; 256]);
}
