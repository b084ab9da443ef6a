//! A scan on disk to measure with: a folder of `.img` files as HiPic writes them, the same bytes every time, written view
//! by view so that it may be larger than the memory.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Size of a scan.
#[derive(Clone, Copy)]
pub struct Size {
    pub views: usize,
    pub rows: usize,
    pub cols: usize,
}

/// Makes the scan in `dir`, with one dark and two direct-beam frames, unless it is there already: three discs of different
/// absorbance, the axis in the middle, detector columns of different gain, noise.
pub fn make(dir: &Path, size: Size) -> std::io::Result<()> {
    let Size { views, rows, cols } = size;
    let mark = dir.join("complete");
    let name = format!("{views} {rows} {cols}");
    if fs::read_to_string(&mark).is_ok_and(|text| text == name) {
        return Ok(());
    }
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir)?;
    let flat: Vec<f32> = (0..cols).map(|x| 20_000.0 + 1_000.0 * ((x * 7919 % 101) as f32 / 101.0)).collect();
    frame(&dir.join("dark.img"), size, &mut |_, line| line.fill(100))?;
    let mut log = String::new();
    let mut random = 1u32;
    for number in 1..=views + 2 {
        let view = (2..views + 2).contains(&number).then(|| number - 2);
        let angle = view.unwrap_or(0) as f64 * std::f64::consts::PI / views as f64;
        // Four kinds of rows, so that neighbouring slices differ.
        let kinds: Vec<Vec<f32>> = (0..4).map(|kind| transmission(view.map(|_| angle), kind, cols)).collect();
        frame(&dir.join(format!("q{number:05}.img")), size, &mut |row, line| {
            for ((count, t), flat) in line.iter_mut().zip(&kinds[row % 4]).zip(&flat) {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *count = (100.0 + flat * t + (random >> 25) as f32) as u16;
            }
        })?;
        log += &format!("{number} {} {} {}\n", number as f64 / 10.0, angle.to_degrees(), usize::from(view.is_some()));
    }
    fs::write(dir.join("output.log"), log)?;
    fs::write(mark, name)
}

/// What of the beam comes through at each column; all of it without a sample.
fn transmission(angle: Option<f64>, kind: usize, cols: usize) -> Vec<f32> {
    let Some(angle) = angle else { return vec![1.0; cols] };
    let (sin, cos) = angle.sin_cos();
    let n = cols as f64;
    let shift = 0.01 * kind as f64;
    let discs = [(0.0, 0.0, 0.42, 1.5), (0.2, 0.1 + shift, 0.08, 1.0), (-0.15, -0.2, 0.05 + shift, -1.0)];
    let line = |x: f64| -> f64 {
        let chord = |(cx, cy, r, mu): &(f64, f64, f64, f64)| {
            let d = x - cx * cos - cy * sin;
            2.0 * mu * (r * r - d * d).max(0.0).sqrt()
        };
        discs.iter().map(chord).sum()
    };
    (0..cols).map(|i| (-line((i as f64 - (n - 1.0) / 2.0) / n)).exp() as f32).collect()
}

fn frame(path: &Path, size: Size, fill: &mut dyn FnMut(usize, &mut [u16])) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut header = [0u8; 64];
    header[..2].copy_from_slice(b"IM");
    header[4..6].copy_from_slice(&(size.cols as u16).to_le_bytes());
    header[6..8].copy_from_slice(&(size.rows as u16).to_le_bytes());
    header[12] = 2; // 16 bits
    out.write_all(&header)?;
    let mut line = vec![0u16; size.cols];
    for row in 0..size.rows {
        fill(row, &mut line);
        out.write_all(&line.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())?;
    }
    out.flush()
}
