//! Tries a plugin out, for its author: does it load, does each stage keep the contract.
//!
//! Stages run on small slabs of reproducible numbers. What cannot be found out is whether a plugin writes where it must
//! not; a stage that crashes takes the process with it, and the log names it.

use super::{load, loader};
use crate::chain::{ParamInfo, ParamKind, Params, Run, Setup, Stage, StageFactory, StagePlan};
use crate::context::{Context, ContextOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::geometry::{Center, Geometry, uniform_angles};
use crate::progress::Progress;
use crate::scan::ScanShape;
use crate::slab::{Domain, Halo, Slab, SlabShape};
use ndarray::{Array3, Axis, concatenate};
use std::fmt::{self, Display};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

/// Slab heights that must give the same bits as all rows at once.
const HEIGHTS: [usize; 3] = [1, 3, 7];
/// Rows and inner dimensions that a stage is tried on; it may refuse all but the first.
const SHAPES: [[usize; 3]; 3] = [[12, 16, 24], [5, 9, 7], [1, 1, 1]];
/// Longer a stage is not waited for with unusual values of its parameters; it is asked to stop.
const PATIENCE: Duration = Duration::from_secs(5);
/// A larger slab, or more scratch memory, is not tried.
const MOST_BYTES: u64 = 1 << 30;
/// Choices that are tried of each parameter.
const MOST_CHOICES: usize = 16;

/// The outcome of one check.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The file, or a stage id.
    pub place: String,
    /// What was checked, or what is wrong; one line.
    pub text: String,
    /// The contract is kept.
    pub good: bool,
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", if self.good { "ok  " } else { "FAIL" }, self.place, self.text)
    }
}

/// Loads the plugin at `path` and tries each of its stages: its description, its defaults and the ends of its parameters,
/// several shapes and slab heights (the same bits), one and many threads (the same bits), zeros, a wish to stop. Pixels that
/// are not numbers or not written, and failures without a reason, are found on the way.
///
/// `tell` gets each finding as it is made, so that those before a crash are not lost: the first of a stage before any of its
/// functions is called. Returns all of them.
pub fn check_plugin(path: &Path, tell: &mut dyn FnMut(&Finding)) -> Vec<Finding> {
    let mut report = Report { place: path.display().to_string(), tell, findings: Vec::new() };
    // Its errors begin with the path, which is the place already.
    let stages = match load(path).and_then(|plugin| Ok((plugin.stages, Contexts::new()?))) {
        Err(e) => {
            let text = e.to_string();
            let text = text.strip_prefix(&format!("{}: ", report.place)).map(str::to_owned).unwrap_or(text);
            report.add(Err(text));
            return report.findings;
        }
        Ok(stages) => stages,
    };
    let (stages, contexts) = stages;
    // Loads it a second time, which the system only counts.
    if let Ok((_, entry)) = loader::open(path) {
        let ids: Vec<&str> = stages.iter().map(|s| s.info().id).collect();
        let version = (entry.abi >> 16, entry.abi & 0xffff);
        report.add(Ok(format!("interface {}.{}, stages {}", version.0, version.1, ids.join(", "))));
    }
    for factory in &stages {
        report.place = factory.info().id.to_owned();
        Trial { factory: &**factory, contexts: &contexts }.all(&mut report);
    }
    report.findings
}

type Outcome = std::result::Result<String, String>;

struct Report<'t> {
    place: String,
    tell: &'t mut dyn FnMut(&Finding),
    findings: Vec<Finding>,
}

impl Report<'_> {
    /// True if it was good.
    fn add(&mut self, outcome: Outcome) -> bool {
        let good = outcome.is_ok();
        let (Ok(text) | Err(text)) = outcome;
        // A line each, whatever the plugin wrote.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let finding = Finding { place: self.place.clone(), text, good };
        (self.tell)(&finding);
        self.findings.push(finding);
        good
    }
}

struct Contexts {
    one: Context,
    many: Context,
}

impl Contexts {
    fn new() -> Result<Self> {
        let context = |threads| Context::new(ContextOptions { threads: Some(threads), ..Default::default() });
        Ok(Contexts { one: context(1)?, many: context(4)? })
    }
}

/// How a volume is cut: rows that are surveyed and rows that are processed at a time.
#[derive(Clone, Copy)]
struct Cut {
    survey: usize,
    process: usize,
}

impl Cut {
    const ALL: Cut = Cut { survey: usize::MAX, process: usize::MAX };
}

struct Trial<'a> {
    factory: &'a dyn StageFactory,
    contexts: &'a Contexts,
}

impl Trial<'_> {
    fn all(&self, report: &mut Report) {
        report.add(self.parameters());
        let params = Params::defaults(self.factory.info());
        let one = &self.contexts.one;
        let data = self.noise(SHAPES[0]);
        let stage = match self.create(&params, SHAPES[0]) {
            Ok(stage) => stage,
            Err(e) => {
                report.add(Err(format!("create fails with the defaults: {}", words(&e))));
                return;
            }
        };
        let whole = match self.go(&*stage, one, &data, Cut::ALL) {
            Ok(whole) => whole,
            Err(e) => {
                report.add(Err(format!("with the defaults and {} voxels: {}", size(SHAPES[0]), words(&e))));
                return;
            }
        };
        report.add(Ok(format!("runs with its defaults, every pixel of {} is a number", size(SHAPES[0]))));
        report.add(self.heights(&*stage, &data, &whole));
        report.add(self.threads(&*stage, &data, &whole));
        report.add(self.shapes(&params));
        report.add(self.ends());
        report.add(self.cancel(&*stage, data));
    }

    fn create(&self, params: &Params, [rows, views, cols]: [usize; 3]) -> Result<Box<dyn Stage>> {
        let angles_rad = uniform_angles(views, 0.0, std::f64::consts::PI);
        let geometry = Geometry { angles_rad, center: Center::Fixed((cols as f64 - 1.0) / 2.0), pixel_um: 1.0 };
        let shape = ScanShape { views, rows, cols, flats: 1 };
        self.factory.create(params, &Setup { shape, geometry, edge_over_mean: 0.0, threads: 4 })
    }

    /// Numbers as they occur in the domain of the stage; the same for the same shape.
    fn noise(&self, shape: [usize; 3]) -> Array3<f32> {
        let (low, width) = match self.factory.info().input {
            Domain::Counts => (100.0, 4000.0),
            Domain::Sinogram => (-0.1, 3.0),
            Domain::Volume => (-0.5, 3.0),
        };
        // Knuth's MMIX constants.
        let mut state = 20_240_229u64;
        Array3::from_shape_simple_fn(shape, || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            low + width * (state >> 40) as f32 / (1u64 << 24) as f32
        })
    }

    /// All rows through the stage.
    fn go(&self, stage: &dyn Stage, ctx: &Context, data: &Array3<f32>, cut: Cut) -> Result<Array3<f32>> {
        let begun = Instant::now();
        let stop = |_: &_| if begun.elapsed() > PATIENCE { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        self.go_with(stage, ctx, data, cut, &mut Progress::new(stop))
    }

    fn go_with(
        &self,
        stage: &dyn Stage,
        ctx: &Context,
        data: &Array3<f32>,
        cut: Cut,
        progress: &mut Progress,
    ) -> Result<Array3<f32>> {
        let (id, domain, count) = (stage.info().id, stage.info().input, data.len_of(Axis(0)));
        let dims = [data.shape()[1], data.shape()[2]];
        let plan = |rows| stage.plan(SlabShape { domain, rows, dims });
        let halo = plan(1)?.halo;
        let around = halo.below + halo.above;
        let planned = plan(cut.process.min(count) + around)?;
        refuse_large(id, &planned, around, dims)?;
        let mut worker = stage.worker(&planned)?;
        let mut run = Run::single(ctx, progress, count);
        let rows = |from: isize, to: isize| {
            let rows: Vec<usize> = (from..to).map(|row| row.clamp(0, count as isize - 1) as usize).collect();
            data.select(Axis(0), &rows)
        };
        let slab = |own: std::ops::Range<usize>, halo: Halo| Slab {
            data: rows(own.start as isize - halo.below as isize, (own.end + halo.above) as isize),
            domain,
            first_row: own.start,
            halo,
            references: None,
        };
        let bands =
            |height: usize| (0..count).step_by(height.min(count)).map(move |a| a..(a + height.min(count)).min(count));
        if stage.surveys() {
            for own in bands(cut.survey) {
                worker.survey(&slab(own, Halo::default()), &mut run)?;
            }
            worker.survey_done(&mut run)?;
        }
        let mut parts = Vec::new();
        for own in bands(cut.process) {
            let part = worker.process(slab(own.clone(), halo), &mut run)?;
            if part.own_rows() != own {
                return Err(Error::internal(id, "rows were lost"));
            }
            parts.push(part.data);
        }
        let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
        concatenate(Axis(0), &views).map_err(|e| Error::plugin(id, format!("the parts do not fit: {e}")))
    }

    /// wagiri keeps nonsense away from the stage; this makes sure of it.
    fn parameters(&self) -> Outcome {
        let info = self.factory.info();
        let mut params = Params::defaults(info);
        for p in info.params.iter().filter(|p| matches!(p.kind, ParamKind::Int | ParamKind::Float)) {
            let outside =
                p.range.map_or(Vec::new(), |(low, high)| vec![low - low.abs() - 1.0, high + high.abs() + 1.0]);
            let outside = outside.into_iter().filter(|v| v.is_finite()).map(|v| v.to_string());
            for text in ["nan".to_owned(), "inf".into(), "-inf".into(), String::new()].into_iter().chain(outside) {
                if params.set_text(p.name, &text).is_ok() {
                    return Err(format!("{} = '{text}' would reach the stage", p.name));
                }
            }
        }
        Ok(match info.params.len() {
            0 => "takes no parameters".into(),
            n => format!("{}; NaN and what is out of range are kept away from it", count(n, "parameter")),
        })
    }

    fn heights(&self, stage: &dyn Stage, data: &Array3<f32>, whole: &Array3<f32>) -> Outcome {
        let mut cuts: Vec<Cut> = HEIGHTS.iter().map(|&h| Cut { survey: h, process: h }).collect();
        if stage.surveys() {
            cuts.extend(HEIGHTS.map(|h| Cut { survey: h, process: usize::MAX }));
        }
        for cut in cuts {
            let height = cut.survey;
            let out = self.go(stage, &self.contexts.many, data, cut);
            let out = out.map_err(|e| format!("with slabs of {height} rows: {}", words(&e)))?;
            if let Some(at) = first_difference(&out, whole) {
                return Err(format!("slabs of {height} rows give other pixels than all rows at once, first at {at}"));
            }
        }
        let survey = if stage.surveys() { ", surveyed and" } else { "" };
        Ok(format!("slabs of 1, 3, 7 and all rows{survey} processed: the same bits"))
    }

    fn threads(&self, stage: &dyn Stage, data: &Array3<f32>, whole: &Array3<f32>) -> Outcome {
        let Contexts { one, many } = self.contexts;
        let again = |ctx| self.go(stage, ctx, data, Cut::ALL);
        // Two runs of one stage at a time: its own state is shared, its workers are not.
        let both = std::thread::scope(|scope| {
            let other = scope.spawn(|| again(one));
            [again(many), other.join().unwrap_or_else(|_| Err(Error::internal("check", "a thread panicked")))]
        });
        for (out, what) in both.into_iter().zip(["on several threads", "a second time"]) {
            let out = out.map_err(|e| format!("{what}: {}", words(&e)))?;
            if let Some(at) = first_difference(&out, whole) {
                return Err(format!("{what} it gives other pixels, first at {at}"));
            }
        }
        Ok("one and several threads, two runs at a time: the same bits".into())
    }

    /// Other shapes and zeros; a stage may refuse them, with a reason.
    fn shapes(&self, params: &Params) -> Outcome {
        let mut refused = Vec::new();
        let zeros = [Array3::zeros(SHAPES[0])];
        for data in SHAPES[1..].iter().map(|shape| self.noise(*shape)).chain(zeros) {
            let shape = [data.shape()[0], data.shape()[1], data.shape()[2]];
            let what = if shape == SHAPES[0] { "zeros".into() } else { size(shape) };
            let out =
                self.create(params, shape).and_then(|stage| self.go(&*stage, &self.contexts.many, &data, Cut::ALL));
            if let Err(e) = out {
                let reason = lawful(&e).map_err(|e| format!("with {what}: {e}"))?;
                refused.push(format!("{what} ({reason})"));
            }
        }
        let runs = format!("runs with zeros and with {} and {}", size(SHAPES[1]), size(SHAPES[2]));
        Ok(if refused.is_empty() { runs } else { format!("refuses {}", refused.join(", ")) })
    }

    /// The ends of the range of each parameter and all of its words; a stage may refuse them, with a reason.
    fn ends(&self) -> Outcome {
        let info = self.factory.info();
        let data = self.noise(SHAPES[0]);
        let (mut tried, mut remarks) = (0, Vec::new());
        for p in info.params {
            for text in values(p) {
                let mut params = Params::defaults(info);
                let what = format!("{}={text}", p.name);
                params.set_text(p.name, &text).map_err(|e| format!("{what}: {e}"))?;
                tried += 1;
                log::debug!("{}: the check runs it with {what}", info.id);
                let stage = self.create(&params, SHAPES[0]);
                if let Err(e) = stage.and_then(|stage| self.go(&*stage, &self.contexts.many, &data, Cut::ALL)) {
                    let reason = lawful(&e).map_err(|e| format!("with {what}: {e}"))?;
                    remarks.push(format!("{what} ({reason})"));
                }
            }
        }
        if tried == 0 {
            return Ok("has no parameters with ends to try".into());
        }
        let runs = format!("runs with {} at the ends of its parameters", count(tried, "value"));
        Ok(if remarks.is_empty() { runs } else { format!("{runs}, or says why not: {}", remarks.join(", ")) })
    }

    fn cancel(&self, stage: &dyn Stage, data: Array3<f32>) -> Outcome {
        let mut progress = Progress::silent();
        progress.flag().cancel();
        match self.go_with(stage, &self.contexts.many, &data, Cut::ALL, &mut progress) {
            Err(e) if e.kind() == ErrorKind::Cancelled => Ok("stops when it is asked to".into()),
            Err(e) => Err(format!("a wish to stop ends in an error: {}", words(&e))),
            Ok(_) => Err("goes on after a wish to stop".into()),
        }
    }
}

/// Values worth a try.
fn values(p: &ParamInfo) -> Vec<String> {
    let mut values: Vec<String> = match p.kind {
        ParamKind::Int | ParamKind::Float => {
            let ends = p.range.map_or(Vec::new(), |(low, high)| vec![low, high]);
            ends.into_iter().filter(|v| v.is_finite()).map(|v| v.to_string()).collect()
        }
        ParamKind::Bool => ["true", "false"].map(String::from).into(),
        ParamKind::Choice(words) => words.iter().take(MOST_CHOICES).map(|w| w.to_string()).collect(),
        // Free text may name a file.
        ParamKind::Text => Vec::new(),
    };
    if p.auto {
        values.push("auto".into());
    }
    // The ends of a range of whole numbers may lie between them.
    values.retain(|text| crate::chain::parse_param("", p, text).is_ok());
    values
}

fn refuse_large(id: &str, plan: &StagePlan, around: usize, dims: [usize; 2]) -> Result<()> {
    let row = 4 * (dims[0] * dims[1]) as u64;
    let input = row * (plan.output.rows + around) as u64;
    let output = plan.output.row_bytes().saturating_mul(plan.output.rows as u64);
    let bytes = input.saturating_add(output).saturating_add(plan.scratch_bytes);
    if bytes > MOST_BYTES {
        return Err(Error::limit(id, "needs more memory than the check gives").with("bytes", bytes));
    }
    Ok(())
}

/// What a stage may say: that it refuses, with a reason. Pixels that are no numbers, failures without a reason and the like
/// are not lawful.
fn lawful(e: &Error) -> std::result::Result<String, String> {
    let text = words(e);
    match e.kind() {
        ErrorKind::Cancelled => Ok(format!("stopped after {} s", PATIENCE.as_secs())),
        ErrorKind::Internal => Err(text),
        _ if super::BREACHES.iter().any(|breach| text.contains(breach)) => Err(text),
        _ => Ok(text),
    }
}

/// An error without the id in front, which the finding has already.
fn words(e: &Error) -> String {
    let text = e.to_string();
    text.split_once(": ").map_or(text.clone(), |(_, rest)| rest.to_owned())
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn size([rows, a, b]: [usize; 3]) -> String {
    format!("{rows} x {a} x {b}")
}

fn first_difference(a: &Array3<f32>, b: &Array3<f32>) -> Option<String> {
    if a.shape() != b.shape() {
        return Some(format!("the shape, {:?} and {:?}", a.shape(), b.shape()));
    }
    let mut both = a.indexed_iter().zip(b.iter());
    both.find(|((_, a), b)| a.to_bits() != b.to_bits()).map(|((at, a), b)| format!("{at:?}: {a} and {b}"))
}
