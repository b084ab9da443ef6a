//! Topology and measures of surfaces that are known.

use super::*;
use ndarray::{Array3, Axis};
use std::collections::HashMap;
use std::f64::consts::PI;

fn pool() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("threads")
}

fn surface(volume: &Array3<f32>, level: f32, closed: bool, height: usize) -> Vec<Triangle> {
    let (mut found, pool) = (Vec::new(), pool());
    let (_, h, w) = volume.dim();
    let mut cubes = MarchingCubes::new(level, closed, [h, w], 0);
    let mut out = |t: &[Triangle]| -> Result<()> {
        found.extend_from_slice(t);
        Ok(())
    };
    for slab in volume.axis_chunks_iter(Axis(0), height) {
        cubes.add(&pool, slab, &mut out, &mut |_| Ok(())).expect("slices");
    }
    cubes.finish(&pool, &mut out).expect("the end");
    found
}

fn extent(triangles: &[Triangle]) -> Extent {
    let mut extent = Extent::default();
    extent.add(triangles);
    extent
}

/// Corners minus edges plus triangles. Corners are told apart by their coordinates only, as a reader of the file does. Each edge
/// must be there once each way.
fn euler(triangles: &[Triangle]) -> i64 {
    let mut corners: HashMap<[u32; 3], usize> = HashMap::new();
    let mut edges: HashMap<(usize, usize), u32> = HashMap::new();
    for t in triangles {
        let ids = t.map(|p| {
            let next = corners.len();
            *corners.entry(p.map(|v| (v + 0.0).to_bits())).or_insert(next)
        });
        for k in 0..3 {
            *edges.entry((ids[k], ids[(k + 1) % 3])).or_default() += 1;
        }
    }
    for ((a, b), count) in &edges {
        assert_eq!((*count, edges.get(&(*b, *a)).copied()), (1, Some(1)), "edge {a} {b}");
    }
    corners.len() as i64 - edges.len() as i64 / 2 + triangles.len() as i64
}

fn volume(shape: [usize; 3], value: impl Fn([f64; 3]) -> f64) -> Array3<f32> {
    Array3::from_shape_fn(shape, |(z, y, x)| value([x as f64, y as f64, z as f64]) as f32)
}

#[test]
fn a_ball_has_the_area_and_the_volume_of_a_ball() {
    for radius in [5.0, 9.3] {
        let at = [12.2, 11.7, 12.4];
        let distance = |p: [f64; 3]| p.iter().zip(at).map(|(v, c)| (v - c).powi(2)).sum::<f64>().sqrt();
        let ball = volume([25, 24, 26], |p| radius - distance(p));
        let found = surface(&ball, 0.0, true, 7);
        assert_eq!(euler(&found), 2);
        let (area, solid) = (4.0 * PI * radius * radius, 4.0 / 3.0 * PI * radius.powi(3));
        let extent = extent(&found);
        // Triangles with sides of up to sqrt(3) inside the ball: sides of length L take about L^2 / (8 r^2) of the area. The volume
        // is a third of the area times the distance of the triangles from the middle, which is as much shorter again.
        let error = 3.0 / (8.0 * radius * radius);
        assert!((0.0..error).contains(&(1.0 - extent.area / area)), "{radius}: {} of {area}", extent.area);
        assert!((0.0..2.0 * error).contains(&(1.0 - extent.volume / solid)), "{radius}: {} of {solid}", extent.volume);
        for t in &found {
            let n = normal(t);
            let out: f64 = n.iter().zip(t[0]).zip(at).map(|((n, p), c)| n * (f64::from(p) - c)).sum();
            assert!(out > 0.0, "the normal points inwards: {t:?}");
        }
    }
}

#[test]
fn a_torus_has_a_hole() {
    let torus = volume([13, 33, 33], |[x, y, z]| {
        let ring = (x - 16.1).hypot(y - 15.8) - 9.0;
        4.0 - ring.hypot(z - 6.2)
    });
    let found = surface(&torus, 0.0, true, 5);
    assert_eq!(euler(&found), 0);
    let extent = extent(&found);
    // 4 pi^2 R r and 2 pi^2 R r^2; the tolerance is that of a ball of the small radius.
    assert!((extent.area / (4.0 * PI * PI * 9.0 * 4.0) - 1.0).abs() < 0.375 / 16.0, "{extent:?}");
    assert!((extent.volume / (2.0 * PI * PI * 9.0 * 16.0) - 1.0).abs() < 0.75 / 16.0, "{extent:?}");
}

#[test]
fn noise_has_a_surface_without_holes_however_it_is_cut() {
    let mut seed = 3u64;
    let mut random = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        seed >> 40
    };
    // Few different values, so that many are equal to the level.
    for levels in [2, 3, 1 << 20] {
        let noise = Array3::from_shape_simple_fn((9, 40, 11), || (random() % levels) as f32);
        let level = (levels / 2) as f32;
        let whole = surface(&noise, level, true, 9);
        euler(&whole);
        assert!(whole.iter().all(|t| normal(t).iter().any(|v| *v != 0.0)));
        for height in [1, 2, 5] {
            assert!(surface(&noise, level, true, height) == whole, "slabs of {height}");
            assert!(surface(&noise, level, false, height) == surface(&noise, level, false, 9));
        }
        assert!(extent(&whole).volume > 0.0);
    }
}

#[test]
fn the_ends_of_the_volume_can_be_closed() {
    // A pillar through all slices, 6 x 4 voxels; half of the voxels below the level beside it belong to it.
    let pillar =
        volume([10, 12, 14], |[x, y, _]| if (4.0..10.0).contains(&x) && (4.0..8.0).contains(&y) { 1.0 } else { 0.0 });
    let closed = extent(&surface(&pillar, 0.5, true, 3));
    assert_eq!(euler(&surface(&pillar, 0.5, true, 3)), 2);
    // Its corners are cut: 1/8 along each of the four edges in z, and as much along those of top and bottom.
    let edges = 4.0 * 10.0 + 2.0 * 2.0 * (6.0 + 4.0);
    assert!((closed.volume - (240.0 - edges / 8.0)).abs() < 1.0, "{closed:?}");
    // Open: the four sides between the centres of the outermost slices, whose cut edges are shorter.
    let open = extent(&surface(&pillar, 0.5, false, 3));
    assert!((open.area - 9.0 * (20.0 - 4.0 * (1.0 - 0.5f64.sqrt()))).abs() < 1e-3, "{open:?}");
    // All of a volume inside: its own box.
    let full = Array3::from_elem((5, 6, 7), 2.0);
    assert_eq!(euler(&surface(&full, 1.0, true, 2)), 2);
    assert!(surface(&full, 1.0, false, 2).is_empty() && surface(&full, 3.0, true, 2).is_empty());
    // A single slice, and a single voxel: an octahedron of volume 1/6.
    let one = Array3::from_elem((1, 1, 1), 2.0);
    assert_eq!(euler(&surface(&one, 1.0, true, 1)), 2);
    assert!((extent(&surface(&one, 1.0, true, 1)).volume - 1.0 / 6.0).abs() < 1e-6);
    assert!(surface(&one, 1.0, false, 1).is_empty());
}
