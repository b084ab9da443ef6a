//! ct-rec's programs: their own arguments, environment variables, output and log, over wagiri's chain.
//!
//! Where ct-rec is wrong, the right thing is done and one line on standard error says so.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use wagiri::chain::{AxisMethod, AxisOptions, RunOptions, find_axis};
use wagiri::geometry::Center;
use wagiri::io::{HipicOptions, ShotLog, open_hipic};
use wagiri::scan::ScanOptions;
use wagiri::{Chain, Context, ContextOptions, Error, Result};

use crate::terminal::{progress, say, silent};

/// One of ct-rec's programs, as called.
pub struct Program {
    name: String,
    kind: Kind,
    gpu: bool,
    filter: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// The whole volume: `raw Dr RC RA0 rec` or `raw Dr L1 C1 L2 C2 RA0 rec`.
    HpTg,
    /// One slice in the current folder: `layer {RC {Dr {RA0}}}`.
    CtRec,
}

/// The program of this name, `_P_F`: P = t (threads) or g (GPU), F = c, s or r.
pub fn find(name: &str) -> Option<Program> {
    let (rest, filter) = name.rsplit_once('_')?;
    let (stem, device) = rest.rsplit_once('_')?;
    let filter = match filter {
        "c" => "chesler",
        "s" => "shepp-logan",
        "r" => "ramp",
        _ => return None,
    };
    let kind = match stem {
        "hp_tg" => Kind::HpTg,
        "ct_rec" => Kind::CtRec,
        _ => return None,
    };
    let gpu = match device {
        "t" => false,
        "g" => true,
        _ => return None,
    };
    Some(Program { name: name.to_owned(), kind, gpu, filter })
}

impl Program {
    pub fn run(&self, arguments: &[String]) -> Result<()> {
        if self.gpu {
            let accepted = format!("this version has no GPU engine; use {}", self.name.replace("_g_", "_t_"));
            return Err(Error::unavailable(&self.name, accepted));
        }
        match self.kind {
            Kind::HpTg => self.hp_tg(arguments),
            Kind::CtRec => self.ct_rec(arguments),
        }
    }

    fn hp_tg(&self, a: &[String]) -> Result<()> {
        let usage = "expected: raw Dr RC RA0 rec, or raw Dr L1 C1 L2 C2 RA0 rec";
        let (raw, rec) = match a {
            [raw, .., rec] if a.len() == 5 || a.len() == 8 => (Path::new(raw), Path::new(rec)),
            _ => return Err(Error::invalid(&self.name, usage).with("arguments", a.len())),
        };
        let pixel_um = self.number("Dr", &a[1])?;
        let scan = open_hipic(raw, &hipic_options()?, &ScanOptions::default())?;
        let height = scan.shape().rows as f64;
        let (center, rows) = if a.len() == 5 {
            (Center::Fixed(self.number("RC", &a[2])?), None)
        } else {
            let (l1, c1) = (self.number("L1", &a[2])?.trunc(), self.number("C1", &a[3])?);
            let (l2, c2) = (self.number("L2", &a[4])?.trunc(), self.number("C2", &a[5])?);
            if l2 < l1 || l2 < 0.0 || l1 >= height {
                let accepted = format!("expected slices L1 to L2 within 0..{}", height - 1.0);
                return Err(Error::invalid(&self.name, accepted).with("L1", l1).with("L2", l2));
            }
            let line = Center::Line { row0: l1, px0: c1, row1: l2, px1: c2 };
            let center = if l1 == l2 { Center::Fixed(c1) } else { line };
            (center, Some(l1.max(0.0) as usize..l2.min(height - 1.0) as usize + 1))
        };
        let kernel = kernel_size();
        let chain = self.chain(center, pixel_um, self.number("RA0", &a[a.len() - 2])?, &kernel, "")?;
        let context = context()?;
        let options =
            RunOptions { rows, slab_rows: whole("HPTG_CHUNK_ROWS"), artist: Some("hp_tg".into()), ..of_ct_rec() };
        let summary = chain.run(&context, &scan, rec, &options, &mut progress("hp_tg"))?;
        print_remarks(&summary.remarks);
        for z in summary.rows.clone() {
            say!("{z}\t{}", description(&rec.join(format!("rec{z:05}.tif")))?);
        }
        let chunks = summary.rows.len().div_ceil(summary.slab_rows);
        self.log_command(Path::new("."), a, &format!("   % kernel_size {kernel}   % chunks {chunks}"))
    }

    fn ct_rec(&self, a: &[String]) -> Result<()> {
        if a.is_empty() || a.len() > 4 {
            return Err(Error::invalid(&self.name, "expected: layer {RC {Dr {RA0}}}").with("arguments", a.len()));
        }
        let here = Path::new(".");
        let scan = open_hipic(here, &hipic_options()?, &ScanOptions::default())?;
        let layer: usize = a[0].parse().ok().filter(|l| *l < scan.shape().rows).ok_or_else(|| {
            let accepted = format!("expected a layer from 0 to {}", scan.shape().rows - 1);
            Error::invalid(&self.name, accepted).with("layer", format!("'{}'", a[0]))
        })?;
        let context = context()?;
        let rows = layer..layer + 1;
        let center = match a.get(1) {
            Some(text) => Center::Fixed(self.number("RC", text)?),
            None => {
                let options =
                    AxisOptions { method: AxisMethod::Rmsd, rows: Some(rows.clone()), ..AxisOptions::default() };
                let found = find_axis(&context, &scan, &options, &mut silent());
                found.map_err(|e| e.with("otherwise", format!("{} {layer} RC", self.name)))?.center
            }
        };
        let pixel_um = a.get(2).map_or(Ok(1.0), |t| self.number("Dr", t))?;
        let angle_deg = a.get(3).map_or(Ok(0.0), |t| self.number("RA0", t))?;
        let kernel = kernel_size();
        let chain = self.chain(center, pixel_um, angle_deg, &kernel, "black=row air=edges")?;
        let options = RunOptions { rows: Some(rows), slab_rows: None, artist: Some("ct_rec".into()), ..of_ct_rec() };
        let summary = chain.run(&context, &scan, here, &options, &mut progress("ct_rec"))?;
        print_remarks(&summary.remarks);
        let file = format!("rec{layer:05}.tif");
        say!("{file}\t{}", description(&here.join(&file))?);
        self.log_command(Path::new(".."), a, &format!("   % kernel_size {kernel}"))
    }

    fn number(&self, name: &'static str, text: &str) -> Result<f64> {
        let value = text.parse().ok().filter(|v: &f64| v.is_finite());
        value.ok_or_else(|| {
            Error::invalid(&self.name, format!("{name}: expected a number")).with("value", format!("'{text}'"))
        })
    }

    fn chain(&self, center: Center, pixel_um: f64, angle_deg: f64, kernel: &str, normalise: &str) -> Result<Chain> {
        let floor = positive("CT_REC_BLACK_THRESH", 2.0, f64::MAX);
        let fraction = positive("CT_REC_BLACK_FRAC", 0.5, 1.0);
        let pad = variable("PAD_THRESH").map_or(0.3, |t| leading_number("PAD_THRESH", &t));
        let pad = if pad > 0.0 { format!("pad=slice pad_threshold={pad}") } else { "pad=off".into() };
        let mut text = format!("normalise floor_counts={floor} black_fraction={fraction} {normalise}");
        let _ = write!(text, " | ring.sort kernel_px={kernel} | recon.fbp filter={} center_px={center}", self.filter);
        let _ = write!(text, " pixel_um={pixel_um} angle_offset_deg={angle_deg} {pad} engine=direct");
        Chain::parse(&wagiri::chain::Registry::built_in(), &text)
    }

    /// Appends the line that ct-rec's programs leave in `cmd-hst.log`. The slices are finished by then: a log that
    /// cannot be written is a warning.
    fn log_command(&self, folder: &Path, arguments: &[String], trailer: &str) -> Result<()> {
        let path: PathBuf = folder.join("cmd-hst.log");
        let line = std::iter::once(&self.name).chain(arguments).fold(String::new(), |text, word| text + word + " ");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        if let Err(e) = file.and_then(|mut f| writeln!(f, "{line}{trailer}")) {
            log::warn!("{}: the command could not be logged: {e}", path.display());
        }
        Ok(())
    }
}

/// ct-rec's programs leave nothing but slices and a log, and its users run several of them into one folder.
fn of_ct_rec() -> RunOptions {
    RunOptions { unrecorded: true, ..RunOptions::default() }
}

fn print_remarks(remarks: &[String]) {
    for remark in remarks {
        log::info!("{remark}");
    }
}

/// The six fields that were written into a slice.
fn description(path: &Path) -> Result<String> {
    wagiri::io::read_description(path)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.trim().is_empty())
}

/// A number at the start of the text, as C's `atof` reads it: anything else is 0, which ct-rec does silently.
fn leading_number(name: &str, text: &str) -> f64 {
    let text = text.trim();
    let ends = (0..=text.len()).rev().filter(|&i| text.is_char_boundary(i));
    let value = ends.filter_map(|i| text[..i].parse::<f64>().ok()).find(|v| v.is_finite());
    value.unwrap_or_else(|| {
        log::warn!("{name}={text} is not a number: taken as 0, as ct-rec does");
        0.0
    })
}

fn positive(name: &str, default: f64, max: f64) -> f64 {
    let Some(text) = variable(name) else { return default };
    let value = leading_number(name, &text);
    if value > 0.0 && value <= max {
        return value;
    }
    log::warn!("{name}={text} must be greater than 0: {default} used");
    default
}

fn whole(name: &str) -> Option<usize> {
    let value = leading_number(name, &variable(name)?);
    (value >= 1.0).then_some(value as usize)
}

/// `KERNEL_SIZE`: 0 or 1 is off, negative falls back to 5.
fn kernel_size() -> String {
    let value = variable("KERNEL_SIZE").map_or(5.0, |t| leading_number("KERNEL_SIZE", &t)).trunc();
    if value < 0.0 {
        log::warn!("KERNEL_SIZE must not be negative: 5 used");
        return "5".into();
    }
    value.to_string()
}

/// Threads and memory from `CBP_THREADS` and the `HPTG_` variables.
fn context() -> Result<Context> {
    let threads = whole("CBP_THREADS");
    let limit = variable("HPTG_MEM_LIMIT_MB").map(|t| leading_number("HPTG_MEM_LIMIT_MB", &t));
    let memory_bytes = limit.filter(|mb| *mb > 0.0).map(|mb| (mb * 1048576.0) as u64);
    let context = Context::new(ContextOptions { threads, memory_bytes, ..ContextOptions::default() })?;
    let fraction = variable("HPTG_MEM_FRACTION").map(|t| leading_number("HPTG_MEM_FRACTION", &t));
    match fraction {
        // The default budget is half of what is free.
        Some(part) if memory_bytes.is_none() && part > 0.05 && part <= 0.95 => {
            let memory_bytes = Some((context.memory_bytes() as f64 * 2.0 * part) as u64);
            Context::new(ContextOptions { threads, memory_bytes, ..ContextOptions::default() })
        }
        Some(part) if memory_bytes.is_none() => {
            log::warn!("HPTG_MEM_FRACTION={part} is not within 0.05 to 0.95: not used");
            Ok(context)
        }
        _ => Ok(context),
    }
}

/// `RHP_O` (log, `-` is standard input), `RHP_D` (dark file) and `RHP_Q` (first letter of the frame names).
fn hipic_options() -> Result<HipicOptions> {
    let mut options = HipicOptions { even_angles: true, ..HipicOptions::default() };
    match variable("RHP_O") {
        Some(name) if name.starts_with('-') => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|e| Error::io("standard input", "read the log", e))?;
            options.shots = Some(ShotLog::parse(&text, "standard input")?);
        }
        name => options.log = name.map(PathBuf::from),
    }
    options.dark_name = variable("RHP_D");
    if let Some(letter) = variable("RHP_Q") {
        let first = letter.chars().next().filter(char::is_ascii_alphabetic);
        options.letter = first.ok_or_else(|| Error::invalid("RHP_Q", "expected a letter").with("value", letter))?;
    }
    Ok(options)
}
