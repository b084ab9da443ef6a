//! A contact sheet: many slices side by side, each with a caption.

use crate::picture::{grey, write_text};
use ndarray::{Array2, s};
use wagiri::chain::zscan::Look;

/// Largest width and height of a picture on the sheet, and margins, pixels.
const SIDE: usize = 400;
const MARGIN: usize = 12;
const CAPTION: usize = 20;
/// Pictures in a line at most.
const ACROSS: usize = 5;

/// All pictures in lines, in order; each in its own range of grey.
pub fn sheet(pictures: &[Look]) -> Array2<u8> {
    let small: Vec<Array2<u8>> = pictures.iter().map(|look| fitted(&grey(look.slice.view()))).collect();
    let across = (1..=ACROSS).find(|n| n * n >= small.len()).unwrap_or(ACROSS);
    // Captions need room too: 8 pixels a letter.
    let caption = pictures.iter().map(|look| 8 * look.caption.chars().count()).max().unwrap_or(0);
    let cell_width = small.iter().map(Array2::ncols).max().unwrap_or(1).max(caption) + MARGIN;
    let cell_height = small.iter().map(Array2::nrows).max().unwrap_or(1) + CAPTION + MARGIN;
    let lines = small.len().div_ceil(across).max(1);
    let mut page = Array2::from_elem((lines * cell_height + MARGIN, across * cell_width + MARGIN), 255u8);
    for (i, (look, picture)) in pictures.iter().zip(&small).enumerate() {
        let (top, left) = (MARGIN + i / across * cell_height, MARGIN + i % across * cell_width);
        write_text(&mut page, &look.caption, top + 4, left);
        let (height, width) = picture.dim();
        let top = top + CAPTION;
        page.slice_mut(s![top..top + height, left..left + width]).assign(picture);
    }
    page
}

/// Whole multiples of small pictures, means of boxes of large ones, so that nothing aliases: at most `SIDE` across and down.
fn fitted(data: &Array2<u8>) -> Array2<u8> {
    let (height, width) = data.dim();
    let longest = height.max(width).max(1);
    if longest <= SIDE {
        let times = SIDE / longest;
        return Array2::from_shape_fn((height * times, width * times), |(y, x)| data[(y / times, x / times)]);
    }
    let scale = SIDE as f64 / longest as f64;
    let size = |n: usize| ((n as f64 * scale) as usize).max(1);
    let (rows, cols) = (size(height), size(width));
    let ends =
        |i: usize, small: usize, large: usize| i * large / small..((i + 1) * large / small).max(i * large / small + 1);
    Array2::from_shape_fn((rows, cols), |(y, x)| {
        let part = data.slice(s![ends(y, rows, height), ends(x, cols, width)]);
        let sum: u64 = part.iter().map(|v| u64::from(*v)).sum();
        (sum / part.len().max(1) as u64) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_of_any_size_have_their_place() {
        for (count, size) in [(1, 1), (2, 96), (6, 33), (7, 1000)] {
            let slice = Array2::from_elem((size, size + 1), 1.0);
            let picture = Look { caption: "001 row 2, axis 47.50 px".into(), slice };
            let page = sheet(&vec![picture; count]);
            assert!(
                page.nrows() > CAPTION && page.ncols() > 8 * 24 && page.iter().any(|v| *v == 0),
                "{count} of {size}"
            );
        }
    }
}
