//! Programs that make sinograms and projection images, or reconstruct from them.

use super::Program;

pub const PROGRAMS: &[Program] = &[];
