//! Chains run into memory.

use ndarray::Array3;
use wagiri::chain::RunOptions;
use wagiri::io::MemorySink;
use wagiri::{Chain, Context, ContextOptions, Progress, Scan};

pub fn context() -> Context {
    Context::new(ContextOptions { threads: Some(2), ..ContextOptions::default() }).expect("a context")
}

pub fn chain(text: &str) -> Chain {
    Chain::parse(&context().registry(), text).expect("a chain")
}

pub fn volume(scan: &Scan, text: &str, slab_rows: Option<usize>) -> Array3<f32> {
    let (ctx, chain) = (context(), chain(text));
    let slices = chain.slices(&ctx, scan).expect("a number");
    let size = chain.plan(&ctx, scan, &RunOptions::default(), &mut Progress::silent()).expect("a plan").slice;
    let mut sink = MemorySink::new(0, slices, size);
    let options = RunOptions { slab_rows, ..RunOptions::default() };
    chain.run_into(&ctx, scan, &mut sink, &options, &mut Progress::silent()).expect("a volume");
    sink.volume
}

/// The volume, which must not depend on the slab height: single rows, odd numbers of them, as many as the plan says.
pub fn same_for_all_heights(scan: &Scan, text: &str) -> Array3<f32> {
    let whole = volume(scan, text, None);
    for rows in [1, 3, 7] {
        assert!(volume(scan, text, Some(rows)) == whole, "{text}: slabs of {rows}");
    }
    whole
}
