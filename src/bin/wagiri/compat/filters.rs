//! The filters tif_*: a folder of TIFF images in, a folder out.

use super::gaussians::tif_mgf;
use super::{Program, Variants};

pub const PROGRAMS: &[Program] = &[Program {
    stem: "tif_mgf",
    variants: Variants::Gpu,
    usage: &["in.tif out.tif {k {sigma}}"],
    does: "median and Gaussian of one image",
    same_as: "wagiri run 'volume path=in.tif | filter.median size_px=3 | filter.gaussian sigma_px=0.5 | write.tiff' out",
    differs: "32-bit images are taken too",
    checked: "by definition on a small image",
    run: tif_mgf,
}];
