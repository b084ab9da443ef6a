//! What C cannot see from outside: views in all layouts, versioned structs.

use super::types::{Versioned, fill, options, pixels, pixels_mut, wagiri_view, wagiri_view_mut};
use crate::error::ErrorKind;
use ndarray::{Array3, s};

fn view(data: &[f32], shape: [u64; 3], stride: [i64; 3]) -> wagiri_view {
    wagiri_view { data: data.as_ptr(), shape, stride }
}

#[test]
fn views_of_every_layout_name_the_same_pixels() {
    let array = Array3::from_shape_fn((2, 3, 4), |(z, y, x)| (100 * z + 10 * y + x) as f32);
    let data = array.as_slice().unwrap();
    // Without strides, with the strides that this means, and with another stride where a dimension has one element.
    for stride in [[0, 0, 0], [12, 4, 1]] {
        assert_eq!(unsafe { pixels(view(data, [2, 3, 4], stride), "v") }.unwrap(), array);
    }
    assert_eq!(unsafe { pixels(view(data, [1, 3, 4], [-7, 4, 1]), "v") }.unwrap(), array.slice(s![..1, .., ..]));
    // Flipped upside down: data is the first row of the flipped image, the last one in memory.
    let flipped = unsafe { pixels(view(&data[8..], [2, 3, 4], [12, -4, 1]), "v") }.unwrap();
    assert_eq!(flipped, array.slice(s![.., ..;-1, ..]));
    // Transposed.
    let turned = unsafe { pixels(view(data, [2, 4, 3], [12, 1, 4]), "v") }.unwrap();
    assert_eq!(turned, array.view().permuted_axes([0, 2, 1]));
    // One row for all: allowed for reading only.
    let repeated = view(data, [2, 3, 4], [0, 0, 1]);
    assert_eq!(unsafe { pixels(repeated, "v") }.unwrap()[[1, 2, 3]], 3.0);
}

#[test]
fn writing_goes_to_the_pixels_that_the_strides_name() {
    let mut data = [0.0f32; 12];
    // Every second pixel of a row, rows from the last to the first.
    let v = wagiri_view_mut { data: data[6..].as_mut_ptr(), shape: [1, 2, 3], stride: [0, -6, 2] };
    unsafe { pixels_mut(v, "v") }.unwrap().iter_mut().zip(1..).for_each(|(p, i)| *p = i as f32);
    assert_eq!(data, [4.0, 0.0, 5.0, 0.0, 6.0, 0.0, 1.0, 0.0, 2.0, 0.0, 3.0, 0.0]);
}

#[test]
fn impossible_views_are_refused() {
    let mut data = [0.0f32; 24];
    let ptr = data.as_mut_ptr();
    let max = i64::MAX;
    let cases: [([u64; 3], [i64; 3], &str); 6] = [
        ([0, 3, 4], [0; 3], "no dimension may be 0"),
        ([1 << 40, 1 << 40, 1 << 40], [0; 3], "more pixels than memory"),
        ([u64::MAX, u64::MAX, u64::MAX], [0; 3], "more pixels than memory"),
        ([2, 2, 2], [max, max, max], "beyond memory"),
        ([2, 3, 4], [12, 0, 1], "share an element"),
        ([2, 3, 4], [12, 3, 1], "share an element"),
    ];
    for (shape, stride, message) in cases {
        let e = unsafe { pixels_mut(wagiri_view_mut { data: ptr, shape, stride }, "out") }.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid);
        assert!(e.to_string().contains(message), "{e}");
    }
    let odd = wagiri_view { data: ptr.cast::<u8>().wrapping_add(1).cast(), shape: [1, 1, 1], stride: [0; 3] };
    assert!(unsafe { pixels(odd, "v") }.unwrap_err().to_string().contains("aligned"));
    let null = wagiri_view { data: std::ptr::null(), shape: [1, 1, 1], stride: [0; 3] };
    assert!(unsafe { pixels(null, "v") }.unwrap_err().to_string().contains("NULL"));
}

/// The second version of a struct whose first version ended after `a`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Grown {
    struct_size: u32,
    a: i32,
    b: i32,
}

unsafe impl Versioned for Grown {
    const FIRST_SIZE: usize = 8;
}

#[test]
fn older_and_newer_callers_are_understood() {
    let size = size_of::<Grown>() as u32;
    let read = |g: &Grown| unsafe { options(g, "options") };
    let of = |struct_size, a, b| Grown { struct_size, a, b };
    assert_eq!(unsafe { options::<Grown>(std::ptr::null(), "options") }.unwrap(), of(0, 0, 0));
    assert_eq!(read(&of(size, 1, 2)).unwrap().b, 2);
    // An older caller has no `b`: what stands behind its struct is not looked at.
    assert_eq!(read(&of(8, 1, 2)).unwrap(), of(8, 1, 0));
    // A newer caller: fine as long as it asks for nothing that we do not know.
    let newer = |extra| [of(size + 4, 1, 2), of(extra, 0, 0)];
    assert_eq!(read(&newer(0)[0]).unwrap().b, 2);
    assert_eq!(read(&newer(1)[0]).unwrap_err().kind(), ErrorKind::Unsupported);
    // Never initialised.
    for bad in [0, 7, 5000, u32::MAX] {
        let e = read(&of(bad, 1, 2)).unwrap_err().to_string();
        assert_eq!(e, format!("options: struct_size must be set to sizeof the struct, 12 bytes (struct_size = {bad})"));
    }
}

#[test]
fn only_what_the_caller_knows_is_filled_in() {
    let mut out = Grown { struct_size: 8, a: -1, b: -1 };
    unsafe { fill(&raw mut out, "out") }.unwrap().set(Grown { struct_size: 0, a: 1, b: 2 });
    assert_eq!(out, Grown { struct_size: 8, a: 1, b: -1 });
    out.struct_size = 12;
    unsafe { fill(&raw mut out, "out") }.unwrap().set(Grown { struct_size: 0, a: 3, b: 4 });
    assert_eq!(out, Grown { struct_size: 12, a: 3, b: 4 });
}

/// `const` handles may be used by several threads at once; the compiler confirms that they can.
#[test]
fn handles_are_thread_safe() {
    fn shareable<T: Send + Sync>() {}
    shareable::<crate::Context>();
    shareable::<crate::Scan>();
    shareable::<crate::Chain>();
}
