//! Programs on integer volumes, the si_* family, and its filters of single images.

use super::gaussians::single_gaussian;
use super::{Program, Variants};

pub const PROGRAMS: &[Program] = &[
    Program {
        stem: "gf_sd",
        variants: Variants::Plain,
        usage: &["in.tif radius {bias} out.tif"],
        does: "smooths one image by exp(-r^2 / radius^2), summed up pixel by pixel; beyond the edge it is bias (0)",
        same_as: "wagiri run 'volume path=in.tif | filter.gaussian sigma_px=1.4142 boundary=zero | write.tiff' out",
        differs: "weights sum up to 1, so that a radius below 1 does not change the grey level",
        checked: "by definition: a point becomes the kernel, a flat image of the bias stays",
        run: single_gaussian,
    },
    Program {
        stem: "gf_fd",
        variants: Variants::Plain,
        usage: &["in.tif radius {bias} out.tif"],
        does: "the same by Fourier transforms",
        same_as: "wagiri run 'volume path=in.tif | filter.gaussian sigma_px=1.4142 boundary=zero | write.tiff' out",
        differs: "kept: sides that are a power of two wrap, so that a bright edge reaches around to the opposite one",
        checked: "by definition, against gf_sd away from the edges",
        run: single_gaussian,
    },
];
