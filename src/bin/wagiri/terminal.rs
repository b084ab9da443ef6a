//! What a person sees while it runs: log lines, a progress bar, Ctrl-C. Or a program: JSON lines instead.

use crate::json::{self, Line};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};
use wagiri::{CancelFlag, Error, PhaseTime, Progress, Report, Result};

struct Stderr;

impl log::Log for Stderr {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.level() <= log::max_level() && metadata.target().starts_with("wagiri")
    }
    fn log(&self, record: &log::Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if is_json() {
            let level = record.level().as_str().to_ascii_lowercase();
            json_line(&Line::event("message").text("level", &level).text("text", &record.args().to_string()).end());
        } else {
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

/// How progress is shown, for the whole program.
static SHOW: AtomicU8 = AtomicU8::new(AUTO);
const AUTO: u8 = 0;
const NONE: u8 = 1;
const JSON: u8 = 2;

/// Sets how progress is shown: `auto` (a bar if standard error is a terminal), `none` or `json`.
pub fn show_progress(word: &str) -> Result<()> {
    let how = match word {
        "auto" => AUTO,
        "none" => NONE,
        "json" => JSON,
        _ => {
            return Err(Error::invalid("--progress", "expected auto, none or json").with("value", format!("'{word}'")));
        }
    };
    SHOW.store(how, Ordering::Relaxed);
    Ok(())
}

/// True if standard error carries JSON lines and nothing else.
pub fn is_json() -> bool {
    SHOW.load(Ordering::Relaxed) == JSON
}

/// True if nothing is to be shown while it runs.
pub fn is_silent() -> bool {
    SHOW.load(Ordering::Relaxed) == NONE
}

/// One object on standard error.
pub fn json_line(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Tells why the program ends.
pub fn fail(e: &Error) {
    if is_json() { json_line(&json::error(e)) } else { complain(e) }
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

/// Sets from which level on lines are shown.
pub fn log_level(word: &str) -> Result<()> {
    let level = match word {
        "error" => log::LevelFilter::Error,
        "warn" => log::LevelFilter::Warn,
        "info" => log::LevelFilter::Info,
        "debug" => log::LevelFilter::Debug,
        _ => {
            let message = "expected error, warn, info or debug";
            return Err(Error::invalid("--log", message).with("value", format!("'{word}'")));
        }
    };
    log::set_max_level(level);
    Ok(())
}

/// A bar with rate and time left on a terminal, silent elsewhere, or JSON lines; Ctrl-C stops the run and keeps finished
/// slices.
pub fn progress(what: &str) -> Progress<'static> {
    counting(what, "slice")
}

/// The same for something else than slices.
pub fn counting(what: &str, thing: &'static str) -> Progress<'static> {
    match SHOW.load(Ordering::Relaxed) {
        NONE => silent(),
        JSON => json_progress(what.to_owned()),
        _ => bar(what, thing),
    }
}

/// A line at the start, then at most five a second, and one when all slices are done.
fn json_progress(task: String) -> Progress<'static> {
    const INTERVAL: Duration = Duration::from_millis(200);
    json_line(&Line::event("start").text("task", &task).text("version", wagiri::VERSION).end());
    let (mut shown, mut done) = (Instant::now(), 0);
    Progress::new(move |r: &Report| {
        let finished = r.total > 0 && r.done == r.total && done != r.done;
        if finished || shown.elapsed() >= INTERVAL {
            (shown, done) = (Instant::now(), r.done);
            json_line(&json::report(&task, r));
        }
        ControlFlow::Continue(())
    })
    .with_flag(stop_flag())
}

fn bar(what: &str, thing: &'static str) -> Progress<'static> {
    let bar = ProgressBar::new(1000);
    let template = "{prefix} [{bar:40}] {msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    bar.set_prefix(what.to_owned());
    Progress::new(move |r: &Report| {
        bar.set_position((r.fraction * 1000.0) as u64);
        if r.total > 0 {
            let eta = r.eta.map_or(String::new(), |t| format!(", {} left", human_time(t.as_secs())));
            let rate = if r.rate > 0.0 { format!(", {}", human_rate(r.rate, thing)) } else { String::new() };
            bar.set_message(format!("{}/{} {thing}s{rate}{eta}", r.done, r.total));
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
pub fn stop_flag() -> CancelFlag {
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

/// `read 3.2 s, recon.fbp 60.1 s`: what took more than a hundredth of the time, which is enough to see what limits a run.
pub fn human_times(times: &[PhaseTime]) -> String {
    let total: Duration = times.iter().map(|t| t.time).sum();
    let large = times.iter().filter(|t| 100 * t.time >= total);
    large.map(|t| format!("{} {:.1} s", t.id, t.time.as_secs_f64())).collect::<Vec<_>>().join(", ")
}

/// `3.2 slices/s`, or `12 s/slice` below one.
fn human_rate(rate: f64, thing: &str) -> String {
    if rate >= 1.0 { format!("{rate:.1} {thing}s/s") } else { format!("{:.1} s/{thing}", 1.0 / rate) }
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
