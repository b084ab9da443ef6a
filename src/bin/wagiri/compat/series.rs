//! Programs around series of scans: splitting, axes, stacking.

use super::Program;

pub const PROGRAMS: &[Program] = &[];
