//! Panics of the threads that compute: caught, remembered, not printed.

use crate::Failure;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, Once};

/// Name of our own threads.
pub(crate) const THREAD: &str = "wagiri-gpu";
/// What the threads of burn's devices are called.
const THEIRS: [&str; 2] = ["DSU-", "DSD-"];

/// Panics of these threads since they were last asked for.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on panics of these threads are not printed; all others go to the hook that was there.
///
/// A panic on a thread of burn's is seen nowhere else: its task is skipped, and whoever waits for the result finds nothing.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or_default();
            if name != THREAD && !THEIRS.iter().any(|start| name.starts_with(start)) {
                return before(panic);
            }
            let text = text_of(panic.payload());
            log::debug!("panic while computing on a graphics processor: {text}");
            if let Ok(mut panics) = PANICS.lock() {
                panics.truncate(99); // a device that has failed may fail often
                panics.push(text);
            }
        }));
    });
}

/// The panics that were not asked for yet.
fn take() -> Vec<String> {
    PANICS.lock().map_or(Vec::new(), |mut panics| std::mem::take(&mut *panics))
}

/// What `compute` returns; its panics become failures, and so do those of burn's threads that it caused.
pub(crate) fn caught<R>(compute: impl FnOnce() -> Result<R, String>) -> Result<R, Failure> {
    take();
    let result = catch_unwind(AssertUnwindSafe(compute)).unwrap_or_else(|payload| Err(text_of(&*payload)));
    let mut reasons = take();
    match result {
        Ok(value) if reasons.is_empty() => return Ok(value),
        Ok(_) => {}
        Err(reason) => reasons.push(reason),
    }
    Err(failure_of(&reasons))
}

/// The same on a thread of its own, for what would print its panics on the caller's.
pub(crate) fn caught_aside<R: Send>(compute: impl FnOnce() -> Result<R, String> + Send) -> Result<R, Failure> {
    install();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(THREAD.into()).spawn_scoped(scope, || caught(compute));
        let thread = thread.map_err(|e| Failure::Device(format!("cannot start a thread: {e}")))?;
        thread.join().unwrap_or_else(|payload| Err(Failure::Device(text_of(&*payload))))
    })
}

fn text_of(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

/// `Memory` if one of `reasons` is about it. The first is the cause, the others follow from it.
fn failure_of(reasons: &[String]) -> Failure {
    const OF_MEMORY: [&str; 5] =
        ["allocate buffer", "out of memory", "out_of_memory", "outofmemory", "not enough memory"];
    let about_memory = |reason: &&String| OF_MEMORY.iter().any(|words| reason.to_lowercase().contains(words));
    match reasons.iter().find(about_memory) {
        Some(reason) => Failure::Memory(line_of(reason)),
        None => Failure::Device(reasons.first().map_or("no reason given".into(), |reason| line_of(reason))),
    }
}

/// The first line: stack traces follow.
fn line_of(text: &str) -> String {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or(text).trim().to_owned()
}
