//! The pipeline: results do not depend on how the work is cut, cancelling keeps finished slices, nothing half-written
//! stays behind, and broken output places get a sentence.

use ndarray::{Array2, Array3};
use std::ops::ControlFlow;
use std::path::Path;
use wagiri::chain::RunOptions;
use wagiri::geometry::uniform_angles;
use wagiri::io::{MemorySink, read_description, read_slice};
use wagiri::scan::MemorySource;
use wagiri::{Chain, Context, ContextOptions, ErrorKind, Progress, Scan};

const CHAIN: &str = "normalise | ring.sort kernel_px=3 | recon.fbp filter=ramp center_px=17.3 pixel_um=2 pad=on";

/// More than two passes of 16 slices, and a short last one.
const ROWS: usize = 35;

/// A scan of reproducible noise: every arithmetic step shows in the last bit.
fn noise_scan(views: usize, rows: usize, cols: usize) -> Scan {
    let mut state = 12345u32;
    let mut next = move || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        500.0 + (state >> 16) as f32 / 64.0
    };
    let frames = Array3::from_shape_simple_fn((views, rows, cols), &mut next);
    let flats = Array3::from_shape_simple_fn((2, rows, cols), || 3000.0 + next());
    let source = MemorySource::new(frames, flats, Array2::from_elem((rows, cols), 100.0)).expect("a scan");
    source.into_scan(uniform_angles(views, 0.0, std::f64::consts::PI), None).expect("a scan")
}

fn context(threads: usize) -> Context {
    Context::new(ContextOptions { threads: Some(threads), ..ContextOptions::default() }).expect("a context")
}

fn volume(threads: usize, slab_rows: Option<usize>, memory_bytes: Option<u64>) -> Array3<f32> {
    let scan = noise_scan(30, ROWS, 37);
    let ctx = Context::new(ContextOptions { threads: Some(threads), memory_bytes, ..Default::default() }).expect("ok");
    let chain = Chain::parse(&ctx.registry(), CHAIN).expect("a chain");
    let mut sink = MemorySink::new(0, ROWS, [37, 37]);
    let options = RunOptions { slab_rows, ..RunOptions::default() };
    chain.run_into(&ctx, &scan, &mut sink, &options, &mut Progress::silent()).expect("a volume");
    sink.volume
}

#[test]
fn volume_does_not_depend_on_threads_slab_height_or_memory() {
    let expected = volume(1, Some(ROWS), None);
    assert!(expected.iter().any(|v| *v != 0.0));
    for threads in [1, 2, 3, 7] {
        for rows in [1, 3, 7, 16, 20, ROWS] {
            assert_eq!(volume(threads, Some(rows), None), expected, "{threads} threads, slabs of {rows}");
        }
    }
    assert_eq!(volume(2, None, Some(200_000)), expected);
}

#[test]
fn preview_is_the_same_slice_as_in_the_volume() {
    let (ctx, scan) = (context(2), noise_scan(30, ROWS, 37));
    let chain = Chain::parse(&ctx.registry(), CHAIN).expect("a chain");
    let slice = chain.preview(&ctx, &scan, 4, &mut Progress::silent()).expect("a slice");
    assert_eq!(slice, volume(1, None, None).index_axis(ndarray::Axis(0), 4));
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .expect("the folder")
        .map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| ![wagiri::chain::RECORD, wagiri::chain::CHAIN_FILE].contains(&name.as_str()))
        .collect();
    names.sort();
    names
}

#[test]
fn cancelling_keeps_finished_slices_and_nothing_half_written() {
    let (ctx, scan) = (context(2), noise_scan(30, ROWS, 37));
    let chain = Chain::parse(&ctx.registry(), CHAIN).expect("a chain");
    let out = tempfile::tempdir().expect("a folder");
    let options = RunOptions { slab_rows: Some(1), ..RunOptions::default() };
    let stop = |r: &wagiri::Report| if r.done >= 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let error = chain.run(&ctx, &scan, out.path(), &options, &mut Progress::new(stop)).expect_err("cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let expected = volume(1, None, None);
    assert_eq!(files(out.path()), ["rec00000.tif", "rec00001.tif", "rec00002.tif", "rec00003.tif"]);
    for z in 0..4 {
        let slice = read_slice(&out.path().join(format!("rec{z:05}.tif"))).expect("a whole file");
        assert_eq!(slice, expected.index_axis(ndarray::Axis(0), z));
    }
}

#[test]
fn cancelling_inside_a_tall_slab_keeps_what_was_finished_of_it() {
    let (ctx, scan) = (context(2), noise_scan(30, ROWS, 37));
    let chain = Chain::parse(&ctx.registry(), CHAIN).expect("a chain");
    let out = tempfile::tempdir().expect("a folder");
    let options = RunOptions { slab_rows: Some(ROWS), ..RunOptions::default() };
    let stop = |r: &wagiri::Report| if r.done > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    chain.run(&ctx, &scan, out.path(), &options, &mut Progress::new(stop)).expect_err("cancelled");
    assert_eq!(files(out.path()), (0..32).map(|z| format!("rec{z:05}.tif")).collect::<Vec<_>>());
}

#[test]
fn a_stopped_run_with_an_open_range_keeps_its_slices_in_32_bits() {
    let (ctx, scan) = (context(2), noise_scan(30, 3, 37));
    let chain = Chain::parse(&ctx.registry(), &format!("{CHAIN} | write.tiff type=u16")).expect("a chain");
    let out = tempfile::tempdir().expect("a folder");
    let options = RunOptions { slab_rows: Some(1), ..RunOptions::default() };
    let stop = |r: &wagiri::Report| if r.done > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let error = chain.run(&ctx, &scan, out.path(), &options, &mut Progress::new(stop)).expect_err("cancelled");
    assert!(error.to_string().contains("not converted yet are in "), "{error}");
    assert_eq!(files(out.path()), ["float32"]);
    assert_eq!(files(&out.path().join("float32")), ["rec00000.tif"]);
}

#[test]
fn cancelling_works_before_the_first_slice() {
    let (ctx, scan) = (context(2), noise_scan(30, ROWS, 37));
    let chain = Chain::parse(&ctx.registry(), CHAIN).expect("a chain");
    let out = tempfile::tempdir().expect("a folder");
    let progress = Progress::silent();
    progress.flag().cancel();
    let mut progress = progress;
    let error = chain.run(&ctx, &scan, out.path(), &RunOptions::default(), &mut progress).expect_err("cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(files(out.path()).is_empty());
}

#[test]
fn sixteen_and_eight_bit_output_with_found_and_given_range() {
    let (ctx, scan) = (context(2), noise_scan(30, 5, 37));
    let out = tempfile::tempdir().expect("a folder");
    let run = |tail: &str, dir: &str| {
        let chain = Chain::parse(&ctx.registry(), &format!("{CHAIN} | write.tiff {tail}")).expect("a chain");
        let dir = out.path().join(dir);
        let summary = chain.run(&ctx, &scan, &dir, &RunOptions::default(), &mut Progress::silent()).expect("a run");
        (dir, summary)
    };
    let (float, summary) = run("type=f32", "float");
    let (found, _) = run("type=u16", "found");
    let (given, _) = run("type=u8 min=-100 max=300", "given");
    assert_eq!(files(&found), (0..5).map(|z| format!("rh{z:05}.tif")).collect::<Vec<_>>());
    let (lo, hi) = (f64::from(summary.range.0), f64::from(summary.range.1));
    for z in 0..5 {
        let x = read_slice(&float.join(format!("rec{z:05}.tif"))).expect("32 bits");
        let a = read_slice(&found.join(format!("rh{z:05}.tif"))).expect("16 bits");
        let b = read_slice(&given.join(format!("ro{z:05}.tif"))).expect("8 bits");
        for ((x, a), b) in x.iter().zip(&a).zip(&b) {
            let level = |lo: f64, hi: f64, s: f64| (s / (hi - lo) * (f64::from(*x) - lo)).clamp(0.0, s).trunc() as f32;
            assert_eq!((*a, *b), (level(lo, hi, 65535.0), level(-100.0, 300.0, 255.0)));
        }
    }
    let text = read_description(&given.join("ro00003.tif")).expect("a description");
    let fields: Vec<&str> = text.split('\t').collect();
    assert_eq!((fields.len(), fields[0], fields[1], fields[2]), (8, "2.000000", "17.300000", "30"));
    assert_eq!((fields[6], fields[7]), ("-100.000000", "300.000000"));
}

#[test]
fn output_places_that_cannot_be_written_get_a_sentence() {
    let (ctx, scan) = (context(1), noise_scan(8, 2, 37));
    let chain = Chain::parse(&ctx.registry(), CHAIN).expect("a chain");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, b"mine").expect("a file");
    let run = |dir: &Path| chain.run(&ctx, &scan, dir, &RunOptions::default(), &mut Progress::silent());
    let error = run(&file.join("rec")).expect_err("below a file");
    assert!(error.to_string().contains("cannot make the output folder"), "{error}");
    assert_eq!(std::fs::read(&file).expect("untouched"), b"mine");
    // A missing folder is made, parents too; spaces and Japanese are letters like others.
    let japanese = folder.path().join("再構成 結果/rec 1");
    assert_eq!(run(&japanese).expect("made").slices, 2);
    assert_eq!(files(&japanese), ["rec00000.tif", "rec00001.tif"]);
}

#[test]
fn parameters_outside_the_accepted_range_get_a_sentence() {
    let (ctx, scan) = (context(1), noise_scan(8, 4, 37));
    let error = |text: &str, rows| {
        let options = RunOptions { rows, ..RunOptions::default() };
        let result = Chain::parse(&ctx.registry(), text)
            .and_then(|c| c.plan(&ctx, &scan, &options, &mut Progress::silent()).map(|_| ()));
        result.expect_err(text).to_string()
    };
    let fbp = |words: &str| format!("normalise | recon.fbp {words}");
    assert_eq!(
        error(&fbp("center_px=37"), None),
        "center_px: the rotation axis must lie on the detector, 0 to 36 px (center_px = 37, row = 0)"
    );
    assert!(error(&fbp("center_px=middle"), None).contains("expected a column such as 1023.5"));
    assert!(error(&fbp("center_px=9 pixel_um=-1"), None).contains("pixel_um: expected a number from"));
    assert!(error("normalise | ring.sort kernel_px=-3", None).contains("a whole number from 0 to 1001"));
    assert!(error("normalise | ring.sort kernel_px=99", None).contains("cannot be wider than the detector"));
    assert!(error(&fbp("center_px=9"), Some(2..9)).contains("there are rows 0..4"));
}

#[test]
fn a_constant_volume_becomes_black_and_a_folder_of_kept_slices_is_not_touched() {
    let (rows, cols) = (2, 37);
    let flat = Array2::from_elem((rows, cols), 4000.0);
    let same = |n: usize| Array3::from_shape_fn((n, rows, cols), |(_, y, x)| flat[[y, x]]);
    let source = MemorySource::new(same(8), same(1), Array2::zeros((rows, cols))).expect("a scan");
    let scan = source.into_scan(uniform_angles(8, 0.0, std::f64::consts::PI), None).expect("a scan");
    let ctx = context(1);
    let chain = Chain::parse(&ctx.registry(), &format!("{CHAIN} | write.tiff type=u8")).expect("a chain");
    let out = tempfile::tempdir().expect("a folder");
    chain.run(&ctx, &scan, out.path(), &RunOptions::default(), &mut Progress::silent()).expect("a run");
    assert_eq!(files(out.path()), ["ro00000.tif", "ro00001.tif"]);
    assert!(read_slice(&out.path().join("ro00000.tif")).expect("a slice").iter().all(|v| *v == 0.0));

    let kept = out.path().join("float32");
    std::fs::create_dir(&kept).expect("a folder");
    std::fs::write(kept.join("rec00000.tif"), b"mine").expect("a file");
    let error = chain.run(&ctx, &scan, out.path(), &RunOptions::default(), &mut Progress::silent()).expect_err("kept");
    assert!(error.to_string().contains("holds slices already"), "{error}");
    assert_eq!(std::fs::read(kept.join("rec00000.tif")).expect("untouched"), b"mine");
}
