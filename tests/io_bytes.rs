//! Reading a band of rows reads that band, not the file. One test in a program of its own: it counts the bytes that the
//! whole process reads.
#![cfg(target_os = "linux")]

use ndarray::Array2;
use std::fs;
use std::path::Path;
use tiff::encoder::{TiffEncoder, colortype};
use wagiri::io::open;
use wagiri::scan::{Frame, ScanOptions};

const ROWS: usize = 1000;
const COLS: usize = 500;

fn bytes_read() -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap();
    text.lines().find_map(|l| l.strip_prefix("rchar: ")).unwrap().trim().parse().unwrap()
}

fn img() -> Vec<u8> {
    let mut b = vec![0u8; 64 + 2 * ROWS * COLS];
    b[..2].copy_from_slice(b"IM");
    b[4..6].copy_from_slice(&(COLS as u16).to_le_bytes());
    b[6..8].copy_from_slice(&(ROWS as u16).to_le_bytes());
    b[12] = 2;
    b[14] = 4;
    b
}

fn hdf5(path: &Path, shape: impl Fn(&mut hdf5_pure::DatasetBuilder)) {
    let mut builder = hdf5_pure::FileBuilder::new();
    let mut group = builder.create_group("exchange");
    for (name, frames) in [("data", 4), ("data_dark", 1), ("data_white", 1)] {
        let counts = vec![7u16; frames * ROWS * COLS];
        let data = group.create_dataset(name);
        shape(data.with_u16_data(&counts).with_shape(&[frames as u64, ROWS as u64, COLS as u64]));
    }
    group.create_dataset("theta").with_f64_data(&[0.0, 45.0, 90.0, 135.0]);
    builder.add_group(group.finish());
    builder.write(path).unwrap();
}

#[test]
fn a_band_of_rows_reads_little_more_than_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("hipic")).unwrap();
    for name in ["dark", "q001", "q002", "q003", "q004"] {
        fs::write(path("hipic").join(format!("{name}.img")), img()).unwrap();
    }
    fs::write(path("hipic/output.log"), "1 0 0 0\n2 1 0 1\n3 2 60 1\n4 3 120 1\n").unwrap();
    fs::write(path("a.his"), [img(), img(), img(), img()].concat()).unwrap();
    let mut encoder = TiffEncoder::new(fs::File::create(path("stack.tif")).unwrap()).unwrap();
    for _ in 0..4 {
        encoder.write_image::<colortype::Gray16>(COLS as u32, ROWS as u32, &vec![7; ROWS * COLS]).unwrap();
    }
    hdf5(&path("plain.h5"), |_| {});
    hdf5(&path("chunks.h5"), |d| {
        d.with_chunks(&[1, 20, COLS as u64]);
    });
    let by = ScanOptions {
        dark: Some("0..1".into()),
        flat: Some("1..2".into()),
        angles: Some("180".into()),
        ..ScanOptions::default()
    };
    for (name, options) in [
        ("hipic", &ScanOptions::default()),
        ("a.his", &by),
        ("stack.tif", &by),
        ("plain.h5", &ScanOptions::default()),
        ("chunks.h5", &ScanOptions::default()),
    ] {
        let before = bytes_read();
        let scan = open(&path(name), options).unwrap();
        let mut out = Array2::zeros([10, COLS]);
        for view in 0..scan.shape().views {
            scan.source().read_rows(Frame::View(view), 500..510, out.view_mut()).unwrap();
        }
        let read = bytes_read() - before;
        let views = scan.shape().views as u64;
        let (band, frame) = (views * 20 * COLS as u64, views * 2 * (ROWS * COLS) as u64);
        // Headers, indices and one more chunk are allowed; a tenth of the frames would be a hundred rows.
        assert!(read >= band && read < frame / 10, "{name}: {read} bytes for a band of {band} of {frame}");
    }
}
