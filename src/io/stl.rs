//! Surfaces as binary STL files.

use super::aside::Aside;
use crate::error::{Error, Result};
use std::path::Path;

/// Writes triangles one after the other; their number, which stands in front, is filled in at the end.
pub struct StlWriter {
    file: Aside,
    count: u32,
}

/// Where the number of triangles is.
const COUNT_AT: u64 = 80;

impl StlWriter {
    /// Begins a file.
    pub fn create(path: &Path) -> Result<Self> {
        let mut file = Aside::create(path)?;
        // It must not begin with "solid", which is what the text form begins with.
        let mut head = [b' '; 84];
        let text = format!("wagiri {}, lengths in micrometres", crate::VERSION);
        head[..text.len()].copy_from_slice(text.as_bytes());
        head[80..].fill(0);
        file.write(&head)?;
        Ok(StlWriter { file, count: 0 })
    }
    /// Appends a triangle: its unit normal, outwards, and its corners, counter-clockwise from outside.
    pub fn add(&mut self, normal: [f32; 3], corners: [[f32; 3]; 3]) -> Result<()> {
        let too_many = || {
            Error::limit(
                self.file.path().display(),
                "an STL file holds at most 4294967295 triangles; bin the volume first",
            )
        };
        self.count = self.count.checked_add(1).ok_or_else(too_many)?;
        let mut bytes = [0; 50];
        let numbers = normal.iter().chain(corners.iter().flatten());
        bytes.chunks_exact_mut(4).zip(numbers).for_each(|(bytes, v)| bytes.copy_from_slice(&v.to_le_bytes()));
        self.file.write(&bytes)
    }
    /// Fills in the number and gives the file its name.
    pub fn finish(mut self) -> Result<()> {
        self.file.patch(COUNT_AT, &self.count.to_le_bytes())?;
        self.file.finish()
    }
}
