//! From Rust failures to Java exceptions.

use crate::error::{Error, ErrorKind};
use jni::errors::ErrorPolicy;
use jni::objects::{JThrowable, JValue};
use jni::refs::Global;
use jni::{Env, jni_sig, jni_str};
use std::any::Any;

/// Why a native method ends without a result.
#[derive(Debug)]
pub enum Failure {
    /// wagiri said so.
    Wagiri(Error),
    /// A call into the JVM failed; a Java exception may be pending.
    Java(jni::errors::Error),
    /// A listener threw this.
    Thrown(Global<JThrowable<'static>>),
}

pub type Result<T> = std::result::Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Wagiri(error)
    }
}

impl From<jni::errors::Error> for Failure {
    fn from(error: jni::errors::Error) -> Self {
        Failure::Java(error)
    }
}

/// Takes the pending exception, if there is one, so that JNI can be used again until it is thrown anew.
pub fn take_pending(env: &mut Env, error: jni::errors::Error) -> Failure {
    let pending = env.exception_occurred();
    env.exception_clear();
    match pending.map(|exception| env.new_global_ref(exception)) {
        Some(Ok(exception)) => Failure::Thrown(exception),
        _ => Failure::Java(error),
    }
}

/// Errors and panics become `org.wagiri.WagiriException`; exceptions of listeners come back as themselves.
pub struct Throw;

impl<T: Default> ErrorPolicy<T, Failure> for Throw {
    type Captures<'unowned_env_local: 'native_method, 'native_method> = ();

    fn on_error<'unowned_env_local: 'native_method, 'native_method>(
        env: &mut Env<'unowned_env_local>,
        _: &mut (),
        failure: Failure,
    ) -> jni::errors::Result<T> {
        match failure {
            Failure::Wagiri(error) => throw(env, error.kind(), &error.to_string())?,
            Failure::Thrown(exception) => throw_again(env, &exception)?,
            Failure::Java(jni::errors::Error::CaughtJavaException { exception, .. }) => throw_again(env, &exception)?,
            Failure::Java(_) if env.exception_check() => {}
            Failure::Java(error) => throw(env, ErrorKind::Internal, &format!("JNI: {error}"))?,
        }
        Ok(T::default())
    }

    fn on_panic<'unowned_env_local: 'native_method, 'native_method>(
        env: &mut Env<'unowned_env_local>,
        _: &mut (),
        payload: Box<dyn Any + Send + 'static>,
    ) -> jni::errors::Result<T> {
        let text = match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "no text".to_owned(),
        };
        // The text of a payload is all that is of use; dropping a strange payload could panic again.
        std::mem::forget(payload);
        env.exception_clear();
        throw(env, ErrorKind::Internal, &format!("panic in the native library: {text}"))?;
        Ok(T::default())
    }
}

fn throw(env: &mut Env, kind: ErrorKind, message: &str) -> jni::errors::Result<()> {
    let class = env.find_class(jni_str!("org/wagiri/WagiriException"))?;
    let message = env.new_string(message)?;
    let args = [JValue::Int(kind.status()), JValue::Object(&message)];
    let exception = env.new_object(class, jni_sig!("(ILjava/lang/String;)V"), &args)?;
    let exception = env.cast_local::<JThrowable>(exception)?;
    // Throwing reports itself as an error.
    match env.throw(exception) {
        Err(jni::errors::Error::JavaException) => Ok(()),
        other => other,
    }
}

fn throw_again(env: &mut Env, exception: &Global<JThrowable<'static>>) -> jni::errors::Result<()> {
    match env.throw(exception) {
        Err(jni::errors::Error::JavaException) => Ok(()),
        other => other,
    }
}
