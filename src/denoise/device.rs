//! Which device computes the network: the fastest that is there, or the next one in line, and why.

#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::gpu::GpuEngine;
use super::{Architecture, CpuEngine, Engine};
use crate::error::{Error, Result};
use std::str::FromStr;

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// The first of CUDA, wgpu and the processor that is there; what the processor only pretends to be is left out.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// NVIDIA's graphics processors. They need NVIDIA's driver, NVRTC and the folder of the CUDA toolkit.
    Cuda,
    /// Graphics processors of all makers, by Vulkan, or by Metal on macOS.
    Wgpu,
}

impl EngineKind {
    /// `auto`, `cpu`, `cuda` or `wgpu`.
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::Auto => "auto",
            EngineKind::Cpu => "cpu",
            EngineKind::Cuda => "cuda",
            EngineKind::Wgpu => "wgpu",
        }
    }
}

impl FromStr for EngineKind {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let kinds = [EngineKind::Auto, EngineKind::Cpu, EngineKind::Cuda, EngineKind::Wgpu];
        kinds.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            Error::invalid("device", "expected auto, cpu, cuda or wgpu").with("device", format!("'{text}'"))
        })
    }
}

/// A graphics processor that can compute networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// What it is asked for by, [`EngineKind::Cuda`] or [`EngineKind::Wgpu`]. NVIDIA's may be there by both.
    pub kind: EngineKind,
    /// Model, as its driver reports it.
    pub name: String,
    /// All of its memory, bytes; 0 if its driver does not tell.
    pub memory_bytes: u64,
    /// The processor pretends to be one: it is slower than the processor itself, and used only if asked for by name.
    pub software: bool,
}

/// The graphics processors of this machine, in the order of preference. Looks for drivers, which may take a second.
pub fn gpus() -> Vec<Gpu> {
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    {
        let of = |kind| {
            move |found: wagiri_burn::Found| {
                let wagiri_burn::Found { name, memory_bytes, software, .. } = found;
                Gpu { kind, name, memory_bytes, software }
            }
        };
        let cuda = wagiri_burn::cuda().ok().into_iter().map(of(EngineKind::Cuda));
        cuda.chain(wagiri_burn::wgpu().into_iter().map(of(EngineKind::Wgpu))).collect()
    }
    #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
    Vec::new()
}

/// Opens what `kind` asks for, or the next in line of CUDA, wgpu and the processor; the second value has a sentence for each
/// step down. `pool` is what the processor computes on, `memory_bytes` what may be used of the machine's memory.
///
/// Errors: an architecture that cannot be built, or too little memory for the processor.
pub fn open_engine<'a>(
    kind: EngineKind,
    architecture: &Architecture,
    pool: &'a rayon::ThreadPool,
    memory_bytes: u64,
) -> Result<(Box<dyn Engine + 'a>, Vec<String>)> {
    architecture.check()?;
    let line: &[EngineKind] = match kind {
        EngineKind::Auto | EngineKind::Cuda => &[EngineKind::Cuda, EngineKind::Wgpu],
        EngineKind::Wgpu => &[EngineKind::Wgpu],
        EngineKind::Cpu => &[],
    };
    let mut remarks = Vec::new();
    for (place, &next) in line.iter().enumerate() {
        match open_gpu(next, kind == next, architecture, memory_bytes) {
            Ok(engine) => return Ok((engine, remarks)),
            Err(error) => {
                let then = if place + 1 < line.len() { "wgpu is tried" } else { "the processor computes" };
                remarks.push(format!("{error}: {then}"));
            }
        }
    }
    Ok((Box::new(CpuEngine::new(architecture, pool, memory_bytes)?), remarks))
}

/// Refuses what is not there, does not compute, or has too little memory for the smallest of tiles.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn open_gpu(
    kind: EngineKind,
    by_name: bool,
    architecture: &Architecture,
    memory_bytes: u64,
) -> Result<Box<dyn Engine>> {
    let place = kind.name();
    let found = if kind == EngineKind::Cuda {
        wagiri_burn::cuda()
    } else {
        let driver = if cfg!(target_os = "macos") { "Metal" } else { "Vulkan" };
        let mut all = wagiri_burn::wgpu().into_iter();
        all.find(|found| by_name || !found.software)
            .ok_or_else(|| format!("no graphics processor with a driver for {driver}"))
    };
    let found = found.map_err(|why| Error::unavailable(place, why))?;
    let engine = GpuEngine::open(place, &found, architecture, memory_bytes)?;
    let side = (2 * architecture.reach_px()).max(128).next_multiple_of(architecture.multiple_px());
    let needed = engine.infer_bytes(side, side).max(engine.step_bytes(1, 128, 128));
    if needed > engine.memory_bytes() {
        let error = Error::limit(place, "too little GPU memory for this network");
        return Err(error.with("bytes", needed).with("has", engine.memory_bytes()));
    }
    Ok(Box::new(engine))
}

#[cfg(not(any(feature = "cuda", feature = "wgpu")))]
fn open_gpu(kind: EngineKind, _: bool, _: &Architecture, _: u64) -> Result<Box<dyn Engine>> {
    Err(Error::unavailable(kind.name(), "this program was built without it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for kind in [EngineKind::Auto, EngineKind::Cpu, EngineKind::Cuda, EngineKind::Wgpu] {
            assert_eq!(kind.name().parse::<EngineKind>().unwrap(), kind);
        }
        let error = "tpu".parse::<EngineKind>().unwrap_err().to_string();
        assert!(error.contains("auto, cpu, cuda or wgpu") && error.contains("tpu"), "{error}");
    }
}
