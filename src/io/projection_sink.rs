//! Projection images out of sinograms: one TIFF per view, which every slab gives some rows to.
//!
//! Must not know: stages, engines.

use super::sink::SliceSink;
use super::tiff_sink::{SliceMeta, TiffSink, encode};
use crate::error::{Error, Result};
use ndarray::{Array3, ArrayView2, Axis, s};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use tiff::encoder::colortype::Gray32Float;

/// Rows that wait for the disk together: opening each file for a single row would take longer than writing it.
const BYTES: usize = 64 << 20;

/// Writes `p%05d.tif`, 32-bit absorbance `[row, col]` of each view. Rows are collected in hidden files beside them, since a
/// view is complete only with the last row; a run that is stopped leaves nothing.
pub struct ProjectionSink {
    dir: PathBuf,
    meta: SliceMeta,
    /// `[row, view, col]`, filled up to `waiting`.
    rows: Array3<f32>,
    waiting: usize,
    written: usize,
    views: usize,
    cols: usize,
}

impl ProjectionSink {
    /// For sinograms of `views` x `cols`. Makes the folder if needed and proves that it can be written to.
    pub fn new(dir: &Path, [views, cols]: [usize; 2], meta: SliceMeta) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|e| Error::io(dir.display(), "make the output folder", e))?;
        TiffSink::check_dir(dir, &[])?;
        let at_once = (BYTES / (4 * views * cols).max(1)).clamp(1, 64);
        let sink = ProjectionSink {
            dir: dir.to_owned(),
            meta,
            rows: Array3::zeros((at_once, views, cols)),
            waiting: 0,
            written: 0,
            views,
            cols,
        };
        sink.clear();
        Ok(sink)
    }
    /// The file of a view.
    pub fn path(&self, view: usize) -> PathBuf {
        self.dir.join(format!("p{view:05}.tif"))
    }
    fn part(&self, view: usize) -> PathBuf {
        self.dir.join(format!(".p{view:05}.part"))
    }
    fn clear(&self) {
        // Most of them are not there.
        (0..self.views).for_each(|view| {
            let _ = fs::remove_file(self.part(view));
            let _ = fs::remove_file(self.path(view).with_extension("tif.part"));
        });
    }
    fn flush(&mut self) -> Result<()> {
        let rows = self.rows.slice(s![..self.waiting, .., ..]);
        for (view, lines) in rows.axis_iter(Axis(1)).enumerate() {
            let path = self.part(view);
            let bytes: Vec<u8> = lines.iter().flat_map(|v| v.to_le_bytes()).collect();
            let file = OpenOptions::new().create(true).append(true).open(&path);
            file.and_then(|mut file| file.write_all(&bytes)).map_err(|e| Error::io(path.display(), "write", e))?;
        }
        self.written += self.waiting;
        self.waiting = 0;
        Ok(())
    }
    /// Turns the collected rows of a view into its file.
    fn finish_view(&self, view: usize) -> Result<()> {
        let (part, path) = (self.part(view), self.path(view));
        let mut bytes = Vec::with_capacity(4 * self.written * self.cols);
        File::open(&part)
            .and_then(|mut f| f.read_to_end(&mut bytes))
            .map_err(|e| Error::io(part.display(), "read", e))?;
        if bytes.len() != 4 * self.written * self.cols {
            return Err(Error::internal(part.display(), "the collected rows have another length than was written"));
        }
        let data: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let aside = path.with_extension("tif.part");
        let size = (self.cols, self.written);
        let text = format!("{:.6}", self.meta.pixel_um);
        let file = encode::<Gray32Float>(&aside, &path, size, &text, &self.meta, &data)?;
        file.sync_all().map_err(|e| Error::io(path.display(), "write", e))?;
        fs::rename(&aside, &path).map_err(|e| Error::io(path.display(), "name", e))?;
        // What is left over is cleared in any case at the end.
        let _ = fs::remove_file(&part);
        Ok(())
    }
}

impl SliceSink for ProjectionSink {
    fn write(&mut self, _: usize, slice: ArrayView2<f32>) -> Result<()> {
        self.rows.index_axis_mut(Axis(0), self.waiting).assign(&slice);
        self.waiting += 1;
        if self.waiting == self.rows.len_of(Axis(0)) { self.flush() } else { Ok(()) }
    }
    fn finish(&mut self, go_on: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.flush()?;
        for view in 0..self.views {
            go_on()?;
            self.finish_view(view)?;
        }
        Ok(())
    }
    fn abandon(&mut self) -> Option<String> {
        self.clear();
        Some("projection images need every row, so those that were not finished are lost".to_owned())
    }
}
