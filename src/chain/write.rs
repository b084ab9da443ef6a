//! The end of a chain: numbered TIFF slices.

use super::stage::{ParamInfo, ParamKind, ParamValue, StageInfo};
use crate::slab::Domain;

/// Describes `write.projections`, which may take its place.
pub static WRITE_PROJECTIONS: StageInfo = StageInfo {
    id: "write.projections",
    summary: "Writes one 32-bit TIFF of absorbance per view, p00000.tif: projection images",
    input: Domain::Sinogram,
    output: Domain::Sinogram,
    params: &[DIR],
};

const DIR: ParamInfo = ParamInfo::new(
    "dir",
    ParamKind::Text,
    "",
    ParamValue::Auto,
    "Output folder, made if it does not exist; auto is what the run is given beside the chain",
)
.or_auto();

/// The words that a chain may end with.
pub const ENDS: [&StageInfo; 2] = [&WRITE_TIFF, &WRITE_PROJECTIONS];

/// Describes `write.tiff`, the last word of every chain that writes files.
pub static WRITE_TIFF: StageInfo = StageInfo {
    id: "write.tiff",
    summary: "Writes one TIFF per slice: rec00000.tif (32-bit), rh00000.tif (16-bit) or ro00000.tif (8-bit)",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        DIR,
        ParamInfo::choice(
            "type",
            &["f32", "u16", "u8"],
            "f32",
            "Sample type: 32-bit in 1/cm, or 16 or 8 bits over min to max",
        ),
        ParamInfo::new(
            "min",
            ParamKind::Float,
            "1/cm",
            ParamValue::Auto,
            "Value that becomes 0 in 16- or 8-bit files; auto is the smallest of the volume",
        )
        .or_auto(),
        ParamInfo::new(
            "max",
            ParamKind::Float,
            "1/cm",
            ParamValue::Auto,
            "Value that becomes 65535 or 255; auto is the largest of the volume",
        )
        .or_auto(),
    ],
};
