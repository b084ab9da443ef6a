//! The environment variables of ct-rec's programs.

use std::io::Read as _;
use std::path::PathBuf;
use wagiri::io::{HipicOptions, ShotLog};
use wagiri::{Context, ContextOptions, Error, Result};

/// The variable, unless it is missing or blank.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.trim().is_empty())
}

/// A number at the start of the text, as C's `atof` reads it: anything else is 0, which ct-rec does silently.
pub fn leading_number(name: &str, text: &str) -> f64 {
    let text = text.trim();
    let ends = (0..=text.len()).rev().filter(|&i| text.is_char_boundary(i));
    let value = ends.filter_map(|i| text[..i].parse::<f64>().ok()).find(|v| v.is_finite());
    value.unwrap_or_else(|| {
        log::warn!("{name}={text} is not a number: taken as 0, as ct-rec does");
        0.0
    })
}

/// A variable that must be greater than 0 and at most `max`.
pub fn positive(name: &str, default: f64, max: f64) -> f64 {
    let Some(text) = variable(name) else { return default };
    let value = leading_number(name, &text);
    if value > 0.0 && value <= max {
        return value;
    }
    log::warn!("{name}={text} must be greater than 0: {default} used");
    default
}

/// A variable that is a whole number of at least 1.
pub fn whole(name: &str) -> Option<usize> {
    let value = leading_number(name, &variable(name)?);
    (value >= 1.0).then_some(value as usize)
}

/// `KERNEL_SIZE`: 0 or 1 is off, negative falls back to 5.
pub fn kernel_size() -> String {
    let value = variable("KERNEL_SIZE").map_or(5.0, |t| leading_number("KERNEL_SIZE", &t)).trunc();
    if value < 0.0 {
        log::warn!("KERNEL_SIZE must not be negative: 5 used");
        return "5".into();
    }
    value.to_string()
}

/// `PAD_THRESH` as parameters of `recon.fbp`.
pub fn pad() -> String {
    let pad = variable("PAD_THRESH").map_or(0.3, |t| leading_number("PAD_THRESH", &t));
    if pad > 0.0 { format!("pad=slice pad_threshold={pad}") } else { "pad=off".into() }
}

/// `CT_REC_BLACK_THRESH` and `CT_REC_BLACK_FRAC` as parameters of `normalise`.
pub fn black() -> String {
    let floor = floor_counts();
    let fraction = positive("CT_REC_BLACK_FRAC", 0.5, 1.0);
    format!("floor_counts={floor} black_fraction={fraction}")
}

/// Compute threads from the variables of these names, the first that is there. ct-rec has threads for each of them, by default
/// far more than cores; here more than cores are asked for by `CBP_THREADS` alone.
fn threads(names: &[&str]) -> Option<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    names.iter().find_map(|name| {
        let threads = whole(name);
        if threads.is_none() && variable(name).is_some() {
            log::warn!("{name} must be a whole number of at least 1: not used");
        }
        threads.map(|threads| if *name == "CBP_THREADS" { threads } else { threads.min(cores) })
    })
}

/// Threads from `CBP_THREADS` or `OMP_NUM_THREADS`, and memory from the `HPTG_` variables.
pub fn context() -> Result<Context> {
    context_with(&["CBP_THREADS", "OMP_NUM_THREADS"])
}

/// [`context`] with threads from other variables.
pub fn context_with(names: &[&str]) -> Result<Context> {
    let threads = threads(names);
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

/// Tells that a graphics card was asked for, and `CUDA_GPU`.
pub fn no_gpu() {
    let device = variable("CUDA_GPU").map_or(String::new(), |device| format!(" (CUDA_GPU={device})"));
    log::info!("this version has no GPU engine{device}: computed on the CPU, with the same result");
}

/// Floor for signals, counts above dark.
pub fn floor_counts() -> f64 {
    positive("CT_REC_BLACK_THRESH", 2.0, f64::MAX)
}

/// For programs that do not read the `RHP_` variables.
pub fn plain_options() -> HipicOptions {
    HipicOptions { even_angles: true, ..HipicOptions::default() }
}

/// `RHP_O` (log, `-` is standard input), `RHP_D` (dark file) and `RHP_Q` (first letter of the frame names).
pub fn hipic_options() -> Result<HipicOptions> {
    let mut options = plain_options();
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
