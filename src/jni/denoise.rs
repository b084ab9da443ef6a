//! `org.wagiri.N2i`.

use super::callback::with_progress;
use super::chain::chain;
use super::context::context;
use super::scan::scan;
use super::throw::{Failure, Result, take_pending};
use super::{convert, handles, native};
use crate::chain::n2i::{self, SplitOptions, TrainJob, TrainSummary, Work};
use crate::denoise::{Decay, Ended, EpochLoss, Norm, Subsets, TrainOptions, TrainReport};
use crate::error::Error;
use jni::objects::{JDoubleArray, JObject, JObjectArray, JString, JValue};
use jni::sys::{jboolean, jdouble, jint, jlong};
use jni::{Env, jni_sig, jni_str};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::RwLock;

native!(Java_org_wagiri_Native_n2iSplit, |env,
                                          ctx: jlong,
                                          scan_id: jlong,
                                          id: jlong,
                                          work: JString<'l>,
                                          subsets: jint,
                                          first_row: jint,
                                          end_row: jint,
                                          resume: jboolean,
                                          listener: JObject<'l>|
 -> JObject<'l> {
    let (ctx, open, chain) = (context(ctx)?, scan(scan_id)?, chain(id)?);
    let work = convert::required(env, &work, "work")?;
    let options = SplitOptions {
        subsets: convert::index(subsets, "subsets")?,
        rows: convert::range(first_row, end_row, "rows")?,
        resume,
    };
    let work = with_progress(env, &listener, |progress| {
        n2i::split(&ctx, &chain, &open.scan, Path::new(&work), &options, progress)
    })?;
    work_info(env, &work)
});

native!(Java_org_wagiri_Native_n2iWork, |env, work: JString<'l>| -> JObject<'l> {
    let work = convert::required(env, &work, "work")?;
    work_info(env, &Work::open(Path::new(&work))?)
});

fn work_info<'l>(env: &mut Env<'l>, work: &Work) -> Result<JObject<'l>> {
    let class = env.find_class(jni_str!("org/wagiri/WorkInfo"))?;
    let [slices, height, width] = work.shape().map(|n| JValue::Int(n as i32));
    let args = [JValue::Int(work.count() as i32), slices, height, width];
    Ok(env.new_object(class, jni_sig!("(IIII)V"), &args)?)
}

native!(Java_org_wagiri_Native_n2iChain, |env, id: jlong, model: JString<'l>| -> jlong {
    let model = convert::required(env, &model, "model")?;
    Ok(handles::put(RwLock::new(n2i::apply_chain(&chain(id)?, Path::new(&model))?)))
});

native!(Java_org_wagiri_Native_n2iModel, |env, path: JString<'l>| -> JObject<'l> {
    let path = convert::required(env, &path, "model")?;
    let model = n2i::read_model(Path::new(&path))?;
    let (names, values): (Vec<&String>, Vec<&String>) = model.about.iter().unzip();
    let (names, values) = (convert::strings(env, &names)?, convert::strings(env, &values)?);
    let norm = env.new_string(model.architecture.norm.name())?;
    let class = env.find_class(jni_str!("org/wagiri/ModelInfo"))?;
    let args = [
        JValue::Int(model.subsets as i32),
        JValue::Int(model.architecture.channels as i32),
        JValue::Int(model.architecture.base_width as i32),
        JValue::Int(model.architecture.depth as i32),
        JValue::Object(&norm),
        JValue::Long(model.parameters.len() as i64),
        JValue::Double(model.scaling.mean),
        JValue::Double(model.scaling.spread),
        JValue::Object(&names),
        JValue::Object(&values),
    ];
    let signature = jni_sig!("(IIIILjava/lang/String;JDD[Ljava/lang/String;[Ljava/lang/String;)V");
    Ok(env.new_object(class, signature, &args)?)
});

native!(Java_org_wagiri_Native_n2iCheck, |env,
                                          words: JObjectArray<'l, JString<'l>>,
                                          counts: JDoubleArray<'l>,
                                          seed: jlong|
 -> () { job(env, &words, &counts, seed).map(|_| ()) });

native!(Java_org_wagiri_Native_n2iTrain, |env,
                                          ctx: jlong,
                                          work: JString<'l>,
                                          model: JString<'l>,
                                          words: JObjectArray<'l, JString<'l>>,
                                          counts: JDoubleArray<'l>,
                                          seed: jlong,
                                          resume: jboolean,
                                          listener: JObject<'l>|
 -> JObject<'l> {
    let ctx = context(ctx)?;
    let job = TrainJob { resume, ..job(env, &words, &counts, seed)? };
    let work = Work::open(Path::new(&convert::required(env, &work, "work")?))?;
    let model = convert::required(env, &model, "model")?;
    let done = watched(env, &listener, |watch| n2i::train(&ctx, &work, Path::new(&model), &job, watch))?;
    summary(env, &done)
});

/// What `org.wagiri.TrainOptions` says: preset, device, norm and decay as words, the last two may be null.
fn job(env: &mut Env, words: &JObjectArray<JString>, numbers: &JDoubleArray, seed: jlong) -> Result<TrainJob> {
    let mut word = |index: usize| -> Result<Option<String>> {
        let word = words.get_element(env, index)?;
        convert::text(env, &word)
    };
    let mut options = TrainOptions::preset(&word(0)?.unwrap_or_default())?;
    let device = word(1)?.unwrap_or_default().parse()?;
    if let Some(norm) = word(2)? {
        options.architecture.norm = norm.parse::<Norm>()?;
    }
    if let Some(decay) = word(3)? {
        options.decay = decay.parse::<Decay>()?;
    }
    set_numbers(&mut options, &convert::double_values(env, numbers, "numbers")?)?;
    if seed >= 0 {
        options.seed = seed as u64;
    }
    options.check()?;
    Ok(TrainJob { options, resume: false, device })
}

/// The numbers of `org.wagiri.TrainOptions` in their order there; NaN is that of the preset.
fn set_numbers(options: &mut TrainOptions, numbers: &[jdouble]) -> crate::Result<()> {
    let shape = &mut options.architecture;
    let counts = [
        ("channels", &mut shape.channels),
        ("baseWidth", &mut shape.base_width),
        ("depth", &mut shape.depth),
        ("patchPx", &mut options.patch_px),
        ("batch", &mut options.batch),
        ("slicesPerEpoch", &mut options.slices_per_epoch),
        ("epochs", &mut options.epochs),
        ("warmupSteps", &mut options.warmup_steps),
        ("heldOut", &mut options.held_out),
        ("patience", &mut options.patience),
    ];
    let reals = [&mut options.learning_rate, &mut options.clip_norm, &mut options.average, &mut options.checkpoint_s];
    if numbers.len() != counts.len() + reals.len() {
        return Err(Error::invalid("numbers", "expected one for each option").with("count", numbers.len()));
    }
    let (whole, real) = numbers.split_at(counts.len());
    for ((name, field), &value) in counts.into_iter().zip(whole) {
        if value < 0.0 {
            return Err(Error::invalid(name, "expected a whole number of at least 0").with("value", value));
        }
        if !value.is_nan() {
            *field = value as usize;
        }
    }
    for (field, &value) in reals.into_iter().zip(real) {
        if !value.is_nan() {
            *field = value;
        }
    }
    Ok(())
}

/// Runs `work`, which reports to `listener`, which may be null. What the listener throws stops the training, which is saved,
/// and comes out then.
fn watched<'l>(
    env: &mut Env<'l>,
    listener: &JObject<'l>,
    work: impl FnOnce(&mut dyn FnMut(&TrainReport) -> ControlFlow<()>) -> crate::Result<TrainSummary>,
) -> Result<TrainSummary> {
    let mut failure: Option<Failure> = None;
    let result = work(&mut |report| match tell(env, listener, report) {
        Ok(true) => ControlFlow::Continue(()),
        Ok(false) => ControlFlow::Break(()),
        Err(f) => {
            failure = Some(f);
            ControlFlow::Break(())
        }
    });
    match failure {
        Some(failure) => Err(failure),
        None => Ok(result?),
    }
}

fn tell(env: &mut Env, listener: &JObject, report: &TrainReport) -> Result<bool> {
    if listener.is_null() {
        return Ok(true);
    }
    // A frame, for a long training makes more objects than the JVM keeps references for.
    env.with_local_frame(8, |env| -> Result<bool> {
        let history = losses(env, report.history)?;
        let class = env.find_class(jni_str!("org/wagiri/TrainProgress"))?;
        let args = [
            JValue::Int(report.epoch as i32),
            JValue::Int(report.epochs as i32),
            JValue::Long(report.step as i64),
            JValue::Long(report.steps as i64),
            JValue::Double(report.loss),
            JValue::Double(report.learning_rate),
            JValue::Bool(report.epoch_done),
            JValue::Double(report.elapsed.as_secs_f64()),
            JValue::Double(report.eta.map_or(f64::NAN, |eta| eta.as_secs_f64())),
            JValue::Object(&history),
        ];
        let figures = env.new_object(class, jni_sig!("(IIJJDDZDD[D)V"), &args)?;
        let answer = env
            .call_method(
                listener,
                jni_str!("step"),
                jni_sig!("(Lorg/wagiri/TrainProgress;)Z"),
                &[JValue::Object(&figures)],
            )
            .map_err(|e| take_pending(env, e))?;
        Ok(answer.z()?)
    })
}

/// Six numbers for each epoch, one epoch after the other.
fn losses<'l>(env: &mut Env<'l>, history: &[EpochLoss]) -> Result<JDoubleArray<'l>> {
    let row = |e: &EpochLoss| {
        [e.epoch as f64, e.steps as f64, e.training, e.validation, e.learning_rate, e.seconds].into_iter()
    };
    let numbers: Vec<f64> = history.iter().flat_map(row).collect();
    convert::doubles(env, &numbers)
}

fn summary<'l>(env: &mut Env<'l>, done: &TrainSummary) -> Result<JObject<'l>> {
    let (ended, reason) = match &done.ended {
        Ended::Finished => ("FINISHED", ""),
        Ended::NoBetter => ("NO_BETTER", ""),
        Ended::Stopped => ("STOPPED", ""),
        Ended::Diverged(reason) => ("DIVERGED", reason.as_str()),
    };
    let (ended, reason) = (env.new_string(ended)?, env.new_string(reason)?);
    let device = env.new_string(&done.device)?;
    let history = losses(env, &done.history)?;
    let remarks = convert::strings(env, &done.remarks)?;
    let class = env.find_class(jni_str!("org/wagiri/TrainSummary"))?;
    let args = [
        JValue::Object(&ended),
        JValue::Object(&reason),
        JValue::Object(&device),
        JValue::Object(&history),
        JValue::Object(&remarks),
    ];
    let signature = jni_sig!("(Ljava/lang/String;Ljava/lang/String;Ljava/lang/String;[D[Ljava/lang/String;)V");
    Ok(env.new_object(class, signature, &args)?)
}
