//! Damaged files: bytes flipped and ends cut off at random never make a reader panic.

mod scans;

use ndarray::Array2;
use scans::*;
use std::fs;
use std::path::{Path, PathBuf};
use wagiri::io::open;
use wagiri::scan::{Frame, ScanOptions};

/// A small generator (xorshift, Marsaglia 2003, doi:10.18637/jss.v008.i14), so that failures can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

/// Damaged copies of each file; many more were tried once.
const ROUNDS: usize = 60;

#[test]
fn damaged_files_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let (hipic_dir, folder, lzw) = (path.join("hipic"), path.join("tiff"), path.join("lzw"));
    hipic(&hipic_dir, 2);
    tiff_folder(&folder, 2);
    tiff_folder(&lzw, 2);
    tiff(&lzw.join("projections/p0.tif"), 2..3, Kind::Lzw { rows_per_strip: 2 });
    let (his_file, stack) = (path.join("a.his"), path.join("stack/proj.tif"));
    his(&his_file, 5, 6, 5);
    tiff(&stack, 0..5, Kind::Big);
    let (h5, chunked, nexus) = (path.join("a.h5"), path.join("b.h5"), path.join("c.nxs"));
    exchange(&h5, 3, |_| {});
    exchange(&chunked, 3, |d| {
        d.with_chunks(&[1, 2, 7]).with_shuffle().with_deflate(2);
    });
    nxtomo(&nexus, 3, false);
    let by =
        ScanOptions { dark: Some("0..1".into()), flat: Some("1..2".into()), angles: Some("180".into()), ..options() };
    let cases: [(&Path, PathBuf, &ScanOptions); 10] = [
        (&hipic_dir, hipic_dir.join("q0002.img"), &options()),
        (&hipic_dir, hipic_dir.join("dark.img"), &options()),
        (&hipic_dir, hipic_dir.join("output.log"), &options()),
        (&his_file, his_file.clone(), &by),
        (&folder, folder.join("projections/p0.tif"), &options()),
        (&lzw, lzw.join("projections/p0.tif"), &options()),
        (&stack, stack.clone(), &by),
        (&h5, h5.clone(), &options()),
        (&chunked, chunked.clone(), &options()),
        (&nexus, nexus.clone(), &options()),
    ];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (scan, file, options) in &cases {
        let good = fs::read(file).unwrap();
        for _ in 0..ROUNDS {
            let mut bytes = good.clone();
            for _ in 0..1 + random.below(4) {
                // Headers and directories are at either end: half of the hits go there.
                let at = match random.below(4) {
                    0 => random.below(bytes.len().min(128)),
                    1 => bytes.len() - 1 - random.below(bytes.len().min(256)),
                    _ => random.below(bytes.len()),
                };
                bytes[at] = match random.below(3) {
                    0 => 0,
                    1 => 255,
                    _ => random.below(256) as u8,
                };
            }
            if random.below(4) == 0 {
                bytes.truncate(random.below(bytes.len()));
            }
            fs::write(file, &bytes).unwrap();
            let Ok(scan) = open(scan, options) else { continue };
            let shape = scan.shape();
            let rows = shape.rows.min(8);
            if shape.cols > 1 << 20 {
                continue;
            }
            let mut out = Array2::zeros([rows, shape.cols]);
            for frame in [Frame::Dark, Frame::Flat(0), Frame::View(0), Frame::View(shape.views - 1)] {
                // An error is as good as pixels; only a panic or an abort is a defect.
                drop(scan.source().read_rows(frame, shape.rows - rows..shape.rows, out.view_mut()));
            }
        }
        fs::write(file, &good).unwrap();
        assert!(open(scan, options).is_ok(), "{}", file.display());
    }
}
