//! Graphics processors of all makers, by Vulkan, or by Metal on macOS.

use crate::learner::Learner;
use crate::{Failure, Found, Network, Session, Which, quiet};
use burn_autodiff::Autodiff;
use burn_wgpu::{Wgpu, WgpuDevice};
use wgpu::DeviceType;

/// The graphics processors of this machine, the fastest kind first.
pub(crate) fn find() -> Vec<Found> {
    let backends = if cfg!(target_os = "macos") { wgpu::Backends::METAL } else { wgpu::Backends::VULKAN };
    let list = quiet::caught_aside(|| {
        let mut how = wgpu::InstanceDescriptor::new_without_display_handle();
        how.backends = backends;
        ready(wgpu::Instance::new(how).enumerate_adapters(backends)).ok_or_else(|| "the list is not ready".into())
    });
    let mut counts = [0; 4];
    let mut out = Vec::new();
    for adapter in list.unwrap_or_default() {
        let info = adapter.get_info();
        let rank = match info.device_type {
            DeviceType::DiscreteGpu => 0,
            DeviceType::IntegratedGpu => 1,
            DeviceType::VirtualGpu => 2,
            DeviceType::Cpu => 3,
            DeviceType::Other => continue,
        };
        // burn counts each kind by itself, and knows one of software.
        let device = match rank {
            0 => WgpuDevice::DiscreteGpu(counts[0]),
            1 => WgpuDevice::IntegratedGpu(counts[1]),
            2 => WgpuDevice::VirtualGpu(counts[2]),
            _ if counts[3] > 0 => continue,
            _ => WgpuDevice::Cpu,
        };
        counts[rank] += 1;
        let limits = adapter.limits();
        let found = Found {
            name: info.name,
            memory_bytes: 0,
            largest_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
            shares_memory: rank == 1 || rank == 3,
            software: rank == 3,
            device: Which::Wgpu(device),
        };
        out.push((rank, found));
    }
    out.sort_by_key(|(rank, _)| *rank);
    out.into_iter().map(|(_, found)| found).collect()
}

pub(crate) fn open(device: &WgpuDevice, network: &Network) -> Result<Session, Failure> {
    let (network, device) = (network.clone(), device.clone());
    Session::start(move || Learner::<Autodiff<Wgpu>>::new(network, device))
}

/// What a future gives at once, of an interface that is asynchronous only on the web.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
