//! What a program holds once: thread pool, memory budget, device choice, stage registry.
//!
//! The only place beside the command line that looks at the machine it runs on.

use crate::chain::Registry;
use crate::denoise::{EngineKind, gpus};
use crate::error::{Error, Result};
use std::str::FromStr;
use std::sync::RwLock;

/// Where to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The fastest device that is there.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// A graphics processor; an error if there is none. Only networks compute there, all else is done by the processor.
    Gpu,
    /// The same, NVIDIA's by CUDA; where it is not there the next in line, with a remark.
    Cuda,
    /// The same, any maker's by Vulkan or Metal; where it is not there the processor, with a remark.
    Wgpu,
}

impl Device {
    const NAMES: [(&'static str, Device); 5] = [
        ("auto", Device::Auto),
        ("cpu", Device::Cpu),
        ("gpu", Device::Gpu),
        ("cuda", Device::Cuda),
        ("wgpu", Device::Wgpu),
    ];

    /// `auto`, `cpu`, `gpu`, `cuda` or `wgpu`.
    pub fn name(self) -> &'static str {
        Device::NAMES.iter().find(|(_, device)| *device == self).map_or("auto", |(name, _)| name)
    }
    /// What networks are to be computed by.
    pub fn engine(self) -> EngineKind {
        match self {
            Device::Auto | Device::Gpu => EngineKind::Auto,
            Device::Cpu => EngineKind::Cpu,
            Device::Cuda => EngineKind::Cuda,
            Device::Wgpu => EngineKind::Wgpu,
        }
    }
}

impl FromStr for Device {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let named = Device::NAMES.iter().find(|(name, _)| *name == text);
        named.map(|(_, device)| *device).ok_or_else(|| {
            Error::invalid("device", "expected auto, cpu, gpu, cuda or wgpu").with("device", format!("'{text}'"))
        })
    }
}

/// Options of a [`Context`]; `None` lets the machine decide.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContextOptions {
    /// Compute threads; default all cores.
    pub threads: Option<usize>,
    /// Memory for slabs and buffers, bytes; default half of what is available now to this machine or container.
    pub memory_bytes: Option<u64>,
    /// Where to compute.
    pub device: Device,
}

/// One device that can compute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// What it is asked for by: [`Device::Cpu`], [`Device::Cuda`] or [`Device::Wgpu`]. A card may be there by both of these.
    pub kind: Device,
    /// Model, as the machine reports it.
    pub name: String,
    /// Compute threads of the context on the processor; 0 for a graphics processor.
    pub threads: usize,
    /// Memory of the device, bytes; 0 if the machine does not tell.
    pub memory_bytes: u64,
}

/// Thread pool, memory budget and stages. Cheap to share by reference; all methods are thread-safe.
///
/// Dropping it waits until its threads have ended, so that a host may unload the library afterwards.
pub struct Context {
    pool: rayon::ThreadPool,
    _threads: JoinOnDrop, // behind `pool`: fields are dropped in this order
    memory_bytes: u64,
    device: Device,
    registry: RwLock<Registry>,
}

impl Context {
    /// Starts the thread pool. Fails with `UNAVAILABLE` if a GPU is demanded and there is none.
    pub fn new(options: ContextOptions) -> Result<Self> {
        let threads = options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        if !(1..=4096).contains(&threads) {
            return Err(Error::invalid("threads", "expected 1 to 4096 compute threads").with("threads", threads));
        }
        if options.device == Device::Gpu && graphics_processors().next().is_none() {
            let message = "no GPU was found that can compute; use device=auto or device=cpu";
            return Err(Error::unavailable("device", message));
        }
        let memory_bytes = match options.memory_bytes {
            Some(0) => return Err(Error::invalid("memory", "the memory budget must be greater than 0 bytes")),
            Some(bytes) => bytes,
            None => available_memory() / 2,
        };
        let mut handles = Vec::with_capacity(threads);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .spawn_handler(|thread| {
                let name = format!("wagiri-{}", thread.index());
                handles.push(std::thread::Builder::new().name(name).spawn(|| thread.run())?);
                Ok(())
            })
            .build()
            .map_err(|e| Error::unavailable("threads", "cannot start the thread pool").caused_by(e))?;
        Ok(Context {
            pool,
            _threads: JoinOnDrop(handles),
            memory_bytes,
            device: options.device,
            registry: RwLock::new(Registry::built_in()),
        })
    }
    /// The compute threads.
    pub fn pool(&self) -> &rayon::ThreadPool {
        &self.pool
    }
    /// Number of compute threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
    /// The device that was asked for.
    pub fn device(&self) -> Device {
        self.device
    }
    /// The devices of this machine that this version computes on: the processor, and graphics processors for networks.
    /// Looks for their drivers, which may take a second.
    pub fn devices(&self) -> Vec<DeviceInfo> {
        let mut system = sysinfo::System::new();
        system.refresh_memory();
        system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
        let brand = system.cpus().first().map_or("", |cpu| cpu.brand().trim());
        let name = if brand.is_empty() { std::env::consts::ARCH } else { brand }.to_owned();
        let cpu = DeviceInfo { kind: Device::Cpu, name, threads: self.threads(), memory_bytes: system.total_memory() };
        std::iter::once(cpu).chain(graphics_processors()).collect()
    }
    /// Memory budget for slabs and buffers.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }
    /// The stages known now; a plugin loaded later does not change a registry already taken.
    pub fn registry(&self) -> Registry {
        self.registry.read().unwrap_or_else(|e| e.into_inner()).clone()
    }
    /// Loads a plugin and adds its stages. One with the id of a bundled plugin takes its place.
    pub fn load_plugin(&self, path: &std::path::Path) -> Result<()> {
        let plugin = crate::host::load(path)?;
        self.registry.write().unwrap_or_else(|e| e.into_inner()).add_plugin(plugin)
    }
}

/// Those that the processor does not only pretend to be.
fn graphics_processors() -> impl Iterator<Item = DeviceInfo> {
    gpus().into_iter().filter(|gpu| !gpu.software).map(|gpu| {
        let kind = if gpu.kind == EngineKind::Cuda { Device::Cuda } else { Device::Wgpu };
        DeviceInfo { kind, name: gpu.name, threads: 0, memory_bytes: gpu.memory_bytes }
    })
}

/// Rayon only asks its threads to end; this waits for them.
struct JoinOnDrop(Vec<std::thread::JoinHandle<()>>);

impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        let me = std::thread::current().id();
        for handle in self.0.drain(..).filter(|h| h.thread().id() != me) {
            // A thread that ended by panic has told so already; there is nothing left to do for it.
            let _ = handle.join();
        }
    }
}

fn available_memory() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    // A container may get less than the machine has. Files in its cache count as used there, but are given up on demand.
    let of_container = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory.saturating_sub(limits.rss));
    // Some platforms and containers report nothing; 4 GiB is what any supported machine has.
    match system.available_memory().min(of_container) {
        0 => 4 << 30,
        bytes => bytes,
    }
}

/// Bytes that may still be written below `path`, which need not exist; `None` where the system does not tell for sure.
pub(crate) fn free_disk_bytes(path: &std::path::Path) -> Option<u64> {
    let path = std::path::absolute(path).ok()?;
    let there = path.ancestors().find(|folder| folder.exists())?.canonicalize().ok()?;
    let disks = sysinfo::Disks::new_with_refreshed_list_specifics(sysinfo::DiskRefreshKind::nothing().with_storage());
    let of_path = disks.list().iter().filter(|disk| there.starts_with(disk.mount_point()));
    let disk = of_path.max_by_key(|disk| disk.mount_point().as_os_str().len())?;
    // A file system that is not in the list may be mounted in between.
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let device = |path: &std::path::Path| std::fs::metadata(path).ok().map(|data| data.dev());
        if device(&there)? != device(disk.mount_point())? {
            return None;
        }
    }
    Some(disk.available_space())
}
