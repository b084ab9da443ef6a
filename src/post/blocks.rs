//! Sums and means of blocks of voxels, slice by slice, so that no more than one slice is needed at a time.

use ndarray::{Array2, ArrayView2, Axis};

/// Blocks of `[y, x]` pixels over the slices that were added.
pub struct Blocks {
    dims: [usize; 2],
    size: [usize; 2],
    sums: Array2<f64>,
    slices: usize,
}

impl Blocks {
    /// For slices of `dims`, and blocks of `size`, at least 1 x 1. With `partial`, those that are cut off at the right and the
    /// bottom are there too, else what is left over is dropped.
    pub fn new(dims: [usize; 2], size: [usize; 2], partial: bool) -> Self {
        let count = |i: usize| if partial { dims[i].div_ceil(size[i]) } else { dims[i] / size[i] };
        Blocks { dims, size, sums: Array2::zeros([count(0), count(1)]), slices: 0 }
    }
    /// Adds a slice.
    pub fn add(&mut self, slice: ArrayView2<f32>) {
        let [height, width] = self.size;
        for (lines, mut sums) in slice.axis_chunks_iter(Axis(0), height).zip(self.sums.outer_iter_mut()) {
            for line in lines.outer_iter() {
                for (values, sum) in line.axis_chunks_iter(Axis(0), width).zip(&mut sums) {
                    *sum += values.iter().map(|v| f64::from(*v)).sum::<f64>();
                }
            }
        }
        self.slices += 1;
    }
    /// Sums of what is in each block, and a new beginning.
    pub fn take_sums(&mut self) -> Array2<f64> {
        self.slices = 0;
        let empty = Array2::zeros(self.sums.raw_dim());
        std::mem::replace(&mut self.sums, empty)
    }
    /// Means of what is in each block, and a new beginning. Without a slice NaN.
    pub fn take_means(&mut self) -> Array2<f64> {
        let slices = self.slices as f64;
        let mut means = self.take_sums();
        let within = |i: usize, axis: usize| self.size[axis].min(self.dims[axis] - i * self.size[axis]) as f64;
        means.indexed_iter_mut().for_each(|((y, x), v)| *v /= slices * within(y, 0) * within(x, 1));
        means
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn blocks_at_the_edge_are_dropped_or_divided_by_what_they_have() {
        let slice = Array2::from_shape_fn((3, 5), |(y, x)| (10 * y + x) as f32);
        let mut whole = Blocks::new([3, 5], [2, 2], false);
        whole.add(slice.view());
        whole.add(slice.mapv(|v| v + 1.0).view());
        assert_eq!(whole.take_means(), array![[6.0, 8.0]]);
        let mut partial = Blocks::new([3, 5], [2, 2], true);
        partial.add(slice.view());
        assert_eq!(partial.take_means(), array![[5.5, 7.5, 9.0], [20.5, 22.5, 24.0]]);
        partial.add(slice.view());
        assert_eq!(partial.take_sums(), array![[22.0, 30.0, 18.0], [41.0, 45.0, 24.0]]);
    }
}
