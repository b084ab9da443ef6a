//! Reading bands of detector rows: by threads of their own, in the type of the file, nothing twice that is still there.
//!
//! Must not know: stages, ring removal, reconstruction.

use super::survey::{log_repairs, read_dark_and_flats, survey};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::preprocess::{NormaliseOptions, normalise_rows};
use crate::progress::Progress;
use crate::scan::{Band, BandMut, CountType, Scan};
use crate::slab::{Domain, Halo, References, Slab};
use ndarray::Array3;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

/// Views that a thread reads between two looks at whether to stop.
const VIEWS_AT_ONCE: usize = 16;
/// Reading waits for disks; more threads than this only disturb each other.
const MOST_THREADS: usize = 8;

/// Threads that read while others compute. They sleep while the reader is ahead, so they take no time from computing that
/// reading does not need.
pub(super) fn reader_threads(ctx: &Context) -> usize {
    ctx.threads().min(MOST_THREADS)
}

/// Bands of counts `[row, view, col]` that have been read, with their detector rows.
#[derive(Debug, Default)]
pub(super) struct Kept(pub Vec<(Range<usize>, Band)>);

impl Kept {
    /// The part of `rows` from its start on that lies in one band, with that band; or `None` and the part that lies in none.
    fn first_part(&self, rows: &Range<usize>) -> (Option<&(Range<usize>, Band)>, Range<usize>) {
        match self.0.iter().find(|(there, _)| there.contains(&rows.start)) {
            Some(found) => (Some(found), rows.start..rows.end.min(found.0.end)),
            None => {
                let next = self.0.iter().map(|(there, _)| there.start).filter(|start| *start > rows.start).min();
                (None, rows.start..rows.end.min(next.unwrap_or(rows.end)))
            }
        }
    }
    /// Memory that it takes.
    pub fn bytes(&self) -> u64 {
        let bytes = |band: &Band| band.shape().iter().product::<usize>() as u64 * band.count_type().bytes();
        self.0.iter().map(|(_, band)| bytes(band)).sum()
    }
    /// Gives memory of rows before `row` back.
    fn drop_before(&mut self, row: usize) {
        self.0.retain(|(rows, _)| rows.end > row);
    }
}

/// Fills `out` with the rows `rows` of all views, on `threads` threads. What is in `kept` is copied. `tick` is called on the
/// calling thread with the finished part (0 to 1), and its error stops the reading; of several failures the one of the
/// first views is told.
fn fill(
    scan: &Scan,
    kept: &Kept,
    rows: Range<usize>,
    out: BandMut<'_>,
    threads: usize,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<()> {
    let (source, views) = (scan.source(), scan.shape().views);
    let grain = source.grain().views.max(1);
    let at_once = views.div_ceil(8 * threads).clamp(1, VIEWS_AT_ONCE).next_multiple_of(grain);
    let groups = out.into_groups(at_once);
    let (total, done, stop) = (groups.len().max(1), AtomicUsize::new(0), AtomicBool::new(false));
    let tasks = Mutex::new(groups.into_iter().enumerate());
    let failure: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    let read_group = |first: usize, out: &mut BandMut<'_>| -> Result<()> {
        let views = first..first + out.shape()[1];
        let mut rest = rows.clone();
        while !rest.is_empty() {
            let (found, part) = kept.first_part(&rest);
            let mut out = out.rows(part.start - rows.start..part.end - rows.start);
            match found {
                Some((there, band)) => {
                    band.copy_to(part.start - there.start..part.end - there.start, views.clone(), &mut out);
                }
                None => out.read(source, views.clone(), part.clone())?,
            }
            rest.start = part.end;
        }
        Ok(())
    };
    // One group of views; false if there is none left, or it failed.
    let step = || {
        let task = if stop.load(Ordering::Relaxed) { None } else { lock(&tasks).next() };
        let Some((k, mut group)) = task else { return false };
        let result = read_group(k * at_once, &mut group);
        done.fetch_add(1, Ordering::Relaxed);
        let Err(error) = result else { return true };
        stop.store(true, Ordering::Relaxed);
        let mut failure = lock(&failure);
        if failure.as_ref().is_none_or(|(first, _)| k < *first) {
            *failure = Some((k, error));
        }
        false
    };
    let told = thread::scope(|scope| {
        for _ in 1..threads.min(total) {
            scope.spawn(|| while step() {});
        }
        while step() {
            if let Err(error) = tick(done.load(Ordering::Relaxed) as f64 / total as f64) {
                stop.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    });
    match lock(&failure).take() {
        Some((_, error)) => Err(error),
        None => told,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A band of rows as it was read, with `halo.below` and `halo.above` rows around its own.
pub(super) struct RawSlab {
    pub band: Band,
    /// Detector row of the first own row.
    pub first_row: usize,
    /// Of counts.
    pub references: Option<References>,
}

/// Reads one slab after the other, from the top of the detector to the bottom.
pub(super) struct Reader<'a> {
    pub scan: &'a Scan,
    pub threads: usize,
    pub halo: Halo,
    pub black_views: &'a Arc<[bool]>,
    pub kept: Kept,
}

impl Reader<'_> {
    /// The rows `own` with the halo around them; beyond the ends of the detector the last row is repeated. `old` is a band
    /// whose memory may be used again.
    pub fn read(
        &mut self,
        own: Range<usize>,
        old: Option<Band>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<RawSlab> {
        let (shape, halo) = (self.scan.shape(), self.halo);
        // What lies beyond the last row repeats it.
        let end = (own.end + halo.above).min(shape.rows);
        let there = own.start.saturating_sub(halo.below).min(end.saturating_sub(1))..end;
        let below = (halo.below + there.start).saturating_sub(own.start);
        let total = halo.below + own.len() + halo.above;
        let is_counts = self.scan.info().domain == Domain::Counts;
        let read = || read_references(self.scan, there.clone(), self.black_views);
        let mut references = is_counts.then(read).transpose()?;
        let kind = self.scan.source().count_type();
        let mut band = Band::reuse(old, kind, [total, shape.views, shape.cols]);
        let mut out = band.view_mut();
        let out = out.rows(below..below + there.len());
        fill(self.scan, &self.kept, there.clone(), out, self.threads, tick)?;
        self.kept.drop_before(own.end.saturating_sub(halo.below));
        // Rows that the next slab shows again.
        let again = own.end.saturating_sub(halo.below).max(there.start)..there.end;
        if own.end < shape.rows && !again.is_empty() {
            let mut copy = Band::zeros(kind, [again.len(), shape.views, shape.cols]);
            let rows = below + again.start - there.start..below + again.end - there.start;
            band.copy_to(rows, 0..shape.views, &mut copy.view_mut());
            // What is known already would only take memory twice.
            self.kept.0.retain(|(rows, _)| !(again.start <= rows.start && rows.end <= again.end));
            self.kept.0.push((again, copy));
        }
        if total > there.len() {
            let nearest: Vec<usize> = (0..total).map(|i| i.clamp(below, below + there.len() - 1)).collect();
            for (i, &from) in nearest.iter().enumerate().filter(|(i, from)| i != *from) {
                band.repeat_row(from, i);
            }
            let nearest: Vec<usize> = nearest.iter().map(|row| row - below).collect();
            if let Some(references) = &mut references {
                references.dark = references.dark.select(ndarray::Axis(0), &nearest);
                references.flats = references.flats.select(ndarray::Axis(1), &nearest);
            }
        }
        Ok(RawSlab { band, first_row: own.start, references })
    }
}

/// Dark and direct-beam images of the detector rows `rows`, with the times and the black views of the scan.
pub fn read_references(scan: &Scan, rows: Range<usize>, black_views: &Arc<[bool]>) -> Result<References> {
    let all: Vec<usize> = rows.clone().collect();
    let (dark, flats) = read_dark_and_flats(scan, &all, &[rows])?;
    let info = scan.info();
    let (flat_time, view_time) = (info.flat_time.clone(), info.view_time.clone());
    Ok(References { dark, flats, flat_time, view_time, black_views: black_views.clone() })
}

/// Counts of the detector rows `rows` with `halo` rows around them, and their references, ready for the first stage.
///
/// Beyond the ends of the detector the last row is repeated. Views are read in parallel, as many at a time as `ctx` has
/// threads; `tick` is called on the calling thread with the finished part (0 to 1), and its error stops the reading.
pub fn read_counts(
    ctx: &Context,
    scan: &Scan,
    rows: Range<usize>,
    halo: Halo,
    black_views: &Arc<[bool]>,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<Slab> {
    let shape = scan.shape();
    if rows.start >= rows.end || rows.end > shape.rows {
        return Err(Error::invalid("rows", "expected rows of the detector, start..end with end not included")
            .with("rows", format!("{}..{}", rows.start, rows.end))
            .with("detector rows", shape.rows));
    }
    let mut reader = Reader { scan, threads: reader_threads(ctx), halo, black_views, kept: Kept::default() };
    let RawSlab { band, first_row, references } = reader.read(rows, None, tick)?;
    let data = match band {
        Band::F32(data) => data,
        Band::U16(data) => data.mapv(f32::from),
    };
    Ok(Slab { data, domain: scan.info().domain, first_row, halo, references: references.map(Arc::new) })
}

/// Sinograms `[row, view, col]` of the detector rows `rows` in absorbance, with the defaults of the stage normalise: what a
/// chain would reconstruct from, black views included, which get the mean of the others. Where the data are finished
/// sinograms, they come as they are; a volume has none.
///
/// `black_views` are those of `scan`: found out by a [`survey`] if nobody has yet, and kept there, for each call would read
/// the whole scan again. Repairs are told in the log. `progress` counts rows.
pub fn read_sinograms(
    ctx: &Context,
    scan: &Scan,
    rows: Range<usize>,
    black_views: &OnceLock<Arc<[bool]>>,
    progress: &mut Progress,
) -> Result<Array3<f32>> {
    match scan.info().domain {
        Domain::Counts => {}
        Domain::Sinogram => {
            let mut sinograms = Array3::zeros((rows.len(), scan.shape().views, scan.shape().cols));
            scan.source().read_band(0..scan.shape().views, rows, sinograms.view_mut())?;
            return Ok(sinograms);
        }
        Domain::Volume => {
            return Err(Error::unsupported("scan", "a finished volume has no sinograms; the stage project makes some"));
        }
    }
    let options = NormaliseOptions::default();
    let black_views = match black_views.get() {
        Some(known) => known,
        None => {
            let found = survey(ctx, scan, &options, progress)?.black_views;
            black_views.get_or_init(|| found)
        }
    };
    let count = rows.len();
    // Reading is half of the work here, normalising the other.
    let mut tick = |part: f64| progress.report((part * count as f64) as usize, count, part);
    let mut slab = read_counts(ctx, scan, rows, Halo::default(), black_views, &mut |part| tick(part / 2.0))?;
    let references = slab.references.take();
    let references = references.ok_or_else(|| Error::internal("scan", "the reader gave no dark and flats"))?;
    let half = &mut |part: f64| tick(0.5 + part / 2.0);
    log_repairs(&normalise_rows(ctx.pool(), slab.data.view_mut(), &references, &options, slab.first_row, half)?);
    Ok(slab.data)
}

/// Bytes of a count of `scan` in a slab.
pub(super) fn count_bytes(scan: &Scan) -> u64 {
    CountType::bytes(scan.source().count_type())
}
