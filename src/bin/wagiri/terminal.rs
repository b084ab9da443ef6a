//! What a person sees while it runs: log lines, a progress bar, Ctrl-C.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use wagiri::{CancelFlag, Progress, Report};

struct Stderr;

impl log::Log for Stderr {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.level() <= log::Level::Info && metadata.target().starts_with("wagiri")
    }
    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            complain(record.args());
        }
    }
    fn flush(&self) {}
}

/// `println!`, but a reader that hangs up (`wagiri stages | head`) is no error.
macro_rules! say {
    ($($words:tt)*) => { $crate::terminal::print_line(format_args!($($words)*)) };
}
pub(crate) use say;

pub fn print_line(line: std::fmt::Arguments) {
    if let Err(e) = writeln!(std::io::stdout(), "{line}")
        && e.kind() != std::io::ErrorKind::BrokenPipe
        && !ANSWER_LOST.swap(true, Ordering::Relaxed)
    {
        complain(format_args!("the answer could not be written: {e}"));
    }
}

static ANSWER_LOST: AtomicBool = AtomicBool::new(false);

/// True if standard output could not take the answer.
pub fn answer_lost() -> bool {
    ANSWER_LOST.load(Ordering::Relaxed)
}

/// A line on standard error; a run does not fail because nobody can read it.
pub fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "wagiri: {line}");
}

/// Warnings and remarks of the library go to standard error.
pub fn init_logger() {
    // Fails only if called twice; the first logger stays.
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
}

/// A bar with the time left on a terminal, silent elsewhere; Ctrl-C stops the run and keeps finished slices.
pub fn progress(what: &str) -> Progress<'static> {
    let bar = ProgressBar::new(1000);
    let template = "{prefix} [{bar:40}] {msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    bar.set_prefix(what.to_owned());
    Progress::new(move |r: &Report| {
        bar.set_position((r.fraction * 1000.0) as u64);
        if r.total > 0 {
            let eta = r.eta.map_or(String::new(), |t| format!(", {} left", human_time(t.as_secs())));
            bar.set_message(format!("{}/{} slices{eta}", r.done, r.total));
        }
        if r.total > 0 && r.done == r.total {
            bar.finish_and_clear();
        }
        ControlFlow::Continue(())
    })
    .with_flag(stop_flag())
}

/// Shows nothing, but Ctrl-C stops it.
pub fn silent() -> Progress<'static> {
    Progress::silent().with_flag(stop_flag())
}

/// Set by Ctrl-C; one for the whole program.
fn stop_flag() -> CancelFlag {
    static FLAG: LazyLock<CancelFlag> = LazyLock::new(|| {
        let flag = CancelFlag::default();
        let on_signal = flag.clone();
        if let Err(e) = ctrlc::set_handler(move || on_signal.cancel()) {
            log::warn!("Ctrl-C will end the program at once: {e}");
        }
        flag
    });
    FLAG.clone()
}

/// `45 s`, `3 min 20 s`, `2 h 5 min`.
pub fn human_time(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `12 kB`, `3.4 MB`, `5.6 GB`.
pub fn human_bytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
