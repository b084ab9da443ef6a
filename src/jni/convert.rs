//! Between Java and Rust values.

use super::throw::Result;
use crate::error::Error;
use jni::Env;
use jni::objects::{JDoubleArray, JFloatArray, JObject, JObjectArray, JString};
use jni::strings::JNIStr;
use std::ops::Range;

/// A Java string; `None` for null.
pub fn text(env: &mut Env, string: &JString) -> Result<Option<String>> {
    if string.is_null() { Ok(None) } else { Ok(Some(string.try_to_string(env)?)) }
}

/// A Java string that must be there.
pub fn required(env: &mut Env, string: &JString, name: &str) -> Result<String> {
    Ok(text(env, string)?.ok_or_else(|| Error::invalid(name, "must not be null"))?)
}

/// `String[]`.
pub fn strings<'l>(env: &mut Env<'l>, lines: &[impl AsRef<str>]) -> Result<JObjectArray<'l>> {
    objects(env, jni::jni_str!("java/lang/String"), lines, |env, line| Ok(env.new_string(line)?.into()))
}

/// An array of objects made one by one; local references do not pile up.
pub fn objects<'l, T>(
    env: &mut Env<'l>,
    class: &JNIStr,
    items: &[T],
    make: impl for<'a> Fn(&mut Env<'a>, &T) -> Result<JObject<'a>>,
) -> Result<JObjectArray<'l>> {
    let class = env.find_class(class)?;
    let array = env.new_object_array(items.len() as i32, class, JObject::null())?;
    for (i, item) in items.iter().enumerate() {
        env.with_local_frame(32, |env| -> Result<()> {
            let object = make(env, item)?;
            Ok(array.set_element(env, i, object)?)
        })?;
    }
    Ok(array)
}

/// `float[]` with the given values.
pub fn floats<'l>(env: &mut Env<'l>, values: &[f32]) -> Result<JFloatArray<'l>> {
    let array = env.new_float_array(values.len())?;
    array.set_region(env, 0, values)?;
    Ok(array)
}

/// `double[]` with the given values.
pub fn doubles<'l>(env: &mut Env<'l>, values: &[f64]) -> Result<JDoubleArray<'l>> {
    let array = env.new_double_array(values.len())?;
    array.set_region(env, 0, values)?;
    Ok(array)
}

/// The values of a `float[]`.
pub fn float_values(env: &mut Env, array: &JFloatArray, name: &str) -> Result<Vec<f32>> {
    if array.is_null() {
        return Err(Error::invalid(name, "must not be null").into());
    }
    let mut values = vec![0.0; array.len(env)?];
    array.get_region(env, 0, &mut values)?;
    Ok(values)
}

/// The values of a `double[]`.
pub fn double_values(env: &mut Env, array: &JDoubleArray, name: &str) -> Result<Vec<f64>> {
    if array.is_null() {
        return Err(Error::invalid(name, "must not be null").into());
    }
    let mut values = vec![0.0; array.len(env)?];
    array.get_region(env, 0, &mut values)?;
    Ok(values)
}

/// A number that must not be negative.
pub fn index(value: i32, name: &str) -> Result<usize> {
    let accepted = "expected a whole number of at least 0";
    Ok(usize::try_from(value).map_err(|_| Error::invalid(name, accepted).with("value", value))?)
}

/// `first..end`; both negative means everything, `None`.
pub fn range(first: i32, end: i32, name: &str) -> Result<Option<Range<usize>>> {
    if first < 0 && end < 0 { Ok(None) } else { Ok(Some(index(first, name)?..index(end, name)?)) }
}
