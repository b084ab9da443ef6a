//! What lies beyond the edges of a volume.

/// What a filter takes for voxels outside. The names are SciPy's, but for `Nothing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boundary {
    /// The last voxel again: `a a a | a b c d`.
    #[default]
    Nearest,
    /// The image mirrored, its last voxel again: `c b a | a b c d`.
    Reflect,
    /// The image mirrored in the middle of its last voxel: `d c b | a b c d`.
    Mirror,
    /// There is nothing: a sum takes 0, a median leaves it out.
    Nothing,
}

impl Boundary {
    /// The voxel of a line of `n` that stands for place `i`.
    pub fn source(self, i: isize, n: usize) -> Option<usize> {
        let n = n as isize;
        let period = 2 * n;
        let at = match self {
            _ if (0..n).contains(&i) => i,
            Boundary::Nearest => i.clamp(0, n - 1),
            Boundary::Reflect => {
                let i = i.rem_euclid(period);
                i.min(period - 1 - i)
            }
            Boundary::Mirror if n == 1 => 0,
            Boundary::Mirror => {
                let i = i.rem_euclid(period - 2);
                i.min(period - 2 - i)
            }
            Boundary::Nothing => return None,
        };
        usize::try_from(at).ok()
    }
}

/// Where a window of slices lies in its volume.
#[derive(Clone, Copy, Debug)]
pub struct Edges {
    /// What counts as beyond.
    pub boundary: Boundary,
    /// Number of the slice in the middle of the window.
    pub slice: usize,
    /// Slices of the volume. With [`Boundary::Nearest`] the window is taken as it is: it holds the last slice again already.
    pub slices: usize,
}

impl Edges {
    /// A window in the middle of a large volume: nothing is beyond it in z.
    pub fn inside(boundary: Boundary, reach: usize) -> Self {
        Edges { boundary, slice: reach, slices: 2 * reach + 1 }
    }
    /// Slice of a window with `reach` slices on both sides that stands for its `k`-th.
    pub fn across(&self, k: usize, reach: usize) -> Option<usize> {
        if self.boundary == Boundary::Nearest {
            return Some(k);
        }
        // A mirrored slice is never further away than the one that it stands for, so the window holds it.
        let there = self.boundary.source((self.slice + k) as isize - reach as isize, self.slices)?;
        (there + reach).checked_sub(self.slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_on_as_their_names_say() {
        let line = |boundary: Boundary, n: usize| -> Vec<Option<usize>> {
            (-4..n as isize + 4).map(|i| boundary.source(i, n)).collect()
        };
        let some = |of: &[usize]| of.iter().map(|i| Some(*i)).collect::<Vec<_>>();
        assert_eq!(line(Boundary::Nearest, 3), some(&[0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2]));
        assert_eq!(line(Boundary::Reflect, 3), some(&[2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]));
        assert_eq!(line(Boundary::Mirror, 3), some(&[0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]));
        assert_eq!(line(Boundary::Mirror, 1), some(&[0; 9]));
        assert_eq!(line(Boundary::Nothing, 1).iter().flatten().count(), 1);
    }

    #[test]
    fn a_window_holds_every_slice_that_stands_for_another() {
        for boundary in [Boundary::Nearest, Boundary::Reflect, Boundary::Mirror, Boundary::Nothing] {
            for (slices, reach) in [(1, 0), (1, 3), (2, 5), (5, 2), (9, 4)] {
                for slice in 0..slices {
                    let edges = Edges { boundary, slice, slices };
                    for k in 0..=2 * reach {
                        assert!(edges.across(k, reach).is_none_or(|at| at <= 2 * reach));
                    }
                    assert_eq!(edges.across(reach, reach), Some(reach));
                }
            }
        }
    }
}
