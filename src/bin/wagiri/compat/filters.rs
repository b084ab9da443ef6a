//! The filters tif_*: a folder of TIFF images in, a folder out.

use super::gaussians::tif_mgf;
use super::recon::{of_ct_rec, print_remarks};
use super::slicewise::context;
use super::{Call, Program, Variants};
use crate::terminal::progress;
use ndarray::Array3;
use std::path::Path;
use wagiri::chain::{Registry, RunOptions};
use wagiri::io::SampleType;
use wagiri::post::RoughEstimate;
use wagiri::scan::{Scan, ScanOptions};
use wagiri::{Chain, Error, Result};

const ROUNDS: &str = "8- and 16-bit values are rounded to the nearest with _g too; min and max of the descriptions are those of what \
                      is written; no seams between blocks";

pub const PROGRAMS: &[Program] = &[
    Program {
        stem: "tif_gsf",
        variants: Variants::Gpu,
        usage: &["in out {sigma 2.0}"],
        does: "Gaussian smoothing in three dimensions out to 3 sigma; beyond the volume is 0, so that its borders get darker",
        same_as: "volume path=in names=- | filter.gaussian sigma_px=2 sigma_z_px=2 truncate=3 boundary=zero | write.tiff type=same \
                  names=keep",
        differs: ROUNDS,
        checked: "ct-rec's smoothed volume within 1e-6 of its maximum",
        run: tif_gsf,
    },
    Program {
        stem: "tif_mdf",
        variants: Variants::Gpu,
        usage: &["in out {k 3}"],
        does: "median of k x k x k voxels, of those that are there at the borders",
        same_as: "volume path=in names=- | filter.median size_px=3 depth_px=3 boundary=skip | write.tiff type=same names=keep",
        differs: ROUNDS,
        checked: "every value of ct-rec's filtered volume",
        run: tif_mdf,
    },
    Program {
        stem: "tif_blf",
        variants: Variants::Gpu,
        usage: &["in out {k 5} {sigma_s 2.0} {sigma_i auto}"],
        does: "bilateral filter in three dimensions",
        same_as: "volume path=in names=- | filter.bilateral size_px=5 sigma_px=2 sigma=0.8 | write.tiff type=same names=keep",
        differs: ROUNDS,
        checked: "ct-rec's filtered volume within 1e-5 of its maximum",
        run: tif_blf,
    },
    Program {
        stem: "tif_nlm",
        variants: Variants::Gpu,
        usage: &["in out {rp 1} {rs 3} {h auto}"],
        does: "non-local means in three dimensions",
        same_as: "volume path=in names=- | filter.nlm sigma=0 own=largest | write.tiff type=same names=keep",
        differs: ROUNDS,
        checked: "that it runs and takes noise away",
        run: tif_nlm,
    },
    Program {
        stem: "tif_adf",
        variants: Variants::Gpu,
        usage: &["in out {iter 20} {K auto} {dt 0.14} {mode 1}"],
        does: "anisotropic diffusion (Perona-Malik) in three dimensions",
        same_as: "volume path=in names=- | filter.diffusion conductance=rational | write.tiff type=same names=keep",
        differs: "results do not depend on memory: as many slices as there are steps overlap; dt above 1/6, with which noise would grow, \
                  is refused; mode 1 is 1 / (1 + (d/K)^2), 0 and 2 are exp(-(d/K)^2)",
        checked: "that it runs and takes noise away",
        run: tif_adf,
    },
    Program {
        stem: "tif_tvd",
        variants: Variants::Gpu,
        usage: &["in out {lambda auto} {iter 100}"],
        does: "total variation (Rudin, Osher, Fatemi) in three dimensions",
        same_as: "volume path=in names=- | filter.tv | write.tiff type=same names=keep",
        differs: "auto follows the noise that is found: ct-rec's changes 8- and 16-bit values by less than a level and takes everything \
                  from 32-bit ones; results do not depend on memory",
        checked: "that it runs and takes noise away",
        run: tif_tvd,
    },
    Program {
        stem: "tif_wvd",
        variants: Variants::Gpu,
        usage: &["in out {levels 3} {scale 1.0}"],
        does: "soft thresholds on Haar wavelets in three dimensions (BayesShrink)",
        same_as: "volume path=in names=- | filter.wavelet shifts=1 noise=finest | write.tiff type=same names=keep",
        differs: "odd sizes are right to their last row, column and slice; thresholds are those of the whole volume, not of blocks; the \
                  noise is the median of the finest coefficients / 0.6745, which edges hardly move",
        checked: "that it runs and takes noise away",
        run: tif_wvd,
    },
    Program {
        stem: "tif_bm4d",
        variants: Variants::Gpu,
        usage: &["in out {rb 2} {rs 3} {sigma auto}"],
        does: "block matching",
        same_as: "volume path=in names=- | filter.block-matching | write.tiff type=same names=keep",
        differs: "ct-rec's is not BM4D, but a mean of similar patches that comes out differently each time; this one is, with cubes of 4 \
                  voxels whatever rb is, and the same result each time",
        checked: "that it runs and takes noise away; not ct-rec's numbers",
        run: tif_bm4d,
    },
    Program {
        stem: "tif_mgf",
        variants: Variants::Gpu,
        usage: &["in.tif out.tif {k 1} {sigma 0.5}"],
        does: "median and Gaussian of one image",
        same_as: "volume path=in.tif | filter.median size_px=3 boundary=mirror | filter.gaussian sigma_px=0.5 truncate=3 boundary=mirror \
                  | write.tiff type=same",
        differs: "32-bit images are taken too",
        checked: "by definition on a small image",
        run: tif_mgf,
    },
];

/// A filter on its way: what is read, and the words of the line in the log.
struct Filter<'a> {
    call: &'a Call,
    scan: Scan,
    log: Vec<String>,
}

impl<'a> Filter<'a> {
    /// Opens the folder; `most` is how many arguments may follow it and the output.
    fn new(call: &'a Call, most: usize) -> Result<Self> {
        if !(2..=2 + most).contains(&call.args.len()) {
            return Err(call.usage());
        }
        let mut source = Chain::parse(&Registry::built_in(), "volume names=- | write.tiff")?;
        source.locate(Some(Path::new(&call.args[0])), &ScanOptions::default())?;
        Ok(Filter { call, scan: source.open()?, log: Vec::new() })
    }
    fn is_given(&self, index: usize) -> bool {
        self.call.args.get(2 + index).is_some_and(|word| word != "auto")
    }
    /// A whole number behind the folders.
    fn whole(&mut self, name: &'static str, index: usize, default: i64, range: [i64; 2]) -> Result<i64> {
        let value = if self.is_given(index) { self.call.whole(name, 2 + index, 0)? } else { default };
        self.within(name, value as f64, range.map(|v| v as f64))?;
        Ok(value)
    }
    /// A number behind the folders.
    fn number(&mut self, name: &'static str, index: usize, default: f64, range: [f64; 2]) -> Result<f64> {
        let value = if self.is_given(index) { self.call.number(name, 2 + index)? } else { default };
        self.within(name, value, range)?;
        Ok(value)
    }
    fn within(&mut self, name: &'static str, value: f64, [low, high]: [f64; 2]) -> Result<()> {
        if !(low..=high).contains(&value) {
            let accepted = format!("{name}: expected {low} to {high}");
            return Err(Error::invalid(&self.call.name, accepted).with("value", value));
        }
        self.log.push(format!("{name} {}", short(value)));
        Ok(())
    }
    /// ct-rec's own look at a few slices.
    fn rough(&self) -> Result<RoughEstimate> {
        let (mut rough, shape) = (RoughEstimate::default(), self.scan.shape());
        let mut slice = Array3::zeros([1, shape.views, shape.cols]);
        for z in RoughEstimate::slices(shape.rows) {
            self.scan.source().read_band(0..shape.views, z..z + 1, slice.view_mut())?;
            rough.add(slice.index_axis(ndarray::Axis(0), 0));
        }
        Ok(rough)
    }
    /// Runs `stage` on all slices, which keep their names and types.
    fn run(self, stage: &str) -> Result<()> {
        let call = self.call;
        let text = format!("volume names=- | {stage} | write.tiff type=same names=keep");
        let mut chain = Chain::parse(&Registry::built_in(), &text)?;
        chain.locate(Some(Path::new(&call.args[0])), &ScanOptions::default())?;
        let options = RunOptions { artist: Some(call.name.clone()), ..of_ct_rec() };
        let mut progress = progress(&call.name);
        let summary = chain.run(&context()?, &self.scan, Path::new(&call.args[1]), &options, &mut progress)?;
        print_remarks(&summary.remarks);
        call.log_command(Path::new("."), &format!("\t   % {}", self.log.join("  ")));
        Ok(())
    }
}

/// As C's `%g` prints it.
fn short(value: f64) -> String {
    let digits = format!("{value:.5e}");
    let (mantissa, exponent) = digits.split_once('e').unwrap_or((&digits, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match exponent {
        -4..6 => trimmed(&format!("{value:.*}", (5 - exponent) as usize)),
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
        }
    }
}

fn tif_gsf(call: &Call) -> Result<()> {
    let mut filter = Filter::new(call, 1)?;
    let sigma = filter.number("sigma", 0, 2.0, [1e-3, 100.0])?;
    filter.run(&format!("filter.gaussian sigma_px={sigma} sigma_z_px={sigma} truncate=3 boundary=zero"))
}

/// An odd size.
fn odd(filter: &mut Filter, index: usize, default: i64, most: i64) -> Result<i64> {
    let size = filter.whole("k", index, default, [3, most])?;
    if size % 2 == 0 {
        return Err(Error::invalid(&filter.call.name, "k: expected an odd number").with("value", size));
    }
    Ok(size)
}

fn tif_mdf(call: &Call) -> Result<()> {
    let mut filter = Filter::new(call, 1)?;
    let size = odd(&mut filter, 0, 3, 21)?;
    filter.run(&format!("filter.median size_px={size} depth_px={size} boundary=skip"))
}

fn tif_blf(call: &Call) -> Result<()> {
    let mut filter = Filter::new(call, 3)?;
    let size = odd(&mut filter, 0, 5, 21)?;
    let sigma = filter.number("sigma_s", 1, 2.0, [1e-3, 100.0])?;
    let automatic = match filter.scan.info().sample {
        _ if filter.is_given(2) => 1.0,
        Some(SampleType::U8) => 256.0 / 3.0,
        Some(SampleType::U16) => 65536.0 / 3.0,
        _ => Some(filter.rough()?.span() / 3.0).filter(|s| *s > 0.0).unwrap_or(0.1),
    };
    let value = filter.number("sigma_i", 2, automatic, [1e-12, 1e12])?;
    filter.run(&format!("filter.bilateral size_px={size} sigma_px={sigma} sigma={value}"))
}

fn tif_nlm(call: &Call) -> Result<()> {
    let mut filter = Filter::new(call, 3)?;
    let patch = filter.whole("rp", 0, 1, [1, 5])?;
    let search = filter.whole("rs", 1, 3, [1, 15])?;
    let automatic = if filter.is_given(2) { 1.0 } else { (1.2 * filter.rough()?.sigma()).max(1e-12) };
    let h = filter.number("h", 2, automatic, [1e-12, 1e12])?;
    filter.run(&format!("filter.nlm patch_px={patch} search_px={search} h={h} sigma=0 own=largest"))
}

fn tif_adf(call: &Call) -> Result<()> {
    let mut filter = Filter::new(call, 4)?;
    let steps = filter.whole("iter", 0, 20, [1, 1000])?;
    let given = filter.is_given(1) && call.number("K", 3)? > 0.0;
    let contrast = if given { call.number("K", 3)? } else { (2.0 * filter.rough()?.sigma()).max(1e-12) };
    filter.within("K", contrast, [1e-12, 1e12])?;
    let dt = filter.number("dt", 2, 0.14, [1e-6, 1.0])?;
    let mode = if filter.whole("mode", 3, 1, [0, 2])? == 1 { "rational" } else { "exponential" };
    filter.run(&format!("filter.diffusion iterations={steps} k={contrast} dt={dt} conductance={mode}"))
}

fn tif_tvd(call: &Call) -> Result<()> {
    let mut filter = Filter::new(call, 2)?;
    let lambda =
        if filter.is_given(0) { filter.number("lambda", 0, 0.0, [1e-12, 1e12])?.to_string() } else { "auto".into() };
    if lambda == "auto" {
        filter.log.push("lambda auto".into());
        call.remark("lambda follows the noise that is found; ct-rec's automatic one hardly changes 8 and 16 bits");
    }
    let steps = filter.whole("iter", 1, 100, [1, 10000])?;
    filter.run(&format!("filter.tv lambda={lambda} iterations={steps}"))
}

fn tif_wvd(call: &Call) -> Result<()> {
    let mut filter = Filter::new(call, 2)?;
    let levels = filter.whole("levels", 0, 3, [1, 5])?;
    let scale = filter.number("scale", 1, 1.0, [0.0, 100.0])?;
    filter.run(&format!("filter.wavelet levels={levels} scale={scale} shifts=1 noise=finest"))
}

fn tif_bm4d(call: &Call) -> Result<()> {
    let mut filter = Filter::new(call, 3)?;
    filter.whole("rb", 0, 2, [1, 4])?;
    let search = filter.whole("rs", 1, 3, [1, 10])?;
    let sigma = match filter.is_given(2) {
        true => filter.number("sigma", 2, 0.0, [1e-12, 1e12])?.to_string(),
        false => {
            filter.log.push("sigma auto".into());
            "auto".into()
        }
    };
    call.remark("this is BM4D (filter.block-matching) with cubes of 4 voxels, whatever rb is; ct-rec's program is another filter");
    filter.run(&format!("filter.block-matching search_px={search} sigma={sigma}"))
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_are_as_c_prints_them() {
        let cases = [
            (2.0, "2"),
            (0.14, "0.14"),
            (21845.333333, "21845.3"),
            (1e-5, "1e-05"),
            (0.0, "0"),
            (1234567.0, "1.23457e+06"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
        assert_eq!(short(0.000123456789), "0.000123457");
    }
}
