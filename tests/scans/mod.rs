//! Writes small scans of every format, with a different number in each pixel.
#![allow(dead_code)]

use ndarray::Array2;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tiff::encoder::{Compression, TiffEncoder, TiffKindBig, colortype};
use wagiri::Scan;
use wagiri::scan::{Frame, ScanOptions};

pub const ROWS: usize = 5;
pub const COLS: usize = 7;

/// The count of a pixel; below 4096 for up to 19 frames, so that 12 bits hold it.
pub fn value(frame: usize, row: usize, col: usize) -> u16 {
    (200 * frame + 16 * row + col) as u16
}

pub fn pixels(frame: usize) -> Vec<u16> {
    (0..ROWS * COLS).map(|i| value(frame, i / COLS, i % COLS)).collect()
}

pub fn image(frame: usize, rows: Range<usize>) -> Array2<f32> {
    Array2::from_shape_fn([rows.len(), COLS], |(r, c)| value(frame, rows.start + r, c) as f32)
}

pub fn read(scan: &Scan, frame: Frame, rows: Range<usize>) -> Array2<f32> {
    let mut out = Array2::from_elem([rows.len(), scan.shape().cols], f32::NAN);
    scan.source().read_rows(frame, rows, out.view_mut()).unwrap();
    out
}

/// Bytes of one Hamamatsu frame of pixel type `code` with a comment of `comment` bytes.
pub fn hamamatsu(frame: usize, code: u16, comment: usize, declared: u32) -> Vec<u8> {
    let mut b = vec![0u8; 64];
    b[..2].copy_from_slice(b"IM");
    b[2..4].copy_from_slice(&(comment as u16).to_le_bytes());
    b[4..6].copy_from_slice(&(COLS as u16).to_le_bytes());
    b[6..8].copy_from_slice(&(ROWS as u16).to_le_bytes());
    b[12..14].copy_from_slice(&code.to_le_bytes());
    b[14..18].copy_from_slice(&declared.to_le_bytes());
    b.extend(std::iter::repeat_n(b'x', comment));
    let values = pixels(frame);
    match code {
        0 | 1 => b.extend(values.iter().map(|v| *v as u8)),
        2 => b.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        6 => {
            for pair in values.chunks(2) {
                let (p, q) = (pair[0], pair.get(1).copied().unwrap_or(0));
                b.extend([(p >> 4) as u8, ((p & 15) << 4 | q >> 8) as u8, q as u8]);
            }
            b.truncate(64 + comment + (values.len() * 3).div_ceil(2));
        }
        _ => panic!("no such pixel type"),
    }
    b
}

/// A log of `views` projections over 180 degrees in frames 2.., I0 in the frame before and after, and the tail with
/// I0 and the half-turn view.
pub fn log(views: usize, end: &str) -> String {
    let mut text = format!("00001 0.0 0.0 0{end}");
    for m in 0..views {
        write!(text, "{:05} {}.5 {:.4} 1{end}", m + 2, m, 180.0 * m as f64 / views as f64).unwrap();
    }
    write!(text, "{} {views} 0.0 0{end}{end}{end}{end}", views + 2).unwrap();
    write!(text, "{} {}.1 0.0 0{end}{} {}.2 180.0 1{end}", views + 3, views, views + 4, views).unwrap();
    text
}

/// A HiPic folder: frame `n` holds `value(n, ..)`, the dark `value(0, ..)`.
pub fn hipic(folder: &Path, views: usize) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("dark.img"), hamamatsu(0, 2, 3, 0)).unwrap();
    for n in 1..views + 5 {
        fs::write(folder.join(format!("q{n:04}.img")), hamamatsu(n, 2, n % 3, 0)).unwrap();
    }
    fs::write(folder.join("output.log"), log(views, "\n")).unwrap();
}

/// A `.his` file of `frames` frames of one pixel type, with comments of changing length.
pub fn his(path: &Path, frames: usize, code: u16, declared: u32) {
    let bytes: Vec<u8> = (0..frames).flat_map(|i| hamamatsu(i, code, i % 4 * 5, declared)).collect();
    fs::write(path, bytes).unwrap();
}

pub enum Kind {
    Plain { rows_per_strip: u32 },
    Lzw { rows_per_strip: u32 },
    Big,
}

/// A TIFF file with one 16-bit page per frame.
pub fn tiff(path: &Path, frames: Range<usize>, kind: Kind) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs::File::create(path).unwrap();
    let (cols, rows) = (COLS as u32, ROWS as u32);
    match kind {
        Kind::Big => {
            let mut encoder = TiffEncoder::<_, TiffKindBig>::new_generic(file).unwrap();
            for frame in frames {
                encoder.write_image::<colortype::Gray16>(cols, rows, &pixels(frame)).unwrap();
            }
        }
        Kind::Plain { rows_per_strip } | Kind::Lzw { rows_per_strip } => {
            let packed = matches!(kind, Kind::Lzw { .. });
            let compression = if packed { Compression::Lzw } else { Compression::Uncompressed };
            let mut encoder = TiffEncoder::new(file).unwrap().with_compression(compression);
            for frame in frames {
                let mut image = encoder.new_image::<colortype::Gray16>(cols, rows).unwrap();
                image.rows_per_strip(rows_per_strip).unwrap();
                image.write_data(&pixels(frame)).unwrap();
            }
        }
    }
}

/// A TIFF file with one 32-bit float page per frame.
pub fn tiff_f32(path: &Path, frames: Range<usize>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut encoder = TiffEncoder::new(fs::File::create(path).unwrap()).unwrap();
    for frame in frames {
        let values: Vec<f32> = pixels(frame).iter().map(|v| *v as f32 + 0.25).collect();
        encoder.write_image::<colortype::Gray32Float>(COLS as u32, ROWS as u32, &values).unwrap();
    }
}

/// A folder scan: projections are frames 2.., the dark frame 0, the flat frame 1.
pub fn tiff_folder(folder: &Path, views: usize) {
    tiff(&folder.join("dark.tif"), 0..1, Kind::Plain { rows_per_strip: 2 });
    tiff(&folder.join("flat.tif"), 1..2, Kind::Plain { rows_per_strip: 2 });
    for m in 0..views {
        tiff(&folder.join(format!("projections/p{m}.tif")), m + 2..m + 3, Kind::Plain { rows_per_strip: 2 });
    }
    let angles: Vec<String> = (0..views).map(|m| format!("{}", 180.0 * m as f64 / views as f64)).collect();
    fs::write(folder.join("angles.txt"), angles.join("\n")).unwrap();
}

/// DataExchange: dark frames 0 and 1, flats 2 and 3, projections 4.. .
pub fn exchange(path: &Path, views: usize, shape: impl Fn(&mut hdf5_pure::DatasetBuilder)) {
    let mut builder = hdf5_pure::FileBuilder::new();
    let mut group = builder.create_group("exchange");
    let data = |frames: Range<usize>| frames.flat_map(pixels).collect::<Vec<u16>>();
    let dims = |n: usize| [n as u64, ROWS as u64, COLS as u64];
    shape(group.create_dataset("data").with_u16_data(&data(4..views + 4)).with_shape(&dims(views)));
    group.create_dataset("data_dark").with_u16_data(&data(0..2)).with_shape(&dims(2));
    group.create_dataset("data_white").with_u16_data(&data(2..4)).with_shape(&dims(2));
    let theta: Vec<f64> = (0..views).map(|m| 180.0 * m as f64 / views as f64).collect();
    group.create_dataset("theta").with_f64_data(&theta);
    builder.add_group(group.finish());
    builder.write(path).unwrap();
}

/// NXtomo: frames 0 and 1 dark, 2 and 3 flat, 4..4+views projections, then a flat and a frame that is not to be used.
pub fn nxtomo(path: &Path, views: usize, radians: bool) {
    use hdf5_pure::AttrValue;
    let frames = views + 6;
    let mut builder = hdf5_pure::FileBuilder::new();
    let mut entry = builder.create_group("entry1");
    let mut tomo = entry.create_group("tomo_entry");
    let mut instrument = tomo.create_group("instrument");
    let mut detector = instrument.create_group("detector");
    let data: Vec<u16> = (0..frames).flat_map(pixels).collect();
    let dims = [frames as u64, ROWS as u64, COLS as u64];
    detector.create_dataset("data").with_u16_data(&data).with_shape(&dims).with_chunks(&[3, 2, 4]).with_deflate(1);
    let mut key = vec![2, 2, 1, 1];
    key.extend(vec![0; views]);
    key.extend([1, 3]);
    detector.create_dataset("image_key").with_i32_data(&key);
    detector.create_dataset("x_pixel_size").with_f64_data(&[6.5e-3]).set_attr("units", AttrValue::String("mm".into()));
    instrument.add_group(detector.finish());
    tomo.add_group(instrument.finish());
    let mut sample = tomo.create_group("sample");
    let degrees = |i: usize| if (4..4 + views).contains(&i) { 180.0 * (i - 4) as f64 / views as f64 } else { 0.0 };
    let angles: Vec<f64> = (0..frames).map(|i| if radians { degrees(i).to_radians() } else { degrees(i) }).collect();
    let unit = if radians { "rad" } else { "degree" };
    sample.create_dataset("rotation_angle").with_f64_data(&angles).set_attr("units", AttrValue::String(unit.into()));
    tomo.add_group(sample.finish());
    entry.add_group(tomo.finish());
    builder.add_group(entry.finish());
    builder.write(path).unwrap();
}

pub fn options() -> ScanOptions {
    ScanOptions::default()
}

pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}
