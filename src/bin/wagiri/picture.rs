//! Grey pictures for people: one slice, or a sheet of panels with captions.

use ndarray::{Array2, ArrayView2, s};
pub use wagiri::io::write_png;
use wagiri::post::draw_text;

/// Width of a panel and margins, pixels.
const PANEL: usize = 640;
const MARGIN: usize = 12;
const CAPTION: usize = 20;

/// One picture of a sheet.
pub struct Panel<'a> {
    caption: String,
    data: ArrayView2<'a, f32>,
}

impl<'a> Panel<'a> {
    pub fn new(caption: String, data: ArrayView2<'a, f32>) -> Self {
        Panel { caption, data }
    }
}

/// Grey values from the 0.1 to the 99.9 percentile.
pub fn grey(data: ArrayView2<f32>) -> Array2<u8> {
    let mut sorted: Vec<f32> = data.iter().copied().collect();
    sorted.sort_by(f32::total_cmp);
    let at = |part: f64| sorted.get((part * (sorted.len().max(1) - 1) as f64) as usize).copied().unwrap_or(0.0);
    let (lo, hi) = (at(0.001), at(0.999));
    let scale = if hi > lo { 255.0 / (hi - lo) } else { 0.0 };
    data.map(|v| ((v - lo) * scale).clamp(0.0, 255.0) as u8)
}

/// Panels in two columns, each scaled to the same width; flat ones are stretched in height so that they can be seen.
pub fn sheet(panels: &[Panel]) -> Array2<u8> {
    let pictures: Vec<Array2<u8>> = panels.iter().map(|p| scaled(&grey(p.data))).collect();
    // Left: all but the last, one below the other. Right: the last, which is the result.
    let (last, left) = match pictures.split_last() {
        Some(split) => split,
        None => return Array2::zeros((1, 1)),
    };
    let block = |p: &Array2<u8>| p.nrows() + CAPTION + MARGIN;
    let height = MARGIN + left.iter().map(block).sum::<usize>().max(block(last));
    let mut page = Array2::from_elem((height, 3 * MARGIN + 2 * PANEL), 255u8);
    let mut place = |picture: &Array2<u8>, caption: &str, y: usize, x: usize| {
        write_text(&mut page, caption, y + 4, x);
        let (h, w) = picture.dim();
        page.slice_mut(s![y + CAPTION..y + CAPTION + h, x..x + w]).assign(picture);
    };
    let mut y = MARGIN;
    for (picture, panel) in left.iter().zip(panels) {
        place(picture, &panel.caption, y, MARGIN);
        y += block(picture);
    }
    place(last, &panels[panels.len() - 1].caption, MARGIN, 2 * MARGIN + PANEL);
    page
}

/// Nearest-neighbour scaling to the panel width; at least 60 pixels high, at most square.
fn scaled(data: &Array2<u8>) -> Array2<u8> {
    let (h, w) = data.dim();
    let height = (h * PANEL / w.max(1)).clamp(60, PANEL);
    Array2::from_shape_fn((height, PANEL), |(y, x)| data[(y * h / height, x * w / PANEL)])
}

/// Black letters of 8 pixels.
pub fn write_text(page: &mut Array2<u8>, text: &str, top: usize, left: usize) {
    draw_text(page, text, [top, left], 1, 0);
}
