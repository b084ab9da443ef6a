//! `volume.histogram`, `volume.mip`: the volume passes, and a picture or a table of it is written aside.

use super::aside::{AsideStage, Look, file, path};
use crate::chain::params::Params;
use crate::chain::stage::{ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo};
use crate::error::{Error, Result};
use crate::io::{Aside, png_bytes, png_bytes_16};
use crate::post::{
    Along, BinWidth, Histogram, Intensity, IntensityProjection, Quantiser, draw_histogram, finite_range,
};
use crate::slab::Domain;
use ndarray::{Array2, ArrayView3};
use std::fmt::Write;

const fn number(name: &'static str, unit: &'static str, help: &'static str) -> ParamInfo {
    ParamInfo::new(name, ParamKind::Float, unit, ParamValue::Auto, help).or_auto().range(-1e9, 1e9)
}

static HISTOGRAM: StageInfo = StageInfo {
    id: "volume.histogram",
    summary: "Passes the volume on and writes how often which values occur, as a picture, a table or ct-rec's text",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        file(
            "The file: .png is a picture, .csv a table, .txt lines as of tif2hst (upper edge, count); without an ending all three",
        ),
        number("low", "1/cm", "Smallest value that is counted; auto: the smallest there is"),
        number("high", "1/cm", "Largest value that is counted; auto: the largest there is"),
        ParamInfo::new(
            "width",
            ParamKind::Float,
            "1/cm",
            ParamValue::Auto,
            "Width of a bin; bins begin at its multiples; auto: the smallest power of two with at most so many bins",
        )
        .or_auto()
        .range(1e-9, 1e9),
        ParamInfo::int("bins", "", 512, "Most bins where the width is auto").range(1.0, 65536.0),
    ],
};

static MIP: StageInfo = StageInfo {
    id: "volume.mip",
    summary: "Passes the volume on and writes the largest, smallest or mean values along an axis as a picture (PNG)",
    input: Domain::Volume,
    output: Domain::Volume,
    params: &[
        file("The picture, mip.png for example"),
        ParamInfo::choice(
            "axis",
            &["z", "y", "x"],
            "z",
            "Direction of view: through the slices, along their columns or along their lines",
        ),
        ParamInfo::choice(
            "mode",
            &["max", "min", "mean"],
            "max",
            "What is kept of the values along the direction of view",
        ),
        ParamInfo::choice("bits", &["8", "16"], "8", "Bits of a pixel"),
        number("low", "1/cm", "Value that becomes black; auto: the smallest of the picture"),
        number("high", "1/cm", "Value that becomes white; auto: the largest of the picture"),
    ],
};

/// All stages of this file.
pub(super) const STAGES: [Looks; 2] = [Looks(&HISTOGRAM), Looks(&MIP)];

#[derive(Clone, Copy)]
pub(super) struct Looks(&'static StageInfo);

impl StageFactory for Looks {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let stage = if self.0.id == MIP.id { mip(params, setup) } else { histogram(params, setup) };
        Ok(Box::new(stage?))
    }
}

fn histogram(params: &Params, setup: &Setup) -> Result<AsideStage> {
    let bins = params.int("bins").unwrap_or(512) as usize;
    let rule = params.float("width").map_or(BinWidth::Finest(bins.max(2)), BinWidth::Fixed);
    let [low, high] = limits(params, [f64::NEG_INFINITY, f64::INFINITY])?;
    let path = path(params)?;
    let of = |ending: &str| (ending.to_owned(), path.with_extension(ending));
    let files = match path.extension().and_then(|e| e.to_str()) {
        None => ["png", "csv", "txt"].map(of).to_vec(),
        Some(ending @ ("png" | "csv" | "txt")) => vec![of(ending)],
        Some(_) => {
            let message =
                "path: expected a file that ends in .png, .csv or .txt, or one without an ending for all three";
            return Err(Error::invalid(HISTOGRAM.id, message).with("path", path.display()));
        }
    };
    Histogram::new(rule, low, high).map_err(|e| e.at(HISTOGRAM.id))?;
    let begin = move |_| -> Result<Box<dyn Look>> {
        let files = files.iter().map(|(ending, path)| Ok((ending.clone(), Aside::create(path)?)));
        let files = files.collect::<Result<Vec<_>>>()?;
        Ok(Box::new(HistogramLook { histogram: Histogram::new(rule, low, high)?, files }))
    };
    let most = if matches!(rule, BinWidth::Fixed(_)) { 1 << 20 } else { bins as u64 };
    let scratch = 8 * most * (setup.threads as u64 + 2);
    Ok(AsideStage {
        kept_bytes: Box::new(move |_| scratch),
        ..AsideStage::new(&HISTOGRAM, setup, 4.0, Box::new(begin))
    })
}

/// `low` and `high`, or what they are if they are auto; never the wrong way round.
fn limits(params: &Params, auto: [f64; 2]) -> Result<[f64; 2]> {
    let (low, high) = (params.float("low"), params.float("high"));
    if let (Some(low), Some(high)) = (low, high)
        && low >= high
    {
        let message = "expected low to be below high";
        return Err(Error::invalid(params.info().id, message).with("low", low).with("high", high));
    }
    Ok([low.unwrap_or(auto[0]), high.unwrap_or(auto[1])])
}

struct HistogramLook {
    histogram: Histogram,
    files: Vec<(String, Aside)>,
}

impl Look for HistogramLook {
    fn slices(&mut self, _: usize, slices: ArrayView3<f32>, run: &mut Run<'_, '_>) -> Result<()> {
        let pool = run.context.pool();
        self.histogram.add(pool, slices, &mut |part| run.tick(part)).map_err(|e| e.at(HISTOGRAM.id))
    }
    fn finish(self: Box<Self>, wanted: bool, _: &mut Run<'_, '_>) -> Result<Vec<String>> {
        let HistogramLook { histogram, files } = *self;
        let (low, high) = histogram.range();
        if histogram.counts().is_empty() {
            let message = format!("no value is in the range that is counted; the values go from {low} to {high}");
            return Err(Error::invalid(HISTOGRAM.id, message));
        }
        for (ending, mut file) in files.into_iter().filter(|_| wanted) {
            match ending.as_str() {
                "png" => file.write(&png_bytes(&draw_histogram(&histogram))?)?,
                "csv" => file.write(table(&histogram).as_bytes())?,
                _ => file.write(text(&histogram).as_bytes())?,
            }
            file.finish()?;
        }
        let bins = histogram.counts().len();
        let mut remarks = vec![format!("values from {low} to {high}, {bins} bins of {}", histogram.width())];
        if histogram.outside() > 0 {
            remarks.push(format!("{} values are out of the range that is counted", histogram.outside()));
        }
        Ok(remarks)
    }
}

/// Lower and upper edge and count of each bin.
fn table(histogram: &Histogram) -> String {
    let mut text = "low,high,count\n".to_owned();
    for (i, count) in histogram.counts().iter().enumerate() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{},{},{count}", histogram.edge(i), histogram.edge(i + 1));
    }
    text
}

/// Upper edge and count of each bin as tif2hst prints them, with more decimals where the width needs them.
fn text(histogram: &Histogram) -> String {
    let mut decimals = 2;
    while decimals < 12 && (histogram.width() * 10f64.powi(decimals)).fract() > 1e-6 {
        decimals += 1;
    }
    let line = |(i, count): (usize, &u64)| format!("{:8.*}, {count}\n", decimals as usize, histogram.edge(i + 1));
    histogram.counts().iter().enumerate().map(line).collect()
}

fn mip(params: &Params, setup: &Setup) -> Result<AsideStage> {
    let along = match params.text("axis") {
        Some("y") => Along::Y,
        Some("x") => Along::X,
        _ => Along::Z,
    };
    let keep = match params.text("mode") {
        Some("min") => Intensity::Min,
        Some("mean") => Intensity::Mean,
        _ => Intensity::Max,
    };
    let (low, high) = (params.float("low"), params.float("high"));
    limits(params, [0.0; 2])?;
    let (path, bits, rows) =
        (path(params)?, params.text("bits").map_or(8, |b| if b == "16" { 16 } else { 8 }), setup.shape.rows);
    let begin = move |slice| -> Result<Box<dyn Look>> {
        let (file, projection) = (Aside::create(&path)?, IntensityProjection::new(along, keep, slice));
        Ok(Box::new(MipLook { projection, file, bits, range: (low, high) }))
    };
    let scratch = move |input: crate::slab::SlabShape| {
        let [height, width] = input.dims.map(|n| n as u64);
        16 * match along {
            Along::Z => height * width,
            Along::Y => rows as u64 * width,
            Along::X => rows as u64 * height,
        }
    };
    Ok(AsideStage { kept_bytes: Box::new(scratch), ..AsideStage::new(&MIP, setup, 1.0, Box::new(begin)) })
}

struct MipLook {
    projection: IntensityProjection,
    file: Aside,
    bits: u8,
    range: (Option<f64>, Option<f64>),
}

impl Look for MipLook {
    fn slices(&mut self, _: usize, slices: ArrayView3<f32>, run: &mut Run<'_, '_>) -> Result<()> {
        self.projection.add(run.context.pool(), slices, &mut |part| run.tick(part))
    }
    fn finish(self: Box<Self>, wanted: bool, _: &mut Run<'_, '_>) -> Result<Vec<String>> {
        let MipLook { projection, mut file, bits, range } = *self;
        let picture = projection.finish();
        let (least, most) = picture.as_slice().and_then(finite_range).unwrap_or_default();
        let (low, high) = (range.0.unwrap_or(least.into()), range.1.unwrap_or(most.into()));
        let told = |given: Option<f64>, found: f32| given.map_or(found.to_string(), |v| v.to_string());
        let levels = if bits == 16 { u16::MAX } else { 255 };
        // Where all values are equal, or beyond the one end that was given, there is black only.
        let quantiser = if high > low { Some(Quantiser::new(low, high, levels)?) } else { None };
        let grey: Array2<u16> = picture.mapv(|v| quantiser.map_or(0, |q| q.level(v)));
        if wanted {
            file.write(&if bits == 16 { png_bytes_16(&grey)? } else { png_bytes(&grey.mapv(|v| v as u8))? })?;
            file.finish()?;
        }
        let flat = if quantiser.is_none() { "; the picture has a single value and is black" } else { "" };
        Ok(vec![format!("black is {}, white is {}{flat}", told(range.0, least), told(range.1, most))])
    }
}
