//! A foam: a cylinder of material, full of spherical holes that do not overlap, with exact line integrals. Lengths are in
//! radii of the cylinder, whose axis is the rotation axis.

use super::{Lcg, xy};
use ndarray::Array2;

/// A hole.
#[derive(Clone, Copy, Debug)]
pub struct Sphere {
    pub x: f64,
    pub y: f64,
    pub z: f64,
    pub radius: f64,
}

/// A layer of foam, from -`half_height` to `half_height`; holes may stick out of it above and below.
#[derive(Clone, Debug)]
pub struct Foam {
    pub spheres: Vec<Sphere>,
}

const LARGEST: f64 = 0.2;
const SMALLEST: f64 = 0.006;

impl Foam {
    /// As many holes as find room around `points` random points, the largest first: each grows until it touches another or
    /// the cylinder, up to a radius of 0.2; those below 0.006 are left out. 40 000 points fill 4/5 of a layer of half a
    /// radius. The same seed gives the same foam.
    pub fn new(seed: u64, points: usize, half_height: f64) -> Self {
        let mut random = Lcg(seed);
        let mut within = |low: f64, high: f64| low + (high - low) * random.unit();
        // Points that lie in no hole, and how large a hole around each may be.
        let mut free: Vec<Sphere> = Vec::with_capacity(points);
        while free.len() < points {
            let (x, y, z) = (within(-1.0, 1.0), within(-1.0, 1.0), within(-half_height, half_height));
            let radius = (1.0 - x.hypot(y)).min(LARGEST);
            if radius >= SMALLEST {
                free.push(Sphere { x, y, z, radius });
            }
        }
        let mut spheres = Vec::new();
        while let Some(largest) = free.iter().copied().max_by(|a, b| a.radius.total_cmp(&b.radius)) {
            spheres.push(largest);
            free.retain_mut(|point| {
                let (dx, dy, dz) = (point.x - largest.x, point.y - largest.y, point.z - largest.z);
                point.radius = point.radius.min((dx * dx + dy * dy + dz * dz).sqrt() - largest.radius);
                point.radius >= SMALLEST
            });
        }
        Foam { spheres }
    }
    /// At most `holes` holes with radii between 0.01 and 0.15, small ones as often as large ones on a logarithmic scale, in a
    /// cylinder from -1 to 1. Those that find no room are left out.
    pub fn sparse(seed: u64, holes: usize) -> Self {
        const RADII: (f64, f64) = (0.01, 0.15);
        const TRIES: usize = 2000;
        let mut random = Lcg(seed);
        let mut radii: Vec<f64> = (0..holes).map(|_| RADII.0 * (RADII.1 / RADII.0).powf(random.unit())).collect();
        radii.sort_by(|a, b| b.total_cmp(a));
        let mut spheres: Vec<Sphere> = Vec::with_capacity(holes);
        for radius in radii {
            let mut place = || 2.0 * random.unit() - 1.0;
            let fits = |new: &Sphere| {
                let apart = |old: &Sphere| {
                    let (dx, dy, dz) = (old.x - new.x, old.y - new.y, old.z - new.z);
                    (dx * dx + dy * dy + dz * dz).sqrt() > old.radius + radius
                };
                new.x.hypot(new.y) + radius < 0.98 && spheres.iter().all(apart)
            };
            let found = (0..TRIES).map(|_| Sphere { x: place(), y: place(), z: place(), radius }).find(fits);
            spheres.extend(found);
        }
        Foam { spheres }
    }
    /// Circles that the plane at `z` cuts out of the holes: x, y, radius.
    fn circles(&self, z: f64) -> Vec<(f64, f64, f64)> {
        let cut = |s: &Sphere| {
            let radius2 = s.radius * s.radius - (z - s.z).powi(2);
            (radius2 > 0.0).then(|| (s.x, s.y, radius2.sqrt()))
        };
        self.spheres.iter().filter_map(cut).collect()
    }
    /// Length of material on each ray of the plane at `z`, `[view, col]`: the mean over two rays in each detector pixel. The
    /// axis is in the middle; a radius of the cylinder is `radius_px` columns.
    pub fn sinogram(&self, z: f64, angles_rad: &[f64], cols: usize, radius_px: f64) -> Array2<f32> {
        let circles = self.circles(z);
        let middle = (cols as f64 - 1.0) / 2.0;
        let mut out = Array2::zeros((angles_rad.len(), cols));
        for (mut view, angle) in out.outer_iter_mut().zip(angles_rad) {
            let (sin, cos) = angle.sin_cos();
            // Two rays to a column.
            let mut rays = vec![0.0; 2 * cols];
            let position = |ray: usize| (0.5 * ray as f64 - 0.25 - middle) / radius_px;
            let place = |u: f64| (2.0 * (u * radius_px + middle) + 0.5).clamp(0.0, 2.0 * cols as f64 - 1.0);
            let mut add = |u: f64, radius: f64, sign: f64| {
                let (first, last) = (place(u - radius) as usize, place(u + radius).ceil() as usize);
                for (ray, sum) in rays.iter_mut().enumerate().take(last + 1).skip(first) {
                    let half2 = radius * radius - (position(ray) - u).powi(2);
                    *sum += sign * 2.0 * half2.max(0.0).sqrt();
                }
            };
            add(0.0, 1.0, 1.0);
            circles.iter().for_each(|(x, y, radius)| add(x * cos + y * sin, *radius, -1.0));
            view.iter_mut().zip(rays.chunks_exact(2)).for_each(|(v, two)| *v = (0.5 * (two[0] + two[1])) as f32);
        }
        out
    }
    /// The plane at `z` as an image of `size` x `size` with the axis in the middle: the part of each pixel that is material,
    /// from 4 x 4 points in it.
    pub fn slice(&self, z: f64, size: usize, radius_px: f64) -> Array2<f32> {
        const POINTS: usize = 4;
        let circles = self.circles(z);
        let mut image = Array2::<f32>::zeros((size, size));
        let points = || {
            (0..POINTS * POINTS).map(|i| {
                let offset = |k: usize| (k as f64 + 0.5) / POINTS as f64 - 0.5;
                (offset(i % POINTS), offset(i / POINTS))
            })
        };
        let middle = (size as f64 - 1.0) / 2.0;
        let mut add = |cx: f64, cy: f64, radius: f64, value: f32| {
            let range = |c: f64| {
                let (low, high) = (middle + (c - radius) * radius_px - 1.0, middle + (c + radius) * radius_px + 1.0);
                low.max(0.0) as usize..=(high.max(0.0).ceil() as usize).min(size - 1)
            };
            for row in range(-cy) {
                for col in range(cx) {
                    let (x, y) = xy(size, row, col);
                    let inside = points()
                        .filter(|(dx, dy)| ((x + dx) / radius_px - cx).hypot((y + dy) / radius_px - cy) < radius);
                    image[[row, col]] += value * inside.count() as f32 / (POINTS * POINTS) as f32;
                }
            }
        };
        add(0.0, 0.0, 1.0, 1.0);
        circles.iter().for_each(|(x, y, radius)| add(*x, *y, *radius, -1.0));
        image
    }
}
