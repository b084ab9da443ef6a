//! Progress in full: rate, time left, and where the time goes.

use super::types::c_text;
use crate::progress::{Progress, Report};
use std::ffi::{CString, c_char, c_void};
use std::ops::ControlFlow;

/// A part of a run and the wall time spent on it so far. The parts do not overlap: the largest is what limits the run.
/// This struct never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_phase {
    /// "prepare" (survey, search of the axis), "read" (waiting for the reader), the id of a stage, or "write" (waiting for
    /// the writer, and the conversion at the end of 16- or 8-bit output with an open range). New ids may be added.
    pub id: *const c_char,
    /// Seconds.
    pub seconds: f64,
}

/// How far a run is. Everything in it is valid during the callback only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_report {
    /// sizeof(wagiri_report) of the loaded library.
    pub struct_size: u32,
    /// Entries of `phases`.
    pub phase_count: u32,
    /// Slices finished, by an earlier run too if this one continues it.
    pub done: u64,
    /// Slices in all.
    pub total: u64,
    /// Finished part of the work, 0 to 1; moves inside a slice too.
    pub fraction: f64,
    /// Seconds since the run began.
    pub elapsed_s: f64,
    /// Estimated seconds left; negative while there is nothing to estimate from.
    pub eta_s: f64,
    /// Slices per second of late, waiting included; 0 while there is nothing to measure.
    pub slices_per_s: f64,
    /// In order of first use.
    pub phases: *const wagiri_phase,
}

/// As `wagiri_progress`, with all figures: called instead of it if both are given, with the same `user`. 0 continues,
/// anything else cancels. Must return normally: no C++ exception, no longjmp.
pub type wagiri_reporter = Option<unsafe extern "C" fn(user: *mut c_void, report: *const wagiri_report) -> i32>;

/// Reports to `call` if there is one, else as `otherwise` does.
pub(super) fn in_full<'a>(
    call: wagiri_reporter,
    user: *mut c_void,
    otherwise: impl Fn(*mut c_void) -> Progress<'a>,
) -> Progress<'a> {
    let Some(call) = call else { return otherwise(user) };
    Progress::new(move |r: &Report| {
        let ids: Vec<CString> = r.times.iter().map(|t| c_text(t.id)).collect();
        let phase = |(id, t): (&CString, &crate::progress::PhaseTime)| wagiri_phase {
            id: id.as_ptr(),
            seconds: t.time.as_secs_f64(),
        };
        let phases: Vec<wagiri_phase> = ids.iter().zip(&r.times).map(phase).collect();
        let report = wagiri_report {
            struct_size: size_of::<wagiri_report>() as u32,
            phase_count: phases.len() as u32,
            done: r.done as u64,
            total: r.total as u64,
            fraction: r.fraction,
            elapsed_s: r.elapsed.as_secs_f64(),
            eta_s: r.eta.map_or(-1.0, |eta| eta.as_secs_f64()),
            slices_per_s: r.rate,
            phases: phases.as_ptr(),
        };
        // SAFETY: by the header `call` takes the `user` of the same call and a report that is valid during the call, runs on
        // the caller's thread, and returns normally.
        match unsafe { call(user, &report) } {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    })
}
