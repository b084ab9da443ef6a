//! Programs that reconstruct whole scans of half a turn: hp_tg, ct_rec and ct_rec_loop; and what the others share with them.

use super::environment::{black, context, hipic_options, kernel_size, pad, plain_options, variable, whole};
use super::frames::refuse_same;
use super::{Call, Program, Variants, again, axis};
use crate::terminal::{progress, say, silent};
use ndarray::ArrayView2;
use std::fs;
use std::ops::Range;
use std::path::Path;
use wagiri::chain::{AxisMethod, AxisOptions, Registry, RunOptions, RunSummary, find_axis};
use wagiri::geometry::Center;
use wagiri::io::{GreyTags, SampleType, SliceMeta, open_hipic, read_description, write_image};
use wagiri::scan::ScanOptions;
use wagiri::{Chain, Context, Error, Result, Scan};

pub const PROGRAMS: &[Program] = &[
    Program {
        stem: "hp_tg",
        variants: Variants::DeviceFilter,
        usage: &["raw Dr RC RA0 rec", "raw Dr L1 C1 L2 C2 RA0 rec"],
        does: "reconstructs all slices of a scan, or slices L1 to L2 with an axis from C1 to C2",
        same_as: "raw | normalise | ring.sort kernel_px=5 | recon.fbp pad=slice | write.tiff",
        differs: "floating point throughout; rec is made; L2 beyond the last row and L1 = L2 work, and L1 below 0 does not move \
                  the axis; every frame's size is checked; scans that cover more than half a turn are refused",
        checked: "seven volumes of ct-rec's double engine within 7e-7 of their maximum, its fixed-point one within 3.6e-4",
        run: hp_tg,
    },
    Program {
        stem: "ct_rec",
        variants: Variants::DeviceFilter,
        usage: &["layer {RC {Dr {RA0}}}"],
        does: "reconstructs one slice of the scan in the current folder, searching the axis if it is not given",
        same_as: "raw | normalise black=row air=edges | ring.sort kernel_px=5 | recon.fbp pad=slice | write.tiff",
        differs: "lines of output.log need not be in the order of frames; views outside the direct-beam frames are used",
        checked: "axis and slice of ct-rec's search, within 7e-7 of the maximum",
        run: ct_rec,
    },
    Program {
        stem: "ct_rec_loop",
        variants: Variants::Plain,
        usage: &["raw Dr RC RA0 rec {Njobs}", "raw Dr L1 C1 L2 C2 RA0 rec {Njobs}"],
        does: "reconstructs slice after slice as ct_rec does, with a line for each in rec/log",
        same_as: "raw | normalise black=row air=edges | ring.sort kernel_px=5 | recon.fbp pad=slice | write.tiff",
        differs: "one process for all slices, on all cores whatever Njobs is; CT_EXE tells the filter only; the axis is not \
                  rounded to four digits",
        checked: "the slices of ct_rec, bit for bit, on a scan of the tests",
        run: ct_rec_loop,
    },
    Program {
        stem: "p_rec",
        variants: Variants::DeviceFilter,
        usage: &["p rec Dr RC RA0", "p rec Dr L1 C1 L2 C2 RA0"],
        does: "reconstructs from projection images p00001.tif ...; RA0 in radians, slice L2 not included",
        same_as: "projections path=p | ring.sort kernel_px=5 | recon.fbp pad=slice | write.tiff",
        differs: "the first projection is used, too, and numbers may start anywhere; a missing number is an error; rec is made",
        checked: "a disc of 2.0 1/cm comes back within 1 %; after ct_prj_f the slices of hp_tg within 2e-5 of their maximum",
        run: again::p_rec,
    },
    Program {
        stem: "sf_rec",
        variants: Variants::DeviceFilter,
        usage: &["s.tif rec.tif {Dr RC RA0}"],
        does: "reconstructs one slice from a sinogram in absorbance, in double precision; RA0 in radians",
        same_as: "sinograms path=s.tif | ring.sort kernel_px=5 | recon.fbp pad=slice engine=reference | write.tiff",
        differs: "",
        checked: "a disc of 2.0 1/cm comes back within 1 %; the axis by ct-rec's rule",
        run: again::sf_rec,
    },
    Program {
        stem: "rec2rec",
        variants: Variants::Filter,
        usage: &["rec_in rec_out {Nt}"],
        does: "removes rings from finished slices: projects them forward and reconstructs again",
        same_as: "volume | project | ring.sort kernel_px=5 | recon.fbp pad=slice | write.tiff",
        differs: "rays by Joseph's method and 32-bit floating point; rays start at 0 degrees, whatever RA0 is",
        checked: "a disc of 2.0 1/cm stays 2.0 within 1 %, where it was; a ring of 0.2 1/cm falls below a third",
        run: again::rec2rec,
    },
    HP2DO,
    Program { stem: "hp2do", ..HP2DO },
    Program { stem: "tf2DO", ..HP2DO },
];

const HP2DO: Program = Program {
    stem: "hp2DO",
    variants: Variants::Plain,
    usage: &["D000 I000 E000 D180 I180 E180 {y1 y2} {image} {search%}"],
    does: "the axis of each row from two opposite frames, and a line through them",
    same_as: "wagiri center raw --method line",
    differs: "hp2DO, tf2DO and hp2do are one program, for .img and TIFF; as many threads as cores",
    checked: "the axis of every row of a phantom within the steps of half a pixel, the line within 0.05 px",
    run: axis::hp2do,
};

fn hp_tg(call: &Call) -> Result<()> {
    let a = &call.args;
    if a.len() != 5 && a.len() != 8 {
        return Err(call.usage());
    }
    let (raw, rec) = (Path::new(&a[0]), Path::new(&a[a.len() - 1]));
    refuse_same(call, raw, rec)?;
    let pixel_um = call.number("Dr", 1)?;
    let scan = open_hipic(raw, &hipic_options()?, &ScanOptions::default())?;
    let (center, rows) = axis_and_rows(call, a.len() == 5, 2, &scan, true)?;
    let turn_deg = call.number("RA0", a.len() - 2)?;
    let kernel = kernel_size();
    let chain = chain(call, center, pixel_um, turn_deg, &format!("normalise {} |", black()), "direct")?;
    let summary = volume(call, &chain, &context()?, &scan, rec, rows, "hp_tg")?;
    call.log_command(Path::new("."), &format!("   % kernel_size {kernel}   % chunks {}", chunks(&summary)));
    Ok(())
}

fn ct_rec(call: &Call) -> Result<()> {
    let a = &call.args;
    if a.is_empty() || a.len() > 4 {
        return Err(call.usage());
    }
    let here = Path::new(".");
    let scan = open_hipic(here, &plain_options(), &ScanOptions::default())?;
    let rows = layer(call, 0, &scan)?;
    let context = context()?;
    let center = match a.len() {
        1 => searched(call, &context, &scan, &rows)?,
        _ => call.number("RC", 1)?,
    };
    let pixel_um = if a.len() > 2 { call.number("Dr", 2)? } else { 1.0 };
    let turn_deg = if a.len() > 3 { call.number("RA0", 3)? } else { 0.0 };
    let normalise = format!("normalise {} black=row air=edges |", black());
    let chain = chain(call, Center::Fixed(center), pixel_um, turn_deg, &normalise, "direct")?;
    one_slice(call, &chain, &context, &scan, rows, "ct_rec")
}

/// Runs the chain for one slice into the current folder, and tells of it as ct_rec does.
pub fn one_slice(
    call: &Call,
    chain: &Chain,
    context: &Context,
    scan: &Scan,
    rows: Range<usize>,
    artist: &str,
) -> Result<()> {
    let (here, file) = (Path::new("."), format!("rec{:05}.tif", rows.start));
    let options = RunOptions { rows: Some(rows), artist: Some(artist.into()), ..of_ct_rec() };
    let summary = chain.run(context, scan, here, &options, &mut progress(call.program.stem))?;
    print_remarks(&summary.remarks);
    say!("{file}\t{}", read_description(&here.join(&file))?);
    call.log_command(Path::new(".."), &format!("   % kernel_size {}", kernel_size()));
    Ok(())
}

fn ct_rec_loop(call: &Call) -> Result<()> {
    let a = &call.args;
    let own = match a.len() {
        5 | 6 => 5,
        8 | 9 => 8,
        _ => return Err(call.usage()),
    };
    if a.len() > own {
        call.whole("Njobs", own, 1)?;
    }
    let program = variable("CT_EXE").unwrap_or_else(|| "ct_rec_g_c".into());
    let name = Path::new(&program).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let single = super::find(&name, &[]).filter(|c| c.program.stem == "ct_rec").ok_or_else(|| {
        Error::invalid("CT_EXE", "expected ct_rec_t_c or another variant of ct_rec").with("CT_EXE", program)
    })?;
    let (raw, rec) = (Path::new(&a[0]), Path::new(&a[own - 1]));
    refuse_same(call, raw, rec)?;
    let (pixel_um, turn_deg) = (call.number("Dr", 1)?, call.number("RA0", own - 2)?);
    let scan = open_hipic(raw, &plain_options(), &ScanOptions::default())?;
    let (center, rows) = axis_and_rows(call, own == 5, 2, &scan, true)?;
    let normalise = format!("normalise {} black=row air=edges |", black());
    let chain = chain(&single, center, pixel_um, turn_deg, &normalise, "direct")?;
    let summary = volume(call, &chain, &context()?, &scan, rec, rows, "ct_rec")?;
    let logs = rec.join("log");
    fs::create_dir_all(&logs).map_err(|e| Error::io(logs.display(), "make the folder", e))?;
    let kernel = kernel_size();
    for z in summary.rows {
        let (file, log) = (format!("rec{z:05}.tif"), logs.join(format!("rec{z:05}.log")));
        let text = format!("{file}\t{}\n", read_description(&rec.join(&file))?);
        fs::write(&log, text).map_err(|e| Error::io(log.display(), "write", e))?;
        let args = [z.to_string(), format!("{:.4}", center.at(z)), a[1].clone(), a[own - 2].clone()].to_vec();
        let one = Call { program: single.program, name: name.clone(), gpu: single.gpu, filter: single.filter, args };
        one.log_command(&raw.join(".."), &format!("   % kernel_size {kernel}"));
    }
    Ok(())
}

/// The chain from sinograms on, `before` in front of it.
pub fn chain(call: &Call, center: Center, pixel_um: f64, turn_deg: f64, before: &str, engine: &str) -> Result<Chain> {
    chain_at(call, &center.to_string(), pixel_um, turn_deg, before, engine)
}

/// [`chain`] with an axis that may be `auto`: the one that stages before tell.
pub fn chain_at(call: &Call, center: &str, pixel_um: f64, turn_deg: f64, before: &str, engine: &str) -> Result<Chain> {
    let (pad, kernel, filter) = (pad(), kernel_size(), call.filter);
    let text = format!(
        "{before} ring.sort kernel_px={kernel} | recon.fbp filter={filter} center_px={center} pixel_um={pixel_um} \
         angle_offset_deg={turn_deg} {pad} engine={engine}"
    );
    Chain::parse(&Registry::built_in(), &text)
}

/// The axis that ct_rec searches.
pub fn searched(call: &Call, context: &Context, scan: &Scan, rows: &Range<usize>) -> Result<f64> {
    let options = AxisOptions { method: AxisMethod::Rmsd, rows: Some(rows.clone()), ..AxisOptions::default() };
    let found = find_axis(context, scan, &options, &mut silent());
    let layer = rows.start;
    Ok(found.map_err(|e| e.with("otherwise", format!("{} {layer} RC", call.name)))?.center.at(layer))
}

/// Argument `index` as a row of the scan.
pub fn layer(call: &Call, index: usize, scan: &Scan) -> Result<Range<usize>> {
    let (text, rows) = (call.arg(index)?, scan.shape().rows);
    let layer: usize = text.parse().ok().filter(|l| *l < rows).ok_or_else(|| {
        let accepted = format!("expected a layer from 0 to {}", rows - 1);
        Error::invalid(&call.name, accepted).with("layer", format!("'{text}'"))
    })?;
    Ok(layer..layer + 1)
}

/// Axis and slices from the arguments at `at`: `RC`, or `L1 C1 L2 C2`; all slices if `None`.
pub fn axis_and_rows(
    call: &Call,
    fixed: bool,
    at: usize,
    scan: &Scan,
    with_last: bool,
) -> Result<(Center, Option<Range<usize>>)> {
    if fixed {
        return Ok((Center::Fixed(call.number("RC", at)?), None));
    }
    let height = scan.shape().rows as f64;
    let (l1, c1) = (call.number("L1", at)?.trunc(), call.number("C1", at + 1)?);
    let (l2, c2) = (call.number("L2", at + 2)?.trunc(), call.number("C2", at + 3)?);
    let end = if with_last { l2 + 1.0 } else { l2 };
    if end <= l1 || end <= 0.0 || l1 >= height {
        let last = if with_last { height - 1.0 } else { height };
        let accepted = format!("expected slices L1 to L2 within 0..{last}, the smaller one first");
        return Err(Error::invalid(&call.name, accepted).with("L1", l1).with("L2", l2));
    }
    if l1 < 0.0 || end > height {
        call.remark(format!(
            "slices beyond 0 to {} are left out; the axis is that of the line through L1 and L2",
            height - 1.0
        ));
    }
    let line = Center::Line { row0: l1, px0: c1, row1: l2, px1: c2 };
    let center = if l1 == l2 { Center::Fixed(c1) } else { line };
    Ok((center, Some(l1.max(0.0) as usize..end.min(height) as usize)))
}

/// Runs the chain into `rec` and prints a line for each slice, as ct-rec's volume programs do.
pub fn volume(
    call: &Call,
    chain: &Chain,
    context: &Context,
    scan: &Scan,
    rec: &Path,
    rows: Option<Range<usize>>,
    artist: &str,
) -> Result<RunSummary> {
    let options = RunOptions { rows, slab_rows: whole("HPTG_CHUNK_ROWS"), artist: Some(artist.into()), ..of_ct_rec() };
    let summary = chain.run(context, scan, rec, &options, &mut progress(call.program.stem))?;
    print_remarks(&summary.remarks);
    for z in summary.rows.clone() {
        say!("{z}\t{}", read_description(&rec.join(format!("rec{z:05}.tif")))?);
    }
    Ok(summary)
}

/// Slabs of a run.
pub fn chunks(summary: &RunSummary) -> usize {
    summary.rows.len().div_ceil(summary.slab_rows)
}

/// Writes a slice that no chain writes, with the description of those; `z` is its row.
pub fn write_slice(path: &Path, slice: ArrayView2<f32>, z: usize, meta: &SliceMeta) -> Result<()> {
    let fold = |(low, high): (f64, f64), v: &f32| (low.min((*v).into()), high.max((*v).into()));
    let range = slice.iter().fold((f64::INFINITY, f64::NEG_INFINITY), fold);
    let text = meta.describe(z, range);
    let tags = GreyTags { description: Some(&text), artist: &meta.artist, pixel_um: Some(meta.pixel_um) };
    write_image(path, slice, SampleType::F32, &tags)
}

/// ct-rec's programs leave nothing but slices and a log, and its users run several of them into one folder.
pub fn of_ct_rec() -> RunOptions {
    RunOptions { unrecorded: true, ..RunOptions::default() }
}

pub fn print_remarks(remarks: &[String]) {
    for remark in remarks {
        log::info!("{remark}");
    }
}
