//! Bad scans: each gives one sentence that says where, what, and what would be accepted; none panics.

mod scans;

use ndarray::Array2;
use scans::*;
use std::fs;
use std::path::{Path, PathBuf};
use wagiri::io::{HipicOptions, open, open_hipic};
use wagiri::scan::{Frame, ScanOptions};
use wagiri::{Error, ErrorKind};

/// A temporary folder whose path holds a space and Japanese.
fn scratch() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::Builder::new().prefix("輪切り scan ").tempdir().unwrap();
    let path = dir.path().to_owned();
    (dir, path)
}

/// Opens and reads everything; the first error.
fn fails(path: &Path, options: &ScanOptions) -> Error {
    let scan = match open(path, options) {
        Ok(scan) => scan,
        Err(e) => return e,
    };
    let shape = scan.shape();
    let mut out = Array2::zeros([shape.rows, shape.cols]);
    let frames =
        [Frame::Dark].into_iter().chain((0..shape.flats).map(Frame::Flat)).chain((0..shape.views).map(Frame::View));
    for frame in frames {
        if let Err(e) = scan.source().read_rows(frame, 0..shape.rows, out.view_mut()) {
            return e;
        }
    }
    panic!("{} was read without an error", path.display());
}

/// The error has this kind, and its text is the path, then this.
#[track_caller]
fn says(error: &Error, kind: ErrorKind, path: &Path, text: &str) {
    assert_eq!(error.to_string(), format!("{}: {text}", path.display()));
    assert_eq!(error.kind(), kind);
}

fn truncate(path: &Path, by: usize) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - by]).unwrap();
}

fn hipic_scan() -> (tempfile::TempDir, PathBuf) {
    let (dir, path) = scratch();
    hipic(&path, 4);
    (dir, path)
}

fn angles(text: &str) -> ScanOptions {
    ScanOptions { angles: Some(text.into()), ..options() }
}

#[test]
fn spaces_and_japanese_in_paths_work() {
    let (_dir, path) = hipic_scan();
    assert!(path.to_string_lossy().contains("輪切り scan "));
    assert_eq!(open(&path, &options()).unwrap().shape().views, 4);
    tiff_folder(&path.join("投影 像"), 3);
    assert_eq!(open(&path.join("投影 像"), &options()).unwrap().shape().views, 3);
    exchange(&path.join("走査 1.h5"), 3, |_| {});
    assert_eq!(open(&path.join("走査 1.h5"), &options()).unwrap().shape().views, 3);
}

#[test]
fn not_a_scan_at_all() {
    let (_dir, path) = scratch();
    let expected = "expected a HiPic folder (output.log, dark, q0001.img ...), a .his file, TIFF projections, or HDF5";
    says(&fails(&path, &options()), ErrorKind::NotFound, &path, &format!("the folder is not a scan; {expected}"));
    let file = path.join("letter.txt");
    fs::write(&file, "dear reader").unwrap();
    says(&fails(&file, &options()), ErrorKind::NotFound, &file, &format!("the file is not a scan; {expected}"));
    let gone = path.join("gone");
    says(&fails(&gone, &options()), ErrorKind::NotFound, &gone, "no such file or folder");
    let wrong = ScanOptions { format: Some("dicom".into()), ..options() };
    assert_eq!(fails(&path, &wrong).to_string(), "format: expected one of hipic, his, tiff, hdf5 (format = 'dicom')");
    let frame = path.join("q0001.img");
    fs::write(&frame, hamamatsu(1, 2, 0, 0)).unwrap();
    says(
        &fails(&frame, &options()),
        ErrorKind::Invalid,
        &frame,
        "this is one frame; open the folder of the scan instead",
    );
}

#[test]
fn hipic_without_dark() {
    let (_dir, path) = hipic_scan();
    fs::remove_file(path.join("dark.img")).unwrap();
    let text = "there is no dark frame: expected dark.img or dark.tif in the folder, or the option dark=FILE \
                (dark=none to go without)";
    says(&fails(&path, &options()), ErrorKind::NotFound, &path, text);
    assert!(open(&path, &ScanOptions { dark: Some("none".into()), ..options() }).is_ok());
    let named = HipicOptions { dark_name: Some("black.img".into()), ..HipicOptions::default() };
    let error = open_hipic(&path, &named, &options()).err().unwrap();
    says(&error, ErrorKind::NotFound, &path, "no such dark file in the folder (dark = 'black.img')");
}

#[test]
fn hipic_without_log() {
    let (_dir, path) = hipic_scan();
    fs::remove_file(path.join("output.log")).unwrap();
    let text = "there is no output.log in the folder: it lists the frames with their times and angles";
    says(&fails(&path, &options()), ErrorKind::NotFound, &path, text);
}

#[test]
fn log_line_that_does_not_parse() {
    let (_dir, path) = hipic_scan();
    let log_file = path.join("output.log");
    fs::write(&log_file, "1 0 0 0\n2 0.5 zero 1\n").unwrap();
    let text = "expected a record of four numbers: frame, time, angle, flag (line = 2, text = '2 0.5 zero 1')";
    says(&fails(&path, &options()), ErrorKind::Format, &log_file, text);
}

#[test]
fn log_naming_a_missing_frame() {
    let (_dir, path) = hipic_scan();
    fs::remove_file(path.join("q0003.img")).unwrap();
    let text = "output.log names a frame that does not exist: the folder has no file q3.img (with any number of \
                leading zeros) (frame = 3, line = 3)";
    says(&fails(&path, &options()), ErrorKind::NotFound, &path, text);
}

#[test]
fn log_without_direct_beam_or_projections_or_anything() {
    let (_dir, path) = hipic_scan();
    let with = |text: &str| {
        fs::write(path.join("output.log"), text).unwrap();
        fails(&path, &options())
    };
    says(&with("2 0 0 1\n3 1 90 1\n"), ErrorKind::Format, &path, "the scan has no direct-beam frame (I0, flat)");
    says(&with("1 0 0 0\n6 1 0 0\n"), ErrorKind::Format, &path, "the scan has no projection");
    says(&with(""), ErrorKind::Format, &path, "the scan has no projection");
}

#[test]
fn log_with_equal_angles_or_a_frame_twice() {
    let (_dir, path) = hipic_scan();
    let log_file = path.join("output.log");
    fs::write(&log_file, "1 0 0 0\n2 0 0 1\n3 1 45.5 1\n4 2 45.5 1\n").unwrap();
    let text = "two projections are at the same angle; correct output.log, or give the angles with the option angles \
                (a span such as 180) (frames = 3 and 4, angle_deg = 45.5)";
    says(&fails(&path, &options()), ErrorKind::Format, &path, text);
    assert_eq!(open(&path, &angles("180")).unwrap().shape().views, 3);
    fs::write(&log_file, "1 0 0 0\n2 0 0 1\n2 1 45.5 1\n").unwrap();
    says(
        &fails(&path, &options()),
        ErrorKind::Format,
        &log_file,
        "a frame is listed twice (frame = 2, lines = 2 and 3)",
    );
}

#[test]
fn duplicate_frame_numbers() {
    let (_dir, path) = hipic_scan();
    fs::write(path.join("q3.img"), hamamatsu(3, 2, 0, 0)).unwrap();
    let text = "two frame files have the same number (files = q0003.img and q3.img, number = 3)";
    says(&fails(&path, &options()), ErrorKind::Format, &path, text);
}

#[test]
fn frames_of_different_types() {
    let (_dir, path) = hipic_scan();
    let frame = path.join("q0003.img");
    let mut bytes = fs::read(&frame).unwrap();
    bytes[12] = 0;
    fs::write(&frame, bytes).unwrap();
    let text = "the pixels of this frame are 8-bit, those of the others 16-bit: all frames must be alike";
    says(&fails(&path, &options()), ErrorKind::Format, &frame, text);
}

#[test]
fn ranges_that_overlap() {
    let (_dir, path) = scratch();
    let file = path.join("a.his");
    his(&file, 8, 2, 8);
    let by = ScanOptions { dark: Some("0..3".into()), flat: Some("2..5".into()), ..angles("180") };
    let error = fails(&file, &by);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("only one of them (frame = 2, flat = 2..5)"), "{error}");
}

#[test]
fn frames_of_different_sizes() {
    let (_dir, path) = hipic_scan();
    let frame = path.join("q0004.img");
    let mut bytes = hamamatsu(4, 2, 0, 0);
    (bytes[4], bytes[6]) = (ROWS as u8, COLS as u8);
    fs::write(&frame, bytes).unwrap();
    let text = "the frame has 5 x 7 pixels (columns x rows), but the scan has 7 x 5: all frames must be alike";
    says(&fails(&path, &options()), ErrorKind::Format, &frame, text);
}

#[test]
fn damaged_img() {
    let (_dir, path) = hipic_scan();
    let frame = path.join("q0002.img");
    let good = fs::read(&frame).unwrap();
    truncate(&frame, 1);
    let text = "the file is cut off: its header promises more bytes than it has (promised_bytes = 136, bytes = 135)";
    says(&fails(&path, &options()), ErrorKind::Format, &frame, text);
    fs::write(&frame, &good[..20]).unwrap();
    let text = "the file is cut off: its header promises more bytes than it has (promised_bytes = 64, bytes = 20)";
    says(&fails(&path, &options()), ErrorKind::Format, &frame, text);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        fs::write(&frame, bytes).unwrap();
        fails(&path, &options())
    };
    let text = "the comment of the frame reaches beyond the end of the file (comment_bytes = 65282)";
    says(&with(3, 255), ErrorKind::Format, &frame, text);
    let text = "not a HiPic image: the file does not begin with the letters IM";
    says(&with(0, b'X'), ErrorKind::Format, &frame, text);
    let text = "pixel type not read: expected 0 or 1 (8-bit), 2 (16-bit) or 6 (12-bit packed) (type = 11)";
    says(&with(12, 11), ErrorKind::Unsupported, &frame, text);
}

#[test]
fn damaged_his() {
    let (_dir, path) = scratch();
    let file = path.join("a.his");
    let by = ScanOptions { dark: Some("0..1".into()), flat: Some("1..2".into()), ..angles("180") };
    let text = "which frames are dark, direct beam and projections is not known: put conv.bat and output.log beside \
                the file, or give dark=A..B, flat=A..B[,C..D] (frames from 0) and angles=SPAN or FILE (frames = 6)";
    his(&file, 6, 2, 6);
    says(&fails(&file, &options()), ErrorKind::Invalid, &file, text);
    truncate(&file, 30);
    let text = "frame 5 is cut off: 30 bytes are missing; to use the frames before it, choose views=0..3";
    says(&fails(&file, &by), ErrorKind::Format, &file, text);
    // Whoever does not need the last frame can go on, and is told.
    let scan = open(&file, &ScanOptions { views: Some(0..3), ..by.clone() }).unwrap();
    assert_eq!(scan.info().notes[0], "a.his: frame 5 is cut off: 30 bytes are missing; not used");
    let good = fs::read(&file).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        fs::write(&file, bytes).unwrap();
        fails(&file, &by)
    };
    let text = "the comment of the first frame reaches beyond the end of the file (comment_bytes = 65280)";
    says(&with(3, 255), ErrorKind::Format, &file, text);
    let text = "no frame header where one is expected (the file is damaged) (frame = 1, offset = 134)";
    says(&with(134, b'X'), ErrorKind::Format, &file, text);
    let text =
        "the frame differs in size or pixel type from the first: all frames must be alike (frame = 1, size = 6 x 5)";
    says(&with(138, 6), ErrorKind::Format, &file, text);
    fs::write(&file, []).unwrap();
    says(&fails(&file, &by), ErrorKind::Format, &file, "the file is empty");
    his(&file, 6, 2, 6);
    let error = fails(&file, &ScanOptions { flat: Some("4..9".into()), ..by });
    assert_eq!(error.to_string(), "flat: expected frames A..B within 0..6 (flat = 4..9)");
}

#[test]
fn his_whose_conv_bat_wants_more_than_it_has() {
    let (_dir, path) = scratch();
    let file = path.join("a.his");
    his(&file, 3, 2, 4);
    let bat =
        "his2img a.his\nren a001.img dark.img\nren a002.img q001.img\nren a003.img q002.img\nren a004.img q003.img\n";
    fs::write(path.join("conv.bat"), bat).unwrap();
    fs::write(path.join("output.log"), "1 0 0 0\n2 0 0 1\n3 1 90 1\n").unwrap();
    let text =
        "conv.bat uses a frame that is not there in full: the file has fewer frames (frame = 4, complete_frames = 3)";
    says(&fails(&path, &options()), ErrorKind::Format, &file, text);
    fs::write(path.join("output.log"), "1 0 0 0\n2 0 0 1\n7 1 90 1\n").unwrap();
    let text = "output.log names a frame that does not exist: conv.bat makes no q7.img (frame = 7, line = 3)";
    says(&fails(&path, &options()), ErrorKind::NotFound, &path, text);
}

#[test]
fn tiff_parts_that_are_missing() {
    let (_dir, path) = scratch();
    tiff_folder(&path, 4);
    fs::remove_file(path.join("angles.txt")).unwrap();
    let text = "the angles are not known: expected angles.txt or theta.txt beside the projections, or the option \
                angles=FILE or a span in degrees such as angles=180";
    says(&fails(&path, &options()), ErrorKind::NotFound, &path, text);
    fs::remove_file(path.join("flat.tif")).unwrap();
    let text = "there is no direct-beam frame (I0): expected a file or folder named flat*, white* or bg*, or the \
                option flat=FILE, FOLDER or A..B";
    says(&fails(&path, &options()), ErrorKind::NotFound, &path, text);
    fs::remove_file(path.join("dark.tif")).unwrap();
    let text = "there is no dark frame: expected a file or folder named dark*, or the option dark=FILE, FOLDER or A..B \
                (dark=none to go without)";
    says(&fails(&path, &options()), ErrorKind::NotFound, &path, text);
    let both = ScanOptions { dark: Some("none".into()), flat: Some("black".into()), ..options() };
    says(&fails(&path, &both), ErrorKind::NotFound, Path::new("black"), "cannot open: no such file or folder");
}

#[test]
fn angles_that_do_not_fit() {
    let (_dir, path) = scratch();
    tiff_folder(&path, 4);
    let file = path.join("angles.txt");
    let with = |text: &str| {
        fs::write(&file, text).unwrap();
        fails(&path, &options())
    };
    let text = "the file holds 6 angles, but there are 4 projections; choose the part that belongs to them with \
                angles=angles.txt:A..B (entries A to B-1, counted from 0)";
    says(&with("0\n0\n45\n90\n135\n180\n"), ErrorKind::Format, &file, text);
    assert!(open(&path, &angles("angles.txt:1..5")).is_ok());
    let text = "the chosen part has 3 angles, but there are 4 projections";
    says(&fails(&path, &angles("angles.txt:1..4")), ErrorKind::Format, &file, text);
    let text = "the file holds 6 angles (angles = 4..8)";
    says(&fails(&path, &angles("angles.txt:4..8")), ErrorKind::Invalid, &file, text);
    let text = "the angles must go one way from view to view, but here they stand still or turn back; give others \
                with the option angles (a file, or a span such as 180) (view = 2, angle_deg = 40, view_before_deg = 45)";
    says(&with("0\n45\n40\n135\n"), ErrorKind::Format, &file, text);
    let text = "expected one angle in degrees per line (line = 3, text = 'ninety')";
    says(&with("# degrees\n0\nninety\n"), ErrorKind::Format, &file, text);
    let error = fails(&path, &angles("0"));
    assert_eq!(error.to_string(), "angles: a span of 0 degrees leaves every view at one angle");
    let error = fails(&path, &ScanOptions { views: Some(2..9), ..angles("180") });
    assert_eq!(error.to_string(), "views: expected start..end within 0..4 (views = 2..9)");
}

#[test]
fn damaged_tiff() {
    let (_dir, path) = scratch();
    tiff_folder(&path, 4);
    let frame = path.join("projections/p1.tif");
    let good = fs::read(&frame).unwrap();
    truncate(&frame, 9);
    let error = fails(&path, &options());
    assert_eq!(error.kind(), ErrorKind::Format);
    says(&error, ErrorKind::Format, &frame, "cannot read: the file ends too early (truncated?)");
    fs::write(&frame, "not a TIFF").unwrap();
    let text = "the TIFF file is damaged: format error: TIFF signature not found";
    says(&fails(&path, &options()), ErrorKind::Format, &frame, text);
    fs::write(&frame, []).unwrap();
    says(&fails(&path, &options()), ErrorKind::Format, &frame, text);
    // The directory is whole, but the pixels of the last strip are beyond the end.
    let mut bytes = good.clone();
    let entry = [17, 1, 4, 0, 3, 0, 0, 0];
    let at = bytes.windows(8).position(|w| w == entry).unwrap() + 8;
    let list = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let beyond = bytes.len() as u32 - 4;
    bytes[list + 8..list + 12].copy_from_slice(&beyond.to_le_bytes());
    fs::write(&frame, &bytes).unwrap();
    let text = format!(
        "the file is cut off: its header promises more bytes than it has (promised_bytes = {}, bytes = {})",
        bytes.len() + 10,
        bytes.len()
    );
    says(&fails(&path, &options()), ErrorKind::Format, &frame, &text);
    tiff(&frame, 1..3, Kind::Big);
    let text = "the file holds several images, but one projection per file is expected in a folder; a single file with \
                all projections can be opened by its own name";
    says(&fails(&path, &options()), ErrorKind::Format, &frame, text);
}

#[test]
fn damaged_hdf5() {
    let (_dir, path) = scratch();
    let file = path.join("scan.h5");
    exchange(&file, 5, |_| {});
    let length = fs::metadata(&file).unwrap().len();
    truncate(&file, 40);
    let text = format!(
        "the HDF5 file is cut off: it says that it is longer (promised_bytes = {length}, bytes = {})",
        length - 40
    );
    says(&fails(&file, &options()), ErrorKind::Format, &file, &text);
    fs::write(&file, "not HDF5").unwrap();
    says(&fails(&file, &options()), ErrorKind::Format, &file, "not an HDF5 file");
    exchange(&file, 5, |d| {
        d.with_chunks(&[1, 5, 7]).with_lzf();
    });
    let error = fails(&file, &options());
    let place = file.display();
    assert_eq!(
        error.to_string(),
        format!(
            "{place}: /exchange/data: the dataset is compressed with a filter that is not read (filter id 32000); \
             rewrite it with h5repack -f GZIP=1, or uncompressed"
        )
    );
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let mut builder = hdf5_pure::FileBuilder::new();
    builder.create_dataset("volume").with_f32_data(&[0.0; 6]).with_shape(&[1, 2, 3]);
    builder.write(&file).unwrap();
    let text = "no projections found: expected /exchange/data (DataExchange), or data with image_key (NXtomo); name \
                the dataset with the option dataset";
    says(&fails(&file, &options()), ErrorKind::NotFound, &file, text);
    let by = ScanOptions { dataset: Some("/volume".into()), ..angles("180") };
    let text = "there is no dataset /data_dark with the dark frames; name it with dark=DATASET, or choose frames of \
                the projections with dark=A..B";
    says(&fails(&file, &by), ErrorKind::NotFound, &file, text);
    says(
        &fails(&file, &ScanOptions { dataset: Some("/nothing".into()), ..options() }),
        ErrorKind::NotFound,
        &file,
        "there is no such dataset (dataset = /nothing)",
    );
}
