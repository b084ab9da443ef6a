//! Programs for offset scans over a full turn: ofct_DO, ofct_srec, ofct_rec, of_sinog, ofsfa.

use super::environment::{black, context, context_with, hipic_options, kernel_size, plain_options, variable, whole};
use super::environment::{floor_counts, leading_number};
use super::frames::refuse_same;
use super::projections::{SinogramFile, write_sinogram};
use super::recon::{chain_at, chunks, layer, of_ct_rec, one_slice, print_remarks, volume, write_slice};
use super::{Call, Program, Variants};
use crate::terminal::{progress, say, silent};
use std::fs;
use std::ops::Range;
use std::path::Path;
use wagiri::chain::{AxisMethod, AxisOptions, Registry, ShiftOptions, find_axis, find_shift};
use wagiri::geometry::{Center, covered_deg};
use wagiri::io::{HipicOptions, MemorySink, SliceMeta, open_hipic};
use wagiri::preprocess::NormaliseOptions;
use wagiri::scan::{MemoryRows, ScanOptions};
use wagiri::{Chain, Context, Error, Result, Scan};

const COMPAT: &str = "--ct-rec-compat";
const PRINT: &str = "--print";
/// Neighbouring views that ofct_DO_g averages.
const AVERAGE: i64 = 10;
/// Folder of the slices of ofsfa.
const OFSFA: &str = "ofsfa";

pub const PROGRAMS: &[Program] = &[
    Program {
        stem: "ofct_DO",
        variants: Variants::Gpu,
        usage: &["raw {stride}", "raw {navg {stride}} (with _g)"],
        does: "the axis Rc (half a pixel right of the axis) and the shift Oy along it, from opposite frames",
        same_as: "wagiri center raw --method overlap",
        differs: "the axis is that of wagiri's own search where it is sure of it: ct-rec's takes air on air for agreement, \
                  is a pixel off after smoothing small frames, and knows no axis at the left",
        checked: "Rc and Oy of a phantom at the left and at the right; the mean squared difference against a plain sum",
        run: ofct_do,
    },
    Program {
        stem: "ofct_srec",
        variants: Variants::DeviceFilter,
        usage: &["{--ct-rec-compat} raw Rc Oy", "{--ct-rec-compat} raw Rc Oy rangeList Dr RA0 rec"],
        does: "reconstructs all or some slices of an offset scan; RA0 in radians; without rangeList, width, slices, views and GB",
        same_as: "raw | normalise | offset.stitch center_px=1023.5 | ring.sort kernel_px=5 | recon.fbp pad=slice | write.tiff",
        differs: "the axis is that of the stitching, Rc - 1/2, where ct-rec's is a pixel beside it, and Rc may have a fraction; \
                  left of the middle weights run the right way; views must cover a full turn. --ct-rec-compat as the first \
                  argument gives ct-rec's numbers, for an integer Rc",
        checked: "ct-rec's own volume with --ct-rec-compat within 2e-5 of its maximum; without it discs come back at their \
                  places, for both sides, Oy of either sign, and an Rc with a fraction",
        run: ofct_srec,
    },
    Program {
        stem: "ofct_rec",
        variants: Variants::DeviceFilter,
        usage: &["layer center {pixel} {angle}"],
        does: "reconstructs one slice of the offset scan in the current folder",
        same_as: "raw | normalise black=row | offset.stitch center_px=1023.5 | ring.sort kernel_px=5 | recon.fbp pad=slice | \
                  write.tiff",
        differs: "the axis is that of the stitching, center - 1/2, where ct-rec's is a pixel beside it; views are mixed over all \
                  of the overlap instead of 20 columns; black views are replaced",
        checked: "a disc of 2.0 1/cm comes back within 1 % at its place",
        run: ofct_rec,
    },
    Program {
        stem: "of_sinog",
        variants: Variants::Plain,
        usage: &["layer center {ndiv}"],
        does: "writes the stitched sinogram of a slice, every ndiv-th view, and sino.tmp",
        same_as: "raw | normalise black=row | offset.stitch center_px=1023.5 | write.tiff",
        differs: "views are mixed over all of the overlap instead of 20 columns; black views are replaced; TIFF frames, too",
        checked: "against the sinogram of a detector that sees all of the sample, within 1e-3 absorbance",
        run: of_sinog,
    },
    Program {
        stem: "ofsfa",
        variants: Variants::Plain,
        usage: &["{--print} layer from to"],
        does: "reconstructs a slice of the offset scan in raw with each Rc, into ofsfa/RRRRR.tif, to choose one by eye",
        same_as: "raw | normalise | offset.stitch center_px=1023.5 | ring.sort kernel_px=5 | recon.fbp pad=slice | write.tiff",
        differs: "reconstructs instead of printing a script, which --print does; the folder is made; the correct axis",
        checked: "the slice of ofct_srec for each Rc, bit for bit",
        run: ofsfa,
    },
];

/// Opens a scan over a full turn, angles even from 0 as ct-rec takes them.
///
/// ct-rec pairs view m with view m + M of 2 M; an odd one, usually the end point of the turn, is left out.
fn full_turn(call: &Call, path: &Path, hipic: HipicOptions) -> Result<Scan> {
    let hipic = HipicOptions { even_angles: false, ..hipic };
    let logged = open_hipic(path, &hipic, &ScanOptions::default())?;
    let (views, covered) = (logged.shape().views, covered_deg(&logged.info().angles_rad));
    if !(350.0..=370.0).contains(&covered) {
        let message = "the angles of output.log must cover a full turn";
        return Err(Error::unsupported(path.display(), message).with("covered_deg", format!("{covered:.1}")));
    }
    if views % 2 > 0 {
        call.remark(format!("{views} views: the last is left out, since opposite views go together"));
    }
    let even = views - views % 2;
    let span = 360.0 * views as f64 / even as f64;
    open_hipic(
        path,
        &hipic,
        &ScanOptions { angles: Some(span.to_string()), views: Some(0..even), ..ScanOptions::default() },
    )
}

/// The stages up to stitched sinograms; `rc` as ct-rec counts it, half a pixel right of the axis.
fn stitched(rc: f64, oy: f64, normalise: &str) -> String {
    format!("normalise {} {normalise} | offset.stitch center_px={} shift_rows={oy} |", black(), rc - 0.5)
}

/// The remark on the axis that belongs to `rc`.
fn axis(rc: f64) -> String {
    format!("axis {} px, that of the stitching; ct-rec reconstructs about one a pixel right of it", rc - 0.5)
}

fn ofct_do(call: &Call) -> Result<()> {
    let most = if call.gpu { 3 } else { 2 };
    if call.args.is_empty() || call.args.len() > most {
        return Err(call.usage());
    }
    let given = |what, index, default| if call.args.len() > index { call.whole(what, index, 1) } else { Ok(default) };
    let (average, stride) = match call.gpu {
        true => (given("navg", 1, AVERAGE)?, given("stride", 2, 1)?),
        false => (1, given("stride", 1, 1)?),
    };
    let raw = Path::new(&call.args[0]);
    let smooth_px = variable("OFCT_DO_SMOOTH").map_or(10.0, |text| leading_number("OFCT_DO_SMOOTH", &text)).max(0.0);
    let scan = full_turn(call, raw, hipic_options()?)?;
    let context = context_with(&["THREADS"])?;
    let normalise = NormaliseOptions { floor_counts: floor_counts(), ..NormaliseOptions::default() };
    let options = AxisOptions { method: AxisMethod::Overlap, normalise, ..AxisOptions::default() };
    let own = find_axis(&context, &scan, &options, &mut silent()).map(|found| found.center.at(0));
    let options = ShiftOptions {
        average: average as usize,
        stride: stride as usize,
        smooth_px,
        near_px: own.as_ref().ok().copied(),
        normalise,
    };
    let laid = find_shift(&context, &scan, &options, &mut progress("ofct_DO"))?;
    let (center_px, rows) = match (&own, laid) {
        (Ok(px), laid) => (*px, laid.map_or(0.0, |laid| laid.rows)),
        (Err(_), Some(laid)) if !laid.at_end => (laid.center_px, laid.rows),
        (Err(_), _) => return Err(own.err().unwrap_or_else(|| call.usage())),
    };
    match own {
        Ok(_) if laid.is_none() => {
            call.remark("Oy is not searched for an axis in the middle half of the detector: 0 taken")
        }
        Ok(px) => call.remark(format!("Rc {:.2}, to a fraction of a pixel; ofct_srec takes it", px + 0.5)),
        Err(e) => log::warn!("found by the smallest difference alone, look at a slice: {e}"),
    }
    let (rc, oy) = ((center_px + 1.0).floor(), (rows + 0.5).floor());
    let (pixel_um, turn) = ("1.0", "0.0");
    log::info!("try: ofct_srec_g_c raw {rc} {oy} - {pixel_um} {turn} rec");
    say!("{rc}");
    call.log_command(Path::new("."), &format!("   % center {rc} Oy {oy} smooth {smooth_px:.2}"));
    Ok(())
}

fn ofct_srec(call: &Call) -> Result<()> {
    let compat = call.args.first().is_some_and(|word| word == COMPAT);
    let args = call.args[usize::from(compat)..].to_vec();
    let own = Call { args, name: call.name.clone(), program: call.program, gpu: call.gpu, filter: call.filter };
    if own.args.len() != 3 && own.args.len() != 7 {
        return Err(call.usage());
    }
    let raw = Path::new(&own.args[0]);
    let (rc, oy) = (own.number("Rc", 1)?, own.number("Oy", 2)?.trunc());
    let scan = full_turn(call, raw, hipic_options()?)?;
    let shape = scan.shape();
    let rows = shape.rows as f64 - oy.abs();
    if rows < 1.0 {
        let accepted = format!("Oy: expected less than the {} rows of the detector", shape.rows);
        return Err(Error::invalid(&call.name, accepted).with("Oy", oy));
    }
    let rows = rows as usize;
    if own.args.len() == 3 {
        let (width, _) = wagiri::preprocess::offset::stitched(shape.cols, rc - 0.5)?;
        let bytes = 4.0 * (shape.views * shape.cols) as f64 * rows as f64;
        say!("{width}\t{rows}\t{}\t{:.3}", shape.views / 2, bytes / f64::from(1 << 30));
        return Ok(());
    }
    let ranges = ranges(&own.args[3], rows).ok_or_else(|| {
        let accepted = format!("rangeList: expected a, a-b, a-, -b or -, parted by commas, within 0 to {}", rows - 1);
        Error::invalid(&call.name, accepted).with("rangeList", format!("'{}'", own.args[3]))
    })?;
    let (pixel_um, turn_rad, rec) = (own.number("Dr", 4)?, own.number("RA0", 5)?, Path::new(&own.args[6]));
    refuse_same(call, raw, rec)?;
    let before = if compat {
        format!("normalise {} | offset.stitch rule=ct-rec center_px={} shift_rows={oy} |", black(), rc.trunc())
    } else {
        call.remark(axis(rc));
        stitched(rc, oy, "")
    };
    let chain = chain_at(&own, "auto", pixel_um, turn_rad.to_degrees(), &before, "direct")?;
    let context = context()?;
    let mut bands = 0;
    for range in ranges {
        bands += chunks(&volume(call, &chain, &context, &scan, rec, Some(range), "ofct_srec")?);
    }
    call.log_command(Path::new("."), &format!("   % kernel_size {}   % bands {bands}", kernel_size()));
    Ok(())
}

/// Slices of a list `a`, `a-b`, `a-`, `-b`, `-`, parted by commas, ends included; those that touch are joined.
fn ranges(list: &str, rows: usize) -> Option<Vec<Range<usize>>> {
    let number = |text: &str, default: usize| if text.is_empty() { Some(default) } else { text.parse().ok() };
    let mut all = Vec::new();
    for part in list.split(',').map(str::trim) {
        let (first, last) = match part.split_once('-') {
            Some((a, b)) => (number(a.trim(), 0)?, number(b.trim(), rows - 1)?),
            None => (part.parse().ok()?, part.parse().ok()?),
        };
        if first > last || last >= rows {
            return None;
        }
        all.push(first..last + 1);
    }
    all.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in all {
        match joined.last_mut() {
            Some(before) if range.start <= before.end => before.end = before.end.max(range.end),
            _ => joined.push(range),
        }
    }
    Some(joined)
}

fn ofct_rec(call: &Call) -> Result<()> {
    if !(2..=4).contains(&call.args.len()) {
        return Err(call.usage());
    }
    let center = call.number("center", 1)?;
    let pixel_um = if call.args.len() > 2 { call.number("pixel", 2)? } else { 1.0 };
    let turn_deg = if call.args.len() > 3 { call.number("angle", 3)? } else { 0.0 };
    let scan = full_turn(call, Path::new("."), plain_options())?;
    let rows = layer(call, 0, &scan)?;
    call.remark(axis(center));
    let chain = chain_at(call, "auto", pixel_um, turn_deg, &stitched(center, 0.0, "black=row"), "direct")?;
    one_slice(call, &chain, &context()?, &scan, rows, "ct_rec_tif")
}

fn of_sinog(call: &Call) -> Result<()> {
    if !(2..=3).contains(&call.args.len()) {
        return Err(call.usage());
    }
    let center = call.number("center", 1)?;
    let every = if call.args.len() > 2 { call.whole("ndiv", 2, 1)? as usize } else { 1 };
    let scan = full_turn(call, Path::new("."), plain_options())?;
    let rows = layer(call, 0, &scan)?;
    let (width, middle) = wagiri::preprocess::offset::stitched(scan.shape().cols, center - 0.5)?;
    let text = stitched(center, 0.0, "black=row");
    let chain = Chain::parse(&Registry::built_in(), text.trim_end_matches([' ', '|']))?;
    let size = [scan.shape().views / 2, width];
    let file = SinogramFile { layer: rows.start, axis: middle, every };
    write_sinogram(call, &chain, &context()?, &scan, size, &file)
}

fn ofsfa(call: &Call) -> Result<()> {
    let print = call.args.first().is_some_and(|word| word == PRINT);
    let args = call.args[usize::from(print)..].to_vec();
    let own = Call { args, name: call.name.clone(), program: call.program, gpu: call.gpu, filter: call.filter };
    if own.args.len() != 3 {
        return Err(call.usage());
    }
    let (from, to) = (own.whole("from", 1, 1)?, own.whole("to", 2, 1)?);
    let axes = from.min(to)..=from.max(to);
    if print {
        let layer = own.whole("layer", 0, 0)?;
        for rc in axes {
            say!("ofct_srec_t_c raw {rc} 0 {layer} 1.0 0.0 {OFSFA}");
            let (mv, slash) = if cfg!(windows) { ("move", '\\') } else { ("mv", '/') };
            say!("{mv} {OFSFA}{slash}rec{layer:05}.tif {OFSFA}{slash}{rc:05}.tif");
        }
        return Ok(());
    }
    let scan = full_turn(call, Path::new("raw"), hipic_options()?)?;
    let rows = layer(&own, 0, &scan)?;
    let context = context()?;
    let row = row_in_memory(&context, &scan, rows.clone())?;
    let folder = Path::new(OFSFA);
    fs::create_dir_all(folder).map_err(|e| Error::io(folder.display(), "make the output folder", e))?;
    for rc in axes {
        let px = rc as f64 - 0.5;
        let (width, _) = wagiri::preprocess::offset::stitched(scan.shape().cols, px)?;
        let before = format!("sinograms | offset.stitch center_px={px} |");
        let chain = chain_at(call, "auto", 1.0, 0.0, &before, "direct")?;
        let mut sink = MemorySink::new(0, 1, [width, width]);
        let summary = chain.run_into(&context, &row, &mut sink, &of_ct_rec(), &mut progress(OFSFA))?;
        let meta = SliceMeta {
            pixel_um: 1.0,
            center: Center::Fixed(summary.center.at(0)),
            views: scan.shape().views / 2,
            angle_offset_rad: 0.0,
            artist: "ofct_srec".into(),
            names: None,
            levels: None,
            described: true,
        };
        let path = folder.join(format!("{rc:05}.tif"));
        write_slice(&path, sink.volume.index_axis(ndarray::Axis(0), 0), 0, &meta)?;
        say!("{}\t{}", path.display(), wagiri::io::read_description(&path)?);
    }
    call.log_command(Path::new("."), "");
    Ok(())
}

/// The sinogram of a row, read once for many axes.
fn row_in_memory(context: &Context, scan: &Scan, rows: Range<usize>) -> Result<Scan> {
    let shape = scan.shape();
    let chain = Chain::parse(&Registry::built_in(), &format!("normalise {}", black()))?;
    let options =
        wagiri::chain::RunOptions { rows: Some(rows.clone()), slab_rows: whole("HPTG_CHUNK_ROWS"), ..of_ct_rec() };
    let mut sink = MemorySink::new(rows.start, 1, [shape.views, shape.cols]);
    let summary = chain.run_into(context, scan, &mut sink, &options, &mut silent())?;
    print_remarks(&summary.remarks);
    MemoryRows::sinograms(sink.volume).into_scan(scan.info().angles_rad.clone(), Some(1.0))
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn lists_of_slices_are_understood_in_all_their_forms() {
        let ends = |list| ranges(list, 10).map(|all| all.iter().map(|r| (r.start, r.end)).collect::<Vec<_>>());
        assert_eq!(ends("-"), Some(vec![(0, 10)]));
        assert_eq!(ends("3"), Some(vec![(3, 4)]));
        assert_eq!(ends("2-4,7-,-1"), Some(vec![(0, 5), (7, 10)]));
        assert_eq!(ends("8,0-2"), Some(vec![(0, 3), (8, 9)]));
        for bad in ["", "10", "4-2", "a", "1-10", "1,,2", "1-2-3"] {
            assert_eq!(ends(bad), None, "{bad}");
        }
    }
}
