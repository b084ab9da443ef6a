//! Programs for offset scans over a full turn: ofct_DO, ofct_srec, ofct_rec, of_sinog, ofsfa.

use super::Program;

pub const PROGRAMS: &[Program] = &[];
