//! The surface of what has at least a given value, as triangles: marching cubes (W. Lorensen and H. Cline, 1987,
//! doi:10.1145/37402.37422) over slices that come one after the other.

mod cases;

use crate::error::Result;
use cases::{EDGES, cases};
use ndarray::{ArrayView2, ArrayView3};
use rayon::prelude::*;

/// Three corners (x, y, z); the first voxel of slice 0 has its centre at 0, 0, 0, and voxels are 1 wide. They go counter-clockwise
/// for one who looks from outside the object.
pub type Triangle = [[f32; 3]; 3];

/// Lines of cells that a thread works on at a time.
const LINES: usize = 16;
/// Corners of triangles keep this distance from the centres of voxels, so that no two of them coincide and no triangle is without
/// an area, also where values are equal to the level.
const MARGIN: f32 = 1.0 / 512.0;

/// Takes slices in order and gives triangles. The surface lies where linear interpolation between voxels gives the level. It is
/// closed but for where it meets the ends of the volume, and those can be closed half a voxel outside the outermost centres,
/// where the outermost voxels end. Triangles come in an order that depends neither on threads nor on how slices are cut.
#[derive(Clone, Debug)]
pub struct MarchingCubes {
    level: f32,
    closed: bool,
    /// Height and width of a slice.
    slice: [usize; 2],
    /// The slice before, once there was one.
    before: Option<Layer>,
    /// Number of the next slice.
    z: i64,
}

/// A slice with a border of one voxel around it.
#[derive(Clone, Debug)]
struct Layer {
    /// `None` beyond the ends of the volume.
    values: Option<Vec<f32>>,
    /// At or above the level, border included.
    inside: Vec<u8>,
}

impl MarchingCubes {
    /// For slices of the size `slice`, the first of which has the number `z`. Values from `level` on are inside; `closed`: what is
    /// outside the volume is not.
    pub fn new(level: f32, closed: bool, slice: [usize; 2], z: i64) -> Self {
        MarchingCubes { level, closed, slice, before: None, z }
    }
    /// Memory beside the slices and the triangles of one call of `out`, and of those, at most.
    pub fn scratch_bytes(slice: [usize; 2], threads: usize) -> u64 {
        let [height, width] = slice.map(|n| n as u64 + 2);
        // Two slices with their marks; five triangles in each cell of the lines in work.
        10 * height * width + (threads * LINES) as u64 * width * 5 * size_of::<Triangle>() as u64
    }
    /// The next slices `[z, y, x]`. `tick` as in the other functions on volumes.
    pub fn add(
        &mut self,
        pool: &rayon::ThreadPool,
        slices: ArrayView3<f32>,
        out: &mut dyn FnMut(&[Triangle]) -> Result<()>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        let count = slices.shape()[0];
        for (i, slice) in slices.outer_iter().enumerate() {
            let layer = self.layer(pool, Some(slice));
            self.step(pool, layer, out)?;
            tick((i + 1) as f64 / count as f64)?;
        }
        Ok(())
    }
    /// No more slices come.
    pub fn finish(mut self, pool: &rayon::ThreadPool, out: &mut dyn FnMut(&[Triangle]) -> Result<()>) -> Result<()> {
        if self.closed && self.before.is_some() {
            let end = self.layer(pool, None);
            self.step(pool, end, out)?;
        }
        Ok(())
    }
    fn layer(&self, pool: &rayon::ThreadPool, slice: Option<ArrayView2<f32>>) -> Layer {
        let [height, width] = self.slice;
        let mut inside = vec![0; (height + 2) * (width + 2)];
        let values = slice.map(|slice| slice.as_standard_layout().iter().copied().collect::<Vec<f32>>());
        if let Some(values) = &values {
            let lines = inside[width + 2..].par_chunks_mut(width + 2).zip(values.par_chunks(width.max(1)));
            pool.install(|| {
                lines.for_each(|(marks, line)| {
                    marks[1..].iter_mut().zip(line).for_each(|(mark, v)| *mark = u8::from(*v >= self.level));
                });
            });
        }
        Layer { values, inside }
    }
    /// The cells between the slice before and this one.
    fn step(
        &mut self,
        pool: &rayon::ThreadPool,
        next: Layer,
        out: &mut dyn FnMut(&[Triangle]) -> Result<()>,
    ) -> Result<()> {
        let before = match self.before.take() {
            Some(before) => before,
            None if self.closed => self.layer(pool, None),
            None => {
                (self.before, self.z) = (Some(next), self.z + 1);
                return Ok(());
            }
        };
        let cells = Cells { below: &before, above: &next, of: self };
        let lines = if self.closed { 0..self.slice[0] + 1 } else { 1..self.slice[0] };
        let starts: Vec<usize> = lines.clone().step_by(LINES).collect();
        for group in starts.chunks(pool.current_num_threads()) {
            let part = |start: &usize| cells.lines(*start..(start + LINES).min(lines.end));
            let found: Vec<Vec<Triangle>> = pool.install(|| group.par_iter().map(part).collect());
            found.iter().filter(|t| !t.is_empty()).try_for_each(|triangles| out(triangles))?;
        }
        (self.before, self.z) = (Some(next), self.z + 1);
        Ok(())
    }
}

/// The cells between two slices. Lines and columns count from the border, which is 0.
struct Cells<'a> {
    below: &'a Layer,
    above: &'a Layer,
    of: &'a MarchingCubes,
}

impl Cells<'_> {
    fn lines(&self, lines: std::ops::Range<usize>) -> Vec<Triangle> {
        let [_, width] = self.of.slice;
        let columns = if self.of.closed { 0..width + 1 } else { 1..width };
        let (cases, mut triangles) = (cases(), Vec::new());
        for y in lines {
            let line = |y: usize| y * (width + 2)..(y + 1) * (width + 2);
            let (a, b) = (&self.below.inside[line(y)], &self.below.inside[line(y + 1)]);
            let (c, d) = (&self.above.inside[line(y)], &self.above.inside[line(y + 1)]);
            let column = |x: usize| a[x] | b[x] << 2 | c[x] << 4 | d[x] << 6;
            let mut left = column(columns.start);
            for x in columns.clone() {
                let right = column(x + 1);
                let case = left | right << 1;
                left = right;
                if case == 0 || case == 255 {
                    continue;
                }
                triangles.extend(cases[case as usize].iter().map(|edges| edges.map(|e| self.point(x, y, e))));
            }
        }
        triangles
    }
    /// Where the surface crosses an edge of the cell at column `x` of line `y`.
    fn point(&self, x: usize, y: usize, edge: u8) -> [f32; 3] {
        let (corner, axis) = EDGES[edge as usize];
        let place =
            |corner: u8| [x + usize::from(corner & 1), y + usize::from(corner >> 1 & 1), usize::from(corner >> 2)];
        // Every cell at this edge computes the same, from the same end of it.
        let near = place(corner);
        let along = match (self.value(near), self.value(place(corner | 1 << axis))) {
            (Some(a), Some(b)) => ((self.of.level - a) / (b - a)).clamp(MARGIN, 1.0 - MARGIN),
            _ => 0.5,
        };
        let mut point = [near[0] as f32 - 1.0, near[1] as f32 - 1.0, (self.of.z - 1 + near[2] as i64) as f32];
        point[axis as usize] += along;
        point
    }
    fn value(&self, [x, y, z]: [usize; 3]) -> Option<f32> {
        let [height, width] = self.of.slice;
        let inside = (1..=height).contains(&y) && (1..=width).contains(&x);
        let layer = if z == 0 { self.below } else { self.above };
        layer.values.as_ref().filter(|_| inside).map(|values| values[(y - 1) * width + x - 1])
    }
}

/// Twice the area of a triangle times its outward normal.
pub fn normal(t: &Triangle) -> [f64; 3] {
    let side = |k: usize| [0, 1, 2].map(|i| f64::from(t[k][i]) - f64::from(t[0][i]));
    let (u, v) = (side(1), side(2));
    [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
}

/// Area of a surface and the volume that it encloses, in voxels, summed in the order of its triangles.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extent {
    /// Number of triangles.
    pub triangles: u64,
    /// Area, in faces of voxels.
    pub area: f64,
    /// Volume by the divergence theorem; of use if the surface is closed.
    pub volume: f64,
}

impl Extent {
    /// Adds triangles.
    pub fn add(&mut self, triangles: &[Triangle]) {
        for t in triangles {
            let n = normal(t);
            self.area += 0.5 * n.iter().map(|v| v * v).sum::<f64>().sqrt();
            self.volume += n.iter().zip(t[0]).map(|(n, v)| n * f64::from(v)).sum::<f64>() / 6.0;
        }
        self.triangles += triangles.len() as u64;
    }
}

#[cfg(test)]
mod tests;
