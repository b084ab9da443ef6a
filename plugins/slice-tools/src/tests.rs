//! Objects against a flood fill, balls against their formulas. The stages themselves, cut into slabs, are tested by wagiri.

use crate::Range;
use crate::measure::{DIRECTIONS, HEAD, Measures, table};
use crate::objects::{Finder, Objects, Rules, Size, Tally};
use crate::runs::SliceRuns;
use std::f64::consts::PI;

/// Reproducible pseudo-random numbers from 0 to 1 (Knuth's MMIX constants).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A volume `[z, y, x]` of the value at each voxel.
struct Volume {
    dims: [usize; 3],
    data: Vec<f32>,
}

impl Volume {
    fn new(dims: [usize; 3], mut value: impl FnMut([usize; 3]) -> f32) -> Self {
        let [nz, ny, nx] = dims;
        let at = |i: usize| [i / (ny * nx), i / nx % ny, i % nx];
        Volume { dims, data: (0..nz * ny * nx).map(|i| value(at(i))).collect() }
    }
    fn slices(&self) -> impl Iterator<Item = &[f32]> {
        self.data.chunks(self.dims[1] * self.dims[2])
    }
}

const RANGE: Range = Range { low: 0.5, high: f64::INFINITY };
const ALL: Rules = Rules { corners: true, min_voxels: 1 };

fn objects<T: Tally>(volume: &Volume, rules: Rules) -> Objects<T> {
    let mut finder = Finder::new(rules, volume.dims[2], true);
    for (z, slice) in (0..).zip(volume.slices()) {
        finder.add(z, slice, SliceRuns::find(slice, volume.dims[2], RANGE)).expect("slices in order");
    }
    finder.finish()
}

fn labels(volume: &Volume, rules: Rules) -> Vec<f32> {
    let (found, cols) = (objects::<Size>(volume, rules), volume.dims[2]);
    let mut out = vec![f32::NAN; volume.data.len()];
    for ((z, slice), out) in (0..).zip(volume.slices()).zip(out.chunks_mut(volume.dims[1] * cols)) {
        found.paint(z, &SliceRuns::find(slice, cols, RANGE), cols, out).expect("the same slices");
    }
    out
}

/// The same by flooding each object from its first voxel.
fn flooded(volume: &Volume, rules: Rules) -> Vec<f32> {
    let [nz, ny, nx] = volume.dims;
    let (mut out, mut number) = (vec![0.0; volume.data.len()], 0.0);
    let mut seen: Vec<bool> = volume.data.iter().map(|v| *v < 0.5).collect();
    for start in 0..out.len() {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let (mut object, mut next) = (vec![start], 0);
        while next < object.len() {
            let i = object[next];
            next += 1;
            let at = [i / (ny * nx), i / nx % ny, i % nx].map(|v| v as isize);
            for k in 0..27 {
                let step: [isize; 3] = [k / 9 - 1, k / 3 % 3 - 1, k % 3 - 1];
                if !rules.corners && step.iter().map(|s| s.abs()).sum::<isize>() != 1 {
                    continue;
                }
                let [z, y, x] = [at[0] + step[0], at[1] + step[1], at[2] + step[2]];
                let inside = |v: isize, n: usize| (0..n as isize).contains(&v);
                if inside(z, nz) && inside(y, ny) && inside(x, nx) {
                    let j = (z as usize * ny + y as usize) * nx + x as usize;
                    if !seen[j] {
                        seen[j] = true;
                        object.push(j);
                    }
                }
            }
        }
        if object.len() as u64 >= rules.min_voxels {
            number += 1.0;
            object.into_iter().for_each(|i| out[i] = number);
        }
    }
    out
}

#[test]
fn objects_are_those_of_a_flood_fill() {
    let mut numbers = Numbers(1);
    // Around the share of voxels at which objects grow through the volume, about 0.1 for 26 neighbours and 0.31 for 6,
    // they are as tangled as can be.
    for dims in [[12, 17, 23], [1, 20, 20], [20, 1, 20], [20, 20, 1], [1, 1, 9]] {
        for share in [0.05, 0.1, 0.2, 0.31, 0.5, 0.9] {
            let volume = Volume::new(dims, |_| f32::from(numbers.next() < share));
            for rules in [ALL, Rules { corners: false, ..ALL }, Rules { min_voxels: 4, ..ALL }] {
                assert_eq!(labels(&volume, rules), flooded(&volume, rules), "{dims:?} {share} {rules:?}");
            }
        }
    }
}

#[test]
fn arms_that_meet_late_are_one_object_with_the_number_of_its_first_voxel() {
    // In the first slice two arms and a dot between them; the arms meet in the last slice.
    let volume =
        Volume::new([5, 3, 9], |[z, y, x]| f32::from(y == 1 && (x == 0 || x == 8 || z == 4 || (x == 4 && z == 1))));
    let found = labels(&volume, ALL);
    let at = |z: usize, x: usize| found[(z * 3 + 1) * 9 + x];
    assert_eq!([at(0, 0), at(0, 8), at(4, 4), at(1, 4)], [1.0, 1.0, 1.0, 2.0]);
    // Voxels that touch by a corner are one object or two.
    let corner = Volume::new([2, 2, 2], |[z, y, x]| f32::from([z, y, x] == [0, 0, 1] || [z, y, x] == [1, 1, 0]));
    assert_eq!(objects::<Size>(&corner, ALL).objects.len(), 1);
    assert_eq!(objects::<Size>(&corner, Rules { corners: false, ..ALL }).objects.len(), 2);
}

#[test]
fn slices_in_disorder_and_another_volume_are_refused() {
    let slice = [1.0, 0.0];
    let runs = || SliceRuns::find(&slice, 2, RANGE);
    let mut finder = Finder::<Size>::new(ALL, 2, true);
    finder.add(7, &slice, runs()).expect("the first");
    assert!(finder.add(9, &slice, runs()).is_err());
    let found = finder.finish();
    let mut out = [f32::NAN; 2];
    found.paint(7, &runs(), 2, &mut out).expect("the slice");
    assert_eq!(out, [1.0, 0.0]);
    // The outermost slice stands for those beyond it, whatever they show.
    for z in [5, 9] {
        out.fill(f32::NAN);
        found.paint(z, &SliceRuns::find(&[0.0, 1.0], 2, RANGE), 2, &mut out).expect("the slice");
        assert_eq!(out, [1.0, 0.0]);
    }
    assert!(found.paint(7, &SliceRuns::find(&[0.0, 0.0], 2, RANGE), 2, &mut out).is_err());
}

/// A ball with its middle at `at` (x, y, z) and the value 2.
fn ball(dims: [usize; 3], at: [f64; 3], radius: f64) -> Volume {
    Volume::new(dims, |[z, y, x]| {
        let d2: f64 = [x, y, z].iter().zip(at).map(|(v, c)| (*v as f64 - c).powi(2)).sum();
        2.0 * f32::from(d2 <= radius * radius)
    })
}

#[test]
fn a_ball_has_the_measures_of_a_ball() {
    let mut numbers = Numbers(3);
    for radius in [6.0, 10.0, 15.0] {
        let at = [0; 3].map(|_| 19.0 + numbers.next());
        let found = objects::<Measures>(&ball([40; 3], at, radius), ALL).objects;
        assert_eq!(found.len(), 1);
        let ball = &found[0];
        // Voxels on the surface, 4 pi r^2 of them, are in or out as if by chance: their root is the error of the volume, and
        // over r^3 that of the rest.
        let voxels = 4.0 / 3.0 * PI * radius.powi(3);
        let error = 3.0 * (4.0 * PI * radius * radius).sqrt();
        assert!((ball.voxels() as f64 - voxels).abs() < error, "{radius}: {} for {voxels}", ball.voxels());
        for (found, there) in ball.centroid().iter().zip(at) {
            assert!((found - there).abs() < error * radius / voxels, "{radius}: {found} for {there}");
        }
        assert!((ball.diameter() / (2.0 * radius) - 1.0).abs() < error / voxels);
        // The 13 directions see a ball alike, up to the steps of its voxels: 2 % here, less for larger ones.
        assert!((ball.surface() / (4.0 * PI * radius * radius) - 1.0).abs() < 0.02, "{radius}: {}", ball.surface());
        assert!((ball.sphericity() - 1.0).abs() < 0.02, "{radius}: {}", ball.sphericity());
    }
}

#[test]
fn a_box_has_its_bounds_its_mean_and_nearly_its_surface() {
    let inside = |v: usize, from: usize, len: usize| (from..from + len).contains(&v);
    let volume = Volume::new([30, 30, 30], |[z, y, x]| {
        let here = inside(x, 3, 20) && inside(y, 5, 12) && inside(z, 7, 16);
        if here { 1.0 + (z - 7) as f32 } else { 0.0 }
    });
    for rules in [ALL, Rules { corners: false, ..ALL }] {
        let found = objects::<Measures>(&volume, rules).objects;
        let text = table(&found, 2.0);
        let (head, line) = text.split_once('\n').expect("two lines");
        assert_eq!(head, HEAD);
        let fields: Vec<f64> = line.trim().split(',').map(|f| f.parse().expect("a number")).collect();
        // Label, voxels, volume, centre, bounds, mean: exact.
        let expected = [1.0, 3840.0, 8.0 * 3840.0, 12.5, 10.5, 14.5, 3.0, 22.0, 5.0, 16.0, 7.0, 22.0, 8.5];
        assert_eq!(fields[..13], expected);
        // Planes along the voxels are the worst case: the lines cross them 0.93 times as often as on average, and edges less.
        let surface = 4.0 * 2.0 * (20.0 * 12.0 + 20.0 * 16.0 + 12.0 * 16.0);
        assert!((0.85..1.0).contains(&(fields[13] / surface)), "{} of {surface}", fields[13]);
        assert!((0.7..0.95).contains(&fields[14]), "{}", fields[14]);
        // A cube has (pi / 6)^(1/3) = 0.806.
        let diameter = 2.0 * (6.0 * 3840.0 / PI).cbrt();
        assert!((fields[15] / diameter - 1.0).abs() < 1e-12);
    }
}

#[test]
fn the_weights_of_the_directions_are_their_parts_of_the_sphere() {
    let mut numbers = Numbers(5);
    let mut counts = [0usize; 3];
    let total = 400_000;
    let mut done = 0;
    while done < total {
        let mut v = [0.0; 3].map(|_: f64| 2.0 * numbers.next() - 1.0).map(f64::abs);
        if v.iter().map(|v| v * v).sum::<f64>() > 1.0 {
            continue;
        }
        v.sort_by(|a, b| b.total_cmp(a));
        // The nearest direction across faces, edges and corners; the cosine decides.
        let cosines = [v[0], (v[0] + v[1]) / 2f64.sqrt(), (v[0] + v[1] + v[2]) / 3f64.sqrt()];
        let nearest = (0..3).max_by(|a, b| cosines[*a].total_cmp(&cosines[*b])).expect("three");
        counts[nearest] += 1;
        done += 1;
    }
    for ((count, weight), seen) in DIRECTIONS.iter().zip(counts) {
        // Three standard deviations of a share of 0.3 to 0.45 in 400 000.
        let share = seen as f64 / total as f64;
        assert!(
            (count * weight - share).abs() < 3.0 * (0.25f64 / total as f64).sqrt(),
            "{} for {share}",
            count * weight
        );
    }
    assert!((DIRECTIONS.iter().map(|(count, weight)| count * weight).sum::<f64>() - 1.0).abs() < 1e-10);
}
