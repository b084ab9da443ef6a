//! The end of a chain: numbered TIFF slices.

use super::stage::{ParamInfo, ParamKind, ParamValue, StageInfo};
use super::{Chain, SINOGRAM_PREFIX};
use crate::error::{Error, Result};
use crate::io::{FileNames, Levels, SampleType};
use crate::scan::ScanInfo;
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
            &["f32", "u16", "u8", "same"],
            "f32",
            "Sample type: 32-bit in 1/cm, 16 or 8 bits over min to max, or that of the volume read, its values rounded, not scaled",
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
        ParamInfo::new(
            "names",
            ParamKind::Text,
            "",
            ParamValue::Auto,
            "File names: keep those of the slices that are read, or a pattern such as a%05d.tif, %d.tif or %0*d.tif; auto is rec, rh, ro by type",
        )
        .or_auto(),
        ParamInfo::new(
            "first",
            ParamKind::Int,
            "",
            ParamValue::Auto,
            "Number in the name of the first slice of the whole volume; auto is 0, as rows count",
        )
        .range(0.0, 1e9)
        .or_auto(),
        ParamInfo::choice(
            "description",
            &["auto", "none"],
            "auto",
            "Image description: pixel size, axis, views, turn, smallest and largest value; or none",
        ),
    ],
};

/// What the files of a run are like.
pub(super) struct Files {
    pub sample: SampleType,
    pub levels: Levels,
    pub names: FileNames,
}

impl Chain {
    /// The files of a run on data of which `info` is known, all of which become `slices` slices.
    pub(super) fn files(&self, info: &ScanInfo, slices: usize) -> Result<Files> {
        let (sample, levels) = self.sample(Some(info))?;
        let text = if self.write.info().id == WRITE_TIFF.id { self.write.text("names") } else { None };
        let refused = |message: String| Err(Error::invalid(WRITE_TIFF.id, message));
        let names = match text {
            None => FileNames::numbered(self.prefix(sample), self.first()),
            Some("keep") => {
                let there = &info.slice_names;
                if self.write.int("first").is_some() {
                    return refused("names=keep takes no first: the names have their numbers".to_owned());
                }
                if there.is_empty() {
                    return refused("names=keep: the slices that are read have no file names to keep".to_owned());
                }
                if there.len() != slices {
                    let message = "names=keep: the chain changes the number of slices, so that names do not fit";
                    return Err(Error::invalid(WRITE_TIFF.id, message)
                        .with("slices read", there.len())
                        .with("written", slices));
                }
                FileNames::listed(there).map_err(|e| e.at(WRITE_TIFF.id))?
            }
            Some(pattern) => FileNames::pattern(pattern, self.first(), slices).map_err(|e| e.at(WRITE_TIFF.id))?,
        };
        Ok(Files { sample, levels, names })
    }
    /// Sample type, and how values get it; without `info` type=same is taken for 32-bit.
    pub(super) fn sample(&self, info: Option<&ScanInfo>) -> Result<(SampleType, Levels)> {
        if self.write.info().id != WRITE_TIFF.id {
            return Ok((SampleType::F32, Levels::AsTheyAre));
        }
        let range = (self.write.float("min"), self.write.float("max"));
        let sample = match self.write.text("type") {
            Some("u16") => SampleType::U16,
            Some("u8") => SampleType::U8,
            Some("same") => {
                let refused = |message: &str| Err(Error::invalid(WRITE_TIFF.id, message));
                if self.input() != Domain::Volume || self.output() != Domain::Volume {
                    return refused(
                        "type=same keeps the type of a volume that is read, which this chain does not begin with; \
                                    expected f32, u16 or u8",
                    );
                }
                if range != (None, None) {
                    return refused("type=same keeps values as they are and takes no min and max");
                }
                return match info.map(|info| info.sample) {
                    Some(Some(sample)) => Ok((sample, Levels::AsTheyAre)),
                    Some(None) => refused(
                        "type=same: the slices that are read are neither 8- nor 16-bit nor 32-bit float; \
                                           expected f32, u16 or u8",
                    ),
                    None => Ok((SampleType::F32, Levels::AsTheyAre)),
                };
            }
            _ => SampleType::F32,
        };
        Ok((sample, Levels::Range(range.0, range.1)))
    }
    fn prefix(&self, sample: SampleType) -> &'static str {
        if self.output() == Domain::Sinogram { SINOGRAM_PREFIX } else { sample.prefix() }
    }
    fn first(&self) -> usize {
        let given = if self.write.info().id == WRITE_TIFF.id { self.write.int("first") } else { None };
        given.map_or(0, |first| first as usize)
    }
    /// Name of the file of slice `z`: `rec00012.tif`. What depends on the data, names=keep, `%0*d` and type=same, is as if it
    /// were not given.
    pub fn file_name(&self, z: usize) -> String {
        let sample = self.sample(None).map_or(SampleType::F32, |(sample, _)| sample);
        if self.write.info().id == WRITE_TIFF.id
            && let Some(text) = self.write.text("names")
            && let Ok(names) = FileNames::pattern(text, self.first(), 1)
        {
            return names.name(z);
        }
        FileNames::numbered(self.prefix(sample), self.first()).name(z)
    }
    /// Files get a description.
    pub(super) fn described(&self) -> bool {
        self.write.info().id != WRITE_TIFF.id || self.write.text("description") != Some("none")
    }
}
