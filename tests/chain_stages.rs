//! Stages of projections in chains: what physics says of them, and the same bytes whatever the slab height.

mod common;

use common::chains::{context, same_for_all_heights, volume};
use common::{Ellipse, sinogram};
use ndarray::{Array2, Array3, Axis, s, stack};
use std::f64::consts::PI;
use std::ops::ControlFlow;
use std::path::Path;
use wagiri::chain::{AxisMethod, AxisOptions, RunOptions, find_axis};
use wagiri::geometry::uniform_angles;
use wagiri::io::{open, read_slice};
use wagiri::scan::{MemoryRows, MemorySource, ScanOptions};
use wagiri::{Chain, Progress, Scan};

/// Counts of a scan of objects, one list per row; the beam has 20000 counts, dark 100.
fn scan_of(rows: &[Vec<Ellipse>], angles: &[f64], cols: usize, center_px: f64, pixel_um: f64) -> Scan {
    let sinos: Vec<_> = rows.iter().map(|row| sinogram(row, angles, cols, center_px, pixel_um)).collect();
    let views = Array3::from_shape_fn((angles.len(), rows.len(), cols), |(m, z, n)| {
        100.0 + 20_000.0 * (-sinos[z][[m, n]]).exp()
    });
    let flats = Array3::from_elem((2, rows.len(), cols), 20_100.0);
    let source = MemorySource::new(views, flats, Array2::from_elem((rows.len(), cols), 100.0)).expect("a scan");
    source.into_scan(angles.to_vec(), Some(pixel_um)).expect("a scan")
}

/// Centre of mass of a disc in a slice whose middle is the axis: x right, y up, px.
fn centroid(slice: &ndarray::ArrayView2<f32>, near: (f64, f64), radius: f64) -> (f64, f64) {
    let (mut mass, mut x_sum, mut y_sum) = (0.0, 0.0, 0.0);
    for ((row, col), value) in slice.indexed_iter() {
        let (x, y) = common::xy(slice.ncols(), row, col);
        if (x - near.0).hypot(y - near.1) < 1.6 * radius {
            mass += f64::from(*value);
            x_sum += f64::from(*value) * x;
            y_sum += f64::from(*value) * y;
        }
    }
    (x_sum / mass, y_sum / mass)
}

#[test]
fn an_offset_scan_is_stitched_about_the_axis_that_is_found() {
    let (cols, angles) = (160, uniform_angles(600, 0.0, 2.0 * PI));
    let discs = [(60.0, 10.0), (-20.0, -70.0), (5.0, 30.0)];
    for center in [130.0, 128.37, 29.0, 31.62] {
        // A body that is wider than the detector sees at once, with three dense discs in it.
        let row = |z: usize| {
            let mut row = vec![Ellipse::disc(0.0, 0.0, 100.0, 1.0)];
            row.extend(discs.map(|(x, y)| Ellipse::disc(x, y, 6.0 + 0.2 * z as f64, 20.0)));
            row
        };
        let scan = scan_of(&[row(0), row(1), row(2), row(3)], &angles, cols, center, 1.0);
        let options = AxisOptions { method: AxisMethod::Overlap, ..AxisOptions::default() };
        let found = find_axis(&context(), &scan, &options, &mut Progress::silent()).expect("an axis").center.at(0);
        assert!((found - center).abs() < 0.2, "{center}: {found}");
        let text = "normalise | offset.stitch | recon.fbp";
        let volume = if center == 128.37 { same_for_all_heights(&scan, text) } else { volume(&scan, text, None) };
        let slice = volume.index_axis(Axis(0), 1);
        assert!(slice.ncols() > 250, "{:?}", slice.dim());
        // Without the body, whose density around them would pull the centroids.
        let inner = slice.mapv(|v| (v - 1.0).max(0.0));
        for near in discs {
            let (x, y) = centroid(&inner.view(), near, 6.2);
            assert!((x - near.0).abs() < 0.1 && (y - near.1).abs() < 0.1, "{center}: {near:?} at {x:.3}, {y:.3}");
        }
        let body =
            slice.slice(s![slice.nrows() / 2 - 4..slice.nrows() / 2 + 5, slice.ncols() / 2 - 4..slice.ncols() / 2 + 5]);
        // Counts are not rounded; what is left is the sampling of 300 views.
        assert!((body.mean().expect("a mean") - 1.0).abs() < 0.02, "{center}: {:?}", body.mean());
    }
}

#[test]
fn ct_recs_offset_slices_come_out_as_its_own() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ct-rec-100");
    let scan = open(&folder.join("off360"), &ScanOptions::default()).expect("a scan");
    let text = "normalise | offset.stitch rule=ct-rec center_px=110 | ring.sort | recon.fbp pixel_um=10 pad=off";
    let volume = same_for_all_heights(&scan, text);
    for (z, slice) in volume.outer_iter().enumerate() {
        let theirs = read_slice(&folder.join(format!("rec/ofct_srec/rec{z:05}.tif"))).expect("a slice");
        let largest = theirs.fold(0f32, |m, v| m.max(v.abs()));
        let worst = slice.iter().zip(&theirs).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        // f32 against ct-rec's f64 engine.
        assert!(worst < 1e-5 * largest, "{z}: {}", worst / largest);
    }
}

#[test]
fn a_half_turn_cannot_be_stitched() {
    let scan = scan_of(&[vec![Ellipse::disc(0.0, 0.0, 20.0, 1.0)]], &uniform_angles(60, 0.0, PI), 64, 50.0, 1.0);
    let ctx = context();
    let chain = Chain::parse(&ctx.registry(), "normalise | offset.stitch | recon.fbp").expect("a chain");
    let e = chain.plan(&ctx, &scan, &RunOptions::default(), &mut Progress::silent()).expect_err("refused").to_string();
    assert!(e.contains("expected a full turn"), "{e}");
}

#[test]
fn spikes_and_bad_pixels_leave_the_slices_as_they_were() {
    let angles = uniform_angles(90, 0.0, PI);
    let rows: Vec<Vec<Ellipse>> = (0..5).map(|z| vec![Ellipse::disc(3.0, -2.0, 15.0 + z as f64, 100.0)]).collect();
    let clean = volume(&scan_of(&rows, &angles, 64, 31.0, 1.0), "normalise | recon.fbp center_px=31", None);
    let spoiled = {
        let sinos: Vec<_> = rows.iter().map(|row| sinogram(row, &angles, 64, 31.0, 1.0)).collect();
        let mut views = Array3::from_shape_fn((90, 5, 64), |(m, z, n)| 100.0 + 20_000.0 * (-sinos[z][[m, n]]).exp());
        let mut flats = Array3::from_elem((2, 5, 64), 20_100.0);
        // Stray radiation in three views, and a pixel that sees a tenth of the beam and answers as it likes.
        for (m, z, n) in [(10, 1, 30), (10, 1, 31), (55, 3, 40), (70, 4, 5)] {
            views[[m, z, n]] = 60_000.0;
        }
        views.slice_mut(s![.., 2, 20]).iter_mut().enumerate().for_each(|(m, v)| *v = 150.0 + 40.0 * (m % 7) as f32);
        flats.slice_mut(s![.., 2, 20]).fill(2_100.0);
        let source = MemorySource::new(views, flats, Array2::from_elem((5, 64), 100.0)).expect("a scan");
        source.into_scan(angles.clone(), Some(1.0)).expect("a scan")
    };
    let worst = |volume: &Array3<f32>| volume.iter().zip(&clean).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    let without = worst(&volume(&spoiled, "normalise | recon.fbp center_px=31", None));
    let text = "counts.repair | normalise | proj.spikes threshold=0.3 | recon.fbp center_px=31";
    let repaired = worst(&same_for_all_heights(&spoiled, text));
    // Spikes are replaced by a median of neighbours in time, the pixel by a line between its neighbours: what the object
    // does between them stays.
    assert!(without > 100.0 && repaired < 10.0, "{without} -> {repaired}");
}

#[test]
fn air_beside_the_sample_becomes_zero() {
    let angles = uniform_angles(60, 0.0, PI);
    let mut sino = sinogram(&[Ellipse::disc(0.0, 0.0, 15.0, 50.0)], &angles, 64, 31.5, 1.0);
    let clean = sino.clone();
    sino.indexed_iter_mut().for_each(|((m, n), p)| *p += 0.01 + 0.001 * m as f32 - 0.0005 * n as f32);
    let rows = stack(Axis(0), &[sino.view(), sino.view()]).expect("rows");
    let scan = MemoryRows::sinograms(rows).into_scan(angles, Some(1.0)).expect("a scan");
    let text = "sinograms | proj.air left_px=8 right_px=8";
    let level = same_for_all_heights(&scan, text);
    let worst = level.index_axis(Axis(0), 1).iter().zip(&clean).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    // Rounding of f32 absorbance.
    assert!(worst < 1e-6, "{worst}");
}

#[test]
fn phase_retrieval_has_no_seams() {
    let angles = uniform_angles(8, 0.0, PI);
    let mut random = common::Lcg(11);
    let noise = Array3::from_shape_simple_fn((40, 8, 48), || random.unit() as f32);
    let scan = MemoryRows::sinograms(noise).into_scan(angles, Some(1.0)).expect("a scan");
    // Again behind a filter, which looks at rows beyond the ends of the detector.
    let paganin = "proj.paganin energy_kev=20 distance_mm=50 delta_beta=300";
    same_for_all_heights(&scan, &format!("sinograms | {paganin}"));
    same_for_all_heights(&scan, &format!("sinograms | {paganin} | recon.fbp center_px=24 | filter.median depth_px=5"));
    same_for_all_heights(&scan, &format!("sinograms | {paganin} | proj.bin bin_px=3"));
}

#[test]
fn slices_are_reconstructed_again_from_their_projections() {
    let angles = uniform_angles(150, 0.0, PI);
    let rows: Vec<Array2<f32>> =
        (0..5).map(|z| sinogram(&[Ellipse::disc(10.0, 5.0, 12.0 + z as f64, 2.0)], &angles, 96, 47.5, 10.0)).collect();
    let views: Vec<_> = rows.iter().map(|r| r.view()).collect();
    let scan =
        MemoryRows::sinograms(stack(Axis(0), &views).expect("rows")).into_scan(angles, Some(10.0)).expect("a scan");
    let once = volume(&scan, "sinograms | recon.fbp center_px=47.5", None);
    let slices = MemoryRows::volume(once.clone()).into_scan(Vec::new(), Some(10.0)).expect("a volume");
    let twice = same_for_all_heights(&slices, "volume | project views=150 | recon.fbp");
    // Inside the disc 2 1/cm stay 2 1/cm; its edge gets softer each time.
    let inside = s![2, 38..48, 52..62];
    let mean = |v: &Array3<f32>| v.slice(inside).mean().expect("a mean");
    assert!((mean(&once) - 2.0).abs() < 0.01 && (mean(&twice) - 2.0).abs() < 0.02, "{} {}", mean(&once), mean(&twice));
}

#[test]
fn projection_images_hold_the_rows_of_all_slabs() {
    let folder = tempfile::tempdir().expect("a folder");
    let angles = uniform_angles(12, 0.0, PI);
    let mut random = common::Lcg(5);
    let sinos = Array3::from_shape_simple_fn((70, 12, 33), || random.unit() as f32);
    let scan = MemoryRows::sinograms(sinos.clone()).into_scan(angles, Some(2.0)).expect("a scan");
    let ctx = context();
    let chain = Chain::parse(&ctx.registry(), "sinograms | write.projections").expect("a chain");
    let options = RunOptions { slab_rows: Some(7), rows: Some(2..70), ..RunOptions::default() };
    let out = folder.path().join("p");
    chain.run(&ctx, &scan, &out, &options, &mut Progress::silent()).expect("images");
    for view in 0..12 {
        let image = read_slice(&out.join(format!("p{view:05}.tif"))).expect("an image");
        assert_eq!(image, sinos.slice(s![2..70, view, ..]));
    }
    let names: Vec<_> = std::fs::read_dir(&out).expect("a folder").map(|e| e.expect("a file").file_name()).collect();
    assert_eq!(names.len(), 13, "12 images and the chain: {names:?}");
    // They are sinograms again, read by rows.
    let text = format!("projections path={:?} angles=180 | ring.sort kernel_px=0", out.display().to_string());
    let again = Chain::parse(&ctx.registry(), &text).expect("a chain");
    let images = again.open().expect("the images");
    assert!(same_for_all_heights(&images, &text) == sinos.slice(s![2..70, .., ..]));
    // A run that stops leaves nothing half-made.
    let stopped = folder.path().join("stopped");
    let stop = |r: &wagiri::Report| if r.done > 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    chain.run(&ctx, &scan, &stopped, &options, &mut Progress::new(stop)).expect_err("stopped");
    let left: Vec<_> = std::fs::read_dir(&stopped).expect("a folder").map(|e| e.expect("a file").file_name()).collect();
    assert_eq!(left, ["wagiri-chain.toml"]);
    let bad = Chain::parse(&ctx.registry(), "sinograms | recon.fbp center_px=16 | write.projections").map(|_| ());
    assert!(bad.expect_err("refused").to_string().contains("takes a sinogram, but here it gets volume"));
    let resumed = RunOptions { resume: true, ..RunOptions::default() };
    let e = chain.run(&ctx, &scan, &out, &resumed, &mut Progress::silent()).expect_err("refused").to_string();
    assert!(e.contains("run without resume"), "{e}");
}
