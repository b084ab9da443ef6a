//! Progress listeners and slice consumers, called on the thread that made the native call.

use super::convert;
use super::throw::{Failure, Result, take_pending};
use crate::error::Error;
use crate::io::SliceSink;
use crate::progress::{Progress, Report};
use jni::objects::{JFloatArray, JObject, JValue};
use jni::{Env, jni_sig, jni_str};
use ndarray::{Array2, Array3, ArrayView2};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Runs `work` with a [`Progress`] that reports to `listener`, which may be null.
pub fn with_progress<'l, T>(
    env: &mut Env<'l>,
    listener: &JObject<'l>,
    work: impl FnOnce(&mut Progress) -> crate::Result<T>,
) -> Result<T> {
    run(env, |env, report| tell(env, listener, report), work)
}

/// Like [`with_progress`], and hands the slices that come out of `work` to `consumer`.
///
/// A chain writes slices on a thread of its own, which the JVM does not know. They wait in a queue for the next report,
/// which comes several times a second, so the consumer too is called on the caller's thread.
pub fn with_slices<'l, T>(
    env: &mut Env<'l>,
    consumer: &JObject<'l>,
    listener: &JObject<'l>,
    work: impl FnOnce(&mut dyn SliceSink, &mut Progress) -> crate::Result<T>,
) -> Result<T> {
    let (sender, slices) = channel();
    let on_report = |env: &mut Env<'l>, report: &Report| {
        hand_over(env, consumer, &slices)?;
        tell(env, listener, report)
    };
    let result = run(env, on_report, |progress| work(&mut Queue(sender), progress));
    match result {
        Err(Failure::Thrown(exception)) => Err(Failure::Thrown(exception)),
        // Also after an error: finished slices are the consumer's.
        other => {
            hand_over(env, consumer, &slices)?;
            other
        }
    }
}

fn run<'l, T>(
    env: &mut Env<'l>,
    mut on_report: impl FnMut(&mut Env<'l>, &Report) -> Result<bool>,
    work: impl FnOnce(&mut Progress) -> crate::Result<T>,
) -> Result<T> {
    let mut failure = None;
    let result = {
        let mut progress = Progress::new(|report| {
            // A listener that threw is not asked again.
            let go_on = failure.is_none()
                && on_report(env, report).unwrap_or_else(|f| {
                    failure = Some(f);
                    false
                });
            if go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        work(&mut progress)
    };
    match failure {
        Some(failure) => Err(failure),
        None => Ok(result?),
    }
}

fn tell(env: &mut Env, listener: &JObject, report: &Report) -> Result<bool> {
    if listener.is_null() {
        return Ok(true);
    }
    // A frame, for a long run makes more objects than the JVM keeps references for.
    env.with_local_frame(16 + report.times.len(), |env| -> Result<bool> {
        let ids: Vec<String> = report.times.iter().map(|t| t.id.to_owned()).collect();
        let ids = convert::strings(env, &ids)?;
        let seconds: Vec<f64> = report.times.iter().map(|t| t.time.as_secs_f64()).collect();
        let seconds = convert::doubles(env, &seconds)?;
        let class = env.find_class(jni_str!("org/wagiri/ProgressReport"))?;
        let args = [
            JValue::Long(report.done as i64),
            JValue::Long(report.total as i64),
            JValue::Double(report.fraction),
            JValue::Double(report.elapsed.as_secs_f64()),
            JValue::Double(report.eta.map_or(f64::NAN, |eta| eta.as_secs_f64())),
            JValue::Double(report.rate),
            JValue::Object(&ids),
            JValue::Object(&seconds),
        ];
        let figures = env.new_object(class, jni_sig!("(JJDDDD[Ljava/lang/String;[D)V"), &args)?;
        let answer = env
            .call_method(
                listener,
                jni_str!("report"),
                jni_sig!("(Lorg/wagiri/ProgressReport;)Z"),
                &[JValue::Object(&figures)],
            )
            .map_err(|e| take_pending(env, e))?;
        Ok(answer.z()?)
    })
}

fn hand_over(env: &mut Env, consumer: &JObject, slices: &Receiver<(usize, Array2<f32>)>) -> Result<()> {
    for (z, slice) in slices.try_iter() {
        env.with_local_frame(8, |env| -> Result<()> {
            let (height, width) = slice.dim();
            let pixels = convert::floats(env, slice.as_standard_layout().as_slice().unwrap_or(&[]))?;
            let args =
                [JValue::Int(z as i32), JValue::Object(&pixels), JValue::Int(width as i32), JValue::Int(height as i32)];
            env.call_method(consumer, jni_str!("slice"), jni_sig!("(I[FII)V"), &args)
                .map_err(|e| take_pending(env, e))?;
            Ok(())
        })?;
    }
    Ok(())
}

/// Asks `supplier` for each slice `[height, width]` in turn. The memory is taken at once, so that a volume that is too
/// large is refused before anything is read.
pub fn slices(env: &mut Env, supplier: &JObject, (depth, height, width): (usize, usize, usize)) -> Result<Array3<f32>> {
    let mut voxels = Vec::new();
    let slice = height.saturating_mul(width);
    if slice == 0 || voxels.try_reserve_exact(slice.saturating_mul(depth)).is_err() {
        let message = "no memory for it: expected a volume with voxels that fits into memory";
        let shape = format!("{depth} x {height} x {width}");
        return Err(Error::limit("slices", message).with("shape", shape).into());
    }
    for z in 0..depth {
        env.with_local_frame(8, |env| -> Result<()> {
            let pixels = env
                .call_method(supplier, jni_str!("slice"), jni_sig!("(I)[F"), &[JValue::Int(z as i32)])
                .map_err(|e| take_pending(env, e))?
                .l()?;
            let pixels = env.cast_local::<JFloatArray>(pixels)?;
            let len = if pixels.is_null() { 0 } else { pixels.len(env)? };
            if len != slice {
                let message = format!("slice {z}: expected {width} x {height} = {slice} values");
                return Err(Error::invalid("slices", message).with("values", len).into());
            }
            let start = voxels.len();
            voxels.resize(start + slice, 0.0f32);
            Ok(pixels.get_region(env, 0, &mut voxels[start..])?)
        })?;
    }
    let shape = |e| Error::internal("slices", "the shape does not fit the voxels").caused_by(e);
    Ok(Array3::from_shape_vec((depth, height, width), voxels).map_err(shape)?)
}

struct Queue(Sender<(usize, Array2<f32>)>);

impl SliceSink for Queue {
    fn write(&mut self, z: usize, slice: ArrayView2<f32>) -> crate::Result<()> {
        self.0.send((z, slice.to_owned())).map_err(|_| Error::cancelled("slices"))
    }
}
