//! Forward projection: slices to sinograms, in parallel beams.
//!
//! Each ray takes one step per image row (or column, whichever it crosses more steeply) and interpolates linearly between the
//! two pixels there: Joseph 1982, doi:10.1109/TMI.1982.4307572. Several slices lie side by side in the SIMD lanes and share
//! the geometry; the image is taken in tiles that fit the cache. Must not know: files, stages.

use crate::error::{Error, Result};
use crate::progress::{Watch, watched};
use crate::simd::{Kernel, widest};
use ndarray::{ArrayView3, ArrayViewMut3, Axis};

/// Place named in the errors of this module.
const PLACE: &str = "project";
/// Slices side by side at most.
const MAX_LANES: usize = 16;
/// Rows and columns of a tile.
const TILE: usize = 64;
/// Sums that a thread keeps: views for which a tile is used once it is read, times columns.
const SUMS: usize = 1 << 18;
/// Positions have so many bits after the point.
const POINT: u32 = 32;

/// Prepared forward projection of square slices of one size.
pub struct Projector {
    views: Vec<View>,
    size: usize,
    cols: usize,
}

/// Where the rays of a view are. Of the two axes of the image, `k` is the one along which a ray takes its steps, `m` the other:
/// ray `n` crosses line `k` at `m = start + n * per_col + k * per_step`.
#[derive(Clone, Copy, Debug)]
struct View {
    /// `k` is the number of an image row, not of a column.
    by_rows: bool,
    start: f64,
    per_col: f64,
    /// -1 to 1.
    per_step: f64,
    /// Length of a step, cm.
    step_cm: f32,
}

impl Projector {
    /// `angles_rad`: one per view. `size`: rows and columns of a slice, whose middle is the rotation axis. `cols` and
    /// `center_px`: width of the detector, and the column at which it sees the axis. `pixel_um`: size of a pixel of the slice
    /// and of the detector.
    ///
    /// Errors: no views, angles that are not finite, sizes of 0 or above 1048576, an axis that is not on the detector, a pixel
    /// size that is not positive.
    pub fn new(angles_rad: &[f64], size: usize, cols: usize, center_px: f64, pixel_um: f64) -> Result<Self> {
        if angles_rad.is_empty() || angles_rad.iter().any(|a| !a.is_finite()) {
            return Err(
                Error::invalid(PLACE, "expected at least one view, and finite angles").with("views", angles_rad.len())
            );
        }
        if !((1..=1 << 20).contains(&size) && (1..=1 << 20).contains(&cols)) {
            return Err(Error::invalid(PLACE, "expected 1 to 1048576 columns of slice and detector")
                .with("size", size)
                .with("cols", cols));
        }
        if !(center_px >= 0.0 && center_px <= cols as f64 - 1.0) {
            let accepted = format!("the rotation axis must lie on the detector, 0 to {} px", cols - 1);
            return Err(Error::invalid(PLACE, accepted).with("center_px", center_px));
        }
        if !(pixel_um.is_finite() && pixel_um > 0.0) {
            return Err(Error::invalid(PLACE, "the pixel size must be greater than 0 µm").with("pixel_um", pixel_um));
        }
        let middle = (size as f64 - 1.0) / 2.0;
        let view = |angle: &f64| {
            let (sin, cos) = angle.sin_cos();
            let step_cm = |part: f64| (1e-4 * pixel_um / part.abs()) as f32;
            // n - center = X cos + Y sin with X = col - middle, Y = middle - row.
            if cos.abs() >= sin.abs() {
                let (per_col, per_step) = (1.0 / cos, sin / cos);
                let start = middle - center_px * per_col - middle * per_step;
                View { by_rows: true, start, per_col, per_step, step_cm: step_cm(cos) }
            } else {
                let (per_col, per_step) = (-1.0 / sin, cos / sin);
                let start = middle - center_px * per_col - middle * per_step;
                View { by_rows: false, start, per_col, per_step, step_cm: step_cm(sin) }
            }
        };
        Ok(Projector { views: angles_rad.iter().map(view).collect(), size, cols })
    }

    /// Slices at a time with which it works best; fewer cost more each, more cost the same.
    pub fn preferred_rows(&self) -> usize {
        MAX_LANES
    }

    /// Views that a thread takes at a time.
    fn views_at_once(&self) -> usize {
        (SUMS / self.cols).clamp(16, 128)
    }

    /// Working memory of [`Projector::project`] on `threads` threads, bytes.
    pub fn scratch_bytes(&self, threads: usize) -> u64 {
        let lanes = self.views_at_once() * self.cols + TILE * (TILE + 1);
        (4 * threads * MAX_LANES * lanes) as u64
    }

    /// `slices` `[z, y, x]` in 1/cm → line integrals `out` `[row, view, col]`, absorbance. Outside a slice is nothing.
    ///
    /// Threads are those of `pool`. `tick` is called on the calling thread with the finished part (0 to 1); its error stops
    /// the work. The result of a slice does not depend on the other slices, nor on the number of threads.
    ///
    /// Errors: shapes that do not fit together, values that are not finite or so large that their sum might not be.
    pub fn project(
        &self,
        pool: &rayon::ThreadPool,
        slices: ArrayView3<f32>,
        mut out: ArrayViewMut3<f32>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        let rows = slices.shape()[0];
        if slices.dim() != (rows, self.size, self.size) || out.dim() != (rows, self.views.len(), self.cols) {
            return Err(Error::invalid(PLACE, "slices and sinograms must fit the projector")
                .with("slices", format!("{:?}", slices.shape()))
                .with("sinograms", format!("{:?}", out.shape()))
                .with("expected", format!("{} x {}, {} x {}", self.size, self.size, self.views.len(), self.cols)));
        }
        let limit = f32::MAX / (8 * self.size) as f32;
        for (z, slice) in slices.outer_iter().enumerate() {
            if let Some(((y, x), value)) = slice.indexed_iter().find(|(_, v)| v.is_nan() || v.abs() > limit) {
                return Err(Error::invalid(
                    PLACE,
                    "a slice holds a value that is not finite, or too large to be added up",
                )
                .with("slice", z)
                .with("y", y)
                .with("x", x)
                .with("value", value));
            }
        }
        let (mut done, batches) = (0.0, rows.div_ceil(MAX_LANES).max(1) as f64);
        let sinograms = out.axis_chunks_iter_mut(Axis(0), MAX_LANES);
        for (slices, sinograms) in slices.axis_chunks_iter(Axis(0), MAX_LANES).zip(sinograms) {
            let tick = &mut |part| tick((done + part) / batches);
            match slices.shape()[0] {
                1 => self.batch::<1>(pool, slices, sinograms, tick)?,
                2..=4 => self.batch::<4>(pool, slices, sinograms, tick)?,
                _ => self.batch::<MAX_LANES>(pool, slices, sinograms, tick)?,
            }
            done += 1.0;
        }
        Ok(())
    }

    /// At most `LANES` slices.
    fn batch<const LANES: usize>(
        &self,
        pool: &rayon::ThreadPool,
        slices: ArrayView3<f32>,
        mut out: ArrayViewMut3<f32>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        let at_once = self.views_at_once();
        let slices = slices.as_standard_layout();
        let planes: Vec<&[f32]> = slices.outer_iter().filter_map(|slice| slice.to_slice()).collect();
        let mut parts: Vec<_> = self.views.chunks(at_once).zip(out.axis_chunks_iter_mut(Axis(1), at_once)).collect();
        let (all, mut done) = (parts.len(), 0);
        let threads = pool.current_num_threads();
        let mut buffers = vec![(Vec::new(), Tile::<LANES>::new()); threads];
        for group in parts.chunks_mut(threads) {
            let (before, part) = (done as f64 / all as f64, group.len() as f64 / all as f64);
            done += group.len();
            let steps = group.len() * self.tiles().iter().product::<usize>();
            watched(
                pool,
                group.iter_mut().zip(&mut buffers),
                steps,
                |((views, out), (sums, tile)), watch| {
                    sums.clear();
                    sums.resize(views.len() * self.cols, [0f32; LANES]);
                    self.add_tiles(views, &planes, sums, tile, watch);
                    for ((view, sums), mut out) in
                        views.iter().zip(sums.chunks_exact(self.cols)).zip(out.axis_iter_mut(Axis(1)))
                    {
                        for (lane, mut line) in out.outer_iter_mut().enumerate() {
                            line.iter_mut().zip(sums).for_each(|(p, sum)| *p = view.step_cm * sum[lane]);
                        }
                    }
                },
                &mut |x| tick(before + part * x),
            )?;
        }
        Ok(())
    }

    /// Tiles along `k`, and along `m`.
    fn tiles(&self) -> [usize; 2] {
        [self.size.div_ceil(TILE), (self.size + 1).div_ceil(TILE)]
    }

    /// Adds all tiles, in a fixed order, to the sums of `views`, `[view, col, lane]`.
    fn add_tiles<const LANES: usize>(
        &self,
        views: &[View],
        planes: &[&[f32]],
        sums: &mut [[f32; LANES]],
        tile: &mut Tile<LANES>,
        watch: &Watch,
    ) {
        for by_rows in [true, false].into_iter().filter(|by_rows| views.iter().any(|v| v.by_rows == *by_rows)) {
            // Lines `k`, and pixels `m` from the one before the first on, since a ray may pass between them. Tiles beside one
            // another in the rows of the image come one after the other, so that its pages are read in turn.
            let [ks, ms] = self.tiles();
            for i in 0..ks * ms {
                let (k, m) = if by_rows { (i / ms, i % ms) } else { (i % ks, i / ks) };
                if tile.read(planes, self.size, by_rows, k * TILE, (m * TILE) as isize - 1) {
                    let sums = views.iter().zip(sums.chunks_exact_mut(self.cols));
                    sums.filter(|(view, _)| view.by_rows == by_rows)
                        .for_each(|(view, sums)| add_tile(view, tile, sums));
                }
                if !watch.step() {
                    return;
                }
            }
        }
    }
}

/// A part of some slices: lines `k`.. of pixels `m`.. and one more of each line.
#[derive(Clone)]
struct Tile<const LANES: usize> {
    k: usize,
    lines: usize,
    m: isize,
    /// `[line, TILE + 1]`.
    pixels: Vec<[f32; LANES]>,
}

impl<const LANES: usize> Tile<LANES> {
    fn new() -> Self {
        Tile { k: 0, lines: 0, m: 0, pixels: vec![[0.0; LANES]; TILE * (TILE + 1)] }
    }

    /// Takes a tile of the slices `planes`, `size` x `size` each. Returns whether there is anything but 0.
    fn read(&mut self, planes: &[&[f32]], size: usize, by_rows: bool, k: usize, m: isize) -> bool {
        (self.k, self.m, self.lines) = (k, m, TILE.min(size - k));
        let beyond = m + TILE as isize + 1;
        let inside = m.max(0) as usize..size.min(beyond as usize);
        if m < 0 || beyond as usize > size {
            self.pixels.fill([0.0; LANES]);
        }
        let (rows, cols) = if by_rows { (k..k + self.lines, inside) } else { (inside, k..k + self.lines) };
        let mut bits = 0;
        for row in rows {
            let (first, stride) = if by_rows {
                ((row - k) * (TILE + 1) + (cols.start as isize - m) as usize, 1)
            } else {
                ((row as isize - m) as usize, TILE + 1)
            };
            // Slice by slice: the same place in all of them often falls into the same few lines of the cache.
            for (lane, plane) in planes.iter().enumerate() {
                let values = &plane[row * size + cols.start..row * size + cols.end];
                for (pixel, value) in self.pixels[first..].iter_mut().step_by(stride).zip(values) {
                    pixel[lane] = *value;
                    // Without its sign.
                    bits |= value.to_bits() << 1;
                }
            }
        }
        bits != 0
    }
}

/// Adds a tile to the sums of one view, `[col, lane]`.
fn add_tile<const LANES: usize>(view: &View, tile: &Tile<LANES>, sums: &mut [[f32; LANES]]) {
    let lines = tile.lines as i64;
    let fixed = |v: f64| (v * (1u64 << POINT) as f64).round() as i64;
    let width = fixed(TILE as f64);
    let step = fixed(view.per_step);
    // Rays that lean the other way take their steps from the last line to the first, so that m always grows.
    let (first, stride) = if step >= 0 { (tile.k, 1) } else { (tile.k + tile.lines - 1, -1i64) };
    // From m of a ray at line 0 to m at the first line, from the beginning of the tile. Integers, so that two tiles side by
    // side agree to which of them a step belongs.
    let shift = first as i64 * step - ((tile.m as i64) << POINT);
    let step = step.abs();
    let start = view.start + first as f64 * view.per_step - tile.m as f64;
    // Rays that enter before the tile ends and leave after it begins; one more on either side, as what matters is below.
    let ends = [-(lines as f64) * view.per_step.abs(), TILE as f64].map(|m| (m - start) / view.per_col);
    let from = (ends[0].min(ends[1]).floor() - 1.0).clamp(0.0, sums.len() as f64) as usize;
    let to = (ends[0].max(ends[1]).ceil() + 2.0).clamp(0.0, sums.len() as f64) as usize;
    for (n, sum) in sums.iter_mut().enumerate().take(to).skip(from) {
        let at = fixed(view.start + n as f64 * view.per_col) + shift;
        // Steps after which m is in 0..TILE.
        let steps_to = |m: i64| match m - at {
            distance if distance <= 0 => 0,
            _ if step == 0 => lines,
            distance => ((distance + step - 1) / step).min(lines),
        };
        let (enter, leave) = (steps_to(0), steps_to(width));
        let line = if stride > 0 { enter } else { lines - 1 - enter };
        let width = TILE as i64 + 1;
        let ray =
            Ray { steps: leave - enter, at: at + enter * step, step, place: line * width, stride: stride * width };
        widest(AddRay { pixels: &tile.pixels, ray, sum });
    }
}

/// The part of a ray in a tile.
#[derive(Clone, Copy)]
struct Ray {
    steps: i64,
    /// m at the first step, and what each step adds.
    at: i64,
    step: i64,
    /// Beginning of the line at the first step, and what each step adds.
    place: i64,
    stride: i64,
}

/// Adds the pixels `[line, TILE + 1]` along a ray.
struct AddRay<'a, const LANES: usize> {
    pixels: &'a [[f32; LANES]],
    ray: Ray,
    sum: &'a mut [f32; LANES],
}

impl<const LANES: usize> Kernel for AddRay<'_, LANES> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let AddRay { pixels, ray, sum } = self;
        let (mut at, mut place) = (ray.at, ray.place);
        let mut own = [0f32; LANES];
        for _ in 0..ray.steps {
            let part = ((at as u32) >> 8) as f32 * (1.0 / (1 << 24) as f32);
            if let Some([a, b]) = pixels[(place + (at >> POINT)) as usize..].first_chunk::<2>() {
                for lane in 0..LANES {
                    own[lane] += a[lane] + part * (b[lane] - a[lane]);
                }
            }
            at += ray.step;
            place += ray.stride;
        }
        for lane in 0..LANES {
            sum[lane] += own[lane];
        }
    }
}
