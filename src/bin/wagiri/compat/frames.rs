//! Programs on raw frames: splitting .his files, averages, conversions.

use super::Program;

pub const PROGRAMS: &[Program] = &[];
