//! `org.wagiri.Ops`.

use super::callback::with_progress;
use super::context::context;
use super::{convert, native};
use crate::error::Error;
use crate::geometry::view_weights;
use crate::recon::{Engine, Fbp, FbpOptions, Filter, Interpolation};
use jni::objects::{JDoubleArray, JFloatArray, JObject, JString};
use jni::sys::{jboolean, jdouble, jint, jlong};
use ndarray::Array3;

native!(Java_org_wagiri_Native_reconstruct, |env,
                                             ctx: jlong,
                                             sinogram: JFloatArray<'l>,
                                             cols: jint,
                                             angles: JDoubleArray<'l>,
                                             center_px: jdouble,
                                             pixel_um: jdouble,
                                             filter: JString<'l>,
                                             pad: jboolean,
                                             listener: JObject<'l>|
 -> JFloatArray<'l> {
    let ctx = context(ctx)?;
    let angles = convert::double_values(env, &angles, "angles")?;
    let sinogram = convert::float_values(env, &sinogram, "sinogram")?;
    let cols = convert::index(cols, "cols")?;
    let shape = (1, angles.len(), cols);
    let sinogram = Array3::from_shape_vec(shape, sinogram).map_err(|e| {
        Error::invalid("sinogram", "the array must hold views x cols values").with("views", angles.len()).caused_by(e)
    })?;
    let filter = match convert::required(env, &filter, "filter")?.as_str() {
        "ramp" => Filter::Ramp,
        "shepp-logan" => Filter::SheppLogan,
        "chesler" => Filter::Chesler,
        other => {
            let accepted = "expected ramp, shepp-logan or chesler";
            return Err(Error::invalid("filter", accepted).with("filter", format!("'{other}'")).into());
        }
    };
    let options = FbpOptions {
        filter,
        engine: Engine::Direct,
        pad,
        tolerance: FbpOptions::DEFAULT_TOLERANCE,
        interpolation: Interpolation::Sinc,
    };
    let fbp = Fbp::new(&angles, &view_weights(&angles), cols, pixel_um, &options)?;
    let mut out = Array3::zeros((1, cols, cols));
    with_progress(env, &listener, |progress| {
        let tick = &mut |part: f64| progress.report(usize::from(part >= 1.0), 1, part);
        fbp.reconstruct(ctx.pool(), sinogram.view(), &[center_px], out.view_mut(), tick)
    })?;
    convert::floats(env, out.as_slice().unwrap_or(&[]))
});
