//! Every n-th view of a scan as a scan of its own, without a copy of the frames.
//!
//! Must not know: files, what subsets are for.

use super::{CountType, Frame, FrameSource, Grain, Scan, ScanInfo, ScanShape};
use crate::error::{Error, Result};
use crate::slab::Domain;
use ndarray::{Array3, ArrayViewMut2, ArrayViewMut3, Axis, s};
use std::ops::Range;
use std::sync::Arc;

impl Scan {
    /// The views `index`, `index + count`, `index + 2 count` ... with their angles and times; dark, direct beam and everything
    /// else as they are. The frame of the half turn belongs to view 0, so only the subset that has that view keeps it.
    ///
    /// Errors: `INVALID` for a number that is no subset or would leave it without a view, `UNSUPPORTED` for a volume, which has
    /// no views.
    pub fn subset(&self, index: usize, count: usize) -> Result<Scan> {
        let info = self.info();
        if info.domain == Domain::Volume {
            return Err(Error::unsupported(
                "subset",
                "a finished volume has no views that could be dealt into subsets",
            ));
        }
        let views = self.shape().views;
        if index >= count || index >= views {
            let message =
                format!("there is no subset {index} of {count}; expected 0 to {}", count.min(views).max(1) - 1);
            return Err(Error::invalid("subset", message).with("views", views));
        }
        let every = |values: &[f64]| values.iter().skip(index).step_by(count).copied().collect();
        let source = Subset { source: self.source.clone(), index, count };
        let of_views = ScanInfo {
            angles_rad: every(&info.angles_rad),
            view_time: every(&info.view_time),
            half_turn_frame: info.half_turn_frame && index == 0,
            details: format!("{}, views {index}, {}, ...", info.details, index + count),
            ..info.clone()
        };
        Scan::new(Box::new(source), of_views)
    }
}

struct Subset {
    source: Arc<dyn FrameSource>,
    index: usize,
    count: usize,
}

/// What both sample types share: how a band is read.
type Read<'a, T> = &'a dyn Fn(Range<usize>, Range<usize>, ArrayViewMut3<T>) -> Result<()>;

impl Subset {
    fn view(&self, view: usize) -> usize {
        self.index + view * self.count
    }
    /// Where single views can be read for the price of one they are; else what is decoded together is read together, and the
    /// views of the subset are picked out of it.
    fn band<T: Clone + Default>(
        &self,
        views: Range<usize>,
        rows: Range<usize>,
        mut out: ArrayViewMut3<T>,
        read: Read<T>,
    ) -> Result<()> {
        let of_source = self.source.grain();
        if of_source.views <= 1 {
            for (k, view) in views.map(|view| self.view(view)).enumerate() {
                read(view..view + 1, rows.clone(), out.slice_mut(s![.., k..k + 1, ..]))?;
            }
            return Ok(());
        }
        let grain = self.grain();
        for some in parts(&views, grain.views) {
            let all = self.view(some.start)..self.view(some.end - 1) + 1;
            for lines in parts(&rows, grain.rows) {
                let mut block = Array3::from_elem((lines.len(), all.len(), out.len_of(Axis(2))), T::default());
                read(all.clone(), lines.clone(), block.view_mut())?;
                let here = s![
                    lines.start - rows.start..lines.end - rows.start,
                    some.start - views.start..some.end - views.start,
                    ..
                ];
                out.slice_mut(here).assign(&block.slice(s![.., ..;self.count, ..]));
            }
        }
        Ok(())
    }
}

/// A range in parts that begin at multiples of `step`.
fn parts(all: &Range<usize>, step: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let (Range { start, end }, step) = (all.clone(), step.max(1));
    (start / step * step..end).step_by(step).map(move |at| at.max(start)..(at + step).min(end))
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

impl FrameSource for Subset {
    fn shape(&self) -> ScanShape {
        let all = self.source.shape();
        ScanShape { views: all.views.saturating_sub(self.index).div_ceil(self.count), ..all }
    }
    fn read_rows(&self, frame: Frame, rows: Range<usize>, out: ArrayViewMut2<f32>) -> Result<()> {
        let frame = if let Frame::View(view) = frame { Frame::View(self.view(view)) } else { frame };
        self.source.read_rows(frame, rows, out)
    }
    fn read_band(&self, views: Range<usize>, rows: Range<usize>, out: ArrayViewMut3<f32>) -> Result<()> {
        self.band(views, rows, out, &|views, rows, out| self.source.read_band(views, rows, out))
    }
    fn count_type(&self) -> CountType {
        self.source.count_type()
    }
    fn read_band_u16(&self, views: Range<usize>, rows: Range<usize>, out: ArrayViewMut3<u16>) -> Result<()> {
        self.band(views, rows, out, &|views, rows, out| self.source.read_band_u16(views, rows, out))
    }
    /// As many views as lie in whole grains of the scan.
    fn grain(&self) -> Grain {
        let Grain { views, rows } = self.source.grain();
        let together = views.max(1) / greatest_common_divisor(views.max(1), self.count);
        Grain { views: together.min(self.shape().views).max(1), rows }
    }
    fn decoding_bytes(&self) -> u64 {
        let (Grain { views, rows }, shape) = (self.grain(), self.source.shape());
        let block = match self.source.grain().views {
            0 | 1 => 0,
            _ => (views * self.count).min(shape.views) * rows.min(shape.rows) * shape.cols,
        };
        self.source.decoding_bytes() + block as u64 * self.count_type().bytes()
    }
    fn frame_bytes(&self) -> u64 {
        self.source.frame_bytes()
    }
    fn identity(&self) -> Result<String> {
        Ok(format!("{}, every {}th view from {}", self.source.identity()?, self.count, self.index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{MemoryRows, MemorySource};
    use ndarray::Array2;

    fn frames() -> Array3<f32> {
        Array3::from_shape_fn((23, 7, 5), |(view, row, col)| (100 * view + 10 * row + col) as f32)
    }

    #[test]
    fn a_subset_has_its_views_angles_and_times() {
        let source = MemorySource::new(frames(), Array3::ones((2, 7, 5)), Array2::zeros((7, 5))).unwrap();
        let scan = source.into_scan((0..23).map(f64::from).collect(), Some(2.0)).unwrap();
        for (index, views) in [(0, 6), (2, 6), (3, 5)] {
            let subset = scan.subset(index, 4).unwrap();
            assert_eq!((subset.shape().views, subset.shape().flats), (views, 2));
            let numbers: Vec<f64> = (0..views).map(|k| (index + 4 * k) as f64).collect();
            assert_eq!((&subset.info().angles_rad, &subset.info().view_time), (&numbers, &numbers));
            let mut band = Array3::zeros((3, 2, 5));
            subset.source().read_band(2..4, 1..4, band.view_mut()).unwrap();
            let expected = Array3::from_shape_fn((3, 2, 5), |(row, k, col)| {
                (100 * (index + 4 * (k + 2)) + 10 * (row + 1) + col) as f32
            });
            assert_eq!(band, expected);
            let mut dark = Array2::ones((7, 5));
            subset.source().read_rows(Frame::Dark, 0..7, dark.view_mut()).unwrap();
            assert_eq!(dark, Array2::<f32>::zeros((7, 5)));
        }
        assert_ne!(
            scan.subset(0, 4).unwrap().source().identity().unwrap(),
            scan.subset(1, 4).unwrap().source().identity().unwrap()
        );
        assert!(scan.subset(4, 4).is_err() && scan.subset(23, 30).is_err());
        assert!(MemoryRows::volume(frames()).into_scan(Vec::new(), None).unwrap().subset(0, 2).is_err());
    }

    /// Frames of which several are decoded together, and which counts what is read.
    struct Chunks(std::sync::atomic::AtomicUsize);

    impl FrameSource for Chunks {
        fn shape(&self) -> ScanShape {
            ScanShape { views: 23, rows: 7, cols: 5, flats: 0 }
        }
        fn read_rows(&self, _: Frame, _: Range<usize>, _: ArrayViewMut2<f32>) -> Result<()> {
            Err(Error::internal("test", "single frames cost as much as many"))
        }
        fn read_band(&self, views: Range<usize>, rows: Range<usize>, mut out: ArrayViewMut3<f32>) -> Result<()> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            out.assign(&frames().slice(s![views, rows, ..]).permuted_axes([1, 0, 2]));
            Ok(())
        }
        fn grain(&self) -> Grain {
            Grain { views: 6, rows: 2 }
        }
        fn frame_bytes(&self) -> u64 {
            0
        }
    }

    #[test]
    fn what_is_decoded_together_is_read_once() {
        let info =
            ScanInfo { domain: Domain::Sinogram, angles_rad: (0..23).map(f64::from).collect(), ..ScanInfo::default() };
        let source = Arc::new(Chunks(Default::default()));
        for (index, count) in [(0, 3), (2, 3), (1, 4), (5, 6)] {
            let subset = Subset { source: source.clone(), index, count };
            let shape = subset.shape();
            source.0.store(0, std::sync::atomic::Ordering::Relaxed);
            let mut band = Array3::zeros((7, shape.views, 5));
            subset.read_band(0..shape.views, 0..7, band.view_mut()).unwrap();
            for ((row, k, col), value) in band.indexed_iter() {
                assert_eq!(*value, (100 * (index + count * k) + 10 * row + col) as f32);
            }
            // Four pairs of rows; views in whole chunks of six.
            let grain = subset.grain().views;
            assert_eq!(source.0.load(std::sync::atomic::Ordering::Relaxed), 4 * shape.views.div_ceil(grain));
            assert_eq!(grain * count % 6, 0);
        }
        let scan = Scan::new(Box::new(Chunks(Default::default())), info).unwrap();
        assert!(scan.subset(1, 3).unwrap().source().decoding_bytes() > scan.source().decoding_bytes());
    }
}
