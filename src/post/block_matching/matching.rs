//! Which cubes of a neighbourhood look most like one of them.

use super::transform::{CUBES, EDGE};
use ndarray::ArrayView3;
use std::ops::Range;

/// Values beyond the ends of a line: their difference to anything is infinite once it is squared.
const NOTHING: f32 = 1e30;

/// Cubes of a group, the most alike first. Places are those of the volume.
pub(super) struct Group {
    pub places: [[usize; 3]; CUBES],
    pub count: usize,
    distances: [f32; CUBES],
}

impl Group {
    /// A cube alone.
    fn of(place: [usize; 3]) -> Self {
        Group { places: [place; CUBES], count: 1, distances: [0.0; CUBES] }
    }
    #[inline(always)]
    fn insert(&mut self, distance: f32, place: [usize; 3]) {
        let mut at = self.count.min(CUBES - 1);
        while at > 0 && self.distances[at - 1] > distance {
            (self.distances[at], self.places[at]) = (self.distances[at - 1], self.places[at - 1]);
            at -= 1;
        }
        (self.distances[at], self.places[at]) = (distance, place);
        self.count = (self.count + 1).min(CUBES);
    }
}

/// The part of the volume in which cubes of some references are looked for, line by line with room at either end.
pub(super) struct Neighbourhood {
    search: usize,
    cube: [usize; 3],
    /// Places at which a cube may begin.
    places: [Range<usize>; 3],
    /// Slices and lines that are held.
    held: [Range<usize>; 2],
    width: usize,
    stride: usize,
    values: Vec<f32>,
    /// Slices and lines between a reference and a candidate, the nearest first.
    offsets: Vec<[isize; 2]>,
}

impl Neighbourhood {
    /// Around references of slice `z` and the lines `ys`. Cubes begin at `places`.
    pub fn new(
        volume: ArrayView3<f32>,
        cube: [usize; 3],
        search: usize,
        places: [Range<usize>; 3],
        z: usize,
        ys: Range<usize>,
    ) -> Self {
        let around = |axis: usize, of: Range<usize>| {
            let places = &places[axis];
            of.start.saturating_sub(search).max(places.start)..(of.end + search).min(places.end) + cube[axis] - 1
        };
        let held = [around(0, z..z + 1), around(1, ys)];
        let width = volume.shape()[2];
        let stride = width + 2 * search;
        let mut values = vec![NOTHING; held[0].len() * held[1].len() * stride];
        let lines = held[0].clone().flat_map(|z| held[1].clone().map(move |y| (z, y)));
        for (line, (z, y)) in values.chunks_exact_mut(stride).zip(lines) {
            let from = volume.slice(ndarray::s![z, y, ..]);
            line[search..search + width].iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
        let reach = search as isize;
        let mut offsets: Vec<[isize; 2]> =
            (-reach..=reach).flat_map(|z| (-reach..=reach).map(move |y| [z, y])).collect();
        offsets.sort_by_key(|[z, y]| z * z + y * y);
        Neighbourhood { search, cube, places, held, width, stride, values, offsets }
    }
    /// The values of one line, moved by `step`.
    #[inline(always)]
    fn line(&self, z: usize, y: usize, step: isize) -> &[f32] {
        let at = (z - self.held[0].start) * self.held[1].len() + y - self.held[1].start;
        &self.values[(at * self.stride + self.search).wrapping_add_signed(step)..][..self.width]
    }
    /// For each cube of a line that begins at one of `xs`, those nearest to it, itself first. Cubes whose mean squared
    /// difference is `limit` or more stay out.
    #[inline(always)]
    pub fn groups(&self, [z, y]: [usize; 2], xs: &[usize], limit: f32) -> Vec<Group> {
        let [deep, high, wide] = self.cube;
        let mut groups: Vec<Group> = xs.iter().map(|x| Group::of([z, y, *x])).collect();
        let mut limits = vec![limit * (deep * high * wide) as f32; xs.len()];
        let (mut columns, mut cubes) = (vec![0f32; self.width], vec![0f32; self.width]);
        let inside =
            |i: usize, step: isize, places: &Range<usize>| i.checked_add_signed(step).filter(|i| places.contains(i));
        let reach = self.search as isize;
        for [dz, dy] in &self.offsets {
            let (Some(cz), Some(cy)) = (inside(z, *dz, &self.places[0]), inside(y, *dy, &self.places[1])) else {
                continue;
            };
            for dx in (-reach..=reach).filter(|dx| [*dz, *dy, *dx] != [0; 3]) {
                // Squared differences of all voxels of the line, summed over the slices and lines of a cube, then over columns.
                columns.fill(0.0);
                for kz in 0..deep {
                    let pair = |ky: usize| [self.line(z + kz, y + ky, 0), self.line(cz + kz, cy + ky, dx)];
                    if high == EDGE {
                        add_four(&mut columns, [pair(0), pair(1), pair(2), pair(3)]);
                    } else {
                        (0..high).for_each(|ky| add_one(&mut columns, pair(ky)));
                    }
                }
                let last = self.width - wide + 1;
                if wide == EDGE {
                    sum_four(&mut cubes[..last], &columns);
                } else {
                    cubes.iter_mut().zip(columns.windows(wide)).for_each(|(cube, of)| *cube = of.iter().sum());
                }
                for ((x, limit), group) in xs.iter().zip(&mut limits).zip(&mut groups) {
                    if cubes[*x] < *limit {
                        group.insert(cubes[*x], [cz, cy, x.wrapping_add_signed(dx)]);
                        if group.count == CUBES {
                            *limit = group.distances[CUBES - 1];
                        }
                    }
                }
            }
        }
        // What the transform takes.
        groups.iter_mut().for_each(|group| group.count = 1 << group.count.ilog2());
        groups
    }
}

/// Adds the squared differences of four pairs of lines.
#[inline(always)]
fn add_four(sums: &mut [f32], [a, b, c, d]: [[&[f32]; 2]; EDGE]) {
    let n = sums.len();
    let ([a0, a1], [b0, b1]) = ([&a[0][..n], &a[1][..n]], [&b[0][..n], &b[1][..n]]);
    let ([c0, c1], [d0, d1]) = ([&c[0][..n], &c[1][..n]], [&d[0][..n], &d[1][..n]]);
    for x in 0..n {
        let (a, b, c, d) = (a0[x] - a1[x], b0[x] - b1[x], c0[x] - c1[x], d0[x] - d1[x]);
        sums[x] += (a * a + b * b) + (c * c + d * d);
    }
}

/// The same for one pair.
#[inline(always)]
fn add_one(sums: &mut [f32], [a, b]: [&[f32]; 2]) {
    for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
        let d = a - b;
        *sum += d * d;
    }
}

/// Sums of four neighbours.
#[inline(always)]
fn sum_four(sums: &mut [f32], values: &[f32]) {
    let n = sums.len();
    let (a, b, c, d) = (&values[..n], &values[1..n + 1], &values[2..n + 2], &values[3..n + 3]);
    for x in 0..n {
        sums[x] = (a[x] + b[x]) + (c[x] + d[x]);
    }
}
