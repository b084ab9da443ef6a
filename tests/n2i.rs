//! Noise2Inverse from scan to volume: subsets of the views on disk, what is refused, what is continued.

mod common;

use common::chains::{chain, context};
use common::{Ellipse, Lcg, sinogram};
use ndarray::{Array2, Array3, Axis, s};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use wagiri::chain::n2i::{SplitOptions, WORK_FILE, Work, split};
use wagiri::denoise::Subsets;
use wagiri::geometry::uniform_angles;
use wagiri::io::{GreyTags, SampleType, read_slice, write_image};
use wagiri::scan::MemorySource;
use wagiri::{Context, ErrorKind, Progress, Scan};

const ROWS: usize = 12;
const VIEWS: usize = 48;
const COLS: usize = 40;
const CHAIN: &str = "normalise | recon.fbp filter=ramp center_px=19.5 pixel_um=100";

/// Discs that change from row to row, as counts with noise of a few percent.
fn scan_of(views: usize, rows: usize) -> Scan {
    let angles = uniform_angles(views, 0.0, std::f64::consts::PI);
    let mut noise = Lcg(5);
    let mut frames = Array3::zeros((views, rows, COLS));
    for row in 0..rows {
        let at = row as f64 / 3.0;
        let discs = [Ellipse::disc(0.0, 0.0, 16.0, 0.8), Ellipse::disc(5.0 - at, 4.0, 4.0 + 0.2 * at, 2.0)];
        for ((view, col), p) in sinogram(&discs, &angles, COLS, 19.5, 100.0).indexed_iter() {
            frames[[view, row, col]] = (50.0 + 1000.0 * (-p).exp() * (0.95 + 0.1 * noise.unit() as f32)).round();
        }
    }
    let source =
        MemorySource::new(frames, Array3::from_elem((1, rows, COLS), 1050.0), Array2::from_elem((rows, COLS), 50.0));
    source.expect("frames").into_scan(angles, Some(100.0)).expect("a scan")
}

fn scan() -> Scan {
    scan_of(VIEWS, ROWS)
}

fn splitted(ctx: &Context, text: &str, work: &Path, options: &SplitOptions) -> wagiri::Result<Work> {
    split(ctx, &chain(text), &scan(), work, options, &mut Progress::silent())
}

fn volume(work: &Work, subset: usize) -> Array3<f32> {
    let [z, y, x] = work.shape();
    let mut volume = Array3::zeros((z, y, x));
    for (z, slice) in volume.outer_iter_mut().enumerate() {
        work.read(subset, z, 0..y, 0..x, slice).expect("a slice");
    }
    volume
}

/// The mean over all subsets.
fn mean(work: &Work) -> Array3<f64> {
    let sum = (0..work.count()).map(|k| volume(work, k).mapv(f64::from)).reduce(|a, b| a + b).expect("subsets");
    sum / work.count() as f64
}

#[test]
fn the_mean_of_the_subsets_is_the_reconstruction_from_all_views() {
    // Filtered back-projection is linear, and each view of an even scan has the same weight in its subset.
    let dir = tempfile::tempdir().expect("a folder");
    let all = common::chains::volume(&scan(), CHAIN, None);
    let largest = all.iter().fold(0.0f32, |a, b| a.max(b.abs()));
    for count in [2, 3, 4] {
        let work = dir.path().join(count.to_string());
        let options = SplitOptions { subsets: count, ..SplitOptions::default() };
        let work = splitted(&context(), CHAIN, &work, &options).expect("subsets");
        assert_eq!((work.count(), work.shape(), work.rows()), (count, [ROWS, COLS, COLS], 0..ROWS));
        let worst = (mean(&work) - all.mapv(f64::from)).iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        // Sums of tens of 32-bit numbers.
        assert!(worst < 2e-6 * f64::from(largest), "{count}: {worst} of {largest}");
        assert!(volume(&work, 0) != volume(&work, 1));
    }
}

#[test]
fn the_axis_and_the_pad_are_those_of_all_views() {
    let dir = tempfile::tempdir().expect("a folder");
    // With this threshold the decision hangs on the last digits of what the survey sees, which differs between subsets.
    let survey = wagiri::chain::survey::survey(&context(), &scan(), &Default::default(), &mut Progress::silent());
    let threshold = survey.expect("a survey").edge_over_mean;
    for (threshold, padded) in [(threshold * (1.0 - 1e-9), true), (threshold * (1.0 + 1e-9), false)] {
        let text = format!("normalise | recon.fbp pixel_um=100 pad_threshold={threshold}");
        let work = splitted(&context(), &text, dir.path(), &SplitOptions::default()).expect("subsets");
        let found = work.chain().expect("a record").to_owned();
        assert!(found.contains("center_px=19.5") || found.contains("center_px=19.4"), "{found}");
        let pad = found.replace("pixel_um=100", if padded { "pixel_um=100 pad=on" } else { "pixel_um=100 pad=off" });
        let own = dir.path().join("own");
        let forced = splitted(&context(), &pad, &own, &SplitOptions::default()).expect("subsets");
        for subset in 0..4 {
            assert!(volume(&work, subset) == volume(&forced, subset), "subset {subset}: {pad}");
        }
    }
}

#[test]
fn rings_are_removed_from_each_subset_by_itself_and_filters_wait_for_the_end() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = SplitOptions { rows: Some(3..7), ..SplitOptions::default() };
    let text =
        "normalise | ring.sort | recon.fbp center_px=19.5 pixel_um=100 pad=off | filter.median | write.tiff type=u8";
    let work = splitted(&context(), text, dir.path(), &options).expect("subsets");
    assert_eq!((work.shape(), work.rows()), ([4, COLS, COLS], 3..7));
    assert!(work.chain().is_some_and(|chain| chain.contains("| filter.median") && chain.ends_with("type=u8")));
    let scan = scan();
    for index in 0..4 {
        let subset = scan.subset(index, 4).expect("a subset");
        let text = "normalise | ring.sort | recon.fbp center_px=19.5 pixel_um=100 pad=off";
        let alone = common::chains::volume(&subset, text, None);
        assert!(volume(&work, index) == alone.slice(s![3..7, .., ..]), "subset {index}");
        let file = dir.path().join(format!("subset{index}/rec00003.tif"));
        assert!(read_slice(&file).expect("a slice") == alone.index_axis(Axis(0), 3));
    }
}

#[test]
fn a_split_that_was_stopped_goes_on_and_gives_the_same_files() {
    let dir = tempfile::tempdir().expect("a folder");
    let (whole, stopped) = (dir.path().join("whole"), dir.path().join("stopped"));
    let expected = splitted(&context(), CHAIN, &whole, &SplitOptions::default()).expect("subsets");
    let resume = SplitOptions { resume: true, ..SplitOptions::default() };
    // A first look at the folder, in the first subset, between two, and in the last one.
    for stop in [0, ROWS / 2, 2 * ROWS, 4 * ROWS - 1] {
        let mut most = 0;
        let mut progress = Progress::new(|report| {
            most = most.max(report.done);
            if report.total > 0 && report.done >= stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let stopped = split(&context(), &chain(CHAIN), &scan(), &stopped, &resume, &mut progress);
        assert!(stopped.is_err_and(|e| e.kind() == ErrorKind::Cancelled), "at {stop}");
    }
    assert!(Work::open(&stopped).is_err_and(|e| e.to_string().contains("not complete; go on with")));
    let mut seen = Vec::new();
    let mut progress = Progress::new(|report| {
        seen.push((report.done, report.total));
        ControlFlow::Continue(())
    });
    let work = split(&context(), &chain(CHAIN), &scan(), &stopped, &resume, &mut progress).expect("subsets");
    drop(progress);
    // Of the subsets that are complete nothing is done again.
    assert!(seen.iter().all(|(done, total)| *total == 4 * ROWS && (*done >= 3 * ROWS || done % ROWS == 0)), "{seen:?}");
    for subset in 0..4 {
        assert!(volume(&work, subset) == volume(&expected, subset));
    }
    // Complete: nothing is done. Something else: refused.
    let mut never = Progress::new(|_| ControlFlow::Break(()));
    split(&context(), &chain(CHAIN), &scan(), &stopped, &resume, &mut never).expect("they are there");
    let other = [
        (CHAIN.replace("ramp", "chesler"), resume.clone(), "the chain changed"),
        (CHAIN.to_owned(), SplitOptions { subsets: 3, ..resume.clone() }, "the subsets changed"),
        (CHAIN.to_owned(), SplitOptions { rows: Some(0..4), ..resume }, "the rows changed"),
    ];
    for (text, options, what) in other {
        let refused = splitted(&context(), &text, &stopped, &options).err().expect("refused").to_string();
        assert!(refused.contains(what), "{refused}");
    }
}

#[test]
fn what_cannot_be_split_gets_a_sentence() {
    let dir = tempfile::tempdir().expect("a folder");
    let refused = |text: &str, subsets: usize| {
        let options = SplitOptions { subsets, ..SplitOptions::default() };
        splitted(&context(), text, dir.path(), &options).err().expect("refused").to_string()
    };
    assert!(refused(CHAIN, 7).contains("too few views: each of the 7 subsets needs at least 8"));
    assert!(refused(CHAIN, 1).contains("expected 2 to 64 subsets"));
    assert!(refused("normalise | ring.sort", 4).contains("does not reconstruct"));
    assert!(refused(&format!("{CHAIN} | project | recon.fbp"), 4).contains("reconstructs twice"));
    assert!(refused(&format!("{CHAIN} pad=slice"), 4).contains("pad=slice would decide for each subset"));
    assert!(!dir.path().join(WORK_FILE).exists());
}

#[test]
fn subsets_are_read_in_parts_with_and_without_memory() {
    let dir = tempfile::tempdir().expect("a folder");
    splitted(&context(), CHAIN, dir.path(), &SplitOptions::default()).expect("subsets");
    let whole = volume(&Work::open(dir.path()).expect("it is there"), 2);
    let slice = 4 * (COLS * COLS) as u64;
    for bytes in [0, 3 * slice, u64::MAX / 2] {
        let work = Work::open(dir.path()).expect("it is there").with_cache(bytes);
        for _ in 0..2 {
            for z in 0..ROWS {
                let mut part = Array2::zeros((7, 11));
                work.read(2, z, 5..12, 20..31, part.view_mut()).expect("a part");
                assert!(part == whole.slice(s![z, 5..12, 20..31]), "{bytes} bytes, slice {z}");
            }
        }
        assert!(work.read(2, 0, 35..42, 0..11, Array2::zeros((7, 11)).view_mut()).is_err());
    }
}

/// A volume as another program writes it.
fn write_volume(dir: &Path, slices: usize, size: usize, value: impl Fn(usize, usize, usize) -> f32) {
    fs::create_dir_all(dir).expect("a folder");
    for z in 0..slices {
        let slice = Array2::from_shape_fn((size, size), |(y, x)| value(z, y, x));
        let file = dir.join(format!("slice_{z:04}.tif"));
        write_image(&file, slice.view(), SampleType::F32, &GreyTags::default()).expect("a slice");
    }
}

#[test]
fn volumes_of_other_programs_are_subsets_too_if_they_fit() {
    let dir = tempfile::tempdir().expect("a folder");
    let refused = || Work::open(dir.path()).err().expect("refused").to_string();
    assert!(refused().contains("found 0"));
    write_volume(&dir.path().join("subset0"), 3, 16, |z, y, x| (z * 100 + y * 10 + x) as f32);
    assert!(refused().contains("found 1"));
    write_volume(&dir.path().join("subset1"), 3, 17, |_, _, _| 1.0);
    assert!(refused().contains("subset1 has another size than subset0"));
    write_volume(&dir.path().join("subset1"), 3, 16, |z, y, x| if [z, y, x] == [1, 2, 3] { f32::NAN } else { 1.0 });
    let work = Work::open(dir.path()).expect("two volumes");
    assert_eq!((work.count(), work.shape(), work.chain()), (2, [3, 16, 16], None));
    let mut part = Array2::zeros((2, 3));
    work.read(0, 2, 4..6, 7..10, part.view_mut()).expect("a part");
    assert_eq!(part, ndarray::arr2(&[[247.0, 248.0, 249.0], [257.0, 258.0, 259.0]]));
    let nan = work.read(1, 1, 0..4, 0..4, Array2::zeros((4, 4)).view_mut()).expect_err("NaN").to_string();
    assert!(nan.contains("subset1: a value is not a finite number") && nan.contains("row = 2, column = 3"), "{nan}");
    for index in 0..2 {
        (1..3).for_each(|z| fs::remove_file(dir.path().join(format!("subset{index}/slice_{z:04}.tif"))).expect("gone"));
    }
    assert!(refused().contains("a single slice"));
}
