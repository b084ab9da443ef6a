//! Median over boxes of voxels.

use super::edges::Edges;
use crate::progress::Watch;
use crate::simd::{Kernel, widest};
use ndarray::{ArrayView3, ArrayViewMut2};

/// Medians that are found side by side.
const LANES: usize = 16;
/// Largest box that goes through the network; for larger ones to partition each by itself is faster.
const MOST: usize = 256;

/// Working memory of [`median`], bytes.
pub fn median_scratch(width: usize, size: usize, depth: usize) -> u64 {
    4 * (depth * size * (width + size)) as u64
}

/// Median over a box of `size` x `size` pixels, `size` odd, in all slices of `window` (an odd number; the one in the middle is
/// the slice that is made). Beyond the volume is what `edges` say. Of an even number of pixels, which is where some are left
/// out, it is the larger of the two in the middle. Of pixels in which nothing is NaN. Takes a step of `watch` for each line, and
/// returns early when it is told to.
pub fn median(window: ArrayView3<f32>, size: usize, edges: &Edges, mut out: ArrayViewMut2<f32>, watch: &Watch) {
    let (depth, height, width) = window.dim();
    let half = size / 2;
    let window = window.as_standard_layout();
    let all = window.as_slice().unwrap_or_default();
    let slices: Vec<usize> = (0..depth).filter_map(|k| edges.across(k, depth / 2)).collect();
    // Lines around the one in work, as numbers that are in order as integers.
    let kept = size.min(height);
    let mut keys = vec![0i32; slices.len() * kept * width];
    let mut loaded = 0;
    let mut values = Vec::with_capacity(depth * size * size);
    let mut medians = vec![0i32; width];
    for y in 0..height {
        while loaded < height && loaded <= y + half {
            for (k, slice) in slices.iter().enumerate() {
                let line = &all[(slice * height + loaded) * width..][..width];
                let keys = &mut keys[(k * kept + loaded % kept) * width..][..width];
                keys.iter_mut().zip(line).for_each(|(key, v)| *key = in_order(v.to_bits().cast_signed()));
            }
            loaded += 1;
        }
        let rows = |k: usize| {
            let there = |d: usize| edges.boundary.source((y + d) as isize - half as isize, height);
            (0..size).filter_map(there).map(move |y| (k * kept + y % kept) * width)
        };
        let lines: Vec<&[i32]> = (0..slices.len()).flat_map(rows).map(|at| &keys[at..at + width]).collect();
        let whole = |x: &usize| lines.len() * size <= MOST && (half..(width - half.min(width)).max(half)).contains(x);
        let mut x = 0;
        while x < width {
            if whole(&x) && whole(&(x + LANES - 1)) {
                widest(Network { lines: &lines, size, first: x - half, out: &mut medians[x..x + LANES] });
                x += LANES;
            } else if whole(&x) && x >= half + LANES && whole(&(x - 1)) {
                // The last ones of the line together with some that are known.
                let last = width - half;
                let first = last - LANES;
                widest(Network { lines: &lines, size, first: first - half, out: &mut medians[first..last] });
                x = last;
            } else {
                values.clear();
                for line in &lines {
                    let there = |d: usize| edges.boundary.source((x + d) as isize - half as isize, width);
                    match x.checked_sub(half) {
                        Some(first) if first + size <= width => values.extend_from_slice(&line[first..first + size]),
                        _ => values.extend((0..size).filter_map(there).map(|x| line[x])),
                    }
                }
                let middle = values.len() / 2;
                medians[x] = *values.select_nth_unstable(middle).1;
                x += 1;
            }
        }
        out.row_mut(y).iter_mut().zip(&medians).for_each(|(out, key)| {
            *out = f32::from_bits(in_order(*key).cast_unsigned());
        });
        if !watch.step() {
            return;
        }
    }
}

/// From the bits of a number to an integer that has its place in the order of all, -0 before 0, and back.
fn in_order(bits: i32) -> i32 {
    bits ^ ((bits >> 31) & i32::MAX)
}

/// The medians of [`LANES`] boxes side by side, whose first columns are `first`, `first + 1`, ...
///
/// Of n numbers, the smallest and the largest of any n / 2 + 2 cannot be the median. So that many are taken, these two are
/// thrown away, the next one is taken, and so on until one is left.
struct Network<'a> {
    lines: &'a [&'a [i32]],
    size: usize,
    first: usize,
    out: &'a mut [i32],
}

impl Kernel for Network<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Network { lines, size, first, out } = self;
        let n = lines.len() * size;
        let places = lines.iter().flat_map(|line| (0..size).map(move |d| &line[first + d..][..LANES]));
        // With one more that is larger than all, the larger of two in the middle is the one in the middle.
        let mut places = places.chain((n.is_multiple_of(2)).then_some(&[i32::MAX; LANES][..]));
        let mut left = [[0i32; LANES]; MOST / 2 + 2];
        let mut count = 0;
        for (lanes, place) in left[..(n / 2 + 2).min(n | 1)].iter_mut().zip(&mut places) {
            lanes.copy_from_slice(place);
            count += 1;
        }
        while count > 1 {
            let some = &mut left[..count];
            // Of an odd number the one in the middle may be the smallest as well as the largest.
            let (half, rounded_up) = (count / 2, count.div_ceil(2));
            for i in 0..half {
                (some[i], some[count - 1 - i]) = in_pairs(some[i], some[count - 1 - i]);
            }
            let mut least = some[0];
            for other in &mut some[1..rounded_up] {
                (least, *other) = in_pairs(least, *other);
            }
            let mut most = some[count - 1];
            for other in &mut some[half..count - 1] {
                (*other, most) = in_pairs(*other, most);
            }
            (some[0], some[count - 1]) = (least, most);
            match places.next() {
                Some(place) => {
                    left[0].copy_from_slice(place);
                    count -= 1;
                }
                None => {
                    left[0] = left[count - 2];
                    count -= 2;
                }
            }
        }
        out.copy_from_slice(&left[0]);
    }
}

/// The smaller and the larger ones.
#[inline(always)]
fn in_pairs(a: [i32; LANES], b: [i32; LANES]) -> ([i32; LANES], [i32; LANES]) {
    let (mut low, mut high) = (a, b);
    for i in 0..LANES {
        low[i] = if b[i] < a[i] { b[i] } else { a[i] };
        high[i] = if b[i] < a[i] { a[i] } else { b[i] };
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::super::edges::Boundary;
    use super::*;
    use ndarray::{Array2, Array3, Axis};

    fn of(window: &Array3<f32>, size: usize, edges: &Edges) -> Array2<f32> {
        let mut out = Array2::from_elem((window.dim().1, window.dim().2), 77.0);
        median(window.view(), size, edges, out.view_mut(), &Watch::default());
        out
    }

    #[test]
    fn a_median_removes_single_pixels_and_keeps_edges() {
        let mut image = Array3::from_shape_fn((1, 6, 7), |(_, _, x)| if x < 3 { 1.0 } else { 2.0f32 });
        let clean = image.index_axis(Axis(0), 0).to_owned();
        image[[0, 2, 5]] = 90.0;
        image[[0, 0, 0]] = -90.0;
        assert_eq!(of(&image, 3, &Edges::inside(Boundary::Nearest, 0)), clean);
        // In three dimensions a whole line across the slices is needed to be seen.
        let mut stack = Array3::zeros((3, 5, 5));
        stack[[1, 2, 2]] = 1.0f32;
        assert_eq!(of(&stack, 1, &Edges::inside(Boundary::Nearest, 1)), Array2::<f32>::zeros((5, 5)));
    }

    /// Boxes for the network and beyond it, narrow and wide slices, all boundaries, against sorting.
    #[test]
    fn medians_are_what_sorting_finds() {
        for (size, depth, height, width) in [
            (3, 1, 4, 40),
            (1, 3, 3, 20),
            (3, 3, 5, 18),
            (5, 3, 4, 23),
            (5, 5, 6, 61),
            (7, 7, 9, 30),
            (3, 3, 2, 2),
            (1, 1, 2, 50),
        ] {
            let slices = 4;
            let value = |(z, y, x): (usize, usize, usize)| {
                let v = (z * 2_654_435 + y * 40_503 + x * 9_176_471).wrapping_mul(2_246_822_519) >> 7;
                (v % 61) as f32 - 30.0
            };
            let volume = Array3::from_shape_fn((slices, height, width), value);
            let half = [depth / 2, size / 2].map(|h| h as isize);
            for boundary in [Boundary::Nearest, Boundary::Reflect, Boundary::Mirror, Boundary::Nothing] {
                for slice in 0..slices {
                    let window = Array3::from_shape_fn((depth, height, width), |(k, y, x)| {
                        volume[[(slice + k).saturating_sub(depth / 2).min(slices - 1), y, x]]
                    });
                    let found = of(&window, size, &Edges { boundary, slice, slices });
                    for ((y, x), v) in found.indexed_iter() {
                        let around = |i: usize, half: isize, n: usize| {
                            (-half..=half).filter_map(move |d| boundary.source(i as isize + d, n))
                        };
                        let mut all = Vec::new();
                        for z in around(slice, half[0], slices) {
                            for y in around(y, half[1], height) {
                                all.extend(around(x, half[1], width).map(|x| volume[[z, y, x]]));
                            }
                        }
                        all.sort_by(f32::total_cmp);
                        assert_eq!(*v, all[all.len() / 2], "{boundary:?} {size} {depth} {slice} {y} {x}");
                    }
                }
            }
        }
    }
}
