//! wagiri (輪切り): from the raw frames of a synchrotron CT scan to a volume of linear attenuation coefficients in 1/cm.
//!
//! # Conventions
//! * Arrays are in C order, pixels are `f32`, angles and long sums `f64`.
//! * Pixel centres are at integers, the first is 0; a centred axis of `n` columns is at `(n - 1) / 2`.
//! * Counts and sinograms are `[row, view, col]`, volumes `[z, y, x]`; the slice number `z` is the detector row.
//! * Angles are radians inside, degrees in chains, dialogs and on command lines. A positive angle turns the object
//!   counter-clockwise on screen (x to the right, row 0 at the top).
//! * Sizes in names: `center_px`, `pixel_um`, `mu_per_cm`, `angle_deg`.
//!
//! # Where things are
//! Algorithms ([`preprocess`], [`rings`], [`recon`], [`post`]) are functions on arrays. [`scan`] and [`io`] read and
//! write. [`chain`] puts stages in a row and runs them. The C ABI and JNI are thin edges over [`Context`],
//! [`Scan`] and [`Chain`]. `docs/structure.md` is the map.

#![deny(unsafe_code)]
#![warn(missing_docs)]
#![warn(clippy::undocumented_unsafe_blocks)]

#[allow(unsafe_code)]
mod capi;
pub mod chain;
mod context;
pub mod denoise;
mod error;
pub mod geometry;
#[allow(unsafe_code)]
mod host;
pub mod io;
#[allow(unsafe_code)]
mod jni;
#[allow(unsafe_code)]
mod memory;
pub mod post;
pub mod preprocess;
mod progress;
pub mod recon;
pub mod rings;
pub mod scan;
#[allow(unsafe_code)]
mod simd;
mod slab;

pub use chain::Chain;
pub use context::{Context, ContextOptions, Device, DeviceInfo};
pub use error::{ERROR_TABLE, Error, ErrorKind, Result};
pub use host::{Finding, check_plugin};
pub use progress::{CancelFlag, PhaseTime, Progress, Report};
pub use scan::Scan;
pub use slab::{Domain, Halo, References, RowMap, Slab, SlabShape};

/// Version of this library.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
