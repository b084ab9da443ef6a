//! Chains: stages that change the shape, data that are no raw frames, the two ways to write a chain down.

mod common;

use common::chains::{chain, context, same_for_all_heights, volume};
use common::{Ellipse, sinogram};
use ndarray::{Array3, Axis, s, stack};
use std::f64::consts::PI;
use wagiri::chain::RunOptions;
use wagiri::geometry::{Center, uniform_angles};
use wagiri::io::{MemorySink, open_slices, read_description, read_slice};
use wagiri::scan::MemoryRows;
use wagiri::{Chain, Domain, Progress, Scan};

/// A cone of discs: the radius grows from row to row, so that neighbouring rows differ.
fn cone(rows: usize, cols: usize, center_px: f64) -> Scan {
    let angles = uniform_angles(120, 0.0, PI);
    let row = |row: usize| {
        let disc = Ellipse::disc(5.0, -3.0, 8.0 + row as f64 * 0.5, 2.0);
        sinogram(&[disc], &angles, cols, center_px, 10.0)
    };
    let rows: Vec<_> = (0..rows).map(row).collect();
    let views: Vec<_> = rows.iter().map(|r| r.view()).collect();
    let data = stack(Axis(0), &views).expect("rows of one shape");
    MemoryRows::sinograms(data).into_scan(angles, Some(10.0)).expect("a scan")
}

/// A volume in which every voxel differs.
fn noise(slices: usize, height: usize, width: usize) -> Scan {
    let mut random = common::Lcg(7);
    let data = Array3::from_shape_simple_fn((slices, height, width), || random.unit() as f32);
    MemoryRows::volume(data).into_scan(Vec::new(), Some(2.0)).expect("a volume")
}

#[test]
fn binned_projections_give_the_same_object_with_larger_voxels() {
    let scan = cone(21, 96, 45.3);
    let text = "sinograms | proj.bin bin_px=2 | recon.fbp center_px=22.4";
    let volume = same_for_all_heights(&scan, text);
    // 21 rows are ten pairs; the last is left over.
    assert_eq!(volume.dim(), (10, 48, 48));
    let plan = chain(text).plan(&context(), &scan, &RunOptions::default(), &mut Progress::silent()).expect("a plan");
    assert_eq!(plan.pixel_um, 20.0);
    // A disc of 2 1/cm comes back as 2 1/cm, and its middle, 5 and -3 small pixels from the axis, in the right place.
    let (y, x) = (23.5 + 3.0 / 2.0, 23.5 + 5.0 / 2.0);
    let slice = volume.index_axis(Axis(0), 4);
    let inside = slice.slice(s![y as usize - 1..y as usize + 2, x as usize - 1..x as usize + 2]);
    // Binning bends the edges of views a little, which the whole slice feels.
    assert!((inside.mean().expect("a mean") - 2.0).abs() < 0.02, "{inside}");
}

#[test]
fn sinograms_tell_the_axis_and_whether_the_sample_is_cut_off() {
    let ctx = context();
    let scan = cone(5, 96, 45.3);
    let plan = chain("sinograms | recon.fbp").plan(&ctx, &scan, &RunOptions::default(), &mut Progress::silent());
    let found = plan.expect("a plan").center.at(0);
    assert!((found - 45.3).abs() < 0.2, "{found}");
    // A body beyond both edges is padded unless that is forbidden, as from raw projections.
    let angles = uniform_angles(120, 0.0, PI);
    let wide = sinogram(&[Ellipse::disc(0.0, 0.0, 70.0, 2.0)], &angles, 96, 47.5, 10.0);
    let rows = stack(Axis(0), &[wide.view()]).expect("rows");
    let scan = MemoryRows::sinograms(rows).into_scan(angles, Some(10.0)).expect("a scan");
    let auto = volume(&scan, "sinograms | recon.fbp center_px=47.5", None);
    assert!(auto == volume(&scan, "sinograms | recon.fbp center_px=47.5 pad=on", None));
    assert!(auto != volume(&scan, "sinograms | recon.fbp center_px=47.5 pad=off", None));
}

#[test]
fn a_crop_moves_the_axis_and_leaves_the_object_where_it_is() {
    let (center, left, right, top) = (45.0, 10, 6, 3);
    let scan = cone(21, 96, center);
    let text = format!(
        "sinograms | proj.crop left_px={left} right_px={right} top_px={top} bottom_px=2 | recon.fbp pad=off center_px={}",
        center - left as f64
    );
    let cropped = same_for_all_heights(&scan, &text);
    assert_eq!(cropped.dim(), (16, 80, 80));
    let whole = volume(&scan, &format!("sinograms | recon.fbp pad=off center_px={center}"), None);
    // The columns cut off hold nothing, and slices have their middle on the axis: only rounding in FFTs of other lengths
    // is left.
    let there = whole.slice(s![top..top + 16, 8..88, 8..88]);
    let middle = s![.., 20..60, 20..60];
    let worst = cropped.slice(middle).iter().zip(there.slice(middle)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 2e-5, "{worst}");
}

#[test]
fn volume_stages_do_not_depend_on_slab_height() {
    let scan = noise(23, 19, 17);
    for text in [
        "volume | filter.median size_px=3 depth_px=5",
        "volume | filter.gaussian sigma_px=1 sigma_z_px=1.2",
        "volume | volume.bin bin=2",
        "volume | volume.crop left_px=2 top_px=1 bottom_px=3 first_slices=4 last_slices=1",
        "volume | filter.gaussian sigma_z_px=0.7 | volume.bin bin=3 | filter.median size_px=1 depth_px=3",
    ] {
        same_for_all_heights(&scan, text);
    }
    // A window over the ends of the volume repeats its first and last slice.
    let data = volume(&scan, "volume | volume.crop", None);
    let median = volume(&scan, "volume | filter.median size_px=1 depth_px=3", None);
    let of_three = |a: f32, b: f32, c: f32| a.max(b).min(a.min(b).max(c));
    assert_eq!(median[[5, 3, 4]], of_three(data[[4, 3, 4]], data[[5, 3, 4]], data[[6, 3, 4]]));
    assert_eq!(median[[0, 3, 4]], data[[0, 3, 4]].min(data[[1, 3, 4]]).max(data[[0, 3, 4]]));
    assert_eq!(volume(&scan, "volume | volume.bin bin=3", None).dim(), (7, 6, 5));
}

#[test]
fn a_chain_goes_on_from_slices_on_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let (rec, out) = (folder.path().join("rec"), folder.path().join("out"));
    let scan = cone(9, 64, 31.0);
    let ctx = context();
    let run = |scan: &Scan, text: &str, to| {
        chain(text).run(&ctx, scan, to, &RunOptions::default(), &mut Progress::silent()).expect("slices")
    };
    run(&scan, "sinograms | recon.fbp center_px=31", &rec);
    // The same in one go, and by way of the disk.
    let expected = volume(&scan, "sinograms | recon.fbp center_px=31 | filter.median depth_px=3", None);
    let slices = open_slices(&rec, Domain::Volume, None).expect("a volume");
    assert_eq!(slices.info().pixel_um, Some(10.0));
    assert!(same_for_all_heights(&slices, "volume | filter.median depth_px=3") == expected);
    run(&slices, "volume | filter.median depth_px=3 | volume.bin bin=2", &out);
    let description = read_description(&out.join("rec00000.tif")).expect("a description");
    // Larger pixels, and the axis told in them; views and angle are still those of the reconstruction.
    assert!(description.starts_with("20.000000\t15.250000\t120\t0.000000\t"), "{description}");
    assert_eq!(read_slice(&out.join("rec00003.tif")).expect("a slice").dim(), (32, 32));
    // A chain without stages converts.
    let bytes = folder.path().join("bytes");
    run(&slices, "volume | write.tiff type=u8 min=0 max=2.55", &bytes);
    let (grey, value) = (read_slice(&bytes.join("ro00004.tif")), read_slice(&rec.join("rec00004.tif")));
    let (grey, value) = (grey.expect("a slice"), value.expect("a slice"));
    assert!(grey.iter().zip(&value).all(|(g, v)| (g - (100.0 * v).clamp(0.0, 255.0)).abs() <= 1.0));
    // Results never go among their own input.
    let e = chain("volume | filter.median").run(&ctx, &slices, &rec, &RunOptions::default(), &mut Progress::silent());
    assert!(e.expect_err("refused").to_string().contains("rec"));
}

#[test]
fn data_of_the_wrong_kind_are_refused_with_a_sentence() {
    let ctx = context();
    let error = |scan: &Scan, text: &str| {
        let mut sink = MemorySink::new(0, 1, [1, 1]);
        let run = chain(text).run_into(&ctx, scan, &mut sink, &RunOptions::default(), &mut Progress::silent());
        run.expect_err("refused").to_string()
    };
    let volume = noise(4, 8, 8);
    assert_eq!(error(&volume, "normalise"), "chain: raw: the chain takes counts, but the data are a volume");
    assert!(
        error(&volume, "volume | volume.crop left_px=4 right_px=4").contains("nothing of the volume would be left")
    );
    assert!(error(&volume, "volume | filter.median size_px=4").contains("expected an odd number"));
    let sinograms = cone(4, 32, 15.0);
    assert!(error(&volume, "volume | project | ring.sort | recon.fbp center_px=99").contains("0 to 7 px"));
    assert!(error(&sinograms, "sinograms | proj.bin bin_px=32 | recon.fbp center_px=0").contains("2 columns"));
    // After the crop the axis lies beside the detector.
    let e = error(&sinograms, "sinograms | proj.crop left_px=20 | recon.fbp center_px=15");
    assert!(e.contains("0 to 11 px"), "{e}");
    let nothing = chain("volume").open().map(|_| ()).expect_err("refused").to_string();
    assert!(nothing.contains("volume path=FOLDER"), "{nothing}");
}

#[test]
fn what_is_read_must_be_numbers_even_where_a_median_would_hide_others() {
    let mut slices = Array3::zeros((5, 8, 8));
    slices[[3, 2, 6]] = f32::NAN;
    let mut sinograms = slices.clone();
    sinograms[[1, 4, 5]] = f32::INFINITY;
    let slices = MemoryRows::volume(slices).into_scan(Vec::new(), None).expect("a scan");
    let sinograms = MemoryRows::sinograms(sinograms).into_scan(uniform_angles(8, 0.0, PI), None).expect("a scan");
    let error = |scan: &Scan, text: &str, place: &str| {
        for slab_rows in [1, 5] {
            let options = RunOptions { slab_rows: Some(slab_rows), ..RunOptions::default() };
            let mut sink = MemorySink::new(0, chain(text).slices(&context(), scan).expect("a number"), [8, 8]);
            let run = chain(text).run_into(&context(), scan, &mut sink, &options, &mut Progress::silent());
            let e = run.map(|_| ()).expect_err("refused");
            assert_eq!(e.kind(), wagiri::ErrorKind::Format, "{e}");
            assert!(e.to_string().contains(place), "{e}");
        }
    };
    error(&slices, "volume | filter.median", "slice = 3, row = 2, column = 6, value = NaN");
    // Also in rows that a neighbour only looks at.
    error(&slices, "volume | volume.crop last_slices=2 | filter.median depth_px=3", "slice = 3, row = 2");
    error(&sinograms, "sinograms | ring.sort", "sinogram = 1, view = 4, column = 5, value = inf");
}

#[test]
fn a_chain_file_says_the_same_as_a_line() {
    let line = "raw path=\"my scan\" dark=none | normalise floor_counts=0.5 repair=false | ring.sort kernel_px=7 | \
                recon.fbp filter=ramp center_px=10:1.5,20:2.5 | filter.median | write.tiff dir='a \"b\"' type=u16 min=-1";
    let chain = chain(line);
    let file = chain.to_toml();
    let again = Chain::parse(&context().registry(), &file).expect("its own file");
    assert_eq!(again.to_string(), chain.to_string());
    assert_eq!(Chain::parse(&context().registry(), &chain.to_string()).expect("its own line").to_toml(), file);
    assert!(file.contains("[[stage]]\nid = \"ring.sort\"\nkernel_px = 7\n"), "{file}");
    assert_eq!(chain.out_dir().and_then(|p| p.to_str()), Some("a \"b\""));
}

#[test]
fn errors_in_a_chain_file_name_the_line() {
    let error = |text: &str| Chain::parse(&context().registry(), text).map(|_| ()).expect_err("refused").to_string();
    let e = error("# mine\n[[stage]]\nid = \"normalise\"\n\n[[stage]]\nid = \"ring.sort\"\nkernel = 5\n");
    assert!(
        e.starts_with("chain file, line 7: ring.sort: unknown parameter 'kernel'; did you mean 'kernel_px'? (it takes"),
        "{e}"
    );
    let e = error("[[stage]]\nid = \"normalise\"\n[[stage]]\nid = \"ring.sotr\"\n");
    assert!(e.starts_with("chain file, line 3: ") && e.contains("did you mean 'ring.sort'?"), "{e}");
    let e = error("[[stage]]\nid = \"normalise\"\nair = [1]\n");
    assert!(e.starts_with("chain file, line 3: normalise: air: expected a text"), "{e}");
    let e = error("[[stage]]\nid = \"normalise\nair = \"off\"\n");
    assert!(e.starts_with("chain file, line 2: TOML: "), "{e}");
    assert!(error("[[stages]]\nid = \"normalise\"\n").contains("did you mean 'stage'?"));
    assert!(error("[stage]\nid = \"normalise\"\n").contains("line 1: stage: expected [[stage]], with two brackets"));
    assert!(error("id = \"normalise\"\n").contains("line 1: chain: unknown entry 'id'"));
    assert!(error("# nothing\n").contains("the chain has no stage"));
    assert!(Chain::parse(&context().registry(), "\u{feff}[[stage]]\r\nid = \"normalise\"\r\n").is_ok());
    assert!(error("[[stage]]\nkernel_px = 5\n").contains("line 1: stage: the stage has no id"));
    assert!(error("[[stage]]\nid = \"normalise\"\n[[stage]]\nid = \"raw\"\n").contains("stands at the start"));
    let center: Result<Center, _> = "3".parse();
    assert!(center.is_ok());
}
