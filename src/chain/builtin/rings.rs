//! `ring.*`: ring removal on sinograms. One adapter for all methods; what differs stands in a table.

use super::cost;
use crate::chain::params::Params;
use crate::chain::stage::{
    ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker,
};
use crate::error::{Error, Result};
use crate::rings::{
    self, AllOptions, DeadOptions, DetectOptions, FilterOptions, LargeOptions, Method, RegularizeOptions, WAVELETS,
    WaveletFftOptions,
};
use crate::slab::{Domain, Slab, SlabShape};
use ndarray::Axis;
use std::sync::Arc;

/// Widest median.
const WIDEST_PX: f64 = 1001.0;

const fn int(
    name: &'static str,
    unit: &'static str,
    default: i64,
    low: f64,
    high: f64,
    help: &'static str,
) -> ParamInfo {
    ParamInfo::new(name, ParamKind::Int, unit, ParamValue::Int(default), help).range(low, high)
}

const fn float(name: &'static str, default: f64, low: f64, high: f64, help: &'static str) -> ParamInfo {
    ParamInfo::new(name, ParamKind::Float, "", ParamValue::Float(default), help).range(low, high)
}

const fn flag(name: &'static str, default: bool, help: &'static str) -> ParamInfo {
    ParamInfo::new(name, ParamKind::Bool, "", ParamValue::Bool(default), help)
}

const fn kernel(default: i64, help: &'static str) -> ParamInfo {
    int("kernel_px", "px", default, 0.0, WIDEST_PX, help)
}

const fn snr(default: f64, low: f64, help: &'static str) -> ParamInfo {
    float("snr", default, low, 1e6, help)
}

const SINOGRAM: Domain = Domain::Sinogram;
const SNR_HELP: &str = "How much a column must stand out from a line through the sorted ones; greater finds fewer";
const LARGE_HELP: &str = "Width of the median across columns, wider than the widest stripe; even widths grow by 1";

static SORT: StageInfo = StageInfo {
    id: "ring.sort",
    summary: "Ring removal by sorting each detector column and taking the median across columns (Vo 2018, algorithm 3)",
    input: SINOGRAM,
    output: SINOGRAM,
    params: &[kernel(
        5,
        "Width of the median across columns; 0 or 1 is off, even widths grow by 1; wider removes wider rings and more of the sample",
    )],
};
static FILTER: StageInfo = StageInfo {
    id: "ring.filter",
    summary: "Ring removal by sorting the slow changes over the views only (Vo 2018, algorithm 2)",
    input: SINOGRAM,
    output: SINOGRAM,
    params: &[
        float(
            "sigma_bins",
            3.0,
            1e-3,
            1e6,
            "Width of the low-pass over the views, in steps of its discrete Fourier transform; greater leaves more to the sorting",
        ),
        kernel(21, "Width of the median across columns; 0 or 1 is off, even widths grow by 1"),
    ],
};
static LARGE: StageInfo = StageInfo {
    id: "ring.large",
    summary: "Removal of wide rings: columns whose mean stands out get the medians of their neighbours (Vo 2018, algorithm 5)",
    input: SINOGRAM,
    output: SINOGRAM,
    params: &[
        snr(3.0, 1e-3, SNR_HELP),
        kernel(51, LARGE_HELP),
        float("drop_ratio", 0.1, 0.0, 0.8, "Part of the highest and lowest values of each column that does not count"),
        flag("normalise", true, "First scale each column to what its neighbours let expect"),
    ],
};
static DEAD: StageInfo = StageInfo {
    id: "ring.dead",
    summary: "Replaces columns that are dead or fluctuate by their neighbours (Vo 2018, algorithm 6)",
    input: SINOGRAM,
    output: SINOGRAM,
    params: &[
        snr(3.0, 1e-3, SNR_HELP),
        kernel(51, LARGE_HELP),
        int("smooth_views", "views", 10, 1.0, 1e6, "Views over which a column is smoothed to see how much it changes"),
        flag("residual", true, "Remove wide rings afterwards, as ring.large does"),
    ],
};
static ALL: StageInfo = StageInfo {
    id: "ring.all",
    summary: "Removal of dead, wide and narrow rings, one after the other (Vo 2018, algorithms 6, 5 and 3)",
    input: SINOGRAM,
    output: SINOGRAM,
    params: &[
        snr(3.0, 1e-3, SNR_HELP),
        int("large_px", "px", 51, 0.0, WIDEST_PX, "Width of the median for dead and wide rings, wider than the widest"),
        int("small_px", "px", 21, 0.0, WIDEST_PX, "Width of the median for narrow rings; 0 or 1 is off"),
        float("drop_ratio", 0.1, 0.0, 0.8, "Part of the highest and lowest values of each column that does not count"),
    ],
};
static WAVELET_FFT: StageInfo = StageInfo {
    id: "ring.wavelet-fft",
    summary: "Ring removal by wavelets and Fourier filtering (Münch 2009)",
    input: SINOGRAM,
    output: SINOGRAM,
    params: &[
        int("level", "", 5, 1.0, 20.0, "Levels of the decomposition; more remove wider rings"),
        float(
            "sigma_bins",
            1.0,
            1e-3,
            1e6,
            "Width of what is cut out around frequency 0, in steps of the discrete Fourier transform over the views",
        ),
        ParamInfo::choice("wavelet", WAVELETS, "db9", "Daubechies' wavelet, by its vanishing moments"),
    ],
};
static REGULARIZE: StageInfo = StageInfo {
    id: "ring.regularize",
    summary: "Ring removal by smoothing the mean over the views (Titarenko 2010)",
    input: SINOGRAM,
    output: SINOGRAM,
    params: &[
        float(
            "alpha",
            0.0005,
            1e-12,
            1e6,
            "Weight of the size of the correction against smoothness; smaller corrects more",
        ),
        int("chunks", "", 1, 1.0, 1e6, "Blocks of views that are corrected by themselves"),
    ],
};
static DETECT: StageInfo = StageInfo {
    id: "ring.detect",
    summary: "Finds striped columns first and corrects only those: offsets are subtracted, dead and fluctuating columns replaced",
    input: SINOGRAM,
    output: SINOGRAM,
    params: &[
        snr(4.5, 1.0, "How many times as high as the scatter of its neighbours a stripe must be"),
        int("widest_px", "px", 20, 0.0, WIDEST_PX, "Widest stripe; 0 looks for dead and fluctuating columns only"),
        flag("partial", true, "Look for stripes through a part of the views, an eighth or more"),
        flag("dead", true, "Look for dead and fluctuating columns"),
    ],
};

/// Description of a stage, its method from checked parameters, nanoseconds for a value.
type Entry = (&'static StageInfo, fn(&Params) -> Method, f64);

static STAGES: [Entry; 8] = [
    (&SORT, |p| Method::Sort { kernel_px: size(p, "kernel_px") }, 7.5),
    (
        &FILTER,
        |p| Method::Filter(FilterOptions { sigma_bins: number(p, "sigma_bins"), kernel_px: size(p, "kernel_px") }),
        40.0,
    ),
    (&LARGE, large, 43.0),
    (&DEAD, dead, 50.0),
    (&ALL, all, 72.0),
    (&WAVELET_FFT, wavelet_fft, 56.0),
    (
        &REGULARIZE,
        |p| Method::Regularize(RegularizeOptions { alpha: number(p, "alpha"), chunks: size(p, "chunks") }),
        5.0,
    ),
    (&DETECT, detect, 100.0),
];

fn large(p: &Params) -> Method {
    let (snr, drop_ratio) = (number(p, "snr"), number(p, "drop_ratio"));
    Method::Large(LargeOptions { snr, kernel_px: size(p, "kernel_px"), drop_ratio, normalise: p.bool("normalise") })
}

fn dead(p: &Params) -> Method {
    let (snr, kernel_px, smooth_views) = (number(p, "snr"), size(p, "kernel_px"), size(p, "smooth_views"));
    Method::Dead(DeadOptions { snr, kernel_px, smooth_views, residual: p.bool("residual") })
}

fn all(p: &Params) -> Method {
    let (large_px, small_px) = (size(p, "large_px"), size(p, "small_px"));
    Method::All(AllOptions { snr: number(p, "snr"), large_px, small_px, drop_ratio: number(p, "drop_ratio") })
}

fn wavelet_fft(p: &Params) -> Method {
    let name = p.text("wavelet").unwrap_or_default();
    // The name has been checked to be one of these.
    let wavelet = WAVELETS.iter().find(|w| **w == name).copied().unwrap_or_default();
    Method::WaveletFft(WaveletFftOptions { level: size(p, "level"), sigma_bins: number(p, "sigma_bins"), wavelet })
}

fn detect(p: &Params) -> Method {
    let (partial, dead) = (p.bool("partial"), p.bool("dead"));
    Method::Detect(DetectOptions { snr: number(p, "snr"), widest_px: size(p, "widest_px"), partial, dead })
}

fn size(p: &Params, name: &str) -> usize {
    p.int(name).and_then(|v| usize::try_from(v).ok()).unwrap_or_default()
}

fn number(p: &Params, name: &str) -> f64 {
    p.float(name).unwrap_or_default()
}

/// Windows across columns.
fn windows(params: &Params) -> impl Iterator<Item = (&'static str, usize)> + '_ {
    let is_window = |p: &&'static ParamInfo| p.unit == "px" && p.name != "widest_px";
    params.iter().map(|(info, _)| info).filter(is_window).map(|info| (info.name, size(params, info.name)))
}

pub(super) fn factories() -> impl Iterator<Item = Arc<dyn StageFactory>> {
    STAGES.iter().map(|entry| Arc::new(RingFactory(entry)) as Arc<dyn StageFactory>)
}

struct RingFactory(&'static Entry);

struct Ring {
    info: &'static StageInfo,
    method: Method,
    cost: f64,
    threads: usize,
    /// Of the detector.
    rows: usize,
    remarks: Vec<String>,
}

struct RingWorker<'s>(&'s Ring);

impl StageFactory for RingFactory {
    fn info(&self) -> &'static StageInfo {
        self.0.0
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let (info, method, cost) = *self.0;
        let mut remarks = Vec::new();
        for (name, width) in windows(params) {
            if width > setup.shape.cols {
                return Err(Error::invalid(info.id, "the median cannot be wider than the detector")
                    .with(name, width)
                    .with("cols", setup.shape.cols));
            }
            if rings::odd_kernel(width) > width {
                remarks.push(format!("{}: the median needs an odd width: {} px used", info.id, width + 1));
            }
        }
        let (threads, rows) = (setup.threads, setup.shape.rows);
        Ok(Box::new(Ring { info, method: method(params), cost, threads, rows, remarks }))
    }
}

impl Stage for Ring {
    fn info(&self) -> &'static StageInfo {
        self.info
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        let one = self.method.scratch_bytes(input.dims[0], input.dims[1]);
        Ok(StagePlan {
            scratch_bytes: one * self.threads.min(input.rows) as u64,
            cost_per_row: cost(input, self.cost),
            ..StagePlan::new(input)
        })
    }
    fn worker(&self, _: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(RingWorker(self)))
    }
}

impl Worker for RingWorker<'_> {
    fn process(&mut self, mut slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab> {
        let detector_rows: Vec<usize> =
            (0..slab.data.len_of(Axis(0))).map(|i| slab.detector_row(i, self.0.rows)).collect();
        let (pool, tick) = (run.context.pool(), &mut |fraction| run.tick(fraction));
        rings::rows(pool, slab.data.view_mut(), |s| self.0.method.apply(s), |i| detector_rows[i], tick)?;
        Ok(slab)
    }
    fn remarks(&self) -> Vec<String> {
        self.0.remarks.clone()
    }
}
