//! NVIDIA's graphics processors, by CUDA. Nothing of CUDA is linked: driver and compiler are looked for at run time, before burn
//! is asked, which would panic without them.

use crate::learner::Learner;
use crate::{Failure, Found, Network, Session, Which, quiet};
use burn_autodiff::Autodiff;
use burn_cuda::{Cuda, CudaDevice};
use cudarc::driver::{DriverError, result, sys};

/// The graphics processor that CUDA numbers 0. Errors say what is missing.
pub(crate) fn find() -> Result<Found, String> {
    // The driver's functions are looked up one by one; an old driver without one of them is a panic.
    quiet::caught_aside(look).map_err(|failure| match failure {
        Failure::Memory(text) | Failure::Device(text) => text,
        Failure::Stopped => String::new(),
    })
}

fn look() -> Result<Found, String> {
    // SAFETY: it only opens and closes the library that belongs to the display driver.
    if !unsafe { sys::is_culib_present() } {
        return Err("no NVIDIA driver".into());
    }
    let told = |e: DriverError| format!("the NVIDIA driver does not start: {e:?}");
    result::init().map_err(told)?;
    if result::device::get_count().map_err(told)? == 0 {
        return Err("the NVIDIA driver finds no graphics processor".into());
    }
    // SAFETY: it only opens and closes the library of NVIDIA's compiler.
    if !unsafe { cudarc::nvrtc::sys::is_culib_present() } {
        return Err(
            "NVRTC not found: install the CUDA toolkit or pip's nvidia-cuda-nvrtc where libraries are looked for"
                .into(),
        );
    }
    if cubecl_cuda::install::cuda_path().is_none() {
        return Err("no folder of the CUDA toolkit: install it, or let CUDA_PATH name it".into());
    }
    let device = result::device::get(0).map_err(told)?;
    let name = result::device::get_name(device).map_err(told)?;
    // SAFETY: the driver was started, and `device` comes from it.
    let memory_bytes = unsafe { result::device::total_mem(device) }.map_err(told)? as u64;
    // burn's pools hold nothing larger than a quarter of all.
    let largest_bytes = memory_bytes / 4;
    Ok(Found { name, memory_bytes, largest_bytes, shares_memory: false, software: false, device: Which::Cuda })
}

pub(crate) fn open(network: &Network) -> Result<Session, Failure> {
    let network = network.clone();
    Session::start(move || Learner::<Autodiff<Cuda>>::new(network, CudaDevice::new(0)))
}
