//! Text and diagrams in grey pictures.

use super::Histogram;
use font8x8::UnicodeFonts;
use ndarray::{Array2, s};

/// Height and width of a diagram, and of what surrounds it: top, bottom, left, right.
const SIZE: [usize; 2] = [720, 1200];
const AROUND: [usize; 4] = [56, 76, 120, 96];
const BLACK: u8 = 0;
const DARK: u8 = 70;
const LIGHT: u8 = 205;
const MIDDLE: u8 = 140;

/// Writes ASCII text; `size` 1 is 8 pixels for a letter. What does not fit is left out.
pub fn draw_text(page: &mut Array2<u8>, text: &str, [top, left]: [usize; 2], size: usize, grey: u8) {
    for (i, c) in text.chars().enumerate() {
        let Some(glyph) = font8x8::BASIC_FONTS.get(c) else { continue };
        for (dy, bits) in glyph.iter().enumerate() {
            for dx in (0..8).filter(|dx| bits >> dx & 1 == 1) {
                let (y, x) = (top + dy * size, left + (8 * i + dx) * size);
                (y..y + size).flat_map(|y| (x..x + size).map(move |x| (y, x))).for_each(|at| {
                    if let Some(pixel) = page.get_mut(at) {
                        *pixel = grey;
                    }
                });
            }
        }
    }
}

/// A histogram with its axes: dark bars on the linear scale at the left, light ones on the logarithmic scale at the right.
pub fn draw_histogram(histogram: &Histogram) -> Array2<u8> {
    let [height, width] = SIZE;
    let [top, bottom, left, right] = AROUND;
    let (bottom, right) = (height - bottom, width - right);
    let (tall, wide) = ((bottom - top) as f64, (right - left) as f64);
    let mut page = Array2::from_elem((height, width), 255u8);
    let counts = histogram.counts();
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    // Counts of one bin get their own place on the logarithmic scale, above none.
    let log = |n: f64| (1.0 + n).log10() / (1.0 + most).log10();
    for (i, col) in (left..right).enumerate() {
        let bin = |i: usize| (i * counts.len()).checked_div(right - left).unwrap_or(0);
        let bins = bin(i)..(bin(i + 1)).max(bin(i) + 1).min(counts.len());
        let n = counts.get(bins).and_then(|some| some.iter().max()).copied().unwrap_or(0) as f64;
        for (share, grey) in [(log(n), LIGHT), (n / most, DARK)] {
            page.slice_mut(s![bottom - (share * tall).round() as usize..bottom, col]).fill(grey);
        }
    }
    for (at, line) in [(top, false), (bottom, false), (left, true), (right, true)] {
        let mut line = if line { page.slice_mut(s![top..=bottom, at]) } else { page.slice_mut(s![at, left..=right]) };
        line.fill(BLACK);
    }
    let (low, high) = (histogram.edge(0), histogram.edge(counts.len()));
    let step = round_step((high - low) / 8.0);
    for i in (low / step).ceil() as i64..=(high / step).floor() as i64 {
        let x = left + ((i as f64 * step - low) / (high - low) * wide).round() as usize;
        page.slice_mut(s![bottom..bottom + 8, x.min(right)]).fill(BLACK);
        let text = number(i as f64 * step, step);
        draw_text(&mut page, &text, [bottom + 16, x.saturating_sub(8 * text.len())], 2, BLACK);
    }
    let step = round_step(most / 6.0).max(1.0);
    for i in 0..=(most / step).floor() as i64 {
        let y = bottom - (i as f64 * step / most * tall).round() as usize;
        page.slice_mut(s![y, left - 8..left]).fill(BLACK);
        let text = short(i as f64 * step);
        draw_text(&mut page, &text, [y.saturating_sub(8), (left - 12).saturating_sub(16 * text.len())], 2, BLACK);
    }
    for decade in 0..=most.log10().floor() as i32 {
        let y = bottom - (log(10f64.powi(decade)) * tall).round() as usize;
        page.slice_mut(s![y, right..right + 8]).fill(MIDDLE);
        draw_text(&mut page, &short(10f64.powi(decade)), [y.saturating_sub(8), right + 14], 2, MIDDLE);
    }
    let all: u64 = counts.iter().sum();
    let title = format!("{all} voxels in {} bins of {}", counts.len(), short(histogram.width()));
    draw_text(&mut page, &title, [18, left], 2, BLACK);
    draw_text(&mut page, "logarithmic", [18, right - 80], 2, MIDDLE);
    page
}

/// 1, 2 or 5 times a power of ten, at least `least`.
fn round_step(least: f64) -> f64 {
    let ten = 10f64.powi(least.max(f64::MIN_POSITIVE).log10().floor() as i32);
    [1.0, 2.0, 5.0].into_iter().map(|v| v * ten).find(|v| *v >= least).unwrap_or(10.0 * ten)
}

/// A number on an axis with such steps.
fn number(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).max(0.0);
    if value != 0.0 && (decimals > 4.0 || value.abs() >= 1e7) {
        return format!("{value:.1e}");
    }
    // No -0.
    format!("{:.*}", decimals as usize, value + 0.0)
}

/// A count or a width in few letters.
fn short(value: f64) -> String {
    match value {
        v if v == 0.0 || (1e-3..1e5).contains(&v) => format!("{}", (v * 1e6).round() / 1e6),
        v => {
            let text = format!("{v:.2e}");
            text.replace(".00e", "e").replace("0e", "e")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::post::BinWidth;
    use ndarray::Array3;

    #[test]
    fn numbers_on_axes_are_round() {
        assert_eq!([0.07, 0.1, 13.0, 600.0].map(round_step), [0.1, 0.1, 20.0, 1000.0]);
        assert_eq!(
            [number(0.30000000000000004, 0.1), number(-20.0, 20.0), number(2e-7, 1e-7)],
            ["0.3", "-20", "2.0e-7"]
        );
        assert_eq!(
            [short(0.0), short(2500.0), short(1e6), short(1.5e9), short(0.0078125)],
            ["0", "2500", "1e6", "1.5e9", "0.007813"]
        );
    }

    #[test]
    fn bars_are_as_high_as_their_counts() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("threads");
        let draw = |values: Vec<f32>| {
            let mut histogram =
                Histogram::new(BinWidth::Finest(256), f64::NEG_INFINITY, f64::INFINITY).expect("a histogram");
            let values = Array3::from_shape_vec((1, 1, values.len()), values).expect("a line");
            histogram.add(&pool, values.view(), &mut |_| Ok(())).expect("counts");
            draw_histogram(&histogram)
        };
        // 100 of one value, 50 of another one, at either end.
        let page = draw([vec![0.0; 100], vec![255.0; 50]].concat());
        let [top, bottom, left, right] = AROUND;
        let (bottom, right) = (SIZE[0] - bottom, SIZE[1] - right);
        let dark = |col: usize| (top + 1..bottom).filter(|y| page[(*y, col)] == DARK).count() as f64;
        let tall = (bottom - top) as f64;
        assert!((dark(left + 2) - tall).abs() < 3.0 && (dark(right - 2) - tall / 2.0).abs() < 3.0);
        assert_eq!(dark((left + right) / 2), 0.0);
        // One value, and none: a picture all the same.
        assert_eq!(draw(vec![1.5; 7]).dim(), (SIZE[0], SIZE[1]));
    }
}
