//! JNI: the native methods of `org.wagiri.Native`, one Rust function each.
//!
//! Converts arguments and results; must not know algorithms or formats. A Java object holds an id into a table, never a
//! pointer, so a stale one is an error and not a crash. Errors, panics and exceptions of listeners all end as Java
//! exceptions (`throw`). Callbacks run on the thread that made the call.

mod callback;
mod chain;
mod context;
mod convert;
mod denoise;
mod handles;
mod ops;
mod scan;
mod throw;

use jni::objects::{JClass, JObjectArray, JString};
use jni::sys::{jint, jlong};
use jni::{Env, EnvUnowned};
use std::path::Path;
use throw::{Result, Throw};

/// Raised whenever a native method changes; `NativeLibrary.ABI_VERSION` in Java is the same number.
const ABI_VERSION: jint = 4;

/// Defines one exported native method: catches panics, turns failures into exceptions.
macro_rules! native {
    ($name:ident, |$env:ident $(, $arg:ident: $ty:ty)*| -> $out:ty $body:block) => {
        #[unsafe(no_mangle)]
        pub extern "system" fn $name<'l>(
            mut unowned: jni::EnvUnowned<'l>,
            _class: jni::objects::JClass<'l>,
            $($arg: $ty),*
        ) -> $out {
            unowned.with_env(|$env| -> $crate::jni::throw::Result<$out> { $body })
                .resolve::<$crate::jni::throw::Throw>()
        }
    };
}
use native;

native!(Java_org_wagiri_Native_abiVersion, |_env| -> jint { Ok(ABI_VERSION) });

native!(Java_org_wagiri_Native_version, |env| -> JString<'l> { Ok(env.new_string(crate::VERSION)?) });

/// One line per error kind, `status name`, so that a test can compare the Java enum with the Rust table.
#[unsafe(no_mangle)]
pub extern "system" fn Java_org_wagiri_Native_errorTable<'l>(
    mut unowned: EnvUnowned<'l>,
    _class: JClass<'l>,
) -> JObjectArray<'l> {
    let table = |env: &mut Env<'l>| -> Result<_> {
        let lines: Vec<String> = crate::ERROR_TABLE.iter().map(|row| format!("{} {}", row.1, row.2)).collect();
        convert::strings(env, &lines)
    };
    unowned.with_env(table).resolve::<Throw>()
}

// One line per outcome of the check of a plugin, as the command line tells it.
native!(Java_org_wagiri_Native_pluginCheck, |env, path: JString<'l>| -> JObjectArray<'l> {
    let path = convert::required(env, &path, "path")?;
    let findings = crate::check_plugin(Path::new(&path), &mut |_| {});
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    convert::strings(env, &lines)
});

native!(Java_org_wagiri_Native_openHandles, |_env| -> jint { Ok(handles::count() as jint) });

native!(Java_org_wagiri_Native_free, |_env, id: jlong| -> () {
    handles::remove(id);
    Ok(())
});

/// Panics with the given text: the test of the way from a panic to a Java exception.
#[unsafe(no_mangle)]
#[allow(clippy::panic)]
pub extern "system" fn Java_org_wagiri_Native_panicForTest<'l>(
    mut unowned: EnvUnowned<'l>,
    _class: JClass<'l>,
    text: JString<'l>,
) {
    let panic = |env: &mut Env<'l>| -> Result<()> {
        let text = convert::text(env, &text)?.unwrap_or_default();
        panic!("on purpose: {text}")
    };
    unowned.with_env(panic).resolve::<Throw>()
}
