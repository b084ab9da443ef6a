//! What is written beside a volume: histograms, projections, views and surfaces of objects that are known, the same bytes however
//! the volume is cut; and thresholds that are found.

mod common;

use common::Lcg;
use ndarray::Array3;
use std::f64::consts::PI;
use std::ops::ControlFlow;
use std::path::Path;
use wagiri::chain::RunOptions;
use wagiri::io::MemorySink;
use wagiri::scan::MemoryRows;
use wagiri::{Chain, Context, ContextOptions, ErrorKind, Progress, Result, Scan};

const PIXEL_UM: f64 = 2.0;

fn context(threads: usize) -> Context {
    Context::new(ContextOptions { threads: Some(threads), ..Default::default() }).expect("a context")
}

fn scan(data: &Array3<f32>) -> Scan {
    MemoryRows::volume(data.clone()).into_scan(Vec::new(), Some(PIXEL_UM)).expect("a volume")
}

/// The volume behind the stages, and what was remarked.
fn through(ctx: &Context, data: &Array3<f32>, stages: &str, height: usize) -> Result<(Array3<f32>, Vec<String>)> {
    let chain = Chain::parse(&ctx.registry(), &format!("volume | {stages}"))?;
    let (z, y, x) = data.dim();
    let mut sink = MemorySink::new(0, z, [y, x]);
    let options = RunOptions { slab_rows: Some(height), ..RunOptions::default() };
    let summary = chain.run_into(ctx, &scan(data), &mut sink, &options, &mut Progress::silent())?;
    Ok((sink.volume, summary.remarks))
}

/// A ball of 2 /cm with an edge as a reconstruction has it, in noise.
fn ball(size: usize, radius: f64, noise: f64) -> Array3<f32> {
    let (mut random, middle) = (Lcg(8), (size as f64 - 1.0) / 2.0);
    Array3::from_shape_fn((size - 3, size, size + 2), |(z, y, x)| {
        let at = [x as f64 - middle - 1.0, y as f64 - middle, z as f64 - middle + 1.5];
        let inside = (radius - at.iter().map(|v| v * v).sum::<f64>().sqrt() + 0.5).clamp(0.0, 1.0);
        (2.0 * inside + noise * (random.unit() - 0.5)) as f32
    })
}

/// Bytes of the files in a folder, by name; nothing may be left that is hidden.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(dir)
        .expect("a folder")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.file_name().into_string().expect("UTF-8"), std::fs::read(entry.path()).expect("a file")))
        .collect();
    found.sort();
    assert!(
        found.iter().all(|(name, _)| !name.starts_with('.')),
        "{:?}",
        found.iter().map(|f| &f.0).collect::<Vec<_>>()
    );
    found
}

/// Triangles of an STL file.
fn stl(bytes: &[u8]) -> Vec<[[f64; 3]; 4]> {
    let count = u32::from_le_bytes(bytes[80..84].try_into().expect("four bytes")) as usize;
    assert_eq!(bytes.len(), 84 + 50 * count);
    let float = |b: &[u8]| f64::from(f32::from_le_bytes(b.try_into().expect("four bytes")));
    bytes[84..].chunks(50).map(|t| [0, 1, 2, 3].map(|k| [0, 1, 2].map(|i| float(&t[12 * k + 4 * i..][..4])))).collect()
}

fn grey(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG");
    let mut data = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut data).expect("a picture");
    data.truncate(info.buffer_size());
    (info.width, info.height, data)
}

#[test]
fn what_is_written_does_not_depend_on_how_the_volume_is_cut() {
    let data = ball(30, 9.0, 0.4);
    let mut expected = None;
    for (height, threads) in [(27, 1), (1, 2), (4, 3), (10, 4)] {
        let (dir, ctx) = (tempfile::tempdir().expect("a folder"), context(threads));
        let at = |name: &str| dir.path().join(name).display().to_string();
        let stages = format!(
            "volume.histogram path={} | volume.mip path={} axis=y mode=mean | volume.mip path={} bits=16 | volume.view path={} \
             size_px=120 | volume.surface path={}",
            at("values"),
            at("mean.png"),
            at("most.png"),
            at("view.png"),
            at("ball.stl")
        );
        let (volume, remarks) = through(&ctx, &data, &stages, height).expect("a run");
        assert!(volume == data, "the volume passes");
        // All of them look in one pass, and the volume passes in another one.
        assert!(
            remarks.iter().any(|r| r.ends_with("look at all rows first: the scan is gone through 2 times")),
            "{remarks:?}"
        );
        let made = (files(dir.path()), remarks);
        assert_eq!(made.0.len(), 7);
        match &expected {
            None => expected = Some(made),
            Some(first) => assert!(made == *first, "slabs of {height}: {:?}", made.1),
        }
    }
}

#[test]
fn the_surface_of_a_ball_is_a_closed_surface_of_its_size_in_micrometres() {
    let (dir, ctx, radius) = (tempfile::tempdir().expect("a folder"), context(2), 11.0);
    let path = dir.path().join("ball.stl");
    let (_, remarks) =
        through(&ctx, &ball(32, radius, 0.0), &format!("volume.surface path={}", path.display()), 5).expect("a run");
    let triangles = stl(&std::fs::read(&path).expect("a file"));
    let (mut area, mut volume, mut edges) = (0.0, 0.0, std::collections::HashMap::new());
    let middle = [16.5, 15.5, 14.0].map(|v| v * PIXEL_UM);
    for [normal, a, b, c] in &triangles {
        let side = |p: &[f64; 3]| [0, 1, 2].map(|i| p[i] - a[i]);
        let (u, v) = (side(b), side(c));
        let n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
        let length = n.iter().map(|v| v * v).sum::<f64>().sqrt();
        area += length / 2.0;
        volume += n.iter().zip(a).zip(middle).map(|((n, p), m)| n * (p - m)).sum::<f64>() / 6.0;
        // The normal of the file is that of its corners, outwards; small triangles have little to tell it from.
        let along: f64 = normal.iter().zip(n).map(|(a, b)| a * b / length).sum();
        let out: f64 = normal.iter().zip(a).zip(middle).map(|((n, p), m)| n * (p - m)).sum();
        assert!(out > 0.0 && (length < 1e-2 || along > 0.999), "{along} {out} {length}");
        for (p, q) in [(a, b), (b, c), (c, a)] {
            let bits = |p: &[f64; 3]| p.map(f64::to_bits);
            *edges.entry((bits(p), bits(q))).or_insert(0) += 1;
        }
    }
    assert!(
        edges.iter().all(|((p, q), n)| *n == 1 && edges.get(&(*q, *p)) == Some(&1)),
        "an edge has not two triangles"
    );
    let radius_um = radius * PIXEL_UM;
    // An edge that rises over one voxel is drawn as steps of the interpolation, within 2 % of the ball at this size.
    assert!((area / (4.0 * PI * radius_um.powi(2)) - 1.0).abs() < 0.02, "{area}");
    assert!((volume / (4.0 / 3.0 * PI * radius_um.powi(3)) - 1.0).abs() < 0.02, "{volume}");
    let told = format!("volume.surface: {} triangles, area {area:.3e}", triangles.len());
    assert!(remarks.iter().any(|r| r.starts_with(&told[..told.len() - 3])), "{told}: {remarks:?}");
}

#[test]
fn pictures_show_what_is_there() {
    let (dir, ctx) = (tempfile::tempdir().expect("a folder"), context(2));
    let at = |name: &str| dir.path().join(name);
    let mut data = Array3::zeros((6, 20, 30));
    data[[1, 4, 25]] = 3.0;
    let run = |stage: &str, name: &str| {
        through(&ctx, &data, &format!("{stage} path={}", at(name).display()), 2).expect("a run");
        grey(&std::fs::read(at(name)).expect("a picture"))
    };
    for (axis, size, place) in [("z", [20, 30], [4, 25]), ("y", [6, 30], [1, 25]), ("x", [6, 20], [1, 4])] {
        let (width, height, picture) = run(&format!("volume.mip axis={axis}"), "mip.png");
        assert_eq!([height as usize, width as usize], size);
        let white: Vec<usize> = (0..picture.len()).filter(|i| picture[*i] == 255).collect();
        assert_eq!(white, [place[0] * size[1] + place[1]]);
    }
    let (_, _, picture) = run("volume.mip axis=y mode=mean low=0 high=0.3 bits=16", "mip.png");
    // 3 / 20 of 0.3 is half, truncated.
    let place = 2 * (30 + 25);
    assert_eq!(u16::from_be_bytes([picture[place], picture[place + 1]]), 32767);
    let (width, height, view) = run("volume.view level=1.5 elevation_deg=90 azimuth_deg=0 size_px=300", "view.png");
    assert_eq!((width, height), (300, 204));
    let mut drawn = (0..view.len()).filter(|i| view[*i] < 250).map(|i| (i / 300, i % 300));
    // 9.6 pixels to a voxel behind a margin of 6; a single voxel is an octahedron.
    assert!(drawn.clone().count() > 20 && drawn.all(|(y, x)| y.abs_diff(6 + 43) < 8 && x.abs_diff(6 + 245) < 8));
}

#[test]
fn histograms_count_every_voxel_and_have_the_form_of_tif2hst() {
    let (dir, ctx) = (tempfile::tempdir().expect("a folder"), context(2));
    let data = Array3::from_shape_fn((4, 10, 10), |(z, y, x)| ((z * 100 + y * 10 + x) % 50) as f32 * 0.01 - 0.1);
    let path = dir.path().join("h.txt");
    through(&ctx, &data, &format!("volume.histogram width=0.1 path={}", path.display()), 3).expect("a run");
    // -0.1 is a little less as a 32-bit number: a bin of its own. There are eight of each of fifty values.
    let text = std::fs::read_to_string(&path).expect("a file");
    let lines: Vec<(f64, u64)> = text
        .lines()
        .map(|line| {
            assert_eq!(line.find(", "), Some(8), "{line:?}");
            let (edge, count) = line.split_once(", ").expect("two numbers");
            (edge.trim().parse().expect("an edge"), count.parse().expect("a count"))
        })
        .collect();
    assert!(text.starts_with("   -0.10, 8\n    0.00, 80\n    0.10, "), "{text}");
    assert_eq!(lines.iter().map(|l| l.1).sum::<u64>(), 400);
    assert!(lines.iter().all(|(_, n)| *n <= 88), "{lines:?}");
    let (_, remarks) =
        through(&ctx, &data, &format!("volume.histogram path={}", dir.path().join("all").display()), 3).expect("a run");
    assert!(remarks.iter().any(|r| r.starts_with("volume.histogram: values from -0.1 to 0.39, ")), "{remarks:?}");
    let table = std::fs::read_to_string(dir.path().join("all.csv")).expect("a table");
    let counts = table.lines().skip(1).map(|line| line.rsplit(',').next().and_then(|n| n.parse::<u64>().ok()));
    assert_eq!(counts.map(Option::unwrap_or_default).sum::<u64>(), 400);
    let (width, height, _) = grey(&std::fs::read(dir.path().join("all.png")).expect("a picture"));
    assert_eq!((width, height), (1200, 720));
}

#[test]
fn thresholds_are_found_between_the_materials() {
    let ctx = context(3);
    // Three materials of 0, 1 and 3 /cm in noise of up to 0.3: every threshold in the gaps is as good.
    let mut random = Lcg(4);
    let data = Array3::from_shape_fn((9, 16, 15), |(z, y, _)| {
        let material = [0.0, 1.0, 3.0][(z + 2 * y) % 3];
        (material + 0.6 * (random.unit() - 0.5)) as f32
    });
    let material = |v: f32| {
        if v > 2.0 {
            2.0
        } else if v > 0.5 {
            1.0
        } else {
            0.0
        }
    };
    for height in [1, 4, 9] {
        let (classes, remarks) =
            through(&ctx, &data, "slice.threshold method=multi-otsu classes=3", height).expect("classes");
        assert!(classes == data.mapv(material), "slabs of {height}");
        let told = remarks.iter().find(|r| r.starts_with("slice.threshold: classes begin at ")).expect("a remark");
        let numbers: Vec<f64> = told[34..].split(", ").map(|n| n.parse().expect("a number")).collect();
        assert!((0.69..0.8).contains(&numbers[0]) && (2.69..2.8).contains(&numbers[1]), "{told}");
        let (two, _) = through(&ctx, &data, "slice.threshold method=otsu", height).expect("classes");
        assert!(two == data.mapv(|v| f32::from(v > 2.0)));
    }
    let (fixed, remarks) = through(&ctx, &data, "slice.threshold low=0.5 high=2", 4).expect("a range");
    assert!(fixed == data.mapv(|v| f32::from((0.5..=2.0).contains(&v))));
    assert!(remarks.iter().all(|r| !r.contains("gone through")), "a fixed threshold needs no look: {remarks:?}");
}

#[test]
fn what_cannot_be_is_told_in_a_sentence_and_leaves_nothing() {
    let (dir, ctx) = (tempfile::tempdir().expect("a folder"), context(2));
    let flat = Array3::from_elem((3, 4, 5), 2.0);
    let at = |name: &str| dir.path().join(name).display().to_string();
    let refused = |data: &Array3<f32>, stages: String| {
        let error = through(&ctx, data, &stages, 2).expect_err(&stages);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        error.to_string()
    };
    for stage in ["histogram", "mip", "view", "surface"] {
        let text = refused(&flat, format!("volume.{stage}"));
        assert_eq!(text, format!("volume.{stage}: path: expected the file to write"));
        let text = refused(&flat, format!("volume.{stage} path={}", at("nowhere/x.png")));
        assert!(
            text.starts_with(&format!("volume.{stage}: path: ")) && text.contains("in a folder that exists"),
            "{text}"
        );
    }
    let text = refused(&flat, format!("volume.surface level=3 path={}", at("x.stl")));
    assert_eq!(
        text,
        "volume.surface: there is no surface at this level; expected one that some values reach and others do not (level = 3, values = 2 to 2)"
    );
    let text = refused(&flat, format!("volume.surface ends=open path={}", at("x.stl")));
    assert!(text.contains("there is no surface at this level"), "{text}");
    let text = refused(&flat, format!("volume.histogram low=3 path={}", at("x")));
    assert!(text.contains("no value is in the range that is counted; the values go from 2 to 2"), "{text}");
    let text = refused(&flat, format!("volume.histogram path={}", at("x.bmp")));
    assert!(text.contains("expected a file that ends in .png, .csv or .txt"), "{text}");
    let text = refused(&flat, format!("volume.mip low=2 high=1 path={}", at("x.png")));
    assert!(text.contains("expected low to be below high"), "{text}");
    let text = refused(&flat, "slice.threshold method=otsu".into());
    assert_eq!(
        text,
        "slice.threshold: expected at least 2 different values to tell classes apart (different values = 1)"
    );
    assert_eq!(files(dir.path()), []);
    // A folder where the file that is being written would be: it cannot be created, as in a folder that may not be written to.
    std::fs::create_dir(dir.path().join(".y.png.part")).expect("a folder");
    let error = through(&ctx, &flat, &format!("volume.mip path={}", at("y.png")), 2).expect_err("no file");
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("y.png: cannot create: "), "{error}");
    std::fs::remove_dir(dir.path().join(".y.png.part")).expect("the folder");
    let mut nan = flat.clone();
    nan[[1, 2, 3]] = f32::NAN;
    let error = through(&ctx, &nan, &format!("volume.mip path={}", at("x.png")), 2).expect_err("NaN").to_string();
    assert!(error.contains("not a finite number"), "{error}");
    assert_eq!(files(dir.path()), []);
    // A flat volume has a histogram and a picture; one slice alone has everything.
    let one = ball(20, 6.0, 0.0).slice_move(ndarray::s![9..10, .., ..]);
    let (_, remarks) = through(&ctx, &flat, &format!("volume.mip path={}", at("flat.png")), 2).expect("a picture");
    assert!(remarks.iter().any(|r| r.contains("a single value and is black")), "{remarks:?}");
    through(&ctx, &flat, &format!("volume.histogram path={}", at("flat.png")), 2).expect("a picture");
    let all = format!(
        "volume.surface path={} | volume.view path={} | volume.histogram path={}",
        at("1.stl"),
        at("1.png"),
        at("1h.png")
    );
    through(&ctx, &one, &all, 1).expect("one slice");
    assert_eq!(files(dir.path()).len(), 4);
}

#[test]
fn a_stopped_run_and_a_preview_leave_no_file_and_a_continued_one_makes_it() {
    let (dir, ctx) = (tempfile::tempdir().expect("a folder"), context(2));
    let (aside, out) = (dir.path().join("aside"), dir.path().join("rec"));
    std::fs::create_dir(&aside).expect("a folder");
    let text = format!("volume | volume.surface path={} | filter.median", aside.join("ball.stl").display());
    let chain = Chain::parse(&ctx.registry(), &text).expect("a chain");
    let scan = scan(&ball(24, 7.0, 0.2));
    chain.preview(&ctx, &scan, 10, &mut Progress::silent()).expect("a slice");
    assert_eq!(files(&aside), []);
    let options = RunOptions { slab_rows: Some(3), ..RunOptions::default() };
    // While it looks, no slice is finished; stop there, and later among the slices.
    let stop = |looks: usize| {
        let mut reports = 0;
        let listener = move |r: &wagiri::Report| {
            reports += 1;
            let now = if looks > 0 { reports >= looks } else { r.done >= 9 };
            if now { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        chain.run(&ctx, &scan, &out, &options, &mut Progress::new(listener)).expect_err("stopped")
    };
    assert_eq!(stop(5).kind(), ErrorKind::Cancelled);
    assert_eq!(files(&aside), []);
    assert_eq!(stop(0).kind(), ErrorKind::Cancelled);
    let first = files(&aside);
    assert_eq!(first.len(), 1, "the look was over");
    std::fs::remove_file(aside.join("ball.stl")).expect("the file");
    let rest = chain.run(&ctx, &scan, &out, &RunOptions { resume: true, ..options.clone() }, &mut Progress::silent());
    assert!(rest.expect("the rest").found >= 9);
    assert!(files(&aside) == first);
}
