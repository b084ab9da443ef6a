//! A z-scan: several scans of one sample at different heights become one volume.
//!
//! Steps: the axis of each scan, a slice of each to look at, all slices of each, the scans stacked, the volume cut in other
//! directions. Each is a run of a chain into a folder of its own and is continued as such; what is here is the order, and which
//! step must be done again because one before it was. Must not know: pictures, terminals.

mod record;
mod series;

pub use record::{AXES, SeriesAxis, read_axes};
pub use series::Series;

use super::axis::{AxisMethod, AxisOptions, find_axis};
use super::builtin::{NORMALISE, STITCH, is_recon, normalise_options};
use super::manifest;
use super::{Chain, Params, RunOptions, RunSummary, WRITE_TIFF};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::geometry::Center;
use crate::progress::Progress;
use crate::scan::{SampleType, Scan, ScanOptions};
use crate::slab::Domain;
use ndarray::Array2;
use record::{Record, write_axes};
use series::name;
use std::path::{Path, PathBuf};

/// Other directions to cut the volume in, as ct-rec's users name them: name, axes across and down each slice and from slice to
/// slice.
pub const CUTS: [(&str, &str); 2] = [("zx", "+x +z +y"), ("yz", "+y +z +x")];

/// What to do with a series.
#[derive(Clone)]
pub struct ZscanOptions {
    /// From counts to slices, for each scan. Its `write.tiff` says how the whole volume is written; the scans are written in
    /// 32 bits.
    pub chain: Chain,
    /// How axes are searched, unless the chain has one.
    pub method: AxisMethod,
    /// Axes of all scans instead of a search.
    pub axes: Option<Vec<SeriesAxis>>,
    /// Slice to look at; the middle one if `None`.
    pub row: Option<usize>,
    /// Parameters of the source `stack` and their values, such as `overlap` and `auto`.
    pub stack: Vec<(String, String)>,
    /// Stages between stacking and writing; may be empty.
    pub then: String,
    /// The last scan comes first in the volume.
    pub reversed: bool,
    /// Names out of [`CUTS`].
    pub cuts: Vec<String>,
    /// Continue what is in the folder.
    pub resume: bool,
}

/// What is needed while a series is worked on. Steps are to be called in the order in which they stand here.
pub struct Zscan {
    dir: PathBuf,
    series: Series,
    scans: Vec<Scan>,
    options: ZscanOptions,
    axes: Vec<SeriesAxis>,
    record: Record,
}

/// A slice of a scan with its axis, and what to write under it.
#[derive(Clone, Debug)]
pub struct Look {
    /// Scan, row, axis.
    pub caption: String,
    /// 1/cm.
    pub slice: Array2<f32>,
}

/// Makes the progress of a step, given what the step is called.
pub type Steps<'a> = &'a mut dyn FnMut(&str) -> Progress<'static>;

impl Zscan {
    /// Opens all scans and the folder `dir`, which is made.
    ///
    /// Errors: those of opening a scan; `INVALID` for a chain that does not turn counts into a volume, and for lists of another
    /// length than the series; `NOT_FOUND` if there is nothing to continue.
    pub fn new(series: Series, dir: &Path, options: ZscanOptions) -> Result<Zscan> {
        if options.chain.input() != Domain::Counts || options.chain.output() != Domain::Volume {
            let message = "expected a chain from raw projections to slices, such as normalise | recon.fbp";
            return Err(Error::invalid("chain", message));
        }
        if let Some(cut) = options.cuts.iter().find(|cut| CUTS.iter().all(|(name, _)| name != cut)) {
            let accepted = format!("expected {}", CUTS.map(|(name, _)| name).join(" or "));
            return Err(Error::invalid("cuts", accepted).with("value", format!("'{cut}'")));
        }
        let scans = series.open()?;
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir.display(), "make the output folder", e))?;
        let record = Record::open(dir, options.resume)?;
        Ok(Zscan { dir: dir.to_owned(), series, scans, options, axes: Vec::new(), record })
    }
    /// How many scans.
    pub fn len(&self) -> usize {
        self.scans.len()
    }
    /// Never.
    pub fn is_empty(&self) -> bool {
        self.scans.is_empty()
    }
    /// The stage that takes the axis.
    fn asking(&self) -> Option<&Params> {
        let steps = &self.options.chain.steps;
        let stitch = steps.iter().find(|s| s.params.info().id == STITCH.id);
        stitch.or(steps.iter().find(|s| is_recon(s.params.info()))).map(|s| &s.params)
    }
    /// Finds the axis of each scan and keeps them in the file [`AXES`] of the folder, one after the other, where a run that is
    /// continued finds them again. A scan whose axis is not found does not stop the others.
    pub fn axes(&mut self, ctx: &Context, steps: Steps) -> Result<&[SeriesAxis]> {
        let (file, count) = (self.dir.join(AXES), self.len());
        let given = self.asking().and_then(|params| params.text("center_px")).map(str::parse::<Center>).transpose()?;
        let stitched = self.asking().is_some_and(|params| params.info().id == STITCH.id);
        let mut axes = match (&self.options.axes, given) {
            (Some(axes), _) => axes.clone(),
            (None, Some(center)) => vec![SeriesAxis { center: Some(center), note: "as given".into() }; count],
            (None, None) if self.options.resume && file.is_file() => read_axes(&file)?,
            (None, None) => Vec::new(),
        };
        if axes.len() > count || (self.options.axes.is_some() && axes.len() < count) {
            let message = format!("{} axes are given for {count} scans", axes.len());
            return Err(Error::invalid("axes", message));
        }
        let normalise = self.options.chain.steps.iter().find(|s| s.params.info().id == NORMALISE.id);
        let normalise = normalise.map(|s| normalise_options(&s.params)).unwrap_or_default();
        let method = if stitched { AxisMethod::Overlap } else { self.options.method };
        for index in axes.len()..count {
            let options = AxisOptions { method, normalise, ..AxisOptions::default() };
            let mut progress = steps(&format!("axis {}", name(index)));
            let axis = match find_axis(ctx, &self.scans[index], &options, &mut progress) {
                Ok(found) => SeriesAxis {
                    center: Some(found.center),
                    note: format!("{}, confidence {:.2}", found.method, found.confidence),
                },
                Err(e) if e.kind() == ErrorKind::Unsupported => SeriesAxis { center: None, note: e.to_string() },
                Err(e) => return Err(e.at(format_args!("scan {}", name(index)))),
            };
            axes.push(axis);
            write_axes(&self.dir, &axes)?;
        }
        write_axes(&self.dir, &axes)?;
        self.axes = axes;
        Ok(&self.axes)
    }
    /// What is strange about the axes, for people: one that is far from the others.
    pub fn doubts(&self) -> Vec<String> {
        let row = self.scans[0].shape().rows / 2;
        let at: Vec<Option<f64>> = self.axes.iter().map(|axis| Some(axis.center?.at(row))).collect();
        let mut sorted: Vec<f64> = at.iter().flatten().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let Some(&median) = sorted.get(sorted.len() / 2) else { return Vec::new() };
        // The stage moves straight to a few micrometres; axes of a series lie within a pixel or two.
        let far = |px: f64| (px - median).abs() > 3.0;
        let doubt = |(index, px): (usize, &Option<f64>)| {
            let px = px.filter(|px| far(*px))?;
            Some(format!("scan {}: its axis, {px:.2} px, is far from {median:.2} px of the others", name(index)))
        };
        at.iter().enumerate().filter_map(doubt).collect()
    }
    /// Reconstructs one slice of each scan, with the middle of the detector for an axis where none is known. `None` if the
    /// slices of the same axes were shown before, see [`Zscan::shown`].
    pub fn look(&mut self, ctx: &Context, steps: Steps) -> Result<Option<Vec<Look>>> {
        if self.record.has("look", &self.look_key()) {
            return Ok(None);
        }
        let mut slices = Vec::with_capacity(self.len());
        for (index, scan) in self.scans.iter().enumerate() {
            let middle = Center::Fixed((scan.shape().cols as f64 - 1.0) / 2.0);
            let axis = &self.axes[index];
            let chain = self.chain_of(index, axis.center.unwrap_or(middle))?;
            let row = self.options.row.unwrap_or(chain.slices(ctx, scan)? / 2);
            let slice = chain.preview(ctx, scan, row, &mut steps(&format!("look {}", name(index))));
            let slice = slice.map_err(|e| e.at(format_args!("scan {}", name(index))))?;
            let how = match axis.center {
                Some(center) => format!("axis {:.2} px", center.at(row)),
                None => "axis not found".into(),
            };
            slices.push(Look { caption: format!("{} row {row}, {how}", name(index)), slice });
        }
        Ok(Some(slices))
    }
    /// The slices of [`Zscan::look`] have been shown and need not be made again.
    pub fn shown(&mut self) -> Result<()> {
        let key = self.look_key();
        self.record.begin("look", &key, |_| false).map(drop)
    }
    fn look_key(&self) -> String {
        let axes: Vec<String> = self.axes.iter().map(|a| a.center.map_or("?".into(), |c| c.to_string())).collect();
        format!("row {:?}, axes {}, {}", self.options.row, axes.join(" "), self.options.chain.without_data())
    }
    /// The chain of one scan, which writes 32 bits.
    fn chain_of(&self, index: usize, center: Center) -> Result<Chain> {
        let mut chain = Chain { write: Params::defaults(&WRITE_TIFF), ..self.options.chain.clone() };
        if let Some(id) = self.asking().map(|params| params.info().id) {
            chain.set(id, "center_px", &center.to_string())?;
        }
        let (path, options) = self.series.place(index);
        chain.locate(Some(path), options)?;
        Ok(chain)
    }
    /// The chains of all scans; an error that names a scan without axis.
    fn chains(&self) -> Result<Vec<Chain>> {
        let chain = |(index, axis): (usize, &SeriesAxis)| {
            let center = axis.center.ok_or_else(|| {
                let message = format!(
                    "the axis of scan {} is not known; write it in place of '?' and continue with --resume",
                    name(index)
                );
                Error::unsupported(self.dir.join(AXES).display(), message)
            })?;
            self.chain_of(index, center)
        };
        self.axes.iter().enumerate().map(chain).collect()
    }
    /// Folder of the slices of scan `index`.
    pub fn scan_dir(&self, index: usize) -> PathBuf {
        self.dir.join(name(index)).join("rec")
    }
    /// How ct-rec's users call a volume of the type that is written: `rec`, `rh`, `ro`.
    fn prefix(&self) -> &'static str {
        self.options.chain.sample(None).map_or(SampleType::F32, |(sample, _)| sample).prefix()
    }
    /// Folder of the whole volume.
    pub fn whole_dir(&self) -> PathBuf {
        self.dir.join("whole").join(self.prefix())
    }
    /// Folder of the volume in another direction.
    fn cut_dir(&self, cut: &str) -> PathBuf {
        self.dir.join("whole").join(format!("{}_{cut}", self.prefix()))
    }
    /// Reconstructs all slices of each scan, in 32 bits.
    pub fn reconstruct(&mut self, ctx: &Context, steps: Steps) -> Result<Vec<RunSummary>> {
        let chains = self.chains()?;
        if self.is_whole()? {
            return Ok(Vec::new());
        }
        let mut summaries = Vec::with_capacity(chains.len());
        for (index, chain) in chains.iter().enumerate() {
            let (step, key) = scan_step(index, chain);
            // What was made from the old slices of this scan is made anew.
            let new = self.record.begin(&step, &key, |step| step.starts_with("whole"))?;
            let (scan, dir) = (&self.scans[index], self.scan_dir(index));
            let summary = run(chain, ctx, scan, &dir, !new, &mut || steps(&format!("scan {}", name(index))));
            summaries.push(summary.map_err(|e| e.at(format_args!("scan {}", name(index))))?);
        }
        Ok(summaries)
    }
    /// The chain of the whole volume.
    fn stack_chain(&self, ctx: &Context) -> Result<Chain> {
        let mut dirs: Vec<String> =
            (0..self.len()).map(|index| self.scan_dir(index).to_string_lossy().into_owned()).collect();
        if self.options.reversed {
            dirs.reverse();
        }
        let then = self.options.then.trim().trim_matches('|').trim();
        let then = if then.is_empty() { String::new() } else { format!(" | {then}") };
        // A series of one scan has nothing to be stacked.
        let several = dirs.len() > 1;
        let source = if several { "stack" } else { "volume" };
        let mut chain = Chain::parse(&ctx.registry(), &format!("{source}{then} | write.tiff"))?;
        chain.locate(Some(Path::new(&dirs.join(";"))), &ScanOptions::default())?;
        for (param, value) in self.options.stack.iter().filter(|_| several) {
            chain.source.set_text(param, value)?;
        }
        for (info, value) in self.options.chain.write.changed().filter(|(info, _)| info.name != "dir") {
            chain.write.set_text(info.name, &value.to_string())?;
        }
        Ok(chain)
    }
    fn whole_key(&self, chain: &Chain) -> String {
        let order = if self.options.reversed { "reversed" } else { "in order" };
        format!("{order}, {:?}, {}", self.options.stack, chain.without_data())
    }
    /// True if the whole volume is complete and made from these scans.
    fn is_whole(&self) -> Result<bool> {
        let scans = self.chains()?;
        let same = |(index, chain)| {
            let (step, key) = scan_step(index, chain);
            self.record.has(&step, &key)
        };
        let there = self.whole_dir().join(manifest::RECORD).is_file();
        Ok(there && self.record.has(WHOLE_DONE, "yes") && scans.iter().enumerate().all(same))
    }
    /// Stacks the scans into one volume.
    pub fn stack(&mut self, ctx: &Context, steps: Steps) -> Result<Option<RunSummary>> {
        let whole = self.is_whole()?;
        let chain = self.stack_chain(ctx)?;
        let key = self.whole_key(&chain);
        if whole && self.record.has(WHOLE, &key) {
            return Ok(None);
        }
        let new = self.record.begin(WHOLE, &key, |step| step.starts_with(WHOLE))?;
        let scan = chain.open().map_err(|e| e.with("otherwise", "overlap=SLICES"))?;
        let summary = run(&chain, ctx, &scan, &self.whole_dir(), !new, &mut || steps("stack"))?;
        self.record.begin(WHOLE_DONE, "yes", |_| false)?;
        Ok(Some(summary))
    }
    /// Cuts the whole volume in the other directions that were asked for.
    pub fn cut(&mut self, ctx: &Context, steps: Steps) -> Result<Vec<(PathBuf, RunSummary)>> {
        let mut summaries = Vec::new();
        for (cut, axes) in CUTS.into_iter().filter(|(name, _)| self.options.cuts.iter().any(|cut| cut == name)) {
            let mut chain = Chain::parse(&ctx.registry(), "volume | write.tiff type=same")?;
            chain.locate(Some(&self.whole_dir()), &ScanOptions::default())?;
            chain.source.set_text("axes", axes)?;
            let (dir, scan) = (self.cut_dir(cut), chain.open()?);
            let new = self.record.begin(&format!("whole {cut}"), axes, |_| false)?;
            let summary = run(&chain, ctx, &scan, &dir, !new, &mut || steps(&format!("cut {cut}")))?;
            summaries.push((dir, summary));
        }
        Ok(summaries)
    }
}

const WHOLE: &str = "whole";
const WHOLE_DONE: &str = "whole done";

/// Name and key of the step that reconstructs a scan.
fn scan_step(index: usize, chain: &Chain) -> (String, String) {
    (format!("scan {}", name(index)), chain.without_data().to_string())
}

/// Runs a step into its folder, or continues it. A step that was stopped before its folder had a record begins anew.
fn run(
    chain: &Chain,
    ctx: &Context,
    scan: &Scan,
    dir: &Path,
    begun: bool,
    progress: &mut dyn FnMut() -> Progress<'static>,
) -> Result<RunSummary> {
    if begun {
        let options = RunOptions { resume: true, ..RunOptions::default() };
        match chain.run(ctx, scan, dir, &options, &mut progress()) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Format) => {}
            other => return other,
        }
    }
    chain.run(ctx, scan, dir, &RunOptions::default(), &mut progress())
}
