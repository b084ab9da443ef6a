//! `output.log`: which frame was taken when, at which angle, with or without the sample.
//!
//! Must not know: image files.

use crate::error::{Error, Result};
use std::fmt::Display;

/// Angles above this are motor pulses, not degrees.
const PULSES_ABOVE: f64 = 10000.0;
/// Pulses per degree.
const PULSES_PER_DEG: f64 = 500.0;

/// One record of the log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shot {
    /// The number in the frame's file name.
    pub frame: u32,
    /// When it was taken; any unit.
    pub time: f64,
    /// Angle of the sample in degrees.
    pub angle_deg: f64,
    /// A projection (flag 1), not a direct-beam frame I0 (flag 0).
    pub projection: bool,
    /// Line of the log, from 1.
    pub line: usize,
}

/// A parsed `output.log`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShotLog {
    /// Records before the first blank line, in the order of the log: what is reconstructed.
    pub shots: Vec<Shot>,
    /// Records after the blank lines: a frame half a turn after the first, and its I0, for the axis search only.
    pub after_blank: Vec<Shot>,
    /// The angles were motor pulses and have been divided by 500.
    pub from_pulses: bool,
}

impl ShotLog {
    /// Parses the text of a log; `place` names it in errors.
    ///
    /// A record is `frame time angle flag`, separated by white space; further fields are ignored. Line ends may be LF
    /// or CRLF; blank lines before the first record are skipped. Before the first blank line every line must be a
    /// record; after it, reading stops at the first line that is neither blank nor a record. Angles are pulses if
    /// that of a projection is beyond ±10000.
    ///
    /// Errors name the line: one that does not parse, a flag other than 0 and 1, a frame listed twice.
    pub fn parse(text: &str, place: impl Display) -> Result<Self> {
        let mut log = ShotLog::default();
        let mut tail = false;
        // DOS tools end a text with Ctrl-Z.
        for (i, line) in text.split('\u{1a}').next().unwrap_or_default().lines().enumerate() {
            if line.trim().is_empty() {
                tail |= !log.shots.is_empty();
                continue;
            }
            match (record(line, i + 1), tail) {
                (Ok(shot), false) => log.shots.push(shot),
                (Ok(shot), true) => log.after_blank.push(shot),
                (Err(_), true) => break,
                (Err(message), false) => {
                    let shown: String = line.trim().chars().take(40).collect();
                    return Err(Error::format(place, message).with("line", i + 1).with("text", format!("'{shown}'")));
                }
            }
        }
        let mut seen = std::collections::HashMap::new();
        for shot in &log.shots {
            if let Some(line) = seen.insert(shot.frame, shot.line) {
                return Err(Error::format(place, "a frame is listed twice")
                    .with("frame", shot.frame)
                    .with("lines", format!("{line} and {}", shot.line)));
            }
        }
        if log.shots.iter().any(|s| s.projection && s.angle_deg.abs() > PULSES_ABOVE) {
            log.from_pulses = true;
            for shot in log.shots.iter_mut().chain(&mut log.after_blank) {
                shot.angle_deg /= PULSES_PER_DEG;
            }
        }
        Ok(log)
    }

    /// Projections before the blank line by angle; equal angles stay in the order of the log.
    pub fn projections(&self) -> Vec<Shot> {
        let mut shots: Vec<Shot> = self.shots.iter().copied().filter(|s| s.projection).collect();
        shots.sort_by(|a, b| a.angle_deg.total_cmp(&b.angle_deg));
        shots
    }

    /// Direct-beam frames (I0) before the blank line by time; equal times stay in the order of the log.
    pub fn flats(&self) -> Vec<Shot> {
        let mut shots: Vec<Shot> = self.shots.iter().copied().filter(|s| !s.projection).collect();
        shots.sort_by(|a, b| a.time.total_cmp(&b.time));
        shots
    }
}

fn record(line: &str, number: usize) -> std::result::Result<Shot, &'static str> {
    const EXPECTED: &str = "expected a record of four numbers: frame, time, angle, flag";
    let mut fields = line.split_whitespace();
    let mut field = || fields.next().ok_or(EXPECTED);
    let (frame, time, angle, flag) = (field()?, field()?, field()?, field()?);
    let real = |s: &str| s.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or(EXPECTED);
    let frame = frame.parse().map_err(|_| EXPECTED)?;
    let (time, angle_deg) = (real(time)?, real(angle)?);
    let projection = match flag.parse::<i64>().map_err(|_| EXPECTED)? {
        0 => false,
        1 => true,
        _ => return Err("the flag must be 0 (direct beam) or 1 (projection)"),
    };
    Ok(Shot { frame, time, angle_deg, projection, line: number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_records_up_to_the_blank_line_and_the_tail_apart() {
        let text = "1 0.0 0.0 0\r\n2 0.1 0.0 1\r\n003 0.2 90.0 1\r\n4 0.3 0 0\r\n\r\n\r\n5 0.4 0 0\r\n6 0.5 180 1\r\nend\r\n7 1 1 1\r\n";
        let log = ShotLog::parse(text, "output.log").unwrap();
        assert_eq!(log.shots.iter().map(|s| s.frame).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(
            log.after_blank.iter().map(|s| (s.frame, s.projection)).collect::<Vec<_>>(),
            [(5, false), (6, true)]
        );
        assert!(!log.from_pulses);
    }

    #[test]
    fn sorts_projections_by_angle_and_flats_by_time() {
        let log = ShotLog::parse("9 5 0 0\n2 1 90 1\n3 2 -1 1\n4 3 90 1\n1 0 0 0\n", "log").unwrap();
        assert_eq!(log.projections().iter().map(|s| s.frame).collect::<Vec<_>>(), [3, 2, 4]);
        assert_eq!(log.flats().iter().map(|s| s.frame).collect::<Vec<_>>(), [1, 9]);
    }

    #[test]
    fn pulses_become_degrees() {
        let log = ShotLog::parse("1 0 0 0\n2 1 0 1\n3 2 45000 1\n4 3 89950 1\n\n5 4 90000 1\n", "log").unwrap();
        assert!(log.from_pulses);
        assert_eq!(log.projections()[1].angle_deg, 90.0);
        assert_eq!(log.after_blank[0].angle_deg, 180.0);
    }

    #[test]
    fn errors_name_the_line() {
        let message = |text: &str| ShotLog::parse(text, "output.log").unwrap_err().to_string();
        assert_eq!(
            message("1 0 0 0\n2 0.1 zero 1\n"),
            "output.log: expected a record of four numbers: frame, time, angle, flag (line = 2, text = '2 0.1 zero 1')"
        );
        assert_eq!(
            message("1 0 0 2\n"),
            "output.log: the flag must be 0 (direct beam) or 1 (projection) (line = 1, text = '1 0 0 2')"
        );
        assert_eq!(
            message("1 0 0 0\n2 0 0 1\n2 1 1 1\n"),
            "output.log: a frame is listed twice (frame = 2, lines = 2 and 3)"
        );
    }
}
