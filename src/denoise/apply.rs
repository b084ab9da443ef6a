//! A trained network at work: slices in tiles, the mean over all ways to leave out a subset.
//!
//! What comes out of a pixel depends on the pixels within [`Architecture::reach_px`] only. Tiles that overlap by that much and
//! begin where the pooling of the whole slice would have begun therefore give the same bits as the slice in one piece: there
//! are no seams to blend, and the size of the tiles is a matter of memory alone.

use super::sample::{check_numbers, neighbour};
use super::{Architecture, Engine, Model};
use crate::error::{Error, Result};
use ndarray::{Array3, Array4, ArrayView2, ArrayView3, ArrayViewMut3, Axis, s};
use std::ops::Range;

/// A network with what computes it.
pub struct Denoiser<'a> {
    model: &'a Model,
    engine: &'a mut dyn Engine,
}

impl<'a> Denoiser<'a> {
    /// Loads the network into `engine`.
    pub fn new(model: &'a Model, engine: &'a mut dyn Engine) -> Result<Self> {
        engine.load(&model.state())?;
        Ok(Denoiser { model, engine })
    }
    /// Denoises slices. `subsets`: one array for each subset, 1/cm, `[z + 2 reach, y, x]`, with the slices above and below
    /// (at the ends of the volume the last one again). `out`: `[z, y, x]`, 1/cm. `tick` is called several times a second with
    /// the part that is done, 0 to 1.
    ///
    /// Errors: another number of subsets than the network was trained with; a pixel that is not a number; `LIMIT` where not even
    /// the smallest tile has room.
    pub fn apply(
        &mut self,
        subsets: &[ArrayView3<f32>],
        mut out: ArrayViewMut3<f32>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        let architecture = self.model.architecture;
        let (slices, rows, cols) = out.dim();
        if subsets.len() != self.model.subsets {
            let message = "the network was trained with another number of subsets";
            return Err(Error::invalid("network", message)
                .with("subsets", subsets.len())
                .with("trained_with", self.model.subsets));
        }
        let around = architecture.reach_slices();
        let shape = (slices + 2 * around, rows, cols);
        if let Some(other) = subsets.iter().find(|subset| subset.dim() != shape) {
            let message = "a subset has another shape than its slices with their neighbours";
            return Err(Error::internal("network", message).with("shape", format!("{:?}", other.dim())));
        }
        for (index, subset) in subsets.iter().enumerate() {
            for (z, slice) in subset.outer_iter().enumerate() {
                check_numbers(slice, index, z, 0, 0)?;
            }
        }
        let size = self.tile(rows, cols)?;
        let tiles: Vec<_> = Tile::all(&architecture, [rows, cols], size).collect();
        let steps = (slices * tiles.len() * subsets.len()) as f64;
        let mut done = 0.0;
        for z in 0..slices {
            for tile in &tiles {
                let mut sum = Array3::<f32>::zeros((1, tile.area[0].len(), tile.area[1].len()));
                let mut one = sum.clone();
                for left_out in 0..subsets.len() {
                    let inputs = self.inputs(subsets, left_out, z, &tile.area);
                    self.engine.infer(inputs.view(), one.view_mut(), &mut || tick(done / steps))?;
                    sum += &one;
                    done += 1.0;
                    tick(done / steps)?;
                }
                let scale = 1.0 / subsets.len() as f32;
                let [down, across] = &tile.kept;
                let inside = sum.slice(s![
                    0,
                    down.start - tile.area[0].start..down.end - tile.area[0].start,
                    across.start - tile.area[1].start..across.end - tile.area[1].start
                ]);
                let mut out = out.slice_mut(s![z, down.clone(), across.clone()]);
                out.zip_mut_with(&inside, |out, sum| *out = self.model.scaling.back(scale * sum));
            }
        }
        Ok(())
    }
    /// Inputs of slice `z` of the output: the mean of all subsets but one. Beyond the last line and column of the image, which
    /// an area may reach to become a multiple of what pooling needs, the image is mirrored.
    fn inputs(&self, subsets: &[ArrayView3<f32>], left_out: usize, z: usize, area: &[Range<usize>; 2]) -> Array4<f32> {
        let channels = self.model.architecture.channels;
        let (slices, rows, cols) = subsets[0].dim();
        let mut inputs = Array4::zeros((1, channels, area[0].len(), area[1].len()));
        let scale = 1.0 / (subsets.len() - 1) as f32;
        for channel in 0..channels {
            // Slice z of the output is slice z + channels / 2 of what came in.
            let at = neighbour(z + channels / 2, channel, channels, slices);
            let others: Vec<ArrayView2<f32>> = (0..subsets.len())
                .filter(|&subset| subset != left_out)
                .map(|subset| subsets[subset].index_axis_move(Axis(0), at))
                .collect();
            // What lies inside of the image is a run of neighbours, and fast.
            let inside = area[1].start..area[1].end.min(cols);
            let mut lines = inputs.slice_mut(s![0, channel, .., ..]);
            for (y, mut line) in area[0].clone().zip(lines.outer_iter_mut()) {
                let y = mirrored(y, rows);
                for other in &others {
                    let mut part = line.slice_mut(s![..inside.len()]);
                    part += &other.slice(s![y, inside.clone()]);
                }
                line.mapv_inplace(|sum| self.model.scaling.forth(scale * sum));
                for x in inside.end..area[1].end {
                    line[x - area[1].start] = line[mirrored(x, cols) - area[1].start];
                }
            }
        }
        inputs
    }
    /// Sizes of the tiles without their overlap: as large as the memory allows, all of the slice if possible.
    fn tile(&self, rows: usize, cols: usize) -> Result<[usize; 2]> {
        let architecture = &self.model.architecture;
        let (multiple, reach) = (architecture.multiple_px(), architecture.reach_px());
        let mut size = [rows, cols].map(|n| n.next_multiple_of(multiple));
        let mut parts = [1, 1];
        let whole = size;
        let free = self.engine.memory_bytes();
        loop {
            let area = [0, 1].map(|axis| whole[axis].min(size[axis] + 2 * reach));
            let needed = self.engine.infer_bytes(area[0], area[1]);
            if needed <= free {
                return Ok(size);
            }
            // The longer side is cut into one part more.
            let axis = usize::from(size[1] >= size[0]);
            if size[axis] <= multiple {
                return Err(Error::limit("network", "the memory does not suffice for the smallest tile")
                    .with("needed_bytes", needed)
                    .with("free_bytes", free));
            }
            parts[axis] += 1;
            size[axis] = whole[axis].div_ceil(parts[axis]).next_multiple_of(multiple);
        }
    }
    /// What is held beside input and output, for slices of `rows` times `cols` pixels, bytes; at most what the engine may use.
    pub fn bytes(&self, rows: usize, cols: usize) -> u64 {
        let architecture = &self.model.architecture;
        let Ok(size) = self.tile(rows, cols) else { return self.engine.memory_bytes() };
        let reach = 2 * architecture.reach_px();
        let area = (size[0] + reach).min(rows + reach) * (size[1] + reach).min(cols + reach);
        self.engine.infer_bytes(size[0] + reach, size[1] + reach) + 4 * (area * (architecture.channels + 2)) as u64
    }
}

/// Position in an image of `len` lines of what stands at `at`, beyond its end in a mirror whose first line is the last.
fn mirrored(at: usize, len: usize) -> usize {
    let at = at % (2 * len);
    if at < len { at } else { 2 * len - 1 - at }
}

/// A part of a slice.
struct Tile {
    /// What is computed, lines and columns.
    area: [Range<usize>; 2],
    /// What is kept of it.
    kept: [Range<usize>; 2],
}

impl Tile {
    fn all(architecture: &Architecture, image: [usize; 2], size: [usize; 2]) -> impl Iterator<Item = Tile> {
        let (multiple, reach) = (architecture.multiple_px(), architecture.reach_px());
        let parts = [0, 1].map(move |axis| {
            let whole = image[axis].next_multiple_of(multiple);
            (0..image[axis]).step_by(size[axis]).map(move |start| {
                let end = start + size[axis];
                (start.saturating_sub(reach)..(end + reach).min(whole), start..end.min(image[axis]))
            })
        });
        let [down, across] = parts;
        down.flat_map(move |(rows, kept_rows)| {
            across
                .clone()
                .map(move |(cols, kept_cols)| Tile { area: [rows.clone(), cols], kept: [kept_rows.clone(), kept_cols] })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_stands_behind_the_last_line() {
        let seen: Vec<usize> = (0..9).map(|at| mirrored(at, 3)).collect();
        assert_eq!(seen, [0, 1, 2, 2, 1, 0, 0, 1, 2]);
    }

    #[test]
    fn tiles_cover_the_image_once_and_overlap_by_the_reach() {
        let architecture = Architecture { channels: 1, base_width: 8, depth: 2, norm: Default::default() };
        let (image, reach) = ([45, 130], architecture.reach_px());
        for size in [[48, 132], [16, 16], [4, 60], [20, 132]] {
            let mut covered = ndarray::Array2::<u8>::zeros(image);
            for tile in Tile::all(&architecture, image, size) {
                covered.slice_mut(s![tile.kept[0].clone(), tile.kept[1].clone()]).mapv_inplace(|n| n + 1);
                for ((area, kept), size) in tile.area.iter().zip(&tile.kept).zip(image) {
                    let whole = size.next_multiple_of(4);
                    assert!(area.start % 4 == 0 && area.end % 4 == 0 && area.end <= whole);
                    assert!(area.start == 0 || area.start + reach == kept.start);
                    assert!(area.end == whole || area.end >= kept.end + reach);
                }
            }
            assert!(covered.iter().all(|&n| n == 1));
        }
    }
}
