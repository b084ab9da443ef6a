//! What a person or a program sees of a training: a bar, a line for each epoch, or JSON lines; Ctrl-C stops and saves.

use crate::json::Line;
use crate::terminal::{human_time, is_json, is_silent, json_line, stop_flag};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use wagiri::denoise::TrainReport;

/// Shown at most so often.
const INTERVAL: Duration = Duration::from_millis(200);

/// Watches a training.
pub fn watch() -> impl FnMut(&TrainReport) -> ControlFlow<()> {
    let (flag, terminal) = (stop_flag(), std::io::stderr().is_terminal());
    let bar = ProgressBar::new(1000);
    let style = ProgressStyle::with_template("train [{bar:40}] {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    let mut shown: Option<Instant> = None;
    move |report: &TrainReport| {
        let due = shown.is_none_or(|shown| shown.elapsed() >= INTERVAL);
        if is_json() {
            if report.epoch_done || due {
                shown = Some(Instant::now());
                json_line(&json(report));
            }
        } else if !is_silent() {
            if report.epoch_done {
                let line = epoch(report);
                // A bar that is not shown swallows lines.
                if terminal { bar.println(line) } else { log::info!("{line}") }
            }
            if due {
                shown = Some(Instant::now());
                bar.set_position((1000.0 * report.step as f64 / report.steps.max(1) as f64) as u64);
                bar.set_message(message(report));
            }
            if report.step == report.steps && report.epoch_done {
                bar.finish_and_clear();
            }
        }
        if flag.is_cancelled() {
            bar.finish_and_clear();
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

fn message(r: &TrainReport) -> String {
    let left = r.eta.map_or(String::new(), |eta| format!(", {} left", human_time(eta.as_secs())));
    let held_out = r.history.last().map_or(String::new(), |last| format!(", held out {:.4}", last.validation));
    format!("epoch {}/{}, step {}/{}, loss {:.4}{held_out}{left}", r.epoch, r.epochs, r.step, r.steps, r.loss)
}

fn epoch(r: &TrainReport) -> String {
    let Some(last) = r.history.last() else { return String::new() };
    let left = r.eta.map_or(String::new(), |eta| format!(", {} left", human_time(eta.as_secs())));
    format!(
        "epoch {}/{}: training loss {:.6}, held out {:.6}, {} so far{left}",
        last.epoch,
        r.epochs,
        last.training,
        last.validation,
        human_time(last.seconds as u64)
    )
}

fn json(r: &TrainReport) -> String {
    let seconds = |time: Duration| (time.as_secs_f64() * 1e3).round() / 1e3;
    let last = r.history.last();
    Line::event(if r.epoch_done { "epoch" } else { "training" })
        .number("epoch", r.epoch as f64)
        .number("epochs", r.epochs as f64)
        .number("step", r.step as f64)
        .number("steps", r.steps as f64)
        .number("loss", r.loss)
        .number("training_loss", last.map_or(f64::NAN, |last| last.training))
        .number("validation_loss", last.map_or(f64::NAN, |last| last.validation))
        .number("learning_rate", r.learning_rate)
        .number("elapsed_s", seconds(r.elapsed))
        .number("eta_s", r.eta.map_or(f64::NAN, seconds))
        .end()
}
