//! Batches over the folders 001, 002 ... of a series: one slice each to check the axes, then all slices.

use super::series::{folder, printing, split_his};
use super::{Call, Program, Variants, own};
use crate::terminal::{counting, say, silent};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use wagiri::io::{convert, read_description};
use wagiri::{Error, Result};

pub const PROGRAMS: &[Program] = &[
    Program {
        stem: "chk-rc",
        variants: Variants::Plain,
        usage: &["stk_num layer", "--print stk_num layer"],
        does: "prepares 001/raw ... by their conv.bat, reconstructs one slice each into rc-check/001.tif ... and lists their \
               descriptions in rc-check/image-description.txt; --print shows the commands instead",
        same_as: "wagiri zscan SERIES OUT --stop-after axes",
        differs: "does the work itself; conv.bat is read, not run; the list is begun anew",
        checked: "axes and slices, in the chain of a z-scan",
        run: chk_rc,
    },
    Program {
        stem: "set-rc",
        variants: Variants::Plain,
        usage: &["Dr", "--print Dr"],
        does: "reconstructs all slices of the scans listed in image-description.txt with the axes there",
        same_as: "wagiri zscan SERIES OUT --pixel-um Dr --resume",
        differs: "does the work itself, on the CPU; the list may be in rc-check",
        checked: "slices, in the chain of a z-scan",
        run: set_rc,
    },
    Program {
        stem: "rc-check",
        variants: Variants::Plain,
        usage: &["N-shot N-scan {layer}"],
        does: "splits a.his, prepares each scan, reconstructs one slice (120 unless given) and lists the descriptions in \
               center.log; slices go to rc-check",
        same_as: "wagiri zscan a.his OUT --scans N --stop-after axes",
        differs: "the layer is an argument, not a line to edit",
        checked: "axes",
        run: rc_check,
    },
    Program {
        stem: "gen-all",
        variants: Variants::Plain,
        usage: &["center.log {Dr {LACmin LACmax}}"],
        does: "reconstructs all slices of each scan with the axes of center.log and turns them into 8 bits in 001/ro ...",
        same_as: "wagiri zscan SERIES OUT --type u8 --min LACmin --max LACmax --resume",
        differs: "pixel size (5.64) and range (-0.5 to 3.0) are arguments, not lines to edit",
        checked: "slices and their 8-bit values",
        run: gen_all,
    },
];

const LIST: &str = "image-description.txt";
const SLICES: &str = "rc-check";
/// What the old scripts have in them.
const LAYER: usize = 120;
const PIXEL_UM: f64 = 5.64;
const RANGE: (f64, f64) = (-0.5, 3.0);

fn chk_rc(call: &Call) -> Result<()> {
    let (print, args) = printing(call);
    if args.len() != 2 {
        return Err(call.usage());
    }
    let at = usize::from(print);
    let (scans, layer) = (call.whole("stk_num", at, 1)? as usize, call.whole("layer", at + 1, 0)? as usize);
    if print {
        let (mv, bat) = if cfg!(windows) { ("move", "call conv.bat") } else { ("mv", "sh conv.bat") };
        say!("mkdir {SLICES}");
        for name in (0..scans).map(folder) {
            say!("cd {name}/raw\n{bat}\nct_rec_g_c {layer}");
            say!("{mv} rec{layer:05}.tif ../../{SLICES}/{name}.tif\ncd ../../{SLICES}");
            say!("pid {name}.tif >> {LIST}\ncd ..");
        }
        return Ok(());
    }
    check(call, scans, layer, &Path::new(SLICES).join(LIST))?;
    call.log_command(Path::new("."), "");
    Ok(())
}

/// Prepares the scans, one slice of each into `rc-check`, and their descriptions into `list`.
fn check(call: &Call, scans: usize, layer: usize, list: &Path) -> Result<()> {
    let raw = |scan: usize| Path::new(&folder(scan)).join("raw");
    if let Some(missing) = (0..scans).map(raw).find(|raw| !raw.is_dir()) {
        let message = format!("no such folder; {scans} scans are expected in 001/raw to {}", raw(scans - 1).display());
        return Err(Error::not_found(missing.display(), message));
    }
    fs::create_dir_all(SLICES).map_err(|e| Error::io(SLICES, "make the folder", e))?;
    let (layer_text, file) = (layer.to_string(), format!("rec{layer:05}.tif"));
    let mut text = String::new();
    for scan in 0..scans {
        let raw = raw(scan);
        if raw.join("conv.bat").is_file() {
            convert(&raw, &mut counting(&format!("{} {}", call.name, folder(scan)), "image"))?;
        }
        own::run(call, &raw, &["ct_rec_t_c", &layer_text])?;
        let slice = Path::new(SLICES).join(format!("{}.tif", folder(scan)));
        fs::rename(raw.join(&file), &slice).map_err(|e| Error::io(slice.display(), "move the slice", e))?;
        let description = read_description(&slice)?;
        say!("{}\t{description}", folder(scan));
        let _ = writeln!(text, "{description}");
        silent().poll()?;
    }
    fs::write(list, text).map_err(|e| Error::io(list.display(), "write", e))
}

/// The axes in a list of descriptions: their second fields.
fn axes(list: &Path) -> Result<Vec<f64>> {
    let text = fs::read_to_string(list).map_err(|e| Error::io(list.display(), "read", e))?;
    let axes = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(|(i, line)| {
        let axis = line.split_whitespace().nth(1).and_then(|field| field.parse::<f64>().ok());
        axis.filter(|px| px.is_finite()).ok_or_else(|| {
            let message = "expected a description of a slice, with the axis as its second field";
            Error::format(list.display(), message).with("line", i + 1)
        })
    });
    let axes = axes.collect::<Result<Vec<f64>>>()?;
    if axes.is_empty() {
        return Err(Error::format(list.display(), "the list of axes is empty"));
    }
    Ok(axes)
}

/// All slices of each scan with its axis; then `after` in the folder of the scan.
fn all_slices(call: &Call, axes: &[f64], pixel_um: &str, after: impl Fn(&Path) -> Result<()>) -> Result<()> {
    let missing = (0..axes.len()).map(folder).find(|name| !Path::new(name).join("raw").is_dir());
    if let Some(name) = missing {
        let message = format!("the list has {} axes, but there is no folder {name}/raw", axes.len());
        return Err(Error::not_found(name, message));
    }
    for (scan, axis) in axes.iter().enumerate() {
        let name = folder(scan);
        let place = Path::new(&name);
        own::run(call, place, &["hp_tg_t_c", "raw", pixel_um, &format!("{axis:.6}"), "0.0", "rec"])?;
        after(place)?;
        say!("{name}\t{axis:.6}");
        silent().poll()?;
    }
    Ok(())
}

fn set_rc(call: &Call) -> Result<()> {
    let (print, args) = printing(call);
    let [pixel_um] = args else { return Err(call.usage()) };
    call.number("Dr", usize::from(print))?;
    let here = PathBuf::from(LIST);
    let list = if here.is_file() { here } else { Path::new(SLICES).join(LIST) };
    let axes = axes(&list)?;
    if print {
        for (scan, axis) in axes.iter().enumerate() {
            say!("cd {}\nhp_tg_g_c raw {pixel_um} {axis:.6} 0.0 rec\ncd ..", folder(scan));
        }
        return Ok(());
    }
    all_slices(call, &axes, pixel_um, |_| Ok(()))?;
    call.log_command(Path::new("."), "");
    Ok(())
}

fn rc_check(call: &Call) -> Result<()> {
    if ![2, 3].contains(&call.args.len()) {
        return Err(call.usage());
    }
    let (shots, scans) = (call.whole("N-shot", 0, 1)? as usize, call.whole("N-scan", 1, 1)? as usize);
    let layer = if call.args.len() > 2 { call.whole("layer", 2, 0)? as usize } else { LAYER };
    split_his(call, shots, scans)?;
    check(call, scans, layer, Path::new("center.log"))?;
    call.log_command(Path::new("."), "");
    Ok(())
}

fn gen_all(call: &Call) -> Result<()> {
    if ![1, 2, 4].contains(&call.args.len()) {
        return Err(call.usage());
    }
    let axes = axes(Path::new(call.arg(0)?))?;
    let given = call.args.len();
    let pixel_um = if given > 1 { call.number("Dr", 1)? } else { PIXEL_UM };
    let (min, max) = if given > 2 { (call.number("LACmin", 2)?, call.number("LACmax", 3)?) } else { RANGE };
    let (min, max) = (min.to_string(), max.to_string());
    all_slices(call, &axes, &pixel_um.to_string(), |place| {
        own::run(call, place, &["tif_f2i", "8", "rec", "ro", &min, &max])
    })?;
    call.log_command(Path::new("."), "");
    Ok(())
}
