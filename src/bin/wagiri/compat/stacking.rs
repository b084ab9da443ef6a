//! rec_stk: the slices of a series of scans, one scan after the other, in one folder.

use super::Call;
use crate::terminal::say;
use std::fs;
use std::path::Path;
use wagiri::{Error, Result};

pub fn rec_stk(call: &Call) -> Result<()> {
    let print = call.args.first().is_some_and(|word| word == "--print");
    let first = usize::from(print);
    if call.args.len() != first + 3 {
        return Err(call.usage());
    }
    let scans = call.whole("num", first, 1)?;
    let (start, end) = (call.whole("start", first + 1, 0)?, call.whole("end", first + 2, 0)?);
    if end < start {
        let accepted = "expected start no greater than end";
        return Err(Error::invalid(&call.name, accepted).with("start", start).with("end", end));
    }
    let each = end - start + 1;
    let pairs = (0..scans).flat_map(|scan| {
        (start..=end).map(move |slice| {
            let from = format!("{:03}/rec/rec{slice:05}.tif", scan + 1);
            (from, format!("whole/rec/rec{:05}.tif", slice + scan * each))
        })
    });
    if print {
        pairs.for_each(|(from, to)| say!("mv {from} {to}"));
        return Ok(());
    }
    let pairs: Vec<(String, String)> = pairs.collect();
    // All or nothing: a series of which a part was moved is tedious to put right.
    for (from, to) in &pairs {
        if !Path::new(from).is_file() {
            return Err(Error::not_found(from, "no such slice; nothing was moved"));
        }
        if Path::new(to).exists() {
            return Err(Error::invalid(to, "this slice is there already; nothing was moved"));
        }
    }
    let whole = Path::new("whole/rec");
    fs::create_dir_all(whole).map_err(|e| Error::io(whole.display(), "make the output folder", e))?;
    for (i, (from, to)) in pairs.iter().enumerate() {
        if let Err(e) = fs::rename(from, to) {
            // Best effort: the error being reported is the one that matters.
            pairs[..i].iter().rev().for_each(|(from, to)| drop(fs::rename(to, from)));
            return Err(Error::io(from, "move", e));
        }
    }
    call.log_command(Path::new("."), "");
    Ok(())
}
