//! Bilateral filter, non-local means and block matching: against their definitions, scikit-image and ct-rec, and what they do
//! to noise.

mod common;

use common::Lcg;
use common::chains::volume;
use common::noisy::{noisy_foam, psnr};
use ndarray::{Array2, Array3, ArrayView3, Axis, s};
use std::f64::consts::PI;
use std::path::{Path, PathBuf};
use wagiri::io::read_slice;
use wagiri::post::NoiseEstimator;
use wagiri::post::bilateral::{BilateralOptions, bilateral};
use wagiri::post::block_matching::{BlockMatching, BlockMatchingOptions};
use wagiri::post::nlm::{NlmOptions, OwnWeight, nlm};
use wagiri::scan::MemoryRows;
use wagiri::{Error, ErrorKind, Scan};

fn pool() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads")
}

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

fn largest_difference<'a>(a: impl IntoIterator<Item = &'a f32>, b: impl IntoIterator<Item = &'a f32>) -> f32 {
    a.into_iter().zip(b).fold(0.0, |worst, (a, b)| worst.max((a - b).abs()))
}

/// Steps of 0 and 1 with normal noise.
fn steps(shape: [usize; 3], sigma: f64, seed: u64) -> Array3<f32> {
    let mut random = Lcg(seed);
    Array3::from_shape_fn(shape, |(z, y, x)| {
        let step = f64::from(u8::from((x + y + 2 * z) / 6 % 2 == 1));
        let normal = (-2.0 * (1.0 - random.unit()).ln()).sqrt() * (2.0 * PI * random.unit()).cos();
        (step + sigma * normal) as f32
    })
}

fn run_bilateral(volume: ArrayView3<f32>, options: &BilateralOptions) -> Array3<f32> {
    let mut out = Array3::zeros(volume.dim());
    bilateral(&pool(), volume, 0, options, out.view_mut(), &mut |_| Ok(())).expect("a volume");
    out
}

fn run_nlm(volume: ArrayView3<f32>, options: &NlmOptions) -> Array3<f32> {
    let mut out = Array3::zeros(volume.dim());
    nlm(&pool(), volume, 0, options, out.view_mut(), &mut |_| Ok(())).expect("a volume");
    out
}

fn run_block_matching(volume: ArrayView3<f32>, options: &BlockMatchingOptions) -> Array3<f32> {
    let (mut out, slices) = (Array3::zeros(volume.dim()), volume.shape()[0]);
    let mut filter = BlockMatching::new(*options);
    filter.filter(&pool(), volume, [0, slices], 0, out.view_mut(), &mut |_| Ok(())).expect("a volume");
    out
}

/// All places from `low` to `high` off a place, inside of the shape.
fn around(shape: [usize; 3], at: [usize; 3], reach: [usize; 3]) -> Vec<[usize; 3]> {
    let [zs, ys, xs] = [0, 1, 2].map(|k| at[k].saturating_sub(reach[k])..(at[k] + reach[k] + 1).min(shape[k]));
    let mut all = Vec::new();
    for z in zs {
        for y in ys.clone() {
            all.extend(xs.clone().map(|x| [z, y, x]));
        }
    }
    all
}

fn direct_bilateral(volume: &Array3<f32>, o: &BilateralOptions) -> Array3<f32> {
    let shape = [0, 1, 2].map(|k| volume.shape()[k]);
    Array3::from_shape_fn(shape, |(z, y, x)| {
        let (mut sum, mut weights) = (0.0, 0.0);
        for at in around(shape, [z, y, x], [o.depth_px / 2, o.size_px / 2, o.size_px / 2]) {
            let d2: f64 = at.iter().zip([z, y, x]).map(|(a, b)| (*a as f64 - b as f64).powi(2)).sum();
            let difference = f64::from(volume[at]) - f64::from(volume[[z, y, x]]);
            let weight = (-d2 / (2.0 * o.sigma_px.powi(2)) - difference.powi(2) / (2.0 * o.sigma.powi(2))).exp();
            sum += weight * f64::from(volume[at]);
            weights += weight;
        }
        (sum / weights) as f32
    })
}

#[test]
fn a_bilateral_filter_is_what_its_definition_says_up_to_the_borders() {
    for (shape, size_px, depth_px) in
        [([7, 19, 40], 5, 5), ([3, 20, 17], 3, 1), ([2, 9, 30], 7, 3), ([1, 1, 5], 9, 5), ([4, 3, 1], 5, 3)]
    {
        let volume = steps(shape, 0.2, 1);
        let options = BilateralOptions { size_px, depth_px, sigma_px: 1.3, sigma: 0.35 };
        let worst = largest_difference(&run_bilateral(volume.view(), &options), &direct_bilateral(&volume, &options));
        // Values up to 2, to whose roundings of 1e-7 the powers add as much.
        assert!(worst < 1e-6, "{shape:?}: {worst}");
    }
}

/// Place `i` of an axis of `n`, mirrored at the outermost voxels.
fn mirror(i: isize, n: usize) -> usize {
    match (i, n as isize) {
        (_, 1) => 0,
        (i, n) if i < 0 => mirror(-i, n as usize),
        (i, n) if i >= n => mirror(2 * (n - 1) - i, n as usize),
        (i, _) => i as usize,
    }
}

fn direct_nlm(volume: &Array3<f32>, o: &NlmOptions) -> Array3<f32> {
    let shape = [0, 1, 2].map(|k| volume.shape()[k]);
    let radii = |r: usize| [if o.across { r } else { 0 }, r, r];
    let value = |at: [usize; 3], step: [usize; 3]| {
        let patch = radii(o.patch_px);
        f64::from(volume[[0, 1, 2].map(|k| mirror((at[k] + step[k]) as isize - patch[k] as isize, shape[k]))])
    };
    let [pz, py, px] = radii(o.patch_px).map(|r| 2 * r + 1);
    let patch: Vec<[usize; 3]> = (0..pz * py * px).map(|i| [i / (py * px), i / px % py, i % px]).collect();
    Array3::from_shape_fn(shape, |(z, y, x)| {
        let own = [z, y, x];
        let (mut sum, mut weights, mut largest) = (0.0, 0.0, 0f64);
        for at in around(shape, own, radii(o.search_px)).into_iter().filter(|at| *at != own) {
            let d2 = patch.iter().map(|step| (value(at, *step) - value(own, *step)).powi(2)).sum::<f64>();
            let d2 = d2 / patch.len() as f64 - 2.0 * o.sigma.powi(2);
            let weight = (-d2.max(0.0) / o.h.powi(2)).exp();
            sum += weight * f64::from(volume[at]);
            weights += weight;
            largest = largest.max(weight);
        }
        let weight = if o.own == OwnWeight::One { 1.0 } else { largest };
        ((sum + weight * f64::from(volume[own])) / (weights + weight)) as f32
    })
}

#[test]
fn non_local_means_are_what_their_definition_says_up_to_the_borders() {
    let one = NlmOptions { patch_px: 1, search_px: 2, across: true, h: 0.3, sigma: 0.2, own: OwnWeight::One };
    for (shape, options) in [
        ([18, 18, 20], one),
        ([3, 5, 270], one),
        ([5, 9, 12], NlmOptions { own: OwnWeight::Largest, sigma: 0.0, ..one }),
        ([4, 12, 11], NlmOptions { across: false, patch_px: 2, search_px: 3, ..one }),
        ([6, 6, 6], NlmOptions { patch_px: 3, search_px: 5, ..one }),
        ([1, 7, 2], one),
    ] {
        let volume = steps(shape, 0.2, 2);
        let worst = largest_difference(&run_nlm(volume.view(), &options), &direct_nlm(&volume, &options));
        // An exponent is a sum of up to 343 squares over h², each rounded to 6e-8: a weight is wrong by 1e-6 of itself.
        assert!(worst < 3e-6, "{shape:?} {options:?}: {worst}");
    }
}

fn reference(name: &str) -> Array3<f32> {
    let path = data("filters").join(format!("{name}-11x20x23.f32"));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    Array3::from_shape_vec((11, 20, 23), values).unwrap()
}

/// Its bilateral filter has two dimensions, borders of its own, and weights over the distance that are not centred: all places
/// weigh the same here. Its non-local means is not compared number by number: it weighs or sums the voxels of a patch in
/// another way than the definition here.
#[test]
fn the_bilateral_filter_agrees_with_scikit_image_inside() {
    let input = reference("input");
    let inside = s![.., 2..18, 2..21];
    let options = BilateralOptions { size_px: 5, depth_px: 1, sigma_px: 1e6, sigma: 0.2 };
    let (ours, theirs) = (run_bilateral(input.view(), &options), reference("bilateral-5-1-1e6-0.2"));
    // It looks weights up in a table of a million differences.
    let worst = largest_difference(ours.slice(inside), theirs.slice(inside));
    assert!(worst < 5e-6, "{worst}");
}

/// `tif_blf rec/hp_tg_c_k5 OUT 5 2 0.8`.
#[test]
fn the_bilateral_filter_is_that_of_ct_rec() {
    let read = |folder: &str| {
        let slices: Vec<Array2<f32>> = (0..3)
            .map(|z| read_slice(&data("ct-rec-100/rec").join(folder).join(format!("rec{z:05}.tif"))).expect("a slice"))
            .collect();
        let views: Vec<_> = slices.iter().map(|slice| slice.view()).collect();
        ndarray::stack(Axis(0), &views).expect("slices of one size")
    };
    let (input, theirs) = (read("hp_tg_c_k5"), read("tif_blf"));
    let options = BilateralOptions { size_px: 5, depth_px: 5, sigma_px: 2.0, sigma: 0.8 };
    let worst = largest_difference(&run_bilateral(input.view(), &options), &theirs);
    let largest = theirs.iter().fold(0f32, |m, v| m.max(v.abs()));
    // Both sides round to 32 bits.
    assert!(worst < 1e-5 * largest, "{worst} of {largest}");
}

/// BM4D as its definition says, in f64: groups, spectra, thresholds, Wiener filters, weighted means.
fn direct_block_matching(noisy: &Array3<f32>, o: &BlockMatchingOptions) -> Array3<f64> {
    let shape = [0, 1, 2].map(|k| noisy.shape()[k]);
    let noisy = noisy.mapv(f64::from);
    let edge = shape.map(|n| if n >= 4 { 4 } else { 1usize << n.ilog2() });
    let grid = |axis: usize| {
        let step = if edge[axis] == 4 { 3 } else { 1 };
        let last = shape[axis] - edge[axis];
        (0..last).step_by(step).chain([last]).collect::<Vec<_>>()
    };
    let cube = |of: &Array3<f64>, [z, y, x]: [usize; 3]| {
        of.slice(s![z..z + edge[0], y..y + edge[1], x..x + edge[2]]).to_owned()
    };
    // Orthonormal cosines of n points; Haar of the first n of a list.
    let cosines = |n: usize| {
        Array2::from_shape_fn((n, n), |(k, i)| {
            let gain = if k == 0 { 1.0 } else { 2f64.sqrt() } / (n as f64).sqrt();
            gain * (PI * k as f64 * (i as f64 + 0.5) / n as f64).cos()
        })
    };
    fn haar(n: usize) -> Array2<f64> {
        if n == 1 {
            return Array2::ones((1, 1));
        }
        let half = haar(n / 2);
        let r = 0.5f64.sqrt();
        Array2::from_shape_fn((n, n), |(k, i)| {
            if k < n / 2 {
                r * half[[k, i / 2]]
            } else if i / 2 == k - n / 2 {
                if i % 2 == 0 { r } else { -r }
            } else {
                0.0
            }
        })
    }
    // `matrix` along one axis of the group, [cube, z, y, x].
    let along = |group: &ndarray::Array4<f64>, axis: usize, matrix: &Array2<f64>| {
        let mut out = group.clone();
        for (from, mut to) in group.lanes(Axis(axis)).into_iter().zip(out.lanes_mut(Axis(axis))) {
            to.assign(&matrix.dot(&from));
        }
        out
    };
    let stage = |model: &Array3<f64>, alike: f64, wiener: bool| {
        let (mut sums, mut weights) = (Array3::zeros(shape), Array3::zeros(shape));
        for z in grid(0) {
            for y in grid(1) {
                for x in grid(2) {
                    let own = cube(model, [z, y, x]);
                    let starts = [0, 1, 2].map(|k| shape[k] - edge[k] + 1);
                    let mut found: Vec<(f64, [usize; 3])> = around(starts, [z, y, x], [o.search_px; 3])
                        .into_iter()
                        .map(|at| ((cube(model, at) - &own).mapv(|d| d * d).mean().unwrap(), at))
                        .filter(|(d2, at)| *at == [z, y, x] || *d2 < alike * o.sigma.powi(2))
                        .collect();
                    found.sort_by(|a, b| a.0.total_cmp(&b.0));
                    found.truncate(1 << found.len().min(16).ilog2());
                    let spectrum = |of: &Array3<f64>, back: Option<ndarray::Array4<f64>>| {
                        let matrices = [haar(found.len()), cosines(edge[0]), cosines(edge[1]), cosines(edge[2])];
                        let start = back.clone().unwrap_or_else(|| {
                            let cubes: Vec<_> = found.iter().map(|(_, at)| cube(of, *at)).collect();
                            ndarray::stack(Axis(0), &cubes.iter().map(|c| c.view()).collect::<Vec<_>>()).unwrap()
                        });
                        matrices.iter().enumerate().fold(start, |group, (axis, matrix)| {
                            if back.is_some() {
                                along(&group, axis, &matrix.t().to_owned())
                            } else {
                                along(&group, axis, matrix)
                            }
                        })
                    };
                    let mut group = spectrum(&noisy, None);
                    let mean = group[[0, 0, 0, 0]];
                    // The mean is no matter of the spectrum: it counts as if it were that of the reference.
                    let offset = model[[z, y, x]] * ((found.len() * own.len()) as f64).sqrt();
                    group[[0, 0, 0, 0]] -= offset;
                    let mut of_model = spectrum(model, None);
                    of_model[[0, 0, 0, 0]] -= offset;
                    let mut power = 0.0;
                    group.zip_mut_with(&of_model, |v, m| {
                        let noise = o.sigma.powi(2);
                        let factor = if wiener {
                            m * m / (m * m + noise)
                        } else {
                            f64::from(u8::from(v.abs() >= 2.7 * o.sigma))
                        };
                        *v *= factor;
                        power += factor * factor;
                    });
                    group[[0, 0, 0, 0]] = mean;
                    let weight = 1.0 / power.max(1.0);
                    for ((_, [z, y, x]), estimate) in found.iter().zip(spectrum(&noisy, Some(group)).outer_iter()) {
                        let part = s![*z..z + edge[0], *y..y + edge[1], *x..x + edge[2]];
                        sums.slice_mut(part).scaled_add(weight, &estimate);
                        weights.slice_mut(part).mapv_inplace(|w: f64| w + weight);
                    }
                }
            }
        }
        sums / weights
    };
    let first = stage(&noisy, 2.9, false);
    if o.wiener { stage(&first, 0.4, true) } else { first }
}

#[test]
fn block_matching_is_what_its_definition_says() {
    for (shape, search_px) in [([12, 14, 13], 3), ([5, 50, 9], 2), ([1, 10, 9], 3), ([3, 2, 11], 1)] {
        let volume = steps(shape, 0.2, 3);
        for wiener in [false, true] {
            let options = BlockMatchingOptions { search_px, sigma: 0.2, wiener };
            let ours = run_block_matching(volume.view(), &options);
            let direct = direct_block_matching(&volume, &options).mapv(|v| v as f32);
            // A dozen roundings of values of up to 10. Where rounding changes who belongs to a group, or whether a coefficient
            // stays, more would: with these numbers it does not.
            let worst = largest_difference(&ours, &direct);
            assert!(worst < 5e-6, "{shape:?} wiener {wiener}: {worst}");
        }
    }
}

fn scan(volume: Array3<f32>) -> Scan {
    MemoryRows::volume(volume).into_scan(Vec::new(), Some(1.0)).expect("a volume")
}

#[test]
fn noise_of_a_reconstruction_is_found_and_filters_gain_what_they_should() {
    let (truth, noisy) = noisy_foam(72, 24, 30.0);
    let clean = noisy_foam(72, 24, f64::INFINITY).1;
    let mut noise = NoiseEstimator::new();
    noise.add_slab(noisy.view());
    // In the circle that is reconstructed.
    let difference = &noisy - &clean;
    let inside = difference.iter().filter(|v| **v != 0.0);
    let (sum, count) = inside.fold((0.0, 0.0), |(s, n), v| (s + f64::from(*v).powi(2), n + 1.0));
    let expected = (sum / count).sqrt();
    // Structure as fine as this foam's, holes of a few voxels, adds to what differs between slices.
    assert!((0.95..1.3).contains(&(noise.sigma() / expected)), "{} for {expected}", noise.sigma());
    let before = psnr(&truth, &noisy);
    let (scan, mut gains) = (scan(noisy.clone()), Vec::new());
    // A Gaussian of the best width gains 4 to 6 dB here: as much is the least. Block matching is the best, as published.
    for filter in ["filter.bilateral", "filter.nlm", "filter.block-matching"] {
        let gain = psnr(&truth, &volume(&scan, &format!("volume | {filter}"), None)) - before;
        println!("{filter}: {gain:.2} dB from {before:.2} dB, noise {} of {expected}", noise.sigma());
        gains.push(gain);
    }
    assert!(gains[0] > 4.0 && gains[1] > 5.0 && gains[2] > 5.0 && gains[2] > gains[0], "{gains:?}");
}

#[test]
fn strengths_follow_the_unit_of_the_volume() {
    let noisy = steps([9, 30, 32], 0.2, 4);
    for filter in ["filter.bilateral", "filter.nlm", "filter.block-matching search_px=2"] {
        let text = format!("volume | {filter}");
        let result = volume(&scan(noisy.clone()), &text, None);
        assert!(largest_difference(&result, &noisy) > 0.1, "{filter} does nothing");
        // By a power of two nothing is rounded another way.
        let scaled = volume(&scan(noisy.mapv(|v| 4096.0 * v)), &text, None);
        assert!(scaled == result.mapv(|v| 4096.0 * v), "{filter}");
        // 16-bit data are the same up to their steps, which change groups and weights a little: 1 % of the noise of 820.
        let whole = noisy.mapv(|v| (20_000.0 + 4096.0 * v).round());
        let result = result.mapv(|v| 20_000.0 + 4096.0 * v);
        let mean = (&volume(&scan(whole), &text, None) - &result).mapv(f32::abs).mean().unwrap();
        assert!(mean < 8.0, "{filter}: {mean}");
    }
}

#[test]
fn flat_volumes_stay_and_single_slices_work() {
    for filter in ["filter.bilateral", "filter.nlm", "filter.nlm reach=slice", "filter.block-matching"] {
        let text = format!("volume | {filter}");
        for shape in [[5, 12, 12], [1, 3, 2], [1, 1, 1]] {
            let flat = Array3::from_elem(shape, 3.7f32);
            assert!(volume(&scan(flat.clone()), &text, None) == flat, "{text}: {shape:?}");
        }
        let flat = Array3::from_elem((5, 12, 12), 3.7f32);
        let given = if filter.starts_with("filter.nlm") { "h=0.5 sigma=0.5" } else { "sigma=0.5" };
        let filtered = volume(&scan(flat.clone()), &format!("{text} {given}"), None);
        // A mean of up to 5000 equal values in f32.
        assert!(largest_difference(&filtered, &flat) < 1e-5, "{text}");
        let clean = Array3::from_shape_fn((1, 40, 40), |(_, _, x)| if x < 20 { 0f32 } else { 1.0 });
        let slice = &steps([1, 40, 40], 0.2, 5) - &steps([1, 40, 40], 0.0, 5) + &clean;
        let filtered = volume(&scan(slice.clone()), &text, None);
        let left = |v: &Array3<f32>| (v - &clean).mapv(|d| d * d).mean().unwrap().sqrt();
        assert!(left(&filtered) < 0.6 * left(&slice), "{text}: {} left of {}", left(&filtered), left(&slice));
    }
}

#[test]
fn what_is_no_number_or_cannot_be_is_refused_and_a_stop_is_obeyed() {
    let refused = |text: &str, volume: Array3<f32>| {
        let (ctx, chain) = (common::chains::context(), common::chains::chain(text));
        let mut sink = wagiri::io::MemorySink::new(0, volume.shape()[0], [volume.shape()[1], volume.shape()[2]]);
        let mut silent = wagiri::Progress::silent();
        chain.run_into(&ctx, &scan(volume), &mut sink, &Default::default(), &mut silent).expect_err("an error")
    };
    for filter in ["filter.bilateral", "filter.nlm", "filter.block-matching"] {
        let mut volume = steps([6, 9, 9], 0.2, 6);
        volume[[2, 3, 4]] = f32::NAN;
        let e = refused(&format!("volume | {filter}"), volume);
        assert!(e.kind() == ErrorKind::Format && e.to_string().contains("column = 4"), "{e}");
    }
    let e = refused("volume | filter.bilateral size_px=4", steps([3, 9, 9], 0.2, 6));
    assert!(e.to_string().contains("size_px: expected an odd number"), "{e}");
    let volume = steps([6, 30, 30], 0.2, 6);
    let mut out = Array3::zeros(volume.dim());
    let stop = &mut |_: f64| Err(Error::cancelled("test"));
    let options = BlockMatchingOptions { search_px: 2, sigma: 0.2, wiener: true };
    let mut filter = BlockMatching::new(options);
    let e = filter.filter(&pool(), volume.view(), [0, 6], 0, out.view_mut(), stop).expect_err("stopped");
    assert_eq!(e.kind(), ErrorKind::Cancelled);
}
