//! One scan of a series that was taken into one sequence of frames.
//!
//! Must not know: files.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// Which frames of a sequence belong to one scan of a series: `2/5` is the second of five scans that follow each other,
/// `2/5:interleaved` the second of five of which a frame each was taken in turn, and `2/5x961` says that a scan has 961 frames,
/// so that frames beyond five times as many are left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 0.
    pub index: usize,
    /// Scans in the sequence.
    pub of: usize,
    /// Frames of a scan; all frames of the sequence over `of` if `None`.
    pub frames: Option<usize>,
    /// The scans' frames take turns.
    pub interleaved: bool,
}

impl Part {
    /// Numbers, from 0, of this scan's frames in a sequence of `total`.
    ///
    /// Errors: `INVALID` if the sequence has fewer frames than the scans need, or no whole number of frames for each.
    pub fn of_frames(&self, total: usize) -> Result<Vec<usize>> {
        let Part { index, of, interleaved, .. } = *self;
        let frames = match self.frames {
            Some(frames) if frames.checked_mul(of).is_some_and(|all| all <= total) => frames,
            Some(frames) => {
                let message = format!("the sequence has {total} frames, fewer than {of} scans of {frames} need");
                return Err(Error::invalid("part", message).with("part", self));
            }
            None if total.is_multiple_of(of) && total > 0 => total / of,
            None => {
                let message = format!(
                    "{total} frames are not {of} scans of as many each; say how many a scan has, such as part={}/{of}x{}",
                    index + 1,
                    total / of
                );
                return Err(Error::invalid("part", message).with("part", self));
            }
        };
        Ok((0..frames).map(|j| if interleaved { j * of + index } else { index * frames + j }).collect())
    }
}

impl FromStr for Part {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (numbers, order) = text.split_once(':').map_or((text, None), |(a, b)| (a, Some(b.trim())));
            let (index, rest) = numbers.split_once('/')?;
            let (of, frames) = rest.split_once('x').map_or((rest, None), |(a, b)| (a, Some(b)));
            let number = |t: &str| t.trim().parse::<usize>().ok().filter(|n| (1..=100_000_000).contains(n));
            let frames = match frames {
                Some(text) => Some(number(text)?),
                None => None,
            };
            let interleaved = match order {
                None | Some("sequential") => false,
                Some("interleaved") => true,
                Some(_) => return None,
            };
            let (index, of) = (number(index)?, number(of)?);
            (index <= of).then(|| Part { index: index - 1, of, frames, interleaved })
        };
        parse().ok_or_else(|| {
            let accepted =
                "expected K/N such as 2/5, with x and the frames of a scan or :interleaved behind it if need be";
            Error::invalid("part", accepted).with("part", format!("'{text}'"))
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.of)?;
        if let Some(frames) = self.frames {
            write!(f, "x{frames}")?;
        }
        if self.interleaved { f.write_str(":interleaved") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_each_other_or_take_turns() {
        let part = |text: &str| text.parse::<Part>().expect("a part");
        assert_eq!(part("2/3").of_frames(6).expect("frames"), [2, 3]);
        assert_eq!(part("2/3:interleaved").of_frames(6).expect("frames"), [1, 4]);
        assert_eq!(part("3/3x2").of_frames(7).expect("frames"), [4, 5]);
        for text in ["1/1", "2/3", "2/3x50", "2/3x50:interleaved"] {
            assert_eq!(part(text).to_string(), text);
        }
        for bad in ["", "2", "0/3", "4/3", "1/0", "1/2x", "1/2:other", "-1/2", "a/b"] {
            assert!(bad.parse::<Part>().is_err(), "{bad}");
        }
        let message = |text: &str, total| part(text).of_frames(total).expect_err("an error").to_string();
        assert!(message("1/2", 7).contains("part=1/2x3"), "{}", message("1/2", 7));
        assert!(message("1/2x4", 7).contains("fewer than 2 scans of 4"), "{}", message("1/2x4", 7));
        assert!(message("1/2", 0).contains("0 frames"));
    }
}
