//! The networks of wagiri on graphics processors, by burn (<https://burn.dev>): the same code for each of its backends.
//!
//! burn is an asynchronous library that panics where a device fails, often on threads of its own. Here it is shut in: all of it
//! runs on a thread of the [`Session`], which turns panics into a [`Failure`], and what it computes is looked at before it
//! replaces anything.
//!
//! Must not know: wagiri. Numbers go in and come out as plain vectors.

#![deny(unsafe_code)]
#![warn(missing_docs)]
#![warn(clippy::undocumented_unsafe_blocks)]

#[cfg(all(feature = "cuda", not(target_os = "macos")))]
#[allow(unsafe_code)]
#[path = "cuda.rs"]
mod of_cuda;
#[cfg(feature = "wgpu")]
#[path = "wgpu.rs"]
mod of_wgpu;

mod learner;
mod net;
mod quiet;
mod session;
#[cfg(test)]
mod tests;

pub use session::{Pixels, Session};

/// Shape of a U-Net, and where its tensors lie.
#[derive(Clone, Debug)]
pub struct Network {
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the level with full size; twice as many in each below.
    pub base_width: usize,
    /// Levels below it.
    pub depth: usize,
    /// Batch normalisation follows each convolution, else a bias.
    pub normalised: bool,
    /// In the order in which data meets them, each in PyTorch's order of axes.
    pub tensors: Vec<Piece>,
}

/// A tensor, as a piece of one of the two vectors of [`State`].
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Of the parameters, else of the statistics.
    pub trained: bool,
    /// Where it begins.
    pub offset: usize,
    /// How many numbers.
    pub len: usize,
}

/// Everything that training changes.
#[allow(missing_docs)] // the names say it
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub parameters: Vec<f32>,
    pub statistics: Vec<f32>,
    pub averaged_parameters: Vec<f32>,
    pub averaged_statistics: Vec<f32>,
    pub moment1: Vec<f32>,
    pub moment2: Vec<f32>,
    pub steps: u64,
}

/// How a step changes the weights: Adam with beta 0.9 and 0.999, epsilon 1e-8.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// Length of the step.
    pub learning_rate: f64,
    /// Gradients whose L2 norm is larger are scaled to it; infinite: never.
    pub clip_norm: f64,
    /// What the averages keep of themselves.
    pub average: f64,
}

/// What a step found.
#[derive(Clone, Copy, Debug)]
pub struct StepDone {
    /// Mean squared error before the step.
    pub loss: f64,
    /// L2 norm of the gradient before clipping.
    pub grad_norm: f64,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The device has too little memory for it; the words of its driver.
    Memory(String),
    /// It is not there, or does not work; why.
    Device(String),
    /// The caller wanted it so.
    Stopped,
}

/// A device before it is used.
#[derive(Clone, Debug)]
pub struct Found {
    /// Model, as its driver reports it.
    pub name: String,
    /// All of its memory, bytes; 0 if the driver does not tell.
    pub memory_bytes: u64,
    /// The most that one tensor may take, bytes.
    pub largest_bytes: u64,
    /// It computes in the machine's memory.
    pub shares_memory: bool,
    /// The processor pretends to be one.
    pub software: bool,
    device: Which,
}

#[derive(Clone, Debug)]
enum Which {
    #[cfg(all(feature = "cuda", not(target_os = "macos")))]
    Cuda,
    #[cfg(feature = "wgpu")]
    Wgpu(burn_wgpu::WgpuDevice),
    #[cfg(feature = "flex")]
    Flex,
}

/// NVIDIA's first graphics processor, or what is missing.
pub fn cuda() -> Result<Found, String> {
    #[cfg(all(feature = "cuda", not(target_os = "macos")))]
    return of_cuda::find();
    #[cfg(not(all(feature = "cuda", not(target_os = "macos"))))]
    Err("this program was built without CUDA".into())
}

/// Graphics processors of all makers by Vulkan, or by Metal on macOS: the fastest kind first, software last. Drivers are asked once
/// in a process, which takes them a noticeable time.
pub fn wgpu() -> Vec<Found> {
    #[cfg(feature = "wgpu")]
    {
        static FOUND: std::sync::OnceLock<Vec<Found>> = std::sync::OnceLock::new();
        FOUND.get_or_init(of_wgpu::find).clone()
    }
    #[cfg(not(feature = "wgpu"))]
    Vec::new()
}

/// The processor. It is far slower than wagiri's own engine for it, and there to test the others' code on any machine.
#[cfg(feature = "flex")]
pub fn flex() -> Found {
    let name = "burn's processor".to_owned();
    Found { name, memory_bytes: 0, largest_bytes: 1 << 28, shares_memory: true, software: true, device: Which::Flex }
}

/// Starts to use what was found. `Device` if it does not compute.
pub fn open(found: &Found, network: &Network) -> Result<Session, Failure> {
    match &found.device {
        #[cfg(all(feature = "cuda", not(target_os = "macos")))]
        Which::Cuda => of_cuda::open(network),
        #[cfg(feature = "wgpu")]
        Which::Wgpu(device) => of_wgpu::open(device, network),
        #[cfg(feature = "flex")]
        Which::Flex => {
            let network = network.clone();
            type Flex = burn_autodiff::Autodiff<burn_flex::Flex>;
            Session::start(move || learner::Learner::<Flex>::new(network, Default::default()))
        }
        #[cfg(not(any(feature = "flex", feature = "cuda", feature = "wgpu")))]
        _ => unreachable!("nothing is found where nothing was built in"),
    }
}
