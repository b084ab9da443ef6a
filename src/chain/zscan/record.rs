//! What a series is known by in its output folder: `wagiri-zscan.txt`, which steps were begun and with what, and `axes.txt`,
//! the axes, which people may correct.
//!
//! Both are small and replaced as a whole, so that a process that is killed leaves the old or the new one.

use super::series::name;
use crate::error::{Error, Result};
use crate::geometry::Center;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const TITLE: &str = "wagiri zscan 1";
/// Name of the record.
const RECORD: &str = "wagiri-zscan.txt";
/// Name of the list of axes.
pub const AXES: &str = "axes.txt";

fn replace(path: &Path, text: &str) -> Result<()> {
    let aside = path.with_extension("txt.part");
    let written = fs::write(&aside, text).and_then(|()| fs::rename(&aside, path));
    written.map_err(|e| {
        // The error that is reported is the one that matters.
        let _ = fs::remove_file(&aside);
        Error::io(path.display(), "write", e)
    })
}

/// Steps by name, each with what it depends on.
pub(super) struct Record {
    path: PathBuf,
    steps: Vec<(String, String)>,
}

impl Record {
    /// The record in `dir`, or an empty one unless `resume`.
    pub fn open(dir: &Path, resume: bool) -> Result<Record> {
        let path = dir.join(RECORD);
        let mut steps = Vec::new();
        if resume {
            let text = fs::read_to_string(&path).map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => {
                    let message =
                        format!("no series to continue: the folder has no {RECORD}; run without resume first");
                    Error::not_found(dir.display(), message)
                }
                _ => Error::io(path.display(), "read", e),
            })?;
            let mut lines = text.lines();
            if lines.next() != Some(TITLE) {
                let message = "not the record of a series, or damaged; run without resume to start over";
                return Err(Error::format(path.display(), message));
            }
            let pairs = lines.filter_map(|line| line.split_once(" = "));
            steps = pairs.map(|(step, key)| (step.to_owned(), key.to_owned())).collect();
        }
        let record = Record { path, steps };
        record.write()?;
        Ok(record)
    }
    fn write(&self) -> Result<()> {
        let mut text = format!("{TITLE}\n");
        for (step, key) in &self.steps {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{step} = {key}");
        }
        replace(&self.path, &text)
    }
    /// True if `step` was begun with this `key`.
    pub fn has(&self, step: &str, key: &str) -> bool {
        let key = one_line(key);
        self.steps.iter().any(|(s, k)| s == step && *k == key)
    }
    /// Notes that `step` is begun; false if it was begun with the same `key` before. Otherwise steps for which `follows` holds
    /// are forgotten, because they were made from what is now made anew.
    pub fn begin(&mut self, step: &str, key: &str, follows: impl Fn(&str) -> bool) -> Result<bool> {
        if self.has(step, key) {
            return Ok(false);
        }
        self.steps.retain(|(s, _)| s != step && !follows(s));
        self.steps.push((step.to_owned(), one_line(key)));
        self.write()?;
        Ok(true)
    }
}

fn one_line(key: &str) -> String {
    key.replace(['\n', '\r'], " ")
}

/// The axis of one scan.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesAxis {
    /// `None` if it was not found.
    pub center: Option<Center>,
    /// How it was found, or why not.
    pub note: String,
}

/// Writes the list of axes, which may be shorter than the series.
pub(super) fn write_axes(dir: &Path, axes: &[SeriesAxis]) -> Result<()> {
    let mut text = String::from(
        "# Rotation axis of each scan, px: a column, or row:px,row:px. Correct it here and continue with --resume: scans\n\
         # whose axis changed are made again.\n",
    );
    for (index, axis) in axes.iter().enumerate() {
        let center = axis.center.map_or("?".to_owned(), |center| center.to_string());
        let _ = writeln!(text, "{} {center} {}", name(index), one_line(&axis.note));
    }
    replace(&dir.join(AXES), &text)
}

/// Reads a list of axes: a line with number and axis for each scan, in order; what follows is a note. Blank lines and `#` are
/// passed over.
pub fn read_axes(path: &Path) -> Result<Vec<SeriesAxis>> {
    let text = fs::read_to_string(path).map_err(|e| Error::io(path.display(), "read", e))?;
    let mut axes = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = || {
            let message =
                format!("expected the axis of scan {}: its number, a column or row:px,row:px", axes.len() + 1);
            Error::format(path.display(), message).with("line", i + 1)
        };
        let (number, rest) = line.split_once(char::is_whitespace).ok_or_else(bad)?;
        let (center, note) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
        if number.parse::<usize>() != Ok(axes.len() + 1) {
            return Err(bad());
        }
        let center = if center == "?" { None } else { Some(center.parse::<Center>().map_err(|_| bad())?) };
        axes.push(SeriesAxis { center, note: note.trim().to_owned() });
    }
    Ok(axes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_come_back_and_mistakes_are_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let line = Center::Line { row0: 0.0, px0: 47.5, row1: 39.0, px1: 47.25 };
        let axis = |center, note: &str| SeriesAxis { center, note: note.into() };
        let axes = [axis(Some(Center::Fixed(47.5)), "line 0.9"), axis(Some(line), ""), axis(None, "too weak")];
        write_axes(dir.path(), &axes).expect("a file");
        let path = dir.path().join(AXES);
        assert_eq!(read_axes(&path).expect("axes"), axes);
        for (text, line) in [("1 47\n3 47\n", 2), ("# x\n\n1\n", 3), ("1 47 px\n2 4x\n", 2)] {
            fs::write(&path, text).expect("a file");
            let error = read_axes(&path).expect_err("a mistake").to_string();
            assert!(error.contains(&format!("line = {line}")), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_made_from_a_step_is_forgotten_with_it() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(Record::open(dir.path(), true).is_err());
        let mut record = Record::open(dir.path(), false).expect("a record");
        for (step, key) in [("scan 001", "a"), ("scan 002", "b"), ("whole", "c\nd")] {
            assert!(record.begin(step, key, |_| false).expect("it is new"));
        }
        let mut record = Record::open(dir.path(), true).expect("a record");
        assert!(!record.begin("scan 001", "a", |_| true).expect("it is the same") && record.has("whole", "c\nd"));
        assert!(record.begin("scan 002", "other", |step| step == "whole").expect("it differs"));
        let record = Record::open(dir.path(), true).expect("a record");
        assert!(record.has("scan 001", "a") && record.has("scan 002", "other") && !record.has("whole", "c\nd"));
    }
}
