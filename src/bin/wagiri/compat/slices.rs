//! Programs on integer volumes, the si_* family, and its filters of single images.

use super::Program;

pub const PROGRAMS: &[Program] = &[];
