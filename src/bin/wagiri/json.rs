//! JSON lines on standard error, for programs that watch a run (`--progress json`). Fields: `docs/running.md`.

use std::fmt::Write as _;
use wagiri::{ERROR_TABLE, Error, PhaseTime, Report};

/// One object on one line; `{"event":"..."` is its beginning.
pub struct Line(String);

impl Line {
    pub fn event(name: &str) -> Self {
        Line("{".into()).text("event", name)
    }
    fn key(mut self, key: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0 += &quoted(key);
        self.0.push(':');
        self
    }
    pub fn text(self, key: &str, value: &str) -> Self {
        let mut line = self.key(key);
        line.0 += &quoted(value);
        line
    }
    /// What is not a finite number is `null`.
    pub fn number(self, key: &str, value: f64) -> Self {
        let mut line = self.key(key);
        // Writing to a String does not fail.
        let _ = if value.is_finite() { write!(line.0, "{value}") } else { write!(line.0, "null") };
        line
    }
    pub fn texts(self, key: &str, values: &[String]) -> Self {
        let mut line = self.key(key);
        let values: Vec<String> = values.iter().map(|v| quoted(v)).collect();
        let _ = write!(line.0, "[{}]", values.join(","));
        line
    }
    pub fn times(self, times: &[PhaseTime]) -> Self {
        let mut line = self.key("times_s");
        let fields: Vec<String> =
            times.iter().map(|t| format!("{}:{:.3}", quoted(t.id), t.time.as_secs_f64())).collect();
        let _ = write!(line.0, "{{{}}}", fields.join(","));
        line
    }
    pub fn end(self) -> String {
        self.0 + "}"
    }
}

/// How far a task is.
pub fn report(task: &str, r: &Report) -> String {
    Line::event("progress")
        .text("task", task)
        .number("done", r.done as f64)
        .number("total", r.total as f64)
        .number("fraction", round(r.fraction, 1e6))
        .number("elapsed_s", round(r.elapsed.as_secs_f64(), 1e3))
        .number("eta_s", r.eta.map_or(f64::NAN, |eta| round(eta.as_secs_f64(), 1e1)))
        .number("slices_per_s", round(r.rate, 1e4))
        .times(&r.times)
        .end()
}

/// Why the program ends.
pub fn error(e: &Error) -> String {
    let kind = ERROR_TABLE.iter().find(|row| row.0 == e.kind()).map_or("INTERNAL", |row| row.2);
    Line::event("error")
        .text("kind", kind)
        .number("exit_code", f64::from(e.kind().exit_code()))
        .text("text", &e.to_string())
        .end()
}

/// `value` in steps of one over `steps`.
fn round(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

/// A JSON string: quotes, backslashes and control characters escaped, everything else as it is (UTF-8).
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out += "\\n",
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
