//! The reconstruction stays within the working memory that it announces. A file of its own: it counts all allocations.

use ndarray::Array3;
use std::alloc::{GlobalAlloc, Layout, System};
use std::f64::consts::PI;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use wagiri::geometry::{uniform_angles, view_weights};
use wagiri::recon::{Engine, Fbp, FbpOptions, Filter};
use wagiri::rings::{
    self, AllOptions, DeadOptions, DetectOptions, FilterOptions, LargeOptions, Method, RegularizeOptions,
    WaveletFftOptions,
};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Most bytes in use at a time during `work` beyond those before it; the least of three, since threads that are ending
/// allocate too.
fn least_peak(mut work: impl FnMut()) -> usize {
    (0..3).map(|_| peak(&mut work)).min().unwrap_or(0)
}

/// Most bytes in use at a time during `work` beyond those before it.
fn peak(work: impl FnOnce()) -> usize {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    work();
    PEAK.load(Relaxed) - before
}

#[test]
fn measured_memory_is_what_was_announced() {
    let (views, cols) = (200, 300);
    let angles = uniform_angles(views, 0.0, PI);
    // Threads of rayon and messages between them allocate a little too.
    let slack = 64 << 10;
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.broadcast(|_| ());
        for (rows, engine) in [
            (1, Engine::Direct),
            (3, Engine::Direct),
            (15, Engine::Direct),
            (33, Engine::Direct),
            (2, Engine::Reference),
            (1, Engine::Fourier),
            (7, Engine::Fourier),
        ] {
            let options = FbpOptions {
                filter: Filter::Chesler,
                engine,
                pad: true,
                tolerance: FbpOptions::DEFAULT_TOLERANCE,
                interpolation: Default::default(),
            };
            let fbp = Fbp::new(&angles, &view_weights(&angles), cols, 1.0, &options).unwrap();
            let sinos = Array3::from_elem((rows, views, cols), 0.5);
            let mut out = Array3::zeros((rows, cols, cols));
            let center = vec![149.2; rows];
            let used = peak(|| fbp.reconstruct(&pool, sinos.view(), &center, out.view_mut(), &mut |_| Ok(())).unwrap());
            let announced = fbp.scratch_bytes(rows, threads) as usize;
            let what = format!("{engine:?}, {rows} rows, {threads} threads: {used} used, {announced} announced");
            assert!(used <= announced + slack, "{what}");
            // A promise far too high would waste the memory budget.
            assert!(announced <= used * 13 / 10 + slack, "{what}");
        }
    }
    let (views, cols) = (3000, 300);
    for kernel in [0, 5, 8, 101, 599] {
        let mut sino = ndarray::Array2::from_shape_fn((views, cols), |(m, n)| ((m * 31 + n * 17) % 101) as f32);
        let used = least_peak(|| rings::sort(sino.view_mut(), kernel).unwrap());
        let announced = rings::sort_scratch_bytes(views, cols, kernel) as usize;
        // All of it is a handful of arrays, so the announcement is exact; threads of the pools above may still be ending.
        assert!(used.abs_diff(announced) <= slack, "kernel {kernel}: {used} used, {announced} announced");
    }
    for (method, slack) in [
        (Method::Filter(FilterOptions::default()), 16 << 10),
        (Method::Large(LargeOptions::default()), 0),
        (Method::Dead(DeadOptions::default()), 0),
        (Method::Dead(DeadOptions { residual: false, ..DeadOptions::default() }), 0),
        (Method::All(AllOptions::default()), 0),
        (Method::WaveletFft(WaveletFftOptions::default()), 0),
        (Method::WaveletFft(WaveletFftOptions { level: 1, wavelet: "db1", ..WaveletFftOptions::default() }), 0),
        (Method::Regularize(RegularizeOptions::default()), 0),
        (Method::Detect(DetectOptions::default()), 0),
    ] {
        for (views, cols) in [(3000, 300), (500, 1200)] {
            let mut sino = ndarray::Array2::from_shape_fn((views, cols), |(m, n)| {
                ((m * 31 + n * 17) % 101) as f32 + if n % 13 == 0 { 60.0 } else { 0.0 }
            });
            let used = least_peak(|| method.apply(sino.view_mut()).unwrap());
            let announced = method.scratch_bytes(views, cols) as usize;
            let what = format!("{method:?}, {views} x {cols}: {used} used, {announced} announced");
            println!("{what}");
            assert!(used <= announced + slack, "{what}");
            // Small against the sinogram is good enough.
            assert!(announced <= used * 13 / 10 + views * cols / 2, "{what}");
        }
    }
}
