//! A bird's-eye picture of a surface: seen in parallel rays, lit from the upper left, darker with the distance.

use super::surface::Triangle;
use ndarray::Array2;
use rayon::prelude::*;

/// Points of the depth map to a pixel of the picture, each way.
const FINE: usize = 2;
/// Reach of the smoothing of the depth map, in its points, and which steps in depth it leaves alone, in voxels.
const SMOOTH: isize = 2;
const STEP: f32 = 1.5;
/// Where the light comes from: right, up, towards the viewer; of length 1.
const LIGHT: [f32; 3] = [-0.40, 0.52, 0.755];
/// Brightness where no light falls, and how much is lost at the far end.
const SHADE: f32 = 0.22;
const FOG: f32 = 0.45;
/// Share of the picture that is left free on each side.
const MARGIN: f64 = 0.02;

/// A depth map that takes triangles in any number at a time.
#[derive(Clone, Debug)]
pub struct BirdsEye {
    /// Directions of the picture in voxels (x, y, z): to the right, up, away from the viewer.
    axes: [[f64; 3]; 3],
    /// Right and up coordinate of the upper left corner.
    corner: [f64; 2],
    /// Points of the map to a voxel.
    scale: f64,
    /// Pixels of the picture.
    size: [usize; 2],
    /// Distance of each point, infinite where there is nothing.
    depth: Vec<f32>,
}

impl BirdsEye {
    /// A picture whose longer side has `size_px` pixels, of a volume of `shape` voxels `[z, y, x]` that is seen whole.
    ///
    /// From an elevation of 90 degrees it is seen as its slices are, the first one in front. From 0 it is seen from the side, the
    /// first slice at the top: at azimuth 0 from the bottom of the slices, at 90 from their right.
    pub fn new(shape: [usize; 3], azimuth_deg: f64, elevation_deg: f64, size_px: usize) -> Self {
        let (sin_a, cos_a) = azimuth_deg.to_radians().sin_cos();
        let (sin_e, cos_e) = elevation_deg.to_radians().sin_cos();
        // In x to the right, y up and z up, then with the signs of slices, whose y and z run down.
        let slices = |v: [f64; 3]| [v[0], -v[1], -v[2]];
        let axes = [
            slices([cos_a, sin_a, 0.0]),
            slices([-sin_a * sin_e, cos_a * sin_e, cos_e]),
            slices([-sin_a * cos_e, cos_a * cos_e, -sin_e]),
        ];
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for k in 0..8 {
            let end = |axis: usize| if k >> axis & 1 == 1 { shape[2 - axis] as f64 - 0.5 } else { -0.5 };
            for (i, axis) in axes[..2].iter().enumerate() {
                let at: f64 = (0..3).map(|j| axis[j] * end(j)).sum();
                (low[i], high[i]) = (low[i].min(at), high[i].max(at));
            }
        }
        let wide = [high[0] - low[0], high[1] - low[1]].map(|w| w.max(1.0));
        let pixels = size_px as f64 * (1.0 - 2.0 * MARGIN) / wide[0].max(wide[1]);
        let free = MARGIN * size_px as f64 / pixels;
        let size = [wide[1], wide[0]].map(|w| ((w + 2.0 * free) * pixels).ceil().max(1.0) as usize);
        let depth = vec![f32::INFINITY; FINE * FINE * size[0] * size[1]];
        BirdsEye { axes, corner: [low[0] - free, high[1] + free], scale: pixels * FINE as f64, size, depth }
    }
    /// Memory that a picture needs, bytes.
    pub fn bytes(size_px: usize) -> u64 {
        (3 * 4 * FINE * FINE * size_px * size_px) as u64
    }
    /// Draws triangles. Those that turn their back are left out: the surface must be closed.
    pub fn add(&mut self, triangles: &[Triangle]) {
        let cols = FINE * self.size[1];
        let rows = FINE * self.size[0];
        for t in triangles {
            let [a, b, c] = t.map(|p| self.seen(p));
            let area = (b[0] - a[0]) * (a[1] - c[1]) - (c[0] - a[0]) * (a[1] - b[1]);
            if area <= 0.0 {
                continue;
            }
            let span = |i: usize, end: usize| {
                let low = a[i].min(b[i]).min(c[i]).ceil().max(0.0) as usize;
                let high = a[i].max(b[i]).max(c[i]).floor().min(end as f64 - 1.0);
                low..(high + 1.0).max(low as f64) as usize
            };
            let across = span(0, cols);
            for row in span(1, rows) {
                for col in across.clone() {
                    let (x, y) = (col as f64, row as f64);
                    let part =
                        |p: [f64; 3], q: [f64; 3]| ((q[0] - p[0]) * (p[1] - y) - (x - p[0]) * (p[1] - q[1])) / area;
                    let (of_a, of_b, of_c) = (part(b, c), part(c, a), part(a, b));
                    // A point on an edge belongs to both sides, so that there is no gap.
                    if of_a.min(of_b).min(of_c) >= -1e-9 {
                        let depth = (of_a * a[2] + of_b * b[2] + of_c * c[2]) as f32;
                        let kept = &mut self.depth[row * cols + col];
                        *kept = kept.min(depth);
                    }
                }
            }
        }
    }
    /// Column, row and distance in the map.
    fn seen(&self, p: [f32; 3]) -> [f64; 3] {
        let along = |axis: [f64; 3]| axis[0] * f64::from(p[0]) + axis[1] * f64::from(p[1]) + axis[2] * f64::from(p[2]);
        let [right, up, away] = self.axes.map(along);
        [(right - self.corner[0]) * self.scale - 0.5, (self.corner[1] - up) * self.scale - 0.5, away]
    }
    /// The picture, white where nothing is.
    pub fn finish(self, pool: &rayon::ThreadPool) -> Array2<u8> {
        let [height, width] = self.size;
        let cols = FINE * width;
        pool.install(|| {
            let smooth = self.smoothed();
            let range = smooth.par_iter().filter(|d| d.is_finite()).map(|d| (*d, *d));
            let (near, far) = range.reduce(|| (f32::INFINITY, f32::NEG_INFINITY), |a, b| (a.0.min(b.0), a.1.max(b.1)));
            let mut picture = vec![255u8; height * width];
            picture.par_chunks_mut(width).enumerate().for_each(|(y, line)| {
                for (x, pixel) in line.iter_mut().enumerate() {
                    let points = (0..FINE).flat_map(|dy| (0..FINE).map(move |dx| (FINE * y + dy, FINE * x + dx)));
                    let sum: f32 = points
                        .map(|(row, col)| match smooth[row * cols + col] {
                            d if d.is_finite() => {
                                let fog = 1.0 - FOG * (d - near) / (far - near).max(1.0);
                                240.0 * fog * self.light(&smooth, row, col)
                            }
                            _ => 255.0,
                        })
                        .sum();
                    *pixel = (sum / (FINE * FINE) as f32) as u8;
                }
            });
            Array2::from_shape_vec((height, width), picture).unwrap_or_default()
        })
    }
    /// The map with each point the mean of those around it that lie on the same surface: the triangles disappear, edges stay.
    fn smoothed(&self) -> Vec<f32> {
        let [rows, cols] = self.size.map(|n| (FINE * n) as isize);
        let mut smooth = vec![f32::INFINITY; self.depth.len()];
        smooth.par_chunks_mut(cols as usize).enumerate().for_each(|(row, line)| {
            for (col, out) in line.iter_mut().enumerate() {
                let middle = self.depth[row * cols as usize + col];
                if !middle.is_finite() {
                    continue;
                }
                let (row, col) = (row as isize, col as isize);
                let (mut sum, mut count) = (0.0, 0.0);
                for r in (row - SMOOTH).max(0)..(row + SMOOTH + 1).min(rows) {
                    for c in (col - SMOOTH).max(0)..(col + SMOOTH + 1).min(cols) {
                        // In pairs of opposite points, so that a slope stays what it is.
                        let (r2, c2) = (2 * row - r, 2 * col - c);
                        if !(0..rows).contains(&r2) || !(0..cols).contains(&c2) {
                            continue;
                        }
                        let pair = [(r, c), (r2, c2)].map(|(r, c)| self.depth[(r * cols + c) as usize]);
                        let bend = 0.5 * (pair[0] + pair[1]) - middle;
                        if bend.abs() < STEP && (pair[0] - pair[1]).abs() < 8.0 * STEP {
                            sum += bend;
                            count += 1.0;
                        }
                    }
                }
                *out = middle + if count > 0.0 { sum / count } else { 0.0 };
            }
        });
        smooth
    }
    /// Brightness of a point by the angle between surface and light (Lambert).
    fn light(&self, depth: &[f32], row: usize, col: usize) -> f32 {
        let [rows, cols] = self.size.map(|n| FINE * n);
        let here = depth[row * cols + col];
        let at = |row: Option<usize>, col: Option<usize>| {
            let inside = row.zip(col).filter(|(r, c)| *r < rows && *c < cols);
            inside.map(|(r, c)| depth[r * cols + c]).filter(|d| d.is_finite())
        };
        // The side on which the surface goes on; the flatter one where it ends on the other.
        let slope = |before: Option<f32>, after: Option<f32>| {
            let (before, after) = (before.map(|d| here - d), after.map(|d| d - here));
            let step = match (before, after) {
                (Some(a), Some(b)) if (a - b).abs() < STEP => 0.5 * (a + b),
                (Some(a), Some(b)) => {
                    if a.abs() < b.abs() {
                        a
                    } else {
                        b
                    }
                }
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => 0.0,
            };
            step * self.scale as f32
        };
        let right = slope(at(Some(row), col.checked_sub(1)), at(Some(row), Some(col + 1)));
        let up = slope(at(Some(row + 1), Some(col)), at(row.checked_sub(1), Some(col)));
        let falls = (right * LIGHT[0] + up * LIGHT[1] + LIGHT[2]) / (right * right + up * up + 1.0).sqrt();
        SHADE + (1.0 - SHADE) * falls.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The six sides of a box, outwards.
    fn cuboid(low: [f32; 3], high: [f32; 3]) -> Vec<Triangle> {
        let corner = |c: usize| [0, 1, 2].map(|i| if c >> i & 1 == 1 { high[i] } else { low[i] });
        let sides = [[0, 4, 6, 2], [1, 3, 7, 5], [0, 1, 5, 4], [2, 6, 7, 3], [0, 2, 3, 1], [4, 5, 7, 6]];
        let split = |s: &[usize; 4]| [[s[0], s[1], s[2]], [s[0], s[2], s[3]]].map(|t| t.map(corner));
        sides.iter().flat_map(split).collect()
    }

    fn pool() -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads")
    }

    /// Rows and columns of the picture that are not white.
    fn drawn(picture: &Array2<u8>) -> [[usize; 2]; 2] {
        let mut ends = [[usize::MAX, 0]; 2];
        for ((row, col), _) in picture.indexed_iter().filter(|(_, v)| **v < 250) {
            for (end, at) in ends.iter_mut().zip([row, col]) {
                *end = [end[0].min(at), end[1].max(at)];
            }
        }
        ends
    }

    #[test]
    fn sides_are_where_they_are_said_to_be() {
        // A box in the corner of few z, few y, many x.
        let parts = cuboid([60.0, 0.0, 0.0], [99.0, 20.0, 10.0]);
        let view = |azimuth: f64, elevation: f64| {
            let mut view = BirdsEye::new([100, 100, 100], azimuth, elevation, 400);
            view.add(&parts);
            drawn(&view.finish(&pool()))
        };
        let near = |found: [[usize; 2]; 2], rows: [f64; 2], cols: [f64; 2]| {
            // Pixels of a voxel, and where the first begins.
            let place = |v: f64| 8.0 + (v + 0.5) * 3.84;
            for (found, there) in found.iter().flatten().zip(rows.iter().chain(&cols)) {
                assert!((*found as f64 - place(*there)).abs() < 2.5, "{found} for {}", place(*there));
            }
        };
        // From above as the slice itself; from the front and from the right the first slice is at the top.
        near(view(0.0, 90.0), [0.0, 20.0], [60.0, 99.0]);
        near(view(0.0, 0.0), [0.0, 10.0], [60.0, 99.0]);
        near(view(90.0, 0.0), [0.0, 10.0], [79.0, 99.0]);
        near(view(180.0, 0.0), [0.0, 10.0], [0.0, 39.0]);
    }

    #[test]
    fn what_is_in_front_hides_what_is_behind_and_a_side_in_the_light_is_bright() {
        let (mut view, pool) = (BirdsEye::new([50, 50, 50], 0.0, 90.0, 200), pool());
        view.add(&cuboid([10.0, 10.0, 30.0], [40.0, 40.0, 40.0]));
        let behind = view.clone().finish(&pool)[(100, 100)];
        view.add(&cuboid([20.0, 20.0, 2.0], [30.0, 30.0, 8.0]));
        let both = view.finish(&pool);
        assert!(both[(100, 100)] > both[(60, 60)], "what is near is brighter");
        // Flat towards the viewer: the cosine of the light's direction, without fog for what is in front.
        let expected = 240.0 * (SHADE + (1.0 - SHADE) * LIGHT[2]);
        assert!([behind, both[(100, 100)]].iter().all(|v| (f32::from(*v) - expected).abs() < 2.0), "{behind}");
        // A roof: its side to the upper left is lit, the other one is not.
        let mut roof = BirdsEye::new([50, 50, 50], 0.0, 90.0, 200);
        let ridge = |y: f32| [25.0, y, 10.0];
        let side = |x: f32| [[x, 0.0, 40.0], [x, 49.0, 40.0]];
        let ([a, b], [c, d]) = (side(5.0), side(45.0));
        roof.add(&[
            [ridge(0.0), a, ridge(49.0)],
            [ridge(49.0), a, b],
            [d, c, ridge(49.0)],
            [ridge(49.0), c, ridge(0.0)],
        ]);
        let picture = roof.finish(&pool);
        let [lit, dark] = [70, 130].map(|x| i32::from(picture[(100, x)]));
        assert!(lit > dark + 30, "{lit} {dark}");
    }
}
