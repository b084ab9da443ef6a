//! `org.wagiri.Context`.

use super::native;
use super::throw::Result;
use super::{convert, handles};
use crate::chain::{ParamInfo, ParamKind, SOURCES, StageInfo, WRITE_TIFF};
use crate::context::{Context, ContextOptions};
use crate::error::Error;
use jni::objects::{JObject, JObjectArray, JString, JValue};
use jni::sys::{jint, jlong};
use jni::{Env, jni_sig, jni_str};
use std::path::Path;
use std::sync::Arc;

/// The context `id`.
pub fn context(id: jlong) -> crate::Result<Arc<Context>> {
    handles::get(id, "Context")
}

native!(Java_org_wagiri_Native_contextNew, |env, threads: jint, memory: jlong, device: JString<'l>| -> jlong {
    let device = convert::required(env, &device, "device")?;
    let budget = u64::try_from(memory).map_err(|_| {
        Error::invalid("memory", "expected bytes, or 0 for half of what is free").with("memory", memory)
    })?;
    let threads = convert::index(threads, "threads")?;
    Ok(handles::put(Context::new(ContextOptions {
        threads: (threads > 0).then_some(threads),
        memory_bytes: (budget > 0).then_some(budget),
        device: device.parse()?,
    })?))
});

native!(Java_org_wagiri_Native_contextThreads, |_env, id: jlong| -> jint { Ok(context(id)?.threads() as jint) });

native!(Java_org_wagiri_Native_contextMemoryBytes, |_env, id: jlong| -> jlong {
    Ok(i64::try_from(context(id)?.memory_bytes()).unwrap_or(i64::MAX))
});

native!(Java_org_wagiri_Native_contextLoadPlugin, |env, id: jlong, path: JString<'l>| -> () {
    let path = convert::required(env, &path, "path")?;
    Ok(context(id)?.load_plugin(Path::new(&path))?)
});

native!(Java_org_wagiri_Native_contextStages, |env, id: jlong| -> JObjectArray<'l> {
    let registry = context(id)?.registry();
    let infos: Vec<&'static StageInfo> = registry.all().collect();
    convert::objects(env, jni_str!("org/wagiri/StageInfo"), &infos, |env, info| stage(env, info))
});

fn stage<'a>(env: &mut Env<'a>, info: &StageInfo) -> Result<JObject<'a>> {
    let params = convert::objects(env, jni_str!("org/wagiri/ParamInfo"), info.params, param)?;
    let id = env.new_string(info.id)?;
    let summary = env.new_string(info.summary)?;
    let input = env.new_string(info.input.name())?;
    let output = env.new_string(info.output.name())?;
    let place = if SOURCES.iter().any(|source| source.id == info.id) {
        "start"
    } else if info.id == WRITE_TIFF.id {
        "end"
    } else {
        "between"
    };
    let place = env.new_string(place)?;
    let class = env.find_class(jni_str!("org/wagiri/StageInfo"))?;
    let signature = jni_sig!(
        "(Ljava/lang/String;Ljava/lang/String;Ljava/lang/String;Ljava/lang/String;Ljava/lang/String;[Lorg/wagiri/ParamInfo;)V"
    );
    let args = [
        JValue::Object(&place),
        JValue::Object(&id),
        JValue::Object(&summary),
        JValue::Object(&input),
        JValue::Object(&output),
        JValue::Object(&params),
    ];
    Ok(env.new_object(class, signature, &args)?)
}

fn param<'a>(env: &mut Env<'a>, info: &ParamInfo) -> Result<JObject<'a>> {
    let (kind, choice): (_, &[&str]) = match info.kind {
        ParamKind::Int => ("int", &[]),
        ParamKind::Float => ("float", &[]),
        ParamKind::Bool => ("bool", &[]),
        ParamKind::Choice(words) => ("choice", words),
        ParamKind::Text => ("text", &[]),
    };
    let words = convert::strings(env, choice)?;
    let name = env.new_string(info.name)?;
    let kind = env.new_string(kind)?;
    let unit = env.new_string(info.unit)?;
    let default = env.new_string(info.default.to_string())?;
    let help = env.new_string(info.help)?;
    let (min, max) = info.range.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    let class = env.find_class(jni_str!("org/wagiri/ParamInfo"))?;
    let signature = jni_sig!(
        "(Ljava/lang/String;Ljava/lang/String;[Ljava/lang/String;Ljava/lang/String;Ljava/lang/String;DDZLjava/lang/String;)V"
    );
    let args = [
        JValue::Object(&name),
        JValue::Object(&kind),
        JValue::Object(&words),
        JValue::Object(&unit),
        JValue::Object(&default),
        JValue::Double(min),
        JValue::Double(max),
        JValue::Bool(info.auto),
        JValue::Object(&help),
    ];
    Ok(env.new_object(class, signature, &args)?)
}
