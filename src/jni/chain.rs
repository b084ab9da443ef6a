//! `org.wagiri.Chain`.

use super::callback::{with_progress, with_slices};
use super::context::context;
use super::scan::{OpenScan, scan, scan_options};
use super::throw::Result;
use super::{convert, handles, native};
use crate::chain::{Chain, RunOptions, RunSummary};
use jni::objects::{JObject, JString, JValue};
use jni::sys::{jboolean, jint, jlong};
use jni::{Env, jni_sig, jni_str};
use std::path::Path;
use std::sync::RwLock;

/// The chain `id` as it is now; a later change does not touch a run under way.
pub fn chain(id: jlong) -> Result<Chain> {
    let shared = handles::get::<RwLock<Chain>>(id, "Chain")?;
    let chain = shared.read().unwrap_or_else(|e| e.into_inner()).clone();
    Ok(chain)
}

fn options(first_row: jint, end_row: jint, slab_rows: jint) -> Result<RunOptions> {
    Ok(RunOptions {
        rows: convert::range(first_row, end_row, "rows")?,
        slab_rows: if slab_rows < 0 { None } else { Some(convert::index(slab_rows, "slab_rows")?) },
        ..RunOptions::default()
    })
}

native!(Java_org_wagiri_Native_chainParse, |env, ctx: jlong, text: JString<'l>| -> jlong {
    let text = convert::required(env, &text, "chain")?;
    Ok(handles::put(RwLock::new(Chain::parse(&context(ctx)?.registry(), &text)?)))
});

native!(Java_org_wagiri_Native_chainSet, |env,
                                          id: jlong,
                                          stage: JString<'l>,
                                          param: JString<'l>,
                                          value: JString<'l>|
 -> () {
    let stage = convert::required(env, &stage, "stage")?;
    let param = convert::required(env, &param, "param")?;
    let value = convert::required(env, &value, "value")?;
    let shared = handles::get::<RwLock<Chain>>(id, "Chain")?;
    let mut chain = shared.write().unwrap_or_else(|e| e.into_inner());
    Ok(chain.set(&stage, &param, &value)?)
});

native!(Java_org_wagiri_Native_chainText, |env, id: jlong| -> JString<'l> {
    Ok(env.new_string(chain(id)?.to_string())?)
});

native!(Java_org_wagiri_Native_chainToml, |env, id: jlong| -> JString<'l> {
    Ok(env.new_string(chain(id)?.to_toml())?)
});

native!(Java_org_wagiri_Native_chainInput, |env, id: jlong| -> JString<'l> {
    Ok(env.new_string(chain(id)?.input().name())?)
});

native!(Java_org_wagiri_Native_chainOutput, |env, id: jlong| -> JString<'l> {
    Ok(env.new_string(chain(id)?.output().name())?)
});

native!(Java_org_wagiri_Native_chainPath, |env, id: jlong| -> JString<'l> { path(env, chain(id)?.path()) });

native!(Java_org_wagiri_Native_chainOutDir, |env, id: jlong| -> JString<'l> { path(env, chain(id)?.out_dir()) });

native!(Java_org_wagiri_Native_chainFileName, |env, id: jlong, z: jint| -> JString<'l> {
    Ok(env.new_string(chain(id)?.file_name(convert::index(z, "z")?))?)
});

native!(Java_org_wagiri_Native_chainSlices, |_env, ctx: jlong, scan_id: jlong, id: jlong| -> jint {
    Ok(chain(id)?.slices(&*context(ctx)?, &scan(scan_id)?.scan)? as jint)
});

native!(Java_org_wagiri_Native_chainOpen, |env,
                                           id: jlong,
                                           path: JString<'l>,
                                           format: JString<'l>,
                                           dark: JString<'l>,
                                           flat: JString<'l>,
                                           angles: JString<'l>,
                                           dataset: JString<'l>,
                                           first_view: jint,
                                           end_view: jint|
 -> jlong {
    let options = scan_options(env, [&format, &dark, &flat, &angles, &dataset], (first_view, end_view))?;
    let (mut chain, path) = (chain(id)?, convert::text(env, &path)?);
    chain.locate(path.as_deref().map(Path::new), &options)?;
    Ok(handles::put(OpenScan::new(chain.open()?)))
});

/// A path as Java has it; null if there is none.
fn path<'l>(env: &mut Env<'l>, path: Option<&Path>) -> Result<JString<'l>> {
    Ok(path.map_or(Ok(JString::null()), |path| env.new_string(path.to_string_lossy()))?)
}

native!(Java_org_wagiri_Native_chainPlan, |env,
                                           ctx: jlong,
                                           scan_id: jlong,
                                           id: jlong,
                                           first_row: jint,
                                           end_row: jint,
                                           slab_rows: jint,
                                           listener: JObject<'l>|
 -> JObject<'l> {
    let (ctx, open, chain) = (context(ctx)?, scan(scan_id)?, chain(id)?);
    let options = options(first_row, end_row, slab_rows)?;
    let plan = with_progress(env, &listener, |progress| chain.plan(&ctx, &open.scan, &options, progress))?;
    let center = env.new_string(plan.center.to_string())?;
    let remarks = convert::strings(env, &plan.remarks)?;
    let class = env.find_class(jni_str!("org/wagiri/ChainPlan"))?;
    let args = [
        JValue::Int(plan.rows.start as i32),
        JValue::Int(plan.rows.end as i32),
        JValue::Int(plan.slab_rows as i32),
        JValue::Long(plan.memory_bytes as i64),
        JValue::Long(plan.disk_bytes as i64),
        JValue::Int(plan.slice[0] as i32),
        JValue::Int(plan.slice[1] as i32),
        JValue::Object(&center),
        JValue::Double(plan.pixel_um),
        JValue::Object(&remarks),
        JValue::Double(plan.compute_s),
        JValue::Int(plan.halo.below as i32),
        JValue::Int(plan.halo.above as i32),
    ];
    Ok(env.new_object(class, jni_sig!("(IIIJJIILjava/lang/String;D[Ljava/lang/String;DII)V"), &args)?)
});

native!(Java_org_wagiri_Native_chainPreview, |env,
                                              ctx: jlong,
                                              scan_id: jlong,
                                              id: jlong,
                                              row: jint,
                                              listener: JObject<'l>|
 -> JObject<'l> {
    let (ctx, open, chain) = (context(ctx)?, scan(scan_id)?, chain(id)?);
    let row = convert::index(row, "row")?;
    let slice = with_progress(env, &listener, |progress| chain.preview(&ctx, &open.scan, row, progress))?;
    let (height, width) = slice.dim();
    let pixels = convert::floats(env, slice.as_standard_layout().as_slice().unwrap_or(&[]))?;
    let class = env.find_class(jni_str!("org/wagiri/Slice"))?;
    let args = [JValue::Object(&pixels), JValue::Int(width as i32), JValue::Int(height as i32)];
    Ok(env.new_object(class, jni_sig!("([FII)V"), &args)?)
});

native!(Java_org_wagiri_Native_chainRun, |env,
                                          ctx: jlong,
                                          scan_id: jlong,
                                          id: jlong,
                                          out_dir: JString<'l>,
                                          first_row: jint,
                                          end_row: jint,
                                          slab_rows: jint,
                                          resume: jboolean,
                                          listener: JObject<'l>|
 -> JObject<'l> {
    let (ctx, open, chain) = (context(ctx)?, scan(scan_id)?, chain(id)?);
    let options = RunOptions { resume, ..options(first_row, end_row, slab_rows)? };
    let out_dir = convert::required(env, &out_dir, "outDir")?;
    let done =
        with_progress(env, &listener, |progress| chain.run(&ctx, &open.scan, Path::new(&out_dir), &options, progress))?;
    summary(env, &done)
});

native!(Java_org_wagiri_Native_chainRunInto, |env,
                                              ctx: jlong,
                                              scan_id: jlong,
                                              id: jlong,
                                              consumer: JObject<'l>,
                                              first_row: jint,
                                              end_row: jint,
                                              slab_rows: jint,
                                              listener: JObject<'l>|
 -> JObject<'l> {
    let (ctx, open, chain) = (context(ctx)?, scan(scan_id)?, chain(id)?);
    let options = options(first_row, end_row, slab_rows)?;
    let done = with_slices(env, &consumer, &listener, |sink, progress| {
        chain.run_into(&ctx, &open.scan, sink, &options, progress)
    })?;
    summary(env, &done)
});

fn summary<'l>(env: &mut Env<'l>, done: &RunSummary) -> Result<JObject<'l>> {
    let center = env.new_string(done.center.to_string())?;
    let chain = env.new_string(&done.chain)?;
    let remarks = convert::strings(env, &done.remarks)?;
    let class = env.find_class(jni_str!("org/wagiri/RunSummary"))?;
    let args = [
        JValue::Int(done.slices as i32),
        JValue::Int(done.found as i32),
        JValue::Object(&center),
        JValue::Double(done.pixel_um),
        JValue::Float(done.range.0),
        JValue::Float(done.range.1),
        JValue::Object(&remarks),
        JValue::Object(&chain),
    ];
    let signature = jni_sig!("(IILjava/lang/String;DFF[Ljava/lang/String;Ljava/lang/String;)V");
    Ok(env.new_object(class, signature, &args)?)
}
