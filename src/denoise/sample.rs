//! Patches for training and validation, drawn from the subsets.

use super::random::Random;
use super::{Architecture, Batch, Subsets};
use crate::error::{Error, Result};
use ndarray::{Array2, Array3, Array4, ArrayView2, ArrayViewMut2, Axis};

/// Slices that are looked at for mean and spread.
const SURVEYED: usize = 16;

/// What the values of a volume are normalised by: `value = mean + spread * normalised`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// 1/cm.
    pub mean: f64,
    /// Standard deviation, 1/cm.
    pub spread: f64,
}

impl Scaling {
    /// Of the mean of all subsets, in slices from the whole height.
    ///
    /// Errors: a pixel that is not a number; slices without any contrast, in which there is nothing to learn.
    pub fn of(subsets: &dyn Subsets) -> Result<Scaling> {
        let ([slices, rows, cols], count) = (subsets.shape(), subsets.count());
        let looked = slices.min(SURVEYED);
        let (mut sum, mut squares) = (0.0, 0.0);
        let (mut slice, mut one) = (Array2::<f32>::zeros((rows, cols)), Array2::<f32>::zeros((rows, cols)));
        let mut first = 0.0;
        for index in 0..looked {
            let z = (2 * index + 1) * slices / (2 * looked);
            slice.fill(0.0);
            for subset in 0..count {
                subsets.read(subset, z, 0..rows, 0..cols, one.view_mut())?;
                check_numbers(one.view(), subset, z, 0, 0)?;
                slice += &one;
            }
            if index == 0 {
                first = f64::from(slice[[0, 0]]);
            }
            // Around a value of the volume, so that a constant gives exactly 0.
            for &value in &slice {
                let value = f64::from(value) - first;
                sum += value;
                squares += value * value;
            }
        }
        let (pixels, scale) = ((looked * rows * cols) as f64, 1.0 / count as f64);
        let mean = sum / pixels;
        let spread = scale * (squares / pixels - mean * mean).max(0.0).sqrt();
        if spread <= 1e-12 * (scale * (mean + first)).abs() || spread == 0.0 || !spread.is_finite() {
            let message = "the slices are constant, so there is nothing to learn from them";
            return Err(Error::invalid("training", message).with("value", scale * (mean + first)));
        }
        Ok(Scaling { mean: scale * (mean + first), spread })
    }
    /// The normalised value.
    pub(super) fn forth(&self, value: f32) -> f32 {
        ((f64::from(value) - self.mean) / self.spread) as f32
    }
    /// The value of a normalised one.
    pub(super) fn back(&self, value: f32) -> f32 {
        (self.mean + self.spread * f64::from(value)) as f32
    }
}

/// Refuses what is not a number; the place is that of the first pixel.
pub(super) fn check_numbers(part: ArrayView2<f32>, subset: usize, z: usize, row: usize, col: usize) -> Result<()> {
    let Some(((y, x), value)) = part.indexed_iter().find(|(_, value)| !value.is_finite()) else { return Ok(()) };
    Err(Error::invalid(format!("subset {subset}, slice {z}"), "a pixel is not a finite number")
        .with("line", row + y)
        .with("column", col + x)
        .with("value", value))
}

/// Where a sample comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The slice to be predicted.
    z: usize,
    /// The subset to be predicted; the others are what it is predicted from.
    target: usize,
    row: usize,
    col: usize,
    /// One of the eight symmetries of a square: 1 flips lines, 2 columns, 4 transposes.
    symmetry: usize,
}

/// Draws samples. Which, depends on the seed and the number of the sample only.
pub(super) struct Sampler<'a> {
    subsets: &'a dyn Subsets,
    scaling: Scaling,
    seed: u64,
    /// Side of a patch.
    pub patch_px: usize,
    channels: usize,
    /// Slices to learn from.
    learned: Vec<usize>,
    /// Slices to check by.
    held_out: Vec<usize>,
}

/// Numbers of samples for validation begin here, those for training at 0.
const VALIDATION: u64 = u64::MAX;

impl<'a> Sampler<'a> {
    /// Errors: too few slices or pixels.
    pub fn new(
        subsets: &'a dyn Subsets,
        scaling: Scaling,
        architecture: &Architecture,
        patch_px: usize,
        held_out: usize,
        seed: u64,
    ) -> Result<Self> {
        let [slices, rows, cols] = subsets.shape();
        if slices < 2 {
            let message = "one slice is too few: one is needed to learn from and another one to check by";
            return Err(Error::invalid("training", message).with("slices", slices));
        }
        let multiple = architecture.multiple_px();
        let patch_px = patch_px.min(rows).min(cols) / multiple * multiple;
        if patch_px == 0 {
            let message =
                format!("the slices are too small: a network of this depth needs {multiple} x {multiple} pixels");
            return Err(Error::invalid("training", message).with("lines", rows).with("columns", cols));
        }
        // A quarter of the slices at most, evenly spaced, in the middle of their shares.
        let count = held_out.clamp(1, (slices / 4).max(1));
        let held_out: Vec<usize> = (0..count).map(|i| (2 * i + 1) * slices / (2 * count)).collect();
        let learned = (0..slices).filter(|z| !held_out.contains(z)).collect();
        Ok(Sampler { subsets, scaling, seed, patch_px, channels: architecture.channels, learned, held_out })
    }
    /// Samples of a validation.
    pub fn validations(&self) -> usize {
        self.held_out.len()
    }
    fn place(&self, slice: usize, target: Option<usize>, random: &mut Random) -> Place {
        let [_, rows, cols] = self.subsets.shape();
        Place {
            z: slice,
            target: target.unwrap_or_else(|| random.below(self.subsets.count())),
            row: random.below(rows - self.patch_px + 1),
            col: random.below(cols - self.patch_px + 1),
            symmetry: random.below(8),
        }
    }
    fn training_place(&self, sample: u64) -> Place {
        let mut random = Random::of(self.seed, 1, sample);
        let slice = self.learned[random.below(self.learned.len())];
        self.place(slice, None, &mut random)
    }
    fn validation_place(&self, index: usize) -> Place {
        let mut random = Random::of(self.seed, 2, VALIDATION - index as u64);
        self.place(self.held_out[index], Some(index % self.subsets.count()), &mut random)
    }
    /// Samples `first..first + count` of training, counted from its beginning.
    pub fn training(&self, first: u64, count: usize) -> Result<Batch> {
        self.batch((first..first + count as u64).map(|sample| self.training_place(sample)).collect())
    }
    /// The sample of validation with this number.
    pub fn validation(&self, index: usize) -> Result<Batch> {
        self.batch(vec![self.validation_place(index)])
    }
    fn batch(&self, places: Vec<Place>) -> Result<Batch> {
        let (size, channels) = (self.patch_px, self.channels);
        let mut batch = Batch {
            inputs: Array4::zeros((places.len(), channels, size, size)),
            targets: Array3::zeros((places.len(), size, size)),
        };
        let (mut one, mut sum) = (Array2::zeros((size, size)), Array2::zeros((size, size)));
        for (index, place) in places.into_iter().enumerate() {
            self.read(&place, place.z, place.target, &mut one)?;
            self.lay(&one, 1.0, place.symmetry, batch.targets.index_axis_mut(Axis(0), index));
            for channel in 0..channels {
                let z = neighbour(place.z, channel, channels, self.subsets.shape()[0]);
                sum.fill(0.0);
                for subset in (0..self.subsets.count()).filter(|&subset| subset != place.target) {
                    self.read(&place, z, subset, &mut one)?;
                    sum += &one;
                }
                let scale = 1.0 / (self.subsets.count() - 1) as f32;
                let mut inputs = batch.inputs.index_axis_mut(Axis(0), index);
                self.lay(&sum, scale, place.symmetry, inputs.index_axis_mut(Axis(0), channel));
            }
        }
        Ok(batch)
    }
    fn read(&self, place: &Place, z: usize, subset: usize, out: &mut Array2<f32>) -> Result<()> {
        let (rows, cols) = (place.row..place.row + self.patch_px, place.col..place.col + self.patch_px);
        self.subsets.read(subset, z, rows, cols, out.view_mut())?;
        check_numbers(out.view(), subset, z, place.row, place.col)
    }
    /// `scale * part`, normalised and turned.
    fn lay(&self, part: &Array2<f32>, scale: f32, symmetry: usize, mut out: ArrayViewMut2<f32>) {
        let mut turned = part.view();
        if symmetry & 4 != 0 {
            turned = turned.reversed_axes();
        }
        if symmetry & 1 != 0 {
            turned.invert_axis(Axis(0));
        }
        if symmetry & 2 != 0 {
            turned.invert_axis(Axis(1));
        }
        out.zip_mut_with(&turned, |out, value| *out = self.scaling.forth(scale * value));
    }
}

/// The slice behind a channel: `channel - channels / 2` slices above `z`; the first and the last slice stand for what is
/// outside.
pub(super) fn neighbour(z: usize, channel: usize, channels: usize, slices: usize) -> usize {
    (z + channel).saturating_sub(channels / 2).min(slices - 1)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::ops::Range;

    /// Subsets in memory.
    pub struct Arrays(pub Vec<Array3<f32>>);

    impl Subsets for Arrays {
        fn count(&self) -> usize {
            self.0.len()
        }
        fn shape(&self) -> [usize; 3] {
            self.0[0].dim().into()
        }
        fn read(
            &self,
            k: usize,
            z: usize,
            rows: Range<usize>,
            cols: Range<usize>,
            mut out: ArrayViewMut2<f32>,
        ) -> Result<()> {
            out.assign(&self.0[k].slice(ndarray::s![z, rows, cols]));
            Ok(())
        }
    }

    fn numbered(count: usize, shape: (usize, usize, usize)) -> Arrays {
        let value = |k: usize, (z, y, x): (usize, usize, usize)| (1000 * k + 100 * z + 10 * y + x) as f32;
        Arrays((0..count).map(|k| Array3::from_shape_fn(shape, |at| value(k, at))).collect())
    }
    const UNSCALED: Scaling = Scaling { mean: 0.0, spread: 1.0 };
    const NETWORK: Architecture =
        Architecture { channels: 3, base_width: 8, depth: 1, norm: crate::denoise::Norm::Batch };

    #[test]
    fn mean_and_spread_are_those_of_the_mean_of_the_subsets() {
        let shape = (5, 7, 9);
        let noise = |k: usize, (z, y, x): (usize, usize, usize)| 3.0 + ((z * 31 + y * 17 + x * 7 + k * 13) % 11) as f32;
        let all: Vec<_> = (0..4).map(|k| Array3::from_shape_fn(shape, |at| noise(k, at))).collect();
        let mean = all.iter().fold(Array3::<f64>::zeros(shape), |sum, one| sum + one.mapv(|v| f64::from(v) / 4.0));
        let scaling = Scaling::of(&Arrays(all)).expect("numbers");
        // f32 sums of four small whole numbers are exact.
        assert!((scaling.mean - mean.mean().expect("pixels")).abs() < 1e-12);
        assert!((scaling.spread - mean.std(0.0)).abs() < 1e-12);
    }

    #[test]
    fn constant_slices_and_pixels_that_are_no_numbers_are_refused() {
        for value in [0.0, 0.1, -3e8] {
            let error = Scaling::of(&Arrays(vec![Array3::from_elem((3, 4, 5), value); 4])).expect_err("constant");
            assert!(error.to_string().contains("constant"), "{error}");
        }
        let mut arrays = numbered(2, (3, 4, 5));
        arrays.0[1][[1, 2, 3]] = f32::NAN;
        let error = Scaling::of(&arrays).expect_err("NaN").to_string();
        assert!(
            error.contains("subset 1, slice 1") && error.contains("line = 2") && error.contains("column = 3"),
            "{error}"
        );
    }

    #[test]
    fn inputs_are_the_mean_of_the_other_subsets_around_the_slice() {
        let arrays = numbered(4, (9, 12, 14));
        let sampler = Sampler::new(&arrays, UNSCALED, &NETWORK, 6, 2, 1).expect("a sampler");
        let mut seen = [0; 8];
        for sample in 0..200 {
            let place = sampler.training_place(sample);
            assert!(!sampler.held_out.contains(&place.z));
            seen[place.symmetry] += 1;
            let batch = sampler.training(sample, 1).expect("a batch");
            let others = (0..4).filter(|&k| k != place.target).sum::<usize>() as f32 / 3.0;
            for (y, x) in [(0, 0), (2, 5), (5, 3)] {
                let target = batch.targets[[0, y, x]];
                let at = target - 1000.0 * place.target as f32 - 100.0 * place.z as f32;
                for channel in 0..3 {
                    let z = (place.z + channel).saturating_sub(1).min(8);
                    let expected = 1000.0 * others + 100.0 * z as f32 + at;
                    // Sums of three numbers below 4000 and a division, in f32.
                    assert!((batch.inputs[[0, channel, y, x]] - expected).abs() < 2e-3);
                }
            }
            // Neighbours stay neighbours: 10 from line to line and 1 from column to column, or the other way round.
            let step = |dy: usize, dx: usize| (batch.targets[[0, dy, dx]] - batch.targets[[0, 0, 0]]).abs();
            let (down, across) = if place.symmetry & 4 == 0 { (10.0, 1.0) } else { (1.0, 10.0) };
            assert_eq!((step(1, 0), step(0, 1)), (down, across));
        }
        assert!(seen.iter().all(|&n| n > 5), "{seen:?}");
    }

    #[test]
    fn samples_depend_on_their_number_only() {
        let arrays = numbered(3, (8, 16, 16));
        let sampler = |seed| Sampler::new(&arrays, UNSCALED, &NETWORK, 8, 2, seed).expect("a sampler");
        let together = sampler(5).training(0, 4).expect("a batch");
        let last = sampler(5).training(3, 1).expect("a batch");
        assert_eq!(together.inputs.index_axis(Axis(0), 3), last.inputs.index_axis(Axis(0), 0));
        assert_ne!(together.inputs, sampler(6).training(0, 4).expect("a batch").inputs);
        assert_eq!(
            sampler(5).validation(1).expect("a batch").inputs,
            sampler(5).validation(1).expect("a batch").inputs
        );
    }

    #[test]
    fn volumes_that_are_too_small_are_refused() {
        let new = |shape| Sampler::new(&numbered(2, shape), UNSCALED, &NETWORK, 8, 4, 1).map(|s| s.held_out.len());
        assert!(new((1, 8, 8)).expect_err("one slice").to_string().contains("one slice is too few"));
        assert!(new((4, 1, 8)).expect_err("one line").to_string().contains("too small"));
        assert_eq!(new((2, 2, 2)).expect("enough"), 1);
    }
}
