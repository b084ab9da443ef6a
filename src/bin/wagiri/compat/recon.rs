//! Programs that reconstruct: hp_tg and ct_rec.

use super::environment::{black, context, hipic_options, kernel_size, pad, whole};
use super::{Call, Program, Variants};
use crate::terminal::{progress, say, silent};
use std::path::Path;
use wagiri::chain::{AxisMethod, AxisOptions, Registry, RunOptions, find_axis};
use wagiri::geometry::Center;
use wagiri::io::{open_hipic, read_description};
use wagiri::scan::ScanOptions;
use wagiri::{Chain, Error, Result};

pub const PROGRAMS: &[Program] = &[
    Program {
        stem: "hp_tg",
        variants: Variants::DeviceFilter,
        usage: &["raw Dr RC RA0 rec", "raw Dr L1 C1 L2 C2 RA0 rec"],
        does: "reconstructs all slices of a scan, or slices L1 to L2 with an axis from C1 to C2",
        same_as: "raw | normalise | ring.sort kernel_px=5 | recon.fbp pad=slice | write.tiff",
        differs: "floating point throughout; rec is made; L2 beyond the last row and L1 = L2 work; every frame's size is checked; \
                  scans that cover more than half a turn are refused",
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
];

fn hp_tg(call: &Call) -> Result<()> {
    let a = &call.args;
    if a.len() != 5 && a.len() != 8 {
        return Err(call.usage());
    }
    let (raw, rec) = (Path::new(&a[0]), Path::new(&a[a.len() - 1]));
    let pixel_um = call.number("Dr", 1)?;
    let scan = open_hipic(raw, &hipic_options()?, &ScanOptions::default())?;
    let height = scan.shape().rows as f64;
    let (center, rows) = if a.len() == 5 {
        (Center::Fixed(call.number("RC", 2)?), None)
    } else {
        let (l1, c1) = (call.number("L1", 2)?.trunc(), call.number("C1", 3)?);
        let (l2, c2) = (call.number("L2", 4)?.trunc(), call.number("C2", 5)?);
        if l2 < l1 || l2 < 0.0 || l1 >= height {
            let accepted = format!("expected slices L1 to L2 within 0..{}", height - 1.0);
            return Err(Error::invalid(&call.name, accepted).with("L1", l1).with("L2", l2));
        }
        let line = Center::Line { row0: l1, px0: c1, row1: l2, px1: c2 };
        let center = if l1 == l2 { Center::Fixed(c1) } else { line };
        (center, Some(l1.max(0.0) as usize..l2.min(height - 1.0) as usize + 1))
    };
    let kernel = kernel_size();
    let chain = chain(call, center, pixel_um, call.number("RA0", a.len() - 2)?, &kernel, "")?;
    let context = context()?;
    let options = RunOptions { rows, slab_rows: whole("HPTG_CHUNK_ROWS"), artist: Some("hp_tg".into()), ..of_ct_rec() };
    let summary = chain.run(&context, &scan, rec, &options, &mut progress("hp_tg"))?;
    print_remarks(&summary.remarks);
    for z in summary.rows.clone() {
        say!("{z}\t{}", read_description(&rec.join(format!("rec{z:05}.tif")))?);
    }
    let chunks = summary.rows.len().div_ceil(summary.slab_rows);
    call.log_command(Path::new("."), &format!("   % kernel_size {kernel}   % chunks {chunks}"));
    Ok(())
}

fn ct_rec(call: &Call) -> Result<()> {
    let a = &call.args;
    if a.is_empty() || a.len() > 4 {
        return Err(call.usage());
    }
    let here = Path::new(".");
    let scan = open_hipic(here, &hipic_options()?, &ScanOptions::default())?;
    let layer: usize = a[0].parse().ok().filter(|l| *l < scan.shape().rows).ok_or_else(|| {
        let accepted = format!("expected a layer from 0 to {}", scan.shape().rows - 1);
        Error::invalid(&call.name, accepted).with("layer", format!("'{}'", a[0]))
    })?;
    let context = context()?;
    let rows = layer..layer + 1;
    let center = match a.len() {
        1 => {
            let options = AxisOptions { method: AxisMethod::Rmsd, rows: Some(rows.clone()), ..AxisOptions::default() };
            let found = find_axis(&context, &scan, &options, &mut silent());
            found.map_err(|e| e.with("otherwise", format!("{} {layer} RC", call.name)))?.center
        }
        _ => Center::Fixed(call.number("RC", 1)?),
    };
    let pixel_um = if a.len() > 2 { call.number("Dr", 2)? } else { 1.0 };
    let angle_deg = if a.len() > 3 { call.number("RA0", 3)? } else { 0.0 };
    let kernel = kernel_size();
    let chain = chain(call, center, pixel_um, angle_deg, &kernel, "black=row air=edges")?;
    let options = RunOptions { rows: Some(rows), slab_rows: None, artist: Some("ct_rec".into()), ..of_ct_rec() };
    let summary = chain.run(&context, &scan, here, &options, &mut progress("ct_rec"))?;
    print_remarks(&summary.remarks);
    let file = format!("rec{layer:05}.tif");
    say!("{file}\t{}", read_description(&here.join(&file))?);
    call.log_command(Path::new(".."), &format!("   % kernel_size {kernel}"));
    Ok(())
}

fn chain(call: &Call, center: Center, pixel_um: f64, angle_deg: f64, kernel: &str, normalise: &str) -> Result<Chain> {
    let (black, pad, filter) = (black(), pad(), call.filter);
    let text = format!(
        "normalise {black} {normalise} | ring.sort kernel_px={kernel} | recon.fbp filter={filter} center_px={center} \
         pixel_um={pixel_um} angle_offset_deg={angle_deg} {pad} engine=direct"
    );
    Chain::parse(&Registry::built_in(), &text)
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
