//! Programs that reconstruct from what is no longer raw: projection images, a sinogram, finished slices.

use super::Call;
use super::environment::{context, kernel_size};
use super::frames::refuse_same;
use super::recon::{axis_and_rows, chain, chain_at, chunks, of_ct_rec, print_remarks, volume, write_slice};
use crate::terminal::{progress, say, silent};
use ndarray::{Array2, Array3, Axis, s};
use std::f64::consts::PI;
use std::fs;
use std::path::Path;
use wagiri::geometry::{Center, uniform_angles};
use wagiri::io::{MemorySink, SliceMeta, open_projections, open_slices, read_description, read_image};
use wagiri::preprocess::center::rmsd;
use wagiri::scan::{CountType, Frame, MemoryRows};
use wagiri::{Context, Domain, Error, Result, Scan};

/// Slices that are projected together at most.
const TOGETHER: usize = 16;

pub fn p_rec(call: &Call) -> Result<()> {
    let fixed = match call.args.len() {
        5 => true,
        8 => false,
        _ => return Err(call.usage()),
    };
    let (images, rec) = (Path::new(&call.args[0]), Path::new(&call.args[1]));
    refuse_same(call, images, rec)?;
    let (pixel_um, turn_rad) = (call.number("Dr", 2)?, call.number("RA0", call.args.len() - 1)?);
    if !images.is_dir() {
        return Err(Error::not_found(images.display(), "no such folder"));
    }
    let scan = open_projections(&images.join("p"), Some("180"))?;
    let (center, rows) = axis_and_rows(call, fixed, 3, &scan, false)?;
    call.remark("the first projection is used, too; ct-rec puts zeros in its place");
    let chain = chain(call, center, pixel_um, turn_rad.to_degrees(), "projections |", "direct")?;
    let summary = volume(call, &chain, &context()?, &scan, rec, rows, "p_rec")?;
    call.log_command(Path::new("."), &format!("   % kernel_size {}   % bands {}", kernel_size(), chunks(&summary)));
    Ok(())
}

pub fn sf_rec(call: &Call) -> Result<()> {
    if call.args.len() != 2 && call.args.len() != 5 {
        return Err(call.usage());
    }
    let (from, to) = (Path::new(&call.args[0]), Path::new(&call.args[1]));
    refuse_same(call, from, to)?;
    let sinogram = read_image(from)?.pixels;
    let (views, cols) = sinogram.dim();
    let (pixel_um, center, turn_rad) = match call.args.len() {
        5 => (call.number("Dr", 2)?, call.number("RC", 3)?, call.number("RA0", 4)?),
        _ => {
            let [first, last] = [0, views - 1].map(|m| sinogram.row(m).to_vec());
            let found = rmsd(&first, &last);
            let found = found.ok_or_else(|| Error::format(from.display(), "a sinogram needs at least 2 columns"))?;
            call.remark(format!(
                "axis {} px from the first and the last view, which is a step short of half a turn",
                found.px
            ));
            (1.0, found.px, 0.0)
        }
    };
    let scan = MemoryRows::sinograms(sinogram.insert_axis(Axis(0)));
    let scan = scan.into_scan(uniform_angles(views, 0.0, PI), Some(pixel_um))?;
    let chain = chain(call, Center::Fixed(center), pixel_um, turn_rad.to_degrees(), "sinograms |", "reference")?;
    let mut sink = MemorySink::new(0, 1, [cols, cols]);
    let summary = chain.run_into(&context()?, &scan, &mut sink, &of_ct_rec(), &mut progress("sf_rec"))?;
    print_remarks(&summary.remarks);
    let center = Center::Fixed(center);
    let artist = "p_rec".to_owned();
    let meta = SliceMeta {
        pixel_um,
        center,
        views,
        angle_offset_rad: turn_rad,
        artist,
        names: None,
        levels: None,
        described: true,
    };
    write_slice(to, sink.volume.index_axis(Axis(0), 0), 0, &meta)?;
    say!("{}\t{}", to.display(), read_description(to)?);
    call.log_command(Path::new(".."), "");
    Ok(())
}

/// A slice to be made again.
struct Slice {
    name: String,
    image: Array2<f32>,
    meta: SliceMeta,
}

pub fn rec2rec(call: &Call) -> Result<()> {
    if !(2..=3).contains(&call.args.len()) {
        return Err(call.usage());
    }
    let (from, to) = (Path::new(&call.args[0]), Path::new(&call.args[1]));
    refuse_same(call, from, to)?;
    let views = if call.args.len() > 2 { Some(call.whole("Nt", 2, 1)? as usize) } else { None };
    let names = slices_in(from)?;
    if names.is_empty() {
        return Err(Error::not_found(from.display(), "the folder has no slice rec*.tif"));
    }
    fs::create_dir_all(to).map_err(|e| Error::io(to.display(), "make the output folder", e))?;
    let context = context()?;
    let mut progress = progress("rec2rec");
    let mut together: Vec<Slice> = Vec::new();
    for (done, name) in names.iter().enumerate() {
        progress.report(done, names.len(), done as f64 / names.len() as f64)?;
        let Some(slice) = read_slice(call, from, name, views)? else { continue };
        let fits = |one: &Slice| {
            one.image.dim() == slice.image.dim()
                && one.meta.views == slice.meta.views
                && one.meta.pixel_um == slice.meta.pixel_um
        };
        // Slices, their successors, and sinograms of both.
        let bytes = 8 * 4 * slice.image.len().max(slice.meta.views * slice.image.ncols()) as u64;
        let most = ((context.memory_bytes() / bytes) as usize).clamp(1, TOGETHER);
        if together.len() >= most || !together.first().is_none_or(fits) {
            make_again(call, &context, std::mem::take(&mut together), to)?;
        }
        together.push(slice);
    }
    make_again(call, &context, together, to)?;
    progress.report(names.len(), names.len(), 1.0)?;
    call.log_command(Path::new("."), "");
    Ok(())
}

/// Names `rec*.tif`, sorted.
fn slices_in(folder: &Path) -> Result<Vec<String>> {
    let fail = |e| Error::io(folder.display(), "list", e);
    if !folder.is_dir() {
        return Err(Error::not_found(folder.display(), "no such folder"));
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
        if name.starts_with("rec") && name.ends_with(".tif") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// `None`, after a remark, for a file that is no square slice of 32 bits.
fn read_slice(call: &Call, folder: &Path, name: &str, views: Option<usize>) -> Result<Option<Slice>> {
    let path = folder.join(name);
    let scan = match open_slices(&path, Domain::Volume, None) {
        Ok(scan) => scan,
        Err(e) => {
            call.remark(format!("{name} skipped: {e}"));
            return Ok(None);
        }
    };
    let shape = scan.shape();
    if shape.views != shape.cols || shape.rows != 1 || scan.source().count_type() != CountType::F32 {
        call.remark(format!("{name} skipped: it is no square slice of 32 bits"));
        return Ok(None);
    }
    let image = read_plane(&scan)?;
    if let Some(((y, x), _)) = image.indexed_iter().find(|(_, v)| !v.is_finite()) {
        let message = "the slice holds a value that is not a finite number; replace such values first";
        return Err(Error::format(path.display(), message).with("row", y).with("column", x));
    }
    let made = scan.info().made.as_ref();
    let views = views.or(made.map(|m| m.views).filter(|n| *n > 0)).unwrap_or(shape.cols);
    let meta = SliceMeta {
        pixel_um: scan.info().pixel_um.unwrap_or(1.0),
        center: Center::Fixed((shape.cols as f64 - 1.0) / 2.0),
        views,
        angle_offset_rad: made.map_or(0.0, |m| m.angle_offset_rad),
        artist: "rec2rec".into(),
        names: None,
        levels: None,
        described: true,
    };
    Ok(Some(Slice { name: name.to_owned(), image, meta }))
}

fn read_plane(scan: &Scan) -> Result<Array2<f32>> {
    let shape = scan.shape();
    let mut image = Array2::zeros((shape.views, shape.cols));
    for (y, mut line) in image.axis_chunks_iter_mut(Axis(0), 1).enumerate() {
        scan.source().read_rows(Frame::View(y), 0..1, line.view_mut())?;
    }
    Ok(image)
}

/// Projects slices of one size forward, and reconstructs them.
fn make_again(call: &Call, context: &Context, slices: Vec<Slice>, to: &Path) -> Result<()> {
    let Some(Slice { image, meta: SliceMeta { views, pixel_um, .. }, .. }) = slices.first() else { return Ok(()) };
    let size = image.nrows();
    let mut volume = Array3::zeros((slices.len(), size, size));
    slices.iter().enumerate().for_each(|(z, slice)| volume.slice_mut(s![z, .., ..]).assign(&slice.image));
    let scan = MemoryRows::volume(volume).into_scan(Vec::new(), Some(*pixel_um))?;
    let before = format!("volume | project views={views} pixel_um={pixel_um} |");
    let chain = chain_at(call, "auto", *pixel_um, 0.0, &before, "direct")?;
    let mut sink = MemorySink::new(0, slices.len(), [size, size]);
    chain.run_into(context, &scan, &mut sink, &of_ct_rec(), &mut silent())?;
    for (slice, image) in slices.iter().zip(sink.volume.outer_iter()) {
        let path = to.join(&slice.name);
        write_slice(&path, image, 0, &slice.meta)?;
        say!("{}\t{}", slice.name, read_description(&path)?);
    }
    Ok(())
}
