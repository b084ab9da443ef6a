//! The Gaussians of ct-rec: rec_gf and si_gf on volumes, gf_sd, gf_fd and tif_mgf on single images.

use super::Call;
use super::slicewise::{context, headers, numbered, of_one_size, output_file, output_folder};
use super::volume::redescribed;
use crate::terminal::progress;
use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;
use std::collections::VecDeque;
use std::path::Path;
use wagiri::io::{GreyTags, SampleType, read_image, write_image};
use wagiri::post::periodic::{PeriodicGaussian, across};
use wagiri::post::single::{gaussian_constant, gaussian_periodic, median_gaussian};
use wagiri::{Context, Error, Progress, Result};

/// Widest window of slices that is summed up for each slice; more are faster transformed together, in memory.
const WIDEST: usize = 65;

/// A volume that is smoothed slice by slice.
pub struct Volume<'a> {
    pub slices: usize,
    /// Height and width.
    pub size: [usize; 2],
    pub radius_px: f64,
    pub read: &'a (dyn Fn(usize) -> Result<Array2<f32>> + Sync),
    pub write: &'a (dyn Fn(usize, ArrayView2<f32>) -> Result<()> + Sync),
}

/// See [`PeriodicGaussian`]; along z the same holds, slices of zeros up to the next power of two.
pub fn smooth(call: &Call, context: &Context, volume: &Volume) -> Result<()> {
    let [height, width] = volume.size;
    let along = |len: usize| PeriodicGaussian::new(len, volume.radius_px);
    let (x, y, z) = (along(width), along(height), along(volume.slices));
    let within = |i: usize| {
        let mut slice = (volume.read)(i)?;
        x.smooth(slice.view_mut());
        y.smooth(slice.view_mut().reversed_axes());
        Ok(slice)
    };
    let window = 2 * z.reach() + 1;
    let (whole, threads) = (window > WIDEST.min(volume.slices), context.threads());
    let (slice, held) = (4 * (height * width) as u64, if whole { volume.slices } else { window + threads });
    // Each thread reads one and writes another, and transforms 16 lines in f64.
    let bytes = slice * (held + 2 * threads) as u64 + (threads * 128 * height.max(width)) as u64;
    if bytes > context.memory_bytes() {
        let sigma = volume.radius_px / 2f64.sqrt();
        let message = format!(
            "for this radius {held} slices must be in memory at a time, which the budget does not hold; filter.gaussian \
             sigma_px={sigma:.4} sigma_z_px={sigma:.4} needs few"
        );
        return Err(Error::limit(&call.name, message).with("bytes", bytes).with("budget", context.memory_bytes()));
    }
    let mut progress = progress(&call.name);
    match whole {
        true => in_memory(context, volume, &z, &within, &mut progress)?,
        false => by_window(context, volume, &z, &within, &mut progress)?,
    }
    progress.report(volume.slices, volume.slices, 1.0)
}

type Within<'a> = &'a (dyn Fn(usize) -> Result<Array2<f32>> + Sync);

fn in_memory(
    context: &Context,
    volume: &Volume,
    z: &PeriodicGaussian,
    within: Within,
    progress: &mut Progress,
) -> Result<()> {
    let ([height, width], slices) = (volume.size, volume.slices);
    let (pool, threads) = (context.pool(), context.threads());
    let mut all = Array3::<f32>::zeros([slices, height, width]);
    let mut places: Vec<(usize, ArrayViewMut2<f32>)> = all.outer_iter_mut().enumerate().collect();
    for places in places.chunks_mut(threads) {
        progress.report(0, slices, 0.5 * places[0].0 as f64 / slices as f64)?;
        let read = |(i, out): &mut (usize, ArrayViewMut2<f32>)| within(*i).map(|slice| out.assign(&slice));
        pool.install(|| places.par_iter_mut().try_for_each(read))?;
    }
    let mut lines: Vec<ArrayViewMut2<f32>> = all.axis_iter_mut(Axis(1)).collect();
    for (i, lines) in lines.chunks_mut(threads).enumerate() {
        progress.report(0, slices, 0.5 + 0.25 * (i * threads) as f64 / height as f64)?;
        pool.install(|| lines.par_iter_mut().for_each(|line| z.smooth(line.view_mut().reversed_axes())));
    }
    for first in (0..slices).step_by(threads) {
        progress.report(first, slices, 0.75 + 0.25 * first as f64 / slices as f64)?;
        let some = first..(first + threads).min(slices);
        pool.install(|| some.into_par_iter().try_for_each(|i| (volume.write)(i, all.index_axis(Axis(0), i))))?;
    }
    Ok(())
}

fn by_window(
    context: &Context,
    volume: &Volume,
    z: &PeriodicGaussian,
    within: Within,
    progress: &mut Progress,
) -> Result<()> {
    let ([height, width], slices) = (volume.size, volume.slices);
    let (pool, threads, reach, period) = (context.pool(), context.threads(), z.reach(), z.period());
    let kernel = z.weights();
    let weights: Vec<f64> = (0..=2 * reach).map(|i| kernel[i.abs_diff(reach)]).collect();
    // Slice `v - reach`, or the one that lies there when the period repeats; zeros fill it up.
    let place = |v: usize| Some((v + period - reach) % period).filter(|i| *i < slices);
    let mut window: VecDeque<Option<Array2<f32>>> = VecDeque::new();
    for first in (0..slices).step_by(threads) {
        progress.report(first, slices, first as f64 / slices as f64)?;
        let end = (first + threads).min(slices);
        // The window begins at the first slice that `first` needs.
        let next = first + window.len();
        let read = |v: usize| place(v).map(within).transpose();
        let more: Result<Vec<_>> = pool.install(|| (next..end + 2 * reach).into_par_iter().map(read).collect());
        window.extend(more?);
        let views: Vec<Option<ArrayView2<f32>>> = window.iter().map(|s| s.as_ref().map(|s| s.view())).collect();
        let one = |i: usize| {
            let mut out = Array2::zeros([height, width]);
            let views = &views[i - first..][..=2 * reach];
            out.outer_iter_mut().enumerate().for_each(|(y, line)| across(views, &weights, y, line));
            (volume.write)(i, out.view())
        };
        pool.install(|| (first..end).into_par_iter().try_for_each(one))?;
        drop(views);
        window.drain(..end - first);
    }
    Ok(())
}

/// Argument `index` as a radius.
pub fn radius(call: &Call, index: usize) -> Result<f64> {
    let value = call.number("radius", index)?;
    if (0.0..=1e4).contains(&value) {
        return Ok(value);
    }
    Err(Error::invalid(&call.name, "radius: expected 0 to 10000 pixels").with("radius", value))
}

pub fn rec_gf(call: &Call) -> Result<()> {
    let a = &call.args;
    if a.len() != 3 {
        return Err(call.usage());
    }
    let radius_px = radius(call, 1)?;
    let context = context()?;
    let headers = headers(&context, numbered(Path::new(&a[0]))?)?;
    let size = of_one_size(&headers)?;
    let out = output_folder(&a[2], &[Path::new(&a[0])])?;
    let read = |i: usize| read_image(&headers[i].path).map(|image| image.pixels);
    let write = |i: usize, pixels: ArrayView2<f32>| {
        let text = redescribed(&headers[i], pixels);
        let pixel_um = headers[i].fields().map(|f| f.number(0));
        let tags = GreyTags { description: text.as_deref(), artist: "rec_gf", pixel_um };
        write_image(&out.join(format!("rec{:05}.tif", headers[i].number)), pixels, SampleType::F32, &tags)
    };
    smooth(call, &context, &Volume { slices: headers.len(), size, radius_px, read: &read, write: &write })?;
    call.log_command(Path::new("."), "");
    Ok(())
}

/// `in.tif radius {bias} out.tif`: gf_sd and gf_fd.
pub fn single_gaussian(call: &Call) -> Result<()> {
    let a = &call.args;
    if ![3, 4].contains(&a.len()) {
        return Err(call.usage());
    }
    let (input, radius_px) = (Path::new(&a[0]), radius(call, 1)?);
    let bias = if a.len() == 4 { call.number("bias", 2)? } else { 0.0 };
    let out = output_file(&a[a.len() - 1], input)?;
    let image = read_image(input)?;
    let bits = if image.sample == SampleType::U8 { 8 } else { 16 };
    let pixels = match call.program.stem {
        "gf_sd" => {
            if radius_px > 0.0 && radius_px < 1.0 {
                call.remark(
                    "ct-rec's kernel of this radius does not sum up to 1 and changes the grey level; ours does",
                );
            }
            gaussian_constant(image.pixels.view(), radius_px, bits, bias)
        }
        _ => gaussian_periodic(image.pixels.view(), radius_px, bias),
    };
    let tags = GreyTags { artist: &call.name, ..GreyTags::default() };
    write_image(out, pixels.view(), image.sample, &tags)?;
    call.log_command(Path::new("."), "");
    Ok(())
}

/// `in.tif out.tif {k {sigma}}`: tif_mgf.
pub fn tif_mgf(call: &Call) -> Result<()> {
    let a = &call.args;
    if !(2..=4).contains(&a.len()) {
        return Err(call.usage());
    }
    let median = if a.len() > 2 { call.whole("k", 2, 0)? } else { 1 };
    let sigma = if a.len() > 3 { call.number("sigma", 3)? } else { 0.5 };
    if median > 25 || !(0.0..=100.0).contains(&sigma) {
        let accepted = "expected a median of 0 to 25 pixels and a sigma of 0 to 100";
        return Err(Error::invalid(&call.name, accepted).with("k", median).with("sigma", sigma));
    }
    let out = output_file(&a[1], Path::new(&a[0]))?;
    let image = read_image(Path::new(&a[0]))?;
    let pixels = median_gaussian(image.pixels.view(), 2 * (median as usize / 2) + 1, sigma);
    let artist = if call.gpu { "tif_mgf_g_libtiff" } else { "tif_mgf2_libtiff" };
    let tags = GreyTags { artist, description: image.description.as_deref(), pixel_um: None };
    write_image(out, pixels.view(), image.sample, &tags)?;
    call.log_command(Path::new("."), &format!("\t   % median {median}  sigma {sigma}"));
    Ok(())
}
