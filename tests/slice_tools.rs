//! The bundled plugin slice-tools on a foam of balls: counts, volumes and places as they are, the same bytes however the volume is
//! cut, behind a reconstruction and on a volume itself.

mod common;
#[path = "common/plugins.rs"]
mod plugins;

use common::{Ellipse, Lcg, sinogram};
use ndarray::{Array2, Array3, Axis, s};
use std::f64::consts::PI;
use std::path::Path;
use std::process::Command;
use wagiri::chain::RunOptions;
use wagiri::geometry::uniform_angles;
use wagiri::io::{MemorySink, read_slice};
use wagiri::scan::{MemoryRows, MemorySource};
use wagiri::{Chain, Context, ContextOptions, ErrorKind, Progress, Result, Scan};

/// In px; `y` is up from the axis, as in slices.
#[derive(Clone, Copy, Debug)]
struct Ball {
    x: f64,
    y: f64,
    z: f64,
    r: f64,
}

/// Balls with at least 3 px between them, inside the circle that a reconstruction knows, in the order of their first slice.
fn foam(size: usize, rows: usize, count: usize) -> Vec<Ball> {
    let mut numbers = Lcg(11);
    let mut balls: Vec<Ball> = Vec::new();
    while balls.len() < count {
        let r = 3.0 + 4.0 * numbers.unit();
        let across = size as f64 / 2.0 - 3.0 - r;
        let [x, y] = [0; 2].map(|_| across * (2.0 * numbers.unit() - 1.0));
        let z = r + 1.0 + (rows as f64 - 3.0 - 2.0 * r) * numbers.unit();
        let apart = |b: &Ball| ((b.x - x).powi(2) + (b.y - y).powi(2) + (b.z - z).powi(2)).sqrt() > b.r + r + 3.0;
        if x.hypot(y) < across && balls.iter().all(apart) {
            balls.push(Ball { x, y, z, r });
        }
    }
    balls.sort_by(|a, b| (a.z - a.r).ceil().total_cmp(&(b.z - b.r).ceil()));
    balls
}

/// 2.0 inside the balls, 0 outside.
fn volume(size: usize, rows: usize, balls: &[Ball]) -> Array3<f32> {
    Array3::from_shape_fn((rows, size, size), |(z, row, col)| {
        let (x, y) = common::xy(size, row, col);
        let inside = |b: &&Ball| (b.x - x).powi(2) + (b.y - y).powi(2) + (b.z - z as f64).powi(2) <= b.r * b.r;
        balls.iter().find(inside).map_or(0.0, |_| 2.0)
    })
}

fn context(threads: usize) -> Context {
    Context::new(ContextOptions { threads: Some(threads), ..Default::default() }).expect("a context")
}

/// A volume through one stage in slabs of `height` rows.
fn through(ctx: &Context, id: &str, set: &[(&str, &str)], data: &Array3<f32>, height: usize) -> Result<Array3<f32>> {
    let set: String = set.iter().map(|(name, text)| format!(" {name}=\"{text}\"")).collect();
    let chain = Chain::parse(&ctx.registry(), &format!("volume | {id}{set}")).expect("a chain");
    let scan = MemoryRows::volume(data.clone()).into_scan(Vec::new(), Some(0.5)).expect("a volume");
    let mut sink = MemorySink::new(0, data.len_of(Axis(0)), [data.len_of(Axis(1)), data.len_of(Axis(2))]);
    let options = RunOptions { slab_rows: Some(height), ..RunOptions::default() };
    chain.run_into(ctx, &scan, &mut sink, &options, &mut Progress::silent())?;
    Ok(sink.volume)
}

/// The numbers of a table, a line for each object.
fn read_table(path: &Path) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(path).expect("a table");
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().expect("a head").split(',').collect();
    assert_eq!(&head[..6], ["label", "voxels", "volume_um3", "x_px", "y_px", "z_px"]);
    lines.map(|line| line.split(',').map(|field| field.parse().expect("a number")).collect()).collect()
}

/// Each ball is in the table: its number, volume and place. `error_px` is that of the radius and of the place.
fn assert_balls(table: &[Vec<f64>], balls: &[Ball], size: usize, pixel_um: f64, error_px: f64) {
    assert_eq!(table.len(), balls.len());
    let middle = (size as f64 - 1.0) / 2.0;
    for ball in balls {
        let here = |line: &&Vec<f64>| {
            let place = [ball.x + middle, middle - ball.y, ball.z];
            place.iter().zip(&line[3..6]).all(|(there, found)| (there - found).abs() < error_px)
        };
        let line = table.iter().find(here).unwrap_or_else(|| panic!("{ball:?} is not where it is"));
        // Diameter of a ball of the same volume.
        assert!((line[15] / pixel_um / 2.0 - ball.r).abs() < error_px, "{ball:?}: {} um", line[15]);
        assert!((line[2] / line[1] / pixel_um.powi(3) - 1.0).abs() < 1e-12);
    }
}

const HEIGHTS: [usize; 4] = [1, 3, 7, 40];

#[test]
fn balls_of_a_foam_are_counted_measured_and_numbered_across_slabs() {
    let (size, rows) = (64, 40);
    let balls = foam(size, rows, 30);
    let data = volume(size, rows, &balls);
    let dir = tempfile::tempdir().expect("a folder");
    let mut expected: Option<(Array3<f32>, Vec<u8>)> = None;
    for (i, height) in HEIGHTS.into_iter().enumerate() {
        let ctx = context([1, 2, 3, 4][i]);
        let labels = through(&ctx, "slice.label", &[], &data, height).expect("labels");
        let file = dir.path().join("objects.csv");
        let set = [("file", file.to_str().expect("UTF-8"))];
        assert_eq!(through(&ctx, "slice.measure", &set, &data, height).expect("the volume"), data);
        let table = std::fs::read(&file).expect("a table");
        match &expected {
            Some(first) => assert_eq!((&labels, &table), (&first.0, &first.1), "slabs of {height}"),
            None => expected = Some((labels, table)),
        }
    }
    let (labels, _) = expected.expect("results");
    let table = read_table(&dir.path().join("objects.csv"));
    // Each voxel is in or out, which of the balls here changes the radius by less than a tenth of a px.
    assert_balls(&table, &balls, size, 0.5, 0.1);
    for line in &table {
        let [number, voxels] = [line[0], line[1]];
        assert_eq!(labels.iter().filter(|v| f64::from(**v) == number).count() as f64, voxels);
        assert_eq!(line[12], 2.0, "the mean inside");
    }
    // In the order of first voxels.
    let mut seen = 0.0;
    for label in labels.iter().filter(|v| **v > 0.0) {
        assert!(*label <= seen + 1.0, "{label} after {seen}");
        seen = label.max(seen);
    }
    assert_eq!(labels.mapv(|v| v > 0.0), data.mapv(|v| v > 0.0));
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 1, "nothing is left beside the table");
}

#[test]
fn small_objects_and_values_out_of_range_are_left_out() {
    let mut data = Array3::zeros((5, 6, 7));
    data[[0, 0, 0]] = 2.0;
    data.slice_mut(s![1..3, 2..4, 2..4]).fill(3.0);
    data[[4, 5, 6]] = 9.0;
    let ctx = context(2);
    let label = |set: &[(&str, &str)]| through(&ctx, "slice.label", set, &data, 2).expect("labels");
    let largest = |labels: Array3<f32>| labels.fold(0f32, |a, b| a.max(*b));
    assert_eq!(largest(label(&[])), 3.0);
    let large = label(&[("min_voxels", "2")]);
    assert_eq!((large[[1, 2, 2]], large[[0, 0, 0]], large[[4, 5, 6]]), (1.0, 0.0, 0.0));
    let low = label(&[("high", "2.5")]);
    assert_eq!((low[[0, 0, 0]], low[[1, 2, 2]]), (1.0, 0.0));
    let refused = through(&ctx, "slice.label", &[("high", "0.5")], &data, 2).expect_err("an empty range").to_string();
    assert_eq!(refused, "slice.label: low = 1 is above high = 0.5; expected low to be at most high");
    let nowhere = [("file", "no such folder/objects.csv")];
    let refused = through(&ctx, "slice.measure", &nowhere, &data, 2).expect_err("no folder").to_string();
    assert!(refused.contains("is not a file in an existing folder"), "{refused}");
}

#[test]
fn filters_are_what_they_say_and_free_of_seams() {
    let mut numbers = Lcg(2);
    let noise = Array3::from_shape_simple_fn((9, 11, 8), || numbers.unit() as f32);
    let ctx = context(2);
    for (id, radius, space) in [
        ("slice.erode", "1", "3d"),
        ("slice.erode", "2.5", "3d"),
        ("slice.dilate", "1.5", "3d"),
        ("slice.dilate", "2", "2d"),
        ("slice.erode", "12", "2d"),
        ("slice.dilate", "0", "3d"),
    ] {
        let set = [("radius_px", radius), ("space", space)];
        let whole = through(&ctx, id, &set, &noise, 9).expect("a volume");
        for height in [1, 3, 7] {
            assert_eq!(through(&ctx, id, &set, &noise, height).expect("a volume"), whole, "{id}, slabs of {height}");
        }
        let radius: f64 = radius.parse().expect("a number");
        let r = radius as isize;
        let zs = if space == "3d" { -r..=r } else { 0..=0 };
        let cube = zs.flat_map(|z| (-r..=r).flat_map(move |y| (-r..=r).map(move |x| [z, y, x])));
        let ball: Vec<_> = cube.filter(|d| d.iter().map(|d| d * d).sum::<isize>() as f64 <= radius * radius).collect();
        for ((z, y, x), found) in whole.indexed_iter() {
            let near = ball.iter().map(|[dz, dy, dx]| {
                let at = |v: usize, d: isize, n: isize| (v as isize + d).clamp(0, n - 1) as usize;
                noise[[at(z, *dz, 9), at(y, *dy, 11), at(x, *dx, 8)]]
            });
            let expected = if id == "slice.erode" { near.reduce(f32::min) } else { near.reduce(f32::max) };
            assert_eq!(Some(*found), expected, "{id} {set:?} at {z}, {y}, {x}");
        }
    }
    let inside = through(&ctx, "slice.threshold", &[("low", "0.5")], &noise, 4).expect("a volume");
    assert_eq!(inside, noise.mapv(|v| f32::from(v >= 0.5)));
}

/// The definition, and what it is for: thin walls go or gaps close, and what is thick keeps its size.
#[test]
fn opening_and_closing_are_erosion_and_dilation_in_turn() {
    let mut numbers = Lcg(7);
    let noise = Array3::from_shape_simple_fn((13, 11, 9), || numbers.unit() as f32);
    let ctx = context(3);
    for (id, first, second) in [("slice.open", "erode", "dilate"), ("slice.close", "dilate", "erode")] {
        for (radius, space) in [("1", "3d"), ("2.3", "3d"), ("2", "2d"), ("0", "3d")] {
            let call = |id: &str| format!("{id} radius_px={radius} space={space}");
            let in_turn = format!("{} | {}", call(&format!("slice.{first}")), call(&format!("slice.{second}")));
            let run = |stages: &str, height| {
                let chain = Chain::parse(&ctx.registry(), &format!("volume | {stages}")).expect("a chain");
                let scan = MemoryRows::volume(noise.clone()).into_scan(Vec::new(), None).expect("a volume");
                let mut sink = MemorySink::new(0, 13, [11, 9]);
                let options = RunOptions { slab_rows: Some(height), ..RunOptions::default() };
                chain.run_into(&ctx, &scan, &mut sink, &options, &mut Progress::silent()).expect("a run");
                sink.volume
            };
            let expected = run(&in_turn, 13);
            for height in [1, 3, 13] {
                assert_eq!(run(&call(id), height), expected, "{id} {radius} {space}, slabs of {height}");
            }
        }
    }
    let block = |wall: f32| {
        Array3::from_shape_fn((20, 20, 20), |(z, y, x)| {
            let inside = [z, y, x].iter().all(|v| (4..14).contains(v));
            if inside || x == 17 { wall } else { 1.0 - wall }
        })
    };
    // A ball of 2 px does not fit into a wall of one; in the block it reaches all but edges and corners.
    let opened = through(&ctx, "slice.open", &[("radius_px", "2")], &block(1.0), 6).expect("a volume");
    assert!(opened.slice(s![.., .., 15..]).iter().all(|v| *v == 0.0));
    assert!(opened.slice(s![4..14, 6..12, 6..12]).iter().all(|v| *v == 1.0));
    let closed = through(&ctx, "slice.close", &[("radius_px", "2")], &block(0.0), 6).expect("a volume");
    assert_eq!(closed, opened.mapv(|v| 1.0 - v));
}

/// Rows that earlier stages have cut off or put together: the survey is of what is left.
#[test]
fn a_volume_that_was_binned_and_cropped_is_labelled_like_the_smaller_one() {
    let (size, rows) = (64, 41);
    let data = volume(size, rows, &foam(size, rows, 30));
    let ctx = context(3);
    let run = |data: &Array3<f32>, stages: &str, shape: [usize; 3], height: usize| {
        let chain = Chain::parse(&ctx.registry(), &format!("volume | {stages}")).expect("a chain");
        let scan = MemoryRows::volume(data.clone()).into_scan(Vec::new(), Some(0.5)).expect("a volume");
        let mut sink = MemorySink::new(0, shape[0], [shape[1], shape[2]]);
        let options = RunOptions { slab_rows: Some(height), ..RunOptions::default() };
        chain.run_into(&ctx, &scan, &mut sink, &options, &mut Progress::silent()).expect("a run");
        sink.volume
    };
    let cut = "volume.bin bin=2 | volume.crop first_slices=3 last_slices=5 left_px=2";
    let small = [20 - 8, 32, 30];
    let before = run(&data, cut, small, 40);
    // Also with a stage behind that looks beyond the first and the last slice.
    for tail in ["slice.label low=0.9", "slice.label low=0.9 | slice.dilate radius_px=0.9"] {
        let expected = run(&before, tail, small, 40);
        assert!(expected.iter().any(|v| *v > 5.0));
        for height in HEIGHTS {
            assert_eq!(run(&data, &format!("{cut} | {tail}"), small, height), expected, "{tail}, slabs of {height}");
        }
    }
    let cut_deep = format!("{cut} | slice.label low=0.9 | slice.dilate radius_px=2");
    let whole = run(&data, &cut_deep, small, 40);
    for height in HEIGHTS {
        assert_eq!(run(&data, &cut_deep, small, height), whole, "slabs of {height}");
    }
    let direct = run(&before, "slice.label low=0.9 | slice.dilate radius_px=2", small, 40);
    assert_eq!(whole, direct);
}

/// Counts of a foam with its exact line integrals, 2 /cm in the balls at 20 um a pixel.
fn scan(size: usize, rows: usize, balls: &[Ball]) -> Scan {
    let views = 90;
    let angles = uniform_angles(views, 0.0, PI);
    let mut frames = Array3::zeros((views, rows, size));
    for z in 0..rows {
        let discs: Vec<Ellipse> = balls
            .iter()
            .filter(|b| (b.z - z as f64).abs() < b.r)
            .map(|b| Ellipse::disc(b.x, b.y, (b.r * b.r - (b.z - z as f64).powi(2)).sqrt(), 2.0))
            .collect();
        let absorbance = sinogram(&discs, &angles, size, (size as f64 - 1.0) / 2.0, 20.0);
        frames.slice_mut(s![.., z, ..]).assign(&absorbance.mapv(|a| 60000.0 * (-a).exp()));
    }
    let flats = Array3::from_elem((1, rows, size), 60000.0);
    let source = MemorySource::new(frames, flats, Array2::zeros((rows, size))).expect("a scan");
    source.into_scan(angles, Some(20.0)).expect("a scan")
}

#[test]
fn a_chain_reconstructs_labels_and_measures_and_goes_on_after_a_stop() {
    let (size, rows) = (64, 40);
    let balls = foam(size, rows, 30);
    let scan = scan(size, rows, &balls);
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("objects.csv");
    let text = format!(
        "normalise | recon.fbp center_px=31.5 filter=ramp | slice.measure low=1 min_voxels=20 file={} | slice.label low=1 \
         min_voxels=20 | slice.dilate radius_px=0.5",
        file.display()
    );
    let mut expected: Option<(Array3<f32>, Vec<u8>)> = None;
    for (height, threads) in HEIGHTS.into_iter().zip(1..) {
        let ctx = context(threads);
        let chain = Chain::parse(&ctx.registry(), &text).expect("a chain");
        let mut sink = MemorySink::new(0, rows, [size, size]);
        let options = RunOptions { slab_rows: Some(height), ..RunOptions::default() };
        let summary = chain.run_into(&ctx, &scan, &mut sink, &options, &mut Progress::silent()).expect("a run");
        assert!(summary.remarks.iter().any(|r| r.contains("gone through 3 times")), "{:?}", summary.remarks);
        let ran = (sink.volume, std::fs::read(&file).expect("a table"));
        match &expected {
            Some(first) => assert_eq!(&ran, first, "slabs of {height}"),
            None => expected = Some(ran),
        }
    }
    let (volume, table) = expected.expect("results");
    // The threshold is half of 2 /cm, where an edge that is smeared by the pixels of the detector is in the right place.
    assert_balls(&read_table(&file), &balls, size, 20.0, 0.25);
    assert_eq!(volume.fold(0f32, |a, b| a.max(*b)), balls.len() as f32);

    // A single slice writes no table, and a run that is continued looks at all rows again.
    let ctx = context(2);
    let chain = Chain::parse(&ctx.registry(), &text).expect("a chain");
    std::fs::remove_file(&file).expect("the table");
    chain.preview(&ctx, &scan, 20, &mut Progress::silent()).expect("a slice");
    assert!(!file.exists(), "a preview has written the table");
    let out = dir.path().join("rec");
    let options = RunOptions { slab_rows: Some(4), ..RunOptions::default() };
    let stop = |r: &wagiri::Report| {
        if r.done >= 8 { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
    };
    let stopped = chain.run(&ctx, &scan, &out, &options, &mut Progress::new(stop)).expect_err("stopped");
    assert_eq!(stopped.kind(), ErrorKind::Cancelled, "{stopped}");
    std::fs::remove_file(&file).expect("the table");
    let options = RunOptions { resume: true, ..options };
    let rest = chain.run(&ctx, &scan, &out, &options, &mut Progress::silent()).expect("the rest");
    assert!(rest.found >= 8);
    assert_eq!(std::fs::read(&file).expect("a table"), table);
    for z in 0..rows {
        let slice = read_slice(&out.join(format!("rec{z:05}.tif"))).expect("a slice");
        assert_eq!(slice, volume.index_axis(Axis(0), z), "slice {z}");
    }
}

#[test]
fn the_command_line_runs_it_on_a_real_scan() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("objects.csv");
    let scan = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ct-rec-100/s180");
    let chain = format!(
        "normalise | recon.fbp pixel_um=10 | slice.erode radius_px=1 | slice.measure low=0.5 file={}",
        file.display()
    );
    let wagiri = |command: &str, out: &Path| {
        let mut wagiri = Command::new(env!("CARGO_BIN_EXE_wagiri"));
        wagiri.arg(command).arg(&scan).arg(out).args(["--chain", &chain]);
        let said = wagiri.output().expect("wagiri must start");
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.status.success(), "{text}");
        text
    };
    let said = wagiri("run", &dir.path().join("rec"));
    assert!(said.contains("the scan is gone through 2 times"), "{said}");
    assert!(said.contains("slice.measure: objects: ") && said.contains(", slices: 3"), "{said}");
    assert!(!read_table(&file).is_empty());
    std::fs::remove_file(&file).expect("the table");
    let said = wagiri("preview", &dir.path().join("one"));
    assert!(said.contains("no table is written for a single slice") && !file.exists(), "{said}");
}

/// A plugin that is loaded under the id of a bundled one takes its place, once; nothing else may.
#[test]
fn the_plugin_is_part_of_wagiri_and_a_file_takes_its_place() {
    let data = volume(24, 9, &foam(24, 9, 1));
    let ctx = context(2);
    let ids = |ctx: &Context| -> Vec<&str> { ctx.registry().infos().map(|info| info.id).collect() };
    let (bundled, before) = (ids(&ctx), through(&ctx, "slice.label", &[], &data, 4).expect("labels"));
    assert!(bundled.contains(&"slice.label") && before.iter().any(|v| *v == 1.0));
    ctx.load_plugin(plugins::slice_tools()).expect("the file");
    assert_eq!(ids(&ctx), bundled);
    assert_eq!(through(&ctx, "slice.label", &[], &data, 4).expect("labels"), before);
    let again = ctx.load_plugin(plugins::slice_tools()).expect_err("twice").to_string();
    assert_eq!(again, "slice.label: a stage with this id exists already");
    // wagiri itself, which holds the plugin, must not look like one: two plugins would have the same symbol.
    let wagiri = std::env::current_exe().expect("this test").with_file_name(plugins::library("wagiri"));
    let refused = ctx.load_plugin(&wagiri).expect_err("no plugin").to_string();
    assert!(refused.contains("it does not export WAGIRI_PLUGIN_ENTRY"), "{refused}");
}
