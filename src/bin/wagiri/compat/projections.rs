//! Programs that make sinograms and projection images.

use super::environment::{black, context, floor_counts, plain_options};
use super::frames::refuse_same;
use super::recon::{layer, of_ct_rec, print_remarks, searched};
use super::{Call, Program, Variants};
use crate::terminal::{progress, say, silent};
use ndarray::{Array2, Axis, Zip, s};
use std::fs;
use std::path::Path;
use wagiri::chain::{Registry, RunOptions};
use wagiri::io::{GreyTags, MemorySink, SampleType, open_hipic, write_frame_tiff, write_image};
use wagiri::preprocess::flat_weights;
use wagiri::preprocess::frames::{Weak, absorbance, beam, difference, smooth_beam, subtract_edges};
use wagiri::scan::{Frame, ScanOptions};
use wagiri::{Chain, Context, Error, Result, Scan};

/// Signals of ct_prj_fc up to which a pixel is nothing, counts.
const NOTHING: f64 = 10.0;

pub const PROGRAMS: &[Program] = &[
    Program {
        stem: "sinog",
        variants: Variants::Plain,
        usage: &["layer {ndiv}"],
        does: "writes the sinogram of a slice, s00012.tif, every ndiv-th view, and sino.tmp: width, views, layer, RC, mean and SD \
               of the total absorption",
        same_as: "raw | normalise black=row | write.tiff",
        differs: "black views are replaced; TIFF frames, too; the SD is that of all views, divided by their number",
        checked: "against the formula, within 1e-6; the axis that ct_rec finds",
        run: sinog,
    },
    Program {
        stem: "ct_prj_f",
        variants: Variants::Plain,
        usage: &["raw prj"],
        does: "projection images in absorbance, p00001.tif ..., with direct-beam images smoothed along rows",
        same_as: "raw | normalise | write.projections",
        differs: "the chain does not smooth the direct beam; the folder is made; views in the order of their angles",
        checked: "against the formula, within 1e-6",
        run: ct_prj_f,
    },
    Program {
        stem: "ict_prj_fc",
        variants: Variants::Plain,
        usage: &["raw prj"],
        does: "projection images against the mean of all projections between two direct-beam images, which is ict-I0.tif",
        same_as: "raw | normalise air=edges | write.projections",
        differs: "the chain takes the direct beam itself; the mean begins at zero for each interval; TIFF frames, too; the folder is made",
        checked: "against the formula, within 1e-6; a view with a dark pixel is zero",
        run: ict_prj_fc,
    },
    Program {
        stem: "ct_prj_fc",
        variants: Variants::Plain,
        usage: &["raw prj {I0cor}"],
        does: "projection images with the direct beam scaled to the sum of each view, or by I0cor",
        same_as: "raw | normalise | proj.air | write.projections",
        differs: "the chain levels each view by the air beside the sample; TIFF frames, too; the folder is made",
        checked: "against the formula, within 1e-6",
        run: ct_prj_fc,
    },
    Program {
        stem: "ct_sub_f",
        variants: Variants::Plain,
        usage: &["raw prj"],
        does: "views minus dark and direct beam, plus 5000, as 16-bit images p00001.tif ...",
        same_as: "raw | normalise | write.projections",
        differs: "the chain writes absorbance; TIFF frames, too; the folder is made; rounded",
        checked: "against the formula, exactly",
        run: ct_sub_f,
    },
];

fn sinog(call: &Call) -> Result<()> {
    if !(1..=2).contains(&call.args.len()) {
        return Err(call.usage());
    }
    let every = if call.args.len() > 1 { call.whole("ndiv", 1, 1)? as usize } else { 1 };
    let scan = open_hipic(Path::new("."), &plain_options(), &ScanOptions::default())?;
    let rows = layer(call, 0, &scan)?;
    let context = context()?;
    let axis = searched(call, &context, &scan, &rows)?;
    let chain = Chain::parse(&Registry::built_in(), &format!("normalise {} black=row", black()))?;
    let size = [scan.shape().views, scan.shape().cols];
    write_sinogram(call, &chain, &context, &scan, size, &SinogramFile { layer: rows.start, axis, every })
}

/// What sinog and of_sinog write.
pub struct SinogramFile {
    pub layer: usize,
    pub axis: f64,
    /// Every so manieth view goes into the image.
    pub every: usize,
}

/// Writes the sinogram of one slice, `[view, col]` of `size`, and `sino.tmp` into the current folder.
pub fn write_sinogram(
    call: &Call,
    chain: &Chain,
    context: &Context,
    scan: &Scan,
    size: [usize; 2],
    file: &SinogramFile,
) -> Result<()> {
    let SinogramFile { layer, axis, every } = *file;
    let mut sink = MemorySink::new(layer, 1, size);
    let options = RunOptions { rows: Some(layer..layer + 1), ..of_ct_rec() };
    let summary = chain.run_into(context, scan, &mut sink, &options, &mut silent())?;
    print_remarks(&summary.remarks);
    let sinogram = sink.volume.index_axis(Axis(0), 0);
    let sums: Vec<f64> = sinogram.outer_iter().map(|view| view.iter().map(|p| f64::from(*p)).sum()).collect();
    let mean = sums.iter().sum::<f64>() / sums.len() as f64;
    let sd = (sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / sums.len() as f64).sqrt();
    let some = sinogram.slice(s![..;every, ..]).to_owned();
    let name = format!("s{layer:05}.tif");
    write_float(Path::new(&name), &some, &call.name)?;
    let (width, views) = (some.ncols(), some.nrows());
    let line = format!("{width}\t{views}\t{layer}\t{axis:.6}\t{mean:.6}\t{sd:.6}");
    let (path, aside) = (Path::new("sino.tmp"), Path::new("sino.tmp.part"));
    let written = fs::write(aside, format!("{line}\n")).and_then(|()| fs::rename(aside, path));
    written.map_err(|e| Error::io(path.display(), "write", e))?;
    say!("{name}\t{line}");
    call.log_command(Path::new(".."), "");
    Ok(())
}

/// Smallest and largest value, as the descriptions of projections and sinograms tell them.
fn range(image: &Array2<f32>) -> String {
    let fold = |(lo, hi): (f32, f32), v: &f32| (lo.min(*v), hi.max(*v));
    let (low, high) = image.iter().fold((f32::INFINITY, f32::NEG_INFINITY), fold);
    format!("{low:.6}\t{high:.6}")
}

fn write_float(path: &Path, image: &Array2<f32>, artist: &str) -> Result<()> {
    let text = range(image);
    write_image(path, image.view(), SampleType::F32, &GreyTags { description: Some(&text), artist, pixel_um: None })
}

/// A scan whose frames become images one by one.
struct Frames<'a> {
    call: &'a Call,
    context: Context,
    scan: Scan,
    dark: Array2<f32>,
    /// For each view the direct-beam image before it, and the weight of the next.
    weights: Vec<(usize, f64)>,
    /// Direct-beam images as they were read last.
    flats: Vec<(usize, Array2<f32>)>,
    smooth: bool,
}

impl<'a> Frames<'a> {
    /// Opens the folder `raw` of the arguments, and makes the folder `prj`.
    fn open(call: &'a Call, most: usize, smooth: bool) -> Result<Self> {
        if !(2..=most).contains(&call.args.len()) {
            return Err(call.usage());
        }
        let (raw, prj) = (Path::new(&call.args[0]), Path::new(&call.args[1]));
        refuse_same(call, raw, prj)?;
        // Angles do not matter here.
        let options = ScanOptions { angles: Some("180".into()), ..ScanOptions::default() };
        let scan = open_hipic(raw, &plain_options(), &options)?;
        let context = context()?;
        let dark = read(&scan, Frame::Dark)?;
        fs::create_dir_all(prj).map_err(|e| Error::io(prj.display(), "make the output folder", e))?;
        let weights = flat_weights(&scan.info().view_time, &scan.info().flat_time);
        Ok(Frames { call, context, scan, dark, weights, flats: Vec::new(), smooth })
    }
    fn flat(&mut self, index: usize) -> Result<Array2<f32>> {
        if let Some((_, image)) = self.flats.iter().find(|(i, _)| *i == index) {
            return Ok(image.clone());
        }
        let mut image = read(&self.scan, Frame::Flat(index))?;
        if self.smooth {
            smooth_beam(image.view_mut());
        }
        self.flats.truncate(1);
        self.flats.insert(0, (index, image.clone()));
        Ok(image)
    }
    /// Direct beam above dark at the time of a view.
    fn beam(&mut self, view: usize) -> Result<Array2<f64>> {
        let (i, weight) = self.weights[view];
        let next = (i + 1).min(self.scan.shape().flats - 1);
        let (first, second) = (self.flat(i)?, self.flat(next)?);
        beam(self.dark.view(), first.view(), second.view(), weight)
    }
    fn absorbance(&self, counts: &Array2<f32>, beam: &Array2<f64>, weak: Weak) -> Result<(Array2<f32>, u64)> {
        absorbance(self.context.pool(), counts.view(), self.dark.view(), beam.view(), weak)
    }
    /// Path of the image of a view, and its name.
    fn path(&self, view: usize) -> (std::path::PathBuf, String) {
        let name = format!("p{:05}.tif", view + 1);
        (Path::new(&self.call.args[1]).join(&name), name)
    }
    fn write(&self, view: usize, image: &Array2<f32>, artist: &str) -> Result<()> {
        let ((path, name), text) = (self.path(view), range(image));
        write_float(&path, image, artist)?;
        say!("{name}\t{text}");
        Ok(())
    }
    /// Calls `one` for each view, in order, with its counts.
    fn each(&mut self, mut one: impl FnMut(&mut Self, usize, Array2<f32>) -> Result<()>) -> Result<()> {
        let views = self.scan.shape().views;
        let mut progress = progress(&self.call.name);
        for view in 0..views {
            progress.report(view, views, view as f64 / views as f64)?;
            let counts = read(&self.scan, Frame::View(view))?;
            one(self, view, counts)?;
        }
        progress.report(views, views, 1.0)?;
        self.call.log_command(Path::new("."), "");
        Ok(())
    }
}

fn read(scan: &Scan, frame: Frame) -> Result<Array2<f32>> {
    let shape = scan.shape();
    let mut image = Array2::zeros((shape.rows, shape.cols));
    scan.source().read_rows(frame, 0..shape.rows, image.view_mut())?;
    Ok(image)
}

fn ct_prj_f(call: &Call) -> Result<()> {
    let floor = Weak::Raise(floor_counts());
    let mut clipped = 0;
    Frames::open(call, 2, true)?.each(|frames, view, counts| {
        let beam = frames.beam(view)?;
        let (image, dark) = frames.absorbance(&counts, &beam, floor)?;
        clipped += dark;
        frames.write(view, &image, "ct_prj")
    })?;
    if clipped > 0 {
        call.remark(format!("{clipped} pixels below the signal floor were raised to it"));
    }
    Ok(())
}

fn ict_prj_fc(call: &Call) -> Result<()> {
    let floor = Weak::Raise(floor_counts());
    let mut frames = Frames::open(call, 2, false)?;
    let mut means = Vec::new();
    let starts: Vec<usize> = frames.weights.iter().map(|(flat, _)| *flat).collect();
    for flat in 0..frames.scan.shape().flats {
        let views: Vec<usize> = (0..starts.len()).filter(|view| starts[*view] == flat).collect();
        let mut mean = Array2::<f64>::zeros(frames.dark.raw_dim());
        for view in &views {
            let counts = read(&frames.scan, Frame::View(*view))?;
            let add = |sum: &mut f64, t: &f32, d: &f32| *sum += f64::from(*t) - f64::from(*d);
            Zip::from(&mut mean).and(&counts).and(&frames.dark).for_each(add);
        }
        mean /= views.len().max(1) as f64;
        if !views.is_empty() {
            let image = mean.mapv(|v| v as f32);
            write_float(Path::new("ict-I0.tif"), &image, "ict_prj")?;
        }
        means.push(mean);
    }
    let mut zeroed = 0;
    frames.each(|frames, view, counts| {
        let (mut image, dark) = frames.absorbance(&counts, &means[starts[view]], floor)?;
        if dark > 0 {
            zeroed += 1;
            image.fill(0.0);
        } else {
            subtract_edges(image.view_mut());
        }
        frames.write(view, &image, "ict_prj")
    })?;
    if zeroed > 0 {
        call.remark(format!("{zeroed} views with a pixel below the signal floor are zero, as ct-rec makes them"));
    }
    Ok(())
}

fn ct_prj_fc(call: &Call) -> Result<()> {
    let given = if call.args.len() > 2 { Some(call.number("I0cor", 2)?) } else { None };
    if given.is_some_and(|factor| factor <= 0.0) {
        return Err(Error::invalid(&call.name, "I0cor: expected a number greater than 0"));
    }
    Frames::open(call, 3, false)?.each(|frames, view, counts| {
        let mut beam = frames.beam(view)?;
        let signal: f64 = counts.iter().zip(&frames.dark).map(|(t, d)| f64::from(*t) - f64::from(*d)).sum();
        let factor = given.unwrap_or(signal / beam.sum());
        beam.mapv_inplace(|v| v * factor);
        let (image, _) = frames.absorbance(&counts, &beam, Weak::Zero(NOTHING))?;
        frames.write(view, &image, "ct_prj")
    })
}

fn ct_sub_f(call: &Call) -> Result<()> {
    Frames::open(call, 2, false)?.each(|frames, view, counts| {
        let beam = frames.beam(view)?;
        let image = difference(counts.view(), frames.dark.view(), beam.view())?;
        let (path, name) = frames.path(view);
        let text = range(&image.mapv(f32::from));
        write_frame_tiff(&path, image.view(), &text, "tif_f2i")?;
        say!("{name}\t{text}");
        Ok(())
    })
}
