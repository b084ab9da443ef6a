//! Frames that are images in files: the source behind HiPic, `.his` and TIFF scans.
//!
//! Knows where the pixels of each image are, reads only the rows asked for, and averages groups of images.
//! Must not know: how the roles of the images were found out.

use super::bytes::{Sample, file_len, open_file, read_at};
use super::count::Count;
use super::identity::Identity;
use super::tiff_image::{self, Chunks, PageDecoder};
use crate::error::{Error, Result};
use crate::scan::{CountType, Frame, FrameSource, Grain, Scan, ScanInfo, ScanOptions, ScanShape, check_band};
use ndarray::{Array2, ArrayViewMut2, ArrayViewMut3, Axis, Zip};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

/// Where the pixels of an image are.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub rows: usize,
    pub cols: usize,
    pub sample: Sample,
    pub pixels: Pixels,
}

#[derive(Clone, Debug)]
pub(crate) enum Pixels {
    /// Plain rows: strip `i` holds rows `i * rows_per_strip ..` at byte `offsets[i]`.
    Plain { big_endian: bool, rows_per_strip: usize, offsets: Vec<u64> },
    /// Compressed or tiled TIFF page, decoded by the `tiff` crate.
    Encoded(Chunks),
}

impl Layout {
    /// One block of rows at `offset`.
    pub(crate) fn block(rows: usize, cols: usize, sample: Sample, offset: u64) -> Self {
        let pixels = Pixels::Plain { big_endian: false, rows_per_strip: rows, offsets: vec![offset] };
        Layout { rows, cols, sample, pixels }
    }
}

/// A file with one or many images. Files with many stay open.
pub(crate) struct ImageFile {
    pub path: PathBuf,
    handle: Option<File>,
    decoders: Mutex<Vec<PageDecoder>>,
}

impl ImageFile {
    /// For one image: opened for each read, so that thousands of files do not use up the file handles.
    pub(crate) fn closed(path: PathBuf) -> Arc<Self> {
        Arc::new(ImageFile { path, handle: None, decoders: Mutex::default() })
    }
    /// For many images.
    pub(crate) fn kept_open(path: PathBuf, handle: File) -> Arc<Self> {
        Arc::new(ImageFile { path, handle: Some(handle), decoders: Mutex::default() })
    }
    fn with<T>(&self, work: impl FnOnce(&File) -> Result<T>) -> Result<T> {
        match &self.handle {
            Some(file) => work(file),
            None => work(&open_file(&self.path)?),
        }
    }
    /// Lends a TIFF decoder that already knows the pages it has passed; finding a page is a walk through a chain.
    pub(crate) fn with_decoder<T>(&self, work: impl FnOnce(&mut PageDecoder) -> Result<T>) -> Result<T> {
        let idle = self.decoders.lock().unwrap_or_else(|e| e.into_inner()).pop();
        let mut decoder = match idle {
            Some(decoder) => decoder,
            None => tiff_image::decoder(&self.path)?,
        };
        let result = work(&mut decoder)?;
        if self.handle.is_some() {
            self.decoders.lock().unwrap_or_else(|e| e.into_inner()).push(decoder);
        }
        Ok(result)
    }
}

type Probe = fn(&Path, &File) -> Result<Layout>;

/// One image. Its header is looked at when it is first read, so that opening a scan does not touch every file.
pub(crate) struct Image {
    pub file: Arc<ImageFile>,
    layout: OnceLock<Layout>,
    probe: Probe,
}

/// Images whose mean is one frame of the scan; often one image.
pub(crate) type Group = Vec<Arc<Image>>;

fn never_probed(path: &Path, _: &File) -> Result<Layout> {
    Err(Error::internal(path.display(), "an image without layout"))
}

impl Image {
    /// An image whose header `probe` reads on first use.
    pub(crate) fn lazy(path: PathBuf, probe: Probe) -> Arc<Self> {
        Arc::new(Image { file: ImageFile::closed(path), layout: OnceLock::new(), probe })
    }
    /// An image inside a file that has been indexed.
    pub(crate) fn known(file: Arc<ImageFile>, layout: Layout) -> Arc<Self> {
        Arc::new(Image { file, layout: OnceLock::from(layout), probe: never_probed })
    }
    /// Reads the header unless it has been read.
    pub(crate) fn layout(&self) -> Result<&Layout> {
        if self.layout.get().is_none() {
            let layout = self.file.with(|file| (self.probe)(&self.file.path, file))?;
            let _ = self.layout.set(layout);
        }
        self.layout.get().ok_or_else(|| Error::internal(self.file.path.display(), "an image without layout"))
    }
    /// What tells this image from others of its file: where its pixels begin. 0 if it is alone.
    pub(super) fn place(&self) -> u64 {
        match self.layout.get().map(|layout| &layout.pixels) {
            Some(Pixels::Plain { offsets, .. }) if self.file.handle.is_some() => offsets.first().copied().unwrap_or(0),
            Some(Pixels::Encoded(chunks)) if self.file.handle.is_some() => chunks.page as u64,
            _ => 0,
        }
    }
    /// `sample`: the type that this kind of frame must have, if one must.
    pub(super) fn read<T: Count>(
        &self,
        size: [usize; 2],
        sample: Option<Sample>,
        rows: Range<usize>,
        out: ArrayViewMut2<T>,
    ) -> Result<()> {
        let layout = self.layout()?;
        if let Some(expected) = sample.filter(|expected| *expected != layout.sample) {
            let message = format!(
                "the pixels of this frame are {}, those of the others {}: all frames must be alike",
                layout.sample.name(),
                expected.name()
            );
            return Err(Error::format(self.file.path.display(), message));
        }
        if [layout.rows, layout.cols] != size {
            let message = format!(
                "the frame has {} x {} pixels (columns x rows), but the scan has {} x {}: all frames must be alike",
                layout.cols, layout.rows, size[1], size[0]
            );
            return Err(Error::format(self.file.path.display(), message));
        }
        match &layout.pixels {
            Pixels::Plain { big_endian, rows_per_strip, offsets } => self.file.with(|file| {
                read_plain(file, &self.file.path, layout, *big_endian, *rows_per_strip, offsets, rows, out)
            }),
            Pixels::Encoded(chunks) => self.file.with_decoder(|d| chunks.read(d, &self.file.path, layout, rows, out)),
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn read_plain<T: Count>(
    file: &File,
    path: &Path,
    layout: &Layout,
    big_endian: bool,
    rows_per_strip: usize,
    offsets: &[u64],
    rows: Range<usize>,
    mut out: ArrayViewMut2<T>,
) -> Result<()> {
    let cols = layout.cols as u64;
    let mut buffer = Vec::new();
    let mut row = rows.start;
    while row < rows.end {
        let strip = row / rows_per_strip;
        let in_strip = (row % rows_per_strip) as u64;
        let end = rows.end.min((strip + 1) * rows_per_strip);
        let base = *offsets.get(strip).ok_or_else(|| Error::format(path.display(), "a strip is missing"))?;
        let (at, len) = layout.sample.span(in_strip * cols, (end - row) as u64 * cols);
        buffer.resize(len as usize, 0);
        read_at(file, path, base + at, &mut buffer)?;
        for k in 0..end - row {
            let first = (in_strip + k as u64) * cols;
            let (from, len) = layout.sample.span(first, cols);
            let (from, len) = ((from - at) as usize, len as usize);
            let bytes = &buffer[from..(from + len).min(buffer.len())];
            T::decode(bytes, layout.sample, big_endian, first, out.row_mut(row - rows.start + k));
        }
        row = end;
    }
    Ok(())
}

/// Reads a file's length against what its header promises.
pub(crate) fn check_length(file: &File, path: &Path, needed: u64) -> Result<()> {
    let there = file_len(file, path)?;
    if there < needed {
        return Err(Error::format(path.display(), "the file is cut off: its header promises more bytes than it has")
            .with("promised_bytes", needed)
            .with("bytes", there));
    }
    Ok(())
}

/// A scan whose frames are images.
pub(crate) struct Parts {
    pub views: Vec<Group>,
    pub flats: Vec<Group>,
    /// Empty: the user said that there is no dark; it reads as zeros.
    pub dark: Group,
    pub half_turn: Option<Group>,
    pub half_turn_flat: Option<Group>,
}

struct ImageSource {
    parts: Parts,
    shape: ScanShape,
    frame_bytes: u64,
    /// Sample type of the projections.
    sample: Option<Sample>,
    /// Dark and direct-beam frames come from the same detector in the same way, so they must have this type too.
    alike: bool,
    /// Rows of a frame that are decoded together.
    grain_rows: usize,
}

impl Parts {
    /// Applies `options.views`, looks at one image of each kind, and makes the scan.
    pub(crate) fn into_scan(mut self, mut info: ScanInfo, options: &ScanOptions) -> Result<Scan> {
        if let Some(range) = &options.views {
            check_views(range, self.views.len())?;
            self.views = self.views.drain(range.clone()).collect();
            info.angles_rad = info.angles_rad.drain(range.clone()).collect();
            info.view_time = info.view_time.drain(range.clone()).collect();
            if range.start > 0 {
                // It belongs to view 0 of the whole scan.
                (self.half_turn, self.half_turn_flat) = (None, None);
            }
        }
        info.half_turn_frame = self.half_turn.is_some();
        let mut size = None;
        let mut frame_bytes = 0;
        let first = |groups: &[Group]| groups.first().and_then(|g| g.first()).cloned();
        let kinds = [first(&self.views), first(&self.flats), self.dark.first().cloned()];
        let alike = matches!(info.format, "hipic" | "his");
        let sample = kinds[0].as_ref().map(|image| image.layout().map(|l| l.sample)).transpose()?;
        for (kind, image) in kinds.iter().enumerate().filter_map(|(i, image)| Some((i, image.as_ref()?))) {
            let layout = image.layout()?;
            if size.is_none() {
                frame_bytes = layout.sample.bytes((layout.rows * layout.cols) as u64);
            }
            // Reading no row compares the sizes.
            let size = *size.get_or_insert([layout.rows, layout.cols]);
            let expected = sample.filter(|_| alike || kind == 0);
            image.read(size, expected, 0..0, Array2::<f32>::zeros([0, size[1]]).view_mut())?;
        }
        info.folders = self.folders();
        let [rows, cols] = size.unwrap_or([0, 0]);
        let shape = ScanShape { views: self.views.len(), rows, cols, flats: self.flats.len() };
        let grain_rows = match kinds[0].as_ref().map(|image| image.layout()).transpose()? {
            Some(Layout { pixels: Pixels::Encoded(chunks), .. }) => chunks.rows().min(rows),
            _ => 1,
        };
        Scan::new(Box::new(ImageSource { parts: self, shape, frame_bytes, sample, alike, grain_rows }), info)
    }
    /// Folders that hold the files, each once.
    fn folders(&self) -> Vec<PathBuf> {
        let images = self.views.iter().chain(&self.flats).flatten().chain(&self.dark);
        let parents = images.filter_map(|image| image.file.path.parent());
        let each_once: std::collections::BTreeSet<&Path> = parents.collect();
        each_once.into_iter().map(Path::to_owned).collect()
    }
}

/// Refuses a range of views that the scan does not have.
pub(crate) fn check_views(range: &Range<usize>, views: usize) -> Result<()> {
    if range.start >= range.end || range.end > views {
        return Err(Error::invalid("views", format!("expected start..end within 0..{views}"))
            .with("views", format!("{}..{}", range.start, range.end)));
    }
    Ok(())
}

impl FrameSource for ImageSource {
    fn shape(&self) -> ScanShape {
        self.shape
    }

    fn read_rows(&self, frame: Frame, rows: Range<usize>, mut out: ArrayViewMut2<f32>) -> Result<()> {
        check_band(self.shape, &rows, &out)?;
        let parts = &self.parts;
        let group = match frame {
            Frame::View(i) => parts.views.get(i),
            Frame::Flat(i) => parts.flats.get(i),
            Frame::Dark => Some(&parts.dark),
            Frame::HalfTurn => parts.half_turn.as_ref(),
            Frame::HalfTurnFlat => parts.half_turn_flat.as_ref(),
        };
        let group =
            group.ok_or_else(|| Error::not_found("scan", "no such frame").with("frame", format!("{frame:?}")))?;
        let size = [self.shape.rows, self.shape.cols];
        let is_view = matches!(frame, Frame::View(_) | Frame::HalfTurn);
        let sample = self.sample.filter(|_| is_view || self.alike);
        match group.as_slice() {
            [] => out.fill(0.0),
            [image] => image.read(size, sample, rows, out)?,
            images => {
                let mut sum = Array2::<f64>::zeros(out.raw_dim());
                for image in images {
                    image.read(size, sample, rows.clone(), out.view_mut())?;
                    Zip::from(&mut sum).and(&out).for_each(|s, &v| *s += v as f64);
                }
                Zip::from(&mut out).and(&sum).for_each(|o, s| *o = (s / images.len() as f64) as f32);
            }
        }
        Ok(())
    }

    fn count_type(&self) -> CountType {
        // The mean of several images is not a whole number.
        let single = self.parts.views.iter().all(|group| group.len() == 1);
        self.sample.filter(|_| single).map_or(CountType::F32, Sample::count_type)
    }

    fn read_band_u16(&self, views: Range<usize>, rows: Range<usize>, mut out: ArrayViewMut3<u16>) -> Result<()> {
        let size = [self.shape.rows, self.shape.cols];
        for (k, view) in views.enumerate() {
            let out = out.index_axis_mut(Axis(1), k);
            match self.parts.views.get(view).map(Vec::as_slice) {
                Some([image]) => {
                    check_band(self.shape, &rows, &out)?;
                    image.read(size, self.sample, rows.clone(), out)?;
                }
                _ => return Err(Error::not_found("scan", "no such frame").with("view", view)),
            }
        }
        Ok(())
    }

    fn grain(&self) -> Grain {
        Grain { views: 1, rows: self.grain_rows }
    }

    fn frame_bytes(&self) -> u64 {
        self.frame_bytes
    }

    fn identity(&self) -> Result<String> {
        let mut identity = Identity::default();
        let Parts { views, flats, dark, half_turn, half_turn_flat } = &self.parts;
        let groups = std::iter::once(("dark", dark))
            .chain(flats.iter().map(|g| ("flat", g)))
            .chain(views.iter().map(|g| ("view", g)))
            .chain(half_turn.iter().map(|g| ("half turn", g)))
            .chain(half_turn_flat.iter().map(|g| ("half turn flat", g)));
        for (role, group) in groups {
            // How many images are averaged tells where one frame ends and the next begins.
            let role = format!("{role} of {}", group.len());
            for image in group {
                identity.add(&role, &image.file.path, image.place())?;
            }
        }
        Ok(identity.line())
    }
}
