//! Loops in the widest vectors that the processor has. Must not know: anything else of the crate.
//!
//! The code is plain Rust, compiled once for every machine and once more for machines that can do more. Fused
//! multiply-add stays off, so the result is the same bits everywhere. Loops that need more are written by hand, over the
//! registers of an [`Isa`].

/// Instruction set of loops that are written by hand: of the direct and the Fourier engine, and of the network.
///
/// Each gives the same bits for any number of threads; two of them differ by rounding, in a reconstruction at most 1e-6 of
/// the largest value. The best that the processor has is taken; to choose another one is for tests and benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// What every machine of the architecture has, without fused multiply-add.
    Portable,
    /// AVX2 with FMA (x86-64).
    Avx2,
    /// AVX-512 F, BW, DQ and VL (x86-64).
    Avx512,
    /// NEON (64-bit ARM).
    Neon,
}

impl Isa {
    /// All instruction sets, the best first.
    pub const ALL: [Isa; 4] = [Isa::Avx512, Isa::Avx2, Isa::Neon, Isa::Portable];

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            Isa::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => false,
        }
    }

    /// The best that this processor has.
    pub fn best() -> Isa {
        Isa::ALL.into_iter().find(|isa| isa.is_available()).unwrap_or(Isa::Portable)
    }
}

/// A loop and what it works on.
///
/// A trait and not a closure: the compiler may leave a closure, or a function that is passed as one, outside, and only what
/// is inlined into [`widest`] gets wide vectors.
pub(crate) trait Kernel {
    /// What the loop finds.
    type Output;
    /// The loop. Mark it `#[inline(always)]`.
    fn run(self) -> Self::Output;
}

/// Runs `kernel` with the widest vectors.
#[inline]
pub(crate) fn widest<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
        {
            // SAFETY: the processor has the instructions.
            return unsafe { avx512(kernel) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the instructions.
            return unsafe { avx2(kernel) };
        }
    }
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avx512f,avx512vl,avx512bw,avx512dq")]
fn avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}
