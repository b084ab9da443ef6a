//! Loops in the widest vectors that the processor has. Must not know: anything else of the crate.
//!
//! The code is plain Rust, compiled once for every machine and once more for machines that can do more. Fused
//! multiply-add stays off, so the result is the same bits everywhere.

/// Runs `kernel(args)`, which should be a function marked `#[inline(always)]`: only what is inlined here is compiled for
/// wide vectors.
#[inline]
pub(crate) fn widest<A, R>(kernel: impl FnOnce(A) -> R, args: A) -> R {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the instructions.
        return unsafe { avx2(kernel, args) };
    }
    kernel(args)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<A, R>(kernel: impl FnOnce(A) -> R, args: A) -> R {
    kernel(args)
}
