//! `org.wagiri.Scan`.

use super::callback::{self, with_progress};
use super::context::context;
use super::{convert, handles, native};
use crate::chain::read::{read_references, read_sinograms};
use crate::chain::{AxisOptions, find_axis};
use crate::error::{Error, Result};
use crate::preprocess::{NormaliseOptions, flat_weights, normalise_row};
use crate::progress::Progress;
use crate::scan::{Frame, MemoryRows, MemorySource, Scan, ScanOptions};
use crate::slab::{Domain, References};
use jni::objects::{JDoubleArray, JFloatArray, JObject, JString, JValue};
use jni::sys::{jboolean, jdouble, jint, jlong};
use jni::{Env, jni_sig, jni_str};
use ndarray::{Array2, Array3, Axis, s};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// A scan, and what looking at normalised frames found out about it.
pub struct OpenScan {
    pub scan: Scan,
    /// For sinograms, see [`read_sinograms`].
    black_views: OnceLock<Arc<[bool]>>,
    /// For projections, which need the whole frame of every direct-beam image: one set per scan, until it is closed.
    references: OnceLock<References>,
}

/// The scan `id`.
pub fn scan(id: jlong) -> Result<Arc<OpenScan>> {
    handles::get(id, "Scan")
}

impl OpenScan {
    pub fn new(scan: Scan) -> Self {
        OpenScan { scan, black_views: OnceLock::new(), references: OnceLock::new() }
    }

    /// References of the whole detector, read once.
    fn references(&self) -> Result<&References> {
        if let Some(references) = self.references.get() {
            return Ok(references);
        }
        if self.scan.info().domain != Domain::Counts {
            return Err(Error::unsupported("scan", "only raw projections are normalised"));
        }
        // A view that is looked at by itself has no others to be replaced from.
        let shape = self.scan.shape();
        let references = read_references(&self.scan, 0..shape.rows, &vec![false; shape.views].into())?;
        Ok(self.references.get_or_init(|| references))
    }

    /// Absorbance `[row, 1, col]` of one view; black ones are left as they are.
    fn normalised_view(&self, view: usize) -> Result<Array3<f32>> {
        let shape = self.scan.shape();
        let references = self.references()?;
        let mut image = Array3::zeros((shape.rows, 1, shape.cols));
        self.scan.source().read_rows(Frame::View(view), 0..shape.rows, image.slice_mut(s![.., 0, ..]))?;
        let weights = flat_weights(&references.view_time[view..=view], &references.flat_time);
        let options = NormaliseOptions::default();
        for (z, row) in image.outer_iter_mut().enumerate() {
            let flats = references.flats.index_axis(Axis(1), z);
            normalise_row(row, references.dark.row(z), flats, &weights, &[false], &options, z)?;
        }
        Ok(image)
    }
}

fn row_index(scan: &Scan, row: usize) -> Result<usize> {
    let rows = scan.shape().rows;
    if row < rows {
        return Ok(row);
    }
    Err(Error::invalid("row", format!("the detector has rows 0 to {}", rows - 1)).with("row", row))
}

fn view_index(scan: &Scan, view: usize) -> Result<usize> {
    let views = scan.shape().views;
    if view < views {
        return Ok(view);
    }
    Err(Error::invalid("view", format!("the scan has views 0 to {}", views - 1)).with("view", view))
}

fn check_length(actual: usize, needed: usize) -> Result<()> {
    if actual == needed {
        return Ok(());
    }
    Err(Error::invalid("out", "the array has the wrong length").with("length", actual).with("needed", needed))
}

/// What `org.wagiri.ScanOptions` holds: format, dark, flat, angles, dataset; views.
pub fn scan_options(env: &mut Env, texts: [&JString; 5], views: (jint, jint)) -> super::throw::Result<ScanOptions> {
    let [format, dark, flat, angles, dataset] = texts;
    Ok(ScanOptions {
        format: convert::text(env, format)?,
        dark: convert::text(env, dark)?,
        flat: convert::text(env, flat)?,
        angles: convert::text(env, angles)?,
        dataset: convert::text(env, dataset)?,
        views: convert::range(views.0, views.1, "views")?,
        // In a chain: raw part=K/N.
        part: None,
    })
}

native!(Java_org_wagiri_Native_scanOpen, |env,
                                          path: JString<'l>,
                                          format: JString<'l>,
                                          dark: JString<'l>,
                                          flat: JString<'l>,
                                          angles: JString<'l>,
                                          dataset: JString<'l>,
                                          first_view: jint,
                                          end_view: jint|
 -> jlong {
    let path = convert::required(env, &path, "path")?;
    let options = scan_options(env, [&format, &dark, &flat, &angles, &dataset], (first_view, end_view))?;
    Ok(handles::put(OpenScan::new(crate::io::open(Path::new(&path), &options)?)))
});

native!(Java_org_wagiri_Native_scanFromArrays, |env,
                                                views: JFloatArray<'l>,
                                                flats: JFloatArray<'l>,
                                                dark: JFloatArray<'l>,
                                                cols: jint,
                                                angles: JDoubleArray<'l>,
                                                pixel_um: jdouble|
 -> jlong {
    let views = convert::float_values(env, &views, "views")?;
    let flats = convert::float_values(env, &flats, "flats")?;
    let dark = convert::float_values(env, &dark, "dark")?;
    let angles = convert::double_values(env, &angles, "angles")?;
    let cols = convert::index(cols, "cols")?.max(1);
    let rows = dark.len() / cols;
    let wrong = |e| Error::invalid("scan", "the arrays must hold whole frames of rows x cols values").caused_by(e);
    let frames = |values: Vec<f32>| {
        let count = values.len() / (rows * cols).max(1);
        Array3::from_shape_vec((count, rows, cols), values).map_err(wrong)
    };
    let dark = Array2::from_shape_vec((rows, cols), dark).map_err(wrong)?;
    let source = MemorySource::new(frames(views)?, frames(flats)?, dark)?;
    let scan = source.into_scan(angles, (!pixel_um.is_nan()).then_some(pixel_um))?;
    Ok(handles::put(OpenScan::new(scan)))
});

native!(Java_org_wagiri_Native_scanFromSlices, |env,
                                                supplier: JObject<'l>,
                                                volume: jboolean,
                                                rows: jint,
                                                height: jint,
                                                width: jint,
                                                angles: JDoubleArray<'l>,
                                                pixel_um: jdouble|
 -> jlong {
    let angles = convert::double_values(env, &angles, "angles")?;
    let rows = convert::index(rows, "slices")?;
    let shape = (rows, convert::index(height, "height")?, convert::index(width, "width")?);
    let data = callback::slices(env, &supplier, shape)?;
    let source = if volume { MemoryRows::volume(data) } else { MemoryRows::sinograms(data) };
    let scan = source.into_scan(angles, (!pixel_um.is_nan()).then_some(pixel_um))?;
    Ok(handles::put(OpenScan::new(scan)))
});

native!(Java_org_wagiri_Native_scanInfo, |env, id: jlong| -> JObject<'l> {
    let open = scan(id)?;
    let (shape, info) = (open.scan.shape(), open.scan.info());
    let format = env.new_string(info.format)?;
    let details = env.new_string(&info.details)?;
    let path = env.new_string(info.path.to_string_lossy())?;
    let angles = convert::doubles(env, &info.angles_rad)?;
    let notes = convert::strings(env, &info.notes)?;
    let pixels = env.new_string(info.domain.name())?;
    let class = env.find_class(jni_str!("org/wagiri/ScanInfo"))?;
    let args = [
        JValue::Object(&format),
        JValue::Object(&details),
        JValue::Object(&path),
        JValue::Int(shape.views as i32),
        JValue::Int(shape.rows as i32),
        JValue::Int(shape.cols as i32),
        JValue::Int(shape.flats as i32),
        JValue::Object(&angles),
        JValue::Double(info.pixel_um.unwrap_or(f64::NAN)),
        JValue::Object(&notes),
        JValue::Object(&pixels),
    ];
    let signature = jni_sig!(
        "(Ljava/lang/String;Ljava/lang/String;Ljava/lang/String;IIII[DD[Ljava/lang/String;Ljava/lang/String;)V"
    );
    Ok(env.new_object(class, signature, &args)?)
});

native!(Java_org_wagiri_Native_scanReadFrame, |env, id: jlong, kind: jint, index: jint, out: JFloatArray<'l>| -> () {
    let open = scan(id)?;
    let (shape, index) = (open.scan.shape(), convert::index(index, "index")?);
    let frame = match kind {
        0 => Frame::View(view_index(&open.scan, index)?),
        1 if index < shape.flats => Frame::Flat(index),
        1 => {
            let message = format!("the scan has direct-beam images 0 to {}", shape.flats.saturating_sub(1));
            return Err(Error::invalid("flat", message).with("flat", index).into());
        }
        _ => Frame::Dark,
    };
    let mut image = Array2::zeros((shape.rows, shape.cols));
    check_length(out.len(env)?, image.len())?;
    open.scan.source().read_rows(frame, 0..shape.rows, image.view_mut())?;
    Ok(out.set_region(env, 0, image.as_slice().unwrap_or(&[]))?)
});

native!(Java_org_wagiri_Native_scanReadSinogram, |env, id: jlong, row: jint, out: JFloatArray<'l>| -> () {
    let open = scan(id)?;
    let (shape, row) = (open.scan.shape(), row_index(&open.scan, convert::index(row, "row")?)?);
    let mut counts = Array3::zeros((1, shape.views, shape.cols));
    check_length(out.len(env)?, counts.len())?;
    open.scan.source().read_band(0..shape.views, row..row + 1, counts.view_mut())?;
    Ok(out.set_region(env, 0, counts.as_slice().unwrap_or(&[]))?)
});

native!(Java_org_wagiri_Native_scanNormalisedSinogram, |env,
                                                        ctx: jlong,
                                                        id: jlong,
                                                        row: jint,
                                                        out: JFloatArray<'l>|
 -> () {
    let (ctx, open) = (context(ctx)?, scan(id)?);
    let (shape, row) = (open.scan.shape(), row_index(&open.scan, convert::index(row, "row")?)?);
    check_length(out.len(env)?, shape.views * shape.cols)?;
    let progress = &mut Progress::silent();
    let sinogram = read_sinograms(&ctx, &open.scan, row..row + 1, &open.black_views, progress)?;
    Ok(out.set_region(env, 0, sinogram.as_slice().unwrap_or(&[]))?)
});

native!(Java_org_wagiri_Native_scanNormalisedView, |env, id: jlong, view: jint, out: JFloatArray<'l>| -> () {
    let open = scan(id)?;
    let (shape, view) = (open.scan.shape(), view_index(&open.scan, convert::index(view, "view")?)?);
    check_length(out.len(env)?, shape.rows * shape.cols)?;
    let image = open.normalised_view(view)?;
    Ok(out.set_region(env, 0, image.as_slice().unwrap_or(&[]))?)
});

native!(Java_org_wagiri_Native_scanFindAxis, |env,
                                              ctx: jlong,
                                              id: jlong,
                                              method: JString<'l>,
                                              listener: JObject<'l>|
 -> JObject<'l> {
    let (ctx, open) = (context(ctx)?, scan(id)?);
    let method = convert::required(env, &method, "method")?.parse()?;
    let options = AxisOptions { method, ..AxisOptions::default() };
    let found = with_progress(env, &listener, |progress| find_axis(&ctx, &open.scan, &options, progress))?;
    let center = env.new_string(found.center.to_string())?;
    let method = env.new_string(found.method)?;
    let class = env.find_class(jni_str!("org/wagiri/AxisResult"))?;
    let args = [
        JValue::Object(&center),
        JValue::Double(found.center.at(open.scan.shape().rows / 2)),
        JValue::Double(found.confidence),
        JValue::Object(&method),
    ];
    Ok(env.new_object(class, jni_sig!("(Ljava/lang/String;DDLjava/lang/String;)V"), &args)?)
});
