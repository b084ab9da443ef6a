//! Large buffers. Must not know: anything else of the crate.

/// From this size on a buffer is worth large pages, bytes.
const LARGE: usize = 16 << 20;

/// `len` zeros. Clearing memory page by page takes a noticeable part of a run; where the system can give large buffers
/// in larger pages, it is asked to. The numbers are the same either way.
pub(crate) fn zeros<T: Clone + Default>(len: usize) -> Vec<T> {
    let buffer = vec![T::default(); len];
    if size_of_val(buffer.as_slice()) >= LARGE {
        ask_for_large_pages(&buffer);
    }
    buffer
}

#[cfg(target_os = "linux")]
fn ask_for_large_pages<T>(buffer: &[T]) {
    use std::ffi::{c_int, c_void};
    unsafe extern "C" {
        fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
    /// `MADV_HUGEPAGE` of `<sys/mman.h>`, the same on all architectures of Linux that Rust runs on.
    const HUGE_PAGE: c_int = 14;
    /// Addresses must be multiples of a page, and pages have at most 64 KiB.
    const PAGE: usize = 64 << 10;
    let start = (buffer.as_ptr() as usize).next_multiple_of(PAGE);
    let end = (buffer.as_ptr() as usize + size_of_val(buffer)) / PAGE * PAGE;
    // SAFETY: the pages lie inside the buffer, and the advice changes nothing of what they hold. It may be refused.
    unsafe { madvise(start as *mut c_void, end.saturating_sub(start), HUGE_PAGE) };
}

#[cfg(not(target_os = "linux"))]
fn ask_for_large_pages<T>(_: &[T]) {}

#[cfg(test)]
mod tests {
    #[test]
    fn buffers_hold_zeros_and_can_be_written_to_the_end() {
        for len in [0, 1, super::LARGE / 4, super::LARGE / 4 + 1, super::LARGE / 2 + 12345] {
            let mut buffer = super::zeros::<f32>(len);
            assert!(buffer.len() == len && buffer.iter().all(|v| v.to_bits() == 0));
            buffer.iter_mut().for_each(|v| *v = 1.0);
            assert_eq!(buffer.iter().sum::<f32>(), len as f32); // below 2^24: exact
        }
    }
}
