//! What is done with a group.

use super::Part;
use super::matching::{Group, Neighbourhood};
use super::transform::{ByCube, ByVoxel, CUBES, EDGE, VOXELS, forward, inverse};
use crate::simd::{Kernel, widest};
use ndarray::{ArrayView3, ArrayViewMut3, Axis};

/// Coefficients below this many standard deviations of the noise are taken for noise.
const THRESHOLD: f32 = 2.7;
/// Cubes are alike up to this mean squared difference, in variances of the noise. Equal cubes in noise differ by 2 ± 0.35; in the
/// result of the first stage little is left of it.
const ALIKE: [f32; 2] = [2.9, 0.4];

/// One stage on one slab.
pub(super) struct Groups<'a> {
    pub noisy: ArrayView3<'a, f32>,
    /// Slices of `noisy` before the first one of the model.
    pub before: usize,
    /// What groups are found in. In the second stage also what they should become.
    pub model: Part<'a>,
    pub cube: [usize; 3],
    pub sigma: f32,
    pub wiener: bool,
}

/// The estimates of some voxels: weighted sums, and weights.
pub(super) struct Sums<'a> {
    /// Of each slice.
    pub planes: Vec<[&'a mut [f32]; 2]>,
    pub width: usize,
    /// Slice and line of the volume with which these begin; a line before the first one is `usize::MAX` and so on.
    pub first: [usize; 2],
}

impl<'a> Sums<'a> {
    /// Of whole lines.
    pub fn new(sums: &'a mut ArrayViewMut3<f32>, weights: &'a mut ArrayViewMut3<f32>, first: [usize; 2]) -> Self {
        let width = sums.len_of(Axis(2));
        let planes = sums.outer_iter_mut().zip(weights.outer_iter_mut());
        let planes = planes.map(|(a, b)| [a, b].map(|plane| plane.into_slice().unwrap_or_default())).collect();
        Sums { planes, width, first }
    }
}

impl Groups<'_> {
    /// All groups whose references lie in one line of the model.
    pub fn filter_line(&self, near: &Neighbourhood, [z, y]: [usize; 2], xs: &[usize], to: &mut Sums<'_>) {
        widest(Line { groups: self, near, z, y, xs, to });
    }
}

struct Line<'a, 'b, 'c> {
    groups: &'a Groups<'b>,
    near: &'a Neighbourhood,
    z: usize,
    y: usize,
    xs: &'a [usize],
    to: &'a mut Sums<'c>,
}

impl Kernel for Line<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Groups { noisy, before, model, cube, sigma, wiener } = *self.groups;
        let mut cubes: ByCube = [[0.0; VOXELS]; CUBES];
        let mut spectrum: ByVoxel = [[0.0; CUBES]; VOXELS];
        let mut of_model: ByVoxel = [[0.0; CUBES]; VOXELS];
        let alike = ALIKE[usize::from(wiener)] * sigma * sigma;
        for (x, group) in self.xs.iter().zip(self.near.groups([self.z, self.y], self.xs, alike)) {
            // What all cubes have in common is no matter of the spectrum.
            let offset = model.values[[self.z, self.y, *x]];
            if wiener {
                gather(model.values, 0, &group, cube, offset, &mut cubes);
                forward(&mut cubes, group.count, cube, &mut of_model);
            }
            gather(noisy, before, &group, cube, offset, &mut cubes);
            forward(&mut cubes, group.count, cube, &mut spectrum);
            let weight = if wiener {
                shrink(&mut spectrum, &of_model, sigma)
            } else {
                threshold(&mut spectrum, THRESHOLD * sigma)
            };
            inverse(&mut spectrum, group.count, cube, &mut cubes);
            spread(&cubes, &group, cube, offset, weight, model.first, self.to);
        }
    }
}

/// The cubes of a group less `offset`; the rest of `cubes` becomes 0.
#[inline(always)]
fn gather(from: ArrayView3<f32>, before: usize, group: &Group, cube: [usize; 3], offset: f32, cubes: &mut ByCube) {
    let [deep, high, wide] = cube;
    if cube != [EDGE; 3] || group.count < CUBES {
        *cubes = [[0.0; VOXELS]; CUBES];
    }
    let [_, height, width] = [from.shape()[0], from.shape()[1], from.shape()[2]];
    let Some(values) = from.to_slice() else { return };
    for (values_of, [z, y, x]) in cubes[..group.count].iter_mut().zip(&group.places) {
        for kz in 0..deep {
            for ky in 0..high {
                let line = &values[((before + z + kz) * height + y + ky) * width + x..][..wide];
                let to = &mut values_of[(kz * EDGE + ky) * EDGE..][..wide];
                to.iter_mut().zip(line).for_each(|(to, v)| *to = v - offset);
            }
        }
    }
}

/// Removes what is below `limit`, but the mean; returns the weight of the estimate, the inverse of the variance left.
#[inline(always)]
fn threshold(spectrum: &mut ByVoxel, limit: f32) -> f32 {
    let mean = spectrum[0][0];
    let mut kept = [0u32; CUBES];
    for line in spectrum.iter_mut() {
        for (v, kept) in line.iter_mut().zip(&mut kept) {
            let keep = v.abs() >= limit;
            *v = if keep { *v } else { 0.0 };
            *kept += u32::from(keep);
        }
    }
    spectrum[0][0] = mean;
    1.0 / kept.iter().sum::<u32>().max(1) as f32
}

/// Shrinks to what the model says is there, but for the mean; returns the weight as [`threshold`] does.
#[inline(always)]
fn shrink(spectrum: &mut ByVoxel, model: &ByVoxel, sigma: f32) -> f32 {
    let (mean, noise) = (spectrum[0][0], sigma * sigma);
    let mut power = [0f32; CUBES];
    for (line, model) in spectrum.iter_mut().zip(model) {
        for ((v, m), power) in line.iter_mut().zip(model).zip(&mut power) {
            let of_model = m * m;
            let factor = of_model / (of_model + noise);
            *v *= factor;
            *power += factor * factor;
        }
    }
    spectrum[0][0] = mean;
    1.0 / power.iter().sum::<f32>().max(1.0)
}

/// Adds the estimates of a group to those of the voxels.
#[inline(always)]
fn spread(cubes: &ByCube, group: &Group, cube: [usize; 3], offset: f32, weight: f32, first: usize, to: &mut Sums<'_>) {
    let [deep, high, wide] = cube;
    for (values, [z, y, x]) in cubes[..group.count].iter().zip(&group.places) {
        for kz in 0..deep {
            // Slices that are not wanted lie before the first or behind the last.
            let Some([sums, weights]) = to.planes.get_mut((first + z + kz).wrapping_sub(to.first[0])) else { continue };
            for ky in 0..high {
                let at = (y + ky).wrapping_sub(to.first[1]) * to.width + x;
                let values = &values[(kz * EDGE + ky) * EDGE..][..wide];
                for (sum, v) in sums[at..at + wide].iter_mut().zip(values) {
                    *sum += weight * (v + offset);
                }
                weights[at..at + wide].iter_mut().for_each(|w| *w += weight);
            }
        }
    }
}
