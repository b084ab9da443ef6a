//! `org.wagiri.Scan`.

use super::callback::with_progress;
use super::context::context;
use super::{convert, handles, native};
use crate::chain::{AxisOptions, find_axis};
use crate::error::{Error, Result};
use crate::preprocess::{NormaliseOptions, flat_weights, normalise_row};
use crate::scan::{Frame, MemorySource, Scan, ScanOptions};
use jni::objects::{JDoubleArray, JFloatArray, JObject, JString, JValue};
use jni::sys::{jdouble, jint, jlong};
use jni::{jni_sig, jni_str};
use ndarray::{Array2, Array3, Axis, s};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// A scan, and its dark and direct-beam images once somebody looks at normalised frames.
pub struct OpenScan {
    pub scan: Scan,
    references: OnceLock<(Array2<f32>, Array3<f32>)>,
}

/// The scan `id`.
pub fn scan(id: jlong) -> Result<Arc<OpenScan>> {
    handles::get(id, "Scan")
}

impl OpenScan {
    fn new(scan: Scan) -> Self {
        OpenScan { scan, references: OnceLock::new() }
    }

    /// Dark `[row, col]` and flats `[flat, row, col]` of the whole detector, read once.
    fn references(&self) -> Result<&(Array2<f32>, Array3<f32>)> {
        if let Some(references) = self.references.get() {
            return Ok(references);
        }
        let (shape, source) = (self.scan.shape(), self.scan.source());
        let mut dark = Array2::zeros((shape.rows, shape.cols));
        let mut flats = Array3::zeros((shape.flats, shape.rows, shape.cols));
        source.read_rows(Frame::Dark, 0..shape.rows, dark.view_mut())?;
        for (i, flat) in flats.outer_iter_mut().enumerate() {
            source.read_rows(Frame::Flat(i), 0..shape.rows, flat)?;
        }
        Ok(self.references.get_or_init(|| (dark, flats)))
    }

    /// Counts `[row, view, col]` of some views and all of `rows` to absorbance, for looking at: black views are shown as
    /// they are.
    fn normalise(&self, mut counts: Array3<f32>, first_row: usize, view_time: &[f64]) -> Result<Array3<f32>> {
        let (dark, flats) = self.references()?;
        let weights = flat_weights(view_time, &self.scan.info().flat_time);
        let black = vec![false; view_time.len()];
        let options = NormaliseOptions::default();
        for (i, row) in counts.outer_iter_mut().enumerate() {
            let z = first_row + i;
            let flats = flats.index_axis(Axis(1), z);
            normalise_row(row, dark.row(z), flats, &weights, &black, &options, z)?;
        }
        Ok(counts)
    }
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
    let options = ScanOptions {
        format: convert::text(env, &format)?,
        dark: convert::text(env, &dark)?,
        flat: convert::text(env, &flat)?,
        angles: convert::text(env, &angles)?,
        dataset: convert::text(env, &dataset)?,
        views: convert::range(first_view, end_view, "views")?,
    };
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

native!(Java_org_wagiri_Native_scanInfo, |env, id: jlong| -> JObject<'l> {
    let open = scan(id)?;
    let (shape, info) = (open.scan.shape(), open.scan.info());
    let format = env.new_string(info.format)?;
    let details = env.new_string(&info.details)?;
    let path = env.new_string(info.path.to_string_lossy())?;
    let angles = convert::doubles(env, &info.angles_rad)?;
    let notes = convert::strings(env, &info.notes)?;
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
    ];
    let signature = jni_sig!("(Ljava/lang/String;Ljava/lang/String;Ljava/lang/String;IIII[DD[Ljava/lang/String;)V");
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

native!(Java_org_wagiri_Native_scanReadSinogram, |env,
                                                  id: jlong,
                                                  row: jint,
                                                  normalised: jni::sys::jboolean,
                                                  out: JFloatArray<'l>|
 -> () {
    let open = scan(id)?;
    let (shape, row) = (open.scan.shape(), convert::index(row, "row")?);
    if row >= shape.rows {
        let message = format!("the detector has rows 0 to {}", shape.rows - 1);
        return Err(Error::invalid("row", message).with("row", row).into());
    }
    let mut counts = Array3::zeros((1, shape.views, shape.cols));
    check_length(out.len(env)?, counts.len())?;
    open.scan.source().read_band(0..shape.views, row..row + 1, counts.view_mut())?;
    if normalised {
        counts = open.normalise(counts, row, &open.scan.info().view_time)?;
    }
    Ok(out.set_region(env, 0, counts.as_slice().unwrap_or(&[]))?)
});

native!(Java_org_wagiri_Native_scanNormalisedView, |env, id: jlong, view: jint, out: JFloatArray<'l>| -> () {
    let open = scan(id)?;
    let (shape, view) = (open.scan.shape(), view_index(&open.scan, convert::index(view, "view")?)?);
    let mut counts = Array3::zeros((shape.rows, 1, shape.cols));
    check_length(out.len(env)?, counts.len())?;
    open.scan.source().read_rows(Frame::View(view), 0..shape.rows, counts.slice_mut(s![.., 0, ..]))?;
    let counts = open.normalise(counts, 0, &open.scan.info().view_time[view..=view])?;
    Ok(out.set_region(env, 0, counts.as_slice().unwrap_or(&[]))?)
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
