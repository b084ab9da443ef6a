//! hp2DO: the rotation axis from two opposite frames.

use super::Call;
use super::environment::context;
use super::frames::refuse_same;
use crate::terminal::say;
use ndarray::Array2;
use std::path::Path;
use wagiri::io::{RawFrames, write_frame_tiff};
use wagiri::preprocess::mirror::{MirrorRow, absorbance, fit_rows, mirror_rows};
use wagiri::{Error, Result};

/// Part of the width that is searched on either side, percent.
const SEARCH_PERCENT: f64 = 20.0;

pub fn hp2do(call: &Call) -> Result<()> {
    let args = &call.args;
    if !(6..=10).contains(&args.len()) {
        return Err(call.usage());
    }
    let mut rest: Vec<&str> = args[6..].iter().map(String::as_str).collect();
    let is_number = |text: &&str| text.trim().parse::<f64>().is_ok();
    // y1 and y2 come together; a number alone is the search.
    let lines = (rest.len() >= 2 && rest[..2].iter().all(is_number)).then(|| rest.drain(..2).collect::<Vec<_>>());
    let image = rest.first().filter(|word| !is_number(word)).map(|word| Path::new(*word));
    rest.drain(..usize::from(image.is_some()));
    let percent = match rest.as_slice() {
        [] => SEARCH_PERCENT,
        [text] => text.trim().parse().ok().filter(|p| (0.0..100.0).contains(p)).ok_or_else(|| {
            Error::invalid(&call.name, "search%: expected 0 to less than 100").with("value", format!("'{text}'"))
        })?,
        _ => return Err(call.usage()),
    };
    if let Some(image) = image {
        args[..6].iter().try_for_each(|frame| refuse_same(call, Path::new(frame), image))?;
    }
    let frames = args[..6].iter().map(|name| RawFrames::open(Path::new(name))?.read(0)).collect::<Result<Vec<_>>>()?;
    let [dark0, beam0, view0, dark1, beam1, view1] = [0, 1, 2, 3, 4, 5].map(|i| frames[i].pixels.mapv(f32::from));
    let [first, second] = [(view0, dark0, beam0), (view1, dark1, beam1)]
        .map(|(view, dark, beam)| absorbance(view.view(), dark.view(), beam.view()));
    let (first, second) = (first?, second?);
    let (rows, cols) = first.dim();
    let range = match &lines {
        None => 0..rows,
        Some(lines) => {
            let row = |text: &str| text.trim().parse::<usize>().ok().filter(|y| *y < rows);
            match (row(lines[0]), row(lines[1])) {
                (Some(y1), Some(y2)) if y1 <= y2 => y1..y2 + 1,
                _ => {
                    let accepted = format!("y1 y2: expected two rows from 0 to {}, the smaller one first", rows - 1);
                    return Err(Error::invalid(&call.name, accepted).with("rows", lines.join(" ")));
                }
            }
        }
    };
    let reach = ((cols as f64 * percent / 100.0) as usize).min(cols - 1);
    let mut curves = Array2::zeros((rows, 2 * reach + 1));
    let found = mirror_rows(context()?.pool(), first.view(), second.view(), reach, curves.view_mut())?;
    for (y, MirrorRow { center_px, rms, product }) in found.iter().enumerate() {
        say!("{y}\t{:.6}\t{rms:.6}\t{product:.6}", -center_px);
    }
    let fit = fit_rows(&found, range.clone()).ok_or_else(|| {
        Error::unsupported(&call.name, "fewer than two rows show anything, so no line can be laid through their axes")
    })?;
    let ends = if lines.is_some() { format!("\t{}\t{}", range.start, range.end - 1) } else { String::new() };
    say!("{:.9}\t{:.6}\t{:.6}{ends}", -fit.px_per_row, -fit.px, fit.sd_px);
    if let Some(path) = image {
        // Black is no difference, white the largest.
        let most = curves.iter().fold(0.0, |most: f64, v| most.max(*v));
        let map = curves.mapv(|v| (65535.0 * v / most.max(f64::MIN_POSITIVE)).round() as u16);
        write_frame_tiff(path, map.view(), &format!("0.000000\t{most:.6}"), "hp2DO")?;
    }
    Ok(())
}
