//! Loops in the widest vectors that the processor has. Must not know: anything else of the crate.
//!
//! The code is plain Rust, compiled once for every machine and once more for machines that can do more. Fused
//! multiply-add stays off, so the result is the same bits everywhere.

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
