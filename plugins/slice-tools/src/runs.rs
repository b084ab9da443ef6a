//! Runs: the stretches of a line of voxels that belong to objects. Objects are found and kept by their runs, of which there
//! are far fewer than voxels.

use crate::Range;
use std::sync::Mutex;
use wagiri_plugin::{Host, Input, Result};

/// Columns `start..end` of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub start: u32,
    pub end: u32,
}

impl Stretch {
    pub fn len(&self) -> u64 {
        u64::from(self.end - self.start)
    }
}

/// The runs of one slice, line by line.
#[derive(Clone, Debug, Default)]
pub struct SliceRuns {
    pub runs: Vec<Stretch>,
    /// Where the runs of each line begin in `runs`, and where those of the last one end.
    pub lines: Vec<usize>,
}

impl SliceRuns {
    /// The runs of a slice with `cols` columns.
    pub fn find(slice: &[f32], cols: usize, range: Range) -> SliceRuns {
        let mut found = SliceRuns { runs: Vec::new(), lines: vec![0] };
        for line in slice.chunks(cols) {
            let mut start = None;
            for (x, &value) in line.iter().enumerate() {
                match (range.holds(value), start) {
                    (true, None) => start = Some(x as u32),
                    (false, Some(first)) => {
                        found.runs.push(Stretch { start: first, end: x as u32 });
                        start = None;
                    }
                    _ => {}
                }
            }
            if let Some(start) = start {
                found.runs.push(Stretch { start, end: cols as u32 });
            }
            found.lines.push(found.runs.len());
        }
        found
    }
    /// Numbers of the runs of line `y`.
    pub fn line(&self, y: usize) -> std::ops::Range<usize> {
        self.lines[y]..self.lines[y + 1]
    }
}

/// The runs of each slice of a slab, found on all threads.
pub fn of_slab(host: &Host, input: &Input, range: Range) -> Result<Vec<SliceRuns>> {
    let [rows, cols] = input.shape.dims;
    let slices: Vec<&[f32]> = input.data.chunks(rows * cols).collect();
    let found: Vec<Mutex<SliceRuns>> = slices.iter().map(|_| Mutex::default()).collect();
    host.parallel_for(slices.len() as u32, |z| {
        let runs = SliceRuns::find(slices[z as usize], cols, range);
        *found[z as usize].lock().unwrap_or_else(|e| e.into_inner()) = runs;
    })?;
    Ok(found.into_iter().map(|runs| runs.into_inner().unwrap_or_else(|e| e.into_inner())).collect())
}

/// Memory of the runs of a slab at worst: every second voxel is a run of its own.
pub fn most_bytes(rows: usize, dims: [usize; 2]) -> u64 {
    (rows * dims[0] * dims[1].div_ceil(2) * size_of::<Stretch>()) as u64
}
