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
        // SAFETY: the view lies within `data`, here and below.
        assert_eq!(unsafe { pixels(view(data, [2, 3, 4], stride), "v") }.unwrap(), array);
    }
    // SAFETY: as above.
    assert_eq!(unsafe { pixels(view(data, [1, 3, 4], [-7, 4, 1]), "v") }.unwrap(), array.slice(s![..1, .., ..]));
    // Flipped upside down: data is the first row of the flipped image, the last one in memory.
    // SAFETY: as above.
    let flipped = unsafe { pixels(view(&data[8..], [2, 3, 4], [12, -4, 1]), "v") }.unwrap();
    assert_eq!(flipped, array.slice(s![.., ..;-1, ..]));
    // Transposed.
    // SAFETY: as above.
    let turned = unsafe { pixels(view(data, [2, 4, 3], [12, 1, 4]), "v") }.unwrap();
    assert_eq!(turned, array.view().permuted_axes([0, 2, 1]));
    // One row for all: allowed for reading only.
    let repeated = view(data, [2, 3, 4], [0, 0, 1]);
    // SAFETY: as above.
    assert_eq!(unsafe { pixels(repeated, "v") }.unwrap()[[1, 2, 3]], 3.0);
}

#[test]
fn writing_goes_to_the_pixels_that_the_strides_name() {
    let mut data = [0.0f32; 12];
    // Every second pixel of a row, rows from the last to the first.
    let v = wagiri_view_mut { data: data[6..].as_mut_ptr(), shape: [1, 2, 3], stride: [0, -6, 2] };
    // SAFETY: the strides stay within `data`, which nobody else uses.
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
        // SAFETY: refused before anything is read, here and below.
        let e = unsafe { pixels_mut(wagiri_view_mut { data: ptr, shape, stride }, "out") }.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid);
        assert!(e.to_string().contains(message), "{e}");
    }
    let odd = wagiri_view { data: ptr.cast::<u8>().wrapping_add(1).cast(), shape: [1, 1, 1], stride: [0; 3] };
    // SAFETY: as above.
    assert!(unsafe { pixels(odd, "v") }.unwrap_err().to_string().contains("aligned"));
    let null = wagiri_view { data: std::ptr::null(), shape: [1, 1, 1], stride: [0; 3] };
    // SAFETY: as above.
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

// SAFETY: repr(C), `u32` first, numbers only, no padding.
unsafe impl Versioned for Grown {
    const FIRST_SIZE: usize = 8;
}

#[test]
fn older_and_newer_callers_are_understood() {
    let size = size_of::<Grown>() as u32;
    // SAFETY: a larger `struct_size` is given only with as much memory, or refused by its value.
    let read = |g: &Grown| unsafe { options(g, "options") };
    let of = |struct_size, a, b| Grown { struct_size, a, b };
    // SAFETY: NULL is allowed.
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
    // SAFETY: `out` has at least `struct_size` bytes.
    unsafe { fill(&raw mut out, "out") }.unwrap().set(Grown { struct_size: 0, a: 1, b: 2 });
    assert_eq!(out, Grown { struct_size: 8, a: 1, b: -1 });
    out.struct_size = 12;
    // SAFETY: `out` has at least `struct_size` bytes.
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

/// Sizes and offsets as C sees them, one `struct size field offset ...` line for each struct.
///
/// `layout` is called with every public struct; the destructuring keeps the lists of fields complete.
macro_rules! layouts {
    ($($name:ident { $($field:ident),* })*) => {{
        let mut rust = String::new();
        let mut c = String::from("#include \"wagiri.h\"\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n");
        $(
            #[allow(dead_code)]
            fn $name($name { $($field: _),* }: $name) {}
            rust += &format!("{} {}", stringify!($name), size_of::<$name>());
            c += &format!("printf(\"{0} %d\", (int)sizeof({0}));\n", stringify!($name));
            $(
                rust += &format!(" {} {}", stringify!($field), std::mem::offset_of!($name, $field));
                c += &format!("printf(\" {1} %d\", (int)offsetof({0}, {1}));\n", stringify!($name), stringify!($field));
            )*
            rust += "\n";
            c += "printf(\"\\n\");\n";
        )*
        c += "return 0;\n}\n";
        (rust, c)
    }};
}

#[test]
fn structs_lie_in_memory_as_the_header_says() {
    use super::{
        chain::*, context::*, denoise::*, inspect::*, model::*, ops::*, report::*, scan::*, stages::*, train::*,
    };
    let (rust, source) = layouts! {
        wagiri_view { data, shape, stride }
        wagiri_view_mut { data, shape, stride }
        wagiri_context_options { struct_size, device, threads, memory_bytes }
        wagiri_device { struct_size, kind, threads, name, memory_bytes }
        wagiri_scan_options { struct_size, format, dark, flat, angles, dataset, view_start, view_end }
        wagiri_scan_details {
            struct_size, half_turn_frame, note_count, views, rows, cols, flats, pixel_um, covered_deg, angles_rad,
            format, details, path, notes, pixels
        }
        wagiri_geometry { struct_size, views, angles_rad, pixel_um, center_px, center_px_per_row }
        wagiri_fbp_options { struct_size, filter, engine, pad, tolerance, interpolation, reserved }
        wagiri_normalise_options { struct_size, air_edges, keep_bad_pixels, floor_counts, black_fraction }
        wagiri_center_options { struct_size, method, row_start, row_end, search_start_px, search_end_px }
        wagiri_center { struct_size, center_px, center_px_per_row, score }
        wagiri_stage { struct_size, input, output, param_count, id, summary, place }
        wagiri_param {
            struct_size, kind, accepts_auto, choice_count, name, unit, help, default_text, choices, minimum, maximum
        }
        wagiri_run_options { struct_size, row_start, row_end, slab_rows, resume, report }
        wagiri_phase { id, seconds }
        wagiri_report {
            struct_size, phase_count, done, total, fraction, elapsed_s, eta_s, slices_per_s, phases
        }
        wagiri_plan {
            struct_size, row_start, row_end, slab_rows, memory_bytes, disk_bytes, slice_height, slice_width,
            center_px, center_px_per_row, pixel_um, compute_s, halo_below, halo_above
        }
        wagiri_chain_details { struct_size, input, output, stage_count, path, out_dir, line, toml }
        wagiri_summary { struct_size, slices, center_px, center_px_per_row, minimum, maximum, found }
        wagiri_n2i_split_options { struct_size, subsets, row_start, row_end, resume, report }
        wagiri_n2i_work { struct_size, subsets, slices, slice_height, slice_width }
        wagiri_n2i_options {
            struct_size, preset, device, resume, channels, base_width, depth, norm, patch_px, batch, slices_per_epoch,
            epochs, learning_rate, warmup_steps, clip_norm, average, held_out, patience, seed, checkpoint_s, decay, reserved
        }
        wagiri_n2i_epoch { epoch, steps, training, validation, learning_rate, seconds }
        wagiri_n2i_report {
            struct_size, epoch_done, epoch, epochs, step, steps, loss, training, validation, learning_rate, elapsed_s,
            eta_s, history, history_count
        }
        wagiri_n2i_summary { struct_size, ended, epochs, steps, training, validation }
        wagiri_model_details {
            struct_size, subsets, channels, base_width, depth, norm, parameters, mean, spread, about_count, about_names,
            about_values
        }
    };
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = std::fs::read_to_string(root.join("src/capi/wagiri.h")).unwrap();
    let structs = header.lines().filter(|l| l.starts_with("typedef struct wagiri_") && l.ends_with('{')).count();
    assert_eq!(rust.lines().count(), structs, "a struct of the header is missing in this test");

    let dir = tempfile::tempdir().unwrap();
    let (c, program) = (dir.path().join("layout.c"), dir.path().join("layout"));
    std::fs::write(&c, source).unwrap();
    let compiler =
        std::process::Command::new("cc").arg("-I").arg(root.join("src/capi")).arg(&c).arg("-o").arg(&program).status();
    match compiler {
        Ok(status) => assert!(status.success(), "cc refused the header"),
        Err(e) if std::env::var("CI").as_deref() == Ok("true") => panic!("cc: {e}"),
        Err(e) => return eprintln!("skipped, no C compiler: {e}"),
    }
    let out = std::process::Command::new(&program).output().unwrap();
    assert_eq!(String::from_utf8(out.stdout).unwrap(), rust);
}

/// A field that is appended must change `sizeof`: so no struct may end in padding, and none may have been published
/// larger than it is.
#[test]
fn every_appended_field_will_change_the_size() {
    use super::{chain::*, context::*, denoise::*, inspect::*, model::*, ops::*, scan::*, stages::*, train::*};
    fn check<T: Versioned>(end_of_last_field: usize) {
        assert_eq!(size_of::<T>(), end_of_last_field);
        assert!(T::FIRST_SIZE <= size_of::<T>() && T::FIRST_SIZE > 4);
    }
    use std::mem::offset_of;
    check::<wagiri_context_options>(offset_of!(wagiri_context_options, memory_bytes) + 8);
    check::<wagiri_device>(offset_of!(wagiri_device, memory_bytes) + 8);
    check::<wagiri_scan_options>(offset_of!(wagiri_scan_options, view_end) + 8);
    check::<wagiri_scan_details>(offset_of!(wagiri_scan_details, pixels) + 8);
    check::<wagiri_geometry>(offset_of!(wagiri_geometry, center_px_per_row) + 8);
    check::<wagiri_fbp_options>(offset_of!(wagiri_fbp_options, reserved) + 4);
    check::<wagiri_normalise_options>(offset_of!(wagiri_normalise_options, black_fraction) + 8);
    check::<wagiri_center_options>(offset_of!(wagiri_center_options, search_end_px) + 8);
    check::<wagiri_center>(offset_of!(wagiri_center, score) + 8);
    check::<wagiri_stage>(offset_of!(wagiri_stage, place) + 8);
    check::<wagiri_param>(offset_of!(wagiri_param, maximum) + 8);
    check::<wagiri_run_options>(offset_of!(wagiri_run_options, report) + 8);
    check::<wagiri_plan>(offset_of!(wagiri_plan, halo_above) + 8);
    check::<wagiri_chain_details>(offset_of!(wagiri_chain_details, toml) + 8);
    check::<wagiri_summary>(offset_of!(wagiri_summary, found) + 8);
    check::<wagiri_n2i_split_options>(offset_of!(wagiri_n2i_split_options, report) + 8);
    check::<wagiri_n2i_work>(offset_of!(wagiri_n2i_work, slice_width) + 8);
    check::<wagiri_n2i_options>(offset_of!(wagiri_n2i_options, reserved) + 4);
    check::<wagiri_n2i_summary>(offset_of!(wagiri_n2i_summary, validation) + 8);
    check::<wagiri_model_details>(offset_of!(wagiri_model_details, about_values) + 8);
}
