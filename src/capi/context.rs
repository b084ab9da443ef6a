//! The context: threads, memory budget, stages, devices, logger.

use super::error::wagiri_error;
use super::logger::{self, wagiri_log};
use super::stages::StageTexts;
use super::types::{Versioned, c_text, wagiri_status};
use crate::context::{Context, ContextOptions, Device, DeviceInfo};
use crate::error::{Error, Result};
use std::ffi::{CString, c_char, c_void};
use std::sync::OnceLock;

/// Threads, memory budget and stages; made once by a program and given to most functions. Owned by the caller; free
/// it with `wagiri_context_free`.
pub struct wagiri_context {
    pub(super) inner: Context,
    pub(super) stages: Vec<StageTexts>,
    devices: OnceLock<Vec<(DeviceInfo, CString)>>,
}

/// Device: the fastest that is there.
pub const WAGIRI_DEVICE_AUTO: i32 = 0;
/// Device: the processor.
pub const WAGIRI_DEVICE_CPU: i32 = 1;
/// Device: a graphics processor. Only networks compute there.
pub const WAGIRI_DEVICE_GPU: i32 = 2;
/// Device: NVIDIA's graphics processors by CUDA, else the next in line.
pub const WAGIRI_DEVICE_CUDA: i32 = 3;
/// Device: graphics processors by Vulkan or Metal, else the processor.
pub const WAGIRI_DEVICE_WGPU: i32 = 4;

/// Options of a context. Set `struct_size` to sizeof; every other field may be 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_context_options {
    /// sizeof(wagiri_context_options).
    pub struct_size: u32,
    /// WAGIRI_DEVICE_; 0 is the fastest that is there, and WAGIRI_DEVICE_GPU is WAGIRI_UNAVAILABLE where there is none.
    pub device: i32,
    /// Compute threads, up to 4096; 0 is all cores.
    pub threads: u32,
    /// Memory for slabs and buffers, bytes; 0 is half of what is available when the context is made.
    pub memory_bytes: u64,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
unsafe impl Versioned for wagiri_context_options {
    const FIRST_SIZE: usize = 24;
}

/// A device that can compute.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_device {
    /// sizeof(wagiri_device), set by the caller.
    pub struct_size: u32,
    /// WAGIRI_DEVICE_CPU, WAGIRI_DEVICE_CUDA or WAGIRI_DEVICE_WGPU.
    pub kind: i32,
    /// Compute threads of the context on a processor; 0 for a GPU.
    pub threads: u32,
    /// Model; valid until the context is freed.
    pub name: *const c_char,
    /// Memory of the device, bytes; 0 if unknown.
    pub memory_bytes: u64,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
unsafe impl Versioned for wagiri_device {
    const FIRST_SIZE: usize = 32;
}

impl wagiri_context {
    fn new(options: &wagiri_context_options) -> Result<Self> {
        let device = match options.device {
            WAGIRI_DEVICE_AUTO => Device::Auto,
            WAGIRI_DEVICE_CPU => Device::Cpu,
            WAGIRI_DEVICE_GPU => Device::Gpu,
            WAGIRI_DEVICE_CUDA => Device::Cuda,
            WAGIRI_DEVICE_WGPU => Device::Wgpu,
            other => return Err(Error::invalid("device", "expected a WAGIRI_DEVICE_ value").with("device", other)),
        };
        let options = ContextOptions {
            threads: (options.threads > 0).then_some(options.threads as usize),
            memory_bytes: (options.memory_bytes > 0).then_some(options.memory_bytes),
            device,
        };
        let inner = Context::new(options)?;
        let mut context = wagiri_context { inner, stages: Vec::new(), devices: OnceLock::new() };
        context.describe_stages();
        Ok(context)
    }
    /// Describes the stages that came since the last call; those before keep their texts where they are.
    pub(super) fn describe_stages(&mut self) {
        let known = self.stages.len();
        self.stages.extend(super::stages::in_order(&self.inner.registry()).skip(known).map(StageTexts::new));
    }
    fn devices(&self) -> &[(DeviceInfo, CString)] {
        self.devices.get_or_init(|| self.inner.devices().into_iter().map(|d| (d.clone(), c_text(&d.name))).collect())
    }
}

impl Drop for wagiri_context {
    fn drop(&mut self) {
        // Without a function to set, this cannot fail.
        let _ = logger::listen(&raw const *self as usize, None, std::ptr::null_mut());
    }
}

/// Makes a context and starts its threads. `options` may be NULL: all defaults. On success `*out` is a new context to
/// be freed with `wagiri_context_free`, on error NULL. Thread-safe.
///
/// WAGIRI_UNAVAILABLE: the demanded device is not there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_context_new(
    options: *const wagiri_context_options,
    out: *mut *mut wagiri_context,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, out: handle, options: options => {
        out.give(wagiri_context::new(&options)?);
        Ok(())
    })
}

/// Sends log records to `call` until another one is set or the context is freed; NULL stops. The log is one per
/// process: every context with a logger gets the records of all. The first record names the version. When this
/// function or `wagiri_context_free` returns, the former `call` runs no more. Not to be called from a logger.
///
/// WAGIRI_UNAVAILABLE: the process is itself written in Rust and has its own logger.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_context_set_logger(
    ctx: *mut wagiri_context,
    call: wagiri_log,
    user: *mut c_void,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: exclusive => {
        logger::listen(&raw const *ctx as usize, call, user)?;
        log::info!("wagiri {}, {} threads", crate::VERSION, ctx.inner.threads());
        Ok(())
    })
}

/// Frees a context after its threads have ended; NULL is allowed. No function may be using it. Scans and chains made
/// with it stay valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_context_free(ctx: *mut wagiri_context) {
    free!(ctx);
}

/// Writes the number of devices that this version can compute on. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_device_count(
    ctx: *const wagiri_context,
    count: *mut u32,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, count: value => {
        count.set(ctx.devices().len() as u32);
        Ok(())
    })
}

/// Describes device `index`, from 0. Set `out->struct_size` first. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_device_info(
    ctx: *const wagiri_context,
    index: u32,
    out: *mut wagiri_device,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, out: fill => {
        let count = ctx.devices().len();
        let Some((device, name)) = ctx.devices().get(index as usize) else {
            return Err(Error::not_found("device", "no such device").with("index", index).with("devices", count));
        };
        out.set(wagiri_device {
            struct_size: 0,
            kind: match device.kind {
                Device::Cuda => WAGIRI_DEVICE_CUDA,
                Device::Wgpu => WAGIRI_DEVICE_WGPU,
                _ => WAGIRI_DEVICE_CPU,
            },
            name: name.as_ptr(),
            memory_bytes: device.memory_bytes,
            threads: device.threads as u32,
        });
        Ok(())
    })
}
