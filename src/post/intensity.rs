//! Intensity projections: the largest, smallest or mean value along an axis of the volume.

use crate::error::Result;
use crate::progress::watched;
use ndarray::{Array2, ArrayView3, Axis};

/// The direction of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// Through the slices: a picture `[y, x]`.
    Z,
    /// Along the columns of slices: `[z, x]`, the first slice at the top.
    Y,
    /// Along their lines: `[z, y]`, the first slice at the top.
    X,
}

/// What is kept of the values on a line of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intensity {
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// Their mean.
    Mean,
}

/// Takes slices in order. The picture does not depend on how many come at a time: sums run in the order of the voxels.
#[derive(Clone, Debug)]
pub struct IntensityProjection {
    along: Along,
    keep: Intensity,
    /// Height and width of a slice.
    slice: [usize; 2],
    /// The picture so far, line by line; sums for means.
    values: Vec<f64>,
    slices: usize,
}

impl IntensityProjection {
    /// Of slices of the size `slice`.
    pub fn new(along: Along, keep: Intensity, slice: [usize; 2]) -> Self {
        IntensityProjection { along, keep, slice, values: Vec::new(), slices: 0 }
    }
    fn none(&self) -> f64 {
        match self.keep {
            Intensity::Max => f64::NEG_INFINITY,
            Intensity::Min => f64::INFINITY,
            Intensity::Mean => 0.0,
        }
    }
    fn put(&self, kept: &mut f64, value: f32) {
        let value = f64::from(value);
        match self.keep {
            Intensity::Max => *kept = kept.max(value),
            Intensity::Min => *kept = kept.min(value),
            Intensity::Mean => *kept += value,
        }
    }
    /// The next slices `[z, y, x]`. `tick` as in the other functions on volumes.
    pub fn add(
        &mut self,
        pool: &rayon::ThreadPool,
        slices: ArrayView3<f32>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        let [height, width] = self.slice;
        let (before, first) = (self.slices, self.values.len());
        self.slices += slices.len_of(Axis(0));
        let len = match self.along {
            Along::Z => height * width,
            Along::Y => self.slices * width,
            Along::X => self.slices * height,
        };
        let mut values = std::mem::take(&mut self.values);
        values.resize(len, self.none());
        let this = &*self;
        let done = match this.along {
            Along::Z => {
                // All slices of one line.
                let line = |(y, line): (usize, &mut [f64]), watch: &crate::progress::Watch| {
                    for slice in slices.outer_iter() {
                        line.iter_mut().zip(slice.row(y)).for_each(|(kept, v)| this.put(kept, *v));
                    }
                    watch.step();
                };
                watched(pool, values.chunks_mut(width.max(1)).enumerate(), height, line, tick)
            }
            Along::Y | Along::X => {
                let each = if this.along == Along::Y { width } else { height };
                debug_assert_eq!(first, before * each);
                let slice = |(z, line): (usize, &mut [f64]), watch: &crate::progress::Watch| {
                    for (y, voxels) in slices.index_axis(Axis(0), z).outer_iter().enumerate() {
                        match this.along {
                            Along::Y => line.iter_mut().zip(voxels).for_each(|(kept, v)| this.put(kept, *v)),
                            _ => voxels.iter().for_each(|v| this.put(&mut line[y], *v)),
                        }
                    }
                    watch.step();
                };
                let added = values[first..].chunks_mut(each.max(1)).enumerate();
                watched(pool, added, slices.len_of(Axis(0)), slice, tick)
            }
        };
        self.values = values;
        done
    }
    /// The picture.
    pub fn finish(self) -> Array2<f32> {
        let [height, width] = self.slice;
        let (shape, voxels) = match self.along {
            Along::Z => ((height, width), self.slices),
            Along::Y => ((self.slices, width), height),
            Along::X => ((self.slices, height), width),
        };
        let scale = if self.keep == Intensity::Mean { voxels.max(1) as f64 } else { 1.0 };
        let values = self.values.into_iter().map(|v| (v / scale) as f32).collect();
        Array2::from_shape_vec(shape, values).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn projections_are_those_of_the_whole_volume_however_it_is_cut() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("threads");
        let volume = Array3::from_shape_fn((7, 5, 6), |(z, y, x)| ((z * 31 + y * 17 + x * 7) % 23) as f32 - 11.0);
        for (along, axis) in [(Along::Z, 0), (Along::Y, 1), (Along::X, 2)] {
            for keep in [Intensity::Max, Intensity::Min, Intensity::Mean] {
                let expected = match keep {
                    Intensity::Max => volume.fold_axis(Axis(axis), f32::NEG_INFINITY, |a, b| a.max(*b)),
                    Intensity::Min => volume.fold_axis(Axis(axis), f32::INFINITY, |a, b| a.min(*b)),
                    Intensity::Mean => volume.mapv(f64::from).mean_axis(Axis(axis)).expect("voxels").mapv(|v| v as f32),
                };
                for height in [1, 3, 7] {
                    let mut made = IntensityProjection::new(along, keep, [5, 6]);
                    for slab in volume.axis_chunks_iter(Axis(0), height) {
                        made.add(&pool, slab, &mut |_| Ok(())).expect("slices");
                    }
                    assert_eq!(made.finish(), expected, "{along:?} {keep:?} {height}");
                }
            }
        }
    }
}
