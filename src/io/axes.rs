//! Orthogonal re-slicing: which axes of the images run along the axes of the slices that are read from them.
//!
//! Must not know: files.

use crate::error::{Error, Result};
use ndarray::{ArrayView3, ArrayViewMut3, Axis, Slice};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Axes are 0, 1, 2 here for slices, lines and columns: z, y, x of the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axes {
    /// Axis of the images along each axis of the slices.
    from: [usize; 3],
    /// The axis of the slices runs backwards.
    back: [bool; 3],
}

impl Default for Axes {
    fn default() -> Self {
        Axes { from: [0, 1, 2], back: [false; 3] }
    }
}

const LETTERS: [char; 3] = ['z', 'y', 'x'];

/// `+x +y +z`: what runs along columns (to the right), lines (down) and slices.
impl FromStr for Axes {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            let accepted = "expected the axes that run to the right, down and across the slices, each of x, y and z once \
                            with its sign, such as '+y +z +x'";
            Error::invalid("axes", accepted).with("axes", format!("'{text}'"))
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let [right, down, across] = words[..] else { return Err(bad()) };
        let mut axes = Axes::default();
        for (axis, word) in [across, down, right].into_iter().enumerate() {
            let (back, letter) = match word.as_bytes() {
                [b'-', letter] => (true, *letter),
                [b'+', letter] | [letter] => (false, *letter),
                _ => return Err(bad()),
            };
            axes.from[axis] = LETTERS.iter().position(|l| *l == char::from(letter)).ok_or_else(bad)?;
            axes.back[axis] = back;
        }
        let mut all = axes.from;
        all.sort_unstable();
        if all == [0, 1, 2] { Ok(axes) } else { Err(bad()) }
    }
}

impl fmt::Display for Axes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |axis: usize| format!("{}{}", if self.back[axis] { '-' } else { '+' }, LETTERS[self.from[axis]]);
        write!(f, "{} {} {}", word(2), word(1), word(0))
    }
}

impl Axes {
    /// The axis of the slices along which `axis` of the images runs.
    pub(crate) fn place(&self, axis: usize) -> usize {
        self.from.iter().position(|from| *from == axis).unwrap_or(axis)
    }
    /// Whether it runs backwards there.
    pub(crate) fn is_back(&self, axis: usize) -> bool {
        self.back[self.place(axis)]
    }
    /// Lines of the images are lines of what is read, in their order.
    pub(crate) fn keeps_lines(&self) -> bool {
        self.from[2] == 2 && !self.back[2] && !self.is_back(1)
    }
    /// Each slice is one image.
    pub(crate) fn keeps_images(&self) -> bool {
        self.from[0] == 0
    }
    /// Sizes of the slices for those of the images.
    pub(crate) fn sizes(&self, images: [usize; 3]) -> [usize; 3] {
        self.from.map(|axis| images[axis])
    }
    /// The part of `axis` of the images, `length` long, that lies in `asked` of the slices.
    pub(crate) fn range(&self, axis: usize, length: usize, asked: &[Range<usize>; 3]) -> Range<usize> {
        let Range { start, end } = asked[self.place(axis)].clone();
        if self.is_back(axis) { length - end..length - start } else { start..end }
    }
    /// Where the part `part` of the range `all` of `axis` lies in what is filled with `all`.
    pub(crate) fn within(&self, axis: usize, all: &Range<usize>, part: &Range<usize>) -> Range<usize> {
        if self.is_back(axis) {
            all.end - part.end..all.end - part.start
        } else {
            part.start - all.start..part.end - all.start
        }
    }
    /// Copies a block of the images `[z, y, x]` to where it belongs in slices.
    pub(crate) fn copy<T: Copy>(&self, block: ArrayView3<T>, mut out: ArrayViewMut3<T>) {
        let mut block = block.permuted_axes(self.from);
        for axis in 0..3 {
            if self.back[axis] {
                block.invert_axis(Axis(axis));
            }
        }
        let fast = self.place(2);
        if fast == 2 {
            return out.assign(&block);
        }
        // Squares, so that each line of cache that is read or written serves many values.
        const TILE: usize = 32;
        let steps = |axis: usize, step: usize, size: usize| {
            (0..size).step_by(step).map(move |start| (Axis(axis), Slice::from(start..(start + step).min(size))))
        };
        let other = 1 - fast;
        let size = out.raw_dim();
        for (k, at) in steps(other, 1, size[other]) {
            let mut out = out.slice_axis_mut(k, at);
            let block = block.slice_axis(k, at);
            for (i, rows) in steps(fast, TILE, size[fast]) {
                for (j, cols) in steps(2, TILE, size[2]) {
                    let mut out = out.slice_axis_mut(i, rows);
                    out.slice_axis_mut(j, cols).assign(&block.slice_axis(i, rows).slice_axis(j, cols));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn every_turn_of_a_volume_is_that_of_its_definition() {
        let images = Array3::from_shape_fn((5, 41, 70), |(z, y, x)| 10_000 * z + 100 * y + x);
        for (h, v, d) in
            [("x", "y", "z"), ("x", "z", "y"), ("y", "x", "z"), ("y", "z", "x"), ("z", "x", "y"), ("z", "y", "x")]
        {
            for signs in 0..8 {
                let sign = |bit: usize| if signs >> bit & 1 == 1 { "-" } else { "+" };
                let text = format!("{}{h} {}{v} {}{d}", sign(0), sign(1), sign(2));
                let axes: Axes = text.parse().unwrap();
                assert_eq!(axes.to_string(), text);
                let mut out = Array3::zeros(axes.sizes([5, 41, 70]));
                axes.copy(images.view(), out.view_mut());
                let size = |letter: &str| match letter {
                    "z" => 5,
                    "y" => 41,
                    _ => 70,
                };
                for ((i, j, k), value) in out.indexed_iter() {
                    let mut at = [0; 3];
                    for (bit, (letter, index)) in [(h, k), (v, j), (d, i)].into_iter().enumerate() {
                        let index = if signs >> bit & 1 == 1 { size(letter) - 1 - index } else { index };
                        at[LETTERS.iter().position(|l| l.to_string() == letter).unwrap()] = index;
                    }
                    assert_eq!(*value, images[at], "{text} at {i}, {j}, {k}");
                }
            }
        }
    }

    #[test]
    fn axes_are_named_once_each() {
        assert_eq!("x y z".parse::<Axes>().unwrap(), Axes::default());
        for bad in ["", "+x +y", "+x +x +z", "+x +y +w", "+x+y+z", "+x +y +z +x", "++x +y +z", "+x +y ü"] {
            let e = bad.parse::<Axes>().unwrap_err().to_string();
            assert!(e.contains("each of x, y and z once"), "{e}");
        }
    }
}
