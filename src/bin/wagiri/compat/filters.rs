//! The filters tif_*: a folder of TIFF images in, a folder out.

use super::Program;

pub const PROGRAMS: &[Program] = &[];
