//! The programs of ct-rec and slice under their own names: their arguments, environment variables, output and log, over
//! wagiri's chains. `wagiri NAME ARGS`, or a link of that name.
//!
//! Each program describes itself once, in the table of its group: dispatch, usage lines, `wagiri compat` and the tables of
//! `docs/ct-rec.md` follow from that. Where ct-rec is wrong the right thing is done, and one line on standard error says so.

mod again;
mod axis;
mod batch;
mod environment;
mod filters;
mod frames;
mod gaussians;
mod guide;
mod install;
mod offset;
mod own;
mod projections;
mod recon;
mod series;
mod slices;
mod slicewise;
mod stacking;
mod volume;

pub use guide::{print_list, print_markdown, print_one};
pub use install::install;
pub use own::AS;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use wagiri::{Error, Result};

/// One of the old programs.
pub struct Program {
    /// Name without the endings of `variants`.
    pub stem: &'static str,
    /// Endings that the name takes.
    pub variants: Variants,
    /// Its arguments, a form each, in ct-rec's words: `raw Dr RC RA0 rec`.
    pub usage: &'static [&'static str],
    /// What it does, a line.
    pub does: &'static str,
    /// A chain or command of wagiri that does the same.
    pub same_as: &'static str,
    /// What differs from ct-rec and why, or empty.
    pub differs: &'static str,
    /// How far it is reproduced, and on which data this is checked.
    pub checked: &'static str,
    pub run: fn(&Call) -> Result<()>,
}

/// Endings of the name of a program.
#[derive(Clone, Copy, PartialEq)]
pub enum Variants {
    /// None.
    Plain,
    /// None, or `_g` for a graphics card.
    Gpu,
    /// `_c`, `_s`, `_r` for the filter, after an optional `_g` or `_t`.
    Filter,
    /// `_t` or `_g` (threads or graphics card), then `_c`, `_s` or `_r` for the filter.
    DeviceFilter,
}

/// All programs by group, in the order of the guide.
const GROUPS: [(&str, &[Program]); 9] = [
    ("Reconstruction", recon::PROGRAMS),
    ("Offset scans", offset::PROGRAMS),
    ("Sinograms and projections", projections::PROGRAMS),
    ("Volumes of 32 bits", volume::PROGRAMS),
    ("Filters", filters::PROGRAMS),
    ("Volumes of 8 and 16 bits", slices::PROGRAMS),
    ("Raw frames", frames::PROGRAMS),
    ("Series of scans", series::PROGRAMS),
    ("Batches over series", batch::PROGRAMS),
];

fn programs() -> impl Iterator<Item = &'static Program> {
    GROUPS.iter().flat_map(|(_, programs)| programs.iter())
}

/// A program as it was called.
pub struct Call {
    pub program: &'static Program,
    /// The name that was used, endings included.
    pub name: String,
    /// A graphics card was asked for.
    pub gpu: bool,
    /// Name of the filter in chains, for programs with such an ending.
    pub filter: &'static str,
    /// What follows the name.
    pub args: Vec<String>,
}

/// The program of this name, called with `args`.
///
/// The endings `.sh` and `.bat` of the old scripts may be there.
pub fn find(name: &str, args: &[String]) -> Option<Call> {
    let name = name.strip_suffix(".sh").or_else(|| name.strip_suffix(".bat")).unwrap_or(name);
    programs().find_map(|program| {
        let (gpu, filter) = program.endings(name)?;
        Some(Call { program, name: name.to_owned(), gpu, filter, args: args.to_vec() })
    })
}

impl Program {
    /// Whether a graphics card is asked for and the filter, if `name` is one of this program's.
    fn endings(&self, name: &str) -> Option<(bool, &'static str)> {
        let rest = name.strip_prefix(self.stem)?;
        if matches!(self.variants, Variants::Plain | Variants::Gpu) {
            let gpu = rest == "_g" && self.variants == Variants::Gpu;
            return (gpu || rest.is_empty()).then_some((gpu, "chesler"));
        }
        let (device, filter) = rest.split_at_checked(rest.len().checked_sub(2)?)?;
        let filter = match filter {
            "_c" => "chesler",
            "_s" => "shepp-logan",
            "_r" => "ramp",
            _ => return None,
        };
        match device {
            "_t" => Some((false, filter)),
            "_g" => Some((true, filter)),
            "" if self.variants == Variants::Filter => Some((false, filter)),
            _ => None,
        }
    }
    /// Every name that it answers to.
    pub fn names(&self) -> Vec<String> {
        let endings: &[&str] = match self.variants {
            Variants::Plain => &[""],
            Variants::Gpu => &["", "_g"],
            Variants::Filter => &["_c", "_s", "_r", "_t_c", "_t_s", "_t_r", "_g_c", "_g_s", "_g_r"],
            Variants::DeviceFilter => &["_t_c", "_t_s", "_t_r", "_g_c", "_g_s", "_g_r"],
        };
        endings.iter().map(|ending| format!("{}{ending}", self.stem)).collect()
    }
    /// The name with its endings in short: `hp_tg_P_F`.
    pub fn pattern(&self) -> String {
        let ending = match self.variants {
            Variants::Plain => "",
            Variants::Gpu => "(_g)",
            Variants::Filter => "(_P)_F",
            Variants::DeviceFilter => "_P_F",
        };
        format!("{}{ending}", self.stem)
    }
}

impl Call {
    pub fn run(&self) -> Result<()> {
        if self.gpu {
            environment::no_gpu();
        }
        (self.program.run)(self)
    }
    /// The error of a call with the wrong number of arguments: ct-rec's usage line.
    pub fn usage(&self) -> Error {
        let forms = self.program.usage.iter().map(|form| format!("{} {form}", self.name).trim_end().to_owned());
        let message = format!("usage: {}", forms.collect::<Vec<_>>().join(", or "));
        Error::invalid(&self.name, message).with("arguments", self.args.len())
    }
    /// Argument `index`, or the usage error.
    pub fn arg(&self, index: usize) -> Result<&str> {
        self.args.get(index).map(String::as_str).ok_or_else(|| self.usage())
    }
    /// Argument `index` as a finite number; `what` is its name in the usage line.
    pub fn number(&self, what: &'static str, index: usize) -> Result<f64> {
        let text = self.arg(index)?;
        let value = text.trim().parse().ok().filter(|v: &f64| v.is_finite());
        value.ok_or_else(|| {
            Error::invalid(&self.name, format!("{what}: expected a number")).with("value", format!("'{text}'"))
        })
    }
    /// Argument `index` as a whole number of at least `least`.
    pub fn whole(&self, what: &'static str, index: usize, least: i64) -> Result<i64> {
        let text = self.arg(index)?;
        text.trim().parse().ok().filter(|v| *v >= least).ok_or_else(|| {
            let message = format!("{what}: expected a whole number of at least {least}");
            Error::invalid(&self.name, message).with("value", format!("'{text}'"))
        })
    }
    /// One line on standard error: what ct-rec does wrong or silently, and what was done instead.
    pub fn remark(&self, text: impl std::fmt::Display) {
        log::info!("{}: {text}", self.name);
    }
    /// Appends the line that the program leaves in `folder/cmd-hst.log`. The work is finished by then: a log that cannot be
    /// written is a warning.
    pub fn log_command(&self, folder: &Path, trailer: &str) {
        let path = folder.join("cmd-hst.log");
        let line = std::iter::once(&self.name).chain(&self.args).fold(String::new(), |text, word| text + word + " ");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        if let Err(e) = file.and_then(|mut f| writeln!(f, "{line}{trailer}")) {
            log::warn!("{}: the command could not be logged: {e}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_with_their_endings_and_belong_to_one_program() {
        let call = find("hp_tg_g_s", &[]).expect("a program");
        assert_eq!((call.program.stem, call.gpu, call.filter), ("hp_tg", true, "shepp-logan"));
        for name in ["hp_tg", "hp_tg_t", "hp_tg_x_c", "hp_tg_t_x", "hp_tg_c", "", "ö_c"] {
            assert!(find(name, &[]).is_none(), "{name}");
        }
        for program in programs() {
            for name in program.names() {
                let found: Vec<&str> = programs().filter(|p| p.endings(&name).is_some()).map(|p| p.stem).collect();
                assert_eq!(found, [program.stem], "{name}");
            }
        }
    }
}
