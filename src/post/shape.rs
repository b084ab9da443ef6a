//! Slices of another size: binned, cut, framed, turned, and masked. What makes one slice from a window of slices.

use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2, Axis, Slice, s};

/// What becomes of the voxels of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binning {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
}

/// Blocks of `lines` x `cols` pixels in all slices of `window`, each a pixel of `out`. Where `out` reaches as far, a block that is
/// cut off at the right or the bottom counts what there is of it. Sums in f64.
pub fn bin(window: ArrayView3<f32>, [lines, cols]: [usize; 2], how: Binning, mut out: ArrayViewMut2<f32>) {
    let (slices, height, width) = window.dim();
    let window = window.as_standard_layout();
    let mut sums = vec![0.0f64; out.ncols()];
    for (y, mut out) in out.outer_iter_mut().enumerate() {
        sums.fill(0.0);
        let block = y * lines..((y + 1) * lines).min(height);
        for line in window.slice(s![.., block.clone(), ..]).lanes(Axis(2)) {
            let line = line.to_slice().unwrap_or_default();
            for (sum, values) in sums.iter_mut().zip(line.chunks(cols)) {
                *sum += values.iter().map(|v| f64::from(*v)).sum::<f64>();
            }
        }
        for ((out, sum), x) in out.iter_mut().zip(&sums).zip((0..width).step_by(cols)) {
            let count = slices * block.len() * (cols.min(width - x));
            *out = (if how == Binning::Mean { sum / count as f64 } else { *sum }) as f32;
        }
    }
}

/// Copies `slice` into `out` with its upper left pixel at line `top` and column `left`; what sticks out is left out.
pub fn place(slice: ArrayView2<f32>, [top, left]: [isize; 2], mut out: ArrayViewMut2<f32>) {
    // The common part along one axis: where it begins in either, and its length.
    let common = |at: isize, from: usize, to: usize| {
        let begin = at.max(0) as usize;
        let skip = (-at).max(0) as usize;
        (skip < from && begin < to).then(|| (skip, begin, (from - skip).min(to - begin)))
    };
    let (rows, cols) = (common(top, slice.nrows(), out.nrows()), common(left, slice.ncols(), out.ncols()));
    if let (Some((y0, y1, height)), Some((x0, x1, width))) = (rows, cols) {
        out.slice_mut(s![y1..y1 + height, x1..x1 + width]).assign(&slice.slice(s![y0..y0 + height, x0..x0 + width]));
    }
}

/// Sets what is further than `radius` from `center` (line, column), in pixels, to `outside`.
pub fn mask(mut slice: ArrayViewMut2<f32>, [cy, cx]: [f64; 2], radius: f64, outside: f32) {
    for (y, mut line) in slice.outer_iter_mut().enumerate() {
        let half = (radius * radius - (y as f64 - cy).powi(2)).max(-1.0);
        for (x, value) in line.iter_mut().enumerate() {
            if (x as f64 - cx).powi(2) > half {
                *value = outside;
            }
        }
    }
}

/// Turns a slice counter-clockwise on screen by `turns` quarters; after an odd number `out` is as wide as the slice is high.
pub fn rotate(slice: ArrayView2<f32>, turns: usize, mut out: ArrayViewMut2<f32>) {
    let mut turned = slice;
    for _ in 0..turns % 4 {
        turned.swap_axes(0, 1);
        turned.invert_axis(Axis(0));
    }
    // Squares, so that each line of cache that is read or written serves many values.
    const TILE: usize = 32;
    for (mut lines, from) in out.axis_chunks_iter_mut(Axis(0), TILE).zip(turned.axis_chunks_iter(Axis(0), TILE)) {
        for x in (0..from.ncols()).step_by(TILE) {
            let cols = Slice::from(x..(x + TILE).min(from.ncols()));
            lines.slice_axis_mut(Axis(1), cols).assign(&from.slice_axis(Axis(1), cols));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array3, array};

    #[test]
    fn binning_is_the_mean_or_the_sum_of_what_there_is() {
        let stack = Array3::from_shape_fn((2, 4, 5), |(z, y, x)| (100 * z + 10 * y + x) as f32);
        let mut out = Array2::zeros((2, 2));
        bin(stack.view(), [2, 2], Binning::Mean, out.view_mut());
        assert_eq!(out, array![[55.5, 57.5], [75.5, 77.5]]);
        for (how, lines, cols) in
            [(Binning::Mean, 3, 2), (Binning::Sum, 3, 2), (Binning::Mean, 1, 4), (Binning::Sum, 5, 7)]
        {
            let mut out = Array2::zeros((4usize.div_ceil(lines), 5usize.div_ceil(cols)));
            bin(stack.view(), [lines, cols], how, out.view_mut());
            for ((y, x), value) in out.indexed_iter() {
                let block = stack.slice(s![.., y * lines..((y + 1) * lines).min(4), x * cols..((x + 1) * cols).min(5)]);
                let expected = if how == Binning::Mean { block.mean().unwrap() } else { block.sum() };
                // Whole numbers below 2^24: the sums are exact, the mean is rounded in another order.
                assert!((value - expected).abs() <= 1e-6 * expected, "{how:?} {lines} {cols}: {value} {expected}");
            }
        }
    }

    #[test]
    fn what_is_placed_lies_where_it_should_and_is_cut_at_the_edges() {
        let slice = Array2::from_shape_fn((3, 4), |(y, x)| (10 * y + x + 1) as f32);
        for top in -4..7 {
            for left in -5..8 {
                let mut out = Array2::from_elem((5, 6), -1.0);
                place(slice.view(), [top, left], out.view_mut());
                for ((y, x), value) in out.indexed_iter() {
                    let (j, i) = (y as isize - top, x as isize - left);
                    let inside = (0..3).contains(&j) && (0..4).contains(&i);
                    assert_eq!(*value, if inside { slice[[j as usize, i as usize]] } else { -1.0 }, "{top} {left}");
                }
            }
        }
    }

    #[test]
    fn a_mask_is_a_disc() {
        let (mut slice, radius) = (Array2::ones((101, 121)), 40.0);
        mask(slice.view_mut(), [50.0, 60.0], radius, -2.0);
        let inside = slice.iter().filter(|v| **v == 1.0).count() as f64;
        // The circle problem: the count differs from the area by far less than the circumference.
        assert!((inside - std::f64::consts::PI * radius * radius).abs() < 40.0, "{inside}");
        assert!(
            slice[[50, 100]] == 1.0 && slice[[50, 101]] == -2.0 && slice[[10, 60]] == 1.0 && slice[[9, 60]] == -2.0
        );
        mask(slice.view_mut(), [50.0, 60.0], 0.0, 7.0);
        assert_eq!(slice.iter().filter(|v| **v != 7.0).count(), 1);
    }

    #[test]
    fn a_quarter_turn_brings_the_right_side_to_the_top() {
        let slice = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let turned = |turns: usize, shape| {
            let mut out = Array2::zeros(shape);
            rotate(slice.view(), turns, out.view_mut());
            out
        };
        assert_eq!(turned(1, (3, 2)), array![[3.0, 6.0], [2.0, 5.0], [1.0, 4.0]]);
        assert_eq!(turned(2, (2, 3)), array![[6.0, 5.0, 4.0], [3.0, 2.0, 1.0]]);
        assert_eq!(turned(3, (3, 2)), array![[4.0, 1.0], [5.0, 2.0], [6.0, 3.0]]);
        let wide = Array2::from_shape_fn((70, 45), |(y, x)| (100 * y + x) as f32);
        let (mut once, mut back) = (Array2::zeros((45, 70)), Array2::zeros((70, 45)));
        rotate(wide.view(), 1, once.view_mut());
        rotate(once.view(), 3, back.view_mut());
        assert!(back == wide && once[[0, 69]] == wide[[69, 44]]);
    }
}
