//! Programs on 32-bit volumes: to 8 and 16 bits, crop, binning, Gaussian, histogram.

use super::Program;

pub const PROGRAMS: &[Program] = &[];
