//! Every scan format gives the pixels that were written, in any band of rows.

mod scans;

use ndarray::{Array3, Axis, s};
use scans::*;
use std::f64::consts::PI;
use std::fs;
use wagiri::Scan;
use wagiri::io::ShotLog;
use wagiri::io::{HipicOptions, open, open_hipic};
use wagiri::scan::{Frame, ScanOptions};

/// Reads every band of every view and compares it with frame `first + view`.
fn check_views(scan: &Scan, first: usize) {
    let shape = scan.shape();
    assert_eq!((shape.rows, shape.cols), (ROWS, COLS));
    for view in 0..shape.views {
        for start in 0..=ROWS {
            for end in start..=ROWS {
                assert_eq!(read(scan, Frame::View(view), start..end), image(first + view, start..end));
            }
        }
    }
    for rows in [0..ROWS, 1..4, 2..3] {
        let mut band = Array3::zeros([rows.len(), shape.views - 1, COLS]);
        scan.source().read_band(1..shape.views, rows.clone(), band.view_mut()).unwrap();
        for view in 1..shape.views {
            assert_eq!(band.index_axis(Axis(1), view - 1), image(first + view, rows.clone()));
        }
    }
}

fn check_even(scan: &Scan) {
    let n = scan.shape().views;
    for (m, a) in scan.info().angles_rad.iter().enumerate() {
        assert!((a - PI * m as f64 / n as f64).abs() < 1e-12);
    }
}

#[test]
fn hipic_folder_with_every_frame() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("試料 1/raw");
    hipic(&folder, 6);
    // The folder itself, the one above it, and its log all name the scan.
    for path in [folder.clone(), dir.path().join("試料 1"), folder.join("output.log")] {
        let scan = open(&path, &options()).unwrap();
        let shape = scan.shape();
        assert_eq!((shape.views, shape.flats), (6, 2));
        check_views(&scan, 2);
        check_even(&scan);
        assert_eq!(read(&scan, Frame::Dark, 1..3), image(0, 1..3));
        assert_eq!(read(&scan, Frame::Flat(0), 0..5), image(1, 0..5));
        assert_eq!(read(&scan, Frame::Flat(1), 0..5), image(8, 0..5));
        assert!(scan.info().half_turn_frame);
        assert_eq!(read(&scan, Frame::HalfTurnFlat, 0..2), image(9, 0..2));
        assert_eq!(read(&scan, Frame::HalfTurn, 0..2), image(10, 0..2));
        assert_eq!(scan.info().flat_time, [0.0, 6.0]);
        assert_eq!(scan.info().view_time[1], 1.5);
    }
}

#[test]
fn hipic_names_logs_and_order_are_free() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fs::write(folder.join("DARK.IMG"), hamamatsu(0, 2, 65535, 0)).unwrap();
    for (name, frame) in [("Q1.img", 1), ("q00002.IMG", 2), ("q000000003.img", 3), ("q04.img", 4)] {
        fs::write(folder.join(name), hamamatsu(frame, 2, 1, 0)).unwrap();
    }
    // Views out of order, one direct-beam frame between them, CRLF, equal I0 times, no half-turn frame on disk.
    let log = "1 5 0 0\r\n3 2 90 1\r\n4 5 0 0\r\n2 3 0 1\r\n\r\n9 9 0 0\r\n10 9 180 1\r\n";
    fs::write(folder.join("Output.LOG"), log).unwrap();
    let scan = open(folder, &options()).unwrap();
    assert_eq!((scan.shape().views, scan.shape().flats), (2, 2));
    assert_eq!(read(&scan, Frame::View(0), 0..5), image(2, 0..5));
    assert_eq!(read(&scan, Frame::View(1), 0..5), image(3, 0..5));
    assert_eq!(scan.info().view_time, [3.0, 2.0]);
    assert_eq!(scan.info().flat_time, [5.0, 5.0]);
    assert!(!scan.info().half_turn_frame);
    check_even(&scan);
}

#[test]
fn hipic_options_of_the_command_lines() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    for n in 1..4 {
        tiff(&folder.join(format!("P{n:03}.tif")), n..n + 1, Kind::Lzw { rows_per_strip: 2 });
    }
    tiff(&folder.join("black.TIFF"), 0..1, Kind::Plain { rows_per_strip: 5 });
    // Equal angles are fine where they only sort.
    let shots = ShotLog::parse("1 0 0 0\n3 1 7 1\n2 2 7 1\n", "standard input").unwrap();
    let hipic = HipicOptions {
        shots: Some(shots),
        dark_name: Some("Black.tiff".into()),
        letter: 'p',
        even_angles: true,
        log: None,
    };
    let scan = open_hipic(folder, &hipic, &options()).unwrap();
    assert_eq!(read(&scan, Frame::View(0), 1..4), image(3, 1..4));
    assert_eq!(read(&scan, Frame::View(1), 1..4), image(2, 1..4));
    check_even(&scan);
    fs::write(folder.join("my log"), "1 0 0 0\n2 1 0 1\n").unwrap();
    let hipic = HipicOptions { shots: None, log: Some(folder.join("my log")), ..hipic };
    assert_eq!(open_hipic(folder, &hipic, &options()).unwrap().shape().views, 1);
}

#[test]
fn golden_scans_open() {
    for (name, views, size) in [("s180", 200, [3, 128]), ("tif180", 1000, [2, 96]), ("pad", 200, [2, 128])] {
        let scan = open(&data(&format!("ct-rec-100/{name}")), &options()).unwrap();
        let shape = scan.shape();
        assert_eq!(shape.views, views, "{name}");
        assert_eq!([shape.rows, shape.cols], size, "{name}");
        assert_eq!(shape.flats, 3, "{name}: the one beside the half-turn frame does not count");
        check_even(&scan);
        // `pad` was written without one.
        assert_eq!(scan.info().half_turn_frame, name != "pad");
        if scan.info().half_turn_frame {
            let (first, half) = (read(&scan, Frame::View(0), 0..1), read(&scan, Frame::HalfTurn, 0..1));
            // The same rays from the other side: as much light in all, up to noise of the order of a percent.
            assert!((first.sum() / half.sum() - 1.0).abs() < 0.01, "{name}");
        }
    }
}

#[test]
fn his_of_all_pixel_types_with_roles_by_options() {
    let dir = tempfile::tempdir().unwrap();
    for (code, low_byte) in [(0, true), (1, true), (2, false), (6, false)] {
        let file = dir.path().join(format!("a{code}.his"));
        his(&file, 14, code, 14);
        let by = |dark: &str, flat: &str| ScanOptions {
            dark: Some(dark.into()),
            flat: Some(flat.into()),
            angles: Some("180".into()),
            ..options()
        };
        let scan = open(&file, &by("0..2", "12..14,2..4")).unwrap();
        assert_eq!((scan.shape().views, scan.shape().flats), (8, 2));
        assert_eq!(scan.info().flat_time, [2.5, 12.5]);
        check_even(&scan);
        if !low_byte {
            check_views(&scan, 4);
            // Means of two frames: the counts lie halfway.
            assert_eq!(read(&scan, Frame::Dark, 0..5), image(0, 0..5) + 100.0);
            assert_eq!(read(&scan, Frame::Flat(1), 0..5), image(12, 0..5) + 100.0);
        } else {
            let low = image(4, 1..3).mapv(|v| (v as u16 % 256) as f32);
            assert_eq!(read(&scan, Frame::View(0), 1..3), low);
        }
        let part = ScanOptions { views: Some(2..5), ..by("0..2", "2..4") };
        let scan = open(&file, &part).unwrap();
        assert_eq!(scan.shape().views, 3);
        assert_eq!(scan.info().view_time, [6.0, 7.0, 8.0]);
    }
}

#[test]
fn his_with_conv_bat_and_log_as_the_beamline_writes_them() {
    let dir = tempfile::tempdir().unwrap();
    his(&dir.path().join("A.his"), 11, 2, 99);
    let bat = "his2img a.his\r\nimg_ave a001.img a002.img dark.img\r\nimg_ave a003.img a004.img q001.img\r\n\
               ren a005.img q002.img\r\nren a006.img q003.img\r\nren a007.img q004.img\r\nren a008.img q005.img\r\n\
               img_ave a011.img a010.img q006.img\r\ncopy q006.img q007.img\r\ncopy a009.img q008.img\r\n";
    fs::write(dir.path().join("conv.bat"), bat).unwrap();
    fs::write(dir.path().join("output.log"), log(4, "\r\n")).unwrap();
    for path in [dir.path().to_owned(), dir.path().join("A.his")] {
        let scan = open(&path, &options()).unwrap();
        assert_eq!((scan.shape().views, scan.shape().flats), (4, 2));
        check_views(&scan, 4);
        check_even(&scan);
        assert_eq!(read(&scan, Frame::Dark, 0..5), image(0, 0..5) + 100.0);
        assert_eq!(read(&scan, Frame::Flat(1), 0..5), image(9, 0..5) + 100.0);
        assert_eq!(read(&scan, Frame::HalfTurn, 0..5), image(8, 0..5));
        assert_eq!(read(&scan, Frame::HalfTurnFlat, 0..5), image(9, 0..5) + 100.0);
        assert_eq!(scan.info().notes, ["A.his: the header says 99 frames, the file has 11 complete ones"]);
    }
}

#[test]
fn tiff_folders_stacks_and_compression() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    tiff_folder(&folder, 12);
    let scan = open(&folder, &options()).unwrap();
    check_views(&scan, 2);
    check_even(&scan);
    assert_eq!(read(&scan, Frame::Dark, 0..5), image(0, 0..5));
    assert_eq!(read(&scan, Frame::Flat(0), 4..5), image(1, 4..5));
    type Case = (&'static str, fn() -> Kind);
    let stacks: [Case; 4] = [
        ("plain", || Kind::Plain { rows_per_strip: 5 }),
        ("strips", || Kind::Plain { rows_per_strip: 2 }),
        ("lzw", || Kind::Lzw { rows_per_strip: 2 }),
        ("big", || Kind::Big),
    ];
    for (name, kind) in stacks {
        let folder = dir.path().join(name);
        let file = folder.join("tomo.tif");
        tiff(&file, 4..12, kind());
        // Several pages are averaged; a folder of files too.
        tiff(&folder.join("dark.tif"), 0..2, kind());
        tiff(&folder.join("flats/2.tif"), 3..4, kind());
        tiff(&folder.join("flats/10.tif"), 2..3, kind());
        let spans = [(180, "180"), (180, "0..157.5")];
        for (_, span) in spans {
            for path in [&folder, &file] {
                let scan = open(path, &ScanOptions { angles: Some(span.into()), ..options() }).unwrap();
                check_views(&scan, 4);
                check_even(&scan);
                assert_eq!(read(&scan, Frame::Dark, 0..5), image(0, 0..5) + 100.0);
                assert_eq!(read(&scan, Frame::Flat(0), 1..2), image(2, 1..2) + 100.0);
            }
        }
        // Roles by page numbers.
        let by = ScanOptions {
            dark: Some("none".into()),
            flat: Some("0..1,7..8".into()),
            angles: Some("180".into()),
            ..options()
        };
        let scan = open(&file, &by).unwrap();
        check_views(&scan, 5);
        assert_eq!((scan.shape().views, scan.shape().flats), (6, 2));
        assert_eq!(read(&scan, Frame::Dark, 0..1).sum(), 0.0);
    }
}

#[test]
fn tiff_floats_and_white_is_zero_keep_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("float");
    tiff_f32(&folder.join("tomo.tif"), 2..6);
    tiff(&folder.join("dark.tif"), 0..1, Kind::Big);
    tiff(&folder.join("white.tif"), 1..2, Kind::Big);
    let angles = ScanOptions { angles: Some("180".into()), ..options() };
    let scan = open(&folder, &angles).unwrap();
    assert_eq!(read(&scan, Frame::View(3), 2..4), image(5, 2..4) + 0.25);
    // Photometric 0 (white is zero) is stored in the entry of tag 262; ct-rec does not invert such frames.
    for (name, kind) in [("a", Kind::Plain { rows_per_strip: 2 }), ("b", Kind::Lzw { rows_per_strip: 2 })] {
        let file = folder.join(format!("{name}/dark.tif"));
        tiff(&file, 3..4, kind);
        let mut bytes = fs::read(&file).unwrap();
        let entry = [6, 1, 3, 0, 1, 0, 0, 0, 1, 0];
        let at = bytes.windows(entry.len()).position(|w| w == entry).unwrap();
        bytes[at + 8] = 0;
        fs::write(&file, bytes).unwrap();
        let dark = ScanOptions { dark: Some(format!("{name}/dark.tif")), ..angles.clone() };
        assert_eq!(read(&open(&folder, &dark).unwrap(), Frame::Dark, 0..5), image(3, 0..5), "{name}");
    }
}

#[test]
fn imagej_stack_of_one_page() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stack.tif");
    // As ImageJ writes stacks above 4 GiB: one page, its description says how many frames follow.
    let mut encoder = tiff::encoder::TiffEncoder::new(fs::File::create(&file).unwrap()).unwrap();
    let mut page = encoder.new_image::<tiff::encoder::colortype::Gray16>(COLS as u32, ROWS as u32).unwrap();
    page.rows_per_strip(ROWS as u32).unwrap();
    let description = "ImageJ=1.54f\nimages=4\nslices=4\n";
    page.encoder().write_tag(tiff::tags::Tag::ImageDescription, description).unwrap();
    page.write_data(&pixels(2)).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    // The encoder puts the pixels first; move a copy of them and the others to the end.
    let at = bytes.len() as u32;
    bytes.extend((2..6).flat_map(pixels).flat_map(|v| v.to_le_bytes()));
    let entry = [17, 1, 4, 0, 1, 0, 0, 0];
    let place = bytes.windows(8).position(|w| w == entry).unwrap() + 8;
    bytes[place..place + 4].copy_from_slice(&at.to_le_bytes());
    fs::write(&file, bytes).unwrap();
    tiff(&dir.path().join("dark_1.tif"), 0..1, Kind::Big);
    tiff(&dir.path().join("bg_1.tif"), 1..2, Kind::Big);
    let scan = open(&file, &ScanOptions { angles: Some("180".into()), ..options() }).unwrap();
    assert_eq!(scan.shape().views, 4);
    check_views(&scan, 2);
}

#[test]
fn savu_stack_opens_with_a_part_of_its_angles() {
    let part = ScanOptions { angles: Some("angles.txt:10..101".into()), ..options() };
    let scan = open(&data("savu"), &part).unwrap();
    let shape = scan.shape();
    assert_eq!((shape.views, shape.rows, shape.cols, shape.flats), (91, 135, 160, 1));
    let angles = &scan.info().angles_rad;
    // Both ends of the half turn are there, so the angles stay as they are, rounded to 0.0001 degrees.
    assert!((angles[0].to_degrees() + 88.2).abs() < 2e-4 && (angles[90].to_degrees() - 91.8).abs() < 2e-4);
    let view = read(&scan, Frame::View(45), 0..135);
    assert_eq!(view[[0, 0]], 0.0);
    assert!(view.iter().all(|v| v.is_finite()) && view.sum() > 0.0);
    // First and last view are half a turn apart: mirror images about an axis near column 86.
    let (a, b) = (read(&scan, Frame::View(0), 20..110), read(&scan, Frame::View(90), 20..110));
    let mirrored = b.slice(s![.., ..;-1]);
    let error = |shift: usize| {
        // Column c of a is column 2·axis − c of b; the mirrored b has it at 159 − 2·axis + c.
        let n = COLS_SAVU - shift;
        (&a.slice(s![.., shift..]) - &mirrored.slice(s![.., ..n])).mapv(f32::abs).mean().unwrap()
    };
    assert!(error(13) < error(9) && error(13) < error(17));
}

const COLS_SAVU: usize = 160;

#[test]
fn hdf5_exchange_in_every_layout() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tomo.h5");
    type Shape = fn(&mut hdf5_pure::DatasetBuilder);
    let layouts: [Shape; 4] = [
        |_| {},
        |d| {
            d.with_chunks(&[1, 5, 7]);
        },
        |d| {
            d.with_chunks(&[3, 2, 4]).with_shuffle().with_deflate(3);
        },
        |d| {
            d.with_chunks(&[16, 1, 7]).with_fletcher32();
        },
    ];
    for layout in layouts {
        exchange(&file, 9, layout);
        for path in [file.as_path(), dir.path()] {
            let scan = open(path, &options()).unwrap();
            check_views(&scan, 4);
            check_even(&scan);
            assert_eq!(read(&scan, Frame::Dark, 0..5), image(0, 0..5) + 100.0);
            assert_eq!(read(&scan, Frame::Flat(0), 3..5), image(2, 3..5) + 100.0);
        }
        let part = open(&file, &ScanOptions { views: Some(3..8), ..options() }).unwrap();
        assert_eq!(part.shape().views, 5);
        check_views(&part, 7);
    }
    // A dataset by name, with frames of it as dark and direct beam.
    let by = ScanOptions {
        dataset: Some("/exchange/data".into()),
        dark: Some("0..1".into()),
        flat: Some("1..3".into()),
        ..options()
    };
    let scan = open(&file, &by).unwrap();
    assert_eq!(scan.shape().views, 6);
    assert_eq!(read(&scan, Frame::View(0), 0..5), image(7, 0..5));
    assert_eq!(read(&scan, Frame::Flat(0), 0..5), image(5, 0..5) + 100.0);
    assert!((scan.info().angles_rad[0].to_degrees() - 60.0).abs() < 1e-9);
}

#[test]
fn hdf5_nxtomo_with_keys_angles_and_pixel_size() {
    let dir = tempfile::tempdir().unwrap();
    for radians in [false, true] {
        let file = dir.path().join("scan.nxs");
        nxtomo(&file, 8, radians);
        let scan = open(&file, &options()).unwrap();
        check_views(&scan, 4);
        check_even(&scan);
        assert_eq!(scan.shape().flats, 2);
        assert_eq!(scan.info().flat_time, [2.5, 12.0]);
        assert_eq!(scan.info().view_time[7], 11.0);
        assert_eq!(read(&scan, Frame::Dark, 0..5), image(0, 0..5) + 100.0);
        assert_eq!(read(&scan, Frame::Flat(1), 0..5), image(12, 0..5));
        assert!((scan.info().pixel_um.unwrap() - 6.5).abs() < 1e-12);
    }
}

#[test]
fn tooth_is_what_its_description_says() {
    let scan = open(&data("tooth/tooth.h5"), &options()).unwrap();
    let shape = scan.shape();
    assert_eq!((shape.views, shape.rows, shape.cols, shape.flats), (181, 2, 640, 1));
    check_even(&scan);
    let mut band = Array3::zeros([2, 181, 640]);
    scan.source().read_band(0..181, 0..2, band.view_mut()).unwrap();
    let (low, high) = band.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
    assert_eq!((low, high), (3921.25, 33891.5));
    assert_eq!(band.index_axis(Axis(1), 77), read(&scan, Frame::View(77), 0..2));
}

/// A TIFF file written by hand: big-endian, with strips in reverse order on disk, or with tiles.
fn raw_tiff(frame: usize, tile: Option<[usize; 2]>) -> Vec<u8> {
    let [height, width] = tile.unwrap_or([2, COLS]);
    let (down, across) = (ROWS.div_ceil(height), COLS.div_ceil(width));
    let mut bytes = b"MM\0*\0\0\0\0".to_vec();
    let mut offsets = vec![0u32; down * across];
    let mut counts = offsets.clone();
    for index in (0..down * across).rev() {
        let (top, left) = (index / across * height, index % across * width);
        offsets[index] = bytes.len() as u32;
        // Tiles are padded, strips end with the image.
        let rows = if tile.is_some() { height } else { height.min(ROWS - top) };
        for (r, c) in (0..rows).flat_map(|r| (0..width).map(move |c| (top + r, left + c))) {
            bytes.extend(value(frame, r, c).to_be_bytes());
        }
        counts[index] = bytes.len() as u32 - offsets[index];
    }
    let mut list = |values: &[u32]| {
        if let [one] = values {
            // A single number stands in the directory itself.
            return *one;
        }
        let at = bytes.len() as u32;
        bytes.extend(values.iter().flat_map(|v| v.to_be_bytes()));
        at
    };
    let (offsets_at, counts_at, count) = (list(&offsets), list(&counts), offsets.len() as u32);
    let mut tags: Vec<(u16, u32, u32)> =
        vec![(256, 1, COLS as u32), (257, 1, ROWS as u32), (258, 1, 16), (259, 1, 1), (262, 1, 1), (277, 1, 1)];
    match tile {
        None => tags.extend([(273, count, offsets_at), (278, 1, height as u32), (279, count, counts_at)]),
        Some(_) => {
            let size = [(322, 1, width as u32), (323, 1, height as u32)];
            tags.extend(size);
            tags.extend([(324, count, offsets_at), (325, count, counts_at)]);
        }
    }
    tags.sort();
    let directory = bytes.len() as u32;
    bytes[4..8].copy_from_slice(&directory.to_be_bytes());
    bytes.extend((tags.len() as u16).to_be_bytes());
    for (tag, count, value) in tags {
        bytes.extend(tag.to_be_bytes());
        bytes.extend(4u16.to_be_bytes());
        bytes.extend(count.to_be_bytes());
        bytes.extend(value.to_be_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn tiff_big_endian_strips_apart_and_tiles() {
    let dir = tempfile::tempdir().unwrap();
    for (name, tile) in [("strips", None), ("tiles", Some([16, 16])), ("small", Some([2, 4]))] {
        let folder = dir.path().join(name);
        fs::create_dir(&folder).unwrap();
        for (file, frame) in [("dark", 0), ("flat", 1), ("p1", 2), ("p2", 3), ("p3", 4)] {
            fs::write(folder.join(format!("{file}.tif")), raw_tiff(frame, tile)).unwrap();
        }
        let scan = open(&folder, &ScanOptions { angles: Some("180".into()), ..options() }).unwrap();
        assert_eq!(scan.shape().views, 3);
        check_views(&scan, 2);
        assert_eq!(read(&scan, Frame::Flat(0), 0..5), image(1, 0..5));
    }
}
